import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeMessage, FeedMessage, MAXIMUM_MESSAGE_BYTES } from "../../bench/replay/message.js";
import { recordingOf } from "../../bench/replay/recording.js";
import type { SubjectName } from "../../bench/replay/subject.js";
import { subjects } from "../../bench/replay/subjects.js";

const SNAPSHOT = '{"lastUpdateId":10,"bids":[["100.00","1.5"],["99.00","2"]],"asks":[["101.00","3"]]}';
const UPDATE =
  '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":11,"u":12,' +
  '"b":[["100.00","0.00000000"]],"a":[["102.50","4.25"]]}}';
const TICKER = '{"stream":"btcusdt@bookTicker","data":{"u":12,"s":"BTCUSDT","b":"99.00","B":"2","a":"101.00","A":"3"}}';
const TRADE =
  '{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"100.50","q":"0.25","T":1,"m":true,"M":true}}';
const MESSAGES = [SNAPSHOT, UPDATE, TICKER, TRADE];

/** Lines that are no messages, each wrong in one way. */
const REFUSED: Record<string, string> = {
  blank: "",
  "only spaces": "   ",
  garbage: "hello, world",
  "truncated JSON": UPDATE.slice(0, -20),
  "JSON that goes on": `${TICKER}x`,
  "two messages": TICKER + TRADE,
  "a number": "12",
  null: "null",
  "an array": "[1,2]",
  "a string": '"depthUpdate"',
  "an empty object": "{}",
  "no data": '{"stream":"btcusdt@depth"}',
  "data is null": '{"stream":"btcusdt@depth","data":null}',
  "no stream": TRADE.replace('"stream"', '"street"'),
  "an unknown event": TRADE.replace('"trade","E"', '"aggTrade","E"'),
  "an update without u": UPDATE.replace('"u":12,', ""),
  "an update without b": UPDATE.replace('"b":', '"c":'),
  "an update whose u is a string": UPDATE.replace('"u":12', '"u":"12"'),
  "an update whose u is a fraction": UPDATE.replace('"u":12', '"u":12.5'),
  "an update whose u is negative": UPDATE.replace('"u":12', '"u":-12'),
  "an update whose u is beyond 2^53": UPDATE.replace('"u":12', '"u":9007199254740993'),
  "an update whose U is no number": UPDATE.replace('"U":11', '"U":null'),
  "a side that is an object": UPDATE.replace('[["102.50","4.25"]]', "{}"),
  "a level of one": UPDATE.replace('["102.50","4.25"]', '["102.50"]'),
  "a level of three": UPDATE.replace('["102.50","4.25"]', '["102.50","4.25","1"]'),
  "a level of numbers": UPDATE.replace('["102.50","4.25"]', "[102.50,4.25]"),
  "a level that is null": UPDATE.replace('["102.50","4.25"]', "null"),
  "a price of letters": UPDATE.replace("102.50", "abc"),
  "a price with two points": UPDATE.replace("102.50", "102.5.0"),
  "a price with a comma": UPDATE.replace("102.50", "102,50"),
  "an empty price": UPDATE.replace("102.50", ""),
  "a negative price": UPDATE.replace("102.50", "-102.50"),
  "a price that begins with a point": UPDATE.replace("102.50", ".50"),
  "a price beyond all numbers": UPDATE.replace("102.50", "1e999"),
  "an empty quantity": UPDATE.replace("4.25", ""),
  "a quantity that is NaN": UPDATE.replace("4.25", "NaN"),
  "a quantity that is Infinity": UPDATE.replace("4.25", "Infinity"),
  "a ticker without A": TICKER.replace('"A":"3"', '"C":"3"'),
  "a ticker whose price is no number": TICKER.replace("99.00", "--"),
  "a ticker without u": TICKER.replace('"u":12,', ""),
  "a trade without price": TRADE.replace('"p":"100.50",', ""),
  "a trade whose quantity is null": TRADE.replace('"0.25"', "null"),
  "a snapshot without bids": SNAPSHOT.replace('"bids"', '"bid"'),
  "a snapshot whose id is a string": SNAPSHOT.replace("10", '"10"'),
  "a snapshot whose level is no number": SNAPSHOT.replace('"1.5"', '"x"'),
  "binary bytes": "\x00\x01\xff\xfe\x80{}\x1b[2J",
  "a NUL within": TRADE.replace("BTCUSDT", "BTC\x00USDT"),
  "a byte order mark": `\xef\xbb\xbf${TRADE}`,
};

/** Lines in unusual dress that are messages all the same, with what makes them so. */
const ACCEPTED: Record<string, string> = {
  "spaces between the tokens": TICKER.replace(/,/g, " , ").replace(/:/g, " : "),
  "fields in another order": '{"data":{"A":"3","a":"101","B":"2","b":"99","u":12},"stream":"btcusdt@bookTicker"}',
  "a ticker that names its event": TICKER.replace('{"u"', '{"e":"bookTicker","u"'),
  "an exponent": UPDATE.replace("102.50", "1025e-1"),
  "a carriage return at the end": `${TRADE}\r`,
  "fields nobody knows": TRADE.replace('"m":true', '"m":true,"X":{"deep":[1,{"b":[]}]}'),
  "an update without levels": UPDATE.replace('[["100.00","0.00000000"]]', "[]").replace('[["102.50","4.25"]]', "[]"),
  "letters beyond ASCII in a field nobody reads": TRADE.replace("BTCUSDT", "BTC\xe9"),
};

