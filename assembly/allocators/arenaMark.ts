// Marks: places in an arena to which it can go back.
//
// A mark opens a frame with a guard of its own: what is allocated from here on, until the next mark, is checked against
// that. Going back moves the guard of the mark's frame on and gives those of the frames above it back, so that exactly
// the refs made since the mark end.
//
//   frame 0        mark 1   frame 1     mark 2   frame 2
//   ┌────────────┬────────┬───────────┬────────┬───────── ─ ─     arena.mark  = mark 2
//   │ guard A    │ A, …   │ guard B   │ B, …   │ guard C          arena.guard = C
//   └────────────┴────────┴───────────┴────────┴───────── ─ ─     each mark keeps the guard of the frame below it

import { Address } from "../memory/alignment";
import { advanceGuard, allocateGuard, freeGuard, generationOf, RETIRED } from "../memory/guard";
import { fail } from "../memory/root";
import { Status } from "../memory/status";
import { Arena, destroyChildrenSince, rollBack, usedBytes } from "./arena";

/** A place in an arena to which it can go back. It lies in the arena itself, below the place that it marks. */
@unmanaged
export class Mark {
  previous: Address;
  /** The guard of the frame below. */
  guard: Address;
  block: Address;
  cursor: Address;
  oversize: Address;
  usedBefore: u32;
  serial: f64;
}
const MARK_SIZE: u32 = offsetof<Mark>();

/** Marks the present place. Returns the mark's address, or 0 with a status. O(1). */
export function markArena(arena: Arena): Address {
  const guard = allocateGuard();
  if (!guard) return 0;
  const address = arena.allocate(MARK_SIZE);
  if (!address) {
    freeGuard(guard);
    return 0;
  }
  const mark = changetype<Mark>(address);
  mark.previous = arena.mark;
  mark.guard = arena.guard;
  mark.block = arena.block;
  mark.cursor = arena.cursor;
  mark.oversize = arena.oversize;
  mark.usedBefore = arena.usedBefore;
  mark.serial = ++arena.serial;
  arena.mark = address;
  arena.guard = guard;
  arena.depth++;
  return address;
}

/**
 * Goes back to a mark: what was allocated since is cleared and its refs end, children made since are destroyed, marks
 * made since are gone; the mark itself stays. Returns 1, or 0 with a status when the mark is none of this arena's.
 * O(marks and blocks since).
 */
export function rewindArena(arena: Arena, address: Address, serial: f64): u32 {
  const found = findMark(arena, address, serial);
  if (!found) return 0;
  const mark = changetype<Mark>(found);
  const frame = frameGuard(arena, found);
  const advanced = advanceGuard(frame);
  if (!advanced) return 0;
  arena.highWater = max(arena.highWater, usedBytes(arena));
  destroyChildrenSince(arena, serial);
  dropMarks(arena, found);
  arena.guard = advanced;
  rollBack(arena, mark.block, mark.cursor, mark.oversize, mark.usedBefore);
  return 1;
}

/** What {@link setGuardAside} returns when there is no need to. */
const NO_GUARD_NEEDED: Address = 1;

/**
 * Makes sure that the rewind to a mark, or with `address` 0 the reset, will not fail, whatever is allocated elsewhere
 * before it comes: for those who must know beforehand. Returns 1; or, when the rewind will have to replace a guard, a
 * guard to give back by `returnGuard` immediately before it; or 0 with a status when it would fail now.
 */
export function setGuardAside(arena: Arena, address: Address, serial: f64): Address {
  let guard = arena.guard;
  if (address) {
    const mark = findMark(arena, address, serial);
    if (!mark) return 0;
    guard = frameGuard(arena, mark);
  } else if (arena.mark) {
    guard = outermostGuard(arena);
  }
  return generationOf(guard) + 1 == RETIRED ? allocateGuard() : NO_GUARD_NEEDED;
}

/** Returns `address` if it is an open mark of this arena, or 0 with a status. O(marks since). */
function findMark(arena: Arena, address: Address, serial: f64): Address {
  let found = arena.mark;
  while (found && found != address) found = changetype<Mark>(found).previous;
  if (found && changetype<Mark>(found).serial == serial) return found;
  return fail(Status.STALE_MARK, <u32>address);
}

/** The guard of the frame that `mark` opened: its own, kept by the mark above it or by the arena. */
function frameGuard(arena: Arena, mark: Address): Address {
  let guard = arena.guard;
  for (let above = arena.mark; above != mark; above = changetype<Mark>(above).previous) {
    guard = changetype<Mark>(above).guard;
  }
  return guard;
}

/** The guard of the frame that no mark opened; only where there is a mark. */
export function outermostGuard(arena: Arena): Address {
  let mark = arena.mark;
  while (changetype<Mark>(mark).previous) mark = changetype<Mark>(mark).previous;
  return changetype<Mark>(mark).guard;
}

/** Drops the marks above `until` (0 = all) with the guards of their frames; `arena.guard` is that of `until`'s frame. */
export function dropMarks(arena: Arena, until: Address): void {
  while (arena.mark != until) {
    const mark = changetype<Mark>(arena.mark);
    freeGuard(arena.guard);
    arena.guard = mark.guard;
    arena.mark = mark.previous;
    arena.depth--;
  }
}
