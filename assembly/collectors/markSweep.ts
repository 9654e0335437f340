// Mark-sweep: cycles in steps between events, or whole ones where the strategy is to stop.
//
//   IDLE ──begin──▶ MARK ──▶ WEAK ──▶ HOOKS ──▶ SWEEP ──▶ IDLE
//
//   MARK   what can be reached is marked, see marker.ts. New objects are marked too, until the sweep begins.
//   WEAK   weak slots that refer to unmarked objects are emptied.
//   HOOKS  the destroy hooks of unmarked objects run, type by type in the order of declaration, block by block as the heap has
//          taken these, in the order of addresses. Nothing has been reclaimed, so a hook may look at whatever its object refers to.
//          Left out where no type has one, as all stores are calls here.
//   SWEEP  block by block, unmarked cells become free. An allocation that finds no room sweeps first. A cycle ends when all blocks
//          have been swept, so that the next one finds no bit of this one.
//
// Pacing. Call L what was reachable when the last cycle began: what it has kept, less what was made while it ran. A cycle begins
// when A = L ÷ 3 has been allocated since the last one ended (but at least `minimumBytes`), and its work W is known when it begins:
// some units for each object, slot and handle that there is, and for the words of bitmaps that are swept. Nothing that is made
// later adds to it, since new objects are not looked into. Much of W is for what is garbage already, and is never done: the
// cycle will come to about E, what the last one came to and an eighth more. When a bytes have been allocated since the cycle
// began, E × a ÷ (5/8 A) units are due, so that a gap has little to do; behind 5/8 A, where a cycle comes that has more to do
// than the last one had, what is due rises from E to W, which it reaches at 7/8 A. Each gap between events pays `stepUnits` of what
// is due and not paid, and an eighth of the rest: so no event waits for more than a step, and what the last events' own allocation
// comes to, and eight events later all is paid. So the cycle is over before A more has been allocated, if eight events do not
// allocate an eighth of A; otherwise it is finished at once, and counted as an overrun if that is much. The last cycle may have
// kept A that was made while it ran; A more began this one; A more is made until it ends: there are never more than L + 3A = 2L
// bytes, and what one event allocates. The strategy that stops has nothing made while it runs, so its A is L.
//
// Where memory ends before A has been allocated, no cycle would ever begin, and nothing of one that has would be due any more. So one
// begins as well when the program was refused memory for an object or a handle, and all of W is due then. None does if nothing has
// been dropped since the last one began: that has freed all there was, and whoever drops something first is noted.

import { Address } from "../memory/alignment";
import { fail } from "../memory/root";
import { Status } from "../memory/status";
import { countStep } from "../memory/work";
import { nextUnmarked, skipClass, startWalk } from "./blockWalk";
import {
  allocatedBy,
  beginSweep,
  bytesOf,
  CellClass,
  objectAround,
  retireRun,
  sweepNext,
  unusedBytes,
} from "./cellClass";
import { CellType, typeOf, weakSlotAt, weakSlotsOf } from "./cellType";
import { giveEntry, HandleEntry } from "./handleTable";
import { Barrier, Heap, noteDropped, Phase, Refused, restingBarrier, Strategy } from "./heap";
import { beginMarking, isMarked, markSlice, shade } from "./marker";
import { ALL, countOverrun, earlyTrigger, HASTE } from "./pacing";
import { closeScope, isUnscanned, Scope } from "./scope";
import { nextWeakHolder, startWeakWalk } from "./weakWalk";

// ── what the program does ───────────────────────────────────────────────────────────────────────────────────────────

/** Stores a reference. Returns 0 with a status where it would bring a dead object back. */
export function storeMarked(heap: Heap, slot: Address, value: Address): u32 {
  if (heap.phase == Phase.HOOKS && value && !isMarked(value) && isMarked(objectAround(slot))) {
    return <u32>fail(Status.RESURRECTION, <u32>value);
  }
  const old = load<Address>(slot);
  if (old) drop(heap, old);
  store<Address>(slot, value);
  return 1;
}

/** Something loses `object`, which may be garbage from now on: the cycle under way keeps it. */
function drop(heap: Heap, object: Address): void {
  if (heap.phase == Phase.MARK) shade(heap, object);
  noteDropped(heap);
}

/** True for an object that only its own destroy hook, or that of another that dies with it, can know. */
export function isDeadToMarking(heap: Heap, object: Address): bool {
  return heap.phase == Phase.HOOKS && !isMarked(object);
}

