import type { CloseReport, LoopOptions } from "tidemark";
import { createLoop, InvalidArgumentError, LoopClosedError } from "tidemark";
import { describe, expect, test } from "vitest";
import { Gate, Outcome, SimulatedHost, SimulatedRuntime, settled } from "./simulation.js";

function setUp(options: LoopOptions = {}) {
  const host = new SimulatedHost();
  const simulation = new SimulatedRuntime();
  const loop = createLoop(simulation.runtime, { host, ...options });
  const seen: number[] = [];
  const gates: Gate[] = [];
  const quick = loop.on("quick", (value: number) => seen.push(value));
  const slow = loop.on("slow", async (value: number, { region }) => {
    void region;
    const gate = new Gate();
    gates.push(gate);
    await gate.promise;
    seen.push(value);
  });
  return { host, pool: simulation.pool, loop, quick, slow, seen, gates };
}

describe("closing by draining", () => {
  test("handles what is queued and in flight, takes no more posts, and ends the run", async () => {
    const { host, loop, quick, slow, seen, gates } = setUp({ turn: { events: 2 } });
    for (let value = 0; value < 4; value++) quick.post(value);
    slow.post(4);
    const run = new Outcome(loop.run());
    const close = new Outcome(loop.close({ mode: "drain" }));
    expect(() => quick.post(9)).toThrow(LoopClosedError);
    await host.rest();
    expect([run.state, close.state]).toEqual(["pending", "pending"]);
    gates[0]!.open();
    await settled();
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(close.value).toEqual({ processed: 5, dropped: 0, abandoned: 0 });
    expect(run.state).toBe("resolved");
    expect([host.hops.length, host.timers]).toEqual([0, 0]);
  });

  test("handles the queue of a loop that nobody runs, too", async () => {
    const { host, loop, quick, seen } = setUp();
    quick.post(1);
    const close = new Outcome(loop.close());
    await host.rest();
    expect([seen, close.value]).toEqual([[1], { processed: 1, dropped: 0, abandoned: 0 }]);
  });

  test("a run that waits for idleness finds it, as nothing of its work was lost", async () => {
    const { host, loop, quick, slow, gates } = setUp();
    quick.post(1);
    slow.post(2);
    const idle = new Outcome(loop.runUntilIdle());
    const close = new Outcome(loop.close());
    await host.rest();
    gates[0]!.open();
    await settled();
    expect([idle.state, close.state]).toEqual(["resolved", "resolved"]);
  });

  test("handles all that is queued, though handlers go on posting to another kind, and are refused", async () => {
    for (const running of [false, true]) {
      const { host, loop, quick, seen } = setUp();
      const first = loop.on("first", (value: number) => quick.post(value));
      const last = loop.on("last", async (value: number) => {
        await loop.ready();
        seen.push(value);
      });
      for (let value = 0; value < 5; value++) first.post(value);
      last.post(5);
      quick.post(6);
      const run = running ? new Outcome(loop.run()) : undefined;
      const close = new Outcome(loop.close());
      await host.rest();
      expect([seen, close.value]).toEqual([[6], { processed: 7, dropped: 0, abandoned: 0 }]);
      expect(loop.stats().failed).toBe(6);
      expect(run?.state).toBe(running ? "resolved" : undefined);
    }
  });

  test("an idle loop is over at once, also one that never ran", async () => {
    for (const running of [false, true]) {
      const { host, loop } = setUp();
      const run = running ? new Outcome(loop.run()) : undefined;
      expect(await loop.close()).toEqual({ processed: 0, dropped: 0, abandoned: 0 });
      expect(run?.state).toBe(running ? "resolved" : undefined);
      expect(host.hops).toHaveLength(0);
    }
  });

  test("keeps the bound on what is in flight", async () => {
    const { host, loop, slow, gates } = setUp({ inFlight: 1 });
    for (let value = 0; value < 3; value++) slow.post(value);
    const close = new Outcome(loop.close());
    for (let value = 0; value < 3; value++) {
      await host.rest();
      expect(gates).toHaveLength(value + 1);
      gates[value]!.open();
      await settled();
    }
    expect(close.value).toEqual({ processed: 3, dropped: 0, abandoned: 0 });
    expect(loop.stats().inFlightHighWater).toBe(1);
  });
});

