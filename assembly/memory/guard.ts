// Guards: the words that make a stale ref detectable.
//
// A ref remembers the address of a guard and the number it read there. Whoever owns the memory adds one to the guard
// when that memory ends (a reset, a rewind, a map that moves its entries), and every ref made before fails its check,
// which is one load and one compare. A guard is never used for anything else again, so the check may be made at any
// time later.
//
//   guard (8 B)   ┌────────────┬─────────────┐
//                 │ generation │ next free   │   generation: 1 … 2^32 − 2 in use, 2^32 − 1 retired
//                 └────────────┴─────────────┘
//
// Generations do not wrap: a guard that reaches 2^32 − 1 is retired and its owner takes another. A region that is reset
// ten million times a second loses 8 bytes every seven minutes.

import { Address, PAGE_SIZE } from "./alignment";
import { allocatePages, Owner } from "./pageHeap";
import { root } from "./root";

@unmanaged
export class Guard {
  generation: u32;
  nextFree: Address;
}

/** What a retired guard shows; no ref has ever been given this generation. */
export const RETIRED: u32 = u32.MAX_VALUE;

/** Returns a guard whose generation nobody has seen, or 0 when memory is out. */
export function allocateGuard(): Address {
  const state = root();
  const free = state.guardFree;
  if (free) {
    state.guardFree = changetype<Guard>(free).nextFree;
    state.guardsLive++;
    return free;
  }
  return allocateGuardSlow();
}

function allocateGuardSlow(): Address {
  const state = root();
  if (state.guardCursor == state.guardLimit) {
    const page = allocatePages(1, Owner.GUARDS);
    if (!page) return 0;
    state.guardCursor = page;
    state.guardLimit = page + PAGE_SIZE;
  }
  const guard = state.guardCursor;
  state.guardCursor += offsetof<Guard>();
  changetype<Guard>(guard).generation = 1;
  state.guardsLive++;
  return guard;
}

/** Ends every ref of `guard` and gives the guard back. */
export function freeGuard(guard: Address): void {
  const state = root();
  const cell = changetype<Guard>(guard);
  state.guardsLive--;
  if (++cell.generation == RETIRED) {
    state.guardsRetired++;
    return;
  }
  cell.nextFree = state.guardFree;
  state.guardFree = guard;
}

/** Gives back a guard with which nothing has been made: unlike {@link freeGuard} it cannot retire it. */
export function returnGuard(guard: Address): void {
  const state = root();
  state.guardsLive--;
  changetype<Guard>(guard).nextFree = state.guardFree;
  state.guardFree = guard;
}

/**
 * Ends every ref of `guard` and returns the guard to use from now on: the same one, another when this one has been
 * retired, or 0 when another was needed and memory is out; then nothing has changed.
 */
export function advanceGuard(guard: Address): Address {
  const cell = changetype<Guard>(guard);
  const next = cell.generation + 1;
  if (next != RETIRED) {
    cell.generation = next;
    return guard;
  }
  const another = allocateGuard();
  if (another) freeGuard(guard);
  return another;
}

/** The generation to give to a ref that is made now. */
export function generationOf(guard: Address): u32 {
  return changetype<Guard>(guard).generation;
}
if (PAGE_SIZE % offsetof<Guard>() != 0) ERROR("a page must hold a whole number of guards");
