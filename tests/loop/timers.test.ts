import {
  createLoop,
  createRuntime,
  createTimers,
  DisposedError,
  InvalidArgumentError,
  LimitExceededError,
  LoopStateError,
  type Timer,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { modules } from "../support/runtimes.js";
import { settled } from "./simulation.js";
import { TimerHost, withTimers } from "./timersHost.js";

const YEAR = 365.25 * 86_400_000;

describe.each(modules)("timers of the $name module", ({ debug }) => {
  test("fire after their delay and not before, whatever it is", () =>
    withTimers({ debug }, async ({ host, timers, fired, note }) => {
      const delays = [1, 1.5, 63, 64, 65, 4095, 4096, 4097, 262_144, 1e9, YEAR, 300 * YEAR];
      for (const delay of delays) timers.after(delay, note, delay);
      await settled();
      for (const delay of delays.sort((one, other) => one - other)) {
        await host.advance(Math.ceil(delay) - 0.25 - host.time);
        expect(fired).not.toContain(delay);
        await host.advance(0.25);
        expect(fired.at(-1)).toBe(delay);
      }
      expect(fired).toEqual(delays);
    }));

  test("that are due in the same millisecond fire in the order in which they were armed, however early that was", () =>
    withTimers({ debug }, async ({ host, timers, fired, note }) => {
      const due = 20_000_000;
      const moments = [0, 1, 64, 5000, 300_000, 16_777_216, 19_999_000, 19_999_937, 19_999_999];
      for (const [index, moment] of moments.entries()) {
        await host.advance(moment - host.time);
        timers.after(due - moment, note, index);
        await settled();
      }
      await host.advance(1);
      expect(fired).toEqual(moments.map((_, index) => index));
    }));

  test("of which one is cancelled or armed anew fire without it, or with it at the end", () =>
    withTimers({ debug }, async ({ host, timers, fired, note }) => {
      const [first, second] = [1, 2, 3].map((name) => timers.after(10, note, name));
      expect([first!.armed, first!.cancel(), first!.cancel(), first!.armed]).toEqual([true, true, false, false]);
      second!.restart();
      await settled();
      await host.advance(10);
      expect(fired).toEqual([3, 2]);
      expect([second!.armed, second!.cancel()]).toEqual([false, false]);
      second!.restart(5);
      await settled();
      await host.advance(5);
      expect(fired).toEqual([3, 2, 2]);
    }));

  test("that are cancelled by one that fires with them do not fire", () =>
    withTimers({ debug }, ({ host, timers, fired, note }) => {
      const later: Timer[] = [];
      let id = 0;
      timers.after(5, () => {
        for (const timer of later) expect(timer.cancel()).toBe(true);
        expect(timers.cancel(id)).toBe(true);
      });
      later.push(timers.after(5, note, "same"), timers.after(6, note, "next"));
      id = timers.arm(5, note, "id");
      host.time = 100;
      timers.run();
      expect(fired).toEqual([]);
    }));

  test("that are armed while timers fire wait for the next run, with no delay too", () =>
    withTimers({ debug }, ({ host, timers, fired, note }) => {
      timers.after(1, () => {
        note("first");
        timers.after(0, note, "inner");
      });
      timers.after(3, note, "second");
      host.time = 10;
      expect(timers.run()).toBe(true);
      expect(fired).toEqual(["first", "second"]);
      expect(timers.run()).toBe(false);
      expect(fired).toEqual(["first", "second", "inner"]);
    }));

  test("fire as many in a run as it may, and the others in the next one, in order", () =>
    withTimers({ debug }, ({ host, timers, fired, note }) => {
      for (let index = 0; index < 10; index++) timers.after(index, note, index);
      host.time = 20;
      expect(timers.run(20, 4)).toBe(true);
      timers.after(0, note, "late");
      expect(fired).toHaveLength(4);
      expect(timers.run(20, 6)).toBe(true);
      expect(timers.run(20, 6)).toBe(false);
      expect(fired).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, "late"]);
    }));

  test("armed by number are named by it once, and never again", () =>
    withTimers({ debug }, ({ host, timers, fired, note }) => {
      const seen = new Set<number>();
      for (let round = 0; round < 1000; round++) {
        const id = timers.arm(1, note, round);
        expect(seen.has(id)).toBe(false);
        seen.add(id);
        if (round % 2 === 0) expect(timers.cancel(id)).toBe(true);
        else timers.run(++host.time);
        expect(timers.cancel(id)).toBe(false);
      }
      expect(fired).toHaveLength(500);
      const timer = timers.after(1, note);
      const { $slot, $generation } = timer;
      expect(timers.cancel($generation * 2 ** 23 + $slot)).toBe(false);
      for (const bad of [0, -1, 0.5, 2 ** 60, Number.NaN, Infinity, "7", null, undefined, {}]) {
        expect(timers.cancel(bad as number)).toBe(false);
      }
      expect(timer.armed).toBe(true);
    }));
});

