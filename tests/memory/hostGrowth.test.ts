import { createLoop, f64, type Runtime, type SortedMap, StaleReferenceError, struct, text, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { MEBIBYTE, modules, PAGE, validate, withRuntime } from "../support/runtimes.js";

const Cell = struct("Cell", { value: f64 });
const Pair = struct("Pair", { low: f64, high: f64 });
const Name = struct("Name", { name: text(8), id: u32 });

/** Grows memory as a host or a foreign guest does, which detaches every view without the runtime's knowing. */
function grow(runtime: Runtime): void {
  const { raw } = runtime.$memory;
  raw.grow(1);
  expect(runtime.$memory.u8.length).toBe(0);
}

const options = { initialBytes: 8 * PAGE, maximumBytes: 64 * MEBIBYTE };

describe.each(modules)("a region, when the host grows memory during its event, $name module", ({ debug }) => {
  test("is bounded by its blocks in the next event as well, and counts what it uses", () =>
    withRuntime({ ...options, debug }, async (runtime) => {
      const failures: unknown[] = [];
      const loop = createLoop(runtime, { onError: (error) => failures.push(error) });
      const cursor = runtime.cursor(Cell);
      const bystander = runtime.arena().bytes(30_000);
      bystander.copyFrom(new Uint8Array(30_000).fill(7));
      const addresses: number[] = [];
      const growing = loop.on("growing", (_: number, { region }) => {
        region.new(Cell, cursor);
        grow(runtime);
      });
      const large = loop.on("large", (_: number, { region }) => {
        for (let index = 0; index < 3; index++) addresses.push(region.allocate(MEBIBYTE));
        for (let index = 0; index < 2000; index++) addresses.push(region.new(Cell, cursor).$address);
      });
      let bytes = 0;
      for (let turn = 0; turn < 4; turn++) {
        growing.post(turn);
        await loop.runUntilIdle();
        bytes += 8;
        expect([failures, loop.stats().bytesReset]).toEqual([[], bytes]);
        addresses.length = 0;
        large.post(turn);
        await loop.runUntilIdle();
        bytes += 3 * MEBIBYTE + 16_000;
        expect([failures, loop.stats().bytesReset]).toEqual([[], bytes]);
        const { committedBytes } = runtime.stats();
        expect(addresses.every((address) => address > 0 && address < committedBytes)).toBe(true);
        expect(new Set(addresses).size).toBe(2003);
        expect(bystander.toUint8Array().every((byte) => byte === 7)).toBe(true);
        runtime.validate();
      }
      expect(loop.stats()).toMatchObject({ processed: 8, failed: 0, regionsLive: 0 });
    }));

  test.each([
    ["before the first allocation", 0],
    ["after a small one", 8],
    ["after a large one", 5000],
  ])("%s, is ended without an error, and its bytes are counted and cleared", (_name, size) =>
    withRuntime({ ...options, debug }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      for (let event = 0; event < 5; event++) {
        pool.lease(region, 0);
        const bytes = size === 0 ? undefined : region.bytes(size);
        bytes?.copyFrom(new Uint8Array(size).fill(9));
        grow(runtime);
        expect(pool.end(region)).toBe(size);
        expect([region.ended, pool.leased]).toEqual([true, 0]);
        if (bytes !== undefined) expect(() => bytes.get(0)).toThrow(StaleReferenceError);
        pool.lease(region, 0);
        const fresh = region.bytes(Math.max(size, 1));
        expect(fresh.toUint8Array().every((byte) => byte === 0)).toBe(true);
        expect(region.stats()).toMatchObject({ used: Math.ceil(Math.max(size, 1) / 8) * 8 });
        pool.end(region);
        expect(runtime.stats().bytesByOwner.arenas).toBeLessThanOrEqual(2 * PAGE);
        runtime.validate();
      }
    }),
  );

  test("between events, is leased and ended as ever", () =>
    withRuntime({ ...options, debug }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      const cursor = runtime.cursor(Cell);
      for (let event = 0; event < 20; event++) {
        if (event % 2 === 0) grow(runtime);
        pool.lease(region, 0);
        if (event % 4 === 1) grow(runtime);
        expect(region.new(Cell, cursor).value).toBe(0);
        cursor.value = event;
        if (event % 4 === 2) grow(runtime);
        expect(cursor.value).toBe(event);
        expect(pool.end(region)).toBe(8);
        expect(cursor.isLive()).toBe(false);
      }
      runtime.validate();
    }));
});

