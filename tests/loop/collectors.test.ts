import type { FailedEvent, LoopOptions } from "tidemark";
import { createLoop, createRuntime, DestroyHookError, OutOfMemoryError } from "tidemark";
import { describe, expect, test } from "vitest";
import {
  Gate,
  Outcome,
  SimulatedCollector,
  SimulatedHeap,
  SimulatedHost,
  SimulatedRuntime,
  settled,
} from "./simulation.js";

function setUp({
  debug = false,
  collectors: count = 1,
  ...options
}: LoopOptions & { debug?: boolean; collectors?: number } = {}) {
  const host = new SimulatedHost();
  const simulation = new SimulatedRuntime({ debug });
  const collectors = Array.from({ length: count }, () => new SimulatedCollector(simulation.$memory));
  const loop = createLoop(simulation.runtime, { host, ...options });
  return { host, simulation, memory: simulation.$memory, loop, collectors, collector: collectors[0]! };
}

const hookError = () => new DestroyHookError("a hook threw");
const memoryError = () => new OutOfMemoryError("0 pages are left of 0");

describe.each([{ debug: false }, { debug: true }])("what heaps owe, debug: $debug", ({ debug }) => {
  test("is paid after each event's end, before the next begins, however full the queue is", async () => {
    const { host, loop, memory, collectors } = setUp({ debug, collectors: 2, onError: () => {} });
    const heap = new SimulatedHeap(memory);
    const log: string[] = [];
    collectors.forEach((collector, index) => {
      collector.onSettle = () => log.push(`settle ${index} with ${heap.live.size} ranges`);
    });
    const kind = loop.on("kind", (mode: number, { scope }) => {
      scope.$rangeOf(heap);
      log.push(`event ${mode}`);
      if (mode === 1) throw new Error("thrown");
    });
    for (const mode of [0, 1, 2]) kind.post(mode);
    loop.run();
    await host.step();
    const paid = ["settle 0 with 0 ranges", "settle 1 with 0 ranges"];
    expect(log).toEqual(["event 0", ...paid, "event 1", ...paid, "event 2", ...paid]);
  });

  test("is paid after an asynchronous event when that has settled, whichever way, and not when it goes to wait", async () => {
    const { host, loop, collector } = setUp({ debug, onError: () => {} });
    const gates: Gate[] = [];
    const kind = loop.on("kind", () => {
      gates.push(new Gate());
      return gates.at(-1)!.promise;
    });
    kind.post(undefined);
    kind.post(undefined);
    loop.run();
    await host.rest();
    expect(collector.settles).toBe(0);
    gates[1]!.open();
    await settled();
    expect(collector.settles).toBe(1);
    gates[0]!.fail(new Error("rejected"));
    await settled();
    expect(collector.settles).toBe(2);
    expect(loop.stats()).toMatchObject({ processed: 2, failed: 1 });
  });

  test("is never asked for while a handler runs: handlers are counted, the parts after an await are not", async () => {
    const { host, memory, loop, collector } = setUp({ debug, onError: () => seen.push(`told ${running()}`) });
    const running = () => memory.handlersRunning;
    const seen: string[] = [];
    collector.onSettle = () => seen.push(`settle ${running()}`);
    const kind = loop.on("kind", async (_: number) => {
      seen.push(`first part ${running()}`);
      await Promise.resolve();
      seen.push(`second part ${running()}`);
    });
    const strange = loop.on("strange", (mode: "throws" | "then throws") => {
      seen.push(`${mode} ${running()}`);
      if (mode === "throws") throw new Error("thrown");
      return {
        // biome-ignore lint/suspicious/noThenProperty: that is what it is about
        get then() {
          throw new Error("no then");
        },
      };
    });
    strange.post("throws");
    strange.post("then throws");
    kind.post(1);
    loop.run();
    await host.step();
    expect(seen).toEqual([
      "throws 1",
      "told 0",
      "settle 0",
      "then throws 1",
      "told 0",
      "settle 0",
      "first part 1",
      "second part 0",
      "settle 0",
    ]);
    expect(running()).toBe(0);
  });

  test("is reported with the event after which it could not be paid, and keeps nobody from being asked", async () => {
    const told: [unknown, FailedEvent][] = [];
    const { host, loop, collectors } = setUp({
      debug,
      collectors: 3,
      onError: (error, event) => told.push([error, event]),
    });
    const faults = [hookError(), memoryError()];
    collectors[0]!.onSettle = () => {
      if (collectors[0]!.settles === 2) throw faults[0];
    };
    collectors[1]!.onSettle = () => {
      if (collectors[1]!.settles === 2) throw faults[1];
    };
    const kind = loop.on("kind", async (payload: string) => {
      if (payload === "fails") throw thrown;
    });
    const thrown = new Error("thrown");
    const sync = loop.on("sync", (_: string) => {});
    sync.post("well");
    kind.post("fails");
    loop.run();
    await host.rest();
    const event = { kind: "kind", sequence: 1, payload: "fails" };
    expect(told).toEqual([
      [thrown, event],
      [faults[0], event],
      [faults[1], event],
    ]);
    expect(collectors.map(({ settles }) => settles)).toEqual([2, 2, 2]);
    sync.post("well");
    await host.rest();
    expect(collectors.map(({ settles }) => settles)).toEqual([3, 3, 3]);
    expect(told).toHaveLength(3);
    expect(loop.stats()).toMatchObject({ processed: 3, failed: 1 });
  });

  test("stops the loop when it cannot be paid and nobody is told of errors: what is queued is dropped", async () => {
    const { host, loop, collector } = setUp({ debug });
    const fault = memoryError();
    collector.onSettle = () => {
      throw fault;
    };
    const kind = loop.on("kind", () => {});
    kind.post(undefined);
    kind.post(undefined);
    const run = new Outcome(loop.run());
    await host.rest();
    expect([run.state, run.error]).toEqual(["rejected", fault]);
    expect(collector.settles).toBe(1);
    expect(await loop.close()).toEqual({ processed: 1, dropped: 1, abandoned: 0 });
  });

  test("is asked of heaps that are made meanwhile, and not of those that are gone", async () => {
    const { host, memory, loop, collector } = setUp({ debug });
    let late: SimulatedCollector | undefined;
    const kind = loop.on("kind", (step: number) => {
      if (step === 1) late = new SimulatedCollector(memory);
      if (step === 2) memory.collectors.delete(collector);
    });
    for (const step of [0, 1, 2, 3]) kind.post(step);
    loop.run();
    await host.step();
    expect([collector.settles, late?.settles]).toEqual([2, 3]);
  });

  test("is asked for while the loop drains for its close, and also when an abandoned event settles after it", async () => {
    const { host, loop, collector } = setUp({ debug });
    const gate = new Gate();
    const kind = loop.on("kind", (waits: boolean) => (waits ? gate.promise : undefined));
    kind.post(true);
    kind.post(false);
    const closed = new Outcome(loop.close({ deadline: 5 }));
    await host.rest();
    expect(collector.settles).toBe(1);
    await host.advance(5);
    expect(closed.state).toBe("resolved");
    gate.open();
    await settled();
    expect(collector.settles).toBe(2);
  });

  test("may have hooks run that post, and that close the loop", async () => {
    const { host, loop, collector } = setUp({ debug });
    const handled: number[] = [];
    const kind = loop.on("kind", async (id: number) => void handled.push(id));
    collector.onSettle = () => {
      if (collector.settles === 1) expect(kind.post(2)).toBe("queued");
      if (collector.settles === 2) void loop.close();
    };
    kind.post(1);
    const run = new Outcome(loop.run());
    await host.rest();
    expect(handled).toEqual([1, 2]);
    expect(run.state).toBe("resolved");
    expect(await loop.close()).toEqual({ processed: 2, dropped: 0, abandoned: 0 });
  });
});