describe("periodic timers", () => {
  /** Fires at each of `moments`, and tells when it has. */
  const firings = async (
    drift: "skip" | "fixed-rate" | "fixed-delay",
    moments: readonly number[],
    work = 0,
    answer?: unknown,
  ) => {
    const at: number[] = [];
    let skipped = 0;
    await withTimers({}, ({ host, timers }) => {
      timers.every(
        10,
        () => {
          at.push(host.time);
          host.time += work;
          return answer;
        },
        { drift },
      );
      for (const moment of moments) {
        host.time = Math.max(host.time, moment);
        for (let runs = 0; timers.run() && runs < 100; runs++);
      }
      ({ skipped } = timers.stats());
    });
    return { at, skipped };
  };

  test("fire after each period when nothing is late", async () => {
    const moments = Array.from({ length: 50 }, (_, index) => index);
    for (const drift of ["skip", "fixed-rate", "fixed-delay"] as const) {
      expect(await firings(drift, moments)).toEqual({ at: [10, 20, 30, 40], skipped: 0 });
    }
  });

  test("that skip leave out what they have missed, and stay on their grid", async () => {
    expect(await firings("skip", [10, 34, 35, 40, 49, 50, 1000, 1010])).toEqual({
      at: [10, 34, 40, 50, 1000, 1010],
      skipped: 1 + 94,
    });
  });

  test("of a fixed rate make up for what they have missed", async () => {
    expect(await firings("fixed-rate", [10, 44, 45, 50])).toEqual({ at: [10, 44, 44, 44, 50], skipped: 0 });
  });

  test("of a fixed delay pause from the end of one call to the next", async () => {
    expect(await firings("fixed-delay", [10, 12, 24, 34, 35, 36, 37, 60, 74], 4)).toEqual({
      at: [10, 24, 60, 74],
      skipped: 0,
    });
  });

  test("of a fixed delay do not wait for the promise that a call has returned", async () => {
    const never = new Promise(() => {});
    expect(await firings("fixed-delay", [10, 12, 24, 34, 38], 4, never)).toEqual({ at: [10, 24, 38], skipped: 0 });
  });

  test("with a fraction in their period do not drift", () =>
    withTimers({}, ({ host, timers, fired, note }) => {
      timers.every(50 / 3, note, { payload: 1 });
      for (; host.time < 10_000; host.time++) timers.run();
      timers.run();
      expect(fired).toHaveLength(600);
    }));

  test("are cancelled, and armed anew with another period, from inside their own call", () =>
    withTimers({}, ({ host, timers }) => {
      for (const drift of ["skip", "fixed-rate", "fixed-delay"] as const) {
        const start = host.time;
        const at: number[] = [];
        const timer = timers.every(
          10,
          () => {
            at.push(host.time - start);
            if (at.length === 2) timer.restart(25);
            if (at.length === 4) expect(timer.cancel()).toBe(true);
          },
          { drift },
        );
        for (; host.time < start + 200; host.time++) timers.run();
        expect(at).toEqual([10, 20, 45, 70]);
        expect(timer.armed).toBe(false);
      }
    }));
});

