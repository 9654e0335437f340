// How time passes in a timing wheel.
//
// The current tick moves from stop to stop. A stop is a tick of which level 0 holds something, or one at which a list of
// a higher level begins. Between two stops there is nothing, and no tick is looked at.
//
// Before the current tick crosses to where lists of higher levels begin, those lists sink, from the top down, into the
// next block of the level below. Only when they are empty the tick moves on. So an advance can stop after any timer, with
// the tick still before the boundary, and whatever is armed in between falls in behind those that wait: see the order in
// timingWheel.ts. Each timer sinks at most once a level.

import { Address } from "../memory/alignment";
import { countStep } from "../memory/work";
import {
  append,
  clearList,
  DIGIT_BITS,
  LEVEL_SHIFT,
  LEVELS,
  LISTS,
  positionOn,
  READY,
  TICK_LIMIT,
  TimerNode,
  Wheel,
} from "./timingWheel";

/**
 * Timers of the next list of each level that sink ahead with each tick, and the most ticks that this is made up for. So a
 * million that are due within a second are in place in time; and the most that one advance does, where all of them come
 * from memory that no cache holds, takes a third of a millisecond.
 */
const AHEAD: u32 = 1024;
const AHEAD_TICKS: u64 = 4;

/** A list of up to this many timers sinks when its time comes: nobody is woken early for it. */
const SMALL: u32 = 16;

const NEVER: u64 = u64.MAX_VALUE;
const DIGIT_MASK: u64 = (1 << DIGIT_BITS) - 1;

/**
 * Moves the current tick to `now` and makes what is due ready, in the order of due ticks. Returns 0 when it has come there,
 * or 1 when `work` is used up first; the next call goes on. One unit of work is a stop, or a timer that sinks.
 *
 * @param now a whole number from 0 to below 2^47
 */
export function advanceWheel(wheel: Wheel, now: f64, work: u32): u32 {
  const before = wheel.current;
  const target = max(<u64>now, before);
  for (;;) {
    countStep();
    collect(wheel);
    if (wheel.current == target) break;
    const stop = nextStop(wheel);
    if (stop > target) {
      wheel.current = target;
      break;
    }
    if (work == 0) return 1;
    work--;
    if ((stop ^ wheel.current) > DIGIT_MASK) {
      wheel.current = stop - 1;
      work = sinkInto(wheel, stop, work);
      if (!hasSunk(wheel, stop)) return 1;
    }
    wheel.current = stop;
  }
  sinkAhead(wheel, AHEAD * <u32>min(target - before, AHEAD_TICKS));
  return 0;
}

/** Makes what is due at the current tick ready. O(1) */
function collect(wheel: Wheel): void {
  const position = positionOn(0, wheel.current);
  if (!wheel.holds(position)) return;
  const from = wheel.ends(position);
  const to = wheel.ends(READY);
  const first = changetype<TimerNode>(from).next;
  const last = changetype<TimerNode>(from).previous;
  const end = changetype<TimerNode>(to).previous;
  changetype<TimerNode>(end).next = first;
  changetype<TimerNode>(first).previous = end;
  changetype<TimerNode>(last).next = to;
  changetype<TimerNode>(to).previous = last;
  clearList(from);
  wheel.markEmpty(position);
  wheel.markFilled(READY);
}

/** The first tick after the current one at which there is something to do, or NEVER. O(levels) */
function nextStop(wheel: Wheel): u64 {
  const current = wheel.current;
  const bits = laterBits(wheel, 0);
  if (bits) return (current & ~DIGIT_MASK) | ctz(bits);
  for (let level: u32 = 1; level < LEVELS; level++) {
    countStep();
    const shift = level * DIGIT_BITS;
    const list = current >> shift;
    const boundary = (list + 1) << shift;
    if (wheel.holds(positionOn(level, boundary)) || nextBlock(wheel, level - 1)) return boundary;
    const bits = laterBits(wheel, level);
    if (bits) return ((list & ~DIGIT_MASK) | ctz(bits)) << shift;
  }
  return NEVER;
}

/** The filled lists of the current block of `level` that come after the current one. */
function laterBits(wheel: Wheel, level: u32): u64 {
  const list = wheel.current >> (level * DIGIT_BITS);
  return load<u64>(wheel.wordAt(positionOn(level, wheel.current))) & ((<u64>-2) << (list & DIGIT_MASK));
}

