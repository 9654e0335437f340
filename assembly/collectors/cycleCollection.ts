// Cycle collection: synchronous trial deletion over candidate roots, between events.
//
// Source: Bacon and Rajan, "Concurrent cycle collection in reference counted systems" (ECOOP 2001), the synchronous algorithm. Each
// phase goes over all candidates of a run before the next begins:
//
//   1. Subtract: what can be reached from the candidates is visited, and every reference inside it is taken off the counts.
//   2. Restore: what still has a count is held from outside; it and all it reaches gets its counts back.
//   3. Condemn: what is left is garbage. It is gathered first; then hooks run; then it is freed.
//
// No phase recurses: the list of visited objects is the queue of the first phase, as in Cheney's copying, and the list of restored
// ones that of the second. Only references between types that may lead back to each other are followed (a strongly connected
// component of the type graph), since no others can close a cycle; types that are part of none never become candidates.
//
// A run visits what its budget allows, but some thousands at least, so that a cycle of some thousand objects is found whatever the
// steps. When it comes to the limit, or memory is out, it adds back exactly what it has subtracted, and the next run takes half as
// many candidates. One whose surroundings are too large by themselves is set aside as heavy, and with it the candidates that it has
// reached, which are likely to come to as much. The heavy ones are tried together when memory has doubled, with a limit that grows
// fourfold each time it is not enough; or without any, if that is asked for.

import { Address } from "../memory/alignment";
import { countStep } from "../memory/work";
import { CellType, cyclicSlotAt, cyclicSlotsOf, otherSlotAt, otherSlotsOf, slotAt, slotsOf, typeOf } from "./cellType";
import { Heap } from "./heap";
import {
  beginHook,
  bury,
  COUNT_ONE,
  countOf,
  decrement,
  dropBuffered,
  Flag,
  finishRelease,
  isDead,
  Lost,
  lose,
  retain,
  SATURATED,
  SPARE_PAGES,
  setCount,
} from "./refcount";
import { WordStack } from "./wordStack";

/** A run visits as many at least. */
const VISITS_MINIMUM: u32 = 4096;
/** What is visited may be taken as a root, subtracted, looked at, restored (met twice), condemned, and counted again for hooks. */
const UNITS_PER_VISIT: u32 = 7;
/** What a step may come to beyond its budget. */
export const RUN_UNITS_MINIMUM: u32 = VISITS_MINIMUM * UNITS_PER_VISIT;

/** The first limit of a run over heavy candidates, and what it is multiplied by when it was not enough. */
const HEAVY_FACTOR: u32 = 4;

/** Candidates at which a run begins, at least, and at most; and the most that one run takes. */
const THRESHOLD_MINIMUM: u32 = 256;
const THRESHOLD_LIMIT: u32 = 1 << 20;
const BATCH_LIMIT: u32 = 1 << 16;

/**
 * The list of visited objects holds what is condemned: first hooks run, then cells are freed. While there are hooks to run the
 * references to what lives count again, so that a hook finds it alive, and are let go of before the first cell is freed.
 */
namespace Condemned {
  export const NONE: u32 = 0;
  export const HOOKS: u32 = 1;
  export const LET_GO: u32 = 2;
  export const FREE: u32 = 3;
}

export function beginCandidates(heap: Heap): void {
  heap.threshold = THRESHOLD_MINIMUM;
  heap.batch = BATCH_LIMIT;
  heap.heavyLimit = HEAVY_FACTOR * RUN_UNITS_MINIMUM;
}

/** True if candidates should be looked at: all of them if it is asked for, many, or some, and memory has doubled since it was last done. */
export function isTimeToRun(heap: Heap): bool {
  const count = heap.candidates.count;
  if (count == 0 || heap.starved) return false;
  return heap.forced != 0 || count >= heap.threshold || heap.blockPages > 2 * heap.runPages + SPARE_PAGES;
}

/** Has the runs that follow look at all candidates of now. */
export function beginRuns(heap: Heap): void {
  heap.runLeft = heap.candidates.count;
  heap.runPages = heap.blockPages;
}

