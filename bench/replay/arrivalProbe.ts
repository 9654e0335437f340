import { type Clock, type LatencyMicros, LatencyProbe } from "./latency.js";

/** Messages that may have arrived and not be done with: a power of two, above what a ring has entries for. */
const WINDOW = 2 ** 17;

/** Measures, of messages that are handled in the order of their arrival, the time from there to their end. */
export class ArrivalProbe {
  readonly #clock: Clock;
  readonly #arrivals = new Float64Array(WINDOW);
  readonly #probe: LatencyProbe;
  /** When the first message arrived, and when the last one was done with. */
  readonly #span = new Float64Array(2);
  #arrived = 0;
  #ended = 0;

  /** `capacity` is the number of messages that are measured; later ones are not. */
  constructor(clock: Clock, capacity: number) {
    this.#clock = clock;
    this.#probe = new LatencyProbe(clock, capacity);
  }

  /** A message has arrived. */
  arrive(): void {
    if (this.#arrived === 0) this.#clock.stamp(this.#span, 0);
    this.#clock.stamp(this.#arrivals, this.#arrived++ & (WINDOW - 1));
  }

  /** The oldest that has arrived is done with. */
  end(): void {
    this.#clock.stamp(this.#span, 1);
    this.#probe.endSince(this.#arrivals[this.#ended++ & (WINDOW - 1)]!);
  }

  /** Whatever has arrived and is not done with will never be. */
  forget(): void {
    this.#ended = this.#arrived;
  }

  /** From the first message's arrival to the last one's end; at least a microsecond. */
  get seconds(): number {
    return Math.max(this.#span[1]! - this.#span[0]!, 1000) / 1e9;
  }

  summary(): LatencyMicros {
    return this.#probe.summary();
  }
}