describe("the host's timer", () => {
  test("is one, set for the earliest, when the code that arms has come to its end", () =>
    withTimers({}, async ({ host, timers, note }) => {
      for (let delay = 1000; delay > 0; delay--) timers.after(delay, note);
      expect(host.set).toBe(0);
      expect(host.readings).toBeLessThan(100);
      await settled();
      expect([...host.alarms.values()]).toEqual([{ at: 1, keepsAlive: true }]);
      expect(host.set).toBe(1);
    }));

  test("fires them without a loop, and is let go of when nothing is armed", () =>
    withTimers({}, async ({ host, timers, fired, note }) => {
      const far = timers.after(3 * 2 ** 31, note, "far");
      const near = timers.after(10, note, "near");
      await settled();
      await host.advance(10);
      expect(fired).toEqual(["near"]);
      await host.advance(3 * 2 ** 31);
      expect(fired).toEqual(["near", "far"]);
      expect(host.alarms.size).toBe(0);
      near.restart();
      far.restart();
      await settled();
      expect(host.alarms.size).toBe(1);
      near.cancel();
      far.cancel();
      await settled();
      expect(host.alarms.size).toBe(0);
      expect(timers.nextDue).toBe(Number.POSITIVE_INFINITY);
    }));

  test("comes no more often than something fires, while few are armed", () =>
    withTimers({}, async ({ host, timers, note, fired }) => {
      for (const delay of [100, 5000, 300_000, 20_000_000, YEAR]) timers.after(delay, note);
      await settled();
      await host.advance(YEAR);
      expect(fired).toHaveLength(5);
      // The host holds 2^31 − 1 ms at most: a year takes 14 more.
      expect(host.set).toBeLessThanOrEqual(5 + 15);
    }));

  test("keeps the process alive for timers that are not unref'd, and for those only", () =>
    withTimers({}, async ({ host, timers, note }) => {
      const states: boolean[] = [];
      const look = async () => {
        await settled();
        states.push(host.keepsAlive);
      };
      const heartbeat = timers.every(10, note).unref();
      await look(); // only the heartbeat
      const timer = timers.after(35, note);
      await look(); // kept by the timer
      timer.unref();
      await look();
      expect(timer.hasRef()).toBe(false);
      timer.ref().ref();
      await look();
      await host.advance(50); // fired: only the heartbeat is left
      await look();
      const id = timers.arm(5, note);
      await look();
      timers.cancel(id);
      await look();
      heartbeat.ref();
      await look();
      heartbeat.cancel();
      await look();
      expect(states).toEqual([false, true, false, true, false, true, false, true, false]);
    }));

  test("does so for them also where one that is not armed is ref'd or unref'd beside them", () =>
    withTimers({}, async ({ host, timers, note }) => {
      const idle = timers.after(5, note);
      idle.cancel();
      const states: boolean[] = [];
      const look = async () => {
        await settled();
        states.push(host.keepsAlive);
      };
      idle.unref();
      const timer = timers.after(10, note);
      await look();
      idle.ref();
      timer.cancel();
      await look();
      idle.unref().restart();
      await look();
      idle.ref();
      await look();
      expect(states).toEqual([true, false, false, true]);
    }));

  test("does so for one also where another, which is unref'd, is cancelled or fires", () =>
    withTimers({}, async ({ host, timers, note }) => {
      const timer = timers.after(50, note);
      timers.after(60, note).unref().cancel();
      const idle = timers.after(70, note).unref();
      timers.after(5, note).unref();
      await settled();
      await host.advance(10);
      expect(timers.stats().fired).toBe(1);
      idle.cancel();
      await settled();
      expect(host.keepsAlive).toBe(true);
      timer.cancel();
      timers.after(80, note).unref();
      await settled();
      expect(host.keepsAlive).toBe(false);
    }));

  test("goes on in another task when more is due than one run may fire", () =>
    withTimers({}, async ({ host, timers, fired, note }) => {
      for (let index = 0; index < 10_000; index++) timers.arm(5, note, index);
      await settled();
      await host.advance(5);
      expect(fired).toHaveLength(4096);
      expect(await host.rest()).toBe(2);
      expect(fired).toHaveLength(10_000);
    }));

  test("is left to whoever is told that something is due", async () => {
    let told = 0;
    await withTimers({ onDue: () => told++ }, async ({ host, timers, fired, note }) => {
      timers.after(10, note, 1);
      await settled();
      await host.advance(10);
      expect([told, fired.length]).toEqual([1, 0]);
      expect(timers.run(host.time)).toBe(false);
      expect(fired).toEqual([1]);
      timers.after(0, note, 2);
      await settled();
      expect(told).toBe(2);
      timers.run(host.time);
      expect(fired).toEqual([1, 2]);
    });
  });

  test("is asked for the time by few of many that arm in quick succession, none of which is early if they are held up", () =>
    withTimers({}, ({ host, timers }) => {
      const armedAt: number[] = [];
      const firedAt: number[] = [];
      const pool = Array.from({ length: 500 }, (_, index) =>
        timers.after(1e6, () => {
          firedAt[index] = host.time;
        }),
      );
      for (let round = 0; round < 20; round++) {
        const { readings } = host;
        for (const [index, timer] of pool.entries()) {
          armedAt[index] = host.time;
          timer.restart(10);
          host.time += index === 77 + 17 * round ? 7.3 : 0.0002;
        }
        expect(host.readings - readings).toBeLessThan(64 + 64 + 20);
        const late: number[] = [];
        for (const end = host.time + 30; host.time < end; host.time += 0.25) timers.run();
        for (const [index, armed] of armedAt.entries()) late.push(firedAt[index]! - armed - 10);
        expect(Math.min(...late)).toBeGreaterThan(-0.05);
        // Up to the next whole millisecond, and the hold-up for those that shared a reading with it.
        expect(late.filter((by) => by > 1.3).length).toBeLessThan(64);
        expect(Math.max(...late)).toBeLessThan(1.3 + 8);
      }
    }));

  test("puts a timer off once that was armed again and again before a hold-up", () =>
    withTimers({}, ({ host, timers, fired, note }) => {
      const timer = timers.after(1e6, note, "it");
      for (let count = 0; count < 100; count++) {
        timer.restart(10);
        host.time += 0.0002;
      }
      host.time += 50;
      timers.run();
      expect(fired).toEqual([]);
      host.time += 12;
      timers.run();
      expect(fired).toEqual(["it"]);
    }));

  test("survives a clock that jumps, and one that goes backwards", () =>
    withTimers({}, ({ host, timers, fired, note }) => {
      timers.after(86_400_000, note, "day");
      timers.after(40 * 86_400_000, note, "days");
      host.time = 30 * 86_400_000;
      timers.run();
      host.time = 5;
      timers.run();
      timers.after(10, note, "soon");
      host.time = 30 * 86_400_000 + 10;
      timers.run();
      expect(fired).toEqual(["day", "soon"]);
      host.time = 2 ** 60;
      timers.run();
      expect(fired).toEqual(["day", "soon", "days"]);
      timers.after(0, note, "end of time");
      timers.run();
      expect(fired.at(-1)).toBe("end of time");
    }));
});

