import type { EventContext, LoopOptions } from "tidemark";
import { createLoop, InvalidArgumentError, OutOfMemoryError, Scope, ScopeEndedError } from "tidemark";
import { describe, expect, test } from "vitest";
import { withRuntime } from "../support/runtimes.js";
import {
  Gate,
  Outcome,
  SimulatedHeap,
  SimulatedHost,
  type SimulatedRange,
  SimulatedRuntime,
  settled,
  simulated,
} from "./simulation.js";

function setUp({ debug = false, ...options }: LoopOptions & { debug?: boolean } = {}) {
  const host = new SimulatedHost();
  const simulation = new SimulatedRuntime({ debug });
  const loop = createLoop(simulation.runtime, { host, ...options });
  return { host, simulation, pool: simulation.pool, loop, heap: new SimulatedHeap(simulation.$memory) };
}

describe("a scope", () => {
  const memory = {};

  test("opens a range in each heap when it first needs one, gives the same again, and ends all of them", () => {
    const heaps = Array.from({ length: 4 }, () => new SimulatedHeap(memory));
    const scope = new Scope(memory);
    expect(heaps.map(({ opened }) => opened)).toEqual([0, 0, 0, 0]);
    const ranges = heaps.map((heap) => scope.$rangeOf(heap));
    for (const heap of [...heaps].reverse()) expect(scope.$rangeOf(heap)).toBe(ranges[heaps.indexOf(heap)]);
    expect(heaps.map(({ opened }) => opened)).toEqual([1, 1, 1, 1]);
    expect(scope.ended).toBe(false);
    scope.end();
    expect(scope.ended).toBe(true);
    expect(ranges.map(({ ended }) => ended)).toEqual([true, true, true, true]);
  });

  test("ends once: a second end, also by dispose, ends nothing and throws nothing", () => {
    const heap = new SimulatedHeap(memory);
    const scope = new Scope(memory);
    scope.$rangeOf(heap);
    {
      using same = scope;
      same.end();
    }
    scope.end(); // a range that is ended twice throws
    expect(heap.live.size).toBe(0);
  });

  test("ends with the block that uses it", () => {
    const heap = new SimulatedHeap(memory);
    let range: SimulatedRange;
    {
      using scope = new Scope(memory);
      range = scope.$rangeOf(heap);
      expect(range.ended).toBe(false);
    }
    expect(range.ended).toBe(true);
  });

  test("that has ended opens nothing and keeps nothing, whether or not a heap had used it", () => {
    for (const used of [false, true]) {
      const heap = new SimulatedHeap(memory);
      const scope = new Scope(memory);
      if (used) scope.$rangeOf(heap);
      scope.end();
      expect(() => scope.$rangeOf(heap)).toThrow(ScopeEndedError);
      expect(() => scope.$rangeOf(new SimulatedHeap(memory))).toThrow(ScopeEndedError);
      expect(() => scope.keep({ $heap: heap })).toThrow(ScopeEndedError);
      expect([heap.opened, heap.kept.length]).toEqual([used ? 1 : 0, 0]);
    }
  });

  test("that is opened again has no range of before, in any heap", () => {
    const heaps = [new SimulatedHeap(memory), new SimulatedHeap(memory)];
    const scope = new Scope(memory);
    const before = heaps.map((heap) => scope.$rangeOf(heap));
    scope.end();
    scope.$open();
    expect(scope.ended).toBe(false);
    const after = [...heaps].reverse().map((heap) => scope.$rangeOf(heap));
    expect(after.map(({ ended }) => ended)).toEqual([false, false]);
    expect(after).not.toContain(before[0]);
    expect(after).not.toContain(before[1]);
    scope.end();
    expect(heaps.map(({ live }) => live.size)).toEqual([0, 0]);
  });

  test("is as it was when a heap cannot open a range, and may ask again", () => {
    for (const others of [0, 1, 2]) {
      const scope = new Scope(memory);
      const used = Array.from({ length: others }, () => new SimulatedHeap(memory));
      for (const heap of used) scope.$rangeOf(heap);
      const heap = new SimulatedHeap(memory);
      heap.refusal = new OutOfMemoryError("0 pages are left of 0");
      expect(() => scope.$rangeOf(heap)).toThrow(OutOfMemoryError);
      expect(scope.$rangeOf(heap).ended).toBe(false);
      scope.end();
      for (const each of [heap, ...used]) expect([each.opened, each.live.size]).toEqual([1, 0]);
    }
  });

  test("that the program has to end is a leak of the debug runtime while it has handles", () =>
    withRuntime({ debug: true }, (runtime) => {
      const leaked = () => runtime.leaks().filter(({ kind }) => kind === "scope");
      const memory = runtime.$memory;
      const scope = new Scope(memory, memory.sites);
      expect(leaked()).toEqual([]);
      scope.$rangeOf(new SimulatedHeap(memory));
      scope.$rangeOf(new SimulatedHeap(memory));
      expect(leaked()).toMatchObject([{ count: 1, bytes: 16 }]);
      expect(leaked()[0]!.stack).toContain("scopes.test.ts");
      scope.end();
      expect(leaked()).toEqual([]);
    }));

  test("keeps a record through the heap that it is of, and refuses what is of none", () => {
    const heap = new SimulatedHeap(memory);
    const scope = new Scope(memory);
    const record = { $heap: heap, value: 7 };
    const kept = scope.keep(record);
    expect(kept.value).toBe(7);
    expect(heap.kept).toEqual([record]);
    expect(heap.opened).toBe(0); // what is kept is not the scope's
    for (const none of [
      undefined,
      null,
      1,
      "text",
      {},
      { $heap: undefined },
      { $heap: {} },
      () => 1,
      new Scope(memory),
    ]) {
      expect(() => scope.keep(none as never)).toThrow(InvalidArgumentError);
    }
    expect(heap.kept).toHaveLength(1);
  });
});