describe.each(modules)("an arena, when the host grows memory, $name module", ({ debug }) => {
  const steps: Record<string, (arena: ReturnType<Runtime["arena"]>, runtime: Runtime) => unknown> = {
    reset: (arena) => expect(arena.reset()).toBe(8),
    "a reset after a large round": (arena, runtime) => {
      arena.bytes(5000);
      grow(runtime);
      expect(arena.reset()).toBe(5008);
    },
    rewind: (arena, runtime) => {
      const mark = arena.mark();
      arena.new(Cell);
      grow(runtime);
      arena.rewind(mark);
    },
    mark: (arena) => void arena.mark(),
    new: (arena) => expect(arena.new(Cell).value).toBe(0),
    bytes: (arena) => expect(arena.bytes(100).get(99)).toBe(0),
    "an aligned allocation": (arena) => expect(arena.allocate(100, 64) % 64).toBe(0),
    "an oversize allocation": (arena) => expect(arena.bytes(MEBIBYTE).get(MEBIBYTE - 1)).toBe(0),
    "an array that grows": (arena, runtime) => {
      const cells = arena.array(Cell);
      for (let index = 0; index < 100; index++) {
        if (index % 9 === 0) grow(runtime);
        cells.push({ value: index });
      }
      expect(cells.toArray().map(({ value }) => value)).toEqual(Array.from({ length: 100 }, (_, index) => index));
    },
    "a child": (arena) => expect(arena.arena().new(Cell).value).toBe(0),
    copyTo: (arena, runtime) => {
      const cell = arena.new(Cell);
      cell.value = 5;
      grow(runtime);
      expect(cell.copyTo(arena).value).toBe(5);
    },
    stats: (arena) => expect(arena.stats().used).toBe(8),
    contains: (arena) => expect(arena.contains(arena.new(Cell))).toBe(true),
    destroy: (arena) => arena.destroy(),
  };
  test.each(Object.entries(steps))("goes on with %s, and takes no more than it needs", (_name, step) =>
    withRuntime({ ...options, debug }, (runtime) => {
      const bystander = runtime.arena().bytes(3000);
      bystander.copyFrom(new Uint8Array(3000).fill(7));
      for (let round = 0; round < 4; round++) {
        const arena = runtime.arena();
        if (round > 1) arena.reset();
        arena.new(Cell).value = 1;
        grow(runtime);
        step(arena, runtime);
        if (arena.destroyed) continue;
        for (let index = 0; index < 3000; index++) expect(arena.new(Cell).value).toBe(0);
        expect(arena.stats().used).toBeGreaterThanOrEqual(24_000);
        expect(arena.reset()).toBeGreaterThanOrEqual(24_000);
        expect(arena.stats().used).toBe(0);
        validate(runtime, arena);
        arena.destroy();
      }
      expect(bystander.toUint8Array().every((byte) => byte === 7)).toBe(true);
    }),
  );
});

