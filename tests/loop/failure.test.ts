import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { FailedEvent, LoopOptions } from "tidemark";
import { createLoop, LoopClosedError } from "tidemark";
import { describe, expect, test } from "vitest";
import { Gate, Outcome, SimulatedHost, SimulatedRuntime, settled } from "./simulation.js";

function setUp(options: LoopOptions = {}) {
  const host = new SimulatedHost();
  const simulation = new SimulatedRuntime();
  const loop = createLoop(simulation.runtime, { host, ...options });
  return { host, pool: simulation.pool, loop };
}

const sabotage = new Error("sabotage");

/** A handler that fails the way it is told. */
const failing = (mode: "throw" | "reject" | "pass") => {
  if (mode === "throw") throw sabotage;
  return mode === "reject" ? Promise.reject(sabotage) : undefined;
};

describe("with onError, a failing event", () => {
  test("is reported with its kind, number and payload, and the loop goes on", async () => {
    const reports: [unknown, FailedEvent][] = [];
    const { host, loop } = setUp({ onError: (error, event) => reports.push([error, event]) });
    const kind = loop.on("fragile", failing);
    for (const mode of ["pass", "throw", "pass", "reject", "pass"] as const) kind.post(mode);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(reports).toEqual([
      [sabotage, { kind: "fragile", sequence: 1, payload: "throw" }],
      [sabotage, { kind: "fragile", sequence: 3, payload: "reject" }],
    ]);
    expect(idle.state).toBe("resolved");
    expect(loop.stats()).toMatchObject({ processed: 5, failed: 2 });
  });

  test("is reported with whatever was thrown, even undefined", async () => {
    const reports: unknown[] = [];
    const { host, loop } = setUp({ onError: (error) => reports.push(error) });
    const kind = loop.on("kind", (error: unknown) => {
      throw error;
    });
    // biome-ignore lint/suspicious/noThenProperty: a thenable that is thrown is what is tested
    const thrown = [undefined, null, 0, "text", Symbol.iterator, { then: () => {} }];
    for (const error of thrown) kind.post(error);
    loop.runUntilIdle();
    await host.rest();
    expect(reports).toEqual(thrown);
  });

  test("may have a result whose then cannot be read", async () => {
    const reports: unknown[] = [];
    const { host, loop } = setUp({ onError: (error) => reports.push(error) });
    const kind = loop.on("kind", () => ({
      // biome-ignore lint/suspicious/noThenProperty: a then that throws is what is tested
      get then() {
        throw sabotage;
      },
    }));
    kind.post(undefined);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect([reports, idle.state]).toEqual([[sabotage], "resolved"]);
  });
});

