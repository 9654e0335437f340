import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HELD_UPDATES_LIMIT, HeldUpdates } from "../../bench/replay/heldUpdates.js";
import { FeedMessage } from "../../bench/replay/message.js";
import { isVerified, Verification } from "../../bench/replay/oracle.js";
import { playClosed } from "../../bench/replay/play.js";
import { type Recording, readRecording, recordingOf } from "../../bench/replay/recording.js";
import { SortedLevels } from "../../bench/replay/sortedLevels.js";
import type { SubjectName } from "../../bench/replay/subject.js";
import { subjects } from "../../bench/replay/subjects.js";
import { dataPath, hasData } from "../data.js";

type Rows = [string, string][];

const snapshot = (lastUpdateId: number, bids: Rows, asks: Rows) => ({ lastUpdateId, bids, asks });
const update = (U: number, u: number, b: Rows, a: Rows) => ({
  stream: "x@depth",
  data: { e: "depthUpdate", U, u, b, a },
});
const ticker = (u: number, b: string, B: string, a: string, A: string) => ({
  stream: "x@bookTicker",
  data: { u, b, B, a, A },
});
const trade = (p: string, q: string) => ({ stream: "x@trade", data: { e: "trade", p, q } });

function feed(...messages: object[]): Recording {
  return recordingOf("feed", Buffer.from(messages.map((message) => `1 ${JSON.stringify(message)}\n`).join("")));
}

async function rebuild(name: SubjectName, recording: Recording, passes = 1) {
  const subject = await subjects[name]!(recording);
  let verification = new Verification(recording);
  for (let pass = 0; pass < passes; pass++) {
    subject.reset();
    verification = new Verification(recording);
    await playClosed(recording, subject, verification);
  }
  const outcome = { book: subject.book(), refused: subject.refusals.count, ...verification.totals() };
  subject.dispose();
  return outcome;
}

describe.each(Object.keys(subjects) as SubjectName[])("the %s subject", (name) => {
  test("keeps absolute quantities, deletes at zero, and has the best level first", async () => {
    const { book } = await rebuild(
      name,
      feed(
        snapshot(
          5,
          [
            ["100", "1"],
            ["99", "2"],
          ],
          [
            ["101", "3"],
            ["102", "4"],
          ],
        ),
        update(
          6,
          7,
          [
            ["100", "0"],
            ["99", "5"],
            ["98", "6"],
          ],
          [
            ["100.5", "7"],
            ["102", "0.0"],
            ["500", "0"],
          ],
        ),
      ),
    );
    expect(book.bids).toEqual([99, 5, 98, 6]);
    expect(book.asks).toEqual([100.5, 7, 101, 3]);
  });

  test("drops updates that the snapshot contains, and applies held ones that it does not", async () => {
    const { book } = await rebuild(
      name,
      feed(
        update(1, 5, [["90", "1"]], []),
        update(6, 8, [["91", "1"]], [["110", "2"]]),
        snapshot(5, [["100", "1"]], [["101", "1"]]),
        update(3, 5, [["92", "1"]], []),
        update(9, 9, [["93", "1"]], []),
      ),
    );
    expect(book.bids).toEqual([100, 1, 93, 1, 91, 1]);
    expect(book.asks).toEqual([101, 1, 110, 2]);
    expect(book.counters).toMatchObject({ messages: 5, depthUpdates: 4, snapshots: 1, levels: 7 });
  });

  test("lets a later snapshot replace the book", async () => {
    const { book } = await rebuild(name, feed(snapshot(5, [["1", "1"]], [["2", "1"]]), snapshot(9, [["3", "1"]], [])));
    expect(book.bids).toEqual([3, 1]);
    expect(book.asks).toEqual([]);
  });

  test("has an empty book and no ticker where there is neither snapshot nor ticker", async () => {
    const { book } = await rebuild(name, feed(update(1, 4, [["90", "1"]], []), trade("5", "0.25"), trade("6", "0.5")));
    expect(book).toMatchObject({ bids: [], asks: [], ticker: null });
    expect(book.counters).toMatchObject({ trades: 2, tradedQuantity: 0.75 });
  });

  test("remembers the last ticker", async () => {
    const { book } = await rebuild(name, feed(ticker(1, "1", "2", "3", "4"), ticker(2, "5", "6", "7", "8")));
    expect(book.ticker).toEqual([5, 6, 7, 8]);
  });

  test("starts its clock before it reads what was delivered", async () => {
    const recording = feed(trade("1", "0.25"));
    const later = feed(trade("1", "0.75"));
    const subject = await subjects[name](recording);
    const observer = { begin: () => void later.bytes.copy(recording.bytes), end: () => {} };
    await playClosed(recording, subject, observer);
    expect(subject.book().counters.tradedQuantity).toBe(0.75);
    subject.dispose();
  });

  test("comes to the same end in every pass", async () => {
    const recording = feed(
      update(1, 8, [["95", "1"]], []),
      snapshot(5, [["100", "1"]], [["101", "3"]]),
      update(9, 9, [["100", "0"]], []),
      ticker(9, "95", "1", "101", "3"),
      trade("100", "1"),
    );
    expect(await rebuild(name, recording, 3)).toEqual(await rebuild(name, recording));
  });

  test("keeps a book of any size and order of changes as a plain map does", async () => {
    const change = fc.tuple(fc.constantFrom("b", "a"), fc.integer({ min: 1, max: 60 }), fc.nat(3));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(change, { maxLength: 30 }), { maxLength: 30 }), async (lists) => {
        const model = { b: new Map<number, number>(), a: new Map<number, number>() };
        const updates = lists.map((changes, index) => {
          const rows = { b: [] as Rows, a: [] as Rows };
          for (const [side, price, quantity] of changes as ["b" | "a", number, number][]) {
            rows[side].push([String(price), String(quantity)]);
            if (quantity === 0) model[side].delete(price);
            else model[side].set(price, quantity);
          }
          return update(index + 1, index + 1, rows.b, rows.a);
        });
        const { book } = await rebuild(name, feed(snapshot(0, [], []), ...updates));
        expect(book.bids).toEqual([...model.b].sort(([one], [other]) => other - one).flat());
        expect(book.asks).toEqual([...model.a].sort(([one], [other]) => one - other).flat());
      }),
      { numRuns: 60 },
    );
  });

  describe.runIf(hasData)("on the recordings", () => {
    test("rebuilds the spot book: all best prices but the two known ones, 1,971 bids and 2,962 asks", async () => {
      const paths = ["20240808", "20240809"].map((day) => dataPath(`orderbook/binance-spot/btcusdt_${day}.gz`));
      const { book, compared, equal, differences, refused } = await rebuild(name, readRecording(paths));
      expect({ compared, equal, refused }).toEqual({ compared: 6_493, equal: 6_491, refused: 0 });
      expect(differences.map(({ comparison }) => comparison)).toEqual([4_098, 4_109]);
      expect([book.bids.length / 2, book.asks.length / 2]).toEqual([1_971, 2_962]);
      expect(book.counters).toMatchObject({
        messages: 99_574,
        depthUpdates: 6_495,
        bookTickers: 73_174,
        trades: 19_904,
      });
      expect(book.counters.levels).toBe(124_090 + 174_021 + 2_000);
    });

    test("rebuilds the futures book: all best prices, 5,018 bids and 4,578 asks", async () => {
      const recording = readRecording([dataPath("orderbook/binance-usdm/btcusdt_20240808.gz")]);
      const { book, compared, equal, refused } = await rebuild(name, recording);
      expect({ compared, equal, refused }).toEqual({ compared: 6_547, equal: 6_547, refused: 0 });
      expect([book.bids.length / 2, book.asks.length / 2]).toEqual([5_018, 4_578]);
      expect(book.counters.levels).toBe(443_521 + 2_000);
    });
  });
});

