import { type CursorOf, f64, type Pool, type Ref, type Runtime, ref, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { withoutStacks, withRuntime } from "../support/runtimes.js";

withoutStacks();

const Cell = struct("Cell", { value: f64, next: ref("Cell") });
type Fields = (typeof Cell)["fields"];

/**
 * The most steps that a `new` or a `free` may take. A `new` threads 32 cells that were never used, and looks at two slabs
 * before that: one that has become full, which it leaves, and the next, or one that is made; then it takes 8 of the cells.
 * A `free` gives 8 warm cells back to their slabs; each may be the last of its slab, which goes back to the page heap: a look
 * at its page, and one at a word of the bitmap.
 */
const MOST_OF_NEW = 32 + 2 + 7;
const MOST_OF_FREE = 8 * (1 + 2);

/** The steps of loops that a call takes. */
function steps(runtime: Runtime, call: () => unknown): number {
  runtime.$memory.setRootWord("ROOT_STEPS", 0);
  call();
  return runtime.$memory.rootWord("ROOT_STEPS");
}

/** Numbers that look random, the same every time. */
function* picks(): Generator<number, never> {
  for (let state = 1; ; ) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    yield state >>> 8;
  }
}

function fill(pool: Pool<Fields>, count: number, cursor: CursorOf<Fields>): Ref<Fields>[] {
  return Array.from({ length: count }, () => pool.new(cursor).ref());
}

describe("the work of one call, counted by the debug module", () => {
  test.each([1000, 200_000])("is bounded in a pool of %i records, whatever was freed before", (live) =>
    withRuntime({ debug: true }, (runtime) => {
      const pool = runtime.pool(Cell);
      const cursor = pool.cursor();
      let worstNew = 0;
      let worstFree = 0;
      const make = () => {
        worstNew = Math.max(
          worstNew,
          steps(runtime, () => pool.new(cursor)),
        );
        return cursor.ref();
      };
      const free = (record: Ref<Fields>) => {
        worstFree = Math.max(
          worstFree,
          steps(runtime, () => pool.free(record)),
        );
      };
      const records = Array.from({ length: live }, make);
      const pick = picks();
      // Replaced at random; then all but a few freed, at random, so that every slab becomes empty; then made again.
      for (let round = 0; round < 20_000; round++) {
        const index = pick.next().value % records.length;
        free(records[index]!);
        records[index] = make();
      }
      while (records.length > 10) {
        const index = pick.next().value % records.length;
        const last = records.pop()!;
        const chosen = records[index] ?? last;
        if (chosen !== last) records[index] = last;
        free(chosen);
      }
      while (records.length < live) records.push(make());
      expect(worstFree).toBeLessThanOrEqual(MOST_OF_FREE);
      expect(worstFree).toBeGreaterThan(0);
      expect(worstNew).toBeGreaterThan(0);
      // A slab that is made is searched for in the page heap's bitmap, a word for 64 pages: for its run, and before, for one
      // of guards; a word may be met as free and as used.
      const words = Math.ceil(runtime.stats().committedBytes / 65_536 / 64);
      expect(worstNew).toBeLessThanOrEqual(MOST_OF_NEW + 4 * words);
      pool.validate();
    }),
  );

  test("of finding a slab with room does not grow with the slabs that are full", () =>
    withRuntime({ debug: true }, (runtime) => {
      const pool = runtime.pool(Cell, { capacity: 100_000 });
      const cursor = pool.cursor();
      const records = fill(pool, 100_000, cursor);
      expect(pool.stats().slabs).toBeGreaterThan(30);
      for (let index = 0; index < records.length; index += 997) {
        expect(steps(runtime, () => pool.free(records[index]!))).toBeLessThanOrEqual(MOST_OF_FREE);
        expect(steps(runtime, () => pool.new(cursor))).toBeLessThanOrEqual(2);
        records[index] = cursor.ref();
        expect(steps(runtime, () => expect(() => pool.new(cursor)).toThrow())).toBeLessThanOrEqual(2);
      }
    }));

  /**
   * A walk looks once at each cell that was ever in use and once at each page. It is a step of the iterator that goes from
   * slab to slab over pages, so those are counted in all, and not for each step.
   */
  test.each([
    [1000, 1],
    [50_000, 1],
    [50_000, 100],
  ])("of an iteration over %i records, of which every %ith is left, is a look at each cell and page", (count, gap) =>
    withRuntime({ debug: true }, (runtime) => {
      const pool = runtime.pool(Cell, { capacity: count });
      const cursor = pool.cursor();
      fill(pool, count, cursor).forEach((each, index) => {
        if (index % gap > 0) pool.free(each);
      });
      const pages = runtime.stats().committedBytes / 65_536;
      let shown = 0;
      const taken = steps(runtime, () => {
        for (const _ of pool) shown++;
      });
      expect(shown).toBe(Math.ceil(count / gap));
      expect(taken).toBeGreaterThanOrEqual(count);
      expect(taken).toBeLessThanOrEqual(count + pages);
    }),
  );

  test("of a clear and a destroy is a look at each cell and page", () =>
    withRuntime({ debug: true }, (runtime) => {
      const pool = runtime.pool(Cell);
      const cursor = pool.cursor();
      for (const end of [() => pool.clear(), () => pool.destroy()]) {
        const count = 50_000;
        fill(pool, count, cursor);
        const pages = runtime.stats().committedBytes / 65_536;
        const taken = steps(runtime, end);
        expect(taken).toBeGreaterThanOrEqual(count);
        expect(taken).toBeLessThanOrEqual(count + 32 + 3 * pages);
      }
    }));
});