/** Runs once over candidates. Returns the units done, at least one. */
export function collectCycles(heap: Heap, budget: u32): u32 {
  const limit = limitFor(budget);
  const before = heap.candidates.count;
  const roots = takeRoots(heap, heap.candidates, min(heap.batch, limit));
  const done = runOver(heap, roots, limit, roots == 1 ? heap.heavy : heap.candidates);
  if (heap.undone && !heap.starved) {
    heap.batch = max(1, min(heap.batch, roots) >> 1);
    heap.threshold = min(heap.threshold << 1, THRESHOLD_LIMIT);
    if (roots == 1) heap.failedLimit = max(heap.failedLimit, limit);
  }
  // What was given back to be tried again is still to be looked at.
  heap.runLeft -= min(heap.runLeft, before - heap.candidates.count);
  if (heap.candidates.isEmpty) heap.runLeft = 0;
  return done;
}

/** True if memory has doubled since the heavy candidates were tried, so that it may be they who hold it. */
export function isTimeForHeavy(heap: Heap): bool {
  return !heap.heavy.isEmpty && heap.blockPages > 2 * heap.heavyPages + SPARE_PAGES && !heap.starved;
}

/** Runs once over the heavy candidates, as many as the budget allows, together. Returns the units done, at least one. */
export function collectHeavy(heap: Heap, budget: u32): u32 {
  heap.heavyPages = heap.blockPages;
  const limit = limitFor(budget);
  const done = runOver(heap, takeRoots(heap, heap.heavy, limit), limit, heap.heavy);
  if (heap.undone && !heap.starved) heap.heavyLimit = <u32>min<u64>(<u64>heap.heavyLimit * HEAVY_FACTOR, u32.MAX_VALUE);
  return done;
}

function limitFor(budget: u32): u32 {
  return max(budget / UNITS_PER_VISIT, VISITS_MINIMUM);
}

/** The phases of a run over the roots that have been taken; they come to `list` if it is undone. Returns the units done, at least one. */
function runOver(heap: Heap, roots: u32, limit: u32, list: WordStack): u32 {
  let done: u32 = heap.rootUnits;
  heap.undone = 0;
  heap.roots = roots;
  if (roots == 0) return done;
  done += subtract(heap, limit);
  const visited = heap.visited.count;
  if (!heap.undone && !heap.restored.reserve(visited)) {
    starve(heap);
    undo(heap, 0, 0);
  }
  if (heap.undone) {
    giveRootsBack(heap, roots, list);
    return done * 2;
  }
  done += visited + restore(heap);
  forgetRoots(heap, roots);
  const garbage = condemn(heap);
  if (heap.condemnedPhase == Condemned.HOOKS) done += holdLiving(heap);
  adapt(heap, visited, garbage);
  return done + visited;
}

/** Moves up to `limit` objects of `list` to that of visited ones; those that have been released meanwhile are freed. Returns how many were moved. */
function takeRoots(heap: Heap, list: WordStack, limit: u32): u32 {
  let roots: u32 = 0;
  let units: u32 = 0;
  for (; units < limit && !list.isEmpty; units++) {
    countStep();
    const object = list.pop();
    const word = countOf(object);
    if (word & Flag.RELEASED) {
      dropBuffered(heap, object);
      continue;
    }
    if (word & (Flag.DEAD | Flag.DYING)) {
      setCount(object, word & ~Flag.BUFFERED); // it has no references left, and a walk has still to find it
      continue;
    }
    if (word & Flag.HEAVY && limit <= heap.failedLimit && list != heap.heavy) {
      if (!heap.heavy.push(object)) forsake(heap, object);
      continue;
    }
    if (!heap.visited.push(object)) {
      list.push(object); // there is room: it has just come from there
      if (roots == 0) starve(heap);
      break;
    }
    setCount(object, (word & ~Flag.HEAVY) | Flag.VISITED);
    roots++;
  }
  heap.rootUnits = units + 1;
  return roots;
}

/** Phase 1. Returns the units done; `undone` tells that it came to its limit, and has taken everything back. */
function subtract(heap: Heap, limit: u32): u32 {
  const walk = heap.walk;
  let done: u32 = 0;
  walk.start(heap.visited);
  for (let place = walk.next(heap.visited); place; place = walk.next(heap.visited)) {
    const object = load<Address>(place);
    const type = typeOf(object);
    const count = cyclicSlotsOf(type, object);
    done++;
    for (let index: u32 = 0; index < count; index++) {
      countStep();
      if (done >= limit) {
        undo(heap, object, index);
        return done;
      }
      done++;
      const child = load<Address>(cyclicSlotAt(type, object, index));
      if (!child) continue;
      const word = countOf(child);
      if (word >= SATURATED) continue;
      if (word & Flag.VISITED) {
        setCount(child, word - COUNT_ONE);
        continue;
      }
      if (!heap.visited.push(child)) {
        starve(heap);
        undo(heap, object, index);
        return done;
      }
      setCount(child, (word - COUNT_ONE) | Flag.VISITED);
    }
  }
  return done;
}

