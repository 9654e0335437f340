// Whether the collectors' tests would find a bug: makes one at a time, from the list in mutants.mjs, and requires that they
// fail. `npm run test:mutants`, or after a build `node tests/mutants/run.mjs --only TEXT --jobs 1`. With `--minutes N` none is begun
// after so long, and they come in another order each time, so that every one has its turn some time.
//
// A mutant that no test finds makes it fail, and so does one whose text is not, or not once, in its file any more: whoever
// changes a collector takes its mutants along.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { Command } from "commander";
import { EXIT, endWithItsReaders, numberUpTo, readOwnCommandLine, wholeNumber } from "../../build/bench/commandLine.js";
import { mutants } from "./mutants.mjs";

const project = fileURLToPath(new URL("../..", import.meta.url));
/** A suite that has not ended by then hangs in the mutant, in milliseconds. */
const TIME_LIMIT = 180_000;
/** Enough for the scenarios, which are whole at every scale, and some random runs. */
const SCALE = "0.25";

/** More than any machine has cores for, and a day. */
const [JOBS_AT_MOST, MINUTES_AT_MOST] = [256, 1440];

endWithItsReaders();
const program = new Command("npm run test:mutants --")
  .description("Makes one bug at a time in the collectors, and requires that their tests find each.")
  .option("--only <TEXT>", "the mutants alone that have this in their file's name, their description or their text", "")
  .option("--jobs <N>", "how many are tried at a time", wholeNumber(1, JOBS_AT_MOST), 2)
  .option(
    "--minutes <N>",
    "begin none after so many minutes, and try them in another order each time (default: try all)",
    numberUpTo(MINUTES_AT_MOST),
  )
  .option("--verbose", "tell which test has found each, and how")
  .addHelpText(
    "after",
    `
Exit status:
  0    the tests have found every mutant that was tried
  1    one was not found, does not compile, or has its text no more, or not once, in its file; none was tried
  2    an option is bad, or the output cannot be written
  130  interrupted (Ctrl-C); 143 terminated

Examples:
  npm run test:mutants -- --only refcount.ts --jobs 1 --verbose
  npm run test:mutants -- --minutes 2`,
  );
const { chosen, ...options } = readOwnCommandLine(program, (command) => {
  const values = command.opts();
  const chosen = mutants.filter(({ file, why, find }) => `${file} ${why} ${find}`.includes(values.only));
  if (chosen.length === 0) command.error(`error: --only ${values.only}: there is no such mutant`);
  return { ...values, chosen };
});

/** Which strategy's tests can tell: both, unless the file belongs to one. */
function kindsFor(file) {
  if (["markSweep.ts", "marker.ts"].includes(file)) return "debug,mark-sweep";
  const counting = ["refcount.ts", "cycleCollection.ts", "release.ts", "countWord.ts", "countingWalk.ts"];
  return counting.includes(file) ? "debug,refcount" : "debug,mark-sweep,refcount";
}

