import { SourceError } from "../../errors.js";
import type { MessageRing } from "../messageRing.js";
import { NOTHING_FRAMED, TOO_LONG } from "../messageRingLayout.js";
import type { PostResult } from "../queue.js";
import type { RingMessage } from "../ringMessage.js";
import { Backlog, type Chunk, encodedLength, halfAtEnd, weightOf } from "./chunk.js";
import type { SourceSettings } from "./options.js";

/** What an intake waits for before it can go on: nothing, room in the ring (a message's end), or room in the loop's queue. */
export type Want = "nothing" | "ring" | "queue";

/**
 * From chunks to posted messages, in order, stopping wherever there is no room and going on from there.
 *
 *   chunk ──▶ backlog ──copy──▶ ring: open bytes ──frame──▶ message ──post──▶ the loop's queue
 *             only while something is wanted                pending: refused by the full queue
 */
export class Intake {
  /** Messages that the loop has accepted, their bytes, and messages that were left out since they were too long. */
  messages = 0;
  bytes = 0;
  skipped = 0;
  want: Want = "nothing";

  readonly #settings: SourceSettings;
  readonly #ring: MessageRing;
  readonly #post: (message: RingMessage) => PostResult;
  readonly #backlog = new Backlog();
  /** How much of the chunk in hand has been copied: of the oldest in the backlog, while there is one. */
  #taken = 0;
  /** Half a character in which the last text has ended, which the next may complete; "" if there is none. */
  #half = "";
  /** With each chunk a message: whether one has been copied, and has no entry yet. */
  #isWritten = false;
  /** A message that the full queue has refused. */
  #pending: RingMessage | undefined;
  /** Nothing more will come; what is open at the end is a message too (`"tail"`), or none. */
  #ending: "not yet" | "tail" | "none" = "not yet";

  constructor(settings: SourceSettings, ring: MessageRing, post: (message: RingMessage) => PostResult) {
    this.#settings = settings;
    this.#ring = ring;
    this.#post = post;
  }

  /** What waits outside the ring, in bytes, as {@link weightOf} counts them. */
  get backlogBytes(): number {
    return this.#backlog.isEmpty ? 0 : this.#backlog.bytes - this.#taken;
  }

  /** Whether nothing more will come, and all that has come has been posted. */
  get isDone(): boolean {
    return this.#ending === "none" && this.want === "nothing" && this.#backlog.isEmpty;
  }

