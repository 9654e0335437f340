import fc from "fast-check";
import {
  type Arena,
  f64,
  type Heap,
  OutOfMemoryError,
  type Runtime,
  ref,
  type Scope,
  StaleReferenceError,
  struct,
  u32,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { heapShape } from "../support/collectorShapes.js";
import { Graph, scenarios } from "../support/cycleScenarios.js";
import { collectedRuns } from "../support/heaps.js";
import { RandomNumbers } from "../support/randomNumbers.js";
import { heapKinds, RawHeap, strategies, withCollectorRuntime } from "../support/rawHeap.js";
import { MEBIBYTE, modules, PAGE, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";
import { ShadowHeap, tryShadowHeap } from "../support/shadowHeap.js";
import type { ShadowObject } from "../support/shadowObject.js";
import { applyOperation, randomHook, shadowOperation } from "../support/shadowOperations.js";

/** A heap, and the memory beside it. */
interface World {
  readonly heap: Heap;
  /** Makes so many rings of two, held by the scope. */
  makeRings(count: number): Scope;
  /** Takes all memory that there is. */
  fill(): void;
  /** Gives it back. */
  makeRoom(): void;
}

const refuse = (runtime: Runtime, after: number) => runtime.$memory.setRootWord("ROOT_REFUSE_AFTER", after);

describe.each(heapKinds)("a $strategy heap of the $module module in a memory too small", ({ strategy, debug }) => {
  test("loses nothing, refuses what asked for the memory, and collects everything later", async () => {
    let refusals = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(shadowOperation, { minLength: 60, maxLength: 250, size: "max" }),
        fc.integer({ min: 3, max: 40 }),
        fc.nat(1000),
        (list, pages, seed) =>
          withCollectorRuntime({ debug, initialBytes: 3 * PAGE, maximumBytes: (pages + 40) * PAGE }, (runtime) => {
            runtime.$memory.setRootWord("ROOT_MAXIMUM_PAGES", pages);
            const random = new RandomNumbers(seed * 2 + 1);
            const model = tryShadowHeap(runtime, {
              strategy,
              isTight: true,
              stepUnits: 1 + random.below(300),
              ...(seed % 2 === 0 ? {} : { inHook: randomHook(random) }),
            });
            if (model === undefined) return;
            list.forEach((operation, index) => {
              applyOperation(model, operation);
              if (seed % 3 === 0) model.step(1 + random.below(5));
              if (index % 10 === 0) model.check();
            });
            refusals += model.refusals;
            runtime.$memory.setRootWord("ROOT_MAXIMUM_PAGES", pages + 40);
            model.end();
          }),
      ),
      { numRuns: scaled(30), includeErrorInReport: true, endOnFailure: true },
    );
    if (scaled(30) >= 10) expect(refusals).toBeGreaterThan(0);
  });

  test("fills up, collects, and can be filled as far again", async () => {
    await withCollectorRuntime({ debug, maximumBytes: 200 * PAGE }, (runtime) => {
      const model = new ShadowHeap(runtime, { strategy, isTight: true });
      const filled: number[] = [];
      for (let round = 0; round < 4; round++) {
        const graph = new Graph(model);
        let last: ShadowObject | undefined;
        let count = 0;
        for (;;) {
          const made = model.allocate(heapShape("large"), 0, graph.roots)?.target;
          if (made === undefined) break;
          count++;
          // In rings of three, so that reference counting has to look for them.
          if (last !== undefined && count % 3 !== 1) model.store(last, 0, made);
          if (count % 3 === 0) model.store(made, 0, made);
          last = made;
        }
        filled.push(count);
        model.check();
        model.endScope(graph.roots);
        for (let round = 0; round < 4; round++) model.collect(50);
        expect(model.heap.objects).toBe(0);
      }
      expect(filled[0]).toBeGreaterThan(100);
      for (const count of filled) expect(count).toBeGreaterThanOrEqual(filled[0]! - 14);
      model.end();
    });
  });
});

