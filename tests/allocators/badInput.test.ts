import { type ArenaMark, type CursorOf, createRuntime, f64, u8 } from "tidemark";
import { describe, expect, test } from "vitest";
import { Cell, check, NO_NUMBERS, NO_SIZES, Other, type Row, row, rows } from "../support/badInput.js";
import { modules, PAGE } from "../support/runtimes.js";

/** Anything, where the types would not let it through. */
// biome-ignore lint/suspicious/noExplicitAny: the point of these tests
type Any = any;

const NO_ALIGNMENTS = [0, -8, 3, 6, 12, 1.5, Number.NaN, Infinity, 4097, 8192, 2 ** 31, 2 ** 32, ...NO_NUMBERS];
const NO_OBJECTS = [null, 5, "5", 5n, true, Symbol("five")];
const NO_TYPES = [undefined, null, 5, "f64", {}, [], () => f64, Symbol("f64")];

const EMPTY_MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

const arguments_: Row[] = [
  ...rows("allocate: size", "INVALID_ARGUMENT", [...NO_SIZES, undefined, 2 ** 32 - 1], ({ arena }, size) =>
    arena.allocate(size),
  ),
  ...rows("allocate: alignment", "INVALID_ARGUMENT", NO_ALIGNMENTS, ({ arena }, alignment) =>
    arena.allocate(8, alignment),
  ),
  ...rows("bytes: size", "INVALID_ARGUMENT", [...NO_SIZES, undefined, 2 ** 32 - 1], ({ arena }, size) =>
    arena.bytes(size),
  ),
  ...rows("array: length", "INVALID_ARGUMENT", [...NO_SIZES, 2 ** 31, 2 ** 32 - 1], ({ arena }, length) =>
    arena.array(f64, length),
  ),
  ...rows("text", "INVALID_ARGUMENT", [...NO_NUMBERS.slice(2), 5, undefined, "\ud800", "a\udc00"], ({ arena }, text) =>
    arena.text(text),
  ),
  ...rows(
    "allocate: more than the maximum",
    "OUT_OF_MEMORY",
    [2 ** 30, 2 ** 31, 2 ** 32 - 2 ** 20],
    ({ arena }, size) => arena.allocate(size),
  ),
  ...rows("bytes: more than the maximum", "OUT_OF_MEMORY", [2 ** 31], ({ arena }, size) => arena.bytes(size)),
  ...rows("array: more than the maximum", "OUT_OF_MEMORY", [2 ** 27, 2 ** 28], ({ arena }, length) =>
    arena.array(f64, length),
  ),
  ...rows("new: type", "INVALID_ARGUMENT", [...NO_TYPES, f64], ({ arena }, type) => arena.new(type)),
  ...rows("new: type, with a cursor", "INVALID_ARGUMENT", [...NO_TYPES, f64, Other], ({ arena, runtime }, type) =>
    arena.new(type, runtime.cursor(Cell)),
  ),
  ...rows("new: cursor", "INVALID_ARGUMENT", [null, 5, "5", {}, [], Cell], ({ arena }, into) => arena.new(Cell, into)),
  row(
    "new: an array for a cursor",
    "INVALID_ARGUMENT",
    ({ arena }) =>
      () =>
        arena.new(Cell, arena.$memory && (arena as Any)),
  ),
  row(
    "new: bytes for a cursor",
    "INVALID_ARGUMENT",
    ({ arena, runtime }) =>
      () =>
        arena.new(Cell, runtime.bytes() as Any),
  ),
  row(
    "new: a cursor of another struct",
    "INVALID_ARGUMENT",
    ({ arena, runtime }) =>
      () =>
        arena.new(Cell, runtime.cursor(Other) as Any),
  ),
  row(
    "new: a cursor of another runtime",
    "INVALID_ARGUMENT",
    ({ arena, stranger }) =>
      () =>
        arena.new(Cell, stranger.cursor(Cell)),
  ),
  ...rows("array: type", "INVALID_ARGUMENT", NO_TYPES, ({ arena }, type) => arena.array(type)),
  ...rows("array: type, with a length", "INVALID_ARGUMENT", NO_TYPES, ({ arena }, type) => arena.array(type, 5)),
  ...rows("array: array to reuse", "INVALID_ARGUMENT", [null, 5, "5", {}, []], ({ arena }, into) =>
    arena.array(Cell, 5, into),
  ),
  row(
    "array: one of another type",
    "INVALID_ARGUMENT",
    ({ arena, runtime }) =>
      () =>
        arena.array(Cell, 5, runtime.array(Other) as Any),
  ),
  row(
    "array: one of another type, growable",
    "INVALID_ARGUMENT",
    ({ arena, runtime }) =>
      () =>
        arena.array(Cell, runtime.array(u8) as Any),
  ),
  row(
    "array: one of another runtime",
    "INVALID_ARGUMENT",
    ({ arena, stranger }) =>
      () =>
        arena.array(Cell, 5, stranger.array(Cell)),
  ),
  row(
    "array: a cursor to reuse",
    "INVALID_ARGUMENT",
    ({ arena, runtime }) =>
      () =>
        arena.array(Cell, 5, runtime.cursor(Cell) as Any),
  ),
  row(
    "array: bytes to reuse",
    "INVALID_ARGUMENT",
    ({ arena, runtime }) =>
      () =>
        arena.array(u8, runtime.bytes() as Any),
  ),
  ...rows("bytes: bytes to reuse", "INVALID_ARGUMENT", [null, 5, "5", {}, []], ({ arena }, into) =>
    arena.bytes(5, into),
  ),
  row(
    "bytes: a cursor to reuse",
    "INVALID_ARGUMENT",
    ({ arena, runtime }) =>
      () =>
        arena.bytes(5, runtime.cursor(Cell) as Any),
  ),
  row(
    "bytes: those of another runtime",
    "INVALID_ARGUMENT",
    ({ arena, stranger }) =>
      () =>
        arena.bytes(5, stranger.bytes()),
  ),
  ...rows("text: bytes to reuse", "INVALID_ARGUMENT", [null, 5, "5", {}, []], ({ arena }, into) =>
    arena.text("tide", into),
  ),
  row(
    "text: bytes of another runtime",
    "INVALID_ARGUMENT",
    ({ arena, stranger }) =>
      () =>
        arena.text("tide", stranger.bytes()),
  ),
  ...rows("contains", "INVALID_ARGUMENT", [undefined, null, "5", 5n, {}, [], true, Cell], ({ arena }, target) =>
    arena.contains(target),
  ),
  ...rows("arena: options", "INVALID_ARGUMENT", NO_OBJECTS, ({ arena }, options) => arena.arena(options)),
  ...rows("arena: maximumBytes", "INVALID_ARGUMENT", NO_SIZES, ({ arena }, maximumBytes) =>
    arena.arena({ maximumBytes }),
  ),
  ...rows("arena: sizeHint", "INVALID_ARGUMENT", NO_SIZES, ({ arena }, sizeHint) => arena.arena({ sizeHint })),
  ...rows("runtime.arena: options", "INVALID_ARGUMENT", NO_OBJECTS, ({ runtime }, options) => runtime.arena(options)),
  ...rows("runtime.arena: maximumBytes", "INVALID_ARGUMENT", NO_SIZES, ({ runtime }, maximumBytes) =>
    runtime.arena({ maximumBytes }),
  ),
  ...rows("runtime.arena: sizeHint", "INVALID_ARGUMENT", NO_SIZES, ({ runtime }, sizeHint) =>
    runtime.arena({ sizeHint }),
  ),
  ...rows("runtime.regionPool: options", "INVALID_ARGUMENT", NO_OBJECTS, ({ runtime }, options) =>
    runtime.regionPool(options),
  ),
  ...rows("runtime.regionPool: maximumBytes", "INVALID_ARGUMENT", NO_SIZES, ({ runtime }, maximumBytes) =>
    runtime.regionPool({ maximumBytes }),
  ),
  ...rows("runtime.cursor", "INVALID_ARGUMENT", [...NO_TYPES, f64], ({ runtime }, type) => runtime.cursor(type)),
  ...rows("runtime.array", "INVALID_ARGUMENT", NO_TYPES, ({ runtime }, type) => runtime.array(type)),
  ...rows("runtime.reserve", "INVALID_ARGUMENT", [...NO_SIZES, undefined], ({ runtime }, bytes) =>
    runtime.reserve(bytes),
  ),
  ...rows("runtime.reserve: more than the maximum", "OUT_OF_MEMORY", [2 ** 31, 2 ** 32 - PAGE], ({ runtime }, bytes) =>
    runtime.reserve(bytes),
  ),
  ...rows("runtime.instantiate", "INVALID_ARGUMENT", [undefined, null, 5, "module", {}], ({ runtime }, source) =>
    runtime.instantiate(source),
  ),
  ...rows(
    "runtime.instantiate: imports",
    "INVALID_ARGUMENT",
    [null, 5, "env", [], () => {}, { env: null }, { env: 5 }, { env: [] }],
    ({ runtime }, imports) => runtime.instantiate(EMPTY_MODULE, imports),
  ),
  ...rows("runtime.instantiate", "INVALID_MODULE", [new Uint8Array(0), new Uint8Array(100)], ({ runtime }, source) =>
    runtime.instantiate(source),
  ),
];

