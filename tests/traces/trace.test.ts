import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { RecordingError } from "../../bench/replay/recording.js";
import { describeOperation, parseTrace, readTrace, TraceError } from "../../bench/traces/trace.js";

const folder = mkdtempSync(join(tmpdir(), "tidemark-trace-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A trace of `operations` with a header that fits them. */
const trace = (operations: readonly string[], ids = operations.length) =>
  ["1", `${ids}`, `${operations.length}`, "100", ...operations, ""].join("\n");

test("a trace becomes two words an operation, and reads back as it was", () => {
  const lines = ["a 0 48", "a 1 4294901760", "r 0 100", "f 0", "a 0 7"];
  const parsed = parseTrace("x", trace(lines, 2));
  expect(parsed.ids).toBe(2);
  expect([...parsed.operations.slice(0, 8)]).toEqual([0, 48, 1 << 2, 4294901760, 1, 100, 2, 0]);
  expect(lines.map((_, index) => describeOperation(parsed, index))).toEqual(
    lines.map((line, index) => `x:${index + 5}: ${line}`),
  );
});

test("a size of 0 counts as 1, and a last line without its newline is a line", () => {
  expect([...parseTrace("x", trace(["a 0 0", "r 0 0"]).trimEnd()).operations]).toEqual([0, 1, 1, 1]);
});

test("lines that end with CRLF are the same trace", () => {
  const text = trace(["a 0 4", "r 0 8", "f 0"]);
  const parsed = parseTrace("x", text);
  expect(parseTrace("x", text.replaceAll("\n", "\r\n"))).toEqual(parsed);
  expect(parseTrace("x", text.trimEnd().replaceAll("\n", "\r\n").concat("\r"))).toEqual(parsed);
  expect(() => parseTrace("x", text.replaceAll("\n", "\r\n").replace("f 0", "f 1"))).toThrow(/^x:7: .*: "f 1"$/);
});

test("a weight and a number of bytes that are not the trace's, and more ids than it has, are let pass", () => {
  const lines = ["a 0 4", "f 0"];
  const text = ["7", "5", "2", "1", ...lines, ""].join("\n");
  expect(parseTrace("x", text)).toEqual({ ...parseTrace("x", trace(lines)), ids: 5 });
});

test("a trace without operations is one", () => {
  expect(parseTrace("x", trace([]))).toEqual({ name: "x", ids: 0, operations: new Uint32Array(0) });
});

test.each([
  ["", /^x:0: the file ends in its header, before the weight$/],
  ["1\n2\n", /^x:2: the file ends in its header, before the number of operations$/],
  ["1\n2\na 0 4\n", /^x:3: the header's number of operations must be a whole number from 0: "a 0 4"$/],
  ["-1\n", /^x:1: the header's weight must be a whole number/],
  ["1\n1.5\n", /^x:2: the header's number of ids .*"1.5"/],
  ["1\n1\n1\n1e3\n", /^x:4: the header's most bytes live at once .*"1e3"/],
  ["1\n99999999999\n1\n0\n", /^x:2: 99999999999 ids are more than/],
  ["1\n1\n99999999999\n0\n", /^x:3: 99999999999 operations are more than/],
])("the header of %j is refused with its line", (text, message) => {
  expect(() => parseTrace("x", text)).toThrow(TraceError);
  expect(() => parseTrace("x", text)).toThrow(message);
});

test.each([
  ["x 0 4", /an operation is a, r or f: "x 0 4"/],
  ["", /an operation is a, r or f: ""/],
  ["A 1 4", /an operation is/],
  ["constructor 0 4", /an operation is a, r or f: "constructor 0 4"/],
  ["a 1", /written a ID BYTES: "a 1"/],
  ["a 1 4 4", /written a ID BYTES/],
  ["a  1 4", /written a ID BYTES/],
  ["f 0 4", /written f ID/],
  ["f", /written f ID/],
  ["a -1 4", /the id must be a whole number from 0: "a -1 4"/],
  ["a 1.5 4", /the id must be a whole number/],
  ["a 1 -4", /the size must be a whole number from 0: "a 1 -4"/],
  ["a 1 4.5", /the size must be a whole number/],
  ["a 1 4\r\r", /the size must be a whole number/],
  ["a 1 0x10", /the size must be a whole number/],
  ["a 1 99999999999999999999", /the size must be at most 9007199254740991/],
  ["a 3 4", /the id 3 is out of range: the header says 3 ids: "a 3 4"/],
  ["a 0 4", /the block 0 is live already: "a 0 4"/],
  ["f 2", /the block 2 is not live: "f 2"/],
  ["r 2 4", /the block 2 is not live: "r 2 4"/],
  ["a \u009b2J\u007f", /written a ID BYTES: "a \\x9b2J\\x7f"$/],
  [`a 1 ${"7".repeat(500)}`, /x:6: .*"a 1 7{56}"…$/],
])("%j is refused with line, reason and text", (line, message) => {
  const text = trace(["a 0 4", line, "f 0"]);
  expect(() => parseTrace("x", text)).toThrow(TraceError);
  expect(() => parseTrace("x", text)).toThrow(message);
  expect(() => parseTrace("x", text)).toThrow(/^x:6: /);
});

test("a free and a reallocation behind a free are refused", () => {
  expect(() => parseTrace("x", trace(["a 0 4", "f 0", "f 0"]))).toThrow(/^x:7: the block 0 is not live/);
  expect(() => parseTrace("x", trace(["a 0 4", "f 0", "r 0 4"]))).toThrow(/^x:7: the block 0 is not live/);
});

test("a header that counts other operations than there are is refused", () => {
  const more = trace(["a 0 4", "f 0"]).replace("\n2\n100", "\n3\n100");
  expect(() => parseTrace("x", more)).toThrow(/^x:6: the file ends after 2 operations; the header says 3$/);
  const less = trace(["a 0 4", "f 0", "a 0 4"], 1).replace("\n3\n100", "\n2\n100");
  expect(() => parseTrace("x", less)).toThrow(/^x:7: the header says 2 operations, and this is one more: "a 0 4"$/);
});

test("a size that no memory holds is well-formed, and refused as such behind everything else", () => {
  const huge = "a 1 36000000000";
  expect(() => parseTrace("x", trace(["a 0 4", huge, "f 1"]))).toThrow(
    /^x:6: this cannot fit: 36000000000 bytes are asked for, and a memory has at most 4294901760: "a 1 36000000000"$/,
  );
  expect(() => parseTrace("x", trace(["a 0 4", huge, "f 9"]))).toThrow(/^x:7: the id 9 is out of range/);
});

test("any text at all is parsed or refused with a line", () => {
  const line = fc.oneof(
    fc
      .tuple(fc.constantFrom("a", "r", "f", "", "b"), fc.integer({ min: -1, max: 5 }), fc.integer({ min: -1, max: 9 }))
      .map((words) => words.join(" ")),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.boolean(), (lines, headed) => {
      try {
        parseTrace("x", headed ? trace(lines) : lines.join("\n"));
      } catch (error) {
        expect(error).toBeInstanceOf(TraceError);
        expect((error as Error).message).toMatch(/^x:\d+: /);
      }
    }),
  );
});

test("a file is read packed or plain; a missing, a truncated and an empty one are told by their name", () => {
  const file = (name: string, content: string | Uint8Array) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const text = trace(["a 0 4", "f 0"]);
  const packed = gzipSync(text);
  expect(readTrace(file("plain.rep", text)).operations).toEqual(readTrace(file("packed.rep.gz", packed)).operations);
  expect(() => readTrace(join(folder, "none.rep.gz"))).toThrow(/none\.rep\.gz: no such file/);
  expect(() => readTrace(file("short.rep.gz", packed.subarray(0, 20)))).toThrow(RecordingError);
  expect(() => readTrace(file("short.rep.gz", packed.subarray(0, 20)))).toThrow(/short\.rep\.gz is truncated/);
  expect(() => readTrace(file("empty.rep.gz", ""))).toThrow(/is empty/);
});
