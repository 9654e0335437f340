import {
  array,
  type CursorOf,
  type Fields,
  f64,
  type Heap,
  type Ref,
  type Runtime,
  ref,
  StaleReferenceError,
  struct,
  text,
  u8,
  u32,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { collectedRuns, type HeapRun, heapRuns, withHeap } from "../support/heaps.js";
import { withoutStacks, withRuntime } from "../support/runtimes.js";

withoutStacks();

const Node = struct("Node", {
  value: f64,
  next: ref("Node"),
  children: array(ref("Node"), 4),
});
type NodeCursor = CursorOf<typeof Node.fields>;

const Point = struct("Point", { x: f64, y: f64 });
const Segment = struct("Segment", { from: Point, to: Point, label: text(8), owner: ref(Node), ends: array(Point, 2) });
const types = [Node, Point, Segment];

/** Runs `body` with a heap of the types above. */
const withNodes = (run: HeapRun, body: (heap: Heap, runtime: Runtime) => void) => withHeap(run, { types }, body);

/** What an object of these fields takes, under each strategy that collects. */
describe("objects", () => {
  test.each([
    ["one byte", { a: u8 }, 8, 8],
    ["a number of four bytes", { a: u32 }, 8, 8],
    ["two references", { a: ref("Self"), b: ref("Self") }, 12, 8],
    ["two references and a number of four bytes", { a: ref("Self"), b: ref("Self"), c: u32 }, 16, 12],
    ["two references and a number of eight", { a: f64, b: ref("Self"), c: ref("Self") }, 24, 16],
    ["a number of eight bytes and one of four", { a: f64, b: u32 }, 24, 16],
  ] as const)("of %s are no larger than they have to be", (_, fields, counted, marked) =>
    withRuntime({}, (runtime) => {
      for (const [strategy, size] of [
        ["refcount", counted],
        ["mark-sweep", marked],
        ["mark-sweep-stop", marked],
      ] as const) {
        const Self = struct("Self", fields as Fields);
        using heap = runtime.heap(strategy, { types: [Self] });
        using scope = runtime.scope();
        for (let count = 0; count < 1000; count++) heap.new(Self, scope);
        expect(heap.stats().bytes).toBe(1000 * size);
        heap.validate();
      }
    }),
  );
});

describe.each(heapRuns)("a heap of the $name module under $strategy", (run) => {
  test("runs the program of its documentation", () =>
    withNodes(run, (heap, runtime) => {
      const document: { root: (NodeCursor & Disposable) | undefined } = { root: undefined };
      for (let event = 0; event < 10; event++) {
        using scope = runtime.scope();
        const head = heap.new(Node, scope);
        head.value = event;
        head.next = heap.new(Node, scope);
        head.next.value = event + 0.5;
        head.children.set(3, head);
        if (document.root !== undefined) heap.release(document.root);
        document.root = scope.keep(head);
        heap.step();
      }
      heap.collect();
      const { root } = document;
      expect(root?.value).toBe(9);
      expect(root?.next?.value).toBe(9.5);
      expect(root?.children.at(3)?.isLive()).toBe(true);
      expect(heap.stats().objects).toBe(heap.strategy === "manual" ? 20 : 2);
      heap.release(root!);
      heap.collect();
      expect(heap.stats().objects).toBe(heap.strategy === "manual" ? 20 : 0);
    }));

  test("makes objects that are zero, through a fresh cursor or one that is given", () =>
    withNodes(run, (heap, runtime) => {
      using scope = runtime.scope();
      const cursor = heap.cursor(Node);
      expect(cursor.isLive()).toBe(false);
      expect(heap.new(Node, scope, cursor)).toBe(cursor);
      expect(cursor.toObject()).toEqual({ value: 0, next: null, children: [null, null, null, null] });
      const other = heap.new(Node, scope);
      other.value = 5;
      expect(cursor.value).toBe(0);
      cursor.assign({ value: 7, next: other, children: [other, null, cursor.ref(), null] });
      expect(cursor.next?.value).toBe(5);
      expect(cursor.children.at(2)?.isLive()).toBe(true);
      expect(cursor.children.at(1)).toBe(null);
      heap.new(Node, scope, cursor);
      expect(cursor.value).toBe(0);
      expect(heap.stats()).toMatchObject({ objects: 3, handles: 0 });
    }));

  test("walks a list of any length with one cursor, and takes no memory for it", () =>
    withNodes(run, (heap, runtime) => {
      using outer = runtime.scope();
      const head = heap.new(Node, outer);
      const walker = heap.cursor(Node);
      walker.moveTo(head);
      for (let index = 1; index < 5_000; index++) {
        using scope = runtime.scope();
        const made = heap.new(Node, scope);
        made.value = index;
        walker.next = made;
        expect(walker.follow("next")).toBe(true);
      }
      expect(walker.follow("next")).toBe(false);
      expect(walker.value).toBe(4_999);
      const { usedBytes } = runtime.stats();
      let sum = 0;
      walker.moveTo(head);
      do sum += walker.value;
      while (walker.follow("next"));
      expect(sum).toBe((4_999 * 5_000) / 2);
      expect(runtime.stats().usedBytes).toBe(usedBytes);
    }));

  test("has structs and arrays inside its objects, which are set whole or in part", () =>
    withNodes(run, (heap, runtime) => {
      using scope = runtime.scope();
      const segment = heap.new(Segment, scope);
      const node = heap.new(Node, scope);
      const point = heap.new(Point, scope);
      point.assign({ x: 3, y: 4 });
      segment.from = point;
      segment.to.y = 9;
      segment.owner = node;
      segment.label = "abc";
      segment.ends.set(1, segment.from);
      const copy = heap.new(Segment, scope);
      copy.assign(segment);
      expect(copy.toObject()).toMatchObject({ from: { x: 3, y: 4 }, to: { x: 0, y: 9 }, label: "abc" });
      expect(copy.ends.toArray()).toEqual([
        { x: 0, y: 0 },
        { x: 3, y: 4 },
      ]);
      node.value = 11;
      expect(copy.owner?.value).toBe(11);
      copy.ends = segment.ends;
      copy.assign({ owner: null, from: { x: 1 } });
      expect(copy.owner).toBe(null);
      expect([copy.from.x, copy.from.y]).toEqual([1, 4]);
      node.assign({ children: [node, null, node, null] });
      expect(node.children.toArray().map((child) => child?.isLive())).toEqual([true, undefined, true, undefined]);
    }));

  test("ends everything that a scope has given out when the scope ends", () =>
    withNodes(run, (heap, runtime) => {
      const scope = runtime.scope();
      const head = heap.new(Node, scope);
      head.next = heap.new(Node, scope);
      const next = head.next;
      const made: Ref<typeof Node.fields> = head.ref();
      const kept = scope.keep(head);
      const walker = heap.cursor(Node);
      walker.moveTo(head);
      expect(made.isLive()).toBe(true);
      scope.end();
      for (const view of [head, next, made, walker]) expect(view.isLive()).toBe(false);
      expect(() => head.value).toThrow(StaleReferenceError);
      expect(() => next?.value).toThrow(StaleReferenceError);
      expect(() => walker.follow("next")).toThrow(StaleReferenceError);
      expect(kept.value).toBe(0);
      expect(kept.next?.value).toBe(0);
      using _ = kept;
    }));

  test("keeps objects by handles until they are released, whatever becomes of their scopes", () =>
    withNodes(run, (heap, runtime) => {
      const scope = runtime.scope();
      const kept = scope.keep(heap.new(Node, scope));
      const second = scope.keep(kept);
      kept.value = 5;
      scope.end();
      heap.collect();
      expect([kept.value, second.value, heap.stats().handles]).toEqual([5, 5, 2]);
      heap.release(kept);
      heap.release(kept); // once more does nothing
      kept[Symbol.dispose]();
      heap.collect();
      expect(() => kept.value).toThrow(StaleReferenceError);
      expect([second.value, heap.stats().handles, heap.stats().objects]).toEqual([5, 1, 1]);
      {
        using handle = second;
        expect(handle.value).toBe(5);
      }
      expect(second.isLive()).toBe(false);
      heap.collect();
      expect(heap.stats().handles).toBe(0);
    }));

  test("lets a kept handle be moved, and roots what it was moved to", () =>
    withNodes(run, (heap, runtime) => {
      const scope = runtime.scope();
      const first = heap.new(Node, scope);
      first.next = heap.new(Node, scope);
      first.next.value = 2;
      const kept = scope.keep(first);
      expect(kept.follow("next")).toBe(true);
      scope.end();
      heap.collect();
      expect(kept.value).toBe(2);
      if (heap.strategy !== "manual") expect(heap.stats().objects).toBe(1);
      kept.moveTo(null);
      expect(kept.isLive()).toBe(false);
      heap.collect();
      expect(heap.stats().handles).toBe(0);
    }));

  test("roots by a kept handle what it was moved to, also when the scope of that has ended", () =>
    withNodes(run, (heap, runtime) => {
      const scope = runtime.scope();
      const kept = scope.keep(heap.new(Node, scope));
      const other = heap.new(Node, scope);
      other.value = 7;
      kept.moveTo(other);
      scope.end();
      heap.collect();
      expect([kept.value, heap.stats().handles]).toEqual([7, 1]);
      heap.release(kept);
    }));

  test("frees under manual what it is told to, and elsewhere takes it for a hint", () =>
    withNodes(run, (heap, runtime) => {
      using scope = runtime.scope();
      const node = heap.new(Node, scope);
      const other = heap.new(Node, scope);
      other.next = node;
      heap.free(node);
      if (heap.strategy === "manual") {
        expect(() => node.value).toThrow(StaleReferenceError);
        expect(() => other.follow("next")).toThrow(StaleReferenceError);
        expect(() => heap.free(node)).toThrow(StaleReferenceError);
        expect(heap.stats()).toMatchObject({ objects: 1, freedObjects: 1 });
      } else {
        expect([node.value, other.next?.value]).toEqual([0, 0]);
        expect(heap.stats()).toMatchObject({ objects: 2, freedObjects: 0 });
      }
    }));
});

describe.each(collectedRuns)("a collected heap of the $name module under $strategy", (run) => {
  test("frees cycles, and what they lead to, when no handle leads to them", () =>
    withNodes(run, (heap, runtime) => {
      const scope = runtime.scope();
      for (let ring = 0; ring < 20; ring++) {
        const first = heap.new(Node, scope);
        const second = heap.new(Node, scope);
        first.next = second;
        second.next = first;
        second.children.set(0, heap.new(Node, scope));
      }
      heap.collect();
      expect(heap.stats().objects).toBe(60);
      scope.end();
      expect(heap.stats().objects).toBe(60); // nothing is freed but in a step
      heap.collect();
      expect(heap.stats()).toMatchObject({ objects: 0, freedObjects: 60, bytes: 0 });
    }));

  test("shows what is read through a kept handle until it next works", () =>
    withNodes(run, (heap, runtime) => {
      const scope = runtime.scope();
      const head = heap.new(Node, scope);
      head.next = heap.new(Node, scope);
      const kept = scope.keep(head);
      scope.end();
      const next = kept.next!;
      next.value = 3;
      expect(next.isLive()).toBe(true);
      heap.collect();
      expect(() => next.value).toThrow(StaleReferenceError);
      expect(kept.next?.value).toBe(3);
      const inScope = runtime.scope();
      const walker = heap.cursor(Node);
      walker.moveTo(kept.next);
      heap.new(Node, inScope);
      inScope.end();
      heap.release(kept);
    }));

  test("ends views of parts when the cursor that they were read through moves on", () =>
    withNodes(run, (heap, runtime) => {
      using scope = runtime.scope();
      const one = heap.new(Segment, scope);
      const other = heap.new(Segment, scope);
      const walker = heap.cursor(Segment);
      walker.moveTo(one);
      const { from, ends } = walker;
      const end = ends.at(1);
      from.x = end.y = 5;
      walker.moveTo(other);
      for (const view of [from, end]) expect(view.isLive()).toBe(false);
      expect(() => ends.at(0)).toThrow(StaleReferenceError);
      expect([one.from.x, one.ends.at(1).y, walker.from.x]).toEqual([5, 5, 0]);
    }));

  test("tells of each cycle, whatever a listener throws", () =>
    withNodes(run, (heap, runtime) => {
      const told: unknown[] = [];
      const stop = heap.onCollection(() => {
        throw new RangeError("mine");
      });
      heap.onCollection((collection) => told.push(collection));
      const scope = runtime.scope();
      const node = heap.new(Node, scope);
      node.next = node;
      scope.end();
      expect(() => heap.collect()).toThrow(RangeError);
      expect(told.length).toBe(1);
      expect(told[0]).toMatchObject({ strategy: heap.strategy, objects: 0, freedObjects: 1 });
      stop();
      heap.collect();
      expect(heap.stats().cycles).toBeGreaterThan(0);
    }));
});
