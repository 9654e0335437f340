import {
  CorruptionError,
  f64,
  OutOfMemoryError,
  type Runtime,
  SealedError,
  type SortedMap,
  StaleReferenceError,
  struct,
  text,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { compileGuest } from "../support/guest.js";
import { MEBIBYTE, modules, Owner, PAGE, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";
import { WideKey } from "./sortedMapModel.js";

type Numbers = SortedMap<typeof f64, typeof f64>;

/** The keys 0 … count − 1 in an order that visits all of them. */
const scattered = (count: number, index: number) => (index * 7919) % count;

/** Pseudo-random numbers below `limit`, the same each time (Marsaglia's xorshift). */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * limit);
  };
}

const mapPages = (runtime: Runtime) => runtime.stats().bytesByOwner.sortedMaps / PAGE;
const contents = (map: Numbers) => Array.from(map, ({ key, value }) => [key, value]);

/** What a guest may import of a map, and of guards: compiled once for each module. */
const GUEST = `
  import { SortedMap } from "./assembly/collections/sortedMap";
  import { set } from "./assembly/collections/sortedMapInsert";
  export { allocateGuard } from "./assembly/memory/guard";
  export function square(map: SortedMap, count: u32): void {
    for (let key: u32 = 0; key < count; key++) set(map, <f64>key, <f64>key * <f64>key);
  }
  export { set };
  export { deleteKey as remove } from "./assembly/collections/sortedMapDelete";
  export { find } from "./assembly/collections/sortedMapSearch";
`;

