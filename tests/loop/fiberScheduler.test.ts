import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Baton, createFibers, FiberCancelledError, LoopClosedError } from "tidemark";
import { describe, expect, test } from "vitest";
import { stage } from "./fiberStage.js";
import { Outcome, settled } from "./simulation.js";

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
