import fc from "fast-check";
import { type Arena, type CursorOf, createRuntime, type Runtime } from "tidemark";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  BOOK_TICKER,
  DEPTH_UPDATE,
  type GuestExports,
  Level,
  Message,
  NOT_TAKEN,
  SNAPSHOT,
  TRADE,
} from "../../bench/replay/feedStructs.js";
import { generateFeed } from "../../bench/replay/generator.js";
import { loadGuest } from "../../bench/replay/guestModule.js";
import { decodeMessage, FeedMessage } from "../../bench/replay/message.js";

const KINDS = { [SNAPSHOT]: "snapshot", [DEPTH_UPDATE]: "depthUpdate", [BOOK_TICKER]: "bookTicker", [TRADE]: "trade" };

let runtime: Runtime;
let guest: GuestExports;
let arena: Arena;
let message: CursorOf<(typeof Message)["fields"]>;

beforeAll(async () => {
  runtime = await createRuntime();
  guest = await loadGuest(runtime);
  arena = runtime.arena();
  message = runtime.cursor(Message);
});

afterAll(() => runtime.dispose());

/** Decodes in wasm; what it gives is compared as plain data. `undefined` if the bytes were not taken. */
function decodeInWasm(text: string): object | undefined {
  arena.reset();
  const bytes = arena.bytes(Math.max(text.length, 1));
  bytes.copyFrom(Buffer.from(text, "latin1"));
  arena.new(Message, message);
  const kind = guest.decodeMessage(arena.address, bytes.address, text.length, message.$address);
  if (kind === NOT_TAKEN) return undefined;
  const levels = (address: number, count: number) =>
    count === 0
      ? []
      : arena
          .arrayAt(Level, address, count)
          .toArray()
          .map(({ price, quantity }) => [price, quantity]);
  return plain(KINDS[kind as keyof typeof KINDS], message, {
    bids: levels(message.bids, message.bidCount),
    asks: levels(message.asks, message.askCount),
  });
}

/** The same with `JSON.parse` and `Number`. */
function decodeInScript(text: string): object | undefined {
  const decoded = new FeedMessage();
  if (decodeMessage(text, decoded) !== undefined) return undefined;
  const levels = ({ prices, quantities, length }: FeedMessage["bids"]) =>
    Array.from({ length }, (_, index) => [prices[index], quantities[index]]);
  return plain(decoded.kind, decoded, { bids: levels(decoded.bids), asks: levels(decoded.asks) });
}

type Numbers = Pick<
  FeedMessage,
  "updateId" | "bidPrice" | "bidQuantity" | "askPrice" | "askQuantity" | "price" | "quantity"
>;

/** Only what a message of its kind means. */
function plain(kind: string, numbers: Numbers, sides: { bids: unknown; asks: unknown }): object {
  const { updateId, bidPrice, bidQuantity, askPrice, askQuantity, price, quantity } = numbers;
  if (kind === "bookTicker") return { kind, updateId, bidPrice, bidQuantity, askPrice, askQuantity };
  if (kind === "trade") return { kind, price, quantity };
  return { kind, updateId, ...sides };
}

const trade = (price: string, quantity: string) =>
  `{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":2,"p":"${price}","q":"${quantity}","m":true}}`;

const digits = (minimum: number, maximum: number) =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: minimum, maxLength: maximum }).map((list) => list.join(""));

