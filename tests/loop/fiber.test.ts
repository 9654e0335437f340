import {
  Baton,
  createFibers,
  createRuntime,
  type Fiber,
  type FiberContext,
  FiberStateError,
  InvalidArgumentError,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { stage } from "./fiberStage.js";
import { Gate, Outcome, SimulatedHost, settled } from "./simulation.js";

describe("fibers", () => {
  test("begin after the spawn, and take turns in the order in which they became ready", async () => {
    const { host, fibers, log } = stage();
    for (const name of ["a", "b", "c"]) {
      fibers.spawn(function* () {
        log.push(`${name}1`);
        yield;
        log.push(`${name}2`);
      });
    }
    expect(log).toEqual([]);
    await host.rest();
    expect(log).toEqual(["a1", "b1", "c1", "a2", "b2", "c2"]);
  });

  test("give what they return to all who join, before and after the end", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    const worker: Fiber<number> = fibers.spawn(function* () {
      yield baton.wait();
      return 42;
    });
    const early = new Outcome(Promise.resolve(worker.join()));
    for (const name of ["a", "b", "c"]) {
      fibers.spawn(function* () {
        log.push([name, yield worker]);
      });
    }
    await host.rest();
    expect([worker.state, early.state]).toEqual(["running", "pending"]);
    baton.post();
    await host.rest();
    expect(worker.state).toBe("returned");
    expect(early.value).toBe(42);
    expect(log.sort()).toEqual([
      ["a", 42],
      ["b", 42],
      ["c", 42],
    ]);
    expect(await worker.join()).toBe(42);
    expect(await worker.join()).toBe(42);
  });

  test("give what they throw to those who have joined, and only then keep it from onError", async () => {
    const { host, fibers, log } = stage();
    const fault = new Error("fault");
    const failing = () =>
      fibers.spawn(function* () {
        yield;
        throw fault;
      });
    const joined = failing();
    fibers.spawn(function* () {
      try {
        yield joined;
      } catch (error) {
        log.push(["joined", error]);
      }
    });
    await host.rest();
    expect(log).toEqual([["joined", fault]]);
    const alone = failing();
    await host.rest();
    expect(log[1]).toBe(fault);
    await expect(alone.join()).rejects.toBe(fault);
    fibers.spawn(
      function* () {
        yield;
        throw fault;
      },
      { detached: true },
    );
    await host.rest();
    expect(log[2]).toBe(fault);
    expect(fibers.stats()).toMatchObject({ live: 0, failed: 3, returned: 1 });
  });

  test("tell onError which fiber has failed", async () => {
    const host = new SimulatedHost();
    const seen: [unknown, Fiber][] = [];
    const fibers = createFibers({ host, onError: (error, fiber) => seen.push([error, fiber]) });
    const fiber = fibers.spawn(function* () {
      throw 5;
    });
    fibers.spawn(
      function* () {
        throw 6;
      },
      { detached: true },
    );
    await host.rest();
    expect(seen[0]).toEqual([5, fiber]);
    expect([seen[1]![0], seen[1]![1].state]).toEqual([6, "failed"]);
  });

  test("wait for promises and other thenables, and get their errors", async () => {
    const { host, fibers, log } = stage();
    const gate = new Gate();
    const fault = new Error("fault");
    fibers.spawn(function* () {
      log.push(yield Promise.resolve(1));
      log.push(yield gate.promise);
      // biome-ignore lint/suspicious/noThenProperty: a thenable that calls back at once, and twice
      log.push(yield { then: (resolve: (value: number) => void) => [resolve(2), resolve(3)] });
      try {
        yield Promise.reject(fault);
      } catch (error) {
        log.push(error);
      }
    });
    await host.rest();
    expect(log).toEqual([1]);
    gate.open();
    for (let round = 0; round < 5; round++) {
      await settled();
      await host.rest();
    }
    expect(log).toEqual([1, undefined, 2, fault]);
  });

  test("are not resumed by a promise that settles after the cancel, nor is who has their task", async () => {
    const { host, fibers, log } = stage();
    const gate = new Gate();
    const first = fibers.spawn(function* () {
      yield gate.promise;
    });
    await host.rest();
    first.cancel();
    await host.rest();
    const baton = new Baton();
    fibers.spawn(function* () {
      yield baton.wait();
      log.push("resumed");
    });
    await host.rest();
    gate.open();
    await settled();
    await host.rest();
    expect(log).toEqual([]);
    expect(baton.waitedFor).toBe(true);
  });

  test("are cancelled by the thenable that they are about to wait for, and by nothing of it later", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    const gate = new Gate();
    const first: Fiber = fibers.spawn(function* () {
      yield baton.wait();
      yield {
        // biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about
        get then() {
          first.cancel();
          return gate.promise.then.bind(gate.promise);
        },
      };
    });
    baton.post();
    fibers.spawn(function* () {
      yield;
      yield baton.wait();
      log.push("resumed");
    });
    await host.step();
    expect(first.state).toBe("cancelled");
    expect(baton.waitedFor).toBe(true);
    gate.open();
    await host.rest();
    expect(log).toEqual([]);
    baton.post();
    await host.rest();
    expect(log).toEqual(["resumed"]);
  });

  test("sleep by the host's clock", async () => {
    const { host, fibers, log } = stage();
    for (const milliseconds of [30, 10, 20]) {
      fibers.spawn(function* ({ sleep }) {
        yield sleep(milliseconds);
        log.push(milliseconds);
        yield sleep(0);
        log.push(-milliseconds);
      });
    }
    await host.rest();
    for (let round = 0; round < 40; round++) {
      await host.advance(1);
      await host.rest();
    }
    expect(log).toEqual([10, -10, 20, -20, 30, -30]);
    expect(host.timers).toBe(0);
  });

  test("sleep again, and so do others in their place, while sleeps of before are part of promises", async () => {
    const { host, fibers, log } = stage();
    const first = fibers.spawn(function* ({ sleep }) {
      const both = Promise.all([sleep(20), sleep(30)]);
      yield Promise.race([sleep(40), Promise.resolve()]);
      yield sleep(1);
      log.push("slept");
      return both;
    });
    await host.rest();
    await host.advance(1);
    await host.rest();
    expect(log).toEqual(["slept"]);
    const second = fibers.spawn(function* ({ sleep }) {
      yield sleep(1);
      log.push("slept, too");
    });
    await host.rest();
    await host.advance(1);
    await host.rest();
    expect([second.state, ...log]).toEqual(["returned", "slept", "slept, too"]);
    expect(await await first.join()).toEqual([false, false]);
  });

  test("wait for one sleep several times at once, each wait for as long", async () => {
    const { host, fibers, log } = stage();
    const fiber = fibers.spawn(function* ({ sleep }) {
      const nap = sleep(20);
      const both = Promise.all([nap, nap]);
      yield nap;
      log.push("slept");
      return both;
    });
    await host.rest();
    await host.advance(19);
    await host.rest();
    expect(log).toEqual([]);
    await host.advance(1);
    await host.rest();
    expect(log).toEqual(["slept"]);
    expect(await await fiber.join()).toEqual([false, false]);
  });

  test("give others their turn, whoever spawns and posts for ever", async () => {
    const { host, fibers } = stage();
    let rounds = 0;
    let other = 0;
    fibers.spawn(function* () {
      for (;;) {
        rounds++;
        host.time += 0.01;
        yield;
      }
    });
    fibers.spawn(function* () {
      for (;;) {
        other++;
        yield;
      }
    });
    for (let hop = 0; hop < 10; hop++) await host.step();
    expect(rounds - other).toBeLessThanOrEqual(1);
    expect(rounds).toBeGreaterThan(10);
    expect(rounds / 10).toBeLessThan(2 * (4 / 0.01)); // a slice, and what a batch overruns it by
    expect(host.hops.length).toBe(1); // the platform has its chance between turns
    fibers.close();
  });
});

