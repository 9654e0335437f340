// What the program's own objects do at a bad moment: streams, promises, hooks, timers and listeners that throw or act.

import { Readable, Writable } from "node:stream";
import {
  type Bytes,
  Channel,
  Condition,
  createFibers,
  createLoop,
  createTimers,
  DeadlineError,
  DisposedError,
  EventAbandonedError,
  type EventContext,
  InvalidArgumentError,
  type Loop,
  Mutex,
  type Region,
  type RingMessage,
  ref,
  SourceError,
  type SourceStream,
  select,
  struct,
  u32,
  type WaitTimers,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { withRuntime } from "../support/runtimes.js";
import { Gate, Outcome, SimulatedHost, settled } from "./simulation.js";

/** A promise of the program's own, whose `then` throws, since its constructor does something else with what it is given. */
class Query extends Promise<void> {
  constructor(_sql: unknown) {
    super(() => {});
  }
}

describe("a promise whose `then` throws,", () => {
  test("yielded by a fiber that was cancelled in that step, ends it as any other would", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      const kind = loop.on("kind", () => {});
      const fiber = loop.spawn(function* ({ fiber }) {
        fiber.cancel();
        yield new Query("select 1");
      });
      new Outcome(loop.run());
      await host.rest();
      kind.post(undefined);
      await host.rest();
      expect(fiber.state).toBe("cancelled");
      expect(loop.stats().processed).toBe(1);
      expect(runtime.$memory.handlersRunning).toBe(0);
    }));

  test("yielded by an event's fiber behind its deadline, leaves the failure to that", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const told: unknown[] = [];
      const loop = createLoop(runtime, { host, onError: (error) => told.push(error) });
      const gate = new Gate();
      const kind = loop.on(
        "kind",
        function* () {
          yield gate.promise;
          yield new Query("select 1");
        },
        { deadline: 20 },
      );
      kind.post(undefined);
      new Outcome(loop.run());
      await host.rest();
      await host.advance(20); // the deadline is due in the next turn…
      gate.open(); // …in which the fiber goes on as well
      await settled();
      await host.rest();
      expect(told).toEqual([expect.any(DeadlineError)]);
      expect(loop.stats()).toMatchObject({ inFlight: 0, failed: 1 });
    }));
});

describe("a close that discards, asked for by onDrain,", () => {
  test.each(["itself", "the onError that its error goes to"])("tells those in flight, if by %s", (by) =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      let close: Outcome<unknown> | undefined;
      const discard = () => {
        close = new Outcome(loop.close({ mode: "discard" }));
      };
      const loop = createLoop(runtime, {
        host,
        queue: {
          capacity: 2,
          onDrain() {
            if (by === "itself") discard();
            else throw new Error("planned");
          },
        },
        onError: discard,
      });
      let aborted = false;
      const waits = loop.on("waits", async (_: undefined, { signal }) => {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        aborted = true;
      });
      for (let event = 0; event < 2; event++) waits.post(undefined);
      expect(waits.post(undefined)).toBe("rejected"); // so onDrain has something to tell
      new Outcome(loop.run());
      await host.rest();
      expect(aborted).toBe(true);
      expect(close?.value).toMatchObject({ processed: 2, abandoned: 0 });
    }),
  );
});

describe("the deadline of an async handler", () => {
  test("counts from its call, not from its first await", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      const aborted: number[] = [];
      const kind = loop.on(
        "kind",
        async (busy: number, { signal }) => {
          const begun = host.time;
          host.time += busy;
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
          aborted.push(host.time - begun);
        },
        { deadline: 120 },
      );
      for (const busy of [0, 100, 300]) {
        kind.post(busy);
        const idle = new Outcome(loop.runUntilIdle());
        await host.rest();
        for (let step = 0; step < 200 && idle.state === "pending"; step++) {
          await host.advance(1);
          await host.rest();
        }
        expect(idle.state).toBe("resolved");
      }
      expect(aborted[0]).toBeGreaterThanOrEqual(120);
      expect(aborted[0]).toBeLessThan(125);
      expect(aborted[1]).toBeLessThan(125);
      expect(aborted[2]).toBeLessThan(305);
    }));
});

