import type { LoopOptions } from "tidemark";
import { createLoop, InvalidArgumentError, LoopClosedError, LoopStateError } from "tidemark";
import { describe, expect, test } from "vitest";
import { Gate, Outcome, SimulatedHost, SimulatedRuntime, settled } from "./simulation.js";

function setUp(options: LoopOptions = {}) {
  const host = new SimulatedHost();
  const simulation = new SimulatedRuntime();
  const loop = createLoop(simulation.runtime, { host, ...options });
  return { host, simulation, loop };
}

describe("posting", () => {
  test("never runs the handler before post returns, not even on an idle loop that runs", async () => {
    const { host, loop } = setUp();
    const seen: string[] = [];
    const kind = loop.on("greeting", (name: string) => seen.push(name));
    loop.run();
    expect(kind.post("a")).toBe("queued");
    expect(seen).toEqual([]);
    await host.step();
    expect(seen).toEqual(["a"]);
  });

  test("queues while the loop is not running, and handles nothing and schedules nothing then", async () => {
    const { host, loop } = setUp();
    const seen: number[] = [];
    const kind = loop.on("number", (value: number) => seen.push(value));
    kind.post(1);
    kind.post(2);
    expect(host.hops).toHaveLength(0);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(seen).toEqual([1, 2]);
    expect(idle.state).toBe("resolved");
    kind.post(3);
    expect(await host.rest()).toBe(0);
    expect(seen).toEqual([1, 2]);
  });

  test("handles events of all kinds in the order of their posts, with payloads, kinds and numbers as posted", async () => {
    const { host, loop } = setUp();
    const seen: unknown[] = [];
    const left = loop.on("left", (value: number, context) => seen.push([value, context.kind.name, context.sequence]));
    const right = loop.on("right", (value: string, { kind, sequence }) => seen.push([value, kind.name, sequence]));
    left.post(1);
    right.post("a");
    right.post("b");
    left.post(2);
    loop.runUntilIdle();
    await host.rest();
    expect(seen).toEqual([
      [1, "left", 0],
      ["a", "right", 1],
      ["b", "right", 2],
      [2, "left", 3],
    ]);
  });

  test("gives the handler the kind that was returned, so that it can post to it", async () => {
    const { host, loop } = setUp();
    let given: unknown;
    const kind = loop.on("kind", (_: number, context) => {
      given = context.kind;
    });
    kind.post(1);
    loop.runUntilIdle();
    await host.rest();
    expect(given).toBe(kind);
  });

  test("without a payload is possible for a kind that has none", async () => {
    const { host, loop } = setUp();
    let ticks = 0;
    const tick = loop.on<void>("tick", () => ticks++);
    tick.post();
    loop.runUntilIdle();
    await host.rest();
    expect(ticks).toBe(1);
  });

  test("refuses when the ring is full, and changes nothing", async () => {
    const { host, loop } = setUp({ queue: { capacity: 2 } });
    const seen: number[] = [];
    const kind = loop.on("number", (value: number) => seen.push(value));
    expect([1, 2, 3].map((value) => kind.post(value))).toEqual(["queued", "queued", "rejected"]);
    loop.runUntilIdle();
    await host.rest();
    expect(seen).toEqual([1, 2]);
    expect(loop.stats()).toMatchObject({ rejected: 1, processed: 2, queueHighWater: 2 });
  });

  test("spills into the bounded overflow for kinds whose policy says so, and nothing overtakes it", async () => {
    const { host, loop } = setUp({ queue: { capacity: 1, overflow: 2 }, turn: { events: 1 } });
    const seen: string[] = [];
    const strict = loop.on("strict", (value: string) => seen.push(value));
    const loose = loop.on("loose", (value: string) => seen.push(value), { policy: "spill" });
    expect([strict.policy, loose.policy]).toEqual(["reject", "spill"]);
    expect(loose.post("a")).toBe("queued");
    expect(loose.post("b")).toBe("spilled");
    expect(strict.post("c")).toBe("rejected");
    loop.run();
    await host.step();
    expect(seen).toEqual(["a"]);
    expect(strict.post("d")).toBe("rejected"); // b has moved up into the ring
    expect(loose.post("e")).toBe("spilled");
    await host.rest();
    expect(strict.post("f")).toBe("queued");
    await host.rest();
    expect(seen).toEqual(["a", "b", "e", "f"]);
    expect(loop.stats()).toMatchObject({ spilled: 2, rejected: 2, overflowHighWater: 1 });
  });

  test("takes the loop's policy where the kind names none", () => {
    const { loop } = setUp({ queue: { capacity: 1, overflow: 1, policy: "spill" } });
    const kind = loop.on("kind", (_: number) => {});
    const strict = loop.on("strict", (_: number) => {}, { policy: "reject" });
    expect([kind.post(1), strict.post(2), kind.post(3), kind.post(4)]).toEqual([
      "queued",
      "rejected",
      "spilled",
      "rejected",
    ]);
  });
});

