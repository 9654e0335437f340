/** The main job: a market feed through the event loop, beside the plain handler. */

import { dataPath, hasData } from "../data.js";
import { defineSuite, type Measurement, measuredCase } from "../harness/case.js";
import type { FeedSource } from "../replay/feed.js";
import type { BookSummary, SubjectName } from "../replay/subject.js";

/** Passes of each sort; enough for steady figures, and for p99.99 to rest on dozens of messages. */
const PASSES = 6;
const QUICK_PASSES = 2;

async function measureSubject(
  name: SubjectName,
  source: FeedSource,
  quick: boolean,
): Promise<Measurement<BookSummary>> {
  const { loadFeed } = await import("../replay/feed.js");
  const { measure } = await import("../replay/measure.js");
  const { subjects } = await import("../replay/subjects.js");
  const recording = await loadFeed(source);
  const subject = await subjects[name](recording);
  try {
    const report = await measure(recording, subject, { verify: false, passes: quick ? QUICK_PASSES : PASSES });
    return {
      metrics: {
        messagesPerSecond: report.messagesPerSecond,
        p50: report.latencyMicros.p50,
        p99: report.latencyMicros.p99,
        p999: report.latencyMicros.p999,
        p9999: report.latencyMicros.p9999,
        max: report.latencyMicros.max,
        collections: report.collections.count,
        longestCollection: report.collections.maxMillis,
        liveHeap: report.heapBytes,
        resident: report.residentBytes,
      },
      result: report.book,
    };
  } finally {
    subject.dispose();
  }
}

async function expectedBook(source: FeedSource): Promise<BookSummary> {
  const { loadFeed } = await import("../replay/feed.js");
  const { rebuildPlainly } = await import("./plainBook.js");
  return rebuildPlainly(await loadFeed(source));
}

function feedCase(name: string, title: string, source: FeedSource) {
  return measuredCase({
    name,
    title,
    metric: "messagesPerSecond",
    metrics: {
      messagesPerSecond: "1/s",
      p50: "µs",
      p99: "µs",
      p999: "µs",
      p9999: "µs",
      max: "µs",
      collections: "collections",
      longestCollection: "ms",
      liveHeap: "bytes",
      resident: "bytes",
    },
    baseline: "plain",
    subjects: {
      plain: ({ quick }) => measureSubject("plain", source, quick),
      tidemark: ({ quick }) => measureSubject("tidemark", source, quick),
    },
    expected: () => expectedBook(source),
    targets: [
      { subject: "tidemark", ratio: { atLeast: 3 } },
      { subject: "tidemark", metric: "p9999", ratio: { atMost: 0.5 } },
      { subject: "tidemark", metric: "collections", value: { atMost: 0 } },
    ],
  });
}

/** The two days of the recorded spot feed, in order. */
const SPOT = ["orderbook/binance-spot/btcusdt_20240808.gz", "orderbook/binance-spot/btcusdt_20240809.gz"];

export default defineSuite({
  name: "feed",
  title: "replaying a market feed",
  cases: [
    ...(hasData ? [feedCase("spot", "the recorded spot feed", { files: SPOT.map(dataPath) })] : []),
    feedCase("generated", "the generated feed of `npm start`", { generated: { seed: 1, messages: 60_000 } }),
  ],
});
