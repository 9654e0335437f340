// The end of counted objects: what a reference that ends may lead to. An object that comes to zero has its hook run, then its own
// references are taken back slot by slot, from a list of pairs (object, next slot): a list of a million that is dropped is neither
// recursion nor one pause. Then its cell is freed, unless something still leads there: a list, or weak slots.
//
// When there is no memory to queue something, it is done at once as far as it goes, and what cannot be remembered in a list is
// marked in the flags and found by a walk over all objects later (countingWalk.ts). Nothing is lost.

import { Address, PAGE_SHIFT } from "../memory/alignment";
import { countStep } from "../memory/work";
import { blockOf } from "./cellBlock";
import { freeCell } from "./cellClass";
import { classOf, slotAt, slotsOf, typeOf } from "./cellType";
import { AWAY, COUNT_ONE, Flag, hold, SATURATED, setWord, Visit, visitOf, wordOf } from "./countWord";
import { Heap, Lost, Run, seekLost } from "./heap";

/** What a walk over all objects is for. */
export namespace Purpose {
  export const NONE: u32 = 0;
  export const FIND_LOST: u32 = 1;
  export const EMPTY_WEAK: u32 = 2;
}

/** What {@link takeOff} returns for an object whose references do not count any more. */
const UNCOUNTED: u32 = u32.MAX_VALUE;

/** Queues the end of a reference. Without memory for that it is counted at once, but nothing is freed before a walk finds the object. */
export function defer(heap: Heap, object: Address): void {
  if (heap.pending.push(object)) return;
  if (takeOff(heap, object) != UNCOUNTED) lose(heap, object);
}

/** Takes a reference off the count of an object. Returns the word that is left. */
function takeOff(heap: Heap, object: Address): u32 {
  const word = load<u32>(object - 4);
  if (word >= SATURATED) return takeOffAway(heap, visitOf(object));
  // A dead object's references are not counted any more; the handles of its hook's scope come here, while it is still there.
  if (word & (Flag.DEAD | Flag.DYING)) return UNCOUNTED;
  store<u32>(object - 4, word - COUNT_ONE);
  return word - COUNT_ONE;
}

/**
 * The same for one that a run is looking at, which has perhaps seen the reference: so it does not know any more what holds the
 * object.
 */
function takeOffAway(heap: Heap, visit: Visit): u32 {
  if (!changetype<Address>(visit)) return UNCOUNTED;
  const word = visit.word;
  if (word >= SATURATED || word & (Flag.DEAD | Flag.DYING)) return UNCOUNTED;
  visit.word = word - COUNT_ONE;
  hold(heap, visit);
  return word - COUNT_ONE;
}

/** Ends one reference. Without memory for a list the object is found by a walk later. O(1) */
export function decrement(heap: Heap, object: Address): void {
  const word = takeOff(heap, object);
  if (word == UNCOUNTED) return;
  if (word < COUNT_ONE) letGo(heap, object);
  else if (!(word & Flag.BUFFERED) && typeOf(object).cyclicCount) suspect(heap, object);
}

/**
 * An object has lost a reference and kept another: it may be part of a dropped cycle. One that the condemned held is looked at by
 * the same run, if it can.
 */
export function suspect(heap: Heap, object: Address): void {
  const list = heap.runPhase == Run.LET_GO ? heap.roots : heap.candidates;
  if (list.push(object)) setWord(object, (wordOf(object) | Flag.BUFFERED) & ~Flag.LOST);
  else lose(heap, object);
}

/** An object has no references left: its hook is run, then its own are taken back. */
export function letGo(heap: Heap, object: Address): void {
  const type = typeOf(object);
  if (type.isHooked && !(wordOf(object) & Flag.HOOKED)) {
    setWord(object, (wordOf(object) | Flag.DYING) & ~Flag.LOST);
    if (!heap.hooked.push(object)) lose(heap, object);
    return;
  }
  startRelease(heap, object);
  if (slotsOf(type, object) == 0) finishRelease(heap, object);
  else continueRelease(heap, object);
}

function startRelease(heap: Heap, object: Address): void {
  setWord(object, (wordOf(object) & ~(Flag.DYING | Flag.LOST)) | Flag.DEAD);
  bury(heap, object);
}

/** Queues a dead object to have its references taken back. */
export function continueRelease(heap: Heap, object: Address): void {
  if (!heap.releasing.pushPair(object, 0)) lose(heap, object);
}

