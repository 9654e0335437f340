import {
  array,
  createLoop,
  createRuntime,
  f64,
  type Heap,
  type HeapOptions,
  InvalidArgumentError,
  InvalidStructError,
  OutOfMemoryError,
  ReentrantCallError,
  type Runtime,
  ref,
  ScopeEndedError,
  StaleReferenceError,
  struct,
  type TidemarkError,
  u8,
  u32,
  weak,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { collectedRuns, type HeapRun, heapRuns, withHeap } from "../support/heaps.js";
import { MEBIBYTE, withoutStacks, withRuntime } from "../support/runtimes.js";
import { code } from "../support/thrown.js";

withoutStacks();

const Point = struct("Point", { x: f64, y: f64 });
const Node = struct("Node", {
  value: f64,
  next: ref("Node"),
  at: Point,
  inner: struct("Inner", { to: ref(() => Node) }),
}) as never as typeof Plain;
const Plain = struct("Node", { value: f64, next: ref("Node"), at: Point });
const Other = struct("Other", { value: f64, next: ref("Other") });
const Undeclared = struct("Undeclared", { value: f64 });
const types = [Node, Other, Point, array(f64), array(ref(Node))];

const withNodes = (run: HeapRun, body: (heap: Heap, runtime: Runtime) => void) => withHeap(run, { types }, body);

describe.each(heapRuns)("a heap of the $name module under $strategy", (run) => {
  test("refuses strategies and options that there are not", () =>
    withRuntime({ debug: run.debug }, (runtime) => {
      for (const strategy of ["", "mark", "refcounting", undefined, null, 2, {}]) {
        expect(() => runtime.heap(strategy as never, { types })).toThrow(InvalidArgumentError);
      }
      const make = (options: unknown) => () => runtime.heap(run.strategy, options as HeapOptions);
      for (const options of [
        undefined,
        null,
        5,
        {},
        { types: [] },
        { types: Node },
        { types: [f64] },
        { types: [null] },
      ]) {
        expect(make(options)).toThrow(InvalidArgumentError);
      }
      for (const number of [0, -1, 0.5, NaN, Infinity, "5", 2 ** 40, null]) {
        expect(make({ types, stepUnits: number })).toThrow(InvalidArgumentError);
        expect(make({ types, minimumBytes: number })).toThrow(InvalidArgumentError);
      }
      expect(make({ types: [Node, Node] })).toThrow("declared twice");
      expect(make({ types: [array(f64), array(f64)] })).toThrow("declared twice");
      expect(make({ types: [array(ref("Node"))] })).toThrow(InvalidStructError);
      expect(runtime.stats().usedBytes).toBeLessThan(MEBIBYTE);
      runtime.validate();
    }));

  test("refuses a scope of another runtime, and makes nothing", () =>
    withRuntime({ debug: run.debug }, (runtime) =>
      withRuntime({ debug: run.debug }, (other) => {
        const heap = runtime.heap(run.strategy, { types });
        const foreign = other.heap(run.strategy, { types });
        const here = runtime.scope();
        const elsewhere = other.scope();
        for (const isUsed of [false, true]) {
          if (isUsed) foreign.new(Node, elsewhere);
          expect(() => heap.new(Node, elsewhere)).toThrow(code("INVALID_ARGUMENT"));
          expect(() => heap.new(Node, elsewhere, heap.cursor(Node))).toThrow(/scope .*another runtime/);
          expect(() => heap.array(f64, 5, elsewhere)).toThrow(code("INVALID_ARGUMENT"));
          expect(() => foreign.new(Node, here)).toThrow(code("INVALID_ARGUMENT"));
          if (isUsed) expect(() => here.keep(foreign.new(Node, elsewhere))).toThrow(/another runtime/);
        }
        expect([heap.stats().objects, foreign.stats().objects]).toEqual([0, 2]);
        expect(foreign.stats().handles).toBe(0);
        elsewhere.end();
        here.end();
      }),
    ));

  test("refuses types that refer to others which were not declared, and names all of those", () =>
    withRuntime({ debug: run.debug }, (runtime) => {
      const Lone = struct("Lone", {
        a: ref(Other),
        b: weak(Undeclared),
        c: ref(array(u32)),
        d: array(ref(Point), 3),
        e: ref(array(u8)),
      });
      const make = () => runtime.heap(run.strategy, { types: [Lone] });
      for (const named of [
        "Lone.a refers to Other",
        "Lone.b refers to Undeclared",
        "Lone.c refers to array(u32)",
        "Lone.d refers to Point",
      ]) {
        expect(make).toThrow(named);
      }
      expect(make).toThrow(InvalidArgumentError);
      expect(make).toThrow("list in `types` all that references lead to");
      expect(make).not.toThrow("Lone.e");
      const Hooked = struct("Hooked", { id: u32 }, { destroy() {} });
      expect(() => array(Hooked)).toThrow(InvalidStructError);
      expect(() => struct("Holder", { list: array(f64) as never })).toThrow("make it ref(array(f64))");
      const Late: unknown = struct("Late", { next: ref(() => undefined as never) });
      expect(() => runtime.heap(run.strategy, { types: [Late as typeof Node] })).toThrow(InvalidStructError);
      runtime.validate();
    }));

  test("makes objects of its own types only, in scopes that are open", () =>
    withNodes(run, (heap, runtime) => {
      const scope = runtime.scope();
      const cursor = heap.cursor(Other);
      for (const type of [Undeclared, f64, null, undefined, "Node", array(f64)]) {
        expect(() => heap.new(type as never, scope)).toThrow(InvalidArgumentError);
        expect(() => heap.cursor(type as never)).toThrow(InvalidArgumentError);
      }
      expect(() => heap.new(Undeclared, scope)).toThrow("Undeclared");
      for (const given of [undefined, null, {}, heap, runtime, "scope"]) {
        expect(() => heap.new(Node, given as never)).toThrow(InvalidArgumentError);
        expect(() => heap.array(f64, 1, given as never)).toThrow(InvalidArgumentError);
      }
      for (const into of [
        cursor,
        runtime.cursor(Node),
        null,
        {},
        heap.new(Node, scope).at,
        heap.new(Node, scope).ref(),
      ]) {
        expect(() => heap.new(Node, scope, into as never)).toThrow(InvalidArgumentError);
      }
      for (const into of [runtime.array(f64), runtime.bytes(), heap.array(ref(Node), 1, scope), null]) {
        expect(() => heap.array(f64, 3, scope, into as never)).toThrow(InvalidArgumentError);
      }
      const kept = scope.keep(heap.new(Node, scope));
      expect(() => heap.new(Node, scope, kept)).toThrow("kept handle");
      heap.release(kept);
      const { objects } = heap.stats();
      scope.end();
      expect(() => heap.new(Node, scope)).toThrow(ScopeEndedError);
      expect(() => heap.array(f64, 5, scope)).toThrow(ScopeEndedError);
      expect(() => scope.keep(kept)).toThrow(ScopeEndedError);
      expect(heap.stats().objects).toBe(objects);
    }));

  test("stores references to live, whole objects of the right type of its own only", () =>
    withNodes(run, (heap, runtime) => {
      using scope = runtime.scope();
      const node = heap.new(Node, scope);
      const list = heap.array(ref(Node), 2, scope);
      const foreign = runtime.heap(run.strategy, { types });
      const twin = foreign.new(Node, scope);
      const stale = heap.cursor(Node);
      {
        using inner = runtime.scope();
        heap.new(Node, inner, stale);
      }
      const values: [unknown, new (...args: never) => TidemarkError][] = [
        [twin, InvalidArgumentError],
        [twin.ref(), InvalidArgumentError],
        [heap.new(Other, scope), InvalidArgumentError],
        [heap.array(f64, 3, scope), InvalidArgumentError],
        [node.at, InvalidArgumentError],
        [runtime.arena().new(Node), InvalidArgumentError],
        [runtime.pool(Node).new(), InvalidArgumentError],
        [runtime.cursor(Node), InvalidArgumentError],
        [undefined, InvalidArgumentError],
        [5, InvalidArgumentError],
        [{}, InvalidArgumentError],
        [{ value: 3 }, InvalidArgumentError],
        [heap.cursor(Node), StaleReferenceError],
        [stale, StaleReferenceError],
      ];
      for (const [value, expected] of values) {
        expect(() => {
          node.next = value as never;
        }).toThrow(expected);
        expect(() => node.assign({ value: 9, next: value as never })).toThrow(expected);
        expect(() => list.set(1, value as never)).toThrow(expected);
      }
      expect([node.value, node.next, list.at(1)]).toEqual([0, null, null]);
      for (const value of values.slice(0, 8)) {
        expect(() => node.moveTo(value[0] as never)).toThrow(InvalidArgumentError);
      }
      expect(() => node.follow("value" as never)).toThrow(InvalidArgumentError);
      expect(() => node.follow("next", heap.cursor(Other) as never)).toThrow(InvalidArgumentError);
      expect(() => node.copyTo(runtime.arena())).toThrow(InvalidArgumentError);
      // And no one else takes what is this heap's.
      const record = runtime.arena().new(Node);
      expect(() => {
        record.next = node;
      }).toThrow(InvalidArgumentError);
      expect(() => runtime.pool(Node).free(node)).toThrow(InvalidArgumentError);
      expect(() => foreign.free(node)).toThrow(InvalidArgumentError);
      foreign.validate();
      foreign.destroy();
      expect(twin.isLive()).toBe(false);
    }));

  test("frees and releases what it has given out only", () =>
    withNodes(run, (heap, runtime) => {
      using scope = runtime.scope();
      const node = heap.new(Node, scope);
      for (const given of [undefined, null, 5, {}, node.at, runtime.cursor(Node), runtime.pool(Node).new()]) {
        expect(() => heap.free(given as never)).toThrow(InvalidArgumentError);
        expect(() => heap.release(given as never)).toThrow(InvalidArgumentError);
        expect(() => scope.keep(given as never)).toThrow(InvalidArgumentError);
      }
      expect(() => heap.release(node)).toThrow("not a kept one");
      expect(() => heap.free(heap.cursor(Node))).toThrow(StaleReferenceError);
      expect(() => scope.keep(heap.cursor(Node))).toThrow(StaleReferenceError);
      expect(() => heap.onCollection(5 as never)).toThrow(InvalidArgumentError);
      for (const units of [0, -1, 0.5, NaN, Infinity, "5", null]) {
        expect(() => heap.step(units as never)).toThrow(InvalidArgumentError);
      }
      expect(heap.stats()).toMatchObject({ objects: 1, handles: 0 });
    }));

  test("is of no use once it has been destroyed, nor when its runtime has been disposed of", async () => {
    for (const finish of [(heap: Heap) => heap.destroy(), (_: Heap, runtime: Runtime) => runtime.dispose()]) {
      const runtime = await createRuntime({ debug: run.debug });
      const heap = runtime.heap(run.strategy, { types });
      const scope = runtime.scope();
      const node = heap.new(Node, scope);
      const kept = scope.keep(node);
      const cursor = heap.cursor(Node);
      finish(heap, runtime);
      heap.destroy();
      expect(heap.destroyed).toBe(true);
      for (const attempt of [
        () => heap.new(Node, scope),
        () => heap.new(Node, scope, cursor),
        () => heap.array(f64, 1, scope),
        () => heap.cursor(Node),
        () => heap.free(node),
        () => heap.step(),
        () => heap.collect(),
        () => heap.stats(),
        () => heap.validate(),
        () => heap.onCollection(() => {}),
        () => scope.keep(node),
      ]) {
        expect(attempt).toThrow(code("DISPOSED"));
      }
      for (const view of [node, kept]) {
        expect(view.isLive()).toBe(false);
        expect(() => view.value).toThrow(runtime.disposed ? code("DISPOSED") : StaleReferenceError);
      }
      heap.release(kept);
      scope.end();
      runtime.dispose();
    }
  });

  test("does not collect inside a handler, nor inside a hook of whatever", () =>
    withRuntime({ debug: run.debug }, async (runtime) => {
      const heap = runtime.heap(run.strategy, { types });
      const loop = createLoop(runtime);
      const errors: unknown[] = [];
      const attempt = (body: () => void) => {
        try {
          body();
        } catch (error) {
          errors.push(error);
        }
      };
      const kind = loop.on("collect", () => {
        attempt(() => heap.collect());
        attempt(() => heap.step(5));
      });
      kind.post(undefined);
      await loop.runUntilIdle();
      const Hooked = struct("Hooked", { id: u32 }, { destroy: () => attempt(() => heap.collect()) });
      const arena = runtime.arena();
      arena.new(Hooked);
      arena.reset();
      // The loop counts its handlers; where it does not yet, only the hook is refused.
      expect(errors.length).toBeGreaterThan(0);
      for (const error of errors) expect(error).toBeInstanceOf(ReentrantCallError);
      heap.collect();
      await loop.close();
    }));

  test("says when memory is out, loses nothing, and goes on when there is some again", () =>
    withRuntime({ debug: run.debug, initialBytes: MEBIBYTE, maximumBytes: 2 * MEBIBYTE }, (runtime) => {
      const heap = runtime.heap(run.strategy, { types });
      for (let round = 0; round < 3; round++) {
        const ballast = runtime.arena();
        ballast.bytes(128 << 10);
        const scope = runtime.scope();
        const head = heap.new(Node, scope);
        const walker = heap.cursor(Node);
        walker.moveTo(head);
        let count = 1;
        let error: unknown;
        try {
          for (; ; count++) {
            const made = heap.new(Node, scope);
            made.value = count;
            walker.next = made;
            walker.follow("next");
          }
        } catch (thrown) {
          error = thrown;
        }
        expect(error).toEqual(code("OUT_OF_MEMORY"));
        expect(count).toBeGreaterThan(1_000);
        // With no page, or too few, to be had for its lists, counting cannot look at what may be part of a dropped cycle.
        const collect = () => {
          if (run.strategy === "refcount") expect(() => heap.collect()).toThrow(OutOfMemoryError);
          else heap.collect();
        };
        collect();
        ballast.destroy(); // `validate` needs some for its findings
        heap.validate();
        collect();
        expect(heap.stats().objects).toBe(count);
        let sum = 0;
        walker.moveTo(head);
        do sum += walker.value;
        while (walker.follow("next"));
        expect(sum).toBe((count * (count - 1)) / 2);
        if (run.strategy === "manual") {
          const next = heap.cursor(Node);
          walker.moveTo(head);
          for (let more = true; more; ) {
            more = walker.follow("next", next);
            heap.free(walker);
            if (more) walker.moveTo(next);
          }
        }
        scope.end();
        heap.collect();
        expect(heap.stats().objects).toBe(0);
        heap.validate();
      }
      heap.destroy();
      runtime.validate();
    }));
});

describe.each(collectedRuns)("values of a collected heap of the $name module under $strategy", (run) => {
  test("that are collected while they are being read are not stored", () =>
    withNodes(run, (heap, runtime) => {
      using scope = runtime.scope();
      const node = heap.new(Node, scope);
      const inner = runtime.scope();
      const doomed = heap.new(Node, inner);
      doomed.value = 5;
      expect(() =>
        node.assign({
          next: doomed,
          get value() {
            inner.end();
            heap.collect();
            return 3;
          },
        }),
      ).toThrow(StaleReferenceError);
      expect([node.next, node.value]).toEqual([null, 0]);
      expect(() =>
        node.assign({
          get value() {
            heap.destroy();
            return 3;
          },
        }),
      ).toThrow(StaleReferenceError);
    }));
});
