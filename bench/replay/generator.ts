import { Random } from "./random.js";
import { SimulatedMarket } from "./simulatedMarket.js";
import type { SortedLevels } from "./sortedLevels.js";
import { OVERTAKING, SNAPSHOT_LEVELS, UPDATE_MILLIS } from "./spotStatistics.js";

export interface GeneratorOptions {
  /** Unsigned 32-bit integer; the same seed gives the same feed, byte for byte. */
  readonly seed: number;
  /** Lines to write, at least {@link MESSAGES_AT_LEAST}. */
  readonly messages: number;
}

/** The lines before the snapshot always fit. */
export const MESSAGES_AT_LEAST = 100;

/** About 2.7 GB: a recording is held in memory, and its offsets are 32 bits wide. */
export const MESSAGES_AT_MOST = 10_000_000;

/** About as long as the recorded spot feed. */
export const DEFAULT_MESSAGES = 100_000;
export const DEFAULT_SEED = 1;

/** When the recording begins, ms since the epoch. */
const OPENING_MILLIS = 1723161255108;

/** What the way from the exchange takes. */
const TRANSPORT_MILLIS = 4;

/** Receive times of lines that arrive together are this far apart, as they are in the recording. */
const BURST_NANOS = 600;

/** Updates before the snapshot: the first two are contained in it, the third is newer than it. */
const UPDATES_CONTAINED = 2;

/** So few changes each that the snapshot comes within the first hundred lines. */
const OPENING_CHANGES = 8;

const LINES_PER_PART = 4096;

/**
 * Writes a feed in the format of the recorded ones: BTCUSDT, `<receive ns> <message>` a line, with what
 * `spotStatistics.ts` says of sizes, mix and placement. It agrees with itself: update ids have no gaps, and each
 * bookTicker tells the best levels of the book at its update id. O(messages); the feed is held in memory.
 */
export function generateFeed({ seed, messages }: GeneratorOptions): Buffer {
  const random = new Random(seed);
  const writer = new FeedWriter(messages);
  let update = 0;
  const market = new SimulatedMarket(random, {
    ticker: () => writer.ticker(market, update),
    trade: (price, quantity, buyerIsMaker) => writer.trade(market, update, price, quantity, buyerIsMaker),
  });
  let snapshot = "";
  for (; !writer.full; update++) {
    const firstId = market.updateId + 1;
    if (update <= UPDATES_CONTAINED) market.passInterval(OPENING_CHANGES);
    else market.passInterval();
    writer.depthUpdate(market, update, firstId, Math.floor(OVERTAKING.draw(random)));
    if (update === UPDATES_CONTAINED - 1) snapshot = formatSnapshot(market);
    if (update === UPDATES_CONTAINED) writer.snapshot(market, update, snapshot);
  }
  return writer.finish();
}

/** Formats lines, stamps them in order of their arrival, and stops at the number asked for. */
class FeedWriter {
  readonly #parts: Buffer[] = [];
  #lines: string[] = [];
  #left: number;
  #millis = 0;
  #nanos = 0;
  #tradeId = 3735683259;
  #late: { line: string; tickersBefore: number } | undefined;

  constructor(messages: number) {
    this.#left = messages;
  }

  get full(): boolean {
    return this.#left === 0;
  }

  ticker(market: SimulatedMarket, update: number): void {
    const { bids, asks } = market;
    this.#write(
      eventMillis(market, update),
      `{"stream":"btcusdt@bookTicker","data":{"u":${market.updateId},"s":"BTCUSDT","b":"${formatPrice(bids.best)}",` +
        `"B":"${formatQuantity(bids.bestQuantity)}","a":"${formatPrice(asks.best)}","A":"${formatQuantity(asks.bestQuantity)}"}}`,
    );
    if (this.#late !== undefined && --this.#late.tickersBefore <= 0) this.#writeLate(eventMillis(market, update));
  }

