import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { absenceOf, isPeer } from "../../bench/drivers/workbench.js";
import { ALLOCATORS } from "../../bench/traces/options.js";
import type { ReplayResult } from "../../bench/traces/result.js";
import { namesIn } from "../support/namesIn.js";
import { childOf, startProgram } from "../support/startProgram.js";

const program = new URL("../../build/bench/traces/main.js", import.meta.url);
const folder = mkdtempSync(join(tmpdir(), "tidemark-traces-"));
afterAll(() => rmSync(folder, { recursive: true }));

const here = ALLOCATORS.filter((name) => absenceOf(name) === undefined);

const run = (...words: string[]) => startProgram(program, words).ended;

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** 2,000 operations; two blocks of 100 B are left at the end, of which one has been reallocated. */
const LINES = [
  ...Array.from({ length: 1000 }, (_, id) => `a ${id} ${(id % 500) + 1}`),
  ...Array.from({ length: 998 }, (_, id) => `f ${id + 2}`),
  "r 0 100",
  "r 1 100",
];
const traceOf = (lines: readonly string[], ids = 1000) =>
  ["1", `${ids}`, `${lines.length}`, "0", ...lines, ""].join("\n");
const good = file("good.rep.gz", gzipSync(traceOf(LINES)));
const PEAK = 250_500;

test("a good trace is replayed by every allocator, and the JSON file says what was measured", async () => {
  const path = join(folder, "good.json");
  const { status, out, error } = await run(good, "--debug", "--json", path);
  const absent = ALLOCATORS.filter((name) => absenceOf(name) !== undefined);
  for (const name of absent) expect(error).toContain(`LEFT OUT: ${name}`);
  if (absent.length === 0) expect(error).toBe("");
  expect(status).toBe(0);
  for (const name of here) expect(out).toContain(name);
  for (const label of [
    "operations/s",
    "p50",
    "p99.99",
    "max",
    "utilisation",
    "fragmentation",
    "integrity",
    "(debug)",
  ]) {
    expect(out).toContain(label);
  }
  const number = expect.any(Number);
  const latency = { p50: number, p99: number, p999: number, p9999: number, max: number };
  const result = JSON.parse(readFileSync(path, "utf8")) as ReplayResult;
  expect(result).toEqual({
    traces: [
      {
        file: good,
        ids: 1000,
        operations: 2000,
        allocators: here.flatMap((allocator) =>
          (isPeer(allocator) ? [false] : [false, true]).map((debug) => ({
            allocator,
            debug,
            operationsPerSecond: number,
            latencyNanos: latency,
            samplingNanos: latency,
            peakLiveBytes: PEAK,
            peakTakenBytes: number,
            utilisation: number,
            fragmentation: number,
            intact: true,
            fault: null,
          })),
        ),
      },
    ],
    refused: [],
    absent: absent.map((allocator) => ({ allocator, reason: absenceOf(allocator) })),
  });
  const { out: help } = await run("--help");
  for (const name of namesIn(result)) expect(help).toContain(`"${name}"`);
  for (const { operationsPerSecond, latencyNanos, peakTakenBytes, utilisation, fragmentation } of result.traces[0]!
    .allocators) {
    expect(operationsPerSecond).toBeGreaterThan(1000);
    const { p50, p99, p999, p9999, max } = latencyNanos!;
    expect([p50, p99, p999, p9999, max]).toEqual([p50, p99, p999, p9999, max].toSorted((one, other) => one - other));
    for (const nanos of [p50, p99, p999, p9999, max]) expect(nanos).toSatisfy(Number.isInteger);
    expect(utilisation).toBeCloseTo(PEAK / peakTakenBytes, 10);
    // 200 bytes are left in what was taken for 250,500.
    expect(fragmentation).toBeGreaterThan(0.9);
    expect(fragmentation).toBeLessThanOrEqual(1 - 200 / peakTakenBytes);
  }
});

test("without the integrity pass nobody vouches for the blocks, and all else is there", async () => {
  const path = join(folder, "unchecked.json");
  const { status, out } = await run(good, "--no-integrity", "--allocator", "arena", "--json", path);
  expect(status).toBe(0);
  expect(out).toContain("not checked");
  const { traces } = JSON.parse(readFileSync(path, "utf8")) as ReplayResult;
  expect(traces[0]!.allocators).toHaveLength(1);
  expect(traces[0]!.allocators[0]).toMatchObject({ intact: null, peakLiveBytes: PEAK });
});

