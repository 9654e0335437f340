import fc from "fast-check";
import { array, bool, createRuntime, f64, struct, text, u8, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { arena, Level, levelsUpTo, runtime } from "./arenas.js";
import { expectRefusal, HOSTILE_COUNTS, HOSTILE_OBJECTS } from "./hostile.js";

describe("a growable array", () => {
  test("agrees with a plain one over random pushes, cuts, writes and reads", () => {
    const operation = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant("push" as const), price: fc.double(), bare: fc.boolean() }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant("many" as const), count: fc.integer({ min: 1, max: 300 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant("truncate" as const),
          part: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("set" as const), at: fc.nat(), quantity: fc.double() }) },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant("restart" as const),
          fixed: fc.option(fc.integer({ min: 1, max: 20 })),
        }),
      },
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        arena.reset();
        const levels = arena.array(Level);
        let model: { price: number; quantity: number }[] = [];
        let growable = true;
        for (const step of operations) {
          if (step.kind === "restart") {
            if (step.fixed === null) arena.array(Level, levels);
            else arena.array(Level, step.fixed, levels);
            growable = step.fixed === null;
            model = Array.from({ length: step.fixed ?? 0 }, () => ({ price: 0, quantity: 0 }));
          } else if (step.kind === "push" && growable) {
            levels.push(step.bare ? undefined : { price: step.price });
            model.push({ price: step.bare ? 0 : step.price, quantity: 0 });
          } else if (step.kind === "many" && growable) {
            for (let count = 0; count < step.count; count++) {
              levels.push().quantity = count;
              model.push({ price: 0, quantity: count });
            }
          } else if (step.kind === "truncate") {
            model.length = Math.floor(model.length * step.part);
            levels.truncate(model.length);
          } else if (step.kind === "set" && model.length > 0) {
            const index = step.at % model.length;
            levels.set(index, { quantity: step.quantity });
            model[index]!.quantity = step.quantity;
          }
          expect(levels.length).toBe(model.length);
        }
        expect(levels.toArray()).toEqual(model);
        expect(Array.from(levels, (level) => level.toObject())).toEqual(model);
      }),
      { numRuns: 200 },
    );
  });

  test("never moves an element: refs and addresses stay good while it grows and memory with it", () => {
    const levels = arena.array(Level);
    const refs = [];
    const addresses: number[] = [];
    for (let price = 0; price < 100_000; price++) {
      const level = levels.push();
      level.price = price;
      if (price % 997 === 0) {
        refs.push(level.ref());
        addresses.push(level.$address);
      }
    }
    const cursor = runtime.cursor(Level);
    refs.forEach((held, index) => {
      expect(cursor.moveTo(held).price).toBe(index * 997);
      expect(levels.at(index * 997).$address).toBe(addresses[index]);
    });
  });

  test.each([
    ["1 byte", u8, 1],
    ["3 bytes", text(3), "abc"],
    ["8 bytes", f64, 1.5],
    ["300 bytes", text(300), "long"],
    ["an array", array(u8, 5), [1, 2, 3, 4, 5]],
  ] as const)("of elements of %s keeps each apart", (_label, type, value) => {
    const values = arena.array(type as typeof f64);
    for (let index = 0; index < 1000; index++) values.push((index % 3 === 0 ? value : values.at(0)) as number);
    for (let index = 0; index < 1000; index++) expect(values.at(index)).toEqual(value);
    const zero = arena.array(type as typeof f64, 1).at(0);
    values.set(500, zero);
    expect([values.at(499), values.at(500), values.at(501)]).toEqual([value, zero, value]);
  });

  test("cut and pushed to again gives zeros, not what was there before", () => {
    const levels = levelsUpTo(40);
    levels.truncate(10);
    for (let index = 10; index < 60; index++) expect(levels.push().toObject()).toEqual({ price: 0, quantity: 0 });
    expect(levels.at(9).price).toBe(9);
  });

  test("takes a copy of an element of its own", () => {
    const levels = levelsUpTo(3);
    levels.push(levels.at(2));
    levels.push(levels.at(1).ref());
    levels.set(0, levels.at(2));
    expect(levels.toArray().map(({ price }) => price)).toEqual([2, 1, 2, 2, 1]);
    for (let count = 0; count < 1000; count++) levels.push(levels.at(levels.length - 1));
    expect(levels.at(1000).price).toBe(1);
  });

  test("leaves its cursor on the element that was pushed, and set leaves it where it was", () => {
    const levels = levelsUpTo(3);
    const pushed = levels.push({ price: 3 });
    levels.set(0, { price: 10 });
    expect(pushed.price).toBe(3);
  });

  test("is unchanged by a push whose values are refused", () => {
    const levels = levelsUpTo(3);
    const cursor = levels.at(1);
    expectRefusal(() => levels.push({ price: "9" as never }), "ERR_TIDEMARK_INVALID_ARGUMENT", /price/);
    expectRefusal(() => levels.push({ prise: 9 } as never), "ERR_TIDEMARK_INVALID_ARGUMENT", /prise/);
    expectRefusal(() => levels.set(0, { price: 9n } as never), "ERR_TIDEMARK_INVALID_ARGUMENT", /price/);
    for (const [, values] of HOSTILE_OBJECTS) {
      if (typeof values === "object" && values !== null) continue;
      expectRefusal(() => levels.push(values as object), "ERR_TIDEMARK_INVALID_ARGUMENT");
      expectRefusal(() => levels.set(0, values as object), "ERR_TIDEMARK_INVALID_ARGUMENT");
    }
    expect(levels.length).toBe(3);
    expect(cursor.price).toBe(1);
    expect(levels.toArray().map(({ price }) => price)).toEqual([0, 1, 2]);
  });

  test("survives a getter among the values that pushes to it, cuts it, or ends it", () => {
    const levels = levelsUpTo(3);
    levels.push({
      get price() {
        levels.push({ price: 50 });
        return 60;
      },
    });
    expect(levels.toArray().map(({ price }) => price)).toEqual([0, 1, 2, 50, 60]);
    expectRefusal(
      () =>
        levels.set(4, {
          get price() {
            levels.truncate(2);
            return 70;
          },
        }),
      "ERR_TIDEMARK_OUT_OF_BOUNDS",
    );
    expect(levels.push().price).toBe(0);
    const scratch = runtime.arena();
    const short = scratch.array(Level);
    const after = runtime.cursor(Level);
    expectRefusal(
      () =>
        short.push({
          get price() {
            scratch.reset();
            scratch.new(Level, after);
            return 1;
          },
        }),
      "ERR_TIDEMARK_STALE_REFERENCE",
    );
    expect(after.price).toBe(0);
  });

  test("cannot grow while a mark made after it is open, since the rewind would end what is new", () => {
    const levels = levelsUpTo(1);
    while (levels.length < levels.$capacity) levels.push();
    const { length } = levels;
    const mark = arena.mark();
    expectRefusal(() => levels.push(), "ERR_TIDEMARK_LIMIT_EXCEEDED", /mark/);
    expectRefusal(() => levels.push({ price: 1 }), "ERR_TIDEMARK_LIMIT_EXCEEDED", /mark/);
    expect(levels.length).toBe(length);
    const inside = arena.array(Level);
    inside.push();
    arena.rewind(mark);
    expect(levels.at(0).price).toBe(0);
    expectRefusal(() => inside.push(), "ERR_TIDEMARK_STALE_REFERENCE");
    expect(levels.length).toBe(length);
  });

  test("that memory has no room for stays as it was, and grows when there is room again", async () => {
    using small = await createRuntime({ maximumBytes: 1 << 20 });
    const mine = small.arena();
    const blocker = small.arena();
    blocker.bytes(600 << 10);
    const rows = mine.array(struct("Row", { bytes: array(u8, 1000), number: u32 }));
    expectRefusal(
      () => {
        for (;;) rows.push().number = rows.length;
      },
      "ERR_TIDEMARK_OUT_OF_MEMORY",
      /pages/,
    );
    const { length } = rows;
    expect(length).toBeGreaterThan(0);
    rows.toArray().forEach((row, index) => {
      expect(row.number).toBe(index + 1);
    });
    blocker.destroy();
    rows.push().number = 77;
    expect(rows.length).toBe(length + 1);
    expect(rows.at(length - 1).number).toBe(length);
    small.validate();
  });
});

