/** Events: what it costs to bring a message to its handler. */

import { defineSuite, timedCase } from "../harness/case.js";

const EVENTS = 20_000;

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

export default defineSuite({
  name: "loop",
  title: "events",
  cases: [
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
          let total = 0;
          emitter.on("depth", (message: Message) => {
            total = (total + message.price * message.quantity) | 0;
          });
          return {
            run() {
              total = 0;
              for (let event = 0; event < EVENTS; event++) emitter.emit("depth", messages[event & (MESSAGES - 1)]);
              return total;
            },
          };
        },
        tidemark: async () => {
          const { createLoop, createRuntime, f64, struct } = await import("tidemark");
          const runtime = await createRuntime();
          const Level = struct("Level", { price: f64, quantity: f64 });
          const level = runtime.cursor(Level);
          const loop = createLoop(runtime, {
            queue: { capacity: EVENTS },
            turn: { events: EVENTS, milliseconds: 1000 },
          });
          const messages = makeMessages();
          let total = 0;
          const depth = loop.on("depth", (message: Message, { region }) => {
            region.new(Level, level);
            level.price = message.price;
            level.quantity = message.quantity;
            total = (total + level.price * level.quantity) | 0;
          });
          return {
            async run() {
              total = 0;
              for (let event = 0; event < EVENTS; event++) depth.post(messages[event & (MESSAGES - 1)]!);
              await loop.runUntilIdle();
              return total;
            },
            dispose: () => runtime.dispose(),
          };
        },
      },
      expected: expectedTotal,
      targets: [
        { subject: "tidemark", ratio: { atMost: 2.5 } },
        { subject: "tidemark", metric: "collections", value: { atMost: 0 } },
      ],
    }),
    timedCase({
      name: "kinds",
      title:
        "the same with four kinds of message in turn, as programs have; tidemark also leases a region and makes a record",
      unit: "event",
      operations: EVENTS,
      metric: "time",
      baseline: "EventEmitter.emit",
      subjects: {
        "EventEmitter.emit": async () => {
          const { EventEmitter } = await import("node:events");
          const emitter = new EventEmitter();
          const messages = makeMessages();
          let total = 0;
          emitter.on("depth", (message: Message) => {
            total = (total + message.price * message.quantity) | 0;
          });
          emitter.on("ticker", (message: Message) => {
            total = (total + message.quantity * message.price) | 0;
          });
          emitter.on("trade", (message: Message) => {
            total = (message.price * message.quantity + total) | 0;
          });
          emitter.on("status", (message: Message) => {
            total = (message.quantity * message.price + total) | 0;
          });
          return {
            run() {
              total = 0;
              for (let event = 0; event < EVENTS; event += 4) {
                emitter.emit("depth", messages[event & (MESSAGES - 1)]);
                emitter.emit("ticker", messages[(event + 1) & (MESSAGES - 1)]);
                emitter.emit("trade", messages[(event + 2) & (MESSAGES - 1)]);
                emitter.emit("status", messages[(event + 3) & (MESSAGES - 1)]);
              }
              return total;
            },
          };
        },
        tidemark: async () => {
          const { createLoop, createRuntime, f64, struct } = await import("tidemark");
          const runtime = await createRuntime();
          const Level = struct("Level", { price: f64, quantity: f64 });
          const level = runtime.cursor(Level);
          const loop = createLoop(runtime, {
            queue: { capacity: EVENTS },
            turn: { events: EVENTS, milliseconds: 1000 },
          });
          const messages = makeMessages();
          let total = 0;
          const depth = loop.on("depth", (message: Message, { region }) => {
            region.new(Level, level);
            level.price = message.price;
            level.quantity = message.quantity;
            total = (total + level.price * level.quantity) | 0;
          });
          const ticker = loop.on("ticker", (message: Message, { region }) => {
            region.new(Level, level);
            level.price = message.price;
            level.quantity = message.quantity;
            total = (total + level.quantity * level.price) | 0;
          });
          const trade = loop.on("trade", (message: Message, { region }) => {
            region.new(Level, level);
            level.price = message.price;
            level.quantity = message.quantity;
            total = (level.price * level.quantity + total) | 0;
          });
          const status = loop.on("status", (message: Message, { region }) => {
            region.new(Level, level);
            level.price = message.price;
            level.quantity = message.quantity;
            total = (level.quantity * level.price + total) | 0;
          });
          return {
            async run() {
              total = 0;
              for (let event = 0; event < EVENTS; event += 4) {
                depth.post(messages[event & (MESSAGES - 1)]!);
                ticker.post(messages[(event + 1) & (MESSAGES - 1)]!);
                trade.post(messages[(event + 2) & (MESSAGES - 1)]!);
                status.post(messages[(event + 3) & (MESSAGES - 1)]!);
              }
              await loop.runUntilIdle();
              return total;
            },
            dispose: () => runtime.dispose(),
          };
        },
      },
      expected: expectedTotal,
      targets: [
        { subject: "tidemark", ratio: { atMost: 2.5 } },
        { subject: "tidemark", metric: "collections", value: { atMost: 0 } },
      ],
    }),
    timedCase({
      name: "asynchronous",
      title: "bring a message to an async handler and wait for it",
      unit: "event",
      operations: EVENTS,
      metric: "time",
      baseline: "awaited async function",
      subjects: {
        "awaited async function": () => {
          const messages = makeMessages();
          let total = 0;
          const handle = async (message: Message) => {
            total = (total + message.price * message.quantity) | 0;
          };
          return {
            async run() {
              total = 0;
              for (let event = 0; event < EVENTS; event++) await handle(messages[event & (MESSAGES - 1)]!);
              return total;
            },
          };
        },
        tidemark: async () => {
          const { createLoop, createRuntime } = await import("tidemark");
          const runtime = await createRuntime();
          const loop = createLoop(runtime, {
            queue: { capacity: EVENTS },
            turn: { events: EVENTS, milliseconds: 1000 },
          });
          const messages = makeMessages();
          let total = 0;
          const depth = loop.on("depth", async (message: Message) => {
            total = (total + message.price * message.quantity) | 0;
          });
          return {
            async run() {
              total = 0;
              for (let event = 0; event < EVENTS; event++) depth.post(messages[event & (MESSAGES - 1)]!);
              await loop.runUntilIdle();
              return total;
            },
            dispose: () => runtime.dispose(),
          };
        },
      },
      expected: expectedTotal,
      targets: [{ subject: "tidemark", ratio: { atMost: 1.5 } }],
    }),
  ],
});