/** There is no memory for the lists of a run: no other is tried in this step. */
function starve(heap: Heap): void {
  heap.starved = 1;
  heap.runLeft = 0;
}

/** Adds back what was subtracted for all visited objects before `last`, and for the slots of `last` before `end`; all of them if it is 0. */
function undo(heap: Heap, last: Address, end: u32): void {
  const walk = heap.walk;
  heap.undone = 1;
  const isAlone = heap.roots == 1 && !heap.starved;
  walk.start(heap.visited);
  let isBefore = true;
  for (let place = walk.next(heap.visited); place; place = walk.next(heap.visited)) {
    const object = load<Address>(place);
    const word = countOf(object) & ~Flag.VISITED;
    setCount(object, isAlone && word & Flag.BUFFERED ? word | Flag.HEAVY : word);
    if (!isBefore) continue;
    const type = typeOf(object);
    isBefore = object != last;
    addBack(type, object, isBefore ? cyclicSlotsOf(type, object) : end);
  }
}

function addBack(type: CellType, object: Address, count: u32): void {
  for (let index: u32 = 0; index < count; index++) {
    countStep();
    const child = load<Address>(cyclicSlotAt(type, object, index));
    if (!child) continue;
    const word = countOf(child);
    if (word < SATURATED) setCount(child, word + COUNT_ONE);
  }
}

/** The first `roots` of the visited objects come to `list`, which they, or others like them, have been taken from. */
function giveRootsBack(heap: Heap, roots: u32, list: WordStack): void {
  const walk = heap.walk;
  walk.start(heap.visited);
  for (let index: u32 = 0; index < roots; index++) {
    countStep();
    const object = load<Address>(walk.next(heap.visited));
    if (list.push(object)) continue;
    forsake(heap, object);
  }
  heap.visited.clear();
}

/** There is no memory to keep a candidate. */
function forsake(heap: Heap, object: Address): void {
  setCount(object, countOf(object) & ~Flag.BUFFERED);
  // Found again at once, it would come here again.
  const lost = heap.lost;
  lose(heap, object);
  if (lost != Lost.SOUGHT) heap.lost = Lost.WAITING;
}

/** Phase 2. Returns the units done. */
function restore(heap: Heap): u32 {
  const walk = heap.walk;
  const restored = heap.restored;
  let done: u32 = 0;
  walk.start(heap.visited);
  for (let place = walk.next(heap.visited); place; place = walk.next(heap.visited)) {
    countStep();
    restoreOne(heap, load<Address>(place));
  }
  walk.start(restored);
  for (let place = walk.next(restored); place; place = walk.next(restored)) {
    const object = load<Address>(place);
    const type = typeOf(object);
    const count = cyclicSlotsOf(type, object);
    done += count + 1;
    for (let index: u32 = 0; index < count; index++) {
      countStep();
      const child = load<Address>(cyclicSlotAt(type, object, index));
      if (!child) continue;
      const word = countOf(child);
      if (word >= SATURATED) continue;
      setCount(child, word + COUNT_ONE);
      restoreOne(heap, child);
    }
  }
  restored.clear();
  return done;
}

/** An object that has a count is live. There is room for it in the list: each comes to it once. */
function restoreOne(heap: Heap, object: Address): void {
  const word = countOf(object);
  if (!(word & Flag.VISITED) || word < COUNT_ONE) return;
  setCount(object, word & ~Flag.VISITED);
  heap.restored.push(object);
}

/** The first `roots` of the visited objects are candidates no more. */
function forgetRoots(heap: Heap, roots: u32): void {
  const walk = heap.walk;
  walk.start(heap.visited);
  for (let index: u32 = 0; index < roots; index++) {
    countStep();
    const object = load<Address>(walk.next(heap.visited));
    setCount(object, countOf(object) & ~Flag.BUFFERED);
  }
}

