import {
  type Cursor,
  createRuntime,
  f64,
  type Pool,
  type Ref,
  type Runtime,
  ref,
  StaleReferenceError,
  struct,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { modules, PAGE, withoutStacks, withRuntime } from "../support/runtimes.js";

withoutStacks();

const Cell = struct("Cell", { value: f64, next: ref("Cell") });
const Large = struct("Large", { value: f64, next: ref("Large"), more: f64, most: f64 });
type Fields = (typeof Cell)["fields"];

const CELLS = 20_000;

/** Every use of what has ended is refused, with the numbers that say why, and leaves everything as it is. */
function assertStale(runtime: Runtime, record: Ref<Fields>, generation: number, pool?: Pool<Fields>): void {
  const { u32 } = runtime.$memory;
  const message =
    `the record at ${record.$address} has ended: its guard at ${record.$guard * 4} shows generation ` +
    `${u32[record.$guard]}, the reference was made in generation ${generation}`;
  const stale = new StaleReferenceError(message);
  const cursor = runtime.cursor(Cell);
  const at: Cursor<Fields> & { value: number } = Object.assign(runtime.cursor(Cell));
  Object.assign(at, { $address: record.$address, $guard: record.$guard, $generation: record.$generation });
  expect(u32[record.$guard]).toBeGreaterThan(generation);
  expect([record.isLive(), at.isLive()]).toEqual([false, false]);
  expect(() => cursor.moveTo(record)).toThrow(stale);
  expect(() => at.value).toThrow(stale);
  expect(() => {
    at.value = 5;
  }).toThrow(stale);
  expect(() => at.ref()).toThrow(stale);
  expect(() => at.toObject()).toThrow(stale);
  if (pool === undefined) return;
  const { count } = pool;
  for (const each of [record, at]) {
    expect(() => pool.free(each)).toThrow(stale);
    expect(pool.contains(each)).toBe(false);
  }
  expect(pool.count).toBe(count);
}

const fill = (pool: Pool<Fields>) => Array.from({ length: CELLS }, () => pool.new());

/** Ways in which the pages of a pool come to belong to somebody else, and are written over. */
const successors: [string, (runtime: Runtime) => void][] = [
  [
    "an arena",
    (runtime) =>
      runtime
        .arena()
        .bytes(30 * PAGE)
        .view()
        .fill(0xff),
  ],
  [
    "a byte heap",
    (runtime) => {
      const bytes = 30 * PAGE;
      const address = runtime.byteHeap().allocate(bytes);
      runtime.$memory.u8.fill(1, address, address + bytes);
    },
  ],
  ["a pool of another struct", (runtime) => void runtime.pool(Large, { capacity: CELLS }).new()],
  ["a pool of the same struct, which takes its generations too", (runtime) => void fill(runtime.pool(Cell))],
];

describe.each(modules)("a ref to what was a record of a pool, $name module", ({ debug }) => {
  test("is stale after the free, and after its cell has gone to another, as often as that may be", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(Cell);
      const ended: Ref<Fields>[] = [];
      for (let round = 0; round < 20; round++) {
        const made = pool.new();
        expect(made.$generation).toBe(2 * round + 1);
        expect(made.$address).toBe(ended[0]?.$address ?? made.$address);
        for (const [index, each] of ended.entries()) assertStale(runtime, each, 2 * index + 1, pool);
        expect(pool.contains(made)).toBe(true);
        pool.free(made);
        ended.push(made);
        assertStale(runtime, made, 2 * round + 1, pool);
      }
    }));

  test("is stale in every field that holds it", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(Cell);
      const cursor = pool.new(pool.cursor());
      const target = pool.new();
      cursor.next = pool.cursor().moveTo(target);
      pool.free(target);
      for (let round = 0; round < 3; round++) {
        const walker = pool.cursor().moveTo(cursor);
        expect(() => walker.follow("next")).toThrow(StaleReferenceError);
        expect(() => cursor.next!.value).toThrow(StaleReferenceError);
        expect(cursor.toObject().next!.isLive()).toBe(false);
        pool.new(walker);
      }
    }));

  test.each([
    ["frees", (pool: Pool<Fields>, made: Ref<Fields>[]) => made.forEach((each) => void pool.free(each))],
    ["a clear", (pool: Pool<Fields>) => pool.clear()],
    ["the destroy of the pool", (pool: Pool<Fields>) => pool.destroy()],
  ])("is stale after %s, whoever takes the pages", async (_, end) => {
    for (const [name, succeed] of successors) {
      using runtime = await createRuntime({ debug });
      const pool = runtime.pool(Cell);
      const made = fill(pool);
      const before = runtime.stats().bytesByOwner.pools;
      end(pool, made);
      if (!pool.destroyed) pool.validate();
      expect(runtime.stats().bytesByOwner.pools).toBeLessThanOrEqual(before / 3);
      const { committedBytes } = runtime.stats();
      succeed(runtime);
      if (name.includes("same")) expect(runtime.stats().committedBytes).toBe(committedBytes);
      for (let index = 0; index < CELLS; index += 37) {
        if (made[index]!.isLive()) expect([name, index]).toEqual([name, "stale"]);
        if (index % 370 === 0) assertStale(runtime, made[index]!, 1, pool.destroyed ? undefined : pool);
      }
      if (!pool.destroyed) pool.validate();
      runtime.validate();
    }
  });

  test("is stale when another pool has its cell and its guard: both took over what the first gave back", () =>
    withRuntime({ debug }, (runtime) => {
      const first = runtime.pool(Cell);
      const made = fill(first);
      first.destroy();
      const second = runtime.pool(Cell);
      const again = fill(second);
      const places = new Set(made.map(({ $address, $guard }) => `${$address} ${$guard}`));
      const shared = again.filter(({ $address, $guard }) => places.has(`${$address} ${$guard}`));
      expect(shared.length).toBeGreaterThan(1000); // otherwise this tests nothing
      for (const each of made) if (each.isLive()) expect.fail(`${each.$address} has come to life`);
      for (const each of again) if (!second.contains(each)) expect.fail(`${each.$address} has ended`);
      for (const each of made.slice(0, 50)) assertStale(runtime, each, 1, second);
    }));
});
