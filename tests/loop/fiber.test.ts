import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  Baton,
  createFibers,
  createRuntime,
  type Fiber,
  FiberCancelledError,
  type FiberContext,
  FiberStateError,
  InvalidArgumentError,
  LoopClosedError,
  OutOfMemoryError,
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

describe("a fiber that is cancelled", () => {
  test("runs its finally blocks, innermost first, when its turn comes, and rejects who joins", async () => {
    const { host, fibers, log } = stage();
    const fiber = fibers.spawn(function* () {
      try {
        try {
          yield new Baton().wait();
        } finally {
          log.push("inner");
        }
      } finally {
        log.push("outer");
      }
    });
    const joined = new Outcome(Promise.resolve(fiber.join()));
    await host.rest();
    expect(fiber.cancel()).toBe(true);
    expect([log, fiber.state]).toEqual([[], "running"]);
    await host.rest();
    expect([log, fiber.state]).toEqual([["inner", "outer"], "cancelled"]);
    expect(joined.error).toBeInstanceOf(FiberCancelledError);
    await expect(fiber.join()).rejects.toThrow(FiberCancelledError);
    expect(fiber.cancel()).toBe(false);
  });

  test("never begins, if it had not begun, and takes no frame", async () => {
    using runtime = await createRuntime();
    const frames = runtime.framePool();
    const { host, fibers, log } = stage({ frames });
    const fiber = fibers.spawn(
      function* () {
        log.push("never");
      },
      { frame: "small" },
    );
    fiber.cancel();
    await host.rest();
    expect([log, fiber.state, frames.stats().reservedBytes]).toEqual([[], "cancelled", 0]);
  });

  test("is ended at a fair turn, at its own wait, and at its next wait if it cancels itself", async () => {
    const { host, fibers, log } = stage();
    const turning = fibers.spawn(function* () {
      for (;;) yield;
    });
    const itself = fibers.spawn(function* ({ fiber }) {
      log.push(fiber.cancel());
      try {
        yield Promise.resolve();
        log.push("never");
      } finally {
        log.push("finally");
      }
    });
    fibers.spawn(function* () {
      yield;
      turning.cancel();
    });
    await host.rest();
    expect(log).toEqual([true, "finally"]);
    expect([turning.state, itself.state]).toEqual(["cancelled", "cancelled"]);
  });

  test("has returned, if it returns before it waits again", async () => {
    const { host, fibers } = stage();
    const fiber = fibers.spawn(function* ({ fiber }) {
      fiber.cancel();
      return 7;
    });
    await host.rest();
    expect(fiber.state).toBe("returned");
    expect(await fiber.join()).toBe(7);
  });

  test("fails with what its finally blocks throw", async () => {
    const { host, fibers, log } = stage();
    const fault = new Error("fault");
    const fiber = fibers.spawn(function* () {
      try {
        yield new Baton().wait();
      } finally {
        // biome-ignore lint/correctness/noUnsafeFinally: that is what is tested
        throw fault;
      }
    });
    await host.rest();
    fiber.cancel();
    await host.rest();
    expect([log, fiber.state]).toEqual([[fault], "failed"]);
  });

  test("is refused a wait in its finally blocks, by a typed error, and what follows still runs", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    const fiber = fibers.spawn(function* () {
      try {
        try {
          yield new Baton().wait();
        } finally {
          yield baton.wait();
          log.push("never");
        }
      } finally {
        log.push("outer");
      }
    });
    await host.rest();
    fiber.cancel();
    await host.rest();
    expect(log).toEqual(["outer", expect.any(FiberStateError)]);
    expect([fiber.state, baton.waitedFor]).toEqual(["failed", false]);
  });

  test("is given up, if it catches that for ever", async () => {
    using runtime = await createRuntime();
    const frames = runtime.framePool();
    const { host, fibers, log } = stage({ frames });
    const stubborn = fibers.spawn(
      function* () {
        for (;;) {
          try {
            yield new Baton().wait();
          } catch {
            // goes on
          } finally {
            // biome-ignore lint/correctness/noUnsafeFinally: a fiber that will not end
            if (fibers.stats().live > 0) continue;
          }
          log.push("never");
        }
      },
      { frame: "small" },
    );
    await host.rest();
    stubborn.cancel();
    await host.rest();
    expect(log).toEqual([expect.any(FiberStateError)]);
    expect([stubborn.state, fibers.stats().live, frames.stats().inUse.small]).toEqual(["failed", 0, 0]);
  });

  test("makes no stray rejection of what it yields all the same: a promise, at its next wait or in a finally block", async () => {
    const { host, fibers, log } = stage();
    const strays: unknown[] = [];
    const note = (error: unknown) => strays.push(error);
    process.on("unhandledRejection", note);
    try {
      const waits: Fiber = fibers.spawn(function* () {
        waits.cancel();
        yield Promise.reject(new Error("at its next wait"));
      });
      const cleans = fibers.spawn(function* () {
        try {
          yield new Baton().wait();
        } finally {
          try {
            yield Promise.reject(new Error("in its finally block"));
          } catch (error) {
            log.push(error);
          }
        }
      });
      await host.rest();
      cleans.cancel();
      await host.rest();
      await settled();
      await settled();
      expect([waits.state, cleans.state, strays]).toEqual(["cancelled", "cancelled", []]);
      expect(log).toEqual([expect.any(FiberStateError)]);
    } finally {
      process.off("unhandledRejection", note);
    }
  });

  test("aborts its signal, which is made only when it is read", async () => {
    const { host, fibers, log } = stage();
    const made: AbortSignal[] = [];
    const fiber = fibers.spawn(function* (context) {
      const { signal } = context;
      made.push(signal, context.signal);
      signal.addEventListener("abort", () => log.push("aborted"));
      yield new Baton().wait();
    });
    await host.rest();
    expect(made[0]).toBe(made[1]);
    fiber.cancel();
    expect(log).toEqual(["aborted"]);
    expect(made[0]!.reason).toBeInstanceOf(FiberCancelledError);
    await host.rest();
    const other = fibers.spawn(function* ({ signal }) {
      made.push(signal);
    });
    await host.rest();
    expect(other.state).toBe("returned");
    expect(made[2]).not.toBe(made[0]);
    expect(made[2]!.aborted).toBe(false);
  });

  test("leaves the fiber that it has joined, and those who join it, alone", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    const worker = fibers.spawn(function* () {
      yield baton.wait();
      return 1;
    });
    const joiners = [0, 1, 2].map((index) =>
      fibers.spawn(function* () {
        log.push([index, yield worker]);
      }),
    );
    await host.rest();
    joiners[0]!.cancel();
    joiners[2]!.cancel();
    await host.rest();
    baton.post();
    await host.rest();
    expect(log).toEqual([[1, 1]]);
    expect(worker.state).toBe("returned");
  });
});

