import { Baton, BatonBusyError, createFibers, InvalidArgumentError, timersOf } from "tidemark";
import { describe, expect, test } from "vitest";
import { stage } from "./fiberStage.js";
import { Outcome, SimulatedHost, settled } from "./simulation.js";

describe("a baton in fibers", () => {
  test("never runs the waiter inside the post: the waiter goes on after the poster has yielded", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    fibers.spawn(function* () {
      yield baton.wait();
      log.push("waiter");
    });
    fibers.spawn(function* () {
      log.push("post");
      baton.post();
      log.push("after the post");
      yield;
      log.push("after the yield");
    });
    await host.rest();
    expect(log).toEqual(["post", "after the post", "waiter", "after the yield"]);
  });

  test("resumes the waiter when the poster has returned", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    fibers.spawn(function* () {
      yield baton.wait();
      log.push("waiter");
    });
    fibers.spawn(function* () {
      baton.post();
      log.push("poster returns");
    });
    await host.rest();
    expect(log).toEqual(["poster returns", "waiter"]);
  });

  test("resumes waiters in the order of the posts, whatever the order of the waits", async () => {
    const { host, fibers, log } = stage();
    const batons = [new Baton(), new Baton(), new Baton()];
    for (const [index, baton] of batons.entries()) {
      fibers.spawn(function* () {
        yield baton.wait();
        log.push(index);
      });
    }
    await host.rest();
    for (const index of [2, 0, 1]) batons[index]!.post();
    expect(log).toEqual([]);
    await host.rest();
    expect(log).toEqual([2, 0, 1]);
  });

  test("keeps a post until somebody waits, and several posts as one", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    baton.post();
    baton.post();
    expect([baton.posted, baton.waitedFor]).toEqual([true, false]);
    fibers.spawn(function* () {
      yield baton.wait();
      log.push("first");
      yield baton.wait();
      log.push("second");
    });
    await host.rest();
    expect(log).toEqual(["first"]);
    expect([baton.posted, baton.waitedFor]).toEqual([false, true]);
    baton.post();
    baton.post(); // the waiter is resumed already: this one is for the next wait
    await host.rest();
    expect(log).toEqual(["first", "second"]);
    expect(baton.posted).toBe(true);
  });

  test("refuses a second waiter, and the first goes on waiting", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    for (const milliseconds of [undefined, undefined, 5]) {
      fibers.spawn(function* () {
        try {
          yield milliseconds === undefined ? baton.wait() : baton.wait(milliseconds);
          log.push("waited");
        } catch (error) {
          log.push(error);
        }
      });
    }
    await host.rest();
    expect(log).toEqual([expect.any(BatonBusyError), expect.any(BatonBusyError)]);
    expect(log[0]).toMatchObject({ code: "ERR_TIDEMARK_BATON_BUSY" });
    expect(host.timers).toBe(0);
    baton.post();
    await host.rest();
    expect(log[2]).toBe("waited");
  });

  test("refuses a second waiter while the first waits with a limit, whose timer goes on", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    fibers.spawn(function* () {
      log.push(yield baton.wait(50));
    });
    fibers.spawn(function* () {
      try {
        yield baton.wait(1);
      } catch (error) {
        log.push(error);
      }
    });
    await host.rest();
    expect(log).toEqual([expect.any(BatonBusyError)]);
    expect(host.timers).toBe(1);
    await host.advance(49);
    await host.rest();
    expect(log.length).toBe(1);
    await host.advance(1);
    await host.rest();
    expect(log[1]).toBe(false);
  });

  test("tells whether the post came in time, and takes the timer back if it did", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    fibers.spawn(function* () {
      log.push(yield baton.wait(10));
      log.push(yield baton.wait(10));
      log.push(yield baton.wait());
    });
    await host.rest();
    expect(host.timers).toBe(1);
    await host.advance(9);
    baton.post();
    await host.rest();
    expect(log).toEqual([true]);
    await host.advance(10);
    await host.rest();
    expect(log).toEqual([true, false]);
    expect(host.timers).toBe(0);
  });

  test("keeps a post that comes after the timeout for the next wait", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    fibers.spawn(function* () {
      log.push(yield baton.wait(10));
      log.push(yield baton.wait(10));
      log.push(yield baton.wait(10));
    });
    await host.rest();
    await host.advance(10); // the timeout has come, the waiter has not run yet
    baton.post();
    expect(baton.posted).toBe(true);
    await host.rest();
    expect(log).toEqual([false, true]);
    await host.advance(10);
    await host.rest();
    expect(log).toEqual([false, true, false]);
  });

  test("forgets such a post when it is reset, and a reset does nothing to a waiter", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    baton.post();
    baton.reset();
    expect(baton.tryWait()).toBe(false);
    fibers.spawn(function* () {
      log.push(yield baton.wait(10));
    });
    await host.rest();
    baton.reset();
    expect(baton.waitedFor).toBe(true);
    baton.post();
    await host.rest();
    expect(log).toEqual([true]);
  });

  test("is taken by tryWait once, without waiting", () => {
    const baton = new Baton();
    expect(baton.tryWait()).toBe(false);
    baton.post();
    expect([baton.tryWait(), baton.tryWait(), baton.posted]).toEqual([true, false, false]);
  });

  test("gives the post to a fiber that is cancelled after it, which is ended at its next wait", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    const fiber = fibers.spawn(function* () {
      try {
        log.push(["got", yield baton.wait(10)]);
        yield baton.wait();
        log.push("never");
      } finally {
        log.push("finally");
      }
    });
    await host.rest();
    baton.post();
    expect([fiber.cancel(), fiber.cancel()]).toEqual([true, false]);
    await host.rest();
    expect(log).toEqual([["got", true], "finally"]);
    expect(fiber.state).toBe("cancelled");
    expect([baton.posted, baton.waitedFor]).toEqual([false, false]);
  });

  test("keeps a post that comes after the cancel", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    for (const milliseconds of [undefined, 10]) {
      const fiber = fibers.spawn(function* () {
        try {
          yield milliseconds === undefined ? baton.wait() : baton.wait(milliseconds);
          log.push("never");
        } finally {
          log.push("finally");
        }
      });
      await host.rest();
      fiber.cancel();
      expect([baton.waitedFor, host.timers]).toEqual([false, 0]);
      baton.post();
      await host.rest();
      expect(baton.tryWait()).toBe(true);
    }
    expect(log).toEqual(["finally", "finally"]);
  });

  test("leaves a timeout that has come before the cancel to the fiber", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    const fiber = fibers.spawn(function* () {
      log.push(yield baton.wait(10));
    });
    await host.rest();
    await host.advance(10);
    fiber.cancel();
    await host.rest();
    expect(log).toEqual([false]);
    expect(fiber.state).toBe("returned");
  });
});

