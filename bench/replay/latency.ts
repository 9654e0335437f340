import type { Observer } from "./subject.js";

/** Time as the open loop and the probe need it; tests inject their own. */
export interface Clock {
  /**
   * Writes the nanoseconds since some fixed moment to `times[index]`. It writes, as a returned double would be boxed:
   * `performance.now()` leaves 16 bytes of garbage a call, a collection each 65,000 messages.
   */
  stamp(times: Float64Array, index: number): void;

  /** Waits until about `nanoseconds`, rather too short than too long: the caller looks at the clock again. */
  waitUntil(nanoseconds: number): void | Promise<void>;
}

/** Timers fire up to about 1 ms late, so the last stretch is spun. */
const SPIN_MILLIS = 3;

/** The host's timers hold no more milliseconds, and fire at once if they are asked for more. */
const TIMER_LIMIT_MILLIS = 2 ** 31 - 1;

/** How long the host's loop may be kept from its turn while there is time to wait anyway. */
const HOST_TURN_NANOS = 50e6;

const TWO_TO_32 = 4294967296;

/** The machine's monotonic clock, without garbage: the stamp goes from the call into a typed array as 64 bits. */
export class MonotonicClock implements Clock {
  readonly #stamp = new BigUint64Array(1);
  /** The same 64 bits as two little-endian words, which are read as numbers. */
  readonly #words = new Uint32Array(this.#stamp.buffer);
  readonly #now = new Float64Array(1);
  #hostTurn = 0;

  stamp(times: Float64Array, index: number): void {
    this.#stamp[0] = process.hrtime.bigint();
    // Exact: nanoseconds since the machine's start stay below 2^53 for 104 days; then they round to 2 ns.
    times[index] = this.#words[1]! * TWO_TO_32 + this.#words[0]!;
  }

  waitUntil(nanoseconds: number): void | Promise<void> {
    this.stamp(this.#now, 0);
    const millis = (nanoseconds - this.#now[0]!) / 1e6;
    if (millis > SPIN_MILLIS) {
      const delay = Math.min(millis - SPIN_MILLIS + 1, TIMER_LIMIT_MILLIS);
      return new Promise((resolve) => setTimeout(resolve, delay));
    }
    if (this.#now[0]! - this.#hostTurn > HOST_TURN_NANOS) {
      this.#hostTurn = this.#now[0]!;
      return new Promise((resolve) => setImmediate(resolve));
    }
    while (this.#now[0]! < nanoseconds) this.stamp(this.#now, 0);
  }
}

/** Latency in microseconds, by nearest rank over all measured messages: no interpolation, no buckets. */
export interface LatencyMicros {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly p9999: number;
  readonly max: number;
}

/**
 * Records one latency a message, exactly and without garbage.
 *
 * As fast as it goes, a message's clock starts when the one before it is done with. In the open loop it starts at the
 * intended arrival, whether or not the subject was free then: a stall is charged to every message behind it, not only to
 * the one it hit (what Gil Tene calls correcting coordinated omission).
 */
export class LatencyProbe implements Observer {
  readonly #clock: Clock;
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  readonly #capacity: number;
  #count = 0;
  #interval = 0;
  #origin = 0;

  /** `capacity` is the number of messages that will be recorded; more are not. */
  constructor(clock: Clock, capacity: number) {
    this.#clock = clock;
    this.#capacity = capacity;
    // One more: each end is also the start of the message behind it.
    this.#starts = new Float64Array(capacity + 1);
    this.#ends = new Float64Array(capacity + 1);
  }

  get count(): number {
    return this.#count;
  }

  /** From now on message `n` is intended to arrive at `origin + n × interval` nanoseconds. */
  openLoop(origin: number, interval: number): void {
    this.#origin = origin;
    this.#interval = interval;
  }

  begin(): void {
    this.#clock.stamp(this.#starts, this.#count);
  }

  end(line: number): void {
    const index = this.#count;
    if (index === this.#capacity) return;
    this.#clock.stamp(this.#ends, index);
    this.#starts[index + 1] = this.#ends[index]!;
    if (this.#interval > 0) this.#starts[index] = this.#origin + line * this.#interval;
    this.#count = index + 1;
  }

  /** A message that has arrived at `start`, in nanoseconds of the clock, is done with. */
  endSince(start: number): void {
    const index = this.#count;
    if (index === this.#capacity) return;
    this.#clock.stamp(this.#ends, index);
    this.#starts[index] = start;
    this.#count = index + 1;
  }

  /** Sorts the samples taken so far: O(n log n). All zero where there are none. */
  summary(): LatencyMicros {
    const samples = new Float64Array(this.#count);
    for (let index = 0; index < samples.length; index++) samples[index] = this.#ends[index]! - this.#starts[index]!;
    samples.sort();
    const at = (share: number) => (nearestRank(samples, share) ?? 0) / 1000;
    return { p50: at(0.5), p99: at(0.99), p999: at(0.999), p9999: at(0.9999), max: at(1) };
  }
}

/**
 * The smallest of the ascending `sorted` that at least `share` of them do not exceed: a latency that some message had.
 * The quantiles of `simple-statistics` lie between two of them where the rank is a whole number.
 */
export function nearestRank(sorted: Float64Array, share: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
