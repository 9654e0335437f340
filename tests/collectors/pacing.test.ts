import { describe, expect, test } from "vitest";
import { heapShape } from "../support/collectorShapes.js";
import { RandomNumbers } from "../support/randomNumbers.js";
import { ARRAY_HEADER, heapKinds, RawHeap, STEP_SLACK, withCollectorRuntime } from "../support/rawHeap.js";
import { MEBIBYTE, PAGE } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

const NODE = heapShape("node");
const shapes = ["node", "leaf", "nodes", "left", "right", "bytes"].map(heapShape);
const EVENT_OBJECTS = 100;

/** Does what is owed in one gap between two events, and no more than a step may do beyond that. */
function settle(heap: RawHeap): void {
  const owed = heap.owed();
  if (owed > 0) expect(heap.step(owed)).toBeLessThanOrEqual(owed + STEP_SLACK[heap.strategy]);
}

/** What an event does beside the 100 nodes that it makes and drops. */
const programs: readonly {
  readonly name: string;
  readonly event: (heap: RawHeap, scope: number, array: number, random: RandomNumbers) => void;
}[] = [
  { name: "makes garbage only", event: () => {} },
  {
    name: "replaces one of the long-lived objects",
    event: (heap, scope, array, random) => {
      heap.store(array + ARRAY_HEADER + 4 * random.below(20_000), heap.allocate(NODE, 0, scope));
    },
  },
  {
    name: "drops rings",
    event: (heap, scope) => {
      for (let count = 0; count < 10; count++) {
        const one = heap.allocate(heapShape("left"), 0, scope);
        const two = heap.allocate(heapShape("right"), 0, scope);
        heap.store(one, two);
        heap.store(two, one);
      }
    },
  },
  {
    name: "makes bytes of all lengths",
    event: (heap, scope, _, random) => {
      for (let count = 0; count < 4; count++) heap.allocate(heapShape("bytes"), random.below(3000), scope);
      if (random.below(50) === 0) heap.allocate(heapShape("bytes"), 100_000, scope);
    },
  },
];

describe.each(heapKinds)("a saturated program on a $strategy heap of the $module module", ({ strategy, debug }) => {
  test.each(programs)("that $name stays below twice what lives, when it does what is owed", async ({ event }) => {
    await withCollectorRuntime({ debug, maximumBytes: 256 * MEBIBYTE }, (runtime) => {
      const minimumBytes = 4 * PAGE;
      const heap = new RawHeap(runtime, { strategy, shapes, minimumBytes });
      const random = new RandomNumbers(99);
      const scope = heap.openScope();
      const array = heap.allocate(heapShape("nodes"), 20_000, scope);
      const filling = heap.openScope();
      for (let index = 0; index < 20_000; index++) {
        heap.store(array + ARRAY_HEADER + 4 * index, heap.allocate(NODE, 0, filling));
      }
      heap.exports.endScope(filling);
      heap.collect();
      const live = heap.bytes;
      let most = 0;
      let mostPages = 0;
      let mostOfEvent = 0;
      const events = scaled(debug ? 2500 : 6000);
      for (let count = 0; count < events; count++) {
        const own = heap.openScope();
        const before = heap.bytes;
        let last = 0;
        for (let made = 0; made < EVENT_OBJECTS; made++) {
          const node = heap.allocate(NODE, 0, own);
          if (made % 2 === 1) heap.store(node, last);
          last = node;
        }
        event(heap, own, array, random);
        heap.exports.endScope(own);
        mostOfEvent = Math.max(mostOfEvent, heap.bytes - before);
        settle(heap);
        most = Math.max(most, heap.bytes);
        mostPages = Math.max(mostPages, heap.word("HEAP_BLOCK_PAGES"));
      }
      // The last cycle may have left as much as a third of what lives, as much begins the next one, and as much is made until that
      // ends, each with an event on top. The strategy that stops waits for all of that, and has nothing made meanwhile.
      const bound = live + 3 * (Math.max(live / 3, minimumBytes) + mostOfEvent);
      expect(most).toBeLessThanOrEqual(bound);
      expect(mostPages).toBeLessThanOrEqual(bound / PAGE + 40); // one that is not full for each size of object
      expect(heap.word("HEAP_CYCLES")).toBeGreaterThan(0);
      heap.validate();
      heap.exports.endScope(scope);
      heap.collect();
      expect(heap.objects).toBe(0);
      heap.destroy();
    });
  });

  test("has nothing owed while nothing is allocated or dropped", async () => {
    await withCollectorRuntime({ debug, maximumBytes: 256 * MEBIBYTE }, (runtime) => {
      const heap = new RawHeap(runtime, { strategy, shapes });
      const scope = heap.openScope();
      for (let count = 0; count < 1000; count++) heap.allocate(NODE, 0, scope);
      for (let count = 0; count < 1000; count++) settle(heap);
      heap.collect();
      const cycles = heap.word("HEAP_CYCLES");
      for (let count = 0; count < 100; count++) expect(heap.owed()).toBe(0);
      expect(heap.word("HEAP_CYCLES")).toBe(cycles);
      heap.destroy();
    });
  });
});

