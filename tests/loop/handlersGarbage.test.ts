import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/**
 * Runs in a process of its own, where nobody else makes garbage. What is counted: the engine's collections of a small young
 * generation; the bytes of linear memory; and, from samples of all allocations, the bytes of JavaScript's heap that the functions of
 * the package have taken, and all functions. What the engine makes for each generator (itself, an object for each `yield` and for
 * its end) is taken by the handler and by `next`, which are none of the package's.
 */
const program = `
  import { Session } from "node:inspector/promises";
  import { PerformanceObserver } from "node:perf_hooks";
  const { createLoop, createRuntime, f64, struct } = await import(${JSON.stringify(entry)});
  const [what] = process.argv.slice(1);
  const runtime = await createRuntime();
  const Level = struct("Level", { price: f64 });
  const level = runtime.cursor(Level);
  // How many async events a turn takes off goes by the clock, 230 or 254 say; a bound that is always reached makes it one number.
  const loop = createLoop(runtime, { queue: { capacity: 2048 }, inFlight: what === "async" ? 128 : 2048 });
  const sum = new Float64Array(1);
  const BATCH = 1000;

  function* fiber(price, context) { sum[0]++; yield; sum[0]++; }
  function* regional(price, { region }) { region.new(Level, level); sum[0]++; yield; sum[0]++; }
  const work = {
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

  const session = new Session();
  session.connect();
  const sampling = { includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true, samplingInterval: 4096 };
  await session.post("HeapProfiler.startSampling", sampling);
  await play(200_000);
  const { profile } = await session.post("HeapProfiler.stopSampling");
  const bytes = { own: 0, all: 0 };
  for (const left = [profile.head]; left.length > 0; ) {
    const { callFrame, selfSize, children } = left.pop();
    bytes.all += selfSize / 200_000;
    if (callFrame.url.includes("/bindings/")) bytes.own += selfSize / 200_000;
    left.push(...children);
  }
  const { processed, regionsLeased, regionsLive, inFlight, inFlightHighWater } = loop.stats();
  console.log(JSON.stringify({ collections, bytes, before, after: runtime.stats(), processed, regionsLeased, regionsLive, inFlight, inFlightHighWater }));
`;

async function play(what: string) {
  const flags = ["--expose-gc", "--max-semi-space-size=1", "--input-type=module"];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, "--eval", program, what]);
  return JSON.parse(stdout);
}

test("a million synchronous events of three priorities make no garbage, and take no more memory", async () => {
  const { collections, bytes, before, after, ...counts } = await play("synchronous");
  // Each turn makes a little, for its hop and the promise of its run: a thousand turns are a young generation or two.
  expect(collections).toBeLessThanOrEqual(4);
  expect(bytes.all).toBeLessThan(8); // an event; the smallest object has 12
  expect(after).toEqual(before);
  expect(counts).toMatchObject({ regionsLeased: 1_500_000, regionsLive: 0, inFlight: 0 });
});

// A thousand regions at once, and then none: the pool gives arenas back after such a peak, and makes some anew for the next, each
// with an object that stands for it. Without a region there is nothing, but for what a turn makes.
test.each([
  ["fibers", 8],
  ["regionalFibers", 32],
] as const)(
  "a million events of %s take fewer than %i bytes of JavaScript's heap each beside their generators, and no more memory",
  async (what, most) => {
    const { bytes, before, after, ...counts } = await play(what);
    expect(bytes.own).toBeLessThan(most); // an event; the smallest object has 12
    expect(bytes.all).toBeGreaterThan(100); // so that little means little: the generators are there
    expect(after.committedBytes).toBe(before.committedBytes);
    expect(after.highWaterBytes).toBe(before.highWaterBytes);
    expect(counts).toMatchObject({ processed: 1_500_012, regionsLive: 0, inFlight: 0 });
  },
);

test("a million events of async handlers take no more memory", async () => {
  const { before, after, ...counts } = await play("async");
  // How many arenas the pool holds just now goes by its decaying peak; what was taken from the host does not.
  expect(after.committedBytes).toBe(before.committedBytes);
  expect(after.highWaterBytes).toBe(before.highWaterBytes);
  expect(counts).toMatchObject({ processed: 1_500_012, regionsLive: 0, inFlight: 0, inFlightHighWater: 128 });
});