describe("a destroy hook at the end of a turn, in a region that was kept too long,", () => {
  test("may give up others that are in flight", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const told: unknown[] = [];
      const loop = createLoop(runtime, { host, abandonAfter: 50, onError: (error) => told.push(error) });
      const Hooked = struct(
        "Hooked",
        { id: u32 },
        {
          destroy() {
            host.time += 100;
            loop.timers.run(host.time);
          },
        },
      );
      let kept: Region | undefined;
      const waits = loop.on("waits", () => new Promise<void>(() => {}));
      const quick = loop.on("quick", async (_: undefined, { region }) => void region.allocate(8));
      const keeps = loop.on("keeps", (_: undefined, { region }) => {
        kept = region;
        region.allocate(8);
      });
      const adds = loop.on("adds", () => void kept!.new(Hooked));
      new Outcome(loop.run());
      for (let event = 0; event < 200; event++) waits.post(undefined);
      await host.rest();
      for (let event = 0; event < 200; event++) quick.post(undefined); // a pause, behind which many are prepared
      keeps.post(undefined);
      adds.post(undefined);
      await host.rest();
      expect(told.filter((error) => !(error instanceof EventAbandonedError))).toEqual([]);
      expect(loop.stats().abandoned).toBeGreaterThanOrEqual(200);
      expect(loop.stats()).toMatchObject({ inFlight: 200, quarantined: 200, regionsLive: 0 });
      keeps.post(undefined);
      await host.rest();
      expect(loop.stats().queued).toBe(0);
    }));
});

describe("a destroy hook at the end of an asynchronous event", () => {
  test("that has another event begin keeps its own context from that", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const told: unknown[] = [];
      const loop = createLoop(runtime, { host, onError: (error) => told.push(error) });
      const contexts: EventContext[] = [];
      const Hooked = struct(
        "Hooked",
        { id: u32 },
        {
          destroy() {
            second.post(undefined);
            host.hops.shift()?.();
          },
        },
      );
      const first = loop.on("first", async (_: undefined, context) => {
        contexts.push(context);
        context.region.new(Hooked);
      });
      const second = loop.on("second", async (_: undefined, context) => {
        contexts.push(context);
        context.region.allocate(8);
      });
      new Outcome(loop.run());
      first.post(undefined);
      await host.rest();
      expect(contexts).toHaveLength(2);
      expect(contexts[0]).not.toBe(contexts[1]);
      expect(told).toEqual([]);
      expect(loop.stats()).toMatchObject({ inFlight: 0, regionsLive: 0, processed: 2 });
    }));
});

describe("an event that disposes of the runtime", () => {
  test.each([false, true])("finds no region any more (another before it: %s)", (another) =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      let error: unknown;
      const kind = loop.on("kind", (disposes: boolean, context) => {
        if (!disposes) {
          context.region.allocate(8);
          return;
        }
        runtime.dispose();
        try {
          void context.region;
        } catch (thrown) {
          error = thrown;
        }
      });
      if (another) kind.post(false);
      kind.post(true);
      const run = new Outcome(loop.run());
      await host.rest();
      expect(error).toBeInstanceOf(DisposedError);
      expect(run.state).toBe("rejected");
    }),
  );
});

/** Events of a target, which throws where it is told to. */
function target(throwsIn: "adding" | "removing") {
  return {
    addEventListener() {
      if (throwsIn === "adding") throw new Error("planned");
    },
    removeEventListener() {
      if (throwsIn === "removing") throw new Error("planned");
    },
  };
}

describe("a stream that throws", () => {
  test("when it is let go of does not keep the loop from its close", () =>
    withRuntime({}, async (runtime) => {
      const loop = createLoop(runtime);
      const kind = loop.on("kind", (_: RingMessage) => {});
      const source = loop.source(kind, target("removing"));
      const run = loop.run();
      await loop.close();
      await run;
      expect((await source.done).ended).toBe("loop-closed");
    }));

  test("when it is let go of does not keep an error from stopping the loop", () =>
    withRuntime({}, async (runtime) => {
      const loop = createLoop(runtime);
      const kind = loop.on("kind", (_: RingMessage) => {});
      const fails = loop.on("fails", () => {
        throw new Error("handler");
      });
      const source = loop.source(kind, target("removing"));
      fails.post(undefined);
      await expect(loop.run()).rejects.toThrow("handler");
      await loop.close();
      expect((await source.done).ended).toBe("loop-closed");
    }));

  test("when it is opened has failed, and its ring is given back", () =>
    withRuntime({}, async (runtime) => {
      const loop = createLoop(runtime);
      const kind = loop.on("kind", (_: RingMessage) => {});
      const before = runtime.stats().usedBytes;
      const source = loop.source(kind, target("adding"));
      await expect(source.done).rejects.toThrow(SourceError);
      await expect(source.done).rejects.toThrow(/planned/);
      expect(source.stats().state).toBe("ended");
      expect(runtime.stats().usedBytes).toBe(before);
      await loop.close();
    }));
});

