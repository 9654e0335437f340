import type { Cursor } from "../layout/cursor.js";
import { FieldKind, type FieldType } from "../layout/fieldType.js";
import { Location, place, stale } from "../layout/location.js";
import { StructType } from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
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
  readonly #shownKey: Address;
  readonly #keyCursor: Cursor | undefined;
  readonly #valueCursor: Cursor | undefined;
  #value: Address = 0;

  /** @param shownKey where a copy of a key that is a struct is shown */
  constructor(memory: LinearMemory, keyType: FieldType<unknown>, valueType: FieldType<unknown>, shownKey: Address) {
    super(memory);
    this.#keyType = keyType;
    this.#valueType = valueType;
    this.#shownKey = shownKey;
    this.#keyCursor = keyType instanceof StructType ? keyType.$newCursor(memory) : undefined;
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
    if (this.#keyType.kind === FieldKind.F64) return memory.f64[this.$address >>> 3] as Shown<K>;
    const cursor = this.#keyCursor;
    if (cursor === undefined) return this.#keyType.$codec.read(memory, this.$address) as Shown<K>;
    memory.u8.copyWithin(this.#shownKey, this.$address, this.$address + this.#keyType.size);
    place(cursor, this.#shownKey, this.$guard, this.$generation);
    return cursor as Cursor as Shown<K>;
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
    if (this.#valueType.kind === FieldKind.F64) return memory.f64[this.#value >>> 3] as Shown<V>;
    const cursor = this.#valueCursor;
    if (cursor === undefined) return this.#valueType.$codec.read(memory, this.#value) as Shown<V>;
    place(cursor, this.#value, this.$guard, this.$generation);
    return cursor as Cursor as Shown<V>;
  }

  /** @throws {InvalidArgumentError} if it does not fit; then nothing is changed */
  set value(value: GivenValue<V>) {
    const memory = this.$memory;
    if (memory.i32[this.$guard] !== this.$generation) stale(this);
    this.#valueType.$codec.check(memory, value, "the value");
    this.#valueType.$codec.write(memory, this.#value, value as never);
  }

  /** Moves to the entry whose key and value lie at these addresses. */
  $move(key: Address, value: Address, guard: number, generation: number): void {
    place(this, key, guard, generation);
    this.#value = value;
  }
}
