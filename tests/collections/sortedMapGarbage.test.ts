import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/**
 * Runs in a process of its own, where nobody else makes garbage. A number that is passed is garbage too unless the
 * engine compiles the call in place, for which it has a budget; so each kind of call has a loop, and each kind of map a
 * process, as long as other kinds are not used as hotly beside it. Each loop is called for a thousand rounds at a time, as
 * a handler is called for each event: of a loop that runs on and on V8 13 has to replace the code while it runs, anew at
 * each call, and what it puts there first makes objects of numbers.
 */
const program = `
  import { PerformanceObserver } from "node:perf_hooks";
  const { createRuntime, f64, struct } = await import(${JSON.stringify(entry)});
  const runtime = await createRuntime();
  const sum = new Float64Array(1);
  let kept;

  const priceOf = (round) => 100 + ((round * 7919) % 5000) / 8;

  function numbers() {
    const prices = runtime.sortedMap(f64, f64, { order: "descending" });
    for (let index = 0; index < 5000; index++) prices.set(100 + index / 8, index / 4);
    return [
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
    ];
  }

  function structs() {
    const Level = struct("Level", { quantity: f64, orders: f64 });
    const levels = runtime.sortedMap(f64, Level);
    const level = runtime.cursor(Level);
    for (let index = 0; index < 5000; index++) levels.set(100 + index / 8, { quantity: 1, orders: 1 });
    return [
      function view(rounds) {
        for (let round = 0; round < rounds; round++) {
          if (levels.get(priceOf(round), level) !== undefined) level.quantity += 0.5;
        }
      },
      function ask(rounds) {
        for (let round = 0; round < rounds; round++) if (levels.has(priceOf(round))) sum[0] += 0.5;
      },
      function best(rounds) {
        for (let round = 0; round < rounds; round++) {
          const best = levels.first();
          if (best !== undefined) sum[0] += best.value.quantity;
        }
      },
      function above(rounds) {
        for (let round = 0; round < rounds; round++) {
          const next = levels.above(priceOf(round));
          if (next !== undefined) sum[0] += next.value.quantity;
        }
      },
      function iterate(rounds) {
        for (let round = 0; round < rounds; round += 1000) for (const { value } of levels) sum[0] += value.quantity;
      },
    ];
  }

  function waste() {
    return [
      function waste(rounds) {
        for (let round = 0; round < rounds; round++) kept = { round, sum: sum[0] };
      },
    ];
  }

  const loops = { numbers, structs, waste }[process.argv[1]]();
  const play = (rounds) => {
    for (let batch = 0; batch < rounds; batch += 1000) for (const loop of loops) loop(1000);
  };
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
  console.log(JSON.stringify({ fewest }));
`;

async function fewestCollections(mode: "numbers" | "structs" | "waste"): Promise<number> {
  const node = promisify(execFile);
  const { stdout } = await node(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program, mode]);
  return JSON.parse(stdout).fewest;
}

test("a million times each of setting, deleting, asking and iterating cause no collection", async () => {
  expect(await fewestCollections("numbers")).toBe(0);
});

test("a million times each of viewing structs, asking for them and iterating cause no collection", async () => {
  expect(await fewestCollections("structs")).toBe(0);
});

test("the count would have shown garbage of one small object a round", async () => {
  expect(await fewestCollections("waste")).toBeGreaterThan(0);
});