describe("out of memory", () => {
  test("at every page request in turn is an error that changes nothing, and the map goes on", async () => {
    let refusals = 0;
    let reached = true;
    for (let nth = 1; reached; nth++) {
      await withRuntime({ debug: true, initialBytes: 8 * PAGE, maximumBytes: 64 * MEBIBYTE }, (runtime) => {
        const memory = runtime.$memory;
        memory.setRootWord("ROOT_REFUSE_AFTER", nth);
        let map: SortedMap<typeof WideKey, typeof f64> | undefined;
        const stumble = (action: () => unknown) => {
          try {
            action();
          } catch (error) {
            expect(error).toBeInstanceOf(OutOfMemoryError);
            refusals++;
            action();
          }
        };
        stumble(() => {
          map = runtime.sortedMap(WideKey, f64);
        });
        for (let index = 0; index < 3000; index++) {
          const key = { number: scattered(3000, index), padding: "" };
          const { size } = map!;
          stumble(() => {
            expect(map!.size).toBe(size);
            if (index % 100 === 0 || memory.rootWord("ROOT_REFUSE_AFTER") === 0) expect(map!.has(key)).toBe(false);
            map!.set(key, index);
          });
        }
        map!.validate();
        expect(Array.from(map!, (entry) => entry.key.number)).toEqual(Array.from({ length: 3000 }, (_, at) => at));
        reached = memory.rootWord("ROOT_REFUSE_AFTER") === 0;
        runtime.validate();
      });
    }
    // The guard's page, the first block's, the first run's; larger runs fall back to a single page.
    expect(refusals).toBe(3);
  });

  test("leaves what shows entries of the map on them", async () => {
    const Pair = struct("Pair", { one: f64, other: f64 });
    await withRuntime({ debug: true, initialBytes: 4 * PAGE, maximumBytes: 12 * PAGE }, (runtime) => {
      const map = runtime.sortedMap(f64, Pair);
      map.set(-1, { one: 5, other: 6 });
      let [pair, entry] = [map.get(-1)!, map.first()!];
      const fill = () => {
        for (let key = 0; ; key++) {
          map.set(key, { one: key, other: key });
          [pair, entry] = [map.get(-1)!, map.first()!]; // which the change has ended
        }
      };
      expect(fill).toThrow(OutOfMemoryError);
      expect([pair.isLive(), pair.one, pair.other]).toEqual([true, 5, 6]);
      expect([entry.key, entry.value.one]).toEqual([-1, 5]);
    });
  });

  test.each(modules)("at the maximum leaves all as it was, and what deletes free is used again ($name)", ({ debug }) =>
    withRuntime({ debug, initialBytes: 4 * PAGE, maximumBytes: 20 * PAGE }, (runtime) => {
      const map = runtime.sortedMap(f64, f64);
      const random = randomNumbers(99);
      /** Inserts until it is refused, and returns the key that was. */
      const fill = (): number => {
        for (;;) {
          const key = random(2 ** 31);
          const { size } = map;
          try {
            map.set(key, size);
          } catch (error) {
            expect(error).toBeInstanceOf(OutOfMemoryError);
            expect((error as Error).message).toContain(`${key}`);
            expect([map.size, map.has(key)]).toEqual([size, false]);
            return key;
          }
        }
      };
      const refused = fill();
      map.validate();
      const { size } = map;
      const before = contents(map);
      // Every page is taken, down to the last.
      expect(runtime.stats().freeBytes).toBe(0);
      expect(() => map.set(refused, 1)).toThrow(OutOfMemoryError);
      expect(contents(map)).toEqual(before);
      const { key } = map.first()!;
      expect(map.set(key, -1)).toBe(false);
      for (const [gone] of before) if (gone! % 2 === 0) map.delete(gone!);
      map.validate();
      fill();
      map.validate();
      expect(map.size).toBeGreaterThan(size * 0.75);
      runtime.validate();
    }),
  );

  test("of a sealed runtime is a SealedError, and the map goes on within what it has", async () => {
    await withRuntime({ initialBytes: 8 * PAGE, maximumBytes: MEBIBYTE }, (runtime) => {
      const map = runtime.sortedMap(f64, f64);
      runtime.seal();
      let count = 0;
      expect(() => {
        for (; ; count++) map.set(scattered(1_000_003, count), count);
      }).toThrow(SealedError);
      expect(map.size).toBe(count);
      map.validate();
      map.clear();
      for (let key = 0; key < 1000; key++) map.set(key, key);
      expect(map.size).toBe(1000);
    });
  });

  test("a map that cannot be made leaves nothing behind", async () => {
    await withRuntime({ initialBytes: 2 * PAGE, maximumBytes: 2 * PAGE }, (runtime) => {
      expect(() => runtime.sortedMap(f64, f64)).toThrow(OutOfMemoryError);
      expect(runtime.$memory.rootWord("ROOT_GUARDS_LIVE")).toBe(0);
      runtime.validate();
    });
  });
});

