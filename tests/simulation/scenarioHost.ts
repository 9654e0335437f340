import type { Host } from "tidemark";

interface HostTimer {
  readonly at: number;
  readonly callback: () => void;
}

/** A platform whose hops and timers come when the scenario says so. Its clock may move by itself, a little at each reading. */
export class ScenarioHost implements Host {
  time = 0;
  readonly hops: (() => void)[] = [];
  readonly #drift: number;
  #timers: HostTimer[] = [];

  /** @param drift milliseconds that go by between two readings of the clock */
  constructor(drift: number) {
    this.#drift = drift;
  }

  now(): number {
    this.time += this.#drift;
    return this.time;
  }

  hop(callback: () => void): void {
    this.hops.push(callback);
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.time + milliseconds, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get timers(): number {
    return this.#timers.length;
  }

  /** When the next timer is due; infinity if there is none. */
  get nextAt(): number {
    return this.#timers.reduce((least, { at }) => Math.min(least, at), Number.POSITIVE_INFINITY);
  }

  /** Lets the oldest hop come down. Returns false if there is none. */
  land(): boolean {
    const hop = this.hops.shift();
    hop?.();
    return hop !== undefined;
  }

  /** Fires the timer that has been due for longest. Returns false if none is due. */
  ring(): boolean {
    const { nextAt } = this;
    if (nextAt > this.time) return false;
    const due = this.#timers.find(({ at }) => at === nextAt)!;
    this.#timers = this.#timers.filter((other) => other !== due);
    due.callback();
    return true;
  }
}
