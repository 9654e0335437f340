/**
 * What a benchmark is made of: suites of cases, cases of subjects.
 *
 * A case poses one piece of work; its subjects are the ways to do it that are compared. Every subject of a case is
 * measured in processes of its own, and the result of its work is held against a plain implementation before and after.
 *
 * ## How to add a case
 *
 * Add a {@link timedCase} (or a {@link measuredCase}) to the list of its suite in `bench/suites/`, or a new suite file
 * to the registry in `bench/suites/index.ts`. Nothing else has to be touched.
 *
 * ```ts
 * export default defineSuite({
 *   name: "allocation",
 *   title: "Making records",
 *   cases: [
 *     timedCase({
 *       name: "record",
 *       title: "make a record of four fields",
 *       unit: "record",              // what one operation is: rows are in ns/record and record/s
 *       operations: 102_400,         // how many of them one call of run() does; about 0.1–10 ms of work
 *       metric: "time",
 *       baseline: "object literal",  // the peer that the ratios are taken against
 *       subjects: {
 *         "object literal": () => {
 *           const ring = new Array(1024);
 *           return { run() { …; return checksum; } };
 *         },
 *         arena: async () => {
 *           const { createRuntime } = await import("tidemark");  // here, not at the top of the file
 *           const runtime = await createRuntime();
 *           return { run() { …; return checksum; }, dispose: () => runtime.dispose() };
 *         },
 *       },
 *       expected: () => …,           // the same checksum, by the plainest code there is
 *       targets: [{ subject: "arena", ratio: { atMost: 0.6 } }, { subject: "arena", metric: "collections", value: { atMost: 0 } }],
 *     }),
 *   ],
 * });
 * ```
 *
 * Rules that keep the figures honest:
 *
 * - A subject imports what it needs inside its own function, and shares no code that is timed with another subject, so
 *   that its process compiles and warms up nothing else.
 * - `run()` gives the same result each time it is called; what it leaves behind must not change the next batch.
 * - The result depends on the work, so that the engine cannot leave the work out; its own cost stays below a percent.
 */

export type Awaitable<Value> = Value | Promise<Value>;

/** One subject made ready in its process; it lives until the process has measured its round. */
export interface SubjectInstance<Result> {
  /**
   * Does one batch of the case's `operations` and returns a checksum or a result object, the same at every call. This
   * call is what is timed; a promise is awaited inside the timed window.
   */
  run(): Awaitable<Result>;
  /** Releases what the subject holds, after the last batch. */
  dispose?(): Awaitable<void>;
}

/** An inclusive limit. */
export type Bound = { readonly atMost: number } | { readonly atLeast: number };

/** What a case promises: a bound on a ratio between two subjects, or on one subject's own figure. */
export type Target = {
  readonly subject: string;
  /** The metric it is about. Default: the case's `metric`. */
  readonly metric?: string;
} & (
  | {
      /** Bound on the median of the ratios, round by round, of `subject` to `against`. */
      readonly ratio: Bound;
      /** The other subject. Default: the case's `baseline`. */
      readonly against?: string;
    }
  | {
      /** Bound on the median itself, in the metric's unit. */
      readonly value: Bound;
    }
);

interface CaseCommon<Result> {
  /** Unique in its suite; what `--case` takes. */
  readonly name: string;
  /** What one operation is, in a few words. */
  readonly title: string;
  /** The subject that ratios are taken against: the peer. */
  readonly baseline: string;
  /** The plain implementation: what each subject must return, compared with `isDeepStrictEqual`. */
  readonly expected: () => Awaitable<Result>;
  readonly targets?: readonly Target[];
  /**
   * Subjects that this machine cannot run, and why. The report says so, loudly, and targets that are about one of them
   * count as not measured.
   */
  readonly absent?: Readonly<Record<string, string>>;
  /** A process that has run for longer is ended and reported as failed. Default: 300 s. */
  readonly timeoutSeconds?: number;
}

/** A case whose `run()` is called over and over and timed. */
export interface TimedCaseDeclaration<Result> extends CaseCommon<Result> {
  /** The metric that targets are about when they name none. */
  readonly metric: "time" | "rate";
  /** The noun for one operation, in the singular. */
  readonly unit: string;
  /** Operations in one `run()`. */
  readonly operations: number;
  readonly subjects: Readonly<Record<string, () => Awaitable<SubjectInstance<Result>>>>;
}

