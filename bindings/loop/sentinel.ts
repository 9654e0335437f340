import { KIND, NO_EVENT, SEQUENCE, SUSPECT, SUSPECT_KIND } from "./heartbeat.js";

/** What a watchdog's worker tells of a handler that holds the loop at this moment. */
export interface BlockedReport {
  /** The name of its kind. */
  readonly kind: string;
  /** The event's number. */
  readonly sequence: number;
  /** How long it has been running for, at the least, in milliseconds. */
  readonly milliseconds: number;
  /** How many have not been told of since the last report, because there were too many. */
  readonly suppressed: number;
}

/** What the worker is to do: its first message. */
export interface SentinelOrders {
  readonly buffer: SharedArrayBuffer;
  /** Milliseconds. */
  readonly slowAfter: number;
  /** Milliseconds between two reports, at the least. */
  readonly reportsEvery: number;
  /** Where reports go; to the console if it is not given. */
  readonly port?: { postMessage(message: unknown): void } | undefined;
}

/** The name of a kind: each further message. */
export interface KindName {
  readonly index: number;
  readonly name: string;
}

/** A blocked loop is reported at `slowAfter`, and again each time that it has taken so many times longer. */
const ESCALATION = 10;

/**
 * Watches a heartbeat from another thread. It knows no clock and no platform: whoever has both calls {@link Sentinel.look}
 * every few milliseconds.
 */
export class Sentinel {
  readonly #sequences: Float64Array;
  readonly #kinds: Int32Array;
  readonly #slowAfter: number;
  readonly #reportsEvery: number;
  readonly #tell: (report: BlockedReport) => void;
  readonly #names: string[] = [];

  /** The event that ran at the last look, and since when at the latest. */
  #sequence = NO_EVENT;
  #since = 0;
  /** Milliseconds after which it is reported. */
  #due: number;
  #quietUntil = Number.NEGATIVE_INFINITY;
  #suppressed = 0;

  constructor(orders: SentinelOrders, tell: (report: BlockedReport) => void) {
    this.#sequences = new Float64Array(orders.buffer, 0, 2);
    this.#kinds = new Int32Array(orders.buffer);
    this.#slowAfter = orders.slowAfter;
    this.#due = orders.slowAfter;
    this.#reportsEvery = orders.reportsEvery;
    this.#tell = tell;
  }

  /** Learns a kind's name. */
  learn({ index, name }: KindName): void {
    this.#names[index] = name;
  }

  /** Looks once. `now` is in milliseconds of any clock that does not go backwards. */
  look(now: number): void {
    const sequence = this.#sequences[SEQUENCE]!;
    if (sequence !== this.#sequence) {
      this.#sequence = sequence;
      this.#since = now;
      this.#due = this.#slowAfter;
      return;
    }
    if (sequence === NO_EVENT) return;
    const held = now - this.#since;
    // Half: of events that together take `slowAfter`, one at the most has taken more than half.
    if (2 * held >= this.#slowAfter) {
      this.#kinds[SUSPECT_KIND] = this.#kinds[KIND]!;
      this.#sequences[SUSPECT] = sequence;
    }
    if (held < this.#due) return;
    while (this.#due <= held) this.#due *= ESCALATION;
    if (now < this.#quietUntil) {
      this.#suppressed++;
      return;
    }
    const index = this.#kinds[KIND]!;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    this.#quietUntil = now + this.#reportsEvery;
    this.#tell({ kind: this.#names[index] ?? `#${index}`, sequence, milliseconds: held, suppressed });
  }
}

/** The report, as the console shows it. */
export function describeBlocked({ kind, sequence, milliseconds, suppressed }: BlockedReport): string {
  const others = suppressed > 0 ? `; ${suppressed} more were not told of` : "";
  return `tidemark: the handler of ${JSON.stringify(kind)} (event ${sequence}) has held the loop for ${Math.floor(milliseconds)} ms, and still does${others}`;
}

/**
 * The worker's program, but for what differs between platforms.
 *
 * @param print writes a line where it is seen while the loop's thread is blocked
 * @param ready tells the loop's thread that the watch has begun
 * @returns what is to be called with each message
 */
export function serveSentinel(print: (line: string) => void, ready: () => void): (message: unknown) => void {
  let sentinel: Sentinel | undefined;
  return (message) => {
    if (sentinel !== undefined) {
      sentinel.learn(message as KindName);
      return;
    }
    const orders = message as SentinelOrders;
    const { port, slowAfter } = orders;
    const watch = new Sentinel(orders, (report) => {
      if (port === undefined) print(describeBlocked(report));
      else port.postMessage(report);
    });
    sentinel = watch;
    setInterval(() => watch.look(performance.now()), lookEvery(slowAfter));
    ready();
  };
}

/** Milliseconds between two looks: four in `slowAfter`, so that what takes that long has been seen by its end. */
function lookEvery(slowAfter: number): number {
  return Math.max(1, Math.min(100, Math.floor(slowAfter / 4)));
}
