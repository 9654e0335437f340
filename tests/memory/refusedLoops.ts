// Programs on loops, for memory to be refused to: see refusedRequests.test.ts.

import {
  Channel,
  Condition,
  coalesce,
  type EventContext,
  type FrameSize,
  Mutex,
  type RingMessage,
  type Runtime,
  Semaphore,
  type SortedMap,
  type Source,
  select,
  struct,
  u32,
} from "tidemark";
import { expect } from "vitest";
import { realLoop } from "../loop/realLoop.js";
import { Faucet } from "../loop/sourceSupport.js";
import { RandomNumbers } from "../support/randomNumbers.js";
import { isRefusal, type Program, repeated } from "./refusedPrograms.js";

interface Job {
  readonly id: number;
  readonly bytes: number;
}

/** Events of all kinds: each is handled, or has failed for want of memory; none is lost, and none comes twice. */
export async function events(runtime: Runtime): Promise<Program> {
  const random = new RandomNumbers(3);
  const File = struct("File", { id: u32 }, { destroy: () => closed++ });
  const outcomes = new Map<number, "waiting" | "handled" | "failed" | "replaced">();
  const faults: unknown[] = [];
  const model = new Map<number, number>();
  let [opened, closed, last] = [0, 0, 0];
  let map: SortedMap<typeof u32, typeof u32> | undefined;
  const settle = (id: number, outcome: "handled" | "failed") => {
    if (outcomes.get(id) !== "waiting") faults.push(new Error(`${id} is ${outcomes.get(id)}, and then ${outcome}`));
    outcomes.set(id, outcome);
  };
  const { loop, pass } = await realLoop(
    {
      queue: { capacity: 4, overflow: 40, policy: "spill" },
      inFlight: 8,
      turn: { events: 4 },
      onError(error, { kind, payload }) {
        if (!isRefusal(error)) faults.push(error);
        // There was no timer for its deadline: it goes on without one.
        else if (kind !== "timed" || !/timer/.test((error as Error).message)) settle((payload as Job).id, "failed");
      },
    },
    runtime,
  );
  /** Writes to a region, and returns what looks whether that is still there. */
  const write = ({ id, bytes: size }: Job, { region }: Pick<EventContext, "region">) => {
    const bytes = region.bytes(size);
    const before = [bytes.get(0), bytes.get(size - 1)];
    bytes.set(0, id & 255);
    bytes.set(size - 1, id & 255);
    return () => {
      const after = [bytes.get(0), bytes.get(size - 1)];
      if (`${[before, after]}` !== `${[0, 0, id & 255, id & 255]}`)
        faults.push(new Error(`of ${id}: ${before}; ${after}`));
      settle(id, "handled");
    };
  };
  const kinds = [
    loop.on("plain", (job: Job, context) => write(job, context)()),
    loop.on("hooked", (job: Job, context) => {
      context.region.new(File).id = job.id;
      opened++;
      write(job, context)();
    }),
    loop.on("stored", ({ id, bytes }: Job) => {
      map!.set(id, bytes);
      model.set(id, bytes);
      settle(id, "handled");
    }),
    loop.on(
      "timed",
      async (job: Job, context) => {
        const done = write(job, context);
        await null;
        context.region.arena().bytes(100);
        done();
      },
      { deadline: 50_000 },
    ),
    loop.on("late", async (job: Job, context) => {
      await null;
      write(job, context)();
    }),
    loop.on("fiber", function* (job: Job, context) {
      const done = write(job, context);
      yield loop.sleep(2);
      done();
    }),
    loop.on("high", (job: Job, context) => write(job, context)(), { priority: "high", policy: "reject" }),
  ];
  /** By key, which of these waits. */
  const waiting = new Map<number, number>();
  const latest = loop.on(
    "latest",
    (job: Job, context) => {
      waiting.delete(job.id % 3);
      write(job, context)();
    },
    { policy: coalesce((job: Job) => job.id % 3), priority: "low" },
  );
  const running = loop.run();
  const post = () => {
    for (let count = 0; count < 12; count++) {
      const job = { id: ++last, bytes: random.pick([20, 200, 5000, 90_000, 400_000]) };
      if (random.below(6) > 0) {
        if (random.pick(kinds).post(job) !== "rejected") outcomes.set(job.id, "waiting");
        continue;
      }
      const result = latest.post(job);
      if (result === "rejected") continue;
      if (result === "coalesced") outcomes.set(waiting.get(job.id % 3)!, "replaced");
      waiting.set(job.id % 3, job.id);
      outcomes.set(job.id, "waiting");
    }
  };
  return {
    steps: [
      () => {
        map ??= runtime.sortedMap(u32, u32);
      },
      ...repeated(4, [post, () => pass(3), post, () => pass(1)]),
    ],
    check() {
      expect(faults).toEqual([]);
      map?.validate();
      expect(Array.from(map ?? [], ({ key, value }) => [key, value])).toEqual([...model]);
    },
    async end() {
      await pass(5);
      expect([...outcomes.values()]).not.toContain("waiting");
      const { regionsLive, inFlight, failed } = loop.stats();
      expect([regionsLive, inFlight, opened, failed]).toEqual([
        0,
        0,
        closed,
        [...outcomes.values()].filter((outcome) => outcome === "failed").length,
      ]);
      const closing = loop.close();
      await pass();
      await Promise.all([closing, running]);
      expect(faults).toEqual([]);
      map?.dispose();
    },
  };
}

