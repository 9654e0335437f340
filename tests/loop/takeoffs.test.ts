import type { EventContext, LoopOptions } from "tidemark";
import { createLoop, LoopClosedError, RegionEndedError } from "tidemark";
import { describe, expect, test } from "vitest";
import { Gate, Outcome, SimulatedHost, SimulatedRuntime, settled } from "./simulation.js";

const EVENTS = 1000;

/** A loop with a thousand events whose handlers settle as soon as promises can, and `during` called by the one that settles first. */
function setUp(during: (event: number) => void = () => {}, options: LoopOptions = {}, debug = false) {
  const host = new SimulatedHost();
  const simulation = new SimulatedRuntime({ debug });
  const loop = createLoop(simulation.runtime, {
    host,
    queue: { capacity: EVENTS },
    turn: { events: EVENTS },
    ...options,
  });
  const begun: number[] = [];
  const ended: number[] = [];
  const quick = loop.on("quick", async (value: number, { region }) => {
    void region;
    begun.push(value);
    await null;
    ended.push(value);
    if (value === 0) during(begun.length);
  });
  for (let value = 0; value < EVENTS; value++) quick.post(value);
  return { host, simulation, loop, begun, ended };
}

describe("a turn that has many promises in flight", () => {
  test("lets those land that can before it goes on, and handles as many events in the same turn", async () => {
    const { host, loop, begun, ended } = setUp();
    const run = new Outcome(loop.runUntilIdle());
    expect(await host.rest()).toBe(1);
    expect(run.state).toBe("resolved");
    const order = Array.from({ length: EVENTS }, (_, index) => index);
    expect([begun, ended]).toEqual([order, order]);
    const { turns, inFlight, inFlightHighWater, processed, regionsLive } = loop.stats();
    expect({ turns, inFlight, processed, regionsLive }).toEqual({
      turns: 1,
      inFlight: 0,
      processed: EVENTS,
      regionsLive: 0,
    });
    expect(inFlightHighWater).toBeLessThan(256);
  });

  test("hands what settled ones had on to those that follow; what one that outlives the turn has is never another's", async () => {
    for (const debug of [false, true]) {
      const { host, loop } = setUp(undefined, {}, debug);
      const gate = new Gate();
      const never = new Gate();
      const contexts: EventContext[] = [];
      const keeps = loop.on("keeps", (value: number, context) => {
        contexts.push(context);
        expect(context.region.ended).toBe(false);
        if (value === EVENTS) gate.open(); // so that they land in a pause of another turn…
        if (value > EVENTS + 100) return never.promise; // …in which each flight is needed
        return value % 10 > 0 ? Promise.resolve() : gate.promise;
      });
      loop.run();
      await host.rest();
      for (let value = 0; value < EVENTS; value++) keeps.post(value);
      await host.rest();
      for (let value = EVENTS; value < 2 * EVENTS; value++) keeps.post(value);
      await host.rest();
      expect(contexts).toHaveLength(2 * EVENTS);
      if (debug) expect(new Set(contexts).size).toBe(2 * EVENTS);
      else expect(new Set(contexts.slice(0, EVENTS)).size).toBeLessThan(256);
      for (let event = 0; event < EVENTS; event += 10) {
        expect(contexts.lastIndexOf(contexts[event]!)).toBe(event);
        expect(() => contexts[event]!.region).toThrow(RegionEndedError);
      }
      never.open();
      await settled();
      expect(loop.stats()).toMatchObject({ regionsLive: 0, failed: 0, inFlight: 0 });
    }
  });

  test("ends by its slice of time all the same, and lets the host go first", async () => {
    const { host, loop, begun } = setUp(() => {
      host.time += 100;
    });
    const run = new Outcome(loop.runUntilIdle());
    await host.step();
    expect(begun.length).toBeLessThan(256);
    expect(host.hops.length).toBe(1);
    await host.rest();
    expect(run.state).toBe("resolved");
    expect(loop.stats()).toMatchObject({ processed: EVENTS, turns: 2 });
  });

  test.each(["discard", "drain"] as const)("can be closed meanwhile, by %s", async (mode) => {
    let at = 0;
    const set = setUp((event) => {
      at = event;
      closing = new Outcome(set.loop.close({ mode }));
    });
    let closing: Outcome<unknown> | undefined;
    const run = new Outcome(set.loop.run());
    await set.host.rest();
    await settled();
    expect(at).toBeGreaterThan(0);
    expect(at).toBeLessThan(EVENTS);
    const { processed, dropped, abandoned } = closing!.value as {
      processed: number;
      dropped: number;
      abandoned: number;
    };
    expect([processed + dropped, abandoned]).toEqual([EVENTS, 0]);
    if (mode === "drain") expect(dropped).toBe(0);
    else expect(dropped).toBeGreaterThan(0);
    expect([run.state, set.ended.length, set.loop.stats().regionsLive]).toEqual(["resolved", processed, 0]);
    expect([set.host.hops.length, set.host.timers]).toEqual([0, 0]);
  });

  test("can be stopped meanwhile by the caller's signal, and begins nothing more", async () => {
    const controller = new AbortController();
    const { host, loop, begun, ended } = setUp(() => controller.abort(new Error("enough")));
    const run = new Outcome(loop.run({ signal: controller.signal }));
    await host.rest();
    expect((run.error as Error).message).toBe("enough");
    expect(ended).toEqual(begun);
    expect(begun.length).toBeLessThan(EVENTS);
    expect(loop.stats()).toMatchObject({ processed: begun.length, dropped: EVENTS - begun.length, regionsLive: 0 });
    await expect(loop.run()).rejects.toThrow(LoopClosedError);
  });

  test("counts as lag what it lets others do meanwhile", async () => {
    const { host, loop } = setUp(
      () => {
        host.time += 2;
      },
      { observe: { lag: true } },
    );
    const run = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(run.state).toBe("resolved");
    expect(loop.stats().lag!.max).toBeCloseTo(2, 1);
  });

  test("goes on to its end when an onError rejects meanwhile, and the loop stops behind it", async () => {
    const fault = new Error("from onError");
    const host = new SimulatedHost();
    const loop = createLoop(new SimulatedRuntime().runtime, {
      host,
      queue: { capacity: EVENTS },
      onError: () => Promise.reject(fault),
    });
    let begun = 0;
    const quick = loop.on("quick", async (value: number) => {
      begun++;
      if (value === 0) throw new Error("planned");
    });
    for (let value = 0; value < EVENTS; value++) quick.post(value);
    const run = new Outcome(loop.run());
    await host.rest();
    expect(run.error).toBe(fault);
    expect(begun).toBeLessThan(EVENTS);
    expect(loop.stats()).toMatchObject({ processed: begun, dropped: EVENTS - begun, inFlight: 0 });
    expect([host.hops.length, host.timers]).toEqual([0, 0]);
  });

  test("ends with its runtime, if that is disposed of meanwhile", async () => {
    const set = setUp(() => set.simulation.dispose());
    const run = new Outcome(set.loop.run());
    await set.host.rest();
    expect(run.error).toMatchObject({ code: "ERR_TIDEMARK_DISPOSED" });
    expect(set.begun.length).toBeLessThan(EVENTS);
    expect(set.ended).toEqual(set.begun);
  });
});
