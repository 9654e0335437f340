/** Counts the engine's garbage collections in a stretch of time. */

import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";

/** Garbage collections of this process. */
export interface Collections {
  readonly count: number;
  readonly totalMillis: number;
  /** The longest; 0 if there was none. */
  readonly maxMillis: number;
}

/** Records the collections of this process from its making until {@link CollectionCounter.stop}. */
export class CollectionCounter {
  readonly #entries: { readonly startTime: number; readonly duration: number }[] = [];
  readonly #observer = new PerformanceObserver((list) => this.#entries.push(...list.getEntries()));

  constructor() {
    this.#observer.observe({ entryTypes: ["gc"] });
  }

  /**
   * The collections that began from `from` to `until`, both in the milliseconds of `performance.now()`. Entries arrive
   * through the host's event loop, so they are complete only after it has turned; call this after `until` has passed.
   */
  async between(from: number, until: number): Promise<Collections> {
    // Node queues an entry in an immediate of its own; those run before the program's.
    await setImmediate();
    this.#entries.push(...this.#observer.takeRecords());
    const durations = this.#entries
      .filter(({ startTime }) => startTime >= from && startTime <= until)
      .map(({ duration }) => duration);
    return {
      count: durations.length,
      totalMillis: durations.reduce((total, duration) => total + duration, 0),
      maxMillis: Math.max(0, ...durations),
    };
  }

  stop(): void {
    this.#observer.disconnect();
  }
}
