import { checkInteger, describe, lengthOfTyped } from "../arguments.js";
import { InvalidArgumentError, OutOfBoundsError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { assertLive, assertSameMemory, Location } from "./location.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * A run of bytes in linear memory: what `region.bytes(n)`, `region.text(string)`, `byteHeap.bytes(n)`, `framePool.acquire(size)`
 * and heaps give.
 *
 * Every access is checked against the length, and is a {@link StaleReferenceError} once the region has ended, or the bytes have
 * been freed. There is no lasting `Uint8Array` of it, since one would go stale silently when memory grows: copy in, copy out, or
 * take a {@link view} for the moment.
 *
 * @example
 * const bytes = region.bytes(16);
 * bytes.copyFrom(new Uint8Array([1, 2, 3]));
 * bytes.get(1); // 2
 */
export class Bytes extends Location {
  $length = 0;

  /** Throws if these can show nothing but what they were made for. */
  $assertMovable(_operation: string): void {}

  /** How many bytes there are. */
  get length(): number {
    return this.$length;
  }

  /** The address of the first byte, for calls into wasm. */
  get address(): number {
    assertLive(this);
    return this.$address;
  }

  /** The byte at `index`. O(1). @throws {OutOfBoundsError} */
  get(index: number): number {
    const memory = this.$memory;
    assertLive(this);
    if (typeof index !== "number" || index >>> 0 !== index || index >= this.$length) this.outOfBounds(index, 1);
    return memory.u8[this.$address + index]!;
  }

  /** Sets the byte at `index`. O(1). @throws {OutOfBoundsError} or {InvalidArgumentError} for a value that is no byte */
  set(index: number, value: number): void {
    const memory = this.$memory;
    assertLive(this);
    if (typeof index !== "number" || index >>> 0 !== index || index >= this.$length) this.outOfBounds(index, 1);
    if (typeof value !== "number" || (value & 0xff) !== value) checkInteger("a byte", value, 0, 255);
    memory.u8[this.$address + index] = value;
  }

  /**
   * Copies all of `source` to here, from `offset` on. O(bytes).
   *
   * @param source a `Uint8Array`, a `Buffer` included
   * @throws {OutOfBoundsError} if it does not fit; nothing is copied
   * @throws {InvalidArgumentError} if `source` is not a `Uint8Array`
   */
  copyFrom(source: Uint8Array, offset = 0): void {
    assertLive(this);
    const count = lengthOfTyped(source, "Uint8Array");
    if (count === undefined) {
      throw new InvalidArgumentError(`copyFrom takes a Uint8Array, but was given ${describe(source)}`);
    }
    if (typeof offset !== "number" || offset >>> 0 !== offset || offset + count > this.$length) {
      this.outOfBounds(offset, count);
    }
    this.$memory.u8.set(source, this.$address + offset);
  }

  /** A copy that belongs to the JavaScript heap. O(bytes). */
  toUint8Array(): Uint8Array {
    assertLive(this);
    return this.$memory.u8.slice(this.$address, this.$address + this.$length);
  }

  /**
   * The bytes themselves, without a copy. The view is good until memory next grows, which any allocation may cause, and
   * until the region ends; use it at once and let it go.
   */
  view(): Uint8Array {
    assertLive(this);
    return this.$memory.u8.subarray(this.$address, this.$address + this.$length);
  }

  /** The bytes as UTF-8 text; malformed sequences become U+FFFD. O(bytes). */
  override toString(): string {
    return decoder.decode(this.view());
  }

  /** The bytes as an array of numbers, for `JSON.stringify`. O(bytes). */
  toJSON(): number[] {
    return [...this.toUint8Array()];
  }

  get $title(): string {
    return "Bytes";
  }

  private outOfBounds(index: unknown, count: number): never {
    throw new OutOfBoundsError(`${count} bytes from ${describe(index)} on are not inside ${this.$length} bytes`);
  }
}

/**
 * The UTF-8 length of `text`.
 *
 * @param what how a message calls it
 * @throws {InvalidArgumentError} if it is no string, or not well-formed UTF-16: it could not be read back as it was
 */
export function utf8Length(text: string, what = "a text"): number {
  if (typeof text !== "string") throw new InvalidArgumentError(`${what} must be a string, but is ${describe(text)}`);
  let length = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    if (unit < 0x800) length += 1;
    else if (unit < 0xd800 || unit > 0xdfff) length += 2;
    else {
      const next = text.charCodeAt(index + 1);
      if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) {
        throw new InvalidArgumentError(`${what} must be well-formed, but has a lone surrogate at ${index}`);
      }
      length += 2; // a pair: 4 bytes for 2 units
      index++;
    }
  }
  return length;
}

/** Writes `text` as UTF-8 into `target`, as much as there is room for; lone surrogates become U+FFFD. */
export function encodeText(text: string, target: Uint8Array): { readonly read: number; readonly written: number } {
  return encoder.encodeInto(text, target);
}

/** Reads UTF-8 text. */
export function decodeText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Throws unless `into` are bytes that can be moved elsewhere in `memory`. */
export function assertBytes(memory: LinearMemory, into: Bytes, operation: string): void {
  if (!(into instanceof Bytes)) {
    throw new InvalidArgumentError(`${operation}: bytes to reuse were expected, but ${describe(into)} was given`);
  }
  assertSameMemory(memory, into, operation);
  into.$assertMovable(operation);
}
