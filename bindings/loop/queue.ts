// The loop's queue: a preallocated ring, then a bounded overflow behind it.
//
//   post ──▶ ring (capacity) ──▶ handler
//             ▲  only while the ring is full
//             └── overflow (overflowCapacity) ◀── post
//
// One invariant keeps the order strict: while the overflow holds anything, the ring is full. Each event that leaves the
// ring is replaced at once by the oldest of the overflow, so a post that finds room in the ring has nothing before it in
// the overflow, and a post that finds none can only go behind it or be refused.

import type { QueuePolicy } from "./options.js";
import { Overflow } from "./overflow.js";

/**
 * What became of a post: in the ring; in the overflow behind it; in the ring, for which the oldest of its kind was dropped; in
 * the place of one with the same key; or refused.
 */
export type PostResult = "queued" | "spilled" | "displaced" | "coalesced" | "rejected";

/** Event numbers are rebased beyond this, so that they stay small integers. */
const REBASE = 2 ** 29;

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
  /** Events that went into the overflow. */
  spilled = 0;
  /** Events that were refused. */
  rejected = 0;
  /** Events that were dropped for newer ones of their kind. */
  displaced = 0;

  private readonly capacity: number;
  private readonly overflowCapacity: number;
  private readonly kinds: (Kind | undefined)[];
  private readonly payloads: unknown[];
  /** Slots − 1, where slots is the least power of two that is no less than the capacity. */
  private readonly mask: number;
  private readonly overflow = new Overflow<Kind>();
  /**
   * Numbers of the oldest event in the ring and of the next to come, whose low bits are their slots. At most `capacity` apart,
   * and just so while the overflow holds anything.
   */
  private head = 0;
  private tail = 0;
  /** The most events that the ring has held: a post that finds as many takes the slow path, which raises it up to the capacity. */
  private mark = 0;
  /** The head from which on a shift takes the slow path: at once while the overflow holds anything. */
  private rebaseAt = REBASE;

  /**
   * @param capacity events in the ring, from 1 to 2^30
   * @param overflowCapacity events in the overflow, from 0
   */
  constructor(capacity: number, overflowCapacity: number) {
    const slots = 1 << (32 - Math.clz32(capacity - 1));
    this.capacity = capacity;
    this.overflowCapacity = overflowCapacity;
    this.mask = slots - 1;
    this.kinds = new Array<Kind | undefined>(slots).fill(undefined);
    this.payloads = new Array<unknown>(slots).fill(undefined);
  }

  /** Events in the ring and in the overflow. */
  get length(): number {
    return this.tail - this.head + this.overflow.length;
  }

  /** Events in the overflow. */
  get overflowLength(): number {
    return this.overflow.length;
  }

  /** The most events that the ring has held. */
  get ringHighWater(): number {
    return this.mark;
  }

  /** Whether the ring takes another event. */
  get hasRoom(): boolean {
    return this.tail - this.head < this.capacity;
  }

  /** The oldest event's kind; only while `length > 0`. */
  get kind(): Kind {
    return this.kinds[this.head & this.mask]!;
  }

  /**
   * Queues an event behind all others.
   *
   * @param policy what to do when the ring is full
   */
  push(kind: Kind, payload: unknown, policy: QueuePolicy | "coalesce"): PostResult {
    const tail = this.tail;
    if (tail - this.head >= this.mark) return this.pushSlow(kind, payload, policy);
    const slot = tail & this.mask;
    this.kinds[slot] = kind;
    this.payloads[slot] = payload;
    this.tail = tail + 1;
    return "queued";
  }

  /** Removes the oldest event and returns its payload, of which its slot lets go; only while `length > 0`. */
  shift(): unknown {
    const { head, payloads } = this;
    const slot = head & this.mask;
    const payload = payloads[slot];
    payloads[slot] = undefined;
    this.head = head + 1;
    if (head >= this.rebaseAt) this.shiftSlow();
    return payload;
  }

  /** Removes everything. Returns how many events that were. */
  clear(): number {
    const length = this.length;
    if (length === 0) return 0;
    this.payloads.fill(undefined);
    this.overflow.clear();
    this.rebaseAt = REBASE;
    this.head = 0;
    this.tail = 0;
    return length;
  }

  private pushSlow(kind: Kind, payload: unknown, policy: QueuePolicy | "coalesce"): PostResult {
    const length = this.tail - this.head;
    if (length < this.capacity) {
      this.mark = length + 1;
      return this.push(kind, payload, policy);
    }
    if (policy === "drop-oldest") return this.displace(kind, payload);
    if (policy !== "spill" || this.overflow.length >= this.overflowCapacity) {
      this.rejected++;
      return "rejected";
    }
    this.spill(kind, payload);
    this.spilled++;
    return "spilled";
  }

  private spill(kind: Kind, payload: unknown): void {
    const { overflow } = this;
    overflow.push(kind, payload);
    this.rebaseAt = 0;
    if (overflow.length > this.overflowHighWater) this.overflowHighWater = overflow.length;
  }

  /**
   * Drops the oldest event of this kind in the full ring and queues the new one behind all others; refuses it if there is none.
   * Older events of other kinds move up by a slot each: O(1 + their number).
   */
  private displace(kind: Kind, payload: unknown): PostResult {
    const { kinds, payloads, mask, head, tail } = this;
    let at = head;
    while (at < tail && kinds[at & mask] !== kind) at++;
    if (at === tail) {
      this.rejected++;
      return "rejected";
    }
    for (; at > head; at--) {
      kinds[at & mask] = kinds[(at - 1) & mask];
      payloads[at & mask] = payloads[(at - 1) & mask];
    }
    this.shift();
    this.displaced++;
    if (this.overflow.length > 0 || !this.hasRoom) this.spill(kind, payload);
    else this.push(kind, payload, "reject");
    return "displaced";
  }

  /** Gives the slot that has just become free to the oldest of the overflow, and keeps the numbers small. */
  private shiftSlow(): void {
    const { overflow } = this;
    if (overflow.length > 0) {
      const slot = this.tail & this.mask;
      this.kinds[slot] = overflow.kind;
      this.payloads[slot] = overflow.payload;
      this.tail++;
      overflow.shift();
      if (overflow.length === 0) this.rebaseAt = REBASE;
    }
    if (this.head > REBASE) {
      const base = this.head & ~this.mask; // slots stay what they are
      this.head -= base;
      this.tail -= base;
    }
  }
}