describe("bad input", () => {
  test.each([
    ["a function", () => {}],
    ["an async function", async () => {}],
    ["an async generator function", async function* () {}],
    ["a generator", (function* () {})()],
    ["a class", class {}],
    ["nothing", undefined],
    ["null", null],
    ["a number", 5],
    ["text", "function* () {}"],
  ])("spawn refuses %s", (_, body) => {
    const { fibers } = stage();
    expect(() => fibers.spawn(body as never)).toThrow(InvalidArgumentError);
    expect(fibers.stats().live).toBe(0);
  });

  test("spawn refuses frames that there are none of", async () => {
    using runtime = await createRuntime();
    const { fibers } = stage({ frames: runtime.framePool() });
    expect(() => fibers.spawn(function* () {}, { frame: "huge" as never })).toThrow(InvalidArgumentError);
    expect(() => stage().fibers.spawn(function* () {}, { frame: "small" })).toThrow(FiberStateError);
    expect(fibers.stats().live).toBe(0);
  });

  test.each([[5], [0], [""], ["text"], [false], [null], [5n], [Symbol("s")], [{}], [[]], [() => {}]])(
    "a yield of %s is an error at that yield, and the fiber may go on",
    async (value) => {
      const { host, fibers, log } = stage();
      const fiber = fibers.spawn(function* () {
        try {
          yield value;
        } catch (error) {
          log.push(error);
        }
        if (typeof value === "object") yield value;
        return "went on";
      });
      await host.rest();
      expect(log[0]).toBeInstanceOf(InvalidArgumentError);
      if (typeof value === "object") expect([fiber.state, log.length]).toEqual(["failed", 2]);
      else expect(await fiber.join()).toBe("went on");
    },
  );

  test("a thenable whose then throws, or a waitable that refuses, is an error at that yield", async () => {
    const { host, fibers, log } = stage();
    const fault = new Error("fault");
    const refusing = {
      get $begin() {
        throw fault;
      },
    };
    const throwing = {
      // biome-ignore lint/suspicious/noThenProperty: a hostile thenable
      get then() {
        throw fault;
      },
    };
    for (const value of [refusing, throwing]) {
      fibers.spawn(function* () {
        yield value;
      });
    }
    await host.rest();
    expect(log).toEqual([fault, fault]);
    expect(fibers.stats().live).toBe(0);
  });

  test("a fiber that joins itself gets an error", async () => {
    const { host, fibers, log } = stage();
    fibers.spawn(function* ({ fiber }) {
      try {
        yield fiber;
      } catch (error) {
        log.push(error);
      }
      yield;
    });
    await host.rest();
    expect(log).toEqual([expect.any(FiberStateError)]);
    expect(fibers.stats()).toMatchObject({ live: 0, returned: 1 });
  });

  test("nothing runs inside a fiber", async () => {
    const { host, fibers, log } = stage();
    fibers.spawn(function* () {
      try {
        fibers.run();
      } catch (error) {
        log.push(error);
      }
    });
    await host.rest();
    expect(log).toEqual([expect.any(FiberStateError)]);
  });

  test("a context that was kept is found out", async () => {
    using runtime = await createRuntime();
    const { host, fibers } = stage({ frames: runtime.framePool(), debug: true });
    let kept: FiberContext | undefined;
    fibers.spawn(function* (context) {
      kept = context;
      expect(() => context.frame).toThrow(FiberStateError); // it has none
    });
    await host.rest();
    fibers.spawn(
      function* () {
        yield new Baton().wait();
      },
      { frame: "small" },
    );
    await host.rest();
    expect(() => kept!.fiber).toThrow(FiberStateError);
    expect(() => kept!.frame).toThrow(FiberStateError);
    expect(() => kept!.signal).toThrow(FiberStateError);
    expect(() => kept!.sleep(1)).toThrow(FiberStateError);
    fibers.close();
  });

  test.each([[null], [5], [{ frames: {} }], [{ onError: 5 }], [{ wake: {} }], [{ timers: {} }]])(
    "createFibers refuses %j",
    (options) => {
      expect(() => createFibers(options as never)).toThrow(InvalidArgumentError);
    },
  );
});

