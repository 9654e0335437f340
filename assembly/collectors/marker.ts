// The marker: finds what can be reached from the handles, a slice at a time.
//
// Marking is depth first, with a stack of pairs (object, next slot): a child with slots is entered at once, and the parent is pushed
// only if it has slots left. So a chain whose link is the last slot needs no stack at all, and an array of a million references is
// left and entered again in the middle.
//
// The snapshot at the beginning (Yuasa, "Real-time garbage collection on general-purpose machines", 1990): whatever could be
// reached when the cycle began is marked. A store marks the reference that it overwrites, and the end or the move of a handle that
// has not been scanned the object that it held; new objects are made marked and are never looked into. So a slice cannot lose
// anything, whatever the program does between two of them, and the work of a cycle is bounded when it begins.
//
// When there is no memory for the stack, an object stays marked and is not pushed; `overflow` tells that marked objects with
// unmarked children have to be looked for in all blocks, as Boehm and Weiser do ("Garbage collection in an uncooperative
// environment", 1988). Every such walk marks at least one object, or it is the last.

import { Address } from "../memory/alignment";
import { joinRing, leaveRing } from "../memory/ring";
import { countStep } from "../memory/work";
import { nextMarked, startWalk } from "./blockWalk";
import { blockOf } from "./cellBlock";
import { CellType, slotAt, slotsOf, typeOf } from "./cellType";
import { entryAt, objectOf, SEGMENT_ENTRIES, Segment } from "./handleTable";
import { Barrier, Heap, restingBarrier } from "./heap";
import { Scope } from "./scope";
import { CHUNK_HEADER, Chunk } from "./wordStack";

/** An object with as many slots at the most is looked at before what refers to it is left: leaves of trees have but empty ones. */
const FEW_SLOTS: u32 = 4;

/** Marks an object. Returns false if it was marked already. */
export function mark(object: Address): bool {
  const block = blockOf(object);
  const index = block.indexOf(object);
  const word = block.markWord(index >> 5);
  const bits = load<u32>(word);
  const bit: u32 = 1 << (index & 31);
  if (bits & bit) return false;
  store<u32>(word, bits | bit);
  return true;
}

export function isMarked(object: Address): bool {
  const block = blockOf(object);
  const index = block.indexOf(object);
  return ((load<u32>(block.markWord(index >> 5)) >> (index & 31)) & 1) != 0;
}

/** Marks an object that may lose what has kept it reachable, and sees to it that it is looked into. O(1) */
export function shade(heap: Heap, object: Address): void {
  if (!object || !mark(object)) return;
  if (slotsOf(typeOf(object), object) == 0) return;
  if (!heap.markStack.pushPair(object, 0)) heap.overflow = 1;
}

/** Begins with the roots of now. O(1) */
export function beginMarking(heap: Heap): void {
  heap.unscanned = heap.scopes;
  heap.scopes = 0;
  heap.handleBarrier = heap.unscanned ? Barrier.CALL : restingBarrier(heap);
  heap.scanEpoch++;
  heap.scanScope = 0;
  heap.scanSegment = heap.segments;
  heap.scanIndex = 0;
  heap.overflow = 0;
  heap.walkClass = 0;
}

/** Marks for up to `budget` units: one for each object, slot and handle. Returns the units done; fewer than `budget` if all is marked. */
export function markSlice(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    countStep();
    if (!heap.markStack.isEmpty) {
      const pair = heap.markStack.popPair();
      done += scan(heap, load<Address>(pair), load<u32>(pair, 4), budget - done);
    } else if (!heap.orphans.isEmpty) {
      shade(heap, heap.orphans.pop());
      done++;
    } else if (heap.unscanned) {
      done += scanScope(heap, budget - done);
    } else if (heap.scanSegment) {
      done += scanSegment(heap, budget - done);
    } else if (heap.overflow || heap.walkClass) {
      done += searchMarked(heap);
    } else break;
  }
  return done;
}