/** Compiles the debug module with `source` in the place of `file`. Throws what the compiler says. */
async function compile(file, source) {
  let binary;
  const { error, stderr } = await asc.main(
    [
      "assembly/index.ts",
      "--outFile=tidemark.debug.wasm",
      "--runtime=stub",
      "--importMemory",
      "--maximumMemory=65535",
      "--enable=simd",
      "-O1",
      "--use=DEBUG=1",
    ],
    {
      readFile(name, base) {
        if (name.endsWith("asconfig.json")) return null; // the project's own names both modules' targets, and would win
        const path = resolve(project, base, name);
        if (path === resolve(project, file)) return source;
        try {
          return readFileSync(path, "utf8");
        } catch {
          return null;
        }
      },
      writeFile(name, contents) {
        if (name === "tidemark.debug.wasm") binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error !== null || binary === undefined) throw new Error(`it does not compile:\n${stderr.toString()}`);
  return binary;
}

/** The processes of the tests that run now. */
const children = new Set();

/** Runs the tests against the module in `folder`. Resolves to what became of them. */
function runTests(folder, kinds) {
  return new Promise((resolvePromise) => {
    const vitest = join(project, "node_modules/vitest/vitest.mjs");
    const child = spawn(
      process.execPath,
      [vitest, "run", "--config", join(project, "tests/mutants/vitest.config.ts")],
      {
        cwd: project,
        env: {
          ...process.env,
          TIDEMARK_TEST_MODULES: folder,
          TIDEMARK_TEST_KINDS: kinds,
          TIDEMARK_TEST_SCALE: process.env.TIDEMARK_TEST_SCALE ?? SCALE,
        },
      },
    );
    children.add(child);
    let output = "";
    child.stdout.on("data", (data) => {
      output += data;
    });
    child.stderr.on("data", (data) => {
      output += data;
    });
    let hangs = false;
    const timer = setTimeout(() => {
      hangs = true;
      child.kill("SIGKILL");
    }, TIME_LIMIT);
    child.on("close", (code) => {
      clearTimeout(timer);
      children.delete(child);
      resolvePromise({ result: hangs ? "hangs" : code === 0 ? "passes" : "fails", output });
    });
  });
}

/** In place (Fisher and Yates). */
function shuffle(list) {
  for (let index = list.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [list[index], list[other]] = [list[other], list[index]];
  }
}

/** What tells of the failure, in one line. */
function reason(output) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
  const plain = output.replace(/\x1b\[[0-9;]*m/g, "");
  const lines = plain.split("\n");
  const failed = lines.find((line) => /FAIL/.test(line))?.replace(/.*FAIL\s+tests\/collectors\//, "") ?? "";
  const error = lines.find((line) => /(Error|Got).*:/.test(line))?.trim() ?? "";
  return `${failed} | ${error}`.slice(0, 240);
}

const folder = mkdtempSync(join(tmpdir(), "tidemark-mutants-"));
process.on("exit", () => {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
});
process.once("SIGINT", () => process.exit(EXIT.interrupted));
process.once("SIGTERM", () => process.exit(EXIT.terminated));
let count = 0;

async function tryModule(file, source, kinds) {
  const place = join(folder, String(count++));
  mkdirSync(place);
  writeFileSync(join(place, "tidemark.debug.wasm"), await compile(file, source));
  const outcome = await runTests(place, kinds);
  rmSync(place, { recursive: true, force: true });
  return outcome;
}

const wrong = [];
let next = 0;
if (options.minutes !== undefined) shuffle(chosen);
const begin = performance.now();
const seconds = (from) => `${((performance.now() - from) / 1000).toFixed(1)} s`;

async function tryMutant(mutant, index) {
  const { file, find, replace, also, why } = mutant;
  const from = performance.now();
  const tell = (verdict) =>
    console.log(
      `${String(index + 1).padStart(3)}/${chosen.length}  ${verdict.padEnd(9)} ${file}: ${why} (${seconds(from)})`,
    );
  const path = `assembly/collectors/${file}`;
  const source = readFileSync(join(project, path), "utf8");
  if (!source.includes(find)) return;
  const changed = also.reduce(
    (text, [from, to]) => text.replace(from, to),
    source.replace(find, () => replace),
  );
  let outcome;
  try {
    outcome = await tryModule(path, changed, kindsFor(file));
  } catch (error) {
    tell("BROKEN");
    wrong.push(`${file}: ${why}: ${error.message}`);
    return;
  }
  if (outcome.result === "passes") {
    tell("SURVIVED");
    wrong.push(`${file}: ${why}: no test finds it`);
  } else {
    tell(outcome.result === "hangs" ? "hangs" : "found");
    if (options.verbose) console.log(`             ${reason(outcome.output)}`);
  }
}

for (const { file, find, why } of mutants) {
  const occurrences = readFileSync(join(project, `assembly/collectors/${file}`), "utf8").split(find).length - 1;
  if (occurrences === 1) continue;
  wrong.push(`${file}: ${why}: its text occurs ${occurrences} times, not once: ${JSON.stringify(find)}`);
}

// Without a mutant the tests must pass, or their failures would tell nothing.
const { result, output } = await tryModule("none", "", "debug");
if (result !== "passes") {
  console.log(output);
  throw new Error(`the tests ${result === "hangs" ? "hang" : "fail"} without a mutant`);
}
console.log(`without a mutant the tests pass (${seconds(begin)})`);
const deadline = performance.now() + (options.minutes ?? Number.POSITIVE_INFINITY) * 60_000;
const work = async () => {
  while (next < chosen.length && performance.now() < deadline) {
    const index = next++;
    await tryMutant(chosen[index], index);
  }
};
await Promise.all(Array.from({ length: options.jobs }, work));
console.log(`${next} of ${chosen.length} mutants, ${wrong.length} not found (${seconds(begin)})`);
for (const line of wrong) console.log(`  ${line}`);
process.exitCode = wrong.length > 0 || next === 0 ? 1 : 0;
