import { execFile } from "node:child_process";
import { promisify } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LagHistogram } from "../../build/bindings/loop/lagHistogram.js";

describe("the lag's histogram", () => {
  test("is all zero before anything is recorded", () => {
    const zero = { count: 0, min: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
    expect(new LagHistogram().summary()).toEqual(zero);
  });

  test("knows percentiles and mean to one per cent, and the rest to the microsecond", () => {
    const millisecond = fc.double({ min: 0, max: 1e5, noNaN: true });
    fc.assert(
      fc.property(fc.array(millisecond, { minLength: 1, maxLength: 200 }), (values) => {
        const lag = new LagHistogram();
        for (const value of values) lag.record(value);
        const sorted = [...values].sort((a, b) => a - b);
        const { count, min, max, mean, ...percentiles } = lag.summary();
        expect(count).toBe(values.length);
        expect(min).toBeCloseTo(sorted[0]!, 2);
        expect(max).toBeCloseTo(sorted.at(-1)!, 2);
        const close = (value: number, exact: number) =>
          expect(Math.abs(value - exact)).toBeLessThanOrEqual(0.01 * exact + 0.001);
        close(mean, values.reduce((sum, value) => sum + value) / values.length);
        for (const [name, part] of Object.entries({ p50: 0.5, p90: 0.9, p99: 0.99, p999: 0.999 })) {
          const rank = Math.max(Math.ceil(part * values.length - 1e-9), 1);
          close(percentiles[name as "p50"], sorted[rank - 1]!);
        }
      }),
    );
  });

  test("takes whatever a clock may say: what is no time is 0, and what is beyond an hour an hour", () => {
    const lag = new LagHistogram();
    for (const value of [-1, Number.NaN, 1e12, Number.POSITIVE_INFINITY, 3_600_000]) lag.record(value);
    expect(lag.summary()).toMatchObject({ count: 5, min: 0, max: 3_600_000, p50: 3_600_000 });
  });

  test("makes no garbage when it records", async () => {
    const program = `
      const { PerformanceObserver } = await import("node:perf_hooks");
      const { LagHistogram } = await import(${JSON.stringify(new URL("../../build/bindings/loop/lagHistogram.js", import.meta.url).href)});
      let collections = 0;
      const observer = new PerformanceObserver((list) => { collections += list.getEntries().length; });
      observer.observe({ entryTypes: ["gc"] });
      const lag = new LagHistogram();
      const record = (rounds) => { for (let round = 0; round < rounds; round++) lag.record((round % 5000) / 777); };
      for (let warm = 0; warm < 20; warm++) record(10_000);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const before = collections;
      for (let round = 0; round < 300; round++) record(10_000);
      await new Promise((resolve) => setTimeout(resolve, 50));
      console.log(collections - before);
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program]);
    expect(Number(stdout)).toBeLessThanOrEqual(1);
  });
});
