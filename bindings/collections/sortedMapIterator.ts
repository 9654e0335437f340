import { FieldKind, type FieldType } from "../layout/fieldType.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { Entry } from "./sortedMapEntry.js";
import type { KeyFormat } from "./sortedMapKey.js";
import { Layout, Neighbour } from "./sortedMapLayout.js";

/** What an iterator needs of its map. */
export interface Walkable<K extends FieldType<unknown>, V extends FieldType<unknown>> {
  readonly $memory: LinearMemory;
  readonly $format: KeyFormat;
  readonly $descending: boolean;
  readonly $entry: Entry<K, V>;
  /** The map's address. @throws {DisposedError} */
  $open(operation: string): Address;
}

/** A key of the map's type, outside of the map. */
class KeptKey {
  /** The key itself, if keys are passed as a parameter. */
  number = 0;
  /** Its bytes otherwise. */
  readonly #bytes: Uint8Array;
  readonly #format: KeyFormat;

  constructor(format: KeyFormat) {
    this.#format = format;
    this.#bytes = new Uint8Array(format.passed ? 0 : format.type.size);
  }

  /** Takes a key that a caller has given to `map`, whose key slot is overwritten. @throws {InvalidArgumentError} */
  give(map: Pick<Walkable<never, never>, "$memory" | "$open">, key: unknown): this {
    const checked = this.#format.check(map.$memory, key);
    const slot = map.$open("entries") + Layout.KEY_SLOT;
    this.number = this.#format.write(map.$memory, slot, checked);
    if (!this.#format.passed) this.copy(map.$memory, slot);
    return this;
  }

  /** Takes the key that lies at `address`. */
  take(memory: LinearMemory, address: Address): void {
    if (this.#format.passed) this.number = this.#format.type.$codec.read(memory, address) as number;
    else this.copy(memory, address);
  }

  /** Writes the key to `slot` if it is not passed, and returns what to pass. */
  pass(memory: LinearMemory, slot: Address): number {
    const bytes = this.#bytes;
    for (let index = 0; index < bytes.length; index++) memory.u8[slot + index] = bytes[index]!;
    return this.number;
  }

  private copy(memory: LinearMemory, address: Address): void {
    const bytes = this.#bytes;
    for (let index = 0; index < bytes.length; index++) bytes[index] = memory.u8[address + index]!;
  }
}

/**
 * Walks along the leaves of a map, in its order.
 *
 * As long as the map has not changed, a step reads the linked leaves in place, without a call. When it has changed (its
 * guard tells), the next step looks for the key that follows the last one shown: O(log n).
 */
export class EntryIterator<K extends FieldType<unknown>, V extends FieldType<unknown>>
  implements IterableIterator<Entry<K, V>>
{
  /** True once it has ended. */
  idle = true;
  readonly #map: Walkable<K, V>;
  readonly #memory: LinearMemory;
  readonly #entry: Entry<K, V>;
  readonly #descending: boolean;
  readonly #direction: 1 | -1;
  /** The last key shown; in an array of its own if keys are f64, as a number in a field may be boxed anew each time. */
  readonly #last: KeptKey;
  readonly #keyIsF64: boolean;
  readonly #lastNumber = new Float64Array(1);
  #started = false;
  /** Bounds in the order of the map: the first key is included, the last is not. */
  #from: KeptKey | undefined;
  #to: KeptKey | undefined;
  /** Where the last entry shown lies, and where `to` would, as long as the guard shows the generation. */
  #leaf: Address = 0;
  #index = 0;
  /** Entries that follow in the same leaf, up to the bound. */
  #left = 0;
  #endLeaf: Address = 0;
  #endIndex = 0;
  #guard = 0;
  #generation = 1;
  readonly #result: { done: boolean; value: Entry<K, V> | undefined } = { done: false, value: undefined };

  constructor(map: Walkable<K, V>) {
    this.#map = map;
    this.#memory = map.$memory;
    this.#entry = map.$entry;
    this.#descending = map.$descending;
    this.#direction = map.$descending ? -1 : 1;
    this.#last = new KeptKey(map.$format);
    this.#keyIsF64 = map.$format.kind === FieldKind.F64;
  }

  [Symbol.iterator](): this {
    return this;
  }

  /** Starts anew with other bounds. @throws {InvalidArgumentError} if one is no key */
  restart(from?: unknown, to?: unknown): this {
    const map = this.#map;
    map.$open("entries");
    this.#from = from === undefined ? undefined : new KeptKey(map.$format).give(map, from);
    this.#to = to === undefined ? undefined : new KeptKey(map.$format).give(map, to);
    this.#started = false;
    this.#left = 0;
    this.#guard = 0;
    this.#generation = 1;
    this.#result.done = false;
    this.idle = false;
    return this;
  }

  next(): IteratorResult<Entry<K, V>> {
    // Short, so that it is compiled into the loop, with room left for what the loop does with the entry.
    const memory = this.#memory;
    if (this.#left > 0 && memory.i32[this.#guard] === this.#generation) {
      this.#left--;
      this.#index += this.#direction;
    } else if (!this.advance()) {
      return this.return();
    }
    const entry = this.#entry.$move(this.#leaf, this.#index, this.#guard, this.#generation);
    if (this.#keyIsF64) this.#lastNumber[0] = memory.f64[entry.$address >>> 3]!;
    else this.#last.take(memory, entry.$address);
    const result = this.#result;
    result.value = entry;
    return result as IteratorResult<Entry<K, V>>;
  }

  return(): IteratorResult<Entry<K, V>> {
    this.idle = true;
    this.#left = 0;
    this.#result.done = true;
    this.#result.value = undefined;
    return this.#result as IteratorResult<Entry<K, V>>;
  }

  /** Moves on where the next entry does not follow in the same leaf, or the map has changed. False at the end. */
  private advance(): boolean {
    if (this.idle) return false;
    const i32 = this.#memory.i32;
    if (i32[this.#guard] !== this.#generation) return this.seek();
    if (this.#leaf === this.#endLeaf) return false;
    const link = this.#descending ? Layout.NODE_PREVIOUS : Layout.NODE_NEXT;
    const leaf = i32[(this.#leaf + link) >>> 2]! >>> 0;
    return leaf !== 0 && this.enter(leaf, this.#descending ? i32[(leaf + Layout.NODE_COUNT) >>> 2]! - 1 : 0);
  }

  /** Moves to entry `index` of `leaf`. False if that is where to end. */
  private enter(leaf: Address, index: number): boolean {
    this.#leaf = leaf;
    this.#index = index;
    const descending = this.#descending;
    const count = this.#memory.i32[(leaf + Layout.NODE_COUNT) >>> 2]!;
    const bounded = leaf === this.#endLeaf;
    const end = bounded ? this.#endIndex : descending ? -1 : count;
    this.#left = (end - index) * this.#direction - 1;
    return this.#left >= 0;
  }

  /** Finds the first entry, or the one after the last key shown, in the map as it is now. False if there is none. */
  private seek(): boolean {
    const memory = this.#memory;
    const map = this.#map.$open("next");
    const descending = this.#descending;
    if (this.#keyIsF64) this.#last.number = this.#lastNumber[0]!;
    const after = this.#started ? this.#last : this.#from;
    const inclusive = descending ? Neighbour.AT_OR_BELOW : Neighbour.AT_OR_ABOVE;
    const exclusive = descending ? Neighbour.BELOW : Neighbour.ABOVE;
    this.#guard = memory.i32[(map + Layout.GUARD) >>> 2]! >>> 2;
    this.#generation = memory.i32[(map + Layout.GENERATION) >>> 2]!;
    let leaf: Address;
    let index: number;
    if (after === undefined) {
      leaf = memory.i32[(map + (descending ? Layout.LAST : Layout.FIRST)) >>> 2]! >>> 0;
      index = descending && leaf !== 0 ? memory.i32[(leaf + Layout.NODE_COUNT) >>> 2]! - 1 : 0;
    } else {
      leaf = this.search(map, after, this.#started ? exclusive : inclusive);
      index = memory.i32[(map + Layout.INDEX) >>> 2]!;
    }
    this.#started = true;
    if (leaf === 0 || (this.#to !== undefined && !this.bound(map, leaf, index, this.#to, inclusive))) return false;
    return this.enter(leaf, index);
  }

  /** Finds where to end. False if that comes before entry `index` of `leaf` already. */
  private bound(map: Address, leaf: Address, index: number, to: KeptKey, inclusive: Neighbour): boolean {
    const memory = this.#memory;
    const { type } = this.#map.$format;
    const key = leaf + Layout.NODE_HEADER + index * type.size;
    const order = memory.exports.sortedMapCompare(map, key, to.pass(memory, map + Layout.KEY_SLOT));
    if (this.#descending ? order <= 0 : order >= 0) return false;
    this.#endLeaf = this.search(map, to, inclusive);
    this.#endIndex = memory.i32[(map + Layout.INDEX) >>> 2]!;
    return true;
  }

  private search(map: Address, key: KeptKey, neighbour: Neighbour): Address {
    const memory = this.#memory;
    return memory.exports.sortedMapSeek(map, key.pass(memory, map + Layout.KEY_SLOT), neighbour) >>> 0;
  }
}
