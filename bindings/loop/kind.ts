import { assertFunction, describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import type { EventContext } from "./context.js";
import { isGeneratorFunction } from "./generatorFunction.js";
import type { Priority, QueuePolicy } from "./options.js";
import type { EventQueue, PostResult } from "./queue.js";

/**
 * Handles one event. The region and the scope of `context` end when it returns or throws; when it returns a promise (or any
 * other thenable), as soon as that has settled; of a generator function, which is run as a fiber, when the fiber has ended. What
 * it returns otherwise is ignored, but for a generator that a plain function returns: nothing would run that, and the event has
 * failed with an {@link InvalidArgumentError}.
 */
export type Handler<Payload> = (payload: Payload, context: EventContext<Payload>) => unknown;

/** A {@link Handler} that is a generator function: what a `yield` in it gives is of any type, as in a fiber's body. */
export type FiberHandler<Payload> = (
  payload: Payload,
  context: EventContext<Payload>,
  // biome-ignore lint/suspicious/noExplicitAny: it depends on what is yielded, which a generator's type cannot say
) => Generator<unknown, unknown, any>;

/** The options of `loop.on()`. */
export interface KindOptions<Payload = never> {
  /** What a post of this kind does when the ring is full; the loop's policy if not given. */
  readonly policy?: QueuePolicy | CoalescePolicy<Payload> | undefined;
  /**
   * Which of the events that wait comes first; `"normal"` if not given. Of eight events that are handled while all priorities have
   * some waiting, five are high ones, two normal, and one low, in the long run: none starves. The first of the high ones waits for 3
   * others at the most, of the normal ones for 11, of the low ones for 14. Each priority has a ring and an overflow of its own; the
   * order is strict within one.
   */
  readonly priority?: Priority | undefined;
  /**
   * Milliseconds, fractions included, above 0 and at most 2^31 − 1, after which an async handler's or a fiber's `signal` is
   * aborted with a {@link DeadlineError}; a fiber is cancelled, too, and has then failed with that error. It has no effect on
   * synchronous handlers. Counted from the handler's begin. None if not given. If there is no memory for its timer, `onError` is
   * told, and the event goes on without one; likewise with `abandonAfter`.
   */
  readonly deadline?: number | undefined;
}

/** What {@link coalesce} makes. */
export interface CoalescePolicy<Payload> {
  /** Gives an event's key. */
  readonly key: (this: void, payload: Payload) => unknown;
}

/**
 * A policy for kinds of which only the latest matters, for each key: an event whose key waits already takes over that one's
 * place in the line, with the new payload, however full the ring is. One whose key does not wait is refused by a full ring.
 *
 * @param key called at each post; equal keys are those that are so to a `Map`. What it throws is the `cause` of what `post` throws
 * @throws {InvalidArgumentError} if it is no function
 *
 * @example
 * const quote = loop.on("quote", show, { policy: coalesce(({ symbol }: Quote) => symbol) });
 */
export function coalesce<Payload>(key: (payload: Payload) => unknown): CoalescePolicy<Payload> {
  assertFunction("the key", key);
  return { key };
}

/**
 * What `onError` is told about an event that failed: its handler did, or a destroy hook at its region's end, or the heap that
 * was collected after it, which need not have to do with it. A heap that failed in idle time failed after no event; so did timers,
 * fibers that nobody has joined, `onDrain` and `onSlow`.
 */
export interface FailedEvent {
  /** The name of its kind; empty for none. */
  readonly kind: string;
  /** Its number; -1 for none. */
  readonly sequence: number;
  /** Undefined for none. */
  readonly payload: unknown;
}

/** For what has failed after no event. */
export const NO_EVENT: FailedEvent = { kind: "", sequence: -1, payload: undefined };

/**
 * One kind of event: what `loop.on()` returns. Posting through it is the loop's fast path. `Kind` alone is one of whatever payload,
 * to which nothing can be posted.
 */
export interface Kind<Payload = never> {
  /** Unique in its loop. */
  readonly name: string;
  /** What a post does when the ring is full: the kind's own policy, or the loop's. */
  readonly policy: QueuePolicy | "coalesce";
  /** In which ring its events wait, as each priority has one. */
  readonly priority: Priority;

  /**
   * Puts an event behind all of its priority that wait. The handler never runs before `post` returns, not even on an idle loop: it
   * runs in a later turn, once the loop runs. To be called on its kind: `kind.post(payload)`.
   *
   * The payload is held by the queue until the event has been handled, and by nothing afterwards. Costs O(1); under
   * `"drop-oldest"`, on a full ring, O(older events of other kinds).
   *
   * @returns `"queued"`; `"spilled"`, if the ring was full and the event waits in the overflow; `"displaced"`, if the ring was full
   * and the oldest event of this kind was dropped for it; `"coalesced"`, if it has taken over the place of one with its key; or
   * `"rejected"`, if the ring was full and the policy had no place for it: then nothing has happened, and `loop.ready(kind)` tells
   * when to try again
   * @throws {InvalidArgumentError} if the key of a coalescing kind has thrown; nothing has happened
   * @throws {LoopClosedError} if the loop is closing, closed, or has been stopped by an error
   * @throws {DisposedError} if the runtime has been disposed; the loop stops with the same error
   *
   * @example
   * while (depth.post(message) === "rejected") await loop.ready(depth);
   */
  readonly post: (payload: Payload) => PostResult;
}

/** What a kind posts to. */
export interface Inbox {
  accept(kind: EventKind, payload: unknown): PostResult;
  /** @throws as {@link accept} does, if it takes nothing */
  assertAccepts(kind: EventKind): void;
}

/** What a kind is made of, checked. */
export interface KindSettings {
  /** Its number in the loop, from 0. */
  readonly index: number;
  readonly name: string;
  readonly handler: Handler<unknown>;
  readonly policy: QueuePolicy | "coalesce";
  readonly priority: Priority;
  readonly deadline: number | undefined;
  /** The loop's clock. */
  readonly now: () => number;
}

/** A kind as the loop sees it: the handler, and what is learnt about its events. */
export class EventKind implements Kind<unknown> {
  /** Bytes that the next region for this kind is made ready for. */
  sizeHint = 0;
  /** Its number in the loop, from 0. */
  readonly index: number;

  readonly name: string;
  readonly policy: QueuePolicy | "coalesce";
  readonly priority: Priority;
  readonly deadline: number | undefined;
  readonly handler: Handler<unknown>;
  readonly isFiber: boolean;
  /** Told of each payload whose fiber has ended, after its region. */
  onFiberEnd: ((payload: unknown) => void) | undefined;
  /** Where its events wait. */
  readonly queue: EventQueue<EventKind>;
  protected readonly inbox: Inbox;
  private readonly now: () => number;
  /** When the handler of the last event was called, where that matters. */
  private begunAt = 0;

  constructor(
    inbox: Inbox,
    queue: EventQueue<EventKind>,
    settings: KindSettings,
    isFiber = isGeneratorFunction(settings.handler),
  ) {
    this.index = settings.index;
    this.name = settings.name;
    this.policy = settings.policy;
    this.priority = settings.priority;
    this.deadline = settings.deadline;
    this.now = settings.now;
    this.handler = this.deadline === undefined || isFiber ? settings.handler : this.timed(settings.handler);
    this.isFiber = isFiber;
    this.queue = queue;
    this.inbox = inbox;
  }

  post(payload: unknown): PostResult {
    return this.inbox.accept(this, payload);
  }

  /** Milliseconds that the last event has until its deadline, if there is one. Its handler has been called; a fiber has not begun. */
  get timeLeft(): number | undefined {
    const { deadline } = this;
    if (deadline === undefined || this.isFiber) return deadline;
    return Math.max(deadline - (this.now() - this.begunAt), 0);
  }

  private timed(handler: Handler<unknown>): Handler<unknown> {
    return (payload, context) => {
      this.begunAt = this.now();
      return handler(payload, context);
    };
  }

  /** What was posted, of what is queued. */
  payloadOf(queued: unknown): unknown {
    return queued;
  }

  /** All its events that wait are dropped. */
  dropped(): void {}

  /**
   * Learns from an event that has used `bytes`: the hint rises to it at once, and falls by a sixteenth of the
   * difference, so that one large event is forgotten after some dozens of small ones.
   */
  learn(bytes: number): void {
    const hint = this.sizeHint;
    this.sizeHint = bytes >= hint ? bytes : hint - ((hint - bytes) >>> 4);
  }
}

/** An event of a {@link CoalescingKind} that waits: whichever payload of its key came last. */
class Coalesced {
  constructor(
    readonly key: unknown,
    public payload: unknown,
  ) {}
}

/** A kind of whose events one for each key waits. What it queues is an object of its own for each. */
export class CoalescingKind extends EventKind {
  /** By key, those that wait. */
  private readonly waiting: Map<unknown, Coalesced>;
  private readonly key: (payload: unknown) => unknown;
  /** Posts that have taken over another's place. */
  coalesced = 0;

  constructor(inbox: Inbox, queue: EventQueue<EventKind>, settings: KindSettings, key: (payload: unknown) => unknown) {
    const waiting = new Map<unknown, Coalesced>();
    const { handler } = settings;
    const take = ({ key, payload }: Coalesced) => {
      waiting.delete(key); // from here on another of this key queues up anew
      return payload;
    };
    const unwrapping: Handler<unknown> = (queued, context) => handler(take(queued as Coalesced), context);
    super(inbox, queue, { ...settings, handler: unwrapping }, isGeneratorFunction(handler));
    this.waiting = waiting;
    this.key = key;
  }

  override post(payload: unknown): PostResult {
    const key = this.keyOf(payload);
    this.inbox.assertAccepts(this);
    const waiting = this.waiting.get(key);
    if (waiting !== undefined) {
      waiting.payload = payload;
      this.coalesced++;
      return "coalesced";
    }
    const queued = new Coalesced(key, payload);
    const result = this.inbox.accept(this, queued);
    if (result !== "rejected") this.waiting.set(key, queued);
    return result;
  }

  override payloadOf(queued: unknown): unknown {
    return (queued as Coalesced).payload;
  }

  override dropped(): void {
    this.waiting.clear();
  }

  private keyOf(payload: unknown): unknown {
    try {
      return this.key(payload);
    } catch (error) {
      throw new InvalidArgumentError(`the coalesce key of kind "${this.name}" has thrown`, { cause: error });
    }
  }
}

/** @throws {InvalidArgumentError} if it is empty or no string */
export function assertKindName(name: unknown): void {
  if (typeof name === "string" && name !== "") return;
  throw new InvalidArgumentError(`a kind's name must be a string that is not empty, but is ${describe(name)}`);
}

/** @throws {InvalidArgumentError} if it is no function, or an async generator function: calling that would run none of it */
export function assertHandler(name: string, handler: unknown): void {
  assertFunction(`the handler of ${describe(name)}`, handler);
  if (/AsyncGenerator/.test(Object.prototype.toString.call(handler))) {
    throw new InvalidArgumentError(
      `the handler of ${describe(name)} must be a plain, async or generator function, not an async generator`,
    );
  }
}
