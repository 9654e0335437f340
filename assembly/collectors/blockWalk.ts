// Walks over all objects of a heap, class by class, block by block, that can be left and resumed between any two words of bitmaps.
// One is under way at a time. Its place lies in the heap, since a block that is given back moves it on: see `removeBlock`.

import { Address } from "../memory/alignment";
import { countStep } from "../memory/work";
import { CellBlock } from "./cellBlock";
import { CellClass } from "./cellClass";
import { Heap } from "./heap";

/** Begins with the first block of the first class. */
export function startWalk(heap: Heap): void {
  enterClass(heap, heap.classes);
}

/** Goes on with the first block of `c`, whose address may be 0. */
function enterClass(heap: Heap, c: Address): void {
  heap.walkClass = c;
  heap.walkBlock = c ? changetype<CellClass>(c).blocks : 0;
  heap.walkIndex = 0;
}

/** Leaves the rest of the present class out. */
export function skipClass(heap: Heap): void {
  enterClass(heap, changetype<CellClass>(heap.walkClass).nextClass);
}

/**
 * Returns the next object of the walk whose start bit is set, or 0 where there was none in one word of bits; `walkClass` is 0
 * when the walk is over. O(1)
 */
export function nextTaken(heap: Heap): Address {
  return next(heap, false, false);
}

/** The same for objects that are marked. */
export function nextMarked(heap: Heap): Address {
  return next(heap, true, false);
}

/** The same for objects that are not. */
export function nextUnmarked(heap: Heap): Address {
  return next(heap, false, true);
}

function next(heap: Heap, marked: bool, unmarked: bool): Address {
  countStep();
  const c = changetype<CellClass>(heap.walkClass);
  if (!heap.walkBlock) {
    enterClass(heap, c.nextClass);
    return 0;
  }
  const block = changetype<CellBlock>(heap.walkBlock);
  const index = heap.walkIndex;
  const word = index >> 5;
  if (word < block.words) {
    let bits = load<u32>(block.startWord(word));
    if (marked) bits &= load<u32>(block.markWord(word));
    if (unmarked) bits &= ~load<u32>(block.markWord(word));
    bits &= u32.MAX_VALUE << (index & 31);
    if (!bits) {
      heap.walkIndex = (word + 1) << 5;
      return 0;
    }
    const found = (word << 5) + <u32>ctz(bits);
    heap.walkIndex = found + 1;
    const object = block.objectAt(found, c.stride);
    return c.isUnused(object) ? 0 : object;
  }
  leaveBlock(heap);
  return 0;
}

/** Goes on with the block behind the present one. */
export function leaveBlock(heap: Heap): void {
  const next = changetype<CellBlock>(heap.walkBlock).next;
  heap.walkBlock = next == changetype<CellClass>(heap.walkClass).blocks ? 0 : next;
  heap.walkIndex = 0;
}
