import { FiberStateError } from "../errors.js";
import { disposedError, Line, type LineKeeper, type Operation, type Place } from "./line.js";
import { checkMilliseconds } from "./milliseconds.js";
import { timersAmong, type WaitOptions } from "./waiting.js";

/**
 * Mutual exclusion between fibers and async functions, over more than one `yield` or `await`.
 *
 * Whoever asked first gets it first: an unlock hands the mutex to the first who waits, without ever being free in between.
 * It is not tied to who has locked it, since an async function has no name to be known by: whoever holds it may pass it on.
 * A holder that locks it again waits for itself.
 *
 * All operations are O(1), and make no garbage in fibers.
 *
 * @example
 * fibers.spawn(function* () {
 *   yield mutex.lock();
 *   try {
 *     yield* transfer();
 *   } finally {
 *     mutex.unlock();
 *   }
 * });
 */
export class Mutex implements LineKeeper {
  readonly #line: Line;
  #locked = false;
  #disposed = false;

  /** @throws {InvalidArgumentError} if `timers` has no `after` or no `cancel` */
  constructor(options?: WaitOptions) {
    this.#line = new Line(this, timersAmong("the options argument of a mutex", options));
  }

  /**
   * Yield or await it to get the mutex. A fiber that is cancelled meanwhile leaves the line.
   *
   * @param milliseconds the longest to wait, 0 to 2^31 − 1; the wait then gives whether the mutex has been locked. Without a
   * limit, `true`
   * @throws {InvalidArgumentError} if `milliseconds` is out of range. The wait throws {@link DisposedError}, if the mutex is
   * disposed before it is got
   */
  lock(milliseconds?: number): Operation<boolean> {
    if (milliseconds !== undefined) checkMilliseconds("the time limit of lock", milliseconds);
    return this.#line.offer(undefined, milliseconds);
  }

  /** Locks the mutex, if it is free. Returns whether it was. */
  tryLock(): boolean {
    if (this.#locked || this.#disposed) return false;
    this.#locked = true;
    return true;
  }

  /**
   * Hands the mutex to the first who waits, or sets it free.
   *
   * @throws {FiberStateError} if it is not locked
   */
  unlock(): void {
    if (!this.#locked) throw new FiberStateError(`the mutex is not locked, and ${this.#line.length} wait for it`);
    const next = this.#line.shift();
    if (next === undefined) this.#locked = false;
    else next.$grant(next.value ?? true);
  }

  /** Whether somebody holds it. */
  get locked(): boolean {
    return this.#locked;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#line.length;
  }

  /**
   * Ends the mutex: who waits, and who comes later, gets a {@link DisposedError}. Who holds it may unlock it, and who waits for
   * a condition of it gets it once more, to do so.
   */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#line.reject(() => disposedError("mutex"));
  }

  $attempt(place: Place): boolean {
    if (this.#disposed) {
      place.$reject(disposedError("mutex"));
      return true;
    }
    if (this.#locked) return false;
    this.#locked = true;
    place.$grant(place.value ?? true);
    return true;
  }

  $departed(): void {}

  /** A place of a condition, which goes on when it has the mutex, even a disposed one: its waiter will unlock it. */
  $return(place: Place): void {
    if (!this.#locked) {
      this.#locked = true;
      place.$grant(place.value ?? true);
    } else {
      this.#line.push(place);
    }
  }
}
