import type { EventContext, LoopOptions, Region } from "tidemark";
import { createLoop, DisposedError, LoopClosedError, OutOfMemoryError, RegionEndedError } from "tidemark";
import { describe, expect, test } from "vitest";
import { Gate, Outcome, SimulatedHost, SimulatedRuntime, settled, simulated } from "./simulation.js";

function setUp({ debug = false, ...options }: LoopOptions & { debug?: boolean } = {}) {
  const host = new SimulatedHost();
  const simulation = new SimulatedRuntime({ debug });
  const loop = createLoop(simulation.runtime, { host, ...options });
  return { host, simulation, pool: simulation.pool, loop };
}

describe("the region of an event", () => {
  test("is leased when it is first read, and is the same however often it is read", async () => {
    const { host, pool, loop } = setUp();
    const frugal = loop.on("frugal", (_: number) => {});
    const lavish = loop.on("lavish", (_: number, context) => {
      expect(pool.live.size).toBe(0);
      const { region } = context;
      expect(pool.live.size).toBe(1);
      expect(context.region).toBe(region);
    });
    frugal.post(1);
    lavish.post(2);
    loop.run();
    await host.rest();
    expect(loop.stats()).toMatchObject({ processed: 2, failed: 0, regionsLeased: 1, regionsLive: 0 });
  });

  test("ends when a synchronous handler returns, and is leased to the next event as the same object", async () => {
    const { host, pool, loop } = setUp();
    const regions: Region[] = [];
    const kind = loop.on("kind", (bytes: number, { region }) => {
      simulated(region).bytes(bytes);
      regions.push(region);
    });
    for (const bytes of [10, 20, 30]) kind.post(bytes);
    loop.run();
    await host.rest();
    expect(new Set(regions).size).toBe(1);
    expect(regions[0]!.ended).toBe(true);
    expect(pool.created).toHaveLength(1);
    expect(loop.stats()).toMatchObject({ regionsLeased: 3, regionsLive: 0, bytesReset: 60 });
  });

  test("ends when a handler throws, before onError is told", async () => {
    const live: number[] = [];
    const { host, pool, loop } = setUp({ onError: () => live.push(pool.live.size) });
    const kind = loop.on("kind", (mode: "sync" | "async", { region }) => {
      void region;
      if (mode === "sync") throw new Error("thrown");
      return Promise.reject(new Error("rejected"));
    });
    kind.post("sync");
    kind.post("async");
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(idle.state).toBe("resolved");
    expect(live).toEqual([0, 0]);
    expect(loop.stats()).toMatchObject({ failed: 2, regionsLeased: 2, regionsLive: 0 });
  });

  test("lives as long as an asynchronous handler's promise is unsettled, and ends once, whichever way it settles", async () => {
    const { host, pool, loop } = setUp({ onError: () => {} });
    const gates: Gate[] = [];
    const regions: Region[] = [];
    const kind = loop.on("kind", async (_: number, { region }) => {
      regions.push(region);
      const gate = new Gate();
      gates.push(gate);
      await gate.promise;
      simulated(region).bytes(8);
    });
    kind.post(1);
    kind.post(2);
    loop.run();
    await host.rest();
    expect(pool.live.size).toBe(2);
    gates[1]!.fail(new Error("rejected"));
    await settled();
    expect(regions.map(({ ended }) => ended)).toEqual([false, true]);
    gates[0]!.open();
    await settled();
    expect(regions.map(({ ended }) => ended)).toEqual([true, true]);
    expect(loop.stats()).toMatchObject({ bytesReset: 8, processed: 2, failed: 1, regionsLive: 0 });
  });

  test("may be leased after an await, and then it still ends with the event", async () => {
    const { host, pool, loop } = setUp();
    const gate = new Gate();
    const kind = loop.on("kind", async (_: number, context) => {
      await gate.promise;
      simulated(context.region).bytes(16);
    });
    kind.post(1);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(pool.live.size).toBe(0);
    gate.open();
    await settled();
    expect(idle.state).toBe("resolved");
    expect(pool.live.size).toBe(0);
    expect(loop.stats()).toMatchObject({ regionsLeased: 1, bytesReset: 16 });
  });

  test("of an asynchronous event that outlives its turn, and its context, never serve another event", async () => {
    const { host, loop } = setUp();
    const contexts: EventContext<number>[] = [];
    const regions: Region[] = [];
    const gate = new Gate();
    const slow = loop.on("slow", async (_: number, context) => {
      contexts.push(context);
      regions.push(context.region);
      await gate.promise;
    });
    const quick = loop.on("quick", (_: number, context) => {
      contexts.push(context);
      regions.push(context.region);
    });
    slow.post(0);
    quick.post(1);
    slow.post(2);
    quick.post(3);
    loop.run();
    await host.rest();
    gate.open();
    await settled();
    quick.post(4);
    await host.rest();
    const first = regions[0]!;
    const second = regions[2]!;
    expect(regions.lastIndexOf(first)).toBe(0);
    expect(regions.lastIndexOf(second)).toBe(2);
    expect(contexts.lastIndexOf(contexts[0]!)).toBe(0);
    expect(contexts.lastIndexOf(contexts[2]!)).toBe(2);
    expect(() => simulated(second).bytes(1)).toThrow(RegionEndedError);
    expect(() => simulated(first).bytes(1)).toThrow(RegionEndedError);
    expect(() => contexts[0]!.region).toThrow(RegionEndedError);
    expect(() => contexts[2]!.region).toThrow(RegionEndedError);
  });

  test("cannot be leased through a context whose event has ended", async () => {
    const { host, loop } = setUp();
    let leaked: EventContext<number> | undefined;
    const kind = loop.on("kind", (_: number, context) => {
      leaked = context;
    });
    kind.post(1);
    loop.run();
    await host.rest();
    expect(() => leaked!.region).toThrow(RegionEndedError);
    expect(() => leaked!.region).toThrow(/event 0 has ended/);
    expect(loop.stats().regionsLeased).toBe(0);
  });

  test("is an object of its own for every event in a debug runtime, and so is the context", async () => {
    const { host, loop } = setUp({ debug: true });
    const contexts: EventContext<number>[] = [];
    const regions: Region[] = [];
    const kind = loop.on("kind", (_: number, context) => {
      contexts.push(context);
      regions.push(context.region);
      for (const earlier of contexts.slice(0, -1)) expect(() => earlier.region).toThrow(RegionEndedError);
    });
    for (let value = 0; value < 4; value++) kind.post(value);
    loop.run();
    await host.rest();
    expect([new Set(contexts).size, new Set(regions).size, loop.stats().failed]).toEqual([4, 4, 0]);
  });

  test("is made ready for what events of its kind use: at once when they need more, slowly less when they need less", async () => {
    const { host, loop } = setUp();
    const hints: number[] = [];
    const handler = (bytes: number, { region }: EventContext<number>) => {
      hints.push(simulated(region).sizeHint);
      simulated(region).bytes(bytes);
    };
    const large = loop.on("large", handler);
    const small = loop.on("small", handler);
    large.post(10_000);
    small.post(10);
    large.post(10_000);
    small.post(10);
    loop.run();
    await host.rest();
    expect(hints).toEqual([0, 0, 10_000, 10]);
    for (let event = 0; event < 200; event++) {
      large.post(100);
      await host.rest(); // within a turn, a small region is handed on as it is
    }
    const decay = hints.slice(4);
    expect(decay[0]).toBe(10_000);
    expect(decay[1]).toBe(10_000 - Math.floor(9900 / 16));
    for (let index = 1; index < decay.length; index++) expect(decay[index]).toBeLessThanOrEqual(decay[index - 1]!);
    expect(decay.at(-1)).toBeGreaterThanOrEqual(100);
    expect(decay.at(-1)).toBeLessThan(120);
  });
});