/** What can be thrown, and has no text: an object without a prototype, errors whose message is none, a proxy that has been revoked. */
const TEXTLESS: readonly [string, () => unknown][] = [
  ["an object without a prototype", () => Object.create(null)],
  ["an error whose message throws", () => withMessage({ get: fail })],
  ["an error whose message is such an object", () => withMessage({ value: Object.create(null) })],
  [
    "a proxy that has been revoked",
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    },
  ],
];

function withMessage(message: PropertyDescriptor): Error {
  return Object.defineProperty(new Error(), "message", message);
}

function fail(): never {
  throw new Error("planned");
}

describe.each(TEXTLESS)("%s", (_what, make) => {
  const streams: Record<string, (thrown: unknown) => SourceStream> = {
    "a generator": async function* (thrown) {
      yield "handled";
      throw thrown;
    },
    "a Node stream": (thrown) => {
      const stream = new Readable({ read() {}, objectMode: true });
      stream.push("handled");
      setImmediate(() => setImmediate(() => stream.emit("error", thrown)));
      return stream;
    },
  };
  test.each(Object.keys(streams))("is what %s may fail with: its source ends, with that as the cause", (name) =>
    withRuntime({}, async (runtime) => {
      const loop = createLoop(runtime);
      const texts: string[] = [];
      const kind = loop.on("kind", (message: RingMessage) => void texts.push(message.toString()));
      const thrown = make();
      const source = loop.source(kind, streams[name]!(thrown));
      const run = loop.run();
      const failure = await source.done.catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(SourceError);
      expect(failure).toMatchObject({
        reason: "failed",
        message: "the stream has failed: something that has no text",
      });
      expect((failure as SourceError).cause === thrown).toBe(true);
      expect([texts, source.stats().state]).toEqual([["handled"], "ended"]);
      await loop.close();
      await run;
    }),
  );

  test("is what map may throw", () =>
    withRuntime({}, async (runtime) => {
      const loop = createLoop(runtime);
      const map = () => {
        throw make();
      };
      const source = loop.source(
        loop.on("kind", (_: RingMessage) => {}),
        streams["a generator"]!(undefined),
        { map },
      );
      await expect(source.done).rejects.toThrow("map has thrown: something that has no text");
      await loop.close();
    }));

  test("is what the start function of a guest may throw", () =>
    withRuntime({}, async (runtime) => {
      const imports = {
        stranger: {
          call() {
            throw make();
          },
        },
      };
      await expect(runtime.instantiate(STARTS_STRANGER, imports)).rejects.toThrow(
        "the module cannot be instantiated: something that has no text",
      );
    }));
});

describe.each([...TEXTLESS, ["an error whose cause throws", () => withoutCause()]] as typeof TEXTLESS)(
  "%s,",
  (_what, make) => {
    const failing: Record<string, (loop: Loop) => unknown> = {
      "a handler": (loop) => loop.on("fails", fail).post(undefined),
      "an async handler": (loop) => loop.on("fails", async () => fail()).post(undefined),
      "a timer": (loop) => loop.after(0, fail),
      "a fiber": (loop) =>
        loop.spawn(function* () {
          fail();
        }),
    };
    test.each(Object.keys(failing))("thrown by onError when %s has failed, stops the loop with that", (name) =>
      withRuntime({}, async (runtime) => {
        const thrown = make();
        const loop = createLoop(runtime, {
          onError() {
            throw thrown;
          },
        });
        failing[name]!(loop);
        expect(await loop.run().then(fail, (error: unknown) => error === thrown)).toBe(true);
        await loop.close();
      }),
    );
  },
);