describe.each(strategies)(
  "a $strategy heap of the debug module, whose requests for pages are refused one by one,",
  ({ strategy, number }) => {
    test("is made with its types, or nothing has changed", () =>
      withCollectorRuntime({ debug: true }, (runtime) => {
        runtime.reserve(100 * PAGE);
        let refusals = 0;
        for (let after = 1; ; after++) {
          const before = runtime.stats().usedBytes - runtime.stats().bytesByOwner.guards;
          const { exports } = runtime.$memory;
          refuse(runtime, after);
          const heap = (exports as unknown as { createHeap(...numbers: number[]): number }).createHeap(
            number,
            1000,
            1000,
          );
          const isUsedUp = runtime.$memory.rootWord("ROOT_REFUSE_AFTER") === 0;
          refuse(runtime, 0);
          runtime.validate();
          if (heap !== 0) {
            (exports as unknown as { destroyHeap(heap: number): void }).destroyHeap(heap);
            if (!isUsedUp) break;
            continue;
          }
          refusals++;
          expect(runtime.stats().usedBytes - runtime.stats().bytesByOwner.guards).toBe(before);
        }
        expect(refusals).toBeGreaterThan(0);
      }));

    test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))(
      "%s, or is refused",
      async (_, scenario) => {
        await withCollectorRuntime({ debug: true, maximumBytes: 512 * MEBIBYTE }, (runtime) => {
          for (let after = 1, wasAsked = true; wasAsked; after++) {
            wasAsked = false;
            for (const wait of [0, 5, 14]) {
              const model = new ShadowHeap(runtime, { strategy, shapes: scenario.shapes.map(heapShape) });
              const parts = scenario.build(model);
              model.allowRefusals();
              refuse(runtime, after);
              model.beginCycle();
              for (let unit = 0; unit < wait; unit++) model.step(1);
              for (const part of parts) {
                try {
                  part();
                } catch (error) {
                  // What the scenario does with what it was refused does not matter.
                  if (!(error instanceof TypeError)) throw error;
                }
                model.check();
              }
              for (let unit = 0; unit < 30; unit++) model.step(1);
              model.check();
              if (runtime.$memory.rootWord("ROOT_REFUSE_AFTER") === 0) wasAsked = true;
              refuse(runtime, 0);
              model.collect();
              model.end();
            }
            if (after > 200) expect.fail("it asks for pages without end");
          }
        });
      },
    );

    test("makes nothing without room for its handle, and lets go of what there is no room to note down", async () => {
      await withCollectorRuntime({ debug: true, maximumBytes: 512 * MEBIBYTE }, (runtime) => {
        const model = new ShadowHeap(runtime, { strategy, shapes: ["leaf", "node"].map(heapShape) });
        const { heap } = model;
        const taken: number[] = [];
        /** Takes all the room that lists could have without asking for a page. */
        const exhaust = () => {
          for (;;) {
            refuse(runtime, 1);
            const block = heap.exports.allocateFindings() >>> 0;
            refuse(runtime, 0);
            if (block === 0) return;
            taken.push(block);
          }
        };
        const scope = heap.openScope();
        const slots: number[] = [];
        let refusals = 0;
        for (let count = 0; count < 6000; count++) {
          const objects = heap.objects;
          exhaust();
          refuse(runtime, 1);
          let leaf = heap.allocate(heapShape("leaf"), 0, scope);
          refuse(runtime, 0);
          if (leaf === 0) {
            refusals++;
            expect(heap.objects).toBe(objects);
            leaf = heap.allocate(heapShape("leaf"), 0, scope);
          }
          expect(heap.at(heap.newSlot)).toBe(leaf);
          const slot = heap.keep(leaf);
          expect(slot).not.toBe(0);
          slots.push(slot);
        }
        expect(refusals).toBeGreaterThan(5); // a page of objects now and then, and one for each thousand handles
        heap.exports.endScope(scope);
        heap.finish(1000);
        expect(heap.objects).toBe(6000);
        exhaust();
        for (const slot of slots) {
          refuse(runtime, 1);
          heap.release(slot);
        }
        heap.validate();
        for (const block of taken) heap.exports.freeFindings(block);
        refuse(runtime, 0);
        heap.collect();
        expect(heap.objects).toBe(0);
        model.destroy();
      });
    });

    test("looks later at dropped rings that there was no memory to look at", async () => {
      await withCollectorRuntime({ debug: true, maximumBytes: 512 * MEBIBYTE }, (runtime) => {
        const heap = new RawHeap(runtime, { strategy, shapes: ["node", "leaf"].map(heapShape) });
        const node = heapShape("node");
        for (const isOne of [true, false]) {
          const scope = heap.openScope();
          const first = heap.allocate(node, 0, scope);
          let last = first;
          for (let count = 1; count < 3_000; count++) {
            const next = heap.allocate(node, 0, scope);
            heap.store(last, isOne ? next : last);
            last = next;
          }
          heap.store(last, isOne ? first : last);
          heap.exports.endScope(scope);
          heap.finish(1000);
          // All the room that lists could have without asking for a page.
          const taken = takeSmallBlocks(runtime, heap);
          collectWithoutPages(runtime, heap);
          heap.validate();
          refuse(runtime, 0);
          for (const block of taken) heap.exports.freeFindings(block);
          heap.collect();
          expect(heap.objects).toBe(0);
        }
        heap.destroy();
      });
    });

    test("looks again at a dropped ring of which there was memory to look at a part only", async () => {
      await withCollectorRuntime({ debug: true, maximumBytes: 512 * MEBIBYTE }, (runtime) => {
        const heap = new RawHeap(runtime, { strategy, shapes: ["node", "leaf"].map(heapShape) });
        const node = heapShape("node");
        const scope = heap.openScope();
        const inner = heap.openScope();
        const first = heap.allocate(node, 0, scope);
        let last = first;
        for (let count = 1; count < 3_000; count++) {
          const next = heap.allocate(node, 0, inner);
          heap.store(last, next);
          last = next;
        }
        heap.store(last, first);
        heap.exports.endScope(inner);
        heap.collect(); // none of them is a candidate any more
        heap.exports.endScope(scope); // and now the first
        heap.finish(1000);
        const taken = takeSmallBlocks(runtime, heap);
        for (const block of taken.splice(0, 2)) heap.exports.freeFindings(block); // room for some hundred of them
        collectWithoutPages(runtime, heap);
        if (strategy === "refcount") expect(heap.objects).toBe(3_000);
        refuse(runtime, 0);
        for (const block of taken) heap.exports.freeFindings(block);
        heap.validate();
        heap.collect();
        expect(heap.objects).toBe(0);
        heap.destroy();
      });
    });

    test("marks, sweeps and drains graphs whose work lists need pages", async () => {
      await withCollectorRuntime({ debug: true, maximumBytes: 512 * MEBIBYTE }, (runtime) => {
        let isAsked = true;
        let after = 1;
        for (; isAsked; after++) {
          const model = new ShadowHeap(runtime, {
            strategy,
            shapes: ["nodes", "node", "leaf", "hooked"].map(heapShape),
            stepUnits: 100_000,
          });
          model.allowRefusals();
          const graph = new Graph(model);
          const wide = graph.rooted("nodes", 20_000);
          const temporary = model.openScope()!;
          // Bare calls: the shadows of so many would take their time.
          const { heap } = model;
          const node = heapShape("node");
          let last = 0;
          for (let index = 0; index < 20_000; index++) {
            const object = heap.allocate(node, 0, temporary.address);
            heap.store(wide.address + 8 + 4 * (19_999 - index), object);
            // A chain by the first slot, so that a marker has to come back for the second, which alone leads to another.
            heap.store(object, last);
            const other = heap.allocate(node, 0, temporary.address);
            heap.store(object + 4, other);
            heap.store(other, object);
            last = object;
          }
          model.endScope(temporary);
          const objects = heap.objects;
          refuse(runtime, after);
          heap.collect();
          expect(heap.objects).toBe(objects);
          heap.validate();
          if (after % 2 === 0) {
            for (let element = 0; element < 20_000; element++) heap.store(wide.address + 8 + 4 * element, 0);
          } else model.endScope(graph.roots);
          heap.step(100);
          heap.validate();
          heap.collect();
          isAsked = runtime.$memory.rootWord("ROOT_REFUSE_AFTER") === 0;
          refuse(runtime, 0);
          heap.collect({ cycles: 2 });
          heap.validate();
          expect(heap.objects).toBe(after % 2 === 0 ? 1 : 0);
          model.destroy();
          if (after > 300) expect.fail("it asks for pages without end");
        }
        expect(after).toBeGreaterThan(strategy === "refcount" ? 2 : 1);
      });
    });
  },
);

