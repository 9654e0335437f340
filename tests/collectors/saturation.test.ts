import { expect, test } from "vitest";
import { heapShape } from "../support/collectorShapes.js";
import { ARRAY_HEADER, RawHeap, withCollectorRuntime } from "../support/rawHeap.js";
import { MEBIBYTE } from "../support/runtimes.js";

/** A count goes up to this, and stays there. */
const LIMIT = 2 ** 23 - 1;

/** Makes an array of `count` references to one object, drops both, and tells how many objects are left. */
async function leftOf(count: number): Promise<number> {
  let left = 0;
  await withCollectorRuntime({ maximumBytes: 256 * MEBIBYTE }, (runtime) => {
    const shapes = ["node", "nodes"].map(heapShape);
    const heap = new RawHeap(runtime, { strategy: "refcount", shapes });
    const scope = heap.openScope();
    const array = heap.allocate(heapShape("nodes"), count, scope);
    const node = heap.allocate(heapShape("node"), 0, scope);
    for (let index = 0; index < count; index++) heap.store(array + ARRAY_HEADER + 4 * index, node);
    heap.exports.endScope(scope);
    heap.collect({ units: 100_000_000 });
    heap.validate();
    left = heap.objects;
    heap.destroy();
    runtime.validate();
  });
  return left;
}

test("a counted object that has had fewer references than a count can tell ends with the last of them", async () => {
  expect(await leftOf(LIMIT - 2)).toBe(0); // and one more for its handle
});

test("one that has had more lives as long as the heap, rather than end while some of them are left", async () => {
  expect(await leftOf(LIMIT + 10)).toBe(1);
});
