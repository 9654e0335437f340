import { runInNewContext } from "node:vm";
import { createRuntime, f64, ref, struct, text, u8 } from "tidemark";
import { describe, expect, test } from "vitest";
import { arena, Book, Level, level, other, runtime, Side } from "./arenas.js";
import { expectRefusal, HOSTILE_OBJECTS } from "./hostile.js";

describe("assign", () => {
  const kept = { price: 1, quantity: 2 };

  test("sets what is named and leaves the rest", () => {
    const record = level(1, 2);
    expect(record.assign({ quantity: 3 })).toBe(record);
    expect(record.toObject()).toEqual({ price: 1, quantity: 3 });
    record.assign({});
    expect(record.toObject()).toEqual({ price: 1, quantity: 3 });
  });

  test("takes back what toObject gave, refs included", () => {
    const book = arena.new(Book);
    book.last = level(5, 6);
    book.bids.levels.at(1).price = 3;
    const copy = arena.new(Book).assign(book.toObject());
    expect(copy.last!.price).toBe(5);
    expect(copy.bids.toObject()).toEqual(book.bids.toObject());
  });

  test("takes a cursor or a ref of the same struct", () => {
    const source = level(7, 8);
    const record = level(1, 2);
    expect(record.assign(source).toObject()).toEqual({ price: 7, quantity: 8 });
    record.assign(kept);
    expect(record.assign(source.ref()).toObject()).toEqual({ price: 7, quantity: 8 });
    expect(record.assign(record).toObject()).toEqual({ price: 7, quantity: 8 });
  });

  test.each([
    ...HOSTILE_OBJECTS.filter(([, value]) => typeof value !== "object" || value === null),
    ["undefined", undefined] as const,
  ])("refuses %s", (_label, values) => {
    const record = level(1, 2);
    expectRefusal(() => record.assign(values as object), "ERR_TIDEMARK_INVALID_ARGUMENT", /Level/);
    expect(record.toObject()).toEqual(kept);
  });

  test("with an unknown name or a bad value, at any depth and in any order, changes nothing", () => {
    const book = arena.new(Book);
    book.assign({ bids: { name: "bids", counts: [1, 2] }, open: true });
    const before = book.toObject();
    const good = { bids: { name: "new", best: { price: 9 }, counts: [3, 4] }, open: false };
    for (const bad of [
      { ...good, opened: true },
      { ...good, open: 1 },
      { ...good, last: arena.new(Side) },
      { ...good, last: 5 },
      { ...good, asks: { best: { prise: 1 } } },
      { ...good, asks: { levels: [{}, {}] } },
      { ...good, asks: { levels: [{ price: 1 }, { price: 2 }, { price: "3" }] } },
      { ...good, asks: { counts: [1, -1] } },
      { ...good, asks: { name: "asks!" } },
      { ...good, asks: null },
      { ...good, asks: undefined },
      { ...good, asks: book },
      { ...good, asks: other.arena().new(Side) },
      { ...good, asks: runtime.cursor(Side) },
      { ...good, ["__proto__"]: {} },
      { ...good, toString: 1 },
      { ...good, constructor: 1 },
    ]) {
      expectRefusal(() => book.assign(bad as object));
      expect(book.toObject()).toEqual(before);
    }
  });

  test("looks at own properties only, whatever else the object's class has", () => {
    const record = level(1, 2);
    record.assign(Object.create({ prise: 9 }, { quantity: { value: 4, enumerable: true } }));
    expect(record.toObject()).toEqual({ price: 1, quantity: 4 });
    class Quote {
      quantity = 5;
      prise(): void {}
    }
    record.assign(new Quote());
    expect(record.toObject()).toEqual({ price: 1, quantity: 5 });
    record.assign({
      get price() {
        return 6;
      },
    });
    expect(record.price).toBe(6);
    record.assign(Object.assign(Object.create(null), { price: 7 }));
    record.assign(runInNewContext("({})"));
    record.assign(runInNewContext("({ quantity: 8 })"));
    expect(record.toObject()).toEqual({ price: 7, quantity: 8 });
    const Method = struct("Method", { toString: u8, length: u8 });
    class Named {
      length = 3;
    }
    expect(arena.new(Method).assign(new Named() as object).length).toBe(3);
  });

  test("refuses an object that has fields, but not as its own, since they would silently not be taken", () => {
    const record = level(1, 2);
    const book = arena.new(Book);
    const levels = arena.array(Level);
    class Quote {
      quantity = 5;
      get price(): number {
        return 9;
      }
    }
    class Hidden {
      price = 3;
      constructor() {
        Object.defineProperty(this, "quantity", { get: () => 4 });
      }
    }
    const says = /price.*own/;
    for (const quote of [new Quote(), Object.create({ price: 9 }), new Proxy(new Quote(), {})]) {
      expectRefusal(() => record.assign(quote), "ERR_TIDEMARK_INVALID_ARGUMENT", says);
      expectRefusal(() => levels.push(quote), "ERR_TIDEMARK_INVALID_ARGUMENT", says);
      expectRefusal(() => book.bids.levels.at(0).assign(quote), "ERR_TIDEMARK_INVALID_ARGUMENT", says);
    }
    expectRefusal(() => record.assign(new Hidden()), "ERR_TIDEMARK_INVALID_ARGUMENT", /quantity.*own/);
    const withDefault = Object.create({ quantity: 7 }, { price: { value: 9, enumerable: true } });
    expectRefusal(() => record.assign(withDefault), "ERR_TIDEMARK_INVALID_ARGUMENT", /quantity.*inherits/);
    expect(record.toObject()).toEqual(kept);
    expect(levels.length).toBe(0);
  });

  test("refuses an object of a class that has none of the fields", () => {
    const record = level(1, 2);
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expectRefusal(() => record.assign(proxy), "ERR_TIDEMARK_INVALID_ARGUMENT", /Level cannot be read/);
    for (const values of [[], new Map([["price", 9]]), new Set(), new Date(0), Object.create([]), new (class {})()]) {
      expectRefusal(() => record.assign(values as object), "ERR_TIDEMARK_INVALID_ARGUMENT", /Level/);
    }
    expect(record.toObject()).toEqual(kept);
  });

  test("reads each value once, so that it cannot change between the check and the write", () => {
    const changing = <T>(first: unknown, second: unknown): T => {
      let reads = 0;
      return { valueOf: null, get: () => (reads++ === 0 ? first : second) } as T & { get(): unknown };
    };
    const source = changing<{ get(): never }>([1, 2], [1, "x", 3]);
    const side = arena.new(Side);
    side.assign({
      get counts() {
        return source.get();
      },
    });
    expect(side.counts.toArray()).toEqual([1, 2]);
    const name = changing<{ get(): never }>("tide", "tidemark and more");
    side.assign({
      get name() {
        return name.get();
      },
    });
    expect(side.name).toBe("tide");
    const best = changing<{ get(): never }>({ price: 1 }, { prise: Symbol("x") });
    side.assign({
      get best() {
        return best.get();
      },
    });
    expect(side.best.price).toBe(1);
    const book = arena.new(Book);
    const last = changing<{ get(): never }>(null, 5);
    book.assign({
      get last() {
        return last.get();
      },
    });
    expect(book.last).toBe(null);
  });

  test("refuses a getter that throws, with its error as the cause, and changes nothing", () => {
    const record = level(1, 2);
    const cause = new RangeError("hostile");
    const refusal = expectRefusal(
      () =>
        record.assign({
          price: 9,
          get quantity(): number {
            throw cause;
          },
        }),
      "ERR_TIDEMARK_INVALID_ARGUMENT",
      /Level\.quantity/,
    );
    expect(refusal.cause).toBe(cause);
    expect(record.toObject()).toEqual(kept);
    const hostileArray = [1, 2];
    Object.defineProperty(hostileArray, 1, {
      get() {
        throw cause;
      },
    });
    const side = arena.new(Side);
    expect(expectRefusal(() => side.assign({ counts: hostileArray }), "ERR_TIDEMARK_INVALID_ARGUMENT").cause).toBe(
      cause,
    );
    expect(side.counts.toArray()).toEqual([0, 0]);
  });

  test("whose getter ends the record writes nothing into what comes after", () => {
    const scratch = runtime.arena();
    const record = scratch.new(Level);
    const after = runtime.cursor(Level);
    expectRefusal(
      () =>
        record.assign({
          price: 1,
          get quantity() {
            scratch.reset();
            scratch.new(Level, after);
            return 2;
          },
        }),
      "ERR_TIDEMARK_STALE_REFERENCE",
    );
    expect(after.toObject()).toEqual({ price: 0, quantity: 0 });
  });

  test("of a nested struct or array whose getter ends the record writes nothing either", () => {
    const scratch = runtime.arena();
    const after = runtime.cursor(Side);
    const end = () => {
      scratch.reset();
      scratch.new(Side, after);
      return 2;
    };
    const first = scratch.new(Side);
    expectRefusal(() => {
      first.best = {
        get price() {
          return end();
        },
      } as never;
    }, "ERR_TIDEMARK_STALE_REFERENCE");
    const second = scratch.new(Side);
    const counts = Object.defineProperty([1, 2], 1, { get: end });
    expectRefusal(() => {
      second.counts = counts as never;
    }, "ERR_TIDEMARK_STALE_REFERENCE");
    expect(after.toObject()).toEqual(runtime.arena().new(Side).toObject());
  });

  test("copies the record that a cursor is on when it is read, wherever a later getter moves it", () => {
    const Pair = struct("Pair", { one: Level, two: Level });
    const scratch = runtime.arena();
    const cursor = scratch.new(Level).assign({ price: 1 });
    const pair = arena.new(Pair).assign({
      one: cursor,
      get two() {
        cursor.moveTo(null);
        scratch.reset();
        scratch.new(Level).price = 99;
        return { price: 2 };
      },
    });
    expect([pair.one.price, pair.two.price]).toEqual([1, 2]);
  });

  test("reads what lies behind a ref whose struct is given by a function that has the host grow memory", async () => {
    using own = await createRuntime();
    const Target = struct("Target", { value: f64 });
    let grows = false;
    const given = () => {
      if (grows) own.memory.grow(1);
      return Target;
    };
    const Holder = struct("Holder", { next: ref(given), after: f64, name: text(8) });
    const holders = own.arena();
    const record = holders.new(Holder).assign({ next: holders.new(Target), after: 2, name: "tide" });
    grows = true;
    expect(record.toObject()).toMatchObject({ after: 2, name: "tide" });
  });

  test("whose getter makes memory grow writes to the record all the same", () => {
    const record = level(0, 0);
    record.assign({
      price: 1,
      get quantity() {
        arena.bytes(8 << 20);
        return 2;
      },
    });
    expect(record.toObject()).toEqual({ price: 1, quantity: 2 });
  });
});