describe("a fixed array", () => {
  test("has all its elements at once, zero, in a row", () => {
    const prices = arena.array(f64, 3);
    expect(prices.toArray()).toEqual([0, 0, 0]);
    expect(prices.growable).toBe(false);
    prices.set(2, 5);
    expect(new Float64Array(runtime.memory.buffer, prices.address, 3)).toEqual(Float64Array.of(0, 0, 5));
    expectRefusal(() => prices.push(1), "ERR_TIDEMARK_LIMIT_EXCEEDED", /3/);
    expect(prices.length).toBe(3);
  });

  test("that ends in the body of a loop over it is found out at the next step, behind the last element, too", () => {
    for (const at of [0, 2]) {
      const levels = arena.array(Level, 3);
      const walk = () => {
        let index = 0;
        for (const _ of levels) if (index++ === at) arena.reset();
      };
      expectRefusal(walk, "ERR_TIDEMARK_STALE_REFERENCE");
    }
  });

  test("that has ended says so however it is used, without any elements, too", () => {
    const arrays = [arena.array(f64), arena.array(f64, 2)];
    arena.reset();
    for (const ended of arrays) {
      const uses = [
        () => ended.address,
        () => ended.toArray(),
        () => JSON.stringify(ended),
        () => ended.truncate(0),
        () => [...ended],
      ];
      for (const use of uses) expectRefusal(use, "ERR_TIDEMARK_STALE_REFERENCE");
    }
  });

  test("cut short can be filled up again, with zeros first; a ref to an element shows what comes in its place", () => {
    const cut = arena.array(Level);
    cut.push({ price: 1 });
    const ref = cut.at(0).ref();
    cut.truncate(0);
    cut.push({ price: 2 });
    expect([ref.isLive(), arena.new(Level).moveTo(ref).price]).toEqual([true, 2]);
    const levels = arena.array(Level, 3);
    for (const level of levels) level.price = 7;
    levels.truncate(1);
    expect(levels.push().price).toBe(0);
    expect(levels.push({ quantity: 1 }).toObject()).toEqual({ price: 0, quantity: 1 });
    expectRefusal(() => levels.push(), "ERR_TIDEMARK_LIMIT_EXCEEDED", /3/);
    const flags = arena.array(bool, 2);
    flags.set(1, true);
    flags.truncate(0);
    flags.push(true);
    expect(flags.toArray()).toEqual([true]);
  });

  test("of arrays gives and takes plain arrays", () => {
    const rows = arena.array(array(u8, 2), 2);
    rows.set(1, [3, 4]);
    expect(rows.at(1)).toEqual([3, 4]);
    expect(rows.toArray()).toEqual([
      [0, 0],
      [3, 4],
    ]);
  });
});

