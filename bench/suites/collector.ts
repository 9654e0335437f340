/**
 * Collectors at work on the same programs: Tidemark's strategies and AssemblyScript's runtimes inside wasm, and plain
 * objects under the collector of the engine.
 */

import { min, sum } from "simple-statistics";
import type { CellsParameters } from "../drivers/programs/cells.js";
import type { RequestsParameters } from "../drivers/programs/requests.js";
import type { Job, ProgramOutcome } from "../drivers/programs.js";
import type { measureRequestLoop } from "../drivers/requestLoop.js";
import type { StrategyName } from "../drivers/workbench.js";
import {
  type Case,
  defineSuite,
  type Measurement,
  type MeasureOptions,
  measuredCase,
  type Target,
} from "../harness/case.js";
import { passesWithin } from "../harness/passes.js";

/** What every program is run by, by the names of the report. Those behind the first two are Tidemark's. */
const STRATEGIES = {
  "AssemblyScript incremental": "incremental",
  "AssemblyScript minimal": "minimal",
  "mark-sweep": "markSweep",
  "mark-sweep-stop": "markSweepStop",
  refcount: "refcount",
  manual: "manual",
} as const satisfies Record<string, StrategyName>;

const BASELINE = "AssemblyScript incremental";
const PLAIN = "JavaScript objects";

/** Runs that are not timed, for the engine to compile the code for good; then those that are. */
const WARMUP_MILLIS = { full: 500, quick: 1 };
const TIMED_MILLIS = { full: 1500, quick: 300 };

interface Result {
  readonly checksum: number;
  readonly made: number;
}

async function measureInWasm(
  strategy: StrategyName,
  job: Job,
  collectAfter: number,
  { quick }: MeasureOptions,
): Promise<Measurement<Result>> {
  const { createWorkbench } = await import("../drivers/workbench.js");
  const { prepareProgram } = await import("../drivers/programs.js");
  const effort = quick ? "quick" : "full";
  const workbench = await createWorkbench(strategy);
  const run = prepareProgram(workbench, job, { collectAfter });
  passesWithin(WARMUP_MILLIS[effort], run);
  const { passes, millis, last } = passesWithin(TIMED_MILLIS[effort], run);
  const { checksum, made, longestUnits } = last;
  const metrics = { rate: (passes * made * 1000) / millis, memory: workbench.memory.buffer.byteLength, longestUnits };
  workbench.dispose();
  return { metrics, result: { checksum, made } };
}

async function measurePlainly(job: Job, { quick }: MeasureOptions): Promise<Measurement<Result>> {
  const { CollectionWatch } = await import("../collections.js");
  const { runPlainly } = await import("../drivers/programs.js");
  const effort = quick ? "quick" : "full";
  passesWithin(WARMUP_MILLIS[effort], () => runPlainly(job));
  const watch = new CollectionWatch();
  watch.openWindow();
  const { passes, millis, last } = passesWithin(TIMED_MILLIS[effort], () => runPlainly(job));
  watch.closeWindow();
  const { count, maxMillis } = await watch.totals();
  watch.dispose();
  return {
    metrics: { rate: (passes * last.made * 1000) / millis, collections: count / passes, longestCollection: maxMillis },
    result: last,
  };
}

/** Targets of a strategy against AssemblyScript's incremental runtime: its rate, and the memory that it may take. */
function promise(subject: keyof typeof STRATEGIES, rate: number, memory: number): Target[] {
  return [
    { subject, ratio: { atLeast: rate } },
    { subject, metric: "memory", ratio: { atMost: memory } },
  ];
}

/**
 * A program run by every strategy. Its metrics are `rate` (objects made per second), `memory` (the wasm memory, which is
 * as large as it has ever been), `longestUnits` (the most work at the end of one event, of Tidemark's collectors) and, of
 * plain objects, `collections` in one run and the longest of all.
 *
 * @param collectAfter objects made after which AssemblyScript's minimal runtime collects: about as many as live
 * @param without strategies that cannot run it
 */
function programCase(declaration: {
  readonly name: string;
  readonly title: string;
  readonly job: Job;
  readonly collectAfter: number;
  readonly without?: readonly StrategyName[];
  readonly targets?: readonly Target[];
}): Case {
  const { name, title, job, collectAfter, without = [], targets = [] } = declaration;
  const strategies = Object.entries(STRATEGIES).filter(([, strategy]) => !without.includes(strategy));
  return measuredCase<Result>({
    name,
    title,
    metric: "rate",
    metrics: {
      rate: "objects/s",
      memory: "bytes",
      longestUnits: "units",
      collections: "collections",
      longestCollection: "ms",
    },
    baseline: BASELINE,
    subjects: {
      [PLAIN]: (options) => measurePlainly(job, options),
      ...Object.fromEntries(
        strategies.map(([subject, strategy]) => [
          subject,
          (options: MeasureOptions) => measureInWasm(strategy, job, collectAfter, options),
        ]),
      ),
    },
    expected: () => plainResult(job),
    targets,
  });
}

