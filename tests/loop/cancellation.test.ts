import {
  Baton,
  createRuntime,
  DeadlineError,
  type EventContext,
  InvalidArgumentError,
  LoopClosedError,
  LoopStateError,
  OutOfMemoryError,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { NOTHING_LEFT, realLoop } from "./realLoop.js";
import { Gate, Outcome, settled } from "./simulation.js";

describe("an event's signal", () => {
  test("is made when it is first read, is the same each time, and serves its one event", async () => {
    const { loop, pass } = await realLoop();
    const signals: AbortSignal[] = [];
    const kept: EventContext[] = [];
    const kind = loop.on("kind", (_: number, context) => {
      kept.push(context);
      signals.push(context.signal);
      expect(context.signal).toBe(signals.at(-1));
      expect(context.signal.aborted).toBe(false);
    });
    kind.post(1);
    kind.post(2);
    loop.run();
    await pass();
    expect(new Set(signals).size).toBe(2);
    expect(() => kept[0]!.signal).toThrow(LoopStateError);
    await loop.close();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]); // nobody aborts what has ended
  });

  test("is aborted by a close that discards, whenever it is read, and the region ends when the handler has settled", async () => {
    const { loop, pass } = await realLoop();
    const gate = new Gate();
    const reasons: unknown[] = [];
    const early = loop.on("early", async (_: number, { region, signal }) => {
      void region;
      signal.addEventListener("abort", () => reasons.push(signal.reason));
      await gate.promise;
    });
    const late = loop.on("late", async (_: number, context) => {
      void context.region;
      await gate.promise;
      reasons.push(context.signal.reason);
    });
    early.post(1);
    late.post(2);
    loop.run();
    await pass();
    const close = new Outcome(loop.close({ mode: "discard" }));
    await pass();
    expect([reasons.length, close.state, loop.stats().regionsLive]).toEqual([1, "pending", 2]);
    gate.open();
    await pass();
    expect(reasons).toHaveLength(2);
    for (const reason of reasons) expect(reason).toBeInstanceOf(LoopClosedError);
    expect(close.value).toEqual({ processed: 2, dropped: 0, abandoned: 0 });
    expect(loop.stats()).toMatchObject(NOTHING_LEFT);
  });

  test("is aborted by a close that drains when its deadline has come, and it is not waited for any more", async () => {
    const { loop, pass } = await realLoop();
    const gate = new Gate();
    const reasons: unknown[] = [];
    const early = loop.on("early", async (_: number, { signal }) => {
      signal.addEventListener("abort", () => reasons.push(signal.reason));
      await gate.promise;
    });
    const late = loop.on("late", async (_: number, context) => {
      await gate.promise;
      reasons.push(context.signal.reason);
    });
    early.post(1);
    late.post(2);
    loop.run();
    await pass();
    const close = new Outcome(loop.close({ deadline: 5 }));
    await pass(4);
    expect([reasons.length, close.state]).toEqual([0, "pending"]);
    await pass(1);
    expect(close.value).toEqual({ processed: 0, dropped: 0, abandoned: 2 });
    expect(reasons).toHaveLength(1);
    gate.open();
    await pass();
    expect(reasons).toHaveLength(2);
    for (const reason of reasons) expect(reason).toBeInstanceOf(LoopClosedError);
  });

  test("is not aborted by a close that drains", async () => {
    const { loop, pass } = await realLoop();
    const aborted: boolean[] = [];
    const kind = loop.on("kind", async (_: number, { signal }) => {
      await loop.sleep(3);
      aborted.push(signal.aborted);
    });
    kind.post(1);
    loop.run();
    await pass();
    const close = new Outcome(loop.close());
    await pass(3);
    expect([aborted, close.state]).toEqual([[false], "resolved"]);
  });

  test("of an event that begins after the close, in the same turn, is aborted as well", async () => {
    const { loop, pass } = await realLoop();
    let close: Outcome<unknown> | undefined;
    const closing = loop.on("closing", () => {
      close = new Outcome(loop.close({ mode: "discard" }));
    });
    const kind = loop.on(
      "kind",
      (_: number, { signal }) =>
        new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => resolve());
        }),
    );
    closing.post(undefined);
    kind.post(1);
    loop.run();
    await pass();
    expect(close!.value).toEqual({ processed: 2, dropped: 0, abandoned: 0 });
  });

  test("is aborted when an error stops the loop, even by the handler's own first steps", async () => {
    const controller = new AbortController();
    const { loop, pass } = await realLoop();
    const reasons: unknown[] = [];
    const kind = loop.on("kind", async (index: number, context) => {
      const { signal } = context;
      if (index === 1) controller.abort(new Error("planned"));
      await undefined;
      reasons.push(signal.reason);
    });
    kind.post(0);
    kind.post(1);
    kind.post(2);
    const run = new Outcome(loop.run({ signal: controller.signal }));
    await pass();
    expect((run.error as Error).message).toBe("planned");
    expect(reasons).toHaveLength(2);
    for (const reason of reasons) expect(reason).toBeInstanceOf(LoopClosedError);
    expect(await loop.close()).toEqual({ processed: 2, dropped: 1, abandoned: 0 });
  });

  test("has listeners that may ask anything of the loop", async () => {
    for (const action of ["close", "run", "post", "dispose"]) {
      const { loop, runtime, pass, host } = await realLoop();
      const answers: Outcome<unknown>[] = [];
      const gate = new Gate();
      const kind = loop.on("kind", async (_: number, { signal }) => {
        signal.addEventListener("abort", () => {
          if (action === "close") answers.push(new Outcome(loop.close({ deadline: 1 })));
          else if (action === "run") answers.push(new Outcome(loop.run()));
          else if (action === "dispose") runtime.dispose();
          else expect(() => kind.post(1)).toThrow(LoopClosedError);
        });
        await gate.promise;
      });
      kind.post(1);
      loop.run().catch(() => {});
      await pass();
      const close = new Outcome(loop.close({ mode: "discard" }));
      gate.open();
      await pass(1);
      expect(close.state, action).toBe("resolved");
      expect(
        answers.map(({ state }) => state),
        action,
      ).toEqual(action === "close" ? ["resolved"] : action === "run" ? ["rejected"] : []);
      expect([host.hops.length, host.timers], action).toEqual([0, 0]);
    }
  });
});

