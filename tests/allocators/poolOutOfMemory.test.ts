import {
  type FramePool,
  f64,
  OutOfMemoryError,
  type Pool,
  type PoolOptions,
  type Ref,
  type Runtime,
  struct,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { type ModelFields, shapes } from "../support/poolShapes.js";
import { modules, Owner, PAGE, withoutStacks, withRuntime } from "../support/runtimes.js";

withoutStacks();

const options: PoolOptions<ModelFields>[] = [{}, { capacity: 3 }, { capacity: 40, grow: true }];
const cases = shapes.flatMap(({ type }) =>
  options.map((each) => ({ size: type.size, type, options: each, described: JSON.stringify(each) })),
);

/** The pages in use, without those of guards, which are kept for good. */
const inUse = (runtime: Runtime) => {
  const { usedBytes, bytesByOwner } = runtime.stats();
  return (usedBytes - bytesByOwner.guards) / PAGE;
};
const refuse = (runtime: Runtime, after: number) => runtime.$memory.setRootWord("ROOT_REFUSE_AFTER", after);

/** True if the call has come through, false if memory was out: then with the typed error. */
function comesThrough(call: () => unknown): boolean {
  try {
    call();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect((error as Error).message).toMatch(/\d+ pages \(\d+ bytes\) were needed/);
    return false;
  }
}

describe("a pool of the debug module, whose requests for pages are refused one by one", () => {
  test.each(cases)("is made of cells of $size bytes with $described, or nothing has changed", ({ type, options }) =>
    withRuntime({ debug: true }, (runtime) => {
      runtime.reserve(200 * PAGE);
      const before = inUse(runtime);
      for (let after = 1, made = false; !made; after++) {
        refuse(runtime, after);
        made = comesThrough(() => runtime.pool(type, options).destroy());
        if (after === 1) expect(made).toBe(false);
        refuse(runtime, 0);
        expect([inUse(runtime), runtime.leaks()]).toEqual([before, []]);
        runtime.validate();
      }
      const { guards } = runtime.stats().bytesByOwner;
      for (let round = 0; round < 3; round++) runtime.pool(type, options).destroy();
      expect([inUse(runtime), runtime.stats().bytesByOwner.guards]).toEqual([before, guards]);
    }),
  );

  test.each(shapes.map(({ type }) => [type.size, type] as const))(
    "of %i bytes grows, or nothing has changed",
    (_, type) =>
      withRuntime({ debug: true }, (runtime) => {
        const pool = runtime.pool(type);
        const cursor = pool.cursor();
        const live: Ref<ModelFields>[] = [];
        while (live.length < pool.capacity) live.push(pool.new());
        const kept = pool.cursor().moveTo(live.at(-1)!);
        kept.value = 5;
        let refusals = 0;
        for (let after = 1, made = false; !made; after++) {
          const before = [pool.stats(), inUse(runtime)];
          refuse(runtime, after);
          made = comesThrough(() => pool.new(cursor));
          refuse(runtime, 0);
          if (made) break;
          refusals++;
          expect([pool.stats(), inUse(runtime)]).toEqual(before);
          expect([kept.value, cursor.isLive()]).toEqual([5, false]);
          pool.validate();
          runtime.validate();
        }
        expect(refusals).toBeGreaterThan(0);
        pool.validate();
        pool.free(cursor);
        for (const each of live) pool.free(each);
        pool.destroy();
        expect(runtime.stats().bytesByOwner.pools).toBe(0);
      }),
  );

  test("has frames of each size, or nothing has changed", () =>
    withRuntime({ debug: true }, (runtime) => {
      const frames = runtime.framePool();
      for (const size of ["small", "medium", "large"] as const) {
        for (let after = 1, made = false; !made; after++) {
          const before = [frames.stats(), inUse(runtime)];
          refuse(runtime, after);
          made = comesThrough(() => frames.acquire(size));
          refuse(runtime, 0);
          if (!made) expect([frames.stats(), inUse(runtime)]).toEqual(before);
          frames.validate();
        }
        expect(frames.stats().inUse[size]).toBe(1);
      }
    }));
});

describe.each(modules)("in a memory that is too small, a pool of the $name module", ({ debug }) => {
  test.each(cases)(
    "of $size bytes with $described takes all there is, loses none, and gives it back",
    ({ type, options }) =>
      withRuntime({ debug, maximumBytes: 3 * PAGE }, async () => {
        for (const pages of [2, 3, 4, 5, 8, 13, 14, 23]) {
          // Slow, and nothing that larger cells and the release module do not show.
          if ((pages > 8 && type.size < 24) || (pages > 14 && debug)) continue;
          await withRuntime({ debug, maximumBytes: pages * PAGE, initialBytes: PAGE }, (runtime) => {
            const before = inUse(runtime);
            let pool: Pool<ModelFields> | undefined;
            if (
              !comesThrough(() => {
                pool = runtime.pool(type, options);
              })
            ) {
              expect(inUse(runtime)).toBe(before);
              runtime.validate();
              return;
            }
            exhaustAndGiveBack(runtime, pool!);
            pool!.destroy();
            expect(inUse(runtime)).toBe(before);
            expect(comesThrough(() => runtime.pool(type, options))).toBe(true);
            runtime.validate();
          });
        }
      }),
  );

  test("of frames takes all there is, and gives it back", () =>
    withRuntime({ debug, maximumBytes: 20 * PAGE, initialBytes: PAGE }, (runtime) => {
      const frames: FramePool = runtime.framePool();
      let peak = 0;
      for (let round = 0; round < 4; round++) {
        const taken: ReturnType<FramePool["acquire"]>[] = [];
        const sizes = ["large", "medium", "small"] as const;
        for (const size of sizes) while (comesThrough(() => taken.push(frames.acquire(size))));
        expect(taken.length).toBeGreaterThan(50);
        if (round === 0) peak = taken.length;
        expect(taken.length).toBeGreaterThanOrEqual(peak);
        for (const each of taken) frames.release(each);
        frames.validate();
      }
      frames.destroy();
      expect(runtime.stats().bytesByOwner.pools).toBe(0);
      runtime.validate();
    }));
});

/** Fills a pool three times until nothing more can be had, and frees everything each time in another way. */
function exhaustAndGiveBack(runtime: Runtime, pool: Pool<ModelFields>): void {
  const cursor = pool.cursor();
  const { fixed } = pool.stats();
  let most = 0;
  for (let round = 0; round < 3; round++) {
    const live: Ref<ModelFields>[] = [];
    for (;;) {
      if (fixed && live.length === pool.capacity) break;
      const done = !comesThrough(() => {
        live.push(round === 1 ? pool.new() : pool.new(cursor).ref());
        cursor.moveTo(live.at(-1)!).value = live.length;
      });
      if (done) break;
    }
    expect(pool.count).toBe(live.length);
    if (round === 0) most = live.length;
    expect(live.length).toBe(most);
    live.forEach((each, index) => {
      if (cursor.moveTo(each).value !== index + 1) expect(cursor.value).toBe(index + 1);
    });
    const before = [pool.stats(), runtime.stats()];
    if (!fixed) expect([comesThrough(() => pool.new()), comesThrough(() => pool.new(cursor))]).toEqual([false, false]);
    expect([pool.stats(), runtime.stats()]).toEqual(before);
    if (round === 2) pool.clear();
    else for (const each of live) pool.free(each);
    expect(pool.count).toBe(0);
  }
}

test("the first pool of a memory with one page left is refused with what it needs, a page of guards included, and takes nothing", () =>
  withRuntime({ initialBytes: 6 * PAGE, maximumBytes: 6 * PAGE }, (runtime) => {
    while (runtime.stats().freeBytes > PAGE) runtime.$memory.exports.allocatePages(1, Owner.SCRATCH);
    const before = runtime.stats();
    expect(() => runtime.pool(struct("Point", { x: f64 }))).toThrow(/making a pool of cells of 8 bytes: 2 pages/);
    expect(runtime.stats()).toEqual(before);
  }));
