// The loop's queue: a preallocated ring, then a bounded overflow behind it.
//
//   post ──▶ ring (capacity) ──▶ handler
//             ▲  only while the ring is full
//             └── overflow (overflowCapacity) ◀── post
//
// One invariant keeps the order strict: while the overflow holds anything, the ring is full. Each event that leaves the
// ring is replaced at once by the oldest of the overflow, so a post that finds room in the ring has nothing before it in
// the overflow, and a post that finds none can only go behind it or be refused.

import { Overflow } from "./overflow.js";

/** What became of a post: in the ring, in the overflow behind it, or refused because both are full or spilling is off. */
export type PostResult = "queued" | "spilled" | "rejected";

/**
 * Events that wait to be handled: kind and payload, first in, first out, in two parallel arrays made once.
 *
 * | operation | cost |
 * |---|---|
 * | push, shift | O(1), no allocation (the overflow takes a segment now and then, until it has enough) |
 * | clear | O(capacity) |
 */
export class EventQueue<Kind extends object> {
  /** The most events that the overflow has held. */
  overflowHighWater = 0;
  /** The most events that the ring has held. */
  ringHighWater = 0;
  /** Events that went into the overflow. */
  spilled = 0;
  /** Events that were refused. */
  rejected = 0;

  readonly #capacity: number;
  readonly #overflowCapacity: number;
  readonly #kinds: (Kind | undefined)[];
  readonly #payloads: unknown[];
  /** Slots − 1, where slots is the least power of two that is no less than the capacity. */
  readonly #mask: number;
  readonly #overflow = new Overflow<Kind>();
  /** Slot of the oldest event; always at most `#mask`. */
  #head = 0;
  /** Events in the ring; always at most `#capacity`, and equal to it while the overflow holds anything. */
  #ringLength = 0;

  /**
   * @param capacity events in the ring, from 1 to 2^30
   * @param overflowCapacity events in the overflow, from 0
   */
  constructor(capacity: number, overflowCapacity: number) {
    const slots = 1 << (32 - Math.clz32(capacity - 1));
    this.#capacity = capacity;
    this.#overflowCapacity = overflowCapacity;
    this.#mask = slots - 1;
    this.#kinds = new Array<Kind | undefined>(slots).fill(undefined);
    this.#payloads = new Array<unknown>(slots).fill(undefined);
  }

  /** Events in the ring and in the overflow. */
  get length(): number {
    return this.#ringLength + this.#overflow.length;
  }

  /** Events in the overflow. */
  get overflowLength(): number {
    return this.#overflow.length;
  }

  /** Whether the ring takes another event. */
  get hasRoom(): boolean {
    return this.#ringLength < this.#capacity;
  }

  /** The oldest event's kind; only while `length > 0`. */
  get kind(): Kind {
    return this.#kinds[this.#head]!;
  }

  /** The oldest event's payload; only while `length > 0`. */
  get payload(): unknown {
    return this.#payloads[this.#head];
  }

  /**
   * Queues an event behind all others.
   *
   * @param maySpill whether it may go into the overflow when the ring is full
   */
  push(kind: Kind, payload: unknown, maySpill: boolean): PostResult {
    const length = this.#ringLength;
    if (length === this.#capacity) return this.#pushSlow(kind, payload, maySpill);
    const tail = (this.#head + length) & this.#mask;
    this.#kinds[tail] = kind;
    this.#payloads[tail] = payload;
    this.#ringLength = length + 1;
    if (length >= this.ringHighWater) this.ringHighWater = length + 1;
    return "queued";
  }

  /** Removes the oldest event; only while `length > 0`. Its slot lets go of the payload. */
  shift(): void {
    const head = this.#head;
    this.#kinds[head] = undefined;
    this.#payloads[head] = undefined;
    this.#head = (head + 1) & this.#mask;
    this.#ringLength--;
    if (this.#overflow.length > 0) this.#refill();
  }

  /** Removes everything. Returns how many events that were. */
  clear(): number {
    const length = this.length;
    if (length === 0) return 0;
    this.#kinds.fill(undefined);
    this.#payloads.fill(undefined);
    this.#overflow.clear();
    this.#head = 0;
    this.#ringLength = 0;
    return length;
  }

  #pushSlow(kind: Kind, payload: unknown, maySpill: boolean): PostResult {
    const overflow = this.#overflow;
    if (!maySpill || overflow.length >= this.#overflowCapacity) {
      this.rejected++;
      return "rejected";
    }
    overflow.push(kind, payload);
    this.spilled++;
    if (overflow.length > this.overflowHighWater) this.overflowHighWater = overflow.length;
    return "spilled";
  }

  /** Gives the slot that has just become free to the oldest of the overflow. */
  #refill(): void {
    const overflow = this.#overflow;
    const tail = (this.#head + this.#ringLength) & this.#mask;
    this.#kinds[tail] = overflow.kind;
    this.#payloads[tail] = overflow.payload;
    this.#ringLength++;
    overflow.shift();
  }
}
