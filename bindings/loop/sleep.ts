import { assertDelay } from "./timer.js";
import type { Timers } from "./timers.js";
import { platformTimers, type Registration, type Waiter, Waiting, type WaitTimers } from "./waiting.js";

/** Those who sleep by a loop's clock, in its fibers or elsewhere: none is left asleep when that stops. */
export class Sleepers {
  readonly #timers: () => Timers;
  readonly #asleep = new Set<Sleeper>();
  /** Set once nobody can be woken any more. */
  #refusal: (() => unknown) | undefined;

  /** @param timers called by each who falls asleep */
  constructor(timers: () => Timers) {
    this.#timers = timers;
  }

  /** @throws {InvalidArgumentError} if that is no delay */
  sleep(milliseconds: number): Waiting<void> {
    assertDelay(milliseconds);
    return new Sleep(this, milliseconds);
  }

  /** @throws what the timers throw, or the refusal */
  $begin(waiter: Waiter, milliseconds: number): Registration {
    if (this.#refusal !== undefined) throw this.#refusal();
    const sleeper = new Sleeper(this, waiter);
    sleeper.timer = this.#timers().arm(milliseconds, wake, sleeper);
    this.#asleep.add(sleeper);
    return sleeper;
  }

  /** Forgets one who has woken up; one who has not is not woken. */
  $forget(sleeper: Sleeper, isAwake: boolean): void {
    this.#asleep.delete(sleeper);
    if (!isAwake) this.#timers().cancel(sleeper.timer);
  }

  /** Wakes everybody with an error each, and refuses whoever comes later. */
  refuse(refusal: () => unknown): void {
    this.#refusal = refusal;
    for (const { waiter } of this.#asleep) waiter.$fail(refusal());
    this.#asleep.clear();
  }
}

/** What `loop.sleep()` returns: each `yield` or `await` of it sleeps anew. */
class Sleep extends Waiting<void> {
  readonly #sleepers: Sleepers;
  readonly #milliseconds: number;

  constructor(sleepers: Sleepers, milliseconds: number) {
    super();
    this.#sleepers = sleepers;
    this.#milliseconds = milliseconds;
  }

  $begin(waiter: Waiter): Registration {
    return this.#sleepers.$begin(waiter, this.#milliseconds);
  }

  protected override get asyncTimers(): WaitTimers {
    return platformTimers(); // of which a sleep needs none
  }
}

/** One who sleeps. */
class Sleeper implements Registration {
  timer = 0;
  readonly sleepers: Sleepers;
  readonly waiter: Waiter;

  constructor(sleepers: Sleepers, waiter: Waiter) {
    this.sleepers = sleepers;
    this.waiter = waiter;
  }

  $withdraw(): boolean {
    this.sleepers.$forget(this, false);
    return true;
  }
}

/** What all their timers call. */
function wake(sleeper: Sleeper): void {
  sleeper.sleepers.$forget(sleeper, true);
  sleeper.waiter.$resume(undefined);
}
