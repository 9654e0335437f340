import { decodeLine, FeedMessage } from "./message.js";
import type { Recording } from "./recording.js";
import type { Observer } from "./subject.js";

/** A depth update after which the rebuilt book's best levels are not those of the feed's own bookTicker. */
export interface Difference {
  /** The how-manieth comparison, from 1. */
  readonly comparison: number;
  readonly updateId: number;
  readonly tickerId: number;
  /** Best bid price and quantity, best ask price and quantity; `null` where the side is empty. */
  readonly rebuilt: readonly (number | null)[];
  readonly ticker: readonly (number | null)[];
}

export interface VerificationTotals {
  readonly compared: number;
  readonly equal: number;
  readonly differences: readonly Difference[];
}

/** The others are only counted. */
export const DIFFERENCES_SHOWN = 5;

/** Best levels as a difference shows them: `null` where a side is empty. */
export function describeLevels(levels: readonly number[]): (number | null)[] {
  return levels.map((value) => (Number.isNaN(value) ? null : value));
}

/** Numbers that one bookTicker takes in the table. */
const TICKER_WIDTH = 4;

/**
 * Holds a rebuilt book against the best prices that the feed itself tells.
 *
 * After a depth update, the best levels must be those of the latest bookTicker whose `u` is at or below the update's.
 * All tickers of the recording are gathered beforehand, as the one that belongs to an update may arrive after it.
 */
export class Verification implements Observer {
  #compared = 0;
  #equal = 0;
  readonly #differences: Difference[] = [];
  /** Ascending. */
  readonly #tickerIds: number[] = [];
  readonly #tickers: number[] = [];

  constructor(recording: Recording) {
    const message = new FeedMessage();
    for (let line = 0; line < recording.lineCount; line++) {
      if (decodeLine(recording, line, message) !== undefined || message.kind !== "bookTicker") continue;
      // A ticker that is older than one before it was overtaken on the way and says nothing new.
      if (message.updateId < (this.#tickerIds.at(-1) ?? 0)) continue;
      this.#tickerIds.push(message.updateId);
      this.#tickers.push(message.bidPrice, message.bidQuantity, message.askPrice, message.askQuantity);
    }
  }

  begin(): void {}

  end(): void {}

  verify(updateId: number, bidPrice: number, bidQuantity: number, askPrice: number, askQuantity: number): void {
    const index = this.#latestTicker(updateId);
    if (index < 0) return;
    this.#compared++;
    const rebuilt = [bidPrice, bidQuantity, askPrice, askQuantity];
    const ticker = this.#tickers.slice(index * TICKER_WIDTH, (index + 1) * TICKER_WIDTH);
    if (rebuilt.every((value, field) => value === ticker[field])) {
      this.#equal++;
    } else if (this.#differences.length < DIFFERENCES_SHOWN) {
      this.#differences.push({
        comparison: this.#compared,
        updateId,
        tickerId: this.#tickerIds[index]!,
        rebuilt: describeLevels(rebuilt),
        ticker,
      });
    }
  }

  totals(): VerificationTotals {
    return { compared: this.#compared, equal: this.#equal, differences: this.#differences };
  }

  /** Index of the last ticker at or below `updateId`, −1 where there is none: binary search. */
  #latestTicker(updateId: number): number {
    let low = 0;
    let high = this.#tickerIds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#tickerIds[middle]! <= updateId) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** The share of comparisons that may differ: in the recordings, a ticker is sometimes older than the end of its update. */
const DIFFERENT_SHARE_LIMIT = 0.001;

/** Whether the book passes; a feed that allowed no comparison at all does not. */
export function isVerified({ compared, equal }: VerificationTotals): boolean {
  return compared > 0 && compared - equal <= compared * DIFFERENT_SHARE_LIMIT;
}