describe("the memory of a map", () => {
  test("of a few entries is its first block", async () => {
    await withRuntime({}, (runtime) => {
      const map = runtime.sortedMap(f64, f64);
      for (let key = 0; key < 60; key++) map.set(key, key);
      expect(map.stats()).toEqual({ size: 60, nodes: 3, bytes: 4352, height: 2 });
      expect(mapPages(runtime)).toBe(0);
    });
  });

  test("goes back but for the first block when it is cleared, and wholly when it is disposed", async () => {
    await withRuntime({}, (runtime) => {
      const idle = runtime.sortedMap(f64, f64);
      const { usedBytes } = runtime.stats();
      const map = runtime.sortedMap(f64, f64);
      for (let round = 0; round < 3; round++) {
        for (let index = 0; index < 50_000; index++) map.set(scattered(50_000, index), index);
        expect(map.stats().bytes).toBe(4352 + mapPages(runtime) * PAGE);
        expect(mapPages(runtime)).toBeGreaterThan(16);
        map.clear();
        expect(mapPages(runtime)).toBe(0);
        expect(map.stats()).toEqual({ size: 0, nodes: 0, bytes: 4352, height: 0 });
        map.validate();
      }
      for (let index = 0; index < 50_000; index++) map.set(index, index);
      map.dispose();
      expect(runtime.stats().usedBytes).toBe(usedBytes);
      idle.validate();
      runtime.validate();
    });
  });

  test("stays bounded while entries come and go", async () => {
    await withRuntime({}, (runtime) => {
      const map = runtime.sortedMap(f64, f64);
      const random = randomNumbers(7);
      const live: number[] = [];
      let greatest = 0;
      for (let turn = 0; turn < scaled(300_000); turn++) {
        const key = random(2 ** 30);
        if (map.set(key, turn)) live.push(key);
        if (live.length > 10_000) {
          const gone = random(live.length);
          if (!map.delete(live[gone]!)) throw new Error(`${live[gone]} was gone`);
          live[gone] = live.at(-1)!;
          live.pop();
        }
        greatest = Math.max(greatest, map.stats().bytes);
      }
      map.validate();
      expect(map.size).toBe(live.length);
      // 16 bytes an entry, nodes at least a quarter full, and a run that has just been begun.
      expect(greatest).toBeLessThan(10_000 * 16 * 4 + 16 * PAGE);
    });
  });

  test("a queue that moves along the keys needs no more than what it holds", async () => {
    await withRuntime({}, (runtime) => {
      const map = runtime.sortedMap(f64, f64, { order: "descending" });
      for (let turn = 0; turn < 200_000; turn++) {
        map.set(turn, turn);
        if (turn >= 1000 && !map.delete(map.last()!.key)) throw new Error(`the last key was gone in turn ${turn}`);
      }
      map.validate();
      expect(map.stats().bytes).toBeLessThan(3 * PAGE);
    });
  });

  test("keys that come in order, or in reverse, leave full nodes behind", async () => {
    await withRuntime({}, (runtime) => {
      for (const sign of [1, -1]) {
        const map = runtime.sortedMap(f64, f64);
        for (let turn = 0; turn < 35_000; turn++) map.set(sign * turn, turn);
        map.validate();
        // 35 entries fit a leaf, 46 leaves an inner node.
        expect(map.stats().nodes).toBeLessThanOrEqual(Math.ceil(1000 * (1 + 1 / 46)) + 3);
        map.dispose();
      }
    });
  });

  test("of several maps is each one's own", async () => {
    await withRuntime({}, (runtime) => {
      const maps = Array.from({ length: 40 }, () => runtime.sortedMap(f64, f64));
      for (let index = 0; index < 40_000; index++) maps[index % 40]!.set(scattered(40_000, index), index);
      for (const [index, map] of maps.entries()) {
        expect(map.size).toBe(1000);
        if (index % 2 === 0) map.dispose();
      }
      for (const map of maps.filter(({ disposed }) => !disposed)) {
        map.validate();
        expect(map.size).toBe(1000);
        map.dispose();
      }
      expect(mapPages(runtime)).toBe(0);
      expect(runtime.stats().bytesByOwner.smallBlocks).toBeLessThanOrEqual(PAGE);
      expect(runtime.$memory.rootWord("ROOT_GUARDS_LIVE")).toBe(0);
      runtime.validate();
    });
  });

  test("holds a million entries, above the limit of two GiB too", async () => {
    await withRuntime({ initialBytes: 2 ** 31 + 8 * MEBIBYTE, maximumBytes: 2 ** 31 + 128 * MEBIBYTE }, (runtime) => {
      runtime.$memory.exports.allocatePages(2 ** 31 / PAGE, Owner.SCRATCH);
      const map = runtime.sortedMap(f64, f64);
      expect(map.address).toBeGreaterThan(2 ** 31);
      const count = 1_000_000;
      for (let index = 0; index < count; index++) map.set(scattered(count, index), index);
      map.validate();
      expect(map.size).toBe(count);
      expect(map.first()?.key).toBe(0);
      expect(map.last()?.key).toBe(count - 1);
      let expected = 0;
      for (const { key } of map) if (key !== expected++) throw new Error(`${key} comes as number ${expected}`);
      for (let index = 0; index < count; index += 999) expect(map.get(scattered(count, index))).toBe(index);
      for (let index = 0; index < count; index++) {
        if (!map.delete(scattered(count, index))) throw new Error(`${index} was gone`);
        if (index % 100_000 === 0) map.validate(); // while it loses its upper levels, too
      }
      expect(map.stats()).toMatchObject({ size: 0, nodes: 0, height: 0 });
      map.validate();
      map.dispose();
      expect(mapPages(runtime)).toBe(0);
    });
  });

  test("growing in the middle of everything leaves no stale view", async () => {
    await withRuntime({ initialBytes: 2 * PAGE, maximumBytes: 256 * MEBIBYTE }, (runtime) => {
      const Long = struct("Long", { id: f64, filling: text(600) });
      const map = runtime.sortedMap(f64, Long);
      const { growths } = runtime.stats();
      for (let id = 0; id < 20_000; id++) map.set(scattered(20_000, id), { id: scattered(20_000, id), filling: "x" });
      expect(runtime.stats().growths).toBeGreaterThan(growths);
      let count = 0;
      for (const { key, value } of map) {
        if (value.id !== key || value.filling !== "x") throw new Error(`the value of ${key} is another's`);
        count++;
      }
      expect(count).toBe(20_000);
    });
  });
});

