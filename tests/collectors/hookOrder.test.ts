import type { Runtime } from "tidemark";
import { describe, expect, test } from "vitest";
import { heapShape } from "../support/collectorShapes.js";
import { Graph } from "../support/cycleScenarios.js";
import { heapKinds, RawHeap, type Strategy, withCollectorRuntime } from "../support/rawHeap.js";
import { MEBIBYTE } from "../support/runtimes.js";
import { RESURRECTION, ShadowHeap, type ShadowOptions } from "../support/shadowHeap.js";
import type { ShadowObject } from "../support/shadowObject.js";

const shapes = ["hooked", "hookedLeaf", "largeHooked", "watcher", "node", "leaf", "nodes"].map(heapShape);

describe.each(heapKinds)("under $strategy, in the $module module,", ({ strategy, debug }) => {
  const isRefcount = (strategy as Strategy) === "refcount";
  const withHeap = (
    options: Partial<ShadowOptions>,
    body: (model: ShadowHeap, graph: Graph, runtime: Runtime) => unknown,
  ) =>
    withCollectorRuntime({ debug, maximumBytes: 256 * MEBIBYTE }, (runtime) => {
      const model = new ShadowHeap(runtime, { strategy, shapes, ...options });
      return body(model, new Graph(model), runtime);
    });

  /** A holder, below it a chain of three hooked objects with a node each, and a watcher with a weak slot to each of them. */
  const chained = (graph: Graph, model: ShadowHeap) => {
    const holder = graph.rooted("hooked");
    const first = graph.below(holder, 0, "hooked");
    const second = graph.below(first, 0, "hooked");
    const third = graph.below(second, 0, "hooked");
    const chain = [first, second, third];
    const nodes = chain.map((object) => graph.below(object, 1));
    const watchers = chain.map((object) => {
      const watcher = graph.rooted("watcher");
      model.storeWeak(watcher, 2, object);
      return watcher;
    });
    const nodeWatchers = nodes.map((node) => {
      const watcher = graph.rooted("watcher");
      model.storeWeak(watcher, 0, node);
      return watcher;
    });
    return { holder, chain, nodes, watchers, nodeWatchers };
  };

  test("weak slots are empty before a hook runs, and the memory is there until it has run", async () => {
    const order: ShadowObject[] = [];
    let checked = 0;
    const inHook = (model: ShadowHeap, dying: ShadowObject) => {
      const { chain, watchers, nodes, nodeWatchers } = made;
      const place = chain.indexOf(dying);
      if (place < 0) return; // the end of the test
      order.push(dying);
      expect(model.loadWeak(watchers[place]!, 2)).toBeUndefined();
      if (!isRefcount) {
        // All that dies with it is known, hooked or not.
        for (const watcher of watchers) expect(model.loadWeak(watcher, 2)).toBeUndefined();
        for (const watcher of nodeWatchers) expect(model.loadWeak(watcher, 0)).toBeUndefined();
      }
      // What it refers to is still what it was: the model compares their payload.
      expect(model.load(dying, 1)).toBe(nodes[place]);
      if (place < 2) expect(model.load(dying, 0)).toBe(chain[place + 1]);
      expect(model.heap.objects).toBeGreaterThanOrEqual(model.reachable().size + 2);
      checked++;
    };
    let made!: ReturnType<typeof chained>;
    await withHeap({ inHook }, (model, graph) => {
      made = chained(graph, model);
      const before = model.heap.objects;
      model.store(made.holder, 0, undefined);
      expect(model.heap.objects).toBe(before);
      model.collect();
      expect(checked).toBe(3);
      expect(new Set(order).size).toBe(3);
      // A count reaches zero from the head on.
      if (isRefcount) expect(order).toEqual(made.chain);
      model.end();
    });
  });

  test("the hooks of a ring run before any of it is freed", async () => {
    let ring: ShadowObject[] = [];
    const inHook = (model: ShadowHeap, dying: ShadowObject) => {
      if (!ring.includes(dying)) return; // the end of the test
      // A walk around the ring, from anywhere: the model compares the payload at each load.
      let object = dying;
      for (let count = 0; count < ring.length; count++) object = model.load(object, 0)!;
      expect(object).toBe(dying);
      for (const each of ring) {
        for (let offset = 16; offset < 24; offset++) {
          expect(model.runtime.$memory.u8[each.address + offset]).toBe(contents.get(each)![offset - 16]);
        }
      }
    };
    const contents = new Map<ShadowObject, number[]>();
    await withHeap({ inHook }, (model, graph) => {
      const holder = graph.rooted("hooked");
      ring = [graph.below(holder, 0, "hooked")];
      for (let count = 1; count < 5; count++) ring.push(graph.below(ring.at(-1)!, 0, "hooked"));
      model.store(ring.at(-1)!, 0, ring[0]!);
      for (const object of ring) {
        contents.set(object, [...model.runtime.$memory.u8.subarray(object.address + 16, object.address + 24)]);
      }
      model.store(holder, 0, undefined);
      model.collect(1);
      expect(model.hooksRun).toBe(5);
      model.end();
      expect(model.hooksRun).toBe(6);
    });
  });

  test("what dies cannot be stored in what lives, but in what dies with it", async () => {
    let refused = 0;
    let live!: ShadowObject;
    let ring!: ShadowObject;
    const inHook = (model: ShadowHeap, dying: ShadowObject) => {
      if (model.scopes.length === 0) return; // the end of the test
      const { address } = dying;
      for (const [holder, index] of [
        [live, 0],
        [live.strong.get(0)!, 0],
      ] as const) {
        const slot = model.slotAt(holder, index);
        const before = model.heap.at(slot);
        // A store has to ask: nothing may be stored plainly while a hook runs.
        expect(model.heap.word("HEAP_BARRIER")).toBe(0);
        model.runtime.$memory.setRootWord("ROOT_STATUS", 0);
        expect(model.heap.store(slot, address)).toBe(false);
        expect(model.runtime.$memory.rootWord("ROOT_STATUS")).toBe(RESURRECTION);
        expect(model.heap.at(slot)).toBe(before);
        refused++;
      }
      const isStored = model.store(dying, 0, dying);
      // Under reference counting what dies by its count, by itself, cannot be counted again.
      if (!isRefcount || dying === ring) expect(isStored).toBe(true);
      // And what lives in what dies, which is of no consequence.
      expect(model.store(dying, 0, live)).toBe(true);
    };
    await withHeap({ inHook }, (model, graph) => {
      live = graph.rooted("hooked");
      graph.below(live, 0, "hooked");
      for (let count = 0; count < 4; count++) graph.garbage("hooked");
      ring = graph.garbage("hooked", (object) => model.store(object, 0, object));
      model.collect();
      expect([refused, ring.hooksRun]).toEqual([10, 1]);
      model.end();
    });
  });

  test("each hook runs exactly once, whatever it does, at each budget", async () => {
    const inHook = (model: ShadowHeap, dying: ShadowObject) => {
      if (model.hooksRun > 200) return;
      const scope = model.openScope()!;
      const made = model.allocate(heapShape("hooked"), 0, scope)!.target;
      // Each third is kept by the one that dies, which keeps nothing.
      if (model.hooksRun % 3 === 0 && dying.shape === made.shape) model.store(dying, 0, made);
      model.endScope(scope);
    };
    for (const units of [1, 2, 7, 1000]) {
      await withHeap({ inHook }, (model, graph) => {
        const all: ShadowObject[] = [];
        for (const name of ["hooked", "hookedLeaf", "largeHooked"]) {
          for (let count = 0; count < 20; count++) {
            all.push(count % 2 === 0 ? graph.rooted(name, 0, graph.roots) : graph.garbage(name));
          }
        }
        model.collect(units);
        expect(all.map((object) => object.hooksRun)).toEqual(all.map((_, index) => index % 2));
        model.endScope(graph.roots);
        model.collect(units);
        expect(all.every((object) => object.hooksRun === 1)).toBe(true);
        model.end();
      });
    }
  });

  test("a weak slot stays empty when the memory of what it referred to is used again", async () => {
    await withHeap({}, (model, graph) => {
      const watchers = Array.from({ length: 60 }, () => graph.rooted("watcher"));
      const dropped = new Set(
        watchers.map((watcher) => graph.garbage("node", (node) => model.storeWeak(watcher, 0, node)).address),
      );
      model.collect();
      let used = 0;
      for (let count = 0; count < 4000; count++) if (dropped.has(graph.rooted().address)) used++;
      expect(used).toBe(60);
      for (const watcher of watchers) expect(model.loadWeak(watcher, 0)).toBeUndefined();
      model.end();
    });
  });

  test("what a hook has had a handle of is not freed before that handle: what has its place next is not mistaken for it", () =>
    withCollectorRuntime({ debug, maximumBytes: 256 * MEBIBYTE }, (runtime) => {
      const heap = new RawHeap(runtime, { strategy, shapes, minimumBytes: 2 ** 31 });
      const leaf = heapShape("hookedLeaf");
      const dropping = heap.openScope();
      const dropped = heap.allocate(leaf, 0, dropping);
      const lasting = heap.openScope();
      let made = 0;
      /** Makes objects until there is no room for more in the pages that there are, or one lies at `address`. */
      const fill = (address: number) => {
        const pages = heap.word("HEAP_BLOCK_PAGES");
        let object = 0;
        for (; object !== address && heap.word("HEAP_BLOCK_PAGES") === pages; made++) {
          object = heap.allocate(leaf, 0, lasting);
        }
        return object;
      };
      fill(0);
      heap.exports.endScope(dropping);
      heap.beginCycle();
      while (heap.dying === 0) heap.step(1);
      const inHook = heap.openScope();
      heap.push(inHook, dropped);
      heap.exports.endScope(inHook);
      heap.exports.heapHooked(heap.address);
      fill(dropped);
      heap.finish(1000);
      heap.collect();
      expect(heap.objects).toBe(made);
      heap.validate();
      heap.destroy();
    }));

  test("what a hook has been shown without a handle ends when it returns", () =>
    withCollectorRuntime({ debug }, (runtime) => {
      const heap = new RawHeap(runtime, { strategy, shapes });
      const scope = heap.openScope();
      for (let count = 0; count < 3; count++) heap.allocate(heapShape("hooked"), 0, scope);
      heap.exports.endScope(scope);
      heap.beginCycle();
      const epoch = () => heap.at(heap.word("HEAP_EPOCH_GUARD"));
      for (let hooks = 0; hooks < 3; hooks++) {
        while (heap.dying === 0) heap.step(1);
        const shown = epoch();
        heap.exports.heapHooked(heap.address);
        expect(epoch()).not.toBe(shown);
      }
      heap.finish(1000);
      heap.destroy();
    }));

  test("the live objects of a type are listed once each, for a dispose with hooks", async () => {
    await withHeap({}, (model, graph) => {
      const expected: number[] = [];
      for (let count = 0; count < 3000; count++) expected.push(graph.rooted("hookedLeaf").address);
      const large = [graph.rooted("largeHooked").address, graph.rooted("largeHooked").address];
      const sorted = (list: number[]) => list.sort((one, other) => one - other);
      expect(sorted(model.heap.list(heapShape("hookedLeaf")))).toEqual(sorted(expected));
      expect(sorted(model.heap.list(heapShape("largeHooked")))).toEqual(sorted(large));
      expect(model.heap.list(heapShape("hooked"))).toEqual([]);
      model.destroy();
    });
  });
});
