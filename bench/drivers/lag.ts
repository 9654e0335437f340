/** How late events are handled that come at a fixed rate, through a loop and through no more than it takes. */

import { makeFloor } from "./floor.js";

/** What the events go through. */
interface Way {
  /** @returns whether there was room */
  post(index: number): boolean;
  /** Has all that wait handled. */
  settle(): Promise<void> | void;
  /** From here on events are handled as they come, in turns of the platform. */
  run(): void;
  dispose(): Promise<void>;
}

/** Events that may wait: those of half a second and more. */
const CAPACITY = 1 << 20;

/** Makes a way to a handler. */
type MakeWay = (handle: (index: number) => void) => Way | Promise<Way>;

/** Through a loop. */
const makeLoopWay: MakeWay = async (handle) => {
  const { createLoop, createRuntime, f64, struct } = await import("tidemark");
  const runtime = await createRuntime();
  const Level = struct("Level", { price: f64, quantity: f64 });
  const level = runtime.cursor(Level);
  const loop = createLoop(runtime, { queue: { capacity: CAPACITY } });
  const kind = loop.on("tick", (index: number, { region }) => {
    region.new(Level, level);
    level.price = index;
    handle(index);
  });
  let running = Promise.resolve();
  return {
    post: (index) => kind.post(index) === "queued",
    settle: () => loop.runUntilIdle(),
    run() {
      running = loop.run();
    },
    async dispose() {
      await loop.close();
      await running;
      runtime.dispose();
    },
  };
};

/** Through a ring that is emptied whenever the platform has a turn for it. */
const makeRingWay: MakeWay = (handle) => {
  const { post, drain } = makeFloor([handle], CAPACITY);
  let isRunning = false;
  let isWaiting = false;
  const turn = () => {
    isWaiting = false;
    drain();
  };
  return {
    post(index) {
      if (isRunning && !isWaiting) {
        isWaiting = true;
        setImmediate(turn);
      }
      return post(0, index);
    },
    settle: drain,
    run() {
      isRunning = true;
    },
    async dispose() {},
  };
};

export const measureLagOfLoop = (quick: boolean) => measureLag(quick, makeLoopWay);
export const measureLagOfRing = (quick: boolean) => measureLag(quick, makeRingWay);

/**
 * Sends events at half the highest rate of a loop, whatever they go through and whether they are handled in time or not, and
 * gives percentiles of how late they are. A process measures that rate itself, since it is the machine's of that moment: the
 * rates of the subjects are nearly the same, and each is among the figures.
 */
async function measureLag(quick: boolean, makeWay: MakeWay) {
  const { build } = await import("hdr-histogram-js");
  const nanoseconds = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60e9,
    numberOfSignificantValueDigits: 3,
  });
  const dueTimes = new Float64Array(CAPACITY);
  let handled = 0;
  const handle = (index: number) => {
    handled++;
    nanoseconds.recordValue(Math.max(1, (performance.now() - dueTimes[index]!) * 1e6));
  };
  const hop = () => new Promise<void>((resolve) => setImmediate(resolve));

  const loop = await makeLoopWay(handle);
  const perMillisecond = (await highestRate(loop)) / 2;
  await loop.dispose();
  const way = await makeWay(handle);
  await highestRate(way); // the engine compiles it as it has the loop
  way.run();
  const play = async (milliseconds: number) => {
    const events = Math.floor(perMillisecond * milliseconds);
    const start = performance.now();
    handled = 0;
    for (let sent = 0; sent < events; ) {
      const due = Math.min(events, Math.floor((performance.now() - start) * perMillisecond));
      for (; sent < due; sent++) {
        const index = sent & (dueTimes.length - 1);
        dueTimes[index] = start + sent / perMillisecond;
        if (!way.post(index)) throw new Error(`the queue was full after ${sent} events`);
      }
      await hop();
    }
    while (handled < events) await hop();
    return handled === events;
  };
  await play(quick ? 500 : 1000); // the engine compiles once more for the small turns of this rate
  nanoseconds.reset();
  const result = await play(quick ? 500 : 4000);
  await way.dispose();
  const micros = (percentile: number) => nanoseconds.getValueAtPercentile(percentile) / 1000;
  return {
    metrics: { p50: micros(50), p999: micros(99.9), p9999: micros(99.99), eventsPerSecond: perMillisecond * 1000 },
    result,
  };
}

/** The most events in a millisecond, as fast as it goes: with the taking of time in the handler, which costs more than the rest. */
async function highestRate(way: Way): Promise<number> {
  let rate = 0;
  for (let round = 0; round < 6; round++) {
    const begin = performance.now();
    for (let batch = 0; batch < 20; batch++) {
      for (let event = 0; event < 4096; event++) way.post(event);
      await way.settle();
    }
    rate = Math.max(rate, (20 * 4096) / (performance.now() - begin));
  }
  return rate;
}
