// Reference counting: deferred decrements, drained between events, with trial deletion for cycles (cycleCollection.ts).
//
// Slots and handles count. A store adds to the new object at once and queues the old one (Deutsch and Bobrow, "An efficient,
// incremental, automatic garbage collector", 1976, defer as well; here only decrements are), so that nothing is freed during an
// event. Draining takes one from the count: see release.ts for what follows from that.
//
// Pacing. An object costs two units and one for each slot, once, when it is freed; that is at most 3/8 as many as it has bytes. So
// a debt grows by a unit for each byte that is allocated: in the long run more than twice what the objects will cost, and the
// backlog of a saturated program shrinks. A gap between events pays `stepUnits`, and an eighth of the debt: no gap pays for one
// large object.
//
// What is not freed by its count is paced as in markSweep.ts, by the growth G of all objects since the last run of cycle collection
// ended: bytes made less bytes freed. Call L what that run had looked at and kept, and A = L ÷ 3, but at least `minimumBytes`. A run
// begins, as soon as nothing waits to be drained, when G = A; or sooner, when G has as many bytes as the last one had units for what
// lives, so that rings are found soon where candidates do not reach much else; or when the program was refused memory, and then all
// that is left of it is due. Its work W is known then, but for what is made while it runs, which costs, with its freeing, 3/2 units a
// byte at most. When a byte is allocated meanwhile, W ÷ (7/8 A) units and a half become due beside that one. So the run is over before A more has been allocated, if eight events do not allocate an eighth of it;
// when G has grown by A more and it is not, then it is finished at once, and counted as an overrun. The last run may have left A that
// was made while it ran; A more began this one; A more comes until it ends: there are never more than L + 3A = 2L bytes, or L and
// three times `minimumBytes`, beside what waits to be drained, and what one event allocates.
// Had the growth been compared with all that was left, garbage and all, or the candidates with their number, as it once was,
// garbage would have made room for more: a loop that kept some rings and dropped others came to 7.6 times what lived.
//
// An object that has ended keeps its cell while it is in the list of candidates, or weak slots may refer to it. The candidates are
// purged when such objects have half of `minimumBytes`, or more where there are more candidates than that, and weak slots are emptied
// when these have as much, or a sixth of all bytes: so they never have more than A, beside the rest.

import { Address } from "../memory/alignment";
import { fail } from "../memory/root";
import { Status } from "../memory/status";
import { countStep } from "../memory/work";
import { bytesOf, CellClass, objectAround, unusedBytes } from "./cellClass";
import { beginWalk, walk } from "./countingWalk";
import { Flag, hold, isDead, retain, setWord, Visit, visitOf, wordOf } from "./countWord";
import { advanceRun, beginRun, hasCandidates, isCondemned, workOfRun } from "./cycleCollection";
import { giveEntry, HandleEntry } from "./handleTable";
import { Heap, Lost, Refused, Run, seekLost } from "./heap";
import { ALL, countOverrun, earlyTrigger, HASTE } from "./pacing";
import { beginHook, decrement, defer, dropBuffered, free, lose, Purpose, releaseSlots, suspect } from "./release";
import { closeScope, Scope } from "./scope";

/** Freed objects that weak slots may refer to, from which on the slots are emptied, however few bytes these have. */
const ZOMBIE_LIMIT: u32 = 1024;

/** Released candidates from which on they are looked for, likewise. */
const STALE_LIMIT: u32 = 1024;

/** The units of a run for each of those in which it looks through what is held: to be entered, looked into, compared, held, settled. */
const HELD_UNITS: u32 = 6;

/** In idle time a run begins with half the growth, or with as many candidates. */
const IDLE_CANDIDATES: u32 = 256;

/** More than any list of handles that is worth copying: a longer one is taken over as it is. */
const COPY_LIMIT: u32 = 64;

// ── what the program does ───────────────────────────────────────────────────────────────────────────────────────────

/** Stores a reference. Returns 0 with a status where it would bring a dead object back. */
export function storeCounted(heap: Heap, slot: Address, value: Address): u32 {
  // A dead object is no longer counted, and only a hook can know one.
  if (heap.dying && isDead(value)) {
    if (!isDead(objectAround(slot))) return <u32>fail(Status.RESURRECTION, <u32>value);
  } else if (value) retain(value);
  const old = load<Address>(slot);
  store<Address>(slot, value);
  if (old) defer(heap, old);
  return 1;
}

/** The object of a weak slot, or 0 if it is dead. */
export function loadWeakCounted(heap: Heap, slot: Address): Address {
  const target = load<Address>(slot);
  if (!target || isDead(target) || isCondemned(heap, target)) return 0;
  const visit = visitOf(target);
  if (changetype<Address>(visit)) holdLoaded(heap, visit);
  return target;
}

