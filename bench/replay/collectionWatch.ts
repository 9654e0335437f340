import { type PerformanceEntry, PerformanceObserver, performance } from "node:perf_hooks";

/** JavaScript collections of all kinds: scavenges, mark-compacts, steps of incremental marking. */
export interface CollectionTotals {
  readonly count: number;
  readonly totalMillis: number;
  readonly maxMillis: number;
}

/** Counts the collections of this process that begin within windows of time. */
export class CollectionWatch {
  readonly #entries: PerformanceEntry[] = [];
  readonly #observer = new PerformanceObserver((list) => this.#entries.push(...list.getEntries()));
  readonly #windows: { start: number; end: number }[] = [];

  constructor() {
    this.#observer.observe({ entryTypes: ["gc"] });
  }

  openWindow(): void {
    this.#windows.push({ start: performance.now(), end: Number.POSITIVE_INFINITY });
  }

  closeWindow(): void {
    this.#windows.at(-1)!.end = performance.now();
  }

  /** The totals of all windows. Entries are handed over by the host's loop, some turns after the collection. */
  async totals(): Promise<CollectionTotals> {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    this.#entries.push(...this.#observer.takeRecords());
    const durations = this.#entries
      .filter(({ startTime }) => this.#windows.some(({ start, end }) => startTime >= start && startTime <= end))
      .map(({ duration }) => duration);
    return {
      count: durations.length,
      totalMillis: durations.reduce((sum, duration) => sum + duration, 0),
      maxMillis: durations.reduce((longest, duration) => Math.max(longest, duration), 0),
    };
  }

  dispose(): void {
    this.#observer.disconnect();
  }
}
