import { InvalidArgumentError } from "tidemark";
import { describe, expect, test } from "vitest";
import { Heartbeat, SUSPECT, SUSPECT_KIND } from "../../build/bindings/loop/heartbeat.js";
import { type SlowOptions, type SlowReport, slowSettingsOf, Watchdog } from "../../build/bindings/loop/watchdog.js";

interface Bench {
  readonly watchdog: Watchdog;
  readonly reports: SlowReport[];
  readonly failures: unknown[];
  /** Handles `costs.length` events of so many milliseconds each, as a turn does. Returns the stretches. */
  turn(costs: readonly number[], kinds?: readonly string[]): number[];
}

function bench(options: { [Name in keyof SlowOptions]?: unknown } = {}, names?: (index: number) => string): Bench {
  const reports: SlowReport[] = [];
  const failures: unknown[] = [];
  const onSlow = (report: SlowReport) => void reports.push(report);
  const settings = slowSettingsOf({ onSlow, ...options } as SlowOptions);
  const watchdog = new Watchdog(settings, (error) => failures.push(error), undefined, names);
  let now = 0;
  let sequence = 0;
  return {
    watchdog,
    reports,
    failures,
    turn(costs, kinds = costs.map(() => "depth")) {
      const stretches: number[] = [];
      for (let from = 0, wanted = 1; from < costs.length; ) {
        const upTo = Math.min(from + wanted, costs.length);
        const before = now;
        for (let event = from; event < upTo; event++) now += costs[event]!;
        const names = new Set(kinds.slice(from, upTo));
        stretches.push(upTo - from);
        wanted = watchdog.handled(names.size > 1 ? "" : kinds[from]!, sequence, upTo - from, before, now);
        sequence += upTo - from;
        from = upTo;
      }
      return stretches;
    },
  };
}

const events = (count: number, milliseconds: number) => new Array<number>(count).fill(milliseconds);

describe("the watchdog's stretches", () => {
  test("double up to 256 events while they take less than two microseconds", () => {
    expect(bench().turn(events(1023, 0.000_015))).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256]);
  });

  test("stay as they are at two microseconds, and are of one event where an event takes that long", () => {
    expect(bench().turn(events(16, 0.000_6))).toEqual([1, 2, 4, 4, 4, 1]);
    expect(bench().turn(events(5, 0.002))).toEqual([1, 1, 1, 1, 1]);
  });

  test("fall at once to what an event's cost allows when events become slower", () => {
    const costs = [...events(127, 0.000_01), ...events(300, 0.01)];
    expect(bench().turn(costs).slice(0, 9)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 1]);
  });

  test("are longer while nobody is to be told, and as short as ever when somebody comes to listen", () => {
    const { turn, watchdog } = bench({ onSlow: undefined });
    expect(turn(events(28, 0.002))).toEqual([1, 2, 4, 8, 8, 5]);
    watchdog.isHeard = true;
    expect(turn(events(3, 0.002))).toEqual([1, 1, 1]);
  });
});

