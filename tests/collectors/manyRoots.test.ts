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
