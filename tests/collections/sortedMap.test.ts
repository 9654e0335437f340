import {
  createRuntime,
  DisposedError,
  f64,
  InvalidArgumentError,
  type Runtime,
  type SortedMap,
  StaleReferenceError,
  struct,
  u32,
} from "tidemark";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const Level = struct("Level", { price: f64, quantity: f64 });

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createRuntime({ maximumBytes: 256 << 20 });
});
afterAll(() => runtime.dispose());

type Numbers = SortedMap<typeof f64, typeof f64>;

function numbers(keys: readonly number[], order: "ascending" | "descending" = "ascending"): Numbers {
  const map = runtime.sortedMap(f64, f64, { order });
  for (const key of keys) map.set(key, key * 10);
  return map;
}

const keysOf = (entries: Iterable<{ key: number }>) => Array.from(entries, ({ key }) => key);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe("setting and deleting", () => {
  test("a set tells whether the key was new, and a delete whether it was there", () => {
    using map = numbers([]);
    expect(map.set(1, 10)).toBe(true);
    expect(map.set(1, 11)).toBe(false);
    expect(map.get(1)).toBe(11);
    expect(map.size).toBe(1);
    expect(map.delete(2)).toBe(false);
    expect(map.delete(1)).toBe(true);
    expect(map.delete(1)).toBe(false);
    expect(map.get(1)).toBeUndefined();
    expect(map.has(1)).toBe(false);
    expect(map.size).toBe(0);
  });

  test("a value of 0 or NaN is a value, and is not taken for a missing one", () => {
    using map = numbers([]);
    map.set(1, 0);
    map.set(2, Number.NaN);
    expect([map.get(1), map.get(2)]).toEqual([0, Number.NaN]);
    expect([map.has(1), map.has(2)]).toEqual([true, true]);
  });

  test("an empty map has no first, last or neighbours, and iterates over nothing", () => {
    using map = numbers([]);
    expect([map.first(), map.last()]).toEqual([undefined, undefined]);
    expect([map.below(0), map.above(0), map.atOrBelow(0), map.atOrAbove(0)].every((entry) => !entry)).toBe(true);
    expect(keysOf(map)).toEqual([]);
    expect(keysOf(map.entries(1, 2))).toEqual([]);
    expect(map.stats()).toEqual({ size: 0, nodes: 0, bytes: 4352, height: 0 });
    map.validate();
  });

  test("a map that has been cleared can be filled again", () => {
    using map = numbers(upTo(5000));
    map.clear();
    expect([map.size, map.first(), map.get(3)]).toEqual([0, undefined, undefined]);
    map.set(3, 4);
    expect(keysOf(map)).toEqual([3]);
    map.validate();
  });
});

describe("order", () => {
  test("iteration, first and last follow the map's order; below and above follow the keys", () => {
    for (const order of ["ascending", "descending"] as const) {
      using map = numbers([3, 1, 2, 5, 4], order);
      expect(keysOf(map)).toEqual(order === "ascending" ? [1, 2, 3, 4, 5] : [5, 4, 3, 2, 1]);
      expect(map.first()?.key).toBe(order === "ascending" ? 1 : 5);
      expect(map.last()?.key).toBe(order === "ascending" ? 5 : 1);
      expect(map.below(3)?.key).toBe(2);
      expect(map.atOrBelow(3)?.key).toBe(3);
      expect(map.atOrBelow(3.5)?.key).toBe(3);
      expect(map.atOrAbove(3)?.key).toBe(3);
      expect(map.atOrAbove(3.5)?.key).toBe(4);
      expect(map.above(3)?.key).toBe(4);
      expect([map.below(1), map.above(5), map.atOrAbove(6), map.atOrBelow(0)].every((entry) => !entry)).toBe(true);
    }
  });

  test("infinities are the outermost keys", () => {
    using map = numbers([0, Infinity, -Infinity, Number.MAX_VALUE, -Number.MAX_VALUE]);
    expect(keysOf(map)).toEqual([-Infinity, -Number.MAX_VALUE, 0, Number.MAX_VALUE, Infinity]);
    expect(map.above(Number.MAX_VALUE)?.key).toBe(Infinity);
    expect(map.above(Infinity)).toBeUndefined();
  });

  test("−0 is the same key as 0, and reads as 0", () => {
    using map = numbers([-0]);
    expect(map.set(0, 1)).toBe(false);
    expect(map.get(-0)).toBe(1);
    expect(Object.is(map.first()?.key, 0)).toBe(true);
  });

  test("a range includes its start and excludes its end, in the map's order", () => {
    using ascending = numbers([1, 2, 3, 4, 5]);
    expect(keysOf(ascending.entries(2, 4))).toEqual([2, 3]);
    expect(keysOf(ascending.entries(1.5, 4.5))).toEqual([2, 3, 4]);
    expect(keysOf(ascending.entries(4))).toEqual([4, 5]);
    expect(keysOf(ascending.entries(undefined, 3))).toEqual([1, 2]);
    expect(keysOf(ascending.entries())).toEqual([1, 2, 3, 4, 5]);
    expect(keysOf(ascending.entries(4, 2))).toEqual([]);
    expect(keysOf(ascending.entries(3, 3))).toEqual([]);
    expect(keysOf(ascending.entries(6, 9))).toEqual([]);
    using descending = numbers([1, 2, 3, 4, 5], "descending");
    expect(keysOf(descending.entries(4, 2))).toEqual([4, 3]);
    expect(keysOf(descending.entries(4.5, 1.5))).toEqual([4, 3, 2]);
    expect(keysOf(descending.entries(2, 4))).toEqual([]);
    expect(keysOf(descending.entries(undefined, 3))).toEqual([5, 4]);
  });

  test("an order that is none is refused", () => {
    // @ts-expect-error: no such order
    expect(() => runtime.sortedMap(f64, f64, { order: "sideways" })).toThrow(InvalidArgumentError);
  });
});

