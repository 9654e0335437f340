import { f64, struct, u32 } from "tidemark";

/** One level of the book: what the decoder writes into the region, two numbers a level. */
export const Level = struct("Level", { price: f64, quantity: f64 });

/** One decoded message, as bench/assembly/decoder.ts fills it in. */
export const Message = struct("Message", {
  updateId: f64,
  bidPrice: f64,
  bidQuantity: f64,
  askPrice: f64,
  askQuantity: f64,
  price: f64,
  quantity: f64,
  /** Address and number of the levels of each side, in the same region. */
  bids: u32,
  bidCount: u32,
  asks: u32,
  askCount: u32,
  kind: u32,
  /** The decoder's own. */
  seen: u32,
});

/** The decoder's numbers for the kinds of message, and for bytes that it did not take. */
export const NOT_TAKEN = 0;
export const SNAPSHOT = 1;
export const DEPTH_UPDATE = 2;
export const BOOK_TICKER = 3;
export const TRADE = 4;

/** What the benchmarks' guest module exports. Addresses come back signed. */
export interface GuestExports {
  decodeMessage(region: number, address: number, length: number, message: number): number;
  arenaRounds(arena: number, rounds: number): number;
}
