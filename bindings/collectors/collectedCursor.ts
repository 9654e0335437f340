import type { AnyFields, Fields, RefName, RefView } from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { CollectedObjects } from "./collectedObjects.js";
import { HeapCursor } from "./heapCursor.js";
import { HeapStruct } from "./heapStruct.js";

/** A strong reference to objects of a struct. */
class DirectSlot {
  readonly next: DirectSlot;

  constructor(
    readonly name: string | undefined,
    readonly target: unknown,
    readonly offset: number,
    next: DirectSlot | undefined,
  ) {
    this.next = next ?? this;
  }
}

/** Ends each list: a slot to what no view moves to. */
const LAST = new DirectSlot(undefined, Symbol("nothing"), 0, undefined);

/** The slots of `struct` that lead to structs, and are not weak, in a list. */
function directSlotsOf(struct: HeapStruct): DirectSlot {
  let first = LAST;
  for (const [name, { slot, offset }] of [...struct.$slots].reverse()) {
    if (!slot.isWeak && slot.$target instanceof HeapStruct) first = new DirectSlot(name, slot.$target, offset, first);
  }
  return first;
}

/**
 * Makes what the cursors of `struct` are made from: a class whose `follow` knows the strong references to structs. It compares
 * their names one by one, which costs less than half of a look-up in a map, as there are few of them.
 */
export function collectedCursor(struct: HeapStruct, heap: CollectedObjects): typeof HeapCursor {
  return cursorOver(heap, heap.memory, directSlotsOf(struct), LAST);
}

function cursorOver(
  heap: CollectedObjects,
  memory: LinearMemory,
  first: DirectSlot,
  last: DirectSlot,
): typeof HeapCursor {
  abstract class CollectedCursor<F extends Fields = AnyFields> extends HeapCursor<F> {
    override follow<Name extends RefName<F>>(name: Name, into: RefView<F, Name> = this as never): boolean {
      const view = into as unknown as HeapCursor;
      let slot = first;
      while (slot.name !== name && slot !== last) slot = slot.next;
      if (view?.$moves !== slot.target || memory.i32[this.$guard] !== this.$generation) return super.follow(name, into);
      const object = memory.u32[(this.$address + slot.offset) >>> 2]!;
      if (object === 0) return false;
      heap.point(view, object, this);
      return true;
    }
  }
  return CollectedCursor;
}
