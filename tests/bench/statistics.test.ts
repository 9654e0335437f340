import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defineSuite, measuredCase, timedCase } from "../../bench/harness/case.js";
import { evaluate, type Rounds } from "../../bench/harness/results.js";
import { selectCases } from "../../bench/harness/selection.js";
import { keeps, summarize, summarizeRatios } from "../../bench/harness/statistics.js";

/** A whole number of nanoseconds, so that ratios of the form (a·d)/(b·d) are exact to a rounding. */
const figure = fc.integer({ min: 1, max: 1_000_000 });

describe("a summary", () => {
  test("of nothing is nothing", () => {
    expect(summarize([])).toBeUndefined();
  });

  test("of one sample is that sample", () => {
    expect(summarize([7])).toEqual({ value: 7, low: 7, high: 7, samples: 1 });
  });

  test("sorts by size, not by the digits", () => {
    expect(summarize([100, 9, 20])?.value).toBe(20);
  });

  test("is indifferent to the order of the rounds, lies within them, and leaves them alone", () => {
    fc.assert(
      fc.property(fc.array(figure, { minLength: 1, maxLength: 25 }), (samples) => {
        const before = [...samples];
        const summary = summarize(samples)!;
        expect(summarize(samples.toReversed())).toEqual(summary);
        expect(samples).toEqual(before);
        expect(summary.samples).toBe(samples.length);
        expect(summary.low).toBeGreaterThanOrEqual(Math.min(...samples));
        expect(summary.low).toBeLessThanOrEqual(summary.value);
        expect(summary.high).toBeGreaterThanOrEqual(summary.value);
        expect(summary.high).toBeLessThanOrEqual(Math.max(...samples));
      }),
    );
  });
});

describe("the ratio of two subjects", () => {
  test("is not moved by a machine that is slower in some rounds", () => {
    fc.assert(
      fc.property(figure, figure, fc.array(figure, { minLength: 1, maxLength: 15 }), (subject, peer, slowness) => {
        const ratio = summarizeRatios(
          slowness.map((factor) => subject * factor),
          slowness.map((factor) => peer * factor),
        )!;
        expect(ratio.value / (subject / peer)).toBeCloseTo(1, 10);
        expect(ratio.low / ratio.high).toBeCloseTo(1, 10);
      }),
    );
  });

  test("is the median of the rounds' ratios, which a ratio of the medians is not", () => {
    // Ratios 1/1, 4/8, 9/3; the medians are 4 and 3.
    expect(summarizeRatios([1, 4, 9], [1, 8, 3])).toMatchObject({ value: 1, samples: 3 });
  });

  test("does not exist where the peer's figure is zero, or where a figure is missing", () => {
    expect(summarizeRatios([1, 2], [0, 1])).toBeUndefined();
    expect(summarizeRatios([0, 0], [0, 0])).toBeUndefined();
    expect(summarizeRatios([1, 2], [])).toBeUndefined();
  });
});

test("a bound is kept at its very value and broken beyond it", () => {
  expect([0.59, 0.6, 0.61].map((value) => keeps(value, { atMost: 0.6 }))).toEqual([true, true, false]);
  expect([11.9, 12, 12.1].map((value) => keeps(value, { atLeast: 12 }))).toEqual([false, true, true]);
});

const declaration = {
  name: "replay",
  title: "a replay",
  metric: "rate",
  metrics: { rate: "1/s", tail: "µs", linear: "B" },
  baseline: "plain",
  subjects: {
    plain: () => ({ metrics: { rate: 1 }, result: 0 }),
    tidemark: () => ({ metrics: { rate: 1 }, result: 0 }),
    other: () => ({ metrics: { rate: 1 }, result: 0 }),
  },
  expected: () => 0,
} as const;

const suiteOf = (...cases: ReturnType<typeof measuredCase>[]) => ({
  url: "file:///suite.js",
  suite: defineSuite({ name: "feed", title: "feeds", cases }),
});

