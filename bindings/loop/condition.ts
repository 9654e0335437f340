import { checkInteger, describe } from "../arguments.js";
import { FiberStateError, InvalidArgumentError } from "../errors.js";
import { disposedError, Line, type LineKeeper, type Place } from "./line.js";
import { checkMilliseconds } from "./milliseconds.js";
import { Mutex } from "./mutex.js";
import { timersAmong, type Waiting, type WaitOptions } from "./waiting.js";

/**
 * A condition variable: wait for something to become true that a mutex guards.
 *
 * A wait sets the mutex free and lines up in one step, so that no notification can come between; it ends with the mutex
 * locked again, whatever has ended it: a notification, its limit, or a cancel. So the `finally` block that unlocks the mutex
 * is right in each case. Nobody is woken by mistake, but what was true at the notification may have changed when the mutex
 * is got: look again, in a loop.
 *
 * Notifications are not sticky: without somebody who waits they do nothing. First come, first notified. All operations are
 * O(1), for each who is notified; none makes garbage in fibers.
 *
 * @example
 * yield mutex.lock();
 * try {
 *   while (stock.size === 0) yield arrived.wait();
 *   sell(stock);
 * } finally {
 *   mutex.unlock();
 * }
 */
export class Condition implements LineKeeper {
  readonly #mutex: Mutex;
  readonly #line: Line;
  #disposed = false;

  /** @throws {InvalidArgumentError} if `mutex` is not a mutex, or `timers` has no `after` or no `cancel` */
  constructor(mutex: Mutex, options?: WaitOptions) {
    if (!(mutex instanceof Mutex)) {
      throw new InvalidArgumentError(`a condition takes a mutex, but was given ${describe(mutex)}`);
    }
    this.#mutex = mutex;
    this.#line = new Line(this, timersAmong("the options argument of a condition", options));
  }

  /**
   * Yield or await it, with the mutex locked, to wait for a notification.
   *
   * @param milliseconds the longest to wait for one, 0 to 2^31 − 1, the mutex not counted; the wait then gives whether one came
   * @throws {InvalidArgumentError} if `milliseconds` is out of range. The wait throws {@link FiberStateError}, if the mutex is
   * not locked, and {@link DisposedError}, if the condition has been disposed; then the mutex is as it was. If it is
   * disposed meanwhile, the wait throws {@link DisposedError} once it has the mutex; and likewise what the timers throw, as
   * {@link OutOfMemoryError}, if they have none for `milliseconds`
   */
  wait(milliseconds?: number): Waiting<boolean> {
    if (milliseconds !== undefined) checkMilliseconds("the time limit of wait", milliseconds);
    return this.#line.offer(undefined, milliseconds);
  }

  /** Wakes the first `count` of those who wait. Returns how many that were. @throws {InvalidArgumentError} */
  notify(count = 1): number {
    checkInteger("the count to notify", count, 0, Number.MAX_SAFE_INTEGER);
    let woken = 0;
    for (; woken < count; woken++) {
      const place = this.#line.shift();
      if (place === undefined) break;
      this.#mutex.$return(place);
    }
    return woken;
  }

  /** Wakes all who wait. Returns how many that were. */
  notifyAll(): number {
    return this.notify(this.#line.length);
  }

  /** How many wait for a notification. */
  get waiting(): number {
    return this.#line.length;
  }

  /** Ends the condition: who waits gets the mutex, and then a {@link DisposedError}. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (let place = this.#line.shift(); place !== undefined; place = this.#line.shift()) {
      place.rejected = true;
      place.value = disposedError("condition");
      this.#mutex.$return(place);
    }
  }

  /** Nothing is given at once: either the wait is refused, or it waits. */
  $attempt(place: Place): boolean {
    if (this.#disposed) {
      place.$reject(disposedError("condition"));
      return true;
    }
    if (!this.#mutex.locked) {
      place.$reject(new FiberStateError("a condition is waited for with its mutex locked, and that is free"));
      return true;
    }
    this.#mutex.unlock();
    return false;
  }

  $departed(): void {}

  /** Whoever waits no longer, for time or cancel, still waits for the mutex. */
  $keeps(place: Place, expired: boolean): boolean {
    if (place.line === this.#line) {
      this.#line.remove(place);
      if (expired) place.value = false;
      this.#mutex.$return(place);
    }
    return true;
  }
}