describe.each([{ debug: false }, { debug: true }])("the scope of an event, debug: $debug", ({ debug }) => {
  test("is opened when it is first read, and is the same however often it is read", async () => {
    const { host, loop } = setUp({ debug });
    const frugal = loop.on("frugal", () => {});
    const lavish = loop.on("lavish", (_: number, context) => {
      expect(loop.stats()).toMatchObject({ scopesOpened: 0, scopesLive: 0 });
      const { scope } = context;
      expect(scope.ended).toBe(false);
      expect(context.scope).toBe(scope);
      expect(loop.stats()).toMatchObject({ scopesOpened: 1, scopesLive: 1 });
    });
    frugal.post(undefined);
    lavish.post(1);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(idle.state).toBe("resolved");
    expect(loop.stats()).toMatchObject({ processed: 2, scopesOpened: 1, scopesLive: 0, regionsLeased: 0 });
  });

  test("ends when a handler returns, throws or rejects, before onError is told and the next event begins", async () => {
    const live: number[] = [];
    const { host, loop, heap } = setUp({ debug, onError: () => live.push(heap.live.size) });
    const kind = loop.on("kind", (mode: number, { scope, ...context }) => {
      expect(heap.live.size).toBe(0);
      scope.$rangeOf(heap);
      void context;
      if (mode === 1) throw new Error("thrown");
      if (mode === 2) return Promise.reject(new Error("rejected"));
      return undefined;
    });
    for (const mode of [0, 1, 0]) kind.post(mode);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    kind.post(2);
    const again = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect([idle.state, again.state]).toEqual(["resolved", "resolved"]);
    expect(live).toEqual([0, 0]);
    expect([heap.opened, heap.live.size]).toEqual([4, 0]);
    expect(loop.stats()).toMatchObject({ failed: 2, scopesOpened: 4, scopesLive: 0 });
  });

  test("stays open while the handler's promise is unsettled, whatever other events do meanwhile", async () => {
    const { host, loop, heap } = setUp({ debug });
    const gate = new Gate();
    const ranges: SimulatedRange[] = [];
    const slow = loop.on("slow", async (_: number, context) => {
      const { scope } = context;
      const range = scope.$rangeOf(heap);
      ranges.push(range);
      await gate.promise;
      expect(range.ended).toBe(false);
      expect(context.scope).toBe(scope);
      expect(scope.$rangeOf(heap)).toBe(range);
    });
    const quick = loop.on("quick", (_: number, { scope }) => {
      expect(ranges).not.toContain(scope.$rangeOf(heap));
    });
    slow.post(0);
    for (let count = 0; count < 3; count++) quick.post(count);
    slow.post(1);
    quick.post(3);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(ranges.map(({ ended }) => ended)).toEqual([false, false]);
    expect(loop.stats()).toMatchObject({ inFlight: 2, scopesOpened: 6, scopesLive: 2 });
    gate.open();
    await settled();
    expect(idle.state).toBe("resolved");
    expect(ranges.map(({ ended }) => ended)).toEqual([true, true]);
    expect(loop.stats()).toMatchObject({ failed: 0, scopesLive: 0 });
  });

  test("may first be read after an await, and then it still ends with the event", async () => {
    const { host, loop, heap } = setUp({ debug });
    const gate = new Gate();
    const kind = loop.on("kind", async (_: number, context) => {
      await gate.promise;
      context.scope.$rangeOf(heap);
    });
    kind.post(1);
    loop.run();
    await host.rest();
    expect(heap.opened).toBe(0);
    gate.open();
    await settled();
    expect([heap.opened, heap.live.size]).toEqual([1, 0]);
  });

  test("is refused once the event has ended, whether it was read in time or not", async () => {
    const { host, loop } = setUp({ debug });
    const contexts: EventContext<number>[] = [];
    const kind = loop.on("kind", (mode: number, context) => {
      contexts.push(context);
      if (mode === 1) void context.scope;
      return mode === 2 ? Promise.resolve() : undefined;
    });
    for (const mode of [0, 1, 2]) {
      kind.post(mode);
      const idle = new Outcome(loop.runUntilIdle());
      await host.rest();
      expect(idle.state).toBe("resolved");
      expect(() => contexts.at(-1)!.scope).toThrow(ScopeEndedError);
      expect(() => contexts.at(-1)!.scope).toThrow(`the event ${mode} has ended`);
    }
  });

  test("that the handler has ended itself stays ended for this event, and is open for the next", async () => {
    const { host, loop, heap } = setUp({ debug });
    const kind = loop.on("kind", (_: number, context) => {
      context.scope.$rangeOf(heap);
      context.scope.end();
      expect(context.scope.ended).toBe(true);
      expect(() => context.scope.$rangeOf(heap)).toThrow(ScopeEndedError);
    });
    kind.post(1);
    kind.post(2);
    const idle = new Outcome(loop.runUntilIdle());
    await host.rest();
    expect(idle.state).toBe("resolved");
    expect([heap.opened, heap.live.size]).toEqual([2, 0]);
    expect(loop.stats()).toMatchObject({ scopesOpened: 2, scopesLive: 0 });
  });

  test("ends after the region, and also when the region's end throws", async () => {
    const errors: unknown[] = [];
    const { host, pool, loop, heap } = setUp({ debug, onError: (error) => errors.push(error) });
    const order: string[] = [];
    const end = pool.end.bind(pool);
    pool.end = (region) => {
      order.push(`region, ${heap.live.size} ranges open`);
      return end(region);
    };
    const kind = loop.on("kind", async (mode: number, { region, scope }) => {
      simulated(region).bytes(1);
      scope.$rangeOf(heap);
      if (mode === 1) await Promise.resolve();
    });
    const sync = loop.on("sync", (_: number, { region, scope }) => {
      simulated(region).bytes(1);
      scope.$rangeOf(heap);
    });
    const thrown = [new Error("first"), new Error("second")];
    pool.fault = thrown[0];
    sync.post(0);
    loop.run();
    await host.rest();
    expect(order).toEqual(["region, 1 ranges open"]);
    pool.fault = thrown[1];
    kind.post(1);
    await host.rest();
    expect(errors).toEqual(thrown);
    expect([heap.opened, heap.live.size]).toEqual([2, 0]);
    sync.post(0);
    await host.rest();
    expect([heap.opened, heap.live.size]).toEqual([3, 0]);
    expect(loop.stats()).toMatchObject({ processed: 3, scopesLive: 0, regionsLive: 0 });
  });

  test("is counted as ended when a range throws against its promise, and the error is reported", async () => {
    const errors: unknown[] = [];
    const { host, loop, heap } = setUp({ debug, onError: (error) => errors.push(error) });
    const kind = loop.on("kind", (_: number, { scope }) => void scope.$rangeOf(heap));
    const fault = new Error("a range's");
    heap.fault = fault;
    kind.post(0);
    kind.post(1);
    loop.run();
    await host.rest();
    expect(errors).toEqual([fault]);
    expect(heap.live.size).toBe(0);
    expect(loop.stats()).toMatchObject({ processed: 2, scopesOpened: 2, scopesLive: 0 });
  });

  test("of an event abandoned by a close ends when its promise settles, and not before", async () => {
    const { host, loop, heap } = setUp({ debug });
    const gate = new Gate();
    const kind = loop.on("kind", async (_: number, { scope }) => {
      scope.$rangeOf(heap);
      await gate.promise;
    });
    kind.post(0);
    loop.run();
    await host.rest();
    const closed = new Outcome(loop.close({ deadline: 5 }));
    await host.advance(5);
    expect([closed.state, heap.live.size]).toEqual(["resolved", 1]);
    gate.open();
    await settled();
    expect(heap.live.size).toBe(0);
  });
});

