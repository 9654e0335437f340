// Reference counting: deferred decrements, drained between events, with trial deletion for cycles (cycleCollection.ts).
//
//   count word, before each object   ┌──────────────┬───────┐
//                                    │ count        │ flags │
//                                    └──────────────┴───────┘
//                                     31           9 8     0
//
// Slots and handles count. A store adds to the new object at once and queues the old one (Deutsch and Bobrow, "An efficient,
// incremental, automatic garbage collector", 1976, defer as well; here only decrements are), so that nothing is freed during an
// event. Draining takes one from the count; an object that comes to zero has its own references taken back slot by slot, from a
// list of pairs (object, next slot): a list of a million that is dropped is neither recursion nor one pause.
//
// A count that reaches its limit stays there: its object lives as long as the heap.
//
// When there is no memory to queue something, it is done at once as far as it goes, and what cannot be remembered in a list is
// marked in the flags and found by a walk over all objects later. Nothing is lost.
//
// Pacing. An object costs two units and one for each slot, once, when it is freed; that is at most half as many as it has bytes.
// A gap between events pays `stepUnits`, and an eighth of a debt that grows by a unit for each byte that is allocated: in the long
// run twice what the objects will cost, so that the backlog of a saturated program shrinks, and no gap pays for one large object.

import { Address, PAGE_SHIFT } from "../memory/alignment";
import { fail } from "../memory/root";
import { Status } from "../memory/status";
import { countStep } from "../memory/work";
import { nextTaken, startWalk } from "./blockWalk";
import { blockAround, blockOf, objectAround } from "./cellBlock";
import { CellClass, freeCell, unusedBytes } from "./cellClass";
import { classOf, slotAt, slotsOf, typeOf, weakSlotAt, weakSlotsOf } from "./cellType";
import {
  advanceCondemned,
  beginRuns,
  collectCycles,
  collectHeavy,
  isTimeForHeavy,
  isTimeToRun,
} from "./cycleCollection";
import { giveEntry, HandleEntry } from "./handleTable";
import { Heap } from "./heap";
import { closeScope, Scope } from "./scope";
import { nextWeakHolder, startWeakWalk } from "./weakWalk";

export const COUNT_ONE: u32 = 512;
/** Counts from here on do not change. */
export const SATURATED: u32 = 0xffff_fe00;

export namespace Flag {
  /** In the list of candidates, or of heavy ones. */
  export const BUFFERED: u32 = 1;
  /** Visited by the run of cycle collection that is under way. */
  export const VISITED: u32 = 2;
  /** Without references, its own being taken back; or condemned by cycle collection. */
  export const DEAD: u32 = 4;
  /** Its hook is to be run, or is running. */
  export const DYING: u32 = 8;
  /** Has been stored in a weak slot. */
  export const WEAKLY: u32 = 16;
  /** Its references have been taken back, and it waits: for the weak slots to be emptied, or to leave the candidates. */
  export const RELEASED: u32 = 32;
  /** Should be in a list for which there was no memory. */
  export const LOST: u32 = 64;
  /** Its hook has run. */
  export const HOOKED: u32 = 128;
  /** Reached, as a candidate, by a run from a single root that came to its limit: so it is not worth a run of its own. */
  export const HEAVY: u32 = 256;
}
const FLAGS: u32 = COUNT_ONE - 1;

/** Whether there are objects that have to be found again. */
export namespace Lost {
  export const NONE: u32 = 0;
  /** A walk should find them. */
  export const SOUGHT: u32 = 1;
  /** There was no memory for them when they were found, either: the next walk waits until memory is released or taken, or asked for. */
  export const WAITING: u32 = 2;
}

/** What a walk over all objects is for. */
namespace Purpose {
  export const NONE: u32 = 0;
  export const FIND_LOST: u32 = 1;
  export const EMPTY_WEAK: u32 = 2;
}

/** Freed objects that weak slots may refer to, from which on the slots are emptied. */
const ZOMBIE_LIMIT: u32 = 1024;

/** The debt is spread over as many gaps. */
const HASTE: u32 = 8;

/** Released candidates from which on they are looked for. */
const STALE_LIMIT: u32 = 1024;
/** Below as many pages it does not count that memory has doubled. */
export const SPARE_PAGES: u32 = 16;

/** More than any list of handles that is worth copying: a longer one is taken over as it is. */
const COPY_LIMIT: u32 = 64;

export function countOf(object: Address): u32 {
  return load<u32>(object - 4);
}

export function setCount(object: Address, word: u32): void {
  store<u32>(object - 4, word);
}

