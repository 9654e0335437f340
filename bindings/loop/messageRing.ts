import { CorruptionError } from "../errors.js";
import { encodeText } from "../layout/bytes.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { type Address, PAGE_SIZE, verifyConstants } from "../memory/module.js";
import { Ring, VIOLATIONS } from "./messageRingLayout.js";
import { type MessageOwner, RingMessage } from "./ringMessage.js";
import type { Source } from "./sources/source.js";

/**
 * How the bytes of a stream become messages: each chunk is one; each line, without its end; or each is preceded by its length
 * in four bytes, the most significant first (`"length"`) or last (`"length-le"`).
 */
export type Framing = "message" | "line" | "length" | "length-le";

/** The figures of a message ring. */
export interface MessageRingStats {
  /** Bytes of data that it holds at the most. */
  readonly capacity: number;
  /** Bytes from the oldest that is in use to the newest. */
  readonly used: number;
  /** The most that ever were. */
  readonly highWater: number;
  /** Messages that are held now, those included that are released but not the oldest. */
  readonly messages: number;
  /** The most that ever were. */
  readonly messagesHighWater: number;
  /** Bytes that had to move since the end of the data left their message no room. */
  readonly moved: number;
  /** Taken from the page heap, in bytes. */
  readonly bytes: number;
}

/**
 * The bytes of one stream in linear memory, and the messages that are framed in them; see assembly/loop/messageRing.ts.
 *
 * | operation | cost |
 * |---|---|
 * | `fill`, `fillText`, `write`, `writeText` | one copy of the bytes; of each message at most one more in a lap |
 * | `next` | O(bytes that have not been looked at) for lines, otherwise O(1); no garbage |
 * | a message's end | O(1), amortised |
 */
export class MessageRing implements MessageOwner {
  readonly $memory: LinearMemory;
  readonly source: Source;
  readonly #framing: Framing;
  /** 0 once disposed. */
  #ring: Address;
  /** By slot, without gaps. In the debug runtime each message has an object of its own. */
  readonly #messages: RingMessage[] = [];
  #held = 0;

  /**
   * @param bytes how much data it holds at least, up to 2^30
   * @param maximum the longest message in bytes, at most `bytes` − 8
   * @param source whose messages they are; it is told after the end of each
   * @throws {OutOfMemoryError}, {SealedError} or {DisposedError}
   */
  constructor(memory: LinearMemory, framing: Framing, bytes: number, maximum: number, source: Source) {
    memory.assertUsable("a message ring");
    verifyConstants(memory.exports, "RING", Ring);
    this.$memory = memory;
    this.#framing = framing;
    this.source = source;
    const ring = memory.exports.createMessageRing(bytes, maximum) >>> 0;
    if (ring === 0) throw memory.failure(`making a message ring of ${bytes} bytes`);
    this.#ring = ring;
    memory.sites?.register(this, "messageRing", (own) => own.u32[(ring + Ring.PAGES) >>> 2]! * PAGE_SIZE);
  }

  /** Messages whose events have not ended. */
  get held(): number {
    return this.#held;
  }

  /** Whether it has given its memory back. */
  get isDisposed(): boolean {
    return this.#ring === 0 || this.$memory.disposed;
  }

  /** How long the message was that `next` has found too long; of a line that has not ended, what of it is there. */
  get tooLong(): number {
    return this.#word(Ring.TOO_LONG);
  }

  /**
   * When `next` has found nothing: what has come of a message that has not come to its end, in bytes, its prefix included, also of
   * one that is left out. Of lines those that are left out count as nothing: they need no end.
   */
  get unfinished(): number {
    const missing = this.#framing === "line" ? 0 : this.#word(Ring.SKIP);
    return missing > 0 ? Ring.PREFIX_BYTES + this.tooLong - missing : this.#word(Ring.HEAD) - this.#word(Ring.FRAME);
  }

