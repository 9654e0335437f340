import { type Bytes, createLoop, type Kind, type Loop, type Region } from "tidemark";
import { NOT_TAKEN } from "./feedStructs.js";
import { decodeLine, FeedMessage } from "./message.js";
import type { Recording } from "./recording.js";
import { type BookSummary, type Observer, RefusalLog, type Subject } from "./subject.js";
import { TidemarkBook } from "./tidemarkBook.js";

/** The queue holds what one delivery brings: a socket read of the recorded feeds has at most some 600 lines. */
const QUEUE_CAPACITY = 4096;

/** The bytes that the inbox holds at first; a longer delivery makes it grow. */
const INBOX_BYTES = 128 * 1024;

/**
 * The same feed handler on Tidemark: a delivery's bytes are copied into linear memory once, as a socket would read them
 * there, and every line is an event, whose handler gives it to the book.
 */
export class TidemarkSubject implements Subject {
  readonly name = "tidemark";
  readonly refusals: RefusalLog;
  readonly #recording: Recording;
  readonly #book: TidemarkBook;
  readonly #loop: Loop;
  readonly #lines: Kind<number>;
  readonly #inboxArena;
  #inbox: Bytes;
  /** What to add to an offset in the recording to get the address in the inbox. */
  #shift = 0;
  readonly #unusual = new FeedMessage();

  static async create(recording: Recording): Promise<TidemarkSubject> {
    return new TidemarkSubject(recording, await TidemarkBook.create());
  }

  private constructor(recording: Recording, book: TidemarkBook) {
    const { runtime } = book;
    this.#recording = recording;
    this.refusals = new RefusalLog(recording);
    this.#book = book;
    this.#inboxArena = runtime.arena();
    this.#inbox = this.#inboxArena.bytes(INBOX_BYTES);
    this.#loop = createLoop(runtime, { queue: { capacity: QUEUE_CAPACITY }, turn: { events: QUEUE_CAPACITY } });
    this.#lines = this.#loop.on("line", (line: number, { region }) => this.#handle(line, region));
  }

  deliver(first: number, last: number, observer: Observer | undefined): Promise<void> {
    this.#book.observer = observer;
    observer?.begin();
    this.#receive(first, last);
    const posted = this.#post(first, last);
    return posted === last ? this.#loop.runUntilIdle() : this.#deliverRest(posted, last);
  }

  /** Posts lines until the queue is full; returns the first that it did not take. */
  #post(first: number, last: number): number {
    let line = first;
    while (line < last && this.#lines.post(line) !== "rejected") line++;
    return line;
  }

  /** What the full queue did not take, lot by lot. */
  async #deliverRest(first: number, last: number): Promise<void> {
    for (let next = first; next < last; ) {
      await this.#loop.runUntilIdle();
      next = this.#post(next, last);
    }
    await this.#loop.runUntilIdle();
  }

  book(): BookSummary {
    return this.#book.summary();
  }

  linearBytes(): number {
    return this.#book.runtime.stats().committedBytes;
  }

  reset(): void {
    this.#book.clear();
    this.refusals.clear();
  }

  dispose(): void {
    this.#book.runtime.dispose();
  }

  /** Copies the bytes of the lines into the inbox. */
  #receive(first: number, last: number): void {
    const { bytes, starts, ends } = this.#recording;
    const start = starts[first]!;
    const end = ends[last - 1]!;
    if (end - start > this.#inbox.length) {
      this.#inboxArena.reset();
      this.#inbox = this.#inboxArena.bytes(2 * (end - start));
    }
    this.#inbox.copyFrom(bytes.subarray(start, end));
    this.#shift = this.#inbox.address - start;
  }

  #handle(line: number, region: Region): void {
    const start = this.#recording.starts[line]!;
    const length = this.#recording.ends[line]! - start;
    if (this.#book.take(start + this.#shift, length, region) === NOT_TAKEN) this.#handleUnusual(line);
    this.#book.observer?.end(line);
  }

  /** A line that the decoder did not take: decoded as the plain handler does, or refused. */
  #handleUnusual(line: number): void {
    const refusal = decodeLine(this.#recording, line, this.#unusual);
    if (refusal === undefined) this.#book.takeDecoded(this.#unusual);
    else this.refusals.refuse(line, refusal);
  }
}
