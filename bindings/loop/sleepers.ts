import type { Timers } from "./timers.js";
import { checkDelay, type Registration, type Waiter, Waiting, type WaitTimers } from "./waiting.js";

/**
 * Those who let time go by on a loop's clock. They are known one by one, as the loop may end before their time has come: its
 * timers fire no more then, and an async function would wait for ever.
 */
export class Sleepers {
  readonly #timers: () => Timers;
  readonly #asleep = new Set<Sleeper>();
  readonly $waitTimers: WaitTimers;

  /** @param timers the loop's, made when somebody sleeps */
  constructor(timers: () => Timers) {
    this.#timers = timers;
    this.$waitTimers = {
      after: (milliseconds, callback) => timers().arm(milliseconds, callback),
      cancel: (id) => void timers().cancel(id as number),
    };
  }

  /** What to yield or await. @throws {InvalidArgumentError} if the delay is none that a wait can have */
  sleep(milliseconds: number): Waiting<boolean> {
    return new Sleep(this, checkDelay("sleep", milliseconds));
  }

  /** @throws what arming a timer throws; then nobody sleeps */
  $begin(waiter: Waiter, milliseconds: number): Registration {
    const sleeper = new Sleeper(this, waiter);
    sleeper.timer = this.#timers().arm(milliseconds, sleeper.wake);
    this.#asleep.add(sleeper);
    return sleeper;
  }

  $forget(sleeper: Sleeper): void {
    this.#asleep.delete(sleeper);
  }

  $cancel(sleeper: Sleeper): void {
    this.#asleep.delete(sleeper);
    this.#timers().cancel(sleeper.timer);
  }

  /** The timers have ended, or will fire no more: all who sleep get an error. */
  fail(error: unknown): void {
    for (const { waiter } of this.#asleep) waiter.$fail(error);
    this.#asleep.clear();
  }
}

/** A wait for time to go by, which any number may wait for, each from when it begins to. */
class Sleep extends Waiting<boolean> {
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
    return this.#sleepers.$waitTimers;
  }
}

/** Somebody who sleeps. */
class Sleeper implements Registration {
  timer = 0;

  constructor(
    readonly sleepers: Sleepers,
    readonly waiter: Waiter,
  ) {}

  readonly wake = (): void => {
    this.sleepers.$forget(this);
    this.waiter.$resume(false);
  };

  $withdraw(): boolean {
    this.sleepers.$cancel(this);
    return true;
  }
}
