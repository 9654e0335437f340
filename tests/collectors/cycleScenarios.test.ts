import { describe, expect, test } from "vitest";
import { heapShape } from "../support/collectorShapes.js";
import { type Scenario, scenarios } from "../support/cycleScenarios.js";
import { heapKinds, withCollectorRuntime } from "../support/rawHeap.js";
import { MEBIBYTE } from "../support/runtimes.js";
import { ShadowHeap, type ShadowOptions } from "../support/shadowHeap.js";

/** More units than the cycle of any scenario has. */
const UNITS_LIMIT = 5000;

/**
 * Builds the scenario's graph, begins a cycle, does its parts after so many units each, and ends the cycle, checking all
 * after each unit. Returns false if the cycle had ended before the first part.
 */
function play(model: ShadowHeap, scenario: Scenario, waits: readonly number[], checkEvery: number): boolean {
  const parts = scenario.build(model);
  model.beginCycle();
  let isOver = false;
  let units = 0;
  const run = (count: number) => {
    for (let done = 0; done < count && !isOver; done++) {
      const { hooksRun } = model;
      isOver = model.step(1) === 0 && model.hooksRun === hooksRun;
      if (++units % checkEvery === 0) model.check();
      if (units > UNITS_LIMIT) expect.fail(`the cycle has not ended after ${UNITS_LIMIT} units`);
    }
  };
  let wasInTime = true;
  parts.forEach((part, index) => {
    run(waits[index]!);
    if (index === 0) wasInTime = !isOver;
    part();
    model.check();
  });
  isOver = false;
  run(Infinity);
  model.check();
  model.collect();
  model.end();
  return wasInTime;
}

describe.each(heapKinds)("while a $strategy heap of the $module module collects", ({ strategy, debug }) => {
  test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))("%s", async (_, scenario) => {
    await withCollectorRuntime({ debug, maximumBytes: 512 * MEBIBYTE }, (runtime) => {
      const options: ShadowOptions = { strategy, shapes: scenario.shapes.map(heapShape) };
      const attempt = (...waits: number[]) => play(new ShadowHeap(runtime, options), scenario, waits, debug ? 7 : 3);
      // Both parts at once after each number of units; then each number between them, from a few beginnings.
      let units = 0;
      while (attempt(units, 0)) units++;
      if (strategy !== "mark-sweep-stop") expect(units).toBeGreaterThan(3);
      const beginnings = new Set([0, 1, 2, 3, 5, 8, Math.floor(units / 3), Math.floor(units / 2)]);
      for (const beginning of beginnings) {
        for (let between = 1; beginning + between <= units; between += 1 + Math.floor(between / 12)) {
          attempt(beginning, between);
        }
      }
    });
  });
});
