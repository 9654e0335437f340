import { PerformanceObserver } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test, vi } from "vitest";
import { CollectionWatch } from "../../bench/collections.js";
import { type Clock, LatencyProbe, MonotonicClock, nearestRank } from "../../bench/replay/latency.js";
import { measure, plannedPasses, type Stage } from "../../bench/replay/measure.js";
import { PlainSubject } from "../../bench/replay/plainSubject.js";
import { playClosed, playOpen } from "../../bench/replay/play.js";
import { type Recording, recordingOf } from "../../bench/replay/recording.js";
import { type BookSummary, type Observer, RefusalLog, type Subject, zeroCounters } from "../../bench/replay/subject.js";

/** Time that only passes when somebody works or waits. */
class FakeClock implements Clock {
  now = 1_000;

  stamp(times: Float64Array, index: number): void {
    times[index] = this.now;
  }

  waitUntil(nanoseconds: number): void {
    this.now = Math.max(this.now, nanoseconds);
  }
}

/** A subject whose work on a line takes the time that the test says. */
class TimedSubject implements Subject {
  readonly name = "plain";
  readonly refusals: RefusalLog;
  readonly lots: number[] = [];

  constructor(
    recording: Recording,
    private readonly clock: FakeClock,
    private readonly cost: (line: number) => number,
  ) {
    this.refusals = new RefusalLog(recording);
  }

  async deliver(first: number, last: number, observer: Observer | undefined): Promise<void> {
    this.lots.push(last - first);
    observer?.begin();
    for (let line = first; line < last; line++) {
      this.clock.now += this.cost(line);
      observer?.end(line);
    }
  }

  book(): BookSummary {
    return { bids: [], asks: [], ticker: null, counters: zeroCounters() };
  }

  linearBytes(): number {
    return 0;
  }

  reset(): void {}

  dispose(): void {}
}

const lines = (count: number, text = "{}") => recordingOf("f", Buffer.from(`1 ${text}\n`.repeat(count)));

test("as fast as it goes, a message's latency is its own time", async () => {
  const clock = new FakeClock();
  const recording = lines(1_000);
  const probe = new LatencyProbe(clock, 1_000);
  await playClosed(recording, new TimedSubject(recording, clock, (line) => (line === 500 ? 9_000_000 : 2_000)), probe);
  expect(probe.count).toBe(1_000);
  expect(probe.summary()).toEqual({ p50: 2, p99: 2, p999: 2, p9999: 9_000, max: 9_000 });
});

test("open loop, a subject that keeps up waits for each message and has its own time as latency", async () => {
  const clock = new FakeClock();
  const recording = lines(100);
  const probe = new LatencyProbe(clock, 100);
  const subject = new TimedSubject(recording, clock, () => 1_000);
  await playOpen(recording, subject, probe, 1_000, clock);
  expect(probe.summary()).toEqual({ p50: 1, p99: 1, p999: 1, p9999: 1, max: 1 });
  // The last one is due 99 ms after the first and is done 1 µs later.
  expect(clock.now).toBe(1_000 + 99e6 + 1_000);
  expect(subject.lots).toEqual(new Array(100).fill(1));
});

test("open loop, a stall is charged to every message that became due during it", async () => {
  const clock = new FakeClock();
  const recording = lines(1_000);
  const probe = new LatencyProbe(clock, 1_000);
  // One message a millisecond; message 100 stalls for 100 ms, the others take no time.
  const subject = new TimedSubject(recording, clock, (line) => (line === 100 ? 100e6 : 0));
  await playOpen(recording, subject, probe, 1_000, clock);
  const { max, p50, p99 } = probe.summary();
  expect(max).toBe(100_000);
  expect(p50).toBe(0);
  // 100 of 1,000 waited 1, 2, … 100 ms: ten of them for more than 90 ms.
  expect(p99).toBe(90_000);
  // What had become due came as one lot: message 101 up to the one due at the end of the stall.
  expect(subject.lots.filter((lot) => lot > 1)).toEqual([100]);
});

test("open loop, a subject that is too slow falls behind further and further", async () => {
  const clock = new FakeClock();
  const recording = lines(1_000);
  const probe = new LatencyProbe(clock, 1_000);
  await playOpen(recording, new TimedSubject(recording, clock, () => 2e6), probe, 1_000, clock);
  // Message n is due at n ms and done at 2(n + 1) ms.
  expect(probe.summary().max).toBeCloseTo(1_001_000);
  expect(probe.summary().p50).toBeCloseTo(501_000);
});

test("open loop, a rate whose interval is no whole number neither hangs nor loses a message", async () => {
  for (const rate of [3, 7, 999.9, 1e7, 0.3]) {
    const clock = new FakeClock();
    clock.now = 4.5e15 + 1;
    const recording = lines(200);
    const probe = new LatencyProbe(clock, 200);
    await playOpen(recording, new TimedSubject(recording, clock, () => 0), probe, rate, clock);
    expect(probe.count).toBe(200);
    expect(probe.summary().max).toBeLessThan(1);
  }
});

test("the real clock waits until about the moment asked for, and open loop keeps the rate", async () => {
  const clock = new MonotonicClock();
  const recording = lines(50);
  const probe = new LatencyProbe(clock, 50);
  const start = performance.now();
  await playOpen(recording, new PlainSubject(recording), probe, 200, clock);
  expect(performance.now() - start).toBeGreaterThan(49 * 5 - 1);
  expect(performance.now() - start).toBeLessThan(2_000);
});