/** The object of a weak slot, or 0 if it is dead. What is read is reachable again, as far as the cycle is concerned. */
export function loadWeakMarked(heap: Heap, slot: Address): Address {
  const target = load<Address>(slot);
  if (!target) return 0;
  if (heap.phase == Phase.MARK) {
    drop(heap, target); // it may be garbage already
  } else if ((heap.phase == Phase.WEAK || heap.phase == Phase.HOOKS) && !isMarked(target)) return 0;
  return target;
}

/** Points a handle to another object. */
export function moveMarked(heap: Heap, slot: Address, object: Address): void {
  drop(heap, load<Address>(slot));
  store<Address>(slot, object);
}

/** Releases a kept handle. */
export function releaseMarked(heap: Heap, entry: Address): void {
  drop(heap, changetype<HandleEntry>(entry).object);
  giveEntry(heap, entry);
}

/** Ends a scope. Handles that have not been scanned are left to the marker. */
export function endScopeMarked(scope: Scope): void {
  const heap = scope.heap;
  if (!scope.stack.isEmpty) noteDropped(heap);
  if (heap.phase == Phase.MARK && isUnscanned(scope)) heap.orphans.absorb(scope.stack);
  else scope.stack.clear();
  closeScope(scope);
}

// ── cycles ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Begins a cycle, if none is under way. O(types) */
export function beginCycle(heap: Heap): void {
  if (heap.phase != Phase.IDLE) return;
  heap.cycleBound = workOf(heap);
  heap.headroom = heap.trigger;
  heap.allocated = 0;
  heap.cycleUnits = 0;
  if (heap.refused) heap.refused = Refused.SOUGHT;
  heap.dropped = 0;
  beginMarking(heap);
  heap.black = 1;
  heap.barrier = Barrier.OVERWRITTEN;
  heap.phase = Phase.MARK;
}

/** The most units that a cycle which begins now can come to; retires all runs, which may hold cells that nobody has. O(classes) */
function workOf(heap: Heap): u32 {
  let work: u64 = heap.handles;
  for (let address = heap.classes; address; ) {
    const c = changetype<CellClass>(address);
    retireRun(c);
    // An object, to be marked, perhaps shaded, and looked for by the walks; its slots; the words of its block's bitmaps.
    work += <u64>c.taken * 3 + slotsIn(c) + <u64>c.blockCount * (((c.cells + 31) >> 5) * 3 + 4);
    address = c.nextClass;
  }
  return <u32>min<u64>(work, u32.MAX_VALUE);
}

/** The most slots, weak ones included, that the objects of a class have; in those of variable length each may be one. */
function slotsIn(c: CellClass): u64 {
  if (!c.type) return c.isLeaf && !c.heap.variableWeak ? 0 : bytesOf(c) >> 2;
  const type = changetype<CellType>(c.type);
  return <u64>c.taken * (type.slotCount + type.weakCount);
}

/** Begins a cycle, if none is under way and it is time for one. Returns true if it has. */
export function beginDueCycle(heap: Heap): bool {
  if (heap.phase != Phase.IDLE) return false;
  if (!isSought(heap) && (heap.allocated < heap.trigger || allocatedBy(heap) < heap.trigger)) return false;
  beginCycle(heap);
  return true;
}

/** True if the program was refused memory, and a cycle that begins now may find what it could have. */
function isSought(heap: Heap): bool {
  if (!heap.dropped) heap.refused = Refused.NOTHING;
  return heap.refused != Refused.NOTHING;
}

/** The units that are due in this gap between events; 0 if there is nothing to do. Begins a cycle when it is time. */
export function owedToMarking(heap: Heap): u32 {
  const hasBegun = beginDueCycle(heap);
  if (heap.phase == Phase.IDLE) return 0;
  if (heap.strategy == Strategy.MARK_SWEEP_STOP) return ALL;
  if (hasBegun) return heap.stepUnits;
  const allocated = allocatedBy(heap);
  if (allocated >= heap.headroom) {
    countOverrun(heap, heap.cycleUnits);
    return ALL;
  }
  const due = heap.refused ? heap.cycleBound : dueAt(heap, allocated);
  const owed = due - min(due, heap.cycleUnits);
  if (owed < heap.stepUnits) return heap.refused ? heap.stepUnits : 0;
  return heap.stepUnits + (owed - heap.stepUnits) / HASTE;
}

/** The units that should have been done when `allocated` bytes have been allocated since the cycle began. */
function dueAt(heap: Heap, allocated: u32): u32 {
  const eighth = heap.headroom >> 3;
  const last = heap.lastCycleUnits;
  const expected = last ? min(last + (last >> 3), heap.cycleBound) : heap.cycleBound;
  const early = heap.headroom - 3 * eighth;
  if (allocated < early) return <u32>((<u64>expected * allocated) / early);
  const late = min(allocated - early, 2 * eighth);
  return expected + <u32>((<u64>(heap.cycleBound - expected) * late) / max<u32>(2 * eighth, 1));
}