/** Takes all the room that lists could have without asking for a page. */
function takeSmallBlocks(runtime: Runtime, heap: RawHeap): number[] {
  const taken: number[] = [];
  for (;;) {
    refuse(runtime, 1);
    const block = heap.exports.allocateFindings() >>> 0;
    if (block === 0) return taken;
    taken.push(block);
  }
}

/** Steps through a cycle with each request for a page refused. */
function collectWithoutPages(runtime: Runtime, heap: RawHeap): void {
  heap.beginCycle();
  for (let step = 0; step < 100_000; step++) {
    refuse(runtime, 1);
    if (heap.step(1) === 0) return;
  }
}

test("a manual heap whose requests for pages are refused one by one is made with all its types, or nothing is left of it", () =>
  withRuntime({ debug: true }, (runtime) => {
    runtime.reserve(100 * PAGE);
    const types = Array.from({ length: 8 }, (_, index) => struct(`T${index}`, { value: f64 }));
    const owned = () => ({ ...runtime.stats().bytesByOwner, guards: 0 });
    runtime.heap("manual", { types }).destroy(); // a page of guards and one of small blocks stay
    const empty = owned();
    for (let after = 1, wasAsked = true; wasAsked; after++) {
      refuse(runtime, after);
      let heap: Heap | undefined;
      try {
        heap = runtime.heap("manual", { types });
      } catch (error) {
        expect(error).toBeInstanceOf(OutOfMemoryError);
      }
      wasAsked = runtime.$memory.rootWord("ROOT_REFUSE_AFTER") === 0;
      refuse(runtime, 0);
      heap?.destroy();
      runtime.validate();
      if (wasAsked) expect(heap).toBeUndefined();
      expect(owned()).toEqual(empty);
      if (!wasAsked) expect(after).toBeGreaterThan(types.length);
    }
  }));

