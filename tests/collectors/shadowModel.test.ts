import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RandomNumbers } from "../support/randomNumbers.js";
import { heapKinds, withCollectorRuntime } from "../support/rawHeap.js";
import { MEBIBYTE } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";
import { ShadowHeap } from "../support/shadowHeap.js";
import { applyOperation, randomHook, randomOperation, shadowOperation } from "../support/shadowOperations.js";

/** How a program and its collector take turns. */
const turns = [
  { described: "steps of any size where the list says so", units: () => 0 },
  { described: "a step of one unit at every operation", units: () => 1 },
  { described: "a step of up to 8 units at every operation", units: (random: RandomNumbers) => 1 + random.below(8) },
  { described: "what is owed at every operation", units: () => -1 },
] as const;

describe.each(heapKinds)("a $strategy heap of the $module module", ({ strategy, debug }) => {
  test.each(turns)("agrees with a plain tracer, with $described", async ({ units }) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(shadowOperation, { maxLength: 80, size: "max" }),
        fc.nat(1_000_000),
        fc.constantFrom(1, 4, 1000),
        (list, seed, stepUnits) =>
          withCollectorRuntime({ debug, maximumBytes: 512 * MEBIBYTE }, (runtime) => {
            const random = new RandomNumbers(seed * 2 + 1);
            const model = new ShadowHeap(runtime, {
              strategy,
              minimumBytes: 1 + (seed % 3) * 4000,
              stepUnits,
              ...(seed % 2 === 0 ? {} : { inHook: randomHook(random) }),
            });
            for (const operation of list) {
              applyOperation(model, operation);
              const budget = units(random);
              if (budget > 0) model.step(budget);
              else if (budget < 0) model.settle();
              model.check();
            }
            if (seed % 5 === 0) model.destroy();
            else model.end();
          }),
      ),
      { numRuns: scaled(40), includeErrorInReport: true },
    );
  });

  test("agrees with a plain tracer in a long run", async () => {
    await withCollectorRuntime({ debug, maximumBytes: 512 * MEBIBYTE }, (runtime) => {
      const random = new RandomNumbers(0x7d1e);
      const model = new ShadowHeap(runtime, { strategy, minimumBytes: 100_000, inHook: randomHook(random) });
      const count = scaled(debug ? 4000 : 10_000);
      for (let next = 0; model.operations < count; ) {
        applyOperation(model, randomOperation(random));
        if (model.operations < next) continue;
        model.settle();
        model.check();
        next = model.operations + 40;
      }
      model.collect();
      model.end();
      expect(model.hooksRun).toBeGreaterThan(0);
    });
  });
});
