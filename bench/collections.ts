import { PerformanceObserver, performance } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { sum } from "simple-statistics";

/** Garbage collections of all kinds: scavenges, mark-compacts, steps of incremental marking. */
export interface CollectionTotals {
  readonly count: number;
  readonly totalMillis: number;
  /** The longest; 0 if there was none. */
  readonly maxMillis: number;
}

/** More turns of the host's loop than an entry takes: one from the engine to Node, one from Node to the observer. */
const TURNS = 3;

/** Counts the collections of this process that begin within windows of time. */
export class CollectionWatch {
  readonly #entries: { readonly startTime: number; readonly duration: number }[] = [];
  readonly #observer = new PerformanceObserver((list) => this.#entries.push(...list.getEntries()));
  readonly #windows: { readonly start: number; end: number }[] = [];

  constructor() {
    this.#observer.observe({ entryTypes: ["gc"] });
  }

  openWindow(): void {
    this.#windows.push({ start: performance.now(), end: Number.POSITIVE_INFINITY });
  }

  /** Closes the window that was opened last. */
  closeWindow(): void {
    this.#windows.at(-1)!.end = performance.now();
  }

  /** The totals of all windows so far. */
  async totals(): Promise<CollectionTotals> {
    for (let turn = 0; turn < TURNS; turn++) await setImmediate();
    this.#entries.push(...this.#observer.takeRecords());
    const durations = this.#entries
      .filter(({ startTime }) => this.#windows.some(({ start, end }) => startTime >= start && startTime <= end))
      .map(({ duration }) => duration);
    return {
      count: durations.length,
      totalMillis: sum(durations),
      maxMillis: durations.reduce((longest, duration) => Math.max(longest, duration), 0),
    };
  }

  dispose(): void {
    this.#observer.disconnect();
  }
}
