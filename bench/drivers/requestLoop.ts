/** The request pattern of bench/assembly/programs/requests.ts through an event loop, every event's latency recorded. */

import type { EventContext, Runtime } from "tidemark";
import { type LatencyMicros, LatencyProbe, MonotonicClock } from "../replay/latency.js";
import { drawCounts, PlainRequests, type RequestsParameters } from "./programs/requests.js";

/** What handles the events, and holds what survives them and what lives beside. */
export interface RequestHandler {
  /** Handles one event that makes `count` items; returns the sum of what its items hold, and those whose time is over. */
  handle(event: number, count: number, context: EventContext): number;
  /** The sum of what is left at the end. */
  finish(): number;
}

export interface RequestLoopResult {
  readonly checksum: number;
  readonly eventsPerSecond: number;
  readonly latencyMicros: LatencyMicros;
  readonly collections: number;
  readonly longestCollectionMillis: number;
  readonly residentBytes: number;
}

/** Events that wait in the queue at any time: the loop is saturated, and has no idle time to collect in. */
const QUEUED = 64;

/** The share of the events that are handled before anything is measured. */
const WARMUP = 0.2;

/** Plain objects, under the collector of the engine. */
export function handlePlainly(_runtime: Runtime, { beside }: RequestsParameters): RequestHandler {
  return new PlainRequests(beside);
}

/**
 * Posts all events to a loop and measures. An event's clock starts when the handler of the one before it has returned, so
 * that whatever is done between two events is counted to the one that has to wait for it.
 */
export async function measureRequestLoop(
  parameters: RequestsParameters,
  makeHandler: (runtime: Runtime, parameters: RequestsParameters) => RequestHandler,
): Promise<RequestLoopResult> {
  const { createLoop, createRuntime } = await import("tidemark");
  const { CollectionWatch } = await import("../collections.js");
  const { events } = parameters;
  const counts = drawCounts(parameters);
  const warmup = Math.floor(events * WARMUP);
  const runtime = await createRuntime();
  const handler = makeHandler(runtime, parameters);
  const loop = createLoop(runtime, { queue: { capacity: 2 * QUEUED } });
  const probe = new LatencyProbe(new MonotonicClock(), events - warmup);
  const watch = new CollectionWatch();
  const sums = new Float64Array(1);
  let started = 0;
  const requests = loop.on("request", (event: number, context) => {
    sums[0]! += handler.handle(event, counts[event]!, context);
    if (event + QUEUED < events) requests.post(event + QUEUED);
    if (event >= warmup) probe.end(event);
    else if (event === warmup - 1) {
      started = performance.now();
      watch.openWindow();
      probe.begin();
    }
  });
  for (let event = 0; event < Math.min(QUEUED, events); event++) requests.post(event);
  await loop.runUntilIdle();
  const seconds = (performance.now() - started) / 1000;
  watch.closeWindow();
  const { count, maxMillis } = await watch.totals();
  watch.dispose();
  const checksum = sums[0]! + handler.finish();
  const residentBytes = process.memoryUsage.rss();
  await loop.close();
  runtime.dispose();
  return {
    checksum,
    eventsPerSecond: (events - warmup) / seconds,
    latencyMicros: probe.summary(),
    collections: count,
    longestCollectionMillis: maxMillis,
    residentBytes,
  };
}
