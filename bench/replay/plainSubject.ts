import { type HeldRows, HeldUpdates } from "./heldUpdates.js";
import { decodeLine, FeedMessage } from "./message.js";
import type { Recording } from "./recording.js";
import { SortedLevels } from "./sortedLevels.js";
import {
  type BookSummary,
  type FeedCounters,
  type Observer,
  RefusalLog,
  type Subject,
  zeroCounters,
} from "./subject.js";

/**
 * The feed handler that a good engineer writes without Tidemark: `JSON.parse` for each message, prices and quantities
 * checked and converted into scratch arrays that are used again, the book's sides as {@link SortedLevels}.
 */
export class PlainSubject implements Subject {
  readonly name = "plain";
  readonly refusals: RefusalLog;
  readonly #recording: Recording;
  readonly #message = new FeedMessage();
  readonly #bids = new SortedLevels(1);
  readonly #asks = new SortedLevels(-1);
  #held = new HeldUpdates();
  #counters: FeedCounters = zeroCounters();
  #snapshotId = -1;
  #ticker: [number, number, number, number] | null = null;

  constructor(recording: Recording) {
    this.#recording = recording;
    this.refusals = new RefusalLog(recording);
  }

  deliver(first: number, last: number, observer: Observer | undefined): void {
    observer?.begin();
    for (let line = first; line < last; line++) {
      const refusal = decodeLine(this.#recording, line, this.#message);
      if (refusal === undefined) this.#handle(observer);
      else this.refusals.refuse(line, refusal);
      observer?.end(line);
    }
  }

  book(): BookSummary {
    return {
      bids: this.#bids.toRows(),
      asks: this.#asks.toRows(),
      ticker: this.#ticker === null ? null : [...this.#ticker],
      counters: { ...this.#counters },
    };
  }

  linearBytes(): number {
    return 0;
  }

  reset(): void {
    this.#bids.clear();
    this.#asks.clear();
    this.#held = new HeldUpdates();
    this.#counters = zeroCounters();
    this.#snapshotId = -1;
    this.#ticker = null;
    this.refusals.clear();
  }

  dispose(): void {
    this.reset();
  }

  #handle(observer: Observer | undefined): void {
    const message = this.#message;
    const counters = this.#counters;
    counters.messages++;
    switch (message.kind) {
      case "bookTicker":
        counters.bookTickers++;
        this.#rememberTicker();
        break;
      case "trade":
        counters.trades++;
        counters.tradedQuantity += message.quantity;
        break;
      case "depthUpdate":
        counters.depthUpdates++;
        counters.levels += message.bids.length + message.asks.length;
        if (this.#snapshotId < 0) this.#held.hold(message);
        else if (message.updateId > this.#snapshotId) this.#applyUpdate(message, observer);
        break;
      case "snapshot":
        counters.snapshots++;
        counters.levels += message.bids.length + message.asks.length;
        this.#applySnapshot(observer);
        break;
    }
  }

  #rememberTicker(): void {
    const { bidPrice, bidQuantity, askPrice, askQuantity } = this.#message;
    this.#ticker ??= [0, 0, 0, 0];
    const ticker = this.#ticker;
    ticker[0] = bidPrice;
    ticker[1] = bidQuantity;
    ticker[2] = askPrice;
    ticker[3] = askQuantity;
  }

  #applySnapshot(observer: Observer | undefined): void {
    const message = this.#message;
    this.#bids.clear();
    this.#asks.clear();
    applyRows(this.#bids, message.bids);
    applyRows(this.#asks, message.asks);
    this.#snapshotId = message.updateId;
    for (const update of this.#held.takeAfter(message.updateId)) this.#applyUpdate(update, observer);
  }

  #applyUpdate(update: { updateId: number; bids: HeldRows; asks: HeldRows }, observer: Observer | undefined): void {
    const bids = this.#bids;
    const asks = this.#asks;
    applyRows(bids, update.bids);
    applyRows(asks, update.asks);
    if (observer?.verify === undefined) return;
    const bestBid = bids.length - 1;
    const bestAsk = asks.length - 1;
    observer.verify(
      update.updateId,
      bids.price(bestBid),
      bids.quantity(bestBid),
      asks.price(bestAsk),
      asks.quantity(bestAsk),
    );
  }
}

function applyRows(side: SortedLevels, rows: HeldRows): void {
  const { prices, quantities, length } = rows;
  for (let index = 0; index < length; index++) side.set(prices[index]!, quantities[index]!);
}
