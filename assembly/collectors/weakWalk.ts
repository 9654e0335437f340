// A walk over all objects that have weak slots: classes without any are left out as a whole.

import { nextTaken, skipClass, startWalk } from "./blockWalk";
import { CellClass } from "./cellClass";
import { CellType, typeOf } from "./cellType";
import { Heap } from "./heap";

/** Begins before the first object. */
export function startWeakWalk(heap: Heap): void {
  heap.weakHolder = 0;
  startWalk(heap);
}

/**
 * Looks for the next object with weak slots in one word of bits, and puts it, or 0, into `weakHolder`; the walk is over when
 * `walkClass` is 0. Returns the units done. O(1)
 */
export function nextWeakHolder(heap: Heap): u32 {
  heap.weakHolder = 0;
  heap.weakIndex = 0;
  if (!heap.walkClass) return 0;
  const c = changetype<CellClass>(heap.walkClass);
  const hasWeak = c.type ? changetype<CellType>(c.type).weakCount != 0 : heap.variableWeak != 0;
  if (!hasWeak) {
    skipClass(heap);
    return 1;
  }
  const object = nextTaken(heap);
  if (object && typeOf(object).weakCount) heap.weakHolder = object;
  return 1;
}
