import type { Cursor } from "../layout/cursor.js";
import { place, unset } from "../layout/location.js";
import type { DestroySweep } from "../memory/destroySweep.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { CollectedRanges } from "./collectedRange.js";
import { HeapStruct } from "./heapStruct.js";
import { type ObjectType, type ObjectView, UNROOTED } from "./objects.js";

/** A type whose objects have a hook, and the cursor that shows them to it. */
interface HookedType {
  readonly type: HeapStruct;
  cursor: Cursor & ObjectView;
}

/** The destroy hooks of a heap's collected objects. */
export class ObjectHooks {
  readonly #memory: LinearMemory;
  readonly #ranges: CollectedRanges;
  /** The index of the word that has the address of the heap's epoch. */
  readonly #epochWord: number;
  /** By the addresses of the types in wasm. */
  readonly #hooked = new Map<Address, HookedType>();

  constructor(memory: LinearMemory, types: readonly ObjectType[], ranges: CollectedRanges, epochWord: number) {
    this.#memory = memory;
    this.#ranges = ranges;
    this.#epochWord = epochWord;
    for (const type of types) {
      if (!(type instanceof HeapStruct) || type.$destroy === undefined) continue;
      this.#hooked.set(type.$type, { type, cursor: newCursor(type) });
    }
  }

  /** Whether there is a type with a hook. */
  get any(): boolean {
    return this.#hooked.size > 0;
  }

  /** The addresses of the types that have one. */
  get types(): Iterable<Address> {
    return this.#hooked.keys();
  }

  /** Runs the hook of one object, of one of {@link types}. Its cursor, and what is read from it, end afterwards. */
  run(object: Address, type: Address, sweep: DestroySweep): void {
    const memory = this.#memory;
    const hooked = this.#hooked.get(type)!;
    const { cursor } = hooked;
    const range = this.#ranges.open(); // undefined when memory is out: then it sees its object as long as the heap does not work
    const guard = range?.guard ?? memory.u32[this.#epochWord]! >>> 2;
    cursor.$root = UNROOTED; // a program that has kept it may have moved it, and what handle that had is another's by now
    cursor.$forgetParts();
    place(cursor, object, guard, memory.i32[guard]!);
    sweep.run(hooked.type.$destroy as (record: Cursor) => void, cursor as Cursor);
    memory.recover(); // the hook may have had the host grow memory
    range?.$end();
    if (!Object.isExtensible(cursor)) {
      hooked.cursor = newCursor(hooked.type); // the hook has frozen it
      return;
    }
    cursor.$root = UNROOTED; // the hook may have moved it
    cursor.$forgetParts();
    unset(cursor);
  }
}

function newCursor(type: HeapStruct): Cursor & ObjectView {
  return type.$newObjectView() as Cursor & ObjectView;
}
