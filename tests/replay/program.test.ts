import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { generateFeed } from "../../bench/replay/generator.js";
import type { SubjectReport } from "../../bench/replay/measure.js";
import { findFaults, type ReplayResult } from "../../bench/replay/result.js";
import { type SubjectName, zeroCounters } from "../../bench/replay/subject.js";
import { subjects } from "../../bench/replay/subjects.js";
import { dataPath, hasData } from "../data.js";
import { namesIn } from "../support/namesIn.js";
import { childOf, startProgram } from "../support/startProgram.js";

const program = new URL("../../build/bench/replay/main.js", import.meta.url);
const names = Object.keys(subjects) as SubjectName[];
const folder = mkdtempSync(join(tmpdir(), "tidemark-replay-"));
afterAll(() => rmSync(folder, { recursive: true }));

const start = (words: readonly string[]) => startProgram(program, words);
const run = (...words: string[]) => start(words).ended;

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test("whose reader is gone, it ends as by the signal, and says nothing", async () => {
  const { child, ended } = start(["--help"]);
  child.stdout!.destroy();
  const { status, error } = await ended;
  expect([status, error]).toEqual([141, ""]);
});

test.each([
  [["--json", ""], "--json takes the path of a file"],
  [["--connect", "ws://127.0.0.1:1/#fragment"], "without a fragment"],
])("%j is found out before anything is done", async (words, message) => {
  const { status, out, error } = await run(...words);
  expect([status, out]).toEqual([2, ""]);
  expect(error).toContain(message);
});

const SHORT = ["--messages", "3000", "--passes", "1"];

test("without files, a generated feed is replayed by each subject and verified", async () => {
  const { status, out, error } = await run(...SHORT, "--verify");
  expect(error).toBe("");
  expect(status).toBe(0);
  expect(out).toMatch(/^3,000 messages, /);
  for (const name of names) expect(out).toContain(name);
  for (const label of [
    "messages/s",
    "p50",
    "p99",
    "p99.9",
    "p99.99",
    "max",
    "collections",
    "refused lines",
    "verified equal",
  ]) {
    expect(out).toContain(label);
  }
});

test("the JSON file has exactly the documented shape", async () => {
  const path = join(folder, "result.json");
  expect((await run(...SHORT, "--verify", "--json", path)).status).toBe(0);
  const result = JSON.parse(readFileSync(path, "utf8")) as ReplayResult;
  const number = expect.any(Number);
  expect(result).toEqual({
    feed: { messages: 3000, bytes: generateFeed({ seed: 1, messages: 3000 }).length, levels: number },
    refused: 0,
    verified: { compared: number, equal: number },
    book: { bids: number, asks: number, bestBid: [number, number], bestAsk: [number, number] },
    subjects: names.map((name) => ({
      name,
      messagesPerSecond: number,
      latencyMicros: { p50: number, p99: number, p999: number, p9999: number, max: number },
      collections: { count: number, totalMillis: number, maxMillis: number },
      heapBytes: number,
      linearBytes: number,
      residentBytes: number,
    })),
  });
  const { out: help } = await run("--help");
  for (const name of namesIn(result)) expect(help).toContain(`"${name}"`);
  expect(result.verified.compared).toBeGreaterThan(50);
  expect(result.verified.equal).toBe(result.verified.compared);
  expect(result.book.bestBid![0]).toBeLessThan(result.book.bestAsk![0]);
});

test("a seed decides the feed", async () => {
  const feed = async (seed: string) => {
    const path = join(folder, `seed-${seed}.json`);
    await run(...SHORT, "--only", "plain", "--seed", seed, "--json", path);
    const { feed, book } = JSON.parse(readFileSync(path, "utf8")) as ReplayResult;
    return { feed, book };
  };
  const [one, again, other] = [await feed("5"), await feed("5"), await feed("6")];
  expect(again).toEqual(one);
  expect(other).not.toEqual(one);
});

test("refused lines are shown with file, line and text, counted, and make the exit status 1; the rest still runs", async () => {
  const lines = generateFeed({ seed: 2, messages: 1000 }).toString("latin1").split("\n");
  lines.splice(500, 0, "", "not a message", lines[400]!.slice(0, -9), "1 \x00\x01", "7 {}", "8 []");
  const path = join(folder, "refused.json");
  const { status, out, error } = await run(file("bad.txt", lines.join("\n")), "--passes", "1", "--json", path);
  expect(status).toBe(1);
  expect(error).toContain("bad.txt:502: not JSON: not a message");
  expect(error).toContain("bad.txt:504: not JSON: 1 \\x00\\x01");
  expect(error).toContain("refused: 1 more");
  expect(error).toContain("wrong: 6 lines are no messages");
  expect(out).toMatch(/refused lines[^\n]*6/);
  const result = JSON.parse(readFileSync(path, "utf8")) as ReplayResult;
  expect([result.feed.messages, result.refused]).toEqual([1000, 6]);
});