describe("a lease that is refused", () => {
  test("reaches the handler as an error it can deal with, and the next event may have more luck", async () => {
    const { host, pool, loop } = setUp();
    const results: string[] = [];
    const kind = loop.on("kind", (_: number, context) => {
      try {
        simulated(context.region).bytes(8);
        results.push("leased");
      } catch (error) {
        results.push(error instanceof OutOfMemoryError ? "refused" : "?");
        pool.leasesLeft = 10;
        simulated(context.region).bytes(8);
        results.push("leased again");
      }
    });
    pool.leasesLeft = 1;
    for (let value = 0; value < 3; value++) kind.post(value);
    loop.run();
    await host.rest();
    expect(results).toEqual(["leased", "refused", "leased again", "leased"]);
    expect(loop.stats()).toMatchObject({ failed: 0, regionsLeased: 3, regionsLive: 0, bytesReset: 24 });
  });

  test("that the handler lets through is that event's error, at every possible lease, and loses nothing else", async () => {
    for (let lucky = 0; lucky < 6; lucky++) {
      const failures: number[] = [];
      const { host, pool, loop } = setUp({
        onError: (error, { sequence }) => {
          expect(error).toBeInstanceOf(OutOfMemoryError);
          failures.push(sequence);
          pool.leasesLeft = Number.POSITIVE_INFINITY;
        },
      });
      const seen: number[] = [];
      const kind = loop.on("kind", (value: number, { region }) => {
        seen.push(value);
        simulated(region).bytes(1);
        return value % 2 === 0 ? Promise.resolve() : undefined;
      });
      pool.leasesLeft = lucky;
      for (let value = 0; value < 6; value++) kind.post(value);
      loop.runUntilIdle();
      await host.rest();
      expect(failures).toEqual([lucky]);
      expect(seen).toEqual([0, 1, 2, 3, 4, 5].filter((value) => value !== lucky));
      expect(loop.stats()).toMatchObject({ processed: 6, failed: 1, regionsLive: 0, regionsLeased: 5 });
    }
  });
});

