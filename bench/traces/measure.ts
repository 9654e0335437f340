import { medianSorted } from "simple-statistics";
import { createWorkbench, type StrategyName } from "../drivers/workbench.js";
import { nearestRank } from "../replay/latency.js";
import { describeOperation, OPERATION_WORDS, type Trace } from "./trace.js";
import { type Check, replayPlainly, TraceReplay } from "./traceReplay.js";

/** Passes that are not timed, for the engine to compile the drivers for good. */
const WARMUP_MILLIS = 100;
/** A round is as many passes as fill this, at least one; the median of an odd number of rounds counts. */
const ROUND_MILLIS = 50;
const ROUNDS = 3;
/** … or as many as begin within so many times that: what is not timed about a pass goes through all ids, and they may be millions. */
const UNTIMED_FACTOR = 10;

/**
 * One operation in so many is timed in a pass, and in as many passes each operation once: a sample disturbs the cache and
 * the pipeline of what follows it, and this leaves room between two of them. A prime, so as not to follow a program's loop.
 */
const SAMPLE_EVERY = 7;

/** Times by nearest rank, each one that was measured, in whole nanoseconds: the clock counts no smaller ones. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly p9999: number;
  readonly max: number;
}

/** What one allocator made of one trace. */
export interface Report {
  /** The median of the rounds; like the latencies `null` where a fault ended the replay before it was timed. */
  readonly operationsPerSecond: number | null;
  /** Of single operations, the cost of taking the sample included. */
  readonly latencyNanos: Latency | null;
  /** The same of samples of nothing: what taking a sample costs. */
  readonly samplingNanos: Latency | null;
  readonly peakLiveBytes: number;
  readonly peakTakenBytes: number;
  /** Peak live ÷ peak taken. */
  readonly utilisation: number;
  /** 1 − live ÷ taken, behind the last operation and before what is left over is freed; 0 if nothing is taken. */
  readonly fragmentation: number;
  /** `true` if every block held what was written to it, `null` if nobody looked. */
  readonly intact: boolean | null;
  /** What went wrong, a sentence; `null` if nothing did. */
  readonly fault: string | null;
}

/**
 * Replays a trace through one allocator: first once with all that is live and taken followed, and, if `integrity`, every
 * byte of every block checked; then timed as a whole; then with single operations timed.
 */
export async function measureTrace(
  trace: Trace,
  strategy: StrategyName,
  debug: boolean,
  integrity: boolean,
): Promise<Report> {
  const workbench = await createWorkbench(strategy, debug);
  try {
    const replay = new TraceReplay(workbench, trace, SAMPLE_EVERY);
    const check = replay.check(integrity);
    const fault = describeFault(trace, check, workbench.limitBytes);
    const figures = describeMemory(check);
    if (fault !== null) {
      const intact = check.fault === "out of memory" ? null : false;
      return { operationsPerSecond: null, latencyNanos: null, samplingNanos: null, ...figures, intact, fault };
    }
    replay.release();
    const { operationsPerSecond, checksum } = time(replay, trace.operations.length / OPERATION_WORDS);
    const expected = replayPlainly(trace);
    const differs = checksum !== expected;
    return {
      operationsPerSecond,
      ...takeSamples(replay),
      ...figures,
      intact: differs ? false : integrity ? true : null,
      fault: differs ? `${trace.name}: a timed pass read ${checksum} out of its blocks instead of ${expected}` : null,
    };
  } finally {
    workbench.dispose();
  }
}

function describeMemory({ live, taken, peakLive, peakTaken }: Check) {
  return {
    peakLiveBytes: peakLive,
    peakTakenBytes: peakTaken,
    utilisation: peakTaken === 0 ? 0 : peakLive / peakTaken,
    fragmentation: taken === 0 ? 0 : 1 - live / taken,
  };
}

function describeFault(trace: Trace, check: Check, limit: number): string | null {
  const { at, id, position, expected, found, live, taken } = check;
  const ended = at * OPERATION_WORDS === trace.operations.length;
  const place = ended ? `${trace.name}: at the end` : describeOperation(trace, at);
  switch (check.fault) {
    case "none":
      return null;
    case "out of memory": {
      const size = trace.operations[at * OPERATION_WORDS + 1]!;
      return (
        `${place}: this cannot fit: ${size} bytes are asked for while ${live} are live and ${taken} taken, ` +
        `and there is room for ${limit}`
      );
    }
    case "misaligned":
      return `${place}: block ${id} is at ${found}, which is no multiple of 8`;
    case "refused":
      return `${place}: the free of block ${id} at ${found} was refused, though it is live`;
    case "changed":
      return `${place}: byte ${position} of block ${id} holds ${found} instead of ${expected}`;
    case "trap":
      return `${place}: the allocator stopped (${check.trap}) while ${live} bytes were live and ${taken} of ${limit} taken`;
  }
}

/** The rate over whole passes; what frees the leftovers of each is not timed. */
function time(replay: TraceReplay, operations: number): { operationsPerSecond: number; checksum: number } {
  let checksum = passesWithin(WARMUP_MILLIS, replay).checksum;
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { passes, millis, checksum: ofRound } = passesWithin(ROUND_MILLIS, replay);
    if (!Object.is(ofRound, checksum)) checksum = Number.NaN;
    rates.push((passes * operations * 1000) / millis);
  }
  return { operationsPerSecond: medianSorted(rates.sort((one, other) => one - other)), checksum };
}

function passesWithin(limit: number, replay: TraceReplay): { passes: number; millis: number; checksum: number } {
  let passes = 0;
  let millis = 0;
  let checksum = 0;
  const end = performance.now() + limit * UNTIMED_FACTOR;
  for (let start = performance.now(); passes === 0 || (millis < limit && start < end); start = performance.now()) {
    checksum = replay.replay();
    millis += performance.now() - start;
    replay.release();
    passes++;
  }
  return { passes, millis, checksum };
}

function takeSamples(replay: TraceReplay): { latencyNanos: Latency; samplingNanos: Latency } {
  const samples: Float64Array[] = [];
  const nothing: Float64Array[] = [];
  const takePass = (first: number) => {
    const taken = replay.sample(first);
    replay.release();
    return [taken, replay.sampleNothing()] as const;
  };
  // The code that takes samples is another than that of the timed passes, and has to be compiled for good, too.
  const start = performance.now();
  while (performance.now() - start < WARMUP_MILLIS) takePass(0);
  for (let first = 0; first < SAMPLE_EVERY; first++) {
    const [taken, ofNothing] = takePass(first);
    samples.push(taken);
    nothing.push(ofNothing);
  }
  return { latencyNanos: summarize(samples), samplingNanos: summarize(nothing) };
}

function summarize(passes: readonly Float64Array[]): Latency {
  const all = new Float64Array(passes.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const pass of passes) {
    all.set(pass, end);
    end += pass.length;
  }
  all.sort();
  const at = (share: number) => Math.round(nearestRank(all, share) ?? 0);
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), p9999: at(0.9999), max: at(1) };
}