/** The run under way cannot tell any more whether an object is garbage, since the program has found it; the next one can. */
function holdLoaded(heap: Heap, visit: Visit): void {
  hold(heap, visit);
  if (!(visit.word & Flag.BUFFERED)) suspect(heap, visit.object);
}

export function storeWeakCounted(slot: Address, value: Address): u32 {
  if (value) {
    if (isDead(value)) return <u32>fail(Status.RESURRECTION, <u32>value);
    setWord(value, wordOf(value) | Flag.WEAKLY);
  }
  store<Address>(slot, value);
  return 1;
}

/** Points a handle to another object, which is not dead. */
export function moveCounted(heap: Heap, slot: Address, object: Address): void {
  const old = load<Address>(slot);
  retain(object);
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
  accountForMade(heap);
  if (!isBusy(heap)) {
    settled(heap);
    return 0;
  }
  if (isLate(heap)) {
    countOverrun(heap, heap.runUnits);
    return ALL;
  }
  return (
    heap.stepUnits + max(heap.debt, isWanted(heap) ? heap.cycleBound - min(heap.cycleBound, heap.runUnits) : 0) / HASTE
  );
}

/** True if what is left of the run under way is due whatever is allocated, as nothing is: the program was refused memory. */
function isWanted(heap: Heap): bool {
  return heap.refused != Refused.NOTHING && heap.runPhase != Run.NONE;
}

/** There is nothing left to do: nothing is owed, and nothing more could be had for what was refused. */
function settled(heap: Heap): void {
  heap.debt = 0;
  heap.refused = Refused.NOTHING;
}

/** Takes account of what has been allocated. O(classes) */
export function accountForMade(heap: Heap): void {
  const unused = unusedBytes(heap);
  const made = heap.allocated - unused;
  heap.allocated = unused;
  let due: u64 = made;
  if (heap.runPhase) {
    heap.runMade = sum(heap.runMade, made);
    const scheduled = heap.headroom - (heap.headroom >> 3);
    due += (made >> 1) + (<u64>heap.cycleBound * made) / scheduled;
  }
  heap.debt = <u32>min<u64>(due + heap.debt, u32.MAX_VALUE);
  heap.growth = sum(heap.growth, made);
}

/** True if a run should begin: if it is asked for, if the program was refused memory, or if the objects have grown by enough. */
function isTimeToRun(heap: Heap): bool {
  if (heap.runPhase || heap.starved || !hasCandidates(heap)) return false;
  return heap.forced != 0 || heap.refused == Refused.WAITING || hasGrown(heap, heap.trigger);
}

/** True if the objects have grown by `bytes` since the last run. What has been freed meanwhile is looked at only where that matters. */
function hasGrown(heap: Heap, bytes: u32): bool {
  if (heap.growth < bytes) return false;
  const now = bytesNow(heap);
  heap.base = min(heap.base, now);
  heap.growth = now - heap.base;
  return heap.growth >= bytes;
}

/** The bytes of all objects that have not ended. O(classes) */
function bytesNow(heap: Heap): u32 {
  let bytes: u32 = 0;
  for (let address = heap.classes; address; ) {
    bytes += bytesOf(changetype<CellClass>(address));
    address = changetype<CellClass>(address).nextClass;
  }
  return bytes - heap.deadBytes;
}

function sum(one: u32, other: u32): u32 {
  return <u32>min<u64>(<u64>one + other, u32.MAX_VALUE);
}

function startRun(heap: Heap): void {
  heap.cycleBound = workOfRun(heap);
  heap.runGrowth = heap.growth;
  heap.runMade = 0;
  heap.runUnits = 0;
  heap.runHeld = 0;
  if (heap.refused) heap.refused = Refused.SOUGHT;
  beginRun(heap);
}

/** True if memory would not stay bounded if the run went on step by step. */
function isLate(heap: Heap): bool {
  return heap.runPhase != Run.NONE && hasGrown(heap, sum(heap.runGrowth, heap.headroom));
}

/** Begins a run in idle time, where one would not be long in coming. */
export function runEarly(heap: Heap): void {
  // One that was short of memory a moment ago would be again, for as long as idle time lasts.
  if ((heap.runPhase | heap.purgeLeft | heap.starved) != 0 || !hasCandidates(heap)) return;
  if (!heap.pending.isEmpty || !heap.releasing.isEmpty || !heap.hooked.isEmpty) return; // when all is drained
  if (heap.candidates.count >= IDLE_CANDIDATES || hasGrown(heap, earlyTrigger(heap))) startRun(heap);
}

