import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { InvalidArgumentError } from "tidemark";
import { describe, expect, test } from "vitest";
import { LoopWatch, type WatchOptions, watchSettingsOf } from "../../build/bindings/loop/loopWatch.js";
import { nodePlatform } from "../../build/bindings/loop/platform.node.js";
import type { Platform } from "../../build/bindings/platform.js";

function watch(options: WatchOptions, platform: Platform | undefined = nodePlatform): LoopWatch {
  return new LoopWatch(
    watchSettingsOf(options),
    platform,
    () => {},
    (index) => `kind ${index}`,
  );
}

describe("a loop's watch", () => {
  test("needs no clock for a turn of one event unless somebody wants to know", () => {
    expect(watch({}).look()).toBe(false);
    expect(watch({ onSlow() {} }).look()).toBe(true);
    expect(watch({ observe: { lag: true } }).look()).toBe(true);
    expect(watch({ observe: { measures: true } }).look()).toBe(true);
    const unobserved = watch({});
    for (const name of ["tidemark:event", "tidemark:turn", "tidemark:slow"]) {
      const listener = () => {};
      subscribe(name, listener);
      expect(unobserved.look(), name).toBe(true);
      unsubscribe(name, listener);
      expect(unobserved.look(), name).toBe(false);
    }
  });

  test("records the time from a hop to its turn, if it is to", () => {
    const lagging = watch({ observe: { lag: true } });
    expect(lagging.wantsHops).toBe(true);
    lagging.hopAsked(10);
    lagging.begins(13);
    lagging.hopAsked(20);
    lagging.begins(21);
    expect(lagging.lag).toMatchObject({ count: 2, min: 1, max: 3 });
    expect([watch({}).wantsHops, watch({}).lag]).toEqual([false, undefined]);
  });

  test("times events one by one while somebody subscribes to them, and tells of turns with their counts", () => {
    const observed = watch({});
    const messages: unknown[] = [];
    const listener = (message: unknown) => void messages.push(message);
    for (const name of ["tidemark:event", "tidemark:turn"]) subscribe(name, listener);
    observed.look();
    observed.begins(0);
    expect(observed.handled("depth", 0, 1, 0, 0.001)).toBe(1);
    expect(observed.handled("trade", 1, 1, 0.001, 0.003)).toBe(1);
    observed.ends(7, 0.003);
    observed.begins(1);
    observed.handled("depth", 2, 1, 1, 2);
    observed.ends(8, 2);
    for (const name of ["tidemark:event", "tidemark:turn"]) unsubscribe(name, listener);
    expect(messages).toEqual([
      { kind: "depth", sequence: 0, startedAt: 0, milliseconds: 0.001 },
      { kind: "trade", sequence: 1, startedAt: 0.001, milliseconds: 0.002 },
      { turn: 7, events: 2, startedAt: 0, milliseconds: 0.003 },
      { kind: "depth", sequence: 2, startedAt: 1, milliseconds: 1 },
      { turn: 8, events: 1, startedAt: 1, milliseconds: 1 },
    ]);
    observed.look();
    expect(observed.handled("depth", 3, 1, 2, 2.001)).toBe(2);
  });

  test("counts slow handlers, and names them to a subscriber who comes later", () => {
    const observed = watch({ slowAfter: 5 });
    const messages: unknown[] = [];
    const listener = (message: unknown) => void messages.push(message);
    observed.look();
    observed.handled("depth", 0, 1, 0, 7);
    subscribe("tidemark:slow", listener);
    observed.look();
    observed.handled("depth", 1, 1, 7, 15);
    unsubscribe("tidemark:slow", listener);
    expect([observed.slow, observed.longestSlow]).toEqual([2, 8]);
    expect(messages).toEqual([
      { subject: "event", kind: "depth", sequence: 1, events: 1, startedAt: 7, milliseconds: 8 },
    ]);
  });

  test("has a worker if one is asked for, which ends with it", () => {
    const calls: unknown[] = [];
    const platform: Platform = {
      startWatchdog: () => ({ post: (message) => calls.push(message), end: () => calls.push("end") }),
    };
    const watched = watch({ slowAfter: 5, watchdog: { worker: true } }, platform);
    watched.declare(0, "depth");
    const orders = { slowAfter: 5, reportsEvery: 1000, port: undefined, buffer: watched.heartbeat!.buffer };
    expect(calls).toEqual([orders, { index: 0, name: "depth" }]);
    expect(watched.workerState).toBe("starting");
    watched.close();
    expect([watched.workerState, calls.at(-1)]).toEqual(["closed", "end"]);
    const unwatched = watch({}, platform);
    unwatched.declare(0, "depth");
    unwatched.close();
    expect([unwatched.heartbeat, unwatched.workerState, calls.length]).toEqual([undefined, undefined, 3]);
  });
});

test("options that are none are refused by their names", () => {
  for (const [options, message] of [
    [{ watchdog: true }, "watchdog must be an object, but is true"],
    [{ observe: null }, "observe must be an object, but is null"],
    [{ watchdog: { worker: "yes" } }, 'watchdog.worker must be true or false, but is "yes"'],
    [{ watchdog: { port: {} } }, "watchdog.port must be a message port, but is an object"],
    [{ observe: { lag: 1 } }, "observe.lag must be true or false, but is 1"],
    [{ observe: { measures: 1 } }, "observe.measures must be true or false, but is 1"],
    [{ slowAfter: 0 }, "slowAfter must be above 0 ms, but is 0"],
  ] as unknown as [WatchOptions, string][]) {
    expect(() => watchSettingsOf(options)).toThrow(InvalidArgumentError);
    expect(() => watchSettingsOf(options)).toThrow(message);
  }
});
