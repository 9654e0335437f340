import { BatonBusyError } from "../errors.js";
import { checkMilliseconds } from "./milliseconds.js";
import {
  platformTimers,
  type Registration,
  timersAmong,
  type Waitable,
  type Waiter,
  Waiting,
  type WaitOptions,
  type WaitTimers,
} from "./waiting.js";

/**
 * The one primitive on which all waiting is built: one posts, one waits.
 *
 *   idle ──post──▶ posted ──wait begins──▶ idle, the waiter resumed
 *   idle ──wait begins──▶ waited for ──post, timeout or cancel──▶ idle, the waiter resumed
 *
 * - A post is sticky: without a waiter it stays until one comes. Any number of posts that nobody has waited for are one.
 * - There is one waiter at a time. A second is refused with {@link BatonBusyError}, and the first goes on waiting.
 * - A post never runs the waiter. A fiber is put at the end of its scheduler's line of those who are ready, and runs after
 *   the poster has yielded or returned; an async function goes on in a microtask, after the synchronous code that has
 *   posted has come to its end. Of several batons, waiters run in the order of the posts, fibers apart from async functions.
 * - Whatever ends a wait first has ended it. A post after a timeout or a cancel finds nobody, and is sticky: the next wait
 *   gets it, unless {@link Baton.reset} comes first. A timeout or a cancel after the post changes nothing: the waiter
 *   gets the post, and a fiber that was cancelled goes on to its next wait, where its `finally` blocks run.
 *
 * Works with any loop and without one. Every operation is O(1); in fibers none makes garbage, apart from what a timer of
 * the platform costs.
 *
 * @example
 * const ready = new Baton();
 * fibers.spawn(function* () {
 *   yield ready.wait();
 *   if (!(yield ready.wait(100))) console.log("nothing more for 100 ms");
 * });
 * ready.post();
 */
export class Baton implements Waitable<undefined>, Registration {
  declare readonly $value?: undefined;

  /** At most one of the two is set: a post without a waiter, or a waiter without a post. */
  #posted = false;
  #waiter: Waiter | undefined;

  readonly $timers: WaitTimers | undefined;
  readonly #untimed: BatonWait;
  #timed: TimedBatonWait | undefined;

  /** @throws {InvalidArgumentError} if `timers` has no `after` or no `cancel` */
  constructor(options?: WaitOptions) {
    this.$timers = timersAmong("the options argument of a baton", options);
    this.#untimed = new BatonWait(this);
  }

  /** Resumes the waiter, or else the next one. Runs nobody. */
  post(): void {
    const waiter = this.#waiter;
    if (waiter === undefined) {
      this.#posted = true;
      return;
    }
    this.#waiter = undefined;
    waiter.$resume(undefined);
  }

  /**
   * What to `yield` in a fiber or `await` in an async function, until the baton is posted. It is used again by every call:
   * yield or await it where it was made. (A fiber may yield the baton itself, too.)
   *
   * @param milliseconds the longest to wait, 0 to 2^31 − 1; the wait then gives whether the baton was posted in time
   * @throws {InvalidArgumentError} if `milliseconds` is out of range. The `yield` or `await` throws {@link BatonBusyError},
   * if somebody waits already
   */
  wait(): Waiting<void>;
  wait(milliseconds: number): Waiting<boolean>;
  wait(milliseconds?: number): Waiting<void> | Waiting<boolean> {
    if (milliseconds === undefined) return this.#untimed;
    checkMilliseconds("the time limit of wait", milliseconds);
    // One that was made and has not begun keeps its limit: whoever has it may be about to await it.
    if (this.#timed === undefined || this.#timed.isTaken) this.#timed = new TimedBatonWait(this);
    return this.#timed.offer(milliseconds);
  }

  /** Takes the post, if there is one, without waiting. Returns whether there was. */
  tryWait(): boolean {
    const posted = this.#posted;
    this.#posted = false;
    return posted;
  }

  /** Forgets a post that nobody has waited for. Somebody who waits goes on waiting. */
  reset(): void {
    this.#posted = false;
  }

  /** Whether it has been posted, and nobody has waited for it yet. */
  get posted(): boolean {
    return this.#posted;
  }

  /** Whether somebody waits. */
  get waitedFor(): boolean {
    return this.#waiter !== undefined;
  }

  $begin(waiter: Waiter): Registration | undefined {
    if (this.#posted) {
      this.#posted = false;
      waiter.$resume(undefined);
      return undefined;
    }
    if (this.#waiter !== undefined) {
      throw new BatonBusyError("somebody waits for this baton already, and it has room for 1");
    }
    this.#waiter = waiter;
    return this;
  }

  $withdraw(_waiter: Waiter): boolean {
    this.#waiter = undefined;
    return true;
  }
}

/** A wait without a limit: one object for all waits of a baton, as it has nothing of its own. */
class BatonWait extends Waiting<void> {
  readonly #baton: Baton;

