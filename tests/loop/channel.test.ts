import { once } from "node:events";
import { Readable } from "node:stream";
import {
  Baton,
  Channel,
  ChannelClosedError,
  Condition,
  FiberStateError,
  InvalidArgumentError,
  Mutex,
  Semaphore,
  select,
  WaitGroup,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { stage } from "./fiberStage.js";
import { Outcome, settled } from "./simulation.js";

describe.each([0, 1, 2, 7, 100])("a channel of capacity %i", (capacity) => {
  test("gives every value once, in the order in which they were sent, and holds no more than its capacity", async () => {
    const { host, fibers, log } = stage();
    const channel = new Channel<number>(capacity);
    let sent = 0;
    fibers.spawn(function* () {
      for (let value = 0; value < 1000; value++) {
        yield channel.send(value);
        sent++;
        expect(channel.length).toBeLessThanOrEqual(capacity);
        expect(sent - log.length).toBeLessThanOrEqual(capacity + 2); // two may be on their way: resumed, and not yet run
      }
      channel.close();
    });
    fibers.spawn(function* () {
      for (let count = 0; ; count++) {
        const value: number | undefined = yield channel.receive();
        if (value === undefined) break;
        log.push(value);
        if (count % 7 === 0) yield;
      }
      log.push("end");
    });
    await host.rest();
    expect(log).toEqual([...Array.from({ length: 1000 }, (_, index) => index), "end"]);
    expect([channel.length, channel.ended]).toEqual([0, true]);
  });

  test("serves senders and receivers in the order in which they came", async () => {
    const { host, fibers, log } = stage();
    const channel = new Channel<string>(capacity);
    for (const name of ["a", "b", "c"]) {
      fibers.spawn(function* () {
        log.push([name, yield channel.receive()]);
      });
    }
    await host.rest();
    for (const value of ["1", "2", "3"]) expect(channel.trySend(value)).toBe(true);
    await host.rest();
    expect(log).toEqual([
      ["a", "1"],
      ["b", "2"],
      ["c", "3"],
    ]);
    while (channel.trySend("filling"));
    expect(channel.length).toBe(capacity);
    for (const name of ["x", "y"]) {
      fibers.spawn(function* () {
        yield channel.send(name);
        log.push(name);
      });
    }
    await host.rest();
    expect([channel.trySend("late"), channel.waiting]).toEqual([false, { senders: 2, receivers: 0 }]);
    const received: unknown[] = [];
    for (;;) {
      const value = channel.tryReceive();
      if (value === undefined) break;
      received.push(value);
    }
    expect(received).toEqual([...Array(capacity).fill("filling"), "x", "y"]);
    await host.rest();
    expect(log.slice(3)).toEqual(["x", "y"]);
  });

  test("that is closed gives what is in it, then undefined, and refuses senders", async () => {
    const { host, fibers, log } = stage();
    const channel = new Channel<number>(capacity);
    for (let value = 0; value < capacity; value++) channel.trySend(value);
    fibers.spawn(function* () {
      try {
        yield channel.send(-1);
      } catch (error) {
        log.push(error);
      }
    });
    await host.rest();
    channel.close();
    channel.close();
    await host.rest();
    expect(log).toEqual([expect.any(ChannelClosedError)]);
    expect(() => channel.trySend(5)).toThrow(ChannelClosedError);
    await expect(channel.send(5)).rejects.toThrow(ChannelClosedError);
    expect([channel.closed, channel.ended]).toEqual([true, capacity === 0]);
    const rest: number[] = [];
    for await (const value of channel) rest.push(value);
    expect(rest).toEqual(Array.from({ length: capacity }, (_, index) => index));
    expect(await channel.receive()).toBe(undefined);
    expect(channel.ended).toBe(true);
  });

  test("lets waiting receivers go when it is closed, and drops what is in it when it is disposed", async () => {
    const channel = new Channel<number>(capacity);
    const outcomes = [channel.receive(), channel.receive()].map((wait) => new Outcome(Promise.resolve(wait)));
    await settled();
    channel.close();
    await settled();
    expect(outcomes.map(({ state, value }) => [state, value])).toEqual([
      ["resolved", undefined],
      ["resolved", undefined],
    ]);
    const other = new Channel<number>(capacity);
    for (let value = 0; value < capacity; value++) other.trySend(value);
    other[Symbol.dispose]();
    expect([other.tryReceive(), other.ended]).toEqual([undefined, true]);
  });

  test("forgets a sender and a receiver that are cancelled, and gives a value that was received before the cancel", async () => {
    const { host, fibers, log } = stage();
    const channel = new Channel<number>(capacity);
    const receiver = () =>
      fibers.spawn(function* () {
        log.push(yield channel.receive());
        yield;
        log.push("never");
      });
    const [first, second] = [receiver(), receiver()];
    await host.rest();
    first.cancel();
    channel.trySend(1);
    second.cancel();
    await host.rest();
    expect(log).toEqual([1]);
    for (let value = 0; value < capacity; value++) channel.trySend(value);
    const sender = fibers.spawn(function* () {
      yield channel.send(99);
    });
    await host.rest();
    sender.cancel();
    await host.rest();
    expect(channel.waiting).toEqual({ senders: 0, receivers: 0 });
    for (let value = 0; value < capacity; value++) expect(channel.tryReceive()).toBe(value);
    expect(channel.tryReceive()).toBe(undefined);
  });
});

test("a channel grows around its end", () => {
  for (const capacity of [9, 12, 16, 17, 100]) {
    for (let turned = 0; turned <= 8; turned++) {
      const channel = new Channel<number>(capacity);
      let next = 0;
      let expected = 0;
      for (let value = 0; value < 8; value++) channel.trySend(next++);
      for (let value = 0; value < turned; value++) expect(channel.tryReceive()).toBe(expected++);
      while (channel.trySend(next)) next++;
      expect(channel.length).toBe(capacity);
      for (let value = channel.tryReceive(); value !== undefined; value = channel.tryReceive()) {
        expect(value).toBe(expected++);
      }
      expect(expected).toBe(next);
    }
  }
});

test("several may iterate over a channel, and each value goes to one", async () => {
  const channel = new Channel<number>(4);
  const seen: number[] = [];
  const consumers = [0, 1, 2].map(async () => {
    for await (const value of channel) seen.push(value);
  });
  for (let value = 0; value < 100; value++) await channel.send(value);
  channel.close();
  await Promise.all(consumers);
  expect(seen.sort((left, right) => left - right)).toEqual(Array.from({ length: 100 }, (_, index) => index));
});

describe("an iteration over a channel", () => {
  const end = { done: true, value: undefined };

  test("gives each of several calls of next() its value in the order of the calls, and then the end", async () => {
    const channel = new Channel<number>(0);
    const iterator = channel[Symbol.asyncIterator]();
    const nexts = Array.from({ length: 4 }, () => iterator.next());
    expect(channel.waiting.receivers).toBe(4);
    for (const value of [1, 2]) expect(channel.trySend(value)).toBe(true);
    channel.close();
    expect(await Promise.all(nexts)).toEqual([{ done: false, value: 1 }, { done: false, value: 2 }, end, end]);
    expect(await iterator.next()).toEqual(end);
  });

  test.each(["return", "throw", "dispose"] as const)(
    "that is left by %s() stands in line no more, and loses no value",
    async (way) => {
      const channel = new Channel<number>(0);
      const iterator = channel[Symbol.asyncIterator]();
      const [first, ...others] = [iterator.next(), iterator.next(), iterator.next()];
      const behind = Promise.resolve(channel.receive());
      await settled();
      expect([channel.waiting.receivers, channel.trySend(1)]).toEqual([4, true]);
      const error = new Error("planned");
      const leave = {
        return: () => iterator.return!("given"),
        throw: () => iterator.throw!(error),
        dispose: () => (iterator as unknown as AsyncDisposable)[Symbol.asyncDispose](),
      };
      const left = leave[way]();
      expect(channel.waiting.receivers).toBe(1);
      if (way === "return") expect(await left).toEqual({ done: true, value: "given" });
      else if (way === "throw") await expect(left).rejects.toBe(error);
      else await left;
      expect(await first).toEqual({ done: false, value: 1 }); // it had been sent before
      expect(await Promise.all(others)).toEqual([end, end]);
      expect(channel.trySend(2)).toBe(true);
      expect(await behind).toBe(2);
      expect(await iterator.next()).toEqual(end);
      expect(channel.waiting.receivers).toBe(0);
      expect(await iterator.return!()).toEqual(end); // a second time
    },
  );

  test("that is left by break closes nothing, and another goes on", async () => {
    const channel = new Channel<number>(3);
    for (const value of [1, 2, 3]) channel.trySend(value);
    channel.close();
    const seen: number[] = [];
    for await (const value of channel) {
      seen.push(value);
      break;
    }
    for await (const value of channel) seen.push(value);
    expect(seen).toEqual([1, 2, 3]);
  });

  test("ends with a stream that is made of it and destroyed, although it waits for a value", async () => {
    const channel = new Channel<number>(1);
    const stream = Readable.from(channel).resume();
    await settled();
    expect(channel.waiting.receivers).toBe(1);
    stream.destroy();
    await once(stream, "close");
    expect(channel.waiting.receivers).toBe(0);
  });

  test("waits for promises that were sent, as receive() does", async () => {
    const channel = new Channel<Promise<number>>(2);
    channel.trySend(Promise.resolve(1));
    channel.trySend(Promise.reject(new Error("planned")));
    const iterator = channel[Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ done: false, value: 1 });
    await expect(iterator.next()).rejects.toThrow("planned");
  });
});