describe("a handle that a program has frozen", () => {
  test("lets its fiber and the others end, and those know who had joined before", async () => {
    const { host, fibers } = stage();
    const gate = new Baton();
    const frozen = fibers.spawn(function* () {
      yield gate.wait();
      return 1;
    });
    const before = [new Outcome(Promise.resolve(frozen.join())), new Outcome(Promise.resolve(frozen.join()))];
    const never = Object.freeze(fibers.spawn(function* () {}));
    const refused = new Outcome(Promise.resolve(never.join()));
    await settled();
    Object.freeze(frozen);
    gate.post();
    const other = fibers.spawn(function* () {
      yield;
      return 2;
    });
    const last = new Outcome(Promise.resolve(other.join()));
    await host.rest();
    expect(before.map(({ value }) => value)).toEqual([1, 1]);
    expect(last.value).toBe(2);
    expect(refused.error).toBeInstanceOf(InvalidArgumentError);
    expect(fibers.stats()).toMatchObject({ live: 0, returned: 3 });
    const after = new Outcome(Promise.resolve(frozen.join()));
    await settled();
    expect(after.error).toBeInstanceOf(InvalidArgumentError);
  });

  test("does not cancel the fiber that comes after its own", async () => {
    const { host, fibers } = stage();
    const frozen = Object.freeze(fibers.spawn(function* () {}));
    await host.rest();
    const next = fibers.spawn(function* () {
      yield new Baton().wait();
    });
    await host.rest();
    expect(frozen.cancel()).toBe(false);
    expect(next.state).toBe("running");
    fibers.close();
  });

  test("keeps nobody who had joined from being cancelled, which comes with its fiber's end", async () => {
    const { host, fibers } = stage();
    const gate = new Baton();
    const frozen = fibers.spawn(function* () {
      yield gate.wait();
    });
    const joiner = fibers.spawn(function* () {
      yield frozen;
    });
    await host.rest();
    Object.freeze(frozen);
    expect(joiner.cancel()).toBe(true);
    gate.post();
    await host.rest();
    expect([joiner.state, fibers.stats().live]).toEqual(["cancelled", 0]);
  });

  test("has its fiber's error told to onError, as nobody could join", async () => {
    const { host, fibers, log } = stage();
    Object.freeze(
      fibers.spawn(function* () {
        yield;
        throw new Error("failed");
      }),
    );
    await host.rest();
    expect(log).toEqual([new Error("failed")]);
  });
});
