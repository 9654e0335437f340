import { performance } from "node:perf_hooks";
import { median } from "simple-statistics";
import { type CollectionTotals, CollectionWatch } from "../collections.js";
import { type LatencyMicros, LatencyProbe, MonotonicClock } from "./latency.js";
import { Verification, type VerificationTotals } from "./oracle.js";
import { playClosed, playOpen } from "./play.js";
import type { Recording } from "./recording.js";
import type { BookSummary, Observer, Refusal, Subject, SubjectName } from "./subject.js";

export interface MeasureOptions {
  /** Hold the book against the feed's own best prices, in a pass of its own. */
  readonly verify: boolean;
  /** Messages per second of an open loop; absent: as fast as it goes. */
  readonly rate?: number | undefined;
  /** Measured passes of each sort; absent: as many as {@link plannedPasses} says. */
  readonly passes?: number | undefined;
}

/** All that one subject's process tells. */
export interface SubjectReport {
  readonly name: SubjectName;
  readonly messagesPerSecond: number;
  readonly latencyMicros: LatencyMicros;
  readonly collections: CollectionTotals;
  /**
   * What is alive on the JavaScript heap after the last measured pass: in use after a full collection, where `gc` is
   * exposed. Node itself and the measuring are in it, the bytes of typed arrays are not, as they lie outside that heap.
   */
  readonly heapBytes: number;
  readonly linearBytes: number;
  /** The most at the end of a measured pass. */
  readonly residentBytes: number;
  readonly feedBytes: number;
  readonly book: BookSummary;
  readonly refused: { readonly count: number; readonly first: readonly Refusal[] };
  readonly verification: VerificationTotals | null;
  /** Where the recording's files are not in the order of their times, a sentence each. */
  readonly disorder: readonly string[];
  /** Where the feed came over a connection. */
  readonly connection?: ConnectionReport;
}

export interface ConnectionReport {
  readonly url: string;
  /** How many connections it took: one more than were lost. */
  readonly connections: number;
  /** How often a connection had to wait for the handler. */
  readonly pauses: number;
}

export type Stage = "warm-up" | "throughput" | "latency" | "open loop" | "verify" | "following";

/** Called between lots with the stage and the share of it that is done, 0 … 1. */
export type StageProgress = (stage: Stage, share: number) => void;

/** Enough that p99.99 rests on 80 samples. */
const MEASURED_LINES = 800_000;
const PASSES_AT_LEAST = 3;
const PASSES_AT_MOST = 200;

/** Measured passes of one sort (throughput, latency) over a recording; half as many warm up before them. */
export function plannedPasses(lineCount: number): number {
  return Math.min(PASSES_AT_MOST, Math.max(PASSES_AT_LEAST, Math.ceil(MEASURED_LINES / lineCount)));
}

/**
 * Measures a subject in this process.
 *
 * Closed loop: warm-up passes, then throughput passes without any clock or observer (their median counts), then latency
 * passes. Open loop: warm-up passes, then one pass at the given rate gives both. Each pass begins with an empty book.
 * Collections are counted within the measured passes only; where `gc` is exposed, a full collection before them takes
 * what loading and warm-up left, and one behind them leaves what is alive. Verification has a pass of its own at the end.
 */
export async function measure(
  recording: Recording,
  subject: Subject,
  options: MeasureOptions,
  progress?: StageProgress,
): Promise<SubjectReport> {
  const passes = options.passes ?? plannedPasses(recording.lineCount);
  const session = new Session(recording, subject, options.rate === undefined ? passes : 1, progress);
  try {
    await session.warmUp(Math.ceil(passes / 2));
    const speed =
      options.rate === undefined ? await session.runClosedLoop(passes) : await session.runOpenLoop(options.rate);
    const collections = await session.collections();
    const memory = session.memory();
    const book = subject.book();
    const refused = { count: subject.refusals.count, first: [...subject.refusals.first] };
    return {
      name: subject.name,
      messagesPerSecond: (speed.linesPerSecond * book.counters.messages) / recording.lineCount,
      latencyMicros: speed.latencyMicros,
      collections,
      ...memory,
      feedBytes: recording.bytes.length,
      book,
      refused,
      verification: options.verify ? await session.verify() : null,
      disorder: recording.disorder(),
    };
  } finally {
    session.dispose();
  }
}

