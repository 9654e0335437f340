/** From the figures of the rounds to rows, ratios and verdicts. */

import { type Bound, metricsOf, type Target } from "./case.js";
import type { SelectedCase } from "./selection.js";
import { keeps, type Summary, summarize, summarizeRatios } from "./statistics.js";

/** The figures of one subject: for each round, a number per metric. */
export type Rounds = readonly Readonly<Record<string, number>>[];

/** One subject's figure for one metric. */
export interface Row extends Summary {
  readonly suite: string;
  readonly case: string;
  readonly subject: string;
  readonly metric: string;
  readonly unit: string;
}

/** One subject's figure divided by another's, round by round. */
export interface Ratio extends Summary {
  readonly suite: string;
  readonly case: string;
  readonly subject: string;
  readonly against: string;
  readonly metric: string;
}

/** What became of a case's target. */
export interface Verdict {
  readonly suite: string;
  readonly case: string;
  readonly subject: string;
  readonly metric: string;
  /** The peer, where the target is about a ratio. */
  readonly against: string | null;
  readonly bound: Bound;
  /** The median that was held against the bound; `null` if a subject failed or has no such figure. */
  readonly measured: number | null;
  /** Whether the bound is kept; `null` if it was not measured. */
  readonly met: boolean | null;
}

export interface CaseResult {
  readonly rows: readonly Row[];
  readonly ratios: readonly Ratio[];
  readonly verdicts: readonly Verdict[];
}

/**
 * Evaluates a case.
 *
 * @param rounds the figures of each subject that went through all of its rounds, in the order of the rounds
 */
export function evaluate({ suite, case: evaluated }: SelectedCase, rounds: ReadonlyMap<string, Rounds>): CaseResult {
  const place = { suite: suite.suite.name, case: evaluated.name };
  const units = metricsOf(evaluated);
  const { baseline, targets = [] } = evaluated;

  const rows = [...rounds].flatMap(([subject, figures]) =>
    Object.entries(units).flatMap(([metric, unit]): Row[] => {
      const summary = summarize(column(figures, metric));
      return summary === undefined ? [] : [{ ...place, subject, metric, unit, ...summary }];
    }),
  );

  const ratioOf = (subject: string, against: string, metric: string): Ratio | undefined => {
    const summary = summarizeRatios(column(rounds.get(subject), metric), column(rounds.get(against), metric));
    return summary && { ...place, subject, against, metric, ...summary };
  };
  const pairs = new Map<string, Ratio | undefined>();
  const addPair = (subject: string, against: string, metric: string) => {
    const key = JSON.stringify([subject, against, metric]);
    if (!pairs.has(key)) pairs.set(key, ratioOf(subject, against, metric));
    return pairs.get(key);
  };
  for (const subject of rounds.keys()) {
    if (subject !== baseline) for (const metric of Object.keys(units)) addPair(subject, baseline, metric);
  }

  const verdicts = targets.map((target: Target): Verdict => {
    const { subject, metric = evaluated.metric } = target;
    if ("value" in target) {
      const row = rows.find((candidate) => candidate.subject === subject && candidate.metric === metric);
      return { ...place, subject, metric, against: null, ...held(row, target.value) };
    }
    const { against = baseline } = target;
    return { ...place, subject, metric, against, ...held(addPair(subject, against, metric), target.ratio) };
  });

  return { rows, ratios: [...pairs.values()].filter((ratio) => ratio !== undefined), verdicts };
}

/** One metric of all rounds; empty unless every round has it. */
function column(rounds: Rounds = [], metric: string): number[] {
  const values = rounds.map((figures) => figures[metric]).filter((value) => value !== undefined);
  return values.length === rounds.length ? values : [];
}

function held(figure: Summary | undefined, bound: Bound): Pick<Verdict, "bound" | "measured" | "met"> {
  if (figure === undefined) return { bound, measured: null, met: null };
  return { bound, measured: figure.value, met: keeps(figure.value, bound) };
}
