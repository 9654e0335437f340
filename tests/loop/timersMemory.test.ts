import {
  CorruptionError,
  createTimers,
  DisposedError,
  LimitExceededError,
  OutOfMemoryError,
  type Runtime,
  SealedError,
  type Timers,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { MEBIBYTE, modules, Owner, PAGE, withRuntime } from "../support/runtimes.js";
import { TimerHost } from "./timersHost.js";

const MILLION = 1_000_000;

/** The address of the wheel of `timers`, the only ones of the runtime: their first page. */
function wheelOf(runtime: Runtime): number {
  const { ownerOf } = runtime.$memory.exports;
  for (let page = 0; page < 100; page++) if (ownerOf(page * PAGE) === Owner.TIMERS) return page * PAGE;
  throw new Error("no page belongs to timers");
}

describe.each(modules)("a million timers of the $name module", ({ debug }) => {
  test("take at most 24.1 MB of linear memory, fire in their millisecond, and leave room for as many others", () =>
    withRuntime({ debug, initialBytes: 32 * MEBIBYTE }, (runtime) => {
      const host = new TimerHost();
      using timers = createTimers(runtime, { host });
      const due = new Float64Array(MILLION);
      let fired = 0;
      let last = -1;
      const fire = (index: number) => {
        fired++;
        // In its very millisecond, and in the order of arming.
        if (due[index] !== host.time || (due[last] === host.time && index < last)) expect.fail(`${index} came wrongly`);
        last = index;
      };
      for (let round = 0; round < 2; round++) {
        const start = host.time;
        for (let index = 0; index < MILLION; index++) {
          const delay = 1 + ((index * 7919) % 5000);
          due[index] = start + delay;
          timers.arm(delay, fire, index);
        }
        expect(timers.stats()).toMatchObject({ armed: MILLION, highWater: MILLION });
        expect(timers.stats().bytes).toBeLessThanOrEqual(24.1e6);
        while (timers.stats().armed > 0) {
          host.time++;
          while (timers.run(host.time)) {}
        }
        expect(fired).toBe((round + 1) * MILLION);
        if (round === 0) timers.validate();
      }
      timers.dispose();
      expect(runtime.stats().bytesByOwner.timers).toBe(0);
      runtime.validate();
    }));
});

describe("work, counted in steps", () => {
  const withSteps = (body: (timers: Timers, host: TimerHost, steps: (call: () => unknown) => number) => void) =>
    withRuntime({ debug: true, initialBytes: 32 * MEBIBYTE }, (runtime) => {
      const host = new TimerHost();
      using timers = createTimers(runtime, { host });
      body(timers, host, (call) => {
        runtime.$memory.setRootWord("ROOT_STEPS", 0);
        call();
        return runtime.$memory.rootWord("ROOT_STEPS");
      });
    });

  test("is none for arming and cancelling, however many are armed", () =>
    withSteps((timers, _host, steps) => {
      for (let index = 0; index < 100_000; index++) timers.arm(index, () => {});
      const timer = timers.after(5000, () => {});
      expect(steps(() => timer.restart(70_000))).toBe(0);
      expect(steps(() => timer.cancel())).toBe(0);
      expect(steps(() => timer.restart(2 ** 40))).toBe(0);
    }));

  test("is the same for a year of idle time as for a second", () =>
    withSteps((timers, host, steps) => {
      timers.after(2 ** 46, () => {});
      for (const jump of [1000, 86_400_000, 2 ** 35, 2 ** 45]) {
        host.time += jump;
        expect(steps(() => timers.run())).toBeLessThan(40);
      }
    }));

  test("is bounded for each tick, also where a hundred thousand timers come near together", () =>
    withSteps((timers, host, steps) => {
      for (let index = 0; index < 100_000; index++) timers.arm(300_000 + ((index * 7919) % 4000), () => {});
      let most = 0;
      while (timers.stats().armed > 0) {
        host.time = Math.max(host.time + 1, timers.nextDue);
        const fired = timers.stats().fired;
        const taken = steps(() => timers.run());
        most = Math.max(most, taken);
        expect(timers.stats().fired - fired).toBeLessThanOrEqual(26); // what is due in one millisecond, and no more
      }
      // Sinking ahead: up to 4 ticks of 1,024, on two levels at once.
      expect(most).toBeLessThan(2 * 4 * 1024 + 300);
    }));
});

describe("out of memory", () => {
  test("at every page request in turn is an error that changes nothing, and the timers go on", async () => {
    let refusals = 0;
    let reached = true;
    for (let nth = 1; reached; nth++) {
      await withRuntime({ debug: true, initialBytes: 32 * PAGE }, (runtime) => {
        const memory = runtime.$memory;
        const host = new TimerHost();
        const before = runtime.stats();
        memory.setRootWord("ROOT_REFUSE_AFTER", nth);
        let timers: Timers | undefined;
        try {
          timers = createTimers(runtime, { host });
        } catch (error) {
          expect(error).toBeInstanceOf(OutOfMemoryError);
          expect(runtime.stats()).toEqual(before);
          refusals++;
          timers = createTimers(runtime, { host });
        }
        let fired = 0;
        const fire = () => fired++;
        for (let index = 0; index < 12_000; index++) {
          const stats = timers.stats();
          try {
            if (index % 3 === 0) timers.after(index, fire);
            else if (index % 3 === 1) timers.arm(index, fire, index);
            else timers.every(20_000 + index, fire);
          } catch (error) {
            expect(error).toBeInstanceOf(OutOfMemoryError);
            expect(timers.stats()).toEqual(stats);
            timers.validate();
            refusals++;
            index--;
          }
        }
        reached = memory.rootWord("ROOT_REFUSE_AFTER") === 0;
        memory.setRootWord("ROOT_REFUSE_AFTER", 0);
        timers.validate();
        host.time = 15_000;
        while (timers.run()) {}
        expect(fired).toBe(8000);
        timers.dispose();
        expect(runtime.stats().usedBytes).toBe(before.usedBytes);
      });
    }
    expect(refusals).toBe(3);
  });

  test("leaves a timer that cannot be armed anew with the delay that it had", () =>
    withRuntime({ initialBytes: 4 * PAGE, maximumBytes: 4 * PAGE }, async (runtime) => {
      const host = new TimerHost();
      using timers = createTimers(runtime, { host });
      let fired = 0;
      const timer = timers.after(10, () => fired++);
      timer.cancel();
      let last = 0;
      expect(() => {
        for (;;) last = timers.arm(1e6, () => {});
      }).toThrow(OutOfMemoryError);
      expect(() => timer.restart(5000)).toThrow(OutOfMemoryError);
      timers.cancel(last);
      timer.restart();
      await undefined; // whoever arms in the same breath may share a reading of the clock
      host.time = 11;
      timers.run();
      expect(fired).toBe(1);
    }));

  test("a sealed runtime arms what there is room for, and refuses more", () =>
    withRuntime({}, (runtime) => {
      using timers = createTimers(runtime, { host: new TimerHost() });
      runtime.seal();
      let armed = 0;
      const more = () => {
        for (;;) {
          timers.arm(1, () => {});
          armed++;
        }
      };
      expect(more).toThrow(SealedError);
      expect(armed).toBeGreaterThan(2000);
      timers.validate();
    }));

  test("a wheel holds eight million, and refuses more", () =>
    withRuntime({ initialBytes: 210 * MEBIBYTE }, (runtime) => {
      const { exports } = runtime.$memory;
      const wheel = exports.createWheel() >>> 0;
      let armed = 0;
      while (exports.armTimer(wheel, armed) !== 0) armed++;
      expect(armed).toBeGreaterThan(8_300_000);
      expect(runtime.$memory.failure("arming")).toBeInstanceOf(LimitExceededError);
      expect(exports.cancelTimer(wheel, 2 ** 23 - 1, 1)).toBe(1);
      expect(exports.cancelTimer(wheel, 2 ** 23, 1)).toBe(0);
      expect(exports.armTimer(wheel, 5)).toBe(2 ** 23);
      exports.destroyWheel(wheel);
    }));
});

describe("a node", () => {
  test("that has been used half a billion times is used no more", () =>
    withRuntime({}, (runtime) => {
      using timers = createTimers(runtime, { host: new TimerHost() });
      const timer = timers.after(1, () => {});
      const { $slot, $generation } = timer;
      timer.cancel();
      const { u32 } = runtime.$memory;
      const wheel = wheelOf(runtime);
      const free = u32[(wheel + 52) >>> 2]!; // the head of the free list: the node that has just been given back
      expect(u32[(free + 20) >>> 2]).toBe($generation + 1);
      u32[(free + 20) >>> 2] = 2 ** 29 - 1;
      const last = timers.arm(1, () => {});
      expect(last).toBe((2 ** 29 - 1) * 2 ** 23 + $slot);
      expect(timers.cancel(last)).toBe(true);
      expect(timers.cancel(last)).toBe(false);
      timer.restart();
      expect(timer.$slot).not.toBe($slot);
      timers.validate();
    }));

  test("that is broken is found by validate", () =>
    withRuntime({}, (runtime) => {
      using timers = createTimers(runtime, { host: new TimerHost() });
      for (let index = 0; index < 100; index++) timers.arm(index * 50, () => {});
      timers.cancel(timers.arm(7, () => {}));
      timers.validate();
      const { u32 } = runtime.$memory;
      const wheel = wheelOf(runtime);
      const free = u32[(wheel + 52) >>> 2]!;
      const node = free - 24;
      const words: readonly (readonly [string, number, number?])[] = [
        ["next", node],
        ["previous", node + 4],
        ["due", node + 8, 2 ** 20],
        ["slot", node + 16],
        ["armed", wheel + 44],
        ["the free list", free],
        ["a free node's mark", free + 4],
        ["bits", wheel + 80],
        ["ends", wheel + 80 + 17 * 8 + 8 * 30],
      ];
      for (const [name, address, flipped = 64] of words) {
        const before = u32[address >>> 2]!;
        u32[address >>> 2] = before ^ flipped;
        expect(() => timers.validate(), name).toThrow(CorruptionError);
        u32[address >>> 2] = before;
        timers.validate();
      }
    }));
});

test("a host that grows memory behind the runtime's back disturbs nothing", () =>
  withRuntime({}, (runtime) => {
    const host = new TimerHost();
    using timers = createTimers(runtime, { host });
    let fired = 0;
    const grow = () => runtime.memory.grow(1);
    const fire = () => fired++;
    const calls: (() => unknown)[] = [
      () => timers.after(1, fire),
      () => timers.arm(1, fire),
      () => timers.every(1, fire).restart(5),
      () => timers.stats(),
      () => timers.nextDue,
      () =>
        timers.after(1, () => {
          grow();
          timers.after(1, fire);
        }),
    ];
    for (const call of calls) {
      timers.after(1, fire);
      grow();
      call();
    }
    grow();
    host.time = 2;
    while (timers.run()) {}
    grow();
    host.time = 10;
    while (timers.run()) {}
    expect(fired).toBe(6 + 2 + 1 + 1);
    grow();
    expect(timers.after(1, fire).cancel()).toBe(true);
    timers.validate();
    grow();
    timers.dispose();
    expect(() => timers.arm(1, fire)).toThrow(DisposedError);
    runtime.validate();
  }));
