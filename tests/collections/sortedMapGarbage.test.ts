import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/** Runs in a process of its own, where nobody else makes garbage. */
const program = `
  import { PerformanceObserver } from "node:perf_hooks";
  const { createRuntime, f64, struct } = await import(${JSON.stringify(entry)});
  const wasteful = process.argv[1] === "wasteful";

  const runtime = await createRuntime();
  const Level = struct("Level", { quantity: f64, orders: f64 });
  const prices = runtime.sortedMap(f64, f64, { order: "descending" });
  const levels = runtime.sortedMap(f64, Level);
  const level = runtime.cursor(Level);
  const sum = new Float64Array(1);
  let kept;

  function play(rounds) {
    for (let round = 0; round < rounds; round++) {
      const price = 100 + ((round * 7919) % 5000) / 8;
      if (!prices.delete(price)) prices.set(price, round);
      if (levels.get(price, level) !== undefined) level.quantity += 0.5;
      sum[0] += (prices.first()?.key ?? 0) + (prices.last()?.value ?? 0) + (prices.above(price)?.key ?? 0);
      if (round % 1000 === 0) for (const { key, value } of prices) sum[0] += key + value;
      if (wasteful) kept = { price, sum: sum[0] };
    }
  }

  for (let index = 0; index < 5000; index++) {
    prices.set(100 + index / 8, 1);
    levels.set(100 + index / 8, { quantity: 1, orders: 1 });
  }
  play(300_000);
  let collections = 0;
  const observer = new PerformanceObserver((list) => { collections += list.getEntries().length; });
  observer.observe({ entryTypes: ["gc"] });
  gc(); // so that what was there before cannot fill the young generation up
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections = 0;
  const before = process.memoryUsage().heapUsed;
  play(1_000_000);
  const heapBytes = process.memoryUsage().heapUsed - before;
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections += observer.takeRecords().length;
  prices.validate();
  console.log(JSON.stringify({ collections, heapBytes }));
`;

async function play(mode: "frugal" | "wasteful") {
  const node = promisify(execFile);
  const { stdout } = await node(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program, mode]);
  return JSON.parse(stdout);
}

test("a million rounds of setting, deleting, asking and iterating cause no collection", async () => {
  const { collections, heapBytes } = await play("frugal");
  expect(collections).toBe(0);
  expect(heapBytes).toBeLessThan(1_000_000);
});

test("the count would have shown garbage of one small object a round", async () => {
  const { collections } = await play("wasteful");
  expect(collections).toBeGreaterThan(0);
});