test("a malformed trace is refused with file, line and text and makes the status 1; the others are replayed", async () => {
  const bad = file("bad.rep", traceOf(["a 0 8", "a 1 -8", "f 0"]));
  const path = join(folder, "bad.json");
  const { status, out, error } = await run(bad, good, "--allocator", "arena", "--json", path);
  expect(error).toBe('refused: bad.rep:6: the size must be a whole number from 0: "a 1 -8"\n');
  expect(out).toMatch(/good .*arena/);
  expect(status).toBe(1);
  const { traces, refused } = JSON.parse(readFileSync(path, "utf8")) as ReplayResult;
  expect(traces.map((trace) => trace.file)).toEqual([good]);
  expect(refused).toEqual([{ file: bad, reason: expect.stringContaining("bad.rep:6: ") }]);
});

test("an allocation of 36 GB is refused as what cannot fit, with line, bytes and limit", async () => {
  const { status, out, error } = await run(
    file("huge.rep", traceOf(["a 0 8", "a 1 36000000000", "f 0"])),
    "--allocator",
    "arena",
  );
  expect(error).toMatch(
    /refused: huge\.rep:6: this cannot fit: 36000000000 bytes are asked for, and a memory has at most 4294901760/,
  );
  expect(out).toBe("");
  expect(status).toBe(1);
});

test.each(here)("a peak beyond the memory's maximum ends %s with line, bytes and limit", async (allocator) => {
  const lines = Array.from({ length: 6 }, (_, id) => `a ${id} 1000000000`);
  const path = join(folder, "full.json");
  const words = ["--no-integrity", "--allocator", allocator, "--json", path];
  const { status, out, error } = await run(file("full.rep", traceOf(lines, 6)), ...words);
  expect(error).toMatch(
    /^wrong: \w+: full\.rep:[89]: a [34] 1000000000: .*(cannot fit|stopped).* \d+000000000 .*\d{10}/,
  );
  expect(out).toContain("FAULT");
  expect(status).toBe(1);
  const { traces } = JSON.parse(readFileSync(path, "utf8")) as ReplayResult;
  expect(traces[0]!.allocators[0]).toMatchObject({
    operationsPerSecond: null,
    latencyNanos: null,
    samplingNanos: null,
  });
});

test.each([
  [[], /missing required argument 'TRACE'/],
  [["/no/such/trace.rep.gz"], /\/no\/such\/trace\.rep\.gz: no such file/],
  [[good, "/no/such/trace.rep.gz"], /\/no\/such\/trace\.rep\.gz: no such file/],
  [[good, "--allocator", "nobody"], /--allocator.*nobody/],
  [["/no/\u001b[31m"], /\/no\/\\x1b\[31m: no such file/],
  [[good, "--allocator", "\u001b[31m"], /--allocator.*\\x1b\[31m/],
  [[good, "--bogus"], /--bogus/],
  [[good, "--json", "/no/such/folder/x.json"], /\/no\/such\/folder/],
  [[good, "--json", tmpdir()], /folder/],
  [[good, "--json", good], /good\.rep\.gz: this is .*good\.rep\.gz, which is to be read/],
])("%j is refused with a message and status 2", async (words, message) => {
  const { status, out, error } = await run(...words);
  expect(error).toMatch(message);
  expect(error).not.toMatch(/^\s+at /m);
  expect(status).toBe(2);
  expect(out).toBe("");
});

test("a truncated gzip ends with status 2", async () => {
  const path = file("short.rep.gz", gzipSync(traceOf(LINES)).subarray(0, 100));
  const { status, error } = await run(path);
  expect(error).toContain(`${path} is truncated`);
  expect(status).toBe(2);
});

test("a trace without operations is replayed", async () => {
  const { status, error, out } = await run(file("none.rep", "1\n0\n0\n0\n"), "--allocator", "arena");
  expect(error).toBe("");
  expect(out).toMatch(/none .*arena .*ok/);
  expect(status).toBe(0);
});

test("a trace of few operations that counts millions of ids is replayed in its time", async () => {
  const path = file("ids.rep", traceOf(["a 0 1", "a 16777215 1"], 1 << 24));
  expect(await run(path, "--allocator", "heap")).toMatchObject({ status: 0, error: "" });
}, 60_000);

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)(
  "%s that ends an allocator's process before it is told to the program is no failure",
  async (signal, expected) => {
    const { child, ended } = startProgram(program, [good, "--allocator", "heap"]);
    process.kill(await childOf(child.pid!), signal);
    const { status, error } = await ended;
    expect([status, error]).toEqual([expected, ""]);
  },
);

test("help tells every option, allocator and exit status", async () => {
  const { status, out } = await run("--help");
  expect(status).toBe(0);
  const words = ["TRACE", "--allocator", "--debug", "--no-integrity", "--json", "fragmentation", "Exit status"];
  for (const word of [...words, ...ALLOCATORS]) expect(out).toContain(word);
});
