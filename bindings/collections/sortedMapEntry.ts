import type { Cursor } from "../layout/cursor.js";
import { FieldKind, type FieldType } from "../layout/fieldType.js";
import { Location, place, stale } from "../layout/location.js";
import { StructType } from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { Layout } from "./sortedMapLayout.js";
import type { GivenValue, Shown } from "./sortedMapTypes.js";

/**
 * A movable view of one entry of a sorted map: each map has one, which its queries and its iteration move.
 *
 * Every access is checked. An insert of a new key, a delete or a clear may move entries, so it ends the view: read what
 * you need before, or ask again. Reading a number makes no garbage; a bigint or a text is made anew by each read.
 *
 * @example
 * const best = map.first();
 * if (best !== undefined) console.log(best.key, best.value);
 */
export class Entry<K extends FieldType<unknown>, V extends FieldType<unknown>> extends Location {
  readonly #keyType: FieldType<unknown>;
  readonly #valueType: FieldType<unknown>;
  readonly #keyIsF64: boolean;
  readonly #valueIsF64: boolean;
  /** Where a copy of a key that is a struct is shown. */
  readonly #shownKey: Address;
  readonly #keyBytes: number;
  readonly #valueBytes: number;
  /** Where values begin in a leaf. */
  readonly #valuesOffset: number;
  readonly #keyCursor: Cursor | undefined;
  readonly #valueCursor: Cursor | undefined;
  #value: Address = 0;

  /** @param map the address of the map */
  constructor(memory: LinearMemory, keyType: FieldType<unknown>, valueType: FieldType<unknown>, map: Address) {
    super(memory);
    this.#keyType = keyType;
    this.#valueType = valueType;
    this.#keyIsF64 = keyType.kind === FieldKind.F64;
    this.#valueIsF64 = valueType.kind === FieldKind.F64;
    this.#shownKey = map + Layout.SHOWN_KEY;
    this.#keyBytes = keyType.size;
    this.#valueBytes = valueType.size;
    this.#valuesOffset = memory.u32[(map + Layout.VALUES_OFFSET) >>> 2]!;
    this.#keyCursor = keyType instanceof StructType ? keyType.$newCursor(memory) : undefined;
    this.#keyCursor?.$becomeFleeting();
    this.#valueCursor = valueType instanceof StructType ? valueType.$newCursor(memory) : undefined;
  }

  /**
   * The key. Of a struct: the entry's cursor on a copy of it, since a key that could be written to would lose its place.
   *
   * @throws {StaleReferenceError} if the map has changed since, {DisposedError} after the runtime's end
   */
  get key(): Shown<K> {
    const memory = this.$memory;
    if (memory.i32[this.$guard] !== this.$generation) stale(this);
    // Short, so that it is compiled in place: a number that a call returns is an object of the JavaScript heap.
    if (this.#keyIsF64) return memory.f64[this.$address >>> 3] as Shown<K>;
    return this.keySlow(memory) as Shown<K>;
  }

  private keySlow(memory: LinearMemory): unknown {
    const cursor = this.#keyCursor;
    if (cursor === undefined) return this.#keyType.$codec.read(memory, this.$address);
    memory.u8.copyWithin(this.#shownKey, this.$address, this.$address + this.#keyBytes);
    place(cursor, this.#shownKey, this.$guard, this.$generation);
    return cursor;
  }

  /**
   * The value; it can be set, in place. Of a struct: the entry's cursor on it, and setting it sets the fields that are
   * named.
   *
   * @throws {StaleReferenceError} if the map has changed since, {DisposedError} after the runtime's end
   */
  get value(): Shown<V> {
    const memory = this.$memory;
    if (memory.i32[this.$guard] !== this.$generation) stale(this);
    if (this.#valueIsF64) return memory.f64[this.#value >>> 3] as Shown<V>;
    return this.valueSlow(memory) as Shown<V>;
  }

  /** @throws {InvalidArgumentError} if it does not fit; then nothing is changed */
  set value(value: GivenValue<V>) {
    const memory = this.$memory;
    if (memory.i32[this.$guard] !== this.$generation) stale(this);
    const checked = this.#valueType.$codec.check(memory, value, "the value");
    if (memory.i32[this.$guard] !== this.$generation) stale(this); // a getter in the value may have changed the map
    this.#valueType.$codec.write(memory, this.#value, checked as never);
  }

  /** Key and value as plain data, for `JSON.stringify`. */
  toJSON(): { readonly key: unknown; readonly value: unknown } {
    if (this.$memory.i32[this.$guard] !== this.$generation) stale(this);
    return {
      key: this.#keyType.$codec.read(this.$memory, this.$address),
      value: this.#valueType.$codec.read(this.$memory, this.#value),
    };
  }

  get $title(): string {
    return "Entry";
  }

  private valueSlow(memory: LinearMemory): unknown {
    const cursor = this.#valueCursor;
    if (cursor === undefined) return this.#valueType.$codec.read(memory, this.#value);
    place(cursor, this.#value, this.$guard, this.$generation);
    return cursor;
  }

  /** Moves to entry `index` of `leaf`. */
  $move(leaf: Address, index: number, guard: number, generation: number): this {
    place(this, leaf + Layout.NODE_HEADER + index * this.#keyBytes, guard, generation);
    this.#value = leaf + this.#valuesOffset + index * this.#valueBytes;
    return this;
  }
}
