import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/**
 * Runs in a process of its own, where nobody else makes garbage. What is counted is the engine's collections of a small young
 * generation, and the bytes of linear memory. Fiber handlers are compared with the same generators without a loop, which make
 * what the engine makes for each: the generator, and an object for each `yield` and each end.
 */
const program = `
  import { PerformanceObserver } from "node:perf_hooks";
  const { createLoop, createRuntime, f64, struct } = await import(${JSON.stringify(entry)});
  const [what] = process.argv.slice(1);
  const runtime = await createRuntime();
  const Level = struct("Level", { price: f64 });
  const level = runtime.cursor(Level);
  const loop = createLoop(runtime, { queue: { capacity: 2048 }, inFlight: 2048 });
  const sum = new Float64Array(1);
  const BATCH = 1000;

  function* fiber(price, context) { sum[0]++; yield; sum[0]++; }
  function* regional(price, { region }) { region.new(Level, level); sum[0]++; yield; sum[0]++; }
  function* bare(price, context) { sum[0]++; yield; sum[0]++; }
  const work = {
    bare() {
      const made = new Array(BATCH).fill();
      return async () => {
        for (let index = 0; index < BATCH; index++) { made[index] = bare(index, sum); made[index].next(); }
        for (let index = 0; index < BATCH; index++) made[index].next();
      };
    },
    fibers: () => posting([loop.on("fiber", fiber)]),
    regionalFibers: () => posting([loop.on("fiber", regional)]),
    synchronous: () => posting(["high", "normal", "low"].map((priority) => loop.on(priority, (price, { region }) => {
      region.new(Level, level);
      sum[0]++;
    }, { priority }))),
    async: () => posting([loop.on("async", async (price, { region }) => { region.new(Level, level); await undefined; sum[0]++; })]),
  }[what]();
  // Others, as programs have them: the place that calls handlers then knows many, and compiles none into itself.
  const others = [() => 1, () => 2, () => 3, () => 4].map((handler, index) => loop.on("other" + index, handler));

  function posting(kinds) {
    return () => {
      for (let index = 0; index < BATCH; index++) kinds[index % kinds.length].post(index);
      return loop.runUntilIdle();
    };
  }
  async function play(events) {
    for (const other of others) other.post();
    for (let event = 0; event < events; event += BATCH) await work();
  }

  await play(300_000);
  const before = runtime.stats();
  let collections = 0;
  const observer = new PerformanceObserver((list) => { collections += list.getEntries().length; });
  observer.observe({ entryTypes: ["gc"] });
  gc();
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections = 0;
  await play(1_000_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections += observer.takeRecords().length;
  const { processed, regionsLeased, regionsLive, inFlight } = loop.stats();
  console.log(JSON.stringify({ collections, before, after: runtime.stats(), processed, regionsLeased, regionsLive, inFlight }));
`;

async function play(what: string) {
  const flags = ["--expose-gc", "--max-semi-space-size=1", "--input-type=module"];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, "--eval", program, what]);
  return JSON.parse(stdout);
}

test("a million synchronous events of three priorities cause hardly a collection, and take no more memory", async () => {
  const { collections, before, after, ...counts } = await play("synchronous");
  // Each turn makes a little, for its hop and the promise of its run: a thousand turns are a young generation or two.
  expect(collections).toBeLessThanOrEqual(4);
  expect(after).toEqual(before);
  expect(counts).toMatchObject({ regionsLeased: 1_300_000, regionsLive: 0, inFlight: 0 });
});

test("a million events of fiber handlers cause no more collections than their generators do, and take no more memory", async () => {
  const { collections: least } = await play("bare");
  expect(least).toBeGreaterThan(50);
  for (const what of ["fibers", "regionalFibers"]) {
    const { collections, before, after, ...counts } = await play(what);
    expect(collections, what).toBeLessThanOrEqual(1.05 * least + 4);
    expect(after, what).toEqual(before);
    expect(counts).toMatchObject({ processed: 1_300_008, regionsLive: 0, inFlight: 0 });
  }
});

test("a million events of async handlers take no more memory", async () => {
  const { before, after, ...counts } = await play("async");
  expect(after).toEqual(before);
  expect(counts).toMatchObject({ processed: 1_300_008, regionsLive: 0, inFlight: 0 });
});