  /**
   * Takes a chunk. What of it finds no room is kept, and something is wanted.
   *
   * @throws {SourceError} as {@link run}; or because more waits than may, and then this chunk is lost
   */
  take(chunk: Chunk): void {
    if (this.#settings.framing === "message") {
      this.#add(chunk);
    } else if (typeof chunk === "string") {
      const text = this.#half + chunk;
      const half = halfAtEnd(text);
      if (text !== half) this.#add(text.slice(0, text.length - half.length));
      this.#half = half;
    } else {
      if (this.#half !== "") this.#add(this.#half); // it stays half a one
      this.#half = "";
      this.#add(chunk);
    }
  }

  #add(chunk: Chunk): void {
    if (this.#backlog.isEmpty && this.want === "nothing") {
      this.#taken = 0;
      if (!this.#consume(chunk)) this.#backlog.push(chunk);
      return;
    }
    const limit = this.#settings.backlogBytes;
    const weight = weightOf(chunk);
    if (this.backlogBytes + weight > limit) {
      throw new SourceError(
        "overrun",
        `a chunk of length ${chunk.length}, which counts as ${weight}, came while ${this.backlogBytes} waited for room, ` +
          `and no more than ${limit} bytes may wait`,
      );
    }
    this.#keep(chunk);
  }

  /** Has a chunk wait, however much waits. */
  #keep(chunk: Chunk): void {
    if (this.#backlog.isEmpty) this.#taken = 0;
    this.#backlog.push(chunk);
  }

  /** Nothing more comes: all of it is posted, and at a good end the last line, if nothing has ended it. */
  end(isGood: boolean): void {
    if (isGood && this.#half !== "") this.#keep(this.#half);
    this.#ending = isGood ? "tail" : "none";
    if (this.want === "nothing") this.run();
  }

  /** Gives up all that has not been posted. */
  abandon(): void {
    this.#ending = "none";
    this.want = "nothing";
    this.#backlog.clear();
    this.#half = "";
    this.#isWritten = false;
    this.#pending?.$end();
    this.#pending = undefined;
  }

  /**
   * Goes on, since there may be what was wanted.
   *
   * @throws {SourceError} if a message is too long, a chunk that has waited is not whole any more, or the stream has ended in the midst
   * of a message; nothing after it counts
   * @throws {LoopClosedError} or {DisposedError} if the loop accepts nothing any more
   */
  run(): void {
    this.want = "nothing";
    const pending = this.#pending;
    if (pending !== undefined) {
      this.#pending = undefined;
      this.#deliver(pending);
    }
    if (this.want === "nothing") this.#frame();
    while (this.want === "nothing" && !this.#backlog.isEmpty) {
      if (!this.#backlog.isOldestWhole) this.#refuseOldest();
      if (!this.#consume(this.#backlog.oldest)) return;
      this.#backlog.shift();
      this.#taken = 0;
    }
    if (this.want === "nothing" && this.#ending === "tail") this.#frameTail();
  }

  /** What came behind it would not be the messages that were sent. */
  #refuseOldest(): never {
    this.#backlog.clear();
    throw new SourceError(
      "failed",
      "a chunk's buffer was transferred or resized while the chunk waited for room: its bytes are gone",
    );
  }

  /** Copies the chunk in hand, or what is left of it, and frames. False if there is no room for all of it. */
  #consume(chunk: Chunk): boolean {
    if (this.#settings.framing === "message") return this.#consumeWhole(chunk);
    while (this.#taken < chunk.length && this.want === "nothing") {
      const ring = this.#ring;
      const count =
        typeof chunk === "string" ? ring.fillText(chunk, this.#taken) : ring.fill(chunk as Uint8Array, this.#taken);
      this.#taken += count;
      if (count === 0) this.want = "ring";
      else this.#frame();
    }
    return this.#taken === chunk.length;
  }

  #consumeWhole(chunk: Chunk): boolean {
    const maximum = this.#settings.maximumMessageBytes;
    // Of a text that may be too long its length is counted; of any other three bytes a unit are enough.
    const isText = typeof chunk === "string";
    const most = isText ? 3 * chunk.length : chunk.length;
    const limit = isText && most > maximum ? encodedLength(chunk) : most;
    if (limit > maximum) {
      this.#tooLong(limit);
      return true;
    }
    if (!(isText ? this.#ring.writeText(chunk, limit) : this.#ring.write(chunk))) {
      this.want = "ring";
      return false;
    }
    this.#isWritten = true;
    this.#frame();
    return true;
  }

  /** Posts all whole messages, as long as nothing is wanted. */
  #frame(): void {
    const ring = this.#ring;
    if (this.#settings.framing === "message") {
      if (this.#isWritten) this.#isWritten = !this.#deliverIf(ring.next());
      return;
    }
    while (this.want === "nothing") {
      const found = ring.next();
      if (found === NOTHING_FRAMED) return;
      if (found === TOO_LONG) {
        this.#tooLong(ring.tooLong);
        ring.skip();
      } else {
        this.#deliverIf(found);
      }
    }
  }

  #frameTail(): void {
    const ring = this.#ring;
    const { unfinished } = ring;
    if (unfinished > 0 && this.#settings.framing !== "line") {
      throw new SourceError(
        "truncated",
        `the stream has ended ${unfinished} bytes into a message, its length included`,
      );
    }
    if (unfinished > this.#settings.maximumMessageBytes) {
      this.#tooLong(unfinished);
      ring.skip();
    } else if (unfinished > 0 && !this.#deliverIf(ring.nextWhole())) {
      return;
    }
    this.#ending = "none";
  }

  /** False if it is no message, since there is no entry for one. */
  #deliverIf(found: RingMessage | number): boolean {
    if (typeof found === "number") {
      this.want = "ring";
      return false;
    }
    this.#deliver(found);
    return true;
  }

  #deliver(message: RingMessage): void {
    const length = message.length;
    let result: PostResult;
    try {
      result = this.#post(message);
    } catch (error) {
      message.$end();
      throw error;
    }
    if (result === "rejected") {
      this.#pending = message;
      this.want = "queue";
      return;
    }
    this.messages++;
    this.bytes += length;
    // It waits in the overflow, which is for those that cannot be held back.
    if (result === "spilled") this.want = "queue";
  }

  #tooLong(length: number): void {
    const { maximumMessageBytes, skipsTooLong } = this.#settings;
    if (!skipsTooLong) {
      throw new SourceError(
        "too-long",
        `a message of at least ${length} bytes has come, and no more than ${maximumMessageBytes} may be in one`,
      );
    }
    this.skipped++;
  }
}