describe("the guard of a map", () => {
  const RETIRED = 2 ** 32 - 1;

  /** Makes the next change of the map the last one of its guard. */
  function wearOut(map: Numbers): number {
    const memory = map.$memory;
    const word = (name: string) => (map.address + memory.exports[`SORTED_MAP_${name}`]!.value) >>> 2;
    const guard = memory.u32[word("GUARD")]!;
    memory.u32[guard >>> 2] = RETIRED - 1;
    memory.u32[word("GENERATION")] = RETIRED - 1;
    return guard;
  }

  test("is replaced after four billion changes, and views from before are stale", async () => {
    await withRuntime({}, (runtime) => {
      const map = runtime.sortedMap(f64, f64);
      const changes = [() => map.set(5, 5), () => map.delete(5), () => map.clear()];
      for (const change of changes) {
        map.set(1, 1);
        const guard = wearOut(map);
        const entry = map.first()!;
        const walking = map[Symbol.iterator]();
        walking.next();
        expect(entry.key).toBe(1);
        change();
        expect(() => entry.key).toThrow(StaleReferenceError);
        expect(runtime.$memory.u32[guard >>> 2]).toBe(RETIRED);
        map.validate();
        map.set(2, 2);
        expect(walking.next().value?.key).toBe(2);
        map.delete(2);
      }
    });
  });

  test("that can be neither advanced nor replaced refuses the change, and nothing has changed", async () => {
    const wasm = await compileGuest(GUEST, false);
    await withRuntime({ initialBytes: 4 * PAGE, maximumBytes: 4 * PAGE }, async (runtime) => {
      const { allocateGuard } = await runtime.instantiate<{ allocateGuard(): number }>(wasm as BufferSource);
      const map = runtime.sortedMap(f64, f64);
      for (let key = 0; key < 50; key++) map.set(key, key);
      while (runtime.$memory.exports.allocatePages(1, Owner.SCRATCH) !== 0);
      while (allocateGuard() !== 0);
      wearOut(map);
      const entry = map.first()!;
      expect(() => map.set(100, 1)).toThrow(OutOfMemoryError);
      expect(() => map.delete(3)).toThrow(OutOfMemoryError);
      expect(() => map.clear()).toThrow(OutOfMemoryError);
      expect(entry.key).toBe(0);
      expect(map.set(3, 33)).toBe(false);
      expect(map.delete(100)).toBe(false);
      expect(map.size).toBe(50);
      map.validate();
    });
  });
});

