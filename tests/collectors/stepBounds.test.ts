import type { Runtime } from "tidemark";
import { describe, expect, test } from "vitest";
import { heapShape } from "../support/collectorShapes.js";
import { ARRAY_HEADER, heapKinds, RawHeap, STEP_SLACK, withCollectorRuntime } from "../support/rawHeap.js";
import { MEBIBYTE } from "../support/runtimes.js";

/** Steps of loops for each unit, and for a step of no units. */
const LOOPS_PER_UNIT = 8;
const LOOPS_PER_STEP = 600;

const MILLION = 1_000_000;
const NODE = heapShape("node");
const shapes = ["node", "leaf", "nodes", "forest", "tree", "weakNodes", "watcher"].map(heapShape);

/** A graph of about a million objects or handles; `expected` is how many objects live, then and in the end. */
interface Large {
  readonly name: string;
  build(heap: RawHeap, scope: number): { readonly live: number; readonly drop?: () => void };
}

function nodesIn(heap: RawHeap, count: number, link: (node: number, index: number) => void): void {
  const scope = heap.openScope();
  for (let index = 0; index < count; index++) {
    const node = heap.allocate(NODE, 0, scope);
    if (node === 0) throw heap.runtime.$memory.failure("making a node");
    link(node, index);
  }
  heap.exports.endScope(scope);
}

function chain(heap: RawHeap, scope: number, isRing: boolean): number {
  const head = heap.allocate(NODE, 0, scope);
  const slot = heap.newSlot;
  let last = head;
  nodesIn(heap, MILLION - 1, (node) => {
    heap.store(last, node);
    last = node;
  });
  if (isRing) heap.store(last, head);
  return slot;
}

function arrayOfNodes(heap: RawHeap, scope: number): number {
  const array = heap.allocate(heapShape("nodes"), MILLION, scope);
  nodesIn(heap, MILLION, (node, index) => heap.store(array + ARRAY_HEADER + 4 * index, node));
  return array;
}

/** A scope of its own for what is to be dropped. */
function dropping(heap: RawHeap, build: (scope: number) => void): () => void {
  const scope = heap.openScope();
  build(scope);
  return () => heap.exports.endScope(scope);
}

const graphs: readonly Large[] = [
  {
    name: "an array of a million references",
    build: (heap, scope) => {
      arrayOfNodes(heap, scope);
      return { live: MILLION + 1 };
    },
  },
  {
    name: "a dropped array of a million references",
    build: (heap) => ({ live: 0, drop: dropping(heap, (scope) => arrayOfNodes(heap, scope)) }),
  },
  {
    name: "an array of a million references to one object",
    build: (heap, scope) => {
      const array = heap.allocate(heapShape("nodes"), MILLION, scope);
      const node = heap.allocate(NODE, 0, scope);
      for (let index = 0; index < MILLION; index++) heap.store(array + ARRAY_HEADER + 4 * index, node);
      return { live: 2 };
    },
  },
  {
    name: "an array of a million weak references",
    build: (heap, scope) => {
      const array = heap.allocate(heapShape("weakNodes"), MILLION, scope);
      const node = heap.allocate(NODE, 0, scope);
      const drop = dropping(heap, (other) => {
        const dying = heap.allocate(NODE, 0, other);
        for (let index = 0; index < MILLION; index++) {
          heap.storeWeak(array + ARRAY_HEADER + 4 * index, index % 2 === 0 ? node : dying);
        }
      });
      return { live: 2, drop };
    },
  },
  {
    name: "a chain of a million nodes",
    build: (heap, scope) => {
      chain(heap, scope, false);
      return { live: MILLION };
    },
  },
  {
    name: "a dropped list of a million nodes",
    build: (heap) => ({ live: 0, drop: dropping(heap, (scope) => chain(heap, scope, false)) }),
  },
  {
    name: "a dropped ring of a million nodes",
    build: (heap) => ({ live: 0, drop: dropping(heap, (scope) => chain(heap, scope, true)) }),
  },
  {
    name: "a ring of a million nodes that has lost one of its handles",
    build: (heap, scope) => {
      const slot = chain(heap, scope, true);
      const drop = dropping(heap, (other) => heap.push(other, heap.at(slot)));
      return { live: MILLION, drop };
    },
  },
  {
    name: "a million kept handles",
    build: (heap, scope) => {
      const node = heap.allocate(NODE, 0, scope);
      for (let index = 0; index < MILLION; index++) heap.keep(node);
      return { live: 1 };
    },
  },
  {
    name: "a million kept handles that are released",
    build: (heap, scope) => {
      const slots: number[] = [];
      for (let index = 0; index < 1000; index++) {
        const node = heap.allocate(NODE, 0, scope);
        for (let count = 0; count < 1000; count++) slots.push(heap.keep(node));
      }
      return {
        live: 1000,
        drop: () => {
          for (const slot of slots) heap.release(slot);
        },
      };
    },
  },
  {
    name: "a scope with a million handles",
    build: (heap, scope) => {
      const node = heap.allocate(NODE, 0, scope);
      for (let index = 1; index < MILLION; index++) heap.push(scope, node);
      return { live: 1 };
    },
  },
  {
    name: "a scope with a million handles that ends",
    build: (heap) => ({
      live: 0,
      drop: dropping(heap, (scope) => {
        const nodes = Array.from({ length: 1000 }, () => heap.allocate(NODE, 0, scope));
        for (let index = 0; index < MILLION; index++) heap.push(scope, nodes[index % 1000]!);
      }),
    }),
  },
];

