import { type Arena, type ArenaMark, type Bytes, createRuntime, type CursorOf, f64, type Runtime, u8 } from "tidemark";
import { describe, expect, test } from "vitest";
import { type Bench, Cell, check, NO_NUMBERS, NO_SIZES, Other, type Row, row, rows } from "../support/badInput.js";
import { modules, PAGE } from "../support/runtimes.js";

/** Anything, where the types would not let it through. */
// biome-ignore lint/suspicious/noExplicitAny: the point of these tests
type Any = any;

const NO_ALIGNMENTS = [0, -8, 3, 6, 12, 1.5, Number.NaN, Infinity, 4097, 8192, 2 ** 31, 2 ** 32, ...NO_NUMBERS];
const NO_OBJECTS = [null, 5, "5", 5n, true, Symbol("five")];
const NO_TYPES = [undefined, null, 5, "f64", {}, [], () => f64, Symbol("f64")];

const arguments_: Row[] = [
  ...rows("allocate: size", "INVALID_ARGUMENT", [...NO_SIZES, undefined, 2 ** 32 - 1], ({ arena }, size) => arena.allocate(size)),
  ...rows("allocate: alignment", "INVALID_ARGUMENT", NO_ALIGNMENTS, ({ arena }, alignment) => arena.allocate(8, alignment)),
  ...rows("bytes: size", "INVALID_ARGUMENT", [...NO_SIZES, undefined, 2 ** 32 - 1], ({ arena }, size) => arena.bytes(size)),
  ...rows("array: length", "INVALID_ARGUMENT", [...NO_SIZES, 2 ** 31, 2 ** 32 - 1], ({ arena }, length) => arena.array(f64, length)),
  ...rows("text", "INVALID_ARGUMENT", [...NO_NUMBERS.slice(2), 5, undefined, "\ud800", "a\udc00"], ({ arena }, text) => arena.text(text)),
  ...rows("allocate: more than the maximum", "OUT_OF_MEMORY", [2 ** 30, 2 ** 31, 2 ** 32 - 2 ** 20], ({ arena }, size) => arena.allocate(size)),
  ...rows("bytes: more than the maximum", "OUT_OF_MEMORY", [2 ** 31], ({ arena }, size) => arena.bytes(size)),
  ...rows("array: more than the maximum", "OUT_OF_MEMORY", [2 ** 27, 2 ** 28], ({ arena }, length) => arena.array(f64, length)),
  ...rows("new: type", "INVALID_ARGUMENT", [...NO_TYPES, f64], ({ arena }, type) => arena.new(type)),
  ...rows("new: type, with a cursor", "INVALID_ARGUMENT", [...NO_TYPES, f64, Other], ({ arena, runtime }, type) =>
    arena.new(type, runtime.cursor(Cell)),
  ),
  ...rows("new: cursor", "INVALID_ARGUMENT", [null, 5, "5", {}, [], Cell], ({ arena }, into) => arena.new(Cell, into)),
  row("new: an array for a cursor", "INVALID_ARGUMENT", ({ arena }) => () => arena.new(Cell, arena.$memory && (arena as Any))),
  row("new: bytes for a cursor", "INVALID_ARGUMENT", ({ arena, runtime }) => () => arena.new(Cell, runtime.bytes() as Any)),
  row("new: a cursor of another struct", "INVALID_ARGUMENT", ({ arena, runtime }) => () => arena.new(Cell, runtime.cursor(Other) as Any)),
  row("new: a cursor of another runtime", "INVALID_ARGUMENT", ({ arena, stranger }) => () => arena.new(Cell, stranger.cursor(Cell))),
  ...rows("array: type", "INVALID_ARGUMENT", NO_TYPES, ({ arena }, type) => arena.array(type)),
  ...rows("array: type, with a length", "INVALID_ARGUMENT", NO_TYPES, ({ arena }, type) => arena.array(type, 5)),
  ...rows("array: array to reuse", "INVALID_ARGUMENT", [null, 5, "5", {}, []], ({ arena }, into) => arena.array(Cell, 5, into)),
  row("array: one of another type", "INVALID_ARGUMENT", ({ arena, runtime }) => () => arena.array(Cell, 5, runtime.array(Other) as Any)),
  row("array: one of another type, growable", "INVALID_ARGUMENT", ({ arena, runtime }) => () => arena.array(Cell, runtime.array(u8) as Any)),
  row("array: one of another runtime", "INVALID_ARGUMENT", ({ arena, stranger }) => () => arena.array(Cell, 5, stranger.array(Cell))),
  row("array: a cursor to reuse", "INVALID_ARGUMENT", ({ arena, runtime }) => () => arena.array(Cell, 5, runtime.cursor(Cell) as Any)),
  row("array: bytes to reuse", "INVALID_ARGUMENT", ({ arena, runtime }) => () => arena.array(u8, runtime.bytes() as Any)),
  ...rows("bytes: bytes to reuse", "INVALID_ARGUMENT", [null, 5, "5", {}, []], ({ arena }, into) => arena.bytes(5, into)),
  row("bytes: a cursor to reuse", "INVALID_ARGUMENT", ({ arena, runtime }) => () => arena.bytes(5, runtime.cursor(Cell) as Any)),
  row("bytes: those of another runtime", "INVALID_ARGUMENT", ({ arena, stranger }) => () => arena.bytes(5, stranger.bytes())),
  ...rows("text: bytes to reuse", "INVALID_ARGUMENT", [null, 5, "5", {}, []], ({ arena }, into) => arena.text("tide", into)),
  row("text: bytes of another runtime", "INVALID_ARGUMENT", ({ arena, stranger }) => () => arena.text("tide", stranger.bytes())),
  ...rows("contains", "INVALID_ARGUMENT", [undefined, null, "5", 5n, {}, [], true, Cell], ({ arena }, target) => arena.contains(target)),
  ...rows("arena: options", "INVALID_ARGUMENT", NO_OBJECTS, ({ arena }, options) => arena.arena(options)),
  ...rows("arena: maximumBytes", "INVALID_ARGUMENT", NO_SIZES, ({ arena }, maximumBytes) => arena.arena({ maximumBytes })),
  ...rows("arena: sizeHint", "INVALID_ARGUMENT", NO_SIZES, ({ arena }, sizeHint) => arena.arena({ sizeHint })),
  ...rows("runtime.arena: options", "INVALID_ARGUMENT", NO_OBJECTS, ({ runtime }, options) => runtime.arena(options)),
  ...rows("runtime.arena: maximumBytes", "INVALID_ARGUMENT", NO_SIZES, ({ runtime }, maximumBytes) => runtime.arena({ maximumBytes })),
  ...rows("runtime.arena: sizeHint", "INVALID_ARGUMENT", NO_SIZES, ({ runtime }, sizeHint) => runtime.arena({ sizeHint })),
  ...rows("runtime.regionPool: options", "INVALID_ARGUMENT", NO_OBJECTS, ({ runtime }, options) => runtime.regionPool(options)),
  ...rows("runtime.regionPool: maximumBytes", "INVALID_ARGUMENT", NO_SIZES, ({ runtime }, maximumBytes) => runtime.regionPool({ maximumBytes })),
  ...rows("runtime.cursor", "INVALID_ARGUMENT", [...NO_TYPES, f64], ({ runtime }, type) => runtime.cursor(type)),
  ...rows("runtime.array", "INVALID_ARGUMENT", NO_TYPES, ({ runtime }, type) => runtime.array(type)),
  ...rows("runtime.reserve", "INVALID_ARGUMENT", [...NO_SIZES, undefined], ({ runtime }, bytes) => runtime.reserve(bytes)),
  ...rows("runtime.reserve: more than the maximum", "OUT_OF_MEMORY", [2 ** 31, 2 ** 32 - PAGE], ({ runtime }, bytes) => runtime.reserve(bytes)),
  ...rows("runtime.instantiate", "INVALID_MODULE", [undefined, null, 5, "module", {}, new Uint8Array(0), new Uint8Array(100)], ({ runtime }, source) =>
    runtime.instantiate(source),
  ),
];

