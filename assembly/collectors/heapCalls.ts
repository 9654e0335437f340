// What TypeScript calls: for whichever strategy the heap has. A guest that knows its strategy takes the classes in
// strategies.ts, which call nothing through a branch.

import { Arena } from "../allocators/arena";
import { Address } from "../memory/alignment";
import { advanceGuard, Guard } from "../memory/guard";
import { fail, root } from "../memory/root";
import { Status } from "../memory/status";
import { blockOf, CellBlock } from "./cellBlock";
import { CellClass, refusePages } from "./cellClass";
import { CellType } from "./cellType";
import { COUNT_ONE, giveWord, isDead, retain } from "./countWord";
import { takeEntry } from "./handleTable";
import { Heap, Phase, refuse, Strategy } from "./heap";
import { isMarked } from "./marker";
import {
  beginCycle,
  beginDueCycle,
  beginEarly,
  endScopeMarked,
  isDeadToMarking,
  loadWeakMarked,
  moveMarked,
  owedToMarking,
  releaseMarked,
  stepMarking,
  storeMarked,
} from "./markSweep";
import {
  accountForMade,
  endScopeCounted,
  forceCounting,
  loadWeakCounted,
  moveCounted,
  owedToCounting,
  releaseCounted,
  runEarly,
  stepCounting,
  storeCounted,
  storeWeakCounted,
} from "./refcount";
import { afterHook } from "./release";
import { Scope } from "./scope";
import { allocateVariable } from "./variableClass";

function isCounted(heap: Heap): bool {
  return heap.strategy == Strategy.REFCOUNT;
}

/** Room for a list of `count` offsets that lives as long as the heap, or 0 with a status. */
export function heapSlotList(heap: Heap, count: u32): Address {
  return changetype<Arena>(heap.arena).allocate(max<u32>(count, 1) << 2);
}

// ── objects ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Returns a new object of a fixed type, zeroed, with a handle in `scope` whose place is in `heap.slot`; or 0 with a status. */
export function heapAllocate(heap: Heap, type: CellType, scope: Scope): Address {
  if (scope.stack.top == scope.stack.end && !scope.stack.reserveOne()) return refuse(heap);
  return rooted(heap, type.allocate(), scope);
}

/** The same for one of a variable type with `length` elements. */
export function heapAllocateArray(heap: Heap, type: CellType, length: u32, scope: Scope): Address {
  if (scope.stack.top == scope.stack.end && !scope.stack.reserveOne()) return refuse(heap);
  return rooted(heap, allocateVariable(heap, type, length), scope);
}

function rooted(heap: Heap, object: Address, scope: Scope): Address {
  if (!object) return 0;
  if (isCounted(heap)) giveWord(object, COUNT_ONE);
  scope.stack.push(object); // there is room
  heap.slot = scope.stack.top - 4;
  return object;
}

/**
 * Stores a reference to `value`, which may be 0, in a slot of an object. Returns 0 with a status where that would bring a dead
 * object back.
 */
export function heapStore(heap: Heap, slot: Address, value: Address): u32 {
  return isCounted(heap) ? storeCounted(heap, slot, value) : storeMarked(heap, slot, value);
}

/** The object of a weak slot; 0 if there is none, or it is dead. */
export function heapLoadWeak(heap: Heap, slot: Address): Address {
  return isCounted(heap) ? loadWeakCounted(heap, slot) : loadWeakMarked(heap, slot);
}

/** As {@link heapStore}, for a weak slot. */
export function heapStoreWeak(heap: Heap, slot: Address, value: Address): u32 {
  if (isCounted(heap)) return storeWeakCounted(slot, value);
  if (value && isDeadToMarking(heap, value)) return <u32>fail(Status.RESURRECTION, <u32>value);
  store<Address>(slot, value);
  return 1;
}

// ── handles ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Another handle for an object. Returns its place, or 0 with a status. */
export function pushHandle(scope: Scope, object: Address): Address {
  const heap = scope.heap;
  if (!scope.stack.push(object)) return refuse(heap);
  if (isCounted(heap) && !isDead(object)) retain(object);
  return scope.stack.top - 4;
}

function isDeadObject(heap: Heap, object: Address): bool {
  return isCounted(heap) ? isDead(object) : isDeadToMarking(heap, object);
}