/** The filled lists of the next block of `level`. */
function nextBlock(wheel: Wheel, level: u32): u64 {
  return load<u64>(wheel.wordAt(positionOn(level, wheel.current) ^ (LISTS >> 1)));
}

/** Sinks the lists that begin at `stop`, the tick after the current one, from the top down. Returns the work that is left. */
function sinkInto(wheel: Wheel, stop: u64, work: u32): u32 {
  for (let level = topLevel(stop); level > 0 && work; level--) {
    countStep();
    work = sink(wheel, level, positionOn(level, stop), work);
  }
  return work;
}

/** True if no list of a higher level that begins at `stop` holds anything. */
function hasSunk(wheel: Wheel, stop: u64): bool {
  for (let level = topLevel(stop); level > 0; level--) {
    if (wheel.holds(positionOn(level, stop))) return false;
  }
  return true;
}

/** The highest level of which a list begins at `tick`. */
function topLevel(tick: u64): u32 {
  return min((<u32>ctz(tick) * 43) >> 8, LEVELS - 1);
}

/** Sinks up to `work` timers of the next list of each level. */
function sinkAhead(wheel: Wheel, work: u32): void {
  for (let level: u32 = LEVELS - 1; level > 0; level--) {
    const position = positionAfter(wheel, level);
    if (wheel.holds(position)) sink(wheel, level, position, work);
  }
}

/** The list of `level` that follows the one the current tick lies in. */
function positionAfter(wheel: Wheel, level: u32): u32 {
  return positionOn(level, wheel.current + ((<u64>1) << (level * DIGIT_BITS)));
}

/** Moves up to `work` timers of the next list of `level`, the first ones, to the level below. Returns the work that is left. */
function sink(wheel: Wheel, level: u32, position: u32, work: u32): u32 {
  const ends = wheel.ends(position);
  let node: Address = changetype<TimerNode>(ends).next;
  while (node != ends && work) {
    countStep();
    work--;
    const next = changetype<TimerNode>(node).next;
    append(wheel, positionOn(level - 1, changetype<TimerNode>(node).due), node);
    node = next;
  }
  if (node == ends) {
    clearList(ends);
    wheel.markEmpty(position);
  } else {
    changetype<TimerNode>(ends).next = node;
    changetype<TimerNode>(node).previous = ends;
  }
  return work;
}

// ── looking ahead ───────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Leaves in the header the tick at which an advance should come next: when the next timer is due, or before that, when a
 * long list should begin to sink; infinity if nothing is armed. O(levels)
 */
export function nextWake(wheel: Wheel): void {
  let wake = wheel.holds(READY) ? wheel.current : wakeOf(wheel);
  wheel.wake = wake == NEVER ? Infinity : <f64>wake;
}

function wakeOf(wheel: Wheel): u64 {
  const current = wheel.current;
  if (wheel.holds(positionOn(0, current))) return current;
  let wake = firstList(wheel, 0);
  for (let level: u32 = 1; level < LEVELS; level++) {
    countStep();
    const list = firstList(wheel, level);
    if (list == NEVER) continue;
    wake = min(wake, wakeForList(wheel, level, list));
    // The first may be small and end as a long one begins, which would then have no time to sink.
    wake = min(wake, wakeForList(wheel, level, list + 1));
  }
  return wake;
}

/** The number of the first list after the current one of `level` that holds something, counted from tick 0, or NEVER. */
function firstList(wheel: Wheel, level: u32): u64 {
  const base = (wheel.current >> (level * DIGIT_BITS)) & ~DIGIT_MASK;
  const bits = laterBits(wheel, level);
  if (bits) return base | ctz(bits);
  const next = nextBlock(wheel, level);
  return next ? (base + DIGIT_MASK + 1) | ctz(next) : NEVER;
}

/** When to come for a list: when its first timer is due, or, if it is long, as the list before it begins. */
function wakeForList(wheel: Wheel, level: u32, list: u64): u64 {
  const shift = level * DIGIT_BITS;
  const position = (level << LEVEL_SHIFT) | (<u32>list & (LISTS - 1));
  if (list << shift >= TICK_LIMIT || !wheel.holds(position)) return NEVER;
  const ends = wheel.ends(position);
  let earliest = NEVER;
  let node: Address = changetype<TimerNode>(ends).next;
  for (let count: u32 = 0; node != ends; count++) {
    countStep();
    if (count == SMALL) return max(wheel.current + 1, (list - 1) << shift);
    earliest = min(earliest, changetype<TimerNode>(node).due);
    node = changetype<TimerNode>(node).next;
  }
  return earliest;
}
