/** Events: what it costs to bring a message to its handler. */

import type { Kind } from "tidemark";
import { defineSuite, measuredCase, type SubjectInstance, type Target, timedCase } from "../harness/case.js";

/** As many async functions may be in flight at once as a loop lets: its own default. */
const IN_FLIGHT = 1024;
const EVENTS = 20 * IN_FLIGHT;

interface Message {
  readonly price: number;
  readonly quantity: number;
}

/** The messages of all subjects, made before the clock starts. A power of two, so that a mask picks the next one. */
const MESSAGES = 256;

function makeMessages(): Message[] {
  return Array.from({ length: MESSAGES }, (_, index) => ({ price: 60_000 + index, quantity: index % 7 }));
}

/** What the handlers leave behind after a batch, in 32 bits, so that counting makes no garbage of its own. */
function expectedTotal(): number {
  const messages = makeMessages();
  let total = 0;
  for (let event = 0; event < EVENTS; event++) {
    const { price, quantity } = messages[event % MESSAGES]!;
    total = (total + price * quantity) | 0;
  }
  return total;
}

/** A loop whose ring holds a batch, all else as it is when nobody says otherwise, and what its handlers work with. */
async function makeLoop() {
  const { createLoop, createRuntime, f64, struct } = await import("tidemark");
  const runtime = await createRuntime();
  const Level = struct("Level", { price: f64, quantity: f64 });
  return {
    runtime,
    loop: createLoop(runtime, { queue: { capacity: EVENTS } }),
    Level,
    level: runtime.cursor(Level),
    messages: makeMessages(),
    tally: { total: 0 },
  };
}

/** Posts each batch to one kind. */
function postingTo(
  kind: Kind<Message>,
  { runtime, loop, messages, tally }: Awaited<ReturnType<typeof makeLoop>>,
): SubjectInstance<number> {
  return {
    async run() {
      tally.total = 0;
      for (let event = 0; event < EVENTS; event++) kind.post(messages[event & (MESSAGES - 1)]!);
      await loop.runUntilIdle();
      return tally.total;
    },
    dispose: () => runtime.dispose(),
  };
}

/** Messages that the floor's ring has room for: no fewer than a batch. */
const FLOOR_CAPACITY = 1 << 15;

/** No more than a queue and a hop: how late its events are is the doing of the machine and the engine. */
const BARE_RING = "ring and setImmediate";

/** Events of one batch of the case that takes a turn of the platform for each. */
const HOPS = 200;

/** The peers of the asynchronous cases: there is no event in them but the call. */
const asyncFunctions = {
  "awaited async function": () => {
    const messages = makeMessages();
    const tally = { total: 0 };
    const handle = async (message: Message) => {
      tally.total = (tally.total + message.price * message.quantity) | 0;
    };
    return {
      async run() {
        tally.total = 0;
        for (let event = 0; event < EVENTS; event++) await handle(messages[event & (MESSAGES - 1)]!);
        return tally.total;
      },
    };
  },
  "async functions, 1,024 in flight": () => {
    const messages = makeMessages();
    const tally = { total: 0 };
    const handle = async (message: Message) => {
      tally.total = (tally.total + message.price * message.quantity) | 0;
    };
    const calls = Array.from({ length: IN_FLIGHT }, () => Promise.resolve());
    return {
      async run() {
        tally.total = 0;
        for (let first = 0; first < EVENTS; first += IN_FLIGHT) {
          for (let call = 0; call < IN_FLIGHT; call++) {
            calls[call] = handle(messages[(first + call) & (MESSAGES - 1)]!);
          }
          await Promise.all(calls);
        }
        return tally.total;
      },
    };
  },
};

const synchronousTargets: readonly Target[] = [
  { subject: "tidemark", ratio: { atMost: 2.5 } },
  { subject: "tidemark", metric: "collections", value: { atMost: 0 } },
];