describe("reusing an array", () => {
  test("gives the same object a new place, and ends nothing of the old one's elements", () => {
    const levels = arena.array(Level, 2);
    const held = levels.at(1).ref();
    levels.at(1).price = 4;
    expect(arena.array(Level, 5, levels)).toBe(levels);
    expect(levels.length).toBe(5);
    expect(levels.at(1).price).toBe(0);
    expect(runtime.cursor(Level).moveTo(held).price).toBe(4);
  });

  test("from the runtime's own, event after event, starts empty each time", () => {
    const levels = runtime.array(Level);
    expectRefusal(() => levels.push(), "ERR_TIDEMARK_STALE_REFERENCE");
    for (let event = 0; event < 50; event++) {
      arena.array(Level, levels);
      expect(levels.length).toBe(0);
      for (let index = 0; index < event; index++) expect(levels.push().toObject()).toEqual({ price: 0, quantity: 0 });
      for (const level of levels) level.price = event;
      arena.reset();
    }
  });

  test("is refused for another element type or runtime, and leaves it as it was", async () => {
    using other = await createRuntime();
    const levels = levelsUpTo(2);
    expectRefusal(() => arena.array(f64, 3, levels as never), "ERR_TIDEMARK_INVALID_ARGUMENT", /Level.*f64/);
    expectRefusal(() => other.arena().array(Level, levels), "ERR_TIDEMARK_INVALID_ARGUMENT", /another runtime/);
    expect(levels.at(1).price).toBe(1);
  });
});

describe("an index, a length or a type that is none is refused, and changes nothing", () => {
  test.each([["3", 3], ...HOSTILE_COUNTS, ["undefined", undefined]] as const)("index %s", (_label, index) => {
    const levels = levelsUpTo(3);
    const flags = arena.array(u8, 3);
    expectRefusal(() => levels.at(index as number), "ERR_TIDEMARK_OUT_OF_BOUNDS", /array of 3/);
    expectRefusal(() => levels.set(index as number, { price: 9 }), "ERR_TIDEMARK_OUT_OF_BOUNDS", /array of 3/);
    expectRefusal(() => flags.at(index as number), "ERR_TIDEMARK_OUT_OF_BOUNDS", /array of 3/);
    expectRefusal(() => flags.set(index as number, 1), "ERR_TIDEMARK_OUT_OF_BOUNDS", /array of 3/);
    expect(levels.toArray().map(({ price }) => price)).toEqual([0, 1, 2]);
    expect(flags.toArray()).toEqual([0, 0, 0]);
  });

  test.each([["4", 4], ...HOSTILE_COUNTS, ["undefined", undefined]] as const)(
    "a shortened length of %s",
    (_label, length) => {
      const levels = levelsUpTo(3);
      expectRefusal(() => levels.truncate(length as number), "ERR_TIDEMARK_INVALID_ARGUMENT", /0 to 3/);
      expect(levels.length).toBe(3);
    },
  );

  test.each([["0", 0], ...HOSTILE_COUNTS.filter(([label]) => label !== "2^31")] as const)(
    "length %s",
    (_label, length) => {
      const before = arena.stats().used;
      expectRefusal(() => arena.array(Level, length as number), "ERR_TIDEMARK_INVALID_ARGUMENT");
      expectRefusal(() => arena.array(u32, length as number), "ERR_TIDEMARK_INVALID_ARGUMENT");
      expect(arena.stats().used).toBe(before);
    },
  );

  test.each([...HOSTILE_OBJECTS, ["undefined", undefined] as const])("element type %s", (_label, type) => {
    expectRefusal(() => arena.array(type as typeof f64), "ERR_TIDEMARK_INVALID_ARGUMENT", /field type/);
    expectRefusal(() => arena.array(type as typeof f64, 3), "ERR_TIDEMARK_INVALID_ARGUMENT", /field type/);
    expectRefusal(() => runtime.array(type as typeof f64), "ERR_TIDEMARK_INVALID_ARGUMENT", /field type/);
  });

  test("length set from outside", () => {
    for (const sequence of [levelsUpTo(3), arena.array(f64, 3)]) {
      expect(() => {
        (sequence as { length: number }).length = 1000;
      }).toThrow(TypeError);
      expect(sequence.length).toBe(3);
    }
  });
});