function withoutCause(): Error {
  return Object.defineProperty(new Error(), "cause", { get: fail });
}

/** (module (import "stranger" "call" (func)) (start 0)) */
const STARTS_STRANGER = new Uint8Array(
  [
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // magic and version
    [1, 4, 1, 0x60, 0, 0], // one type, () -> ()
    [2, 17, 1, 8, ...Buffer.from("stranger"), 4, ...Buffer.from("call"), 0, 0], // one import, of that type
    [8, 1, 0], // the start function
  ].flat(),
);

describe("a stream that somebody else reads", () => {
  test.each(["for await", "data", "pipe"])("is refused, and left to its reader (%s)", (reader) =>
    withRuntime({}, async (runtime) => {
      const loop = createLoop(runtime);
      const kind = loop.on("kind", (_: RingMessage) => {});
      const stream = Readable.from(["a", "b"]);
      let read = "";
      const finished = new Gate();
      if (reader === "data") stream.on("data", (chunk) => (read += chunk)).on("end", finished.open);
      if (reader === "pipe") {
        const write = (chunk: unknown, _encoding: unknown, done: () => void) => {
          read += chunk;
          done();
        };
        stream.pipe(new Writable({ objectMode: true, write, final: (done) => done(finished.open() as never) }));
      }
      if (reader === "for await") {
        void (async () => {
          for await (const chunk of stream) read += chunk;
          finished.open();
        })();
      }
      const before = runtime.stats().usedBytes;
      expect(() => loop.source(kind, stream)).toThrow(/somebody else is reading/);
      expect(runtime.stats().usedBytes).toBe(before);
      await finished.promise;
      expect(read).toBe("ab");
      await loop.close();
    }),
  );
});

describe("a source whose messages a close has dropped", () => {
  test("says how many", () =>
    withRuntime({}, async (runtime) => {
      const loop = createLoop(runtime, { inFlight: 1 });
      const gate = new Gate();
      let handled = 0;
      const kind = loop.on("kind", async (_: RingMessage) => {
        await gate.promise;
        handled++;
      });
      async function* stream() {
        for (let value = 0; value < 4; value++) yield `${value}`;
      }
      const source = loop.source(kind, stream());
      const run = loop.run();
      while (source.stats().messages < 4 || loop.stats().inFlight === 0) await settled();
      const close = loop.close({ mode: "discard" });
      gate.open();
      await Promise.all([close, run]);
      expect(await source.done).toEqual({ messages: 4, bytes: 4, dropped: 3, skipped: 0, pauses: 0, ended: "end" });
      expect(handled).toBe(1);
    }));
});

/** Timers for which there is no memory. */
const NO_TIMERS: WaitTimers = {
  after() {
    throw new Error("no memory");
  },
  cancel() {},
};

describe("without a timer for its limit,", () => {
  test("a select leaves all lines as they were", async () => {
    const channel = new Channel<number>(4);
    using fibers = createFibers({ timers: NO_TIMERS });
    const fiber = fibers.spawn(function* () {
      yield select([channel.receive()], 10);
    });
    await expect(fiber.join()).rejects.toThrow("no memory");
    expect(channel.trySend(42)).toBe(true);
    expect(channel.tryReceive()).toBe(42);
  });

  test.each(["free", "taken meanwhile"])(
    "a condition's wait has its mutex (%s) again before it fails",
    async (state) => {
      const mutex = new Mutex();
      const condition = new Condition(mutex);
      using fibers = createFibers({ timers: NO_TIMERS });
      const log: string[] = [];
      const waits = fibers.spawn(function* () {
        yield mutex.lock();
        try {
          yield condition.wait(10);
        } finally {
          log.push(mutex.locked ? "locked" : "free");
          mutex.unlock();
        }
      });
      const other =
        state === "free"
          ? undefined
          : fibers.spawn(function* () {
              yield mutex.lock();
              log.push("other");
              yield undefined;
              mutex.unlock();
            });
      await expect(waits.join()).rejects.toThrow("no memory");
      await other?.join();
      expect(log.filter((entry) => entry !== "other")).toEqual(["locked"]);
      expect([mutex.locked, condition.waiting]).toEqual([false, 0]);
    },
  );
});

