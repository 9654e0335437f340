import { HeldUpdates } from "./heldUpdates.js";
import { type BookSummary, type FeedCounters, zeroCounters } from "./subject.js";

interface BestLevels {
  readonly bidPrice: number;
  readonly bidQuantity: number;
  readonly askPrice: number;
  readonly askQuantity: number;
}

/**
 * What a subject remembers of the feed beside the book's levels; the same for all, and without garbage: numbers with
 * fractions come in objects, as an engine boxes them where it does not compile a call in place.
 */
export class FeedLedger {
  readonly held = new HeldUpdates();
  /** `lastUpdateId` of the last snapshot, −1 before the first. */
  snapshotId = -1;
  #counters: FeedCounters = zeroCounters();
  #hasTicker = false;
  readonly #ticker: [number, number, number, number] = [0, 0, 0, 0];

  noteTicker({ bidPrice, bidQuantity, askPrice, askQuantity }: BestLevels): void {
    const ticker = this.#ticker;
    this.#counters.messages++;
    this.#counters.bookTickers++;
    this.#hasTicker = true;
    ticker[0] = bidPrice;
    ticker[1] = bidQuantity;
    ticker[2] = askPrice;
    ticker[3] = askQuantity;
  }

  noteTrade({ quantity }: { readonly quantity: number }): void {
    this.#counters.messages++;
    this.#counters.trades++;
    this.#counters.tradedQuantity += quantity;
  }

  /** A depth update of `levels` levels, both sides together, whatever becomes of them. */
  noteUpdate(levels: number): void {
    this.#counters.messages++;
    this.#counters.depthUpdates++;
    this.#counters.levels += levels;
  }

  /** A snapshot of `levels` levels, both sides together. */
  noteSnapshot(levels: number): void {
    this.#counters.messages++;
    this.#counters.snapshots++;
    this.#counters.levels += levels;
  }

  summary(): Pick<BookSummary, "ticker" | "counters"> {
    return { ticker: this.#hasTicker ? [...this.#ticker] : null, counters: { ...this.#counters } };
  }

  /** What is to come does not follow what has come: updates are held until the next snapshot. */
  awaitSnapshot(): void {
    this.held.clear();
    this.snapshotId = -1;
  }

  clear(): void {
    this.awaitSnapshot();
    this.#counters = zeroCounters();
    this.#hasTicker = false;
  }
}
