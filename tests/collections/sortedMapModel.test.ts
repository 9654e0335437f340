import fc from "fast-check";
import { createRuntime, type Runtime } from "tidemark";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { modules } from "../support/runtimes.js";
import { scale, scaled } from "../support/scale.js";
import { operations, run, SUBJECTS } from "./sortedMapModel.js";

const ORDERS = ["ascending", "descending"] as const;

describe.each(modules)("a sorted map of the $name module", ({ debug }) => {
  let runtime: Runtime;
  let steps = 0;
  beforeAll(async () => {
    runtime = await createRuntime({ debug });
  });
  afterAll(() => runtime.dispose());

  for (const [name, { make, height }] of Object.entries(SUBJECTS)) {
    for (const order of ORDERS) {
      /** Runs lists of operations, and returns the greatest height of a tree that came about. */
      const check = (runs: number, length: number, keys: number, bulk: number, validateEach: boolean) => {
        let highest = 0;
        fc.assert(
          fc.property(operations(length, keys, bulk), (list) => {
            const subject = make(runtime, order);
            try {
              const taken = run(subject, list, order === "descending", validateEach);
              steps += taken.steps;
              highest = Math.max(highest, taken.height);
            } finally {
              subject.map.dispose();
            }
          }),
          { numRuns: scaled(runs) },
        );
        runtime.validate();
        return highest;
      };

      test(`from ${name}, ${order}, gives the answers of a plain one, and is sound after every change`, () => {
        check(40, 120, 60, 40, true);
      });

      test(`from ${name}, ${order}, gives the answers of a plain one as its tree grows and shrinks by levels`, () => {
        const highest = check(25, 300, 6_000, 900, false);
        if (scale >= 1) expect(highest).toBeGreaterThanOrEqual(height);
      });
    }
  }

  test("was held against the plain one in 100,000 operations and more", () => {
    expect(steps).toBeGreaterThan(100_000 * Math.min(scale, 1));
  });
});
