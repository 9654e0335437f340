import { LimitExceededError, type Ref, type Runtime, SealedError } from "tidemark";
import { describe, expect, test } from "vitest";
import { type ModelFields, type ModelStruct, shapes } from "../support/poolShapes.js";
import { MEBIBYTE, modules, PAGE, withoutStacks, withRuntime } from "../support/runtimes.js";

withoutStacks();

const cases = shapes.flatMap(({ type, most }) =>
  [1, Math.ceil(most / 7), Math.ceil(most / 2)].map((capacity) => [capacity, type.size, type] as const),
);

/** An owner of pages. */
const SCRATCH = 7;

/** Uses up every page that is committed and free; returns the last. */
function exhaust(runtime: Runtime): number {
  const { exports } = runtime.$memory;
  let last = 0;
  for (let page = 0; ; last = page) {
    page = exports.allocatePages(1, SCRATCH) >>> 0;
    if (page === 0) return last;
  }
}

/** What a pool that takes nothing leaves as it is. */
const taken = (runtime: Runtime) => {
  const { committedBytes, usedBytes, growths, bytesByOwner } = runtime.stats();
  return { committedBytes, usedBytes, growths, bytesByOwner };
};

describe.each(modules)("a pool of fixed capacity, $name module", ({ debug }) => {
  test.each(cases)("works in a sealed runtime for all of its %i records of %i bytes, and takes nothing", (...row) =>
    withRuntime({ debug, initialBytes: 16 * MEBIBYTE }, (runtime) => {
      const [capacity, , type] = row as [number, number, ModelStruct];
      const pool = runtime.pool(type, { capacity });
      const cursor = pool.cursor();
      const before = taken(runtime);
      expect(before.growths).toBe(0);
      runtime.seal();
      exhaust(runtime);
      const sealed = taken(runtime);
      for (let round = 0; round < 3; round++) {
        const made: Ref<ModelFields>[] = [];
        while (made.length < capacity) {
          made.push(made.length % 3 === 0 ? pool.new() : pool.new(cursor).ref());
          cursor.moveTo(made.at(-1)!).value = made.length;
        }
        for (const attempt of [() => pool.new(), () => pool.new(cursor)]) {
          expect(attempt).toThrow(LimitExceededError);
          expect(attempt).toThrow(`new ${type.name}: all ${capacity} cells of the pool are in use`);
        }
        made.forEach((each, index) => {
          if (cursor.moveTo(each).value !== index + 1) expect(cursor.value).toBe(index + 1);
        });
        const victim = made[(capacity * (round + 1)) >>> 2]!;
        pool.free(victim);
        const next = pool.new(cursor).ref();
        expect([next.$address, next.$generation]).toEqual([victim.$address, victim.$generation + 2]);
        expect(() => pool.new(cursor)).toThrow(LimitExceededError);
        expect(pool.stats()).toMatchObject({ count: capacity, capacity, fixed: true });
        if (round === 0) pool.clear();
        else for (const each of made) pool.free(each === victim ? next : each);
        expect(pool.stats()).toMatchObject({ count: 0, capacity });
      }
      expect(taken(runtime)).toEqual(sealed);
    }),
  );

  test("is refused in a sealed runtime without room for it, and a pool that grows cannot grow there", () =>
    withRuntime({ debug, initialBytes: 8 * PAGE }, (runtime) => {
      const { type } = shapes[0]!;
      const pool = runtime.pool(type);
      runtime.seal();
      expect(() => runtime.pool(type, { capacity: 100_000 })).toThrow(SealedError);
      const spare = exhaust(runtime);
      const before = taken(runtime);
      const cursor = pool.cursor();
      while (pool.count < pool.capacity) pool.new(cursor);
      for (let round = 0; round < 3; round++) {
        expect(() => pool.new(cursor)).toThrow(SealedError);
        expect(() => pool.new()).toThrow(SealedError);
      }
      expect(cursor.isLive()).toBe(true);
      expect(pool.count).toBe(pool.capacity);
      pool.free(cursor);
      pool.new(cursor);
      expect(taken(runtime)).toEqual(before);
      runtime.validate();
      // The guards that each attempt took and gave back serve when a page can be had: there is no second one for others.
      const { exports } = runtime.$memory;
      expect(exports.freePages(spare, SCRATCH)).toBe(1);
      pool.new(cursor);
      expect(pool.stats().slabs).toBe(2);
    }));
});
