// The handle table: handles that are kept until they are released.
//
//   segment  ┌──────┬───┬────────┬───────┬────────┬───────┬ ─ ─
//            │ next │ – │ object │ guard │ object │ guard │
//            └──────┴───┴────────┴───────┴────────┴───────┴ ─ ─
//            0          8
//
// A free entry has the next free one in place of the object, with its lowest bit set. Segments are small blocks; they stay.

import { Address } from "../memory/alignment";
import { allocateGuard, freeGuard, Guard } from "../memory/guard";
import { allocateSmallBlock, freeSmallBlock, SMALL_BLOCK_SIZE } from "../memory/smallBlock";
import { countStep } from "../memory/work";
import { Heap } from "./heap";

@unmanaged
export class Segment {
  next: Address;
  unused: u32;
}
const SEGMENT_HEADER: u32 = offsetof<Segment>();

@unmanaged
export class HandleEntry {
  object: Address;
  guard: Address;
}
const ENTRY_BYTES: u32 = offsetof<HandleEntry>();
export const SEGMENT_ENTRIES: u32 = (SMALL_BLOCK_SIZE - SEGMENT_HEADER) / ENTRY_BYTES;

/** Marks a free entry: no object has an odd address. */
const FREE: Address = 1;

/** Returns an entry for `object`, or 0 with a status; then nothing has changed. O(1), amortized for new segments */
export function takeEntry(heap: Heap, object: Address): Address {
  if (!heap.freeHandle && !addSegment(heap)) return 0;
  const guard = allocateGuard();
  if (!guard) return 0;
  changetype<Guard>(guard).nextFree = 0;
  const address = heap.freeHandle;
  const entry = changetype<HandleEntry>(address);
  heap.freeHandle = entry.object & ~FREE;
  entry.object = object;
  entry.guard = guard;
  heap.handles++;
  return address;
}

/** Ends every reference through an entry and takes it back. O(1) */
export function giveEntry(heap: Heap, address: Address): void {
  const entry = changetype<HandleEntry>(address);
  freeGuard(entry.guard);
  entry.guard = 0;
  entry.object = heap.freeHandle | FREE;
  heap.freeHandle = address;
  heap.handles--;
}

function addSegment(heap: Heap): bool {
  const segment = allocateSmallBlock();
  if (!segment) return false;
  changetype<Segment>(segment).next = heap.segments;
  heap.segments = segment;
  for (let index = SEGMENT_ENTRIES; index; ) {
    const entry = entryAt(segment, --index);
    changetype<HandleEntry>(entry).guard = 0;
    changetype<HandleEntry>(entry).object = heap.freeHandle | FREE;
    heap.freeHandle = entry;
  }
  return true;
}

export function entryAt(segment: Address, index: u32): Address {
  return segment + SEGMENT_HEADER + <usize>index * ENTRY_BYTES;
}

/** The object of an entry, or 0 if it is free. */
export function objectOf(entry: Address): Address {
  const object = changetype<HandleEntry>(entry).object;
  return object & FREE ? 0 : object;
}

/** Ends all handles and gives the table back. O(entries) */
export function releaseTable(heap: Heap): void {
  let segment = heap.segments;
  while (segment) {
    for (let index: u32 = 0; index < SEGMENT_ENTRIES; index++) {
      countStep();
      const entry = changetype<HandleEntry>(entryAt(segment, index));
      if (entry.guard) freeGuard(entry.guard);
    }
    const next = changetype<Segment>(segment).next;
    freeSmallBlock(segment);
    segment = next;
  }
  heap.segments = 0;
}
