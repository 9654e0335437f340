import { describe, expect, test } from "vitest";
import { Heartbeat } from "../../build/bindings/loop/heartbeat.js";
import { type BlockedReport, describeBlocked, Sentinel } from "../../build/bindings/loop/sentinel.js";
import { WatchdogThread } from "../../build/bindings/loop/watchdogThread.js";
import type { Platform, WorkerEvents } from "../../build/bindings/platform.js";

function watch(slowAfter = 24, reportsEvery = 1000) {
  const heartbeat = new Heartbeat();
  const reports: BlockedReport[] = [];
  const sentinel = new Sentinel({ buffer: heartbeat.buffer, slowAfter, reportsEvery }, (report) =>
    reports.push(report),
  );
  sentinel.learn({ index: 0, name: "depth" });
  let now = 0;
  /** Lets so many milliseconds pass, with a look every six. */
  const pass = (milliseconds: number) => {
    for (const end = now + milliseconds; now < end; ) {
      now += 6;
      sentinel.look(now);
    }
  };
  return { heartbeat, reports, pass };
}

describe("a sentinel", () => {
  test("tells of the event that holds the loop while it still does", () => {
    const { heartbeat, reports, pass } = watch();
    heartbeat.beat(7, 0);
    pass(24);
    expect(reports).toEqual([]);
    pass(6);
    expect(reports).toEqual([{ kind: "depth", sequence: 7, milliseconds: 24, suppressed: 0 }]);
  });

  test("tells of it again only when it has taken ten times longer", () => {
    const { heartbeat, reports, pass } = watch(24, 0);
    heartbeat.beat(7, 0);
    pass(3000);
    expect(reports.map(({ milliseconds }) => milliseconds)).toEqual([24, 240, 2400]);
  });

  test("says nothing of an idle loop, nor of one whose events go by", () => {
    const { heartbeat, reports, pass } = watch();
    pass(100);
    for (let sequence = 0; sequence < 50; sequence++) {
      heartbeat.beat(sequence, 0);
      pass(18);
    }
    heartbeat.rest();
    pass(1000);
    expect(reports).toEqual([]);
  });

  test("leaves out what comes too often, and counts it", () => {
    const { heartbeat, reports, pass } = watch();
    for (let sequence = 0; sequence < 60; sequence++) {
      heartbeat.beat(sequence, 0);
      pass(48);
    }
    expect(reports.length).toBeGreaterThan(1);
    expect(reports.length).toBeLessThan(4);
    expect(reports[1]!.suppressed).toBeGreaterThan(15);
  });

  test("notes as suspect what it has seen for half of slowAfter, and nothing that was faster", () => {
    const { heartbeat, pass } = watch();
    heartbeat.beat(1, 0);
    pass(12);
    heartbeat.beat(2, 0);
    pass(12);
    expect(heartbeat.suspect).toBe(-1);
    heartbeat.beat(3, 5);
    pass(18);
    expect([heartbeat.suspect, heartbeat.suspectKind]).toEqual([3, 5]);
  });

  test("calls a kind by its number until it has learnt its name", () => {
    const { heartbeat, reports, pass } = watch();
    heartbeat.beat(7, 3);
    pass(30);
    expect(reports[0]!.kind).toBe("#3");
  });

  test("has a line for the console", () => {
    expect(describeBlocked({ kind: "depth", sequence: 7, milliseconds: 31.9, suppressed: 0 })).toBe(
      'tidemark: the handler of "depth" (event 7) has held the loop for 31 ms, and still does',
    );
    expect(describeBlocked({ kind: "depth", sequence: 7, milliseconds: 31, suppressed: 2 })).toContain(
      "; 2 more were not told of",
    );
  });
});

describe("the watchdog's thread", () => {
  const orders = { slowAfter: 25, reportsEvery: 1000 };

  function fake() {
    const calls: unknown[] = [];
    let events: WorkerEvents | undefined;
    const platform: Platform = {
      startWatchdog(given) {
        events = given;
        return { post: (message, transfer) => calls.push([message, transfer]), end: () => calls.push("end") };
      },
    };
    return { calls, platform, events: () => events! };
  }

  test("gives the worker its orders, then names, and ends it once", () => {
    const warnings: string[] = [];
    const { calls, platform, events } = fake();
    const port = { postMessage() {} };
    const thread = new WatchdogThread(platform, { ...orders, port }, (message) => warnings.push(message));
    thread.declare(0, "depth");
    expect(thread.state).toBe("starting");
    events().ready();
    expect(thread.state).toBe("watching");
    thread.close();
    thread.close();
    events().failed("it has ended"); // as it should
    expect(thread.state).toBe("closed");
    const { buffer } = thread.heartbeat!;
    expect(calls).toEqual([[{ ...orders, buffer, port }, [port]], [{ index: 0, name: "depth" }, undefined], "end"]);
    expect(warnings).toEqual([]);
  });

  test("is unavailable, and says why once, where a platform has no worker, refuses it, or loses it", () => {
    const refusing: Platform = {
      startWatchdog() {
        throw new Error("refused by the policy");
      },
    };
    for (const [platform, reason] of [
      [undefined, "this entry of the package has none"],
      [{}, "this entry of the package has none"],
      [refusing, "refused by the policy"],
    ] as const) {
      const warnings: string[] = [];
      const thread = new WatchdogThread(platform, orders, (message) => warnings.push(message));
      expect([thread.state, thread.heartbeat]).toEqual(["unavailable", undefined]);
      expect(warnings).toEqual([expect.stringContaining(reason)]);
      thread.declare(0, "depth");
      thread.close();
      expect(thread.state).toBe("unavailable");
    }
    const warnings: string[] = [];
    const { calls, platform, events } = fake();
    const lost = new WatchdogThread(platform, orders, (message) => warnings.push(message));
    events().failed("404");
    events().failed("404");
    events().ready();
    expect([lost.state, warnings]).toEqual(["unavailable", [expect.stringContaining("404")]]);
    expect(calls.at(-1)).toBe("end");
  });
});