test.each([20, 30, 1e6])("a wait of %i days is asked of the host in parts that its timers can hold", (days) => {
  const clock = new MonotonicClock();
  const now = new Float64Array(1);
  clock.stamp(now, 0);
  const delays: number[] = [];
  const timers = vi.spyOn(globalThis, "setTimeout").mockImplementation(((_: () => void, delay: number) => {
    delays.push(delay);
  }) as typeof setTimeout);
  try {
    void clock.waitUntil(now[0]! + days * 86_400e9);
  } finally {
    timers.mockRestore();
  }
  expect(delays).toHaveLength(1);
  expect(delays[0]).toBeGreaterThan(20 * 86_400_000 - 1000);
  expect(delays[0]).toBeLessThan(2 ** 31);
});

test("nearest rank takes a sample that was measured", () => {
  const sorted = Float64Array.from({ length: 10_000 }, (_, index) => index + 1);
  expect([0, 0.5, 0.99, 0.999, 0.9999, 1].map((share) => nearestRank(sorted, share))).toEqual([
    1, 5_000, 9_900, 9_990, 9_999, 10_000,
  ]);
  expect(nearestRank(new Float64Array(0), 0.5)).toBeUndefined();
});

test("recording latencies makes no garbage", async () => {
  const clock = new MonotonicClock();
  const probes = Array.from({ length: 4 }, () => new LatencyProbe(clock, 1_000_000));
  const collections: unknown[] = [];
  const observer = new PerformanceObserver((list) => collections.push(...list.getEntries()));
  const round = async (probe: LatencyProbe) => {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    collections.length = 0;
    probe.begin();
    for (let line = 0; line < 1_000_000; line++) probe.end(line);
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    return collections.length;
  };
  observer.observe({ entryTypes: ["gc"] });
  const counts: number[] = [];
  for (const probe of probes) counts.push(await round(probe));
  observer.disconnect();
  // A double that is boxed for each call would be 16 MB, and at least one collection every time, not only at first.
  expect(Math.min(...counts.slice(1))).toBe(0);
});

test("only collections within the windows are counted", async () => {
  const watch = new CollectionWatch();
  const litter = () => {
    let kept: number[][] = [];
    for (let count = 0; count < 400_000; count++) {
      kept.push([count, count, count, count]);
      if (kept.length === 1_000) kept = [];
    }
    return kept.length;
  };
  litter();
  expect(await watch.totals()).toEqual({ count: 0, totalMillis: 0, maxMillis: 0 });
  watch.openWindow();
  litter();
  watch.closeWindow();
  const { count, totalMillis, maxMillis } = await watch.totals();
  expect(count).toBeGreaterThan(0);
  expect(maxMillis).toBeGreaterThan(0);
  expect(totalMillis).toBeGreaterThanOrEqual(maxMillis);
  litter();
  expect((await watch.totals()).count).toBe(count);
  watch.dispose();
});

test("a measurement plays the feed from an empty book each time and tells its stages in order", async () => {
  const text = '{"stream":"x@trade","data":{"e":"trade","p":"1","q":"0.5"}}';
  const recording = lines(300, text);
  const stages: Stage[] = [];
  const report = await measure(recording, new PlainSubject(recording), { verify: true, passes: 4 }, (stage, share) => {
    if (stages.at(-1) !== stage) stages.push(stage);
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThanOrEqual(1);
  });
  expect(stages).toEqual(["warm-up", "throughput", "latency", "verify"]);
  expect(report.book.counters).toMatchObject({ messages: 300, trades: 300, tradedQuantity: 150 });
  expect(report.messagesPerSecond).toBeGreaterThan(0);
  expect(report.verification).toEqual({ compared: 0, equal: 0, differences: [] });
  expect(report.heapBytes).toBeGreaterThan(0);
  expect(report.residentBytes).toBeGreaterThan(report.heapBytes);
});

test("the heap figure is what is alive after a collection, not what has piled up", async () => {
  const litterBytes = 64 * 2 ** 20;
  class LitteringSubject extends PlainSubject {
    override deliver(...delivery: Parameters<PlainSubject["deliver"]>): void {
      super.deliver(...delivery);
      new Array(litterBytes / 8).fill(0.5);
    }
  }
  setFlagsFromString("--expose-gc");
  vi.stubGlobal("gc", runInNewContext("gc"));
  globalThis.gc!();
  const before = process.memoryUsage().heapUsed;
  const recording = lines(100, '{"stream":"x@trade","data":{"e":"trade","p":"1","q":"0.5"}}');
  const { heapBytes } = await measure(recording, new LitteringSubject(recording), { verify: false, passes: 1 });
  vi.unstubAllGlobals();
  expect(heapBytes).toBeLessThan(before + litterBytes / 4);
});

test("with a rate, the achieved messages per second are near it", async () => {
  const recording = lines(500, '{"stream":"x@trade","data":{"e":"trade","p":"1","q":"0.5"}}');
  const report = await measure(recording, new PlainSubject(recording), { verify: false, rate: 5_000, passes: 1 });
  expect(report.messagesPerSecond).toBeGreaterThan(2_500);
  expect(report.messagesPerSecond).toBeLessThan(5_100);
});

test("short feeds are played often, long ones three times", () => {
  expect([100, 100_000, 1_000_000].map(plannedPasses)).toEqual([200, 8, 3]);
});