describe("waiting for room", () => {
  test("is over at once while the ring has room", async () => {
    const { loop } = setUp({ queue: { capacity: 1 } });
    const ready = new Outcome(loop.ready());
    await settled();
    expect(ready.state).toBe("resolved");
  });

  test("is over for everybody after the turn that has made room, and not before", async () => {
    const { host, loop } = setUp({ queue: { capacity: 1, overflow: 1, policy: "spill" }, turn: { events: 1 } });
    const kind = loop.on("kind", (_: number) => {});
    kind.post(1);
    kind.post(2);
    const waits = [new Outcome(loop.ready()), new Outcome(loop.ready())];
    loop.run();
    await host.step();
    expect(waits.map(({ state }) => state)).toEqual(["pending", "pending"]); // the overflow has taken the room
    await host.step();
    expect(waits.map(({ state }) => state)).toEqual(["resolved", "resolved"]);
  });

  test("lets a producer that heeds it lose nothing", async () => {
    const { host, loop } = setUp({ queue: { capacity: 4 }, turn: { events: 3 } });
    const seen: number[] = [];
    const kind = loop.on("number", (value: number) => seen.push(value));
    loop.run();
    const produced = (async () => {
      for (let value = 0; value < 100; value++) {
        while (kind.post(value) === "rejected") await loop.ready();
      }
    })();
    await host.rest();
    await produced;
    await host.rest();
    expect(seen).toEqual(Array.from({ length: 100 }, (_, value) => value));
  });
});

describe("a turn", () => {
  test("handles what was queued at its start; what handlers post waits for a later one", async () => {
    const { host, loop } = setUp();
    let rounds = 0;
    const kind = loop.on("again", (value: number) => {
      rounds++;
      kind.post(value + 1);
    });
    kind.post(0);
    kind.post(100);
    loop.run();
    for (const expected of [2, 4, 6]) {
      await host.step();
      expect(rounds).toBe(expected);
      expect(host.hops).toHaveLength(1); // one hop at a time, and the host has its chance before each turn
    }
    expect(loop.stats().turns).toBe(3);
  });

  test("is capped by its count of events", async () => {
    const { host, loop } = setUp({ turn: { events: 3 } });
    let handled = 0;
    const kind = loop.on("kind", (_: number) => handled++);
    for (let value = 0; value < 8; value++) kind.post(value);
    loop.runUntilIdle();
    const after: number[] = [];
    while (await host.step()) after.push(handled);
    expect(after).toEqual([3, 6, 8]);
  });

  test("is capped by its time slice, overrunning by no more than it has taken, plus one handler", async () => {
    for (const cost of [0.01, 0.3, 1, 7, 1000]) {
      const { host, loop } = setUp({ turn: { milliseconds: 5 } });
      const kind = loop.on("kind", (_: number) => {
        host.time += cost;
      });
      for (let value = 0; value < 2000; value++) kind.post(value);
      loop.run();
      await host.step();
      expect(host.time).toBeGreaterThanOrEqual(5);
      expect(host.time).toBeLessThanOrEqual(2 * 5 + cost);
    }
  });

  test("reads the clock for a fraction of its events, and not at all for a single one", async () => {
    const { host, loop } = setUp();
    let readings = 0;
    host.now = () => {
      readings++;
      return 0;
    };
    const kind = loop.on("kind", (_: number) => {});
    kind.post(0);
    loop.run();
    await host.rest();
    expect(readings).toBe(0);
    for (let value = 0; value < 4096; value++) kind.post(value);
    await host.step();
    expect(loop.stats().queued).toBe(0);
    expect(readings).toBeLessThan(4096 / 50);
  });

  test("leaves an idle loop with nothing scheduled, until a post schedules one hop", async () => {
    const { host, loop } = setUp();
    const kind = loop.on("kind", (_: number) => {});
    loop.run();
    await settled();
    expect(host.hops).toHaveLength(0);
    for (let value = 0; value < 5; value++) kind.post(value);
    expect(host.hops).toHaveLength(1);
    await host.step();
    expect([host.hops.length, host.timers, loop.stats().turns]).toEqual([0, 0, 1]);
  });
});