describe("the feed decoder", () => {
  test("reads decimals of up to 19 digits exactly as Number() does", () => {
    const decimal = fc
      .tuple(digits(1, 18), digits(0, 18))
      .filter(([whole, fraction]) => whole.length + fraction.length <= 19)
      .map(([whole, fraction]) => (fraction === "" ? whole : `${whole}.${fraction}`));
    fc.assert(
      fc.property(decimal, decimal, (price, quantity) => {
        expect(decodeInWasm(trade(price, quantity))).toEqual({
          kind: "trade",
          price: Number(price),
          quantity: Number(quantity),
        });
      }),
      { numRuns: 20_000 },
    );
  });

  test.each([
    "9007199254740993", // halfway between two floats: to even, down
    "9007199254740995", // to even, up
    "9007199254740992.5",
    "9007199254740993.001",
    "0.9007199254740993",
    "9999999999999999999",
    "0.9999999999999999999",
    "1.000000000000000222",
    "0.1000000000000000055",
    "123456789012345678.9",
  ])("rounds %s to the nearest float, ties to even", (text) => {
    expect(decodeInWasm(trade(text, "1"))).toEqual({ kind: "trade", price: Number(text), quantity: 1 });
  });

  test.each(["12345678901234567890", "1e5", "-1", ".5", "", " 1", "0x10", "Infinity", "1_0", "1.2.3"])(
    "leaves the number %j to the whole parser",
    (text) => {
      expect(decodeInWasm(trade(text, "1"))).toBeUndefined();
    },
  );

  test("takes every message of a generated feed, with the same numbers as JSON.parse", () => {
    const lines = generateFeed({ seed: 3, messages: 3_000 }).toString("latin1").trimEnd().split("\n");
    for (const line of lines) {
      const text = line.slice(line.indexOf(" ") + 1);
      expect(decodeInWasm(text)).toEqual(decodeInScript(text));
    }
  });

  test("never takes what JSON.parse and the rules for messages refuse, nor reads it otherwise", () => {
    const lines = generateFeed({ seed: 5, messages: 300 }).toString("latin1").trimEnd().split("\n");
    const texts = lines.map((line) => line.slice(line.indexOf(" ") + 1)).filter((text) => text.length < 4_000);
    const bytes = '"{}[]:,.0189eEuUbaABpqt\\ \u0000\u00ff-+';
    const edit = fc.record({
      at: fc.nat(),
      remove: fc.nat({ max: 3 }),
      insert: fc.array(fc.constantFrom(...bytes), { maxLength: 3 }).map((list) => list.join("")),
    });
    let taken = 0;
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.array(edit, { minLength: 1, maxLength: 3 }), (text, edits) => {
        let changed = text;
        for (const { at, remove, insert } of edits) {
          const place = at % changed.length;
          changed = changed.slice(0, place) + insert + changed.slice(place + remove);
          if (changed === "") return;
        }
        const found = decodeInWasm(changed);
        if (found === undefined) return;
        taken++;
        expect(found).toEqual(decodeInScript(changed));
      }),
      { numRuns: 50_000 },
    );
    expect(taken).toBeGreaterThan(1_000); // or the test would have compared next to nothing
  });

  test.each([
    ['{"stream":"x@trade","data":{"e":"trade","p":"1","q":"2","p":"3"}}', "a member that stands twice"],
    ['{"stream":"x@depth","data":{"e":"depthUpdate","U":1,"u":2,"b":[],"a":[]}}', "empty sides"],
    ['{"stream":"x@bookTicker","data":{"u":1,"b":"1","B":"1","a":"1","A":"1"}}', "an event that does not name itself"],
    ['{"lastUpdateId":5,"bids":[["1","2"]],"asks":[]}', "a small snapshot"],
  ])("takes %s (%s) and reads it as JSON.parse does", (text) => {
    expect(decodeInWasm(text)).toBeDefined();
    expect(decodeInWasm(text)).toEqual(decodeInScript(text));
  });

  test.each([
    ['{"stream":"x@bookTicker","data":{"u":1,"b":"1","B":"1","a":"1","A":"1","b":[]}}', "a price that becomes a list"],
    [
      '{"stream":"x@depth","data":{"e":"depthUpdate","U":1,"u":2,"b":[],"a":[],"b":"1"}}',
      "a list that becomes a price",
    ],
    ['{"stream":"x@bookTicker","data":{"u":9007199254740992,"b":"1","B":"1","a":"1","A":"1"}}', "an unsafe id"],
    ['{"stream":"x@bookTicker","data":{"u":01,"b":"1","B":"1","a":"1","A":"1"}}', "a leading zero"],
    ['{"stream":"x@trade","data":{"e":"trade","p":"1"}}', "a member that is missing"],
    ['{"stream":"x@trade","data":{"e":"trade","p":"1","q":"2"}}}', "a brace too many"],
    ['{"stream":"x@trade","data":{"e":"trade","p":"1","q":"2"}', "a brace too few"],
  ])("does not take %s (%s)", (text) => {
    expect(decodeInWasm(text)).toBeUndefined();
    expect(decodeInScript(text)).toBeUndefined();
  });
});
