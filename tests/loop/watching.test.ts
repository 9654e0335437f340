import { execFile } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { promisify } from "node:util";
import { createLoop, createRuntime, type LoopOptions, type SlowReport } from "tidemark";
import { describe, expect, test } from "vitest";
import { SimulatedHost } from "./simulation.js";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/** A loop on a clock that handlers move on, with two kinds of events that take so many milliseconds. */
async function watched(options: LoopOptions = {}) {
  const runtime = await createRuntime();
  const host = new SimulatedHost();
  const reports: SlowReport[] = [];
  const onSlow = (report: SlowReport) => void reports.push(report);
  const loop = createLoop(runtime, { host, onSlow, slowReportsEvery: 0, turn: { milliseconds: 1000 }, ...options });
  const handler = (milliseconds: number) => {
    host.time += milliseconds;
  };
  const [depth, trade] = [loop.on("depth", handler), loop.on("trade", handler)];
  const run = async () => {
    const done = loop.runUntilIdle();
    while (host.hops.length > 0) {
      host.hops.shift()!();
      await Promise.resolve();
    }
    await done;
  };
  return { runtime, host, loop, depth, trade, reports, run };
}

describe("a loop", () => {
  test("names the handler that has held it, and goes on", async () => {
    const { loop, depth, trade, reports, run } = await watched();
    for (let event = 0; event < 50; event++) (event % 2 === 0 ? depth : trade).post(event === 31 ? 40 : 0.003);
    await run();
    expect(reports).toMatchObject([{ kind: "trade", sequence: 31, events: 1, milliseconds: expect.closeTo(40) }]);
    expect(loop.stats()).toMatchObject({ processed: 50, slow: 1, longestSlow: expect.closeTo(40) });
  });

  test("names the one event of a turn, and one whose handler throws", async () => {
    const { loop, host, depth, reports, run } = await watched({ onError() {} });
    const failing = loop.on("failing", () => {
      host.time += 50;
      throw new Error("after a while");
    });
    depth.post(30);
    await run();
    failing.post(0);
    await run();
    expect(reports).toMatchObject([
      { kind: "depth", sequence: 0, events: 1, milliseconds: 30 },
      { kind: "failing", sequence: 1, events: 1, milliseconds: 50 },
    ]);
  });

  test("names the event whose fiber has held it, also when that has gone on after a wait, or has ended", async () => {
    const { loop, host, reports, run } = await watched();
    const steps = loop.on("steps", function* (milliseconds: number) {
      host.time += milliseconds; // the event's own
      yield;
      host.time += 2 * milliseconds;
      yield Promise.resolve();
      host.time += 3 * milliseconds;
    });
    for (const milliseconds of [0.003, 30, 0]) steps.post(milliseconds);
    await run();
    expect(reports).toMatchObject([
      { subject: "event", kind: "steps", sequence: 1, events: 1, milliseconds: expect.closeTo(30) },
      { subject: "fiber", kind: "steps", sequence: 1, events: 1, milliseconds: expect.closeTo(60) },
      { subject: "fiber", kind: "steps", sequence: 1, events: 1, milliseconds: expect.closeTo(90) },
    ]);
    expect(loop.stats()).toMatchObject({ processed: 3, slow: 3, longestSlow: expect.closeTo(90) });
  });

  test("tells of timers and of fibers that are no handlers, if they hold it", async () => {
    const { loop, host, reports } = await watched();
    loop.spawn(function* () {
      host.time += 40;
      yield;
    });
    loop.after(100, () => {
      host.time += 50;
    });
    const done = loop.run();
    await host.rest();
    await host.advance(100);
    await host.rest();
    await loop.close();
    await done;
    expect(reports).toMatchObject([
      { subject: "fiber", kind: "", sequence: -1, events: 1, milliseconds: 40 },
      { subject: "timer", kind: "", sequence: -1, events: 1, milliseconds: 50 },
    ]);
  });

  test("gives no kind to a stretch of several", async () => {
    const { depth, trade, reports, run } = await watched();
    for (let event = 0; event < 15; event++) (event % 2 === 0 ? depth : trade).post(event === 10 ? 40 : 0);
    await run();
    expect(reports).toMatchObject([{ kind: "", sequence: 7, events: 8 }]);
  });

  test("treats what onSlow throws as a failure: onError is told, and without one the loop stops", async () => {
    const fault = new Error("from onSlow");
    const errors: unknown[] = [];
    const onSlow = () => {
      throw fault;
    };
    const going = await watched({ onSlow, onError: (error) => void errors.push(error) });
    for (const milliseconds of [30, 0]) going.depth.post(milliseconds);
    await going.run();
    expect([errors, going.loop.stats().processed]).toEqual([[fault], 2]);
    const stopping = await watched({ onSlow });
    stopping.depth.post(30);
    await expect(stopping.run()).rejects.toBe(fault);
  });

  test("knows its lag, if it is to", async () => {
    const { loop, host, depth } = await watched({ observe: { lag: true } });
    depth.post(0);
    const done = loop.runUntilIdle();
    host.time += 7; // somebody else holds the thread
    host.hops.shift()!();
    await done;
    expect(loop.stats().lag).toMatchObject({ count: 1, min: 7, max: 7 });
    expect((await watched()).loop.stats().lag).toBeUndefined();
  });

  test("publishes each event and each turn to whoever has subscribed", async () => {
    const { depth, trade, run } = await watched();
    const messages: unknown[] = [];
    const listener = (message: unknown) => void messages.push(message);
    for (const name of ["tidemark:event", "tidemark:turn"]) subscribe(name, listener);
    depth.post(1);
    trade.post(2);
    await run();
    for (const name of ["tidemark:event", "tidemark:turn"]) unsubscribe(name, listener);
    expect(messages).toMatchObject([
      { kind: "depth", sequence: 0, milliseconds: 1 },
      { kind: "trade", sequence: 1, milliseconds: 2 },
      { turn: 1, events: 2, milliseconds: 3 },
    ]);
  });

  test("with the worker is told of while it is blocked, keeps no process alive, and ends the worker with itself", async () => {
    const program = `
      const { createLoop, createRuntime } = await import(${JSON.stringify(entry)});
      const { writeSync } = await import("node:fs");
      const print = (text) => writeSync(2, text + "\\n");
      const onSlow = ({ sequence, events }) => print("slow " + sequence + " " + events);
      // Far more than a busy machine may keep this process waiting in one of the events that do nothing.
      const options = { onSlow, slowAfter: 300, watchdog: { worker: true } };
      const loop = createLoop(await createRuntime(), options);
      const block = loop.on("block", (milliseconds) => {
        if (milliseconds === 0) return;
        for (const end = performance.now() + milliseconds; performance.now() < end; );
        print("returns");
      });
      while (loop.stats().watchdog === "starting") await new Promise((resolve) => setTimeout(resolve, 5));
      for (let event = 0; event < 200; event++) block.post(event === 150 ? 1000 : 0);
      await loop.runUntilIdle();
      if (process.argv.includes("close")) { await loop.close(); print(loop.stats().watchdog); }
    `;
    const node = promisify(execFile);
    const options = ["--input-type=module", "--eval", program];
    for (const [argument, last] of [
      ["--", []],
      ["close", ["closed"]],
    ] as const) {
      const { stderr } = await node(process.execPath, [...options, argument], { timeout: 20_000 });
      const lines = stderr.trim().split("\n");
      expect(lines[0]).toMatch(
        /^tidemark: the handler of "block" \(event 150\) has held the loop for \d+ ms, and still does$/,
      );
      expect(lines.slice(1)).toEqual(["returns", "slow 150 1", ...last]);
    }
  });
});
