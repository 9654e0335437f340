import { type Arena, type Cursor, createRuntime, f64, ref, struct, u8 } from "tidemark";
import { describe, expect, test } from "vitest";
import { arena, Book, Level, level, other, runtime, Side } from "./arenas.js";
import { expectRefusal, HOSTILE_OBJECTS } from "./hostile.js";

describe("a cursor", () => {
  test("that has not been moved to a record refuses every use", () => {
    const unset = runtime.cursor(Book);
    expect(unset.isLive()).toBe(false);
    for (const use of [
      () => unset.open,
      () => {
        unset.open = true;
      },
      () => unset.bids,
      () => unset.bids.best,
      () => unset.last,
      () => unset.toObject(),
      () => unset.assign({}),
      () => unset.ref(),
      () => unset.follow("last", runtime.cursor(Level)),
      () => unset.copyTo(arena),
      () => runtime.cursor(Book).moveTo(unset),
    ]) {
      expectRefusal(use, "ERR_TIDEMARK_STALE_REFERENCE", /not been moved|nothing yet/);
    }
  });

  test("moves over records, and to nothing", () => {
    const first = level(1, 10);
    const second = level(2, 20);
    const cursor = runtime.cursor(Level);
    expect(cursor.moveTo(first)).toBe(cursor);
    expect(cursor.price).toBe(1);
    cursor.moveTo(second.ref());
    cursor.quantity = 21;
    expect(second.quantity).toBe(21);
    expect(first.quantity).toBe(10);
    cursor.moveTo(null);
    expect(cursor.isLive()).toBe(false);
    expectRefusal(() => cursor.price, "ERR_TIDEMARK_STALE_REFERENCE");
  });

  test("can be moved onto each new record, without a fresh one being made", () => {
    const cursor = runtime.cursor(Level);
    const first = arena.new(Level, cursor);
    expect(first).toBe(cursor);
    cursor.price = 1;
    const kept = cursor.ref();
    arena.new(Level, cursor);
    expect(cursor.price).toBe(0);
    expect(cursor.moveTo(kept).price).toBe(1);
  });

  test.each([...HOSTILE_OBJECTS.filter(([label]) => label !== "null"), ["undefined", undefined] as const])(
    "does not move to %s, and stays where it was",
    (_label, target) => {
      const cursor = level(1, 10);
      expectRefusal(() => cursor.moveTo(target as typeof cursor), "ERR_TIDEMARK_INVALID_ARGUMENT", /Level/);
      expect(cursor.price).toBe(1);
    },
  );

  test("does not move to a record of another struct, of another runtime, or one that has ended", () => {
    const cursor = level(1, 10);
    const Twin = struct("Level", { price: f64, quantity: f64 });
    const twin = arena.new(Twin) as unknown as typeof cursor;
    expectRefusal(() => cursor.moveTo(twin), "ERR_TIDEMARK_INVALID_ARGUMENT", /Level/);
    expectRefusal(() => cursor.moveTo(arena.new(Side) as never), "ERR_TIDEMARK_INVALID_ARGUMENT", /Level.*Side/);
    const foreign = other.arena().new(Level);
    expectRefusal(() => cursor.moveTo(foreign), "ERR_TIDEMARK_INVALID_ARGUMENT", /another runtime/);
    expectRefusal(() => cursor.moveTo(foreign.ref()), "ERR_TIDEMARK_INVALID_ARGUMENT", /another runtime/);
    const scratch = runtime.arena();
    const ended = scratch.new(Level);
    scratch.reset();
    expectRefusal(() => cursor.moveTo(ended), "ERR_TIDEMARK_STALE_REFERENCE");
    expectRefusal(() => cursor.moveTo(runtime.arena().array(Level) as never), "ERR_TIDEMARK_INVALID_ARGUMENT");
    expectRefusal(() => cursor.moveTo(arena.bytes(64) as never), "ERR_TIDEMARK_INVALID_ARGUMENT");
    expect(cursor.price).toBe(1);
  });

  test("of an ended record says so at every access, also through views taken before", () => {
    const scratch = runtime.arena();
    const book = scratch.new(Book);
    const { bids } = book;
    const { best, levels, counts } = bids;
    const first = levels.at(0);
    scratch.reset();
    scratch.new(Book);
    const stale = [
      () => book.open,
      () => {
        book.open = false;
      },
      () => book.bids,
      () => bids.name,
      () => best.price,
      () => {
        best.price = 1;
      },
      () => levels.at(0),
      () => levels.toArray(),
      () => counts.at(0),
      () => counts.set(0, 1),
      () => counts.toArray(),
      () => first.price,
      () => book.toObject(),
      () => book.assign({ open: true }),
      () => book.ref(),
    ];
    for (const use of stale) expectRefusal(use, "ERR_TIDEMARK_STALE_REFERENCE", /generation \d+.*generation \d+/s);
  });

  test("of a disposed runtime says so at every access, wherever it points", async () => {
    const short = await createRuntime();
    const record = short.arena().new(Book);
    const unset = short.cursor(Book);
    const held = record.ref();
    const levels = short.arena().array(Level, 2);
    const growing = short.arena().array(Level);
    short.dispose();
    for (const use of [
      () => record.open,
      () => unset.open,
      () => record.bids,
      () => record.toObject(),
      () => record.assign({}),
      () => record.ref(),
      () => record.moveTo(held),
      () => record.moveTo(unset),
      () => record.copyTo(arena as never),
      () => levels.at(0),
      () => [...levels],
      () => growing.push(),
      () => [...growing],
      () => growing.toArray(),
    ]) {
      expectRefusal(use, "ERR_TIDEMARK_DISPOSED");
    }
  });
});

