import {
  Condition,
  DisposedError,
  FiberStateError,
  InvalidArgumentError,
  LimitExceededError,
  Mutex,
  Semaphore,
  select,
  timersOf,
  WaitGroup,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { stage } from "./fiberStage.js";
import { Outcome, SimulatedHost, settled } from "./simulation.js";

const NO_DELAYS = [Number.NaN, -1, Infinity, 2 ** 31, "5", null];

describe("a mutex", () => {
  test("lets one in at a time, in the order in which they asked, async functions among fibers", async () => {
    const { host, fibers, log } = stage();
    const mutex = new Mutex();
    let inside = 0;
    const critical = (name: string) => {
      expect(++inside).toBe(1);
      log.push(name);
    };
    for (const name of ["a", "b"]) {
      fibers.spawn(function* () {
        for (let round = 0; round < 2; round++) {
          yield mutex.lock();
          critical(name);
          yield;
          yield;
          inside--;
          mutex.unlock();
        }
      });
    }
    fibers.run(2);
    const outside = (async () => {
      await mutex.lock();
      critical("outside");
      await settled();
      inside--;
      mutex.unlock();
    })();
    await settled();
    await host.rest();
    await outside;
    await host.rest();
    expect(log).toEqual(["a", "b", "outside", "a", "b"]);
    expect([mutex.locked, mutex.waiting]).toEqual([false, 0]);
  });

  test("is handed over by unlock, so that nobody who comes in between can take it", async () => {
    const { host, fibers, log } = stage();
    const mutex = new Mutex();
    expect([mutex.tryLock(), mutex.tryLock()]).toEqual([true, false]);
    fibers.spawn(function* () {
      log.push(yield mutex.lock());
      mutex.unlock();
    });
    await host.rest();
    mutex.unlock();
    expect([mutex.locked, mutex.tryLock()]).toEqual([true, false]);
    await host.rest();
    expect([log, mutex.locked]).toEqual([[true], false]);
  });

  test("is given up waiting for after a while, and the next gets it", async () => {
    const { host, fibers, log } = stage();
    const mutex = new Mutex();
    mutex.tryLock();
    for (const milliseconds of [10, 30]) {
      fibers.spawn(function* () {
        log.push(yield mutex.lock(milliseconds));
      });
    }
    await host.rest();
    await host.advance(10);
    await host.rest();
    expect([log, mutex.waiting, host.timers]).toEqual([[false], 1, 1]);
    mutex.unlock();
    await host.rest();
    expect([log, mutex.locked, host.timers]).toEqual([[false, true], true, 0]);
  });

  test("is not lost with a fiber that is cancelled: before the handover it leaves the line, after it its finally runs", async () => {
    const { host, fibers, log } = stage();
    const mutex = new Mutex();
    mutex.tryLock();
    const waiter = (name: string) =>
      fibers.spawn(function* () {
        yield mutex.lock();
        try {
          log.push(name);
          yield;
          log.push(`${name} goes on`);
        } finally {
          mutex.unlock();
        }
      });
    const [first, second, third] = [waiter("first"), waiter("second"), waiter("third")];
    await host.rest();
    first.cancel();
    expect(mutex.waiting).toBe(2);
    mutex.unlock();
    second.cancel();
    await host.rest();
    expect(log).toEqual(["second", "third", "third goes on"]);
    expect([first.state, second.state, third.state]).toEqual(["cancelled", "cancelled", "returned"]);
    expect(mutex.locked).toBe(false);
  });

  test("that is disposed refuses who waits and who comes, and lets its holder unlock it", async () => {
    const { host, fibers, log } = stage();
    const mutex = new Mutex();
    mutex.tryLock();
    fibers.spawn(function* () {
      yield mutex.lock(5);
    });
    await host.rest();
    mutex[Symbol.dispose]();
    mutex[Symbol.dispose]();
    await host.rest();
    expect(log).toEqual([expect.any(DisposedError)]);
    await expect(mutex.lock()).rejects.toThrow(DisposedError);
    mutex.unlock();
    expect([mutex.tryLock(), mutex.locked, host.timers]).toEqual([false, false, 0]);
  });

  test("takes no bad input", async () => {
    const mutex = new Mutex();
    expect(() => mutex.unlock()).toThrow(FiberStateError);
    for (const delay of NO_DELAYS) expect(() => mutex.lock(delay as number)).toThrow(InvalidArgumentError);
    expect(() => new Mutex(null as never)).toThrow(InvalidArgumentError);
    const lock = mutex.lock();
    await lock;
    await expect(lock).rejects.toThrow(FiberStateError);
    mutex.unlock();
    expect(mutex.locked).toBe(false);
  });

  test("uses the clock that it is given for async functions", async () => {
    const host = new SimulatedHost();
    const mutex = new Mutex({ timers: timersOf(host) });
    mutex.tryLock();
    const outcome = new Outcome(Promise.resolve(mutex.lock(10)));
    await settled();
    await host.advance(10);
    expect(outcome.value).toBe(false);
  });
});

describe("a semaphore", () => {
  test("lets in as many as there are permits", async () => {
    const { host, fibers } = stage();
    const semaphore = new Semaphore(3);
    let inside = 0;
    let most = 0;
    for (let count = 0; count < 20; count++) {
      fibers.spawn(function* () {
        yield semaphore.acquire();
        most = Math.max(most, ++inside);
        for (let turn = 0; turn <= count % 4; turn++) yield;
        inside--;
        semaphore.release();
      });
    }
    await host.rest();
    expect([most, inside, semaphore.available, semaphore.waiting]).toEqual([3, 0, 3, 0]);
  });

  test("lets nobody overtake one who wants many", async () => {
    const { host, fibers, log } = stage();
    const semaphore = new Semaphore(2);
    for (const count of [3, 1, 1]) {
      fibers.spawn(function* () {
        log.push([count, yield semaphore.acquire(count)]);
      });
    }
    await host.rest();
    expect([log, semaphore.tryAcquire(), semaphore.available]).toEqual([[], false, 2]);
    semaphore.release();
    await host.rest();
    expect(log).toEqual([[3, true]]);
    semaphore.release(2);
    await host.rest();
    expect([log.length, semaphore.available]).toEqual([3, 0]);
  });

  test("serves those behind one who gives up, or is cancelled", async () => {
    const { host, fibers, log } = stage();
    const semaphore = new Semaphore(1);
    const impatient = fibers.spawn(function* () {
      log.push(yield semaphore.acquire(5, 10));
    });
    const doomed = fibers.spawn(function* () {
      log.push(yield semaphore.acquire(5));
    });
    fibers.spawn(function* () {
      log.push(["behind", yield semaphore.acquire()]);
    });
    await host.rest();
    await host.advance(10);
    await host.rest();
    expect(log).toEqual([false]);
    doomed.cancel();
    await host.rest();
    expect(log).toEqual([false, ["behind", true]]);
    expect([impatient.state, doomed.state, semaphore.available]).toEqual(["returned", "cancelled", 0]);
  });

  test("that is disposed refuses who waits and who comes, and takes permits back", async () => {
    const semaphore = new Semaphore(1, { limit: 2 });
    const outcome = new Outcome(Promise.resolve(semaphore.acquire(2)));
    await settled();
    semaphore[Symbol.dispose]();
    semaphore[Symbol.dispose]();
    await settled();
    expect(outcome.error).toBeInstanceOf(DisposedError);
    await expect(semaphore.acquire()).rejects.toThrow(DisposedError);
    expect(semaphore.tryAcquire()).toBe(false);
    semaphore.release();
    expect(semaphore.available).toBe(2);
  });

  test("lets nobody past one who chooses and for whom there is not enough", async () => {
    const semaphore = new Semaphore(0);
    const chooses = Promise.resolve(select([semaphore.acquire(3), semaphore.acquire(2)]));
    let isIn = false;
    const waits = Promise.resolve(semaphore.acquire(1)).then(() => {
      isIn = true;
    });
    await settled();
    semaphore.release();
    await settled();
    expect([isIn, semaphore.available, semaphore.waiting]).toEqual([false, 1, 3]);
    semaphore.release(2);
    await Promise.all([chooses, settled()]);
    expect([isIn, semaphore.available, semaphore.waiting]).toEqual([false, 0, 1]);
    semaphore.release();
    await waits;
  });

  test("that is disposed lets nobody in, not even behind one who chooses and so leaves the line", async () => {
    const semaphore = new Semaphore(1);
    const chooses = new Outcome(Promise.resolve(select([semaphore.acquire(3), semaphore.acquire(2)])));
    const waits = new Outcome(Promise.resolve(semaphore.acquire(1)));
    await settled();
    expect(semaphore.waiting).toBe(3);
    semaphore[Symbol.dispose]();
    await settled();
    for (const outcome of [chooses, waits]) expect(outcome.error).toBeInstanceOf(DisposedError);
    expect([semaphore.waiting, semaphore.available]).toEqual([0, 1]);
  });

  test("forgets the limit of one who is cancelled, and whoever has its place in the line afterwards is not woken by it", async () => {
    const { host, fibers, log } = stage();
    const semaphore = new Semaphore(0);
    const first = fibers.spawn(function* () {
      yield semaphore.acquire(1, 50);
    });
    await host.rest();
    expect([semaphore.waiting, host.timers]).toEqual([1, 1]);
    first.cancel();
    await host.rest();
    expect([semaphore.waiting, host.timers]).toEqual([0, 0]);
    fibers.spawn(function* () {
      log.push(yield semaphore.acquire());
    });
    await host.rest();
    await host.advance(100);
    await host.rest();
    expect([semaphore.waiting, log]).toEqual([1, []]);
    semaphore.release();
    await host.rest();
    expect([semaphore.waiting, log]).toEqual([0, [true]]);
  });

  test("whose limit of time cannot be armed refuses who would wait, and has nobody in its line", async () => {
    const timers = {
      after() {
        throw new LimitExceededError("no timer is left");
      },
      cancel() {},
    };
    const semaphore = new Semaphore(1, { timers });
    const mutex = new Mutex({ timers });
    await Promise.all([semaphore.acquire(1, 5), mutex.lock(5)]); // at once, which takes no timer
    for (const wait of [semaphore.acquire(1, 5), mutex.lock(5)]) await expect(wait).rejects.toThrow(LimitExceededError);
    expect([semaphore.waiting, mutex.waiting]).toEqual([0, 0]);
    const waits = [semaphore.acquire(1), mutex.lock()].map((wait) => new Outcome(Promise.resolve(wait)));
    await settled();
    expect(waits.map(({ state }) => state)).toEqual(["pending", "pending"]);
    semaphore.release();
    mutex.unlock();
    await settled();
    expect(waits.map(({ state }) => state)).toEqual(["resolved", "resolved"]);
    expect([semaphore.available, semaphore.waiting, mutex.waiting]).toEqual([0, 0, 0]);
  });

  test("takes no bad input", () => {
    const semaphore = new Semaphore(1, { limit: 3 });
    for (const count of [0, -1, 1.5, 4, Number.NaN, "1", null]) {
      expect(() => semaphore.acquire(count as number)).toThrow(InvalidArgumentError);
      expect(() => semaphore.tryAcquire(count as number)).toThrow(InvalidArgumentError);
      expect(() => semaphore.release(count as number)).toThrow(InvalidArgumentError);
    }
    for (const delay of NO_DELAYS) expect(() => semaphore.acquire(1, delay as number)).toThrow(InvalidArgumentError);
    expect(() => semaphore.release(3)).toThrow(LimitExceededError);
    for (const permits of [-1, 4, 0.5, "1"]) {
      expect(() => new Semaphore(permits as number, { limit: 3 })).toThrow(InvalidArgumentError);
    }
    expect(() => new Semaphore(1, { limit: 0 })).toThrow(InvalidArgumentError);
    expect(() => new Semaphore(1, { limit: 2 ** 30 })).toThrow(InvalidArgumentError);
    expect(semaphore.available).toBe(1);
  });
});

describe("a wait group", () => {
  test("lets all go when all is done, in the order in which they came, and can be used again", async () => {
    const { host, fibers, log } = stage();
    const group = new WaitGroup();
    await group.wait();
    for (let round = 0; round < 2; round++) {
      group.add(2);
      for (const name of ["a", "b"]) {
        fibers.spawn(function* () {
          log.push([name, yield group.wait()]);
        });
      }
      await host.rest();
      group.done();
      await host.rest();
      expect([log.length, group.count, group.waiting]).toEqual([2 * round, 1, 2]);
      group.done();
      expect(log.length).toBe(2 * round);
      await host.rest();
      expect(log.slice(2 * round)).toEqual([
        ["a", true],
        ["b", true],
      ]);
    }
  });

  test("is waited for no longer than the limit, and takes no bad input", async () => {
    const { host, fibers, log } = stage();
    const group = new WaitGroup();
    expect(() => group.done()).toThrow(FiberStateError);
    for (const count of [-1, 0.5, 2 ** 30, "1"]) {
      expect(() => group.add(count as number)).toThrow(InvalidArgumentError);
    }
    for (const delay of NO_DELAYS) expect(() => group.wait(delay as number)).toThrow(InvalidArgumentError);
    group.add(2 ** 30 - 1);
    expect(() => group.add()).toThrow(InvalidArgumentError);
    fibers.spawn(function* () {
      log.push(yield group.wait(10));
      yield group.wait();
    });
    await host.rest();
    await host.advance(10);
    await host.rest();
    expect([log, group.waiting]).toEqual([[false], 1]);
    group[Symbol.dispose]();
    await host.rest();
    expect(log[1]).toBeInstanceOf(DisposedError);
    await expect(group.wait()).rejects.toThrow(DisposedError);
  });
});

describe("a condition", () => {
  test("sets the mutex free while it is waited for, and wakes with it locked, first come, first notified", async () => {
    const { host, fibers, log } = stage();
    const mutex = new Mutex();
    const condition = new Condition(mutex);
    for (const name of ["a", "b", "c"]) {
      fibers.spawn(function* () {
        yield mutex.lock();
        log.push([name, yield condition.wait(), mutex.locked]);
        mutex.unlock();
      });
    }
    await host.rest();
    expect([mutex.locked, condition.waiting]).toEqual([false, 3]);
    expect([condition.notify(), condition.notify(0)]).toEqual([1, 0]);
    await host.rest();
    expect(log).toEqual([["a", true, true]]);
    mutex.tryLock();
    expect(condition.notifyAll()).toBe(2);
    await host.rest();
    expect([log.length, mutex.waiting]).toEqual([1, 2]);
    mutex.unlock();
    await host.rest();
    expect(log).toEqual([
      ["a", true, true],
      ["b", true, true],
      ["c", true, true],
    ]);
    expect([condition.notify(5), mutex.locked]).toEqual([0, false]);
  });

  test("gives the mutex back after the limit, too, even if that takes longer", async () => {
    const { host, fibers, log } = stage();
    const mutex = new Mutex();
    const condition = new Condition(mutex);
    for (const milliseconds of [10, 20]) {
      fibers.spawn(function* () {
        yield mutex.lock();
        log.push([milliseconds, yield condition.wait(milliseconds), mutex.locked]);
        mutex.unlock();
      });
    }
    await host.rest();
    mutex.tryLock();
    await host.advance(10);
    await host.rest();
    expect([log, condition.waiting, mutex.waiting]).toEqual([[], 1, 1]);
    condition.notify(); // in time, though the mutex comes later
    await host.advance(50);
    await host.rest();
    expect([log, mutex.waiting, host.timers]).toEqual([[], 2, 0]);
    mutex.unlock();
    await host.rest();
    expect(log).toEqual([
      [10, false, true],
      [20, true, true],
    ]);
    expect(mutex.locked).toBe(false);
  });

  test("gives a fiber that is cancelled the mutex before its finally runs", async () => {
    const { host, fibers, log } = stage();
    const mutex = new Mutex();
    const condition = new Condition(mutex);
    const fiber = fibers.spawn(function* () {
      yield mutex.lock();
      try {
        yield condition.wait(100);
        log.push("never");
      } finally {
        log.push(mutex.locked);
        mutex.unlock();
      }
    });
    await host.rest();
    mutex.tryLock();
    fiber.cancel();
    await host.rest();
    expect([log, fiber.state, condition.waiting]).toEqual([[], "running", 0]);
    await host.advance(200); // its limit, which matters no longer
    await host.rest();
    expect(log).toEqual([]);
    mutex.unlock();
    await host.rest();
    expect([log, fiber.state, mutex.locked, host.timers]).toEqual([[true], "cancelled", false, 0]);
  });

  test("that is disposed, or whose mutex is, still gives the mutex to those who wait", async () => {
    const { host, fibers, log } = stage();
    const mutex = new Mutex();
    const condition = new Condition(mutex);
    for (const name of ["a", "b"]) {
      fibers.spawn(function* () {
        yield mutex.lock();
        try {
          yield condition.wait();
        } finally {
          log.push([name, mutex.locked]);
          mutex.unlock();
        }
      });
    }
    await host.rest();
    mutex.tryLock();
    condition.notify();
    mutex[Symbol.dispose]();
    condition[Symbol.dispose]();
    condition[Symbol.dispose]();
    expect(mutex.waiting).toBe(2);
    mutex.unlock();
    await host.rest();
    expect(log).toEqual([["a", true], ["b", true], expect.any(DisposedError)]);
    expect(mutex.locked).toBe(false);
  });

  test("takes no bad input, and leaves the mutex as it was", async () => {
    const mutex = new Mutex();
    const condition = new Condition(mutex);
    await expect(condition.wait()).rejects.toThrow(FiberStateError);
    await expect(condition.wait()).rejects.toThrow("a condition is waited for with its mutex locked");
    expect(mutex.locked).toBe(false);
    for (const delay of NO_DELAYS) expect(() => condition.wait(delay as number)).toThrow(InvalidArgumentError);
    for (const count of [-1, 0.5, "1", Infinity]) {
      expect(() => condition.notify(count as number)).toThrow(InvalidArgumentError);
    }
    for (const mutex of [undefined, null, {}, new Semaphore(1)]) {
      expect(() => new Condition(mutex as never)).toThrow(InvalidArgumentError);
    }
    condition[Symbol.dispose]();
    await mutex.lock();
    await expect(condition.wait()).rejects.toThrow(DisposedError);
    expect(mutex.locked).toBe(true);
  });
});
