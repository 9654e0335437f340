import { FeedLedger } from "./feedLedger.js";
import type { HeldRows } from "./heldUpdates.js";
import type { FeedMessage } from "./message.js";
import { SortedLevels } from "./sortedLevels.js";
import type { BookSummary, Observer } from "./subject.js";

/** The book without Tidemark, wherever its messages come from: its sides are {@link SortedLevels}. */
export class PlainBook {
  observer: Observer | undefined;
  readonly #bids = new SortedLevels(1);
  readonly #asks = new SortedLevels(-1);
  readonly #ledger = new FeedLedger();
  #updateId = -1;

  /** The update up to which the book holds everything; −1 before the first snapshot. */
  get updateId(): number {
    return this.#updateId;
  }

  summary(): BookSummary {
    return { bids: this.#bids.toRows(), asks: this.#asks.toRows(), ...this.#ledger.summary() };
  }

  /** What is to come does not follow what has come: updates are held until the next snapshot. */
  awaitSnapshot(): void {
    this.#ledger.awaitSnapshot();
  }

  clear(): void {
    this.#bids.clear();
    this.#asks.clear();
    this.#ledger.clear();
    this.#updateId = -1;
  }

  take(message: FeedMessage): void {
    const ledger = this.#ledger;
    switch (message.kind) {
      case "bookTicker":
        ledger.noteTicker(message);
        break;
      case "trade":
        ledger.noteTrade(message);
        break;
      case "depthUpdate":
        ledger.noteUpdate(message.bids.length + message.asks.length);
        if (ledger.snapshotId < 0) ledger.held.hold(message);
        else if (message.updateId > ledger.snapshotId) this.#applyUpdate(message);
        break;
      case "snapshot":
        ledger.noteSnapshot(message.bids.length + message.asks.length);
        this.#applySnapshot(message);
        break;
    }
  }

  #applySnapshot(message: FeedMessage): void {
    this.#bids.clear();
    this.#asks.clear();
    applyRows(this.#bids, message.bids);
    applyRows(this.#asks, message.asks);
    this.#ledger.snapshotId = message.updateId;
    this.#updateId = message.updateId;
    for (const update of this.#ledger.held.takeAfter(message.updateId)) this.#applyUpdate(update);
  }

  #applyUpdate(update: { updateId: number; bids: HeldRows; asks: HeldRows }): void {
    const { observer } = this;
    const bids = this.#bids;
    const asks = this.#asks;
    applyRows(bids, update.bids);
    applyRows(asks, update.asks);
    this.#updateId = update.updateId;
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
