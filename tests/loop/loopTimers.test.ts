import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  Baton,
  Condition,
  FiberCancelledError,
  FiberStateError,
  InvalidArgumentError,
  LoopClosedError,
  LoopStateError,
  Mutex,
  type Timer,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { NOTHING_LEFT, realLoop } from "./realLoop.js";
import { Gate, Outcome, settled } from "./simulation.js";

const NO_DELAYS = [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 47, "5", null, undefined, 5n] as number[];

describe("the timers of a loop", () => {
  test("call functions and post to kinds and batons, in its turns, ties in the order in which they were armed", async () => {
    const { loop, pass } = await realLoop();
    const seen: unknown[] = [];
    const kind = loop.on("kind", (value: number) => void seen.push(value));
    const baton = new Baton();
    loop.spawn(function* () {
      yield baton.wait();
      seen.push("baton");
    });
    loop.after(5, (text: string) => seen.push(text), "first");
    loop.after(5, kind, 7);
    loop.after(5, baton, undefined);
    loop.after(5, () => seen.push("last"));
    loop.run();
    await pass(4);
    expect(seen).toEqual([]);
    await pass(1);
    expect(seen).toEqual(["first", "last", "baton", 7]); // what was posted comes behind what has been due
    await loop.close();
  });

  test("are cancelled by those who have been given all of them, as batons are, as timers or by their numbers", async () => {
    const { loop, pass } = await realLoop();
    const baton = new Baton({ timers: loop.timers });
    let waited: unknown;
    loop.spawn(function* () {
      waited = yield baton.wait(60_000);
    });
    loop.run();
    await pass(1);
    expect(loop.timers.stats().armed).toBe(1);
    baton.post();
    await pass(1);
    expect([waited, loop.timers.stats().armed]).toEqual([true, 0]);
    const timer = loop.after(5, () => {});
    expect([loop.timers.cancel(timer), loop.timers.cancel(timer), timer.armed]).toEqual([true, false, false]);
    expect(loop.timers.cancel({} as Timer)).toBe(false);
    await loop.close();
  });

  test("that callbacks arm wait for the next turn, on a clock that stands still too", async () => {
    const { loop, host } = await realLoop();
    let calls = 0;
    const again = () => {
      calls++;
      loop.after(0, again);
    };
    loop.after(0, again);
    loop.run();
    await settled();
    for (let turns = 1; turns <= 5; turns++) {
      await host.step();
      expect(calls).toBe(turns);
    }
    const closed = loop.close({ mode: "discard" });
    await host.rest();
    await closed;
  });

  test("that make up for what they have missed do so once a turn", async () => {
    const { loop, host } = await realLoop();
    const kind = loop.on("busy", () => {
      host.time += 100;
    });
    let calls = 0;
    const every = loop.every(10, () => void calls++, { drift: "fixed-rate" });
    loop.run();
    kind.post(undefined);
    await settled();
    await host.step();
    await host.advance(0);
    const turns = await host.rest();
    expect(calls).toBe(10);
    expect(turns).toBeGreaterThanOrEqual(10);
    every.cancel();
    await loop.close();
  });

  test("and fibers that yield for ever leave a turn when its count is used up, though the clock stands still", async () => {
    const { loop, host } = await realLoop({ turn: { events: 10 } });
    let rounds = 0;
    const fiber = loop.spawn(function* () {
      for (;;) {
        rounds++;
        yield;
      }
    });
    const texts: string[] = [];
    const kind = loop.on("text", (text: string) => void texts.push(text));
    kind.post("between");
    loop.run();
    await settled();
    await host.step();
    expect([rounds, texts]).toEqual([10, ["between"]]);
    await host.step();
    expect(rounds).toBe(20);
    fiber.cancel();
    await host.rest();
    await loop.close();
  });

  test("that are due while a fiber of the same turn disposes of the runtime fire no more, and the turn ends", async () => {
    const { loop, host, runtime } = await realLoop();
    let fired = 0;
    for (let count = 0; count < 200; count++) loop.after(0, () => void fired++);
    loop.spawn(function* () {
      runtime.dispose();
      yield;
    });
    const run = loop.run();
    run.catch(() => {});
    await settled();
    await host.step();
    expect(fired).toBeLessThan(200);
    await host.rest();
    await expect(run).rejects.toThrow(/disposed/);
  });

  test("fire again and again, until they are cancelled", async () => {
    const { loop, pass } = await realLoop();
    let beats = 0;
    const every: Timer = loop.every(3, () => void (++beats === 4 && every.cancel()));
    loop.run();
    await pass(30);
    expect([beats, every.armed, loop.timers.stats().armed]).toEqual([4, false, 0]);
    await loop.close();
  });

  test("wait, when they are due, until somebody runs the loop, and fire then", async () => {
    const { loop, host, pass } = await realLoop();
    const seen: string[] = [];
    loop.after(2, () => seen.push("timer"));
    loop.spawn(function* () {
      seen.push("fiber");
      yield loop.sleep(1);
      seen.push("slept");
    });
    await pass(10);
    expect([seen, host.hops.length]).toEqual([[], 0]);
    const idle = new Outcome(loop.runUntilIdle());
    await pass();
    expect([seen, idle.state]).toEqual([["timer", "fiber"], "resolved"]); // who sleeps is not waited for
    await pass(5);
    loop.run();
    await pass();
    expect(seen).toEqual(["timer", "fiber", "slept"]);
    await loop.close();
  });

  test("that are due by the clock fire before a run comes to idle, though the host has not told of them yet", async () => {
    const { loop, host, pass } = await realLoop();
    const seen: string[] = [];
    loop.after(5, () => seen.push("armed before the run"));
    host.time = 5;
    const first = new Outcome(loop.runUntilIdle());
    await pass();
    expect([seen, first.state]).toEqual([["armed before the run"], "resolved"]);
    loop
      .on("slow", () => {
        loop.after(5, () => seen.push("armed by the last event"));
        host.time += 20;
      })
      .post(undefined);
    const second = new Outcome(loop.runUntilIdle());
    await pass();
    expect([seen.at(-1), second.state]).toEqual(["armed by the last event", "resolved"]);
    await loop.close();
  });

  test("that were taken and not armed keep the loop from nothing", async () => {
    const { loop, pass } = await realLoop();
    expect(loop.timers.stats().armed).toBe(0);
    const idle = new Outcome(loop.runUntilIdle());
    await pass();
    expect(idle.state).toBe("resolved");
    const close = new Outcome(loop.close());
    await pass();
    expect(close.state).toBe("resolved");
    expect(loop.stats().timers).toBeUndefined();
  });

  test("end with it, and not by whoever has been given them: what waits on its clock would wait for ever", async () => {
    const { loop, pass, failures } = await realLoop();
    const log: string[] = [];
    const kind = loop.on(
      "kind",
      async () => {
        await loop.sleep(10);
        log.push("slept");
      },
      { deadline: 1000 },
    );
    const baton = new Baton();
    loop.spawn(function* ({ sleep }) {
      log.push(`${yield baton.wait(10)}`);
      yield sleep(10);
      log.push("fiber");
    });
    kind.post(undefined);
    const run = loop.run();
    await pass(1);
    const { timers } = loop;
    for (const dispose of [() => timers.dispose(), () => timers[Symbol.dispose]()]) {
      expect(dispose).toThrow(LoopStateError);
    }
    expect(timers.disposed).toBe(false);
    await pass(30);
    expect([log, failures]).toEqual([["false", "slept", "fiber"], []]);
    const close = loop.close();
    await pass();
    await close;
    await run;
    timers.dispose();
    expect(timers.disposed).toBe(true);
  });

  test("that are due when the runtime is disposed of do not fire, and keep the loop from nothing", async () => {
    const { loop, runtime, host, pass } = await realLoop();
    const seen: string[] = [];
    loop.after(1, () => seen.push("timer"));
    const run = new Outcome(loop.run());
    await pass();
    await host.advance(1);
    expect(host.hops).toHaveLength(1); // on its way to the turn in which it would fire
    runtime.dispose();
    await pass(5);
    expect([seen, run.state]).toEqual([[], "rejected"]);
    expect(loop.stats().timers).toBeUndefined();
  });

  test("report what they throw, what is refused and what rejects, and the others fire", async () => {
    const { loop, pass, failures } = await realLoop({ queue: { capacity: 1, overflow: 0 } });
    const full = loop.on("full", (_: number) => {});
    full.post(1);
    const seen: string[] = [];
    loop.after(1, () => {
      throw new Error("thrown");
    });
    loop.after(1, () => Promise.reject(new Error("rejected")));
    loop.after(1, full, 2);
    loop.after(1, () => seen.push("other"));
    await pass(1);
    loop.run();
    await pass();
    expect(seen).toEqual(["other"]);
    expect(failures.map(({ error }) => (error as Error).message)[0]).toBe("thrown");
    expect(failures).toHaveLength(3);
    expect(new Set(failures.map(({ event }) => event.sequence))).toEqual(new Set([-1]));
    await loop.close();
  });

  test("stop a loop without onError when one of them throws", async () => {
    const { loop, pass } = await realLoop({ onError: undefined });
    loop.after(1, () => {
      throw new Error("planned");
    });
    const run = new Outcome(loop.run());
    await pass(1);
    expect((run.error as Error).message).toBe("planned");
  });

  test("refuse delays and targets that are none, and nothing is armed", async () => {
    const { loop } = await realLoop();
    for (const delay of NO_DELAYS) {
      expect(() => loop.after(delay, () => {}), String(delay)).toThrow(InvalidArgumentError);
      expect(() => loop.every(delay, () => {}), String(delay)).toThrow(InvalidArgumentError);
      expect(() => loop.sleep(delay), String(delay)).toThrow(InvalidArgumentError);
    }
    expect(() => loop.every(0, () => {})).toThrow(InvalidArgumentError);
    for (const target of [undefined, null, 5, {}, { post: 1 }]) {
      expect(() => loop.after(1, target as never), String(target)).toThrow(InvalidArgumentError);
    }
    expect(loop.timers.stats()).toMatchObject({ armed: 0, arms: 0 });
    await loop.close();
  });

  test("end with the loop, and none can be armed or slept by afterwards", async () => {
    const { loop, host, runtime, pass } = await realLoop();
    const before = runtime.stats().usedBytes;
    let fired = 0;
    loop.after(5, () => fired++);
    loop.every(5, () => fired++);
    loop.run();
    await pass(1);
    await loop.close();
    await pass(20);
    expect([fired, host.timers, host.hops.length]).toEqual([0, 0, 0]);
    expect(() => loop.after(1, () => {})).toThrow(LoopClosedError);
    expect(() => loop.every(1, () => {})).toThrow(LoopClosedError);
    expect(() => loop.sleep(1)).toThrow(LoopClosedError);
    expect(() => loop.spawn(function* () {})).toThrow(LoopClosedError);
    expect(() => loop.timers).toThrow(LoopClosedError);
    expect(loop.stats().timers).toBeUndefined();
    expect(runtime.stats().usedBytes).toBe(before);
    runtime.validate();
  });
});

