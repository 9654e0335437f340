import { describe, expect, test } from "vitest";
import { heapShape } from "../support/collectorShapes.js";
import { type Scenario, scenarios } from "../support/cycleScenarios.js";
import { heapKinds, withCollectorRuntime } from "../support/rawHeap.js";
import { MEBIBYTE } from "../support/runtimes.js";
import { ShadowHeap, type ShadowOptions } from "../support/shadowHeap.js";

/** More units than the cycle of any scenario has. */
const UNITS_LIMIT = 5000;
/** So many units after something has changed all is looked at often, and otherwise seldom. */
const SOON = 24;

interface Played {
  /** False if the cycle had ended before the first part. */
  readonly wasInTime: boolean;
  readonly parts: number;
  /** The steps of one unit before which the collector's phase, or its count of objects, had changed. */
  readonly changes: readonly number[];
}

/**
 * Builds the scenario's graph, begins a cycle, does its parts after so many steps of one unit each, and ends the cycle,
 * checking all meanwhile.
 */
function play(model: ShadowHeap, scenario: Scenario, waits: readonly number[]): Played {
  const parts = scenario.build(model);
  const { heap } = model;
  model.beginCycle();
  let isOver = false;
  let steps = 0;
  let lastChange = 0;
  let state = "";
  const changes: number[] = [];
  const run = (count: number) => {
    for (let done = 0; done < count && !isOver; done++) {
      const { hooksRun } = model;
      isOver = model.step(1) === 0 && model.hooksRun === hooksRun;
      steps++;
      const now = `${heap.word("HEAP_PHASE")} ${heap.objects} ${model.hooksRun}`;
      if (now !== state) {
        changes.push(steps);
        lastChange = steps;
        state = now;
      }
      if (steps % (steps - lastChange < SOON ? 3 : 60) === 0) model.check();
      if (steps > UNITS_LIMIT) expect.fail(`the cycle has not ended after ${UNITS_LIMIT} units`);
    }
  };
  let wasInTime = true;
  parts.forEach((part, index) => {
    run(waits[index] ?? 0);
    if (index === 0) wasInTime = !isOver;
    part();
    lastChange = steps;
    model.check();
  });
  isOver = false;
  run(Infinity);
  model.check();
  model.collect();
  model.end();
  return { wasInTime, parts: parts.length, changes };
}

/** The steps worth a try of a cycle of so many: all at its beginning, all around changes, and some between. */
function positions(length: number, changes: readonly number[]): number[] {
  const found = new Set<number>();
  for (let step = 0; step <= Math.min(length, 40); step++) found.add(step);
  for (let step = 40; step < length; step += 29) found.add(step);
  for (const change of changes) for (let step = change - 3; step <= change + 3; step++) found.add(step);
  return [...found].filter((step) => step >= 0 && step <= length).sort((one, other) => one - other);
}

describe.each(heapKinds)("while a $strategy heap of the $module module collects", ({ strategy, debug }) => {
  test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))("%s", async (_, scenario) => {
    await withCollectorRuntime({ debug, maximumBytes: 512 * MEBIBYTE }, (runtime) => {
      const options: ShadowOptions = { strategy, shapes: scenario.shapes.map(heapShape) };
      const attempt = (...waits: number[]) => play(new ShadowHeap(runtime, options), scenario, waits);
      // All parts at once, after each number of steps; then the second after each number behind some beginnings.
      const { parts, changes } = attempt(UNITS_LIMIT);
      const length = changes.at(-1) ?? 0;
      for (const step of positions(length, changes)) attempt(step);
      if (parts === 1) return;
      const beginnings = new Set([0, 1, 2, 5, 9, 14, ...changes.slice(0, 3)]);
      for (const beginning of beginnings) {
        for (let between = 1; beginning + between <= length; between += 1 + Math.floor(between / 6)) {
          attempt(beginning, between);
        }
      }
    });
  });
});
