// What the simulation of tests/simulation has found, each in as few steps as it takes.

import type { Fiber, Region } from "tidemark";
import { createLoop, DisposedError, f64, LoopClosedError, OutOfMemoryError, RegionEndedError, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { PAGE, withRuntime } from "../support/runtimes.js";
import { Gate, Outcome, SimulatedHost, settled } from "./simulation.js";

describe("in the debug runtime, a fiber's region", () => {
  test("is no other event's, also if the fiber has ended before it waited", () =>
    withRuntime({ debug: true }, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      const regions: Region[] = [];
      const kind = loop.on("kind", function* (_: number, { region }) {
        regions.push(region);
      });
      for (let event = 0; event < 2; event++) kind.post(event);
      loop.runUntilIdle();
      await host.rest();
      expect(regions[0]).not.toBe(regions[1]);
      expect(() => regions[0]!.bytes(1)).toThrow(RegionEndedError);
    }));
});

describe("without memory for the timer of its deadline", () => {
  test.each(["async", "fiber"] as const)("an event (%s) keeps its region, ends once, and onError is told", (form) =>
    withRuntime({ initialBytes: 8 * PAGE, maximumBytes: 8 * PAGE }, async (runtime) => {
      const host = new SimulatedHost();
      const told: unknown[] = [];
      const loop = createLoop(runtime, { host, onError: (error) => told.push(error) });
      const gate = new Gate();
      let text: string | undefined;
      const asynchronous = async (_: undefined, { region }: { region: Region }) => {
        const bytes = region.text("kept");
        await gate.promise;
        text = bytes.toString();
      };
      const fiber = function* (_: undefined, { region }: { region: Region }) {
        const bytes = region.text("kept");
        yield gate.promise;
        text = bytes.toString();
      };
      const kind = loop.on("kind", form === "async" ? asynchronous : fiber, { deadline: 5 });
      loop.on("first", (_: undefined, { region }) => region.text("")).post(undefined);
      loop.spawn(function* () {}); // while there is memory for fibers, and for a region
      loop.runUntilIdle();
      await host.rest();
      const { timers } = loop;
      for (;;) {
        try {
          timers.arm(1e9, () => {});
        } catch {
          break;
        }
      }
      kind.post(undefined);
      loop.runUntilIdle();
      await host.rest();
      expect(told).toEqual([expect.any(OutOfMemoryError)]);
      expect(loop.stats()).toMatchObject({ inFlight: 1, regionsLive: 1, failed: 0 });
      gate.open();
      await settled();
      await host.rest();
      expect(text).toBe("kept");
      expect(loop.stats()).toMatchObject({ inFlight: 0, regionsLive: 0, failed: 0, processed: 2 });
    }),
  );
});

describe("a loop that closes without waiting", () => {
  test.each(["in its own first step", "in an event before it"] as const)(
    "ends a fiber that begins to wait %s",
    (where) =>
      withRuntime({}, async (runtime) => {
        const host = new SimulatedHost();
        const loop = createLoop(runtime, { host });
        let close: Outcome<unknown> | undefined;
        const kind = loop.on("kind", function* (closes: boolean) {
          if (closes) close = new Outcome(loop.close({ mode: "discard" }));
          if (!closes || where === "in its own first step") yield new Gate().promise;
        });
        kind.post(true);
        if (where === "in an event before it") kind.post(false);
        loop.run();
        await host.rest();
        expect(close?.state).toBe("resolved");
      }),
  );
});

describe("while a loop drains", () => {
  test.each(["a timer", "a fiber"] as const)("%s that goes on posting does not stop it", (poster) =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      const gate = new Gate();
      const slow = loop.on("slow", () => gate.promise);
      const beat = loop.on("beat", () => {});
      if (poster === "a timer") {
        loop.every(10, beat);
      } else {
        loop.spawn(function* () {
          const naps = [loop.sleep(10)];
          for (const nap of naps) yield nap;
          beat.post(undefined);
        });
      }
      const run = new Outcome(loop.run());
      slow.post(undefined);
      await host.rest();
      const close = new Outcome(loop.close());
      await host.advance(15);
      await host.rest();
      expect([run.state, close.state]).toEqual(["pending", "pending"]);
      gate.open();
      await settled();
      await host.rest();
      expect([run.state, close.state]).toEqual(["resolved", "resolved"]);
      expect(close.value).toEqual({ processed: 1, dropped: 0, abandoned: 0 });
    }),
  );

  test("the failure of a timer that is none of its refusals stops it", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      const gate = new Gate();
      const slow = loop.on("slow", () => gate.promise);
      const foreign = new LoopClosedError("of another loop");
      loop.after(10, () => {
        throw foreign;
      });
      const run = new Outcome(loop.run());
      slow.post(undefined);
      await host.rest();
      loop.close();
      await host.advance(15);
      await host.rest();
      expect(run.error).toBe(foreign);
      gate.open();
      await settled();
    }));
});

