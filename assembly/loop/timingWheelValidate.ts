// Checking a timing wheel, without trusting what it checks: no address is followed before it is known to be a node of the
// wheel, or the ends of the list that is being walked.

import { Address } from "../memory/alignment";
import { Owner, ownerOf } from "../memory/pageHeap";
import {
  DIGIT_BITS,
  FIRST_NODES,
  LEVELS,
  LISTS,
  positionOn,
  READY,
  SEGMENT_NODES,
  TICK_LIMIT,
  TimerNode,
  Wheel,
} from "./timingWheel";

/** What is wrong with a wheel; numbered as in bindings/loop/timingWheel.ts. */
export namespace Violation {
  export const NONE: u32 = 0;
  /** A segment is none of the page heap's. */
  export const SEGMENTS: u32 = 1;
  /** A link leads to what is no node of the wheel. */
  export const FOREIGN_NODE: u32 = 2;
  /** A node's links do not lead back to it. */
  export const LINKS: u32 = 3;
  /** A list's bit does not say whether it holds something. */
  export const BITS: u32 = 4;
  /** A timer lies in a list that its due tick does not belong to. */
  export const PLACE: u32 = 5;
  /** The lists do not hold as many timers as are armed. */
  export const COUNT: u32 = 6;
  /** The free list holds a node in use, or not as many as it should. */
  export const FREE_LIST: u32 = 7;
  /** Timers armed, fired and cancelled do not add up. */
  export const FIGURES: u32 = 8;
}

/** Returns the first {@link Violation} of the wheel's invariants; 0 if there is none. O(n). */
export function validateWheel(wheel: Wheel): u32 {
  for (let segment: u32 = 0; segment < wheel.segments; segment++) {
    if (ownerOf(load<Address>(wheel.segmentAt(segment))) != Owner.TIMERS) return Violation.SEGMENTS;
  }
  let found: u32 = 0;
  for (let position: u32 = 0; position <= READY; position++) {
    const ends = wheel.ends(position);
    const isFilled = changetype<TimerNode>(ends).next != ends;
    if (wheel.holds(position) != isFilled) return Violation.BITS;
    let previous = ends;
    for (let node = changetype<TimerNode>(ends).next; node != ends; node = changetype<TimerNode>(node).next) {
      if (!isNode(wheel, node)) return Violation.FOREIGN_NODE;
      if (changetype<TimerNode>(node).previous != previous) return Violation.LINKS;
      if (!belongs(wheel, position, changetype<TimerNode>(node).due)) return Violation.PLACE;
      if (++found > wheel.armed) return Violation.COUNT;
      previous = node;
    }
    if (changetype<TimerNode>(ends).previous != previous) return Violation.LINKS;
  }
  if (found != wheel.armed) return Violation.COUNT;
  if (wheel.arms - wheel.fired - wheel.cancelled != <f64>wheel.armed) return Violation.FIGURES;
  return validateFreeList(wheel);
}

function validateFreeList(wheel: Wheel): u32 {
  let used = wheel.unused;
  // The slots of the first segment that lie beyond the first page have no nodes.
  if (wheel.segments > 1) used -= SEGMENT_NODES - FIRST_NODES;
  const expected = used - wheel.armed - wheel.retired;
  let free: u32 = 0;
  for (let node = wheel.free; node; node = changetype<TimerNode>(node).next) {
    if (!isNode(wheel, node)) return Violation.FOREIGN_NODE;
    if (changetype<TimerNode>(node).previous || ++free > expected) return Violation.FREE_LIST;
  }
  return free == expected ? Violation.NONE : Violation.FREE_LIST;
}

/** True if a node of the wheel that has been handed out lies at `address`. */
function isNode(wheel: Wheel, address: Address): bool {
  if (address & 7 || ownerOf(address) != Owner.TIMERS) return false;
  const slot = changetype<TimerNode>(address).slot;
  return wheel.knows(slot) && wheel.nodeAt(slot) == address;
}

/** True if a timer due at `due` may lie at `position`. */
function belongs(wheel: Wheel, position: u32, due: u64): bool {
  const current = wheel.current;
  if (due >= TICK_LIMIT) return false;
  if (position == READY) return due <= current;
  const level = position / LISTS;
  if (positionOn(level, due) != position) return false;
  const shift = level * DIGIT_BITS;
  const list = due >> shift;
  const block = list >> DIGIT_BITS;
  const currentBlock = (current >> shift) >> DIGIT_BITS;
  // The list of now has sunk, but that of level 0, which is the current tick's own.
  if (block == currentBlock) return level == 0 ? due >= current : list > current >> shift;
  return level < LEVELS - 1 && block == currentBlock + 1;
}