test("a wrong best price is counted and described", () => {
  const verification = new Verification(feed(ticker(5, "1", "2", "3", "4"), ticker(9, "1", "2", "3", "5")));
  verification.verify(4, 1, 2, 3, 4);
  verification.verify(5, 1, 2, 3, 4);
  verification.verify(8, 1, 2, 3, 4);
  verification.verify(9, Number.NaN, Number.NaN, 3, 5);
  expect(verification.totals()).toEqual({
    compared: 3,
    equal: 2,
    differences: [{ comparison: 3, updateId: 9, tickerId: 9, rebuilt: [null, null, 3, 5], ticker: [1, 2, 3, 5] }],
  });
});

test("up to one in a thousand may differ, and something must have been compared", () => {
  const verified = (compared: number, equal: number) => isVerified({ compared, equal, differences: [] });
  expect([
    verified(6_493, 6_491),
    verified(1_000, 999),
    verified(1_000, 998),
    verified(999, 998),
    verified(0, 0),
  ]).toEqual([true, true, false, false, false]);
});

test("of too many held updates the oldest are dropped", () => {
  const held = new HeldUpdates();
  const message = new FeedMessage();
  for (let id = 1; id <= HELD_UPDATES_LIMIT + 3; id++) {
    message.updateId = id;
    held.hold(message);
  }
  expect(held.takeAfter(0).map(({ updateId }) => updateId)[0]).toBe(4);
  expect(held.takeAfter(0)).toEqual([]);
});

test("sorted levels answer NaN outside, and 0 for a price that is not there", () => {
  const levels = new SortedLevels(-1);
  levels.set(3, 30);
  levels.set(1, 10);
  expect([levels.price(-1), levels.price(2), levels.quantity(2), levels.quantityAt(2)]).toEqual([NaN, NaN, NaN, 0]);
  expect(levels.toRows()).toEqual([1, 10, 3, 30]);
});

test("sorted levels grow past their first capacity", () => {
  const levels = new SortedLevels(1);
  for (let price = 1; price <= 10_000; price++) levels.set((price * 7_919) % 10_007, price);
  expect(levels.length).toBe(10_000);
  const prices = levels.toRows().filter((_, index) => index % 2 === 0);
  expect(prices).toEqual([...prices].sort((one, other) => other - one));
});