/** Counts one more reference. */
export function retain(heap: Heap, object: Address): void {
  const word = countOf(object);
  if (word >= SATURATED) return;
  setCount(object, word + COUNT_ONE);
}

/** Queues the end of a reference. Without memory for that it is counted at once, but nothing is freed before a walk finds the object. */
export function defer(heap: Heap, object: Address): void {
  if (heap.pending.push(object)) return;
  const word = countOf(object);
  if (word >= SATURATED || word & (Flag.DEAD | Flag.DYING)) return;
  setCount(object, word - COUNT_ONE);
  lose(heap, object);
}

// ── what the program does ───────────────────────────────────────────────────────────────────────────────────────────

/** Stores a reference. Returns 0 with a status where it would bring a dead object back. */
export function storeCounted(heap: Heap, slot: Address, value: Address): u32 {
  // A dead object is no longer counted, and only a hook can know one.
  if (heap.dying && isDead(value)) {
    if (!isInDead(slot)) return <u32>fail(Status.RESURRECTION, <u32>value);
  } else if (value) retain(heap, value);
  const old = load<Address>(slot);
  store<Address>(slot, value);
  if (old) defer(heap, old);
  return 1;
}

/** True for an object that only its own destroy hook, or that of another that dies with it, can know. */
export function isDead(object: Address): bool {
  return object != 0 && (countOf(object) & (Flag.DEAD | Flag.DYING)) != 0;
}

/** True for a slot of a dead object. */
function isInDead(slot: Address): bool {
  const stride = changetype<CellClass>(blockAround(slot).cellClass).stride;
  return isDead(objectAround(slot, stride));
}

export function loadWeakCounted(slot: Address): Address {
  const target = load<Address>(slot);
  return isDead(target) ? 0 : target;
}

export function storeWeakCounted(slot: Address, value: Address): u32 {
  if (value) {
    if (isDead(value)) return <u32>fail(Status.RESURRECTION, <u32>value);
    setCount(value, countOf(value) | Flag.WEAKLY);
  }
  store<Address>(slot, value);
  return 1;
}

/** Points a handle to another object, which is not dead. */
export function moveCounted(heap: Heap, slot: Address, object: Address): void {
  const old = load<Address>(slot);
  retain(heap, object);
  store<Address>(slot, object);
  defer(heap, old);
}

export function releaseCounted(heap: Heap, entry: Address): void {
  const object = changetype<HandleEntry>(entry).object;
  giveEntry(heap, entry);
  defer(heap, object);
}

/** Ends a scope: its handles become decrements as they are. O(1) */
export function endScopeCounted(scope: Scope): void {
  const heap = scope.heap;
  const stack = scope.stack;
  if (stack.count <= COPY_LIMIT) {
    while (!stack.isEmpty) defer(heap, stack.pop());
  } else heap.pending.absorb(stack);
  closeScope(scope);
}

// ── between events ──────────────────────────────────────────────────────────────────────────────────────────────────

/** The units that are due in this gap between events; 0 if there is nothing to do. */
export function owedToCounting(heap: Heap): u32 {
  const unused = unusedBytes(heap);
  heap.debt += heap.allocated - unused;
  heap.allocated = unused;
  if (isTimeForHeavy(heap)) {
    heap.overruns++;
    return heap.heavyLimit;
  }
  if (!isBusy(heap)) {
    heap.debt = 0;
    return 0;
  }
  const more = heap.debt / HASTE;
  heap.debt -= more;
  return heap.stepUnits + more;
}

/** Has candidates looked at in idle time, also where there are few. */
export function runEarly(heap: Heap): void {
  if (!heap.runLeft && !heap.candidates.isEmpty) beginRuns(heap);
}

/** True if there is work that should not wait. */
function isBusy(heap: Heap): bool {
  return (
    !heap.pending.isEmpty ||
    !heap.releasing.isEmpty ||
    !heap.hooked.isEmpty ||
    !heap.visited.isEmpty ||
    isTimeToRun(heap) ||
    isStale(heap) ||
    heap.zombies.count >= ZOMBIE_LIMIT ||
    !heap.clearing.isEmpty ||
    heap.lost == Lost.SOUGHT ||
    (heap.walkPurpose | heap.purgeLeft | heap.runLeft | heap.forced) != 0
  );
}

/** True if it pays to look for candidates that have been released. */
function isStale(heap: Heap): bool {
  return heap.stale >= STALE_LIMIT && heap.stale * 2 >= heap.candidates.count + heap.heavy.count;
}

