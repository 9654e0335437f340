import type { EventContext } from "../context.js";
import type { EventKind, Handler } from "../kind.js";
import { RingMessage } from "../ringMessage.js";
import { isThenable, whenSettled } from "../thenable.js";

/** The handlers that do so already. */
const releasing = new WeakSet<Handler<unknown>>();

/**
 * Has the kind end each message with its event: when the handler has returned or thrown, its promise has settled, or its fiber
 * has ended.
 */
export function releaseAtEnd(kind: EventKind): void {
  const { handler, isFiber } = kind;
  if (releasing.has(handler)) return;
  const handle = isFiber ? beginFiber : handleAndEnd;
  const wrapper: Handler<unknown> = (payload, context) =>
    payload instanceof RingMessage ? handle(handler, payload, context) : handler(payload, context);
  releasing.add(wrapper);
  (kind as { handler: Handler<unknown> }).handler = wrapper;
  if (isFiber) kind.onFiberEnd = endMessage;
}

function endMessage(payload: unknown): void {
  if (payload instanceof RingMessage) payload.$end();
}

/** Makes the fiber, whose end the loop tells of. */
function beginFiber(handler: Handler<unknown>, message: RingMessage, context: EventContext<unknown>): unknown {
  message.$hasBegun = true;
  try {
    return handler(message, context);
  } catch (error) {
    message.$end(); // a default of its parameters has thrown, and there is no fiber
    throw error;
  }
}

function handleAndEnd(handler: Handler<unknown>, message: RingMessage, context: EventContext<unknown>): unknown {
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
