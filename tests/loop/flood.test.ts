import { createLoop, createRuntime, f64, RegionEndedError, StaleReferenceError, struct, u32 } from "tidemark";
import { describe, expect, test } from "vitest";

const EVENTS = 500_000;

/** A small generator of numbers, the same in every run (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

describe.each([false, true])("half a million events of all kinds, with a runtime whose debug is %s", (debug) => {
  test("are handled in order, each on zeroed records of its own that nobody else touches, and memory stays flat", async () => {
    using runtime = await createRuntime({ debug });
    const Cell = struct("Cell", { id: u32, square: f64 });
    const random = generator(42);
    let failures = 0;
    const loop = createLoop(runtime, {
      queue: { capacity: 500, overflow: 300 },
      inFlight: 40,
      onError: (error) => {
        if ((error as Error).message !== "planned") throw error;
        failures++;
      },
    });
    const shared = runtime.cursor(Cell);
    const expected: number[] = [];
    const cells = (id: number) => 1 + (id % 13);
    let handled = 0;
    let planned = 0;

    // Plain comparisons: an `expect` would cost more than the event.
    const inOrder = (id: number, sequence: number) => {
      if (sequence !== handled || expected[sequence % 1024] !== id) throw new Error(`${id} came as number ${sequence}`);
      handled++;
    };
    const quick = loop.on("quick", (id: number, { region, sequence }) => {
      inOrder(id, sequence);
      for (let index = cells(id); index > 0; index--) {
        region.new(Cell, shared);
        if (shared.id !== 0 || shared.square !== 0) throw new Error(`${id} was given a used record`);
        shared.id = id;
        shared.square = id * id;
      }
      if (id % 997 !== 0) return;
      planned++;
      throw new Error("planned");
    });
    const slow = loop.on(
      "slow",
      async (id: number, { region, sequence }) => {
        inOrder(id, sequence);
        const mine = region.array(Cell, cells(id));
        for (const cell of mine) {
          if (cell.id !== 0 || cell.square !== 0) throw new Error(`${id} was given a used record`);
          cell.id = id;
          cell.square = id * id;
        }
        for (let turn = id % 4; turn > 0; turn--) await undefined;
        if (id % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
        for (const cell of mine) {
          if (cell.id !== id || cell.square !== id * id) throw new Error(`another event wrote to the records of ${id}`);
        }
        if (id % 991 === 0) {
          planned++;
          throw new Error("planned");
        }
      },
      { policy: "spill" },
    );

    const run = loop.run();
    run.catch(() => {}); // awaited at the end; posting throws first
    let accepted = 0;
    let highWater = 0;
    for (let id = 0; id < EVENTS; id++) {
      const kind = random() % 4 === 0 ? slow : quick;
      expected[accepted % 1024] = id;
      while (kind.post(id) === "rejected") await loop.ready();
      accepted++;
      if (id === EVENTS / 5) highWater = runtime.stats().highWaterBytes;
    }
    const report = await loop.close();
    await run;
    expect(report).toEqual({ processed: EVENTS, dropped: 0, abandoned: 0 });
    expect([handled, failures]).toEqual([EVENTS, planned]);
    expect(planned).toBeGreaterThan(100);
    const { inFlightHighWater, queueHighWater, overflowHighWater, regionsLeased, regionsLive } = loop.stats();
    expect([inFlightHighWater, queueHighWater, regionsLeased, regionsLive]).toEqual([40, 500, EVENTS, 0]);
    expect(overflowHighWater).toBeLessThanOrEqual(300);
    expect(runtime.stats().highWaterBytes).toBeLessThanOrEqual(highWater);
    expect(() => shared.id).toThrow(StaleReferenceError);
    runtime.validate();
  });
});

describe("what a handler leaks", () => {
  test("of an asynchronous event is refused when it is used, and so is everything in it", async () => {
    using runtime = await createRuntime();
    const Cell = struct("Cell", { id: u32 });
    const loop = createLoop(runtime);
    const leaks: (() => unknown)[] = [];
    const slow = loop.on("slow", async (id: number, context) => {
      const { region } = context;
      const cell = region.new(Cell);
      cell.id = id;
      leaks.push(
        () => context.region,
        () => region.new(Cell),
        () => region.bytes(8),
        () => cell.id,
      );
      await undefined;
    });
    const quick = loop.on("quick", (_: number, { region }) => region.new(Cell));
    for (let round = 0; round < 3; round++) {
      slow.post(round);
      quick.post(round);
    }
    await loop.runUntilIdle();
    const errors = leaks.map((leak) => {
      try {
        return leak();
      } catch (error) {
        return (error as Error).constructor;
      }
    });
    for (let round = 0; round < 3; round++) {
      expect(errors.slice(4 * round, 4 * round + 4)).toEqual([
        RegionEndedError,
        RegionEndedError,
        RegionEndedError,
        StaleReferenceError,
      ]);
    }
    await loop.close();
  });
});