/** What a subject of a {@link measuredCase} is told. */
export interface MeasureOptions {
  /** True for `--quick`: a shorter run will do. */
  readonly quick: boolean;
}

/** What a subject of a {@link measuredCase} hands back. */
export interface Measurement<Result> {
  /** Finite numbers under names that the case declares. A name that does not apply to this subject is left out. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly result: Result;
}

/** A case whose subjects measure themselves; each is called once per process. */
export interface MeasuredCaseDeclaration<Result> extends CaseCommon<Result> {
  /** The metric that targets are about when they name none; every subject must give it. */
  readonly metric: string;
  /** The metrics and their units, in the order of the report. */
  readonly metrics: Readonly<Record<string, string>>;
  readonly subjects: Readonly<Record<string, (options: MeasureOptions) => Awaitable<Measurement<Result>>>>;
}

export type TimedCase = TimedCaseDeclaration<unknown> & { readonly kind: "timed" };
export type MeasuredCase = MeasuredCaseDeclaration<unknown> & { readonly kind: "measured" };
export type Case = TimedCase | MeasuredCase;

export interface Suite {
  /** What `--suite` takes. */
  readonly name: string;
  readonly title: string;
  readonly cases: readonly Case[];
}

/**
 * A case whose batches tinybench times. Its metrics are `time` (ns per operation, the mean of a round, so that
 * collections are paid by whoever causes them), `rate` (operations per second) and `collections` (JavaScript garbage
 * collections during the timed part of a round).
 *
 * @throws {TypeError} if the declaration contradicts itself
 */
export function timedCase<Result>(declaration: TimedCaseDeclaration<Result>): Case {
  const { name, operations } = declaration;
  if (!Number.isSafeInteger(operations) || operations < 1) {
    throw new TypeError(`case ${name}: operations must be a whole number from 1, got ${operations}`);
  }
  return checked({ ...declaration, kind: "timed" } as TimedCase);
}

/**
 * A case whose subjects do their whole measurement themselves: a replay with its own latency histogram, say.
 *
 * @throws {TypeError} if the declaration contradicts itself
 */
export function measuredCase<Result>(declaration: MeasuredCaseDeclaration<Result>): Case {
  return checked({ ...declaration, kind: "measured" } as MeasuredCase);
}

/**
 * A suite of cases, the default export of a suite file.
 *
 * @throws {TypeError} if two cases share a name
 */
export function defineSuite(suite: Suite): Suite {
  const names = new Set<string>();
  for (const { name } of suite.cases) {
    if (names.has(name)) throw new TypeError(`suite ${suite.name}: two cases are named ${name}`);
    names.add(name);
  }
  return suite;
}

/** The metrics of a case with their units, in the order of the report. */
export function metricsOf(subject: Case): Readonly<Record<string, string>> {
  if (subject.kind === "measured") return subject.metrics;
  return { time: `ns/${subject.unit}`, rate: `${subject.unit}/s`, collections: "collections" };
}

function checked<Checked extends Case>(declaration: Checked): Checked {
  const { name, subjects, baseline, metric, targets = [], absent = {} } = declaration;
  const metrics = metricsOf(declaration);
  const requireSubject = (subject: string, role: string) => {
    if (!Object.hasOwn(subjects, subject) && !Object.hasOwn(absent, subject)) {
      throw new TypeError(
        `case ${name}: ${role} ${subject} is none of its subjects (${Object.keys(subjects).join(", ")})`,
      );
    }
  };
  const requireMetric = (wanted: string) => {
    if (!Object.hasOwn(metrics, wanted)) {
      throw new TypeError(`case ${name}: ${wanted} is none of its metrics (${Object.keys(metrics).join(", ")})`);
    }
  };
  requireSubject(baseline, "the baseline");
  requireMetric(metric);
  for (const target of targets) {
    requireSubject(target.subject, "a target's subject");
    if ("ratio" in target && target.against !== undefined) requireSubject(target.against, "a target's peer");
    if (target.metric !== undefined) requireMetric(target.metric);
  }
  return declaration;
}