/** Fibers with frames, and waits with a limit of time, for which there may be no timer. */
export async function fibers(runtime: Runtime): Promise<Program> {
  const random = new RandomNumbers(9);
  const faults: unknown[] = [];
  const { loop, pass } = await realLoop({ onError: (error) => isRefusal(error) || faults.push(error) }, runtime);
  const running = loop.run();
  const mutex = new Mutex();
  const changed = new Condition(mutex);
  const permits = new Semaphore(2);
  const channel = new Channel<number>(2);
  const sent: number[] = [];
  const received: number[] = [];
  const timers: number[] = [];
  let [living, holders, permitted, last] = [0, 0, 0, 0];
  /** Spawns a fiber that may be refused memory wherever it asks for some. */
  const spawn = (body: (frame: FrameSize) => Generator<unknown, void, unknown>, frame?: FrameSize) => {
    loop.spawn(
      function* (context) {
        living++;
        try {
          if (frame !== undefined) {
            const value = random.between(1, 200);
            if (context.frame.get(0) !== 0) faults.push(new Error("the frame is not clear"));
            context.frame.set(context.frame.length - 1, value);
            yield* body(frame);
            if (context.frame.get(context.frame.length - 1) !== value) faults.push(new Error("the frame has changed"));
          } else yield* body("small");
        } catch (error) {
          if (!isRefusal(error)) faults.push(error);
        } finally {
          living--;
        }
      },
      { detached: true, ...(frame !== undefined && { frame }) },
    );
  };
  const nap = function* () {
    yield loop.sleep(random.between(1, 4));
  };
  const withFrames = () => {
    for (let count = 0; count < 6; count++) spawn(nap, random.pick(["small", "medium", "large"]));
  };
  const locked = function* (): Generator<unknown, void, boolean> {
    if (!(yield mutex.lock(3))) return;
    if (++holders > 1) faults.push(new Error("two have the mutex"));
    try {
      yield* nap();
    } finally {
      holders--;
      mutex.unlock();
    }
  };
  const notified = function* () {
    yield mutex.lock();
    try {
      yield changed.wait(2);
    } finally {
      mutex.unlock();
    }
  };
  const withPermit = function* (): Generator<unknown, void, boolean> {
    if (!(yield permits.acquire(1, 3))) return;
    if (++permitted > 2) faults.push(new Error("three have permits"));
    try {
      yield* nap();
    } finally {
      permitted--;
      permits.release();
    }
  };
  const send = function* (): Generator<unknown, void, unknown> {
    const value = ++last;
    if ((yield select([channel.send(value)], 3)) !== undefined) sent.push(value);
  };
  const receive = function* () {
    const chosen = (yield select([channel.receive(), permits.acquire()], 2)) as
      | { readonly index: number; readonly value: unknown }
      | undefined;
    if (chosen?.index === 0) received.push(chosen.value as number);
    else if (chosen !== undefined) permits.release();
  };
  const wait = () => {
    for (const body of [
      locked,
      locked,
      notified,
      withPermit,
      withPermit,
      withPermit,
      send,
      send,
      receive,
      send,
      locked,
    ])
      spawn(body);
  };
  const fill = () => {
    for (let count = 0; count < 900; count++) timers.push(loop.timers.arm(1e9, () => {}));
  };
  const makeRoom = () => {
    for (const timer of timers.splice(0, 400)) loop.timers.cancel(timer);
  };
  return {
    steps: repeated(4, [
      withFrames,
      () => pass(1),
      wait,
      fill,
      () => pass(2),
      wait,
      withFrames,
      makeRoom,
      () => pass(3),
      fill,
      wait,
    ]),
    check() {
      expect(faults).toEqual([]);
      const { timers: figures } = loop.stats();
      if (figures !== undefined) loop.timers.validate();
    },
    async end() {
      await pass(60);
      while (channel.length > 0) received.push(channel.tryReceive()!);
      expect([living, holders, permitted, mutex.locked, mutex.waiting, changed.waiting, permits.waiting]).toEqual([
        0,
        0,
        0,
        false,
        0,
        0,
        0,
      ]);
      expect(received.sort((one, other) => one - other)).toEqual(sent.sort((one, other) => one - other));
      const closing = loop.close();
      await pass();
      await Promise.all([closing, running]);
      expect(faults).toEqual([]);
    },
  };
}

