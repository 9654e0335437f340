import { describe, expect, test } from "vitest";
import { type Mix, prepareChurn } from "../../bench/drivers/churn.js";
import { churnPlainly } from "../../bench/drivers/churnModel.js";
import { prepareReplace, replacePlainly } from "../../bench/drivers/replace.js";
import { absenceOf, createWorkbench, isPeer, type StrategyName } from "../../bench/drivers/workbench.js";

const churners: readonly StrategyName[] = ["heap", "pool", "bump", "arena", "tlsf", "dlmalloc"];
const cells: readonly StrategyName[] = ["cells", "intrusiveList"];

const mix: Mix = { seed: 7, minimumLive: 100, maximumSize: 500, operations: 20_000, reallocates: false };

test("the model of a churn frees all, and reallocates only where it is asked to", () => {
  const { performed, peakLive } = churnPlainly({ ...mix, operations: 0 });
  expect(performed).toBe(200);
  expect(peakLive).toBeGreaterThan(100);
  expect(peakLive).toBeLessThan(100 * 500);
  expect(churnPlainly({ ...mix, reallocates: true })).not.toEqual(churnPlainly(mix));
});

test("the random numbers reach both ends of a range of sizes", () => {
  // With sizes of 1 to 4, the checksum counts the blocks of 4 alone: a quarter of the steps that allocate.
  const { checksum } = churnPlainly({ ...mix, maximumSize: 4, operations: 0, minimumLive: 4000 });
  const all = (4000 * 3999) / 2;
  expect(checksum / all).toBeGreaterThan(0.2);
  expect(checksum / all).toBeLessThan(0.3);
});

describe.each(churners)("churning %s", (name) => {
  test.runIf(absenceOf(name) === undefined).each([
    ["small blocks", mix],
    ["with reallocations", { ...mix, reallocates: true }],
    ["blocks too small for a word", { ...mix, maximumSize: 3 }],
    ["large blocks", { ...mix, minimumLive: 10, maximumSize: 100_000, operations: 1_000, reallocates: true }],
    ["none but the first fill", { ...mix, operations: 0 }],
  ] satisfies [string, Mix][])("%s, twice, gives what the plain model gives", async (_, mix) => {
    const workbench = await createWorkbench(name);
    const churn = prepareChurn(workbench, mix);
    for (let pass = 0; pass < 2; pass++) {
      const { peakTaken, ...result } = churn();
      expect(result).toEqual(churnPlainly(mix));
      expect(peakTaken).toBeGreaterThanOrEqual(result.peakLive);
    }
    workbench.dispose();
  });
});

test.each((["heap", "tlsf", "dlmalloc"] as const).filter((name) => absenceOf(name) === undefined))(
  "what memory grows by for %s is all that a churn has taken",
  async (name) => {
    const workbench = await createWorkbench(name);
    const churn = prepareChurn(workbench, mix);
    const grownBytes = workbench.watchGrowth();
    const before = grownBytes();
    const { peakTaken } = churn();
    // A peer has the rest of a page; what a runtime has free would be taken before its memory grows.
    expect(before).toBeLessThan(65_536);
    if (isPeer(name)) expect(grownBytes()).toBe(peakTaken);
    else expect(grownBytes()).toBe(1 << 20); // the least that Tidemark's memory grows by
    workbench.dispose();
  },
);

test.each(cells)("replacing cells of %s gives what the plain model gives", async (name) => {
  const workbench = await createWorkbench(name);
  const replacement = { seed: 9, live: 5000, cellBytes: 32, operations: 50_000 };
  const run = prepareReplace(workbench, replacement);
  expect(run()).toBe(replacePlainly(replacement));
  expect(run()).toBe(replacePlainly(replacement));
  workbench.dispose();
});

test("a peer that is not there cannot be made, and says why", async () => {
  const absence = absenceOf("dlmalloc");
  if (absence === undefined) expect((await createWorkbench("dlmalloc")).limitBytes).toBeGreaterThan(3 * 2 ** 30);
  else await expect(createWorkbench("dlmalloc")).rejects.toThrow(absence);
});