describe("the entry", () => {
  test("is one for each map, which queries and iteration move", () => {
    using map = numbers([1, 2, 3]);
    const first = map.first();
    expect(map.last()).toBe(first);
    expect(map.above(1)).toBe(first);
    for (const entry of map) expect(entry).toBe(first);
  });

  test("shows a value that is set in place, and sets it in place", () => {
    using map = numbers([1, 2, 3]);
    const entry = map.above(1)!;
    map.set(2, 7);
    expect(entry.value).toBe(7);
    entry.value = 8;
    expect(map.get(2)).toBe(8);
    expect(() => Object.assign(entry, { value: "8" })).toThrow(InvalidArgumentError);
    expect(map.get(2)).toBe(8);
  });

  test("is stale after an insert, a delete, a clear and a dispose, but not after one that changes nothing", () => {
    const map = numbers([1, 2, 3]);
    const changes: [string, () => unknown][] = [
      ["insert", () => map.set(9, 9)],
      ["delete", () => map.delete(9)],
      ["clear", () => map.clear()],
    ];
    for (const [name, change] of changes) {
      const entry = map.first()!;
      map.set(1, 5);
      map.delete(77);
      expect(entry.value).toBe(5);
      change();
      expect(() => entry.key, name).toThrow(StaleReferenceError);
      expect(() => entry.value, name).toThrow(StaleReferenceError);
      expect(() => Object.assign(entry, { value: 1 }), name).toThrow(StaleReferenceError);
      map.set(1, 5);
    }
    const entry = map.first()!;
    map.dispose();
    expect(() => entry.key).toThrow(StaleReferenceError);
  });
});

describe("iteration", () => {
  test("goes on with what follows the last key when the map is changed meanwhile", () => {
    for (const order of ["ascending", "descending"] as const) {
      const step = order === "ascending" ? 1 : -1;
      using map = numbers(upTo(300), order);
      const seen: number[] = [];
      for (const { key } of map) {
        seen.push(key);
        if (key % 2 === 0) map.delete(key + step);
        if (key % 10 === 0) map.set(key + step / 2, 0);
        map.delete(key);
        map.set(key - step * 1000, 0);
      }
      const whole = upTo(300).filter((key) => (order === "ascending" ? key % 2 === 0 : key % 2 === 0 || key === 299));
      const halves = upTo(300)
        .filter((key) => key % 10 === 0)
        .map((key) => key + step / 2);
      expect(seen).toEqual([...whole, ...halves].sort((a, b) => (a - b) * step));
      map.validate();
    }
  });

  test("visits what is inserted ahead of it, and ends when the rest is deleted", () => {
    using map = numbers([1]);
    let visited = 0;
    for (const { key } of map) {
      visited++;
      if (key < 500) map.set(key + 1, 0);
    }
    expect(visited).toBe(500);
    visited = 0;
    for (const _ of map) {
      if (++visited === 3) map.clear();
    }
    expect(visited).toBe(3);
  });

  test("a range keeps to its end although entries around the end come and go", () => {
    using map = numbers(upTo(100));
    const seen: number[] = [];
    for (const { key } of map.entries(10, 20)) {
      seen.push(key);
      if (key === 12) for (let gone = 15; gone < 60; gone++) map.delete(gone);
      if (key === 14) map.set(19.5, 0).valueOf();
      if (key === 19.5) map.set(20, 0).valueOf();
    }
    expect(seen).toEqual([10, 11, 12, 13, 14, 19.5]);
  });

  test("several at once do not disturb each other", () => {
    using map = numbers([1, 2, 3]);
    const pairs: string[] = [];
    for (const outer of map) {
      const key = outer.key;
      for (const inner of map) pairs.push(`${key}${inner.key}`);
    }
    expect(pairs).toEqual(["11", "12", "13", "21", "22", "23", "31", "32", "33"]);
  });

  test("one that is left early starts anew the next time", () => {
    using map = numbers([1, 2, 3]);
    for (const _ of map) break;
    expect(keysOf(map)).toEqual([1, 2, 3]);
    const iterator = map[Symbol.iterator]();
    while (!iterator.next().done);
    expect(iterator.next()).toEqual({ done: true, value: undefined });
  });

  test("forEach gives value, key and map in order", () => {
    using map = numbers([2, 1]);
    const seen: unknown[] = [];
    map.forEach((value, key, of) => {
      seen.push([value, key, of === map]);
    });
    expect(seen).toEqual([
      [10, 1, true],
      [20, 2, true],
    ]);
    for (const callback of [undefined, null, {}, "callback"]) {
      expect(() => map.forEach(callback as never)).toThrow(InvalidArgumentError);
    }
  });
});

