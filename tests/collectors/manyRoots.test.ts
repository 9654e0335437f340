import { createRuntime, ref, struct, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { heapShape } from "../support/collectorShapes.js";
import { Graph } from "../support/cycleScenarios.js";
import { heapKinds, withCollectorRuntime } from "../support/rawHeap.js";
import { ShadowHeap } from "../support/shadowHeap.js";

describe.each(heapKinds)("a $strategy heap of the $module module", ({ strategy, debug }) => {
  test("finds what each of thousands of handles holds, of a scope and kept, also while they are scanned in slices", async () => {
    await withCollectorRuntime({ debug }, (runtime) => {
      const model = new ShadowHeap(runtime, { strategy, shapes: ["node", "leaf"].map(heapShape) });
      const graph = new Graph(model);
      const temporary = model.openScope()!;
      for (let count = 0; count < 2500; count++) {
        graph.rooted("leaf");
        if (count % 2 === 0) model.keep(graph.rooted("node", 0, temporary));
      }
      model.endScope(temporary);
      model.collect(50);
      // In the midst of a scan the scope ends, and some entries are taken anew.
      model.beginCycle();
      for (let steps = 0; steps < 40; steps++) model.step(30);
      const other = model.openScope()!;
      for (const index of [1, 500, 1200, 2400]) model.push(graph.roots.handles[index]!.target, other);
      model.endScope(graph.roots);
      for (const index of [3, 700, 1100]) {
        const { target } = model.kept[index]!;
        model.release(model.kept[index]!);
        if (index === 700) model.push(target, other);
      }
      model.check();
      model.collect(50);
      expect(model.heap.objects).toBe(5 + 1250 - 3);
      model.end();
    });
  });
});

const Node = struct("Node", { next: ref("Node"), value: u32 });

test.each([1, 1000])(
  "a kept handle that moves when a cycle has taken %i steps takes nothing from others",
  async (steps) => {
    using runtime = await createRuntime();
    const heap = runtime.heap("mark-sweep", { types: [Node], minimumBytes: 1 });
    const scope = runtime.scope();
    const kept = Array.from({ length: 2000 }, (_, value) => {
      const node = heap.new(Node, scope);
      node.value = value;
      return scope.keep(node);
    });
    scope.end();
    for (let step = 0; step < steps; step++) heap.step(1);
    // What is made in the midst of a cycle is not looked at, and so does not show what it refers to.
    const other = runtime.scope();
    const holders = kept.map((handle) => {
      const holder = heap.new(Node, other);
      holder.next = handle;
      return holder;
    });
    const target = heap.new(Node, other);
    for (const handle of kept) handle.moveTo(target);
    heap.collect();
    heap.validate();
    expect(holders.every((holder, value) => holder.next?.value === value)).toBe(true);
  },
);