  trade(market: SimulatedMarket, update: number, price: number, quantity: number, buyerIsMaker: boolean): void {
    const time = eventMillis(market, update);
    this.#write(
      time,
      `{"stream":"btcusdt@trade","data":{"e":"trade","E":${time + 1},"s":"BTCUSDT","t":${this.#tradeId++},` +
        `"p":"${formatPrice(price)}","q":"${formatQuantity(quantity)}","T":${time},"m":${buyerIsMaker},"M":true}}`,
    );
  }

  /** Writes the changes of the interval that has just passed, after the next `tickersBefore` tickers. */
  depthUpdate(market: SimulatedMarket, update: number, firstId: number, tickersBefore: number): void {
    const time = eventMillis(market, update);
    this.#writeLate(time);
    const bids = formatChanges(market.bids.levels, market.bids.touched, -1);
    const asks = formatChanges(market.asks.levels, market.asks.touched, 1);
    const line =
      `{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":${time},"s":"BTCUSDT",` +
      `"U":${firstId},"u":${market.updateId},"b":[${bids}],"a":[${asks}]}}`;
    if (tickersBefore === 0) this.#write(time, line);
    else this.#late = { line, tickersBefore };
  }

  snapshot(market: SimulatedMarket, update: number, text: string): void {
    const time = eventMillis(market, update);
    this.#writeLate(time);
    this.#write(time, text);
  }

  finish(): Buffer {
    this.#flush();
    return this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
  }

  #writeLate(time: number): void {
    if (this.#late === undefined) return;
    const { line } = this.#late;
    this.#late = undefined;
    this.#write(time, line);
  }

  #write(time: number, message: string): void {
    if (this.#left === 0) return;
    this.#left--;
    this.#lines.push(this.#stamp(time + TRANSPORT_MILLIS), " ", message, "\n");
    if (this.#lines.length >= LINES_PER_PART) this.#flush();
  }

  /** Nanoseconds since the epoch, always later than the line before; beyond 2^53, so they are put together as text. */
  #stamp(millis: number): string {
    if (millis > this.#millis) {
      this.#millis = millis;
      this.#nanos = 0;
    } else {
      this.#nanos += BURST_NANOS;
      if (this.#nanos >= 1_000_000) {
        this.#millis++;
        this.#nanos = 0;
      }
    }
    return `${this.#millis}${String(this.#nanos).padStart(6, "0")}`;
  }

  #flush(): void {
    this.#parts.push(Buffer.from(this.#lines.join(""), "latin1"));
    this.#lines = [];
  }
}

/** The exchange's time, ms since the epoch: a share of the interval that ends with depth update `update`. */
function eventMillis(market: SimulatedMarket, update: number): number {
  return OPENING_MILLIS + Math.floor((update + market.progress) * UPDATE_MILLIS);
}

function formatSnapshot(market: SimulatedMarket): string {
  const side = (levels: SortedLevels) => {
    const rows: string[] = [];
    for (let index = levels.length - 1; index >= levels.length - SNAPSHOT_LEVELS; index--) {
      rows.push(formatLevel(levels.price(index), levels.quantity(index)));
    }
    return rows.join(",");
  };
  return `{"lastUpdateId":${market.updateId},"bids":[${side(market.bids.levels)}],"asks":[${side(market.asks.levels)}]}`;
}

/** The present quantity of each level that was touched, 0 where it is gone, best price first. */
function formatChanges(levels: SortedLevels, touched: ReadonlySet<number>, order: 1 | -1): string {
  return [...touched]
    .sort((one, other) => (one - other) * order)
    .map((price) => formatLevel(price, levels.quantityAt(price)))
    .join(",");
}

function formatLevel(price: number, quantity: number): string {
  return `["${formatPrice(price)}","${formatQuantity(quantity)}"]`;
}

/** Cents as the exchange writes prices: eight decimals. */
function formatPrice(cents: number): string {
  return `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}000000`;
}

/** Lots as the exchange writes quantities: eight decimals. */
function formatQuantity(lots: number): string {
  return `${Math.floor(lots / 100_000)}.${String(lots % 100_000).padStart(5, "0")}000`;
}