test("synchronous events share one scope object, and with debug each has its own", async () => {
  for (const debug of [false, true]) {
    const { host, loop, heap } = setUp({ debug });
    const scopes = new Set<Scope>();
    const kind = loop.on("kind", (_: number, { scope }) => {
      scopes.add(scope);
      scope.$rangeOf(heap);
    });
    for (let count = 0; count < 3; count++) kind.post(count);
    loop.run();
    await host.rest();
    expect(scopes.size).toBe(debug ? 3 : 1);
    expect([heap.opened, heap.live.size]).toEqual([3, 0]);
  }
});

test("the scope of an asynchronous event that outlives its turn never serves another", async () => {
  const { host, loop } = setUp();
  const scopes: Scope[] = [];
  const gate = new Gate();
  const quick = loop.on("quick", (_: number, { scope }) => void scopes.push(scope));
  const reading = loop.on("reading", async (_: number, { scope }) => {
    scopes.push(scope);
    await gate.promise;
  });
  const frugal = loop.on("frugal", () => gate.promise);
  quick.post(0);
  frugal.post(undefined);
  quick.post(1);
  reading.post(2);
  quick.post(3);
  loop.run();
  await host.rest();
  gate.open();
  await settled();
  quick.post(4);
  await host.rest();
  const [first, second, third, ...later] = scopes;
  expect(second).not.toBe(first); // the frugal one might still read it
  expect(third).toBe(second);
  expect(later).not.toContain(third);
});
