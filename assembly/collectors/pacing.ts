// What the pacing of all strategies has in common. Why it keeps memory bounded is argued in markSweep.ts and refcount.ts.

import { Heap } from "./heap";

/** What is due beyond a step is spread over as many gaps between events. */
export const HASTE: u32 = 8;

/** As many units as it takes. */
export const ALL: u32 = u32.MAX_VALUE;

/** The allocation that starts a cycle in idle time: half of what starts it otherwise, and never none, or idle time would not end. */
export function earlyTrigger(heap: Heap): u32 {
  return heap.trigger - (heap.trigger >> 1);
}

/** A cycle that has done `units` is about to be ended at once: it counts as an overrun if more than eight steps of it may be left. */
export function countOverrun(heap: Heap, units: u32): void {
  if (heap.cycleBound > <u64>units + <u64>heap.stepUnits * HASTE) heap.overruns++;
}
