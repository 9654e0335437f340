import type { Host } from "./host.js";
import { TICK_LIMIT } from "./timingWheel.js";

/**
 * A reading of the clock costs as much as arming and cancelling. So where this many in one stretch of code have followed
 * one another closely, up to 31 arms borrow each reading.
 */
const CLOSE_READINGS = 64;
const BORROWERS = 31;

/** Readings follow one another closely if no more milliseconds lie between them. By so much a timer can be early. */
const CLOSE = 0.05;

/**
 * The clock of timers: milliseconds since they were made, which never go backwards.
 *
 * An arm either reads it or borrows the last reading. Who has borrowed it is noted, by slot and generation, and put off if it turns
 * out to have been made long before. Times have fractions, and stay in fields: see `TimerOwner`.
 */
export class TimersClock {
  /** The latest time that is known. */
  time = 0.5; // no whole number, so that engines have room for a fraction from the beginning
  /** Whether whoever is arming now has borrowed the last reading: {@link note} the timer. */
  isLent = false;
  readonly #host: Pick<Host, "now">;
  /** What the host's clock showed when the timers were made. */
  readonly origin: number;
  readonly #putOff: (slot: number, generation: number, ticks: number) => void;
  /** The last reading for an arm, how many in a row were close to the one before, and how many may borrow it. */
  #readAt = 0.5;
  #closeReadings = 0;
  #freshFor = 0;
  /** Who has borrowed it: slots and generations. */
  readonly #borrowed = new Int32Array(2 * BORROWERS);
  #borrowers = 0;

  /** @param putOff is told of timers that would be early otherwise, and by how many whole milliseconds */
  constructor(host: Pick<Host, "now">, putOff: (slot: number, generation: number, ticks: number) => void) {
    this.#host = host;
    this.#putOff = putOff;
    this.origin = host.now();
    this.time = 0;
    this.#readAt = 0;
  }

  /** Lends the last reading to whoever arms now. False if the clock must be read. */
  lend(): boolean {
    if (this.#freshFor === 0) return false;
    this.#freshFor--;
    this.isLent = true;
    return true;
  }

  /** Reads the clock for an arm. */
  readForArm(): void {
    this.read();
    this.#repay();
    this.#closeReadings = this.time - this.#readAt <= CLOSE ? this.#closeReadings + 1 : 0;
    if (this.#closeReadings >= CLOSE_READINGS) this.#freshFor = BORROWERS;
    this.#readAt = this.time;
  }

  /** Notes the timer that has been armed by what was lent. */
  note(slot: number, generation: number): void {
    this.isLent = false;
    const index = 2 * this.#borrowers++;
    this.#borrowed[index] = slot;
    this.#borrowed[index + 1] = generation;
  }

  /** Reads the clock, for no arm. */
  read(): void {
    this.#pass(this.#host.now());
  }

  /** Takes a reading of the host's clock, which ends the borrowing of the one before. */
  take(now: number): void {
    this.#pass(now);
    this.#repay();
    this.#closeReadings = 0;
  }

  /** Ends the borrowing of the last reading: the stretch of code that has armed is over. */
  endStretch(): void {
    if (this.#borrowers > 0) this.read();
    this.#repay();
    this.#closeReadings = 0;
  }

  /** Forgets who has borrowed: all timers are gone. */
  clear(): void {
    this.#borrowers = 0;
  }

  #pass(now: number): void {
    const time = Math.min(now - this.origin, TICK_LIMIT);
    if (time > this.time) this.time = time;
  }

  #repay(): void {
    const count = this.#borrowers;
    this.#borrowers = 0;
    this.#freshFor = 0;
    this.isLent = false;
    if (count > 0 && this.time - this.#readAt > CLOSE) this.#putOffBorrowers(count);
  }

  #putOffBorrowers(count: number): void {
    const ticks = Math.ceil(this.time - this.#readAt - CLOSE);
    const borrowed = this.#borrowed;
    for (let index = 0; index < count; index++) {
      const slot = borrowed[2 * index]!;
      // One that was armed again is there twice.
      let later = index + 1;
      while (later < count && borrowed[2 * later] !== slot) later++;
      if (later < count) continue;
      this.#putOff(slot, borrowed[2 * index + 1]!, ticks);
    }
  }
}
