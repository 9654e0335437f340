import type { Recording } from "./recording.js";

/**
 * What a message of the feed is, decided here and nowhere else.
 *
 * A subject may decode lines in its own way as long as it takes only lines that this file would take, and reads the
 * same numbers from them; whatever its own decoder does not take, it hands to {@link decodeLine}. So two subjects refuse
 * exactly the same lines, for the same reason.
 *
 * A line is a message if it is one JSON object and either
 * - has `lastUpdateId`, `bids` and `asks`: a snapshot; or
 * - has `stream` and `data`, where `data` is, by its `e` (or, where `e` is absent, by the end of `stream`),
 *   a `depthUpdate` with `U`, `u`, `b`, `a`, a `bookTicker` with `u`, `b`, `B`, `a`, `A`, or a `trade` with `p`, `q`.
 *
 * Update ids are safe integers ≥ 0. Prices and quantities are strings that begin with a digit and that `Number()` reads
 * as a finite number. Lists of levels are arrays of `[price, quantity]`. A message is refused whole: none of its levels
 * is applied if one of them is wrong.
 */
export type MessageKind = "snapshot" | "depthUpdate" | "bookTicker" | "trade";

/**
 * Longer lines and messages are refused unread, so that one lost newline cannot take all memory, and a ring can hold what comes
 * over a connection. The recorded ones end at 64 KiB.
 */
export const MAXIMUM_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Levels as two parallel arrays that grow and are used again for the next message. */
export class LevelRows {
  prices = new Float64Array(256);
  quantities = new Float64Array(256);
  length = 0;

  /** Makes room for `count` levels; what the rows held is lost. */
  reserve(count: number): void {
    if (count > this.prices.length) {
      const capacity = 2 ** Math.ceil(Math.log2(count));
      this.prices = new Float64Array(capacity);
      this.quantities = new Float64Array(capacity);
    }
    this.length = count;
  }
}

/** One decoded message. It is filled again and again; only the fields of its `kind` have a meaning. */
export class FeedMessage {
  kind: MessageKind = "trade";
  /** `lastUpdateId` of a snapshot, `u` of a depth update or book ticker. */
  updateId = 0;
  /** Levels of a snapshot or depth update. */
  readonly bids = new LevelRows();
  readonly asks = new LevelRows();
  /** A book ticker's best prices and their quantities. */
  bidPrice = 0;
  bidQuantity = 0;
  askPrice = 0;
  askQuantity = 0;
  /** A trade's price and quantity. */
  price = 0;
  quantity = 0;
}

/**
 * Decodes line `line` of `recording` into `message`.
 *
 * @returns `undefined`, or the reason why the line is no message; then `message` holds nothing of use
 */
export function decodeLine(recording: Recording, line: number, message: FeedMessage): string | undefined {
  return decodeBytes(recording.bytes, recording.starts[line]!, recording.ends[line]!, message);
}

/** {@link decodeLine} for the bytes from `start` to `end`. */
export function decodeBytes(bytes: Buffer, start: number, end: number, message: FeedMessage): string | undefined {
  if (end - start > MAXIMUM_MESSAGE_BYTES) return `longer than ${MAXIMUM_MESSAGE_BYTES} bytes`;
  return decodeMessage(bytes.toString("latin1", start, end), message);
}

/** {@link decodeLine} for one JSON text. Linear in its length. */
export function decodeMessage(text: string, message: FeedMessage): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return text.trim() === "" ? "blank line" : "not JSON";
  }
  if (typeof parsed !== "object" || parsed === null) return "not a JSON object";
  const envelope = parsed as Envelope;
  if (envelope.lastUpdateId !== undefined) return decodeSnapshot(envelope, message);
  const { data, stream } = envelope;
  if (typeof data !== "object" || data === null || typeof stream !== "string")
    return "neither snapshot nor stream event";
  const event = data.e ?? (stream.endsWith("@bookTicker") ? "bookTicker" : undefined);
  if (event === "bookTicker") return decodeBookTicker(data, message);
  if (event === "depthUpdate") return decodeDepthUpdate(data, message);
  if (event === "trade") return decodeTrade(data, message);
  return "unknown event";
}

/** The JSON as it comes: any field may be missing or of another type. */
interface Envelope {
  lastUpdateId?: unknown;
  bids?: unknown;
  asks?: unknown;
  stream?: unknown;
  data?: EventData | null;
}

interface EventData {
  e?: unknown;
  U?: unknown;
  u?: unknown;
  b?: unknown;
  B?: unknown;
  a?: unknown;
  A?: unknown;
  p?: unknown;
  q?: unknown;
}

function decodeSnapshot(envelope: Envelope, message: FeedMessage): string | undefined {
  if (!isUpdateId(envelope.lastUpdateId)) return "lastUpdateId is no update id";
  message.kind = "snapshot";
  message.updateId = envelope.lastUpdateId;
  return decodeLevels(envelope.bids, message.bids) ?? decodeLevels(envelope.asks, message.asks);
}

function decodeDepthUpdate(data: EventData, message: FeedMessage): string | undefined {
  if (!isUpdateId(data.U) || !isUpdateId(data.u)) return "U or u is no update id";
  message.kind = "depthUpdate";
  message.updateId = data.u;
  return decodeLevels(data.b, message.bids) ?? decodeLevels(data.a, message.asks);
}

function decodeBookTicker(data: EventData, message: FeedMessage): string | undefined {
  if (!isUpdateId(data.u)) return "u is no update id";
  const bidPrice = decimal(data.b);
  const bidQuantity = decimal(data.B);
  const askPrice = decimal(data.a);
  const askQuantity = decimal(data.A);
  // One test for four: the sum is finite only if each of them is, as none is negative.
  if (!(bidPrice + bidQuantity + askPrice + askQuantity < Infinity)) return "a best price or quantity is no number";
  message.kind = "bookTicker";
  message.updateId = data.u;
  message.bidPrice = bidPrice;
  message.bidQuantity = bidQuantity;
  message.askPrice = askPrice;
  message.askQuantity = askQuantity;
  return undefined;
}

function decodeTrade(data: EventData, message: FeedMessage): string | undefined {
  const price = decimal(data.p);
  const quantity = decimal(data.q);
  if (!(price + quantity < Infinity)) return "a trade's price or quantity is no number";
  message.kind = "trade";
  message.price = price;
  message.quantity = quantity;
  return undefined;
}

function decodeLevels(list: unknown, rows: LevelRows): string | undefined {
  if (!Array.isArray(list)) return "a side is no list of levels";
  const count = list.length;
  rows.reserve(count);
  const { prices, quantities } = rows;
  for (let index = 0; index < count; index++) {
    const level: unknown = list[index];
    if (!Array.isArray(level) || level.length !== 2) return "a level is no pair of price and quantity";
    const price = decimal(level[0]);
    const quantity = decimal(level[1]);
    if (!(price + quantity < Infinity)) return "a level's price or quantity is no number";
    prices[index] = price;
    quantities[index] = quantity;
  }
  return undefined;
}

/** The number that a price or quantity means, never negative, or NaN. `Number("")` would be 0: hence the first digit. */
function decimal(text: unknown): number {
  if (typeof text !== "string") return Number.NaN;
  const first = text.charCodeAt(0) - 48;
  return first >= 0 && first <= 9 ? Number(text) : Number.NaN;
}

function isUpdateId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