describe("the deadline of a kind", () => {
  test("aborts the signal of an async handler, whose region lives until it settles", async () => {
    const { loop, pass, failures } = await realLoop();
    const gate = new Gate();
    const kind = loop.on(
      "kind",
      async (_: number, { region, signal }) => {
        void region;
        await gate.promise;
        signal.throwIfAborted();
      },
      { deadline: 5 },
    );
    kind.post(7);
    loop.run();
    await pass(5);
    expect([failures.length, loop.stats().regionsLive]).toEqual([0, 1]);
    gate.open();
    await pass();
    expect(failures[0]!.error).toBeInstanceOf(DeadlineError);
    expect((failures[0]!.error as DeadlineError).code).toBe("ERR_TIDEMARK_DEADLINE");
    expect((failures[0]!.error as Error).message).toContain("5 ms");
    expect(failures[0]!.event).toEqual({ kind: "kind", sequence: 0, payload: 7 });
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 1, failed: 1 });
    await loop.close();
  });

  test("cancels a fiber, which has then failed with it, and runs its finally blocks", async () => {
    const { loop, pass, failures } = await realLoop();
    const seen: string[] = [];
    const kind = loop.on(
      "kind",
      function* (wait: number, { region, signal }) {
        try {
          void region;
          yield loop.sleep(wait);
          seen.push(`slept ${wait}`);
        } finally {
          seen.push(`${signal.aborted}`);
        }
      },
      { deadline: 5 },
    );
    kind.post(3);
    kind.post(9);
    loop.run();
    await pass(20);
    expect(seen).toEqual(["slept 3", "false", "true"]);
    expect(failures.map(({ error, event }) => [(error as Error).constructor, event.payload])).toEqual([
      [DeadlineError, 9],
    ]);
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 2, failed: 1 });
    expect(loop.timers.stats().armed).toBe(0);
    await loop.close();
  });

  test("is counted from the handler's begin, and disarmed when it has settled", async () => {
    const { loop, pass } = await realLoop({ inFlight: 1 });
    const aborted: boolean[] = [];
    const kind = loop.on(
      "kind",
      async (_: number, { signal }) => {
        await loop.sleep(4);
        aborted.push(signal.aborted);
      },
      { deadline: 5 },
    );
    for (let index = 0; index < 3; index++) kind.post(index);
    loop.run();
    await pass(20);
    expect([aborted, loop.timers.stats().armed]).toEqual([[false, false, false], 0]);
    await loop.close();
  });

  test("must be milliseconds above 0", async () => {
    const { loop } = await realLoop();
    for (const deadline of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, "5", null]) {
      expect(() => loop.on("kind", () => {}, { deadline: deadline as number })).toThrow(InvalidArgumentError);
    }
    loop.on("kind", () => {}, { deadline: 0.5 });
    await loop.close();
  });

  test("that there is no memory for is told of, and the event goes on without it", async () => {
    using runtime = await createRuntime({ initialBytes: 131_072, maximumBytes: 131_072 });
    expect(() => {
      for (;;) runtime.arena().allocate(16_384);
    }).toThrow(OutOfMemoryError); // nothing is left
    const { loop, pass, failures } = await realLoop({}, runtime);
    const seen: string[] = [];
    const gate = new Gate();
    const fiber = loop.on(
      "fiber",
      function* () {
        seen.push("fiber");
        yield;
      },
      { deadline: 5 },
    );
    const slow = loop.on(
      "slow",
      async () => {
        await gate.promise;
        seen.push("slow");
      },
      { deadline: 5 },
    );
    fiber.post(undefined);
    slow.post(undefined);
    const idle = new Outcome(loop.runUntilIdle());
    await pass();
    expect(failures.map(({ event }) => event.kind)).toEqual(["fiber", "slow"]);
    expect([seen, idle.state, loop.stats().inFlight]).toEqual([["fiber"], "pending", 1]);
    gate.open();
    await pass();
    expect([seen, idle.state]).toEqual([["fiber", "slow"], "resolved"]);
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 2, failed: 0 });
    expect(await loop.close()).toEqual({ processed: 2, dropped: 0, abandoned: 0 });
  });
});

