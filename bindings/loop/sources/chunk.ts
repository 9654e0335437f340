import { lengthOfTyped } from "../../arguments.js";

/** What a stream may give, made one of two. */
export type Chunk = Uint8Array | string;

/** Bytes or text of what a stream, or `map`, gives; `undefined` if it is neither. No copy. */
export function chunkOf(value: unknown): Chunk | undefined {
  if (typeof value === "string") return value;
  if (ArrayBuffer.isView(value)) {
    // A Uint8Array, also one of another realm, as it is: an object less for each chunk. Not one that misstates its length.
    const length = lengthOfTyped(value, "Uint8Array");
    if (length !== undefined && length === (value as Uint8Array).length) return value as Uint8Array;
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (isBuffer(value)) return new Uint8Array(value);
  return undefined;
}

function isBuffer(value: unknown): value is ArrayBuffer {
  const tag = Object.prototype.toString.call(value);
  return tag === "[object ArrayBuffer]" || tag === "[object SharedArrayBuffer]";
}

/** The UTF-8 length of a text in which a lone surrogate counts as the U+FFFD that it becomes. O(units) */
export function encodedLength(text: string): number {
  let length = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    length += unit < 0x800 ? 1 : 2;
    if ((unit & 0xfc00) === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00) index++; // 4 bytes for 2 units
  }
  return length;
}

/** The first half of a character in which a text ends, whose second half the next text may begin with; "" if it ends otherwise. */
export function halfAtEnd(text: string): string {
  return (text.charCodeAt(text.length - 1) & 0xfc00) === 0xd800 ? text.slice(-1) : "";
}

/** What the engine takes for a chunk that waits, beside its bytes: about 40 for a text; 100 to 400 for a view, or a buffer and one. */
const TEXT_BYTES = 64;
const VIEW_BYTES = 256;

/** What a chunk counts for while it waits: its bytes (of a text, units), and a constant, so that any number of short ones is bounded. */
export function weightOf(chunk: Chunk): number {
  return chunk.length + (typeof chunk === "string" ? TEXT_BYTES : VIEW_BYTES);
}

/** Chunks that wait, oldest first. */
export class Backlog {
  /** What the chunks that wait count for, all together. */
  bytes = 0;
  readonly #chunks: Chunk[] = [];
  /** What each counted for when it came. */
  readonly #weights: number[] = [];
  #first = 0;

  get isEmpty(): boolean {
    return this.#first === this.#chunks.length;
  }

  /** The oldest; only while there is one. */
  get oldest(): Chunk {
    return this.#chunks[this.#first]!;
  }

  /** Whether the oldest is as long as when it came: somebody may have transferred or resized its buffer since. */
  get isOldestWhole(): boolean {
    return weightOf(this.oldest) === this.#weights[this.#first];
  }

  push(chunk: Chunk): void {
    const weight = weightOf(chunk);
    this.#chunks.push(chunk);
    this.#weights.push(weight);
    this.bytes += weight;
  }

  /** Removes the oldest. O(1), amortised */
  shift(): void {
    this.bytes -= this.#weights[this.#first]!;
    this.#chunks[this.#first++] = "";
    if (2 * this.#first < this.#chunks.length) return;
    this.#chunks.splice(0, this.#first);
    this.#weights.splice(0, this.#first);
    this.#first = 0;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#weights.length = 0;
    this.#first = 0;
    this.bytes = 0;
  }
}
