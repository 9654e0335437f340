import { describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { checkMilliseconds } from "./milliseconds.js";
import { TICK_LIMIT } from "./timingWheel.js";

/** What a timer does when it fires: it calls a function with its payload, or posts it: to a kind of event, to a baton. */
export type TimerTarget<Payload = unknown> =
  | ((payload: Payload) => unknown)
  | { readonly post: (payload: Payload) => unknown };

/**
 * What a periodic timer does when it is late.
 *
 * - `"skip"`: it stays on the grid of its first due time, and leaves out what it has missed. For samples and heartbeats.
 * - `"fixed-rate"`: it stays on the grid and makes up for what it has missed, one a turn. For what must be counted.
 * - `"fixed-delay"`: its next period begins as the callback returns. For work that must have a pause. Neither a promise nor
 *   an event that was posted is waited for: where calls must not overlap, take a fiber that loops over `yield sleep(…)`.
 */
export type Drift = "skip" | "fixed-rate" | "fixed-delay";

/**
 * What a timer asks of the timers that it belongs to.
 *
 * Times have fractions, and a fraction that is passed to, or returned by, a function which the engine has not compiled in
 * place is an object on its heap. So they stay in fields.
 */
export interface TimerOwner {
  /** The clock that they go by. */
  readonly $clock: { readonly time: number };
  /** Reads the clock, if need be, for a use named in messages, which fails if the timers have been disposed of. */
  $readClock(operation: string): void;
  /** As that, in any case. */
  $readClockNow(operation: string): void;
  /** Arms `timer` for `delay` after the last reading, throwing if that cannot be done; then nothing has changed. */
  $armAfter(timer: Timer, delay: number): void;
  /** Arms `timer` for its `$due`, likewise. */
  $armAtDue(timer: PeriodicTimer): void;
  $cancel(timer: Timer): boolean;
  $hold(timer: Timer, keepsAlive: boolean): void;
  $deliver(target: TimerTarget<never>, payload: unknown): void;
  $skip(missed: number): void;
  readonly $disposed: boolean;
}

/**
 * One timer: what `timers.after()` and `timers.every()` return. It can be armed again any number of times, which makes no other
 * object than {@link restart} says.
 *
 * @example
 * const idle = timers.after(30_000, () => socket.destroy());
 * socket.on("data", () => idle.restart()); // O(1), whatever the number of timers
 * socket.on("close", () => idle.cancel());
 */
export class Timer {
  /** Its place in the wheel; −1 while it is not armed. */
  $slot = -1;
  $generation = 0;
  $keepsAlive = true;
  readonly $owner: TimerOwner;
  protected readonly $target: TimerTarget<never>;
  protected readonly $payload: unknown;
  protected $delay: number;

  /** Use `timers.after()`. */
  constructor(owner: TimerOwner, delay: number, target: TimerTarget<never>, payload: unknown) {
    this.$owner = owner;
    this.$target = target;
    this.$payload = payload;
    this.$delay = delay;
  }

  /** True while it is going to fire. */
  get armed(): boolean {
    return this.$slot >= 0 && !this.$owner.$disposed;
  }

  /**
   * Arms it anew, from now on, whether it is armed, has fired or was cancelled; behind all others that are due in the same
   * millisecond. O(1); the engine may make an object of the time that it comes to.
   *
   * @param milliseconds the new delay, or period; the one that it had if not given
   * @throws {InvalidArgumentError} if that is no delay; nothing has changed
   * @throws {DisposedError} if its timers, or their runtime, have been disposed
   * @throws {OutOfMemoryError}, {SealedError} or {LimitExceededError} if it was not armed and there is no memory
   */
  restart(milliseconds: number = this.$delay): void {
    assertDelay(milliseconds);
    this.$owner.$readClock("restart");
    this.$owner.$armAfter(this, milliseconds);
    this.$delay = milliseconds;
  }

  /** Makes sure that it does not fire (again). Returns false if it was not armed. O(1) */
  cancel(): boolean {
    return this.$owner.$cancel(this);
  }

  /** As {@link cancel}. */
  [Symbol.dispose](): void {
    this.cancel();
  }

  /** Lets the process end while it is armed. Returns the timer. */
  unref(): this {
    this.$owner.$hold(this, false);
    return this;
  }

  /** Keeps the process alive while it is armed, as it does from the beginning. Returns the timer. */
  ref(): this {
    this.$owner.$hold(this, true);
    return this;
  }

  /** True if it keeps the process alive while it is armed. */
  hasRef(): boolean {
    return this.$keepsAlive;
  }

  /** Called when it has come due, and is no longer armed. */
  $fire(): void {
    this.$owner.$deliver(this.$target, this.$payload);
  }
}

/** A timer that fires again and again. */
export class PeriodicTimer extends Timer {
  /** When it is due next, with its fraction: the grid must not drift by rounding. */
  $due: number;
  readonly #drift: Drift;
  #isRestarted = false;

  /** Use `timers.every()`. */
  constructor(owner: TimerOwner, period: number, target: TimerTarget<never>, payload: unknown, drift: Drift) {
    super(owner, period, target, payload);
    this.$due = 0.5; // no whole number, so that engines have room for a fraction from the beginning
    this.#drift = drift;
  }

  override restart(milliseconds: number = this.$delay): void {
    assertPeriod(milliseconds);
    const owner = this.$owner;
    owner.$readClockNow("restart");
    owner.$armAfter(this, milliseconds);
    this.$delay = milliseconds;
    this.$due = owner.$clock.time + milliseconds;
    this.#isRestarted = true;
  }

  /** It is armed for the next time first, with the node that it has just given back, and so that the callback can cancel it. */
  override $fire(): void {
    const owner = this.$owner;
    this.setNextDue();
    owner.$armAtDue(this);
    this.#isRestarted = false;
    owner.$deliver(this.$target, this.$payload);
    if (this.#drift === "fixed-delay" && !this.#isRestarted && this.armed) this.restart();
  }

  private setNextDue(): void {
    const period = this.$delay;
    const now = this.$owner.$clock.time;
    if (this.#drift === "fixed-delay") {
      this.$due = now + period;
      return;
    }
    const due = this.$due + period;
    this.$due = due;
    if (this.#drift === "fixed-rate" || due > now) return;
    const missed = Math.floor((now - due) / period) + 1;
    this.$owner.$skip(missed);
    this.$due = due + missed * period;
  }
}

/** @throws {InvalidArgumentError} if it is no time from now on that a timer can be armed for */
export function assertDelay(milliseconds: number): void {
  checkMilliseconds("a delay", milliseconds, 0, TICK_LIMIT);
}

/** @throws {InvalidArgumentError} if it is no period: one shorter than a tick would be due several times at once */
export function assertPeriod(milliseconds: number): void {
  checkMilliseconds("a period", milliseconds, 1, TICK_LIMIT);
}

/** @throws {InvalidArgumentError} if it is neither a function nor something with a `post` */
export function assertTarget(target: TimerTarget<never>): void {
  if (typeof target !== "function" && typeof target?.post !== "function") throw targetError(target);
}

function targetError(target: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    `a timer takes a function, or something to post to (a kind, a baton), but was given ${describe(target)}`,
  );
}

/** @throws {InvalidArgumentError} if it is no policy */
export function assertDrift(drift: Drift): void {
  if (drift === "skip" || drift === "fixed-rate" || drift === "fixed-delay") return;
  throw new InvalidArgumentError(`drift must be "skip", "fixed-rate" or "fixed-delay", but is ${describe(drift)}`);
}