test.each(Object.entries(REFUSED))("%s is no message, with a reason", (_, line) => {
  expect(decodeMessage(line, new FeedMessage())).toMatch(/./);
});

test.each(Object.entries(ACCEPTED))("a message may have %s", (_, line) => {
  expect(decodeMessage(line, new FeedMessage())).toBeUndefined();
});

test("prices and quantities of an update are read as Number reads them", () => {
  const decimals = fc.tuple(fc.nat(10 ** 9), fc.nat(10 ** 8 - 1)).map(([i, f]) => `${i}.${String(f).padStart(8, "0")}`);
  fc.assert(
    fc.property(fc.array(fc.tuple(decimals, decimals), { maxLength: 600 }), (levels) => {
      const message = new FeedMessage();
      const line = UPDATE.replace('[["102.50","4.25"]]', JSON.stringify(levels));
      expect(decodeMessage(line, message)).toBeUndefined();
      const { prices, quantities, length } = message.asks;
      expect(length).toBe(levels.length);
      expect([...prices.subarray(0, length)]).toEqual(levels.map(([price]) => Number(price)));
      expect([...quantities.subarray(0, length)]).toEqual(levels.map(([, quantity]) => Number(quantity)));
    }),
    { numRuns: 50 },
  );
});

describe.each(Object.keys(subjects) as SubjectName[])("the %s subject", (name) => {
  async function play(lines: readonly string[]) {
    const recording = recordingOf("feed.txt", Buffer.from(lines.map((line) => `1 ${line}\n`).join(""), "latin1"));
    const subject = await subjects[name]!(recording);
    for (let first = 0; first < recording.lineCount; ) {
      const last = recording.chunkEnd(first, recording.lineCount);
      await subject.deliver(first, last, undefined);
      first = last;
    }
    const outcome = { book: subject.book(), refused: subject.refusals.count, first: [...subject.refusals.first] };
    subject.dispose();
    return outcome;
  }

  test.each(Object.entries(REFUSED))("refuses one line for %s, and goes on with the rest", async (_, line) => {
    const clean = await play(MESSAGES);
    const { book, refused, first } = await play([SNAPSHOT, UPDATE, line, TICKER, TRADE]);
    expect(refused).toBe(1);
    expect(first[0]!.place).toBe("feed.txt:3");
    expect(book).toEqual(clean.book);
  });

  test.each(Object.entries(ACCEPTED))("takes a line with %s", async (_, line) => {
    expect((await play([SNAPSHOT, UPDATE, line])).refused).toBe(0);
  });

  test("refuses a message that is longer than the limit, unread", async () => {
    const long = TRADE.replace("BTCUSDT", "B".repeat(MAXIMUM_MESSAGE_BYTES));
    const { refused, first, book } = await play([SNAPSHOT, long, TRADE]);
    expect(refused).toBe(1);
    expect(first[0]!.reason).toContain(String(MAXIMUM_MESSAGE_BYTES));
    expect(book.counters.trades).toBe(1);
  });

  test("takes a message that is many times longer than what arrives at once", async () => {
    const levels = Array.from({ length: 40_000 }, (_, index) => [`${200 + index}.00`, "1.0"]);
    const { refused, book } = await play([
      SNAPSHOT,
      UPDATE.replace('[["102.50","4.25"]]', JSON.stringify(levels)),
      TRADE,
    ]);
    expect(refused).toBe(0);
    expect(book.asks.length / 2).toBe(40_001);
    expect(book.counters.trades).toBe(1);
  });

  test("decides on a line as the common decoder does, whatever bytes are changed in it", async () => {
    const change = fc.record({
      message: fc.constantFrom(...MESSAGES),
      position: fc.nat(400),
      length: fc.nat(3),
      // Neither a newline nor a carriage return: they would make another line of it.
      bytes: fc.string({
        unit: fc.integer({ min: 14, max: 255 }).map((code) => String.fromCharCode(code)),
        maxLength: 3,
      }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 40 }), async (changes) => {
        const lines = changes.map(({ message, position, length, bytes }) => {
          const at = position % message.length;
          return message.slice(0, at) + bytes + message.slice(at + length);
        });
        const expected = lines.filter((line) => decodeMessage(line, new FeedMessage()) !== undefined).length;
        const { refused, book } = await play([SNAPSHOT, ...lines]);
        expect(refused).toBe(expected);
        expect(book.counters.messages).toBe(lines.length + 1 - expected);
      }),
      { numRuns: 100 },
    );
  });
});
