/** Measures one subject once; runs in the process that exists for it. */

import { inspect, isDeepStrictEqual } from "node:util";
import { Bench } from "tinybench";
import { CollectionWatch } from "../collections.js";
import { type Case, type MeasuredCase, metricsOf, type SubjectInstance, type TimedCase } from "./case.js";
import { elsewhere } from "./elsewhere.js";

/** How long a run is. */
export interface Effort {
  readonly quick: boolean;
  /** Processes per subject. */
  readonly rounds: number;
  readonly warmupMillis: number;
  readonly timedMillis: number;
}

/** An odd number of rounds, so that the median is a round that happened. */
export const FULL_EFFORT: Effort = { quick: false, rounds: 7, warmupMillis: 300, timedMillis: 700 };
export const QUICK_EFFORT: Effort = { quick: true, rounds: 3, warmupMillis: 60, timedMillis: 120 };

/** Samples that are taken even when the time is up, in warm-up and in the timed part. */
const LEAST_SAMPLES = 5;
/** One sample lasts about as long, or one batch, if that takes longer. */
const SAMPLE_MILLIS = 2;

/** A subject's work is not what the plain implementation makes of it. */
export class WrongResultError extends Error {
  constructor(when: string, actual: unknown, expected: unknown) {
    super(`wrong result ${when}: got ${inspect(actual)}, the plain implementation gives ${inspect(expected)}`);
    this.name = "WrongResultError";
  }
}

/**
 * Makes the subject ready, checks its work, times it, and checks it again.
 *
 * @returns one figure per metric of the case
 * @throws {WrongResultError} if its work is wrong, before or after
 */
export async function measure(subject: Case, name: string, effort: Effort): Promise<Record<string, number>> {
  return subject.kind === "timed" ? measureTimed(subject, name, effort) : measureOwn(subject, name, effort);
}

async function measureTimed(timed: TimedCase, name: string, effort: Effort): Promise<Record<string, number>> {
  const instance = await timed.subjects[name]!();
  const expected = await timed.expected();
  const first = instance.run();
  requireEqual("before timing", await first, expected);

  const { millis, collections, last } = await timeBatches(instance, first instanceof Promise, effort);

  requireEqual("in the last timed batch", last, expected);
  requireEqual("after timing", await instance.run(), expected);
  await instance.dispose?.();
  return {
    time: (millis * 1e6) / timed.operations,
    rate: (timed.operations * 1e3) / millis,
    collections,
  };
}

/**
 * The mean time of a batch, and the collections of the timed part. The mean, not the median: a collection falls into one
 * batch of many, and the median batch would hide the price of every one.
 *
 * tinybench makes some two hundred bytes of garbage for each sample that it takes. So a sample is as many batches as fill
 * {@link SAMPLE_MILLIS}, counted during warm-up: a few hundred samples, less than a tenth of what causes a collection.
 */
async function timeBatches(
  instance: SubjectInstance<unknown>,
  asynchronous: boolean,
  { warmupMillis, timedMillis }: Effort,
): Promise<{ millis: number; collections: number; last: unknown }> {
  const run = elsewhere(() => instance.run());
  let last: unknown;
  let batchesPerSample = 1;
  let samples = 0;
  let warmupStart = 0;
  const watch = new CollectionWatch();
  const bench = new Bench({
    time: timedMillis,
    iterations: LEAST_SAMPLES,
    warmupTime: warmupMillis,
    warmupIterations: LEAST_SAMPLES,
    throws: true,
    setup: (_task, mode) => {
      if (mode === "warmup") {
        warmupStart = performance.now();
        return;
      }
      globalThis.gc?.(); // what loading and warm-up left is not the subject's
      watch.openWindow();
    },
    teardown: (_task, mode) => {
      if (mode === "run") watch.closeWindow();
      else batchesPerSample = Math.ceil((SAMPLE_MILLIS * samples) / (performance.now() - warmupStart));
    },
  });
  // The task returns nothing, so that a result object cannot be taken for a measurement of tinybench's own protocol.
  if (asynchronous) {
    const sample = async () => {
      samples++;
      for (let batch = 0; batch < batchesPerSample; batch++) last = await run();
    };
    await bench.add("sample", sample, { async: true }).run();
  } else {
    const sample = () => {
      samples++;
      for (let batch = 0; batch < batchesPerSample; batch++) last = run();
    };
    bench.add("sample", sample, { async: false }).runSync();
  }
  const result = bench.tasks[0]!.result;
  if (result.state !== "completed") throw new Error(`the timing ended as ${result.state}`);
  const { count } = await watch.totals();
  watch.dispose();
  return { millis: result.period / batchesPerSample, collections: count, last };
}

async function measureOwn(measured: MeasuredCase, name: string, { quick }: Effort): Promise<Record<string, number>> {
  const { metrics, result } = await measured.subjects[name]!({ quick });
  requireEqual("of the measurement", result, await measured.expected());
  const declared = metricsOf(measured);
  if (!Object.hasOwn(metrics, measured.metric)) throw new Error(`the metric ${measured.metric} was not measured`);
  for (const [metric, value] of Object.entries(metrics)) {
    if (!Object.hasOwn(declared, metric)) throw new Error(`the metric ${metric} is not declared by ${measured.name}`);
    if (!Number.isFinite(value)) throw new Error(`the metric ${metric} is ${value}`);
  }
  return { ...metrics };
}

function requireEqual(when: string, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) throw new WrongResultError(when, actual, expected);
}
