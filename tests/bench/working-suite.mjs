// Tiny cases whose outcome is known, for the tests of the harness.

import { appendFileSync } from "node:fs";
import { defineSuite, measuredCase, timedCase } from "../../build/bench/harness/case.js";

const OPERATIONS = 50_000;

/** Writes down which process has run which subject, where a test asks for it. */
function log(subject) {
  if (process.env.BENCH_TEST_LOG) appendFileSync(process.env.BENCH_TEST_LOG, `${process.pid} ${subject}\n`);
}

export default defineSuite({
  name: "working",
  title: "cases that work",
  cases: [
    timedCase({
      name: "summing",
      title: "add whole numbers",
      unit: "addition",
      operations: OPERATIONS,
      metric: "time",
      baseline: "boxed",
      subjects: {
        boxed: () => {
          const kept = new Array(1024);
          log("boxed");
          return {
            run() {
              let sum = 0;
              for (let index = 0; index < OPERATIONS; index++) {
                const box = { index, half: index + 0.5 };
                kept[index & 1023] = box;
                sum += box.index;
              }
              return sum;
            },
          };
        },
        plain: () => {
          log("plain");
          return {
            run() {
              let sum = 0;
              for (let index = 0; index < OPERATIONS; index++) sum += index;
              return sum;
            },
          };
        },
        deferred: () => ({
          async run() {
            let sum = 0;
            for (let index = 0; index < OPERATIONS; index++) sum += index;
            return sum;
          },
        }),
      },
      expected: () => (OPERATIONS * (OPERATIONS - 1)) / 2,
      targets: [
        { subject: "plain", ratio: { atMost: 0.9 } },
        { subject: "plain", metric: "collections", value: { atMost: 0 } },
        { subject: "boxed", metric: "rate", against: "plain", ratio: { atLeast: 1_000 } },
      ],
    }),
    measuredCase({
      name: "measured",
      title: "figures that a subject gives itself",
      metric: "speed",
      metrics: { speed: "m/s", quick: "boolean" },
      baseline: "slow",
      subjects: {
        slow: ({ quick }) => ({ metrics: { speed: 2, quick: Number(quick) }, result: { distance: 10 } }),
        fast: async () => ({ metrics: { speed: 6 }, result: { distance: 10 } }),
      },
      expected: () => ({ distance: 10 }),
      targets: [{ subject: "fast", ratio: { atLeast: 3 } }],
    }),
    measuredCase({
      name: "partly absent",
      title: "one of its peers is not on this machine",
      metric: "speed",
      metrics: { speed: "m/s" },
      baseline: "slow",
      subjects: {
        slow: () => ({ metrics: { speed: 2 }, result: 1 }),
        fast: () => ({ metrics: { speed: 6 }, result: 1 }),
      },
      absent: { elsewhere: "it needs another machine" },
      expected: () => 1,
      targets: [
        { subject: "fast", ratio: { atLeast: 3 } },
        { subject: "fast", ratio: { atLeast: 1 }, against: "elsewhere" },
      ],
    }),
    measuredCase({
      name: "waiting",
      title: "takes half a minute",
      metric: "speed",
      metrics: { speed: "m/s" },
      baseline: "waiting",
      subjects: {
        waiting: async () => {
          console.log("waiting");
          await new Promise((resolve) => setTimeout(resolve, 30_000));
          return { metrics: { speed: 1 }, result: 0 };
        },
      },
      expected: () => 0,
    }),
  ],
});
