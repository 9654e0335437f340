import type { Recording } from "./recording.js";

/** The two programs that are compared. */
export type SubjectName = "tidemark" | "plain";

/**
 * One program that follows the feed and keeps the book. Both get the same lines in the same lots and are measured by
 * the same code; how they decode, hold and apply is theirs.
 *
 * The rules of the book, equal for both:
 * - a snapshot replaces both sides; a depth update sets absolute quantities, zero deletes;
 * - before the first snapshot, depth updates are held (`HeldUpdates`), not applied;
 * - a depth update with `u` at or below the last snapshot's `lastUpdateId` is dropped, but counted;
 * - a line that is no message (`decodeLine`) goes to {@link refusals} and changes nothing else.
 */
export interface Subject {
  readonly name: SubjectName;

  /** The lines refused since the last reset. */
  readonly refusals: RefusalLog;

  /**
   * Takes the lines `first` … `last − 1` as if they had just arrived together, and is done with all of them when it
   * returns or, where it is asynchronous, when its promise settles. The next call comes only then.
   *
   * `observer` is absent in a throughput pass: nothing may be called, no clock be read. It must be served without
   * garbage, as each collection is counted against the subject.
   */
  deliver(first: number, last: number, observer: Observer | undefined): void | Promise<void>;

  /** The book and the counters as they stand. Not measured. */
  book(): BookSummary;

  /** Bytes of linear memory; 0 where there is none. */
  linearBytes(): number;

  /** Back to an empty book before the first message, ready for another pass. Not measured. */
  reset(): void;

  /** Ends the subject and gives its memory back. */
  dispose(): void;
}

/** Makes a subject for one recording, whose bytes stay in place as long as the subject lives. */
export type CreateSubject = (recording: Recording) => Promise<Subject>;

/** Watches a subject at work. */
export interface Observer {
  /** The subject turns to the lot that was delivered: the clock of its first message starts. */
  begin(): void;

  /**
   * The message of `line` is done with, refused or not. The clock of the next one starts here, so that no work between
   * two messages (dispatch, teardown, a collection) goes uncounted.
   */
  end(line: number): void;

  /** In a verify pass only: a depth update has been applied, and these are the best levels; NaN where a side is empty. */
  verify?(updateId: number, bidPrice: number, bidQuantity: number, askPrice: number, askQuantity: number): void;
}

/** The feed's own best levels. */
export interface TickerMessage {
  readonly updateId: number;
  readonly bidPrice: number;
  readonly bidQuantity: number;
  readonly askPrice: number;
  readonly askQuantity: number;
}

/** What a subject knows at the end; both must know the same. */
export interface BookSummary {
  /** price, quantity, price, quantity, … from the best level on. */
  readonly bids: readonly number[];
  readonly asks: readonly number[];
  /** The last bookTicker: best bid price, its quantity, best ask price, its quantity. */
  readonly ticker: readonly [number, number, number, number] | null;
  readonly counters: FeedCounters;
}

/** What a feed consists of, counted while it is decoded. Refused lines count nowhere here. */
export interface FeedCounters {
  /** Lines that are messages. */
  messages: number;
  /** Levels in snapshots and depth updates, those that are dropped included. */
  levels: number;
  snapshots: number;
  depthUpdates: number;
  bookTickers: number;
  trades: number;
  /** Sum of all trades' quantities, added in the order of the feed. */
  tradedQuantity: number;
}

export function zeroCounters(): FeedCounters {
  return { messages: 0, levels: 0, snapshots: 0, depthUpdates: 0, bookTickers: 0, trades: 0, tradedQuantity: 0 };
}

/** A line that is no message. */
export interface Refusal {
  /** File and line, as `btcusdt.gz:17`. */
  readonly place: string;
  readonly reason: string;
  /** The offending text, shortened. */
  readonly text: string;
}

/** How many refused lines are shown; the others are only counted. */
const REFUSALS_SHOWN = 5;

/** Counts the refused lines and keeps the first of them. */
export class RefusalLog {
  count = 0;
  readonly first: Refusal[] = [];

  constructor(private readonly recording: Pick<Recording, "place" | "excerpt">) {}

  refuse(line: number, reason: string): void {
    this.count++;
    if (this.first.length === REFUSALS_SHOWN) return;
    this.first.push({ place: this.recording.place(line), reason, text: this.recording.excerpt(line) });
  }

  clear(): void {
    this.count = 0;
    this.first.length = 0;
  }
}