describe.each([false, true])("a fiber's frame (debug: %s)", (debug) => {
  test("is taken when the fiber first runs, cleared, and goes back when it ends, however it does", async () => {
    using runtime = await createRuntime({ debug });
    const frames = runtime.framePool();
    const { host, fibers, log } = stage({ frames, debug });
    const ends: ((context: FiberContext) => Generator<unknown, unknown, unknown>)[] = [
      function* () {},
      function* () {
        yield;
        throw new Error("fault");
      },
      function* () {
        yield new Baton().wait();
      },
    ];
    for (const size of ["small", "medium", "large"] as const) {
      const all = ends.map((end) =>
        fibers.spawn(
          function* (context) {
            expect(context.frame.toUint8Array().every((byte) => byte === 0)).toBe(true);
            context.frame.view().fill(0xff);
            yield* end(context);
          },
          { frame: size },
        ),
      );
      expect(frames.stats().inUse[size]).toBe(0);
      fibers.run(2);
      expect(frames.stats().inUse[size]).toBe(1); // one has ended
      fibers.run(1);
      expect(frames.stats().inUse[size]).toBe(2);
      await host.rest();
      expect(frames.stats().inUse[size]).toBe(1);
      all[2]!.cancel();
      await host.rest();
      expect(frames.stats().inUse[size]).toBe(0);
    }
    expect(log.length).toBe(3);
    frames.validate();
  });

  test("that there is no memory for fails the fiber before it begins", async () => {
    using runtime = await createRuntime({ debug, maximumBytes: 4 << 20 });
    const frames = runtime.framePool({ large: 1 << 20 });
    const { host, fibers, log } = stage({ frames, debug });
    const all = Array.from({ length: 10 }, () =>
      fibers.spawn(
        function* () {
          yield new Baton().wait();
        },
        { frame: "large" },
      ),
    );
    await host.rest();
    expect(log.length).toBeGreaterThan(0);
    expect(log.every((error) => error instanceof OutOfMemoryError)).toBe(true);
    expect(fibers.stats().live + log.length).toBe(10);
    fibers.close();
    expect(frames.stats().inUse.large).toBe(0);
    expect(all.every((fiber) => fiber.state !== "running")).toBe(true);
  });

  test("that goes with its runtime does not keep the fiber from ending", async () => {
    const runtime = await createRuntime({ debug });
    const { host, fibers, log } = stage({ frames: runtime.framePool(), debug });
    const baton = new Baton();
    const fiber = fibers.spawn(
      function* () {
        yield baton.wait();
        return 5;
      },
      { frame: "small" },
    );
    await host.rest();
    runtime.dispose();
    baton.post();
    await host.rest();
    expect([fiber.state, log]).toEqual(["returned", []]);
  });
});

