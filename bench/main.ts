#!/usr/bin/env node
/**
 * `npm run bench`: measures the suites of `bench/suites/` and compares the subjects of each case.
 *
 * Exit status: 0 when everything was measured; 1 when a process failed or gave a wrong result, when the JSON file could
 * not be written, or, with `--strict`, when a target was missed; 2 when the command line is wrong, or the output cannot be
 * written; 130 after Ctrl-C, and 141 when nobody reads the output any more.
 *
 * `bench/harness/case.ts` says how to add a case.
 */

import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { SingleBar } from "cli-progress";
import { Command } from "commander";
import {
  CommandLineEnd,
  EXIT,
  endWithItsReaders,
  processOutput,
  readCommandLine,
  requireWritable,
} from "./commandLine.js";
import { describeEnvironment } from "./harness/environment.js";
import { FULL_EFFORT, QUICK_EFFORT } from "./harness/measure.js";
import { describeAbsences, describeCases, describeProblems, describeResults, describeRun } from "./harness/report.js";
import { type Progress, runCases } from "./harness/run.js";
import { loadSuite, selectCases, UnknownNameError } from "./harness/selection.js";
import { suiteUrls } from "./suites/index.js";

const HELP_AFTER = `
The JSON file:
  { "environment": { "node", "v8", "cpu", "cores", "memoryBytes", "os", "date", "version", "commandLine", "nodeOptions",
        "commit": null outside a checkout },
    "rows": [{ "suite", "case", "subject", "metric", "unit", "value": the median of the rounds, "low", "high": their first
        and last decile, "samples": how many rounds }],
    "ratios": [{ "suite", "case", "subject", "against": the peer, "metric", and of the ratios, round by round,
        "value", "low", "high", "samples" }],
    "targets": [{ "suite", "case", "subject", "metric", "against": the peer, or null where the bound is on the figure itself,
        "bound": { "atMost" } or { "atLeast" }, "measured": null if there is no figure, "met": true, false or null }],
    "failures": [{ "suite", "case", "subject", "round": from 1, "reason", "output": the end of what it wrote }] }

Exit status:
  ${EXIT.good}    everything was measured
  ${EXIT.wrong}    a process failed or gave a wrong result, the JSON file could not be written, or a target was missed (--strict)
  ${EXIT.unusable}    an option is bad, or the output cannot be written
  ${EXIT.interrupted}  interrupted (Ctrl-C)`;

interface Options {
  readonly suite?: readonly string[];
  readonly case?: readonly string[];
  readonly from?: readonly string[];
  readonly quick?: boolean;
  readonly strict?: boolean;
  readonly list?: boolean;
  readonly json?: string;
}

/** The command line asks for something that cannot be done; nothing has been run. */
class UsageError extends Error {}

/** All has been measured, and the JSON file cannot be written. */
class ReportError extends Error {}

const repeatable = (value: string, previous: readonly string[] = []) => [...previous, value];

/** @throws {CommandLineEnd} if there is nothing to be run */
function parseArguments(words: readonly string[]): Options {
  const program = new Command("npm run bench --")
    .description(
      "Measures Tidemark against its peers: a process per subject and round, rounds taking turns, medians, and ratios " +
        "round by round. Every subject's work is checked against a plain implementation.",
    )
    .option("-s, --suite <name>", "only this suite (repeatable)", repeatable)
    .option("-c, --case <name>", "only this case (repeatable)", repeatable)
    .option("-q, --quick", "fewer and shorter rounds: a first impression")
    .option("--strict", "exit with status 1 if a target is missed")
    .option("-j, --json <file>", "write environment, rows, ratios, targets and failures to a file")
    .option(
      "--from <file>",
      "take the suites from this ES module instead of the project's own (repeatable)",
      repeatable,
    )
    .option("-l, --list", "list the suites and cases and measure nothing")
    .addHelpText("after", HELP_AFTER)
    .allowExcessArguments(false)
    .showHelpAfterError("(--help tells what there is)")
    .exitOverride();
  return readCommandLine(program, words, processOutput, (command) => {
    const options = command.opts<Options>();
    if (options.json !== undefined) requireWritable(command, options.json, options.from);
    return options;
  });
}

async function main(options: Options): Promise<number> {
  const loaded = await Promise.all(options.from?.map(loadFrom) ?? suiteUrls.map(loadSuite));
  const cases = selectCases(loaded, options.suite, options.case);
  if (options.list) {
    console.log(describeCases(cases));
    return 0;
  }

  const environment = describeEnvironment();
  const effort = options.quick ? QUICK_EFFORT : FULL_EFFORT;
  console.log(describeRun(environment, effort.rounds));
  const absences = describeAbsences(cases);
  if (absences !== "") console.error(`\n${absences}`);
  const bar = progressBar();
  const results = await runCases(cases, effort, bar.show);
  bar.end();
  console.log(`\n${describeResults(cases, results)}`);
  if (absences !== "") console.log(`\n${absences}`);
  const problems = describeProblems(results);
  if (problems !== "") console.error(`\n${problems}`);

  const { rows, ratios, verdicts, failures } = results;
  if (options.json !== undefined) {
    const report = { environment, rows, ratios, targets: verdicts, failures };
    writeReport(options.json, report);
  }
  const missed = options.strict && verdicts.some(({ met }) => met !== true);
  return failures.length > 0 || missed ? 1 : 0;
}

/**
 * At once, as the program ends as soon as it learns that nobody reads what it has told.
 *
 * @throws {ReportError} if that cannot be done
 */
function writeReport(path: string, report: object): void {
  try {
    writeFileSync(path, `${JSON.stringify(report, undefined, 2)}\n`);
  } catch (error) {
    throw new ReportError(`--json ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws {UsageError} if there is no suite in `file` */
async function loadFrom(file: string): ReturnType<typeof loadSuite> {
  const path = resolve(file);
  try {
    return await loadSuite(pathToFileURL(path).href);
  } catch (error) {
    throw new UsageError(`--from ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** A progress bar on a terminal; silence elsewhere. */
function progressBar(): { show: Progress; end: () => void } {
  if (!process.stderr.isTTY) return { show: () => {}, end: () => {} };
  const bar = new SingleBar({ format: "{bar} {value}/{total} {label}", clearOnComplete: true, hideCursor: true });
  let started = false;
  return {
    show: (done, total, label) => {
      if (!started) {
        bar.start(total, 0, { label });
        process.once("SIGINT", () => {
          bar.stop(); // which shows the cursor again
          process.exit(EXIT.interrupted);
        });
      }
      started = true;
      bar.update(done, { label });
    },
    end: () => bar.stop(),
  };
}

endWithItsReaders();
try {
  process.exitCode = await main(parseArguments(process.argv.slice(2)));
} catch (error) {
  if (error instanceof CommandLineEnd) {
    process.exitCode = error.status;
  } else if (error instanceof UsageError || error instanceof UnknownNameError) {
    console.error(`bench: ${error.message}`);
    process.exitCode = EXIT.unusable;
  } else if (error instanceof ReportError) {
    console.error(`bench: ${error.message}`);
    process.exitCode = EXIT.wrong;
  } else {
    console.error(error);
    process.exitCode = EXIT.wrong;
  }
}
