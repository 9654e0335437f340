import { decodeLine, FeedMessage } from "./message.js";
import { PlainBook } from "./plainBook.js";
import type { Recording } from "./recording.js";
import { type BookSummary, type Observer, RefusalLog, type Subject } from "./subject.js";

/**
 * The feed handler that a good engineer writes without Tidemark: `JSON.parse` for each message, prices and quantities
 * checked and converted into scratch arrays that are used again, the book's sides as sorted arrays of numbers.
 */
export class PlainSubject implements Subject {
  readonly name = "plain";
  readonly refusals: RefusalLog;
  readonly #recording: Recording;
  readonly #message = new FeedMessage();
  readonly #book = new PlainBook();

  constructor(recording: Recording) {
    this.#recording = recording;
    this.refusals = new RefusalLog(recording);
  }

  deliver(first: number, last: number, observer: Observer | undefined): void {
    this.#book.observer = observer;
    observer?.begin();
    for (let line = first; line < last; line++) {
      const refusal = decodeLine(this.#recording, line, this.#message);
      if (refusal === undefined) this.#book.take(this.#message);
      else this.refusals.refuse(line, refusal);
      observer?.end(line);
    }
  }

  book(): BookSummary {
    return this.#book.summary();
  }

  linearBytes(): number {
    return 0;
  }

  reset(): void {
    this.#book.clear();
    this.refusals.clear();
  }

  dispose(): void {
    this.reset();
  }
}
