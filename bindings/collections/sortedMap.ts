import { assertOptions, describe, type NamesOf } from "../arguments.js";
import { CorruptionError, DisposedError, InvalidArgumentError } from "../errors.js";
import type { Cursor } from "../layout/cursor.js";
import { FieldKind, type FieldType } from "../layout/fieldType.js";
import { assertLive, Location, place } from "../layout/location.js";
import { hasHook, StructType } from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { type Address, SMALL_BLOCK_SIZE, verifyConstants } from "../memory/module.js";
import { Entry } from "./sortedMapEntry.js";
import { EntryIterator } from "./sortedMapIterator.js";
import { isWide, KeyFormat } from "./sortedMapKey.js";
import { Deletion, Layout, Neighbour, Setting, VALUE_LIMIT, VIOLATIONS } from "./sortedMapLayout.js";
import type { GivenKey, GivenValue, Shown, ValueCursor } from "./sortedMapTypes.js";

export { Entry };

/** Options of a sorted map. */
export interface SortedMapOptions {
  /** The order of iteration, and what `first` and `last` mean. Default `"ascending"`. */
  order?: "ascending" | "descending" | undefined;
}

const OPTIONS: NamesOf<SortedMapOptions> = { order: true };

/** The figures of a sorted map. */
export interface SortedMapStats {
  /** Entries. */
  readonly size: number;
  /** Nodes of the tree in use. */
  readonly nodes: number;
  /** All the memory that the map owns, in bytes. */
  readonly bytes: number;
  /** Levels of the tree; 0 while the map is empty. */
  readonly height: number;
}

/**
 * A map whose entries are in the order of their keys: a B+ tree (Comer, "The ubiquitous B-tree", 1979) in linear memory.
 *
 * Keys are numbers of any kind, 64-bit integers, booleans, texts, or structs or inline arrays of these, which are compared field
 * by field in the order of their declaration (texts by their bytes); up to 64 bytes. NaN is no key; −0 is the same key as 0; keys
 * of f32 are rounded. Values are numbers, 64-bit integers, booleans, texts or structs, up to 1,024 bytes.
 *
 * | operation | cost |
 * |---|---|
 * | `get`, `has`, `below`, `above`, … | O(log n) |
 * | `set`, `delete` | O(log n) at worst: at most one node a level is split or merged, nothing is ever rebuilt |
 * | `first`, `last`, `size` | O(1) |
 * | a step of iteration | O(1); O(log n) after a change of the map |
 * | `clear`, `dispose` | O(runs of pages), whatever the number of entries |
 *
 * It owns its memory: a block of 4 KiB, and runs of pages that it divides into nodes. Nodes in use are at least a quarter
 * full (but for the first and last of a level); those that deletes free are kept for later inserts. `clear` gives back
 * all but the first block, {@link dispose}, or `using`, all.
 *
 * Entries are shown through one reused {@link Entry}, so nothing here makes garbage but bigints and texts that are read,
 * and `get`: a fraction that could as well be undefined is an object to the engine, which an entry's `value` is not.
 * Inserts of new keys, deletes and `clear` may move entries, and end the views of them.
 *
 * @example
 * using bids = runtime.sortedMap(f64, f64, { order: "descending" });
 * bids.set(100.5, 2);
 * bids.set(101, 1);
 * bids.first()?.key; // 101
 * for (const { key, value } of bids) console.log(key, value); // 101 1, then 100.5 2
 */
export class SortedMap<K extends FieldType<unknown>, V extends FieldType<unknown>> implements Iterable<Entry<K, V>> {
  readonly $memory: LinearMemory;
  readonly $format: KeyFormat;
  readonly $descending: boolean;
  readonly #valueType: FieldType<unknown>;
  /** False after dispose, so that nothing takes the short way any more. */
  #keyIsF64: boolean;
  /** True if keys and values are of f64. */
  #bothF64: boolean;
  /** True if wasm stores values itself: they come as a number. */
  readonly #valuePassed: boolean;
  readonly $entry: Entry<K, V>;
  /** 0 once it has been disposed. */
  #address: Address;
  #iterator: EntryIterator<K, V> | undefined;