/** Works for up to `budget` units; returns those done. Stops early when a hook is to be run. */
export function stepCounting(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  heap.starved = 0;
  while (done < budget && !heap.dying) {
    countStep();
    if (!heap.pending.isEmpty) {
      decrement(heap, heap.pending.pop());
      done++;
    } else if (!heap.releasing.isEmpty) {
      const pair = heap.releasing.popPair();
      done += releaseSlots(heap, load<Address>(pair), load<u32>(pair, 4), budget - done);
    } else if (!heap.hooked.isEmpty) {
      beginHook(heap, heap.hooked.pop());
      done++;
    } else if (!heap.visited.isEmpty) {
      done += advanceCondemned(heap, budget - done);
    } else if (heap.walkPurpose) {
      done += walk(heap, budget - done);
    } else if (heap.lost == Lost.SOUGHT && !heap.starved) {
      beginWalk(heap, Purpose.FIND_LOST);
    } else if (!heap.clearing.isEmpty) {
      free(heap, heap.clearing.pop());
      done++;
    } else if (heap.zombies.count >= (heap.forced ? 1 : ZOMBIE_LIMIT)) {
      heap.clearing.absorb(heap.zombies);
      beginWalk(heap, Purpose.EMPTY_WEAK);
    } else if (heap.purgeLeft) {
      purgeOne(heap);
      done++;
    } else if (isStale(heap)) {
      heap.candidates.absorb(heap.heavy);
      heap.purgeLeft = heap.candidates.count;
    } else if (heap.runLeft) {
      done += collectCycles(heap, budget - done);
    } else if (isTimeForHeavy(heap)) {
      done += collectHeavy(heap, budget - done);
    } else if (isTimeToRun(heap)) {
      beginRuns(heap);
    } else {
      heap.forced = 0;
      heap.debt = 0; // all that it was for is done
      break;
    }
  }
  heap.cycleUnits += done;
  return done;
}

/** Has the next steps do all there is, candidates included, however few there are. */
export function forceCounting(heap: Heap): void {
  heap.forced = 1;
  heap.batch = u32.MAX_VALUE; // runs that had to give up have made it small, and each would visit all that the next one visits
  heap.candidates.absorb(heap.heavy);
  seekLost(heap);
}

/** Ends one reference. Without memory for a list the object is found by a walk later. O(1) */
export function decrement(heap: Heap, object: Address): void {
  let word = countOf(object);
  // A dead object's references are not counted any more; the handles of its hook's scope come here, while it is still there.
  if (word >= SATURATED || word & (Flag.DEAD | Flag.DYING)) return;
  word -= COUNT_ONE;
  setCount(object, word);
  if (word < COUNT_ONE) letGo(heap, object);
  else if (!(word & Flag.BUFFERED) && typeOf(object).cyclicCount) suspect(heap, object);
}

/** An object has lost a reference and kept another: it may be part of a dropped cycle. */
function suspect(heap: Heap, object: Address): void {
  if (heap.candidates.push(object)) setCount(object, (countOf(object) | Flag.BUFFERED) & ~Flag.LOST);
  else lose(heap, object);
}

/** An object has no references left: its hook is run, then its own are taken back. */
function letGo(heap: Heap, object: Address): void {
  if (typeOf(object).isHooked && !(countOf(object) & Flag.HOOKED)) {
    setCount(object, (countOf(object) | Flag.DYING) & ~Flag.LOST);
    if (!heap.hooked.push(object)) lose(heap, object);
  } else startRelease(heap, object);
}

function startRelease(heap: Heap, object: Address): void {
  setCount(object, (countOf(object) & ~(Flag.DYING | Flag.LOST)) | Flag.DEAD);
  bury(heap, object);
  continueRelease(heap, object);
}

function continueRelease(heap: Heap, object: Address): void {
  if (slotsOf(typeOf(object), object) == 0) finishRelease(heap, object);
  else if (!heap.releasing.pushPair(object, 0)) lose(heap, object);
}

/** Counts an object as ended, whose cell is not free yet. */
export function bury(heap: Heap, object: Address): void {
  heap.deadObjects++;
  heap.deadBytes += bytesOfCell(object);
}

/** Frees the cell of an object that has ended. */
function free(heap: Heap, object: Address): void {
  heap.deadObjects--;
  heap.deadBytes -= bytesOfCell(object);
  heap.freedObjects++;
  if (heap.weakHolder == object) heap.weakHolder = 0;
  freeCell(classOf(object), object);
  seekLost(heap);
}

function bytesOfCell(object: Address): u32 {
  const stride = classOf(object).stride;
  return stride ? stride : blockOf(object).pages << PAGE_SHIFT;
}

/** There is no memory to note an object down: a walk finds it later. One that a walk has to give up as well waits for another step. */
export function lose(heap: Heap, object: Address): void {
  setCount(object, countOf(object) | Flag.LOST);
  if (heap.walkPurpose == Purpose.FIND_LOST) {
    heap.starved = 1;
    if (heap.lost == Lost.NONE) heap.lost = Lost.WAITING;
  } else heap.lost = Lost.SOUGHT;
}

