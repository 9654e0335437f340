import {
  array,
  createLoop,
  type Heap,
  OutOfMemoryError,
  type Runtime,
  ref,
  type Scope,
  struct,
  u8,
  weak,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { collectedRuns } from "../support/heaps.js";
import { PAGE, withRuntime } from "../support/runtimes.js";

describe.each(collectedRuns)(
  "a $strategy heap for which memory ends before a cycle would begin ($name module)",
  ({ strategy, debug }) => {
    const Pair = struct("Pair", { other: ref("Pair") });
    const options = { types: [Pair], minimumBytes: 1 << 30 };

    /** Makes so many rings of two. */
    function makeRings(heap: Heap, scope: Scope, count: number): void {
      for (let made = 0; made < count; made++) {
        const one = heap.new(Pair, scope);
        one.other = heap.new(Pair, scope);
        one.other.other = one;
      }
    }

    test("collects after a refusal, between the events of a loop that is never idle", () =>
      withRuntime({ debug, maximumBytes: 40 * PAGE }, async (runtime) => {
        const heap = runtime.heap(strategy, options);
        const errors: unknown[] = [];
        const loop = createLoop(runtime, { onError: (error) => errors.push(error) });
        let handled = 0;
        const work = loop.on("work", (left: number, { scope }) => {
          if (left > 1) work.post(left - 1);
          makeRings(heap, scope, 500);
          handled++;
        });
        work.post(500);
        await loop.runUntilIdle();
        expect(errors.every((error) => error instanceof OutOfMemoryError)).toBe(true);
        expect([errors.length > 0, heap.stats().cycles > 0, handled > 250]).toEqual([true, true, true]);
        await loop.close();
      }));

    test("collects after a refusal when it is asked for a step, and in idle time", () =>
      withRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
        const heap = runtime.heap(strategy, options);
        const [collector] = runtime.$memory.collectors;
        const fill = () => {
          using scope = runtime.scope();
          expect(() => makeRings(heap, scope, 1e6)).toThrow(OutOfMemoryError);
        };
        for (let count = 0; count < 3; count++) {
          fill();
          while (heap.step() > 0);
          expect(heap.stats().objects).toBe(0);
          fill();
          while (collector!.$idle());
          expect(heap.stats().objects).toBe(0);
        }
        heap.validate();
      }));

    test.each(["other", "itself"])("has what weak slots may refer to, of which each object refers to %s", (target) =>
      withRuntime({ debug, maximumBytes: 40 * PAGE }, async (runtime) => {
        const Large = struct("Large", { at: ref("Large"), bytes: array(u8, 60_000) });
        const Holder = struct("Holder", { weak: weak(Large) });
        const heap = runtime.heap(strategy, { ...options, types: [Large, Holder] });
        let refusals = 0;
        const loop = createLoop(runtime, { onError: () => refusals++ });
        const work = loop.on("work", (_: undefined, { scope }) => {
          const large = heap.new(Large, scope);
          if (target === "itself") large.at = large;
          heap.new(Holder, scope).weak = large;
        });
        for (let count = 0; count < 200; count++) {
          work.post(undefined);
          await loop.runUntilIdle();
        }
        expect(refusals).toBeLessThan(50);
        heap.validate();
        await loop.close();
      }),
    );

    test.each<[string, (runtime: Runtime) => unknown]>([
      ["an arena", (runtime) => runtime.arena().bytes(14 * PAGE)],
      ["a byte heap", (runtime) => runtime.byteHeap().allocate(14 * PAGE)],
      ["reserved pages", (runtime) => runtime.reserve(14 * PAGE)],
    ])("makes room for %s that was refused memory", (_name, take) =>
      withRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
        const heap = runtime.heap(strategy, options);
        const [collector] = runtime.$memory.collectors;
        const scope = runtime.scope();
        while (runtime.stats().usedBytes < 28 * PAGE) makeRings(heap, scope, 100);
        scope.end();
        collector!.$settle();
        while (collector!.$idle());
        expect(heap.stats().cycles).toBe(0);
        expect(() => take(runtime)).toThrow(OutOfMemoryError);
        collector!.$settle();
        while (collector!.$idle());
        expect(heap.stats().objects).toBe(0);
        take(runtime);
        heap.validate();
      }),
    );

    test("looks once where everything lives, and comes to the end of its idle time", () =>
      withRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
        const heap = runtime.heap(strategy, options);
        const [collector] = runtime.$memory.collectors;
        using scope = runtime.scope();
        expect(() => makeRings(heap, scope, 1e6)).toThrow(OutOfMemoryError);
        const { objects } = heap.stats();
        for (let count = 0; count < 3; count++) {
          expect(() => heap.array(u8, 1 << 20, scope)).toThrow(OutOfMemoryError);
          const { cycles } = heap.stats();
          let turns = 0;
          while (collector!.$idle()) if (++turns > 10_000) expect.fail("it does not end");
          expect(heap.stats().cycles - cycles).toBeLessThanOrEqual(1);
        }
        expect(heap.stats().objects).toBe(objects);
      }));

    test("does not collect for what no garbage could make room for", () =>
      withRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
        const heap = runtime.heap(strategy, options);
        const [collector] = runtime.$memory.collectors;
        using scope = runtime.scope();
        makeRings(heap, scope, 10);
        const { cycles } = heap.stats();
        expect(() => heap.bytes(41 * PAGE, scope)).toThrow(OutOfMemoryError);
        expect(() => runtime.arena().bytes(41 * PAGE)).toThrow(OutOfMemoryError);
        while (collector!.$idle());
        expect(heap.stats().cycles).toBe(cycles);
      }));

    test("says that memory is out, where the host has just taken the rest of it", () =>
      withRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
        const heap = runtime.heap(strategy, options);
        using scope = runtime.scope();
        heap.bytes(8, scope);
        runtime.memory.grow(40 - runtime.memory.buffer.byteLength / PAGE);
        expect(() => heap.bytes(1 << 21, scope)).toThrow(OutOfMemoryError);
      }));
  },
);