test("of a file's name a terminal is told nothing that it would obey", async () => {
  const path = file("m\u00fcll\n\x1b[31m.txt", "{}\n");
  const shown = "m\u00fcll\\x0a\\x1b[31m.txt";
  const { error } = await run(path, "--passes", "1", "--only", "plain");
  expect(error).toContain(`refused: ${shown}:1: neither snapshot nor stream event: {}\n`);
  expect((await run(`${path}\r`)).error).toBe(`error: ${join(folder, shown)}\\x0d: no such file\n`);
});

test("a book that differs from its bookTicker fails the verification", async () => {
  const feed = generateFeed({ seed: 3, messages: 2000 }).toString("latin1");
  // From line 1,000 on, each ticker claims one more at the best bid.
  const wrong = feed
    .split("\n")
    .map((line, index) =>
      index < 1000 ? line : line.replace(/"B":"(\d+)\./, (_, whole) => `"B":"${Number(whole) + 1}.`),
    );
  const { status, error } = await run(file("wrong.txt", wrong.join("\n")), "--passes", "1", "--verify");
  expect(status).toBe(1);
  expect(error).toMatch(/wrong: plain: \d+ of \d+ best prices differ/);
  expect(error).toMatch(/differs: plain, comparison \d+/);
});

test("files in the wrong order are told of beside the table, in a note, and with a verification that fails", async () => {
  const lines = generateFeed({ seed: 3, messages: 2000 }).toString("latin1").split("\n");
  const first = file("first.txt", lines.slice(0, 1000).join("\n"));
  const second = file("second.txt", lines.slice(1000).join("\n"));
  const sentence = "first.txt begins before the end of second.txt, which is given before it";
  const { status, out, error } = await run(second, first, "--passes", "1", "--verify", "--only", "plain");
  expect(out).toContain(`\nnot in order: ${sentence}\n`);
  expect(error).toContain(`note: ${sentence}: are the files given in their order?\n`);
  expect(error).toMatch(
    /wrong: plain: \d+ of \d+ best prices differ .*; its files are not in the order of their times\n/,
  );
  expect(status).toBe(1);
  const right = await run(first, second, "--passes", "1", "--verify", "--only", "plain");
  expect([right.status, right.error]).toEqual([0, ""]);
  expect(right.out).not.toContain("order");
});

test("a feed without a snapshot runs, is remarked on, and cannot be verified", async () => {
  const feed = generateFeed({ seed: 3, messages: 500 }).toString("latin1");
  const path = file("tail.txt", feed.split("\n").slice(100).join("\n"));
  const { status, error } = await run(path, "--passes", "1");
  expect(error).toContain("no snapshot");
  expect(status).toBe(0);
  expect((await run(path, "--passes", "1", "--verify")).status).toBe(1);
});

test.each([
  [["--rate", "-5"], /--rate.*-5/],
  [["--rate", "NaN"], /--rate.*NaN/],
  [["--rate", "0"], /--rate.*0/],
  [["--rate", "Infinity"], /--rate.*Infinity/],
  [["--rate"], /--rate.*missing/],
  [["--seed", "1.5"], /--seed/],
  [["--seed", "4294967296"], /--seed/],
  [["--messages", "99"], /--messages/],
  [["--messages", ""], /--messages/],
  [["--passes", "0"], /--passes/],
  [["--only", "nobody"], /--only/],
  [["--bogus"], /--bogus/],
  [["a.gz", "--seed", "1"], /--seed/],
  [["--json", "/no/such/folder/x.json"], /\/no\/such\/folder/],
  [["--json", tmpdir()], /folder/],
  [["/no/such/feed.gz"], /\/no\/such\/feed\.gz: no such file/],
])("%j is refused with a message and status 2", async (words, message) => {
  const { status, out, error } = await run(...words);
  expect(error).toMatch(message);
  expect(error).not.toMatch(/^\s+at /m);
  expect(status).toBe(2);
  expect(out).toBe("");
});

test("what is no older result is not overwritten by one: an input by any name, a packed file, another text", async () => {
  const feed = file("kept.txt", '{"lastUpdateId":1,"bids":[],"asks":[]}\n');
  const link = join(folder, "link.txt");
  symlinkSync(feed, link);
  const packed = file("kept.gz", gzipSync("1 {}\n"));
  const other = file("notes.txt", " notes {}");
  for (const [words, message] of [
    [[feed, "--json", feed], `--json ${feed}: this is ${feed}, which is to be read`],
    [[feed, "--json", link], `--json ${link}: this is ${feed}, which is to be read`],
    [["--json", packed], `--json ${packed}: this file is there, and is no JSON result`],
    [["--json", other], `--json ${other}: this file is there, and is no JSON result`],
  ] as const) {
    const before = readFileSync(words.at(-1)!);
    const { status, out, error } = await run(...words);
    expect(error).toContain(message);
    expect([status, out]).toEqual([2, ""]);
    expect(readFileSync(words.at(-1)!)).toEqual(before);
  }
});

test("an older result and an empty file are overwritten, and a device is written to", async () => {
  for (const path of [file("older.json", '\n { "feed": {} }'), file("empty.json", ""), "/dev/null"]) {
    const { status, error } = await run(...SHORT, "--only", "plain", "--json", path);
    expect([status, error]).toEqual([0, ""]);
    if (path !== "/dev/null") expect(JSON.parse(readFileSync(path, "utf8"))).toHaveProperty("book");
  }
});

test("a truncated gzip ends with status 2", async () => {
  const path = file("short.gz", Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1]));
  const { status, error } = await run(path);
  expect(error).toContain(`${path} is truncated`);
  expect(status).toBe(2);
});

test("help tells every option and every exit status", async () => {
  const { status, out } = await run("--help");
  expect(status).toBe(0);
  for (const word of [
    "FILE",
    "--verify",
    "--rate",
    "--json",
    "--seed",
    "--messages",
    "--passes",
    "--only",
    "--serve",
    "--connect",
    "Exit status",
  ]) {
    expect(out).toContain(word);
  }
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s ends the subject's process, too", async (signal, expected) => {
  const { child, ended } = start(["--rate", "100", "--messages", "100000", "--passes", "1"]);
  const pid = await childOf(child.pid!);
  child.kill(signal);
  expect((await ended).status).toBe(expected);
  await expect.poll(() => isRunning(pid), { timeout: 5_000 }).toBe(false);
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)(
  "%s that ends the subject's process before it is told to the program is no failure",
  async (signal, expected) => {
    const { child, ended } = start(["--rate", "100", "--messages", "100000", "--passes", "1"]);
    process.kill(await childOf(child.pid!), signal);
    const { status, error } = await ended;
    expect([status, error]).toEqual([expected, ""]);
  },
);

test("when the program is killed, the subject's process ends by itself", async () => {
  const { child, ended } = start(["--rate", "1000", "--messages", "100000", "--passes", "1"]);
  const pid = await childOf(child.pid!);
  child.kill("SIGKILL");
  await ended;
  await expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);
});

function isRunning(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  // A process that has ended and that nobody has asked after is no more than a name.
  return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

describe("two reports", () => {
  const report = (name: SubjectName, changes: Partial<SubjectReport> = {}): SubjectReport => ({
    name,
    messagesPerSecond: 1,
    latencyMicros: { p50: 1, p99: 1, p999: 1, p9999: 1, max: 1 },
    collections: { count: 0, totalMillis: 0, maxMillis: 0 },
    heapBytes: 1,
    linearBytes: 0,
    residentBytes: 1,
    feedBytes: 1,
    book: { bids: [100, 1, 99, 2], asks: [101, 3], ticker: [1, 2, 3, 4], counters: zeroCounters() },
    refused: { count: 0, first: [] },
    verification: null,
    disorder: [],
    ...changes,
  });
  const one = report("tidemark");

  test("that agree have no fault", () => {
    expect(findFaults([one, report("plain")])).toEqual([]);
  });

  test.each([
    ["a quantity", { book: { ...one.book, bids: [100, 1, 99, 2.5] } }, /bids .* level 2, 2 at 99 and 2.5 at 99/],
    ["a price", { book: { ...one.book, asks: [101.5, 3] } }, /asks .* level 1, 3 at 101 and 3 at 101.5/],
    ["the number of levels", { book: { ...one.book, bids: [100, 1] } }, /2 and 1 levels.*level 2, 2 at 99 and none/],
    ["the ticker", { book: { ...one.book, ticker: [1, 2, 3, 5] as const } }, /tickers 1 2 3 4 and 1 2 3 5/],
    ["a counter", { book: { ...one.book, counters: { ...one.book.counters, trades: 7 } } }, /count 0 and 7 trades/],
    ["the refused lines", { refused: { count: 2, first: [] } }, /refuse 0 and 2 lines/],
  ])("that differ in %s have that fault", (_, changes, message) => {
    const faults = findFaults([one, report("plain", changes)]);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(message);
  });
});

describe.runIf(hasData)("the recordings", () => {
  test("are verified, with the two known differences on spot", async () => {
    const path = join(folder, "spot.json");
    const files = ["20240808", "20240809"].map((day) => dataPath(`orderbook/binance-spot/btcusdt_${day}.gz`));
    const { status } = await run(...files, "--verify", "--passes", "1", "--json", path);
    expect(status).toBe(0);
    const { feed, verified, book } = JSON.parse(readFileSync(path, "utf8")) as ReplayResult;
    expect(feed).toEqual({ messages: 99_574, bytes: 26_610_315, levels: 300_111 });
    expect(verified).toEqual({ compared: 6_493, equal: 6_491 });
    expect([book.bids, book.asks]).toEqual([1_971, 2_962]);
  });
});
