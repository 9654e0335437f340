import fc from "fast-check";
import {
  array,
  type BigintType,
  bool,
  createRuntime,
  type FieldType,
  f32,
  f64,
  InvalidArgumentError,
  i8,
  i16,
  i32,
  i64,
  type NumberType,
  type Runtime,
  ref,
  type SortedMap,
  struct,
  text,
  u8,
  u16,
  u32,
  u64,
} from "tidemark";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scaled } from "../support/scale.js";

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createRuntime({ maximumBytes: 256 << 20 });
});
afterAll(() => runtime.dispose());

const compare = <T>(a: T, b: T) => (a < b ? -1 : a > b ? 1 : 0);

/** Sets `keys` in a map, deletes every third, and compares all that is left, and all neighbours, with a plain model. */
function hold<Key>(type: FieldType<unknown>, keys: readonly Key[], order: (a: Key, b: Key) => number): void {
  using map = runtime.sortedMap(type as FieldType<Key>, f64) as unknown as SortedMap<FieldType<Key>, typeof f64>;
  const model: Key[] = [];
  const place = (key: Key) => model.findIndex((other) => order(other, key) >= 0);
  keys.forEach((key, index) => {
    const at = place(key);
    const isNew = at < 0 || order(model[at]!, key) !== 0;
    expect(map.set(key as never, index)).toBe(isNew);
    if (isNew) model.splice(at < 0 ? model.length : at, 0, key);
  });
  keys.forEach((key, index) => {
    if (index % 3 !== 0) return;
    const at = place(key);
    const isThere = at >= 0 && order(model[at]!, key) === 0;
    expect(map.delete(key as never)).toBe(isThere);
    if (isThere) model.splice(at, 1);
  });
  map.validate();
  expect(Array.from(map, (entry) => entry.key)).toEqual(model);
  for (const key of keys.slice(0, 40)) {
    expect(map.has(key as never)).toBe(model.some((other) => order(other, key) === 0));
    expect(map.above(key as never)?.key).toEqual(model.find((other) => order(other, key) > 0));
    expect(map.below(key as never)?.key).toEqual(model.findLast((other) => order(other, key) < 0));
    const from = model.filter((other) => order(other, key) >= 0);
    expect(Array.from(map.entries(key as never), (entry) => entry.key)).toEqual(from);
    const before = model.filter((other) => order(other, key) < 0);
    expect(Array.from(map.entries(undefined, key as never), (entry) => entry.key)).toEqual(before);
  }
  const seen: Key[] = [];
  for (const { key } of map) {
    seen.push(key as Key);
    map.delete(key as never); // the next one is looked for by the last one shown
  }
  expect(seen).toEqual(model);
  expect(map.size).toBe(0);
}