describe.each(modules)("a sorted map, when the host grows memory, $name module", ({ debug }) => {
  const entries = (map: SortedMap<typeof f64, typeof f64>) => Array.from(map, ({ key, value }) => [key, value]);
  const expected = [
    [1, 10],
    [2, 20],
    [3, 30],
  ];

  /** One access as the very first after the growth, since each recovers for those that follow. */
  const questions: Record<string, [(map: SortedMap<typeof f64, typeof f64>) => unknown, unknown]> = {
    size: [(map) => map.size, 3],
    get: [(map) => map.get(2), 20],
    "get of what is not there": [(map) => map.get(5), undefined],
    has: [(map) => map.has(3), true],
    first: [(map) => map.first()?.key, 1],
    last: [(map) => map.last()?.value, 30],
    below: [(map) => map.below(2)?.key, 1],
    above: [(map) => map.above(2)?.key, 3],
    atOrBelow: [(map) => map.atOrBelow(2.5)?.key, 2],
    atOrAbove: [(map) => map.atOrAbove(2.5)?.key, 3],
    iteration: [entries, expected],
    range: [(map) => Array.from(map.entries(2, 3), ({ key }) => key), [2]],
    forEach: [
      (map) => {
        const seen: number[] = [];
        map.forEach((value) => void seen.push(value));
        return seen;
      },
      [10, 20, 30],
    ],
    stats: [(map) => map.stats().size, 3],
    validate: [(map) => map.validate(), undefined],
    "set of a new key": [(map) => [map.set(4, 40), map.size, map.get(4)], [true, 4, 40]],
    "set of a key that is there": [(map) => [map.set(2, 21), map.size, map.get(2)], [false, 3, 21]],
    delete: [(map) => [map.delete(2), map.size, map.get(2)], [true, 2, undefined]],
    clear: [
      (map) => {
        map.clear();
        return [map.size, map.first()];
      },
      [0, undefined],
    ],
  };
  test.each(Object.entries(questions))("answers %s as before", (_name, [ask, answer]) =>
    withRuntime({ ...options, debug }, (runtime) => {
      const map = runtime.sortedMap(f64, f64);
      for (const [key, value] of expected) map.set(key!, value!);
      grow(runtime);
      expect(ask(map)).toEqual(answer);
      map.validate();
    }),
  );

  test("holds what it held in an entry, in an iteration and in a map that is changed in between", () =>
    withRuntime({ ...options, debug }, (runtime) => {
      const map = runtime.sortedMap(f64, f64);
      for (let key = 0; key < 500; key++) map.set(key, key * 2);
      const entry = map.first()!;
      grow(runtime);
      expect([entry.key, entry.value]).toEqual([0, 0]);
      grow(runtime);
      entry.value = 5;
      expect(map.get(0)).toBe(5);
      map.set(0, 0);
      const seen: number[] = [];
      for (const { key, value } of map) {
        expect(value).toBe(key * 2);
        seen.push(key);
        if (key % 50 === 0) grow(runtime);
        if (key === 100) map.delete(101);
        if (key === 200) map.set(200.5, 401);
      }
      const keys = Array.from({ length: 500 }, (_, key) => key).filter((key) => key !== 101);
      keys.splice(200, 0, 200.5);
      expect(seen).toEqual(keys);
      map.validate();
    }));

  test("takes structs as keys and as values, and shows them", () =>
    withRuntime({ ...options, debug }, (runtime) => {
      const pairs = runtime.sortedMap(u32, Pair);
      grow(runtime);
      expect(pairs.set(1, { low: 1, high: 2 })).toBe(true);
      grow(runtime);
      expect(pairs.set(1, { low: 3, high: 4 })).toBe(false);
      grow(runtime);
      expect(pairs.get(1)?.toObject()).toEqual({ low: 3, high: 4 });
      grow(runtime);
      pairs.set(2, runtime.arena().new(Pair).assign({ low: 5, high: 6 }));
      const { value } = pairs.last()!;
      grow(runtime);
      expect([value.low, value.high, pairs.size]).toEqual([5, 6, 2]);
      const names = runtime.sortedMap(Name, Pair);
      for (const [index, name] of ["beta", "alpha", "gamma"].entries()) {
        grow(runtime);
        expect(names.set({ name, id: index }, { low: index, high: -index })).toBe(true);
      }
      grow(runtime);
      expect(names.first()?.key.toObject()).toEqual({ name: "alpha", id: 1 });
      grow(runtime);
      expect(names.get({ name: "gamma", id: 2 })?.toObject()).toEqual({ low: 2, high: -2 });
      grow(runtime);
      expect(Array.from(names, ({ key }) => key.name)).toEqual(["alpha", "beta", "gamma"]);
      grow(runtime);
      expect(names.delete({ name: "beta", id: 0 })).toBe(true);
      expect(names.size).toBe(2);
      names.validate();
      pairs.validate();
    }));

  test("can be made, and disposed, right after", () =>
    withRuntime({ ...options, debug }, (runtime) => {
      grow(runtime);
      const map = runtime.sortedMap(f64, Pair);
      map.set(1, { low: 1, high: 1 });
      grow(runtime);
      map.dispose();
      expect(runtime.stats().bytesByOwner.sortedMaps).toBe(0);
      runtime.validate();
    }));
});