describe("without onError, a failing event", () => {
  for (const mode of ["throw", "reject"] as const) {
    test(`that does ${mode} stops the loop: run rejects with its error, what is queued is dropped and counted`, async () => {
      const { host, loop } = setUp({ turn: { events: 2 } });
      const seen: number[] = [];
      const kind = loop.on("kind", failing);
      const counter = loop.on("counter", (value: number) => seen.push(value));
      counter.post(1);
      kind.post(mode);
      counter.post(2);
      counter.post(3);
      const run = new Outcome(loop.run());
      await host.rest();
      expect(run.error).toBe(sabotage);
      expect(seen).toEqual([1]);
      expect(() => counter.post(4)).toThrow(LoopClosedError);
      expect(() => loop.on("late", () => {})).toThrow(LoopClosedError);
      expect(await loop.close()).toEqual({ processed: 2, dropped: 2, abandoned: 0 });
      expect(loop.stats()).toMatchObject({ processed: 2, failed: 1, dropped: 2, queued: 0 });
    });
  }

  test("stops the rest of its own turn", async () => {
    const { host, loop } = setUp();
    const seen: number[] = [];
    const kind = loop.on("kind", (value: number) => {
      seen.push(value);
      if (value === 3) throw sabotage;
    });
    for (let value = 0; value < 100; value++) kind.post(value);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(seen).toEqual([0, 1, 2, 3]);
    expect(idle.error).toBe(sabotage);
    expect(await loop.close()).toEqual({ processed: 4, dropped: 96, abandoned: 0 });
  });

  test("settles all who wait for room, with an error whose cause is the handler's", async () => {
    const { host, loop } = setUp({ queue: { capacity: 1 } });
    const kind = loop.on("kind", failing);
    kind.post("reject");
    const run = new Outcome(loop.run());
    await host.step();
    await host.rest();
    expect(run.state).toBe("rejected");
    const ready = new Outcome(loop.ready());
    await settled();
    expect(ready.error).toBeInstanceOf(LoopClosedError);
    expect((ready.error as Error).cause).toBe(sabotage);
  });

  test("leaves those in flight to land, and a close waits for them", async () => {
    const { host, pool, loop } = setUp();
    const gate = new Gate();
    const slow = loop.on("slow", async (_: number, { region }) => {
      void region;
      await gate.promise;
    });
    const kind = loop.on("kind", failing);
    slow.post(1);
    kind.post("throw");
    const run = new Outcome(loop.run());
    await host.rest();
    expect(run.error).toBe(sabotage);
    const close = new Outcome(loop.close());
    await settled();
    expect([close.state, pool.live.size]).toEqual(["pending", 1]);
    gate.open();
    await settled();
    expect(close.value).toEqual({ processed: 2, dropped: 0, abandoned: 0 });
    expect(pool.live.size).toBe(0);
  });

  test("leaves those in flight to land, and a close with a deadline stops waiting for them", async () => {
    const { host, pool, loop } = setUp();
    const gate = new Gate();
    const slow = loop.on("slow", async (_: number, { region }) => {
      void region;
      await gate.promise;
    });
    slow.post(1);
    loop.on("kind", failing).post("throw");
    const run = new Outcome(loop.run());
    await host.rest();
    const close = new Outcome(loop.close({ deadline: 10 }));
    await host.advance(10);
    expect([run.error, close.value]).toEqual([sabotage, { processed: 1, dropped: 0, abandoned: 1 }]);
    expect(pool.live.size).toBe(1);
    gate.open();
    await settled();
    expect(pool.live.size).toBe(0);
  });

  test("is told once: later failures of those in flight are only counted", async () => {
    const { host, loop } = setUp();
    const gates = [new Gate(), new Gate()];
    const slow = loop.on("slow", (index: number) => gates[index]!.promise);
    slow.post(0);
    slow.post(1);
    const run = new Outcome(loop.run());
    await host.rest();
    gates[0]!.fail(sabotage);
    gates[1]!.fail(new Error("another"));
    await settled();
    expect(run.error).toBe(sabotage);
    expect(loop.stats().failed).toBe(2);
    expect(await loop.close()).toEqual({ processed: 2, dropped: 0, abandoned: 0 });
  });

  test("during a drain that nobody runs rejects the close with its error", async () => {
    const { host, loop } = setUp();
    const kind = loop.on("kind", failing);
    kind.post("pass");
    kind.post("throw");
    kind.post("pass");
    const close = new Outcome(loop.close());
    await host.rest();
    expect(close.error).toBe(sabotage);
    expect(loop.stats()).toMatchObject({ processed: 2, dropped: 1 });
  });

  test("during a drain under a run rejects the run, and the close resolves with the counts", async () => {
    const { host, loop } = setUp();
    const kind = loop.on("kind", failing);
    kind.post("throw");
    kind.post("pass");
    const run = new Outcome(loop.run());
    const close = new Outcome(loop.close());
    await host.rest();
    expect(run.error).toBe(sabotage);
    expect(close.value).toEqual({ processed: 1, dropped: 1, abandoned: 0 });
  });
});

