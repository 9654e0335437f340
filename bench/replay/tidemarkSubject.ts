import {
  type Bytes,
  type CursorOf,
  createLoop,
  createRuntime,
  f64,
  type Kind,
  type Loop,
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
import { decodeLine, FeedMessage, MAXIMUM_MESSAGE_BYTES } from "./message.js";
import type { Recording } from "./recording.js";
import { type BookSummary, type Observer, RefusalLog, type Subject } from "./subject.js";

type Levels = SequenceOf<typeof Level>;
type Side = SortedMap<typeof f64, typeof f64>;

/** The queue holds what one delivery brings: a socket read of the recorded feeds has at most some 600 lines. */
const QUEUE_CAPACITY = 4096;

/** The bytes that the inbox holds at first; a longer delivery makes it grow. */
const INBOX_BYTES = 128 * 1024;

/**
 * The same feed handler on Tidemark: a delivery's bytes are copied into linear memory once, as a socket would read them
 * there, and every line is an event. Its handler decodes the bytes into the event's region (bench/assembly/decoder.ts)
 * and applies the levels, through one reused cursor, to two sorted maps that own their memory.
 */
export class TidemarkSubject implements Subject {
  readonly name = "tidemark";
  readonly refusals: RefusalLog;
  readonly #recording: Recording;
  readonly #runtime: Runtime;
  readonly #decode: GuestExports["decodeMessage"];
  readonly #loop: Loop;
  readonly #lines: Kind<number>;
  readonly #bids: Side;
  readonly #asks: Side;
  readonly #inboxArena;
  #inbox: Bytes;
  /** What to add to an offset in the recording to get the address in the inbox. */
  #shift = 0;
  readonly #message: CursorOf<(typeof Message)["fields"]>;
  readonly #levels: Levels;
  #observer: Observer | undefined;
  readonly #unusual = new FeedMessage();
  readonly #ledger = new FeedLedger();

  static async create(recording: Recording): Promise<TidemarkSubject> {
    const runtime = await createRuntime({ maximumBytes: 512 << 20 });
    const guest = await loadGuest(runtime);
    return new TidemarkSubject(recording, runtime, guest);
  }

  private constructor(recording: Recording, runtime: Runtime, guest: GuestExports) {
    this.#recording = recording;
    this.refusals = new RefusalLog(recording);
    this.#runtime = runtime;
    this.#decode = guest.decodeMessage;
    this.#bids = runtime.sortedMap(f64, f64, { order: "descending" });
    this.#asks = runtime.sortedMap(f64, f64);
    this.#inboxArena = runtime.arena();
    this.#inbox = this.#inboxArena.bytes(INBOX_BYTES);
    this.#message = runtime.cursor(Message);
    this.#levels = runtime.array(Level);
    this.#loop = createLoop(runtime, { queue: { capacity: QUEUE_CAPACITY }, turn: { events: QUEUE_CAPACITY } });
    this.#lines = this.#loop.on("line", (line: number, { region }) => this.#handle(line, region));
  }

  deliver(first: number, last: number, observer: Observer | undefined): Promise<void> {
    this.#observer = observer;
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
    return { bids: rowsOf(this.#bids), asks: rowsOf(this.#asks), ...this.#ledger.summary() };
  }

  linearBytes(): number {
    return this.#runtime.stats().committedBytes;
  }

  reset(): void {
    this.#bids.clear();
    this.#asks.clear();
    this.#ledger.clear();
    this.refusals.clear();
  }

  dispose(): void {
    this.#runtime.dispose();
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
    const message = region.new(Message, this.#message);
    const kind =
      length > MAXIMUM_MESSAGE_BYTES
        ? NOT_TAKEN
        : this.#decode(region.address, start + this.#shift, length, message.$address);
    if (kind === BOOK_TICKER) this.#ledger.noteTicker(message);
    else if (kind === TRADE) this.#ledger.noteTrade(message);
    else if (kind === DEPTH_UPDATE) this.#takeUpdate(region);
    else if (kind === SNAPSHOT) this.#takeSnapshot(region);
    else this.#handleUnusual(line);
    this.#observer?.end(line);
  }

  #takeUpdate(region: Region): void {
    const { updateId, bidCount, askCount } = this.#message;
    this.#ledger.noteUpdate(bidCount + askCount);
    if (this.#ledger.snapshotId < 0) this.#holdDecoded(region);
    else if (updateId > this.#ledger.snapshotId) {
      this.#applyDecoded(region);
      if (this.#observer?.verify !== undefined) this.#verify(updateId);
    }
  }

  #takeSnapshot(region: Region): void {
    const { updateId, bidCount, askCount } = this.#message;
    this.#ledger.noteSnapshot(bidCount + askCount);
    this.#bids.clear();
    this.#asks.clear();
    this.#applyDecoded(region);
    this.#startFrom(updateId);
  }

  #applyDecoded(region: Region): void {
    const { bids, bidCount, asks, askCount } = this.#message;
    if (bidCount > 0) applyLevels(this.#bids, region.arrayAt(Level, bids, bidCount, this.#levels));
    if (askCount > 0) applyLevels(this.#asks, region.arrayAt(Level, asks, askCount, this.#levels));
  }

  /** The snapshot of `updateId` is in place: the updates that were held for it follow. */
  #startFrom(updateId: number): void {
    this.#ledger.snapshotId = updateId;
    for (const update of this.#ledger.held.takeAfter(updateId)) {
      applyRows(this.#bids, update.bids);
      applyRows(this.#asks, update.asks);
      if (this.#observer?.verify !== undefined) this.#verify(update.updateId);
    }
  }

  #holdDecoded(region: Region): void {
    const { updateId, bids, bidCount, asks, askCount } = this.#message;
    this.#unusual.updateId = updateId;
    copyLevels(this.#unusual.bids, bidCount > 0 ? region.arrayAt(Level, bids, bidCount, this.#levels) : undefined);
    copyLevels(this.#unusual.asks, askCount > 0 ? region.arrayAt(Level, asks, askCount, this.#levels) : undefined);
    this.#ledger.held.hold(this.#unusual);
  }

  /** A line that the decoder did not take: decoded as the plain handler does, or refused. */
  #handleUnusual(line: number): void {
    const message = this.#unusual;
    const refusal = decodeLine(this.#recording, line, message);
    if (refusal !== undefined) {
      this.refusals.refuse(line, refusal);
      return;
    }
    if (message.kind === "bookTicker") this.#ledger.noteTicker(message);
    else if (message.kind === "trade") this.#ledger.noteTrade(message);
    else this.#takeUnusualLevels(message);
  }

  #takeUnusualLevels(message: FeedMessage): void {
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
    else if (this.#observer?.verify !== undefined) this.#verify(message.updateId);
  }

  #verify(updateId: number): void {
    const bid = this.#bids.first();
    const bidPrice = bid?.key ?? Number.NaN;
    const bidQuantity = bid?.value ?? Number.NaN;
    const ask = this.#asks.first();
    this.#observer!.verify!(updateId, bidPrice, bidQuantity, ask?.key ?? Number.NaN, ask?.value ?? Number.NaN);
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