describe.each(heapKinds)("a $strategy heap of the $module module", ({ strategy, debug }) => {
  const withNodes = (minimumBytes: number, stepUnits: number, body: (heap: RawHeap) => void) =>
    withCollectorRuntime({ debug, maximumBytes: 64 * MEBIBYTE }, (runtime) => {
      const heap = new RawHeap(runtime, { strategy, shapes, minimumBytes, stepUnits });
      body(heap);
      heap.validate();
      heap.destroy();
    });
  /** Makes so many rings, with a handle each in `scope`. */
  const makeRings = (heap: RawHeap, scope: number, count: number) => {
    for (let made = 0; made < count; made++) {
      const node = heap.allocate(NODE, 0, scope);
      heap.store(node, node);
    }
  };

  test.each([1, 2, 3, 7, 2 ** 32 - 1])(
    "begins no cycle in idle time while it is empty (minimumBytes: %i)",
    (minimumBytes) =>
      withNodes(minimumBytes, 1, (heap) => {
        const idle = () => {
          for (let turns = 0; turns < 5_000; turns++) {
            heap.exports.heapIdle(heap.address);
            if (heap.step(1) === 0) return;
          }
          expect.fail("its idle time does not end");
        };
        idle();
        expect(heap.word("HEAP_CYCLES")).toBe(0);
        const scope = heap.openScope();
        makeRings(heap, scope, 1);
        heap.exports.endScope(scope);
        settle(heap); // as behind every event
        for (let round = 0; round < 3; round++) idle();
        if (minimumBytes < 8) expect(heap.objects).toBe(0);
        const cycles = heap.word("HEAP_CYCLES");
        idle();
        expect(heap.word("HEAP_CYCLES")).toBe(cycles);
      }),
  );

  test.each([2 ** 28, 2 ** 29, 2 ** 30, 2 ** 31 - 1])(
    "counts no cycle as an overrun that less than eight steps are left of (stepUnits: %i)",
    (stepUnits) =>
      withNodes(1_000, stepUnits, (heap) => {
        const scope = heap.openScope();
        makeRings(heap, scope, 1_000);
        heap.collect();
        makeRings(heap, scope, 1_000);
        const dropped = heap.openScope();
        makeRings(heap, dropped, 1); // a candidate, for a heap that counts
        heap.exports.endScope(dropped);
        heap.owed();
        for (let step = 0; step < 5; step++) heap.step(1);
        makeRings(heap, scope, 10_000);
        const cycles = heap.word("HEAP_CYCLES");
        settle(heap);
        expect([heap.word("HEAP_OVERRUNS"), heap.word("HEAP_CYCLES")]).toEqual([0, cycles + 1]);
      }),
  );
});
