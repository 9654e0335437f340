/**
 * Runs cases: a process for each subject in each round, the subjects of a case taking turns.
 *
 * A process of its own, because in one process the second subject measured is up to four times slower: the engine's type
 * feedback has been polluted by the first. Turns (A B A B …), because the machine is seldom alone: what slows it down for
 * a while then meets all subjects, and cancels in the ratios of a round.
 */

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ENGINE_FLAGS } from "../engineFlags.js";
import type { ChildAnswer, ChildRequest } from "./child.js";
import type { Effort } from "./measure.js";
import { type CaseResult, evaluate, type Rounds } from "./results.js";
import type { SelectedCase } from "./selection.js";

const CHILD = fileURLToPath(new URL("./child.js", import.meta.url));
const DEFAULT_TIMEOUT_SECONDS = 300;
/** Of a failed process's output, this much of the end is kept (UTF-16 units). */
const OUTPUT_KEPT = 16 * 1024;

/** A process that gave no figures. Its subject is left out of the results; everything else goes on. */
export interface Failure {
  readonly suite: string;
  readonly case: string;
  readonly subject: string;
  /** Counted from 1. */
  readonly round: number;
  /** How the process ended. */
  readonly reason: string;
  /** The end of what it wrote to standard error and standard output. */
  readonly output: string;
}

export interface RunResult extends CaseResult {
  readonly failures: readonly Failure[];
}

/** Called before each process with what is about to run; `done` of `total` processes are over. */
export type Progress = (done: number, total: number, label: string) => void;

/** Runs all rounds of all cases, one process at a time. */
export async function runCases(cases: readonly SelectedCase[], effort: Effort, progress: Progress): Promise<RunResult> {
  const total = cases.reduce((sum, selected) => sum + Object.keys(selected.case.subjects).length * effort.rounds, 0);
  let done = 0;
  const results: CaseResult[] = [];
  const failures: Failure[] = [];
  for (const selected of cases) {
    const { suite, case: current } = selected;
    const figures = new Map<string, Record<string, number>[]>(Object.keys(current.subjects).map((name) => [name, []]));
    for (let round = 1; round <= effort.rounds; round++) {
      for (const [subject, rounds] of figures) {
        progress(done, total, `${suite.suite.name}/${current.name}: ${subject}, round ${round}`);
        const outcome = await runChild(selected, subject, effort);
        done++;
        if (outcome.answer !== undefined) {
          rounds.push({ ...outcome.answer.metrics });
          continue;
        }
        const { reason, output } = outcome;
        failures.push({ suite: suite.suite.name, case: current.name, subject, round, reason, output });
        figures.delete(subject);
        done += effort.rounds - round;
      }
    }
    results.push(evaluate(selected, figures satisfies Map<string, Rounds>));
  }
  progress(total, total, "done");
  return {
    rows: results.flatMap(({ rows }) => rows),
    ratios: results.flatMap(({ ratios }) => ratios),
    verdicts: results.flatMap(({ verdicts }) => verdicts),
    failures,
  };
}

type Outcome =
  | { readonly answer: ChildAnswer }
  | { readonly answer?: undefined; readonly reason: string; readonly output: string };

function runChild({ suite, case: { name, timeoutSeconds } }: SelectedCase, subject: string, effort: Effort) {
  const request: ChildRequest = { suiteUrl: suite.url, caseName: name, subject, effort };
  const limit = timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS;
  return new Promise<Outcome>((resolve) => {
    const child = fork(CHILD, [JSON.stringify(request)], {
      execArgv: [...ENGINE_FLAGS],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    let answer: ChildAnswer | undefined;
    let output = "";
    let timedOut = false;
    const keep = (text: string) => {
      output = (output + text).slice(-OUTPUT_KEPT);
    };
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, limit * 1000);
    child.stdout?.setEncoding("utf8").on("data", keep);
    child.stderr?.setEncoding("utf8").on("data", keep);
    child.on("message", (message) => {
      answer = message as ChildAnswer;
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve({ reason: `could not be run: ${error.message}`, output });
    });
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      if (answer !== undefined && status === 0) resolve({ answer });
      else if (timedOut) resolve({ reason: `took longer than ${limit} s`, output });
      else if (signal !== null) resolve({ reason: `was ended by ${signal}`, output });
      else resolve({ reason: `exited with status ${status}${status === 0 ? " and no figures" : ""}`, output });
    });
  });
}
