import { FeedLedger } from "./feedLedger.js";
import type { HeldRows } from "./heldUpdates.js";
import { decodeLine, FeedMessage } from "./message.js";
import type { Recording } from "./recording.js";
import { SortedLevels } from "./sortedLevels.js";
import { type BookSummary, type Observer, RefusalLog, type Subject } from "./subject.js";

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
  readonly #ledger = new FeedLedger();

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
    return { bids: this.#bids.toRows(), asks: this.#asks.toRows(), ...this.#ledger.summary() };
  }

  linearBytes(): number {
    return 0;
  }

  reset(): void {
    this.#bids.clear();
    this.#asks.clear();
    this.#ledger.clear();
    this.refusals.clear();
  }

  dispose(): void {
    this.reset();
  }

  #handle(observer: Observer | undefined): void {
    const message = this.#message;
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
        else if (message.updateId > ledger.snapshotId) this.#applyUpdate(message, observer);
        break;
      case "snapshot":
        ledger.noteSnapshot(message.bids.length + message.asks.length);
        this.#applySnapshot(observer);
        break;
    }
  }

  #applySnapshot(observer: Observer | undefined): void {
    const message = this.#message;
    this.#bids.clear();
    this.#asks.clear();
    applyRows(this.#bids, message.bids);
    applyRows(this.#asks, message.asks);
    this.#ledger.snapshotId = message.updateId;
    for (const update of this.#ledger.held.takeAfter(message.updateId)) this.#applyUpdate(update, observer);
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
