/** The report for people: a table per suite, the failures, the verdicts. */

import Table from "cli-table3";
import type { Bound } from "./case.js";
import type { Environment } from "./environment.js";
import type { Verdict } from "./results.js";
import type { RunResult } from "./run.js";
import type { SelectedCase } from "./selection.js";

const PLAIN = { style: { head: [], border: [] } };
const NO_LINES_BETWEEN_ROWS = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" };

/** The environment in a few lines. */
export function describeRun(environment: Environment, rounds: number): string {
  const { version, commit, node, v8, cpu, cores, memoryBytes, os } = environment;
  return [
    `tidemark ${version}${commit === null ? "" : ` (${commit.slice(0, 12)})`}, Node ${node}, V8 ${v8}`,
    `${cpu}, ${cores} cores, ${(memoryBytes / 2 ** 30).toFixed(1)} GiB, ${os}`,
    `medians of ${rounds} rounds, a process each`,
    "a ratio is the subject's figure ÷ its peer's, round by round: below 1 is less time or memory, above 1 a higher rate",
  ].join("\n");
}

/** One table per suite, in the order of the cases. */
export function describeResults(cases: readonly SelectedCase[], results: RunResult): string {
  const suites = new Map(cases.map(({ suite }) => [suite.suite.name, suite.suite]));
  return [...suites.values()]
    .map(({ name, title }) => `${name}: ${title}\n${describeSuite(name, cases, results)}`)
    .join("\n\n");
}

function describeSuite(suiteName: string, cases: readonly SelectedCase[], results: RunResult): string {
  const table = new Table({
    head: ["case", "subject", "metric", "value", "low – high", "ratio to peer", "target"],
    colAligns: ["left", "left", "left", "right", "right", "right", "left"],
    chars: NO_LINES_BETWEEN_ROWS,
    ...PLAIN,
  });
  const key = (entry: { case: string; subject: string; metric: string }) =>
    JSON.stringify([entry.case, entry.subject, entry.metric]);
  const inSuite = <Entry extends { suite: string }>(entries: readonly Entry[]) =>
    entries.filter(({ suite }) => suite === suiteName);
  const ratios = inSuite(results.ratios);
  const verdicts = inSuite(results.verdicts);
  const baselines = new Map(
    cases.filter(({ suite }) => suite.suite.name === suiteName).map(({ case: { name, baseline } }) => [name, baseline]),
  );
  let previous = { case: "", subject: "" };
  for (const row of inSuite(results.rows)) {
    const { value, low, high, unit } = row;
    const baseline = baselines.get(row.case);
    const ratio = ratios.find((candidate) => key(candidate) === key(row) && candidate.against === baseline);
    const sameCase = row.case === previous.case;
    table.push([
      sameCase ? "" : row.case,
      sameCase && row.subject === previous.subject ? "" : row.subject,
      row.metric,
      `${figure(value)} ${unit}`,
      `${figure(low)} – ${figure(high)}`,
      ratio === undefined
        ? row.subject === baseline
          ? "peer"
          : ""
        : `${figure(ratio.value)} (${figure(ratio.low)} – ${figure(ratio.high)})`,
      verdicts
        .filter((verdict) => key(verdict) === key(row))
        .map(describeVerdict)
        .join("\n"),
    ]);
    previous = row;
  }
  return table.toString();
}

function describeVerdict({ bound, against, measured, met }: Verdict): string {
  const peer = against === null ? "" : ` × ${against}`;
  const outcome = met === null ? "not measured" : `${met ? "met" : "MISSED"} at ${figure(measured as number)}`;
  return `${describeBound(bound)}${peer}: ${outcome}`;
}

/** The subjects that this machine cannot run, a line each; empty if there are none. */
export function describeAbsences(cases: readonly SelectedCase[]): string {
  const lines = cases.flatMap(({ suite, case: { name, absent = {} } }) =>
    Object.entries(absent).map(([subject, reason]) => `LEFT OUT ${suite.suite.name}/${name}: ${subject}: ${reason}`),
  );
  return lines.join("\n");
}

/** The failed processes with what they wrote, then the targets that were not met; empty if there are none. */
export function describeProblems({ failures, verdicts }: RunResult): string {
  const lines = failures.map(({ suite, case: name, subject, round, reason, output }) => {
    const indented = output.trimEnd().replaceAll(/^/gm, "    ");
    return `FAILED ${suite}/${name}: ${subject}, round ${round}, ${reason}\n${indented}`;
  });
  for (const verdict of verdicts) {
    if (verdict.met === true) continue;
    const { suite, case: name, subject, metric } = verdict;
    lines.push(`target of ${suite}/${name}: ${metric} of ${subject} ${describeVerdict(verdict)}`);
  }
  return lines.join("\n");
}

/** What there is to run. */
export function describeCases(cases: readonly SelectedCase[]): string {
  const table = new Table({ head: ["suite", "case", "what", "subjects (the first is the peer)", "targets"], ...PLAIN });
  for (const { suite, case: listed } of cases) {
    const { name, title, subjects, baseline, metric, targets = [] } = listed;
    const others = Object.keys(subjects).filter((subject) => subject !== baseline);
    const promises = targets.map((target) => {
      const [bound, peer] = "ratio" in target ? [target.ratio, ` × ${target.against ?? baseline}`] : [target.value, ""];
      return `${target.metric ?? metric} of ${target.subject} ${describeBound(bound)}${peer}`;
    });
    table.push([suite.suite.name, name, title, [baseline, ...others].join("\n"), promises.join("\n")]);
  }
  return table.toString();
}

function describeBound(bound: Bound): string {
  return "atMost" in bound ? `≤ ${figure(bound.atMost)}` : `≥ ${figure(bound.atLeast)}`;
}

const FIGURE = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

function figure(value: number): string {
  return FIGURE.format(value);
}