describe("what a timer does", () => {
  test("may be having a host grow memory, or disposing of them all, behind many that were armed in one go", async () => {
    await withTimers({}, async ({ runtime, host, timers, note, fired }) => {
      timers.every(10, () => void runtime.$memory.raw.grow(1));
      const second = timers.every(10, note, { payload: "second" });
      await settled();
      await host.advance(10);
      expect(fired).toEqual(["second"]);
      expect(second.cancel()).toBe(true);
      await settled();
      await host.advance(30);
      expect(fired).toEqual(["second"]);
      timers.validate();
    });
    await withTimers({}, async ({ runtime, host, timers, note, errors }) => {
      const live = runtime.arena();
      timers.after(5, () => {
        for (let count = 0; count < 200; count++) timers.arm(100, note); // most of them by one reading of the clock
        host.time += 3;
        timers.dispose();
        live.allocate(100);
      });
      await settled();
      await host.advance(10);
      expect([timers.disposed, errors]).toEqual([true, []]);
    });
  });

  test("may be posting an event, or a baton", async () => {
    using runtime = await createRuntime();
    const loop = createLoop(runtime);
    const seen: string[] = [];
    const kind = loop.on("text", (text: string) => seen.push(text));
    using timers = createTimers(runtime);
    let posts = 0;
    const baton = { post: () => posts++ };
    timers.after(2, kind, "after");
    timers.every(3, kind, { payload: "every" });
    timers.arm(1, kind, "arm");
    timers.arm(1, baton);
    const running = loop.run();
    const count = (text: string) => seen.filter((other) => other === text).length;
    while (count("after") + count("arm") + posts < 3 || count("every") < 2) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    timers.dispose();
    await loop.close();
    await running;
    expect([count("after"), count("arm"), posts]).toEqual([1, 1, 1]);
  });

  test("may fail: the others fire, and the error goes to onError", () =>
    withTimers({}, async ({ host, timers, fired, note, errors }) => {
      const fault = new Error("fault");
      const rejection = new Error("rejection");
      timers.after(1, () => {
        throw fault;
      });
      timers.after(1, async () => {
        throw rejection;
      });
      timers.after(1, note, "other");
      timers.after(1, { post: () => "rejected" });
      timers.after(1, () => "rejected"); // a function may return what it likes…
      timers.after(1, function* () {
        note("never");
      }); // …but for a generator: nobody would run it
      await settled();
      await host.advance(1);
      expect(fired).toEqual(["other"]);
      expect(errors).toEqual([fault, expect.any(LimitExceededError), expect.any(InvalidArgumentError), rejection]);
      expect(timers.stats().failed).toBe(4);
    }));

  test("fails for all to see where there is no onError, or where that fails", async () => {
    for (const onError of [
      undefined,
      () => {
        throw new Error("onError");
      },
      () => Promise.reject(new Error("onError")),
    ]) {
      await withTimers({ onError }, async ({ host, timers, fired, note }) => {
        const fault = new Error("fault");
        timers.after(1, () => {
          throw fault;
        });
        timers.after(1, note, "other");
        await settled();
        await host.advance(1);
        expect(fired).toEqual(["other"]);
        expect(() => host.hops.shift()!()).toThrow(onError === undefined ? fault : /onError/);
      });
    }
  });

  test("is told to an onError that options have of their class or prototype, too", async () => {
    using runtime = await createRuntime();
    const told: unknown[] = [];
    class Options {
      readonly host = new TimerHost();
      onError(error: unknown) {
        told.push(error);
      }
    }
    const options = new Options();
    for (const given of [options, Object.create(options) as Options]) {
      using timers = createTimers(runtime, given);
      timers.after(1, () => {
        throw given;
      });
      options.host.time++;
      timers.run();
    }
    expect(told).toEqual([options, expect.any(Options)]);
  });

  test.each(["after", "every"] as const)(
    "of a frozen timer of %s is to fail, which keeps no other from firing",
    (method) =>
      withTimers({}, async ({ host, timers, fired, note, errors }) => {
        Object.freeze(timers[method](5, note as () => void));
        timers.after(5, note, "other");
        await settled();
        await host.advance(10);
        timers.after(5, note, "later");
        await settled();
        await host.advance(10);
        expect(fired).toEqual(["other", "later"]);
        expect(errors).toEqual([expect.any(InvalidArgumentError)]);
        expect(host.keepsAlive).toBe(false);
      }),
  );
});

