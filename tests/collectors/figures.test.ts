import { array, type Collection, f64, type Heap, type Runtime, ref, struct, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { collectedRuns, type HeapRun, heapRuns, withHeap } from "../support/heaps.js";
import { PAGE, withoutStacks } from "../support/runtimes.js";

withoutStacks();

const Node = struct("Node", { value: u32, next: ref("Node") });

const withNodes = (run: HeapRun, body: (heap: Heap, runtime: Runtime) => void) =>
  withHeap(run, { types: [Node, array(f64)], minimumBytes: 1 }, body);

/** Makes so many rings of two, to which nothing leads afterwards. */
function dropRings(heap: Heap, runtime: Runtime, count: number): void {
  using scope = runtime.scope();
  for (let ring = 0; ring < count; ring++) {
    const one = heap.new(Node, scope);
    const other = heap.new(Node, scope);
    one.next = other;
    other.next = one;
  }
}

/** Steps of 20 units until a cycle has ended; `after` is called after each. */
function endCycle(heap: Heap, after: () => void = () => {}): void {
  const { cycles } = heap.stats();
  for (let steps = 0; heap.stats().cycles === cycles; steps++) {
    if (steps > 2000) throw new Error(`no cycle has ended in ${steps} steps`);
    heap.step(20);
    after();
  }
}

describe.each(heapRuns)("the figures of a heap of the $name module under $strategy", (run) => {
  test("no longer have in them what has been freed", () =>
    withNodes(run, (heap, runtime) => {
      const scope = runtime.scope();
      const node = heap.new(Node, scope);
      const numbers = heap.array(f64, 10, scope);
      expect(heap.stats()).toMatchObject({ objects: 2, freedObjects: 0 });
      expect(heap.stats().bytes).toBeGreaterThan(80);
      if (run.strategy === "manual") for (const object of [node, numbers]) heap.free(object);
      scope.end();
      heap.collect();
      expect(heap.stats()).toMatchObject({ objects: 0, bytes: 0, freedObjects: 2 });
    }));

  test("have each object that was made either among those that live or among the freed, at any time", () =>
    withNodes(run, (heap, runtime) => {
      dropRings(heap, runtime, 100);
      using scope = runtime.scope();
      let node = heap.new(Node, scope);
      for (let made = 1; made < 100; made++) {
        const next = heap.new(Node, scope);
        next.next = node; // a candidate, when its handle has ended
        node = next;
      }
      scope.end();
      do {
        const { objects, freedObjects } = heap.stats();
        expect(objects + freedObjects).toBe(300);
      } while (heap.step(1) > 0);
    }));

  test("have in their bytes the headers of objects that are collected, and the pages of large ones", () =>
    withNodes(run, (heap, runtime) => {
      using scope = runtime.scope();
      const isManual = run.strategy === "manual";
      const per = (make: () => void, count: number) => {
        const before = heap.stats();
        for (let made = 0; made < count; made++) make();
        const { bytes, reservedBytes } = heap.stats();
        return { bytes: (bytes - before.bytes) / count, reserved: (reservedBytes - before.reservedBytes) / count };
      };
      expect(per(() => heap.new(Node, scope), 1_000).bytes).toBe(
        { manual: 16, refcount: 12, "mark-sweep": 8, "mark-sweep-stop": 8 }[run.strategy],
      );
      heap.bytes(8_000, scope); // the first of a size takes a page, which others share
      expect(per(() => heap.bytes(8_000, scope), 4).reserved).toBeLessThan(PAGE);
      const page = isManual ? { bytes: 8_208 } : { bytes: PAGE, reserved: PAGE };
      expect(per(() => heap.bytes(8_200, scope), 20)).toMatchObject(page);
      const pages = isManual ? { bytes: 70_008 } : { bytes: 2 * PAGE, reserved: 2 * PAGE };
      expect(per(() => heap.bytes(70_000, scope), 20)).toMatchObject(pages);
    }));
});

describe.each(collectedRuns)("of its cycles a heap of the $name module under $strategy", (run) => {
  test("tells one by one: what each has freed and taken, and no more", () =>
    withNodes(run, (heap, runtime) => {
      const told: Collection[] = [];
      heap.onCollection((collection) => told.push(collection));
      for (const rings of [50, 30, 10]) {
        dropRings(heap, runtime, rings);
        const before = heap.stats();
        endCycle(heap);
        const { units, steps, cycles, lastCycleUnits, lastStepUnits } = heap.stats();
        expect(told.at(-1)).toMatchObject({
          cycle: cycles,
          freedObjects: 2 * rings,
          steps: steps - before.steps,
          units: lastCycleUnits,
          objects: 0,
        });
        expect(lastCycleUnits).toBeGreaterThan(2 * rings);
        // The end of one cycle and the beginning of the next may share a step.
        expect(lastCycleUnits).toBeLessThanOrEqual(units - before.units);
        expect(lastStepUnits).toBeLessThanOrEqual(lastCycleUnits);
      }
      expect(told.map(({ cycle }) => cycle)).toEqual([1, 2, 3]);
    }));

  test("tells the units of each alone, whatever else the step has done", () =>
    withNodes(run, (heap, runtime) => {
      const told: Collection[] = [];
      heap.onCollection((collection) => told.push(collection));
      for (const rings of [500, 20, 20]) {
        dropRings(heap, runtime, rings);
        const units = heap.collect();
        expect(heap.stats().lastCycleUnits).toBe(told.at(-1)!.units);
        // Counted references have been taken off before: that is no part of a cycle.
        const drained = run.strategy === "refcount" ? 2 * rings : 0;
        expect(told.at(-1)!.units + drained).toBeLessThanOrEqual(units);
      }
      expect(told[1]!.units).toBe(told[2]!.units);
    }));

  test("times each step, and all of a cycle together", () =>
    withNodes(run, (heap, runtime) => {
      let microseconds = 0;
      let longest = 0;
      const told: Collection[] = [];
      heap.onCollection((collection) => told.push(collection));
      dropRings(heap, runtime, 50);
      endCycle(heap, () => {
        const { lastStepMicroseconds } = heap.stats();
        microseconds += lastStepMicroseconds;
        longest = Math.max(longest, lastStepMicroseconds);
      });
      expect(longest).toBeGreaterThan(0);
      expect(heap.stats().longestStepMicroseconds).toBe(longest);
      expect(told.map((collection) => collection.microseconds)).toEqual([expect.closeTo(microseconds, 6)]);
    }));

  test("tells no listener that another has taken off meanwhile", () =>
    withNodes(run, (heap, runtime) => {
      const told: string[] = [];
      const forget: (() => void)[] = [];
      heap.onCollection(() => {
        told.push("first");
        forget[0]!();
      });
      forget.push(heap.onCollection(() => told.push("second")));
      heap.onCollection(() => told.push("third"));
      dropRings(heap, runtime, 1);
      heap.collect();
      expect(told).toEqual(["first", "third"]);
    }));
});

test.each(collectedRuns.filter(({ strategy }) => strategy !== "mark-sweep-stop"))(
  "what is allocated while a cycle goes on is told of as floating ($strategy, $name module)",
  (run) =>
    withNodes(run, (heap, runtime) => {
      using lasting = runtime.scope();
      const told: Collection[] = [];
      heap.onCollection((collection) => told.push(collection));
      dropRings(heap, runtime, 50);
      let last = heap.new(Node, lasting);
      const size = heap.stats().bytes / heap.stats().objects;
      for (let index = 0; index < 500; index++) {
        const next = heap.new(Node, lasting);
        next.next = last;
        last = next;
      }
      heap.collect();
      expect(heap.stats().floatingBytes).toBe(0); // in one step
      dropRings(heap, runtime, 500);
      const { cycles } = heap.stats();
      while (heap.stats().pendingDecrements > 0) heap.step(20); // a cycle of counting begins behind these
      heap.step(20); // and now there is one under way
      const { objects } = heap.stats();
      for (let index = 0; index < 25; index++) heap.new(Node, lasting);
      expect(heap.stats()).toMatchObject({ cycles, objects: objects + 25 });
      endCycle(heap);
      expect(heap.stats().floatingBytes).toBe(25 * size);
      expect(told.at(-1)!.floatingBytes).toBe(25 * size);
    }),
);
