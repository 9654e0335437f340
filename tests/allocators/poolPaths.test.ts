import fc from "fast-check";
import { type CursorOf, createRuntime, f64, type Pool, type Ref, type Runtime, struct } from "tidemark";
import { beforeAll, describe, expect, test } from "vitest";
import { compileGuest } from "../support/guest.js";
import { modules, PAGE, withoutStacks } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

withoutStacks();

const Cell = struct("Cell", { value: f64, other: f64 });
type Fields = (typeof Cell)["fields"];

/** Where the header of a slab names its pool. */
const SLAB_POOL = 8;

/** What works on a pool: the exports of the module, or of a guest. */
interface PoolCalls {
  poolAllocate(pool: number): number;
  poolFree(pool: number, cell: number): number;
}

/** Where a pool lies, which its first record tells: its slab names it. */
function addressOf(runtime: Runtime, pool: Pool<Fields>): number {
  const record = pool.new();
  const page = record.$address & ~(PAGE - 1);
  const address = runtime.$memory.u32[(page + SLAB_POOL) >>> 2]!;
  pool.free(record);
  pool.validate(); // which gives back the cells that TypeScript holds
  return address;
}

/** A place in the pool and its generation. */
interface Place {
  readonly address: number;
  readonly generation: number;
}

/** One way to work on a pool. */
interface Way {
  make(): Place | undefined;
  free(place: Place): void;
}

/** Through the pool itself. */
function own(pool: Pool<Fields>, byCursor: boolean): Way {
  const records = new Map<number, Ref<Fields>>();
  const cursor: CursorOf<Fields> = pool.cursor();
  const { fixed } = pool.stats();
  return {
    make() {
      if (fixed && pool.count === pool.capacity) {
        expect(() => pool.new(cursor)).toThrow(`all ${pool.capacity} cells`);
        return undefined;
      }
      const record = byCursor ? pool.new(cursor).ref() : pool.new();
      expect(cursor.moveTo(record).toObject()).toEqual({ value: 0, other: 0 });
      cursor.assign({ value: -1, other: -1 });
      records.set(record.$address, record);
      return { address: record.$address, generation: record.$generation };
    },
    free({ address }) {
      const record = records.get(address)!;
      pool.free(byCursor ? cursor.moveTo(record) : record);
    },
  };
}

/** Through calls into wasm. */
function direct(runtime: Runtime, calls: PoolCalls, pool: number): Way {
  const memory = runtime.$memory;
  const guardOf = () => memory.u32[(pool + memory.exports.POOL_GUARD!.value) >>> 2]! >>> 2;
  return {
    make() {
      const address = calls.poolAllocate(pool) >>> 0;
      if (address === 0) return undefined;
      expect([...memory.f64.subarray(address / 8, address / 8 + 2)]).toEqual([0, 0]);
      memory.f64.fill(-1, address / 8, address / 8 + 2);
      return { address, generation: memory.u32[guardOf()]! };
    },
    free({ address }) {
      expect(calls.poolFree(pool, address)).toBe(1);
      expect(calls.poolFree(pool, address)).toBe(0);
    },
  };
}

const step = fc.record({ type: fc.constantFrom("make", "make", "makeMany", "free", "freeMany"), pick: fc.nat() });
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
const script = fc.array(step, { maxLength: 100, size: "max" });

/** Plays `steps` and returns everything that was handed out, in turn. */
function play(
  steps: readonly Step[],
  wayOf: (count: number) => Way,
  after = (_live: number) => {},
): (Place | undefined)[] {
  const live: { place: Place; way: Way }[] = [];
  const made: (Place | undefined)[] = [];
  let count = 0;
  for (const { type, pick } of steps) {
    const times = type.endsWith("Many") ? pick % 150 : 1;
    for (let time = 0; time < times; time++) {
      const way = wayOf(count++);
      if (type.startsWith("make")) {
        const place = way.make();
        made.push(place);
        if (place !== undefined) live.push({ place, way });
      } else if (live.length > 0) {
        const [ended] = live.splice((pick + time * 31) % live.length, 1);
        ended!.way.free(ended!.place);
      }
    }
    after(live.length);
  }
  return made;
}

