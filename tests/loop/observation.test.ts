import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import { PerformanceObserver, performance } from "node:perf_hooks";
import { afterEach, describe, expect, test } from "vitest";
import { Observation } from "../../build/bindings/loop/observation.js";
import { nodePlatform } from "../../build/bindings/loop/platform.node.js";

const NAMES = ["tidemark:event", "tidemark:turn", "tidemark:collection", "tidemark:slow"];
const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Subscribes to the channel; gives what is published. */
function listen(name: string): unknown[] {
  const messages: unknown[] = [];
  const listener = (message: unknown) => void messages.push(message);
  subscribe(name, listener);
  ends.push(() => unsubscribe(name, listener));
  return messages;
}

const wanted = ({ events, turns, collections, slows }: Observation) => [events, turns, collections, slows];

describe("an observation", () => {
  test("wants nothing while nobody looks on, and each thing when its channel has a subscriber", () => {
    const observation = new Observation(nodePlatform);
    expect(wanted(observation)).toEqual([false, false, false, false]);
    NAMES.forEach((name, index) => {
      listen(name);
      observation.refresh();
      expect(wanted(observation).map(Number).join("")).toBe("1".repeat(index + 1).padEnd(4, "0"));
    });
    for (const end of ends.splice(0)) end();
    observation.refresh();
    expect(wanted(observation)).toEqual([false, false, false, false]);
  });

  test("publishes what it is told of, to whom it concerns", () => {
    const observation = new Observation(nodePlatform);
    const [events, turns, collections, slows] = NAMES.map(listen) as [unknown[], unknown[], unknown[], unknown[]];
    observation.event("depth", 3, 10, 11.5);
    observation.turn(2, 64, 10, 14);
    observation.collection(1, 14, 15);
    observation.slow("depth", 4, 1, 20, 50, "event");
    expect(events).toEqual([{ kind: "depth", sequence: 3, startedAt: 10, milliseconds: 1.5 }]);
    expect(turns).toEqual([{ turn: 2, events: 64, startedAt: 10, milliseconds: 4 }]);
    expect(collections).toEqual([{ turn: 1, startedAt: 14, milliseconds: 1 }]);
    expect(slows).toEqual([
      { subject: "event", kind: "depth", sequence: 4, events: 1, startedAt: 20, milliseconds: 30 },
    ]);
    expect(channel("tidemark:event").hasSubscribers).toBe(true);
  });

  test("makes measures if it is asked to, which observers get, and which do not pile up", async () => {
    const entries: PerformanceEntry[] = [];
    const observer = new PerformanceObserver((list) => entries.push(...(list.getEntries() as PerformanceEntry[])));
    observer.observe({ entryTypes: ["measure"] });
    const observation = new Observation(undefined, { measures: true });
    expect(wanted(observation)).toEqual([false, true, true, true]);
    const start = performance.now();
    observation.turn(1, 64, start, start + 4);
    observation.collection(1, start, start + 1);
    observation.slow("depth", 7, 1, start, start + 30, "event");
    await new Promise((resolve) => setTimeout(resolve, 20));
    observer.disconnect();
    expect(entries.map(({ name, startTime, duration }) => [name, startTime, duration])).toEqual([
      ["tidemark: turn", start, expect.closeTo(4)],
      ["tidemark: collection", start, expect.closeTo(1)],
      ["tidemark: slow depth", start, expect.closeTo(30)],
    ]);
    expect((entries[0] as PerformanceMeasure).detail).toEqual({ turn: 1, events: 64 });
    expect(performance.getEntriesByType("measure").filter(({ name }) => name.startsWith("tidemark"))).toEqual([]);
  });

  test("makes no more measures once the clock has turned out to be none of this process, and throws nothing", () => {
    const observation = new Observation(undefined, { measures: true });
    observation.turn(1, 1, -50, -40);
    observation.refresh();
    expect(wanted(observation)).toEqual([false, false, false, false]);
  });

  test("is told of slow handlers also when nobody looks on, and does nothing then", () => {
    new Observation(nodePlatform).slow("depth", 0, 1, 0, 30, "event");
    new Observation(undefined).slow("depth", 0, 1, 0, 30, "event");
    expect(performance.getEntriesByType("measure")).toEqual([]);
  });
});
