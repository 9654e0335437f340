import { createHash } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { generateFeed, MESSAGES_AT_LEAST } from "../../bench/replay/generator.js";
import { Verification } from "../../bench/replay/oracle.js";
import { PlainSubject } from "../../bench/replay/plainSubject.js";
import { Curve, Random } from "../../bench/replay/random.js";
import { recordingOf } from "../../bench/replay/recording.js";
import * as spot from "../../bench/replay/spotStatistics.js";

const hash = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

interface Line {
  stamp: bigint;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: JSON as it comes
  json: any;
}

function parse(feed: Buffer): Line[] {
  return feed
    .toString("latin1")
    .trimEnd()
    .split("\n")
    .map((line) => {
      const space = line.indexOf(" ");
      const text = line.slice(space + 1);
      return { stamp: BigInt(line.slice(0, space)), text, json: JSON.parse(text) };
    });
}

test("the same seed gives the same feed, byte for byte, on every machine", () => {
  const feed = generateFeed({ seed: 7, messages: 5_000 });
  expect(hash(generateFeed({ seed: 7, messages: 5_000 }))).toBe(hash(feed));
  // A change here changes every figure that was ever measured on a generated feed.
  expect(hash(feed)).toBe("f0e6518d33a11cede6e3515c9ee2a82aa7ed84cd4e360d2d2b2b1d36c21c773e");
});

test("another seed gives another feed", () => {
  expect(hash(generateFeed({ seed: 8, messages: 500 }))).not.toBe(hash(generateFeed({ seed: 7, messages: 500 })));
});

test("a shorter feed is the beginning of a longer one", () => {
  const long = generateFeed({ seed: 3, messages: 4_000 });
  const short = generateFeed({ seed: 3, messages: 1_234 });
  expect(parse(short)).toHaveLength(1_234);
  expect(long.subarray(0, short.length).equals(short)).toBe(true);
});

test.each([0, 1, 2, 3, 4, 2 ** 32 - 1])(
  "seed %i: the shortest feed has its snapshot, and updates on both sides of it",
  (seed) => {
    const lines = parse(generateFeed({ seed, messages: MESSAGES_AT_LEAST }));
    const at = lines.findIndex(({ json }) => json.lastUpdateId !== undefined);
    expect(at).toBeGreaterThan(0);
    const { lastUpdateId, bids, asks } = lines[at]!.json;
    expect([bids.length, asks.length]).toEqual([spot.SNAPSHOT_LEVELS, spot.SNAPSHOT_LEVELS]);
    const earlier = lines.slice(0, at).filter(({ json }) => json.data.e === "depthUpdate");
    expect(earlier.filter(({ json }) => json.data.u <= lastUpdateId)).toHaveLength(2);
    expect(earlier.filter(({ json }) => json.data.u > lastUpdateId)).toHaveLength(1);
  },
);

