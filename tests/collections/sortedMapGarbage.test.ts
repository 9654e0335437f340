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

  const priceOf = (round) => 100 + ((round * 7919) % 5000) / 8;
  // One loop for each: what an engine compiles in place, it does within a budget for each function.
  const loops = [
    function set(rounds) {
      for (let round = 0; round < rounds; round++) prices.set(priceOf(round), round / 4);
    },
    function toggle(rounds) {
      for (let round = 0; round < rounds; round++) {
        const price = priceOf(round);
        if (!prices.delete(price)) prices.set(price, round / 4);
      }
    },
    function best(rounds) {
      for (let round = 0; round < rounds; round++) {
        const best = prices.first();
        if (best !== undefined) sum[0] += best.key + best.value;
      }
    },
    function above(rounds) {
      for (let round = 0; round < rounds; round++) {
        const next = prices.above(priceOf(round));
        if (next !== undefined) sum[0] += next.key;
      }
    },
    function iterate(rounds) {
      for (let round = 0; round < rounds; round += 1000) for (const { key, value } of prices) sum[0] += key + value;
    },
    function view(rounds) {
      for (let round = 0; round < rounds; round++) {
        if (levels.get(priceOf(round), level) !== undefined) level.quantity += 0.5;
      }
    },
    function waste(rounds) {
      if (wasteful) for (let round = 0; round < rounds; round++) kept = { round, sum: sum[0] };
    },
  ];
  const play = (rounds) => { for (const loop of loops) loop(rounds); };

  for (let index = 0; index < 5000; index++) {
    prices.set(100 + index / 8, index / 4);
    levels.set(100 + index / 8, { quantity: 1, orders: 1 });
  }
  play(300_000);
  let collections = 0;
  const observer = new PerformanceObserver((list) => { collections += list.getEntries().length; });
  observer.observe({ entryTypes: ["gc"] });
  const counted = () => new Promise((resolve) => setTimeout(resolve, 20));
  let fewest = Infinity;
  // What is not compiled yet, or has to be again, makes garbage of numbers; it may take some rounds on a busy machine.
  for (let attempt = 0; attempt < 10 && fewest > 0; attempt++) {
    gc(); // so that what was there before cannot fill the young generation up
    await counted();
    collections = 0;
    play(1_000_000);
    await counted();
    fewest = Math.min(fewest, collections);
  }
  prices.validate();
  console.log(JSON.stringify({ fewest }));
`;

async function play(mode: "frugal" | "wasteful") {
  const node = promisify(execFile);
  const { stdout } = await node(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program, mode]);
  return JSON.parse(stdout);
}

test("a million times each of setting, deleting, asking, iterating and viewing cause no collection", async () => {
  const { fewest } = await play("frugal");
  expect(fewest).toBe(0);
});

test("the count would have shown garbage of one small object a round", async () => {
  const { fewest } = await play("wasteful");
  expect(fewest).toBeGreaterThan(0);
});
