import { Baton, EventAbandonedError, f64, InvalidArgumentError, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { NOTHING_LEFT, realLoop } from "./realLoop.js";
import { Gate, Outcome } from "./simulation.js";

const Level = struct("Level", { price: f64 });

describe("abandonAfter", () => {
  test("ends the wait for a promise that never settles: it is told, its place is another's, its region is nobody's", async () => {
    const { loop, pass, failures } = await realLoop({ abandonAfter: 10, inFlight: 1 });
    const reasons: unknown[] = [];
    const never = loop.on("never", (_: number, { region, signal }) => {
      void region;
      signal.addEventListener("abort", () => reasons.push(signal.reason));
      return new Promise(() => {});
    });
    const seen: number[] = [];
    const slow = loop.on("slow", async (price: number, { region }) => {
      region.new(Level).price = price;
      seen.push(price);
    });
    never.post(7);
    slow.post(1);
    const idle = new Outcome(loop.runUntilIdle());
    await pass(9);
    expect([seen, failures.length]).toEqual([[], 0]);
    await pass(1);
    expect(seen).toEqual([1]);
    expect(idle.state).toBe("resolved");
    expect(failures).toHaveLength(1);
    expect(failures[0]!.error).toBeInstanceOf(EventAbandonedError);
    expect((failures[0]!.error as EventAbandonedError).code).toBe("ERR_TIDEMARK_EVENT_ABANDONED");
    expect((failures[0]!.error as Error).message).toContain("10 ms");
    expect(failures[0]!.event).toEqual({ kind: "never", sequence: 0, payload: 7 });
    expect(reasons).toEqual([failures[0]!.error]);
    expect(loop.stats()).toMatchObject({ processed: 1, abandoned: 1, quarantined: 1, inFlight: 1, regionsLive: 1 });
    expect(await loop.close()).toEqual({ processed: 1, dropped: 0, abandoned: 1 });
  });

  test("keeps the region from all others until the handler settles after all, which is late and counts once", async () => {
    const { loop, runtime, pass, failures } = await realLoop({ abandonAfter: 5 });
    const gates = [new Gate(), new Gate()];
    const prices: number[] = [];
    const slow = loop.on("slow", async (index: number, { region }) => {
      const level = region.new(Level);
      level.price = index + 100;
      await gates[index]!.promise;
      prices.push(level.price);
    });
    const quick = loop.on("quick", (price: number, { region }) => {
      for (let count = 0; count < 50; count++) region.new(Level).price = price;
    });
    slow.post(0);
    slow.post(1);
    loop.run();
    await pass(5);
    expect(loop.stats()).toMatchObject({ abandoned: 2, quarantined: 2, regionsLive: 2 });
    for (let price = 0; price < 200; price++) quick.post(price);
    await pass();
    gates[0]!.open();
    gates[1]!.fail(new Error("late"));
    await pass();
    expect(prices).toEqual([100]);
    expect(failures.map(({ error }) => (error as Error).constructor)).toEqual([
      EventAbandonedError,
      EventAbandonedError,
      Error,
    ]);
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 200, abandoned: 2, failed: 1 });
    expect(await loop.close()).toEqual({ processed: 200, dropped: 0, abandoned: 2 });
    runtime.validate();
  });

  test("cancels a fiber, whose finally blocks run, and whose region ends then", async () => {
    const { loop, pass, failures } = await realLoop({ abandonAfter: 5 });
    const seen: string[] = [];
    const kind = loop.on("kind", function* (_: number, { region }) {
      try {
        void region;
        yield new Baton().wait();
      } finally {
        seen.push("finally");
      }
    });
    kind.post(1);
    const idle = new Outcome(loop.runUntilIdle());
    await pass(5);
    expect([seen, failures.length, idle.state]).toEqual([["finally"], 1, "resolved"]);
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 0, abandoned: 1, failed: 0 });
    await loop.close();
  });

  test("comes after a deadline that nobody has heeded, and both are disarmed by whoever settles in time", async () => {
    const { loop, pass, failures } = await realLoop({ abandonAfter: 10 });
    const reasons: string[] = [];
    const gate = new Gate();
    const kind = loop.on(
      "kind",
      async (_: number, { signal }) => {
        signal.addEventListener("abort", () => reasons.push((signal.reason as Error).name));
        await gate.promise;
      },
      { deadline: 4 },
    );
    kind.post(1);
    loop.run();
    await pass(20);
    expect([reasons, failures.length]).toEqual([["DeadlineError"], 1]);
    gate.open();
    await pass();
    kind.post(2);
    await pass(20);
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 1, abandoned: 1 });
    expect(loop.timers.stats().armed).toBe(0);
    await loop.close();
  });

  test("stops a loop without onError, and its memory goes back when the last has settled", async () => {
    const { loop, pass, runtime } = await realLoop({ abandonAfter: 5, onError: undefined });
    const gate = new Gate();
    const kind = loop.on("kind", async (_: number, { region }) => {
      void region;
      await gate.promise;
    });
    kind.post(1);
    kind.post(2);
    const run = new Outcome(loop.run());
    await pass(5);
    expect(run.error).toBeInstanceOf(EventAbandonedError);
    await pass(5); // the other is given up as well, and then the loop has closed
    expect(await loop.close()).toEqual({ processed: 0, dropped: 0, abandoned: 2 });
    expect(loop.stats()).toMatchObject({ quarantined: 2, regionsLive: 2 });
    gate.open();
    await pass();
    expect(loop.stats()).toMatchObject(NOTHING_LEFT);
    expect(runtime.stats().bytesByOwner).toMatchObject({ arenas: 0, timers: 0 });
  });

  test("takes away whichever of those in flight is meant, in any order, and each lands once", async () => {
    const { loop, pass } = await realLoop({ abandonAfter: 50, inFlight: 40 });
    const gates = new Map<number, Gate>();
    const kind = loop.on("kind", async (index: number, { region }) => {
      region.new(Level).price = index;
      const gate = new Gate();
      gates.set(index, gate);
      await gate.promise;
      gates.delete(index);
    });
    const run = loop.run();
    let random = 12_345;
    let posted = 0;
    for (let round = 0; round < 200; round++) {
      for (let count = 0; count < 5; count++) kind.post(posted++);
      await pass(1);
      const open = [...gates.keys()];
      for (const index of open) {
        random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fff_ffff;
        if (random % 7 === 0) gates.get(index)!.open();
      }
    }
    const close = new Outcome(loop.close());
    await pass(2000);
    await run;
    const report = close.value!;
    expect(report.abandoned).toBeGreaterThan(0);
    expect(report.processed + report.abandoned).toBe(posted);
    expect(loop.stats().quarantined).toBe(gates.size);
    for (const gate of gates.values()) gate.open();
    await pass();
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, ...report });
  });

  test("must be milliseconds above 0", async () => {
    for (const abandonAfter of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, "5", null]) {
      await expect(realLoop({ abandonAfter: abandonAfter as number })).rejects.toBeInstanceOf(InvalidArgumentError);
    }
  });
});
