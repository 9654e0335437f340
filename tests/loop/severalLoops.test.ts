import { connect, createServer } from "node:net";
import { createLoop, createRuntime, f64, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { NOTHING_LEFT, realLoop } from "./realLoop.js";
import { Outcome } from "./simulation.js";

const Level = struct("Level", { price: f64 });

describe("several loops on one runtime", () => {
  test("have queues, regions, timers, fibers and ends of their own", async () => {
    using runtime = await createRuntime();
    const [one, other] = [await realLoop({}, runtime), await realLoop({}, runtime)];
    const seen: string[] = [];
    const first = one.loop.on("kind", function* (price: number, { region }) {
      const level = region.new(Level);
      level.price = price;
      yield one.loop.sleep(5);
      seen.push(`one ${level.price}`);
    });
    const second = other.loop.on("kind", (price: number, { region }) => {
      region.new(Level).price = price;
      seen.push(`other ${price}`);
      first.post(price + 1); // across loops: it is queued there
    });
    other.loop.after(1, second, 7);
    one.loop.run();
    const run = new Outcome(other.loop.run());
    await other.pass(1);
    await one.pass();
    expect(one.loop.stats()).toMatchObject({ inFlight: 1, regionsLive: 1 });
    expect(await other.loop.close()).toEqual({ processed: 1, dropped: 0, abandoned: 0 });
    expect(run.state).toBe("resolved");
    await one.pass(5);
    expect(seen).toEqual(["other 7", "one 8"]);
    expect(one.loop.stats()).toMatchObject({ ...NOTHING_LEFT, processed: 1 });
    await one.loop.close();
    runtime.validate();
  });

  test("may be closed by one another's handlers", async () => {
    using runtime = await createRuntime();
    const [one, other] = [await realLoop({}, runtime), await realLoop({}, runtime)];
    const seen: string[] = [];
    other.loop.spawn(function* () {
      try {
        yield other.loop.sleep(1000);
      } finally {
        seen.push("finally");
      }
    });
    other.loop.run();
    await other.pass();
    let close: Outcome<unknown> | undefined;
    const kind = one.loop.on("kind", () => {
      close = new Outcome(other.loop.close());
      seen.push("handler");
    });
    kind.post(undefined);
    one.loop.run();
    await one.pass();
    expect([seen, close!.state]).toEqual([["finally", "handler"], "resolved"]);
    expect(runtime.$memory.handlersRunning).toBe(0);
    await one.loop.close();
  });

  test("all stop when the runtime is disposed of", async () => {
    const runtime = await createRuntime();
    const loops = [await realLoop({}, runtime), await realLoop({}, runtime), await realLoop({}, runtime)];
    const runs = loops.map(({ loop }) => new Outcome(loop.run()));
    for (const { pass } of loops) await pass();
    runtime.dispose();
    for (const { pass } of loops) await pass();
    expect(runs.map(({ error }) => (error as Error).message.includes("disposed"))).toEqual([true, true, true]);
  });
});

/** The longest of the gaps between the moments of a list, in milliseconds. */
function longestGap(moments: readonly number[]): number {
  let longest = 0;
  for (let index = 1; index < moments.length; index++)
    longest = Math.max(longest, moments[index]! - moments[index - 1]!);
  return longest;
}

describe.each(["event", "fiber", "timer"])("a loop that gives itself another %s for ever", (what) => {
  test("keeps neither a socket, nor a timer of the host, nor another loop waiting for much longer than its slice", async () => {
    using runtime = await createRuntime();
    const SLICE = 4;
    const busy = createLoop(runtime, { turn: { events: 2 ** 20, milliseconds: SLICE } });
    let turns = 0;
    const again = busy.on("again", (_: number) => {
      turns++;
      again.post(0);
    });
    if (what === "event") for (let copy = 0; copy < 1000; copy++) again.post(0);
    else if (what === "fiber")
      busy.spawn(function* () {
        for (;;) {
          turns++;
          yield;
        }
      });
    else {
      const rearm = () => {
        turns++;
        busy.after(0, rearm);
      };
      rearm();
    }
    const run = busy.run();

    const other = createLoop(runtime);
    const handled: number[] = [];
    const kind = other.on("kind", (_: number) => void handled.push(performance.now()));
    const ran = other.run();

    const server = createServer((peer) => peer.on("error", () => {}).pipe(peer)).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const socket = connect((server.address() as { port: number }).port, "127.0.0.1");
    const echoed: number[] = [];
    const fired: number[] = [];
    socket.on("data", () => {
      echoed.push(performance.now());
      socket.write("x");
    });
    socket.write("x");
    const timer = setInterval(() => fired.push(performance.now()), 1);
    const poster = setInterval(() => kind.post(0), 1);
    await new Promise((resolve) => setTimeout(resolve, 600));
    clearInterval(timer);
    clearInterval(poster);
    socket.destroy();
    server.close();
    const closing = [busy.close({ mode: "discard" }), other.close()];
    await Promise.all([...closing, run, ran]);

    expect(turns).toBeGreaterThan(what === "timer" ? 10 : 10_000);
    // An echo takes a few turns of the platform's loop, of each of which the busy loop has a slice, and on a loaded machine many
    // times that. Whoever is starved sees none, or one.
    const most = 3;
    for (const moments of [echoed, fired, handled]) expect(moments.length).toBeGreaterThan(most);
    const median = (moments: readonly number[]) =>
      moments
        .slice(1)
        .map((moment, index) => moment - moments[index]!)
        .sort((left, right) => left - right)[moments.length >> 1]!;
    for (const moments of [fired, handled]) expect(median(moments)).toBeLessThan(20 * SLICE);
    expect(Math.max(longestGap(fired), longestGap(handled))).toBeLessThan(500);
  });
});
