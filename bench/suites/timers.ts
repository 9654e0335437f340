/** Timers: what it costs to arm one and cancel it, and what a million of them take. */

import type { Timers } from "tidemark";
import { defineSuite, type Measurement, measuredCase, type SubjectInstance, timedCase } from "../harness/case.js";

/** What is armed and cancelled again in a batch: timeouts, of which hardly any ever fires. */
const PAIRS = 20_480;
/** A batch is made of calls, as a program's handlers are called again and again. */
const CALL = 1024;

/** What is armed: a delay for each timer of a call, and such as stay armed meanwhile. */
interface Timeouts {
  readonly delays: readonly number[];
  readonly kept: readonly number[];
}

/** Timeouts between one and thirty seconds, each of another length, and no other timer armed. */
const MANY: Timeouts = {
  delays: Array.from({ length: CALL }, (_, index) => 1000 + ((index * 7919) % 29_000)),
  kept: [],
};

const FEW_DELAYS = [60, 75, 90, 120, 180, 240, 300, 600].map((seconds) => seconds * 1000);
/**
 * Timeouts of eight lengths, of each of which others are armed already and none fires: the best that can come to Node's timers,
 * which have a list for each length, made with its first timer and dropped with its last.
 */
const FEW: Timeouts = {
  delays: Array.from({ length: CALL }, (_, index) => FEW_DELAYS[(index * 5) % FEW_DELAYS.length]!),
  kept: Array.from({ length: 64 }, (_, index) => FEW_DELAYS[index % FEW_DELAYS.length]!),
};

function inCalls({ delays }: Timeouts, call: (delays: readonly number[]) => number): () => number {
  return () => {
    let cancelled = 0;
    for (let done = 0; done < PAIRS; done += CALL) cancelled += call(delays);
    return cancelled;
  };
}

async function withTimers(
  timeouts: Timeouts,
  prepare: (timers: Timers) => (delays: readonly number[]) => number,
): Promise<SubjectInstance<number>> {
  const { createRuntime, createTimers } = await import("tidemark");
  const runtime = await createRuntime();
  const timers = createTimers(runtime);
  for (const delay of timeouts.kept) timers.after(delay, nothing);
  return { run: inCalls(timeouts, prepare(timers)), dispose: () => runtime.dispose() };
}

const nothing = () => {};

function cancelCase(name: string, title: string, timeouts: Timeouts) {
  return timedCase({
    name,
    title,
    unit: "timer",
    operations: PAIRS,
    metric: "time",
    baseline: "setTimeout",
    subjects: {
      setTimeout: () => {
        const kept = timeouts.kept.map((delay) => setTimeout(nothing, delay));
        return {
          run: inCalls(timeouts, (delays) => {
            let cancelled = 0;
            for (const delay of delays) {
              clearTimeout(setTimeout(nothing, delay));
              cancelled++;
            }
            return cancelled;
          }),
          dispose: () => kept.forEach(clearTimeout),
        };
      },
      tidemark: () =>
        withTimers(timeouts, (timers) => (delays) => {
          let cancelled = 0;
          for (const delay of delays) if (timers.after(delay, nothing).cancel()) cancelled++;
          return cancelled;
        }),
      "tidemark, a timer used again": () =>
        withTimers(timeouts, (timers) => {
          const timer = timers.after(1000, nothing);
          return (delays) => {
            let cancelled = 0;
            for (const delay of delays) {
              timer.restart(delay);
              if (timer.cancel()) cancelled++;
            }
            return cancelled;
          };
        }),
      "tidemark, by number": () =>
        withTimers(timeouts, (timers) => (delays) => {
          let cancelled = 0;
          for (const delay of delays) if (timers.cancel(timers.arm(delay, nothing))) cancelled++;
          return cancelled;
        }),
    },
    expected: () => PAIRS,
    targets: [
      { subject: "tidemark", ratio: { atMost: 1 / 6 } },
      { subject: "tidemark, a timer used again", ratio: { atMost: 1 / 6 } },
      { subject: "tidemark, a timer used again", metric: "collections", value: { atMost: 0 } },
      { subject: "tidemark, by number", ratio: { atMost: 1 / 6 } },
    ],
  });
}