  /**
   * Use `runtime.sortedMap()`.
   *
   * @throws {InvalidArgumentError} if a type is none that keys or values can have, too large, or a struct that has a destroy
   *   hook; or for another order
   * @throws {OutOfMemoryError}, {SealedError}; nothing has changed
   */
  constructor(memory: LinearMemory, keyType: K, valueType: V, options: SortedMapOptions = {}) {
    memory.assertUsable("sortedMap");
    verifyConstants(memory.exports, "SORTED_MAP", Layout);
    const format = new KeyFormat(keyType);
    assertValueType(valueType);
    assertOptions("the options argument of a sorted map", options, OPTIONS);
    const { order = "ascending" } = options;
    if (order !== "ascending" && order !== "descending") {
      throw new InvalidArgumentError(`order must be "ascending" or "descending", but is ${describe(order)}`);
    }
    this.$memory = memory;
    this.$format = format;
    this.$descending = order === "descending";
    this.#valueType = valueType;
    this.#keyIsF64 = keyType.kind === FieldKind.F64;
    this.#bothF64 = this.#keyIsF64 && valueType.kind === FieldKind.F64;
    this.#valuePassed = valueType.kind <= FieldKind.BOOL && !isWide(valueType);
    const { kind, fields } = format;
    const address =
      memory.exports.createSortedMap(kind, keyType.size, valueType.kind, valueType.size, fields.length) >>> 0;
    if (address === 0) throw memory.failure("creating a sorted map");
    this.#address = address;
    format.describe(memory, address + Layout.KEY_FIELDS);
    this.$entry = new Entry(memory, keyType, valueType, address);
    memory.sites?.register(this, "sortedMap", (own) => bytesOf(own, address));
  }

  /** How many entries there are. O(1). */
  get size(): number {
    const map = this.$open("size"); // first, since it may make the views anew
    return this.$memory.u32[(map + Layout.SIZE) >>> 2]!;
  }

  /** True once the map, or its runtime, has been disposed. */
  get disposed(): boolean {
    return this.#address === 0 || this.$memory.disposed;
  }

  /** For JSON: how many entries there are, and not these, which may be millions. */
  toJSON(): { readonly size: number } {
    return { size: this.disposed ? 0 : this.size };
  }

  /**
   * Sets the value of `key`, which is inserted if it is not there.
   *
   * @param value for a struct: a plain object, whose missing fields are zero, or a cursor or ref; it is copied
   * @returns true if the key was new; then all views of entries end
   * @throws {InvalidArgumentError} if key or value do not fit their types; nothing has changed
   * @throws {OutOfMemoryError}, {SealedError} if there is no memory for a new entry; nothing has changed
   */
  set(key: GivenKey<K>, value: GivenValue<V>): boolean {
    // The short way first, and all else in other methods, so that engines compile this in place at the call: only then
    // is a number that is passed no object of the JavaScript heap. So in every method below.
    if (this.#bothF64 && isNumber(key) && typeof value === "number") {
      const done = this.$memory.exports.sortedMapSet(this.#address, key, value);
      if (done !== Setting.REFUSED) return done === Setting.INSERTED;
    }
    return this.#setSlow(key, value);
  }

  #setSlow(key: unknown, value: unknown): boolean {
    const memory = this.$memory;
    const checked = this.#valueType.$codec.check(memory, value, "the value");
    const passed = this.#pass("set", key);
    const map = this.$open("set");
    if (!this.#valuePassed) return this.#setBytes(map, key, passed, checked);
    const done = memory.exports.sortedMapSet(map, passed, Number(checked));
    if (done === Setting.REFUSED) throw memory.failure(`setting key ${describe(key)} of a sorted map`);
    return done === Setting.INSERTED;
  }

  /** Prepares a value that wasm cannot store in the map's value slot: it may lie in the map itself, and move. */
  #setBytes(map: Address, key: unknown, passed: number, checked: unknown): boolean {
    const memory = this.$memory;
    const { $codec, size } = this.#valueType;
    if (checked instanceof Location) assertLive(checked);
    const slot = memory.u32[(map + Layout.VALUE_SLOT) >>> 2]!;
    memory.u8.fill(0, slot, slot + size);
    $codec.write(memory, slot, checked as never);
    const before = memory.u32[(map + Layout.SIZE) >>> 2]!;
    const address = memory.exports.sortedMapInsert(map, passed) >>> 0;
    if (address === 0) throw memory.failure(`setting key ${describe(key)} of a sorted map`);
    memory.u8.copyWithin(address, slot, slot + size);
    return memory.u32[(map + Layout.SIZE) >>> 2] !== before;
  }

