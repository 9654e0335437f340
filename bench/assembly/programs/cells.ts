// Cells: one array of a million references, each to a cell of its own, of which random ones are replaced. A collector that
// scans an object whole cannot make a short step here.

import { now } from "../drivers/clock";
import { nextRandom, pick } from "../drivers/random";
import { ELEMENTS, Program, SLOTS, VARIABLE } from "./program";

/** A reference, which stays empty, and a number. */
const CELL_BYTES: u32 = 8;
const VALUE: u32 = 4;

/** Cells that an event makes until the array is full. */
const FILL: u32 = 1000;

@unmanaged
export class Cells extends Program {
  length: u32;
  events: u32;
  perEvent: u32;
  /** Passes of so many events over one array. What a pass tells of the longest step is told of the shortest such. */
  passes: u32;
}

/** Returns the sum of what the cells hold when they are replaced and at the end, or NaN when memory is out. */
export function cells<S>(heap: S, record: Cells): f64 {
  record.clear();
  if (!record.firstType) {
    record.firstType = heap.addType(CELL_BYTES, SLOTS, 1, 1, 0, 0, 0);
    record.secondType = heap.addType(4, SLOTS, 1, 0, 0, 0, VARIABLE);
  }
  const type = record.firstType;
  if (!type || !record.secondType) return NaN;
  const timed = record.timed;
  const length = record.length;
  const scope = heap.openScope();
  if (!scope) return NaN;
  const array = heap.allocateArray(record.secondType, length);
  if (!array || !heap.push(scope, array)) return NaN;
  record.endEvent<S>(heap, 1);
  for (let index: u32 = 0; index < length; index++) {
    const started = timed ? now() : 0;
    const cell = heap.allocate(type);
    if (timed) record.noteTime(now() - started);
    if (!cell) return NaN;
    store<u32>(cell, index, VALUE);
    heap.store(array, ELEMENTS + (index << 2), cell);
    if (index % FILL == FILL - 1) record.endEvent<S>(heap, FILL);
  }
  record.endEvent<S>(heap, length % FILL);
  record.fillMillis = record.longestMillis;
  let random = record.seed;
  let checksum: f64 = 0;
  let shortest: f64 = Infinity;
  for (let pass: u32 = 0; pass < record.passes; pass++) {
    record.longestMillis = 0;
    for (let event: u32 = 0; event < record.events; event++) {
      for (let index: u32 = 0; index < record.perEvent; index++) {
        random = nextRandom(random);
        const offset = ELEMENTS + (pick(random, length) << 2);
        const old = load<usize>(array + offset);
        checksum += load<u32>(old, VALUE);
        // The collector that runs when memory is asked for is watched there.
        const started = timed ? now() : 0;
        const cell = heap.allocate(type);
        if (timed) record.noteTime(now() - started);
        if (!cell) return NaN;
        store<u32>(cell, event + index, VALUE);
        heap.store(array, offset, cell);
        if (heap.isManual()) heap.free(old);
      }
      record.endEvent<S>(heap, record.perEvent);
    }
    shortest = min(shortest, record.longestMillis);
  }
  for (let index: u32 = 0; index < length; index++) {
    const cell = load<usize>(array + (index << 2), ELEMENTS);
    checksum += load<u32>(cell, VALUE);
    if (heap.isManual()) heap.free(cell);
  }
  if (heap.isManual()) heap.free(array);
  heap.endScope(scope);
  record.endEvent<S>(heap, 0);
  record.longestMillis = shortest;
  return checksum;
}