describe("the end of a map", () => {
  test("a disposed map refuses every use, and a second dispose does nothing", () => {
    const map = numbers([1, 2, 3]);
    const walking = map[Symbol.iterator]();
    walking.next();
    map.dispose();
    map.dispose();
    expect(map.disposed).toBe(true);
    for (const use of everyUse(map)) expect(use).toThrow(DisposedError);
    expect(() => walking.next()).toThrow(DisposedError);
    runtime.validate();
  });

  test("a map of a disposed runtime refuses every use, but a dispose does nothing", async () => {
    const other = await createRuntime();
    const map = other.sortedMap(f64, f64);
    map.set(1, 1);
    const entry = map.first()!;
    other.dispose();
    expect(map.disposed).toBe(true);
    for (const use of everyUse(map)) expect(use).toThrow(DisposedError);
    expect(() => entry.key).toThrow(DisposedError);
    expect(() => entry.value).toThrow(DisposedError);
    map.dispose();
    expect(() => other.sortedMap(f64, f64)).toThrow(DisposedError);
  });

  function everyUse(map: Numbers): (() => unknown)[] {
    return [
      () => map.size,
      () => map.set(1, 1),
      () => map.get(1),
      () => map.has(1),
      () => map.delete(1),
      () => map.clear(),
      () => map.first(),
      () => map.last(),
      () => map.below(1),
      () => map.above(1),
      () => map.atOrBelow(1),
      () => map.atOrAbove(1),
      () => [...map],
      () => map.entries(1, 2),
      () => map.forEach(() => {}),
      () => map.stats(),
      () => map.validate(),
      () => map.address,
    ];
  }

  test("using disposes", () => {
    let kept: Numbers;
    {
      using map = numbers([1]);
      kept = map;
    }
    expect(kept.disposed).toBe(true);
  });
});

describe("structs as values", () => {
  test("are copied in from plain objects and from cursors, and shown by a cursor", () => {
    using arena = runtime.arena();
    using map = runtime.sortedMap(u32, Level);
    const outside = arena.new(Level);
    outside.assign({ price: 3, quantity: 4 });
    expect(map.set(1, { price: 1, quantity: 2 })).toBe(true);
    expect(map.set(2, outside)).toBe(true);
    outside.price = 99;
    expect(map.get(2)?.toObject()).toEqual({ price: 3, quantity: 4 });
    expect(map.set(1, { quantity: 7 })).toBe(false);
    expect(map.get(1)?.toObject()).toEqual({ price: 0, quantity: 7 });
    expect(map.get(3)).toBeUndefined();
  });

  test("are reached by the caller's own cursor, through which they can be changed in place", () => {
    using map = runtime.sortedMap(u32, Level);
    const level = runtime.cursor(Level);
    map.set(1, { price: 1, quantity: 2 });
    expect(map.get(1, level)).toBe(level);
    level.quantity = 5;
    expect(map.first()?.value.quantity).toBe(5);
    map.set(1, { price: 6 });
    expect(level.price).toBe(6);
    expect(map.get(2, level)).toBeUndefined();
    expect(level.price).toBe(6);
    map.set(2, {});
    expect(() => level.price).toThrow(StaleReferenceError);
  });

  test("a value can be copied within its own map, although the insert moves it", () => {
    using map = runtime.sortedMap(u32, Level);
    map.set(1000, { price: 1, quantity: 2 });
    for (let key = 999; key > 0; key--) map.set(key, map.get(key + 1)!);
    expect(map.get(1)?.toObject()).toEqual({ price: 1, quantity: 2 });
    expect(Array.from(map, ({ value }) => value.price * 10 + value.quantity)).toEqual(upTo(1000).map(() => 12));
  });

  test("an entry's value can be assigned in place, and a wrong one changes nothing", () => {
    using map = runtime.sortedMap(u32, Level);
    map.set(1, { price: 1, quantity: 2 });
    const entry = map.first()!;
    entry.value = { price: 5 };
    expect(entry.value.toObject()).toEqual({ price: 5, quantity: 2 });
    expect(() => map.set(1, { price: "x" as never })).toThrow(InvalidArgumentError);
    expect(() => map.set(2, { prise: 1 } as never)).toThrow(InvalidArgumentError);
    expect(map.size).toBe(1);
    expect(entry.value.toObject()).toEqual({ price: 5, quantity: 2 });
  });

  test("a cursor of another struct or runtime is refused", async () => {
    const other = await createRuntime();
    const Other = struct("Other", { price: f64 });
    using map = runtime.sortedMap(u32, Level);
    map.set(1, {});
    expect(() => map.get(1, runtime.cursor(Other) as never)).toThrow(InvalidArgumentError);
    expect(() => map.get(1, other.cursor(Level))).toThrow(InvalidArgumentError);
    expect(() => map.set(1, runtime.cursor(Level))).toThrow(StaleReferenceError);
    other.dispose();
  });
});