describe("asynchronous handlers", () => {
  test("are in flight together, and settle in any order", async () => {
    const { host, loop } = setUp();
    const gates: Gate[] = [];
    const kind = loop.on("kind", (_: number) => {
      const gate = new Gate();
      gates.push(gate);
      return gate.promise;
    });
    for (let value = 0; value < 3; value++) kind.post(value);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(loop.stats()).toMatchObject({ inFlight: 3, processed: 0 });
    gates[2]!.open();
    gates[0]!.open();
    await settled();
    expect(loop.stats()).toMatchObject({ inFlight: 1, processed: 2 });
    expect(idle.state).toBe("pending");
    gates[1]!.open();
    await settled();
    expect(idle.state).toBe("resolved");
    expect(loop.stats()).toMatchObject({ inFlight: 0, inFlightHighWater: 3, processed: 3 });
  });

  test("stop dispatch at the bound, in strict order, and nothing is polled until one settles", async () => {
    const { host, loop } = setUp({ inFlight: 2 });
    const gates: Gate[] = [];
    const seen: string[] = [];
    const slow = loop.on("slow", (value: string) => {
      seen.push(value);
      const gate = new Gate();
      gates.push(gate);
      return gate.promise;
    });
    const quick = loop.on("quick", (value: string) => seen.push(value));
    slow.post("a");
    slow.post("b");
    slow.post("c");
    quick.post("d");
    loop.run();
    await host.rest();
    expect(seen).toEqual(["a", "b"]);
    expect(quick.post("e")).toBe("queued");
    expect(host.hops).toHaveLength(0);
    gates[1]!.open();
    await settled();
    expect(host.hops).toHaveLength(1);
    await host.rest();
    expect(seen).toEqual(["a", "b", "c"]); // full again
    gates[0]!.open();
    await settled();
    await host.rest();
    expect(seen).toEqual(["a", "b", "c", "d", "e"]);
    expect(loop.stats().inFlightHighWater).toBe(2);
  });

  test("may return any thenable, which counts once however often it calls back", async () => {
    const { host, simulation, loop } = setUp();
    let late: (() => void) | undefined;
    const kind = loop.on("kind", (_: number, { region }) => {
      void region;
      return {
        // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
        then(resolved: () => void, rejected: (error: Error) => void) {
          resolved();
          rejected(new Error("too late"));
          resolved();
          late = resolved;
        },
      };
    });
    kind.post(1);
    kind.post(2);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    late?.();
    await settled();
    expect(idle.state).toBe("resolved");
    expect(loop.stats()).toMatchObject({ processed: 2, failed: 0, regionsLeased: 2, regionsLive: 0 });
    expect(simulation.pool.live.size).toBe(0);
  });

  test("may return a promise that overrides then, which is honoured", async () => {
    const { host, loop } = setUp();
    let started = false;
    class LazyPromise extends Promise<undefined> {
      // biome-ignore lint/suspicious/noThenProperty: a promise that starts when waited for is what is tested
      override then<A = undefined, B = never>(
        resolved?: ((value: undefined) => A | PromiseLike<A>) | null,
        rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
      ): Promise<A | B> {
        started = true;
        return super.then(resolved, rejected);
      }
    }
    const kind = loop.on("kind", () => new LazyPromise((resolve) => resolve(undefined)));
    kind.post(undefined);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect([started, idle.state]).toEqual([true, "resolved"]);
  });

  test("that pose as promises and are none fail like a handler that throws", async () => {
    const { host, loop } = setUp();
    const impostor = loop.on("impostor", () => Object.create(Promise.prototype));
    impostor.post(undefined);
    const run = new Outcome(loop.run());
    await host.rest();
    expect(run.error).toBeInstanceOf(TypeError);
    expect(loop.stats()).toMatchObject({ inFlight: 0, processed: 1, failed: 1, regionsLive: 0 });
  });

  test("a generator that a plain function returns fails its event, as nothing would run it", async () => {
    const failures: unknown[] = [];
    const { host, loop } = setUp({ onError: (error) => failures.push(error) });
    let begun = 0;
    function* body() {
      begun++;
      yield;
    }
    async function* flow() {
      begun++;
      yield;
    }
    const traced = loop.on("traced", (value: number) => (value % 2 === 0 ? body() : flow()));
    for (let value = 0; value < 4; value++) traced.post(value);
    loop.run();
    await host.rest();
    expect(failures).toHaveLength(4);
    for (const failure of failures) expect(failure).toBeInstanceOf(InvalidArgumentError);
    expect(String(failures[0])).toMatch(/the handler of "traced" has returned a generator/);
    expect([begun, loop.stats().processed, loop.stats().failed]).toEqual([0, 4, 4]);
  });

  test("other things that handlers return are not waited for", async () => {
    const { host, loop } = setUp();
    // biome-ignore lint/suspicious/noThenProperty: a then that is no function is what is tested
    const impostors = [{ then: 1 }, { [Symbol.toStringTag]: "IdGenerator", next: () => {} }];
    const answers = [null, 0, "then", [], () => {}, Symbol("then"), ...impostors];
    const kind = loop.on("kind", (index: number) => answers[index]);
    for (const index of answers.keys()) kind.post(index);
    loop.run();
    await host.rest();
    expect(loop.stats()).toMatchObject({ processed: answers.length, failed: 0, inFlightHighWater: 0 });
  });
});