export default defineSuite({
  name: "loop",
  title: "events",
  cases: [
    timedCase({
      name: "floor",
      title: "bring a message to a synchronous handler that reads its region",
      unit: "event",
      operations: EVENTS,
      metric: "time",
      baseline: "ring and handler table",
      subjects: {
        "ring and handler table": async () => {
          const messages = makeMessages();
          const tally = { total: 0 };
          const { makeFloor } = await import("../drivers/floor.js");
          const { post, drain } = makeFloor<Message>(
            [
              (message) => {
                tally.total = (tally.total + message.price * message.quantity) | 0;
              },
              () => {
                tally.total = 0;
              },
            ],
            FLOOR_CAPACITY,
          );
          return {
            run() {
              tally.total = 0;
              for (let event = 0; event < EVENTS; event++) post(0, messages[event & (MESSAGES - 1)]!);
              drain();
              return tally.total;
            },
          };
        },
        "EventEmitter.emit, an object each": async () => {
          const { EventEmitter } = await import("node:events");
          const emitter = new EventEmitter();
          const messages = makeMessages();
          // It is kept until the next one: an object that nobody keeps is compiled away together with `emit`, and none is made.
          const tally = { total: 0, last: messages[0]! };
          emitter.on("depth", (message: Message) => {
            tally.last = message;
            tally.total = (tally.total + message.price * message.quantity) | 0;
          });
          return {
            run() {
              tally.total = 0;
              for (let event = 0; event < EVENTS; event++) {
                const { price, quantity } = messages[event & (MESSAGES - 1)]!;
                emitter.emit("depth", { price, quantity });
              }
              return tally.total;
            },
          };
        },
        tidemark: async () => {
          const made = await makeLoop();
          const { loop, tally } = made;
          const depth = loop.on("depth", (message: Message, { region }) => {
            if (region.ended) throw new Error("a region that has ended was leased");
            tally.total = (tally.total + message.price * message.quantity) | 0;
          });
          return postingTo(depth, made);
        },
      },
      expected: expectedTotal,
      targets: [
        { subject: "tidemark", ratio: { atMost: 1.5 } },
        { subject: "tidemark", ratio: { atMost: 1 }, against: "EventEmitter.emit, an object each" },
      ],
    }),
    timedCase({
      name: "hop",
      title: "post one event, and go on when it has been handled, in a turn of its own",
      unit: "event",
      operations: HOPS,
      metric: "time",
      baseline: "setImmediate",
      subjects: {
        setImmediate: () => ({
          run() {
            return new Promise<number>((resolve) => {
              let count = 0;
              const step = () => {
                if (++count === HOPS) resolve(count);
                else setImmediate(step);
              };
              setImmediate(step);
            });
          },
        }),
        tidemark: async () => {
          const { createLoop, createRuntime } = await import("tidemark");
          const runtime = await createRuntime();
          const loop = createLoop(runtime);
          let resolve: (count: number) => void = () => {};
          let count = 0;
          const step = loop.on("step", (_: undefined) => {
            if (++count === HOPS) resolve(count);
            else step.post(undefined);
          });
          loop.run();
          return {
            run() {
              return new Promise<number>((settle) => {
                count = 0;
                resolve = settle;
                step.post(undefined);
              });
            },
            dispose: async () => {
              await loop.close();
              runtime.dispose();
            },
          };
        },
      },
      expected: () => HOPS,
      targets: [{ subject: "tidemark", ratio: { atMost: 1.3 } }],
    }),
    measuredCase({
      name: "lag",
      title: "how late events are handled that come at half the highest rate of tidemark's loop, whoever handles them",
      metric: "p999",
      metrics: { p50: "µs", p999: "µs", p9999: "µs", eventsPerSecond: "1/s" },
      baseline: BARE_RING,
      subjects: {
        [BARE_RING]: async ({ quick }) => (await import("../drivers/lag.js")).measureLagOfRing(quick),
        tidemark: async ({ quick }) => (await import("../drivers/lag.js")).measureLagOfLoop(quick),
      },
      expected: () => true,
      targets: [{ subject: "tidemark", value: { atMost: 1000 } }],
    }),
    timedCase({
      name: "synchronous",
      title: "bring a message to a synchronous handler; tidemark also leases a region and makes a record",
      unit: "event",
      operations: EVENTS,
      metric: "time",
      baseline: "EventEmitter.emit",
      subjects: {
        "EventEmitter.emit": async () => {
          const { EventEmitter } = await import("node:events");
          const emitter = new EventEmitter();
          const messages = makeMessages();
          const tally = { total: 0 };
          emitter.on("depth", (message: Message) => {
            tally.total = (tally.total + message.price * message.quantity) | 0;
          });
          return {
            run() {
              tally.total = 0;
              for (let event = 0; event < EVENTS; event++) emitter.emit("depth", messages[event & (MESSAGES - 1)]);
              return tally.total;
            },
          };
        },
        tidemark: async () => {
          const made = await makeLoop();
          const { loop, Level, level, tally } = made;
          const depth = loop.on("depth", (message: Message, { region }) => {
            region.new(Level, level);
            level.price = message.price;
            level.quantity = message.quantity;
            tally.total = (tally.total + level.price * level.quantity) | 0;
          });
          return postingTo(depth, made);
        },
      },
      expected: expectedTotal,
      targets: synchronousTargets,
    }),
    timedCase({
      name: "kinds",
      title:
        "the same with four kinds of message in turn, as programs have; tidemark also leases a region and makes a record",
      unit: "event",
      operations: EVENTS,
      metric: "time",
      baseline: "EventEmitter.emit",
      // Four handlers written out: of functions that one expression makes, an engine compiles one in place for all.
      subjects: {
        "EventEmitter.emit": async () => {
          const { EventEmitter } = await import("node:events");
          const emitter = new EventEmitter();
          const messages = makeMessages();
          const tally = { total: 0 };
          emitter.on("depth", (message: Message) => {
            tally.total = (tally.total + message.price * message.quantity) | 0;
          });
          emitter.on("ticker", (message: Message) => {
            tally.total = (tally.total + message.quantity * message.price) | 0;
          });
          emitter.on("trade", (message: Message) => {
            tally.total = (message.price * message.quantity + tally.total) | 0;
          });
          emitter.on("status", (message: Message) => {
            tally.total = (message.quantity * message.price + tally.total) | 0;
          });
          return {
            run() {
              tally.total = 0;
              for (let event = 0; event < EVENTS; event += 4) {
                emitter.emit("depth", messages[event & (MESSAGES - 1)]);
                emitter.emit("ticker", messages[(event + 1) & (MESSAGES - 1)]);
                emitter.emit("trade", messages[(event + 2) & (MESSAGES - 1)]);
                emitter.emit("status", messages[(event + 3) & (MESSAGES - 1)]);
              }
              return tally.total;
            },
          };
        },
        tidemark: async () => {
          const { runtime, loop, Level, level, messages, tally } = await makeLoop();
          const depth = loop.on("depth", (message: Message, { region }) => {
            region.new(Level, level);
            level.price = message.price;
            level.quantity = message.quantity;
            tally.total = (tally.total + level.price * level.quantity) | 0;
          });
          const ticker = loop.on("ticker", (message: Message, { region }) => {
            region.new(Level, level);
            level.price = message.price;
            level.quantity = message.quantity;
            tally.total = (tally.total + level.quantity * level.price) | 0;
          });
          const trade = loop.on("trade", (message: Message, { region }) => {
            region.new(Level, level);
            level.price = message.price;
            level.quantity = message.quantity;
            tally.total = (level.price * level.quantity + tally.total) | 0;
          });
          const status = loop.on("status", (message: Message, { region }) => {
            region.new(Level, level);
            level.price = message.price;
            level.quantity = message.quantity;
            tally.total = (level.quantity * level.price + tally.total) | 0;
          });
          return {
            async run() {
              tally.total = 0;
              for (let event = 0; event < EVENTS; event += 4) {
                depth.post(messages[event & (MESSAGES - 1)]!);
                ticker.post(messages[(event + 1) & (MESSAGES - 1)]!);
                trade.post(messages[(event + 2) & (MESSAGES - 1)]!);
                status.post(messages[(event + 3) & (MESSAGES - 1)]!);
              }
              await loop.runUntilIdle();
              return tally.total;
            },
            dispose: () => runtime.dispose(),
          };
        },
      },
      expected: expectedTotal,
      targets: synchronousTargets,
    }),
    timedCase({
      name: "asynchronous",
      title: "bring a message to an async handler; tidemark also leases a region and makes a record",
      unit: "event",
      operations: EVENTS,
      metric: "time",
      baseline: "awaited async function",
      subjects: {
        ...asyncFunctions,
        tidemark: async () => {
          const made = await makeLoop();
          const { loop, Level, level, tally } = made;
          const depth = loop.on("depth", async (message: Message, { region }) => {
            region.new(Level, level);
            level.price = message.price;
            level.quantity = message.quantity;
            tally.total = (tally.total + level.price * level.quantity) | 0;
          });
          return postingTo(depth, made);
        },
      },
      expected: expectedTotal,
      targets: [{ subject: "tidemark", ratio: { atMost: 1.5 } }],
    }),
    timedCase({
      name: "asynchronous-bare",
      title: "bring a message to an async handler, without region or record",
      unit: "event",
      operations: EVENTS,
      metric: "time",
      baseline: "awaited async function",
      subjects: {
        ...asyncFunctions,
        tidemark: async () => {
          const made = await makeLoop();
          const { loop, tally } = made;
          const depth = loop.on("depth", async (message: Message) => {
            tally.total = (tally.total + message.price * message.quantity) | 0;
          });
          return postingTo(depth, made);
        },
      },
      expected: expectedTotal,
      targets: [{ subject: "tidemark", ratio: { atMost: 1.3 } }],
    }),
  ],
});