describe("bad input is an error that changes nothing", () => {
  const notDelays = [-1, -0.001, Number.NaN, Infinity, -Infinity, 2 ** 47, "5", null, {}, 5n, true];
  const notTargets = [undefined, null, 5, "text", {}, { post: 1 }, Symbol("s")];

  test("in every call that arms", () =>
    withTimers({}, ({ host, timers, note }) => {
      const timer = timers.after(10, note);
      const period = timers.every(10, note);
      const before = timers.stats();
      const { set } = host;
      const refused = (call: () => unknown) => {
        expect(call).toThrow(InvalidArgumentError);
        expect(timers.stats()).toEqual(before);
      };
      for (const delay of notDelays as number[]) {
        refused(() => timers.after(delay, note));
        refused(() => timers.every(delay, note));
        refused(() => timers.arm(delay, note));
        refused(() => timer.restart(delay));
        refused(() => period.restart(delay));
      }
      for (const period of [0, 0.5]) refused(() => timers.every(period, note));
      refused(() => period.restart(0.5));
      for (const target of notTargets as (typeof note)[]) {
        refused(() => timers.after(1, target));
        refused(() => timers.every(1, target));
        refused(() => timers.arm(1, target));
      }
      refused(() => timers.every(1, note, null as never));
      refused(() => timers.every(1, note, { drift: "drift" as never }));
      refused(() => timers.run(Number.NaN));
      for (const limit of [0, -1, 0.5, Number.NaN, 2 ** 31]) refused(() => timers.run(0, limit));
      expect(host.set).toBe(set);
      expect(timer.armed && period.armed).toBe(true);
    }));

  test("in the making of timers", async () => {
    using runtime = await createRuntime();
    const before = runtime.stats();
    for (const options of [null, 5, { onError: 1 }, { onDue: {} }, { host: null }, { host: { now: Date.now } }]) {
      expect(() => createTimers(runtime, options as never)).toThrow(InvalidArgumentError);
    }
    for (const none of [undefined, null, {}, { $memory: {} }]) {
      expect(() => createTimers(none as never)).toThrow(InvalidArgumentError);
    }
    expect(runtime.stats()).toEqual(before);
  });

  test("where a timer's own call runs the timers", () =>
    withTimers({}, ({ timers, host, errors, fired, note }) => {
      timers.after(1, () => timers.run());
      timers.after(1, note, "other");
      host.time = 1;
      timers.run();
      expect(errors).toEqual([expect.any(LoopStateError)]);
      expect(fired).toEqual(["other"]);
    }));
});

