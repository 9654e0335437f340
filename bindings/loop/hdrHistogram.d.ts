// The type of build/bindings/loop/hdrHistogram.js, which hdrHistogram.build.mjs makes of the package hdr-histogram-js.

/** Counts of whole numbers from 0 to `highestTrackableValue`, each known to so many significant decimal digits. */
export class Histogram {
  constructor(lowestDiscernibleValue: number, highestTrackableValue: number, numberOfSignificantValueDigits: number);
  /** Every value that is recorded counts once. @throws {Error} if it is below 0, or beyond the highest */
  recordValue(value: number): void;
  getValueAtPercentile(percentile: number): number;
  readonly totalCount: number;
  readonly maxValue: number;
  readonly mean: number;
}