describe("a scheduler", () => {
  test("that is driven calls wake when a fiber becomes ready and none was, and runs as many as it is told", () => {
    let wakes = 0;
    const fibers = createFibers({ wake: () => wakes++ });
    expect([fibers.hasReady, fibers.run(), wakes]).toEqual([false, 0, 0]);
    const baton = new Baton();
    for (let count = 0; count < 5; count++) {
      fibers.spawn(function* () {
        yield;
        if (count === 0) yield baton.wait();
      });
    }
    expect([fibers.hasReady, wakes]).toEqual([true, 1]);
    expect([fibers.run(3), fibers.hasReady, wakes]).toEqual([3, true, 1]);
    expect([fibers.run(), fibers.hasReady, wakes]).toEqual([7, false, 1]);
    baton.post();
    expect([fibers.hasReady, wakes]).toEqual([true, 2]);
    expect([fibers.run(1), fibers.run(1), fibers.stats().live]).toEqual([1, 0, 0]);
    expect(fibers.stats()).toEqual({ live: 0, highWater: 5, returned: 5, failed: 0, cancelled: 0, resumptions: 11 });
  });

  test("hops once, however many become ready, and not at all while there is nothing to do", async () => {
    const { host, fibers } = stage();
    expect(host.hops.length).toBe(0);
    for (let count = 0; count < 5; count++) fibers.spawn(function* () {});
    expect(host.hops.length).toBe(1);
    await host.step();
    expect(host.hops.length).toBe(0);
  });

  test("that closes cancels all fibers, runs their finally blocks, and takes no more", async () => {
    const { host, fibers, log } = stage();
    const baton = new Baton();
    const all = [
      fibers.spawn(function* () {
        try {
          yield baton.wait();
        } finally {
          log.push("waiting");
          expect(() => fibers.spawn(function* () {})).toThrow(LoopClosedError);
        }
      }),
      fibers.spawn(function* () {
        try {
          for (;;) yield;
        } finally {
          log.push("turning");
        }
      }),
    ];
    fibers.run(3);
    const late = fibers.spawn(function* () {
      log.push("never");
    });
    const joined = new Outcome(Promise.resolve(all[0]!.join()));
    await settled();
    fibers.close();
    fibers.close();
    expect(log.sort()).toEqual(["turning", "waiting"]);
    expect([...all, late].map((fiber) => fiber.state)).toEqual(["cancelled", "cancelled", "cancelled"]);
    await settled();
    expect(joined.error).toBeInstanceOf(FiberCancelledError);
    expect(() => fibers.spawn(function* () {})).toThrow(LoopClosedError);
    expect(baton.waitedFor).toBe(false);
    await host.rest();
    expect(fibers.stats()).toMatchObject({ live: 0, cancelled: 3 });
  });

  test("that closes misses no fiber, though a listener of a signal runs fibers meanwhile", () => {
    const fibers = createFibers({ wake: () => {} });
    const ended: number[] = [];
    for (let index = 0; index < 4; index++) {
      fibers.spawn(function* ({ signal }) {
        if (index === 0) signal.addEventListener("abort", () => fibers.run());
        try {
          yield new Baton().wait();
        } finally {
          ended.push(index);
        }
      });
    }
    fibers.run();
    fibers.close();
    expect([ended.sort(), fibers.stats()]).toEqual([[0, 1, 2, 3], expect.objectContaining({ live: 0, cancelled: 4 })]);
  });

  test("can be closed by a fiber: the others end when it has yielded, and it does, too", async () => {
    const { host, fibers, log } = stage();
    const other = fibers.spawn(function* () {
      try {
        yield new Baton().wait();
      } finally {
        log.push("other");
      }
    });
    const closer = fibers.spawn(function* () {
      fibers.close();
      log.push("closed");
      yield;
      log.push("never");
    });
    await host.rest();
    expect(log).toEqual(["closed", "other"]);
    expect([other.state, closer.state]).toEqual(["cancelled", "cancelled"]);
  });

  test("keeps the tasks of its peak only for a while", () => {
    const fibers = createFibers({ wake() {} });
    const baton = new Baton();
    for (let count = 0; count < 100_000; count++) fibers.spawn(function* () {}, { detached: true });
    fibers.spawn(function* () {
      yield baton.wait();
    });
    fibers.run();
    expect(fibers.stats()).toMatchObject({ live: 1, highWater: 100_001, returned: 100_000 });
  });
});

describe("an error that nobody is told of", () => {
  const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;
  const program = `
    const { createFibers } = await import(${JSON.stringify(entry)});
    const strays = [];
    process.on("unhandledRejection", (error) => strays.push([error.message, error.cause?.message]));
    const failing = function* () { yield; throw new Error("fault"); };
    const fault = () => new Error("fault of onError");
    const handlers = [undefined, () => { throw fault(); }, async () => { throw fault(); }];
    const ends = [];
    for (const onError of handlers) {
      const fibers = createFibers(onError === undefined ? {} : { onError });
      fibers.spawn(failing);
      fibers.spawn(failing, { detached: true });
      ends.push(await fibers.spawn(function* () { yield; yield; yield; return fibers.stats().failed; }).join());
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
    console.log(JSON.stringify({ strays, ends }));
  `;

  test("or that onError itself has thrown goes to the platform, and the other fibers go on", async () => {
    const node = promisify(execFile);
    const { stdout } = await node(process.execPath, ["--input-type=module", "--eval", program]);
    const { strays, ends } = JSON.parse(stdout);
    expect(ends).toEqual([2, 2, 2]);
    expect(strays).toEqual([
      ["fault", null],
      ["fault", null],
      ["fault of onError", "fault"],
      ["fault of onError", "fault"],
      ["fault of onError", "fault"],
      ["fault of onError", "fault"],
    ]);
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