interface Speed {
  readonly linesPerSecond: number;
  readonly latencyMicros: LatencyMicros;
}

class Session {
  readonly #clock = new MonotonicClock();
  readonly #watch = new CollectionWatch();
  /** Made before the measuring begins: its megabytes of samples would set off a collection that is not the subject's. */
  readonly #probe: LatencyProbe;
  #residentBytes = 0;

  constructor(
    private readonly recording: Recording,
    private readonly subject: Subject,
    latencyPasses: number,
    private readonly progress: StageProgress | undefined,
  ) {
    this.#probe = new LatencyProbe(this.#clock, recording.lineCount * latencyPasses);
  }

  async warmUp(passes: number): Promise<void> {
    // One pass with a probe, too: code that was compiled for passes without one would be thrown away in mid-measurement.
    const probe = new LatencyProbe(this.#clock, this.recording.lineCount);
    for (let pass = 0; pass <= passes; pass++) {
      await this.#prepare();
      await this.#closedPass("warm-up", pass < passes ? undefined : probe, pass, passes + 1);
    }
    globalThis.gc?.();
  }

  async runClosedLoop(passes: number): Promise<Speed> {
    const { lineCount } = this.recording;
    const seconds: number[] = [];
    for (let pass = 0; pass < passes; pass++) {
      seconds.push(await this.#measured(() => this.#closedPass("throughput", undefined, pass, passes)));
    }
    for (let pass = 0; pass < passes; pass++) {
      await this.#measured(() => this.#closedPass("latency", this.#probe, pass, passes));
    }
    return { linesPerSecond: lineCount / median(seconds), latencyMicros: this.#probe.summary() };
  }

  async runOpenLoop(rate: number): Promise<Speed> {
    const { recording, subject } = this;
    const seconds = await this.#measured(() =>
      playOpen(recording, subject, this.#probe, rate, this.#clock, (lines) =>
        this.progress?.("open loop", lines / recording.lineCount),
      ),
    );
    return { linesPerSecond: recording.lineCount / seconds, latencyMicros: this.#probe.summary() };
  }

  async verify(): Promise<VerificationTotals> {
    const verification = new Verification(this.recording);
    await this.#prepare();
    await this.#closedPass("verify", verification, 0, 1);
    return verification.totals();
  }

  collections(): Promise<CollectionTotals> {
    return this.#watch.totals();
  }

  /** Call it outside the measured passes: it collects. */
  memory(): Pick<SubjectReport, "heapBytes" | "linearBytes" | "residentBytes"> {
    globalThis.gc?.();
    return {
      heapBytes: process.memoryUsage().heapUsed,
      linearBytes: this.subject.linearBytes(),
      residentBytes: this.#residentBytes,
    };
  }

  dispose(): void {
    this.#watch.dispose();
  }

  /** Between passes: an empty book, and a turn of the host's loop, in which signals and the end of the parent are seen. */
  async #prepare(): Promise<void> {
    this.subject.reset();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async #closedPass(stage: Stage, observer: Observer | undefined, pass: number, passes: number): Promise<void> {
    const { recording, subject } = this;
    const onLines =
      this.progress === undefined
        ? undefined
        : (lines: number) => this.progress?.(stage, (pass + lines / recording.lineCount) / passes);
    await playClosed(recording, subject, observer, onLines);
  }

  /** Runs one measured pass: its collections count, and it takes the returned number of seconds. */
  async #measured(pass: () => Promise<void>): Promise<number> {
    await this.#prepare();
    this.#watch.openWindow();
    const start = performance.now();
    await pass();
    const seconds = (performance.now() - start) / 1000;
    this.#watch.closeWindow();
    this.#residentBytes = Math.max(this.#residentBytes, process.memoryUsage.rss());
    return seconds;
  }
}
