// Cycle collection: trial deletion over candidate roots, in steps between events.
//
//   ──begin──▶ VISIT ──▶ CHECK ──▶ SETTLE ──▶ TRIM ──▶ HOOKS ──▶ LET_GO ──▶ FREE ──▶ (VISIT again, or the end)
//
//   VISIT   what can be reached from the candidates is entered in a list, and every reference inside it counted: the inner count.
//   CHECK   what has another count than the inner one is held from outside, and so is all that it reaches.
//   SETTLE  the words go back to their objects. What is not held is garbage, and condemned: it is gathered first,
//   HOOKS   then hooks run, while everything is there and all that the condemned refer to still counts;
//   LET_GO  then their references are taken back; what may be garbage because of that is looked at by the same run,
//   FREE    and their cells are freed.
//
// Source: Bacon and Rajan, "Concurrent cycle collection in reference counted systems" (ECOOP 2001): their synchronous algorithm,
// each phase over all candidates before the next, with a count of its own, as in their concurrent one, and so with nothing to be
// restored. No phase recurses: the list of visits is the queue of the first, as in Cheney's copying, and the second has a list
// through its entries. Only references between types that may lead back to each other are followed (a strongly connected component
// of the type graph), since no others can close a cycle; types that are part of none never become candidates.
//
// Why it may be left and entered again between any two slots. A run works only when no decrement waits (see stepCounting), so at
// such a moment a count says how many references there are. An object that is visited and loses one is held at once (takeOffAway),
// and so is one that a weak slot is asked for (loadWeakCounted). Say that CHECK has come to its end, and v is visited and not held.
// No reference to v that was seen has gone since, so all of them were there when v was checked, and its count was the same: there
// was no other. Suppose that the program can reach v. Then the last reference on its way to the first such v comes
//   - from a visited object that is held: that has been looked through since, and would have held v;
//   - or from a handle, or an object that is not visited: it was stored after v was checked. The program then had v from somewhere:
//     from a weak slot, which would have held v; or from a visited object that is not held, which it had in turn; or from one that
//     is, and still has the reference, which would have held v. Going back like that ends, at one of those that cannot be.
// So it is garbage, and stays so: only weak slots lead to it, and they count as empty from then on (isCondemned).
//
// An object for whose entry there is no memory is simply not visited: the references that it has are from outside then. What was
// held perhaps only because of that comes to the candidates again. Candidates that no entry could be made for stay in their list.
//
// What was garbage when the run began, and is reached from its candidates, is gone when it ends: nobody could have touched it.

import { Address } from "../memory/alignment";
import { countStep } from "../memory/work";
import { bytesOf, CellClass } from "./cellClass";
import { CellType, cyclicSlotAt, cyclicSlotsOf, slotAt, slotsOf, typeOf } from "./cellType";
import {
  COUNT_ONE,
  FLAGS,
  Flag,
  giveWord,
  hold,
  isDead,
  NONE,
  SATURATED,
  setWord,
  takeWord,
  VISIT_BYTES,
  Visit,
  visitOf,
  wordOf,
} from "./countWord";
import { Heap, Run } from "./heap";
import { beginHook, bury, decrement, dropBuffered, endReleased, finishRelease, suspect } from "./release";
import { CHUNK_WORDS, WordStack } from "./wordStack";

if ((CHUNK_WORDS * 4) % VISIT_BYTES) ERROR("an entry must not lie in two chunks");

/** The units of a run for each object, and for each reference: one for each phase that looks at it, if it is garbage with a hook. */
const OBJECT_UNITS: u64 = 6;
const SLOT_UNITS: u64 = 2;

const GONE: u32 = Flag.DEAD | Flag.DYING;

/** True if there is something that a run could begin with. */
export function hasCandidates(heap: Heap): bool {
  return !heap.candidates.isEmpty || !heap.roots.isEmpty;
}

/** Begins a run over all candidates of now. There must be none under way. O(1) */
export function beginRun(heap: Heap): void {
  heap.roots.absorb(heap.candidates);
  beginVisits(heap);
}

function beginVisits(heap: Heap): void {
  heap.runPhase = Run.VISIT;
  heap.runShort = 0;
  heap.held = NONE;
  heap.runObject = 0;
  heap.walk.start(heap.visited);
}

/** The most units that a run which begins now can come to, unless the program makes more meanwhile. O(classes) */
export function workOfRun(heap: Heap): u32 {
  let work: u64 = 0;
  for (let address = heap.classes; address; ) {
    const c = changetype<CellClass>(address);
    if (!c.type) {
      if (!c.isLeaf) work += <u64>c.taken * OBJECT_UNITS + <u64>(bytesOf(c) >> 2) * SLOT_UNITS;
    } else if (changetype<CellType>(c.type).cyclicCount) {
      work += <u64>c.taken * (OBJECT_UNITS + SLOT_UNITS * changetype<CellType>(c.type).slotCount);
    }
    address = c.nextClass;
  }
  return <u32>min<u64>(work, u32.MAX_VALUE);
}