describe("objects whose getters do something else", () => {
  const Pair = struct("Pair", { a: u32, b: u32 });

  test("cannot make a set write to a map that they dispose of, nor an iteration start on it", () => {
    const inKey = runtime.sortedMap(Pair, u32);
    const key = {
      a: 1,
      get b() {
        inKey.dispose();
        return 2;
      },
    };
    expect(() => inKey.set(key, 1)).toThrow(DisposedError);
    const inRange = runtime.sortedMap(Pair, u32);
    const bound = {
      a: 1,
      get b() {
        inRange.dispose();
        return 2;
      },
    };
    expect(() => inRange.entries(bound)).toThrow(DisposedError);
    const inValue = runtime.sortedMap(u32, Pair);
    const value = {
      a: 1,
      get b() {
        inValue.dispose();
        return 2;
      },
    };
    expect(() => inValue.set(1, value)).toThrow(DisposedError);
    runtime.validate();
  });

  test("can use the map themselves, and key and value are still what they said", () => {
    using map = runtime.sortedMap(Pair, Pair);
    const busy = (a: number, b: number) => ({
      a,
      get b() {
        map.set({ a: 7, b: 7 }, { a: 8, b: 8 });
        return b;
      },
    });
    map.set(busy(1, 2), busy(3, 4));
    expect(map.get({ a: 1, b: 2 })?.toObject()).toEqual({ a: 3, b: 4 });
    expect(map.get({ a: 7, b: 7 })?.toObject()).toEqual({ a: 8, b: 8 });
    expect(map.size).toBe(2);
    map.validate();
  });

  test("cannot make an entry write its value to another's place, nor to a map that is gone", () => {
    for (const change of ["delete", "dispose"] as const) {
      const map = runtime.sortedMap(u32, Pair);
      for (const key of [1, 2]) map.set(key, { a: key, b: key });
      const entry = map.first()!;
      const value = {
        a: 8,
        get b() {
          if (change === "delete") map.delete(1);
          else map.dispose();
          return 9;
        },
      };
      expect(() => {
        entry.value = value as never;
      }).toThrow(StaleReferenceError);
      expect(() => {
        entry.value = { a: 8, b: 9 } as never;
      }).toThrow(StaleReferenceError);
      expect(() => JSON.stringify(entry)).toThrow(StaleReferenceError);
      if (change === "delete") expect(map.get(2)?.toObject()).toEqual({ a: 2, b: 2 });
      map.dispose();
    }
    runtime.validate();
  });

  test("a cursor whose record they end is refused as a key and as a value", () => {
    using arena = runtime.arena();
    using map = runtime.sortedMap(Pair, Pair);
    const record = arena.new(Pair);
    const ending = {
      a: 1,
      get b() {
        arena.reset();
        return 2;
      },
    };
    expect(() => map.set(ending, record)).toThrow(StaleReferenceError);
    expect(map.size).toBe(0);
  });
});

test.each(["descending", 5, true, null, { order: null }, { order: "falling" }, { order: 1 }])(
  "%j are no options of a map",
  (options) => {
    expect(() => runtime.sortedMap(f64, f64, options as never)).toThrow(InvalidArgumentError);
  },
);
