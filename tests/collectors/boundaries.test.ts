// Where a heap of objects meets what is not its own: other allocators, the host, guests, hooks that keep their cursor.

import {
  array,
  createRuntime,
  f64,
  InvalidAddressError,
  InvalidArgumentError,
  OutOfMemoryError,
  ref,
  SealedError,
  StaleReferenceError,
  struct,
  TidemarkError,
  u8,
  u32,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { PAGE, withRuntime } from "../support/runtimes.js";

const COLLECTED = ["refcount", "mark-sweep", "mark-sweep-stop"] as const;
const STRATEGIES = ["manual", ...COLLECTED] as const;

describe.each(STRATEGIES)("a view of an object of a heap (%s)", (strategy) => {
  test.each([false, true])("is moved by no other allocator (debug: %s), and leads to its object still", (debug) =>
    withRuntime({ debug, onLeak() {} }, (runtime) => {
      const Node = struct("Node", { data: ref(array(u8)), values: ref(array(f64)) });
      const Cell = struct("Cell", { value: f64 });
      const heap = runtime.heap(strategy, { types: [Node, array(f64), array(Cell)] });
      const scope = runtime.scope();
      const node = heap.new(Node, scope);
      const bytes = heap.bytes(16, scope);
      const values = heap.array(f64, 4, scope);
      const cells = heap.array(Cell, 2, scope);
      const arena = runtime.arena();
      const frames = runtime.framePool();
      const byteHeap = runtime.byteHeap();
      for (const attempt of [
        () => arena.bytes(100, bytes),
        () => arena.text("hello", bytes),
        () => arena.array(f64, 3, values as never),
        () => arena.array(Cell, 3, cells as never),
        () => byteHeap.bytes(100, bytes),
        () => frames.acquire("small", bytes),
      ]) {
        expect(attempt).toThrow(InvalidArgumentError);
      }
      expect([bytes.length, values.length, cells.length]).toEqual([16, 4, 2]);
      node.data = bytes;
      node.values = values;
      heap.collect();
      heap.validate();
      byteHeap.validate();
    }),
  );
});

describe.each(COLLECTED)("a hook's cursor that a program keeps (%s)", (strategy) => {
  test("has no handle any more when the next hook is given it", () =>
    withRuntime({}, (runtime) => {
      type NodeCursor = ReturnType<typeof heap.cursor<(typeof Node)["$fields" & keyof typeof Node]>>;
      let kept: NodeCursor | undefined;
      let follows = false;
      const Node = struct(
        "Node",
        { value: f64, next: ref("Node") },
        {
          destroy(node) {
            kept ??= node as never;
            if (follows && node.value === 1) (node as unknown as { follow(name: string): boolean }).follow("next");
          },
        },
      );
      const heap = runtime.heap(strategy, { types: [Node] });
      const make = (value: number, scope = runtime.scope()) => {
        const node = heap.new(Node, scope);
        node.value = value;
        return { node, scope };
      };
      make(0).scope.end();
      heap.collect();
      const first = runtime.scope();
      const moved = heap.new(Node, first, kept as never);
      first.keep(moved as never);
      first.end();
      const { node: root, scope: second } = make(42);
      const garbage = make(1);
      const { node: live } = make(7, second);
      garbage.node.next = live;
      garbage.scope.end();
      follows = true;
      for (let round = 0; round < 2; round++) {
        heap.collect();
        heap.validate();
      }
      for (let value = 100; value < 104; value++) make(value, second);
      expect([root.value, live.value]).toEqual([42, 7]);
    }));
});

describe.each(STRATEGIES)("an element with references (%s)", (strategy) => {
  test("can be of a struct that is given by a function which has the host grow memory", () =>
    withRuntime({}, (runtime) => {
      const Node = struct("Node", { value: u32 });
      const Entry = struct("Entry", {
        node: ref(() => {
          runtime.memory.grow(1);
          return Node;
        }),
      });
      const heap = runtime.heap(strategy, { types: [Node, Entry] });
      const scope = runtime.scope();
      const entry = heap.new(Entry, scope);
      entry.node = heap.new(Node, scope).assign({ value: 7 });
      heap.collect();
      expect(entry.node?.value).toBe(7);
      heap.validate();
    }));

  test("can be set after the host has grown memory, also amid the reading of its values", () =>
    withRuntime({}, (runtime) => {
      const Node = struct("Node", { value: u32 });
      const Entry = struct("Entry", { id: u32, node: ref(Node) });
      const heap = runtime.heap(strategy, { types: [Node, array(Entry), array(array(ref(Node), 2))] });
      const scope = runtime.scope();
      const node = heap.new(Node, scope);
      node.value = 5;
      const entries = heap.array(Entry, 3, scope);
      const pairs = heap.array(array(ref(Node), 2), 3, scope);
      runtime.memory.grow(1);
      entries.set(0, { id: 1, node });
      runtime.memory.grow(1);
      pairs.set(0, [node, null]);
      entries.set(1, {
        get id() {
          runtime.memory.grow(1);
          return 2;
        },
        node,
      });
      expect([entries.at(0).id, entries.at(0).node?.value, entries.at(1).node?.value]).toEqual([1, 5, 5]);
      expect(pairs.at(0).at(0)).not.toBeNull();
      heap.validate();
    }));
});

describe.each([false, true])("C's free and realloc (debug: %s)", (debug) => {
  test("refuse the block of checked bytes, which go on", () =>
    withRuntime({ debug, onLeak() {} }, (runtime) => {
      const byteHeap = runtime.byteHeap();
      const { free, realloc } = byteHeap.asMalloc() as unknown as {
        free(address: number): void;
        realloc(address: number, size: number): number;
      };
      const bytes = byteHeap.bytes(16);
      bytes.set(0, 7);
      free(bytes.address - 16);
      expect(realloc(bytes.address - 16, 64)).toBe(0);
      realloc(bytes.address - 16, 0);
      expect(byteHeap.stats().refusals).toBe(3);
      for (let block = 0; block < 100; block++) byteHeap.allocate(32);
      byteHeap.bytes(16);
      expect(bytes.get(0)).toBe(7);
      byteHeap.free(bytes);
      expect(() => bytes.get(0)).toThrow(StaleReferenceError);
      byteHeap.validate();
    }));
});

describe.each(STRATEGIES)("a heap that has made nothing yet (%s)", (strategy) => {
  test("takes undefined for no struct", () =>
    withRuntime({}, (runtime) => {
      const heap = runtime.heap(strategy, { types: [struct("Node", { value: u32 })] });
      expect(() => heap.new(undefined as never, runtime.scope())).toThrow(InvalidArgumentError);
      expect(() => heap.cursor(undefined as never)).toThrow(InvalidArgumentError);
    }));
});

describe("an index that has no text", () => {
  test("is refused like any other", () =>
    withRuntime({}, (runtime) => {
      const values = runtime.arena().array(f64, 3);
      for (const index of [Object.create(null), Symbol("1"), 1n]) {
        expect(() => values.set(index, 1)).toThrow(TidemarkError);
      }
    }));
});

describe("a heap under manual", () => {
  test("shows an array object that was freed as an empty one, whatever has its memory now", () =>
    withRuntime({}, (runtime) => {
      const Node = struct("Node", { data: ref(array(u8)) });
      const heap = runtime.heap("manual", { types: [Node, array(u32)] });
      const scope = runtime.scope();
      const node = heap.new(Node, scope);
      node.data = heap.bytes(3, scope);
      heap.free(node.data);
      expect(node.data.length).toBe(0);
      heap.array(u32, 1, scope);
      const freed = node.data;
      expect(freed.length).toBe(0);
      expect(() => freed.get(0)).toThrow(StaleReferenceError);
    }));

  test("ends a part of an object with the scope that it was given out in, though its cursor has moved on", () =>
    withRuntime({}, (runtime) => {
      const Point = struct("Point", { x: f64 });
      const Node = struct("Node", { at: Point });
      const heap = runtime.heap("manual", { types: [Node] });
      const first = runtime.scope();
      const second = runtime.scope();
      const cursor = heap.new(Node, first);
      const part = cursor.at;
      part.x = 5;
      heap.new(Node, second, cursor);
      first.end();
      expect(() => part.x).toThrow(StaleReferenceError);
    }));
});

describe("without memory", () => {
  test.each(["refcount", "mark-sweep"] as const)("scopes that are refused take none (%s)", async (strategy) => {
    using runtime = await createRuntime({ initialBytes: 40 * PAGE, maximumBytes: 40 * PAGE });
    const Node = struct("Node", { value: f64, next: ref("Node") });
    const marks = runtime.arena({ sizeHint: 600_000 });
    const heap = runtime.heap(strategy, { types: [Node] });
    heap.new(Node, runtime.scope());
    const ballast = [runtime.arena()];
    const untilRefused = (call: () => unknown) =>
      expect(() => {
        for (;;) call();
      }).toThrow(OutOfMemoryError);
    untilRefused(() => ballast[0]!.allocate(30_000)); // no page is left,
    untilRefused(() => ballast.push(runtime.arena())); // nor a small block,
    untilRefused(() => marks.mark()); // nor a guard
    const refuse = () => {
      const scope = runtime.scope();
      expect(() => heap.new(Node, scope)).toThrow(OutOfMemoryError);
      scope.end();
    };
    for (let call = 0; call < 1000; call++) refuse();
    marks.reset(); // now there are guards, but for another block of the heap's own arena there is no memory still
    const [objects] = [...runtime.$memory.collectors] as unknown as { $openRange(): unknown }[];
    for (let scope = 0; scope < 30; scope++) objects!.$openRange();
    for (const arena of ballast) arena.destroy(); // a walk takes a page
    heap.validate();
  });

  test.each([false, true])(
    "collect() of a large dropped cycle says that it could not look at it (sealed: %s)",
    async (sealed) => {
      using runtime = await createRuntime({ initialBytes: 48 * PAGE, maximumBytes: 48 * PAGE });
      const Node = struct("Node", { value: u32, next: ref("Node") });
      const heap = runtime.heap("refcount", { types: [Node] });
      const ballast = runtime.arena();
      const bytes = runtime.byteHeap();
      const ring = runtime.scope();
      const first = heap.new(Node, ring);
      const tail = heap.cursor(Node);
      const next = heap.cursor(Node);
      tail.moveTo(first);
      for (let count = 1; count < 50_000; count++) {
        const scope = runtime.scope();
        heap.new(Node, scope, next);
        tail.next = next;
        tail.moveTo(next);
        scope.end();
      }
      tail.next = first;
      while (runtime.stats().freeBytes > 2 * PAGE) ballast.allocate(PAGE - 64);
      if (sealed) runtime.seal();
      ring.end();
      heap.onCollection(() => void expect(() => bytes.free(8)).toThrow(InvalidAddressError)); // another failure, later
      expect(() => heap.collect()).toThrow(sealed ? SealedError : OutOfMemoryError);
      expect(heap.stats().objects).toBe(50_000);
      heap.validate();
      ballast.destroy();
      heap.collect();
      expect(heap.stats().objects).toBe(0);
    },
  );
});
