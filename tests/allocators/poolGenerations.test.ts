import {
  array,
  f64,
  LimitExceededError,
  type Pool,
  type Ref,
  type Runtime,
  StaleReferenceError,
  struct,
  u8,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { modules, withoutStacks, withRuntime } from "../support/runtimes.js";

withoutStacks();

/** The last generation that a record can have, and what its guard shows from its free on. */
const LAST = 0xffff_fffd;
const RETIRED = 0xffff_fffe;

const Cell = struct("Cell", { value: f64 });
type Fields = (typeof Cell)["fields"];

/** The paths that a call may take: into wasm for fresh refs, or, in the release module, past it. */
const paths: [string, (pool: Pool<Fields>) => Ref<Fields>][] = [
  ["fresh refs", (pool) => pool.new()],
  ["cursors", (pool) => pool.new(pool.cursor()).ref()],
];

/** Puts the guard of a record to `generation`, as thousands of millions of uses would; returns the ref that it would have. */
function age(runtime: Runtime, pool: Pool<Fields>, record: Ref<Fields>, generation: number): Ref<Fields> {
  runtime.$memory.u32[record.$guard] = generation;
  for (const cursor of pool) if (cursor.$address === record.$address) return cursor.ref();
  return record;
}

describe.each(modules)("a cell whose generations run out, $name module", ({ debug }) => {
  test.each(paths)("is retired by its last free, and never handed out again: %s", (_, make) =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(Cell, { capacity: 40 });
      const made = Array.from({ length: 40 }, () => make(pool));
      const first = made[5]!;
      let record = age(runtime, pool, first, LAST - 4);
      const known = [first];
      // Two more uses, and then the last.
      for (const generation of [LAST - 4, LAST - 2, LAST]) {
        expect(record.$generation >>> 0).toBe(generation);
        expect(pool.stats()).toMatchObject({ count: 40, retired: 0 });
        known.push(record);
        pool.free(record);
        expect(known.map((each) => each.isLive())).toEqual(known.map(() => false));
        if (generation < LAST) record = make(pool);
      }
      expect(runtime.$memory.u32[first.$guard]).toBe(RETIRED);
      expect(pool.stats()).toMatchObject({ count: 39, capacity: 40, retired: 1 });
      pool.validate();
      for (let round = 0; round < 100; round++) {
        for (const attempt of [() => pool.new(), () => pool.new(pool.cursor())]) {
          expect(attempt).toThrow(LimitExceededError);
          expect(attempt).toThrow("all 40 cells of the pool are in use, or retired");
        }
        const index = round % 40;
        if (index === 5) continue;
        pool.free(made[index]!);
        expect(pool.stats()).toMatchObject({ count: 38, retired: 1 });
        made[index] = make(pool);
        expect(made[index]!.$address).not.toBe(first.$address);
      }
      for (const each of known) expect(() => pool.free(each)).toThrow(StaleReferenceError);
      expect(() => pool.free(record)).toThrow(
        `shows generation ${RETIRED}, the reference was made in generation ${LAST}`,
      );
      pool.validate();
      expect([...pool].length).toBe(39);
    }),
  );

  test("is retired by a clear too", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(Cell, { capacity: 10 });
      const made = Array.from({ length: 10 }, () => pool.new());
      const last = [2, 7].map((index) => age(runtime, pool, made[index]!, LAST));
      pool.clear();
      expect(pool.stats()).toMatchObject({ count: 0, capacity: 10, retired: 2 });
      const again: Ref<Fields>[] = [];
      for (let index = 0; index < 8; index++) again.push(pool.new(pool.cursor()).ref());
      expect(again.some(({ $guard }) => last.some((each) => each.$guard === $guard))).toBe(false);
      expect(again.map(({ $guard }) => $guard).sort()).toEqual(
        made
          .filter((_, index) => index !== 2 && index !== 7)
          .map(({ $guard }) => $guard)
          .sort(),
      );
      expect(() => pool.new()).toThrow("all 10 cells of the pool are in use, or retired");
      expect(last.map((each) => each.isLive())).toEqual([false, false]);
      pool.validate();
      pool.clear();
      expect(pool.count).toBe(0);
      pool.validate();
    }));

  test.each(["free", "clear", "destroy"] as const)("leaves a later pool all of its cells, retired by a %s", (end) =>
    withRuntime({ debug }, (runtime) => {
      for (const capacity of [1, 10]) {
        const pool = runtime.pool(Cell, { capacity });
        const made = Array.from({ length: capacity }, () => pool.new());
        const last = age(runtime, pool, made[0]!, LAST);
        if (end === "free") pool.free(last);
        if (end === "clear") pool.clear();
        pool.destroy();
        const heir = runtime.pool(Cell, { capacity });
        const again = Array.from({ length: capacity }, () => heir.new());
        expect(heir.stats()).toMatchObject({ count: capacity, retired: 0 });
        expect(again.some(({ $guard }) => made.some((each) => each.$guard === $guard))).toBe(false);
        expect(last.isLive()).toBe(false);
        heir.validate();
        runtime.validate();
      }
    }),
  );

  test("has no slab of a pool that grows taken for it, where a slab has one cell", () =>
    withRuntime({ debug }, (runtime) => {
      const Large = struct("Large", { bytes: array(u8, 65_000), more: array(u8, 36_000) });
      const pool = runtime.pool(Large);
      const cursor = pool.cursor();
      const inTurn = () => {
        pool.new(cursor);
        const second = pool.new(pool.cursor());
        runtime.$memory.u32[second.$guard] = LAST;
        second.$generation = LAST | 0;
        pool.free(second);
        pool.free(cursor);
      };
      for (let count = 0; count < 5; count++) inTurn();
      expect(pool.stats()).toMatchObject({ count: 0, retired: 5 });
      expect(pool.stats().slabs).toBeLessThan(3);
      pool.new(cursor);
      pool.new();
      expect(pool.stats()).toMatchObject({ count: 2, slabs: 2 });
      pool.validate();
      runtime.validate();
    }));

  test("leaves a pool that grows with as much room as it needs, also where all of a slab is retired", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(Cell);
      const { capacity } = pool;
      const made = Array.from({ length: capacity }, () => pool.new());
      const { u32 } = runtime.$memory;
      for (const { $guard } of made) u32[$guard] = LAST;
      let freed = 0;
      for (const cursor of pool) {
        pool.free(cursor);
        freed++;
      }
      expect(freed).toBe(capacity);
      expect(pool.stats()).toMatchObject({ count: 0, retired: capacity });
      pool.validate();
      const again = Array.from({ length: 100 }, (_, index) => (index % 2 ? pool.new() : pool.new(pool.cursor()).ref()));
      const old = new Set(made.map(({ $guard }) => $guard));
      expect(again.filter(({ $guard }) => old.has($guard))).toEqual([]);
      pool.validate();
      pool.clear();
      pool.validate();
      pool.destroy();
      const heir = runtime.pool(Cell);
      expect(old.has(heir.new().$guard)).toBe(false);
      heir.validate();
      runtime.validate();
    }));
});
