import { Histogram } from "./hdrHistogram.js";

/**
 * The loop's lag in milliseconds: how late turns that handle events have begun, and for how long they have let promises
 * settle. All are 0 while none has been recorded.
 */
export interface LagSummary {
  /** Lags that were recorded. */
  readonly count: number;
  /** The shortest lag. */
  readonly min: number;
  /** The lags' mean, to 1 per cent, as the percentiles are. */
  readonly mean: number;
  /** The median: half of all lags are no longer. */
  readonly p50: number;
  /** The 90th percentile. */
  readonly p90: number;
  /** The 99th percentile. */
  readonly p99: number;
  /** The 99.9th percentile. */
  readonly p999: number;
  /** The longest lag; beyond an hour it counts as an hour. */
  readonly max: number;
}

/** Microseconds in a millisecond. */
const SCALE = 1000;
/** The longest lag that is told apart: an hour, in microseconds. */
const LONGEST = 3_600_000_000;
/** With two significant digits a value is known to 1 per cent, and the counts take 13 kB; with three it would be 92. */
const DIGITS = 2;

/**
 * The loop's lag: for each turn that handles events, the time from when its hop to the host was asked for to when it began, and
 * that of each pause in which it lets promises settle. That is what whoever posts to an idle loop waits for besides its own
 * handler, and it grows when anything at all holds the thread.
 *
 * Kept in an HDR histogram (Gil Tene, hdrhistogram.org): counts in buckets whose width grows with the value.
 *
 * | operation | cost |
 * |---|---|
 * | record | O(1), no garbage |
 * | summary | O(buckets), some 3,300 |
 */
export class LagHistogram {
  readonly #histogram = new Histogram(1, LONGEST, DIGITS);
  #least = LONGEST;

  /** Takes note of a turn that has begun, or gone on, `milliseconds` late. Beyond an hour it counts as an hour. */
  record(milliseconds: number): void {
    // Written so that what is no number, as a clock of the program's own may make, counts as 0 and does not throw.
    const microseconds = milliseconds > 0 ? Math.min(Math.round(milliseconds * SCALE), LONGEST) : 0;
    if (microseconds < this.#least) this.#least = microseconds;
    this.#histogram.recordValue(microseconds);
  }

  /** The figures of now: percentiles and mean to 1 per cent, the others to the microsecond. */
  summary(): LagSummary {
    const histogram = this.#histogram;
    const count = histogram.totalCount;
    const max = histogram.maxValue;
    // A bucket is known by its upper end, which may lie above what has been recorded.
    const at = (percentile: number) =>
      count === 0 ? 0 : Math.min(histogram.getValueAtPercentile(percentile), max) / SCALE;
    return {
      count,
      min: count === 0 ? 0 : this.#least / SCALE,
      mean: histogram.mean / SCALE,
      p50: at(50),
      p90: at(90),
      p99: at(99),
      p999: at(99.9),
      max: max / SCALE,
    };
  }
}
