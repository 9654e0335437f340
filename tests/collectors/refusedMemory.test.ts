import {
  array,
  createLoop,
  type Heap,
  type MallocFunctions,
  OutOfMemoryError,
  type Runtime,
  ref,
  type Scope,
  struct,
  u8,
  u32,
  weak,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { heapKinds, withCollectorRuntime } from "../support/rawHeap.js";
import { PAGE } from "../support/runtimes.js";

/** A call of a C module's, which TypeScript does not see. */
const asGuest = (call: (functions: MallocFunctions) => number) => (runtime: Runtime) => {
  using heap = runtime.byteHeap();
  if (call(heap.asMalloc()) === 0) throw new OutOfMemoryError("memory is out");
};

describe.each(heapKinds)(
  "a $strategy heap for which memory ends before a cycle would begin ($module module)",
  ({ strategy, debug }) => {
    const Pair = struct("Pair", { other: ref("Pair") });
    const Wide = struct("Wide", { bytes: array(u8, 1024) });
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
      withCollectorRuntime({ debug, maximumBytes: 40 * PAGE }, async (runtime) => {
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
      withCollectorRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
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
      withCollectorRuntime({ debug, maximumBytes: 40 * PAGE }, async (runtime) => {
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
      ["a pool", (runtime) => runtime.pool(Wide, { capacity: 28 * 60 })],
      [
        "a sorted map",
        (runtime) => {
          using map = runtime.sortedMap(u32, Wide);
          for (let key = 0; key < 28 * 64; key++) map.set(key, {});
        },
      ],
      ["reserved pages", (runtime) => runtime.reserve(14 * PAGE)],
      ["malloc of a C module", asGuest(({ malloc }) => malloc(14 * PAGE))],
      ["calloc of a C module", asGuest(({ calloc }) => calloc(14, PAGE))],
      ["realloc of a C module", asGuest(({ malloc, realloc }) => realloc(malloc(8), 14 * PAGE))],
      ["aligned_alloc of a C module", asGuest(({ aligned_alloc }) => aligned_alloc(64, 14 * PAGE))],
      ["posix_memalign of a C module", asGuest((c) => Number(c.posix_memalign(c.malloc(4), 64, 14 * PAGE) === 0))],
    ])("makes room for %s that was refused memory", (_name, take) =>
      withCollectorRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
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
      withCollectorRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
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

    describe("beside something else that is refused memory again and again", () => {
      const Holder = struct("Holder", { at: ref("Holder"), all: array(ref("Holder"), 3), seen: weak("Holder") });

      /** The heap, one object of it that is kept, the refusal, and what comes between two events. */
      function besides(runtime: Runtime) {
        const heap = runtime.heap(strategy, { types: [Holder], minimumBytes: 1 << 30 });
        const [collector] = runtime.$memory.collectors;
        using gap = runtime.arena();
        gap.bytes(15 * PAGE); // so that there is enough, but nowhere in one piece
        const theirs = runtime.arena();
        theirs.bytes(PAGE);
        using scope = runtime.scope();
        return {
          heap,
          root: scope.keep(heap.new(Holder, scope)),
          refuse: () => expect(() => theirs.bytes(25 * PAGE)).toThrow(OutOfMemoryError),
          settle: () => {
            collector!.$settle();
            while (collector!.$idle());
          },
        };
      }

      /** A ring of one, in `scope`. */
      function makeRing(heap: Heap, scope: Scope) {
        const ring = heap.new(Holder, scope);
        ring.at = ring;
        return ring;
      }

      test("begins no cycle where nothing has been dropped since the last one began", () =>
        withCollectorRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
          const { heap, root, refuse, settle } = besides(runtime);
          using scope = runtime.scope();
          refuse();
          settle();
          const { cycles } = heap.stats();
          for (let count = 0; count < 3; count++) {
            root.all.set(count, makeRing(heap, scope));
            runtime.scope().end();
            refuse();
            settle();
            refuse();
            settle();
          }
          expect(heap.stats()).toMatchObject({ cycles, objects: 4 });
        }));

      /** Each makes a ring that something else than `scope` leads to, perhaps `held`, and returns what drops that. */
      test.each<[string, (beside: ReturnType<typeof besides>, scope: Scope, held: Scope) => () => void]>([
        [
          "a field",
          ({ heap, root }, scope) => {
            root.at = makeRing(heap, scope);
            return () => {
              root.at = null;
            };
          },
        ],
        [
          "an element",
          ({ heap, root }, scope) => {
            root.all.set(1, makeRing(heap, scope));
            return () => root.all.set(1, null);
          },
        ],
        [
          "all of an object",
          ({ heap, root }, scope) => {
            root.at = makeRing(heap, scope);
            return () => root.assign({ at: null });
          },
        ],
        [
          "a scope that ends",
          ({ heap }, _scope, held) => {
            makeRing(heap, held);
            return () => held.end();
          },
        ],
        [
          "a handle in a scope that moves on",
          ({ heap, root }, _scope, held) => {
            const ring = makeRing(heap, held);
            return () => ring.moveTo(root);
          },
        ],
        [
          "a kept handle that moves on",
          ({ heap, root }, scope) => {
            const ring = scope.keep(makeRing(heap, scope));
            return () => ring.moveTo(root);
          },
        ],
        [
          "a kept handle that is released",
          ({ heap }, scope) => {
            const ring = scope.keep(makeRing(heap, scope));
            return () => heap.release(ring);
          },
        ],
        [
          "a cursor that has read a weak reference",
          ({ heap, root }, scope) => {
            root.seen = makeRing(heap, scope);
            return () => root.seen?.at;
          },
        ],
      ])("finds what only %s has led to, whenever in a cycle that was", (_name, lead) =>
        withCollectorRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
          const beside = besides(runtime);
          const { heap, refuse, settle } = beside;
          let ended = false;
          for (let units = 0; !ended; units += 7) {
            const scope = runtime.scope();
            using held = runtime.scope();
            const drop = lead(beside, scope, held);
            makeRing(heap, scope);
            scope.end();
            refuse(); // a cycle is to begin, for that ring
            ended = units > 0 && heap.step(units) < units;
            drop();
            refuse();
            settle();
            refuse();
            settle();
            expect([units, heap.stats().objects]).toEqual([units, 1]);
          }
          heap.validate();
        }),
      );
    });

    test("does not collect for what no garbage could make room for", () =>
      withCollectorRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
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
      withCollectorRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
        const heap = runtime.heap(strategy, options);
        using scope = runtime.scope();
        heap.bytes(8, scope);
        runtime.memory.grow(40 - runtime.memory.buffer.byteLength / PAGE);
        expect(() => heap.bytes(1 << 21, scope)).toThrow(OutOfMemoryError);
      }));
  },
);
