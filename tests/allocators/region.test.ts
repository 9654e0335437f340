import { f64, type Region, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { MEBIBYTE, modules, PAGE, withRuntime } from "../support/runtimes.js";

const Cell = struct("Cell", { value: f64 });
const code = (name: string) => expect.objectContaining({ code: `ERR_TIDEMARK_${name}` });

describe.each(modules)("a pool of regions, $name module", ({ debug }) => {
  test("leases an empty arena, and takes it back with all that was in it", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      expect(region.ended).toBe(true);
      const cells = [];
      for (let event = 0; event < 100; event++) {
        pool.lease(region, 0);
        expect(region.stats()).toMatchObject({ used: 0, children: 0, marks: 0 });
        const cell = region.new(Cell);
        expect(cell.value).toBe(0);
        cell.value = event;
        cells.push(cell);
        const child = region.arena();
        cells.push(child.new(Cell));
        region.mark();
        expect(pool.end(region)).toBe(8 + 32);
        expect([region.ended, child.destroyed]).toEqual([true, true]);
        expect(cells.filter((cell) => cell.isLive())).toEqual([]);
      }
      expect([pool.leased, pool.size]).toEqual([0, 1]);
      expect(pool.end(region)).toBe(0);
      runtime.validate();
    }));

  test("holds as many arenas as were ever leased at once, and gives them back when it is disposed", () =>
    withRuntime({ debug }, (runtime) => {
      runtime.arena().destroy();
      const before = runtime.stats();
      const pool = runtime.regionPool();
      const regions = Array.from({ length: 20 }, () => pool.createRegion());
      for (let round = 0; round < 3; round++) {
        for (const region of regions) {
          pool.lease(region, 0);
          for (let index = 0; index < 3000; index++) region.new(Cell);
        }
        expect([pool.leased, pool.size]).toEqual([20, 20]);
        for (const region of regions) pool.end(region);
        expect([pool.leased, pool.size]).toEqual([0, 20]);
      }
      const [late] = regions as [Region];
      pool.lease(late, 0);
      pool.dispose();
      pool.dispose();
      const cell = late.new(Cell);
      cell.value = 5;
      expect(cell.value).toBe(5);
      expect(() => pool.lease(regions[1]!, 0)).toThrow(code("DISPOSED"));
      expect(pool.end(late)).toBe(8);
      expect(cell.isLive()).toBe(false);
      expect([pool.leased, pool.size]).toEqual([0, 0]);
      expect(runtime.stats().bytesByOwner).toEqual(before.bytesByOwner);
    }));

  test("reserves what is hinted, once, so that the event takes no pages of its own", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      pool.lease(region, 0);
      pool.end(region);
      const hint = 700_000;
      for (let event = 0; event < 3; event++) {
        pool.lease(region, hint);
        const { reserved } = region.stats();
        expect(reserved).toBeGreaterThanOrEqual(hint);
        const pages = runtime.stats().bytesByOwner.arenas;
        for (let taken = 0; taken < hint; taken += 1000) region.allocate(1000);
        expect(runtime.stats().bytesByOwner.arenas).toBe(pages);
        pool.end(region);
      }
      // Where some blocks are there already, only what is missing is reserved.
      pool.lease(region, 1_200_000);
      expect(region.stats().reserved).toBeGreaterThanOrEqual(1_200_000);
      expect(region.stats().reserved).toBeLessThan(1_200_000 + 8 * PAGE);
    }));

  test("leases without the hint where memory cannot meet it", () =>
    withRuntime({ debug, maximumBytes: 8 * PAGE, initialBytes: PAGE }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      for (let event = 0; event < 3; event++) {
        pool.lease(region, 600_000);
        region.new(Cell).value = 1;
        pool.end(region);
      }
      expect(pool.size).toBe(1);
    }));

  test("refuses regions of others, leased ones and hints that are no sizes, and changes nothing", () =>
    withRuntime({ debug }, (runtime) =>
      withRuntime({ debug }, (other) => {
        const pool = runtime.regionPool();
        const region = pool.createRegion();
        pool.lease(region, 0);
        const cell = region.new(Cell);
        const invalid = code("INVALID_ARGUMENT");
        expect(() => pool.lease(region, 0)).toThrow(invalid);
        const strangers: unknown[] = [
          runtime.regionPool().createRegion(),
          other.regionPool().createRegion(),
          runtime.arena(),
          {},
          null,
          undefined,
          5,
        ];
        for (const stranger of strangers) {
          expect(() => pool.lease(stranger as Region, 0)).toThrow(invalid);
          expect(() => pool.end(stranger as Region)).toThrow(invalid);
        }
        const idle = pool.createRegion();
        for (const hint of [-1, 1.5, Number.NaN, Infinity, 2 ** 32, "5", null, undefined, 5n, {}]) {
          expect(() => pool.lease(idle, hint as number)).toThrow(invalid);
        }
        expect([pool.leased, pool.size, cell.isLive(), idle.ended]).toEqual([1, 1, true, true]);
        pool.end(region);
        expect([pool.leased, pool.size]).toEqual([0, 1]);
      }),
    ));

  test("keeps to the byte limit that its regions were given", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool({ maximumBytes: 1000 });
      const region = pool.createRegion();
      for (let event = 0; event < 3; event++) {
        pool.lease(region, MEBIBYTE);
        region.bytes(1000);
        expect(() => region.bytes(1)).toThrow(code("LIMIT_EXCEEDED"));
        expect(region.stats()).toMatchObject({ used: 1000, maximumBytes: 1000 });
        expect(pool.end(region)).toBe(1000);
      }
    }));

  test("takes a region's arena out of use when its guard is at its end and memory has none left", () =>
    withRuntime({ debug, maximumBytes: 4 * PAGE, initialBytes: 4 * PAGE }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      pool.lease(region, 0);
      const { u32 } = runtime.$memory;
      const guard = u32[(region.address + 8) >>> 2]!;
      u32[guard >>> 2] = u32[(region.address + 12) >>> 2] = 2 ** 32 - 2;
      const cell = region.new(Cell);
      // Marks take a guard each: until there is none.
      const eater = runtime.arena();
      expect(() => {
        for (;;) eater.mark();
      }).toThrow(code("OUT_OF_MEMORY"));
      while (runtime.$memory.exports.allocatePages(1, 7) !== 0);
      pool.end(region);
      expect([cell.isLive(), region.ended, pool.leased]).toEqual([false, true, 0]);
      eater.destroy();
      pool.lease(region, 0);
      expect(region.new(Cell).value).toBe(0);
      expect(cell.isLive()).toBe(false);
      runtime.validate();
    }));
});

test("a region is refused after the runtime's dispose, and ending it is quiet", async () => {
  await withRuntime({}, (runtime) => {
    const pool = runtime.regionPool();
    const region = pool.createRegion();
    pool.lease(region, 0);
    runtime.dispose();
    expect(() => region.new(Cell)).toThrow(code("DISPOSED"));
    expect(() => pool.lease(pool.createRegion(), 0)).toThrow(code("DISPOSED"));
    expect(pool.end(region)).toBe(0);
    expect(pool.leased).toBe(0);
    pool.dispose();
    expect(() => region.new(Cell)).toThrow(code("DISPOSED"));
  });
});