describe("the signal of a run", () => {
  test("stops the loop with its reason, and has one listener, until the run has settled", async () => {
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const { loop, pass } = await realLoop();
    const kind = loop.on("kind", (_: number) => {});
    for (let run = 0; run < 3; run++) {
      kind.post(run);
      const idle = new Outcome(loop.runUntilIdle({ signal }));
      expect(listeners).toBe(1);
      await pass();
      expect([idle.state, listeners]).toEqual(["resolved", 0]);
    }
    const run = new Outcome(loop.run({ signal }));
    kind.post(4);
    controller.abort(new Error("planned"));
    await settled();
    expect([(run.error as Error).message, listeners]).toEqual(["planned", 0]);
    expect(() => kind.post(5)).toThrow(LoopClosedError);
    expect(await loop.close()).toEqual({ processed: 3, dropped: 1, abandoned: 0 });
  });

  test("that is aborted already, or none at all, is refused, and the loop is as it was", async () => {
    const { loop, pass } = await realLoop();
    const reason = new Error("planned");
    await expect(loop.run({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    for (const signal of [5, null, {}, "signal"]) {
      await expect(loop.run({ signal: signal as never })).rejects.toBeInstanceOf(InvalidArgumentError);
    }
    const kind = loop.on("kind", (_: number) => {});
    kind.post(1);
    const idle = new Outcome(loop.runUntilIdle());
    await pass();
    expect([idle.state, loop.stats().processed]).toEqual(["resolved", 1]);
    await loop.close();
  });

  test("cancels the fibers that handle events", async () => {
    const controller = new AbortController();
    const { loop, pass } = await realLoop();
    const seen: string[] = [];
    const kind = loop.on("kind", function* () {
      try {
        yield new Baton().wait();
      } finally {
        seen.push("finally");
      }
    });
    kind.post(undefined);
    const run = new Outcome(loop.run({ signal: controller.signal }));
    await pass();
    controller.abort();
    await pass();
    expect([seen, run.state]).toEqual([["finally"], "rejected"]);
    expect(loop.stats()).toMatchObject(NOTHING_LEFT);
  });
});
