import { createLoop, createRuntime, type Loop } from "tidemark";
import { expect, test, vi } from "vitest";
import { withoutStacks } from "../support/runtimes.js";
import { FailedSeed, playSeeds } from "./world.js";

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

test("a scenario that goes wrong is named by its seed and the command that plays it, and goes wrong alone, too", async () => {
  using runtime = await createRuntime();
  const prototype = Object.getPrototypeOf(createLoop(runtime)) as Loop;
  const { stats } = prototype;
  using _ = vi.spyOn(prototype, "stats").mockImplementation(function (this: Loop) {
    const real = stats.call(this);
    return { ...real, displaced: Math.min(real.displaced, 2) };
  });
  const passed: number[] = [];
  const failure = await playSeeds({ first: 3, count: 1000 }, { passed: (seed) => passed.push(seed) }).catch((e) => e);
  expect(failure).toBeInstanceOf(FailedSeed);
  const { seed, message } = failure as FailedSeed;
  expect(passed.at(-1)).toBe(seed - 1);
  expect(message).toMatch(/^seed \d+: \d+ events were dropped of/);
  expect(message).toContain(`\nalone, with all that happens: npm run simulate -- --seed ${seed} --trace`);
  const traces: (readonly string[])[] = [];
  const alone = playSeeds({ first: seed, count: 1, traced: seed }, { traced: (trace) => traces.push(trace) });
  await expect(alone).rejects.toThrow(message);
  expect(traces).toHaveLength(1);
  expect(traces[0]!.length).toBeGreaterThan(5);
});
