import { createLoop, f64, type Region, RegionEndedError, type Scope, StaleReferenceError, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { NOTHING_LEFT, realLoop } from "./realLoop.js";
import { Gate, Outcome, SimulatedHost, SimulatedRuntime, settled } from "./simulation.js";

const Level = struct("Level", { price: f64 });

describe("a region that is handed on from one synchronous event to the next", () => {
  test("is empty for each, whatever comes between: events without it, failures, promises, fibers, large ones", async () => {
    const { loop, runtime, pass, failures } = await realLoop();
    const gate = new Gate();
    const check = (region: Region, price: number, count: number) => {
      for (let index = 0; index < count; index++) {
        const level = region.new(Level);
        if (level.price !== 0) throw new Error(`${price} was given a used record`);
        level.price = price;
      }
    };
    const quick = loop.on("quick", (price: number, { region }) => check(region, price, 3));
    const none = loop.on("none", (_: number) => {});
    const large = loop.on("large", (price: number, { region }) => check(region, price, 2000));
    const fails = loop.on("fails", (price: number, { region }) => {
      check(region, price, 1);
      throw new Error("planned");
    });
    const slow = loop.on("slow", async (price: number, { region }) => {
      check(region, price, 5);
      const kept = region.new(Level);
      kept.price = price;
      await gate.promise;
      if (kept.price !== price) throw new Error("written by another");
    });
    const lazy = loop.on("lazy", async (price: number, context) => {
      await gate.promise;
      check(context.region, price, 2);
    });
    const fiber = loop.on("fiber", function* (price: number, context) {
      if (price % 2 === 0) check(context.region, price, 2);
      if (price % 3 === 0) yield gate.promise;
      check(context.region, price, 2);
    });
    const kinds = [quick, none, large, fails, slow, lazy, fiber];
    let random = 1;
    for (let event = 0; event < 3000; event++) {
      random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      kinds[random % (event % 100 < 95 ? 2 : kinds.length)]!.post(event + 1);
    }
    loop.run();
    await pass();
    gate.open();
    await pass();
    expect(failures.every(({ error }) => (error as Error).message === "planned")).toBe(true);
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 3000 });
    await loop.close();
    expect(runtime.stats().bytesByOwner.arenas).toBe(0);
    runtime.validate();
  });

  test("ends records with their event, and itself with the last of the turn", async () => {
    const { loop, pass } = await realLoop();
    const kept: { region: Region; level: { price: number }; context: { region: Region } }[] = [];
    const stale: boolean[] = [];
    const kind = loop.on("kind", (price: number, context) => {
      for (const { level } of kept) {
        try {
          void level.price;
          stale.push(false);
        } catch (error) {
          stale.push(error instanceof StaleReferenceError);
        }
      }
      const level = context.region.new(Level);
      level.price = price;
      kept.push({ region: context.region, level, context });
    });
    for (let price = 1; price <= 4; price++) kind.post(price);
    loop.run();
    await pass();
    expect(stale).toEqual([true, true, true, true, true, true]);
    for (const { region, context } of kept) {
      expect(() => region.new(Level)).toThrow(RegionEndedError);
      expect(() => context.region).toThrow(RegionEndedError);
    }
    await loop.close();
  });

  test("that somebody has kept and given a record with a hook is reported, and the loop goes on", async () => {
    const { loop, pass, failures } = await realLoop();
    const Hooked = struct(
      "Hooked",
      { price: f64 },
      {
        destroy: () => {
          throw new Error("planned");
        },
      },
    );
    let kept: Region | undefined;
    const first = loop.on("first", (_: number, { region }) => {
      region.new(Level);
      kept = region;
    });
    const next = loop.on("next", (_: number) => {
      kept!.new(Hooked); // that of the event before, which has ended
    });
    const slow = loop.on("slow", async () => {
      kept!.new(Hooked);
      await undefined;
    });
    first.post(1);
    next.post(2);
    const idle = new Outcome(loop.runUntilIdle());
    await pass();
    expect([failures.length, idle.state]).toEqual([1, "resolved"]);
    first.post(3);
    slow.post(undefined);
    first.post(4);
    const again = new Outcome(loop.runUntilIdle());
    await pass();
    expect([failures.length, again.state]).toEqual([2, "resolved"]);
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 5 });
    await loop.close();
  });

  test("is given back when a heap is made inside a handler, which is collected from then on, never inside one", async () => {
    const { loop, runtime, pass, failures } = await realLoop();
    const running: number[] = [];
    let make: (scope: Scope) => void = () => {};
    const kind = loop.on("kind", (price: number, { region, scope }) => {
      region.new(Level).price = price;
      if (price === 3) {
        const heap = runtime.heap("mark-sweep", { types: [Level], minimumBytes: 1, stepUnits: 100 });
        heap.onCollection(() => void running.push(runtime.$memory.handlersRunning));
        make = (own) => void heap.new(Level, own);
      }
      for (let count = 0; count < 500; count++) make(scope);
    });
    for (let price = 0; price < 200; price++) kind.post(price);
    loop.run();
    await pass();
    expect(failures).toEqual([]);
    expect(running.length).toBeGreaterThan(0);
    expect(Math.max(...running)).toBe(0);
    expect(loop.stats()).toMatchObject(NOTHING_LEFT);
    await loop.close();
  });

  test("is no longer leased when the runtime is disposed of in between", async () => {
    const { loop, runtime, pass } = await realLoop();
    const seen: number[] = [];
    const kind = loop.on("kind", (price: number, { region }) => {
      region.new(Level).price = price;
      seen.push(price);
      if (price === 2) runtime.dispose();
    });
    for (let price = 0; price < 5; price++) kind.post(price);
    const run = new Outcome(loop.run());
    await pass();
    expect([seen, run.state]).toEqual([[0, 1, 2], "rejected"]);
    expect(await loop.close()).toEqual({ processed: 3, dropped: 2, abandoned: 0 });
  });
});

test("fibers that end, at once or later, have heaps collected, but not while a handler or a fiber may run", async () => {
  const host = new SimulatedHost();
  const simulation = new SimulatedRuntime();
  const loop = createLoop(simulation.runtime, { host, onError: (error) => failures.push(error) });
  const failures: unknown[] = [];
  let settles = 0;
  simulation.$memory.collectors.add({
    $figures: { steps: 0, units: 0, longestStepUnits: 0, longestStepMicroseconds: 0, cycles: 0 },
    $refused: () => {},
    $settle: () => {
      if (simulation.$memory.handlersRunning !== 0) throw new Error("a handler runs");
      settles++;
    },
    $idle: () => false,
  });
  const gate = new Gate();
  const kind = loop.on("kind", function* (wait: boolean) {
    if (wait) yield gate.promise;
  });
  kind.post(false);
  loop.run();
  await host.rest();
  expect([settles, failures]).toEqual([1, []]);
  kind.post(true);
  await host.rest();
  gate.open();
  await settled();
  await host.rest();
  expect(failures).toEqual([]);
  expect(settles).toBeGreaterThan(1);
  expect(loop.stats()).toMatchObject({ processed: 2, inFlight: 0 });
});