async function plainResult(job: Job): Promise<Result> {
  const { runPlainly } = await import("../drivers/programs.js");
  return runPlainly(job);
}

/** One array of a million references; a pass makes so many cells that each collector goes through at least one cycle. */
const cellsOf = (passes: number): Job => ({
  program: "cells",
  parameters: { seed: 1, length: 1_000_000, events: 30_000, perEvent: 100, passes },
});

/**
 * Each pass is watched alone, and the quietest one counts, for every subject alike: where other programs share the machine, they
 * stop every one for milliseconds now and then, and the longest of all passes would tell of them rather than of a collector.
 * A collector's own longest stop is in every pass, since each has a whole cycle at least.
 */
const CELLS = cellsOf(3);

/** The longest stop of the quietest pass. AssemblyScript's incremental runtime stops where memory is asked for. */
async function measureLongestStep(strategy: StrategyName): Promise<Measurement<Result>> {
  const { createWorkbench } = await import("../drivers/workbench.js");
  const { prepareProgram } = await import("../drivers/programs.js");
  const workbench = await createWorkbench(strategy);
  const run = prepareProgram(workbench, CELLS, { collectAfter: 1_500_000, timed: true });
  const { checksum, made, longestMillis, fillMillis, longestUnits }: ProgramOutcome = run();
  const memory = workbench.memory.buffer.byteLength;
  workbench.dispose();
  return {
    metrics: { longest: longestMillis * 1000, longestFilling: fillMillis * 1000, longestUnits, memory },
    result: { checksum, made },
  };
}

/** As {@link measureLongestStep}, of the engine's collector: of the quietest pass, and of the filling of the array. */
async function measureLongestCollection(): Promise<Measurement<Result>> {
  const { CollectionWatch } = await import("../collections.js");
  const { cells } = await import("../drivers/programs/cells.js");
  const watches: InstanceType<typeof CollectionWatch>[] = [];
  const result = cells(CELLS.parameters as CellsParameters, () => {
    watches.at(-1)?.closeWindow();
    const watch = new CollectionWatch();
    watches.push(watch);
    watch.openWindow();
  });
  watches.at(-1)!.closeWindow();
  const totals = await Promise.all(watches.map((watch) => watch.totals()));
  for (const watch of watches) watch.dispose();
  const [filling, ...passes] = totals.map(({ maxMillis }) => maxMillis * 1000);
  const collections = sum(totals.map(({ count }) => count));
  return { metrics: { longest: min(passes), longestFilling: filling!, collections }, result };
}

const ENTRIES = 1_000_000;
const DENSITY: Job = { program: "density", parameters: { length: ENTRIES } };

async function measureDensity(strategy: StrategyName): Promise<Measurement<Result>> {
  const { createWorkbench } = await import("../drivers/workbench.js");
  const { prepareProgram } = await import("../drivers/programs.js");
  const workbench = await createWorkbench(strategy);
  const { checksum, made, span } = prepareProgram(workbench, DENSITY)();
  workbench.dispose();
  return { metrics: { size: span / (ENTRIES - 1) }, result: { checksum, made } };
}

async function measurePlainDensity(): Promise<Measurement<Result>> {
  const { makeEntries } = await import("../drivers/programs/density.js");
  const { runPlainly } = await import("../drivers/programs.js");
  const result = runPlainly(DENSITY);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const entries = makeEntries(ENTRIES);
  globalThis.gc?.();
  const size = (process.memoryUsage().heapUsed - before) / ENTRIES;
  if (entries === null) throw new Error("there are no entries");
  return { metrics: { size }, result };
}

/**
 * As many events that p99.99 rests on a dozen of the 120,000 that are measured. To plain objects one event in 380 is a scavenge, so
 * p99.9 shows it already; a process that another takes the processor from for a moment shows that in p99.99, whatever it runs: how
 * much of that there is, {@link UNTOUCHED} tells.
 */
const REQUESTS: RequestsParameters = { seed: 1, events: 150_000, beside: 1_000_000 };

async function measureRequests(makeHandler: Parameters<typeof measureRequestLoop>[1]): Promise<Measurement<number>> {
  const { measureRequestLoop } = await import("../drivers/requestLoop.js");
  const measured = await measureRequestLoop(REQUESTS, makeHandler);
  const { p50, p99, p999, p9999, max } = measured.latencyMicros;
  return {
    metrics: {
      rate: measured.eventsPerSecond,
      p50,
      p99,
      p999,
      p9999,
      max,
      collections: measured.collections,
      longestCollection: measured.longestCollectionMillis,
      resident: measured.residentBytes,
    },
    result: measured.checksum,
  };
}

/** Events as long as those of a heap, with no object in them: what holds these up is the machine, and the engine's compiling. */
const UNTOUCHED = "arrays made once, no object";

const inWasm = (measure: (strategy: StrategyName) => Promise<Measurement<Result>>) =>
  Object.fromEntries(Object.entries(STRATEGIES).map(([subject, strategy]) => [subject, () => measure(strategy)]));

