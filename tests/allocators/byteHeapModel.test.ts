import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HeapModel } from "../support/heapModel.js";
import { applyOperation, heapOperation, randomStep } from "../support/heapOperations.js";
import { RandomNumbers } from "../support/randomNumbers.js";
import { MEBIBYTE, modules, PAGE, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

describe.each(modules)("the byte heap of the $name module", ({ debug }) => {
  test("does what the model says, with every content, figure and invariant checked at each step", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(heapOperation, { maxLength: 60, size: "max" }), (list) =>
        withRuntime({ debug, maximumBytes: 256 * MEBIBYTE }, (runtime) => {
          const model = new HeapModel(runtime);
          for (const operation of list) {
            applyOperation(model, operation);
            model.check(true);
          }
          model.end();
        }),
      ),
      { numRuns: scaled(100) },
    );
  });

  test("does what the model says in lists of a thousand operations, in memory that is often too small", async () => {
    let refusals = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(heapOperation, { minLength: 1000, maxLength: 1000, size: "max" }),
        fc.integer({ min: 8, max: 150 }),
        (list, pages) =>
          withRuntime({ debug, initialBytes: 5 * PAGE, maximumBytes: pages * PAGE }, (runtime) => {
            const model = new HeapModel(runtime, { isTight: true });
            list.forEach((operation, index) => {
              applyOperation(model, operation);
              if (index % 100 === 0) model.check(true);
            });
            model.check(true);
            refusals += model.outOfMemory;
            model.end();
          }),
      ),
      { numRuns: scaled(50), endOnFailure: true },
    );
    expect(refusals).toBeGreaterThan(0);
  });

  test.each([
    { blocks: 30, bulk: 10 },
    { blocks: 500, bulk: 60 },
    { blocks: 5000, bulk: 400 },
  ])("does what the model says in a long run with some $blocks blocks in use", async ({ blocks, bulk }) => {
    const count = scaled(debug ? 60_000 : 260_000);
    await withRuntime({ debug, maximumBytes: 512 * MEBIBYTE }, (runtime) => {
      const model = new HeapModel(runtime, { contentEvery: 3 });
      const random = new RandomNumbers(0x7d1e + blocks);
      const every = 20 * blocks;
      for (let next = every; model.operations < count; ) {
        randomStep(model, random, blocks, bulk);
        if (model.operations < next) continue;
        model.check(true);
        next += every;
      }
      expect(model.operations).toBeGreaterThanOrEqual(count);
      model.end();
    });
  });
});
