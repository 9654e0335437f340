import {
  createRuntime,
  f64,
  InvalidArgumentError,
  LimitExceededError,
  type Pool,
  type Ref,
  type Runtime,
  ref,
  StaleReferenceError,
  struct,
  u32,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { shapes } from "../support/poolShapes.js";
import { modules, PAGE, withoutStacks, withRuntime } from "../support/runtimes.js";
import { code } from "../support/thrown.js";

withoutStacks();

const Cell = struct("Cell", { value: f64 });
type CellRef = Ref<(typeof Cell)["fields"]>;
const Other = struct("Other", { value: f64 });
const Node = struct("Node", { id: u32, next: ref("Node") });

const poolPages = (runtime: Runtime) => runtime.stats().bytesByOwner.pools / PAGE;

function fill(pool: Pool<(typeof Cell)["fields"]>, count: number): CellRef[] {
  return Array.from({ length: count }, () => pool.new());
}

describe.each(modules)("a pool of the $name module", ({ debug }) => {
  test("makes records that are zero, through a cursor or as refs, and frees them through either", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(Node);
      const cursor = pool.cursor();
      for (let round = 0; round < 3; round++) {
        expect(pool.new(cursor)).toBe(cursor);
        expect(cursor.toObject()).toEqual({ id: 0, next: null });
        cursor.id = 7;
        cursor.next = cursor;
        const made = pool.new();
        expect(cursor.next.id).toBe(7);
        expect([pool.count, pool.contains(cursor), pool.contains(made)]).toEqual([2, true, true]);
        pool.free(cursor);
        pool.free(made);
        expect([pool.count, pool.contains(cursor), pool.contains(made)]).toEqual([0, false, false]);
        for (const record of [cursor, made]) expect(() => pool.free(record)).toThrow(StaleReferenceError);
        pool.validate();
      }
      expect(pool.stats()).toMatchObject({ count: 0, fixed: false, retired: 0, slabs: 1, reservedBytes: PAGE });
    }));

  test("gives the last cells of a fixed capacity to cursors and to fresh refs alike", () =>
    withRuntime({ debug }, (runtime) => {
      for (const capacity of [1, 2, 31, 32, 33, 64, 65, 200]) {
        const pool = runtime.pool(Cell, { capacity });
        const cursor = pool.cursor();
        const made = [pool.new(cursor).ref()];
        while (made.length < capacity) made.push(made.length % 40 === 39 ? pool.new(cursor).ref() : pool.new());
        for (const attempt of [() => pool.new(), () => pool.new(cursor)]) {
          expect(attempt).toThrow(LimitExceededError);
          expect(attempt).toThrow(`all ${capacity} cells`);
        }
        expect(new Set(made.map(({ $address }) => $address)).size).toBe(capacity);
        expect(pool.stats()).toMatchObject({ count: capacity, capacity });
        pool.validate();
        pool.destroy();
      }
    }));

  test("gives the last cells of a fixed capacity also where a host has grown memory behind its back", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(Cell, { capacity: 40 });
      const cursor = pool.cursor();
      const made = [pool.new(cursor).ref()];
      while (made.length < 40) {
        runtime.memory.grow(1);
        made.push(made.length % 2 === 0 ? pool.new(cursor).ref() : pool.new());
        runtime.memory.grow(1);
        pool.free(made[0]!);
        made[0] = pool.new(cursor).ref();
      }
      expect(() => pool.new(cursor)).toThrow(LimitExceededError);
      runtime.memory.grow(1);
      expect([...pool].length).toBe(40);
      for (const each of made) {
        runtime.memory.grow(1);
        pool.free(each);
      }
      expect(pool.count).toBe(0);
      pool.validate();
    }));

  test("keeps what was reserved for it, whatever is freed or cleared", () =>
    withRuntime({ debug }, (runtime) => {
      const capacity = debug ? 10_000 : 20_000;
      const pool = runtime.pool(Cell, { capacity, grow: true });
      const pages = poolPages(runtime);
      const cells = pool.capacity;
      expect(cells).toBeGreaterThanOrEqual(capacity);
      for (const end of [
        () => pool.clear(),
        () => {
          for (const cursor of pool) pool.free(cursor);
        },
      ]) {
        fill(pool, capacity);
        end();
        pool.validate();
        expect([pool.count, pool.capacity, poolPages(runtime)]).toEqual([0, cells, pages]);
      }
      fill(pool, 3 * capacity);
      expect(poolPages(runtime)).toBeGreaterThan(2 * pages);
      pool.clear();
      expect([pool.capacity, poolPages(runtime)]).toEqual([cells, pages]);
      runtime.reserve(PAGE);
      runtime.seal();
      expect(fill(pool, capacity)).toHaveLength(capacity);
    }));

  test.each(shapes.map(({ type }) => [type.size, type] as const))(
    "of %i bytes does not take and give a slab in turn at its edge",
    (_, type) =>
      withRuntime({ debug }, (runtime) => {
        const pool = runtime.pool(type);
        const first = pool.capacity;
        for (let count = 0; count < first; count++) pool.new();
        const cursor = pool.cursor();
        pool.new(cursor);
        const pages = poolPages(runtime);
        for (let round = 0; round < 5; round++) {
          pool.free(cursor);
          expect(poolPages(runtime)).toBe(pages);
          pool.new(cursor);
          expect(poolPages(runtime)).toBe(pages);
        }
      }),
  );

  test("gives its memory back when its records are freed, but for some", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(Cell);
      const made = fill(pool, 5 * pool.capacity);
      expect(poolPages(runtime)).toBe(5);
      for (const each of made) pool.free(each);
      pool.validate();
      expect(poolPages(runtime)).toBeLessThanOrEqual(2);
      expect(pool.stats().reservedBytes).toBe(poolPages(runtime) * PAGE);
    }));

  test.each([
    [8, 5.5],
    [16, 5.5],
    [24, 5.5],
    [48, 6],
    [120, 7],
  ])("takes about four bytes for the generation of a cell of %i bytes", (size, most) =>
    withRuntime({ debug: false }, (runtime) => {
      const fields = Object.fromEntries(Array.from({ length: size / 8 }, (_, index) => [`value${index}`, f64]));
      const pool = runtime.pool(struct("Sized", fields), { capacity: 300_000 });
      expect(runtime.stats().bytesByOwner.guards / pool.capacity).toBeLessThan(most);
    }),
  );

  test("refuses what is no record of it, and changes nothing", async () => {
    using runtime = await createRuntime({ debug });
    using stranger = await createRuntime({ debug });
    const pool = runtime.pool(Cell);
    const kept = pool.new();
    const records: unknown[] = [
      runtime.pool(Cell).new(),
      runtime.arena().new(Cell),
      runtime.arena().array(Cell, 3).at(1),
      stranger.pool(Cell).new(),
      runtime.pool(Other).new(),
      runtime.framePool().acquire("small"),
      null,
      undefined,
      5,
      {},
      kept.$address,
    ];
    for (const record of records) {
      expect(() => pool.free(record as never)).toThrow(InvalidArgumentError);
      expect(pool.contains(record as never)).toBe(false);
    }
    const cursors: unknown[] = [stranger.cursor(Cell), runtime.cursor(Other), runtime.bytes(), null, 5, {}];
    for (const cursor of cursors) expect(() => pool.new(cursor as never)).toThrow(InvalidArgumentError);
    expect(() => pool.free(pool.cursor())).toThrow(StaleReferenceError);
    expect([pool.count, kept.isLive()]).toEqual([1, true]);
    pool.validate();
  });

  test.each<[unknown]>([
    [null],
    [5],
    [{ capacity: 0 }],
    [{ capacity: -1 }],
    [{ capacity: 1.5 }],
    [{ capacity: "5" }],
    [{ capacity: 2 ** 29 + 1 }],
    [{ grow: false }],
    [{ grow: 1 }],
    [{ destroy: 5 }],
  ])("is not made with options %j", (options) =>
    withRuntime({ debug }, (runtime) => {
      const before = runtime.stats();
      expect(() => runtime.pool(Cell, options as never)).toThrow(InvalidArgumentError);
      expect(() => runtime.pool(5 as never)).toThrow(InvalidArgumentError);
      expect(runtime.stats()).toEqual(before);
    }),
  );

  test("is of no use once it has been destroyed, or its runtime disposed of", async () => {
    using runtime = await createRuntime({ debug });
    const pools = [runtime.pool(Cell), runtime.pool(Cell, { capacity: 5 })];
    const records = pools.map((pool) => pool.new(pool.cursor()));
    const iterators = pools.map((pool) => pool[Symbol.iterator]());
    const spare = pools[0]!.cursor();
    for (const iterator of iterators) iterator.next();
    const assertGone = (pool: (typeof pools)[0], record: (typeof records)[0], index: number) => {
      const uses = [
        () => pool.new(),
        () => pool.new(spare),
        () => pool.free(record),
        () => pool.cursor(),
        () => pool.contains(record),
        () => pool.count,
        () => pool.capacity,
        () => pool.clear(),
        () => pool.stats(),
        () => pool.validate(),
        () => [...pool],
        () => iterators[index]!.next(),
      ];
      for (const use of uses) expect(use).toThrow(code("DISPOSED"));
      pool.destroy();
      pool[Symbol.dispose]();
      expect([pool.destroyed, record.isLive()]).toEqual([true, false]);
    };
    pools[0]!.destroy();
    assertGone(pools[0]!, records[0]!, 0);
    expect([pools[1]!.destroyed, records[1]!.isLive()]).toEqual([false, true]);
    expect(() => records[0]!.value).toThrow(StaleReferenceError);
    runtime.validate();
    runtime.dispose();
    pools.forEach((pool, index) => {
      assertGone(pool, records[index]!, index);
    });
  });

  test("can be iterated while records come and go, its own cursor freed and moved", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(Cell);
      const made = fill(pool, 1000);
      const shown: number[] = [];
      for (const cursor of pool) {
        shown.push(cursor.$address);
        pool.free(cursor);
        if (shown.length === 100) for (const each of made.slice(500)) pool.free(each);
      }
      expect(shown).toEqual(made.slice(0, 500).map(({ $address }) => $address));
      expect([...pool]).toEqual([]);
      const iterator = pool[Symbol.iterator]();
      pool.new();
      expect(iterator.next().done).toBe(false);
      expect(iterator.return!()).toEqual({ done: true, value: undefined });
      expect(iterator.next()).toEqual({ done: true, value: undefined });
    }));
});
