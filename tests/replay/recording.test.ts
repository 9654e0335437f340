import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { type Recording, RecordingError, readRecording, recordingOf } from "../../bench/replay/recording.js";
import { dataPath, hasData } from "../data.js";

const folder = mkdtempSync(join(tmpdir(), "tidemark-recording-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function messages(recording: Recording): string[] {
  return Array.from(recording.starts, (start, line) => recording.bytes.toString("latin1", start, recording.ends[line]));
}

test("the receive stamp does not belong to the message", () => {
  expect(messages(recordingOf("f", Buffer.from('1723161253937085768 {"a":1}\n2 {}\n')))).toEqual(['{"a":1}', "{}"]);
});

test("a line without a stamp is all message", () => {
  expect(messages(recordingOf("f", Buffer.from("{}\n12x {}\n12\n 1\n\n")))).toEqual(["{}", "12x {}", "12", " 1", ""]);
});

test("a last line without a newline is a line", () => {
  expect(messages(recordingOf("f", Buffer.from("1 a\n2 b")))).toEqual(["a", "b"]);
});

test("gzip and plain files of one recording are read in their order, whatever their names say", () => {
  const zipped = file("one.txt", gzipSync("1 a\n2 b"));
  const plain = file("two", "3 c\n");
  const recording = readRecording([zipped, plain]);
  expect(messages(recording)).toEqual(["a", "b", "c"]);
  expect([0, 1, 2].map((line) => recording.place(line))).toEqual(["one.txt:1", "one.txt:2", "two:1"]);
});

test("a gzip file of several members is read to its end", () => {
  const path = file("members.gz", Buffer.concat([gzipSync("1 a\n"), gzipSync("2 b\n")]));
  expect(messages(readRecording([path]))).toEqual(["a", "b"]);
});

test("files that begin before one before them has ended are named; times that touch and lines without are let pass", () => {
  const files = (...contents: string[]) =>
    readRecording(contents.map((content, index) => file(`${index}.txt`, content))).disorder();
  expect(files("5 a\n9 b\n", "9 c\n12 d", "13 e\n")).toEqual([]);
  expect(files("10 a\n", "9 b\n")).toEqual(["1.txt begins before the end of 0.txt, which is given before it"]);
  expect(files("1 a\n1723161253937085769 b\nc\n", "c\n1723161253937085768 d\n")).toHaveLength(1);
  expect(files("7 a\n", "b\n\n", "6 c\n", "5 d\n")).toEqual([
    "2.txt begins before the end of 0.txt, which is given before it",
    "3.txt begins before the end of 2.txt, which is given before it",
  ]);
  expect(files("b\n", "a\n")).toEqual([]);
});

test("an excerpt is the whole line, shortened, with unprintable bytes made visible", () => {
  const recording = recordingOf("f", Buffer.from(`7 x\x00\x1b\xff\n8 ${"y".repeat(500)}\n`, "latin1"));
  expect(recording.excerpt(0)).toBe("7 x\\x00\\x1b\\xff");
  expect(recording.excerpt(1)).toMatch(/^8 y{98}… \(502 bytes\)$/);
});

describe("a file that cannot be read is named with the reason:", () => {
  const packed = gzipSync(Buffer.from("1 {}\n".repeat(10_000)));
  const damaged = Buffer.from(packed);
  damaged.fill(0xff, 20, 40);
  test.each([
    ["missing", () => join(folder, "missing.gz"), /missing\.gz: no such file/],
    ["a folder", () => folder, /is a folder/],
    ["empty", () => file("empty.txt", ""), /empty\.txt is empty/],
    ["empty once unpacked", () => file("nothing.gz", gzipSync("")), /nothing\.gz is empty/],
    ["truncated", () => file("short.gz", packed.subarray(0, packed.length - 10)), /short\.gz is truncated/],
    ["truncated to its header", () => file("header.gz", packed.subarray(0, 5)), /header\.gz is truncated/],
    ["damaged", () => file("damaged.gz", damaged), /damaged\.gz is damaged/],
    ["no gzip in spite of its name", () => file("text.gz", "1 {}\n"), /text\.gz is named \.gz, but is no gzip file/],
  ])("%s", (_, path, message) => {
    const sound = file("sound.txt", "1 {}\n");
    expect(() => readRecording([sound, path()])).toThrow(RecordingError);
    expect(() => readRecording([sound, path()])).toThrow(message);
  });
});

test("lots cover all lines in order, and exceed a socket's read only where a single line does", () => {
  const lengths = fc.array(fc.oneof(fc.nat(200), fc.integer({ min: 30_000, max: 140_000 })), {
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(
    fc.property(lengths, (sizes) => {
      const recording = recordingOf("f", Buffer.from(sizes.map((size) => `1 ${"x".repeat(size)}\n`).join("")));
      let first = 0;
      while (first < recording.lineCount) {
        const last = recording.chunkEnd(first, recording.lineCount);
        expect(last).toBeGreaterThan(first);
        if (last > first + 1) expect(recording.ends[last - 1]! - recording.starts[first]!).toBeLessThanOrEqual(65_536);
        first = last;
      }
      expect(first).toBe(recording.lineCount);
      expect(recording.lineCount).toBe(sizes.length);
    }),
    { numRuns: 50 },
  );
});

test("a lot ends at the limit", () => {
  const recording = recordingOf("f", Buffer.from("1 a\n2 b\n3 c\n"));
  expect(recording.chunkEnd(0, 2)).toBe(2);
  expect(recording.chunkEnd(2, 3)).toBe(3);
});

describe.runIf(hasData)("the recordings", () => {
  test.each([
    ["binance-spot/btcusdt_20240808.gz", 41_249, 11_104_853],
    ["binance-spot/btcusdt_20240809.gz", 58_325, 15_505_462],
    ["binance-usdm/btcusdt_20240808.gz", 93_954, 27_757_550],
  ])("%s has the lines and bytes that are known of it", (name, lines, bytes) => {
    const recording = readRecording([dataPath(`orderbook/${name}`)]);
    expect(recording.lineCount).toBe(lines);
    expect(recording.bytes.length).toBe(bytes);
  });
});