const MILLION = 1_000_000;
const QUICK_MILLION = 100_000;
/** They are due in this stretch of milliseconds: two hundred in each one. */
const FIRST_DUE = 1500;
const DUE_SPAN = 5000;

/** Arms a million timers, waits for all of them, and tells what that took and how late they came. */
async function measureMillion(
  quick: boolean,
  arm: (delay: number, fire: () => void) => unknown,
  linearBytes: () => number,
): Promise<Measurement<{ readonly unfired: number }>> {
  const { nearestRank } = await import("../replay/latency.js");
  const count = quick ? QUICK_MILLION : MILLION;
  const due = new Float64Array(count);
  const lateness = new Float64Array(count);
  let fired = 0;
  // What each timer calls is the program's own, and made before anything is counted.
  const callbacks = Array.from({ length: count }, (_, index) => () => {
    fired++;
    lateness[index] = performance.now() - due[index]!;
  });
  const before = bytesNow(linearBytes);
  const start = performance.now();
  for (let index = 0; index < count; index++) {
    const delay = FIRST_DUE + ((index * 7919) % DUE_SPAN);
    due[index] = performance.now() + delay;
    arm(delay, callbacks[index]!);
  }
  const armed = performance.now();
  const bytes = bytesNow(linearBytes) - before;
  while (fired < count) await new Promise((resolve) => setTimeout(resolve, 50));
  lateness.sort();
  return {
    metrics: {
      bytes: bytes / count,
      arming: ((armed - start) * 1e6) / count,
      // Below 0: early. Node's own are, by up to a millisecond, by its rounding.
      min: nearestRank(lateness, 0)!,
      p50: nearestRank(lateness, 0.5)!,
      p99: nearestRank(lateness, 0.99)!,
      p999: nearestRank(lateness, 0.999)!,
      max: nearestRank(lateness, 1)!,
    },
    result: { unfired: callbacks.length - fired }, // which keeps them where they are: a million references
  };
}

/** What is alive on the JavaScript heap and taken in linear memory. */
function bytesNow(linearBytes: () => number): number {
  // The second time for what the first has found to be no longer needed, as compiled code.
  for (let round = 0; round < 2; round++) (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed + linearBytes();
}

export default defineSuite({
  name: "timers",
  title: "arming, cancelling and firing timers",
  cases: [
    cancelCase("cancel", "arm a timer and cancel it", MANY),
    cancelCase("cancel-few", "arm a timer and cancel it, of eight lengths of which others are armed", FEW),
    measuredCase({
      name: "million",
      title: "arm a million timers that are due within five seconds, 200 in each millisecond, and have them fire",
      metric: "bytes",
      metrics: { bytes: "bytes/timer", arming: "ns/timer", min: "ms", p50: "ms", p99: "ms", p999: "ms", max: "ms" },
      baseline: "setTimeout",
      subjects: {
        setTimeout: ({ quick }) =>
          measureMillion(
            quick,
            (delay, fire) => setTimeout(fire, delay),
            () => 0,
          ),
        tidemark: async ({ quick }) => {
          const { createRuntime, createTimers } = await import("tidemark");
          const runtime = await createRuntime({ initialBytes: 32 << 20 });
          const timers = createTimers(runtime);
          const measured = await measureMillion(
            quick,
            (delay, fire) => timers.arm(delay, fire),
            () => timers.stats().bytes,
          );
          runtime.dispose();
          return measured;
        },
      },
      expected: () => ({ unfired: 0 }),
      targets: [
        { subject: "tidemark", metric: "bytes", value: { atMost: 40 } },
        // The millisecond that they are rounded up to, and the half that the host's timer comes late by on average.
        { subject: "tidemark", metric: "min", value: { atLeast: -0.1 } },
        { subject: "tidemark", metric: "p50", value: { atMost: 1.5 } },
      ],
    }),
  ],
});
