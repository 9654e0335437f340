import type { EventContext } from "../context.js";
import type { EventKind, Handler } from "../kind.js";
import { RingMessage } from "../ringMessage.js";
import { isThenable, whenSettled } from "../thenable.js";

/** The handlers that do so already. */
const releasing = new WeakSet<Handler<unknown>>();

/** Has the kind end each message with its event: when the handler has returned or thrown, or its promise has settled. */
export function releaseAtEnd(kind: EventKind): void {
  const handler = kind.handler;
  if (releasing.has(handler)) return;
  const wrapper: Handler<unknown> = (payload, context) =>
    payload instanceof RingMessage ? handle(handler, payload, context) : handler(payload, context);
  releasing.add(wrapper);
  (kind as { handler: Handler<unknown> }).handler = wrapper;
}

function handle(handler: Handler<unknown>, message: RingMessage, context: EventContext): unknown {
  message.$hasBegun = true;
  let isAsync = false;
  try {
    const result = handler(message, context);
    if (result === undefined || !isThenable(result)) return result;
    const promise = Promise.resolve(result);
    const end = () => message.$end();
    whenSettled(promise, end, end);
    isAsync = true;
    return promise;
  } finally {
    if (!isAsync) message.$end();
  }
}