describe("fibers of a loop", () => {
  test("run in its turns, have frames, and give their results to who joins them", async () => {
    const { loop, pass } = await realLoop();
    const fiber = loop.spawn(
      function* ({ frame }) {
        frame.set(0, 42);
        yield loop.sleep(2);
        return frame.get(0);
      },
      { frame: "small" },
    );
    const joined = new Outcome(Promise.resolve(fiber.join()));
    loop.run();
    await pass(2);
    expect([joined.value, fiber.state]).toEqual([42, "returned"]);
    expect(loop.stats().fibers).toMatchObject({ live: 0, returned: 1 });
    await loop.close();
  });

  test("report an error that nobody has joined for, and cannot join themselves", async () => {
    const { loop, pass, failures } = await realLoop();
    loop.spawn(function* ({ fiber }) {
      yield fiber;
    });
    loop.spawn(
      function* () {
        yield;
        throw new Error("planned");
      },
      { detached: true },
    );
    loop.run();
    await pass();
    expect(failures.map(({ error }) => (error as Error).constructor)).toEqual([FiberStateError, Error]);
    expect(loop.stats().failed).toBe(0); // no event has
    await loop.close();
  });

  test("that take turns for ever let events through, and do not keep the loop from closing", async () => {
    const { loop, pass, host } = await realLoop({ turn: { milliseconds: 1 } });
    let turns = 0;
    const fiber = loop.spawn(function* () {
      for (;;) {
        if (++turns % 10 === 0) host.time += 1;
        yield;
      }
    });
    const seen: number[] = [];
    const kind = loop.on("kind", (value: number) => void seen.push(value));
    loop.run();
    for (let step = 0; step < 10; step++) {
      kind.post(step);
      await host.step();
    }
    expect([seen.length, turns]).toEqual([10, expect.any(Number)]);
    expect(turns).toBeGreaterThan(10);
    const close = new Outcome(loop.close());
    await host.step();
    await pass();
    expect([close.state, fiber.state, host.hops.length]).toEqual(["resolved", "cancelled", 0]);
  });

  test("that are ready when the loop closes have one more turn, and those that wait are cancelled", async () => {
    const { loop, pass } = await realLoop();
    const seen: string[] = [];
    const waits = loop.spawn(function* () {
      try {
        yield new Baton().wait();
      } finally {
        seen.push("finally");
      }
    });
    loop.run();
    await pass();
    loop.spawn(function* () {
      seen.push("new");
      yield;
      seen.push("a turn");
    });
    const joined = new Outcome(Promise.resolve(waits.join()));
    const close = new Outcome(loop.close());
    await pass();
    expect([seen, close.state]).toEqual([["new", "a turn", "finally"], "resolved"]);
    expect(joined.error).toBeInstanceOf(FiberCancelledError);
  });

  test("that are ready when the loop closes all have that turn, however many, and however long they take", async () => {
    for (const mode of ["drain", "discard"] as const) {
      const { loop, pass, host } = await realLoop({ turn: { events: 100, milliseconds: 5 } });
      const [ready, held] = [new Baton(), new Gate()];
      const seen = { short: 0, long: 0, woken: 0, endless: 0 };
      for (let count = 0; count < 1000; count++)
        loop.spawn(
          function* () {
            seen.short++;
          },
          { detached: true },
        );
      for (let count = 0; count < 10; count++) {
        loop.spawn(function* () {
          seen.long++;
          host.time += 10;
        });
      }
      loop.spawn(function* () {
        yield ready.wait();
        seen.woken++;
      });
      loop.spawn(function* () {
        for (;;) {
          seen.endless++;
          yield;
        }
      });
      // The last event that is waited for makes a fiber ready as it ends.
      const last = loop.on("last", async () => {
        await held.promise;
        ready.post();
      });
      last.post(undefined);
      loop.run();
      await host.step();
      const close = new Outcome(loop.close({ mode }));
      held.open();
      for (let step = 0; step < 100 && close.state === "pending"; step++) await host.step();
      await pass();
      expect([seen, close.state], mode).toEqual([
        { short: 1000, long: 10, woken: 1, endless: expect.any(Number) },
        "resolved",
      ]);
    }
  });

  test("that are owed a mutex when the loop closes end as soon as they have got it", async () => {
    const { loop, pass } = await realLoop();
    const mutex = new Mutex();
    const condition = new Condition(mutex);
    const seen: string[] = [];
    const kind = loop.on("kind", function* (_: number, { region }) {
      void region;
      yield mutex.lock();
      try {
        yield condition.wait();
        seen.push("woken");
      } finally {
        seen.push("finally");
        mutex.unlock();
      }
    });
    kind.post(1);
    loop.run();
    await pass();
    expect(mutex.tryLock()).toBe(true);
    const close = new Outcome(loop.close({ deadline: 1 }));
    await pass(1);
    expect([close.value, seen]).toEqual([{ processed: 0, dropped: 0, abandoned: 1 }, []]);
    expect(loop.stats()).toMatchObject({ regionsLive: 1, quarantined: 1 });
    mutex.unlock();
    await pass();
    expect(seen).toEqual(["finally"]);
    expect(loop.stats()).toMatchObject(NOTHING_LEFT);
    expect(mutex.tryLock()).toBe(true);
  });
});