  constructor(baton: Baton) {
    super();
    this.#baton = baton;
  }

  $begin(waiter: Waiter): Registration | undefined {
    return this.#baton.$begin(waiter);
  }

  protected override get asyncTimers(): WaitTimers {
    return this.#baton.$timers ?? platformTimers();
  }
}

/** A wait with a limit. It stands between the baton and the waiter, so that the baton knows nothing of time. */
class TimedBatonWait extends Waiting<boolean> implements Waiter, Registration {
  readonly #baton: Baton;
  #milliseconds = 0;
  /** Whether the wait has been handed out and has not begun. */
  #offered = false;
  /** Set while the wait is under way, together with its timer. */
  #waiter: Waiter | undefined;
  #timer: unknown;

  constructor(baton: Baton) {
    super();
    this.#baton = baton;
  }

  /** Whether it has been handed out, and its wait has not ended. */
  get isTaken(): boolean {
    return this.#offered || this.#waiter !== undefined;
  }

  offer(milliseconds: number): this {
    this.#milliseconds = milliseconds;
    this.#offered = true;
    return this;
  }

  $begin(waiter: Waiter): Registration | undefined {
    // Of one that is waited for twice at once each wait is its own; the baton refuses the second, if it has room for one.
    if (this.#waiter !== undefined) return new TimedBatonWait(this.#baton).offer(this.#milliseconds).$begin(waiter);
    this.#offered = false;
    if (this.#baton.tryWait()) {
      waiter.$resume(true);
      return undefined;
    }
    this.#baton.$begin(this); // refuses, if somebody waits
    this.#waiter = waiter;
    try {
      this.#timer = waiter.$timers.after(this.#milliseconds, this.#expire);
    } catch (error) {
      this.#waiter = undefined;
      this.#baton.$withdraw(this);
      throw error;
    }
    return this;
  }

  get $timers(): WaitTimers {
    return this.#waiter!.$timers;
  }

  $resume(): void {
    this.#end(true).$resume(true);
  }

  $fail(error: unknown): void {
    this.#end(true).$fail(error);
  }

  $withdraw(_waiter: Waiter): boolean {
    this.#end(true);
    return this.#baton.$withdraw(this);
  }

  /** Made once: what is armed again and again. */
  readonly #expire = (): void => {
    if (this.#waiter === undefined) return; // a host whose timers fire after they were cancelled
    this.#baton.$withdraw(this);
    this.#end(false).$resume(false);
  };

  #end(cancelsTimer: boolean): Waiter {
    const waiter = this.#waiter!;
    const timer = this.#timer;
    this.#waiter = undefined;
    this.#timer = undefined;
    if (cancelsTimer) waiter.$timers.cancel(timer);
    return waiter;
  }

  protected override get asyncTimers(): WaitTimers {
    return this.#baton.$timers ?? platformTimers();
  }
}