describe.each(modules)("a heap of the $name module that counts, with no memory left for its lists", ({ debug }) => {
  const Pair = struct("Pair", { other: ref("Pair") });

  /** A heap of pairs, and how to take all memory from it. */
  async function withFullMemory(body: (world: World) => void): Promise<void> {
    await withRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
      const heap = runtime.heap("refcount", { types: [Pair], minimumBytes: 1 });
      const hogs: Arena[] = [];
      body({
        heap,
        makeRings(count) {
          const scope = runtime.scope();
          for (let index = 0; index < count; index++) {
            const one = heap.new(Pair, scope);
            const other = heap.new(Pair, scope);
            one.other = other;
            other.other = one;
          }
          return scope;
        },
        fill: () => {
          expect(() => {
            for (;;) hogs.push(runtime.arena());
          }).toThrow(OutOfMemoryError);
        },
        makeRoom: () => {
          for (const arena of hogs.splice(0)) arena.destroy();
        },
      });
      heap.destroy();
    });
  }

  test("finds dropped cycles again and again, whatever runs before have done to its lists", () =>
    withFullMemory(({ heap, makeRings, fill, makeRoom }) => {
      makeRings(271).end();
      fill();
      heap.step(5000);
      makeRoom();
      heap.collect();
      for (let count = 1; count <= 50; count++) {
        makeRings(count).end();
        fill();
        heap.collect();
        expect(heap.stats()).toMatchObject({ objects: 0, candidates: 0 });
        makeRoom();
      }
    }));

  test.each([100, 500, 600, 2000, 20_000])("frees %i rings at one request, part by part", (count) =>
    withFullMemory(({ heap, makeRings, fill, makeRoom }) => {
      const scope = makeRings(count);
      fill();
      scope.end();
      heap.collect();
      expect(heap.stats()).toMatchObject({ objects: 0, candidates: 0 });
      makeRoom();
      heap.validate();
    }),
  );

  test.each([1, 2, 100])("comes to the end of its idle time, in steps of %i units", (stepUnits) =>
    withRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
      using heap = runtime.heap("refcount", { types: [Pair], minimumBytes: 1 << 20, stepUnits });
      const scope = runtime.scope();
      const first = heap.new(Pair, scope);
      let last = first;
      for (let count = 1; count < 2000; count++) {
        last.other = heap.new(Pair, scope);
        last = last.other;
      }
      last.other = first;
      const hogs: Arena[] = [];
      expect(() => {
        for (;;) hogs.push(runtime.arena());
      }).toThrow(OutOfMemoryError);
      scope.end();
      const [collector] = runtime.$memory.collectors;
      while (heap.stats().pendingDecrements > 0) collector!.$settle();
      let turns = 0;
      while (collector!.$idle()) if (++turns > 20_000) expect.fail("it does not end");
      expect(heap.stats().cycles).toBeGreaterThan(0);
      for (const arena of hogs) arena.destroy();
      heap.collect();
      expect(heap.stats().objects).toBe(0);
    }),
  );

  test("says so where a cycle is larger than its lists, keeps what lives, and frees it when there is room", () =>
    withFullMemory(({ heap, makeRings, fill, makeRoom }) => {
      const scope = makeRings(0);
      const kept = heap.new(Pair, scope);
      const ring = makeRings(0);
      const first = heap.new(Pair, ring);
      let last = first;
      for (let index = 1; index < 2000; index++) {
        const next = heap.new(Pair, ring);
        last.other = next;
        last = next;
      }
      last.other = first;
      fill();
      ring.end();
      expect(() => heap.collect()).toThrow(OutOfMemoryError);
      expect(() => heap.collect()).toThrow(OutOfMemoryError);
      expect([heap.stats().objects, kept.isLive()]).toEqual([2001, true]);
      makeRoom();
      heap.collect();
      expect(heap.stats()).toMatchObject({ objects: 1, candidates: 0 });
      scope.end();
      heap.collect();
      expect(heap.stats().objects).toBe(0);
    }));
});