test("channels take no bad input", async () => {
  for (const capacity of [-1, 0.5, Number.NaN, 2 ** 24 + 1, "1", null, Infinity]) {
    expect(() => new Channel(capacity as number)).toThrow(InvalidArgumentError);
  }
  const channel = new Channel<number>(1);
  expect(() => channel.send(undefined as never)).toThrow(InvalidArgumentError);
  expect(() => channel.trySend(undefined as never)).toThrow(InvalidArgumentError);
  const operation = channel.send(5);
  await operation;
  await expect(operation).rejects.toThrow(FiberStateError);
  expect(channel.length).toBe(1);
});

describe("a select", () => {
  test("does the first operation that can be done at once, and changes nothing of the others", async () => {
    const [a, b, c] = [new Channel<number>(1), new Channel<number>(1), new Channel<number>(0)];
    b.trySend(5);
    const chosen = await select([c.send(1), a.receive(), b.receive(), a.send(9)]);
    expect(chosen).toEqual({ index: 2, value: 5 });
    expect([a.length, a.waiting, b.waiting, c.waiting]).toEqual([
      0,
      { senders: 0, receivers: 0 },
      { senders: 0, receivers: 0 },
      { senders: 0, receivers: 0 },
    ]);
  });

  test("waits for whichever can be done first, once", async () => {
    const { host, fibers, log } = stage();
    const [a, b] = [new Channel<number>(1), new Channel<number>(1)];
    b.trySend(1);
    fibers.spawn(function* () {
      log.push(yield select([a.receive(), b.send(2)]));
    });
    await host.rest();
    expect(b.tryReceive()).toBe(1);
    expect(a.trySend(7)).toBe(true);
    await host.rest();
    expect(log).toEqual([{ index: 1, value: undefined }]);
    expect([a.length, b.tryReceive(), b.tryReceive()]).toEqual([1, 2, undefined]);
  });

  test("does not meet itself", async () => {
    const { host, fibers, log } = stage();
    const channel = new Channel<number>(0);
    fibers.spawn(function* () {
      log.push(["one", yield select([channel.send(1), channel.receive()])]);
    });
    await host.rest();
    expect(log).toEqual([]);
    fibers.spawn(function* () {
      log.push(["other", yield select([channel.receive(), channel.send(2)])]);
    });
    await host.rest();
    expect(log.sort()).toEqual([
      ["one", { index: 0, value: undefined }],
      ["other", { index: 0, value: 1 }],
    ]);
    expect(channel.waiting).toEqual({ senders: 0, receivers: 0 });
  });

  test("takes locks as well, and leaves the lines of the others as if it had never been there", async () => {
    const { host, fibers, log } = stage();
    const mutex = new Mutex();
    const semaphore = new Semaphore(1);
    const group = new WaitGroup();
    mutex.tryLock();
    group.add();
    fibers.spawn(function* () {
      log.push(yield select([semaphore.acquire(5), mutex.lock(), group.wait()]));
    });
    fibers.spawn(function* () {
      log.push(["behind", yield semaphore.acquire()]);
    });
    await host.rest();
    expect(log).toEqual([]);
    group.done();
    await host.rest();
    expect(log).toEqual([["behind", true], { index: 2, value: true }].reverse());
    expect([mutex.waiting, semaphore.waiting, semaphore.available]).toEqual([0, 0, 0]);
  });

  test("whose operations stand in one line gets the one that can be done first, once, and goes before nobody else", async () => {
    const { host, fibers, log } = stage();
    const semaphore = new Semaphore(1);
    semaphore.tryAcquire();
    fibers.spawn(function* () {
      log.push(yield select([semaphore.acquire(3), semaphore.acquire(1), semaphore.acquire(1)]));
      log.push(yield select([semaphore.acquire(3), semaphore.acquire(2)], 10));
    });
    fibers.spawn(function* () {
      log.push(["behind", yield semaphore.acquire(1, 5)]);
    });
    await host.rest();
    expect([log, semaphore.waiting]).toEqual([[], 4]);
    semaphore.release();
    await host.rest();
    expect([log, semaphore.available, semaphore.waiting]).toEqual([[{ index: 1, value: true }], 0, 3]);
    semaphore.release();
    await host.rest();
    expect([log.slice(1), semaphore.available]).toEqual([[["behind", true]], 0]);
    semaphore.release();
    await host.rest();
    await host.advance(10);
    await host.rest();
    expect([log.slice(2), semaphore.available, semaphore.waiting]).toEqual([[undefined], 1, 0]);
  });

  test("gives undefined after its limit, and throws what the chosen operation throws", async () => {
    const { host, fibers, log } = stage();
    const channel = new Channel<number>(0);
    fibers.spawn(function* () {
      log.push(yield select([channel.send(1), channel.send(2)], 10));
      log.push(channel.waiting);
      yield select([channel.send(1)]);
    });
    await host.rest();
    await host.advance(10);
    await host.rest();
    expect(log).toEqual([undefined, { senders: 0, receivers: 0 }]);
    channel.close();
    await host.rest();
    expect(log[2]).toBeInstanceOf(ChannelClosedError);
    await expect(select([channel.send(5)])).rejects.toThrow(ChannelClosedError);
    expect(await select([channel.receive()])).toEqual({ index: 0, value: undefined });
    expect(host.timers).toBe(0);
  });

  test("that is cancelled leaves all lines", async () => {
    const { host, fibers } = stage();
    const [a, b] = [new Channel<number>(0), new Channel<number>(0)];
    const fiber = fibers.spawn(function* () {
      yield select([a.receive(), b.receive()], 10);
    });
    await host.rest();
    fiber.cancel();
    await host.rest();
    expect([fiber.state, a.trySend(1), b.trySend(1), host.timers]).toEqual(["cancelled", false, false, 0]);
  });

  test("takes no bad input, and nothing is changed by it", async () => {
    const mutex = new Mutex();
    const channel = new Channel<number>(1);
    const bad = [
      undefined,
      null,
      5,
      {},
      [],
      [5],
      [null],
      [new Baton().wait()],
      [new Condition(mutex).wait()],
      [channel],
    ];
    for (const operations of bad) expect(() => select(operations as never)).toThrow(InvalidArgumentError);
    expect(() => select([new Baton().wait()] as never)).toThrow("no waits of batons");
    expect(() => select([channel.receive()], -1)).toThrow(InvalidArgumentError);
    const twice = channel.receive();
    expect(() => select([twice, twice])).toThrow(InvalidArgumentError);
    const used = channel.send(1);
    await used;
    await expect(select([channel.receive(), used])).rejects.toThrow(FiberStateError);
    expect([channel.length, channel.waiting]).toEqual([1, { senders: 0, receivers: 0 }]);
  });
});
