/** The cases of the heap suite that churn: every allocator with the same mix, inside wasm. */

import type { ChurnResult, Mix } from "../drivers/churn.js";
import { absenceOf, type StrategyName } from "../drivers/workbench.js";
import { type Case, type Measurement, type MeasureOptions, measuredCase, type Target } from "../harness/case.js";

/** Passes over the mix that are not timed, for the engine to compile the code for good; then those that are. */
const WARMUP_MILLIS = { full: 300, quick: 60 };
const TIMED_MILLIS = { full: 700, quick: 120 };

const PERCENT = 100;

/** One allocator's rate, and what it holds of the memory that it takes. */
async function measureChurn(
  strategy: StrategyName,
  mix: Mix,
  { quick }: MeasureOptions,
): Promise<Measurement<ChurnResult>> {
  const { createWorkbench } = await import("../drivers/workbench.js");
  const { prepareChurn } = await import("../drivers/churn.js");
  const workbench = await createWorkbench(strategy);
  const churn = prepareChurn(workbench, mix);
  const effort = quick ? "quick" : "full";
  // The first pass grows memory: its peak is that of a program that starts. A later one may find more than it needs.
  const { peakTaken, ...result } = churn();
  passesWithin(WARMUP_MILLIS[effort], churn);
  const { passes, millis } = passesWithin(TIMED_MILLIS[effort], churn);
  workbench.dispose();
  return {
    metrics: {
      rate: (passes * result.performed * 1000) / millis,
      utilisation: (PERCENT * result.peakLive) / peakTaken,
    },
    result,
  };
}

/** Goes through the mix until `limit` is over, at least once. */
function passesWithin(limit: number, churn: () => unknown): { passes: number; millis: number } {
  const start = performance.now();
  let passes = 0;
  let millis = 0;
  while (millis < limit) {
    churn();
    passes++;
    millis = performance.now() - start;
  }
  return { passes, millis };
}

/**
 * A case in which allocators go through `mix`. Its metrics are `rate` (allocations, frees and reallocations per second)
 * and `utilisation` (peak live payload ÷ peak bytes taken from below, in percent).
 *
 * @param strategies the allocators, by the names of the report; the first is the peer
 */
export function churnCase(declaration: {
  readonly name: string;
  readonly title: string;
  readonly mix: Mix;
  readonly strategies: Readonly<Record<string, StrategyName>>;
  readonly targets: readonly Target[];
}): Case {
  const { name, title, mix, strategies, targets } = declaration;
  const entries = Object.entries(strategies);
  const here = entries.filter(([, strategy]) => absenceOf(strategy) === undefined);
  const elsewhere = entries.filter(([, strategy]) => absenceOf(strategy) !== undefined);
  return measuredCase<ChurnResult>({
    name,
    title,
    metric: "rate",
    metrics: { rate: "operations/s", utilisation: "%" },
    baseline: entries[0]![0],
    subjects: Object.fromEntries(
      here.map(([subject, strategy]) => [subject, (options: MeasureOptions) => measureChurn(strategy, mix, options)]),
    ),
    absent: Object.fromEntries(elsewhere.map(([subject, strategy]) => [subject, absenceOf(strategy)!])),
    expected: async () => {
      const { churnPlainly } = await import("../drivers/churnModel.js");
      return churnPlainly(mix);
    },
    targets,
  });
}
