// Cases that fail, each in its own way, and one that works, for the tests of the harness.

import { defineSuite, measuredCase, timedCase } from "../../build/bench/harness/case.js";

const right = () => ({ run: () => 42 });

const timed = (name, broken, changes) =>
  timedCase({
    name,
    title: name,
    unit: "answer",
    operations: 1,
    metric: "time",
    baseline: "broken",
    subjects: { broken },
    expected: () => 42,
    ...changes,
  });

const compared = (name, broken) =>
  timed(name, broken, {
    baseline: "right",
    subjects: { right, broken },
    targets: [{ subject: "broken", ratio: { atMost: 1 } }],
  });

const measured = (name, broken) =>
  measuredCase({
    name,
    title: name,
    metric: "speed",
    metrics: { speed: "m/s" },
    baseline: "broken",
    subjects: { broken },
    expected: () => 42,
  });

export default defineSuite({
  name: "broken",
  title: "cases that fail",
  cases: [
    timed("wrong at once", () => ({ run: () => 41 })),
    compared("wrong later", () => {
      let calls = 0;
      return { run: () => (calls++ < 10 ? 42 : 43) };
    }),
    timed("throws", () => {
      throw new Error("the subject cannot be made");
    }),
    timed("throws later", () => {
      let calls = 0;
      return {
        run: () => {
          if (calls++ > 10) throw new Error("the subject has broken down");
          return 42;
        },
      };
    }),
    timed("exits", () => {
      console.error("last words");
      process.exit(3);
    }),
    timed("leaves quietly", () => process.exit(0)),
    timed("aborts", () => process.abort()),
    timed("never settles", () => new Promise(() => {})),
    timed(
      "hangs",
      () => {
        for (;;);
      },
      { timeoutSeconds: 2 },
    ),
    measured("wrong result", () => ({ metrics: { speed: 1 }, result: 41 })),
    measured("undeclared metric", () => ({ metrics: { speed: 1, colour: 2 }, result: 42 })),
    measured("no number", () => ({ metrics: { speed: Number.NaN }, result: 42 })),
    measured("metric missing", () => ({ metrics: {}, result: 42 })),
    compared("fine", right),
  ],
});