describe("validate names what is wrong", () => {
  const NODE_COUNT = 2;
  const NODE_HEADER = 16;
  type Damage = (words: Uint32Array, map: (name: string) => number, runtime: Runtime) => void;
  const damages: [string, RegExp, Damage][] = [
    ["a guard that has moved on", /guard/, (words, map) => words[words[map("GUARD")]! >>> 2]!++],
    ["a run that is lost", /runs/, (words, map) => (words[map("RUN_BYTES")]! -= PAGE)],
    ["a first leaf that is not", /linked/, (words, map) => (words[map("FIRST")] = words[map("LAST")]!)],
    ["a leaf that is not linked back", /linked/, (words, map) => (words[(words[map("LAST")]! >>> 2) + 1] = 0)],
    ["a count that is wrong", /as many entries/, (words, map) => words[map("SIZE")]!++],
    ["a number of nodes that is wrong", /nodes in use/, (words, map) => words[map("NODES")]!++],
    ["a height that is wrong", /level/, (words, map) => words[map("HEIGHT")]!++],
    [
      "a leaf that overflows",
      /too little or too much/,
      (words, map) => {
        words[(words[map("FIRST")]! >>> 2) + NODE_COUNT] = 1000;
      },
    ],
    [
      "an empty leaf",
      /too little or too much/,
      (words, map) => {
        words[(words[map("FIRST")]! >>> 2) + NODE_COUNT] = 0;
      },
    ],
    [
      "two keys in the wrong order",
      /order/,
      (_, map, { $memory: memory }) => {
        const key = (memory.u32[map("FIRST")]! + NODE_HEADER) >>> 3;
        memory.f64.set([memory.f64[key + 1]!, memory.f64[key]!], key);
      },
    ],
    ["a child that is no node", /no node of the map/, (words, map) => (words[map("SIZE") + 1] = 1 << 20)],
  ];

  test.each(damages)("%s", async (_, message, damage) => {
    await withRuntime({}, (runtime) => {
      const map = runtime.sortedMap(f64, f64);
      for (let key = 0; key < 3000; key++) map.set(scattered(3000, key), key);
      for (let key = 0; key < 1500; key++) map.delete(key);
      map.validate();
      const memory = runtime.$memory;
      const word = (name: string) => (map.address + memory.exports[`SORTED_MAP_${name}`]!.value) >>> 2;
      damage(memory.u32, word, runtime);
      expect(() => map.validate()).toThrow(CorruptionError);
      expect(() => map.validate()).toThrow(message);
    });
  });
});

describe("a guest module", () => {
  interface Guest {
    square(map: number, count: number): void;
    set(map: number, key: number, value: number): number;
    find(map: number, key: number): number;
    remove(map: number, key: number): number;
  }

  test.each(modules)("works on the same map as TypeScript does ($name)", async ({ debug }) => {
    const wasm = (await compileGuest(GUEST, debug)) as BufferSource;
    await withRuntime({ debug }, async (runtime) => {
      const guest = await runtime.instantiate<Guest>(wasm);
      const map = runtime.sortedMap(f64, f64);
      guest.square(map.address, 10_000);
      map.validate();
      expect([map.size, map.get(99), map.get(9999)]).toEqual([10_000, 9801, 99_980_001]);
      const entry = map.first()!;
      expect([guest.set(map.address, 5, 1), guest.set(map.address, -5, 2)]).toEqual([1, 2]);
      expect(() => entry.key).toThrow(StaleReferenceError);
      expect(map.first()?.value).toBe(2);
      expect(runtime.$memory.f64[(guest.find(map.address, 5) >>> 0) / 8]).toBe(1);
      expect([guest.remove(map.address, 5), guest.remove(map.address, 5), guest.find(map.address, 5)]).toEqual([
        2, 1, 0,
      ]);
      expect(guest.set(map.address, Number.NaN, 1)).toBe(0);
      expect(guest.find(map.address, Number.NaN)).toBe(0);
      expect(guest.remove(map.address, Number.NaN)).toBe(1);
      expect(map.size).toBe(10_000);
      map.validate();
    });
  });
});
