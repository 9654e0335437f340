import { checkInteger, describe } from "../arguments.js";
import { InvalidArgumentError, LimitExceededError, OutOfBoundsError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { type Codec, Image } from "./codec.js";
import type { Cursor, Ref } from "./cursor.js";
import type { FieldType } from "./fieldType.js";
import { assertLive, assertMovable, assertSameMemory, frozenError, Location, place, stale } from "./location.js";
import type { CursorOf, Fields, ObjectOf, ValuesOf } from "./struct.js";

/** Where a growable array takes its next segment from: the arena or region that made it. */
export interface SegmentSource {
  /**
   * Returns the address of `bytes` zeros that live as long as the guard does.
   *
   * @throws {LimitExceededError} if what is allocated now would end earlier, because a mark has been made since
   */
  $segment(bytes: number, guard: number, generation: number): Address;
}

/** The first segment of a growable array holds as many elements as fit this many bytes, four at least. */
const FIRST_SEGMENT_BYTES = 256;

/** An index is a small integer in every engine up to here. */
const LENGTH_LIMIT = 0x3fff_ffff;

/**
 * Elements in a row: inline in a struct, or in a region with a fixed length, or growable.
 *
 * A growable array consists of segments, each twice as long as the one before, so elements never move: a ref to one
 * stays good while the array grows.
 *
 *   segment 0   ┌ 0 … n−1 ┐
 *   segment 1   ┌ n … 3n−1          ┐
 *   segment 2   ┌ 3n … 7n−1                              ┐     n a power of two
 */
export abstract class Sequence<Value> extends Location implements Iterable<Value> {
  $length = 0;
  /** Elements that have a place already. */
  $capacity = 0;
  /** Elements in the first segment. */
  $first = 0;
  /** Log2 of `$first`, for growable arrays. */
  #shift = 0;
  /** The addresses of segments 1, 2, …; the first is at `$address`. */
  #segments: Address[] = [];
  #source: SegmentSource | undefined;
  /** Places below this one have been written to since the segment was taken, and must be cleared for a new element. */
  #written = 0;
  #iterator: SequenceIterator<Value> | undefined;

  /** The distance between elements, in bytes. */
  readonly $stride: number;

  constructor(
    memory: LinearMemory,
    /** The elements' type. */
    readonly $element: FieldType<unknown>,
  ) {
    super(memory);
    this.$stride = $element.size;
  }

  /** How many elements there are. */
  get length(): number {
    return this.$length;
  }

  /** True if the array takes more memory for elements that are pushed; false if its places are all it has. */
  get growable(): boolean {
    return this.#source !== undefined;
  }

  /**
   * The address of the first element, for calls into wasm; a fixed array has all its elements there in a row. 0 of one that grows
   * and has had none yet.
   */
  get address(): Address {
    assertLive(this);
    return this.$address;
  }

  /** Element `index`. O(1). @throws {OutOfBoundsError} @throws {StaleReferenceError} */
  abstract at(index: number): Value;

  /** Element `index` as plain data. */
  abstract $plain(index: number): unknown;

  /** All elements as plain data on the JavaScript heap. O(length). */
  toArray(): unknown[] {
    assertLive(this);
    const result = new Array<unknown>(this.$length);
    for (let index = 0; index < result.length; index++) result[index] = this.$plain(index);
    return result;
  }

  /** As {@link toArray}, for `JSON.stringify`. */
  toJSON(): unknown[] {
    return this.toArray();
  }

  get $title(): string {
    return `array(${this.$element.name})`;
  }

  /**
   * Iterates over the elements that are there when an element is asked for, so elements pushed meanwhile are visited
   * too. The iterator is reused once its loop has ended.
   *
   * @throws {StaleReferenceError} if the array has ended, or has no place yet; also in the middle of the loop
   */
  [Symbol.iterator](): Iterator<Value> {
    assertLive(this);
    const idle = this.#iterator;
    if (idle?.idle) return idle.restart();
    this.#iterator = new SequenceIterator<Value>(this);
    return this.#iterator.restart();
  }

  /**
   * Removes the elements from `length` on; their places are kept for later ones. O(1). A ref to one of them stays live, and shows what
   * is pushed to its place.
   *
   * @throws {InvalidArgumentError} for a length that is none, or more than the present one, or if a program has frozen the array
   * @throws {LimitExceededError} for an array of a heap, whose length stays as it is
   */
  truncate(length: number): void {
    assertLive(this);
    const shortened = checkInteger("a shortened length", length, 0, this.$length);
    try {
      this.$length = shortened;
    } catch (error) {
      throw frozenError(this, error);
    }
  }

  /** The address of element `index`, which must be there. */
  $locate(index: number): Address {
    if (this.$memory.i32[this.$guard] !== this.$generation) stale(this);
    if (typeof index !== "number" || index >>> 0 !== index || index >= this.$length) this.outOfBounds(index);
    return index < this.$first ? this.$address + index * this.$stride : this.locateSlow(index);
  }

  /** Makes room for one more element, zero unless it `clears` none, and returns its address. Amortised O(1). */
  $append(clears = true): Address {
    const index = this.$length;
    if (this.$memory.i32[this.$guard] !== this.$generation) stale(this);
    if (index >= this.$capacity) this.addSegment();
    try {
      this.$length = index + 1;
    } catch (error) {
      throw frozenError(this, error);
    }
    const address = index < this.$first ? this.$address + index * this.$stride : this.locateSlow(index);
    if (index >= this.#written) this.#written = index + 1;
    else if (clears) this.$memory.u8.fill(0, address, address + this.$stride);
    return address;
  }

  /** The bytes of all elements, as they are now. */
  $image(): Image {
    assertLive(this);
    const stride = this.$stride;
    const bytes = new Uint8Array(this.$length * stride);
    for (let index = 0; index < this.$length; index++) {
      const address = this.$locate(index);
      bytes.set(this.$memory.u8.subarray(address, address + stride), index * stride);
    }
    return new Image(bytes);
  }

  /** Throws unless this array can be reused for elements of `type` in `memory`. */
  $assertReusable(memory: LinearMemory, type: FieldType<unknown>): void {
    assertSameMemory(memory, this, "array");
    if (this.$element !== type) {
      throw new InvalidArgumentError(`array: it is one of ${this.$element.name}, not of ${type.name}`);
    }
  }

  /** Makes this an array of `length` elements that lie at `address`. */
  $fix(address: Address, length: number, guard: number, generation: number): void {
    place(this, address, guard, generation);
    this.$length = length;
    this.$capacity = length;
    this.$first = length;
    this.#source = undefined;
    this.#written = length;
  }

  /** Makes this an empty array that takes its segments from `source`. */
  $grow(source: SegmentSource, guard: number, generation: number): void {
    place(this, 0, guard, generation);
    this.#shift = 31 - Math.clz32(Math.max(4, Math.floor(FIRST_SEGMENT_BYTES / this.$stride)));
    this.$length = 0;
    this.$capacity = 0;
    this.$first = 1 << this.#shift;
    this.#segments.length = 0;
    this.#source = source;
    this.#written = 0;
  }

  private locateSlow(index: number): Address {
    const number = 31 - Math.clz32((index >>> this.#shift) + 1);
    const start = ((1 << number) - 1) << this.#shift;
    return this.#segments[number - 1]! + (index - start) * this.$stride;
  }

  private addSegment(): void {
    if (this.#source === undefined) {
      throw new LimitExceededError(`an array of fixed length ${this.$capacity} is full`);
    }
    const number = this.$address === 0 ? 0 : this.#segments.length + 1;
    const count = this.$first * 2 ** number;
    if (this.$capacity + count > LENGTH_LIMIT) {
      throw new LimitExceededError(`an array of ${this.$length} elements cannot grow beyond ${LENGTH_LIMIT}`);
    }
    assertMovable(this); // before anything is taken for it
    const address = this.#source.$segment(count * this.$stride, this.$guard, this.$generation);
    if (number === 0) this.$address = address;
    else this.#segments.push(address);
    this.$capacity += count;
  }

  private outOfBounds(index: unknown): never {
    throw new OutOfBoundsError(`element ${describe(index)} is not inside an array of ${this.$length}`);
  }
}

class SequenceIterator<Value> implements Iterator<Value> {
  idle = true;
  readonly #sequence: Sequence<Value>;
  #index = 0;
  readonly #result: { done: boolean; value: Value | undefined } = { done: false, value: undefined };

  constructor(sequence: Sequence<Value>) {
    this.#sequence = sequence;
  }

  restart(): this {
    this.idle = false;
    this.#index = 0;
    return this;
  }

  next(): IteratorResult<Value> {
    const result = this.#result;
    const index = this.#index;
    if (index < this.#sequence.$length && !this.idle) {
      this.#index = index + 1;
      result.done = false;
      result.value = this.#sequence.at(index);
    } else {
      if (!this.idle) assertLive(this.#sequence); // it may have ended in the loop's body, for the last element, too
      this.return();
    }
    return result as IteratorResult<Value>;
  }

  return(): IteratorResult<Value> {
    this.idle = true;
    this.#result.done = true;
    this.#result.value = undefined;
    return this.#result as IteratorResult<Value>;
  }
}

/**
 * Structs in a row. It has one cursor, which {@link at}, {@link push} and iteration move: read what you need of an
 * element before you ask for the next, or take a `ref()` of it.
 *
 * | operation | cost |
 * |---|---|
 * | `at`, `set` | O(1) |
 * | `push` | amortised O(1), elements never move |
 * | iteration | O(length), no garbage |
 *
 * @example
 * const levels = region.array(Level);
 * levels.push({ price: 100.5, quantity: 2 });
 * for (const level of levels) console.log(level.price);
 */
export class StructArray<F extends Fields> extends Sequence<CursorOf<F>> {
  readonly #cursor: CursorOf<F>;

  /** @param cursor the cursor that moves over the elements */
  constructor(memory: LinearMemory, cursor: CursorOf<F>) {
    super(memory, cursor.$struct);
    this.#cursor = cursor;
  }

  at(index: number): CursorOf<F> {
    const cursor = this.#cursor;
    place(cursor, this.$locate(index), this.$guard, this.$generation);
    return cursor;
  }

  /**
   * Sets the fields of element `index` that `values` names, all or none. The array's cursor stays where it is.
   *
   * @param values as for {@link Cursor.assign}
   * @throws {OutOfBoundsError}, {InvalidArgumentError}; nothing is changed
   */
  set(index: number, values: ValuesOf<F> | Cursor<F> | Ref<F>): void {
    const struct = this.#cursor.$struct;
    const checked = struct.$check(this.$memory, values, struct.name);
    // Located only now, since a getter among the values may have cut the array short, or ended it.
    struct.$write(this.$memory, this.$locate(index), checked);
  }

  /**
   * Adds an element, zero but for `values`, and returns the array's cursor on it.
   *
   * @param values as for {@link Cursor.assign}
   * @throws {LimitExceededError} if all places of a fixed array are taken; or if one that grows needs more, and a mark made after
   *   it is open, or they would be more than 2^30 − 1
   * @throws {OutOfMemoryError}, {SealedError} if there is no memory for it; the array is as before
   * @throws {InvalidArgumentError} if a value does not fit its field; the array is as before
   */
  push(values?: ValuesOf<F> | Cursor<F> | Ref<F>): CursorOf<F> {
    const cursor = this.#cursor;
    assertMovable(cursor); // before there is another element
    const address = values === undefined ? this.$append() : this.appendFrom(values);
    place(cursor, address, this.$guard, this.$generation);
    return cursor;
  }

  /** Writes before the array's cursor is moved, since that may be on the very record to copy. */
  private appendFrom(values: ValuesOf<F> | Cursor<F> | Ref<F>): Address {
    const struct = this.#cursor.$struct;
    const checked = struct.$check(this.$memory, values, struct.name);
    // A record is copied whole; it may be on this very place, as one that the array had before it was cut short.
    const address = this.$append(!(checked instanceof Location));
    struct.$write(this.$memory, address, checked);
    return address;
  }

  override $becomeFleeting(): void {
    this.#cursor.$becomeFleeting();
  }

  $plain(index: number): ObjectOf<F> {
    return this.#cursor.$struct.$read(this.$memory, this.$locate(index), this);
  }

  override toArray(): ObjectOf<F>[] {
    return super.toArray() as ObjectOf<F>[];
  }
}

/**
 * Values in a row: numbers, bigints, booleans, texts, refs or arrays. A ref is read as a {@link Ref}, for
 * {@link Cursor.moveTo}; an array as a plain one.
 *
 * | operation | cost |
 * |---|---|
 * | `at`, `set` | O(1) |
 * | `push` | amortised O(1) |
 *
 * @example
 * const prices = region.array(f64, 3);
 * prices.set(0, 100.5);
 */
export class ValueArray<Value, Given = Value> extends Sequence<Value> {
  readonly #codec: Codec;

  constructor(memory: LinearMemory, element: FieldType<unknown>) {
    super(memory, element);
    this.#codec = element.$codec;
  }

  at(index: number): Value {
    return this.#codec.read(this.$memory, this.$locate(index), this) as Value;
  }

  /** Sets element `index`. @throws {OutOfBoundsError}, {InvalidArgumentError} */
  set(index: number, value: Given): void {
    const checked = this.#codec.check(this.$memory, value, "element", index);
    this.#codec.write(this.$memory, this.$locate(index), checked as never);
  }

  /** Adds an element. Errors as in {@link StructArray.push}. */
  push(value: Given): void {
    const checked = this.#codec.check(this.$memory, value, "element", this.$length);
    this.#codec.write(this.$memory, this.$append(), checked as never);
  }

  $plain(index: number): Value {
    return this.at(index);
  }

  override toArray(): Value[] {
    return super.toArray() as Value[];
  }
}