describe("a slow handler", () => {
  test("is named exactly, the first time, among handlers that take microseconds", () => {
    const { turn, reports } = bench();
    const costs = events(1000, 0.003);
    costs[613] = 40;
    turn(costs);
    expect(reports).toEqual([
      { subject: "event", kind: "depth", sequence: 613, events: 1, milliseconds: expect.closeTo(40), suppressed: 0 },
    ]);
  });

  test("is told of as one of a stretch among handlers that take nanoseconds, and is named when it is slow again", () => {
    const { turn, reports, watchdog } = bench({ slowReportsEvery: 0 });
    const costs = events(4000, 0.000_015);
    costs[1000] = costs[3500] = 30;
    turn(costs);
    expect(reports).toHaveLength(2);
    const [first, second] = reports as [SlowReport, SlowReport];
    expect(first.events).toBe(256);
    expect(first.sequence).toBeLessThanOrEqual(1000);
    expect(first.sequence + first.events).toBeGreaterThan(1000);
    expect(second).toMatchObject({ kind: "depth", sequence: 3500, events: 1 });
    expect(watchdog).toMatchObject({ slow: 2, longest: expect.closeTo(30, 1) });
  });

  test("is timed one by one with its successors for as many events as readings go into what it took, and no longer", () => {
    const { turn } = bench();
    turn([26]);
    const stretches = turn(events(300_000, 0.000_015));
    expect(stretches.findIndex((events) => events > 1)).toBeGreaterThan(255_000);
    expect(stretches.at(-2)).toBe(256);
    expect(stretches.findIndex((events) => events > 1)).toBeLessThan(265_000);
  });

  test("has no kind while it is one of several kinds", () => {
    const { turn, reports } = bench();
    const costs = events(127, 0.000_01);
    costs[100] = 30;
    turn(
      costs,
      costs.map((_, index) => (index % 2 === 0 ? "depth" : "trade")),
    );
    expect(reports).toMatchObject([{ kind: "", sequence: 63, events: 64 }]);
  });

  test("is named by what the worker has seen, if that lies in the stretch", () => {
    const names = ["depth", "trade"];
    const { turn, reports, watchdog } = bench({ slowReportsEvery: 0 }, (index) => names[index]!);
    const heartbeat = new Heartbeat();
    watchdog.heartbeat = heartbeat;
    const costs = events(127, 0.000_01);
    costs[100] = 30;
    new Float64Array(heartbeat.buffer, 0, 2)[SUSPECT] = 100;
    new Int32Array(heartbeat.buffer)[SUSPECT_KIND] = 1;
    turn(costs);
    expect(reports).toMatchObject([{ kind: "trade", sequence: 100, events: 1 }]);
  });

  test("is not mistaken for what the worker has seen before it, or behind", () => {
    for (const suspect of [62, 127]) {
      const { turn, reports, watchdog } = bench();
      const heartbeat = new Heartbeat();
      watchdog.heartbeat = heartbeat;
      new Float64Array(heartbeat.buffer, 0, 2)[SUSPECT] = suspect;
      const costs = events(127, 0.000_01);
      costs[126] = 30;
      turn(costs);
      expect(reports).toMatchObject([{ kind: "depth", sequence: 63, events: 64 }]);
    }
  });

  test("is one that takes more than slowAfter, and not one that takes just that", () => {
    const { turn, reports } = bench({ slowReportsEvery: 0 });
    turn([25, 25.001, 24.999]);
    expect(reports.map(({ sequence }) => sequence)).toEqual([1]);
    const never = bench({ slowAfter: Number.POSITIVE_INFINITY });
    never.turn([1e9]);
    expect([never.reports, never.watchdog.slow]).toEqual([[], 0]);
  });

  test("is counted where nobody listens", () => {
    const watchdog = new Watchdog(slowSettingsOf({ slowAfter: 1 }), () => {});
    watchdog.handled("depth", 0, 1, 0, 2);
    expect(watchdog).toMatchObject({ slow: 1, longest: 2, isHeard: false });
    expect(watchdog.handled("depth", 1, 1, 2, 2.000_001)).toBe(2); // nobody needs its successors' names
  });
});

describe("reports", () => {
  test("come once a second at the most, and say how many were left out", () => {
    const { turn, reports } = bench();
    turn(events(30, 100)); // three seconds
    expect(reports.map(({ sequence, suppressed }) => [sequence, suppressed])).toEqual([
      [0, 0],
      [10, 9],
      [20, 9],
    ]);
  });

  test("go to the observer without limit", () => {
    const seen: unknown[] = [];
    const observer = { slow: (...values: unknown[]) => void seen.push(values) };
    const watchdog = new Watchdog(slowSettingsOf({}), () => {}, observer);
    watchdog.isHeard = true;
    for (let event = 0; event < 3; event++) watchdog.handled("depth", event, 1, event * 30, event * 30 + 30);
    expect(seen).toEqual([
      ["depth", 0, 1, 0, 30, "event"],
      ["depth", 1, 1, 30, 60, "event"],
      ["depth", 2, 1, 60, 90, "event"],
    ]);
  });

  test("that fail, at once or later, throw nothing into the loop: whoever is to know is told", async () => {
    const thrown = new Error("thrown");
    const rejected = new Error("rejected");
    for (const [onSlow, error] of [
      [
        () => {
          throw thrown;
        },
        thrown,
      ],
      [() => Promise.reject(rejected), rejected],
      [
        () => ({
          // biome-ignore lint/suspicious/noThenProperty: it stands for a promise that is a strange one
          get then(): never {
            throw rejected;
          },
        }),
        rejected,
      ],
    ] as const) {
      const { turn, failures, watchdog } = bench({ onSlow });
      turn([30, 1]);
      await Promise.resolve();
      expect(failures).toEqual([error]);
      expect(watchdog.slow).toBe(1);
    }
  });
});

test("options that are out of range are refused with what they are", () => {
  for (const slowAfter of [0, -1, Number.NaN, "25"] as number[]) {
    expect(() => slowSettingsOf({ slowAfter })).toThrow(InvalidArgumentError);
  }
  expect(() => slowSettingsOf({ slowReportsEvery: -1 })).toThrow("slowReportsEvery must be at least 0 ms, but is -1");
  expect(() => slowSettingsOf({ onSlow: 5 as never })).toThrow("onSlow must be a function, but is 5");
  expect(slowSettingsOf({})).toEqual({ slowAfter: 25, slowReportsEvery: 1000, onSlow: undefined });
});
