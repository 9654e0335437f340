import { DIFFERENCES_SHOWN, type Difference, describeLevels, type VerificationTotals } from "./oracle.js";
import type { Observer, TickerMessage } from "./subject.js";

/** Tickers that are remembered: some minutes of them. A depth update tells of the last tenth of a second. */
const TICKERS = 2 ** 15;
/** Updates that wait for the ticker that follows theirs; of more than these the oldest are compared with what there is. */
const WAITING = 2 ** 12;
/** Numbers that a ticker, or the best levels, take in their table: the update's id and the four of them. */
const WIDTH = 5;

/** The newest rows of numbers, the first of each being ids that do not fall. */
class Rows {
  length = 0;
  #first = 0;
  readonly #numbers: Float64Array;

  constructor(private readonly capacity: number) {
    this.#numbers = new Float64Array(capacity * WIDTH);
  }

  add(id: number, bidPrice: number, bidQuantity: number, askPrice: number, askQuantity: number): void {
    if (this.length === this.capacity) this.shift();
    const start = ((this.#first + this.length) % this.capacity) * WIDTH;
    const numbers = this.#numbers;
    numbers[start] = id;
    numbers[start + 1] = bidPrice;
    numbers[start + 2] = bidQuantity;
    numbers[start + 3] = askPrice;
    numbers[start + 4] = askQuantity;
    this.length++;
  }

  shift(): void {
    this.#first = (this.#first + 1) % this.capacity;
    this.length--;
  }

  /** Where in {@link at} the row begins that is the `index`-th, oldest first. */
  start(index: number): number {
    return ((this.#first + index) % this.capacity) * WIDTH;
  }

  at(position: number): number {
    return this.#numbers[position]!;
  }

  id(index: number): number {
    return this.at(this.start(index));
  }

  clear(): void {
    this.length = 0;
  }
}

/**
 * Holds a rebuilt book against the best prices that the feed itself tells, while it comes: what `Verification` finds out
 * about a recording, of a feed that is not known beforehand.
 *
 * After a depth update, the best levels must be those of the latest bookTicker whose `u` is at or below the update's. That
 * ticker may still be on its way, so the update waits until a later one has come. Without garbage, but for differences.
 */
export class LiveVerification implements Observer {
  #compared = 0;
  #equal = 0;
  readonly #differences: Difference[] = [];
  readonly #tickers = new Rows(TICKERS);
  readonly #waiting = new Rows(WAITING);

  begin(): void {}

  end(): void {}

  verify(updateId: number, bidPrice: number, bidQuantity: number, askPrice: number, askQuantity: number): void {
    if (this.#waiting.length === WAITING) this.#compareOldest();
    this.#waiting.add(updateId, bidPrice, bidQuantity, askPrice, askQuantity);
    this.#compareBefore(this.#lastTicker);
  }

  ticker({ updateId, bidPrice, bidQuantity, askPrice, askQuantity }: TickerMessage): void {
    // A ticker that is older than one before it was overtaken on the way and says nothing new.
    if (updateId < this.#lastTicker) return;
    this.#compareBefore(updateId);
    this.#tickers.add(updateId, bidPrice, bidQuantity, askPrice, askQuantity);
  }

  /** What is to come does not follow what has come: whatever waits is compared with what there is. */
  restart(): void {
    this.#compareBefore(Number.POSITIVE_INFINITY);
    this.#tickers.clear();
  }

  totals(): VerificationTotals {
    this.#compareBefore(Number.POSITIVE_INFINITY);
    return { compared: this.#compared, equal: this.#equal, differences: this.#differences };
  }

  get #lastTicker(): number {
    return this.#tickers.length === 0 ? -1 : this.#tickers.id(this.#tickers.length - 1);
  }

  /** Compares what waits and is older than the ticker `id`: no other can belong to it any more. */
  #compareBefore(id: number): void {
    while (this.#waiting.length > 0 && this.#waiting.id(0) < id) this.#compareOldest();
  }

  #compareOldest(): void {
    const [waiting, tickers] = [this.#waiting, this.#tickers];
    const update = waiting.start(0);
    const index = this.#latestTicker(waiting.at(update));
    if (index >= 0) {
      const ticker = tickers.start(index);
      this.#compared++;
      let isEqual = true;
      for (let field = 1; field < WIDTH; field++) {
        if (waiting.at(update + field) !== tickers.at(ticker + field)) isEqual = false;
      }
      if (isEqual) this.#equal++;
      else if (this.#differences.length < DIFFERENCES_SHOWN) {
        const four = (rows: Rows, start: number) => [1, 2, 3, 4].map((field) => rows.at(start + field));
        this.#differences.push({
          comparison: this.#compared,
          updateId: waiting.at(update),
          tickerId: tickers.at(ticker),
          rebuilt: describeLevels(four(waiting, update)),
          ticker: four(tickers, ticker),
        });
      }
    }
    waiting.shift();
  }

  /** The last ticker at or below `updateId`, −1 where there is none: binary search. */
  #latestTicker(updateId: number): number {
    let low = 0;
    let high = this.#tickers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#tickers.id(middle) <= updateId) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