describe.each(modules)("the paths into a pool of the $name module", ({ debug }) => {
  let guest: Uint8Array<ArrayBuffer>;
  beforeAll(async () => {
    const source = `export { poolAllocate, poolFree } from "./assembly/allocators/pool";`;
    guest = new Uint8Array(await compileGuest(source, debug));
  });

  test("hand out the same cells with the same generations, as long as all lie in one slab", async () => {
    await fc.assert(
      fc.asyncProperty(script, fc.integer({ min: 1, max: 2000 }), fc.boolean(), async (steps, capacity, byCursor) => {
        using one = await createRuntime({ debug });
        using other = await createRuntime({ debug });
        const pool = one.pool(Cell, { capacity });
        addressOf(one, pool);
        const twin = other.pool(Cell, { capacity });
        const address = addressOf(other, twin);
        const way = own(pool, byCursor);
        const calls = direct(other, other.$memory.exports, address);
        const made = play(steps, () => way);
        expect(play(steps, () => calls)).toEqual(made);
        pool.validate();
        twin.validate();
        expect(pool.stats()).toEqual(twin.stats());
      }),
      { numRuns: scaled(40) },
    );
  });

  test("can be used in turn on one pool, of one slab or of many", async () => {
    await fc.assert(
      fc.asyncProperty(script, fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 50 }), async (steps, turns) => {
        using runtime = await createRuntime({ debug });
        const pool = runtime.pool(Cell);
        // With most of a slab in use the script goes back and forth over its edge.
        while (pool.count < pool.capacity - 50) pool.new();
        const others = pool.count;
        const address = addressOf(runtime, pool);
        const guestCalls = await runtime.instantiate<PoolCalls>(guest);
        const ways = [
          own(pool, true),
          own(pool, false),
          direct(runtime, runtime.$memory.exports, address),
          direct(runtime, guestCalls, address),
        ];
        const places = new Map<number, number>();
        const made = play(
          steps,
          (count) => ways[turns[count % turns.length]!]!,
          (live) => {
            expect(pool.count).toBe(others + live);
            expect([...pool].length).toBe(others + live);
          },
        );
        for (const place of made) {
          const before = places.get(place!.address) ?? 0;
          expect(place!.generation).toBeGreaterThan(before);
          places.set(place!.address, place!.generation);
        }
        pool.validate();
      }),
      { numRuns: scaled(20) },
    );
  });

  test("refuse what is no record in use, and leave a status", async () => {
    using runtime = await createRuntime({ debug });
    const pool = runtime.pool(Cell);
    const address = addressOf(runtime, pool);
    const { exports } = runtime.$memory;
    const record = pool.new(pool.cursor());
    const free = pool.new(pool.cursor());
    pool.free(free);
    const stranger = runtime.pool(Cell).new();
    const cases: [number, number][] = [
      [0, 7],
      [1024, 7],
      [0xffff_0000, 7],
      [runtime.arena().allocate(8), 7],
      [stranger.$address, 7],
      [address, 12],
      [address & ~(PAGE - 1), 12],
      [record.$address + 8, 12],
      [record.$address - 1, 12],
      [(address & ~(PAGE - 1)) + PAGE - 8, 12],
      [free.$address, 13],
      [free.$address + 10 * Cell.size * (debug ? 2 : 1), 13],
    ];
    const before = pool.stats();
    for (const [cell, status] of cases) {
      if (status === 13 && debug && cell !== free.$address) continue; // cells lie further apart there
      expect([cell, exports.poolGuard(address, cell)]).toEqual([cell, 0]);
      expect([cell, exports.poolFree(address, cell)]).toEqual([cell, 0]);
      expect([cell, runtime.$memory.rootWord("ROOT_STATUS")]).toEqual([cell, status]);
      expect(runtime.$memory.rootWord("ROOT_STATUS_REQUESTED")).toBe(cell);
    }
    expect(pool.stats()).toEqual(before);
    expect(record.isLive()).toBe(true);
  });
});
