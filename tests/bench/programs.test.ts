import { describe, expect, test } from "vitest";
import { handleInHeap } from "../../bench/drivers/heapRequests.js";
import { requests } from "../../bench/drivers/programs/requests.js";
import { type Job, type ProgramName, prepareProgram, programs, runPlainly } from "../../bench/drivers/programs.js";
import { handlePlainly, measureRequestLoop } from "../../bench/drivers/requestLoop.js";
import {
  type CollectorName,
  createWorkbench,
  type HeapTuning,
  type StrategyName,
} from "../../bench/drivers/workbench.js";

const jobs: readonly Job[] = [
  { program: "binaryTrees", parameters: { depth: 6 } },
  { program: "boehm", parameters: { stretchDepth: 8, longLivedDepth: 6, maximumDepth: 8, arrayLength: 1001 } },
  { program: "list", parameters: { length: 10_000, perEvent: 100, rounds: 3 } },
  { program: "quads", parameters: { longLivedDepth: 4, shortLivedDepth: 3, live: 5, events: 50 } },
  { program: "rings", parameters: { seed: 5, members: 7, live: 20, events: 1000 } },
  { program: "cliques", parameters: { members: 6, live: 4, events: 100 } },
  { program: "graph", parameters: { seed: 3, roots: 30, events: 200, operationsPerEvent: 50 } },
  { program: "requests", parameters: { seed: 3, events: 300, beside: 1000 } },
  { program: "cells", parameters: { seed: 3, length: 5000, events: 100, perEvent: 50, passes: 3 } },
  { program: "density", parameters: { length: 10_001 } },
];

const collectors: readonly CollectorName[] = ["markSweep", "markSweepStop", "refcount"];
const runners: readonly StrategyName[] = [...collectors, "manual", "incremental", "minimal"];

/** Only a tracer knows what is garbage in it. */
const unfreeable: ProgramName = "graph";

test("every program is tried", () => {
  expect(jobs.map(({ program }) => program)).toEqual(Object.keys(programs));
});

test("a model's figures follow from what it is told", () => {
  const trees = { program: "binaryTrees", parameters: { depth: 4 } } as const;
  // A tree of depth 5, one of depth 4 that stays, and 2^4 more of depth 4.
  expect(runPlainly(trees)).toEqual({ checksum: 5 * 63 + 17 * 4 * 31, made: 63 + 17 * 31 });
  const rings = { program: "rings", parameters: { seed: 5, members: 1, live: 20, events: 1000 } } as const;
  expect(runPlainly(rings)).toEqual({ checksum: (3 * (999 * 1000)) / 2, made: 1000 });
  expect(runPlainly({ program: "cliques", parameters: { members: 3, live: 4, events: 2 } })).toEqual({
    checksum: 3 * (0 + 1 + 2) + 3 * (1 + 2 + 3),
    made: 14,
  });
});

/** Steps of a few units, in cycles that begin as soon as they may: so that they lie in between everything. */
const tight: HeapTuning = { minimumBytes: 4096, stepUnits: 50 };

describe.each(runners)("under %s", (name) => {
  test.each(jobs.filter(({ program }) => name !== "manual" || program !== unfreeable))(
    "$program, three times in one heap, gives what plain objects give",
    async (job) => {
      const workbench = await createWorkbench(name, false, tight);
      const run = prepareProgram(workbench, job, { collectAfter: 1000, timed: true });
      for (let pass = 0; pass < 3; pass++) {
        const { checksum, made } = run();
        expect({ checksum, made }).toEqual(runPlainly(job));
      }
      workbench.dispose();
    },
  );
});

test.each([...collectors, "manual"] as const)("%s gives the same in the debug module", async (name) => {
  for (const job of jobs) {
    if (name === "manual" && job.program === unfreeable) continue;
    const workbench = await createWorkbench(name, true, tight);
    const { checksum, made } = prepareProgram(workbench, job)();
    expect({ program: job.program, checksum, made }).toEqual({ program: job.program, ...runPlainly(job) });
    workbench.dispose();
  }
});

test.each(collectors)("%s has worked meanwhile", async (name) => {
  const workbench = await createWorkbench(name, false, tight);
  const { steps, units } = prepareProgram(workbench, jobs.find(({ program }) => program === "requests")!)();
  expect(steps).toBeGreaterThan(50);
  expect(units).toBeGreaterThan(10_000);
  workbench.dispose();
});

describe("the request pattern through the loop", () => {
  const parameters = { seed: 3, events: 400, beside: 2500 };

  test.each([
    ["plain objects", handlePlainly],
    ["a heap under mark-sweep", handleInHeap("mark-sweep")],
    ["a heap under mark-sweep-stop", handleInHeap("mark-sweep-stop")],
    ["a heap under refcount", handleInHeap("refcount")],
  ])("gives what it gives without, with %s", async (_, makeHandler) => {
    const { checksum, latencyMicros } = await measureRequestLoop(parameters, makeHandler);
    expect(checksum).toBe(requests(parameters).checksum);
    expect(latencyMicros.p50).toBeGreaterThan(0);
    expect(latencyMicros.max).toBeGreaterThanOrEqual(latencyMicros.p9999);
  });
});
