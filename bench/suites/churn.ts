/** The cases of the heap suite that churn: every allocator with the same mix, inside wasm. */

import type { ChurnResult, Mix } from "../drivers/churn.js";
import { absenceOf, type StrategyName } from "../drivers/workbench.js";
import { type Case, type Measurement, type MeasureOptions, measuredCase, type Target } from "../harness/case.js";
import { passesWithin } from "../harness/passes.js";

/** Passes over the mix that are not timed, for the engine to compile the code for good; then those that are. */
const WARMUP_MILLIS = { full: 300, quick: 60 };
const TIMED_MILLIS = { full: 700, quick: 120 };

const PERCENT = 100;

/**
 * The peak of one seed may end right behind a page or right before the next, or where TLSF has just doubled its memory:
 * one seed's utilisation is a matter of luck (heap/small: TLSF has 61 to 89 %). So it is taken over all of these.
 */
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9];

/** A mix that is gone through with each of {@link SEEDS}. */
export type SeedlessMix = Omit<Mix, "seed">;

/** One allocator's rate, and how full what it holds is, and what memory grows by. */
async function measureChurn(
  strategy: StrategyName,
  mix: SeedlessMix,
  { quick }: MeasureOptions,
): Promise<Measurement<readonly ChurnResult[]>> {
  const { createWorkbench } = await import("../drivers/workbench.js");
  const { prepareChurn } = await import("../drivers/churn.js");
  const results: ChurnResult[] = [];
  let live = 0;
  let taken = 0;
  let grown = 0;
  // Each seed in fresh memory: a second pass would find what the first has taken.
  for (const seed of SEEDS) {
    const workbench = await createWorkbench(strategy);
    const churn = prepareChurn(workbench, { ...mix, seed });
    const grownBytes = workbench.watchGrowth();
    const { peakTaken, ...result } = churn();
    grown += grownBytes();
    workbench.dispose();
    results.push(result);
    live += result.peakLive;
    taken += peakTaken;
  }
  const workbench = await createWorkbench(strategy);
  const churn = prepareChurn(workbench, { ...mix, seed: SEEDS[0]! });
  const { checksum, performed } = results[0]!;
  const effort = quick ? "quick" : "full";
  passesWithin(WARMUP_MILLIS[effort], churn, checksum);
  const { passes, millis } = passesWithin(TIMED_MILLIS[effort], churn, checksum);
  workbench.dispose();
  return {
    metrics: {
      rate: (passes * performed * 1000) / millis,
      utilisation: (PERCENT * live) / taken,
      // A strategy that has all its memory before it begins, as the bump does, makes none grow.
      ...(grown > 0 && { memoryUtilisation: (PERCENT * live) / grown }),
    },
    result: results,
  };
}

/**
 * A case in which allocators go through `mix`. Its metrics are `rate` (allocations, frees and reallocations per second) and
 * the peak live payload over nine seeds, in percent of two things:
 *
 * - `utilisation`: of the most that the allocator held. The byte heap holds pages of a memory that others use too, and gives
 *   them back; TLSF and dlmalloc hold all that their memory has behind the base of their heap, and keep it.
 * - `memoryUtilisation`: of what the wasm memory grew by, counted alike for all: the allocator begins with no free page. TLSF
 *   doubles its memory, Tidemark's grows by an eighth of what is live and by 1 MiB at least; what the byte heap does not hold
 *   of that is free for whatever else a runtime has, and counts here all the same.
 *
 * @param strategies the allocators, by the names of the report; the first is the peer
 */
export function churnCase(declaration: {
  readonly name: string;
  readonly title: string;
  readonly mix: SeedlessMix;
  readonly strategies: Readonly<Record<string, StrategyName>>;
  readonly targets: readonly Target[];
}): Case {
  const { name, title, mix, strategies, targets } = declaration;
  const entries = Object.entries(strategies);
  const here = entries.filter(([, strategy]) => absenceOf(strategy) === undefined);
  const elsewhere = entries.filter(([, strategy]) => absenceOf(strategy) !== undefined);
  return measuredCase<readonly ChurnResult[]>({
    name,
    title,
    metric: "rate",
    metrics: { rate: "operations/s", utilisation: "%", memoryUtilisation: "%" },
    baseline: entries[0]![0],
    subjects: Object.fromEntries(
      here.map(([subject, strategy]) => [subject, (options: MeasureOptions) => measureChurn(strategy, mix, options)]),
    ),
    absent: Object.fromEntries(elsewhere.map(([subject, strategy]) => [subject, absenceOf(strategy)!])),
    expected: async () => {
      const { churnPlainly } = await import("../drivers/churnModel.js");
      return SEEDS.map((seed) => churnPlainly({ ...mix, seed }));
    },
    targets,
  });
}