/** Phase 3: keeps in the list what is still marked as visited, and has it end. Returns how many objects that is. */
function condemn(heap: Heap): u32 {
  const walk = heap.walk;
  const writer = heap.writer;
  let garbage: u32 = 0;
  let hooks: u32 = 0;
  walk.start(heap.visited);
  writer.start(heap.visited);
  for (let place = walk.next(heap.visited); place; place = walk.next(heap.visited)) {
    countStep();
    const object = load<Address>(place);
    const word = countOf(object);
    if (!(word & Flag.VISITED)) continue;
    setCount(object, (word & ~(Flag.VISITED | Flag.LOST)) | Flag.DEAD);
    bury(heap, object);
    hooks += typeOf(object).isHooked ? 1 : 0;
    store<Address>(writer.next(heap.visited), object);
    garbage++;
  }
  heap.visited.truncate(garbage);
  heap.cycles++;
  heap.lastCycleUnits = heap.cycleUnits;
  heap.cycleUnits = 0;
  heap.condemnedIndex = 0;
  if (garbage == 0) heap.visited.clear();
  else heap.condemnedPhase = hooks ? Condemned.HOOKS : Condemned.FREE;
  return garbage;
}

/** Counts what the condemned refer to and what lives, until their hooks have run. Returns the units done. */
function holdLiving(heap: Heap): u32 {
  const walk = heap.walk;
  let done: u32 = 0;
  walk.start(heap.visited);
  for (let place = walk.next(heap.visited); place; place = walk.next(heap.visited)) {
    const object = load<Address>(place);
    const type = typeOf(object);
    const count = cyclicSlotsOf(type, object);
    done += count + 1;
    for (let index: u32 = 0; index < count; index++) {
      countStep();
      const child = load<Address>(cyclicSlotAt(type, object, index));
      if (child && !isDead(child)) retain(heap, child);
    }
  }
  walk.start(heap.visited);
  return done;
}

/** A run that has found little makes the next one wait for more candidates. */
function adapt(heap: Heap, visited: u32, garbage: u32): void {
  heap.batch = min(heap.batch, BATCH_LIMIT >> 1) << 1;
  if (garbage * 4 < visited) heap.threshold = min(heap.threshold << 1, THRESHOLD_LIMIT);
  else heap.threshold = max(heap.threshold >> 1, THRESHOLD_MINIMUM);
}

// ── the end of the condemned ────────────────────────────────────────────────────────────────────────────────────────

/** Runs hooks and frees, for up to `budget` units. Returns those done, at least one. */
export function advanceCondemned(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    countStep();
    done++;
    if (heap.condemnedPhase == Condemned.HOOKS) {
      const place = heap.walk.next(heap.visited);
      if (place) {
        const object = load<Address>(place);
        if (!typeOf(object).isHooked) continue;
        beginHook(heap, object);
        return done;
      }
      heap.condemnedPhase = Condemned.LET_GO;
      heap.walk.start(heap.visited);
      heap.condemnedObject = 0;
    } else if (heap.condemnedPhase == Condemned.LET_GO) {
      done += letLivingGo(heap, budget - done);
    } else if (heap.visited.isEmpty) {
      heap.condemnedPhase = Condemned.NONE;
      return done;
    } else done += freeCondemned(heap, heap.visited.pop(), budget - done);
  }
  return done;
}

/** Takes back what `holdLiving` and hooks have counted, for up to `budget` slots and one more. */
function letLivingGo(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  if (!heap.condemnedObject) {
    const place = heap.walk.next(heap.visited);
    if (!place) {
      heap.condemnedPhase = Condemned.FREE;
      return 0;
    }
    heap.condemnedObject = load<Address>(place);
  }
  const object = heap.condemnedObject;
  const type = typeOf(object);
  const count = slotsOf(type, object);
  for (; heap.condemnedIndex < count; done++) {
    if (done > budget) return done;
    countStep();
    const slot = slotAt(type, object, heap.condemnedIndex++);
    const child = load<Address>(slot);
    if (!child) continue;
    store<Address>(slot, 0); // a hook may have stored a dead object anywhere, which is freed before this one
    if (!isDead(child)) decrement(heap, child);
  }
  heap.condemnedIndex = 0;
  heap.condemnedObject = 0;
  return done;
}

/** Takes the references of a condemned object to other types back, and frees it. Those to its own were taken off by the run. */
function freeCondemned(heap: Heap, object: Address, budget: u32): u32 {
  const type = typeOf(object);
  const count = otherSlotsOf(type, object);
  let done: u32 = 0;
  for (; heap.condemnedIndex < count; done++) {
    if (done > budget) {
      heap.visited.push(object); // there is room: it has just come from there
      return done;
    }
    countStep();
    const child = load<Address>(otherSlotAt(type, object, heap.condemnedIndex++));
    if (child) decrement(heap, child);
  }
  heap.condemnedIndex = 0;
  finishRelease(heap, object);
  return done;
}
