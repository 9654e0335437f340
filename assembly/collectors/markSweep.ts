// Mark-sweep: cycles in steps between events, or whole ones where the strategy is to stop.
//
//   IDLE ──begin──▶ MARK ──▶ WEAK ──▶ HOOKS ──▶ SWEEP ──▶ IDLE
//
//   MARK   what can be reached is marked, see marker.ts. New objects are marked too, until the sweep begins.
//   WEAK   weak slots that refer to unmarked objects are emptied.
//   HOOKS  the destroy hooks of unmarked objects run, type by type in the order of declaration, in the order of addresses.
//          Nothing has been reclaimed, so a hook may look at whatever its object refers to.
//   SWEEP  block by block, unmarked cells become free. An allocation that finds no room sweeps first. A cycle ends when all blocks
//          have been swept, so that the next one finds no bit of this one.
//
// Pacing. A cycle begins when as much has been allocated as half of what was live after the last one (but at least `minimumBytes`):
// call it A. Its work W is bounded when it begins: some units for each object, slot and handle that there is, and for the words of
// bitmaps that are swept; nothing that is made later adds to it, since new objects are not looked into. Each gap between events
// pays W × 2 × a ÷ A units for the a bytes that have been allocated since the cycle began, less what is paid. So the cycle is over
// when A ÷ 2 more have been allocated, and never are there more than live + A + A ÷ 2 bytes = 1.75 × live, if steps are long
// enough to pay what is due. If not, and A is used up, the cycle is finished at once, however long that takes, and counted as an
// overrun: so there are never more than live + 2A = 2 × live, and what the last event allocated. ("Live" is what the last cycle
// has kept; where that is small, A is `minimumBytes`.)

import { Address } from "../memory/alignment";
import { fail } from "../memory/root";
import { Status } from "../memory/status";
import { countStep } from "../memory/work";
import { nextUnmarked, skipClass, startWalk } from "./blockWalk";
import { blockAround, objectAround } from "./cellBlock";
import { beginSweep, bytesOf, CellClass, retireRun, SWEEP_UNITS_LIMIT, sweepNext } from "./cellClass";
import { CellType, typeOf, weakSlotAt, weakSlotsOf } from "./cellType";
import { giveEntry, HandleEntry } from "./handleTable";
import { Heap, Phase, Strategy } from "./heap";
import { beginMarking, isMarked, markSlice, shade } from "./marker";
import { closeScope, isUnscanned, Scope } from "./scope";
import { nextWeakHolder, startWeakWalk } from "./weakWalk";

/** As many units as it takes. */
const ALL: u32 = u32.MAX_VALUE;

// ── what the program does ───────────────────────────────────────────────────────────────────────────────────────────

/** Stores a reference. Returns 0 with a status where it would bring a dead object back. */
export function storeMarked(heap: Heap, slot: Address, value: Address): u32 {
  if (heap.phase == Phase.MARK) shade(heap, load<Address>(slot));
  else if (heap.phase == Phase.HOOKS && value && !isMarked(value) && !isInDead(slot)) {
    return <u32>fail(Status.RESURRECTION, <u32>value);
  }
  store<Address>(slot, value);
  return 1;
}

/** True for a slot in an object that is about to be swept. */
function isInDead(slot: Address): bool {
  const stride = changetype<CellClass>(blockAround(slot).cellClass).stride;
  return !isMarked(objectAround(slot, stride));
}

/** True for an object that only its own destroy hook, or that of another that dies with it, can know. */
export function isDeadToMarking(heap: Heap, object: Address): bool {
  return heap.phase == Phase.HOOKS && !isMarked(object);
}

/** The object of a weak slot, or 0 if it is dead. What is read is reachable again, as far as the cycle is concerned. */
export function loadWeakMarked(heap: Heap, slot: Address): Address {
  const target = load<Address>(slot);
  if (!target) return 0;
  if (heap.phase == Phase.MARK) shade(heap, target);
  else if ((heap.phase == Phase.WEAK || heap.phase == Phase.HOOKS) && !isMarked(target)) return 0;
  return target;
}

/** Points a handle to another object. */
export function moveMarked(heap: Heap, slot: Address, object: Address): void {
  if (heap.phase == Phase.MARK) shade(heap, load<Address>(slot));
  store<Address>(slot, object);
}

/** Releases a kept handle. */
export function releaseMarked(heap: Heap, entry: Address): void {
  if (heap.phase == Phase.MARK) shade(heap, changetype<HandleEntry>(entry).object);
  giveEntry(heap, entry);
}

/** Ends a scope. Handles that have not been scanned are left to the marker. */
export function endScopeMarked(scope: Scope): void {
  const heap = scope.heap;
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
  beginMarking(heap);
  heap.black = 1;
  heap.barrier = 1;
  heap.phase = Phase.MARK;
}

/** The most units that a cycle which begins now can come to; retires all runs, which may hold cells that nobody has. O(classes) */
function workOf(heap: Heap): u32 {
  let work: u64 = heap.handles;
  for (let address = heap.classes; address; ) {
    const c = changetype<CellClass>(address);
    retireRun(c);
    // An object, and with it the handle in a scope that it may have; its slots; its block's bitmaps, for hooks and for the sweep.
    const slots: u64 = c.type ? <u64>c.taken * changetype<CellType>(c.type).slotCount : c.isLeaf ? 0 : bytesOf(c) >> 2;
    work += <u64>c.taken * 3 + slots + <u64>c.blockCount * ((c.cells + 31) >> 4);
    address = c.nextClass;
  }
  return <u32>min<u64>(work, u32.MAX_VALUE);
}

/** The units that are due in this gap between events; 0 if there is nothing to do. Begins a cycle when it is time. */
export function owedToMarking(heap: Heap): u32 {
  if (heap.phase == Phase.IDLE) {
    if (heap.allocated < heap.trigger) return 0;
    beginCycle(heap);
    if (heap.strategy == Strategy.MARK_SWEEP_STOP) return ALL;
    return heap.stepUnits;
  }
  if (heap.strategy == Strategy.MARK_SWEEP_STOP) return ALL;
  if (heap.allocated >= heap.headroom) {
    heap.overruns++;
    return ALL;
  }
  const due = ((<u64>heap.cycleBound * heap.allocated) / heap.headroom) * 2;
  return due <= heap.cycleUnits ? 0 : min(<u32>min<u64>(due - heap.cycleUnits, ALL), heap.stepUnits);
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
    if (heap.phase == Phase.WEAK) beginHooks(heap);
    else beginSweeping(heap);
    return 1;
  }
  if (heap.phase == Phase.WEAK) return emptyWeak(heap, budget);
  return heap.phase == Phase.HOOKS ? findDying(heap) : sweepSome(heap);
}

function beginWeak(heap: Heap): void {
  heap.barrier = 0;
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
  heap.barrier = 1;
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
  heap.barrier = 0;
  heap.black = 0;
  heap.phase = Phase.SWEEP;
  heap.floatingBytes = heap.allocated;
  for (let c = heap.classes; c; c = changetype<CellClass>(c).nextClass) beginSweep(changetype<CellClass>(c));
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
  heap.cycles++;
  heap.lastCycleUnits = heap.cycleUnits;
  let live: u64 = 0;
  for (let c = heap.classes; c; c = changetype<CellClass>(c).nextClass) live += bytesOf(changetype<CellClass>(c));
  heap.trigger = max(heap.minimumBytes, <u32>(live >> 1));
  heap.allocated = 0;
}
if (SWEEP_UNITS_LIMIT != 257) ERROR("the bound on a step's units that tests hold is that of a block's sweep");
