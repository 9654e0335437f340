// Decoder: from the bytes of one feed message to records in a region, in one pass, without garbage.
//
// A guest module: it has no memory of its own, takes what it needs from the region that it is given, and returns
// records that TypeScript reads through cursors. What it does not take (white space, escapes, exponents, more than 19
// digits, anything that is no message) it leaves, and the caller decodes it with `JSON.parse`.

import { Arena } from "../../assembly/allocators/arena";
import { Address } from "../../assembly/memory/alignment";
import { CLOSE_BRACE, CLOSE_BRACKET, COLON, COMMA, OPEN_BRACE, OPEN_BRACKET, QUOTE, Scanner } from "./scanner";

/** The kinds of message; 0 means that the bytes were not taken. */
export namespace Kind {
  export const NONE: u32 = 0;
  export const SNAPSHOT: u32 = 1;
  export const DEPTH_UPDATE: u32 = 2;
  export const BOOK_TICKER: u32 = 3;
  export const TRADE: u32 = 4;
}

/** The members that have been read, one bit each. */
namespace Seen {
  export const FIRST_ID: u32 = 1;
  export const LAST_ID: u32 = 2;
  export const BID_LEVELS: u32 = 4;
  export const ASK_LEVELS: u32 = 8;
  export const BID_PRICE: u32 = 16;
  export const BID_QUANTITY: u32 = 32;
  export const ASK_PRICE: u32 = 64;
  export const ASK_QUANTITY: u32 = 128;
  export const PRICE: u32 = 256;
  export const QUANTITY: u32 = 512;

  export const DEPTH_UPDATE: u32 = FIRST_ID | LAST_ID | BID_LEVELS | ASK_LEVELS;
  export const BOOK_TICKER: u32 = LAST_ID | BID_PRICE | BID_QUANTITY | ASK_PRICE | ASK_QUANTITY;
  export const TRADE: u32 = PRICE | QUANTITY;
  export const SNAPSHOT: u32 = LAST_ID | BID_LEVELS | ASK_LEVELS;
}

/** One decoded message; the same layout as the struct in bench/replay/feedStructs.ts. */
@unmanaged
export class FeedMessage {
  updateId: f64;
  bidPrice: f64;
  bidQuantity: f64;
  askPrice: f64;
  askQuantity: f64;
  price: f64;
  quantity: f64;
  bids: Address;
  bidCount: u32;
  asks: Address;
  askCount: u32;
  kind: u32;
  seen: u32;
}

@unmanaged
class Level {
  price: f64;
  quantity: f64;
}
const LEVEL_SIZE: u32 = offsetof<Level>();

/** Levels that a side is extended by at once; bookkeeping once in so many levels. */
const LEVELS_STEP: u32 = 16;

/**
 * Decodes the `length` bytes at `address` into `message`, a zeroed record of the region, which also takes the levels.
 * Returns the kind, or {@link Kind.NONE} when it does not take the bytes. Linear in `length`.
 */
export function decodeMessage(region: Arena, address: Address, length: u32, message: FeedMessage): u32 {
  const work = region.allocate(offsetof<Scanner>());
  if (!work) return Kind.NONE;
  const scanner = changetype<Scanner>(work);
  scanner.position = address;
  scanner.end = address + length;
  const kind = envelope(region, scanner, message);
  message.kind = scanner.position == scanner.end ? kind : Kind.NONE;
  return message.kind;
}

/** `{"stream":"…","data":{…}}` or a snapshot. */
function envelope(region: Arena, scanner: Scanner, message: FeedMessage): u32 {
  if (!scanner.skip(OPEN_BRACE)) return Kind.NONE;
  if (!scanner.string() || !scanner.skip(COLON)) return Kind.NONE;
  if (!isName(scanner, STREAM, 6)) return snapshot(region, scanner, message);
  if (!scanner.string()) return Kind.NONE;
  const isTicker = endsWith(scanner, BOOK_TICKER_SUFFIX, 11);
  if (!scanner.skip(COMMA) || !scanner.string() || !scanner.skip(COLON) || !isName(scanner, DATA, 4)) return Kind.NONE;
  const kind = event(region, scanner, message, isTicker ? Kind.BOOK_TICKER : Kind.NONE);
  return scanner.skip(CLOSE_BRACE) ? kind : Kind.NONE;
}

