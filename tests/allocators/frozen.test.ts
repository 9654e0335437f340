// What a program has frozen cannot take note of a change: so it is refused before anything has changed.

import { array, f64, type Region, struct, text, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { modules, withRuntime } from "../support/runtimes.js";

const Point = struct("Point", { x: f64, y: f64 });
const Node = struct("Node", { at: Point, name: text(8), counts: array(u32, 3) });

const refused = expect.objectContaining({ code: "ERR_TIDEMARK_INVALID_ARGUMENT" });

describe.each(modules)("what a program has frozen, with the $name module:", ({ debug }) => {
  test("an arena ends neither at once nor later, and its memory comes to nobody else", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const record = arena.new(Point);
      record.x = 1;
      Object.freeze(arena);
      for (let time = 0; time < 2; time++) {
        expect(() => arena.destroy()).toThrow(refused);
        const other = runtime.arena().new(Point);
        other.x = 2;
        expect([arena.destroyed, record.isLive(), other.isLive(), record.x, other.x]).toEqual([
          false,
          true,
          true,
          1,
          2,
        ]);
      }
      for (const end of [() => arena.reset(), () => arena.mark(), () => arena.arena()]) {
        expect(end).toThrow(refused);
        expect(record.x).toBe(1);
      }
      expect(arena.stats().used).toBe(Point.size);
      expect(arena.contains(record)).toBe(true);
      runtime.validate();
    }));

  test("an arena lets the arenas nested in it end", () =>
    withRuntime({ debug }, (runtime) => {
      const parent = runtime.arena();
      const children = [parent.arena(), parent.arena(), parent.arena()];
      const records = children.map((child) => child.new(Point));
      Object.freeze(parent);
      for (const index of [2, 0, 1]) {
        children[index]!.destroy();
        expect(children[index]!.destroyed).toBe(true);
        expect(records[index]!.isLive()).toBe(false);
      }
      expect(parent.stats().children).toBe(0);
      expect(() => parent.destroy()).toThrow(refused);
      runtime.validate();
    }));

  test("an arena hands out nothing, and a cursor for that stays where it is", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const record = arena.new(Point);
      const cursor = runtime.cursor(Point).moveTo(record);
      record.x = 1;
      Object.freeze(arena);
      expect(() => arena.new(Point, cursor)).toThrow(refused);
      expect(() => arena.new(Point)).toThrow(refused);
      expect(() => arena.allocate(8)).toThrow(refused);
      expect(() => arena.bytes(100_000)).toThrow(refused);
      expect(cursor.x).toBe(1);
    }));

  test("an arena keeps the one that it is nested in from its end, and no other from being made or ending", () =>
    withRuntime({ debug }, (runtime) => {
      const parent = runtime.arena();
      const mark = parent.mark();
      const first = parent.arena();
      const frozen = Object.freeze(parent.arena());
      const last = parent.arena();
      const records = [parent, first, last].map((arena) => arena.new(Point));
      for (const end of [() => parent.reset(), () => parent.rewind(mark), () => parent.destroy()]) {
        expect(end).toThrow(refused);
        expect(records.map((record) => record.isLive())).toEqual([true, true, true]);
      }
      first.destroy();
      last.destroy();
      expect([first, frozen, last].map((arena) => arena.destroyed)).toEqual([true, false, true]);
      expect(parent.stats().children).toBe(1);
      const after = parent.mark();
      parent.arena().new(Point);
      parent.rewind(after);
      expect(parent.stats().children).toBe(1);
    }));

  test("an arena's records run no hook until the runtime ends, and then once", async () => {
    const ended: number[] = [];
    const Ticket = struct("Ticket", { id: u32 }, { destroy: ({ id }) => ended.push(id) });
    await withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      arena.new(Ticket).id = 7;
      Object.freeze(arena);
      for (const end of [() => arena.reset(), () => arena.destroy()]) expect(end).toThrow(refused);
      expect(ended).toEqual([]);
      runtime.dispose();
    });
    expect(ended).toEqual([7]);
  });

  test("a region keeps its arena", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      pool.lease(region, 0);
      const record = region.new(Point);
      Object.freeze(region);
      expect(() => pool.end(region)).toThrow(refused);
      expect([record.isLive(), pool.leased, pool.size]).toEqual([true, 1, 1]);
    }));

  test("a region is given no arena", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool();
      const other = pool.createRegion();
      const lease = () => pool.lease(Object.freeze(pool.createRegion()) as Region, 0);
      expect(lease).toThrow(refused);
      expect(pool.size).toBe(0);
      pool.lease(other, 0);
      pool.end(other);
      for (let time = 0; time < 2; time++) expect(lease).toThrow(refused);
      expect([pool.leased, pool.size]).toEqual([0, 1]);
    }));

  test("a cursor shows the parts of its record, and sets them", () =>
    withRuntime({ debug }, (runtime) => {
      const record = runtime.arena().new(Node);
      Object.freeze(record);
      record.at.x = 1;
      record.assign({ at: { y: 2 } });
      record.counts.set(2, 3);
      expect(record.toObject()).toEqual({ at: { x: 1, y: 2 }, name: "", counts: [0, 0, 3] });
      expect([record.at.x, record.counts.at(2)]).toEqual([1, 3]);
    }));

  test("an array keeps its length", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const points = arena.array(Point);
      const numbers = arena.array(u32);
      points.push({ x: 1 });
      numbers.push(1);
      Object.freeze(points);
      Object.freeze(numbers);
      const changes = [
        () => points.push(),
        () => points.push({ x: 2 }),
        () => points.truncate(0),
        () => numbers.push(2),
        () => numbers.truncate(0),
      ];
      for (const change of changes) expect(change).toThrow(refused);
      numbers.set(0, 5);
      expect([points.toArray(), numbers.toArray()]).toEqual([[{ x: 1, y: 0 }], [5]]);
    }));
});
