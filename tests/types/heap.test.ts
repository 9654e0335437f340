import {
  type ArrayObjectType,
  array,
  type Bytes,
  type Collection,
  type CursorOf,
  createRuntime,
  f64,
  type Heap,
  type HeapStats,
  type Ref,
  ref,
  type Scope,
  type StructArray,
  struct,
  u8,
  u32,
  type ValueArray,
  weak,
} from "tidemark";
import { describe, expectTypeOf, test } from "vitest";

// What is checked here is checked by the compiler: `tsc --noEmit` of the root reads this file. Nothing needs to run.

const Point = struct("Point", { x: f64, y: f64 });
const Node = struct("Node", {
  value: f64,
  next: ref("Node"),
  parent: weak("Node"),
  at: weak(Point),
  children: array(ref("Node"), 4),
  samples: ref(array(f64)),
  name: ref(array(u8)),
  points: ref(array(Point)),
  others: weak(array(ref(Point))),
});
type NodeFields = typeof Node.fields;
type NodeCursor = CursorOf<NodeFields>;
type PointFields = typeof Point.fields;

declare const heap: Heap;
declare const scope: Scope;
declare const node: NodeCursor;
declare const point: CursorOf<PointFields>;

/** The code inside is compiled, not run. */
const compiled = (_code: () => void) => {};

describe("a heap", () => {
  test("is made of a strategy and types", () => {
    compiled(async () => {
      const runtime = await createRuntime();
      expectTypeOf(runtime.heap("mark-sweep", { types: [Node, array(f64)], stepUnits: 5 })).toEqualTypeOf<Heap>();
      expectTypeOf(runtime.scope()).toEqualTypeOf<Scope>();
      expectTypeOf(array(f64)).toEqualTypeOf<ArrayObjectType<typeof f64>>();
      // @ts-expect-error: no such strategy
      runtime.heap("compacting", { types: [Node] });
      // @ts-expect-error: types are needed
      runtime.heap("manual", {});
      // @ts-expect-error: a number is no type of objects
      runtime.heap("manual", { types: [f64] });
      // @ts-expect-error: an array without a length is no field
      struct("Wrong", { list: array(f64) });
    });
  });

  test("gives cursors of the struct, and arrays of the elements", () => {
    compiled(() => {
      expectTypeOf(heap.new(Node, scope)).toEqualTypeOf<NodeCursor>();
      expectTypeOf(heap.new(Node, scope, node)).toEqualTypeOf<NodeCursor>();
      expectTypeOf(heap.cursor(Point)).toEqualTypeOf<CursorOf<PointFields>>();
      expectTypeOf(heap.array(f64, 5, scope)).toEqualTypeOf<ValueArray<number>>();
      expectTypeOf(heap.array(Point, 5, scope)).toEqualTypeOf<StructArray<PointFields>>();
      expectTypeOf(heap.array(u8, 5, scope)).toEqualTypeOf<Bytes>();
      expectTypeOf(heap.array(ref(Point), 5, scope).at(0)).toEqualTypeOf<Ref<PointFields> | null>();
      expectTypeOf(heap.bytes(5, scope)).toEqualTypeOf<Bytes>();
      expectTypeOf(heap.text("five", scope)).toEqualTypeOf<Bytes>();
      // @ts-expect-error: another struct
      heap.new(Node, scope, point);
      // @ts-expect-error: a scope is needed
      heap.new(Node);
      // @ts-expect-error: another element
      heap.array(u32, 5, scope, heap.array(Point, 5, scope));
    });
  });

  test("keeps and releases what a cursor or array shows", () => {
    compiled(() => {
      expectTypeOf(scope.keep(node)).toEqualTypeOf<NodeCursor & Disposable>();
      using kept = scope.keep(heap.array(f64, 1, scope));
      expectTypeOf(kept.at(0)).toEqualTypeOf<number>();
      heap.release(kept);
      heap.free(node);
      heap.free(node.ref());
      heap.free(heap.bytes(5, scope));
      // @ts-expect-error: a field may refer to nothing
      heap.free(node.next);
      // @ts-expect-error: a cursor that was not kept is not disposed of
      using _ = node;
    });
  });

  test("tells of its work", () => {
    compiled(() => {
      expectTypeOf(heap.stats()).toEqualTypeOf<HeapStats>();
      expectTypeOf(heap.step(5)).toEqualTypeOf<number>();
      expectTypeOf(
        heap.onCollection((collection) => expectTypeOf(collection).toEqualTypeOf<Collection>()),
      ).toEqualTypeOf<() => void>();
    });
  });
});

describe("a field", () => {
  test("that is a reference reads as a cursor, array or bytes, or null", () => {
    compiled(() => {
      expectTypeOf(node.next).toEqualTypeOf<NodeCursor | null>();
      expectTypeOf(node.parent).toEqualTypeOf<NodeCursor | null>();
      expectTypeOf(node.at).toEqualTypeOf<CursorOf<PointFields> | null>();
      expectTypeOf(node.samples).toEqualTypeOf<ValueArray<number> | null>();
      expectTypeOf(node.name).toEqualTypeOf<Bytes | null>();
      expectTypeOf(node.points).toEqualTypeOf<StructArray<PointFields> | null>();
      expectTypeOf(node.children.at(0)).toEqualTypeOf<Ref<NodeFields> | null>();
      expectTypeOf(node.toObject().at).toEqualTypeOf<Ref<PointFields> | null>();
      node.samples = heap.array(f64, 5, scope);
      node.name = heap.text("name", scope);
      node.parent = node;
      node.next = null;
      // @ts-expect-error: another struct
      node.next = point;
      // @ts-expect-error: another element
      node.points = heap.array(f64, 5, scope);
      // @ts-expect-error: numbers are no bytes
      node.name = heap.array(f64, 5, scope);
    });
  });

  test("is followed by what can be moved to it", () => {
    compiled(() => {
      expectTypeOf(node.follow("next")).toEqualTypeOf<boolean>();
      node.follow("parent", node);
      // @ts-expect-error: a cursor of the other struct is wanted
      node.follow("at");
      node.follow("at", point);
      node.follow("samples", heap.array(f64, 0, scope));
      node.follow("name", heap.bytes(0, scope));
      // @ts-expect-error: no reference
      node.follow("value");
      // @ts-expect-error: another struct
      node.follow("next", point);
      // @ts-expect-error: another element
      node.follow("points", heap.array(f64, 0, scope));
    });
  });
});
