import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";

/**
 * Stores references, and moves handles, in a heap that is collected: without a call where the word that is overwritten is
 * below the heap's barrier.
 *
 * See `Barrier` in assembly/collectors/heap.ts. While objects are marked, what a slot loses has to be: so a new object's slots
 * are set without a call all the same. And the handles of a scope that has been scanned, or has been opened since, may be
 * moved: what they show is new, or was reachable when the cycle began and is marked for that.
 */
export class Barrier {
  readonly #memory: LinearMemory;
  readonly #heap: Address;
  /** The index in `memory.u32` of the barrier of stores, and of that of moves of handles in scopes. */
  readonly word: number;
  readonly handleWord: number;

  constructor(memory: LinearMemory, heap: Address) {
    const { HEAP_BARRIER, HEAP_HANDLE_BARRIER } = memory.exports;
    this.#memory = memory;
    this.#heap = heap;
    this.word = (heap + HEAP_BARRIER!.value) >>> 2;
    this.handleWord = (heap + HEAP_HANDLE_BARRIER!.value) >>> 2;
  }

  /** Stores a reference in a slot. @throws {ResurrectionError} in a destroy hook, for an object that dies, where something lives */
  store(slot: Address, object: Address): void {
    const { u32, exports } = this.#memory;
    const index = slot >>> 2;
    if (u32[index]! < u32[this.word]!) u32[index] = object;
    else if (exports.heapStore(this.#heap, slot, object) === 0) throw this.#memory.failure("storing a reference");
  }
}