describe("an onError that fails itself", () => {
  test("stops the loop with its error, whose cause is the handler's", async () => {
    const fault = new Error("in onError");
    const { host, loop } = setUp({
      onError: () => {
        throw fault;
      },
    });
    const kind = loop.on("kind", failing);
    kind.post("throw");
    kind.post("pass");
    const run = new Outcome(loop.run());
    await host.rest();
    expect(run.error).toBe(fault);
    expect(fault.cause).toBe(sabotage);
    expect(loop.stats()).toMatchObject({ processed: 1, dropped: 1 });
  });

  test("keeps a cause that it has, and may throw the handler's error itself, or something that is no error", async () => {
    const own = new Error("own", { cause: "mine" });
    const frozen = Object.freeze(new Error("frozen"));
    for (const fault of [own, sabotage, frozen, "text"]) {
      const { host, loop } = setUp({
        onError: () => {
          throw fault;
        },
      });
      loop.on("kind", failing).post("throw");
      const run = new Outcome(loop.run());
      await host.rest();
      expect(run.error).toBe(fault);
    }
    expect([own.cause, sabotage.cause, frozen.cause]).toEqual(["mine", undefined, undefined]);
  });

  test("may do so later: a promise it returns is heeded", async () => {
    const fault = new Error("in an async onError");
    const { host, loop } = setUp({
      onError: async () => {
        throw fault;
      },
    });
    loop.on("kind", failing).post("throw");
    const run = new Outcome(loop.run());
    await host.rest();
    expect(run.error).toBe(fault);
    expect(fault.cause).toBe(sabotage);
    expect(await loop.close()).toEqual({ processed: 1, dropped: 0, abandoned: 0 });
  });

  test("after the run is over is told to whoever closes, and is no stray rejection", async () => {
    const gate = new Gate();
    const { host, loop } = setUp({ onError: () => gate.promise });
    loop.on("kind", failing).post("throw");
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(idle.state).toBe("resolved");
    gate.fail(new Error("late"));
    await settled();
    await expect(loop.close()).rejects.toThrow("late");
  });

  test("after the close is a stray rejection, whose cause is the handler's error", async () => {
    const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;
    const program = `
      const { createLoop, createRuntime } = await import(${JSON.stringify(entry)});
      const strays = [];
      process.on("unhandledRejection", (error) => strays.push([error.message, error.cause?.message]));
      let fail;
      const answer = new Promise((_, reject) => (fail = reject));
      const loop = createLoop(await createRuntime(), { onError: () => answer });
      loop.on("kind", () => { throw new Error("fault"); }).post(0);
      await loop.runUntilIdle();
      const report = await loop.close();
      fail(new Error("late"));
      await new Promise((resolve) => setTimeout(resolve, 5));
      console.log(JSON.stringify({ report, strays }));
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program]);
    expect(JSON.parse(stdout)).toEqual({
      report: { processed: 1, dropped: 0, abandoned: 0 },
      strays: [["late", "fault"]],
    });
  });
});

describe("an async onError that rejects", () => {
  test("more than once in a turn is told to the run, once, and is no stray rejection", async () => {
    const strays: unknown[] = [];
    const note = (error: unknown) => strays.push(error);
    process.on("unhandledRejection", note);
    try {
      const fault = new Error("in an async onError");
      const { host, loop } = setUp({ onError: () => Promise.reject(fault) });
      const kind = loop.on("kind", failing);
      for (let count = 0; count < 3; count++) kind.post("throw");
      const run = new Outcome(loop.run());
      await host.rest();
      await settled();
      expect([run.error, strays]).toEqual([fault, []]);
    } finally {
      process.off("unhandledRejection", note);
    }
  });
});

/** What the platform is told of that nobody has handled. */
async function straysOf(act: () => Promise<unknown>): Promise<unknown[]> {
  const strays: unknown[] = [];
  const note = (error: unknown) => strays.push(error);
  process.on("unhandledRejection", note);
  try {
    await act();
    await settled();
    return strays;
  } finally {
    process.off("unhandledRejection", note);
  }
}

describe("what rejects when nobody is left to be told", () => {
  test.each(["closed", "aborted", "closed without onError"] as const)(
    "goes to the platform, of a loop that is %s",
    (end) => {
      const fault = new Error("late");
      return straysOf(async () => {
        const gate = new Gate();
        const failingLate = () => gate.promise.then(() => Promise.reject(fault));
        const { host, loop } = setUp({
          queue: { capacity: 1, onDrain: end === "closed without onError" ? failingLate : () => {} },
          ...(end !== "closed without onError" && { onError: failingLate }),
        });
        const kind = loop.on("kind", (_: number) => {
          if (end !== "closed without onError") throw sabotage;
        });
        kind.post(1);
        kind.post(2); // refused, so that onDrain is called
        const abort = new AbortController();
        new Outcome(loop.run({ signal: abort.signal }));
        await host.rest();
        if (end === "aborted") abort.abort(new Error("by the user"));
        new Outcome(loop.close());
        await host.rest();
        gate.open();
      }).then((strays) => expect(strays).toEqual([fault]));
    },
  );
});

describe("what rejects behind the first failure", () => {
  test("is no stray rejection where an async onError throws on what it is given, as a synchronous one does", () =>
    straysOf(async () => {
      const { host, loop } = setUp({
        onError: async (error) => {
          throw error;
        },
      });
      const gate = new Gate();
      const kind = loop.on("kind", async (index: number) => {
        await gate.promise;
        throw new Error(`of ${index}`);
      });
      for (let index = 0; index < 3; index++) kind.post(index);
      const run = new Outcome(loop.run());
      await host.rest();
      gate.open();
      await settled();
      await host.rest();
      expect(String(run.error)).toBe("Error: of 0");
    }).then((strays) => expect(strays).toEqual([])));

  test("does not stop a loop that drains, if it is a post of onDrain that the closing loop has refused", () =>
    straysOf(async () => {
      const gate = new Gate();
      const { host, loop } = setUp({
        queue: {
          capacity: 4,
          onDrain: async () => {
            await gate.promise;
            kind.post(9);
          },
        },
        turn: { events: 1 },
      });
      let handled = 0;
      const kind = loop.on("kind", (_: number) => void handled++);
      for (let index = 0; index < 5; index++) kind.post(index); // the last is refused, so that onDrain is called
      const run = new Outcome(loop.run());
      await host.rest();
      for (let index = 0; index < 4; index++) kind.post(index);
      const close = new Outcome(loop.close());
      gate.open();
      await settled();
      await host.rest();
      expect([run.state, close.value]).toEqual(["resolved", { processed: 8, dropped: 0, abandoned: 0 }]);
      expect(handled).toBe(8);
    }).then((strays) => expect(strays).toEqual([])));
});

describe("onError", () => {
  test("may post, and may close the loop", async () => {
    const seen: string[] = [];
    const { host, loop } = setUp({
      onError: () => {
        audit.post("failed");
        loop.close();
      },
    });
    const kind = loop.on("kind", failing);
    const audit = loop.on("audit", (entry: string) => seen.push(entry));
    kind.post("throw");
    const run = new Outcome(loop.run());
    await host.rest();
    expect([run.state, seen]).toEqual(["resolved", ["failed"]]);
  });
});

describe("a host that refuses a hop", () => {
  /** A loop whose host refuses the hop of this number, from 1. */
  function refusing(number: number) {
    const { host, loop } = setUp({ turn: { events: 100 } });
    const hop = host.hop.bind(host);
    let asked = 0;
    host.hop = (callback) => {
      if (++asked === number) throw sabotage;
      hop(callback);
    };
    return { host, loop, kind: loop.on("kind", () => {}) };
  }

  test("stops the loop with its error, which the run that asked for it is told", async () => {
    const { host, loop, kind } = refusing(1);
    kind.post(1);
    const run = new Outcome(loop.run());
    await host.rest();
    expect([run.state, run.error]).toEqual(["rejected", sabotage]);
    expect(await loop.close()).toEqual({ processed: 0, dropped: 1, abandoned: 0 });
  });

  test("does so too where a post or the end of a turn asks for it", async () => {
    for (const posts of [1, 300]) {
      const { host, loop, kind } = refusing(posts === 1 ? 1 : 2);
      const run = posts === 1 ? new Outcome(loop.run()) : undefined;
      for (let post = 0; post < posts; post++) kind.post(post);
      const last = run ?? new Outcome(loop.run());
      await host.rest();
      expect([last.state, last.error]).toEqual(["rejected", sabotage]);
      expect(() => kind.post(1)).toThrow(LoopClosedError);
      expect((await loop.close()).dropped).toBeGreaterThan(0);
    }
  });
});
