import { assertOptions, describe, type NamesOf } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { type Host, platformHost } from "./host.js";

/**
 * What can be waited for: `yield` it in a fiber; what also has `then` can be awaited.
 *
 * The whole contract between those who wait and what they wait for, in two calls:
 *
 *   fiber ──$begin(waiter)──▶ waitable          one of the two happens, once:
 *     ▲                          │                waiter.$resume(value) or waiter.$fail(error)
 *     └──────────$resume─────────┘                registration.$withdraw(waiter), by the waiter's cancel
 */
export interface Waitable<Value = unknown> {
  /**
   * Begins the wait: the waiter is resumed exactly once, with a value or an error, maybe before this returns (which only
   * queues it). A throw refuses: nothing has begun.
   *
   * @returns what can take the wait back; nothing, if the waiter has been resumed already, or if it cannot be taken back
   */
  $begin(waiter: Waiter): Registration | undefined;
  /** For the compiler only: what the waiter is resumed with. */
  readonly $value?: Value;
}

/** Whoever waits. Being resumed means being queued: nothing of the waiter's runs inside these calls. */
export interface Waiter {
  /** The clock of this waiter's limits of time. */
  readonly $timers: WaitTimers;
  $resume(value: unknown): void;
  $fail(error: unknown): void;
}

/** A wait under way. */
export interface Registration {
  /**
   * Takes the wait back, if nobody has resumed the waiter yet.
   *
   * @returns false if the wait has to go on, since it ends only by giving something back to the waiter (the mutex of a
   * condition): the waiter will be resumed, and must then see to its cancel
   */
  $withdraw(waiter: Waiter): boolean;
}

/** Timers, as waits with a limit of time need them. */
export interface WaitTimers {
  /** Calls `callback` once, after `milliseconds` at the earliest, never before it returns. @returns what cancels it */
  after(milliseconds: number, callback: () => void): unknown;
  /** Takes back a timer that has not fired. */
  cancel(timer: unknown): void;
}

/**
 * The timers of a host: each costs a timer of the platform, and the garbage that comes with it.
 *
 * @example
 * const baton = new Baton({ timers: timersOf(host) });
 * const posted = await baton.wait(100); // by the host's clock
 */
export function timersOf(host: Pick<Host, "after">): WaitTimers {
  return {
    after: (milliseconds, callback) => host.after(milliseconds, callback),
    cancel: (cancel) => (cancel as () => void)(),
  };
}

let platform: WaitTimers | undefined;

/** The platform's timers, for who has been given no others. */
export function platformTimers(): WaitTimers {
  platform ??= timersOf(platformHost());
  return platform;
}

/** Options of what waits by itself, outside fibers. */
export interface WaitOptions {
  /** The clock for async functions that wait with a limit; the platform's if not given. Fibers bring their own. */
  readonly timers?: WaitTimers | undefined;
}

const OPTIONS: NamesOf<WaitOptions> = { timers: true };

/** The timers among options, if there are any. @throws {InvalidArgumentError} if they are none, or there is another option */
export function timersAmong(what: string, options: WaitOptions | undefined): WaitTimers | undefined {
  if (options === undefined) return undefined;
  assertOptions(what, options, OPTIONS);
  return checkTimers(options.timers);
}

/** @throws {InvalidArgumentError} if these are no timers */
export function checkTimers(timers: WaitTimers | undefined): WaitTimers | undefined {
  if (timers === undefined || (typeof timers?.after === "function" && typeof timers.cancel === "function")) {
    return timers;
  }
  throw new InvalidArgumentError(`timers must have the functions after and cancel, but is ${describe(timers)}`);
}

/**
 * A wait that can be yielded in a fiber and awaited in an async function.
 *
 * Nothing is waited for before the `yield` or the `await`. An `await` begins in a microtask and goes on in one, so a wait
 * makes a promise there; a fiber makes none.
 */
export abstract class Waiting<Value> implements Waitable<Value>, PromiseLike<Value> {
  declare readonly $value?: Value;

  abstract $begin(waiter: Waiter): Registration | undefined;

  /** The clock of async functions that wait here. */
  protected abstract get asyncTimers(): WaitTimers;

  // biome-ignore lint/suspicious/noThenProperty: waits are what `await` is for
  then<Fulfilled = Value, Rejected = never>(
    onFulfilled?: ((value: Value) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    const promise = new Promise<Value>((resolve, reject) => {
      this.$begin(new PromiseWaiter(this.asyncTimers, resolve as (value: unknown) => void, reject));
    });
    return promise.then(onFulfilled, onRejected);
  }
}

/** An async function that waits: the platform queues what settling its promise resumes. */
class PromiseWaiter implements Waiter {
  constructor(
    readonly $timers: WaitTimers,
    readonly $resume: (value: unknown) => void,
    readonly $fail: (error: unknown) => void,
  ) {}
}
