import { Baton, createRuntime, type Fiber, FiberCancelledError, FiberStateError } from "tidemark";
import { describe, expect, test } from "vitest";
import { stage } from "./fiberStage.js";
import { Outcome, settled } from "./simulation.js";

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
