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
      title: "bring a message to a synchronous handler",
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
      },
      expected: expectedTotal,
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
      },
      expected: expectedTotal,
    }),
  ],
});
