import { describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import type { EventContext } from "./context.js";
import { assertFunction, type QueuePolicy } from "./options.js";
import type { PostResult } from "./queue.js";

/**
 * Handles one event. The region and the scope of `context` end when it returns or throws; when it returns a promise (or any
 * other thenable), as soon as that has settled. Whatever else it returns is ignored.
 */
export type Handler<Payload> = (payload: Payload, context: EventContext<Payload>) => unknown;

/** The options of `loop.on()`. */
export interface KindOptions {
  /** What a post of this kind does when the ring is full; the loop's policy if not given. */
  readonly policy?: QueuePolicy;
}

/**
 * What `onError` is told about an event that failed: its handler did, or a destroy hook at its region's end, or the heap that
 * was collected after it, which need not have to do with it. A heap that failed in idle time failed after no event.
 */
export interface FailedEvent {
  /** The name of its kind; empty for none. */
  readonly kind: string;
  /** Its number; -1 for none. */
  readonly sequence: number;
  /** Undefined for none. */
  readonly payload: unknown;
}

/** One kind of event: what `loop.on()` returns. Posting through it is the loop's fast path. */
export interface Kind<Payload = unknown> {
  readonly name: string;
  readonly policy: QueuePolicy;

  /**
   * Puts an event behind all that wait. The handler never runs before `post` returns, not even on an idle loop: it runs
   * in a later turn, once the loop runs.
   *
   * The payload is held by the queue until the event has been handled, and by nothing afterwards. Costs O(1).
   *
   * @returns `"queued"`; `"spilled"`, if the ring was full and the event waits in the overflow; or `"rejected"`, if
   * there was no room or the policy is `"reject"`: then nothing has happened, and `loop.ready()` tells when to try again
   * @throws {LoopClosedError} if the loop is closing, closed, or has been stopped by an error
   * @throws {DisposedError} if the runtime has been disposed; the loop stops with the same error
   */
  post(payload: Payload): PostResult;
}

/** What a kind posts to. */
export interface Inbox {
  accept(kind: EventKind, payload: unknown): PostResult;
}

/** A kind as the loop sees it: the handler, and what is learnt about its events. */
export class EventKind implements Kind {
  /** Bytes that the next region for this kind is made ready for. */
  sizeHint = 0;

  readonly name: string;
  readonly policy: QueuePolicy;
  readonly maySpill: boolean;
  readonly handler: Handler<unknown>;
  private readonly inbox: Inbox;

  constructor(inbox: Inbox, name: string, handler: Handler<unknown>, policy: QueuePolicy) {
    this.name = name;
    this.policy = policy;
    this.maySpill = policy === "spill";
    this.handler = handler;
    this.inbox = inbox;
  }

  post(payload: unknown): PostResult {
    return this.inbox.accept(this, payload);
  }

  /**
   * Learns from an event that has used `bytes`: the hint rises to it at once, and falls by a sixteenth of the
   * difference, so that one large event is forgotten after some dozens of small ones.
   */
  learn(bytes: number): void {
    const hint = this.sizeHint;
    this.sizeHint = bytes >= hint ? bytes : hint - ((hint - bytes) >>> 4);
  }
}

/** @throws {InvalidArgumentError} if it is empty or no string */
export function assertKindName(name: unknown): void {
  if (typeof name === "string" && name !== "") return;
  throw new InvalidArgumentError(`a kind's name must be a string that is not empty, but is ${describe(name)}`);
}

/** @throws {InvalidArgumentError} if it is no function, or a generator function: calling that would run none of it */
export function assertHandler(name: string, handler: unknown): void {
  assertFunction(`the handler of ${describe(name)}`, handler);
  if (/Generator/.test(Object.prototype.toString.call(handler))) {
    throw new InvalidArgumentError(
      `the handler of ${describe(name)} must be a plain or async function, not a generator`,
    );
  }
}