describe("keys of numbers", () => {
  const integers: NumberType[] = [u8, i8, u16, i16, u32, i32];
  test.each(integers.map((type) => [type.name, type] as const))("%s are in order over their whole range", (_, type) => {
    const key = fc.oneof(
      fc.integer({ min: type.minimum, max: type.maximum }),
      fc.constantFrom(type.minimum, type.maximum, type.minimum + 1, type.maximum - 1),
    );
    fc.assert(
      fc.property(fc.array(key, { maxLength: 500, size: "max" }), (keys) => hold(type, keys, compare)),
      { numRuns: scaled(15) },
    );
  });

  test.each([u8, i8].map((type) => [type.name, type] as const))("%s can all be there at once", (_, type) => {
    hold(
      type,
      Array.from({ length: 256 }, (_, index) => type.minimum + ((index * 91) % 256)),
      compare,
    );
  });

  test.each([f32, f64].map((type) => [type.name, type] as const))(
    "%s are in order over their whole range",
    (_, type) => {
      const key = (type === f32 ? fc.float({ noNaN: true }) : fc.double({ noNaN: true })).map((number) => number + 0);
      fc.assert(
        fc.property(fc.array(key, { maxLength: 500, size: "max" }), (keys) => hold(type, keys, compare)),
        { numRuns: scaled(15) },
      );
    },
  );

  test.each([u64, i64].map((type) => [type.name, type] as const))(
    "%s are in order over their whole range",
    (_, type) => {
      const { minimum, maximum } = type as BigintType;
      const key = fc.oneof(
        fc.bigInt({ min: minimum, max: maximum }),
        fc.constantFrom(minimum, maximum, minimum + 1n, maximum - 1n, 2n ** 53n + 1n, 2n ** 53n, 2n ** 63n - 1n),
      );
      fc.assert(
        fc.property(fc.array(key, { maxLength: 500, size: "max" }), (keys) => hold(type, keys, compare)),
        { numRuns: scaled(15) },
      );
    },
  );

  test("of f32 are rounded to the nearest, when set as when looked up", () => {
    using map = runtime.sortedMap(f32, f64);
    map.set(0.1, 1);
    expect(map.first()?.key).toBe(Math.fround(0.1));
    expect(map.get(0.1)).toBe(1);
    expect(map.set(Math.fround(0.1), 2)).toBe(false);
    expect(map.below(0.1)).toBeUndefined();
  });

  const wrong: [NumberType | BigintType, unknown[]][] = [
    [u8, [-1, 256, 1.5, Number.NaN, Infinity, "1", 1n, null, undefined, {}, true]],
    [i8, [-129, 128, 0.5, Number.NaN, 1n]],
    [u16, [-1, 65_536, 0.5, Number.NaN]],
    [i16, [-32_769, 32_768, 0.5, Number.NaN]],
    [u32, [-1, 2 ** 32, 0.5, Number.NaN, Infinity, -Infinity]],
    [i32, [2 ** 31, -(2 ** 31) - 1, 0.5, Number.NaN]],
    [f32, [Number.NaN, 1n, "1", null, undefined, {}]],
    [f64, [Number.NaN, 1n, "1", null, undefined, {}, [], true]],
    [u64, [-1n, 2n ** 64n, 1, "1", Number.NaN, null]],
    [i64, [2n ** 63n, -(2n ** 63n) - 1n, 1, null]],
  ];
  test.each(wrong.map(([type, keys]) => [type.name, type, keys] as const))(
    "that %s cannot hold are refused by every call, with the value in the message, and change nothing",
    (_, type, keys) => {
      using map = runtime.sortedMap(type, f64) as unknown as SortedMap<FieldType<number>, typeof f64>;
      map.set((type === u64 || type === i64 ? 1n : 1) as never, 5);
      for (const key of keys as never[]) {
        const calls = [
          () => map.set(key, 1),
          () => map.get(key),
          () => map.has(key),
          () => map.delete(key),
          () => map.below(key),
          () => map.above(key),
          () => map.atOrBelow(key),
          () => map.atOrAbove(key),
        ];
        for (const call of calls) expect(call).toThrow(InvalidArgumentError);
        if (key !== undefined) {
          expect(() => map.entries(key)).toThrow(InvalidArgumentError);
          expect(() => map.entries(undefined, key)).toThrow(InvalidArgumentError);
        }
        if (typeof key === "number") expect(() => map.set(key, 1)).toThrow(String(key));
        expect([map.size, map.first()?.value]).toEqual([1, 5]);
      }
      map.validate();
    },
  );
});

