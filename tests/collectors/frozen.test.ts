// What a program has frozen cannot be moved: that is told before anything has changed, and keeps nothing else from its end.

import { type Bytes, InvalidArgumentError, ref, StaleReferenceError, struct, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { heapRuns, withHeap } from "../support/heaps.js";
import { modules, withRuntime } from "../support/runtimes.js";

const Node = struct("Node", { value: u32, next: ref("Node") });
const Pair = struct("Pair", { left: struct("Point", { x: u32, y: u32 }), value: u32 });

/** A struct whose hook notes that it has run, and freezes the record's cursor. */
function freezingStruct(ended: number[]) {
  return struct(
    "Hooked",
    { value: u32 },
    {
      destroy: (record) => {
        ended.push(record.value);
        Object.freeze(record);
      },
    },
  );
}

const refused = expect.objectContaining({
  code: "ERR_TIDEMARK_INVALID_ARGUMENT",
  message: expect.stringMatching(/^what shows the record at \d+ is frozen, and cannot be moved$/),
});

describe.each(heapRuns)("a frozen cursor of a heap of the $name module under $strategy", (run) => {
  test("is not moved, and shows what it showed, or nothing", () =>
    withHeap(run, { types: [Node] }, (heap, runtime) => {
      const scope = runtime.scope();
      const one = heap.new(Node, scope);
      const two = heap.new(Node, scope);
      one.value = 1;
      two.value = 2;
      one.next = two;
      Object.freeze(one);
      expect(() => one.moveTo(two)).toThrow(refused);
      expect(() => one.follow("next")).toThrow(refused);
      const { objects } = heap.stats();
      expect(() => heap.new(Node, scope, one)).toThrow(refused);
      expect(heap.stats().objects).toBe(objects);
      heap.collect();
      heap.collect();
      const three = heap.new(Node, scope);
      three.value = 3;
      expect([one.value, one.next?.value, three.value]).toEqual([1, 2, 3]);
      heap.validate();
      scope.end();
      expect([two.isLive(), three.isLive()]).toEqual([false, false]);
    }));

  test("shows those parts of its object that it has shown before, and makes no others, which could not end with it", () =>
    withHeap(run, { types: [Pair] }, (heap, runtime) => {
      const scope = runtime.scope();
      const [known, other] = [heap.new(Pair, scope), heap.new(Pair, scope)];
      known.left.x = 1;
      for (const each of [known, other]) Object.freeze(each);
      known.left.y = 2;
      expect(known.toObject()).toMatchObject({ left: { x: 1, y: 2 } });
      for (let time = 0; time < 2; time++) expect(() => other.left).toThrow(refused);
      expect(other.toObject()).toMatchObject({ left: { x: 0, y: 0 } });
      const { left } = known;
      scope.end();
      heap.collect();
      if (run.strategy !== "manual") expect(() => left.x).toThrow(StaleReferenceError);
    }));

  test("is not released, as often as that is asked for", () =>
    withHeap(run, { types: [Node] }, (heap, runtime) => {
      const scope = runtime.scope();
      const kept = Object.freeze(scope.keep(heap.new(Node, scope)));
      scope.end();
      const { handles } = heap.stats();
      for (let time = 0; time < 3; time++) expect(() => heap.release(kept)).toThrow(refused);
      expect(heap.stats().handles).toBe(handles);
      heap.validate();
    }));

  test("that its hook has frozen keeps no other hook from running", () => {
    const ended: number[] = [];
    const Hooked = freezingStruct(ended);
    return withHeap(run, { types: [Hooked] }, (heap, runtime) => {
      const scope = runtime.scope();
      for (let value = 1; value <= 6; value++) heap.new(Hooked, scope).value = value;
      const first = heap.new(Hooked, scope);
      first.value = 7;
      heap.free(first);
      scope.end();
      heap.collect();
      heap.collect();
      heap.validate();
      heap.destroy();
      expect(ended.sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    });
  });
});

test("a list of types is read once, whatever it says the second time", () =>
  withRuntime({ debug: false }, (runtime) => {
    const list = [Node];
    let times = 0;
    Object.defineProperty(list, Symbol.iterator, {
      *value() {
        if (times++ > 0) throw new Error("read again");
        yield Node;
      },
    });
    const heap = runtime.heap("mark-sweep", { types: list });
    expect(heap.types).toEqual([Node]);
    heap.destroy();
  }));

describe.each(modules)("a frozen cursor in the $name module", ({ debug }) => {
  const ended: number[] = [];
  const Hooked = freezingStruct(ended);

  test.each([Node, Hooked])("is given no record of a pool of %o", (type) =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(type);
      const cursor = Object.freeze(runtime.cursor(type));
      for (let time = 0; time < 3; time++) expect(() => pool.new(cursor as never)).toThrow(refused);
      const other = runtime.cursor(type);
      pool.new(other as never);
      for (let time = 0; time < 3; time++) expect(() => pool.new(cursor as never)).toThrow(refused);
      expect(pool.count).toBe(1);
      pool.free(other as never);
      pool.validate();
      pool.destroy();
    }),
  );

  test("nor bytes of a byte heap", () =>
    withRuntime({ debug }, (runtime) => {
      const heap = runtime.byteHeap();
      const bytes = Object.freeze(runtime.bytes()) as Bytes;
      expect(() => heap.bytes(8, bytes)).toThrow(InvalidArgumentError);
      expect(heap.stats().blocks).toBe(0);
    }));

  test("by the hooks of a pool, an arena or a runtime keeps none from running", () =>
    withRuntime({ debug }, (runtime) => {
      ended.length = 0;
      const pool = runtime.pool(Hooked);
      const cursor = runtime.cursor(Hooked);
      const refs = [1, 2, 3, 4].map((value) => {
        pool.new(cursor).value = value;
        return cursor.ref();
      });
      pool.free(refs[0]!);
      pool.free(refs[1]!);
      expect([ended, pool.count]).toEqual([[1, 2], 2]);
      pool.clear();
      expect([ended, pool.count]).toEqual([[1, 2, 3, 4], 0]);
      const arena = runtime.arena();
      for (const value of [5, 6]) arena.new(Hooked).value = value;
      arena.reset();
      for (const value of [7, 8]) arena.new(Hooked).value = value;
      pool.new(cursor).value = 9;
      pool.new(cursor).value = 10;
      runtime.dispose();
      expect(ended.sort((one, other) => one - other)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }));
});