const arrayAt: Row[] = [
  ...rows("arrayAt: type", "INVALID_ARGUMENT", NO_TYPES, ({ arena }, type) =>
    arena.arrayAt(type, arena.address + 200, 1),
  ),
  ...rows("arrayAt: length", "INVALID_ARGUMENT", [...NO_SIZES, undefined], ({ arena }, length) =>
    arena.arrayAt(f64, arena.address + 200, length),
  ),
  ...rows(
    "arrayAt: address",
    "INVALID_ARGUMENT",
    [-8, 1.5, Number.NaN, Infinity, 2 ** 32, 2 ** 53, undefined, ...NO_NUMBERS],
    ({ arena }, address) => arena.arrayAt(f64, address, 1),
  ),
  ...rows("arrayAt: what lies nowhere", "OUT_OF_BOUNDS", [0, 8, 2 ** 31, 2 ** 32 - 8], ({ arena }, address) =>
    arena.arrayAt(f64, address, 1),
  ),
  row(
    "arrayAt: misaligned",
    "OUT_OF_BOUNDS",
    ({ arena }) => {
      const address = arena.allocate(80);
      return () => arena.arrayAt(f64, address + 4, 2);
    },
    /2 × f64 at \d+/,
  ),
  row("arrayAt: one element too many", "OUT_OF_BOUNDS", ({ arena }) => {
    const address = arena.allocate(80);
    arena.arrayAt(f64, address, 10);
    return () => arena.arrayAt(f64, address, 11);
  }),
  row(
    "arrayAt: the arena's own header",
    "OUT_OF_BOUNDS",
    ({ arena }) =>
      () =>
        arena.arrayAt(f64, arena.address, 1),
  ),
  row("arrayAt: the address plus 2^32, which wraps to a good one", "INVALID_ARGUMENT", ({ arena }) => {
    const address = arena.allocate(80);
    return () => arena.arrayAt(f64, address + 2 ** 32, 1);
  }),
  row("arrayAt: from one block to the next over what is another arena's", "OUT_OF_BOUNDS", ({ arena, runtime }) => {
    const first = arena.bytes(8).address;
    for (let index = 0; index < 14; index++) runtime.arena().allocate(4000);
    const second = arena.bytes(5000).address;
    const length = (second - first) / 8 + 1;
    expect(length).toBeGreaterThan(1);
    return () => arena.arrayAt(f64, first, length);
  }),
  row("arrayAt: in another arena", "OUT_OF_BOUNDS", ({ arena, runtime }) => {
    const address = runtime.arena().allocate(80);
    return () => arena.arrayAt(f64, address, 1);
  }),
  row("arrayAt: beyond the end of an oversize run", "OUT_OF_BOUNDS", ({ arena }) => {
    const address = arena.allocate(300_000);
    expect(arena.arrayAt(u8, address, 300_000).length).toBe(300_000);
    return () => arena.arrayAt(u8, address, 300_008);
  }),
  row("arrayAt: an array of another runtime to reuse", "INVALID_ARGUMENT", ({ arena, stranger }) => {
    const address = arena.allocate(80);
    return () => arena.arrayAt(f64, address, 1, stranger.array(f64));
  }),
];