describe("a generated feed of 60,000 messages", () => {
  let lines: Line[];
  let updates: Line[];
  beforeAll(() => {
    lines = parse(generateFeed({ seed: 1, messages: 60_000 }));
    updates = lines.filter(({ json }) => json.data?.e === "depthUpdate");
  });

  test("is written exactly as the exchange writes", () => {
    const price = /"\d+\.\d{2}000000"/.source;
    const quantity = /"\d+\.\d{5}000"/.source;
    const levels = `\\[(\\[${price},${quantity}\\](,(?!\\])|(?=\\])))*\\]`;
    const forms = [
      `\\{"lastUpdateId":\\d+,"bids":${levels},"asks":${levels}\\}`,
      `\\{"stream":"btcusdt@depth@100ms","data":\\{"e":"depthUpdate","E":\\d{13},"s":"BTCUSDT","U":\\d+,"u":\\d+,"b":${levels},"a":${levels}\\}\\}`,
      `\\{"stream":"btcusdt@bookTicker","data":\\{"u":\\d+,"s":"BTCUSDT","b":${price},"B":${quantity},"a":${price},"A":${quantity}\\}\\}`,
      `\\{"stream":"btcusdt@trade","data":\\{"e":"trade","E":\\d{13},"s":"BTCUSDT","t":\\d+,"p":${price},"q":${quantity},"T":\\d{13},"m":(true|false),"M":true\\}\\}`,
    ].map((form) => new RegExp(`^${form}$`));
    const strangers = lines.filter(({ text }) => !forms.some((form) => form.test(text)));
    expect(strangers.map(({ text }) => text.slice(0, 200))).toEqual([]);
  });

  test("has receive times that only grow, and update ids without gaps", () => {
    expect(lines.every(({ stamp }, index) => index === 0 || stamp > lines[index - 1]!.stamp)).toBe(true);
    expect(lines.every(({ stamp }) => String(stamp).length === 19)).toBe(true);
    for (let index = 1; index < updates.length; index++) {
      expect(updates[index]!.json.data.U).toBe(updates[index - 1]!.json.data.u + 1);
    }
  });

  test("has tickers that overtake an update which they are newer than, seldom", () => {
    let overtaken = 0;
    let latestTicker = 0;
    for (const { json } of lines) {
      if (json.stream?.endsWith("@bookTicker")) latestTicker = json.data.u;
      else if (json.data?.e === "depthUpdate" && latestTicker > json.data.u) overtaken++;
    }
    expect(overtaken).toBeGreaterThan(0);
    expect(overtaken).toBeLessThan(0.03 * updates.length);
  });

  test("has the mix of the recorded feed, within a quarter", () => {
    const share = (count: number, total: number) => count / total;
    const recorded = spot.MIX.depthUpdate + spot.MIX.bookTicker + spot.MIX.trade;
    const tickers = lines.filter(({ json }) => json.stream?.endsWith("@bookTicker")).length;
    const trades = lines.filter(({ json }) => json.data?.e === "trade").length;
    for (const [count, measured] of [
      [updates.length, spot.MIX.depthUpdate],
      [tickers, spot.MIX.bookTicker],
      [trades, spot.MIX.trade],
    ] as const) {
      const ratio = share(count, lines.length) / share(measured, recorded);
      expect(ratio).toBeGreaterThan(0.75);
      expect(ratio).toBeLessThan(1.25);
    }
  });

  test("has updates of the recorded size, at every quantile, and in bytes", () => {
    const sizes = updates.map(({ json }) => json.data.b.length + json.data.a.length).sort((one, other) => one - other);
    for (const share of [0.1, 0.25, 0.5, 0.75, 0.9, 0.95]) {
      const ratio = sizes[Math.floor(share * sizes.length)]! / spot.CHANGES.at(share);
      expect(ratio, `quantile ${share}`).toBeGreaterThan(0.75);
      expect(ratio, `quantile ${share}`).toBeLessThan(1.34);
    }
    const bytes = lines.reduce((sum, { text }) => sum + text.length, 0) / lines.length;
    // 26,610,315 bytes in 99,574 lines, 20 of each being the stamp and 1 the newline.
    expect(bytes).toBeGreaterThan(0.8 * 246);
    expect(bytes).toBeLessThan(1.25 * 246);
  });

  test("deletes as often as the recorded feed, and where it does", () => {
    const { kinds, ranks } = classify(lines);
    const all = kinds.insert + kinds.delete + kinds.modify + kinds.flicker;
    expect((kinds.delete + kinds.flicker) / all).toBeCloseTo(spot.DELETE_SHARE, 1);
    expect(kinds.insert / all).toBeCloseTo(0.4, 1);
    expect(kinds.modify / all).toBeCloseTo(0.122, 1);
    // Median rank of a deleted level in the recorded book: 102.
    const median = ranks.sort((one, other) => one - other)[ranks.length >> 1]!;
    expect(median).toBeGreaterThan(50);
    expect(median).toBeLessThan(200);
  });

  test("agrees with its own bookTicker after every update", () => {
    const recording = recordingOf("generated", generateFeed({ seed: 1, messages: 60_000 }));
    const verification = new Verification(recording);
    new PlainSubject(recording).deliver(0, recording.lineCount, verification);
    const { compared, equal } = verification.totals();
    expect(compared).toBe(updates.length - 2);
    expect(equal).toBe(compared);
  });
});

/** What the changes do to the book that is rebuilt from the feed. */
function classify(lines: readonly Line[]) {
  const kinds = { insert: 0, delete: 0, modify: 0, flicker: 0 };
  const ranks: number[] = [];
  const sides = { b: new Map<string, number>(), a: new Map<string, number>() };
  let lastUpdateId = Number.POSITIVE_INFINITY;
  for (const { json } of lines) {
    if (json.lastUpdateId !== undefined) {
      lastUpdateId = json.lastUpdateId;
      for (const [price] of json.bids) sides.b.set(price, Number(price));
      for (const [price] of json.asks) sides.a.set(price, Number(price));
    } else if (json.data.e === "depthUpdate" && json.data.u > lastUpdateId) {
      for (const side of ["b", "a"] as const) {
        const levels = sides[side];
        for (const [price, quantity] of json.data[side]) {
          const gone = Number(quantity) === 0;
          if (!gone) kinds[levels.has(price) ? "modify" : "insert"]++;
          else kinds[levels.has(price) ? "delete" : "flicker"]++;
          // Ranks are counted level by level, which is slow: of every eighth deletion.
          if (gone && levels.has(price) && kinds.delete % 8 === 0) ranks.push(rank(levels, Number(price), side));
          if (gone) levels.delete(price);
          else levels.set(price, Number(price));
        }
      }
    }
  }
  return { kinds, ranks };
}

function rank(levels: Map<string, number>, price: number, side: "b" | "a"): number {
  let better = 0;
  for (const other of levels.values()) if (side === "b" ? other > price : other < price) better++;
  return better;
}

test("random shares are spread evenly, and seeds that are neighbours are not alike", () => {
  const counts = new Array<number>(16).fill(0);
  const random = new Random(5);
  for (let draw = 0; draw < 160_000; draw++) counts[random.below(16)]!++;
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  const [one, other] = [new Random(0), new Random(1)];
  const equal = Array.from({ length: 1_000 }, () => one.below(16) === other.below(16)).filter(Boolean).length;
  expect(equal).toBeLessThan(120);
});

test("a curve passes through its points, straight between them, flat outside", () => {
  const curve = new Curve([0, 0.5, 1], [10, 20, 100]);
  expect([-1, 0, 0.25, 0.5, 0.75, 1, 2].map((x) => curve.at(x))).toEqual([10, 10, 15, 20, 60, 100, 100]);
});