test("let go of what has fired or been cancelled, though the slot is not used again", () =>
  withTimers({}, async ({ host, timers }) => {
    const collected = new Set<string>();
    const registry = new FinalizationRegistry<string>((name) => collected.add(name));
    const known = (name: string) => {
      const payload = { name };
      registry.register(payload, name);
      return payload;
    };
    const fire = () => {};
    const names = ["a callback", "a payload", "a payload by number", "a cancelled callback", "a cancelled payload"];
    const [callback, payload, numbered, cancelled, withdrawn] = names;
    const arm = (name: string) => {
      const captured = known(name);
      return timers.after(1, () => captured.name);
    };
    arm(callback!);
    timers.after(1, fire, known(payload!));
    timers.arm(1, fire, known(numbered!));
    const cancelTwo = () => {
      const timer = arm(cancelled!); // it has its callback for as long as anybody has it
      const id = timers.arm(1, fire, known(withdrawn!));
      expect([timer.cancel(), timers.cancel(id)]).toEqual([true, true]);
    };
    cancelTwo();
    await settled();
    await host.advance(1);
    const waste: unknown[] = [];
    for (let round = 0; round < 400 && collected.size < names.length; round++) {
      for (let index = 0; index < 40; index++) waste[index] = new ArrayBuffer(1 << 20);
      await settled();
    }
    expect([...collected].sort()).toEqual(names.sort());
    expect(timers.stats().armed).toBe(0);
  }));

describe("dispose", () => {
  test("cancels all, gives the memory back, and lets go of the host's timer", () =>
    withTimers({ debug: true }, async ({ runtime, host, timers, fired, note }) => {
      const timer = timers.after(10, note);
      const period = timers.every(10, note);
      const id = timers.arm(10, note);
      await settled();
      expect(runtime.leaks().map(({ kind }) => kind)).toEqual(["timers"]);
      timers.dispose();
      timers.dispose();
      expect(runtime.leaks()).toEqual([]);
      expect(host.alarms.size).toBe(0);
      expect(runtime.stats().bytesByOwner.timers).toBe(0);
      expect([timer.armed, timer.cancel(), period.cancel(), timers.cancel(id)]).toEqual([false, false, false, false]);
      timer.unref().ref();
      const calls = [
        () => timers.after(1, note),
        () => timers.every(1, note),
        () => timers.arm(1, note),
        () => timer.restart(),
        () => period.restart(),
        () => timers.run(),
        () => timers.nextDue,
        () => timers.stats(),
        () => timers.validate(),
      ];
      for (const call of calls) expect(call).toThrow(DisposedError);
      await host.advance(100);
      expect(fired).toEqual([]);
    }));

  test("of the runtime does the same, also where the clock has just been read", async () => {
    for (const justRead of [false, true]) {
      const runtime = await createRuntime();
      const host = new TimerHost();
      const timers = createTimers(runtime, { host });
      let fired = 0;
      const timer = timers.after(10, () => fired++);
      await settled();
      if (justRead) timers.arm(1, () => fired++);
      runtime.dispose();
      expect(() => timers.arm(1, () => fired++)).toThrow(DisposedError);
      expect(() => timer.restart()).toThrow(DisposedError);
      expect([timers.disposed, timer.armed, timer.cancel(), host.alarms.size]).toEqual([true, false, false, 0]);
      await host.advance(100);
      timers.dispose();
      expect(fired).toBe(0);
    }
  });

  test("in a timer's own call ends the run", () =>
    withTimers({}, ({ host, timers, fired, note, errors }) => {
      timers.every(1, () => timers.dispose());
      timers.after(1, note);
      host.time = 1;
      expect(timers.run()).toBe(false);
      expect(fired).toEqual([]);
      expect(errors).toEqual([]);
    }));

  test("of the runtime in a timer's own call ends the run", async () => {
    const runtime = await createRuntime();
    let time = 0;
    const errors: unknown[] = [];
    const host = { now: () => time, hop() {}, after: () => () => {} };
    const timers = createTimers(runtime, { host, onError: (error) => errors.push(error) });
    let others = 0;
    timers.every(1, () => runtime.dispose(), { drift: "fixed-delay" });
    timers.after(1, () => others++);
    time = 1;
    expect(timers.run()).toBe(false);
    expect([others, errors.length]).toEqual([0, 0]);
  });
});
