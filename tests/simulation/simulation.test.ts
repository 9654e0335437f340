import { expect, test } from "vitest";
import { withoutStacks } from "../support/runtimes.js";
import { playSeeds } from "./world.js";

/** What continuous integration plays: always the same. `npm run simulate -- --from 10000 --seeds 1000000` plays others. */
const SEEDS = 10_000;

withoutStacks();

test("in ten thousand scenarios a loop keeps order, loses nothing, ends everything once, and closes", async () => {
  let passed = 0;
  await playSeeds({ first: 0, count: SEEDS }, { passed: () => passed++ });
  expect(passed).toBe(SEEDS);
}, 300_000);

test("a scenario that is played again is the same, to the last step, whatever was played before", async () => {
  const traces: (readonly string[])[] = [];
  for (const first of [37, 37, 32, 10]) {
    await playSeeds({ first, count: 38 - first, traced: 37 }, { traced: (trace) => traces.push(trace) });
  }
  expect(traces[0]!.length).toBeGreaterThan(20);
  for (const trace of traces) expect(trace).toEqual(traces[0]);
});
