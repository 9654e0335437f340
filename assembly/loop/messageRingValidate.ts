// Checking a message ring.

import { Owner, ownerOf } from "../memory/pageHeap";
import { ENTRIES_AT_MOST, EntryState, MessageRing, sizeOfHead } from "./messageRing";

/** What is wrong with a ring; numbered as in bindings/loop/messageRingLayout.ts. */
export namespace Violation {
  export const NONE: u32 = 0;
  /** Its pages have been given back. */
  export const PAGES: u32 = 1;
  /** Its offsets are out of order, or out of its data. */
  export const OFFSETS: u32 = 2;
  /** Entries are in use that should be free, or the other way round. */
  export const STATES: u32 = 3;
  /** The oldest message has been released, and is still there. */
  export const OLDEST: u32 = 4;
  /** A message lies where none may, or two lie on each other. */
  export const MESSAGES: u32 = 5;
}

/** Returns the first violation found, or 0. O(entries) */
export function validateMessageRing(ring: MessageRing): u32 {
  if (ownerOf(ring.address) != Owner.MESSAGE_RINGS) return Violation.PAGES;
  const capacity = ring.capacity;
  const head = ring.head;
  const frame = ring.frame;
  const tail = ring.tail;
  const wrapped = ring.wrapped;
  const entries = ring.entries;
  const first = ring.first;
  const count = ring.count;
  // Before the entries are gone through: there are as many as lie before the data.
  if (entries > ENTRIES_AT_MOST || ring.data != ring.address + sizeOfHead(entries)) return Violation.OFFSETS;
  if (head > capacity || frame > ring.scan || ring.scan > head || tail > capacity) return Violation.OFFSETS;
  if (wrapped ? head > tail || !count : tail > frame) return Violation.OFFSETS;
  if (count > entries || first >= entries) return Violation.STATES;
  if (!count && frame == head && head) return Violation.OFFSETS;

  // What is in use lies between `tail` and `frame`, on one lap or on two; `from` and `lap` go along.
  let from = tail;
  let lap = ring.lap - wrapped;
  for (let index: u32 = 0; index < entries; index++) {
    const entry = ring.entryAt((first + index) & (entries - 1));
    if (index >= count) {
      if (entry.state != EntryState.FREE) return Violation.STATES;
      continue;
    }
    if (entry.state == EntryState.FREE || entry.state > EntryState.RELEASED) return Violation.STATES;
    if (!index && entry.state == EntryState.RELEASED) return Violation.OLDEST;
    if (entry.length > ring.maximum) return Violation.MESSAGES;
    if (entry.lap != lap) {
      if (entry.lap != ring.lap || lap == ring.lap) return Violation.MESSAGES;
      lap = ring.lap;
      from = 0;
    }
    const limit = lap == ring.lap ? frame : capacity;
    if (entry.offset < from || entry.offset > limit || entry.length > limit - entry.offset) return Violation.MESSAGES;
    from = entry.offset + entry.length;
  }
  return Violation.NONE;
}
