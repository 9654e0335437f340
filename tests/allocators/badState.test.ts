import { type Arena, type Bytes, createRuntime, f64, type Runtime } from "tidemark";
import { describe, expect, test } from "vitest";
import { type Bench, Cell, check, type Row, row, rows } from "../support/badInput.js";
import { modules } from "../support/runtimes.js";

/** Every call that a space answers to. */
const uses: Record<string, (bench: Bench, arena: Arena) => unknown> = {
  address: (_, arena) => arena.address,
  new: (_, arena) => arena.new(Cell),
  "new with a cursor": ({ stranger: _, runtime }, arena) =>
    arena.new(Cell, arena.$memory.disposed ? Cell.$newCursor(arena.$memory) : runtime.cursor(Cell)),
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
  ...rows("copyTo: target", "INVALID_ARGUMENT", [undefined, null, 5, {}, Cell], ({ arena }, target) =>
    arena.new(Cell).copyTo(target),
  ).map((each) => ({ ...each, make: (bench: Bench) => prepared(bench, each) })),
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
  row(
    "a cursor that was never moved",
    "STALE_REFERENCE",
    ({ runtime }) =>
      () =>
        runtime.cursor(Cell).value,
  ),
  row(
    "bytes that have no place",
    "STALE_REFERENCE",
    ({ runtime }) =>
      () =>
        runtime.bytes().get(0),
  ),
  row(
    "an array that has no place",
    "STALE_REFERENCE",
    ({ runtime }) =>
      () =>
        runtime.array(f64).push(1),
  ),
  ...[-1, 3, 1.5, Number.NaN, Infinity, 2 ** 31, 2 ** 32 - 1, 2 ** 32].flatMap((index) => [
    row(
      `array, at (${index})`,
      "OUT_OF_BOUNDS",
      ({ arena }) => bound(arena.array(f64, 3), (values) => values.at(index)),
      new RegExp(`${index}.*3`.replace("+", "\\+")),
    ),
    row(`array of structs, at (${index})`, "OUT_OF_BOUNDS", ({ arena }) =>
      bound(arena.array(Cell, 3), (cells) => cells.at(index)),
    ),
    row(`array, set (${index})`, "OUT_OF_BOUNDS", ({ arena }) =>
      bound(arena.array(f64, 3), (values) => values.set(index, 1)),
    ),
    row(
      `bytes, get (${index})`,
      "OUT_OF_BOUNDS",
      ({ arena }) => bound(arena.bytes(3), (bytes: Bytes) => bytes.get(index)),
      new RegExp(`${index}.*3`.replace("+", "\\+")),
    ),
    row(`bytes, set (${index})`, "OUT_OF_BOUNDS", ({ arena }) =>
      bound(arena.bytes(3), (bytes: Bytes) => bytes.set(index, 1)),
    ),
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

describe.each(modules)(
  "use after the end is a typed error that changes nothing: that of the $name module",
  ({ debug }) => {
    describe.each([
      { subject: "arenas that are gone", table: lives },
      { subject: "what arenas have given, and ended", table: stale },
      { subject: "runtimes that are gone", table: disposed },
      { subject: "strangers and bounds", table: strangers },
    ])("$subject", ({ table }) => {
      test.each(table)("$name", (each) => check(each, debug));
    });
  },
);

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