/** Streams whose messages lie in rings, and are read by handlers with a region each. */
export async function sources(runtime: Runtime): Promise<Program> {
  const faults: unknown[] = [];
  const { loop, pass } = await realLoop(
    { queue: { capacity: 8 }, inFlight: 4, onError: (error) => isRefusal(error) || faults.push(error) },
    runtime,
  );
  const running = loop.run();
  const texts = new Map<Source, string[]>();
  const note = (message: RingMessage) => texts.get(message.source)!.push(message.toString());
  const kinds = [
    loop.on("plain", (message: RingMessage, context) => {
      note(message);
      context.region.bytes(30_000);
    }),
    loop.on("late", async (message: RingMessage, context) => {
      note(message);
      const before = message.toString();
      await null;
      if (message.toString() !== before) faults.push(new Error("the message has changed"));
      context.region.bytes(70_000);
    }),
  ];
  const lines = Array.from({ length: 20 }, (_, index) => `${index}`.repeat(1 + ((index * 97) % 300)));
  let begun = 0;
  const begin = () => {
    const faucet = new Faucet();
    const options = { framing: "line", ringBytes: [40_000, 300_000][begun % 2]!, maximumMessageBytes: 5000 } as const;
    let source: Source;
    try {
      source = loop.source(kinds[begun % 2]!, faucet, options);
    } catch (error) {
      expect([faucet.listeners, faucet.paused, faucet.destroyed]).toEqual([0, false, false]);
      throw error;
    }
    begun++;
    texts.set(source, []);
    faucet.send(`${lines.join("\n")}\n`);
    faucet.end();
  };
  return {
    steps: repeated(4, [begin, begin, () => pass(), begin]),
    check() {
      expect(faults).toEqual([]);
      for (const source of texts.keys()) source.validate();
    },
    async end() {
      for (let turn = 0; turn < 10; turn++) await pass();
      for (const [source, messages] of texts) {
        expect((await source.done).messages).toBe(lines.length);
        expect(messages).toEqual(lines);
      }
      const closing = loop.close();
      await pass();
      await Promise.all([closing, running]);
      expect(faults).toEqual([]);
    },
  };
}
