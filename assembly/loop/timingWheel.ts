// Timing wheel: timers in hierarchical wheels (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987), in
// memory of its own.
//
// Time is a count of ticks (milliseconds) of at most 48 bits, read as eight digits of 6 bits. A timer lies on the level
// of the highest digit in which its due tick differs from the current one, in the list of that digit of its due tick.
// As time enters what a list stands for, its timers sink to the level below; on level 0 a list holds one tick.
//
//   level 2   ┌ ─ ┬───┬───┬───┬ ─     4,096 ticks a list
//   level 1   ┌ ─ ┬───┬───┬───┬ ─     64 ticks a list        each level has two blocks of 64 lists: the block that the
//   level 0   ┌ ─ ┬───┬─▲─┬───┬ ─     1 tick a list          current tick lies in, and the next one
//                       └ current tick
//
// The next list of a level sinks ahead of time, into the next block of the level below, some timers with each tick. So
// however many timers a list holds, they are in place when their time comes, and no tick does all the work.
//
// Order. Timers of one due tick fire in the order in which they were armed. A list is a queue, and a timer sinks level by
// level through the same lists as all others of its tick: a later one can be armed into a lower list only when time has
// entered the upper one, and time enters none that has not sunk whole (see timingWheelAdvance.ts).
//
//   first page                                                               segments of three pages
//   ┌────────┬──────┬────────────────────────────────┬──────────┬ ─ ─ ─ ┐    ┌──────┬──────┬ ─ ─ ─ ─ ─ ┐
//   │ header │ bits │ ends of 1,024 lists, and ready │ segments │ nodes │    │ node │ node │ 8,192     │
//   └────────┴──────┴────────────────────────────────┴──────────┴ ─ ─ ─ ┘    └──────┴──────┴ ─ ─ ─ ─ ─ ┘
//
// A list is a ring of nodes that is closed by the words of its two ends, which stand where a node has its links. So a
// node is taken out without looking for its list, and when both its neighbours are one, that is the ends of the list
// which it leaves empty. One bit a list tells which ones hold something, so that idle time is passed over in O(levels).
//
// A handle is a slot, the number of the node, and its generation, which moves on when the timer fires or is cancelled.

import { Address, PAGE_SIZE } from "../memory/alignment";
import { poison } from "../memory/clear";
import { allocatePages, freePages, Owner } from "../memory/pageHeap";
import { fail, IS_DEBUG } from "../memory/root";
import { Status } from "../memory/status";
import { countStep } from "../memory/work";

export const DIGIT_BITS: u32 = 6;
/** The lists of a block: one bit each in a word. */
const BLOCK: u32 = 1 << DIGIT_BITS;
/** The lists of a level: two blocks. */
export const LEVEL_SHIFT: u32 = DIGIT_BITS + 1;
export const LISTS: u32 = BLOCK << 1;
export const LEVELS: u32 = 8;

/** The list of what is due, behind all others. */
export const READY: u32 = LEVELS * LISTS;

/** Due ticks are below this one. */
export const TICK_LIMIT: u64 = (<u64>1) << (DIGIT_BITS * LEVELS);

/** Slots are below 2^23, so that slot and generation fit a double, and a slot a small integer of any engine. */
export const SEGMENT_SHIFT: u32 = 13;
export const SEGMENT_NODES: u32 = 1 << SEGMENT_SHIFT;
export const SEGMENT_LIMIT: u32 = 1024;
const SEGMENT_PAGES: u32 = 3;

/** A node whose generation has come to this is not used again, so that no handle is ever right by chance. */
const RETIRED_NODE: u32 = 1 << 29;

@unmanaged
export class TimerNode {
  next: Address;
  /** 0 while the node is free. */
  previous: Address;
  due: u64;
  slot: u32;
  generation: u32;
}
/** The bytes of a timer. */
export const NODE_BYTES: u32 = offsetof<TimerNode>();
const ENDS_BYTES: u32 = 8;

@unmanaged
export class Wheel {
  /** Timers armed, fired and cancelled since the wheel was made. */
  arms: f64;
  fired: f64;
  cancelled: f64;
  /** What the last `nextWake` found. */
  wake: f64;
  /** Everything due at or before this tick is ready, or in the list of this very tick. */
  current: u64;
  /** The generation of the timer that was armed last. */
  generation: u32;
  /** Armed now, ready ones included, and the most that ever were. */
  armed: u32;
  highWater: u32;
  /** Nodes that have fired or been cancelled, linked by `next`; the last one first. */
  free: Address;
  /** The slots that have never been used: from here to the limit. */
  unused: u32;
  unusedLimit: u32;
  segments: u32;
  retired: u32;
  pages: u32;

  get address(): Address {
    return changetype<Address>(this);
  }

  /** The ends of the list at `position`: its first and its last node. */
  ends(position: u32): Address {
    return this.address + ENDS + position * ENDS_BYTES;
  }