describe("an evaluated case", () => {
  const measured = measuredCase({
    ...declaration,
    targets: [
      { subject: "tidemark", ratio: { atLeast: 3 } },
      { subject: "tidemark", metric: "tail", ratio: { atMost: 0.5 } },
      { subject: "tidemark", metric: "linear", value: { atMost: 65_536 } },
      { subject: "tidemark", against: "other", ratio: { atLeast: 1 } },
      { subject: "plain", metric: "linear", value: { atMost: 0 } },
    ],
  });
  const rounds = new Map<string, Rounds>([
    ["plain", [10, 20, 30].map((rate) => ({ rate, tail: 8 }))],
    ["tidemark", [30, 80, 60].map((rate) => ({ rate, tail: 6, linear: 65_536 }))],
  ]);
  const { rows, ratios, verdicts } = evaluate({ suite: suiteOf(measured), case: measured }, rounds);

  test("has a row for each metric that a subject has", () => {
    expect(rows.map(({ subject, metric, unit, value }) => [subject, metric, unit, value])).toEqual([
      ["plain", "rate", "1/s", 20],
      ["plain", "tail", "µs", 8],
      ["tidemark", "rate", "1/s", 60],
      ["tidemark", "tail", "µs", 6],
      ["tidemark", "linear", "B", 65_536],
    ]);
  });

  test("has a ratio for each metric that both have", () => {
    expect(ratios.map(({ subject, against, metric, value }) => [subject, against, metric, value])).toEqual([
      ["tidemark", "plain", "rate", 3],
      ["tidemark", "plain", "tail", 0.75],
    ]);
  });

  test("judges each target, and leaves open what was not measured", () => {
    expect(verdicts.map(({ metric, against, measured, met }) => [metric, against, measured, met])).toEqual([
      ["rate", "plain", 3, true],
      ["tail", "plain", 0.75, false],
      ["linear", null, 65_536, true],
      ["rate", "other", null, null],
      ["linear", null, null, null],
    ]);
  });

  test("has no figure, nor a ratio, of a metric that some of its rounds have not", () => {
    const gappy = new Map<string, Rounds>([
      ["plain", [{ rate: 10, tail: 8 }, { rate: 20 }, { rate: 30, tail: 8 }]],
      ["tidemark", [30, 80, 60].map((rate) => ({ rate, tail: 6 }))],
    ]);
    const result = evaluate({ suite: suiteOf(measured), case: measured }, gappy);
    expect(result.rows.map(({ subject, metric }) => [subject, metric])).toEqual([
      ["plain", "rate"],
      ["tidemark", "rate"],
      ["tidemark", "tail"],
    ]);
    expect(result.ratios.map(({ metric }) => metric)).toEqual(["rate"]);
  });
});

describe("a declaration that contradicts itself is refused", () => {
  const timed = {
    name: "record",
    title: "a record",
    unit: "record",
    operations: 1,
    metric: "time",
    baseline: "peer",
    subjects: { peer: () => ({ run: () => 0 }) },
    expected: () => 0,
  } as const;

  test.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])("operations of %d", (operations) => {
    expect(() => timedCase({ ...timed, operations })).toThrow(
      `operations must be a whole number from 1, got ${operations}`,
    );
  });

  test("a baseline, a target's subject, peer or metric that does not exist", () => {
    expect(() => timedCase({ ...timed, baseline: "nobody" })).toThrow(
      "the baseline nobody is none of its subjects (peer)",
    );
    const value = { atMost: 0 };
    expect(() => timedCase({ ...timed, targets: [{ subject: "nobody", value }] })).toThrow("subject nobody");
    expect(() => timedCase({ ...timed, targets: [{ subject: "peer", against: "nobody", ratio: value }] })).toThrow(
      "a target's peer nobody",
    );
    expect(() => timedCase({ ...timed, targets: [{ subject: "peer", metric: "colour", value }] })).toThrow(
      "colour is none of its metrics (time, rate, collections)",
    );
    expect(() => measuredCase({ ...declaration, metric: "colour" })).toThrow("colour is none of its metrics");
    // What every object inherits is no subject.
    expect(() => timedCase({ ...timed, baseline: "toString" })).toThrow("the baseline toString");
  });

  test("two cases of one name in a suite", () => {
    expect(() => suiteOf(measuredCase(declaration), measuredCase(declaration))).toThrow("two cases are named replay");
  });
});

test("names select suites and cases, and no names select all", () => {
  const first = suiteOf(measuredCase(declaration), measuredCase({ ...declaration, name: "second" }));
  const second = { url: "file:///b.js", suite: { name: "b", title: "b", cases: [measuredCase(declaration)] } };
  const names = (...parameters: [suites?: string[], cases?: string[]]) =>
    selectCases([first, second], ...parameters).map(({ suite, case: { name } }) => `${suite.suite.name}/${name}`);
  expect(names()).toEqual(["feed/replay", "feed/second", "b/replay"]);
  expect(names(["b"])).toEqual(["b/replay"]);
  expect(names([], ["replay"])).toEqual(["feed/replay", "b/replay"]);
  expect(names(["feed"], ["second"])).toEqual(["feed/second"]);
  expect(() => names(["b"], ["second"])).toThrow('unknown case "second"; there is: replay');
});
