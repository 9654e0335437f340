import {
  array,
  type CursorOf,
  createRuntime,
  type Fields,
  type RefType,
  ref,
  type StructType,
  struct,
  u8,
  u32,
  weak,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { heapShape } from "../support/collectorShapes.js";
import { RawHeap, withCollectorRuntime } from "../support/rawHeap.js";
import { withRuntime } from "../support/runtimes.js";

const Pair = struct("Pair", { other: ref("Pair"), next: ref("Pair") });

describe("a heap of counted objects", () => {
  test("stays below twice what lives and a bit, where a saturated program keeps some cycles and drops others", () =>
    withRuntime({ maximumBytes: 1 << 30 }, (runtime) => {
      for (const live of [4_000, 40_000]) {
        using heap = runtime.heap("refcount", { types: [Pair] });
        const kept: (CursorOf<typeof Pair.fields> & Disposable)[] = [];
        let dropped = 0;
        let most = 0;
        for (let event = 0; event < live / 2 + 6_000; event++) {
          const scope = runtime.scope();
          for (let made = 0; made < 20; made++) {
            const one = heap.new(Pair, scope);
            const two = heap.new(Pair, scope);
            one.other = two;
            two.other = one;
            const handle = scope.keep(one);
            if (kept.length < live / 2) kept.push(handle);
            else {
              dropped = (dropped * 7919 + 13) % kept.length;
              heap.release(kept[dropped]!);
              kept[dropped] = handle;
            }
          }
          scope.end();
          for (const collector of runtime.$memory.collectors) collector.$settle();
          most = Math.max(most, heap.stats().objects);
        }
        expect(heap.stats().cycles).toBeGreaterThan(10);
        // Of 12 bytes each; and three times the growth that begins a run at the least, with what one event makes.
        expect(most).toBeLessThan(2 * live + (3 * (1 << 18)) / 12 + 100);
      }
    }));

  test.each(["next", "weak"] as const)(
    "holds little for large objects that have ended, and were referred to by a %s slot",
    (slot) =>
      withRuntime({ maximumBytes: 1 << 28 }, (runtime) => {
        const Large = struct("Large", { self: ref("Large"), bytes: array(u8, 60_000) });
        const Holder = struct("Holder", { next: ref(Large), weak: weak(Large) });
        using heap = runtime.heap("refcount", { types: [Large, Holder] });
        const [collector] = runtime.$memory.collectors;
        using lasting = runtime.scope();
        const holder = heap.new(Holder, lasting);
        let most = 0;
        for (let event = 0; event < 500; event++) {
          {
            using scope = runtime.scope();
            holder[slot] = heap.new(Large, scope);
          }
          collector!.$settle();
          most = Math.max(most, heap.stats().reservedBytes);
        }
        heap.validate();
        expect(most).toBeLessThan(1 << 20);
      }),
  );

  test("comes to an end, whenever a run looks at what lives while thousands end that have been candidates meanwhile", () =>
    withCollectorRuntime({ debug: true }, (runtime) => {
      const node = heapShape("node");
      for (let before = 0; before < 40; before++) {
        const heap = new RawHeap(runtime, { strategy: "refcount", shapes: ["node", "leaf"].map(heapShape) });
        const scope = heap.openScope();
        const [one, other] = [heap.allocate(node, 0, scope), heap.allocate(node, 0, scope)];
        heap.store(one, other);
        const inner = heap.openScope();
        let head = heap.allocate(node, 0, inner);
        for (let count = 1; count < 3_000; count++) {
          const next = heap.allocate(node, 0, inner);
          heap.store(next, head);
          heap.store(next + 4, head); // each loses two references when the one before it ends
          head = next;
        }
        const kept = heap.keep(head);
        heap.exports.endScope(inner);
        heap.collect();
        expect(heap.objects).toBe(3_002);
        heap.store(one, 0); // so that it is looked at: it has a handle still
        heap.finish(1);
        heap.beginCycle();
        for (let step = 0; step < before; step++) heap.step(1);
        heap.release(kept);
        heap.finish(1_000);
        heap.validate();
        expect(heap.objects).toBe(2);
        heap.collect();
        heap.validate();
        expect([heap.objects, heap.word("HEAP_CANDIDATES")]).toEqual([2, 0]);
        heap.destroy();
      }
    }));

  test("finds in one run what dropped cycles of several types hold, however deep, in steps of any size", () =>
    withRuntime({}, (runtime) => {
      const depth = 20;
      const types: StructType<{ ring: RefType<Fields>; below: RefType<Fields> }>[] = [];
      for (let level = 0; level < depth; level++) {
        const below = ref(() => types[Math.min(level + 1, depth - 1)]!);
        types.push(struct(`Level${level}`, { ring: ref(() => types[level]!), below }) as never);
      }
      for (const stepUnits of [1, 7, 1_000_000]) {
        using heap = runtime.heap("refcount", { types, stepUnits });
        const [collector] = runtime.$memory.collectors;
        using scope = runtime.scope();
        for (let count = 0; count < 20; count++) {
          let below: unknown = null;
          for (const type of [...types].reverse()) {
            const one = heap.new(type, scope);
            const other = heap.new(type, scope);
            Object.assign(one, { ring: other, below });
            Object.assign(other, { ring: one });
            below = one;
          }
        }
        scope.end();
        while (heap.step() >= stepUnits); // drained
        expect(heap.stats()).toMatchObject({ objects: 40 * depth, cycles: 0, pendingDecrements: 0 });
        while (collector!.$idle());
        expect(heap.stats()).toMatchObject({ objects: 0, cycles: 1, candidates: 0 });
      }
    }));

  test("collects a dropped cycle, however much it reaches, in steps that are no longer than they may be", () =>
    withRuntime({ maximumBytes: 1 << 30 }, (runtime) => {
      using heap = runtime.heap("refcount", { types: [Pair], stepUnits: 100 });
      using scope = runtime.scope();
      const live = heap.new(Pair, scope);
      const last = heap.cursor(Pair);
      last.moveTo(live);
      {
        using making = runtime.scope();
        const next = heap.cursor(Pair);
        for (let count = 1; count < 50_000; count++) {
          heap.new(Pair, making, next);
          last.next = next;
          last.moveTo(next);
        }
        const ring = heap.new(Pair, making);
        ring.other = ring;
        ring.next = live;
      }
      let longest = 0;
      for (let step = 0; step < 100_000 && heap.stats().objects > 50_000; step++) {
        for (const collector of runtime.$memory.collectors) collector.$idle();
        longest = Math.max(longest, heap.stats().lastStepUnits);
      }
      expect(heap.stats().objects).toBe(50_000);
      expect(longest).toBeLessThanOrEqual(102);
    }));

  test("has no gap between events pay for what was allocated before a collection by hand", () =>
    withRuntime({ maximumBytes: 1 << 30 }, (runtime) => {
      using heap = runtime.heap("refcount", { types: [Pair], stepUnits: 100 });
      const making = runtime.scope();
      const first = making.keep(heap.new(Pair, making));
      const next = heap.cursor(Pair);
      for (let count = 0; count < 50_000; count++) {
        heap.new(Pair, making, next);
        next.next = first.next;
        first.next = next;
      }
      making.end();
      heap.collect();
      first.next = null; // one decrement, and behind it a list
      for (const collector of runtime.$memory.collectors) collector.$settle();
      expect(heap.stats().lastStepUnits).toBeGreaterThanOrEqual(100);
      expect(heap.stats().lastStepUnits).toBeLessThanOrEqual(102);
    }));

  test("makes steps that are asked for pay what is due, and counts none of them as an overrun", () =>
    withRuntime({}, (runtime) => {
      for (const strategy of ["refcount", "mark-sweep"] as const) {
        using heap = runtime.heap(strategy, { types: [Pair], stepUnits: 1, minimumBytes: 1 });
        for (let round = 0; round < 2_000; round++) {
          using scope = runtime.scope();
          const one = heap.new(Pair, scope);
          one.other = one;
          heap.step(1_000);
        }
        expect(heap.stats().overruns).toBe(0);
        expect(heap.stats().objects).toBeLessThan(20);
      }
    }));

  test("does not mistake an object for the dead one that had its place, and had a handle in its own hook", async () => {
    const runtime = await createRuntime();
    let hooks = 0;
    const Leaf = struct(
      "Leaf",
      { id: u32, more: u32 },
      {
        destroy(leaf) {
          hooks++;
          leaf.ref();
        },
      },
    );
    const heap = runtime.heap("refcount", { types: [Leaf] });
    const dropping = runtime.scope();
    const lasting = runtime.scope();
    for (let index = 0; index < 3_000; index++) heap.new(Leaf, dropping).id = 1;
    dropping.end();
    const made: CursorOf<typeof Leaf.fields>[] = [];
    for (let step = 0; step < 20_000; step++) {
      heap.step(1); // a hook, and its handle waits
      if (step % 2 === 0) made.push(heap.new(Leaf, lasting));
      made.at(-1)!.id = 2;
    }
    expect(hooks).toBeGreaterThan(2_000);
    for (const leaf of made) expect(leaf.id).toBe(2);
    heap.validate();
    while (heap.step(1_000) > 0);
    expect(heap.stats().objects).toBe(made.length);
    heap.destroy();
    runtime.dispose();
  });
});