const arrayAt: Row[] = [
  ...rows("arrayAt: type", "INVALID_ARGUMENT", NO_TYPES, ({ arena }, type) => arena.arrayAt(type, arena.address + 120, 1)),
  ...rows("arrayAt: length", "INVALID_ARGUMENT", [...NO_SIZES, undefined], ({ arena }, length) => arena.arrayAt(f64, arena.address + 120, length)),
  ...rows("arrayAt: address", "INVALID_ARGUMENT", [-8, 1.5, Number.NaN, Infinity, 2 ** 32, 2 ** 53, undefined, ...NO_NUMBERS], ({ arena }, address) =>
    arena.arrayAt(f64, address, 1),
  ),
  ...rows("arrayAt: what lies nowhere", "OUT_OF_BOUNDS", [0, 8, 2 ** 31, 2 ** 32 - 8], ({ arena }, address) => arena.arrayAt(f64, address, 1)),
  row("arrayAt: misaligned", "OUT_OF_BOUNDS", ({ arena }) => {
    const address = arena.allocate(80);
    return () => arena.arrayAt(f64, address + 4, 2);
  }, /2 × f64 at \d+/),
  row("arrayAt: one element too many", "OUT_OF_BOUNDS", ({ arena }) => {
    const address = arena.allocate(80);
    arena.arrayAt(f64, address, 10);
    return () => arena.arrayAt(f64, address, 11);
  }),
  row("arrayAt: the arena's own header", "OUT_OF_BOUNDS", ({ arena }) => () => arena.arrayAt(f64, arena.address, 1)),
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
  ...rows("rewind", "STALE_MARK", [undefined, null, 5, "mark", 5n, {}, [], true, Symbol("mark")], ({ arena }, mark) => arena.rewind(mark)),
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
  row("rewind: a mark that has been rewound past", "STALE_MARK", ({ arena }) => {
    const outer = arena.mark();
    const inner = arena.mark();
    arena.rewind(outer);
    return () => arena.rewind(inner);
  }, /mark at \d+/),
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

/** Every call that a space answers to. */
const uses: Record<string, (bench: Bench, arena: Arena) => unknown> = {
  address: (_, arena) => arena.address,
  new: (_, arena) => arena.new(Cell),
  "new with a cursor": ({ stranger: _, runtime }, arena) => arena.new(Cell, arena.$memory.disposed ? Cell.$newCursor(arena.$memory) : runtime.cursor(Cell)),
  allocate: (_, arena) => arena.allocate(8),
  "allocate, aligned": (_, arena) => arena.allocate(8, 64),
  array: (_, arena) => arena.array(f64, 3),
  "array, growable": (_, arena) => arena.array(f64),
  arrayAt: (_, arena) => arena.arrayAt(f64, 4096, 1),
  bytes: (_, arena) => arena.bytes(5),
  text: (_, arena) => arena.text("tide"),
  arena: (_, arena) => arena.arena(),
  mark: (_, arena) => arena.mark(),
  rewind: (_, arena) => arena.rewind({ $space: arena, $address: 8, $serial: 1 }),
  contains: (_, arena) => arena.contains(4096),
  "contains what is no address": (_, arena) => arena.contains(-1),
  stats: (_, arena) => arena.stats(),
  reset: (_, arena) => arena.reset(),
};

const lives: Row[] = Object.entries(uses).flatMap(([name, use]) => [
  row(`${name}: after destroy`, "DISPOSED", (bench) => {
    const arena = bench.runtime.arena();
    arena.new(Cell);
    arena.destroy();
    arena.destroy();
    return () => use(bench, arena);
  }),
  row(`${name}: after the parent's destroy`, "DISPOSED", (bench) => {
    const parent = bench.runtime.arena();
    const arena = parent.arena();
    arena.new(Cell);
    parent.destroy();
    return () => use(bench, arena);
  }),
  row(`${name}: after the grandparent's reset`, "DISPOSED", (bench) => {
    const arena = bench.arena.arena().arena();
    arena.new(Cell);
    bench.arena.reset();
    return () => use(bench, arena);
  }),
  row(`${name}: after the parent's rewind`, "DISPOSED", (bench) => {
    const mark = bench.arena.mark();
    const arena = bench.arena.arena();
    arena.new(Cell);
    bench.arena.rewind(mark);
    return () => use(bench, arena);
  }),
  row(`${name}: after the runtime's dispose`, "DISPOSED", (bench) => {
    bench.arena.new(Cell);
    bench.runtime.dispose();
    bench.runtime.dispose();
    return () => use(bench, bench.arena);
  }),
  ...(name === "reset"
    ? []
    : [
        row(`${name}: of a region that has ended`, "REGION_ENDED", (bench) => {
          const pool = bench.runtime.regionPool();
          const region = pool.createRegion();
          pool.lease(region, 0);
          region.new(Cell);
          pool.end(region);
          return () => use(bench, region as unknown as Arena);
        }),
      ]),
]);

/** Every access to what an arena has given. */
const accesses: Record<string, (arena: Arena) => () => unknown> = {
  "cursor, read": (arena) => access(arena.new(Cell), (cell) => cell.value),
  "cursor, write": (arena) => access(arena.new(Cell), (cell) => (cell.value = 1)),
  "cursor, toObject": (arena) => access(arena.new(Cell), (cell) => cell.toObject()),
  "cursor, assign": (arena) => access(arena.new(Cell), (cell) => cell.assign({ value: 1 })),
  "cursor, ref": (arena) => access(arena.new(Cell), (cell) => cell.ref()),
  "cursor, copyTo": (arena) => {
    const target = arena.arena();
    return access(arena.new(Cell), (cell) => cell.copyTo(target));
  },
  "ref, moved to": (arena) => {
    const ref = arena.new(Cell).ref();
    const cursor = Cell.$newCursor(arena.$memory);
    return () => cursor.moveTo(ref);
  },
  "array, at": (arena) => access(arena.array(f64, 3), (values) => values.at(0)),
  "array, set": (arena) => access(arena.array(f64, 3), (values) => values.set(0, 1)),
  "array, toArray": (arena) => access(arena.array(f64, 3), (values) => values.toArray()),
  "array, iterated": (arena) => access(arena.array(Cell, 3), (cells) => [...cells]),
  "array, truncate": (arena) => access(arena.array(f64, 3), (values) => values.truncate(1)),
  "array, push": (arena) => access(arena.array(f64), (values) => values.push(1)),
  "array, push with room": (arena) => {
    const values = arena.array(f64);
    values.push(1);
    return () => values.push(2);
  },
  "array, address": (arena) => access(arena.array(f64, 3), (values) => values.address),
  "bytes, get": (arena) => access(arena.bytes(3), (bytes) => bytes.get(0)),
  "bytes, set": (arena) => access(arena.bytes(3), (bytes) => bytes.set(0, 1)),
  "bytes, copyFrom": (arena) => access(arena.bytes(3), (bytes) => bytes.copyFrom(new Uint8Array(1))),
  "bytes, toUint8Array": (arena) => access(arena.bytes(3), (bytes) => bytes.toUint8Array()),
  "bytes, view": (arena) => access(arena.bytes(3), (bytes) => bytes.view()),
  "bytes, toString": (arena) => access(arena.text("abc"), (bytes) => bytes.toString()),
  "bytes, address": (arena) => access(arena.bytes(3), (bytes) => bytes.address),
};

function access<T>(thing: T, use: (thing: T) => unknown): () => unknown {
  use(thing);
  return () => use(thing);
}

const stale: Row[] = Object.entries(accesses).flatMap(([name, make]) => [
  row(`${name}: after reset`, "STALE_REFERENCE", ({ runtime }) => {
    const arena = runtime.arena();
    const use = make(arena);
    arena.reset();
    return use;
  }),
  row(`${name}: after rewind`, "STALE_REFERENCE", ({ runtime }) => {
    const arena = runtime.arena();
    const mark = arena.mark();
    const use = make(arena);
    arena.rewind(mark);
    return use;
  }),
  row(`${name}: after destroy`, "STALE_REFERENCE", ({ runtime }) => {
    const arena = runtime.arena();
    const use = make(arena);
    arena.destroy();
    return use;
  }),
  row(`${name}: after destroy, with another arena in its place`, "STALE_REFERENCE", ({ runtime }) => {
    const arena = runtime.arena();
    const { address } = arena;
    const use = make(arena);
    arena.destroy();
    expect(runtime.arena().address).toBe(address);
    return use;
  }),
  row(`${name}: after the runtime's dispose`, "DISPOSED", ({ runtime }) => {
    const use = make(runtime.arena());
    runtime.dispose();
    return use;
  }),
]);

const runtimeUses: Record<string, (runtime: Runtime) => unknown> = {
  memory: (runtime) => runtime.memory,
  arena: (runtime) => runtime.arena(),
  cursor: (runtime) => runtime.cursor(Cell),
  array: (runtime) => runtime.array(f64),
  bytes: (runtime) => runtime.bytes(),
  regionPool: (runtime) => runtime.regionPool(),
  instantiate: (runtime) => runtime.instantiate(new Uint8Array(8)),
  reserve: (runtime) => runtime.reserve(1),
  seal: (runtime) => runtime.seal(),
  stats: (runtime) => runtime.stats(),
  validate: (runtime) => runtime.validate(),
};

const disposed: Row[] = Object.entries(runtimeUses).flatMap(([name, use]) => [
  row(`runtime.${name}: after dispose`, "DISPOSED", ({ runtime }) => {
    runtime.dispose();
    return () => use(runtime);
  }),
  row(`runtime.${name}: after dispose in the midst of everything`, "DISPOSED", ({ runtime }) => {
    runtime.seal();
    const pool = runtime.regionPool();
    const region = pool.createRegion();
    pool.lease(region, 0);
    const arena = region.arena();
    arena.mark();
    for (const cell of arena.array(Cell, 3)) {
      runtime[Symbol.dispose]();
      expect(cell.isLive()).toBe(false);
      break;
    }
    return () => use(runtime);
  }),
]);

const strangers: Row[] = [
  row("copyTo: into another runtime", "INVALID_ARGUMENT", ({ arena, strange }) => {
    const cell = arena.new(Cell);
    return () => cell.copyTo(strange);
  }),
  row("copyTo: with a cursor of another runtime", "INVALID_ARGUMENT", ({ arena, stranger }) => {
    const cell = arena.new(Cell);
    return () => cell.copyTo(arena, stranger.cursor(Cell));
  }),
  row("copyTo: into an arena that is gone", "DISPOSED", ({ arena, runtime }) => {
    const cell = arena.new(Cell);
    const target = runtime.arena();
    target.destroy();
    return () => cell.copyTo(target);
  }),
  ...rows("copyTo: target", "INVALID_ARGUMENT", [undefined, null, 5, {}, Cell], ({ arena }, target) => arena.new(Cell).copyTo(target)).map(
    (each) => ({ ...each, make: (bench: Bench) => prepared(bench, each) }),
  ),
  row("moveTo: a record of another runtime", "INVALID_ARGUMENT", ({ runtime, strange }) => {
    const cell = strange.new(Cell);
    return () => runtime.cursor(Cell).moveTo(cell);
  }),
  row("push: an array of a region that was leased again", "STALE_REFERENCE", ({ runtime }) => {
    const pool = runtime.regionPool();
    const region = pool.createRegion();
    pool.lease(region, 0);
    const values = region.array(f64);
    pool.end(region);
    pool.lease(region, 0);
    return () => values.push(1);
  }),
  row("push: with a mark made after the array", "LIMIT_EXCEEDED", ({ arena }) => {
    const values = arena.array(f64);
    arena.mark();
    return () => values.push(1);
  }),
  row("a cursor that was never moved", "STALE_REFERENCE", ({ runtime }) => () => runtime.cursor(Cell).value),
  row("bytes that have no place", "STALE_REFERENCE", ({ runtime }) => () => runtime.bytes().get(0)),
  row("an array that has no place", "STALE_REFERENCE", ({ runtime }) => () => runtime.array(f64).push(1)),
  ...[-1, 3, 1.5, Number.NaN, Infinity, 2 ** 31, 2 ** 32 - 1, 2 ** 32].flatMap((index) => [
    row(`array, at (${index})`, "OUT_OF_BOUNDS", ({ arena }) => bound(arena.array(f64, 3), (values) => values.at(index)), new RegExp(`${index}.*3`.replace("+", "\\+"))),
    row(`array of structs, at (${index})`, "OUT_OF_BOUNDS", ({ arena }) => bound(arena.array(Cell, 3), (cells) => cells.at(index))),
    row(`array, set (${index})`, "OUT_OF_BOUNDS", ({ arena }) => bound(arena.array(f64, 3), (values) => values.set(index, 1))),
    row(`bytes, get (${index})`, "OUT_OF_BOUNDS", ({ arena }) => bound(arena.bytes(3), (bytes: Bytes) => bytes.get(index)), new RegExp(`${index}.*3`.replace("+", "\\+"))),
    row(`bytes, set (${index})`, "OUT_OF_BOUNDS", ({ arena }) => bound(arena.bytes(3), (bytes: Bytes) => bytes.set(index, 1))),
  ]),
];

function bound<T>(thing: T, use: (thing: T) => unknown): () => unknown {
  return () => use(thing);
}

/** Allocates the record before the figures are taken. */
function prepared(bench: Bench, each: Row): () => unknown {
  const cell = bench.arena.new(Cell);
  return each.make({ ...bench, arena: { new: () => cell } as unknown as Arena });
}

describe.each(modules)("bad input to the $name module is a typed error that changes nothing", ({ debug }) => {
  describe.each([
    { subject: "arguments", table: arguments_ },
    { subject: "places for arrays", table: arrayAt },
    { subject: "marks", table: marks },
    { subject: "arenas that are gone", table: lives },
    { subject: "what arenas have given, and ended", table: stale },
    { subject: "runtimes that are gone", table: disposed },
    { subject: "strangers and bounds", table: strangers },
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

test("arenas may be nested ten thousand deep, and all end with the outermost", async () => {
  const runtime = await createRuntime();
  const outermost = runtime.arena();
  let innermost = outermost;
  for (let depth = 0; depth < 10_000; depth++) innermost = innermost.arena();
  const cell = innermost.new(Cell);
  outermost.reset();
  expect([innermost.destroyed, cell.isLive(), outermost.stats().children]).toEqual([true, false, 0]);
  runtime.validate();
  runtime.dispose();
});