  /** The position of the list whose ends lie at `ends`. */
  positionOf(ends: Address): u32 {
    return <u32>(ends - this.address - ENDS) / ENDS_BYTES;
  }

  /** The word of bits that `position` has its bit in. */
  wordAt(position: u32): Address {
    return this.address + BITS + ((position >> DIGIT_BITS) << 3);
  }

  holds(position: u32): bool {
    return ((load<u64>(this.wordAt(position)) >> (position & (BLOCK - 1))) & 1) != 0;
  }

  markFilled(position: u32): void {
    const word = this.wordAt(position);
    store<u64>(word, load<u64>(word) | ((<u64>1) << (position & (BLOCK - 1))));
  }

  markEmpty(position: u32): void {
    const word = this.wordAt(position);
    store<u64>(word, load<u64>(word) & ~((<u64>1) << (position & (BLOCK - 1))));
  }

  /** Where the word lies that names the segment. */
  segmentAt(segment: u32): Address {
    return this.address + SEGMENTS + (segment << 2);
  }

  /** The node of a slot below `unused` that has been handed out. */
  nodeAt(slot: u32): Address {
    return load<Address>(this.segmentAt(slot >> SEGMENT_SHIFT)) + (slot & (SEGMENT_NODES - 1)) * NODE_BYTES;
  }

  /** True if a node with this slot has ever been in use. */
  knows(slot: u32): bool {
    const segment = slot >> SEGMENT_SHIFT;
    if (segment >= this.segments) return false;
    if (segment == this.segments - 1) return slot < this.unused;
    return segment > 0 || slot < FIRST_NODES;
  }
}

const BITS: u32 = (offsetof<Wheel>() + 7) & ~7;
const ENDS: u32 = BITS + ((READY >> DIGIT_BITS) + 1) * 8;
const SEGMENTS: u32 = ENDS + (READY + 1) * ENDS_BYTES;
const NODES: u32 = (SEGMENTS + SEGMENT_LIMIT * 4 + 7) & ~7;

/** The slots 0, 1, … have their nodes in the first page; a wheel of few timers takes no other. */
export const FIRST_NODES: u32 = (PAGE_SIZE - NODES) / NODE_BYTES;
if (FIRST_NODES > SEGMENT_NODES || FIRST_NODES < 1024) ERROR("the first page must hold a good part of a segment");
if (SEGMENT_NODES * NODE_BYTES != SEGMENT_PAGES * PAGE_SIZE) ERROR("nodes must fill their pages exactly");
if (DIGIT_BITS * LEVELS > 53) ERROR("a tick must fit a double");

// ── making and destroying ───────────────────────────────────────────────────────────────────────────────────────────

/** Returns a new wheel, whose current tick is 0, or 0 with a status. */
export function createWheel(): Address {
  const address = allocatePages(1, Owner.TIMERS);
  if (!address) return 0;
  memory.fill(address, 0, NODES);
  const wheel = changetype<Wheel>(address);
  for (let position: u32 = 0; position <= READY; position++) clearList(wheel.ends(position));
  store<Address>(wheel.segmentAt(0), address + NODES);
  wheel.segments = 1;
  wheel.unusedLimit = FIRST_NODES;
  wheel.pages = 1;
  return address;
}

/** Gives all memory of a wheel back. O(segments) */
export function destroyWheel(wheel: Wheel): void {
  for (let segment: u32 = 1; segment < wheel.segments; segment++) {
    countStep();
    const run = load<Address>(wheel.segmentAt(segment));
    if (IS_DEBUG) poison(run, run + SEGMENT_PAGES * PAGE_SIZE);
    freePages(run, Owner.TIMERS);
  }
  if (IS_DEBUG) poison(wheel.address, wheel.address + PAGE_SIZE);
  freePages(wheel.address, Owner.TIMERS);
}

// ── arming and cancelling ───────────────────────────────────────────────────────────────────────────────────────────

/**
 * Arms a timer for the tick `due`, a whole number below {@link TICK_LIMIT}, or for the current tick if that is later.
 * Returns 1 + its slot, and leaves its generation in the header; or 0 with a status, when memory is out. O(1)
 */
export function armTimer(wheel: Wheel, due: f64): u32 {
  const address = takeNode(wheel);
  if (!address) return 0;
  place(wheel, address, due);
  wheel.armed++;
  if (wheel.armed > wheel.highWater) wheel.highWater = wheel.armed;
  wheel.generation = changetype<TimerNode>(address).generation;
  return changetype<TimerNode>(address).slot + 1;
}

/**
 * Arms the timer with this slot and generation anew, behind all others of the tick `due`; it keeps both. It counts as
 * cancelled and armed. Returns 1, or 0 if it has fired or been cancelled. O(1)
 */
export function moveTimer(wheel: Wheel, slot: u32, generation: u32, due: f64): u32 {
  const address = find(wheel, slot, generation);
  if (!address) return 0;
  unlink(wheel, address);
  wheel.cancelled += 1;
  place(wheel, address, due);
  return 1;
}