describe("keys of structs and texts", () => {
  test("are ordered field by field as declared, whatever the padding between them", () => {
    const Inner = struct("Inner", { low: i16, high: u64 });
    const Key = struct("Key", { kind: u8, weight: f32, inner: Inner, pair: array(i8, 2), flag: bool });
    const key = fc.record({
      kind: fc.constantFrom(0, 1, 255),
      weight: fc.constantFrom(-1, 0, 0.5, Infinity),
      inner: fc.record({ low: fc.constantFrom(-1, 0, 1), high: fc.constantFrom(0n, 2n ** 63n, 2n ** 64n - 1n) }),
      pair: fc.constantFrom<number[]>([0, -1], [0, 1], [-128, 127]),
      flag: fc.boolean(),
    });
    type Key = { kind: number; weight: number; inner: { low: number; high: bigint }; pair: number[]; flag: boolean };
    const flat = ({ kind, weight, inner, pair, flag }: Key) => [kind, weight, inner.low, inner.high, ...pair, +flag];
    const order = (a: Key, b: Key) => {
      const other = flat(b);
      return flat(a).reduce<number>((found, field, index) => found || compare(field, other[index]!), 0);
    };
    fc.assert(
      fc.property(fc.array(key, { maxLength: 300, size: "max" }), (keys) => {
        using map = runtime.sortedMap(Key, u32);
        const model = new Map<string, Key>();
        const name = (one: Key) => flat(one).join();
        for (const one of keys) {
          expect(map.set(one, 1)).toBe(!model.has(name(one)));
          model.set(name(one), one);
        }
        map.validate();
        expect(Array.from(map, (entry) => entry.key.toObject())).toEqual([...model.values()].sort(order));
        for (const one of keys.slice(0, 20)) {
          expect(map.has(one)).toBe(true);
          const rest = Array.from(map.entries(one), (entry) => entry.key.toObject());
          expect(rest).toEqual([...model.values()].filter((other) => order(other, one) >= 0).sort(order));
        }
      }),
      { numRuns: scaled(15) },
    );
  });

  test("texts are ordered by their bytes", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "Z", "é", "€", "😀"), maxLength: 3 });
    const order = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 300, size: "max" }), (keys) => hold(text(12), keys, order)),
      { numRuns: scaled(15) },
    );
    using map = runtime.sortedMap(text(4), text(8));
    map.set("BTC", "bitcoin");
    expect([map.get("BTC"), map.get("ETH"), map.first()?.key]).toEqual(["bitcoin", undefined, "BTC"]);
    expect(() => map.set("LONGER", "x")).toThrow(InvalidArgumentError);
    expect(() => map.set("X", "too long for it")).toThrow(InvalidArgumentError);
    expect(map.size).toBe(1);
  });

  const Point = struct("Point", { x: f64, y: f32 });

  test("−0 is 0 in a field, and NaN is refused with the name of the field", () => {
    using map = runtime.sortedMap(Point, f64);
    map.set({ x: -0, y: -0 }, 1);
    expect(map.get({ x: 0, y: 0 })).toBe(1);
    expect(map.set({ x: 0, y: -0 }, 2)).toBe(false);
    const shown = map.first()!.key;
    expect([Object.is(shown.x, 0), Object.is(shown.y, 0)]).toEqual([true, true]);
    for (const call of [
      () => map.set({ x: Number.NaN, y: 0 }, 1),
      () => map.get({ x: Number.NaN, y: 0 }),
      () => map.delete({ x: Number.NaN, y: 0 }),
    ]) {
      expect(call).toThrow(/the key\.x is NaN/);
    }
    expect(() => map.above({ x: 0, y: Number.NaN })).toThrow(/the key\.y is NaN/);
    using behind = runtime.sortedMap(struct("Quote", { id: u32, price: f64 }), f64);
    expect(() => behind.set({ id: 1, price: Number.NaN }, 1)).toThrow(/the key\.price is NaN/);
    expect(map.size).toBe(1);
  });

  test("can be given as cursors, also as the map's own", () => {
    using arena = runtime.arena();
    using map = runtime.sortedMap(Point, f64);
    const point = arena.new(Point);
    for (let index = 0; index < 200; index++) {
      point.x = 200 - index;
      map.set(point, index);
    }
    expect(map.get(point)).toBe(199);
    for (let index = 0; index < 100; index++) expect(map.delete(map.first()!.key)).toBe(true);
    expect(map.first()?.key.x).toBe(101);
    expect(map.set(map.last()!.key, 7)).toBe(false);
    expect(map.last()?.value).toBe(7);
    map.validate();
  });

  test("a write to the cursor that shows a key does not reach the key", () => {
    using map = runtime.sortedMap(Point, f64);
    map.set({ x: 1, y: 1 }, 1);
    map.set({ x: 2, y: 1 }, 2);
    const { key } = map.first()!;
    key.x = 77;
    expect(map.first()?.key.x).toBe(1);
    expect(map.get({ x: 1, y: 1 })).toBe(1);
    map.validate();
  });

  test("that lack a field, or have one that does not fit, are refused", () => {
    const Nested = struct("Nested", { point: Point, id: u8 });
    using map = runtime.sortedMap(Nested, f64);
    const Named = struct("Named", { id: u8, toString: u8 });
    using named = runtime.sortedMap(Named, f64);
    named.set({ id: 1, toString: 7 }, 1);
    expect(() => named.set({ id: 2 } as never, 1)).toThrow("the key lacks the field toString of Named");
    const bad = [{}, { id: 1 }, { point: { x: 1 }, id: 1 }, { point: { x: 1, y: 1 }, id: 256 }, 5, null, "x"];
    for (const key of bad as never[]) {
      expect(() => map.set(key, 1)).toThrow(InvalidArgumentError);
      expect(() => map.get(key)).toThrow(InvalidArgumentError);
    }
    expect(map.size).toBe(0);
  });

  test("that lack a field of a struct in an array are refused, and get nothing of the key before", () => {
    const Inner = struct("Inner", { x: u8, y: u8 });
    const Middle = struct("Middle", { pair: array(Inner, 2), id: u8 });
    const Keys = struct("Keys", { points: array(Inner, 2), middles: array(Middle, 2) });
    const inner = (x: number) => ({ x, y: 7 });
    const middle = (id: number) => ({ pair: [inner(id), inner(id)], id });
    const whole = { points: [inner(1), inner(1)], middles: [middle(1), middle(1)] };
    using map = runtime.sortedMap(Keys, u32);
    map.set(whole, 1);
    const bad = [
      { ...whole, points: [{ x: 2 }, { x: 3 }] },
      { ...whole, points: [inner(2), { y: 3 }] },
      { ...whole, points: [inner(2), {}] },
      { ...whole, middles: [middle(2), { id: 2 }] },
      { ...whole, middles: [middle(2), { pair: [inner(2), { x: 2 }], id: 2 }] },
      { ...whole, middles: [{ pair: middle(2).pair }, middle(2)] },
    ];
    for (const key of bad as (typeof whole)[]) {
      for (const use of [() => map.set(key, 2), () => map.get(key), () => map.has(key), () => map.delete(key)]) {
        expect(use).toThrow(InvalidArgumentError);
      }
    }
    expect(Array.from(map, ({ key }) => key.toObject())).toEqual([whole]);
    expect([map.get(whole), map.size]).toEqual([1, 1]);
    // What is whole is taken, as objects and as cursors alike.
    using arena = runtime.arena();
    const points = [arena.new(Inner).assign(inner(2)), arena.new(Inner).assign(inner(3))];
    expect(map.set({ ...whole, points } as never, 2)).toBe(true);
    expect(map.last()?.key.toObject()).toEqual({ ...whole, points: [inner(2), inner(3)] });
    map.validate();
  });

  test("cannot be referred to through the cursor that shows them, which the next one overwrites", () => {
    const Holder = struct("Holder", { point: ref(Point), points: array(ref(Point), 2) });
    using arena = runtime.arena();
    using map = runtime.sortedMap(Point, u32);
    map.set({ x: 1, y: 1 }, 10);
    map.set({ x: 2, y: 2 }, 20);
    const holder = arena.new(Holder);
    const refs = arena.array(ref(Point), 1);
    const own = arena.new(Point).assign({ x: 9, y: 9 });
    const cursor = runtime.cursor(Point).moveTo(own);
    const uses: Record<string, (key: typeof cursor) => unknown> = {
      ref: (key) => key.ref(),
      moveTo: (key) => cursor.moveTo(key),
      "a ref field": (key) => {
        holder.point = key;
      },
      assign: (key) => holder.assign({ point: key }),
      "refs in a record": (key) => holder.points.set(0, key),
      "refs in an array": (key) => refs.set(0, key),
    };
    const refused = new Set<string>();
    const refuseAll = (key: typeof cursor) => {
      for (const [name, use] of Object.entries(uses)) {
        expect(() => use(key), name).toThrow(InvalidArgumentError);
        refused.add(name);
      }
    };
    refuseAll(map.first()!.key);
    for (const { key } of map) refuseAll(key);
    expect(refused.size).toBe(6);
    expect([holder.point, holder.points.at(0), refs.at(0), cursor.x]).toEqual([null, null, null, 9]);
    // Its values can be had.
    const kept = Array.from(
      map,
      ({ key }) => [key.toObject(), key.copyTo(arena), arena.new(Point).assign(key)] as const,
    );
    expect(kept.map(([object]) => object)).toEqual([
      { x: 1, y: 1 },
      { x: 2, y: 2 },
    ]);
    expect(kept.map(([, copy, assigned]) => [copy.x, assigned.x])).toEqual([
      [1, 1],
      [2, 2],
    ]);
    holder.point = kept[1]![1];
    expect(holder.point?.x).toBe(2);
    expect(map.get(map.last()!.key)).toBe(20);
  });
});