const marks: Row[] = [
  ...rows("rewind", "STALE_MARK", [undefined, null, 5, "mark", 5n, {}, [], true, Symbol("mark")], ({ arena }, mark) =>
    arena.rewind(mark),
  ),
  row("rewind: a mark of another arena", "STALE_MARK", ({ arena, runtime }) => {
    const mark = runtime.arena().mark();
    return () => arena.rewind(mark);
  }),
  row("rewind: a mark of another runtime's arena", "STALE_MARK", ({ arena, strange }) => {
    const mark = strange.mark();
    return () => arena.rewind(mark);
  }),
  row("rewind: a mark of a child", "STALE_MARK", ({ arena }) => {
    const mark = arena.arena().mark();
    return () => arena.rewind(mark);
  }),
  row("rewind: a mark of the parent", "STALE_MARK", ({ arena }) => {
    const mark = arena.mark();
    const child = arena.arena();
    return () => child.rewind(mark);
  }),
  row(
    "rewind: a mark that has been rewound past",
    "STALE_MARK",
    ({ arena }) => {
      const outer = arena.mark();
      const inner = arena.mark();
      arena.rewind(outer);
      return () => arena.rewind(inner);
    },
    /mark at \d+/,
  ),
  row("rewind: a mark rewound past, with a new one at its place", "STALE_MARK", ({ arena }) => {
    const outer = arena.mark();
    const inner = arena.mark();
    arena.rewind(outer);
    expect(arena.mark().$address).toBe(inner.$address);
    return () => arena.rewind(inner);
  }),
  row("rewind: a mark from before a reset", "STALE_MARK", ({ arena }) => {
    const mark = arena.mark();
    arena.reset();
    return () => arena.rewind(mark);
  }),
  row("rewind: a mark from before a reset, with a new one at its place", "STALE_MARK", ({ arena }) => {
    arena.reset();
    const mark = arena.mark();
    arena.reset();
    expect(arena.mark().$address).toBe(mark.$address);
    return () => arena.rewind(mark);
  }),
  ...[0, 8, -1, 1.5, Number.NaN, 2 ** 32, "8", 8n, null, undefined, {}, Symbol("8")].flatMap((bad) => [
    row(`rewind: forged, at ${typeof bad} ${String(bad)}`, "STALE_MARK", ({ arena }) => {
      const mark = arena.mark();
      return () => arena.rewind({ ...mark, $address: bad as number });
    }),
    row(`rewind: forged, with serial ${typeof bad} ${String(bad)}`, "STALE_MARK", ({ arena }) => {
      const mark = arena.mark();
      return () => arena.rewind({ ...mark, $serial: bad as number });
    }),
  ]),
];

describe.each(modules)("bad arguments are typed errors that change nothing: those of the $name module", ({ debug }) => {
  describe.each([
    { subject: "arguments", table: arguments_ },
    { subject: "places for arrays", table: arrayAt },
    { subject: "marks", table: marks },
  ])("$subject", ({ table }) => {
    test.each(table)("$name", (each) => check(each, debug));
  });
});

test("a forged mark with the right numbers is the mark", async () => {
  const runtime = await createRuntime();
  const arena = runtime.arena();
  const mark: ArenaMark = arena.mark();
  const cell: CursorOf<(typeof Cell)["fields"]> = arena.new(Cell);
  arena.rewind({ ...mark });
  expect(cell.isLive()).toBe(false);
  runtime.dispose();
});