describe("nested structs and inline arrays", () => {
  test("are read and written in place", () => {
    const book = arena.new(Book);
    book.bids.name = "bids";
    book.bids.best.price = 10;
    book.asks.levels.at(2).quantity = 3;
    book.asks.counts.set(1, 7);
    const empty = { price: 0, quantity: 0 };
    expect(book.toObject()).toEqual({
      bids: { name: "bids", best: { price: 10, quantity: 0 }, levels: [empty, empty, empty], counts: [0, 0] },
      asks: { name: "", best: empty, levels: [empty, empty, { price: 0, quantity: 3 }], counts: [0, 7] },
      open: false,
      last: null,
    });
  });

  test("take a cursor or a plain object, whole or in part", () => {
    const book = arena.new(Book);
    book.bids.best = level(1, 2);
    book.asks.best = book.bids.best;
    book.assign({ asks: { best: { quantity: 5 } } });
    expect(book.asks.best.toObject()).toEqual({ price: 1, quantity: 5 });
    book.asks = book.bids;
    expect(book.asks.toObject()).toEqual(book.bids.toObject());
    expect(book.bids.best.toObject()).toEqual({ price: 1, quantity: 2 });
  });

  test("are given the array view of another record, or their own", () => {
    const one = arena.new(Side);
    const two = arena.new(Side);
    one.assign({ levels: [level(1, 1), { price: 2 }, level(3, 3)], counts: [4, 5] });
    two.levels = one.levels;
    two.counts = one.counts;
    expect(two.toObject()).toEqual(one.toObject());
    const own = two.levels;
    two.levels = own;
    two.assign({ counts: Uint32Array.of(8, 9) });
    expect(two.levels.toArray()).toEqual(one.levels.toArray());
    expect(two.counts.toArray()).toEqual([8, 9]);
    const fixed = arena.array(Level, 3);
    fixed.set(1, { price: 6 });
    two.levels = fixed;
    expect(two.levels.at(1).price).toBe(6);
  });

  test("are seen through one view for each cursor, placed anew whenever the field is read", () => {
    const one = arena.new(Side);
    const two = arena.new(Side);
    const cursor = runtime.cursor(Side);
    const view = cursor.moveTo(one).best;
    view.price = 1;
    cursor.moveTo(two);
    expect(view.price).toBe(1);
    expect(cursor.best).toBe(view);
    expect(view.price).toBe(0);
    expect(cursor.levels).toBe(cursor.levels);
  });

  test("have a fixed length: no element beyond it, and no growth", () => {
    const side = arena.new(Side);
    expectRefusal(() => side.levels.at(3), "ERR_TIDEMARK_OUT_OF_BOUNDS", /element 3.*3/);
    expectRefusal(() => side.levels.push(), "ERR_TIDEMARK_LIMIT_EXCEEDED", /3/);
    expectRefusal(() => side.counts.push(1), "ERR_TIDEMARK_LIMIT_EXCEEDED", /2/);
    expect(side.levels.growable).toBe(false);
  });
});

describe("copyTo", () => {
  const Node = struct("Node", { value: u8, next: ref("Node"), level: Level });

  test("copies a nested record alone, and into the cursor that is given", () => {
    const book = arena.new(Book);
    book.bids.best.price = 4;
    const target = runtime.arena();
    const into = runtime.cursor(Level);
    expect(book.bids.best.copyTo(target, into)).toBe(into);
    arena.reset();
    expect(into.price).toBe(4);
    target.destroy();
    expectRefusal(() => into.price, "ERR_TIDEMARK_STALE_REFERENCE");
  });

  test("keeps cycles and sharing, and leaves the source alone", () => {
    const first = arena.new(Node).assign({ value: 1 });
    const second = arena.new(Node).assign({ value: 2, next: first, level: { price: 7 } });
    first.next = second;
    using target = runtime.arena();
    const copy = first.copyTo(target);
    expect(first.next!.value).toBe(2);
    arena.reset();
    const walker = runtime.cursor(Node).moveTo(copy);
    expect(walker.follow("next")).toBe(true);
    expect(walker.level.price).toBe(7);
    expect(walker.follow("next")).toBe(true);
    expect(walker.value).toBe(1);
    expect(walker.$address).toBe(copy.$address);
  });

  test.each([...HOSTILE_OBJECTS, ["undefined", undefined] as const])("refuses %s as a target", (_label, target) => {
    expectRefusal(() => level(1, 2).copyTo(target as Arena), "ERR_TIDEMARK_INVALID_ARGUMENT");
  });

  test.each(HOSTILE_OBJECTS)("refuses %s as the cursor to move", (_label, into) => {
    using target = runtime.arena();
    expectRefusal(() => level(1, 2).copyTo(target, into as Cursor as never), "ERR_TIDEMARK_INVALID_ARGUMENT");
    expect(target.stats().used).toBe(0);
  });

  test("refuses another runtime, a cursor of another struct and an arena that has been destroyed", () => {
    const record = level(1, 2);
    expectRefusal(() => record.copyTo(other.arena()), "ERR_TIDEMARK_INVALID_ARGUMENT", /another runtime/);
    using target = runtime.arena();
    expectRefusal(() => record.copyTo(target, runtime.cursor(Side) as never), "ERR_TIDEMARK_INVALID_ARGUMENT", /Side/);
    expectRefusal(() => record.copyTo(target, other.cursor(Level)), "ERR_TIDEMARK_INVALID_ARGUMENT", /another runtime/);
    expect(target.stats().used).toBe(0);
    target.destroy();
    expectRefusal(() => record.copyTo(target), "ERR_TIDEMARK_DISPOSED");
  });
});