/** Puts a timer off by `ticks`, if it is still armed; behind all others of the tick that it comes to. O(1) */
export function delayTimer(wheel: Wheel, slot: u32, generation: u32, ticks: f64): void {
  const address = find(wheel, slot, generation);
  if (!address) return;
  unlink(wheel, address);
  wheel.arms -= 1;
  place(wheel, address, min(<f64>changetype<TimerNode>(address).due + ticks, <f64>(TICK_LIMIT - 1)));
}

function place(wheel: Wheel, address: Address, due: f64): void {
  const tick = max(<u64>due, wheel.current);
  changetype<TimerNode>(address).due = tick;
  // The highest bit in which the ticks differ, divided by 6: exact for all 48 bits.
  const level = ((63 - <u32>clz((tick ^ wheel.current) | 1)) * 43) >> 8;
  append(wheel, positionOn(level, tick), address);
  wheel.arms += 1;
}

/** Cancels the timer with this slot and generation. Returns 1, or 0 if it has fired or been cancelled, or never was. O(1) */
export function cancelTimer(wheel: Wheel, slot: u32, generation: u32): u32 {
  const address = find(wheel, slot, generation);
  if (!address) return 0;
  unlink(wheel, address);
  release(wheel, address);
  wheel.cancelled += 1;
  return 1;
}

/** The node of the timer with this slot and generation, or 0 if it is not armed. */
function find(wheel: Wheel, slot: u32, generation: u32): Address {
  if (!wheel.knows(slot)) return 0;
  const address = wheel.nodeAt(slot);
  const node = changetype<TimerNode>(address);
  return node.generation == generation && node.previous ? address : 0;
}

/** Takes the timer that is to fire next. Returns 1 + its slot, or 0 if none is ready. O(1) */
export function takeTimer(wheel: Wheel): u32 {
  const ready = wheel.ends(READY);
  const address = changetype<TimerNode>(ready).next;
  if (address == ready) return 0;
  const node = changetype<TimerNode>(address);
  unlink(wheel, address);
  release(wheel, address);
  wheel.fired += 1;
  return node.slot + 1;
}

/** The list that a timer for `tick` belongs to if it lies on `level`. */
export function positionOn(level: u32, tick: u64): u32 {
  return (level << LEVEL_SHIFT) | (<u32>(tick >> (level * DIGIT_BITS)) & (LISTS - 1));
}

/** Puts a node at the end of a list. */
export function append(wheel: Wheel, position: u32, address: Address): void {
  const ends = wheel.ends(position);
  const last = changetype<TimerNode>(ends).previous;
  const node = changetype<TimerNode>(address);
  node.next = ends;
  node.previous = last;
  changetype<TimerNode>(last).next = address;
  changetype<TimerNode>(ends).previous = address;
  wheel.markFilled(position);
}

export function clearList(ends: Address): void {
  changetype<TimerNode>(ends).next = ends;
  changetype<TimerNode>(ends).previous = ends;
}

function unlink(wheel: Wheel, address: Address): void {
  const next = changetype<TimerNode>(address).next;
  const previous = changetype<TimerNode>(address).previous;
  changetype<TimerNode>(previous).next = next;
  changetype<TimerNode>(next).previous = previous;
  // In a ring of two the other one is the ends of the list: nothing else is its own neighbour now.
  if (next == previous) wheel.markEmpty(wheel.positionOf(next));
}

function release(wheel: Wheel, address: Address): void {
  const node = changetype<TimerNode>(address);
  wheel.armed--;
  node.previous = 0;
  node.generation++;
  if (node.generation == RETIRED_NODE) {
    wheel.retired++;
    return;
  }
  node.next = wheel.free;
  wheel.free = address;
}

/** Returns a node that is in no list, or 0 with a status. O(1) */
function takeNode(wheel: Wheel): Address {
  const free = wheel.free;
  if (free) {
    wheel.free = changetype<TimerNode>(free).next;
    return free;
  }
  return takeUnusedNode(wheel);
}

function takeUnusedNode(wheel: Wheel): Address {
  if (wheel.unused == wheel.unusedLimit && !addSegment(wheel)) return 0;
  const slot = wheel.unused++;
  const address = wheel.nodeAt(slot);
  changetype<TimerNode>(address).slot = slot;
  changetype<TimerNode>(address).generation = 1;
  return address;
}

function addSegment(wheel: Wheel): bool {
  const segment = wheel.segments;
  if (segment == SEGMENT_LIMIT) {
    fail(Status.WHEEL_FULL, wheel.armed);
    return false;
  }
  const run = allocatePages(SEGMENT_PAGES, Owner.TIMERS);
  if (!run) return false;
  store<Address>(wheel.segmentAt(segment), run);
  wheel.segments++;
  wheel.pages += SEGMENT_PAGES;
  wheel.unused = segment << SEGMENT_SHIFT;
  wheel.unusedLimit = wheel.unused + SEGMENT_NODES;
  return true;
}
