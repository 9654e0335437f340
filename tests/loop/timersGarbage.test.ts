import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/** Runs in a process of its own, where nobody else makes garbage. */
const program = `
  import { PerformanceObserver } from "node:perf_hooks";
  const { createRuntime, createTimers } = await import(${JSON.stringify(entry)});
  const runtime = await createRuntime();
  // A clock with fractions, as clocks are. A reading of it is garbage, as of the platform's. Where there are so many that they
  // alone would fill the young generation, it goes by whole milliseconds.
  const time = new Float64Array(1);
  let whole = 0;
  const now = process.argv[1] === "fire" ? () => whole : () => time[0];
  const host = { now, hop() {}, after: () => () => {} };
  const timers = createTimers(runtime, { host });
  let fired = 0;
  let kept;
  const fire = () => { fired++; };
  const kind = { post(payload) { fired += payload; return "queued"; } };
  const pool = Array.from({ length: 1024 }, () => timers.after(1, fire));
  const posting = Array.from({ length: 1024 }, () => timers.after(1, kind, 1));
  const periodic = timers.every(1, fire);

  const works = {
    cancel(rounds) {
      for (let round = 0; round < rounds; round++) {
        const timer = pool[round & 1023];
        timer.restart(1.25 + (round & 1023));
        timer.cancel();
      }
    },
    fire(rounds) {
      for (let round = 0; round < rounds; round += 1024) {
        for (let index = 0; index < 1024; index++) (index & 1 ? pool : posting)[index].restart(1.25 + (index & 3));
        for (let tick = 0; tick < 6; tick++) {
          whole++;
          timers.run();
        }
      }
    },
    arm(rounds) {
      for (let round = 0; round < rounds; round++) if (!timers.cancel(timers.arm(1.25 + (round & 1023), fire))) throw new Error();
    },
    waste(rounds) {
      for (let round = 0; round < rounds; round++) kept = { round };
    },
  };
  const work = works[process.argv[1]];
  const play = async (rounds) => {
    for (let batch = 0; batch < rounds; batch += 10_000) {
      work(10_000);
      await undefined; // lets what a stretch of code leaves to do at its end be done
    }
  };
  await play(300_000);
  const before = JSON.stringify(runtime.stats());
  let collections = 0;
  const observer = new PerformanceObserver((list) => { collections += list.getEntries().length; });
  observer.observe({ entryTypes: ["gc"] });
  const counted = () => new Promise((resolve) => setTimeout(resolve, 20));
  let fewest = Infinity;
  let bytes = Infinity;
  // What is not compiled yet, or has to be again, makes garbage of numbers; it may take some rounds on a busy machine.
  for (let attempt = 0; attempt < 10 && fewest > 0; attempt++) {
    gc();
    await counted();
    collections = 0;
    const heapBefore = process.memoryUsage().heapUsed;
    await play(1_000_000);
    bytes = Math.min(bytes, process.memoryUsage().heapUsed - heapBefore);
    await counted();
    fewest = Math.min(fewest, collections);
  }
  console.log(JSON.stringify({ fewest, bytes, flat: before === JSON.stringify(runtime.stats()), fired }));
`;

async function play(mode: "cancel" | "fire" | "arm" | "waste") {
  const node = promisify(execFile);
  const { stdout } = await node(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program, mode]);
  return JSON.parse(stdout) as { fewest: number; bytes: number; flat: boolean; fired: number };
}

/**
 * The engine may leave one number in an object of its own, a time or an id, where it did not compile a call in place: 16
 * bytes a round, where the young generation has two megabytes. Two objects a round would be more than this.
 */
const NUMBER_EACH = 12;

test("a million times arming and cancelling a timer make a number each at most, and take no more memory", async () => {
  const { fewest, flat } = await play("cancel");
  expect(fewest).toBeLessThanOrEqual(NUMBER_EACH);
  expect(flat).toBe(true);
});

test("a million that are armed and fire make none, with functions, posts and a periodic one", async () => {
  const { fewest, bytes, flat, fired } = await play("fire");
  expect({ fewest, flat }).toEqual({ fewest: 0, flat: true });
  expect(bytes).toBeLessThan(1_000_000);
  expect(fired).toBeGreaterThan(1_300_000);
});

test("a million that are armed and cancelled by number make a number each at most", async () => {
  const { fewest, flat } = await play("arm");
  expect(fewest).toBeLessThanOrEqual(NUMBER_EACH);
  expect(flat).toBe(true);
});

test("the count would have shown garbage of one small object a round", async () => {
  expect((await play("waste")).fewest).toBeGreaterThan(0);
});