test.each(collectedRuns)(
  "what a destroy hook has seen ends with it where there is no memory for its scope ($strategy, $name module)",
  ({ strategy, debug }) =>
    withRuntime({ debug, maximumBytes: 40 * PAGE }, (runtime) => {
      const seen: { isLive(): boolean }[] = [];
      const File = struct(
        "File",
        { id: u32, next: ref("File") },
        {
          destroy(file) {
            if (file.id !== 1) return;
            const walker = heap.cursor(File);
            walker.moveTo(file as never);
            seen.push(file.ref(), walker, file.next as never);
          },
        },
      );
      const Holder = struct("Holder", { file: ref(File) });
      const heap: Heap = runtime.heap(strategy, { types: [File, Holder], minimumBytes: 1 });
      using scope = runtime.scope();
      const holder = scope.keep(heap.new(Holder, scope));
      const making = runtime.scope();
      const file = heap.new(File, making);
      file.id = 1;
      file.next = heap.new(File, making);
      holder.file = file;
      making.end();
      const hogs: Arena[] = [];
      const fill = (take: () => unknown) => {
        expect(() => {
          for (;;) take();
        }).toThrow(OutOfMemoryError);
      };
      fill(() => hogs.push(runtime.arena()));
      const [objects] = runtime.$memory.collectors as unknown as Iterable<{ $openRange(): unknown }>;
      fill(() => objects!.$openRange());
      holder.file = null;
      for (let step = 0; step < 1_000 && seen.length === 0; step++) heap.step(1);
      expect(seen.map((view) => view.isLive())).toEqual([false, false, false]);
      expect(() => {
        holder.file = seen[0] as never;
      }).toThrow(StaleReferenceError);
      for (const arena of hogs) arena.destroy();
      heap.collect();
      expect([holder.file, heap.stats().objects]).toEqual([null, 1]);
      heap.validate();
      heap.release(holder);
    }),
);