/** There may be memory for what was lost. */
function seekLost(heap: Heap): void {
  if (heap.lost) heap.lost = Lost.SOUGHT;
}

/** Takes references of a dead object back, from slot `index` on. Returns the units done. */
function releaseSlots(heap: Heap, object: Address, start: u32, budget: u32): u32 {
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
      // Freed before the last child is let go of: a list of any length is released in constant room.
      finishRelease(heap, object);
      decrement(heap, child);
      return done + 1;
    }
    decrement(heap, child);
  }
  finishRelease(heap, object);
  return done + 1;
}

/** An object's references have been taken back: its cell is freed, unless something still leads to it. */
export function finishRelease(heap: Heap, object: Address): void {
  const word = countOf(object) | Flag.RELEASED;
  setCount(object, word);
  if (word & Flag.BUFFERED) heap.stale++;
  else if (word & Flag.WEAKLY) keepZombie(heap, object);
  else free(heap, object);
}

/** A released object leaves the candidates. */
export function dropBuffered(heap: Heap, object: Address): void {
  const word = countOf(object) & ~Flag.BUFFERED;
  setCount(object, word);
  if (heap.stale) heap.stale--; // an estimate
  if (word & Flag.WEAKLY) keepZombie(heap, object);
  else free(heap, object);
}

/** Looks at one candidate for the purge: it is freed, or kept in a list aside until the last has been looked at. */
function purgeOne(heap: Heap): void {
  if (heap.candidates.isEmpty) heap.purgeLeft = 1;
  else {
    const object = heap.candidates.pop();
    if (countOf(object) & Flag.RELEASED) dropBuffered(heap, object);
    else if (!heap.restored.push(object)) {
      setCount(object, countOf(object) & ~Flag.BUFFERED);
      lose(heap, object);
    }
  }
  if (--heap.purgeLeft) return;
  heap.candidates.absorb(heap.restored);
  heap.stale = 0;
}

/** An object that weak slots may refer to has ended. */
function keepZombie(heap: Heap, object: Address): void {
  if (!heap.zombies.push(object)) lose(heap, object);
}

// ── hooks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export function beginHook(heap: Heap, object: Address): void {
  heap.dying = object;
  heap.dyingType = changetype<Address>(typeOf(object));
}

/** The hook of an object that was let go of has been run. */
export function afterHook(heap: Heap, object: Address): void {
  setCount(object, countOf(object) | Flag.HOOKED);
  if (!(countOf(object) & Flag.DEAD)) startRelease(heap, object);
}

// ── walks over all objects ──────────────────────────────────────────────────────────────────────────────────────────

function beginWalk(heap: Heap, purpose: u32): void {
  heap.walkPurpose = purpose;
  if (purpose == Purpose.FIND_LOST) {
    heap.lost = Lost.NONE;
    startWalk(heap);
  } else startWeakWalk(heap);
}

function walk(heap: Heap, budget: u32): u32 {
  if (!heap.walkClass) {
    heap.walkPurpose = Purpose.NONE;
    return 1;
  }
  if (heap.walkPurpose == Purpose.EMPTY_WEAK) return emptyWeak(heap, budget);
  const object = nextTaken(heap);
  if (object && countOf(object) & Flag.LOST) findAgain(heap, object);
  return 1;
}

/** Puts an object where it would have been, had there been memory. */
function findAgain(heap: Heap, object: Address): void {
  const word = countOf(object) & ~Flag.LOST;
  setCount(object, word);
  if (word & Flag.RELEASED) keepZombie(heap, object);
  else if (word & Flag.DEAD) continueRelease(heap, object);
  else if (word < COUNT_ONE) letGo(heap, object);
  else if (!(word & Flag.BUFFERED)) suspect(heap, object);
}

/** Empties weak slots that refer to dead objects. */
function emptyWeak(heap: Heap, budget: u32): u32 {
  const object = heap.weakHolder;
  if (!object) return nextWeakHolder(heap);
  const type = typeOf(object);
  const count = weakSlotsOf(type, object);
  let done: u32 = 1;
  for (; done <= budget && heap.weakIndex < count; done++) {
    countStep();
    const slot = weakSlotAt(type, object, heap.weakIndex++);
    if (isDead(load<Address>(slot))) store<Address>(slot, 0);
  }
  return heap.weakIndex == count ? done + nextWeakHolder(heap) : done;
}
if (FLAGS & SATURATED) ERROR("flags and count must not overlap");