export default defineSuite({
  name: "collector",
  title: "the same programs under several collectors",
  cases: [
    programCase({
      name: "binary-trees",
      title: "binary trees of depths 4 to 16 beside one that lives long",
      job: { program: "binaryTrees", parameters: { depth: 16 } },
      collectAfter: 500_000,
      targets: [...promise("mark-sweep", 2, 1), ...promise("refcount", 1, 1)],
    }),
    programCase({
      name: "gcbench",
      title: "GCBench: trees made top-down and bottom-up beside a tree and an array that live long",
      job: {
        program: "boehm",
        parameters: { stretchDepth: 18, longLivedDepth: 16, maximumDepth: 16, arrayLength: 500_000 },
      },
      collectAfter: 1_000_000,
      targets: [...promise("mark-sweep", 2, 1), ...promise("refcount", 1, 1)],
    }),
    programCase({
      name: "list",
      title: "lists of a million nodes, dropped whole",
      job: { program: "list", parameters: { length: 1_000_000, perEvent: 1000, rounds: 5 } },
      collectAfter: 1_000_000,
    }),
    programCase({
      name: "quads",
      title: "quad trees: one that lives long, 13 % of the heap, and small ones that come and go",
      // (4^9 − 1) / 3 nodes beside 107 × (4^7 − 1) / 3.
      job: {
        program: "quads",
        parameters: { longLivedDepth: 8, shortLivedDepth: 6, live: 107, events: 500 },
      },
      collectAfter: 700_000,
    }),
    programCase({
      name: "rings",
      title: "doubly linked rings of 20 nodes, of which a random one of 5,000 is replaced",
      job: { program: "rings", parameters: { seed: 1, members: 20, live: 5000, events: 100_000 } },
      collectAfter: 200_000,
    }),
    programCase({
      name: "cliques",
      title: "cliques of 16 nodes, of which the oldest of 100 is replaced",
      job: { program: "cliques", parameters: { members: 16, live: 100, events: 20_000 } },
      collectAfter: 100_000,
    }),
    programCase({
      name: "graph",
      title: "a graph of four edges a node that random walks change, below 10,000 random roots",
      job: { program: "graph", parameters: { seed: 1, roots: 10_000, events: 20_000, operationsPerEvent: 100 } },
      collectAfter: 300_000,
      without: ["manual"],
    }),
    programCase({
      name: "requests",
      title: "events of 100–1,000 objects each, of which 1 % survive 100 events",
      job: { program: "requests", parameters: { seed: 1, events: 10_000, beside: 0 } },
      collectAfter: 100_000,
    }),
    measuredCase<Result>({
      name: "longest-step",
      title:
        "the longest stop with one array of a million references beside a million objects: of the quietest of three passes " +
        "(longest), and while the array is filled (longestFilling)",
      metric: "longest",
      metrics: {
        longest: "µs",
        longestFilling: "µs",
        longestUnits: "units",
        memory: "bytes",
        collections: "collections",
      },
      baseline: BASELINE,
      subjects: { [PLAIN]: measureLongestCollection, ...inWasm(measureLongestStep) },
      expected: () => plainResult(CELLS),
      targets: [
        { subject: "mark-sweep", ratio: { atMost: 1 / 20 } },
        { subject: "refcount", ratio: { atMost: 1 / 20 } },
      ],
    }),
    measuredCase<number>({
      name: "request-loop",
      title:
        "the same requests through the event loop, from TypeScript, with a million objects living beside; heaps with minimumBytes of " +
        "24 MiB: as much garbage as leaves them no larger than the engine's",
      metric: "p9999",
      metrics: {
        rate: "events/s",
        p50: "µs",
        p99: "µs",
        p999: "µs",
        p9999: "µs",
        max: "µs",
        collections: "collections",
        longestCollection: "ms",
        resident: "bytes",
      },
      baseline: PLAIN,
      subjects: {
        [PLAIN]: async () => {
          const { handlePlainly } = await import("../drivers/requestLoop.js");
          return measureRequests(handlePlainly);
        },
        [UNTOUCHED]: async () => {
          const { handleInArrays } = await import("../drivers/arrayRequests.js");
          return measureRequests(handleInArrays);
        },
        ...Object.fromEntries(
          (["mark-sweep", "mark-sweep-stop", "refcount"] as const).map((strategy) => [
            strategy,
            async () => {
              const { handleInHeap } = await import("../drivers/heapRequests.js");
              return measureRequests(handleInHeap(strategy));
            },
          ]),
        ),
      },
      expected: async () => (await plainResult({ program: "requests", parameters: REQUESTS })).checksum,
      targets: [
        { subject: "mark-sweep", ratio: { atMost: 1 / 5 } },
        { subject: "refcount", ratio: { atMost: 1 / 5 } },
      ],
    }),
    measuredCase<Result>({
      name: "object-size",
      title: "what an object of 24 bytes takes, with all that is kept about it",
      metric: "size",
      metrics: { size: "bytes" },
      baseline: BASELINE,
      subjects: { [PLAIN]: measurePlainDensity, ...inWasm(measureDensity) },
      expected: () => plainResult(DENSITY),
    }),
  ],
});
