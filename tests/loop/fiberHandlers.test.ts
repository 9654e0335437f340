import {
  Baton,
  createRuntime,
  FiberStateError,
  f64,
  InvalidArgumentError,
  RegionEndedError,
  StaleReferenceError,
  struct,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { NOTHING_LEFT, realLoop } from "./realLoop.js";
import { Gate, Outcome } from "./simulation.js";

const Level = struct("Level", { price: f64 });

describe("a generator function that handles events", () => {
  test("runs at once up to its first wait, in the order of the queue, and goes on when that is over", async () => {
    const { loop, pass } = await realLoop();
    const seen: string[] = [];
    const batons = [new Baton(), new Baton()];
    const fiber = loop.on("fiber", function* (index: number) {
      seen.push(`begin ${index}`);
      yield batons[index]!.wait();
      seen.push(`end ${index}`);
    });
    const quick = loop.on("quick", (index: number) => void seen.push(`quick ${index}`));
    fiber.post(0);
    quick.post(1);
    fiber.post(1);
    const idle = new Outcome(loop.runUntilIdle());
    await pass();
    expect(seen).toEqual(["begin 0", "quick 1", "begin 1"]);
    batons[1]!.post();
    expect(seen).toHaveLength(3); // never inside the post
    await pass();
    batons[0]!.post();
    await pass();
    expect(seen.slice(3)).toEqual(["end 1", "end 0"]);
    expect(idle.state).toBe("resolved");
    await loop.close();
  });

  test("waits for batons with a limit, sleeps, promises, fibers and fair turns, and each yield gives what the wait gives", async () => {
    const { loop, pass, failures } = await realLoop();
    const gate = new Gate();
    const baton = new Baton();
    const seen: unknown[] = [];
    const kind = loop.on("kind", function* (): Generator<unknown, void, unknown> {
      seen.push(yield baton.wait(3));
      seen.push(yield loop.sleep(2));
      seen.push(yield gate.promise.then(() => "promised"));
      seen.push(
        yield loop.spawn(function* () {
          yield;
          return "joined";
        }),
      );
      seen.push(yield);
    });
    kind.post(undefined);
    const idle = new Outcome(loop.runUntilIdle());
    await pass(2);
    expect(seen).toEqual([]);
    await pass(1);
    expect(seen).toEqual([false]);
    await pass(2);
    expect(seen).toEqual([false, undefined]);
    gate.open();
    await pass();
    expect([seen, failures, idle.state]).toEqual([[false, undefined, "promised", "joined", undefined], [], "resolved"]);
    await loop.close();
  });

  test("has its region and its scope for itself until it ends, and then they end once", async () => {
    const { loop, runtime, pass, failures } = await realLoop();
    const baton = new Baton();
    const kept: (() => unknown)[] = [];
    const fiber = loop.on("fiber", function* (price: number, context) {
      const { region } = context;
      void context.scope;
      const level = region.new(Level);
      level.price = price;
      yield baton.wait();
      expect(level.price).toBe(price);
      kept.push(
        () => region.new(Level),
        () => level.price,
      );
    });
    const quick = loop.on("quick", (price: number, { region }) => {
      region.new(Level).price = price;
    });
    fiber.post(1);
    for (let price = 2; price < 50; price++) quick.post(price);
    loop.run();
    await pass();
    expect(loop.stats()).toMatchObject({ regionsLive: 1, scopesLive: 1, inFlight: 1, regionsLeased: 49 });
    baton.post();
    await pass();
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 49, regionsLeased: 49, scopesOpened: 1 });
    expect(kept[0]).toThrow(RegionEndedError);
    expect(kept[1]).toThrow(StaleReferenceError);
    expect(failures).toEqual([]);
    await loop.close();
    runtime.validate();
  });

  test("that ends without waiting is an event like any other, region, sequence and all", async () => {
    const { loop, pass } = await realLoop();
    const sequences: number[] = [];
    const kind = loop.on("kind", function* (price: number, { region, sequence }) {
      region.new(Level).price = price;
      sequences.push(sequence);
    });
    for (let price = 0; price < 5; price++) kind.post(price);
    loop.run();
    await pass();
    expect(sequences).toEqual([0, 1, 2, 3, 4]);
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 5, regionsLeased: 5, inFlightHighWater: 1 });
    await loop.close();
  });

  test("counts against the bound of events in flight", async () => {
    const { loop, pass } = await realLoop({ inFlight: 2 });
    const begun: number[] = [];
    const baton = new Baton();
    const kind = loop.on("kind", function* (index: number) {
      begun.push(index);
      if (index === 0) yield baton.wait();
      else yield loop.sleep(1000);
    });
    for (let index = 0; index < 4; index++) kind.post(index);
    const run = new Outcome(loop.run());
    await pass();
    expect(begun).toEqual([0, 1]);
    baton.post();
    await pass();
    expect(begun).toEqual([0, 1, 2]);
    const close = new Outcome(loop.close({ mode: "discard" }));
    await pass();
    expect([run.state, close.value]).toEqual(["resolved", { processed: 3, dropped: 1, abandoned: 0 }]);
  });

  test("that fails is told to onError with its event, after its region has ended", async () => {
    const live: number[] = [];
    const told: unknown[] = [];
    const { loop, pass } = await realLoop({
      onError: (error, event) => {
        live.push(loop.stats().regionsLive);
        told.push([(error as Error).message, event]);
      },
    });
    const kind = loop.on("kind", function* (when: string, { region }) {
      void region;
      if (when === "at once") throw new Error(when);
      yield;
      if (when === "later") throw new Error(when);
      yield Promise.reject(new Error(when));
    });
    for (const when of ["at once", "later", "by its promise"]) kind.post(when);
    loop.run();
    await pass();
    expect(live).toEqual([0, 1, 0]); // the second fails while the third is in flight
    expect(told).toEqual(
      ["at once", "later", "by its promise"].map((when, sequence) => [when, { kind: "kind", sequence, payload: when }]),
    );
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 3, failed: 3 });
    await loop.close();
  });

  test("stops a loop without onError when it fails, and the run rejects with the error", async () => {
    const { loop, pass } = await realLoop({ onError: undefined });
    const kind = loop.on("kind", function* () {
      yield;
      throw new Error("planned");
    });
    kind.post(undefined);
    const run = new Outcome(loop.run());
    await pass();
    expect((run.error as Error).message).toBe("planned");
    expect(await loop.close()).toEqual({ processed: 1, dropped: 0, abandoned: 0 });
  });

  test("gets a typed error at the yield of what cannot be waited for, and may go on", async () => {
    const { loop, pass, failures } = await realLoop();
    const errors: unknown[] = [];
    const kind = loop.on("kind", function* (): Generator<unknown, void, unknown> {
      for (const value of [1, "baton", null, {}, Symbol("wait"), () => {}]) {
        try {
          yield value;
        } catch (error) {
          errors.push(error);
        }
      }
      yield 7;
    });
    kind.post(undefined);
    loop.run();
    await pass();
    expect(errors).toHaveLength(6);
    for (const error of errors) expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(failures).toHaveLength(1);
    expect(failures[0]!.error).toBeInstanceOf(InvalidArgumentError);
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, failed: 1 });
    await loop.close();
  });

  test("lets the next event have objects of their own in a debug runtime, so that a kept context is found out", async () => {
    const { loop, pass } = await realLoop({}, await createRuntime({ debug: true }));
    const contexts: { readonly region: unknown }[] = [];
    const kind = loop.on("kind", function* (_: number, context) {
      void context.region;
      contexts.push(context);
      yield;
    });
    for (let index = 0; index < 3; index++) kind.post(index);
    loop.run();
    await pass();
    kind.post(3);
    await pass();
    expect(new Set(contexts).size).toBe(4);
    for (const context of contexts) expect(() => context.region).toThrow(RegionEndedError);
    await loop.close();
  });
});