/** Steps of a budget until all is done, each held to its bounds. Returns the units of all. */
function finish(runtime: Runtime, heap: RawHeap, units: number, isBounded: boolean): number {
  const memory = runtime.$memory;
  let all = 0;
  for (let steps = 0; ; steps++) {
    memory.setRootWord("ROOT_STEPS", 0);
    const done = heap.step(units);
    const loops = memory.rootWord("ROOT_STEPS");
    all += done;
    const most = units + STEP_SLACK[heap.strategy];
    if (isBounded && done > most) expect(done).toBeLessThanOrEqual(most);
    if (loops > LOOPS_PER_UNIT * done + LOOPS_PER_STEP) {
      expect.fail(`a step of ${done} units took ${loops} steps of loops`);
    }
    if (done < units) return all;
    if (steps > 20 * MILLION) expect.fail("it does not end");
  }
}

describe.each(heapKinds)("a step of a $strategy heap of the $module module", ({ strategy, debug }) => {
  const isBounded = strategy !== "mark-sweep-stop";

  test.each(graphs)("keeps to its budget with $name", async ({ build }) => {
    await withCollectorRuntime({ debug, maximumBytes: 1024 * MEBIBYTE }, (runtime) => {
      const heap = new RawHeap(runtime, { strategy, shapes, stepUnits: 5000, minimumBytes: 2_000_000_000 });
      const scope = heap.openScope();
      const { live, drop } = build(heap, scope);
      finish(runtime, heap, 1000, isBounded);
      drop?.();
      const { setRootWord, rootWord } = runtime.$memory;
      for (const units of [debug ? 150 : 20, 2000]) {
        setRootWord.call(runtime.$memory, "ROOT_STEPS", 0);
        heap.beginCycle();
        expect(rootWord.call(runtime.$memory, "ROOT_STEPS")).toBeLessThan(LOOPS_PER_STEP);
        finish(runtime, heap, units, isBounded);
      }
      expect(heap.objects).toBe(live);
      heap.validate();
      heap.destroy();
      runtime.validate();
    });
  });

  test("leaves no work to the operations between steps that grows with the heap", async () => {
    await withCollectorRuntime({ debug: true, maximumBytes: 512 * MEBIBYTE }, (runtime) => {
      const heap = new RawHeap(runtime, { strategy, shapes });
      const memory = runtime.$memory;
      const scope = heap.openScope();
      const array = heap.allocate(heapShape("nodes"), 200_000, scope);
      nodesIn(heap, 200_000, (node, index) => {
        if (index % 3 !== 0) heap.store(array + ARRAY_HEADER + 4 * index, node);
      });
      let most = 0;
      const measured = <T>(call: () => T): T => {
        memory.setRootWord("ROOT_STEPS", 0);
        const result = call();
        most = Math.max(most, memory.rootWord("ROOT_STEPS"));
        return result;
      };
      heap.beginCycle();
      for (let round = 0; round < 20_000; round++) {
        const event = measured(() => heap.openScope());
        const node = measured(() => heap.allocate(NODE, 0, event));
        const slot = array + ARRAY_HEADER + 4 * ((round * 7919) % 200_000);
        const other = heap.at(slot);
        if (other !== 0) measured(() => heap.store(node, other));
        measured(() => heap.store(slot, node));
        const kept = measured(() => heap.keep(node));
        measured(() => heap.release(kept));
        measured(() => heap.exports.endScope(event));
        heap.step(60);
        if (round === 10_000) {
          heap.finish(1000);
          heap.beginCycle();
        }
      }
      // A few blocks swept for room, and a request for pages in a bitmap of a thousand or so.
      expect(most).toBeLessThan(8 * STEP_SLACK["mark-sweep"]);
      heap.destroy();
    });
  });
});
