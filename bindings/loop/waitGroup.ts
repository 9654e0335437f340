import { checkInteger } from "../arguments.js";
import { FiberStateError } from "../errors.js";
import { disposedError, Line, type LineKeeper, type Operation, type Place } from "./line.js";
import { checkMilliseconds } from "./milliseconds.js";
import { timersAmong, type WaitOptions } from "./waiting.js";

/** The most that are under way at once, so that the count stays a small integer in every engine. */
const COUNT_LIMIT = 2 ** 30 - 1;

/**
 * Waits until a number of things are done.
 *
 * Any number may wait; all of them are let go when the count falls to zero, in the order in which they came, and who comes
 * at zero does not wait. It can be used again. `add` and `wait` are O(1), `done` is too for each who is let go; none makes
 * garbage in fibers.
 *
 * @example
 * for (const task of tasks) {
 *   group.add();
 *   fibers.spawn(function* () {
 *     try { yield* perform(task); } finally { group.done(); }
 *   });
 * }
 * await group.wait();
 */
export class WaitGroup implements LineKeeper {
  readonly #line: Line;
  #count = 0;
  #disposed = false;

  /** @throws {InvalidArgumentError} if `timers` has no `after` or no `cancel` */
  constructor(options?: WaitOptions) {
    this.#line = new Line(this, timersAmong("the options argument of a wait group", options));
  }

  /**
   * `count` more are under way, 0 or more.
   *
   * @throws {InvalidArgumentError} if the count is not a whole number, or there would be more than 2^30 − 1; nothing has changed
   */
  add(count = 1): void {
    checkInteger("the count to add", count, 0, COUNT_LIMIT - this.#count);
    this.#count += count;
  }

  /** One is done. @throws {FiberStateError} if none was under way; nothing has changed */
  done(): void {
    if (this.#count === 0) throw new FiberStateError("nothing is under way: the count is 0");
    this.#count--;
    if (this.#count > 0) return;
    for (let place = this.#line.shift(); place !== undefined; place = this.#line.shift()) place.$grant(true);
  }

  /**
   * Yield or await it until nothing is under way.
   *
   * @param milliseconds the longest to wait, 0 to 2^31 − 1; the wait then gives whether all was done in time. Without a limit,
   * `true`
   * @throws {InvalidArgumentError} if `milliseconds` is out of range. The wait throws {@link DisposedError}, if the group is
   * disposed before
   */
  wait(milliseconds?: number): Operation<boolean> {
    if (milliseconds !== undefined) checkMilliseconds("the time limit of wait", milliseconds);
    return this.#line.offer(undefined, milliseconds);
  }

  /** How many are under way. */
  get count(): number {
    return this.#count;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#line.length;
  }

  /** Ends the group: who waits, and who comes later, gets a {@link DisposedError}. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#line.reject(() => disposedError("wait group"));
  }

  $attempt(place: Place): boolean {
    if (this.#disposed) place.$reject(disposedError("wait group"));
    else if (this.#count === 0) place.$grant(true);
    else return false;
    return true;
  }

  $departed(): void {}
}