/** Has a cycle begin in idle time, where that would not be long in coming. */
export function beginEarly(heap: Heap): void {
  if (heap.phase == Phase.IDLE && (isSought(heap) || allocatedBy(heap) >= earlyTrigger(heap))) beginCycle(heap);
}

/** Works for up to `budget` units; returns those done. Stops early when a hook is to be run. */
export function stepMarking(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget && heap.phase != Phase.IDLE && !heap.dying) {
    const units = advance(heap, budget - done);
    done += units;
    heap.cycleUnits += units;
    if (heap.phase == Phase.SWEEP && !heap.walkClass) endCycle(heap);
  }
  return done;
}

/** Works in the present phase, or enters the next. Returns the units done, at least one. */
function advance(heap: Heap, budget: u32): u32 {
  if (heap.phase == Phase.MARK) {
    const done = markSlice(heap, budget);
    if (done < budget) beginWeak(heap);
    return max(done, 1);
  }
  if (!heap.walkClass) {
    // A gap between events seldom ends in the midst of hooks that nobody has. An engine that has compiled its stores without having
    // seen that drops the code then (benchmark case collector/request-loop: p99.99).
    if (heap.phase == Phase.WEAK && heap.hasHooks != 0) beginHooks(heap);
    else beginSweeping(heap);
    return 1;
  }
  if (heap.phase == Phase.WEAK) return emptyWeak(heap, budget);
  return heap.phase == Phase.HOOKS ? findDying(heap) : sweepSome(heap);
}

function beginWeak(heap: Heap): void {
  heap.barrier = restingBarrier(heap);
  heap.phase = Phase.WEAK;
  startWeakWalk(heap);
}

/** Empties weak slots that refer to unmarked objects. */
function emptyWeak(heap: Heap, budget: u32): u32 {
  const object = heap.weakHolder;
  if (!object || !isMarked(object)) return nextWeakHolder(heap);
  const type = typeOf(object);
  const count = weakSlotsOf(type, object);
  let done: u32 = 1;
  for (; done <= budget && heap.weakIndex < count; done++) {
    countStep();
    const slot = weakSlotAt(type, object, heap.weakIndex++);
    const target = load<Address>(slot);
    if (target && !isMarked(target)) store<Address>(slot, 0);
  }
  return heap.weakIndex == count ? done + nextWeakHolder(heap) : done;
}

function beginHooks(heap: Heap): void {
  heap.barrier = Barrier.CALL;
  heap.handleBarrier = Barrier.CALL;
  heap.phase = Phase.HOOKS;
  startWalk(heap);
}

/** Looks for the next unmarked object that has a hook. */
function findDying(heap: Heap): u32 {
  const type = changetype<CellClass>(heap.walkClass).type;
  if (!type || !changetype<CellType>(type).isHooked) {
    skipClass(heap);
    return 1;
  }
  const object = nextUnmarked(heap);
  if (object) {
    heap.dying = object;
    heap.dyingType = type;
  }
  return 1;
}

function beginSweeping(heap: Heap): void {
  heap.barrier = restingBarrier(heap);
  heap.handleBarrier = heap.barrier;
  heap.black = 0;
  heap.phase = Phase.SWEEP;
  for (let c = heap.classes; c; c = changetype<CellClass>(c).nextClass) beginSweep(changetype<CellClass>(c));
  heap.floatingBytes = heap.allocated; // exactly, since all runs have been retired
  heap.walkClass = heap.classes;
  heap.walkBlock = 0;
}

function sweepSome(heap: Heap): u32 {
  const c = changetype<CellClass>(heap.walkClass);
  if (c.sweepLeft) return sweepNext(c);
  heap.walkClass = c.nextClass;
  return 1;
}

function endCycle(heap: Heap): void {
  heap.phase = Phase.IDLE;
  if (heap.refused == Refused.SOUGHT) heap.refused = Refused.NOTHING;
  heap.cycles++;
  heap.lastCycleUnits = heap.cycleUnits;
  const madeInSweep = allocatedBy(heap) - heap.floatingBytes;
  let live: u64 = 0;
  for (let c = heap.classes; c; c = changetype<CellClass>(c).nextClass) live += bytesOf(changetype<CellClass>(c));
  const reached = live - min<u64>(live, heap.floatingBytes + madeInSweep);
  heap.trigger = max(heap.minimumBytes, <u32>(heap.strategy == Strategy.MARK_SWEEP_STOP ? reached : reached / 3));
  heap.allocated = unusedBytes(heap);
}