/** Works in the present phase of a run for up to `budget` units. Returns those done, at least one. */
export function advanceRun(heap: Heap, budget: u32): u32 {
  if (heap.runPhase == Run.VISIT) return visitAll(heap, budget);
  if (heap.runPhase == Run.CHECK) return checkAll(heap, budget);
  if (heap.runPhase == Run.SETTLE) return settleAll(heap, budget);
  if (heap.runPhase == Run.TRIM) return trim(heap);
  if (heap.runPhase == Run.HOOKS) return runHooks(heap, budget);
  return heap.runPhase == Run.LET_GO ? letGoOfAll(heap, budget) : freeAll(heap, budget);
}

/** The entry that the walk comes to next; 0 at the end. */
function nextVisit(heap: Heap): Visit {
  const place = heap.walk.next(heap.visited);
  if (place) heap.walk.place = place + VISIT_BYTES;
  return changetype<Visit>(place);
}

// ── what is reached ─────────────────────────────────────────────────────────────────────────────────────────────────

function visitAll(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    if (heap.runObject) {
      done += countInner(heap, changetype<Visit>(heap.runObject), budget - done);
      continue;
    }
    countStep();
    done++;
    const next = nextVisit(heap);
    heap.runObject = changetype<Address>(next);
    heap.runIndex = 0;
    if (heap.runObject) continue;
    if (!heap.roots.isEmpty && takeRoot(heap, heap.roots.pop())) continue;
    heap.runPhase = Run.CHECK;
    heap.walk.start(heap.visited);
    return done;
  }
  return done;
}

/** Looks at references of a visited object, for up to `budget` units. Returns those done, at least one. */
function countInner(heap: Heap, visit: Visit, budget: u32): u32 {
  const object = visit.object;
  const type = typeOf(object);
  const end: u32 = visit.word & GONE ? 0 : cyclicSlotsOf(type, object);
  let index = heap.runIndex;
  let done: u32 = 0;
  for (; index < end && done < budget; index++) {
    countStep();
    done++;
    const child = load<Address>(cyclicSlotAt(type, object, index));
    if (child) countOne(heap, child);
  }
  heap.runIndex = index;
  if (index >= end) heap.runObject = 0;
  return max(done, 1);
}

/** Counts a reference that was seen, and visits what it leads to. */
function countOne(heap: Heap, object: Address): void {
  let seen = visitOf(object);
  if (!changetype<Address>(seen)) {
    seen = enter(heap, object);
    if (!changetype<Address>(seen)) return;
  }
  seen.inner += COUNT_ONE;
}

/** Makes an entry for an object; 0 for one that needs none, or if there is no memory. */
function enter(heap: Heap, object: Address): Visit {
  const word = wordOf(object);
  if (word >= SATURATED || word & GONE) return changetype<Visit>(0);
  const visited = heap.visited;
  if (!visited.pushPair(object, word)) {
    heap.runShort = 1;
    return changetype<Visit>(0);
  }
  visited.pushPair(0, 0); // there is room: a chunk holds whole entries
  const visit = changetype<Visit>(visited.top - VISIT_BYTES);
  takeWord(visit);
  return visit;
}

/** Begins with one of the roots. Returns false if there is no memory for that: it is a root still. */
function takeRoot(heap: Heap, object: Address): bool {
  const word = wordOf(object);
  if (word & Flag.RELEASED) {
    dropBuffered(heap, object);
    return true;
  }
  setWord(object, word & ~Flag.BUFFERED);
  if (word & GONE || word >= SATURATED) return true;
  let visit = visitOf(object);
  if (!changetype<Address>(visit)) visit = enter(heap, object);
  else if (visit.isHeld) {
    // It was visited, and has lost a reference or been found by a weak slot, before it was taken: the next run can tell.
    suspect(heap, object);
    return true;
  }
  if (changetype<Address>(visit)) {
    visit.word |= Flag.ROOT;
    return true;
  }
  setWord(object, word);
  heap.roots.push(object); // there is room: it has just come from there
  return false;
}

// ── what is held ────────────────────────────────────────────────────────────────────────────────────────────────────

function checkAll(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    if (heap.runObject) {
      done += holdReached(heap, changetype<Visit>(heap.runObject), budget - done);
      continue;
    }
    countStep();
    done++;
    if (heap.held != NONE) {
      heap.runObject = heap.held;
      heap.runIndex = 0;
      heap.held = changetype<Visit>(heap.held).next;
      continue;
    }
    const next = nextVisit(heap);
    if (!changetype<Address>(next)) {
      beginSettling(heap);
      return done;
    }
    if (!next.isHeld && !isInner(next)) hold(heap, next);
  }
  return done;
}

/** True if the run has seen all references to an object. One that has come to its end meanwhile has lost some, and is held. */
function isInner(visit: Visit): bool {
  return (visit.word & ~FLAGS) == visit.inner && visit.word < SATURATED;
}

