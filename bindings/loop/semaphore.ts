import { assertOptions, checkInteger, describe, type NamesOf } from "../arguments.js";
import { InvalidArgumentError, LimitExceededError } from "../errors.js";
import { disposedError, Line, type LineKeeper, type Operation, type Place } from "./line.js";
import { checkMilliseconds } from "./milliseconds.js";
import { checkTimers, type WaitOptions } from "./waiting.js";

/** The most permits there are, so that counts stay small integers in every engine. */
const PERMITS_LIMIT = 2 ** 30 - 1;

/** The options of a {@link Semaphore}. */
export interface SemaphoreOptions extends WaitOptions {
  /** The most permits there may ever be; 2^30 − 1 if not given. */
  readonly limit?: number | undefined;
}

const OPTIONS: NamesOf<SemaphoreOptions> = { limit: true, timers: true };

/**
 * A number of permits: at most that many at once.
 *
 * First come, first served, also by `tryAcquire`: who wants many permits is not overtaken by those who want few. All
 * operations are O(1), for each who is let go; none makes garbage in fibers.
 *
 * @example
 * const connections = new Semaphore(4);
 * yield connections.acquire();
 * try {
 *   yield fetch(address);
 * } finally {
 *   connections.release();
 * }
 */
export class Semaphore implements LineKeeper {
  readonly #line: Line;
  readonly #limit: number;
  /** Less than what the first in line wants. */
  #available: number;
  #disposed = false;

  /**
   * @param permits from 0 to the limit
   * @throws {InvalidArgumentError} if permits, limit or timers are out of range
   */
  constructor(permits: number, options: SemaphoreOptions = {}) {
    assertOptions("the options argument of a semaphore", options, OPTIONS);
    const { limit = PERMITS_LIMIT, timers } = options;
    this.#limit = checkInteger("limit", limit, 1, PERMITS_LIMIT);
    this.#available = checkInteger("permits", permits, 0, this.#limit);
    this.#line = new Line(this, checkTimers(timers));
  }

  /**
   * Yield or await it to get `count` permits, all at once.
   *
   * @param count from 1 to the limit
   * @param milliseconds the longest to wait, 0 to 2^31 − 1; the wait then gives whether the permits were got. Without a limit,
   * `true`
   * @throws {InvalidArgumentError} if either is out of range. The wait throws {@link DisposedError}, if the semaphore is
   * disposed before the permits are got
   */
  acquire(count = 1, milliseconds?: number): Operation<boolean> {
    this.#check(count);
    if (milliseconds !== undefined) checkMilliseconds("the time limit of acquire", milliseconds);
    return this.#line.offer(count, milliseconds);
  }

  /** Takes `count` permits, if they are there and nobody waits. Returns whether it has. @throws {InvalidArgumentError} */
  tryAcquire(count = 1): boolean {
    this.#check(count);
    if (this.#disposed || this.#line.length > 0 || this.#available < count) return false;
    this.#available -= count;
    return true;
  }

  /**
   * Gives `count` permits back, or new ones, and lets go who can go.
   *
   * @throws {LimitExceededError} if there would be more than the limit; nothing has changed
   * @throws {InvalidArgumentError} if the count is out of range
   */
  release(count = 1): void {
    this.#check(count);
    if (this.#available + count > this.#limit) {
      throw new LimitExceededError(
        `${count} permits cannot be released: ${this.#available} are available, of at most ${this.#limit}`,
      );
    }
    this.#available += count;
    this.$departed();
  }

  /** Permits that nobody has. */
  get available(): number {
    return this.#available;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#line.length;
  }

  /** Ends the semaphore: who waits, and who comes later, gets a {@link DisposedError}. Permits may still be released. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#line.reject(() => disposedError("semaphore"));
  }

  $attempt(place: Place, line: Line): boolean {
    if (this.#disposed) {
      place.$reject(disposedError("semaphore"));
      return true;
    }
    const count = place.argument as number;
    if (line.length > 0 || this.#available < count) return false;
    this.#available -= count;
    place.$grant(true);
    return true;
  }

  /** The first in line may have left it, or permits have come. */
  $departed(): void {
    if (this.#disposed) return; // who waits is being refused
    const line = this.#line;
    for (let next = this.#nextIn(line); next !== undefined; next = this.#nextIn(line)) {
      this.#available -= next.argument as number;
      line.remove(next);
      next.$grant(true);
    }
  }

  /** The first in line, if there is enough for it; or of those behind it that are choices of the same select. */
  #nextIn(line: Line): Place | undefined {
    let place = line.first;
    while (place !== undefined && (place.argument as number) > this.#available) {
      const { $chooser: chooser, next }: Place = place;
      place = chooser !== undefined && next?.$chooser === chooser ? next : undefined;
    }
    return place;
  }

  #check(count: number): void {
    if (Number.isInteger(count) && count >= 1 && count <= this.#limit) return;
    throw new InvalidArgumentError(
      `a count of permits must be a whole number from 1 to ${this.#limit}, but is ${describe(count)}`,
    );
  }
}