/** Counts an object as ended, whose cell is not free yet. */
export function bury(heap: Heap, object: Address): void {
  heap.deadObjects++;
  heap.deadBytes += bytesOfCell(object);
  heap.freedObjects++; // as far as anybody can tell
}

/** Frees the cell of an object that has ended. */
export function free(heap: Heap, object: Address): void {
  heap.deadObjects--;
  heap.deadBytes -= bytesOfCell(object);
  if (heap.weakHolder == object) heap.weakHolder = 0;
  freeCell(classOf(object), object);
  seekLost(heap);
}

function bytesOfCell(object: Address): u32 {
  const stride = classOf(object).stride;
  return stride ? stride : blockOf(object).pages << PAGE_SHIFT;
}

/** There is no memory to note an object down: a walk finds it later. One that a walk has to give up as well waits until there is room. */
export function lose(heap: Heap, object: Address): void {
  setWord(object, wordOf(object) | Flag.LOST);
  if (heap.walkPurpose == Purpose.FIND_LOST) {
    heap.listsFull = 1;
    if (heap.lost == Lost.NONE) heap.lost = Lost.WAITING;
  } else heap.lost = Lost.SOUGHT;
}

/** Takes references of a dead object back, from slot `start` on. Returns the units done. */
export function releaseSlots(heap: Heap, object: Address, start: u32, budget: u32): u32 {
  const type = typeOf(object);
  const count = slotsOf(type, object);
  let done: u32 = 0;
  for (let index = start; index < count; index++) {
    if (done >= budget) {
      if (!heap.releasing.pushPair(object, index)) lose(heap, object);
      return done;
    }
    countStep();
    done++;
    const slot = slotAt(type, object, index);
    const child = load<Address>(slot);
    if (!child) continue;
    // The slot is emptied, so that an object that was lost can be begun anew.
    store<Address>(slot, 0);
    if (index + 1 == count) {
      // Freed before the last child is let go of: a list of any length is released in constant room. Its hook may have stored it
      // in itself, which does not count.
      finishRelease(heap, object);
      if (child != object) decrement(heap, child);
      return done + 1;
    }
    decrement(heap, child);
  }
  finishRelease(heap, object);
  return done + 1;
}

/** An object's references have been taken back: its cell is freed, unless something still leads to it. */
export function finishRelease(heap: Heap, object: Address): void {
  if (load<u32>(object - 4) & (AWAY | Flag.BUFFERED | Flag.WEAKLY)) keepReleased(heap, object);
  else free(heap, object);
}

function keepReleased(heap: Heap, object: Address): void {
  const word = wordOf(object) | Flag.RELEASED;
  setWord(object, word);
  if (word & Flag.BUFFERED) {
    heap.stale++;
    heap.staleBytes += bytesOfCell(object);
  } else if (!changetype<Address>(visitOf(object))) endReleased(heap, object, word);
}

/** A released object leaves the candidates. */
export function dropBuffered(heap: Heap, object: Address): void {
  const word = wordOf(object) & ~Flag.BUFFERED;
  setWord(object, word);
  if (heap.stale) heap.stale--; // an estimate
  heap.staleBytes -= min(heap.staleBytes, bytesOfCell(object));
  if (!changetype<Address>(visitOf(object))) endReleased(heap, object, word);
}

/** A released object is in no list of candidates, nor visited by a run: only weak slots may still lead to it. */
export function endReleased(heap: Heap, object: Address, word: u32): void {
  if (word & Flag.WEAKLY) keepZombie(heap, object);
  else free(heap, object);
}

/** An object that weak slots may refer to has ended. */
export function keepZombie(heap: Heap, object: Address): void {
  if (heap.zombies.push(object)) heap.zombieBytes += bytesOfCell(object);
  else lose(heap, object);
}

export function beginHook(heap: Heap, object: Address): void {
  heap.dying = object;
  heap.dyingType = changetype<Address>(typeOf(object));
}

/**
 * The hook of an object that was let go of has been run. The object goes through the list, whether it has references or not: the
 * handles that the hook has had of it are among the pending, and these come first.
 */
export function afterHook(heap: Heap, object: Address): void {
  setWord(object, wordOf(object) | Flag.HOOKED);
  if (wordOf(object) & Flag.DEAD) return;
  startRelease(heap, object);
  continueRelease(heap, object);
}