describe("idle time", () => {
  test("gives a heap one step in each hop until it has no more to do; then nothing is scheduled", async () => {
    const { host, loop, collector } = setUp();
    const kind = loop.on("kind", () => {
      collector.work = 4;
    });
    kind.post(undefined);
    loop.run();
    const steps: number[] = [];
    while (host.hops.length > 0) {
      expect(host.hops).toHaveLength(1);
      await host.step();
      steps.push(collector.steps);
    }
    expect(steps).toEqual([0, 1, 2, 3, 4]);
    expect(loop.stats()).toMatchObject({ turns: 1, idleTurns: 4 });
  });

  test("has no hop where there is no heap, and one where a heap has nothing to do", async () => {
    for (const count of [0, 1]) {
      const { host, loop } = setUp({ collectors: count });
      const kind = loop.on("kind", () => {});
      loop.run();
      expect(host.hops).toHaveLength(count);
      await host.rest();
      kind.post(undefined);
      expect(await host.rest()).toBe(1 + count);
      expect(loop.stats()).toMatchObject({ turns: 1, idleTurns: 2 * count });
    }
  });

  test("is shared by heaps in turn, and goes on until each has said that it has no more to do", async () => {
    const { host, loop, collectors } = setUp({ collectors: 3 });
    const order: number[] = [];
    collectors.forEach((collector, index) => {
      collector.onIdle = () => order.push(index);
    });
    const kind = loop.on("kind", () => {
      collectors[0]!.work = 3;
      collectors[2]!.work = 1;
    });
    loop.run();
    await host.rest();
    order.length = 0;
    kind.post(undefined);
    await host.rest();
    expect(order).toEqual([0, 1, 2, 0, 1, 2, 0]);
    expect(collectors.map(({ work }) => work)).toEqual([0, 0, 0]);
  });

  test("ends for an event that comes meanwhile, which is handled at the next hop, and begins anew after it", async () => {
    const { host, loop, collector } = setUp();
    const handled: number[] = [];
    const kind = loop.on("kind", (id: number) => void handled.push(id));
    collector.work = 5;
    loop.run();
    await host.step();
    await host.step();
    expect(collector.steps).toBe(2);
    kind.post(1);
    kind.post(2);
    expect(host.hops).toHaveLength(1);
    await host.step();
    expect(handled).toEqual([1, 2]);
    expect(collector.steps).toBe(2);
    await host.rest();
    expect(collector.steps).toBe(5);
  });

  test("is there while events are in flight, and while no more may be, though others are queued", async () => {
    const { host, loop, collector } = setUp({ inFlight: 1 });
    const gate = new Gate();
    const kind = loop.on("kind", () => gate.promise);
    kind.post(undefined);
    kind.post(undefined);
    collector.work = 3;
    loop.run();
    await host.step();
    expect(loop.stats()).toMatchObject({ inFlight: 1, queued: 1 });
    await host.rest();
    expect(collector.steps).toBe(3);
    gate.open();
    await settled();
    await host.rest();
    expect(loop.stats()).toMatchObject({ processed: 2, turns: 2 });
  });

  test("does not keep runUntilIdle waiting, nor a close; heaps have none while nobody runs the loop", async () => {
    for (const waits of [false, true]) {
      const { host, loop, collector } = setUp();
      const gate = new Gate();
      const kind = loop.on("kind", () => (waits ? gate.promise : undefined));
      collector.onSettle = () => {
        collector.work = 10;
      };
      kind.post(undefined);
      const idle = new Outcome(loop.runUntilIdle());
      collector.work = 10;
      await host.step();
      if (waits) {
        await host.step(); // a step while the event is in flight
        expect([idle.state, collector.steps, host.hops.length]).toEqual(["pending", 1, 1]);
        gate.open();
        await settled();
      }
      expect(idle.state).toBe("resolved");
      await host.rest();
      expect(collector.steps).toBe(waits ? 1 : 0);
      loop.run();
      await host.step();
      const before = collector.steps;
      const closed = new Outcome(loop.close());
      await settled();
      expect(closed.state).toBe("resolved");
      await host.rest();
      expect(collector.steps).toBe(before);
    }
  });

  test("is not taken from a loop that an error has stopped and that waits for what is in flight", async () => {
    const { host, loop, collector } = setUp();
    const gate = new Gate();
    const fault = memoryError();
    const kind = loop.on("kind", () => gate.promise);
    collector.work = 5;
    collector.onIdle = () => {
      if (collector.steps === 2) throw fault;
    };
    kind.post(undefined);
    const run = new Outcome(loop.run());
    await host.rest();
    expect([run.state, run.error]).toEqual(["rejected", fault]);
    expect(collector.steps).toBe(2);
    gate.open();
    await settled();
    expect(await loop.close()).toEqual({ processed: 1, dropped: 0, abandoned: 0 });
  });

  test("goes on after a hook has thrown, and ends for a heap that cannot work; both are told without an event", async () => {
    const told: [unknown, FailedEvent][] = [];
    const { host, loop, collectors } = setUp({ collectors: 2, onError: (error, event) => told.push([error, event]) });
    const [hooked, poor] = collectors as [SimulatedCollector, SimulatedCollector];
    const faults = [hookError(), memoryError()];
    hooked.work = 4;
    hooked.onIdle = () => {
      if (hooked.work === 2) throw faults[0];
    };
    poor.work = 1_000;
    poor.onIdle = () => {
      throw faults[1];
    };
    loop.run();
    await host.rest();
    expect(hooked.work).toBe(0);
    const event = { kind: "", sequence: -1, payload: undefined };
    expect(told.filter(([error]) => error === faults[0])).toEqual([[faults[0], event]]);
    expect(told.filter(([error]) => error === faults[1]).length).toBeLessThan(8); // asked in turn, while the other works
    expect(host.hops).toHaveLength(0);
  });

  test("with a heap that fails each time comes to its end, and to another after the next event", async () => {
    const told: unknown[] = [];
    const { host, loop, collector } = setUp({ onError: (error) => told.push(error) });
    collector.work = 100;
    collector.onIdle = () => {
      throw memoryError();
    };
    const kind = loop.on("kind", () => {});
    loop.run();
    await host.rest();
    expect(told).toHaveLength(1);
    kind.post(undefined);
    await host.rest();
    expect(told).toHaveLength(2);
  });

  test("survives that a heap goes, or all of them, and finds one that comes", async () => {
    const { host, memory, loop, collectors } = setUp({ collectors: 3 });
    const [first, second, third] = collectors as [SimulatedCollector, SimulatedCollector, SimulatedCollector];
    for (const collector of collectors) collector.work = 2;
    first.onIdle = () => memory.collectors.delete(second);
    loop.run();
    await host.rest();
    expect(collectors.map(({ steps }) => steps)).toEqual([expect.any(Number), 0, expect.any(Number)]);
    expect([first.work, third.work]).toEqual([0, 0]);
    memory.collectors.clear();
    const kind = loop.on("kind", (comes: boolean) => {
      if (comes) new SimulatedCollector(memory).work = 2;
    });
    kind.post(false);
    expect(await host.rest()).toBe(1);
    kind.post(true);
    expect(await host.rest()).toBe(3);
  });

  test("gives way to timers and input of the platform between any two steps", async () => {
    await using loop = createLoop(await createRuntimeWith(200));
    let ticks = 0;
    const timer = setInterval(() => ticks++, 0);
    void loop.run();
    while (loop.stats().idleTurns < 200) await new Promise((resolve) => setImmediate(resolve));
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
  });
});

