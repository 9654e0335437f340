import type { Heap, HeapOptions, Runtime, Strategy } from "tidemark";
import { modules, withRuntime } from "./runtimes.js";

export const strategies: readonly Strategy[] = ["manual", "refcount", "mark-sweep", "mark-sweep-stop"];

/** One strategy on one module. */
export interface HeapRun {
  readonly name: string;
  readonly debug: boolean;
  readonly strategy: Strategy;
}

/** All strategies on both modules, for `describe.each`; and those of them that collect. */
export const heapRuns: readonly HeapRun[] = modules.flatMap(({ name, debug }) =>
  strategies.map((strategy) => ({ name, debug, strategy })),
);
export const collectedRuns = heapRuns.filter(({ strategy }) => strategy !== "manual");

/** Runs `body` with a heap in a runtime of its own, and checks every invariant behind it. */
export function withHeap(
  { debug, strategy }: HeapRun,
  options: HeapOptions,
  body: (heap: Heap, runtime: Runtime) => void,
): Promise<void> {
  return withRuntime({ debug, maximumBytes: 64 << 20 }, (runtime) => {
    const heap = runtime.heap(strategy, options);
    body(heap, runtime);
    if (!heap.destroyed) heap.validate();
    heap.destroy();
    runtime.validate();
  });
}
