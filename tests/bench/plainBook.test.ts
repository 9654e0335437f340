import { describe, expect, test } from "vitest";
import { generateFeed } from "../../bench/replay/generator.js";
import { readRecording, recordingOf } from "../../bench/replay/recording.js";
import { rebuildPlainly } from "../../bench/suites/plainBook.js";
import { dataPath, hasData } from "../data.js";

function feed(...messages: object[]) {
  return recordingOf("feed", Buffer.from(messages.map((message) => `1 ${JSON.stringify(message)}\n`).join("")));
}

test("the plain book holds what the snapshot and the newer updates say, best first, and counts every message", () => {
  const update = (u: number, b: string[][], a: string[][]) => ({ stream: "x", data: { e: "depthUpdate", u, b, a } });
  const recording = feed(
    update(5, [["90", "1"]], []),
    update(8, [["91", "1"]], [["110", "2"]]),
    { lastUpdateId: 5, bids: [["100", "1"]], asks: [["101", "1"]] },
    { stream: "x@bookTicker", data: { u: 8, b: "100", B: "1", a: "101", A: "1.5" } },
    { stream: "x@trade", data: { e: "trade", p: "101", q: "0.25" } },
    update(
      9,
      [["100", "0.000"]],
      [
        ["100.5", "3"],
        ["102", "0"],
      ],
    ),
  );
  expect(rebuildPlainly(recording)).toEqual({
    bids: [91, 1],
    asks: [100.5, 3, 101, 1, 110, 2],
    ticker: [100, 1, 101, 1.5],
    counters: {
      messages: 6,
      levels: 8,
      snapshots: 1,
      depthUpdates: 3,
      bookTickers: 1,
      trades: 1,
      tradedQuantity: 0.25,
    },
  });
});

test("a line that is no message is not passed over", () => {
  expect(() => rebuildPlainly(recordingOf("feed", Buffer.from("1 {}\n1 {\n")))).toThrow();
});

test("the plain book of a generated feed is whole and does not cross", () => {
  const { bids, asks, counters } = rebuildPlainly(recordingOf("feed", generateFeed({ seed: 4, messages: 5_000 })));
  expect(counters.messages).toBe(5_000);
  expect(bids[0]).toBeLessThan(asks[0]!);
});

describe.runIf(hasData)("the recordings", () => {
  test("come to 1,971 bids and 2,962 asks on spot", () => {
    const paths = ["20240808", "20240809"].map((day) => dataPath(`orderbook/binance-spot/btcusdt_${day}.gz`));
    const { bids, asks, counters } = rebuildPlainly(readRecording(paths));
    expect([bids.length / 2, asks.length / 2]).toEqual([1_971, 2_962]);
    expect(counters).toMatchObject({ messages: 99_574, levels: 300_111 });
  });
});
