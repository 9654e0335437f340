import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/**
 * What a million events may leave on the heap: the host's hops and clock readings. From Node 24 on a reading is 88 bytes until it is
 * compiled. The smallest object has 12 bytes.
 */
const HEAP_BYTES = 1_000_000 * (Number.parseInt(process.versions.node, 10) < 24 ? 1 : 2);

/** Runs in a process of its own, where nobody else makes garbage. */
const program = `
  import { PerformanceObserver } from "node:perf_hooks";
  const { createLoop, createRuntime, f64, struct } = await import(${JSON.stringify(entry)});
  const wasteful = process.argv[1] === "wasteful";
  const hooked = process.argv[1] === "hooked";
  const scoped = process.argv[1] === "scoped";

  const runtime = await createRuntime();
  let destroyed = 0;
  const hook = { destroy(level) { destroyed += level.price > -1 ? 1 : 0; } };
  const Level = struct("Level", { price: f64, quantity: f64 }, hooked ? hook : {});
  const level = runtime.cursor(Level);
  const loop = createLoop(runtime, { queue: { capacity: 2048, overflow: 4096, policy: "spill" } });
  const total = new Float64Array(1);
  let kept;

  // A heap as loop and scope see it, which makes no garbage itself.
  let open = 0;
  let settled = 0;
  let idle = 0;
  const range = { $end() { open--; } };
  const heap = {
    memory: runtime.$memory,
    $figures: { steps: 0, units: 0, longestStepUnits: 0, longestStepMicroseconds: 0, cycles: 0 },
    $openRange() { open++; return range; },
    $settle() { settled++; },
    $idle() { return ++idle % 100 !== 0; },
  };
  if (scoped) runtime.$memory.collectors.add(heap);
  const kind = loop.on("level", (price, context) => {
    const { region } = context;
    if (scoped) context.scope.$rangeOf(heap);
    region.new(Level, level);
    level.price = price;
    total[0] += level.price;
    if (wasteful) kept = { price, quantity: total[0] };
  });

  // Other kinds, as programs have them: the place that calls handlers then knows many, and does not compile this one into
  // itself, where it may run out of V8's budget for that, and a number be boxed.
  const others = [() => 1, () => 2, () => 3, () => 4].map((handler, index) => loop.on("other" + index, handler));

  async function play(events) {
    for (const other of others) other.post();
    for (let event = 0; event < events; ) {
      while (event < events && kind.post(event & 1023) !== "rejected") event++;
      await loop.runUntilIdle();
    }
  }

  await play(300_000);
  const before = runtime.stats();
  let collections = 0;
  const observer = new PerformanceObserver((list) => { collections += list.getEntries().length; });
  observer.observe({ entryTypes: ["gc"] });
  gc(); // so that what was there before cannot fill the young generation up
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections = 0;
  const heapBefore = process.memoryUsage().heapUsed;
  await play(1_000_000);
  const heapBytes = process.memoryUsage().heapUsed - heapBefore;
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections += observer.takeRecords().length;
  const after = runtime.stats();
  const { processed, regionsLeased, regionsLive, bytesReset, spilled } = loop.stats();
  console.log(JSON.stringify({ collections, heapBytes, before, after, processed, regionsLeased, regionsLive, bytesReset, spilled, destroyed, open, settled }));
`;

async function play(mode: "frugal" | "hooked" | "scoped" | "wasteful") {
  const node = promisify(execFile);
  const { stdout } = await node(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program, mode]);
  return JSON.parse(stdout);
}

test("a million synchronous events with a region and a record each cause no collection and take no more memory", async () => {
  const { collections, heapBytes, before, after, ...counts } = await play("frugal");
  expect(collections).toBe(0);
  expect(heapBytes).toBeLessThan(HEAP_BYTES);
  expect(after).toEqual(before);
  expect(counts).toMatchObject({ processed: 1_300_008, regionsLeased: 1_300_000, regionsLive: 0 });
  expect(counts.bytesReset).toBeGreaterThanOrEqual(1_300_000 * 16);
  expect(counts.spilled).toBeGreaterThan(0);
});

test("nor do a million records with a destroy hook", async () => {
  const { collections, heapBytes, before, after, destroyed } = await play("hooked");
  expect(collections).toBe(0);
  expect(heapBytes).toBeLessThan(HEAP_BYTES);
  expect(after).toEqual(before);
  expect(destroyed).toBe(1_300_000);
});

test("nor do a million scopes with a handle each, and a heap that is asked after each event what it owes", async () => {
  const { collections, heapBytes, before, after, ...counts } = await play("scoped");
  expect(collections).toBe(0);
  expect(heapBytes).toBeLessThan(HEAP_BYTES);
  expect(after).toEqual(before);
  expect(counts).toMatchObject({ processed: 1_300_008, open: 0, settled: 1_300_008 });
});

test("collections are counted where a handler makes garbage, so that none means none", async () => {
  const { collections } = await play("wasteful");
  expect(collections).toBeGreaterThan(0);
});