/**
 * The members of `data`, in any order; of one that stands twice the last counts, as in `JSON.parse`. `kind` is what the
 * stream's name says, for events that do not say it themselves.
 */
function event(region: Arena, scanner: Scanner, message: FeedMessage, kind: u32): u32 {
  if (!scanner.skip(OPEN_BRACE)) return Kind.NONE;
  do {
    if (!scanner.string() || !scanner.skip(COLON)) return Kind.NONE;
    const name = scanner.length == 1 ? <u32>load<u8>(scanner.start) : 0;
    switch (name) {
      case 0x65: // e
        if (!scanner.string()) return Kind.NONE;
        kind = eventKind(scanner);
        if (!kind) return Kind.NONE;
        break;
      case 0x55: // U
        if (!scanner.integer()) return Kind.NONE;
        message.seen |= Seen.FIRST_ID;
        break;
      case 0x75: // u
        if (!scanner.integer()) return Kind.NONE;
        message.updateId = scanner.number;
        message.seen |= Seen.LAST_ID;
        break;
      case 0x62: // b
        if (scanner.peek == QUOTE) {
          if (!scanner.decimal()) return Kind.NONE;
          message.bidPrice = scanner.number;
          message.seen = (message.seen & ~Seen.BID_LEVELS) | Seen.BID_PRICE;
        } else if (!bids(region, scanner, message)) return Kind.NONE;
        break;
      case 0x61: // a
        if (scanner.peek == QUOTE) {
          if (!scanner.decimal()) return Kind.NONE;
          message.askPrice = scanner.number;
          message.seen = (message.seen & ~Seen.ASK_LEVELS) | Seen.ASK_PRICE;
        } else if (!asks(region, scanner, message)) return Kind.NONE;
        break;
      case 0x42: // B
        if (!scanner.decimal()) return Kind.NONE;
        message.bidQuantity = scanner.number;
        message.seen |= Seen.BID_QUANTITY;
        break;
      case 0x41: // A
        if (!scanner.decimal()) return Kind.NONE;
        message.askQuantity = scanner.number;
        message.seen |= Seen.ASK_QUANTITY;
        break;
      case 0x70: // p
        if (!scanner.decimal()) return Kind.NONE;
        message.price = scanner.number;
        message.seen |= Seen.PRICE;
        break;
      case 0x71: // q
        if (!scanner.decimal()) return Kind.NONE;
        message.quantity = scanner.number;
        message.seen |= Seen.QUANTITY;
        break;
      default:
        if (!scanner.skipScalar()) return Kind.NONE;
    }
  } while (scanner.skip(COMMA));
  return scanner.skip(CLOSE_BRACE) ? complete(kind, message.seen) : Kind.NONE;
}

/** The rest of a snapshot, whose first name has been read. */
function snapshot(region: Arena, scanner: Scanner, message: FeedMessage): u32 {
  while (true) {
    if (isName(scanner, LAST_UPDATE_ID, 12)) {
      if (!scanner.integer()) return Kind.NONE;
      message.updateId = scanner.number;
      message.seen |= Seen.LAST_ID;
    } else if (isName(scanner, BIDS, 4)) {
      if (!bids(region, scanner, message)) return Kind.NONE;
    } else if (isName(scanner, ASKS, 4)) {
      if (!asks(region, scanner, message)) return Kind.NONE;
    } else if (!scanner.skipScalar()) {
      return Kind.NONE;
    }
    if (!scanner.skip(COMMA)) break;
    if (!scanner.string() || !scanner.skip(COLON)) return Kind.NONE;
  }
  return scanner.skip(CLOSE_BRACE) ? complete(Kind.SNAPSHOT, message.seen) : Kind.NONE;
}

/** `kind` if all members that it needs have been seen. */
function complete(kind: u32, seen: u32): u32 {
  let needed: u32 = 0;
  if (kind == Kind.DEPTH_UPDATE) needed = Seen.DEPTH_UPDATE;
  else if (kind == Kind.BOOK_TICKER) needed = Seen.BOOK_TICKER;
  else if (kind == Kind.TRADE) needed = Seen.TRADE;
  else if (kind == Kind.SNAPSHOT) needed = Seen.SNAPSHOT;
  return (seen & needed) == needed ? kind : Kind.NONE;
}