describe("who sleeps by a loop's clock outside its fibers", () => {
  test("is woken in time, as often as it is awaited, and by a closing loop with an error", async () => {
    const { loop, pass } = await realLoop();
    loop.run();
    const nap = loop.sleep(3);
    const first = new Outcome(Promise.resolve(nap));
    await pass(3);
    const [second, third] = [new Outcome(Promise.resolve(nap)), new Outcome(Promise.resolve(loop.sleep(1000)))];
    await pass(2);
    expect([first.state, second.state, third.state]).toEqual(["resolved", "pending", "pending"]);
    const close = new Outcome(loop.close());
    await pass();
    expect([close.state, second.state, third.state]).toEqual(["resolved", "rejected", "rejected"]);
    expect(third.error).toBeInstanceOf(LoopClosedError);
    const late = new Outcome(Promise.resolve(nap));
    await pass();
    expect(late.error).toBeInstanceOf(LoopClosedError);
  });

  test("and handles an event is woken by the runtime's dispose, so that the loop ends", async () => {
    const { loop, runtime, pass } = await realLoop();
    const errors: unknown[] = [];
    const kind = loop.on("kind", async () => {
      try {
        await loop.sleep(1000);
      } catch (error) {
        errors.push(error);
      }
    });
    kind.post(undefined);
    const run = new Outcome(loop.run());
    await pass();
    runtime.dispose();
    await pass();
    expect(run.state).toBe("rejected");
    expect((errors[0] as Error).message).toContain("disposed");
    expect(await loop.close()).toEqual({ processed: 1, dropped: 0, abandoned: 0 });
  });

  test("leaves no timer behind when its fiber is cancelled", async () => {
    const { loop, pass } = await realLoop();
    const fiber = loop.spawn(function* () {
      yield loop.sleep(1000);
    });
    loop.run();
    await pass();
    expect(loop.timers.stats().armed).toBe(1);
    fiber.cancel();
    await pass();
    expect([fiber.state, loop.timers.stats().armed]).toEqual(["cancelled", 0]);
    await loop.close();
  });
});

test("armed timers keep the process alive; a loop without any, or with such as keep nothing alive, does not", async () => {
  const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;
  const run = async (body: string) => {
    const program = `
      const { createLoop, createRuntime } = await import(${JSON.stringify(entry)});
      const loop = createLoop(await createRuntime());
      const start = performance.now();
      process.on("exit", () => console.log(performance.now() - start < 5000 ? "soon" : "late"));
      loop.run();
      ${body}`;
    const options = { timeout: 30_000 };
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], options);
    return stdout.trim().split("\n");
  };
  expect(await run(`loop.after(20, () => console.log("fired"));`)).toEqual(["fired", "soon"]);
  expect(await run(`loop.spawn(function* () { yield loop.sleep(20); console.log("slept"); });`)).toEqual([
    "slept",
    "soon",
  ]);
  expect(await run(`loop.timers.after(60_000, () => {}).unref(); loop.spawn(function* () { yield; });`)).toEqual([
    "soon",
  ]);
  expect(await run(`loop.after(60_000, () => {}); await loop.close();`)).toEqual(["soon"]);
});
