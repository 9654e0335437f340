import fc from "fast-check";
import {
  type Arena,
  array,
  bool,
  type Cursor,
  createRuntime,
  type FieldType,
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  type Runtime,
  type StructType,
  struct,
  text,
  u8,
  u16,
  u32,
  u64,
} from "tidemark";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectRefusal } from "./hostile.js";
import { encode, fieldName, layoutOf, recordsOf, type StructShape, structOf, structShapes } from "./shapes.js";

type Plain = Record<string, unknown>;
type AnyCursor = Cursor & Plain;

describe.each([
  ["release", false],
  ["debug", true],
])("in the %s module", (_name, debug) => {
  let runtime: Runtime;
  let arena: Arena;

  beforeAll(async () => {
    runtime = await createRuntime({ debug, maximumBytes: 64 << 20 });
  });
  afterAll(() => runtime.dispose());
  beforeEach(() => {
    arena = runtime.arena();
  });
  afterEach(() => arena.destroy());

  const bytesOf = (address: number, size: number): Uint8Array =>
    new Uint8Array(runtime.memory.buffer).slice(address, address + size);
  const addressOf = (cursor: Cursor): number => cursor.$address;

  const modelBytes = (shape: StructShape, values: Plain): Uint8Array => {
    const bytes = new Uint8Array(layoutOf(shape).size);
    encode(shape, values, new DataView(bytes.buffer), 0);
    return bytes;
  };

  const randomRecords = structShapes.chain((shape) =>
    fc.record({ shape: fc.constant(shape), first: recordsOf(shape), second: recordsOf(shape) }),
  );

  test("whole records lie in memory as a DataView would write them, and read back, for random structs", () => {
    fc.assert(
      fc.property(randomRecords, ({ shape, first, second }) => {
        arena.reset();
        const type = structOf(shape);
        const before = arena.bytes(16);
        const record = arena.new(type) as AnyCursor;
        const after = arena.bytes(16);
        for (const guard of [before, after]) guard.copyFrom(new Uint8Array(16).fill(0xa5));
        for (const values of [first, second]) {
          record.assign(values);
          expect(record.toObject()).toEqual(values);
          expect(bytesOf(addressOf(record), type.size)).toEqual(modelBytes(shape, values));
        }
        for (const guard of [before, after]) expect(guard.toUint8Array()).toEqual(new Uint8Array(16).fill(0xa5));
      }),
      { numRuns: 300 },
    );
  });

  test("field by field, getters give what setters were given, and leave the others alone, for random structs", () => {
    fc.assert(
      fc.property(randomRecords, fc.infiniteStream(fc.nat()), ({ shape, first, second }, choices) => {
        arena.reset();
        const type = structOf(shape);
        const record = arena.new(type) as AnyCursor;
        record.assign(first);
        const model = { ...first };
        const names = shape.fields.map((_, index) => fieldName(index));
        for (let step = 0; step < names.length; step++) {
          const name = names[choices.next().value! % names.length]!;
          model[name] = second[name];
          record[name] = second[name];
          expect(bytesOf(addressOf(record), type.size)).toEqual(modelBytes(shape, model));
          for (const other of names) expect(plainOf(record[other])).toEqual(model[other]);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("fixed arrays of random structs hold what was put in, each element at its stride", () => {
    const rows = structShapes.chain((shape) =>
      fc.record({ shape: fc.constant(shape), values: fc.array(recordsOf(shape), { minLength: 1, maxLength: 5 }) }),
    );
    fc.assert(
      fc.property(rows, ({ shape, values }) => {
        arena.reset();
        const type = structOf(shape);
        const elements = arena.array(type, values.length);
        values.forEach((value, index) => {
          elements.set(index, value as never);
        });
        expect(elements.toArray()).toEqual(values);
        values.forEach((value, index) => {
          expect(bytesOf(elements.address + index * type.size, type.size)).toEqual(modelBytes(shape, value));
        });
      }),
      { numRuns: 150 },
    );
  });

  test("new records and array elements are zero, also where others have been before", () => {
    fc.assert(
      fc.property(randomRecords, ({ shape, first }) => {
        arena.reset();
        const type = structOf(shape);
        for (let round = 0; round < 2; round++) {
          const record = arena.new(type) as AnyCursor;
          expect(bytesOf(addressOf(record), type.size)).toEqual(new Uint8Array(type.size));
          record.assign(first);
          const elements = arena.array(type);
          for (let index = 0; index < 9; index++) {
            const element = elements.push() as AnyCursor;
            expect(bytesOf(addressOf(element), type.size)).toEqual(new Uint8Array(type.size));
            element.assign(first);
          }
          arena.reset();
        }
      }),
      { numRuns: 50 },
    );
  });
});

/** A field's value as plain data, whatever view it came as. */
function plainOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("toObject" in value) return (value as Cursor).toObject();
  return (value as { toArray(): unknown[] }).toArray();
}

describe("a field takes the ends of its range and nothing beyond", () => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await createRuntime();
  });
  afterAll(() => runtime.dispose());

  const HOSTILE = [
    "5",
    null,
    undefined,
    Symbol("five"),
    {},
    [],
    [5],
    () => 5,
    {
      valueOf() {
        throw new RangeError("hostile");
      },
    },
    Object.create(null),
  ];
  const FRACTIONS = [1.5, -0.5, Number.NaN, Infinity, -Infinity, 5n, true];

  const cases: [string, StructType<{ value: FieldType<unknown> }>, readonly unknown[], readonly unknown[]][] = [
    ["u8", u8, [0, 255], [-1, 256, 2 ** 31, 2 ** 32 - 1, 2 ** 32, ...FRACTIONS]],
    ["i8", i8, [-128, 127], [-129, 128, 2 ** 31, 2 ** 32 - 1, 2 ** 32, ...FRACTIONS]],
    ["u16", u16, [0, 65535], [-1, 65536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, ...FRACTIONS]],
    ["i16", i16, [-32768, 32767], [-32769, 32768, 2 ** 31, 2 ** 32 - 1, 2 ** 32, ...FRACTIONS]],
    ["u32", u32, [0, 2 ** 31, 2 ** 32 - 1], [-1, 2 ** 32, 2 ** 53, ...FRACTIONS]],
    ["i32", i32, [-(2 ** 31), 2 ** 31 - 1], [2 ** 31, -(2 ** 31) - 1, 2 ** 32 - 1, 2 ** 32, ...FRACTIONS]],
    ["u64", u64, [0n, 2n ** 64n - 1n], [-1n, 2n ** 64n, 0, 5, Number.NaN, true]],
    ["i64", i64, [-(2n ** 63n), 2n ** 63n - 1n], [-(2n ** 63n) - 1n, 2n ** 63n, 0, 5, Number.NaN, true]],
    ["f32", f32, [0, -0, 2 ** 31, Number.NaN, Infinity, -Infinity, Math.fround(0.1)], [5n, true]],
    ["f64", f64, [0, -0, 2 ** 53, Number.NaN, Infinity, -Infinity, 0.1, Number.MIN_VALUE], [5n, true]],
    ["bool", bool, [true, false], [0, 1, Number.NaN, 5n]],
    [
      "text(4)",
      text(4),
      ["", "abcd", "€a", "😀", "\ufeffa"],
      ["abcde", "€€", "a😀", "a\0", "\ud800", "\udc00a", 5, 5n, true],
    ],
    [
      "array(u8, 2)",
      array(u8, 2),
      [[0, 255]],
      [[], [1], [1, 2, 3], [1, 256], [1, "2"], [1, undefined], [1, 2n], "12", 2],
    ],
  ].map(
    ([name, type, good, bad]) =>
      [name, struct("Holder", { before: u8, value: type, after: u8 } as never), good, bad] as never,
  );

  test.each(cases)("%s", (_name, Holder, good, bad) => {
    using arena = runtime.arena();
    const record = arena.new(Holder) as unknown as AnyCursor;
    const values = arena.array(Holder.fields.value, 2);
    for (const value of good) {
      record.value = value;
      expect(plainOf(record.value)).toEqual(value);
      record.assign({ value });
      expect(record.toObject()).toEqual({ before: 0, value, after: 0 });
      values.set(1, value as never);
      expect(values.at(1)).toEqual(value);
      expect(plainOf(record.value)).toEqual(value);
    }
    const wanted = record.toObject();
    for (const value of [...bad, ...HOSTILE]) {
      if (value === "5" && Holder.fields.value.name === "text(4)") continue;
      expectRefusal(() => {
        record.value = value;
      }, "ERR_TIDEMARK_INVALID_ARGUMENT");
      expectRefusal(() => record.assign({ before: 1, value, after: 1 }), "ERR_TIDEMARK_INVALID_ARGUMENT", /value/);
      expectRefusal(() => values.set(1, value as never), "ERR_TIDEMARK_INVALID_ARGUMENT", /element\[1\]/);
      expect(record.toObject()).toEqual(wanted);
      expect(values.at(1)).toEqual(good.at(-1));
    }
    const growable = arena.array(Holder.fields.value);
    for (const value of bad) expectRefusal(() => growable.push(value as never), "ERR_TIDEMARK_INVALID_ARGUMENT");
    expect(growable.length).toBe(0);
  });

  test("and a message names the field, its type and the value", () => {
    using arena = runtime.arena();
    const Inner = struct("Inner", { counts: array(u8, 3) });
    const Outer = struct("Outer", { inner: Inner });
    const record = arena.new(Outer);
    const refusal = expectRefusal(() => record.assign({ inner: { counts: [1, 2, 300] } }));
    expect(refusal.message).toBe(
      "Outer.inner.counts[2] of type u8 takes a whole number from 0 to 255, but was given 300",
    );
  });

  test("and a store that is refused names the struct, and the field where no other is of its type", () => {
    using arena = runtime.arena();
    const Order = struct("Order", { quantity: u8, price: f64, limit: f64 });
    const order = arena.new(Order);
    expect(() => {
      order.quantity = 300;
    }).toThrow("Order.quantity of type u8 takes a whole number from 0 to 255, but was given 300");
    expect(() => {
      order.limit = "5" as never;
    }).toThrow('a field of Order of type f64 takes a number, but was given "5"');
  });

  test("and f32 rounds to the nearest float", () => {
    using arena = runtime.arena();
    const record = arena.new(struct("Rounded", { value: f32 }));
    record.value = 0.1;
    expect(record.value).toBe(Math.fround(0.1));
    record.value = 1e39;
    expect(record.value).toBe(Infinity);
  });
});