  // ── bytes in ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Copies of `bytes`, from `from` on, what there is room for. Returns how many bytes that was: 0 if there is too little room
   * to begin with, which is less than all of the rest and less than a quarter of the ring, while messages are held.
   *
   * @throws {DisposedError} if the runtime has been disposed, as with all that follow
   */
  fill(bytes: Uint8Array, from: number): number {
    const rest = bytes.length - from;
    const count = this.#roomFor(rest);
    if (count === 0) return 0;
    const piece = count === bytes.length ? bytes : bytes.subarray(from, from + count);
    this.$memory.u8.set(piece, this.#address);
    this.$memory.exports.fillRing(this.#ring, count);
    return count;
  }

  /** As {@link fill}, with a text as UTF-8. Returns how many units of it were taken. */
  fillText(text: string, from: number): number {
    const room = this.#roomFor(3 * (text.length - from));
    if (room === 0) return 0;
    const rest = from === 0 ? text : text.slice(from);
    const { read, written } = encodeText(rest, this.#view(room));
    this.$memory.exports.fillRing(this.#ring, written);
    return read;
  }

  /** Copies all of `bytes`, no more than the maximum. False if there is no room for them. */
  write(bytes: Uint8Array): boolean {
    if (this.#room(bytes.length) < bytes.length) return false;
    this.$memory.u8.set(bytes, this.#address);
    this.$memory.exports.fillRing(this.#ring, bytes.length);
    return true;
  }

  /** As {@link write}, with a text as UTF-8 of at most `limit` bytes. */
  writeText(text: string, limit: number): boolean {
    if (this.#room(limit) < limit) return false;
    this.$memory.exports.fillRing(this.#ring, encodeText(text, this.#view(limit)).written);
    return true;
  }

  /** How many bytes may be written, having moved what is open if that makes more room. */
  #room(wanted: number): number {
    this.$memory.assertUsable("a message ring"); // and has views, also where a host has grown memory behind our back
    return this.$memory.exports.ringRoom(this.#ring, wanted) >>> 0;
  }

  /** How many bytes to write now, of `wanted`. */
  #roomFor(wanted: number): number {
    const room = this.#room(wanted);
    if (room >= wanted) return wanted;
    // Small pieces cost more than to wait for more room. When nothing is held there will never be more.
    const isLittle = room < this.#word(Ring.CAPACITY) >>> 2;
    return isLittle && this.#word(Ring.COUNT) > 0 ? 0 : room;
  }

  /** Where the next bytes go. */
  get #address(): Address {
    return this.#word(Ring.DATA) + this.#word(Ring.HEAD);
  }

  #view(length: number): Uint8Array {
    const address = this.#address;
    return this.$memory.u8.subarray(address, address + length);
  }

  // ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * The next message of the open bytes.
   *
   * @returns the message, or one of `NOTHING_FRAMED`, `NO_ENTRY` (there is no room for another one), and `TOO_LONG`, after
   * which it finds the same again until {@link skip}
   */
  next(): RingMessage | number {
    this.$memory.assertUsable("a message ring");
    const slot = this.#frame();
    return slot < 0 ? slot : this.#show(slot);
  }

  /** All of the open bytes as one message; or `NO_ENTRY`. */
  nextWhole(): RingMessage | number {
    const slot = this.$memory.exports.frameAll(this.#ring);
    return slot < 0 ? slot : this.#show(slot);
  }

  /** Leaves out the message that was too long, also what of it is still to come. */
  skip(): void {
    const { exports } = this.$memory;
    if (this.#framing === "line") exports.skipLine(this.#ring);
    else exports.skipPrefixed(this.#ring);
  }

  #frame(): number {
    const { exports } = this.$memory;
    switch (this.#framing) {
      case "line":
        return exports.frameLine(this.#ring);
      case "length":
        return exports.framePrefixed(this.#ring, 0);
      case "length-le":
        return exports.framePrefixed(this.#ring, 1);
      case "message":
        return exports.frameAll(this.#ring);
    }
  }

  #show(slot: number): RingMessage {
    const { u32, sites } = this.$memory;
    const ring = this.#ring;
    let message = this.#messages[slot];
    if (message === undefined || sites !== undefined) {
      message = new RingMessage(this.$memory, this, slot);
      this.#messages[slot] = message;
    }
    const entry = ring + Ring.ENTRY_LIST + slot * Ring.ENTRY_BYTES;
    const data = u32[(ring + Ring.DATA) >>> 2]!;
    // A message shows itself that it has ended, before its bytes can be another's. So its guard may be any word that stays
    // the same as long as the ring is there; when the runtime is not, there is none.
    const guard = (ring + Ring.DATA) >>> 2;
    const offset = u32[(entry + Ring.ENTRY_OFFSET) >>> 2]!;
    const length = u32[(entry + Ring.ENTRY_LENGTH) >>> 2]!;
    message.$show(data + offset, length, guard, data | 0);
    this.#held++;
    return message;
  }

  $release(message: RingMessage): void {
    this.#held--;
    // A ring whose runtime has been disposed of has nothing to give back.
    if (!this.isDisposed) this.$memory.exports.releaseMessage(this.#ring, message.$slot);
    this.source.$released();
  }

  /** The messages whose events have not begun. O(slots) */
  get queued(): RingMessage[] {
    return this.#messages.filter((message) => message.$isHeld && !message.$hasBegun);
  }

  // ── the ring itself ───────────────────────────────────────────────────────────────────────────────────────────────

  stats(): MessageRingStats {
    const isGone = this.isDisposed;
    if (!isGone) this.$memory.recover();
    const word = (offset: number) => (isGone ? 0 : this.#word(offset));
    const isWrapped = word(Ring.WRAPPED) !== 0;
    return {
      capacity: word(Ring.CAPACITY),
      used: word(Ring.HEAD) - word(Ring.TAIL) + (isWrapped ? word(Ring.CAPACITY) : 0),
      highWater: word(Ring.HIGH_WATER),
      messages: word(Ring.COUNT),
      messagesHighWater: word(Ring.COUNT_HIGH_WATER),
      moved: isGone ? 0 : this.$memory.f64[(this.#ring + Ring.MOVED) >>> 3]!,
      bytes: word(Ring.PAGES) * PAGE_SIZE,
    };
  }

  /**
   * Looks through the ring for a violation of its invariants. O(entries)
   *
   * @throws {CorruptionError} naming the first that is found
   */
  validate(): void {
    if (this.isDisposed) return;
    const found = this.$memory.exports.validateMessageRing(this.#ring);
    if (found !== 0) {
      throw new CorruptionError(`the message ring at ${this.#ring} is damaged: ${VIOLATIONS[found] ?? found}`);
    }
    const held = this.#messages.reduce((count, message) => count + (message.$isHeld ? 1 : 0), 0);
    if (held !== this.#held) {
      throw new CorruptionError(
        `the message ring at ${this.#ring} counts ${this.#held} messages, but ${held} are held`,
      );
    }
  }

  /** Gives its memory back; no message may be held. Does nothing the second time. */
  dispose(): void {
    const ring = this.#ring;
    if (ring === 0) return;
    this.#ring = 0;
    this.#messages.length = 0;
    this.$memory.sites?.unregister(this);
    if (!this.$memory.disposed) this.$memory.exports.destroyMessageRing(ring);
  }

  #word(offset: number): number {
    return this.$memory.u32[(this.#ring + offset) >>> 2]!;
  }
}