/** A run has ended. O(classes) */
function endRun(heap: Heap): void {
  const bytes = bytesNow(heap);
  const kept = bytes - min(bytes, heap.runMade);
  heap.headroom = max(heap.minimumBytes, kept / 3);
  const spent = <u32>min<u64>(<u64>heap.runHeld * HELD_UNITS, heap.headroom);
  heap.trigger = max(heap.minimumBytes, spent);
  if (heap.listsFull && !heap.starved) {
    // Each candidate has been looked at, or something was freed: so the next walk finds fewer to be lost again, and this ends.
    heap.listsFull = 0;
    seekLost(heap);
  }
  if (heap.starved) {
    // It was short of memory, and has found nothing: another is to wait until there may be some.
    heap.forced = 0;
    heap.trigger = max<u32>(heap.trigger >> 3, 1);
  }
  // One that was short of memory, and has freed some, has made room for another.
  if (heap.refused == Refused.SOUGHT && heap.runShort && !heap.starved) heap.refused = Refused.WAITING;
  heap.base = bytes;
  heap.growth = 0;
  heap.floatingBytes = heap.runMade;
  heap.cycles++;
  heap.lastCycleUnits = heap.runUnits;
}

/** True if there is work that should not wait. */
function isBusy(heap: Heap): bool {
  return (
    !heap.pending.isEmpty ||
    !heap.releasing.isEmpty ||
    !heap.hooked.isEmpty ||
    isStale(heap) ||
    isTimeToRun(heap) ||
    areZombiesMany(heap) ||
    (heap.refused != Refused.NOTHING && !heap.zombies.isEmpty) ||
    !heap.clearing.isEmpty ||
    heap.lost == Lost.SOUGHT ||
    (heap.runPhase | heap.walkPurpose | heap.purgeLeft | heap.forced) != 0
  );
}

/** True if it pays to look for candidates that have been released. */
function isStale(heap: Heap): bool {
  if (heap.candidates.isEmpty || heap.runPhase) return false; // they are among the roots of a run
  const count = heap.candidates.count;
  // A unit for each candidate is what so many bytes have paid for.
  if (heap.staleBytes >= max(heap.minimumBytes >> 1, count)) return true;
  return heap.stale >= STALE_LIMIT && heap.stale * 2 >= count;
}

/** True if it pays to empty weak slots, which takes a walk over all objects that have some. */
function areZombiesMany(heap: Heap): bool {
  if (heap.zombies.count >= ZOMBIE_LIMIT) return true;
  return heap.zombieBytes >= max(heap.minimumBytes >> 1, 1) && heap.zombieBytes >= bytesNow(heap) / 6;
}

function emptyWeakOfZombies(heap: Heap): void {
  heap.clearing.absorb(heap.zombies);
  heap.zombieBytes = 0;
  beginWalk(heap, Purpose.EMPTY_WEAK);
}

/**
 * Works for up to `budget` units and two more; returns those done. Stops early when a hook is to be run. Decrements come first, and
 * a run of cycle collection goes on only when all are done.
 */
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
    } else if (heap.walkPurpose) {
      done += walk(heap, budget - done);
    } else if (heap.lost == Lost.SOUGHT && !heap.starved && !(heap.listsFull && isTimeToRun(heap))) {
      heap.listsFull = 0;
      beginWalk(heap, Purpose.FIND_LOST);
    } else if (!heap.clearing.isEmpty) {
      free(heap, heap.clearing.pop());
      done++;
    } else if (areZombiesMany(heap) || (heap.forced && !heap.zombies.isEmpty)) {
      emptyWeakOfZombies(heap);
    } else if (heap.runPhase) {
      const units = advanceRun(heap, budget - done);
      done += units;
      heap.runUnits += units;
      if (!heap.runPhase) endRun(heap);
    } else if (heap.purgeLeft) {
      purgeOne(heap);
      done++;
    } else if (isStale(heap)) {
      heap.purgeLeft = heap.candidates.count;
    } else if (isTimeToRun(heap)) {
      startRun(heap); // now that all is drained, and what it has grown by is not only what waits to be freed
    } else if (heap.refused && !heap.zombies.isEmpty) {
      heap.refused = Refused.NOTHING; // these are the last that could be had
      emptyWeakOfZombies(heap);
    } else {
      heap.forced = 0;
      settled(heap);
      break;
    }
  }
  heap.debt -= min(heap.debt, done);
  return done;
}

/** Has the next steps do all there is, candidates included, however few there are. */
export function forceCounting(heap: Heap): void {
  accountForMade(heap); // it is all paid now: no gap between events has to
  heap.forced = 1;
  seekLost(heap);
}

/** Looks at one candidate for the purge: it is freed, or kept in a list aside until the last has been looked at. */
function purgeOne(heap: Heap): void {
  if (heap.candidates.isEmpty) heap.purgeLeft = 1;
  else {
    const object = heap.candidates.pop();
    if (wordOf(object) & Flag.RELEASED) dropBuffered(heap, object);
    else if (!heap.aside.push(object)) {
      setWord(object, wordOf(object) & ~Flag.BUFFERED);
      lose(heap, object);
    }
  }
  if (--heap.purgeLeft) return;
  heap.candidates.absorb(heap.aside);
  heap.stale = 0;
  heap.staleBytes = 0;
}
