import { u64 } from "tidemark";
import { describe, expect, test } from "vitest";
import { arena, Level, levelsUpTo, runtime } from "./arenas.js";
import { expectRefusal } from "./hostile.js";

describe("iteration", () => {
  test("gives the same cursor at each turn, on one element after another", () => {
    const levels = levelsUpTo(5);
    const seen = new Set<object>();
    const prices: number[] = [];
    for (const level of levels) {
      seen.add(level);
      prices.push(level.price);
    }
    expect(seen.size).toBe(1);
    expect(prices).toEqual([0, 1, 2, 3, 4]);
  });

  test("nested over one array visits every pair, though both loops share the cursor", () => {
    const levels = levelsUpTo(4);
    const pairs: string[] = [];
    for (const outer of levels) {
      const price = outer.price;
      for (const inner of levels) {
        pairs.push(`${price}${inner.price}`);
        if (inner.price === 2 && price === 1) break;
      }
    }
    expect(pairs.join(" ")).toBe("00 01 02 03 10 11 12 20 21 22 23 30 31 32 33");
  });

  test("left early by break, return or throw starts anew the next time", () => {
    const levels = levelsUpTo(5);
    const first = (): number => {
      for (const level of levels) return level.price;
      return -1;
    };
    const last = (): number => {
      let price = -1;
      for (const level of levels) price = level.price;
      return price;
    };
    for (const level of levels) if (level.price === 3) break;
    expect(first()).toBe(0);
    expect(() => {
      for (const _ of levels) throw new RangeError("left");
    }).toThrow(RangeError);
    expect(first()).toBe(0);
    expect(last()).toBe(4);
  });

  test("visits elements that are pushed meanwhile, and none that are cut off", () => {
    const levels = levelsUpTo(3);
    const prices: number[] = [];
    for (const { price } of levels) {
      prices.push(price);
      if (price < 3) levels.push({ price: price + 10 });
      if (levels.length === 6) levels.truncate(4);
    }
    expect(prices).toEqual([0, 1, 2, 10]);
  });

  test("ends for good: a finished iterator gives nothing more, whatever is pushed", () => {
    const levels = levelsUpTo(1);
    const iterator = levels[Symbol.iterator]();
    expect(iterator.next().done).toBe(false);
    expect(iterator.next().done).toBe(true);
    levels.push();
    expect(iterator.next().done).toBe(true);
  });

  test("in the middle of which the region ends is refused", () => {
    const levels = levelsUpTo(3);
    expectRefusal(() => {
      for (const _ of levels) arena.reset();
    }, "ERR_TIDEMARK_STALE_REFERENCE");
    expectRefusal(() => {
      for (const _ of levels) expect.fail("an ended array was iterated");
    }, "ERR_TIDEMARK_STALE_REFERENCE");
  });

  test("over an array that has ended empty, or has no place yet, is refused too", () => {
    const empty = arena.array(Level);
    expect([...empty]).toEqual([]);
    arena.reset();
    expectRefusal(() => [...empty], "ERR_TIDEMARK_STALE_REFERENCE", /generation/);
    expectRefusal(() => empty.toArray(), "ERR_TIDEMARK_STALE_REFERENCE");
    expectRefusal(() => [...runtime.array(Level)], "ERR_TIDEMARK_STALE_REFERENCE");
  });

  test("over values gives the values", () => {
    const values = arena.array(u64, 3);
    values.set(1, 2n ** 64n - 1n);
    expect([...values]).toEqual([0n, 2n ** 64n - 1n, 0n]);
  });
});