/** Looks into an object from slot `index` on, and into what it finds there. Returns the units done, at least one. */
function scan(heap: Heap, start: Address, index: u32, budget: u32): u32 {
  let object = start;
  let type = typeOf(object);
  let count = slotsOf(type, object);
  let done: u32 = 1;
  while (index < count) {
    if (done > budget) {
      if (!heap.markStack.pushPair(object, index)) heap.overflow = 1;
      return done;
    }
    countStep();
    const child = load<Address>(slotAt(type, object, index++));
    done++;
    if (!child || !mark(child)) continue;
    done++;
    const childType = typeOf(child);
    const childCount = slotsOf(childType, child);
    if (childCount == 0) continue;
    if (childCount <= FEW_SLOTS && isEmpty(childType, child, childCount)) {
      done += childCount; // it is not worth leaving this object for
      continue;
    }
    if (index < count && !heap.markStack.pushPair(object, index)) {
      heap.overflow = 1; // the rest of this object is found again by a walk, as the object is marked
    }
    object = child;
    type = childType;
    count = childCount;
    index = 0;
  }
  return done;
}

/** True for an object whose slots, which are few, are all empty. */
function isEmpty(type: CellType, object: Address, count: u32): bool {
  for (let index: u32 = 0; index < count; index++) {
    if (load<Address>(slotAt(type, object, index))) return false;
  }
  return true;
}

/** Scans handles of the first scope that waits, from the one that was on top when the scan of it began downwards. */
function scanScope(heap: Heap, budget: u32): u32 {
  const scope = changetype<Scope>(heap.unscanned);
  if (heap.scanScope != heap.unscanned) {
    heap.scanScope = heap.unscanned;
    heap.scanChunk = scope.stack.chunk;
    heap.scanPlace = scope.stack.top;
    heap.cycleBound += scope.stack.count; // known only now: a scope may have many handles of one object
  }
  let done: u32 = 1;
  while (heap.scanChunk) {
    const base = heap.scanChunk + CHUNK_HEADER;
    for (; heap.scanPlace > base; done++) {
      if (done > budget) return done;
      countStep();
      heap.scanPlace -= 4;
      shade(heap, load<Address>(heap.scanPlace));
    }
    heap.scanChunk = changetype<Chunk>(heap.scanChunk).previous;
    if (heap.scanChunk) heap.scanPlace = changetype<Chunk>(heap.scanChunk).top;
  }
  leaveRing(changetype<Address>(heap) + offsetof<Heap>("unscanned"), changetype<Address>(scope));
  joinRing(changetype<Address>(heap) + offsetof<Heap>("scopes"), changetype<Address>(scope));
  scope.scanEpoch = heap.scanEpoch;
  heap.scanScope = 0;
  if (!heap.unscanned) heap.handleBarrier = restingBarrier(heap);
  return done;
}

/** Scans kept handles. Segments that are added meanwhile come before the first, and hold nothing that has to be scanned. */
function scanSegment(heap: Heap, budget: u32): u32 {
  let done: u32 = 0;
  for (; done < budget && heap.scanIndex < SEGMENT_ENTRIES; done++) {
    countStep();
    shade(heap, objectOf(entryAt(heap.scanSegment, heap.scanIndex++)));
  }
  if (heap.scanIndex == SEGMENT_ENTRIES) {
    heap.scanSegment = changetype<Segment>(heap.scanSegment).next;
    heap.scanIndex = 0;
  }
  return done;
}

/** Takes a step of the search for marked objects that may not have been looked into, and looks into the one it finds. */
function searchMarked(heap: Heap): u32 {
  if (!heap.walkClass) {
    heap.overflow = 0;
    startWalk(heap);
    return 1;
  }
  const object = nextMarked(heap);
  if (!object) return 1;
  if (slotsOf(typeOf(object), object) && !heap.markStack.pushPair(object, 0)) heap.overflow = 1;
  return 1;
}