describe("closing by discarding", () => {
  test("drops what is queued, and waits for what is in flight", async () => {
    const { host, loop, quick, slow, seen, gates } = setUp();
    slow.post(1);
    const run = new Outcome(loop.run());
    await host.rest();
    for (let value = 2; value < 5; value++) quick.post(value);
    const close = new Outcome(loop.close({ mode: "discard" }));
    await host.rest();
    expect(seen).toEqual([]);
    expect(close.state).toBe("pending");
    gates[0]!.open();
    await settled();
    expect(close.value).toEqual({ processed: 1, dropped: 3, abandoned: 0 });
    expect(run.state).toBe("resolved");
  });

  test("rejects a run that waits for idleness, as its work was dropped", async () => {
    const { host, loop, quick } = setUp();
    quick.post(1);
    quick.post(2);
    const idle = new Outcome(loop.runUntilIdle());
    const close = new Outcome(loop.close({ mode: "discard" }));
    await host.rest();
    expect(idle.error).toBeInstanceOf(LoopClosedError);
    expect((idle.error as Error).message).toContain("dropped 2 events");
    expect(close.value).toEqual({ processed: 0, dropped: 2, abandoned: 0 });
  });
});

describe("a deadline", () => {
  test("drops what is still queued and abandons what is in flight, whose regions live until they settle", async () => {
    const { host, pool, loop, quick, slow, gates } = setUp({ inFlight: 2 });
    slow.post(1);
    slow.post(2);
    quick.post(3);
    const idle = new Outcome(loop.runUntilIdle());
    const close = new Outcome(loop.close({ deadline: 100 }));
    await host.rest();
    await host.advance(99);
    expect(close.state).toBe("pending");
    await host.advance(1);
    expect(close.value).toEqual({ processed: 0, dropped: 1, abandoned: 2 });
    expect(idle.error).toBeInstanceOf(LoopClosedError);
    expect(pool.live.size).toBe(2);
    gates[0]!.open();
    await settled();
    expect(pool.live.size).toBe(1);
    gates[1]!.fail(new Error("late"));
    await settled();
    expect(pool.live.size).toBe(0);
    expect(loop.stats()).toMatchObject({ processed: 0, abandoned: 2, inFlight: 0, failed: 1, dropped: 1 });
  });

  test("that is not needed leaves no timer behind", async () => {
    const { host, loop, quick } = setUp();
    quick.post(1);
    const close = new Outcome(loop.close({ deadline: 1000 }));
    expect(host.timers).toBe(1);
    await host.rest();
    expect([close.state, host.timers]).toEqual(["resolved", 0]);
  });

  test("on a loop with nothing to wait for arms no timer that stays", async () => {
    const { host, loop } = setUp();
    await loop.close({ deadline: 1000 });
    expect(host.timers).toBe(0);
  });

  test("of zero waits for a timer, not for a handler", async () => {
    const { host, loop, slow } = setUp();
    slow.post(1);
    loop.run();
    await host.rest();
    const close = new Outcome(loop.close({ deadline: 0 }));
    await host.advance(0);
    expect(close.value).toEqual({ processed: 0, dropped: 0, abandoned: 1 });
  });

  test("reports the errors of abandoned events to onError, which may still want to know", async () => {
    const errors: unknown[] = [];
    const { host, loop, slow, gates } = setUp({ onError: (error) => errors.push(error) });
    slow.post(1);
    loop.run();
    await host.rest();
    const close = new Outcome(loop.close({ deadline: 1 }));
    await host.advance(1);
    expect(close.state).toBe("resolved");
    gates[0]!.fail("late");
    await settled();
    expect(errors).toEqual(["late"]);
  });
});

