import {
  array,
  Bytes,
  f64,
  type Heap,
  InvalidArgumentError,
  LimitExceededError,
  OutOfBoundsError,
  type Runtime,
  ref,
  StaleReferenceError,
  struct,
  u8,
  u16,
  weak,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { type HeapRun, heapRuns, withHeap } from "../support/heaps.js";
import { withoutStacks } from "../support/runtimes.js";

withoutStacks();

const Point = struct("Point", { x: f64, y: f64 });
const Leaf = struct("Leaf", { at: Point, to: ref("Leaf") });
const Page = struct("Page", {
  samples: ref(array(f64)),
  name: ref(array(u8)),
  leaves: ref(array(ref(Leaf))),
  points: ref(array(Point)),
  edges: ref(array(Leaf)),
  pages: ref(array(ref("Page"))),
  last: weak(array(f64)),
});
const types = [
  Leaf,
  Page,
  array(f64),
  array(ref(Leaf)),
  array(Point),
  array(Leaf),
  array(ref(Page)),
  array(array(u16, 3)),
];

const withPages = (run: HeapRun, body: (heap: Heap, runtime: Runtime) => void) => withHeap(run, { types }, body);

describe.each(heapRuns)("arrays of a heap of the $name module under $strategy", (run) => {
  test("are objects of numbers, with a length of their own, that a record can refer to", () =>
    withPages(run, (heap, runtime) => {
      using scope = runtime.scope();
      const page = heap.new(Page, scope);
      expect(page.samples).toBe(null);
      const samples = heap.array(f64, 100, scope);
      expect([samples.length, samples.at(99), samples.growable]).toEqual([100, 0, false]);
      for (let index = 0; index < 100; index++) samples.set(index, index / 2);
      page.samples = samples;
      heap.collect();
      expect(page.samples.length).toBe(100);
      expect(page.samples.at(99)).toBe(49.5);
      expect([...page.samples].reduce((sum, value) => sum + value)).toBe(2475);
      expect(() => samples.at(100)).toThrow(OutOfBoundsError);
      expect(() => samples.push(1)).toThrow(LimitExceededError);
      expect(() => samples.truncate(3)).toThrow(LimitExceededError);
      const again = heap.array(f64, 5, scope, samples);
      expect(again).toBe(samples);
      expect(again.toArray()).toEqual([0, 0, 0, 0, 0]);
      expect(page.samples.length).toBe(100);
      page.samples = null;
      expect(page.samples).toBe(null);
    }));

  test("are bytes and texts where their elements are bytes", () =>
    withPages(run, (heap, runtime) => {
      using scope = runtime.scope();
      const page = heap.new(Page, scope);
      page.name = heap.text("größe 🌊", scope);
      heap.collect();
      expect(page.name).toBeInstanceOf(Bytes);
      expect(page.name.toString()).toBe("größe 🌊");
      const bytes = heap.bytes(3, scope);
      bytes.set(1, 7);
      page.name = bytes;
      expect(page.name.toUint8Array()).toEqual(new Uint8Array([0, 7, 0]));
      expect(heap.array(u8, 2, scope)).toBeInstanceOf(Bytes);
      expect(heap.text("", scope).length).toBe(0);
      expect(() => heap.text("\ud800", scope)).toThrow(InvalidArgumentError);
    }));

  test("refer to objects, which live as long as they do", () =>
    withPages(run, (heap, runtime) => {
      using outer = runtime.scope();
      const page = heap.new(Page, outer);
      {
        using scope = runtime.scope();
        const leaves = heap.array(ref(Leaf), 1_000, scope);
        for (let index = 0; index < 1_000; index++) {
          const leaf = heap.new(Leaf, scope);
          leaf.at.x = index;
          leaves.set(index, leaf);
        }
        page.leaves = leaves;
        page.pages = heap.array(ref(Page), 2, scope);
        page.pages.set(0, page);
      }
      heap.collect();
      expect(heap.stats().objects).toBe(1_003);
      const cursor = heap.cursor(Leaf);
      let sum = 0;
      for (const leaf of page.leaves!) sum += cursor.moveTo(leaf).at.x;
      expect(sum).toBe(499_500);
      expect(page.pages?.at(1)).toBe(null);
      expect(page.pages?.at(0)?.isLive()).toBe(true);
      page.leaves!.set(5, null);
      heap.collect();
      expect(heap.stats().objects).toBe(run.strategy === "manual" ? 1_003 : 1_003);
    }));

  test("hold structs, shown by one cursor, whose references are roots too", () =>
    withPages(run, (heap, runtime) => {
      using scope = runtime.scope();
      const page = heap.new(Page, scope);
      page.edges = heap.array(Leaf, 10, scope);
      page.points = heap.array(Point, 3, scope);
      page.points.set(1, { x: 4 });
      page.edges.at(3).assign({ at: page.points.at(1), to: heap.new(Leaf, scope) });
      page.edges.at(3).to!.at.y = 8;
      page.edges.set(4, page.edges.at(3));
      heap.collect();
      expect(page.edges.at(4).to?.at.y).toBe(8);
      expect(page.edges.at(4).at.toObject()).toEqual({ x: 4, y: 0 });
      expect(page.edges.toArray()[5]).toEqual({ at: { x: 0, y: 0 }, to: null });
      // An element is a part of its array, and no object.
      const leaf = heap.new(Leaf, scope);
      expect(() => {
        leaf.to = page.edges!.at(3);
      }).toThrow(InvalidArgumentError);
      expect(() => page.edges!.at(3).ref()).toThrow(InvalidArgumentError);
      expect(() => scope.keep(page.edges!.at(3))).toThrow(InvalidArgumentError);
      expect(leaf.to).toBe(null);
    }));

  test("can be kept, followed and left empty", () =>
    withPages(run, (heap, runtime) => {
      const scope = runtime.scope();
      const page = heap.new(Page, scope);
      const samples = heap.array(f64, 4, scope);
      samples.set(3, 3);
      page.samples = samples;
      page.last = samples;
      const kept = scope.keep(samples);
      const none = heap.array(f64, 0, scope);
      expect([none.length, none.toArray()]).toEqual([0, []]);
      expect(page.follow("samples", none)).toBe(true);
      expect(none.toArray()).toEqual([0, 0, 0, 3]);
      expect(page.last?.at(3)).toBe(3);
      scope.end();
      heap.collect();
      expect(kept.toArray()).toEqual([0, 0, 0, 3]);
      expect(() => samples.at(0)).toThrow(StaleReferenceError);
      expect(() => none.at(0)).toThrow(StaleReferenceError);
      heap.release(kept);
      expect(() => kept.at(0)).toThrow(StaleReferenceError);
      heap.collect();
    }));

  test("of inline arrays give each as plain data", () =>
    withPages(run, (heap, runtime) => {
      using scope = runtime.scope();
      const rows = heap.array(array(u16, 3), 4, scope);
      rows.set(2, [1, 2, 3]);
      expect(rows.toArray()).toEqual([
        [0, 0, 0],
        [0, 0, 0],
        [1, 2, 3],
        [0, 0, 0],
      ]);
    }));

  test("are the same type however often it is written, and refused where it was not declared", () =>
    withPages(run, (heap, runtime) => {
      using scope = runtime.scope();
      expect(heap.array(ref(Leaf), 1, scope).length).toBe(1);
      expect(
        heap.array(
          ref(() => Leaf),
          1,
          scope,
        ).length,
      ).toBe(1);
      expect(() => heap.array(weak(Leaf), 1, scope)).toThrow(InvalidArgumentError);
      expect(() => heap.array(u16, 1, scope)).toThrow(/array\(u16\) is none of the types.*, array\(f64\)/);
      for (const length of [-1, 0.5, NaN, 2 ** 31, Infinity, "3" as never]) {
        expect(() => heap.array(f64, length, scope)).toThrow(InvalidArgumentError);
      }
      expect(() => heap.array(f64, 2 ** 27, scope)).toThrow(
        expect.objectContaining({ code: "ERR_TIDEMARK_OUT_OF_MEMORY" }),
      );
      expect(heap.stats().objects).toBe(2);
    }));
});