describe("running", () => {
  test("until idle is over at once when there is nothing to do, and may be done again", async () => {
    const { host, loop } = setUp();
    for (let round = 0; round < 3; round++) {
      const idle = new Outcome(loop.runUntilIdle());
      await settled();
      expect(idle.state).toBe("resolved");
    }
    expect(host.hops).toHaveLength(0);
  });

  test("twice is refused, and the first run goes on", async () => {
    const { host, loop } = setUp();
    const kind = loop.on("kind", (_: number) => {});
    const run = new Outcome(loop.run());
    await expect(loop.run()).rejects.toBeInstanceOf(LoopStateError);
    await expect(loop.runUntilIdle()).rejects.toBeInstanceOf(LoopStateError);
    kind.post(1);
    await host.rest();
    expect([run.state, loop.stats().processed]).toEqual(["pending", 1]);
  });

  test("inside a handler is refused, and the loop goes on", async () => {
    const { host, loop } = setUp();
    const errors: unknown[] = [];
    const kind = loop.on("kind", (inner: "run" | "runUntilIdle") => {
      loop[inner]().catch((error: unknown) => errors.push(error));
    });
    kind.post("run");
    kind.post("runUntilIdle");
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(errors.map((error) => error instanceof LoopStateError)).toEqual([true, true]);
    expect(idle.state).toBe("resolved");
  });

  test("a closed loop is refused", async () => {
    const { loop } = setUp();
    await loop.close();
    await expect(loop.run()).rejects.toBeInstanceOf(LoopClosedError);
    await expect(loop.runUntilIdle()).rejects.toBeInstanceOf(LoopClosedError);
  });

  test("two loops on one runtime do not disturb each other", async () => {
    const host = new SimulatedHost();
    const simulation = new SimulatedRuntime();
    const seen: string[] = [];
    const loops = ["left", "right"].map((name) => {
      const loop = createLoop(simulation.runtime, { host, turn: { events: 1 } });
      const kind = loop.on("kind", (value: number, { region }) => {
        void region;
        seen.push(`${name} ${value}`);
      });
      kind.post(1);
      kind.post(2);
      loop.run();
      return loop;
    });
    await host.rest();
    expect(seen).toEqual(["left 1", "right 1", "left 2", "right 2"]);
    expect(loops.map((loop) => loop.stats().regionsLeased)).toEqual([2, 2]);
  });
});
