import {
  type CursorOf,
  createRuntime,
  f64,
  type Region,
  type Runtime,
  type SequenceOf,
  type SortedMap,
} from "tidemark";
import { FeedLedger } from "./feedLedger.js";
import {
  BOOK_TICKER,
  DEPTH_UPDATE,
  type GuestExports,
  Level,
  Message,
  NOT_TAKEN,
  SNAPSHOT,
  TRADE,
} from "./feedStructs.js";
import { loadGuest } from "./guestModule.js";
import type { HeldRows } from "./heldUpdates.js";
import { FeedMessage, MAXIMUM_MESSAGE_BYTES } from "./message.js";
import type { BookSummary, Observer } from "./subject.js";

type Levels = SequenceOf<typeof Level>;
type Side = SortedMap<typeof f64, typeof f64>;

/**
 * The book on Tidemark, wherever its messages come from: bytes in linear memory are decoded into the event's region
 * (bench/assembly/decoder.ts), and the levels applied, through one reused cursor, to two sorted maps that own their memory.
 */
export class TidemarkBook {
  observer: Observer | undefined;
  readonly runtime: Runtime;
  readonly #decode: GuestExports["decodeMessage"];
  readonly #bids: Side;
  readonly #asks: Side;
  /** The last message that the decoder took, until its event ends. */
  readonly message: CursorOf<(typeof Message)["fields"]>;
  readonly #levels: Levels;
  readonly #held = new FeedMessage();
  readonly #ledger = new FeedLedger();
  /**
   * What takes a message of which kind. Called through a table, each is compiled for itself: all in one function were now and then more
   * than the engine compiles in place, and what it calls returns numbers with fractions as garbage.
   */
  readonly #takers: Readonly<Record<number, (region: Region) => void>> = {
    [BOOK_TICKER]: () => this.#ledger.noteTicker(this.message),
    [TRADE]: () => this.#ledger.noteTrade(this.message),
    [DEPTH_UPDATE]: (region) => this.#takeUpdate(region),
    [SNAPSHOT]: (region) => this.#takeSnapshot(region),
  };

  static async create(): Promise<TidemarkBook> {
    const runtime = await createRuntime({ maximumBytes: 512 << 20 });
    return new TidemarkBook(runtime, await loadGuest(runtime));
  }

  private constructor(runtime: Runtime, guest: GuestExports) {
    this.runtime = runtime;
    this.#decode = guest.decodeMessage;
    this.#bids = runtime.sortedMap(f64, f64, { order: "descending" });
    this.#asks = runtime.sortedMap(f64, f64);
    this.message = runtime.cursor(Message);
    this.#levels = runtime.array(Level);
  }

  /**
   * Takes the message of `length` bytes at `address`. Returns its kind, as the decoder in wasm numbers them; where that does
   * not take it ({@link NOT_TAKEN}), nothing has happened.
   */
  take(address: number, length: number, region: Region): number {
    const message = region.new(Message, this.message);
    const kind =
      length > MAXIMUM_MESSAGE_BYTES ? NOT_TAKEN : this.#decode(region.address, address, length, message.$address);
    if (kind !== NOT_TAKEN) this.#takers[kind]!(region);
    return kind;
  }

  /** Takes a message that was decoded as the plain handler does. */
  takeDecoded(message: FeedMessage): void {
    if (message.kind === "bookTicker") this.#ledger.noteTicker(message);
    else if (message.kind === "trade") this.#ledger.noteTrade(message);
    else this.#takeDecodedLevels(message);
  }

  summary(): BookSummary {
    return { bids: rowsOf(this.#bids), asks: rowsOf(this.#asks), ...this.#ledger.summary() };
  }

  /** What is to come does not follow what has come: updates are held until the next snapshot. */
  awaitSnapshot(): void {
    this.#ledger.awaitSnapshot();
  }

  clear(): void {
    this.#bids.clear();
    this.#asks.clear();
    this.#ledger.clear();
  }

  #takeUpdate(region: Region): void {
    const { updateId, bidCount, askCount } = this.message;
    this.#ledger.noteUpdate(bidCount + askCount);
    if (this.#ledger.snapshotId < 0) this.#holdDecoded(region);
    else if (updateId > this.#ledger.snapshotId) {
      this.#applyDecoded(region);
      if (this.observer?.verify !== undefined) this.#verify(updateId);
    }
  }

  #takeSnapshot(region: Region): void {
    const { updateId, bidCount, askCount } = this.message;
    this.#ledger.noteSnapshot(bidCount + askCount);
    this.#bids.clear();
    this.#asks.clear();
    this.#applyDecoded(region);
    this.#startFrom(updateId);
  }

  #applyDecoded(region: Region): void {
    const { bids, bidCount, asks, askCount } = this.message;
    if (bidCount > 0) applyLevels(this.#bids, region.arrayAt(Level, bids, bidCount, this.#levels));
    if (askCount > 0) applyLevels(this.#asks, region.arrayAt(Level, asks, askCount, this.#levels));
  }

  /** The snapshot of `updateId` is in place: the updates that were held for it follow. */
  #startFrom(updateId: number): void {
    this.#ledger.snapshotId = updateId;
    for (const update of this.#ledger.held.takeAfter(updateId)) {
      applyRows(this.#bids, update.bids);
      applyRows(this.#asks, update.asks);
      if (this.observer?.verify !== undefined) this.#verify(update.updateId);
    }
  }

  #holdDecoded(region: Region): void {
    const { updateId, bids, bidCount, asks, askCount } = this.message;
    this.#held.updateId = updateId;
    copyLevels(this.#held.bids, bidCount > 0 ? region.arrayAt(Level, bids, bidCount, this.#levels) : undefined);
    copyLevels(this.#held.asks, askCount > 0 ? region.arrayAt(Level, asks, askCount, this.#levels) : undefined);
    this.#ledger.held.hold(this.#held);
  }

  #takeDecodedLevels(message: FeedMessage): void {
    const ledger = this.#ledger;
    const levels = message.bids.length + message.asks.length;
    if (message.kind === "snapshot") {
      ledger.noteSnapshot(levels);
      this.#bids.clear();
      this.#asks.clear();
    } else {
      ledger.noteUpdate(levels);
      if (ledger.snapshotId < 0) ledger.held.hold(message);
      if (message.updateId <= ledger.snapshotId || ledger.snapshotId < 0) return;
    }
    applyRows(this.#bids, message.bids);
    applyRows(this.#asks, message.asks);
    if (message.kind === "snapshot") this.#startFrom(message.updateId);
    else if (this.observer?.verify !== undefined) this.#verify(message.updateId);
  }

  #verify(updateId: number): void {
    const bid = this.#bids.first();
    const bidPrice = bid?.key ?? Number.NaN;
    const bidQuantity = bid?.value ?? Number.NaN;
    const ask = this.#asks.first();
    this.observer!.verify!(updateId, bidPrice, bidQuantity, ask?.key ?? Number.NaN, ask?.value ?? Number.NaN);
  }
}

/** Absolute quantities; zero deletes. */
function applyLevels(side: Side, levels: Levels): void {
  for (const level of levels) {
    const quantity = level.quantity;
    if (quantity === 0) side.delete(level.price);
    else side.set(level.price, quantity);
  }
}

function applyRows(side: Side, rows: HeldRows): void {
  for (let index = 0; index < rows.length; index++) {
    const quantity = rows.quantities[index]!;
    if (quantity === 0) side.delete(rows.prices[index]!);
    else side.set(rows.prices[index]!, quantity);
  }
}

function copyLevels(rows: FeedMessage["bids"], levels: Levels | undefined): void {
  rows.reserve(levels?.length ?? 0);
  for (let index = 0; index < rows.length; index++) {
    const level = levels!.at(index);
    rows.prices[index] = level.price;
    rows.quantities[index] = level.quantity;
  }
}

function rowsOf(side: Side): number[] {
  const rows: number[] = [];
  for (const { key, value } of side) rows.push(key, value);
  return rows;
}
