// Walks over all objects of a heap that counts references: for what was lost from a list, and for weak slots of the dead.

import { Address } from "../memory/alignment";
import { countStep } from "../memory/work";
import { nextTaken, startWalk } from "./blockWalk";
import { typeOf, weakSlotAt, weakSlotsOf } from "./cellType";
import { COUNT_ONE, Flag, isDead, setWord, wordOf } from "./countWord";
import { Heap, Lost } from "./heap";
import { continueRelease, keepZombie, letGo, Purpose, suspect } from "./release";
import { nextWeakHolder, startWeakWalk } from "./weakWalk";

export function beginWalk(heap: Heap, purpose: u32): void {
  heap.walkPurpose = purpose;
  if (purpose == Purpose.FIND_LOST) {
    heap.lost = Lost.NONE;
    startWalk(heap);
  } else startWeakWalk(heap);
}

/** Goes on for up to `budget` units and two more. Returns those done, at least one. */
export function walk(heap: Heap, budget: u32): u32 {
  if (!heap.walkClass) {
    heap.walkPurpose = Purpose.NONE;
    return 1;
  }
  if (heap.walkPurpose == Purpose.EMPTY_WEAK) return emptyWeak(heap, budget);
  const object = nextTaken(heap);
  if (object && wordOf(object) & Flag.LOST) findAgain(heap, object);
  return 1;
}

/** Puts an object where it would have been, had there been memory. */
function findAgain(heap: Heap, object: Address): void {
  const word = wordOf(object) & ~Flag.LOST;
  setWord(object, word);
  if (word & Flag.RELEASED) keepZombie(heap, object);
  else if (word & Flag.DEAD) continueRelease(heap, object);
  else if (word < COUNT_ONE) letGo(heap, object);
  else if (!(word & Flag.BUFFERED) && typeOf(object).cyclicCount) suspect(heap, object);
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