describe("a baton in async functions, without any loop", () => {
  test("goes on in a microtask, after the synchronous code that has posted", async () => {
    const baton = new Baton();
    const log: string[] = [];
    const waiting = (async () => {
      await baton.wait();
      log.push("waiter");
    })();
    await Promise.resolve();
    expect(baton.waitedFor).toBe(true);
    baton.post();
    log.push("after the post");
    await waiting;
    expect(log).toEqual(["after the post", "waiter"]);
  });

  test("takes a post that is there", async () => {
    const baton = new Baton();
    baton.post();
    await baton.wait();
    expect(baton.posted).toBe(false);
  });

  test("rejects the second waiter, and each of two waits keeps its own limit", async () => {
    const host = new SimulatedHost();
    const baton = new Baton({ timers: timersOf(host) });
    const other = new Baton({ timers: timersOf(host) });
    const first = new Outcome(Promise.resolve(baton.wait(10)));
    const second = new Outcome(Promise.resolve(baton.wait(20)));
    await settled();
    expect([first.state, second.state]).toEqual(["pending", "rejected"]);
    expect(second.error).toBeInstanceOf(BatonBusyError);
    const third = new Outcome(Promise.resolve(other.wait(30)));
    await settled();
    await host.advance(10);
    expect([first.state, first.value]).toEqual(["resolved", false]);
    other.post();
    await settled();
    expect(third.value).toBe(true);
    expect(host.timers).toBe(0);
  });

  test("waits by the platform's own clock, if it is given no other", async () => {
    const baton = new Baton();
    expect(await baton.wait(1)).toBe(false);
    setTimeout(() => baton.post(), 1);
    expect(await baton.wait(10_000)).toBe(true);
  });

  test("can raced and chained like a promise", async () => {
    const baton = new Baton();
    const raced = Promise.race([baton.wait().then(() => "baton"), new Promise((resolve) => setTimeout(resolve, 50))]);
    await settled();
    baton.post();
    expect(await raced).toBe("baton");
  });

  test("passes between fibers and async functions, both ways", async () => {
    const fibers = createFibers();
    const [ping, pong] = [new Baton(), new Baton()];
    const echo = fibers.spawn(function* () {
      for (let round = 0; round < 100; round++) {
        yield ping.wait();
        pong.post();
      }
      return "done";
    });
    for (let round = 0; round < 100; round++) {
      ping.post();
      await pong.wait();
    }
    expect(await echo.join()).toBe("done");
  });
});

test.each([Number.NaN, -1, -0.001, Infinity, 2 ** 31, "5", null, 5n, {}])("a baton takes no limit of %s", (limit) => {
  const baton = new Baton();
  expect(() => baton.wait(limit as number)).toThrow(InvalidArgumentError);
  expect([baton.posted, baton.waitedFor]).toEqual([false, false]);
});

test.each([null, 5, { timers: {} }, { timers: null }, { timers: { after: 5, cancel() {} } }])(
  "a baton takes no options of %j",
  (options) => {
    expect(() => new Baton(options as never)).toThrow(InvalidArgumentError);
  },
);

test("timers that fail begin no wait", async () => {
  const fault = new Error("no timers are left");
  const baton = new Baton();
  const log: unknown[] = [];
  const host = new SimulatedHost();
  const timers = {
    after() {
      throw fault;
    },
    cancel() {},
  };
  const fibers = createFibers({ host, timers, onError: (error) => log.push(error) });
  fibers.spawn(function* () {
    yield baton.wait(5);
  });
  await host.rest();
  expect(log).toEqual([fault]);
  expect(baton.waitedFor).toBe(false);
});
