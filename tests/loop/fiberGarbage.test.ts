import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/**
 * Runs in a process of its own, where nobody else makes garbage. Whatever fibers do, the same generators do without them, so
 * that what they make is known: an object for each `yield`, and the generator itself. The heap's young generation is small, so
 * that there are some hundred collections to compare.
 */
const program = `
  import { PerformanceObserver } from "node:perf_hooks";
  const { Baton, Channel, createFibers, createRuntime, Mutex } = await import(${JSON.stringify(entry)});
  const [what, who] = process.argv.slice(1);
  const runtime = await createRuntime();
  const frames = runtime.framePool();
  const sum = new Float64Array(1);
  const COUNT = 1_000_000;

  function* switching() { for (;;) { sum[0]++; yield sum; } }
  function* spawned() { sum[0]++; yield; sum[0]++; }

  const kinds = {
    switches: {
      bare() {
        const [one, other] = [switching(), switching()];
        return (count) => { for (let round = 0; round < count; round += 2) { one.next(); other.next(); } };
      },
      fibers() {
        const fibers = createFibers({ wake() {} });
        const [one, other] = [new Baton(), new Baton()];
        fibers.spawn(function* () { for (;;) { sum[0]++; other.post(); yield one.wait(); } });
        fibers.spawn(function* () { for (;;) { sum[0]++; one.post(); yield other.wait(); } });
        return (count) => fibers.run(count);
      },
    },
    spawns: {
      bare() {
        const made = new Array(100).fill();
        return (count) => {
          for (let round = 0; round < count; round += 100) {
            for (let spawn = 0; spawn < 100; spawn++) made[spawn] = spawned();
            for (let spawn = 0; spawn < 100; spawn++) made[spawn].next();
            for (let spawn = 0; spawn < 100; spawn++) made[spawn].next();
          }
        };
      },
      fibers() {
        const fibers = createFibers({ wake() {}, frames });
        const options = { detached: true };
        return (count) => {
          for (let round = 0; round < count; round += 100) {
            for (let spawn = 0; spawn < 100; spawn++) fibers.spawn(spawned, options);
            fibers.run();
          }
        };
      },
      frames() {
        const fibers = createFibers({ wake() {}, frames });
        const options = { detached: true, frame: "small" };
        return (count) => {
          for (let round = 0; round < count; round += 100) {
            for (let spawn = 0; spawn < 100; spawn++) fibers.spawn(spawned, options);
            fibers.run();
          }
        };
      },
    },
    // Two yields for each value or lock.
    channels: {
      bare() {
        const [one, other] = [switching(), switching()];
        return (count) => { for (let round = 0; round < count; round += 2) { one.next(); other.next(); } };
      },
      fibers() {
        const fibers = createFibers({ wake() {} });
        const channel = new Channel(16);
        fibers.spawn(function* () { for (;;) { yield channel.send(7); } });
        fibers.spawn(function* () { for (;;) { sum[0] += yield channel.receive(); } });
        return (count) => fibers.run(count);
      },
    },
    locks: {
      bare() {
        const [one, other] = [switching(), switching()];
        return (count) => { for (let round = 0; round < count; round += 2) { one.next(); other.next(); } };
      },
      fibers() {
        const fibers = createFibers({ wake() {} });
        const mutex = new Mutex();
        for (let count = 0; count < 3; count++) {
          fibers.spawn(function* () { for (;;) { yield mutex.lock(); sum[0]++; yield; mutex.unlock(); } });
        }
        return (count) => fibers.run(count);
      },
    },
  };

  const work = kinds[what][who]();
  work(300_000);
  const before = runtime.stats();
  let collections = 0;
  const observer = new PerformanceObserver((list) => { collections += list.getEntries().length; });
  observer.observe({ entryTypes: ["gc"] });
  gc();
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections = 0;
  work(COUNT);
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections += observer.takeRecords().length;
  const after = runtime.stats();
  console.log(JSON.stringify({ collections, before, after, inUse: frames.stats().inUse.small, live: process.memoryUsage().heapUsed }));
`;

async function play(what: string, who: string) {
  const node = promisify(execFile);
  const flags = ["--expose-gc", "--max-semi-space-size=1", "--input-type=module"];
  const { stdout } = await node(process.execPath, [...flags, "--eval", program, what, who]);
  return JSON.parse(stdout);
}

test.each([
  ["switches", "fibers"],
  ["spawns", "fibers"],
  ["spawns", "frames"],
  ["channels", "fibers"],
  ["locks", "fibers"],
])(
  "a million %s of %s cause no collection but those of bare generators, and take no more memory",
  async (what, who) => {
    const bare = await play(what, "bare");
    const { collections, before, after, inUse } = await play(what, who);
    expect(bare.collections).toBeGreaterThan(20);
    expect(collections).toBeLessThanOrEqual(bare.collections + 1); // where the first begins is chance
    expect(after).toEqual(before);
    expect(inUse).toBe(0);
  },
);