describe("an async function that sleeps on a loop's clock", () => {
  test("is woken with an error when the loop closes before its time", () =>
    withRuntime({}, async (runtime) => {
      const loop = createLoop(runtime, { host: new SimulatedHost() });
      const sleeps = [loop.sleep(10), loop.sleep(20)].map((sleep) => new Outcome(Promise.resolve(sleep)));
      await settled();
      await loop.close();
      await settled();
      expect(sleeps.map(({ error }) => error)).toEqual([expect.any(LoopClosedError), expect.any(LoopClosedError)]);
    }));

  test("is woken when the runtime is disposed of, so that the loop can close", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      const kind = loop.on("kind", async () => {
        await loop.sleep(10);
      });
      kind.post(undefined);
      const run = new Outcome(loop.run());
      await host.rest();
      runtime.dispose();
      await settled();
      expect(run.error).toBeInstanceOf(DisposedError);
      expect(await loop.close()).toEqual({ processed: 1, dropped: 0, abandoned: 0 });
    }));

  test("and another at once, on the same wait, are woken when each has slept as long", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      loop.run();
      const sleep = loop.sleep(10);
      const first = new Outcome(Promise.resolve(sleep));
      await settled();
      await host.advance(5);
      const second = new Outcome(Promise.resolve(sleep));
      await settled();
      await host.advance(6);
      await host.rest();
      expect([first.state, second.state]).toEqual(["resolved", "pending"]);
      await host.advance(6);
      await host.rest();
      expect(second.state).toBe("resolved");
      await loop.close();
    }));
});

describe("a loop whose runtime is disposed of", () => {
  test("still has its figures", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      const gate = new Gate();
      loop.on("kind", () => gate.promise).post(undefined);
      loop.after(10, () => {});
      loop.run().catch(() => {});
      await host.rest();
      runtime.dispose();
      expect(loop.stats()).toMatchObject({ inFlight: 1, timers: undefined });
      gate.open();
      await loop.close();
    }));

  test("closes, though timers were due", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      loop.after(10, () => {});
      const run = new Outcome(loop.run());
      await settled();
      await host.advance(20); // it is due, and the turn has not come
      runtime.dispose();
      await host.rest();
      expect(run.error).toBeInstanceOf(DisposedError);
      expect(await loop.close()).toEqual({ processed: 0, dropped: 0, abandoned: 0 });
    }));
});

describe("a fiber that was cancelled", () => {
  test("leaves no rejection to the platform of a promise that it would have waited for", () =>
    withRuntime({}, async (runtime) => {
      const strays: unknown[] = [];
      const listener = (reason: unknown) => void strays.push(reason);
      process.on("unhandledRejection", listener);
      try {
        const host = new SimulatedHost();
        const loop = createLoop(runtime, { host });
        const gate = new Gate();
        const fiber: Fiber = loop.spawn(function* () {
          fiber.cancel();
          yield gate.promise;
        });
        loop.run();
        await host.rest();
        expect(fiber.state).toBe("cancelled");
        gate.fail(new Error("sabotage"));
        await settled();
        expect(strays).toEqual([]);
        await loop.close();
      } finally {
        process.off("unhandledRejection", listener);
      }
    }));
});

describe("a fiber that never waits, but lets others run,", () => {
  test.each(["a close that discards", "an error"] as const)("does not outlive %s", (end) =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host, turn: { milliseconds: 1 } });
      const fiber: Fiber = loop.spawn(function* () {
        for (;;) {
          host.time++;
          yield;
        }
      });
      const fragile = loop.on("fragile", () => {
        throw new Error("sabotage");
      });
      const run = new Outcome(loop.run());
      for (let turn = 0; turn < 3; turn++) await host.step();
      if (end === "an error") fragile.post(undefined);
      else loop.close({ mode: "discard" });
      for (let turn = 0; turn < 3; turn++) await host.step();
      expect(run.state).not.toBe("pending");
      expect(fiber.state).toBe("cancelled");
    }),
  );
});

describe("a heap", () => {
  const Leaf = struct("Leaf", { value: f64 });

  test.each(["refcount", "mark-sweep"] as const)(
    "(%s) is collected by the loop after a host has grown the memory",
    (strategy) =>
      withRuntime({}, async (runtime) => {
        const host = new SimulatedHost();
        const heap = runtime.heap(strategy, { types: [Leaf], minimumBytes: 1 });
        const loop = createLoop(runtime, { host }); // stops at the first failure
        const kind = loop.on("kind", (_: number, { scope }) => {
          for (let leaf = 0; leaf < 100; leaf++) heap.new(Leaf, scope);
        });
        kind.post(0);
        const run = new Outcome(loop.run());
        await host.step();
        runtime.memory.grow(1);
        await host.rest();
        expect([run.state, run.error]).toEqual(["pending", undefined]);
        await loop.close();
        heap.destroy();
      }),
  );
});