describe("a close", () => {
  test("that is called again returns the same promise, whatever its options", async () => {
    const { host, loop, quick } = setUp();
    quick.post(1);
    const first = loop.close();
    expect(loop.close({ mode: "discard" })).toBe(first);
    await host.rest();
    expect(loop.close()).toBe(first);
    expect(await first).toEqual({ processed: 1, dropped: 0, abandoned: 0 });
  });

  test("rejects all who wait for room, now and later", async () => {
    const { loop, quick } = setUp({ queue: { capacity: 1 } });
    quick.post(1);
    const ready = new Outcome(loop.ready());
    loop.close();
    await settled();
    expect(ready.error).toBeInstanceOf(LoopClosedError);
    await expect(loop.ready()).rejects.toBeInstanceOf(LoopClosedError);
  });

  test("inside a handler begins after the turn, but ends posting at once", async () => {
    for (const mode of ["drain", "discard"] as const) {
      const host = new SimulatedHost();
      const loop = createLoop(new SimulatedRuntime().runtime, { host, turn: { events: 2 } });
      const seen: number[] = [];
      const errors: unknown[] = [];
      let close: Outcome<CloseReport> | undefined;
      const kind = loop.on("kind", (value: number) => {
        seen.push(value);
        if (value > 0) return;
        close = new Outcome(loop.close({ mode }));
        try {
          kind.post(9);
        } catch (error) {
          errors.push(error);
        }
      });
      for (let value = 0; value < 4; value++) kind.post(value);
      const run = new Outcome(loop.run());
      await host.rest();
      expect(seen).toEqual(mode === "drain" ? [0, 1, 2, 3] : [0, 1]);
      expect(errors[0]).toBeInstanceOf(LoopClosedError);
      expect(close?.value).toEqual({ processed: seen.length, dropped: 4 - seen.length, abandoned: 0 });
      expect(run.state).toBe("resolved");
    }
  });

  test("inside a handler that awaits it is ended by its deadline", async () => {
    const host = new SimulatedHost();
    const loop = createLoop(new SimulatedRuntime().runtime, { host });
    let report: CloseReport | undefined;
    const kind = loop.on("kind", async (_: number) => {
      report = await loop.close({ deadline: 5 });
    });
    kind.post(1);
    const run = new Outcome(loop.run());
    await host.rest();
    await host.advance(5);
    expect(report).toEqual({ processed: 0, dropped: 0, abandoned: 1 });
    expect(run.state).toBe("resolved");
  });

  test("gives the regions' memory back, once, when nothing is in flight any more", async () => {
    for (const deadline of [5, undefined]) {
      const { host, pool, loop, slow, gates } = setUp();
      slow.post(1);
      slow.post(2);
      loop.run();
      await host.rest();
      const close = new Outcome(loop.close(deadline === undefined ? {} : { deadline }));
      await host.advance(5);
      expect(close.state).toBe(deadline === undefined ? "pending" : "resolved");
      gates[0]!.open();
      await settled();
      expect(pool.disposals).toBe(0);
      gates[1]!.open();
      await settled();
      await host.rest();
      await loop.close();
      expect([pool.disposals, pool.live.size]).toEqual([1, 0]);
    }
  });

  test("lets an abandoned event lease its region after the deadline", async () => {
    const host = new SimulatedHost();
    const simulation = new SimulatedRuntime();
    const loop = createLoop(simulation.runtime, { host });
    const gate = new Gate();
    const errors: unknown[] = [];
    const kind = loop.on("kind", async (_: number, context) => {
      await gate.promise;
      try {
        void context.region;
      } catch (error) {
        errors.push(error);
      }
    });
    kind.post(1);
    loop.run();
    await host.rest();
    const close = new Outcome(loop.close({ deadline: 5 }));
    await host.advance(5);
    expect(close.value).toEqual({ processed: 0, dropped: 0, abandoned: 1 });
    gate.open();
    await settled();
    expect(errors).toEqual([]);
    expect(loop.stats()).toMatchObject({ regionsLeased: 1, regionsLive: 0 });
    expect(simulation.pool.disposals).toBe(1);
  });

  test("by discarding is over when the last event in flight has settled, though a hop is still under way", async () => {
    const { host, loop, quick, slow, gates } = setUp();
    slow.post(1);
    const run = new Outcome(loop.run());
    await host.rest();
    quick.post(2);
    expect(host.hops).toHaveLength(1);
    const close = new Outcome(loop.close({ mode: "discard" }));
    gates[0]!.open();
    await settled();
    expect([run.state, close.value]).toEqual(["resolved", { processed: 1, dropped: 1, abandoned: 0 }]);
    await host.rest();
    expect(loop.stats()).toMatchObject({ processed: 1, dropped: 1, queued: 0, inFlight: 0 });
  });

  test("by discarding takes no longer for a large queue, however many events are in flight", async () => {
    // A time, since the work itself cannot be seen: to look through all slots whenever an event settles takes 6,000 ms
    // here, not to do so takes 5. The bound is far from both.
    const { host, loop, slow, gates } = setUp({ queue: { capacity: 2 ** 22 }, inFlight: 1000 });
    for (let value = 0; value < 1000; value++) slow.post(value);
    loop.run();
    await host.rest();
    expect(gates).toHaveLength(1000);
    const start = performance.now();
    const close = new Outcome(loop.close({ mode: "discard" }));
    for (const gate of gates) {
      gate.open();
      await settled();
    }
    await host.rest();
    expect(close.value).toEqual({ processed: 1000, dropped: 0, abandoned: 0 });
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test("with options that make no sense is refused, and closes nothing", async () => {
    const { host, loop, quick, seen } = setUp();
    const deadlines = [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 32, "1", null];
    for (const deadline of deadlines as number[]) {
      await expect(loop.close({ deadline })).rejects.toBeInstanceOf(InvalidArgumentError);
    }
    await expect(loop.close({ mode: "now" as "drain" })).rejects.toBeInstanceOf(InvalidArgumentError);
    await expect(loop.close(null as unknown as object)).rejects.toBeInstanceOf(InvalidArgumentError);
    expect(quick.post(1)).toBe("queued");
    loop.runUntilIdle();
    await host.rest();
    expect(seen).toEqual([1]);
  });

  test("is what leaving an await using block does", async () => {
    const { host, quick, seen, loop } = setUp();
    const left = (async () => {
      await using closing = loop;
      void closing;
      quick.post(1);
    })();
    await host.rest();
    await settled();
    await host.rest();
    await left;
    expect(seen).toEqual([1]);
    expect(() => quick.post(2)).toThrow(LoopClosedError);
  });
});