describe("the types of a map", () => {
  const Refs = struct("Refs", { id: u32, next: ref("Refs") });
  const Hooked = struct("Hooked", { id: u32 }, { destroy: () => {} });
  const refused: [string, unknown, unknown][] = [
    ["no key type", undefined, f64],
    ["no value type", f64, undefined],
    ["a key type that is none", { kind: 10 }, f64],
    ["keys that refer to something", Refs, f64],
    ["keys of more than 64 bytes", text(65), f64],
    ["keys with an array of more than 64 bytes", struct("Long", { all: array(u8, 65) }), f64],
    ["values of more than 1,024 bytes", f64, text(1025)],
    ["values that are an array", f64, array(f64, 2)],
    ["values that are a bare ref", f64, ref(Refs)],
    ["keys with a destroy hook, which would not be called", Hooked, f64],
    ["values with a destroy hook, which would not be called", f64, Hooked],
  ];
  test.each(refused)("%s: refused", (_, keyType, valueType) => {
    expect(() => runtime.sortedMap(keyType as never, valueType as never)).toThrow(InvalidArgumentError);
  });

  test("the largest keys and values that there can be work", () => {
    const Value = struct("Value", { id: u32, filling: array(u8, 1020) });
    const filling = Array.from({ length: 1020 }, () => 7);
    using map = runtime.sortedMap(text(64), Value);
    const name = (id: number) => `${id}`.padStart(64, "0");
    for (let id = 999; id >= 0; id--) map.set(name((id * 7) % 1000), { id: (id * 7) % 1000, filling });
    map.validate();
    expect(Array.from(map, (entry) => entry.value.id)).toEqual(Array.from({ length: 1000 }, (_, id) => id));
    for (let id = 0; id < 990; id++) map.delete(name(id));
    map.validate();
    expect(map.first()?.value.toObject()).toEqual({ id: 990, filling });
  });

  const values: [FieldType<unknown>, unknown[], unknown[]][] = [
    [u8, [0, 255], [-1, 256, 0.5, "1"]],
    [i8, [-128, 127], [-129, 128]],
    [u16, [0, 65_535], [-1, 65_536]],
    [i16, [-32_768, 32_767], [-32_769, 32_768]],
    [u32, [0, 2 ** 32 - 1], [-1, 2 ** 32]],
    [i32, [-(2 ** 31), 2 ** 31 - 1], [2 ** 31, 1n]],
    [u64, [0n, 2n ** 64n - 1n], [-1n, 2n ** 64n, 1]],
    [i64, [-(2n ** 63n), 2n ** 63n - 1n], [2n ** 63n, 1]],
    [f32, [0.5, -Infinity, Number.NaN], ["1", 1n, null]],
    [f64, [0.1, -Infinity, Number.NaN, -0], ["1", 1n, null, undefined, {}]],
    [bool, [true, false], [0, 1, "true", null]],
  ];
  test.each(values.map((row) => [row[0].name, ...row] as const))(
    "values of %s read back as they were, and others are refused and change nothing",
    (_, type, good, bad) => {
      using map = runtime.sortedMap(u32, type) as unknown as SortedMap<NumberType, FieldType<unknown>>;
      for (const [index, value] of good.entries()) expect(map.set(index, value)).toBe(true);
      for (const [index, value] of good.entries()) expect(Object.is(map.get(index), value)).toBe(true);
      expect(Array.from(map, (entry) => entry.value)).toEqual(good);
      for (const value of bad) {
        expect(() => map.set(0, value)).toThrow(InvalidArgumentError);
        expect(() => map.set(9, value)).toThrow(InvalidArgumentError);
      }
      expect(map.size).toBe(good.length);
      expect(map.get(0)).toEqual(good[0]);
      map.set(0, good[1]);
      expect(map.get(0)).toEqual(good[1]);
    },
  );
});
