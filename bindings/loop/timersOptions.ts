import { assertFunction, assertOptions, type NamesOf } from "../arguments.js";
import type { Host } from "./host.js";
import { checkHost } from "./options.js";
import type { Drift } from "./timer.js";

/** Options of `createTimers()`; all may be left out. */
export interface TimersOptions {
  /** Clock and timer; those of the platform if not given. */
  readonly host?: Host | undefined;
  /**
   * Told of what a timer's function throws, or the promise that it returns rejects with; and of a payload that a full
   * queue has refused. The others fire all the same. Without it, or if it throws itself, the error becomes one that nobody
   * has caught, in a task of its own, as that of a function given to `setTimeout` does.
   */
  readonly onError?: ((this: void, error: unknown) => unknown) | undefined;
  /**
   * Called when something is due, in place of `timers.run()`, which is then for the caller to do, soon: how a loop
   * has timers fire in its turns.
   */
  readonly onDue?: ((this: void) => void) | undefined;
}

/** Options of `timers.every()`. */
export interface PeriodicOptions<Payload> {
  /** What it does when it is late; `"skip"` if not given. */
  readonly drift?: Drift | undefined;
  /** What its target is given each time. */
  readonly payload?: Payload | undefined;
}

/** Those of a target that has to be given something. */
export type PayloadOptions<Payload> = PeriodicOptions<Payload> & { readonly payload: Payload };

/** The figures of timers. */
export interface TimersStatistics {
  /** Timers that are armed now. */
  readonly armed: number;
  /** The most that ever were at once. */
  readonly highWater: number;
  /** How often a timer was armed. A restart of an armed timer counts here, and as cancelled. */
  readonly arms: number;
  /** How often one has fired. */
  readonly fired: number;
  /** How often one was cancelled. */
  readonly cancelled: number;
  /** Periods that periodic timers have left out because they were late. */
  readonly skipped: number;
  /** What `onError` was told of, or would have been if there were one. */
  readonly failed: number;
  /** Taken from the page heap, in bytes. */
  readonly bytes: number;
}

/** The options, checked and complete. */
interface TimersSettings {
  readonly host: Host;
  readonly onError: TimersOptions["onError"];
  readonly onDue: TimersOptions["onDue"];
}

const OPTIONS: NamesOf<TimersOptions> = { host: true, onError: true, onDue: true };
const PERIODIC_OPTIONS: NamesOf<PeriodicOptions<unknown>> = { drift: true, payload: true };

/** @throws {InvalidArgumentError} naming what cannot be */
export function checkTimersOptions(options: TimersOptions): TimersSettings {
  assertOptions("the options argument of createTimers", options, OPTIONS);
  const { host, onError, onDue } = options;
  if (onError !== undefined) assertFunction("onError", onError);
  if (onDue !== undefined) assertFunction("onDue", onDue);
  return { host: checkHost(host), onError, onDue };
}

/** @throws {InvalidArgumentError} if they are no object, or there is an unknown one */
export function assertPeriodicOptions(options: PeriodicOptions<unknown>): void {
  assertOptions("the options argument of every", options, PERIODIC_OPTIONS);
}