/** A real runtime with a collector that takes as many steps as told, of a quarter of a millisecond each. */
async function createRuntimeWith(steps: number) {
  const runtime = await createRuntime();
  let left = steps;
  const { collectors } = runtime.$memory;
  collectors.add({
    $figures: { steps: 0, units: 0, longestStepUnits: 0, longestStepMicroseconds: 0, cycles: 0 },
    $refused: () => {},
    $settle: () => {},
    $idle: () => {
      for (const end = performance.now() + 0.25; performance.now() < end; );
      return --left > 0;
    },
  });
  return runtime;
}

test("the loop's figures are those of all heaps, the longest those of any, and tell how often idle time was used", () => {
  const { loop, collectors, memory } = setUp({ collectors: 2 });
  const none = { steps: 0, units: 0, longestStepUnits: 0, longestStepMicroseconds: 0, cycles: 0 };
  expect(loop.stats()).toMatchObject({ idleTurns: 0, collections: none });
  collectors[0]!.$figures = { steps: 3, units: 500, longestStepUnits: 300, longestStepMicroseconds: 20, cycles: 1 };
  collectors[1]!.$figures = { steps: 4, units: 90, longestStepUnits: 80, longestStepMicroseconds: 50, cycles: 2 };
  const collections = { steps: 7, units: 590, longestStepUnits: 300, longestStepMicroseconds: 50, cycles: 3 };
  expect(loop.stats()).toMatchObject({ collections });
  memory.collectors.clear();
  expect(loop.stats()).toMatchObject({ collections: none });
});

test("a runtime that is disposed has no heaps for its loop any more, and nothing is reported of them", async () => {
  const runtime = await createRuntime();
  const host = new SimulatedHost();
  const told: unknown[] = [];
  const loop = createLoop(runtime, { host, onError: (error) => told.push(error) });
  const collector = new SimulatedCollector(runtime.$memory);
  collector.onSettle = () => {
    throw memoryError();
  };
  const kind = loop.on("kind", () => runtime.dispose());
  kind.post(undefined);
  const run = new Outcome(loop.run());
  await host.rest();
  expect(run.state).toBe("rejected");
  expect([collector.settles, collector.steps, told]).toEqual([0, 0, []]);
});
