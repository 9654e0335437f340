import { execFile, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Environment } from "../../bench/harness/environment.js";
import type { Ratio, Row, Verdict } from "../../bench/harness/results.js";
import type { Failure } from "../../bench/harness/run.js";
import { namesIn } from "../support/namesIn.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const MAIN = here("../../build/bench/main.js");
const WORKING = here("working-suite.mjs");
const BROKEN = here("broken-suite.mjs");

const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Report {
  readonly environment: Environment;
  readonly rows: readonly Row[];
  readonly ratios: readonly Ratio[];
  readonly targets: readonly Verdict[];
  readonly failures: readonly Failure[];
}

let reports = 0;

/** Runs the benchmark's own program, and reads what it writes. */
async function bench(parameters: readonly string[], environment: Record<string, string> = {}) {
  const json = join(folder, `${reports++}.json`);
  const env = { ...process.env, ...environment };
  const { status, stdout, stderr } = await new Promise<{ status: number; stdout: string; stderr: string }>(
    (resolve) => {
      execFile(process.execPath, [MAIN, ...parameters, "--json", json], { env }, (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    },
  );
  const report = existsSync(json) ? (JSON.parse(readFileSync(json, "utf8")) as Report) : undefined;
  return { status, stdout, stderr, report: report as Report };
}

describe("a run of timed cases", () => {
  const log = join(folder, "log");
  let status: number;
  let stdout: string;
  let stderr: string;
  let report: Report;
  beforeAll(async () => {
    const run = await bench(["--from", WORKING, "--case", "summing", "--quick"], { BENCH_TEST_LOG: log });
    ({ status, stdout, stderr, report } = run);
  }, 120_000);
  const row = (subject: string, metric: string) =>
    report.rows.find((candidate) => candidate.subject === subject && candidate.metric === metric) as Row;

  test("ends with status 0 and writes nothing but the missed target to standard error", () => {
    expect(status).toBe(0);
    expect(stderr.trim()).toMatch(/^target of working\/summing: rate of boxed ≥ 1,000 × plain: MISSED at 0\.\d+$/);
  });

  test("gives a row with exactly the documented fields for each subject and metric", () => {
    expect(report.rows.map(({ subject, metric, unit }) => `${subject} ${metric} ${unit}`)).toEqual(
      ["boxed", "plain", "deferred"].flatMap((subject) => [
        `${subject} time ns/addition`,
        `${subject} rate addition/s`,
        `${subject} collections collections`,
      ]),
    );
    for (const entry of report.rows) {
      expect(Object.keys(entry).sort()).toEqual(
        ["suite", "case", "subject", "metric", "unit", "value", "low", "high", "samples"].sort(),
      );
      expect(entry).toMatchObject({ suite: "working", case: "summing", samples: 3 });
      expect(entry.low).toBeLessThanOrEqual(entry.value);
      expect(entry.high).toBeGreaterThanOrEqual(entry.value);
    }
  });

  test("gives time in nanoseconds per operation, and a rate that is its inverse", () => {
    // An addition in a compiled loop takes between a tenth of a nanosecond and, on a very busy machine, a hundred.
    for (const subject of ["plain", "deferred"]) {
      expect(row(subject, "time").value).toBeGreaterThan(0.05);
      expect(row(subject, "time").value).toBeLessThan(100);
      expect((row(subject, "time").value * row(subject, "rate").value) / 1e9).toBeCloseTo(1, 6);
    }
  });

  test("counts the collections of a subject that makes garbage, and none for one that does not", () => {
    expect(row("boxed", "collections").low).toBeGreaterThan(1);
    expect(row("plain", "collections").value).toBe(0);
  });

  test("runs each subject of each round in a process of its own, and the subjects in turns", () => {
    const lines = readFileSync(log, "utf8").trim().split("\n");
    expect(lines.map((line) => line.split(" ")[1])).toEqual(["boxed", "plain", "boxed", "plain", "boxed", "plain"]);
    expect(new Set(lines.map((line) => line.split(" ")[0])).size).toBe(6);
  });

  test("gives the ratios to the peer and those that targets ask for", () => {
    const pairs = report.ratios.map(({ subject, against, metric }) => `${metric} ${subject}/${against}`);
    expect(pairs).toEqual(expect.arrayContaining(["time plain/boxed", "rate plain/boxed", "rate boxed/plain"]));
    const time = report.ratios.find(({ subject, metric }) => subject === "plain" && metric === "time") as Ratio;
    expect(time.samples).toBe(3);
    expect(time.value).toBeLessThan(0.9);
  });

  test("says above the table what a ratio divides by what", () => {
    expect(stdout).toContain("a ratio is the subject's figure ÷ its peer's");
  });

  test("judges the targets, in the file and in the table", () => {
    expect(report.targets.map(({ met }) => met)).toEqual([true, true, false]);
    expect(report.targets[0]).toMatchObject({
      suite: "working",
      case: "summing",
      subject: "plain",
      metric: "time",
      against: "boxed",
      bound: { atMost: 0.9 },
    });
    expect(stdout).toContain("≤ 0.9 × boxed: met at");
    expect(stdout).toContain("≥ 1,000 × plain: MISSED at");
    expect(stdout).toContain("≤ 0: met at 0");
  });

  test("names the environment", () => {
    expect(report.environment).toMatchObject({ node: process.version, v8: process.versions.v8 });
    expect(report.environment.cores).toBeGreaterThanOrEqual(1);
    expect(report.environment.memoryBytes).toBeGreaterThan(2 ** 20);
    expect(report.environment.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(report.environment.commandLine).toContain("--quick");
    expect(Number.isNaN(Date.parse(report.environment.date))).toBe(false);
    expect(report.environment.commit ?? "0".repeat(40)).toMatch(/^[0-9a-f]{40}$/);
    expect(report.environment.cpu).not.toBe("");
    expect(report.environment.os).not.toBe("");
  });
});

describe("a case that measures itself", () => {
  test("gives its own metrics, told that a quick run was asked for, in three rounds", async () => {
    const { status, report } = await bench(["--from", WORKING, "--case", "measured", "--quick"]);
    expect(status).toBe(0);
    const place = { suite: "working", case: "measured", samples: 3 };
    expect(report.rows).toEqual([
      { ...place, subject: "slow", metric: "speed", unit: "m/s", value: 2, low: 2, high: 2 },
      { ...place, subject: "slow", metric: "quick", unit: "boolean", value: 1, low: 1, high: 1 },
      { ...place, subject: "fast", metric: "speed", unit: "m/s", value: 6, low: 6, high: 6 },
    ]);
    expect(report.ratios).toEqual([
      { ...place, subject: "fast", against: "slow", metric: "speed", value: 3, low: 3, high: 3 },
    ]);
    expect(report.targets[0]).toMatchObject({ metric: "speed", measured: 3, met: true });
  });

  test("runs in seven rounds when no quick run is asked for", async () => {
    const { report } = await bench(["--from", WORKING, "--case", "measured"]);
    expect(report.rows.map(({ samples }) => samples)).toEqual([7, 7, 7]);
    expect(report.rows.find(({ metric }) => metric === "quick")?.value).toBe(0);
  });
});

test("a subject that this machine cannot run is told of twice, and what is held against it is not measured", async () => {
  const { status, stdout, stderr, report } = await bench(["--from", WORKING, "--case", "partly absent", "--quick"]);
  expect(status).toBe(0);
  for (const text of [stdout, stderr]) {
    expect(text).toContain("LEFT OUT working/partly absent: elsewhere: it needs another machine");
  }
  expect(stderr).toContain("speed of fast ≥ 1 × elsewhere: not measured");
  expect(report.targets.map(({ met }) => met)).toEqual([true, null]);
  expect(report.rows.map(({ subject }) => subject)).toEqual(["slow", "fast"]);
});

describe("a run with cases that fail", () => {
  let status: number;
  let stdout: string;
  let stderr: string;
  let report: Report;
  beforeAll(async () => {
    ({ status, stdout, stderr, report } = await bench(["--from", BROKEN, "--quick"]));
  }, 120_000);
  const failure = (name: string) => report.failures.find((candidate) => candidate.case === name) as Failure;

  test("ends with status 1 and goes on to the last case, without further rounds of what has failed", () => {
    expect(status).toBe(1);
    const failed = report.failures.map((entry) => entry.case);
    expect(failed).toHaveLength(13);
    expect(new Set(failed).size).toBe(13);
    expect(report.rows.filter((row) => row.case === "fine").map(({ samples }) => samples)).toEqual(Array(6).fill(3));
    expect(stdout).toContain("fine");
  });

  test.each([
    ["wrong at once", "wrong result before timing: got 41, the plain implementation gives 42"],
    ["wrong later", "wrong result in the last timed batch: got 43, the plain implementation gives 42"],
    ["throws", "the subject cannot be made"],
    ["throws later", "the subject has broken down"],
    ["exits", "last words"],
    ["wrong result", "wrong result of the measurement: got 41, the plain implementation gives 42"],
    ["undeclared metric", "the metric colour is not declared by undeclared metric"],
    ["no number", "the metric speed is NaN"],
    ["metric missing", "the metric speed was not measured"],
  ])("reports the case “%s” with what its process wrote", (name, words) => {
    expect(failure(name)).toMatchObject({ suite: "broken", subject: "broken", round: 1 });
    expect(failure(name).output).toContain(words);
    expect(stderr).toContain(`FAILED broken/${name}: broken, round 1`);
    expect(stderr).toContain(words);
  });

  test.each([
    ["throws", "exited with status 1"],
    ["exits", "exited with status 3"],
    ["leaves quietly", "exited with status 0 and no figures"],
    ["aborts", "was ended by SIGABRT"],
    ["never settles", "exited with status 13"],
    ["hangs", "took longer than 2 s"],
  ])("says how the process of the case “%s” ended", (name, reason) => {
    expect(failure(name).reason).toBe(reason);
  });

  test("leaves the failed subject out, keeps its peer, and calls the target not measured", () => {
    const rows = report.rows.filter((row) => row.case === "wrong later");
    expect([...new Set(rows.map(({ subject }) => subject))]).toEqual(["right"]);
    expect(report.ratios.filter((ratio) => ratio.case === "wrong later")).toEqual([]);
    const verdict = report.targets.find((target) => target.case === "wrong later");
    expect(verdict).toMatchObject({ measured: null, met: null });
    expect(stderr).toContain("target of broken/wrong later: time of broken ≤ 1 × right: not measured");
  });
});

test("a process whose parent is gone ends instead of taking a core from the next run", async () => {
  const effort = { quick: true, rounds: 1, warmupMillis: 60_000, timedMillis: 60_000 };
  const request = { suiteUrl: pathToFileURL(WORKING).href, caseName: "waiting", subject: "waiting", effort };
  const child = fork(here("../../build/bench/harness/child.js"), [JSON.stringify(request)], { stdio: "pipe" });
  const ended = new Promise((resolve) => child.on("exit", (status, signal) => resolve({ status, signal })));
  child.stdout?.once("data", () => child.disconnect());
  expect(await ended).toEqual({ status: 1, signal: null });
}, 20_000);

describe("the command line", () => {
  test("a missed target decides the exit status with --strict only", async () => {
    const { status, report } = await bench(["--from", WORKING, "--case", "summing", "--quick", "--strict"]);
    expect(report.failures).toEqual([]);
    expect(status).toBe(1);
  });

  test.each([
    [["--from", WORKING, "--suite", "wroking"], 'unknown suite "wroking"; there is: working'],
    [
      ["--from", WORKING, "--case", "nothing"],
      'unknown case "nothing"; there are: summing, measured, partly absent, waiting',
    ],
    [
      ["--from", WORKING, "--from", BROKEN, "--suite", "working", "--case", "fine"],
      'unknown case "fine"; there are: su',
    ],
    [["--fast"], "unknown option '--fast'"],
    [["record"], "too many arguments"],
  ])("%j is refused with status 2 and a message that helps", async (parameters, message) => {
    const { status, stderr, report } = await bench(parameters);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
    expect(report).toBeUndefined();
  });

  const writingTo = (path: string, suite = WORKING) =>
    new Promise<{ code: unknown; stderr: string }>((resolve) => {
      execFile(process.execPath, [MAIN, "--from", suite, "--json", path], (error, _stdout, stderr) =>
        resolve({ code: error?.code, stderr }),
      );
    });

  test("--help tells of every member of the JSON file", async () => {
    const { stdout } = await bench(["--help"]);
    const { report } = await bench([
      "--from",
      BROKEN,
      "--from",
      WORKING,
      "--case",
      "exits",
      "--case",
      "summing",
      "--quick",
    ]);
    expect(report.failures).not.toEqual([]);
    expect(report.targets).not.toEqual([]);
    for (const name of namesIn(report)) expect(stdout).toContain(`"${name}"`);
  });

  test("a JSON file in a folder that does not exist is refused before anything is measured", async () => {
    const missing = join(folder, "missing", "report.json");
    const { status, stdout, stderr } = await bench(["--from", WORKING, "--json", missing, "--json", missing, "--help"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("Usage: npm run bench -- [options]");
    const refused = await writingTo(missing);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`--json ${missing}: the folder ${dirname(missing)} is missing`);
  });

  test("a JSON file that is the suite itself, or no result, is refused and left as it was", async () => {
    const [suite, notes] = ["suite.mjs", "notes.txt"].map((name) => join(folder, name)) as [string, string];
    for (const [path, reason] of [
      [suite, `this is ${suite}, which is to be read`],
      [notes, "this file is there, and is no JSON result"],
    ] as const) {
      writeFileSync(path, "export default 1;");
      const { code, stderr } = await writingTo(path, suite);
      expect(code).toBe(2);
      expect(stderr).toContain(`--json ${path}: ${reason}`);
      expect(readFileSync(path, "utf8")).toBe("export default 1;");
    }
  });

  test.each([
    ["", "has no default export"],
    ["export default 1;", "exports something else by default"],
    ["export default { name: 'half' };", "exports something else by default"],
  ])("a module that is no suite (%j) is refused with status 2 and a message that helps", async (text, reason) => {
    const path = join(folder, `no-suite-${reports}.mjs`);
    writeFileSync(path, text);
    const { status, stderr } = await bench(["--from", path]);
    expect(status).toBe(2);
    expect(stderr).toContain(`${reason}; a suite file exports defineSuite(…)`);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test.skipIf(!existsSync("/dev/full"))("a JSON file that cannot be written is told of in a line", async () => {
    const path = join(folder, "empty-suite.mjs");
    writeFileSync(path, "export default { name: 'empty', cases: [] };");
    const { code, stderr } = await writingTo("/dev/full", path);
    expect(code).toBe(1);
    expect(stderr).toContain("bench: --json /dev/full: ENOSPC");
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("the JSON file is written, too, where the reader of the results is gone", async () => {
    const path = join(folder, "unread.json");
    const child = spawn(process.execPath, [MAIN, "--from", WORKING, "--case", "summing", "--quick", "--json", path]);
    child.stdout.once("data", () => child.stdout.destroy()); // as `head -1` goes away
    expect(await once(child, "exit")).toEqual([141, null]);
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ failures: [] });
  });

  test("--list names every case of the project's own suites and measures nothing", async () => {
    const { status, stdout, report } = await bench(["--list"]);
    expect(status).toBe(0);
    for (const name of ["allocation", "record", "loop", "synchronous", "asynchronous", "EventEmitter.emit"]) {
      expect(stdout).toContain(name);
    }
    expect(stdout).toContain("≤ 0.1667 × setTimeout");
    expect(report).toBeUndefined();
  });
});