describe("the memory that the loop has lent", () => {
  test("as a fiber's frame is not taken for anything else while the fiber has it", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      const arena = runtime.arena();
      const refused: unknown[] = [];
      let frame: Bytes | undefined;
      const fiber = loop.spawn(
        function* (context) {
          frame = context.frame;
          frame.set(0, 7);
          for (const move of [() => arena.bytes(16, frame), () => arena.text("text", frame)]) {
            try {
              move();
            } catch (error) {
              refused.push(error);
            }
            yield;
          }
          return frame.get(0);
        },
        { frame: "small" },
      );
      await Promise.all([loop.runUntilIdle(), host.rest()]);
      expect(await fiber.join()).toBe(7);
      expect(refused).toEqual([expect.any(InvalidArgumentError), expect.any(InvalidArgumentError)]);
      arena.bytes(16, frame).set(0, 1); // and afterwards it may be
      await loop.close();
    }));

  test("as a message is not taken for anything else", () =>
    withRuntime({}, async (runtime) => {
      const loop = createLoop(runtime);
      const seen: unknown[] = [];
      const kind = loop.on("line", (line: RingMessage, { region }) => {
        expect(() => region.bytes(3, line)).toThrow(InvalidArgumentError);
        seen.push(line.toString());
      });
      const source = loop.source(kind, Readable.from([Buffer.from("one\ntwo\n")]), { framing: "line" });
      const run = loop.run();
      await source.done;
      await loop.close();
      await run;
      expect(seen).toEqual(["one", "two"]);
    }));
});

describe("a loop's timers", () => {
  test("take no time that has not come, and go on", () =>
    withRuntime({}, async (runtime) => {
      const host = new SimulatedHost();
      using timers = createTimers(runtime, { host });
      let fired = 0;
      timers.after(10, () => fired++);
      for (const time of [1, Number.POSITIVE_INFINITY, Number.NaN, "0", 0n, Symbol("0"), null, {}]) {
        expect(() => timers.run(time as never)).toThrow(InvalidArgumentError);
      }
      host.time = 10;
      timers.run(10);
      expect(fired).toBe(1);
    }));

  test("cancel none of others", () =>
    withRuntime({}, async (runtime) => {
      using timers = createTimers(runtime);
      using others = createTimers(runtime);
      const timer = others.after(1000, () => {});
      expect(timers.cancel(timer)).toBe(false);
      expect([timer.armed, others.cancel(timer)]).toEqual([true, true]);
    }));
});

test.each([-1, 0.5, Number.NaN, "1", 1n, Symbol("1")])("%s is no limit for a run of fibers", (limit) => {
  using fibers = createFibers();
  expect(() => fibers.run(limit as never)).toThrow(InvalidArgumentError);
});

test.each([null, 0, 5n, "small"])("%s for the options of a fiber is refused, and nothing is spawned", (options) => {
  using fibers = createFibers();
  expect(() => fibers.spawn(function* () {}, options as never)).toThrow(InvalidArgumentError);
  expect(fibers.stats().live).toBe(0);
});

test.each([null, 0, "host", {}, { now() {}, hop() {} }])("%o is no host for fibers", (host) => {
  expect(() => createFibers({ host: host as never })).toThrow(InvalidArgumentError);
});

describe("a handler", () => {
  test("may return a cursor, which is left alone: none of its fields is read", () =>
    withRuntime({}, async (runtime) => {
      const Node = struct("Node", { next: ref("Node") });
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      const pool = runtime.pool(Node);
      const freeing = loop.on("freeing", () => {
        const record = pool.new();
        pool.free(record);
        return record;
      });
      const heap = runtime.heap("mark-sweep", { types: [Node] });
      const scope = runtime.scope();
      const node = heap.new(Node, scope);
      node.next = heap.new(Node, scope);
      const holding = loop.on("holding", () => node);
      freeing.post(undefined);
      for (let count = 0; count < 1000; count++) holding.post(undefined);
      const run = new Outcome(loop.runUntilIdle());
      const { handles } = heap.stats();
      await host.rest();
      expect([run.state, loop.stats().failed, heap.stats().handles]).toEqual(["resolved", 0, handles]);
    }));
});