describe("a region that cannot be ended", () => {
  test("is its event's error, with the handler's own error as the cause, and is not used again", async () => {
    const reports: unknown[] = [];
    const { host, pool, loop } = setUp({ onError: (error, { sequence }) => reports.push([sequence, error]) });
    const faults = [0, 1, 2, 3].map((index) => new Error(`corrupt ${index}`));
    const thrown = new Error("thrown");
    const regions: Region[] = [];
    const kind = loop.on("kind", (index: number, { region }) => {
      regions.push(region);
      pool.fault = faults[index];
      if (index === 1) throw thrown;
      if (index === 2) return Promise.resolve();
      if (index === 3) return Promise.reject(thrown);
      return undefined;
    });
    for (let index = 0; index < 4; index++) {
      kind.post(index);
      loop.runUntilIdle();
      await host.rest();
    }
    expect(reports).toEqual(faults.map((fault, index) => [index, fault]));
    expect(faults.map(({ cause }) => cause)).toEqual([undefined, thrown, undefined, thrown]);
    expect(new Set(regions).size).toBe(4);
    expect(loop.stats()).toMatchObject({ processed: 4, regionsLive: 0, regionsLeased: 4 });
  });
});

describe("a runtime disposed under its loop", () => {
  test("makes post throw, and stops the loop: nothing that was promised hangs", async () => {
    const { host, simulation, loop } = setUp({ queue: { capacity: 1 } });
    const kind = loop.on("kind", (_: number) => {});
    kind.post(1);
    const ready = new Outcome(loop.ready());
    const run = new Outcome(loop.run());
    simulation.dispose();
    expect(() => kind.post(2)).toThrow(DisposedError);
    expect(() => kind.post(2)).toThrow(DisposedError);
    await host.rest();
    expect(run.error).toBeInstanceOf(DisposedError);
    expect(ready.error).toBeInstanceOf(LoopClosedError);
    expect(await loop.close()).toEqual({ processed: 0, dropped: 1, abandoned: 0 });
  });

  test("has been told by the post, so a close of a loop that nobody runs has nothing to reject with", async () => {
    const { simulation, loop } = setUp();
    const kind = loop.on("kind", (_: number) => {});
    kind.post(1);
    simulation.dispose();
    expect(() => kind.post(2)).toThrow(DisposedError);
    expect(await loop.close()).toEqual({ processed: 0, dropped: 1, abandoned: 0 });
  });

  test("drops what is queued, and is no error for those in flight that end", async () => {
    const { host, simulation, loop } = setUp();
    const gate = new Gate();
    const slow = loop.on("slow", async (_: number, { region }) => {
      void region;
      await gate.promise;
    });
    const kind = loop.on("kind", (_: number, context) => context.region);
    slow.post(1);
    kind.post(2);
    kind.post(3);
    const run = new Outcome(loop.run());
    const frugal = loop.on("frugal", (_: number) => simulation.dispose());
    await host.rest();
    frugal.post(4);
    kind.post(5);
    await host.rest();
    expect(run.error).toBeInstanceOf(DisposedError);
    gate.open();
    await settled();
    expect(loop.stats()).toMatchObject({ inFlight: 0, processed: 4, failed: 0 });
    expect(await loop.close()).toEqual({ processed: 4, dropped: 1, abandoned: 0 });
  });

  test("while a handler holds its region does not make the event fail twice", async () => {
    const errors: unknown[] = [];
    const { host, simulation, loop } = setUp({ onError: (error) => errors.push(error) });
    const kind = loop.on("kind", (_: number, { region }) => {
      void region;
      simulation.dispose();
    });
    kind.post(1);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(idle.error).toBeInstanceOf(DisposedError);
    expect(errors).toEqual([]);
    expect(loop.stats()).toMatchObject({ processed: 1, failed: 0, regionsLive: 0 });
  });
});