describe("a close", () => {
  test("that drains waits for fibers that handle events, which may sleep meanwhile, and takes no new fibers", async () => {
    const { loop, pass, failures } = await realLoop();
    const seen: string[] = [];
    const kind = loop.on("kind", function* () {
      yield loop.sleep(3);
      seen.push("slept");
      yield loop.sleep(2);
      expect(() => loop.spawn(function* () {})).toThrow("closing");
      seen.push("slept again");
    });
    kind.post(undefined);
    const close = new Outcome(loop.close());
    await pass(4);
    expect([seen, close.state]).toEqual([["slept"], "pending"]);
    await pass(1);
    expect([seen, close.value, failures]).toEqual([
      ["slept", "slept again"],
      { processed: 1, dropped: 0, abandoned: 0 },
      [],
    ]);
  });

  test("that discards cancels them: their finally blocks run, their regions end", async () => {
    const { loop, pass, host, failures } = await realLoop();
    const seen: string[] = [];
    const kind = loop.on("kind", function* (_: number, { region }) {
      try {
        region.new(Level);
        yield loop.sleep(1000);
        seen.push("slept");
      } finally {
        region.new(Level);
        seen.push("finally");
      }
    });
    kind.post(1);
    kind.post(2);
    loop.run();
    await pass();
    const close = new Outcome(loop.close({ mode: "discard" }));
    await pass();
    expect([seen, close.value, failures]).toEqual([
      ["finally", "finally"],
      { processed: 2, dropped: 0, abandoned: 0 },
      [],
    ]);
    expect(loop.stats()).toMatchObject(NOTHING_LEFT);
    expect([host.timers, host.hops.length]).toEqual([0, 0]);
  });

  test("that is asked for by the fiber's own first steps cancels it, too", async () => {
    const { loop, pass } = await realLoop();
    const ends: string[] = [];
    let close: Outcome<unknown> | undefined;
    const kind = loop.on("kind", function* (index: number) {
      try {
        if (index === 0) close = new Outcome(loop.close({ mode: "discard" }));
        yield new Baton().wait();
      } finally {
        ends.push(`end ${index}`);
      }
    });
    kind.post(0);
    kind.post(1); // in the same turn, after the close
    loop.run();
    await pass();
    expect([ends, close!.value]).toEqual([["end 0", "end 1"], { processed: 2, dropped: 0, abandoned: 0 }]);
  });

  test("refuses a yield in a finally block that a cancel runs, and ends the event all the same", async () => {
    const { loop, pass, failures } = await realLoop();
    const kind = loop.on("kind", function* (_: number, { region }) {
      try {
        void region;
        yield loop.sleep(1000);
      } finally {
        yield loop.sleep(1);
      }
    });
    kind.post(1);
    loop.run();
    await pass();
    const close = new Outcome(loop.close({ mode: "discard" }));
    await pass();
    expect(failures).toHaveLength(1);
    expect(failures[0]!.error).toBeInstanceOf(FiberStateError);
    expect(close.value).toEqual({ processed: 1, dropped: 0, abandoned: 0 });
    expect(loop.stats()).toMatchObject(NOTHING_LEFT);
  });

  test("with a deadline abandons them, cancels them, and counts each once", async () => {
    const { loop, pass } = await realLoop();
    const ends: string[] = [];
    const kind = loop.on("kind", function* (_: number, { region }) {
      try {
        void region;
        yield new Baton().wait();
      } finally {
        ends.push("end");
      }
    });
    kind.post(1);
    loop.run();
    await pass();
    const close = new Outcome(loop.close({ deadline: 5 }));
    await pass(5);
    expect([close.value, ends]).toEqual([{ processed: 0, dropped: 0, abandoned: 1 }, ["end"]]);
    expect(loop.stats()).toMatchObject(NOTHING_LEFT);
  });

  test("by the runtime's dispose inside a fiber's first steps ends it, and stops the loop", async () => {
    const { loop, runtime, pass } = await realLoop();
    const ends: string[] = [];
    const kind = loop.on("kind", function* () {
      try {
        runtime.dispose();
        yield new Baton().wait(1000);
      } finally {
        ends.push("end");
      }
    });
    kind.post(undefined);
    const run = new Outcome(loop.run());
    await pass();
    expect(ends).toEqual(["end"]);
    expect((run.error as Error).message).toContain("disposed");
    expect(loop.stats()).toMatchObject({ processed: 1, inFlight: 0, timers: undefined });
    expect((await loop.close()).processed).toBe(1);
  });
});
