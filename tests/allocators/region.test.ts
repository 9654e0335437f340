import fc from "fast-check";
import { type CursorOf, createRuntime, f64, type Region, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { MEBIBYTE, modules, PAGE, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";
import { code } from "../support/thrown.js";

const Cell = struct("Cell", { value: f64 });

const operation = fc.record({
  type: fc.constantFrom(
    "lease",
    "lease",
    "end",
    "end",
    "new",
    "new",
    "new",
    "bytes",
    "child",
    "mark",
    "aligned",
    "stats",
  ),
  pick: fc.nat({ max: 3 }),
  size: fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 1, max: 200 }) },
    { weight: 1, arbitrary: fc.integer({ min: 200, max: 20_000 }) },
    { weight: 1, arbitrary: fc.constantFrom(300_000, 700_000) },
  ),
});

describe.each(modules)("a pool of regions, $name module", ({ debug }) => {
  test("keeps regions apart, empty when leased and stale when ended, whatever is done with them", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 400, size: "max" }), async (operations) => {
        const runtime = await createRuntime({ debug, maximumBytes: 32 * MEBIBYTE, initialBytes: 2 * PAGE });
        const pool = runtime.regionPool();
        const regions = Array.from({ length: 4 }, () => ({
          region: pool.createRegion(),
          leased: false,
          used: 0,
          cells: [] as { cell: CursorOf<(typeof Cell)["fields"]>; value: number }[],
        }));
        const ended: CursorOf<(typeof Cell)["fields"]>[] = [];
        let most = 0;
        let stamp = 0;
        for (const { type, pick, size } of operations) {
          const each = regions[pick]!;
          const { region } = each;
          if (type === "lease") {
            if (each.leased) continue;
            pool.lease(region, size > 1000 ? size : 0);
            each.leased = true;
            most = Math.max(most, regions.filter(({ leased }) => leased).length);
          } else if (type === "end") {
            expect(pool.end(region)).toBe(each.used);
            for (const { cell } of each.cells.splice(0)) ended.push(cell);
            each.leased = false;
            each.used = 0;
          } else if (!each.leased) {
            expect(() => region.new(Cell)).toThrow(code("REGION_ENDED"));
          } else if (type === "new") {
            const cell = region.new(Cell);
            if (cell.value !== 0) expect(cell.value).toBe(0);
            cell.value = ++stamp;
            each.cells.push({ cell, value: stamp });
            each.used += 8;
          } else if (type === "bytes") {
            const bytes = region.bytes(size);
            if (bytes.get(0) !== 0 || bytes.get(size - 1) !== 0)
              expect(bytes.toUint8Array()).toEqual(new Uint8Array(size));
            bytes.view().fill(0xee);
            each.used += Math.ceil(size / 8) * 8;
          } else if (type === "child") {
            const cell = region.arena().new(Cell);
            cell.value = ++stamp;
            each.cells.push({ cell, value: stamp });
          } else if (type === "mark") {
            region.mark();
            each.used += 32;
          } else if (type === "aligned") {
            const address = region.allocate(8, 16);
            expect(address % 16).toBe(0);
            const { used } = region.stats();
            expect(used - each.used).toBeLessThanOrEqual(16);
            each.used = used;
          } else {
            expect(region.stats().used).toBe(each.used);
          }
          for (const { cell, value } of each.cells) if (cell.value !== value) expect(cell.value).toBe(value);
          for (const cell of ended.slice(-5)) expect(cell.isLive()).toBe(false);
          expect([pool.leased, pool.size]).toEqual([regions.filter(({ leased }) => leased).length, most]);
        }
        for (const { region } of regions) pool.end(region);
        pool.dispose();
        expect(ended.some((cell) => cell.isLive())).toBe(false);
        expect(runtime.stats().bytesByOwner.arenas).toBe(0);
        expect(runtime.$memory.rootWord("ROOT_GUARDS_LIVE")).toBe(0);
        runtime.validate();
        runtime.dispose();
      }),
      { numRuns: scaled(100) },
    );
  });

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

  test("gives arenas back that a burst of events needed, once many quiet ones have passed", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool();
      const regions = Array.from({ length: 100 }, () => pool.createRegion());
      for (const region of regions) pool.lease(region, 0);
      for (const region of regions) pool.end(region);
      expect(pool.size).toBeGreaterThan(90);
      const [quiet] = regions as [Region];
      const sizes: number[] = [];
      for (let round = 0; round < 200; round++) {
        for (let event = 0; event < 64; event++) {
          pool.lease(quiet, 0);
          pool.end(quiet);
        }
        sizes.push(pool.size);
      }
      expect(sizes[10]).toBeGreaterThan(80); // one in a round at the most
      expect(sizes[40]).toBeLessThan(65);
      expect(sizes.at(-1)).toBeLessThan(3);
    }));

  test("with a limit reserves no more than that, whatever is hinted", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool({ maximumBytes: 1000 });
      const region = pool.createRegion();
      pool.lease(region, 1 << 20);
      expect(region.stats().reserved).toBeLessThan(10_000);
      expect(region.allocate(1000)).toBeGreaterThan(0);
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

  test("keeps for the next event what was reserved for one that then needed less", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      pool.lease(region, 0);
      pool.end(region);
      pool.lease(region, 700_000);
      region.allocate(1000);
      pool.end(region);
      pool.lease(region, 0);
      expect(region.stats().reserved).toBeGreaterThanOrEqual(700_000);
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
        // Those that are leased elsewhere keep what they have.
        const elsewhere = runtime.regionPool();
        const foreign = elsewhere.createRegion();
        elsewhere.lease(foreign, 0);
        const kept = foreign.new(Cell);
        const arena = runtime.arena();
        const own = arena.new(Cell);
        expect(() => pool.end(foreign)).toThrow(invalid);
        expect(() => pool.end(arena as unknown as Region)).toThrow(invalid);
        expect([kept.isLive(), own.isLive()]).toEqual([true, true]);
        const idle = pool.createRegion();
        for (const hint of [-1, 1.5, Number.NaN, Infinity, 2 ** 32, "5", null, undefined, 5n, {}]) {
          expect(() => pool.lease(idle, hint as number)).toThrow(invalid);
        }
        expect([pool.leased, pool.size, cell.isLive(), idle.ended]).toEqual([1, 1, true, true]);
        pool.end(region);
        expect([pool.leased, pool.size]).toEqual([0, 1]);
      }),
    ));

  test("gives all back when it is disposed of, what is leased when that ends, small as it may be", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool();
      const [idle, small, large] = [pool.createRegion(), pool.createRegion(), pool.createRegion()];
      for (const region of [idle, small, large]) pool.lease(region, 0);
      pool.end(idle);
      small.new(Cell).value = 1;
      large.bytes(PAGE);
      pool[Symbol.dispose]();
      pool.dispose();
      expect([pool.leased, pool.size]).toEqual([2, 2]);
      expect([pool.end(small), pool.end(large)]).toEqual([8, PAGE]);
      expect([pool.leased, pool.size]).toEqual([0, 0]);
      expect(runtime.$memory.rootWord("ROOT_GUARDS_LIVE")).toBe(0);
      expect(runtime.stats().bytesByOwner.arenas).toBe(0);
      runtime.validate();
    }));

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

  test("gives a region another guard in time, however small its events are", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      pool.lease(region, 0);
      const { i32, u32 } = runtime.$memory;
      const guard = u32[(region.address + 8) >>> 2]!;
      i32[guard >>> 2] = -8;
      pool.end(region);
      pool.lease(region, 0);
      const cells: CursorOf<(typeof Cell)["fields"]>[] = [];
      for (let event = 0; event < 12; event++) {
        const cell = region.new(Cell);
        expect([cell.value, cell.isLive()]).toEqual([0, true]);
        cell.value = 1;
        cells.push(cell);
        pool.end(region);
        expect(cells.filter((each) => each.isLive())).toEqual([]);
        pool.lease(region, 0);
      }
      expect(i32[guard >>> 2]).toBe(-1);
      expect(u32[(region.address + 8) >>> 2]).not.toBe(guard);
    }));

  test("takes a region's arena out of use when its guard is at its end and memory has none left", () =>
    withRuntime({ debug, maximumBytes: 4 * PAGE, initialBytes: 4 * PAGE }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      pool.lease(region, 0);
      const { u32 } = runtime.$memory;
      const guard = u32[(region.address + 8) >>> 2]!;
      u32[guard >>> 2] = 2 ** 32 - 2;
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

test("a pool of regions says whose options are no object", () =>
  withRuntime({}, (runtime) => {
    expect(() => runtime.regionPool(5 as never)).toThrow(
      "the options argument of a region pool must be an object, but is 5",
    );
  }));

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