  /**
   * The value of `key`, or undefined if it is not there.
   *
   * @param cursor for structs as values: what to move onto the value and return, so that no cursor has to be made
   * @throws {InvalidArgumentError} if key or cursor are of another type
   *
   * @example
   * const order = runtime.cursor(Order); // orders: a map from u32 to Order
   * if (orders.get(7, order) !== undefined) order.quantity += 1; // in place, no garbage
   */
  get(key: GivenKey<K>, cursor?: ValueCursor<V>): Shown<V> | undefined {
    if (this.#bothF64 && isNumber(key)) {
      const address = this.$memory.exports.sortedMapFind(this.$open("get"), key) >>> 0;
      return address === 0 ? undefined : (this.$memory.f64[address >>> 3] as Shown<V>);
    }
    return this.#getSlow(key, cursor) as Shown<V> | undefined;
  }

  #getSlow(key: unknown, cursor: Cursor | undefined): unknown {
    const memory = this.$memory;
    const passed = this.#pass("get", key);
    const map = this.$open("get");
    const address = memory.exports.sortedMapFind(map, passed) >>> 0;
    const type = this.#valueType;
    if (type instanceof StructType) return this.#view(map, address, cursor);
    return address === 0 ? undefined : type.$codec.read(memory, address);
  }

  /** Moves a cursor of the values' struct to the value at `address`. */
  #view(map: Address, address: Address, cursor: Cursor | undefined): Cursor | undefined {
    const memory = this.$memory;
    const type = this.#valueType as StructType<never>;
    if (cursor !== undefined && (cursor?.$moves !== (type as unknown) || cursor.$memory !== memory)) {
      throw new InvalidArgumentError(`get takes a cursor of ${type.name} of the same runtime, not ${describe(cursor)}`);
    }
    if (address === 0) return undefined;
    const into = cursor ?? (type.$newCursor(memory) as Cursor);
    const guard = memory.i32[(map + Layout.GUARD) >>> 2]! >>> 2;
    place(into, address, guard, memory.i32[(map + Layout.GENERATION) >>> 2]!);
    return into;
  }

  /** True if `key` is there. @throws {InvalidArgumentError} if it is no key */
  has(key: GivenKey<K>): boolean {
    const passed = this.#pass("has", key);
    return this.$memory.exports.sortedMapFind(this.$open("has"), passed) !== 0;
  }

  /**
   * Removes `key`.
   *
   * @returns true if it was there; then all views of entries end
   * @throws {InvalidArgumentError} if it is no key; nothing has changed
   * @throws {OutOfMemoryError} or {SealedError} as {@link clear}
   */
  delete(key: GivenKey<K>): boolean {
    if (this.#keyIsF64 && isNumber(key)) {
      const done = this.$memory.exports.sortedMapDelete(this.#address, key);
      if (done !== Deletion.REFUSED) return done === Deletion.DELETED;
    }
    return this.#deleteSlow(key);
  }

  #deleteSlow(key: unknown): boolean {
    const passed = this.#pass("delete", key);
    const done = this.$memory.exports.sortedMapDelete(this.$open("delete"), passed);
    if (done === Deletion.REFUSED) throw this.$memory.failure(`deleting key ${describe(key)} of a sorted map`);
    return done === Deletion.DELETED;
  }

  /**
   * Removes all entries, ends all views of them and gives back all memory but the first block.
   *
   * @throws {OutOfMemoryError} or {SealedError} once in 2^32 changes, if the guard has to be replaced and memory is out;
   *   nothing has changed
   */
  clear(): void {
    const map = this.$open("clear");
    if (this.$memory.exports.clearSortedMap(map) === 0) throw this.$memory.failure("clearing a sorted map");
  }

  /** The first entry in the map's order, or undefined: the map's one reused entry, moved there. O(1). */
  first(): Entry<K, V> | undefined {
    return this.#end("first", this.$descending);
  }

  /** The last entry in the map's order, or undefined: the map's one reused entry, moved there. O(1). */
  last(): Entry<K, V> | undefined {
    return this.#end("last", !this.$descending);
  }

  /**
   * The entry with the greatest key below `key`, whatever the map's order, or undefined: the map's one reused entry, moved there.
   *
   * @throws {InvalidArgumentError} if it is no key
   *
   * @example
   * orders.below(7)?.key; // the greatest key below 7
   */
  below(key: GivenKey<K>): Entry<K, V> | undefined {
    return this.#neighbour("below", key, Neighbour.BELOW);
  }

  /** The entry with the greatest key at or below `key`; otherwise as {@link below}. */
  atOrBelow(key: GivenKey<K>): Entry<K, V> | undefined {
    return this.#neighbour("atOrBelow", key, Neighbour.AT_OR_BELOW);
  }

  /** The entry with the least key at or above `key`; otherwise as {@link below}. */
  atOrAbove(key: GivenKey<K>): Entry<K, V> | undefined {
    return this.#neighbour("atOrAbove", key, Neighbour.AT_OR_ABOVE);
  }

  /** The entry with the least key above `key`; otherwise as {@link below}. */
  above(key: GivenKey<K>): Entry<K, V> | undefined {
    return this.#neighbour("above", key, Neighbour.ABOVE);
  }

  /**
   * Iterates in the map's order, and yields the map's one reused entry each time: read what you need of it before the
   * next step. The map may be changed meanwhile; the iteration goes on with what then follows the last key yielded.
   * The iterator is reused once its loop has ended.
   */
  [Symbol.iterator](): IterableIterator<Entry<K, V>> {
    if (!this.#iterator?.idle) this.#iterator = new EntryIterator(this);
    return this.#iterator.restart();
  }

  /**
   * Iterates over the entries from `from`, included, to `to`, excluded, in the map's order; so in a descending map `from`
   * is the greater one. Bounds need not be in the map, and either may be left out. Otherwise as {@link Symbol.iterator}.
   *
   * @throws {InvalidArgumentError} if a bound is no key
   *
   * @example
   * for (const { key } of asks.entries(100, 101)) console.log(key); // 100 ≤ key < 101
   */
  entries(from?: GivenKey<K>, to?: GivenKey<K>): IterableIterator<Entry<K, V>> {
    return new EntryIterator(this).restart(from, to);
  }

  /** Calls `callback` with each value and key in the map's order; structs are shown by reused cursors. */
  forEach(callback: (value: Shown<V>, key: Shown<K>, map: this) => void): void {
    if (typeof callback !== "function") {
      throw new InvalidArgumentError(`forEach takes a function, but was given ${describe(callback)}`);
    }
    for (const entry of this) callback(entry.value, entry.key, this);
  }

  /** The figures of now. O(1). */
  stats(): SortedMapStats {
    const map = this.$open("stats");
    const { u32 } = this.$memory;
    return {
      size: u32[(map + Layout.SIZE) >>> 2]!,
      nodes: u32[(map + Layout.NODES) >>> 2]!,
      bytes: bytesOf(this.$memory, map),
      height: u32[(map + Layout.HEIGHT) >>> 2]!,
    };
  }

  /**
   * Checks every invariant of the map: order, fill, links, levels, counts, free nodes, guard. O(n).
   *
   * @throws {CorruptionError} naming the first violation
   */
  validate(): void {
    const map = this.$open("validate");
    const violation = this.$memory.exports.validateSortedMap(map);
    if (violation !== 0) throw new CorruptionError(`the sorted map at ${map} is corrupt: ${VIOLATIONS[violation]}`);
  }

  /**
   * Ends the map and all views of its entries, and gives back its memory; other calls are a {@link DisposedError} from then on. A
   * second call does nothing. O(runs).
   */
  dispose(): void {
    if (this.disposed) return;
    this.$memory.sites?.unregister(this);
    this.$memory.exports.destroySortedMap(this.#address);
    this.#address = 0;
    this.#keyIsF64 = false;
    this.#bothF64 = false;
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The map's address, for calls into modules of your own. @throws {DisposedError} */
  get address(): Address {
    return this.$open("address");
  }

  $open(operation: string): Address {
    // Views of length 0: the runtime has been disposed, or a host has grown memory behind our back.
    if (this.#address === 0 || this.$memory.u32.length === 0) this.#assertUsable(operation);
    return this.#address;
  }

  #assertUsable(operation: string): void {
    this.$memory.assertUsable(operation);
    if (this.#address === 0) throw new DisposedError(`${operation}: the sorted map has been disposed`);
  }

  /** Moves the map's entry to entry `index` of `leaf`, with the guard that the map has now. */
  #show(map: Address, leaf: Address, index: number): Entry<K, V> {
    const { i32 } = this.$memory;
    const guard = i32[(map + Layout.GUARD) >>> 2]! >>> 2;
    return this.$entry.$move(leaf, index, guard, i32[(map + Layout.GENERATION) >>> 2]!);
  }

  /** What to pass to wasm for `key`, which is checked, and written to the key slot if it is not passed. */
  #pass(operation: string, key: unknown): number {
    return this.#keyIsF64 && isNumber(key) ? key : this.#passSlow(operation, key);
  }

  #passSlow(operation: string, key: unknown): number {
    this.$open(operation);
    // Checking can run any code, even one that disposes of this map; nothing after it can.
    const checked = this.$format.check(this.$memory, key);
    return this.$format.write(this.$memory, this.$open(operation) + Layout.KEY_SLOT, checked);
  }

  /** The entry at the greatest or the least key. */
  #end(operation: string, greatest: boolean): Entry<K, V> | undefined {
    const map = this.$open(operation);
    const { i32 } = this.$memory;
    const leaf = i32[(map + (greatest ? Layout.LAST : Layout.FIRST)) >>> 2]! >>> 0;
    if (leaf === 0) return undefined;
    return this.#show(map, leaf, greatest ? i32[(leaf + Layout.NODE_COUNT) >>> 2]! - 1 : 0);
  }

  #neighbour(operation: string, key: unknown, neighbour: Neighbour): Entry<K, V> | undefined {
    const passed = this.#pass(operation, key);
    const map = this.$open(operation);
    const memory = this.$memory;
    const leaf = memory.exports.sortedMapSeek(map, passed, neighbour) >>> 0;
    return leaf === 0 ? undefined : this.#show(map, leaf, memory.i32[(map + Layout.INDEX) >>> 2]!);
  }
}

/** The bytes that the map at `address` owns. */
function bytesOf({ u32 }: LinearMemory, address: Address): number {
  return SMALL_BLOCK_SIZE + u32[(address + Layout.RUN_BYTES) >>> 2]!;
}

/** True for a number that is not NaN. */
function isNumber(key: unknown): key is number {
  // biome-ignore lint/suspicious/noSelfCompare: the shortest test for NaN
  return typeof key === "number" && key === key;
}

function assertValueType(type: FieldType<unknown>): void {
  if (typeof type?.$codec !== "object") {
    throw new InvalidArgumentError(`a sorted map takes a type for its values, not ${describe(type)}`);
  }
  if (type.kind === FieldKind.ARRAY || type.kind === FieldKind.REF) {
    throw new InvalidArgumentError(`values cannot be of type ${type.name}; put it into a struct`);
  }
  if (hasHook(type)) {
    throw new InvalidArgumentError(`values cannot be of struct ${type.name}, whose destroy hook would not be called`);
  }
  if (type.size > VALUE_LIMIT) {
    throw new InvalidArgumentError(`values have at most ${VALUE_LIMIT} bytes, but ${type.name} has ${type.size}`);
  }
}