function bids(region: Arena, scanner: Scanner, message: FeedMessage): bool {
  const first = levels(region, scanner);
  if (!first) return false;
  message.bids = first;
  message.bidCount = scanner.length;
  message.seen = (message.seen & ~Seen.BID_PRICE) | Seen.BID_LEVELS;
  return true;
}

function asks(region: Arena, scanner: Scanner, message: FeedMessage): bool {
  const first = levels(region, scanner);
  if (!first) return false;
  message.asks = first;
  message.askCount = scanner.length;
  message.seen = (message.seen & ~Seen.ASK_PRICE) | Seen.ASK_LEVELS;
  return true;
}

/**
 * Reads `[["price","quantity"],…]` into the region, and returns the address of the first level, with their number in
 * `scanner.length`; 0 if it does not take the list, or memory is out.
 */
function levels(region: Arena, scanner: Scanner): Address {
  if (!scanner.skip(OPEN_BRACKET)) return 0;
  let first = region.allocate(LEVELS_STEP * LEVEL_SIZE);
  if (!first) return 0;
  let next = first;
  let end = first + LEVELS_STEP * LEVEL_SIZE;
  if (!scanner.skip(CLOSE_BRACKET)) {
    do {
      if (next == end) {
        const moved = extend(region, first, end);
        if (!moved) return 0;
        next = moved + (next - first);
        end = moved == first ? end + LEVELS_STEP * LEVEL_SIZE : moved + 2 * (end - first);
        first = moved;
      }
      const level = changetype<Level>(next);
      if (!scanner.skip(OPEN_BRACKET) || !scanner.decimal()) return 0;
      level.price = scanner.number;
      if (!scanner.skip(COMMA) || !scanner.decimal() || !scanner.skip(CLOSE_BRACKET)) return 0;
      level.quantity = scanner.number;
      next += LEVEL_SIZE;
    } while (scanner.skip(COMMA));
    if (!scanner.skip(CLOSE_BRACKET)) return 0;
  }
  scanner.length = <u32>((next - first) / LEVEL_SIZE);
  return first;
}

/** Makes the list longer where it lies, or moves it to a place twice as large. Returns where it is, or 0. */
function extend(region: Arena, first: Address, end: Address): Address {
  if (region.cursor == end && region.end - end >= <usize>(LEVELS_STEP * LEVEL_SIZE)) {
    region.allocate(LEVELS_STEP * LEVEL_SIZE);
    return first;
  }
  const moved = region.allocate(2 * <u32>(end - first));
  if (moved) memory.copy(moved, first, end - first);
  return moved;
}

const STREAM = memory.data<u8>([0x73, 0x74, 0x72, 0x65, 0x61, 0x6d]);
const DATA = memory.data<u8>([0x64, 0x61, 0x74, 0x61]);
const BIDS = memory.data<u8>([0x62, 0x69, 0x64, 0x73]);
const ASKS = memory.data<u8>([0x61, 0x73, 0x6b, 0x73]);
const LAST_UPDATE_ID = memory.data<u8>([0x6c, 0x61, 0x73, 0x74, 0x55, 0x70, 0x64, 0x61, 0x74, 0x65, 0x49, 0x64]);
const BOOK_TICKER_SUFFIX = memory.data<u8>([0x40, 0x62, 0x6f, 0x6f, 0x6b, 0x54, 0x69, 0x63, 0x6b, 0x65, 0x72]);
const DEPTH_UPDATE = memory.data<u8>([0x64, 0x65, 0x70, 0x74, 0x68, 0x55, 0x70, 0x64, 0x61, 0x74, 0x65]);
const TRADE = memory.data<u8>([0x74, 0x72, 0x61, 0x64, 0x65]);

/** True if the string read last is the `length` bytes at `name`. */
function isName(scanner: Scanner, name: usize, length: u32): bool {
  return scanner.length == length && memory.compare(scanner.start, name, length) == 0;
}

function endsWith(scanner: Scanner, suffix: usize, length: u32): bool {
  return scanner.length >= length && memory.compare(scanner.start + scanner.length - length, suffix, length) == 0;
}

function eventKind(scanner: Scanner): u32 {
  if (isName(scanner, DEPTH_UPDATE, 11)) return Kind.DEPTH_UPDATE;
  if (isName(scanner, BOOK_TICKER_SUFFIX + 1, 10)) return Kind.BOOK_TICKER;
  if (isName(scanner, TRADE, 5)) return Kind.TRADE;
  return Kind.NONE;
}