/** What a held object refers to is held too. */
function holdReached(heap: Heap, visit: Visit, budget: u32): u32 {
  const object = visit.object;
  const type = typeOf(object);
  const end: u32 = visit.word & Flag.RELEASED ? 0 : cyclicSlotsOf(type, object);
  let index = heap.runIndex;
  let done: u32 = 0;
  for (; index < end && done < budget; index++) {
    countStep();
    done++;
    const child = load<Address>(cyclicSlotAt(type, object, index));
    if (!child) continue;
    const reached = visitOf(child);
    if (changetype<Address>(reached)) hold(heap, reached);
  }
  heap.runIndex = index;
  if (index >= end) heap.runObject = 0;
  done = max(done, 1);
  heap.runHeld += done;
  return done;
}

// ── what is garbage ─────────────────────────────────────────────────────────────────────────────────────────────────

function beginSettling(heap: Heap): void {
  heap.runPhase = Run.SETTLE;
  heap.runGarbage = 0;
  heap.runHooks = 0;
  heap.walk.start(heap.visited);
  heap.writer.start(heap.visited);
}

/** True for an object that the run has found to be garbage, and has not come to yet to say so in its word. */
export function isCondemned(heap: Heap, object: Address): bool {
  if (heap.runPhase != Run.SETTLE) return false;
  const visit = visitOf(object);
  return changetype<Address>(visit) != 0 && !visit.isHeld;
}

/** Gives objects their words back, and keeps in the list, a word each, those that are condemned. */
function settleAll(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    countStep();
    done++;
    const next = nextVisit(heap);
    if (!changetype<Address>(next)) {
      heap.runPhase = Run.TRIM;
      return done;
    }
    const object = next.object;
    const word = next.word & ~Flag.ROOT;
    if (next.isHeld) {
      const isRoot = next.word != word;
      giveWord(object, word);
      if (word & Flag.RELEASED) {
        if (!(word & Flag.BUFFERED)) endReleased(heap, object, word);
      } else if (heap.runShort && isRoot && !(word & (Flag.BUFFERED | GONE))) suspect(heap, object);
    } else {
      giveWord(object, (word & ~Flag.LOST) | Flag.DEAD);
      bury(heap, object);
      if (typeOf(object).isHooked) heap.runHooks = 1;
      store<Address>(heap.writer.next(heap.visited), object);
      heap.runGarbage++;
    }
  }
  return done;
}

/** Takes a chunk off the list that is not needed for the condemned. */
function trim(heap: Heap): u32 {
  countStep();
  if (!heap.visited.shorten(heap.runGarbage)) return 1;
  heap.runObject = 0;
  heap.runIndex = 0;
  heap.walk.start(heap.visited);
  heap.runPhase = heap.runHooks ? Run.HOOKS : Run.LET_GO;
  return 1;
}

function runHooks(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    countStep();
    done++;
    const place = heap.walk.next(heap.visited);
    if (!place) {
      heap.runPhase = Run.LET_GO;
      heap.walk.start(heap.visited);
      return done;
    }
    const object = load<Address>(place);
    if (!typeOf(object).isHooked) continue;
    beginHook(heap, object);
    return done;
  }
  return done;
}

/** Takes back all references of the condemned. */
function letGoOfAll(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    if (heap.runObject) {
      done += letGoOf(heap, heap.runObject, budget - done);
      continue;
    }
    countStep();
    done++;
    const place = heap.walk.next(heap.visited);
    if (!place) {
      heap.runPhase = Run.FREE;
      return done;
    }
    heap.runObject = load<Address>(place);
    heap.runIndex = 0;
  }
  return done;
}

function letGoOf(heap: Heap, object: Address, budget: u32): u32 {
  const type = typeOf(object);
  const end = slotsOf(type, object);
  let index = heap.runIndex;
  let done: u32 = 0;
  for (; index < end && done < budget; index++) {
    countStep();
    done++;
    const slot = slotAt(type, object, index);
    const child = load<Address>(slot);
    if (!child) continue;
    store<Address>(slot, 0);
    if (!isDead(child)) decrement(heap, child);
  }
  heap.runIndex = index;
  if (index >= end) heap.runObject = 0;
  return max(done, 1);
}

function freeAll(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    countStep();
    done++;
    if (heap.visited.isEmpty) {
      endPass(heap);
      return done;
    }
    finishRelease(heap, heap.visited.pop());
  }
  return done;
}

/**
 * What the condemned referred to may have become garbage, and is looked at next: the run would leave it standing otherwise. If it
 * has condemned nothing, or has no memory, what it has not taken waits for the next one, as a candidate.
 */
function endPass(heap: Heap): void {
  if (heap.runShort && !heap.runGarbage) heap.starved = 1;
  if (heap.runGarbage && !heap.runShort && !heap.roots.isEmpty) {
    beginVisits(heap);
    return;
  }
  if (!heap.roots.isEmpty || !heap.candidates.base) heap.candidates.absorb(heap.roots); // or a chunk, at least
  heap.runPhase = Run.NONE;
}
