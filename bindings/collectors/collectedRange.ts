import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { ScopeRange } from "./scope.js";

/** The handles of one heap in one scope, which wasm has. */
export class CollectedRange implements ScopeRange {
  /** The scope's address; 0 while it is not open. */
  address: Address = 0;
  /** The index of its stack of handles in `memory.u32`. */
  stack = 0;
  guard = 0;
  generation = 0;
  readonly #ranges: CollectedRanges;

  constructor(ranges: CollectedRanges) {
    this.#ranges = ranges;
  }

  $end(): void {
    this.#ranges.end(this);
  }
}

/** The ranges of a heap; those that have ended are opened again, so that an event makes no garbage. */
export class CollectedRanges {
  readonly #memory: LinearMemory;
  /** The heap's address; 0 once it has been destroyed, and its scopes with it. */
  #heap: Address;
  readonly #guardOffset: number;
  readonly #stackOffset: number;
  readonly #idle: CollectedRange[] = [];

  constructor(memory: LinearMemory, heap: Address) {
    this.#memory = memory;
    this.#heap = heap;
    this.#guardOffset = memory.exports.SCOPE_GUARD!.value;
    this.#stackOffset = memory.exports.SCOPE_STACK!.value;
  }

  /** Opens a range; undefined when memory is out. */
  open(): CollectedRange | undefined {
    const { exports } = this.#memory;
    const address = exports.openScope(this.#heap) >>> 0;
    if (address === 0) return undefined;
    const { u32, i32 } = this.#memory; // read behind the call, which may have grown memory
    const range = this.#idle.pop() ?? new CollectedRange(this);
    range.address = address;
    range.stack = u32[(address + this.#stackOffset) >>> 2]! >>> 2;
    range.guard = u32[(address + this.#guardOffset) >>> 2]! >>> 2;
    range.generation = i32[range.guard]!;
    return range;
  }

  end(range: CollectedRange): void {
    if (this.#heap === 0 || this.#memory.disposed) return;
    this.#memory.exports.endScope(range.address);
    range.address = 0;
    this.#idle.push(range);
  }

  /** The heap has been destroyed. */
  close(): void {
    this.#heap = 0;
  }
}
