/** The few statistics of the harness: over the rounds of a subject, and over pairs of rounds. */

import { medianSorted, quantileSorted } from "simple-statistics";
import type { Bound } from "./case.js";

/** What a list of rounds comes to. */
export interface Summary {
  /** The median. */
  readonly value: number;
  /** The first decile, interpolated between samples. */
  readonly low: number;
  /** The last decile, interpolated between samples. */
  readonly high: number;
  /** How many samples there were, at least 1. */
  readonly samples: number;
}

/** Summarises at least one sample; `undefined` for none. O(n log n). */
export function summarize(samples: readonly number[]): Summary | undefined {
  if (samples.length === 0) return undefined;
  const sorted = samples.toSorted((left, right) => left - right);
  return {
    value: medianSorted(sorted),
    low: quantileSorted(sorted, 0.1),
    high: quantileSorted(sorted, 0.9),
    samples: sorted.length,
  };
}

/**
 * Summarises the ratios of two subjects, round by round.
 *
 * The two figures of one round were taken within seconds of each other, so what slows the machine down for a while slows
 * both; a ratio of medians would compare a slow minute of one with a fast minute of the other. `undefined` where a round
 * has no finite ratio (a peer without a single collection, say).
 *
 * @param numerators one figure per round
 * @param denominators the peer's, of the same rounds in the same order
 */
export function summarizeRatios(numerators: readonly number[], denominators: readonly number[]): Summary | undefined {
  const ratios = numerators
    .slice(0, denominators.length)
    .map((numerator, round) => numerator / (denominators[round] as number));
  return ratios.every(Number.isFinite) ? summarize(ratios) : undefined;
}

/** Whether `value` keeps to `bound`. */
export function keeps(value: number, bound: Bound): boolean {
  return "atMost" in bound ? value <= bound.atMost : value >= bound.atLeast;
}