/** Points a handle to another object. Returns 0 with a status where that would bring a dead object back. */
export function moveHandle(heap: Heap, slot: Address, object: Address): u32 {
  if (isDeadObject(heap, object)) return <u32>fail(Status.RESURRECTION, <u32>object);
  if (isCounted(heap)) moveCounted(heap, slot, object);
  else moveMarked(heap, slot, object);
  return 1;
}

/** Returns a kept handle for an object, or 0 with a status. */
export function keepHandle(heap: Heap, object: Address): Address {
  if (isDeadObject(heap, object)) return fail(Status.RESURRECTION, <u32>object);
  const entry = takeEntry(heap, object);
  if (!entry) return refuse(heap);
  if (isCounted(heap)) retain(object);
  return entry;
}

export function releaseHandle(heap: Heap, entry: Address): void {
  if (isCounted(heap)) releaseCounted(heap, entry);
  else releaseMarked(heap, entry);
}

/** Ends a scope and all its handles. */
export function endScope(scope: Scope): void {
  if (isCounted(scope.heap)) endScopeCounted(scope);
  else endScopeMarked(scope);
}

// ── between events ──────────────────────────────────────────────────────────────────────────────────────────────────

/** The units that are due in this gap between events; 0 if there is nothing to do. */
export function heapOwed(heap: Heap): u32 {
  hear(heap);
  return isCounted(heap) ? owedToCounting(heap) : owedToMarking(heap);
}

/** To be called before a step that is asked for: has work begin where enough has been allocated. */
export function heapBeginDue(heap: Heap): void {
  hear(heap);
  if (isCounted(heap)) accountForMade(heap);
  else beginDueCycle(heap);
}

/** To be called before a step in idle time: has work begin that would not be long in coming. */
export function heapIdle(heap: Heap): void {
  hear(heap);
  if (isCounted(heap)) runEarly(heap);
  else beginEarly(heap);
}

/** Works for up to `budget` units and a constant; returns those done. `heap.dying` tells of a hook that is to be run first. */
export function heapStep(heap: Heap, budget: u32): u32 {
  const done = isCounted(heap) ? stepCounting(heap, budget) : stepMarking(heap, budget);
  if (done) advanceEpoch(heap);
  return done;
}

/** Ends what was shown without a handle. */
function advanceEpoch(heap: Heap): void {
  const guard = advanceGuard(heap.epochGuard);
  // Otherwise its generations are used up, and there is no memory for another: it goes on from the first.
  if (guard) heap.epochGuard = guard;
  else changetype<Guard>(heap.epochGuard).generation = 1;
  changetype<Guard>(heap.epochGuard).nextFree = 0;
}

/** Something else than the heap was refused a run of pages, for which the heap's garbage may make room. */
export function heapRefused(heap: Heap, pages: u32): void {
  refusePages(heap, pages);
}

/** Hears of what guests were refused since the heap last had its turn. */
function hear(heap: Heap): void {
  const state = root();
  if (heap.heard == state.guestRefusals) return;
  heap.heard = state.guestRefusals;
  refusePages(heap, state.guestRefusedPages);
}

/** The hook of `heap.dying` has been run. */
export function heapHooked(heap: Heap): void {
  const object = heap.dying;
  heap.dying = 0;
  if (object && isCounted(heap)) afterHook(heap, object);
  advanceEpoch(heap); // where there was no memory for a scope, the hook has been shown its object without a handle
}

/** Has the steps that follow come to an end of a cycle that begins now, or collect all cyclic garbage there is. */
export function heapBeginCycle(heap: Heap): void {
  if (isCounted(heap)) forceCounting(heap);
  else beginCycle(heap);
}

/**
 * The next live object of a fixed type behind `after`, block by block as the heap has taken these, by address in each; 0 at the end.
 * The heap must have nothing left to do.
 */
export function heapNextObject(heap: Heap, type: CellType, after: Address): Address {
  const c = changetype<CellClass>(changetype<Address>(type));
  if (!c.blocks) return 0;
  let block = after ? blockOf(after) : changetype<CellBlock>(c.blocks);
  let index = after ? block.indexOf(after) + 1 : 0;
  while (true) {
    for (; index < block.cells; index++) {
      const object = block.objectAt(index, c.stride);
      if (!((load<u32>(block.startWord(index >> 5)) >> (index & 31)) & 1) || c.isUnused(object)) continue;
      if (isCounted(heap) ? !isDead(object) : heap.phase == Phase.IDLE || isMarked(object)) return object;
    }
    if (block.next == c.blocks) return 0;
    block = changetype<CellBlock>(block.next);
    index = 0;
  }
}
