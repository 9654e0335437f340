import type { Context } from "./context.js";
import { Flight, type Tower } from "./flight.js";

/**
 * The flights of a loop, in one array: those that are waited for, and behind them such as have landed, for the next to take off.
 * The one that landed last is the next, as what it has lies in the caches still. Taking off and landing are O(1), and make no
 * garbage once as many have been in flight at once as ever will: an array that shrinks would.
 */
export class Flights {
  /** Those that have not landed, and are waited for. */
  inFlight = 0;
  highWater = 0;
  /** How many more may take off. None or less once that has been halted. */
  openings: number;
  private readonly tower: Tower;
  private readonly newContext: () => Context;
  private readonly all: Flight[] = [];
  /** Behind all that have been prepared since {@link forEachPrepared}. */
  private preparedEnd = 0;

  constructor(limit: number, tower: Tower, newContext: () => Context) {
    this.openings = limit;
    this.tower = tower;
    this.newContext = newContext;
  }

  /** The flight of the next event, whether that will take off or not. */
  prepare(): Flight {
    const { all, inFlight } = this;
    if (inFlight >= this.preparedEnd) this.preparedEnd = inFlight + 1;
    return inFlight < all.length ? all[inFlight]! : this.build();
  }

  /** Those in flight, as they are now. */
  get waitedFor(): Flight[] {
    return this.all.slice(0, this.inFlight);
  }

  /** @param flight as it was prepared when its event began; others may have landed since */
  takeOff(flight: Flight): void {
    const index = this.inFlight++;
    if (flight.index !== index) this.exchange(flight, index);
    flight.airborne = true;
    this.openings--;
    if (index >= this.highWater) this.highWater = index + 1;
  }

  /** A flight is not in flight any more. */
  land(flight: Flight): void {
    const index = --this.inFlight;
    if (flight.index !== index) this.exchange(flight, index);
    flight.airborne = false;
    this.openings++;
  }

  /** A flight is not waited for any more. It stays in the air, and is nobody's next. */
  leave(flight: Flight): void {
    this.land(flight);
    this.exchange(flight, this.all.length - 1);
    this.all.pop();
    flight.airborne = true;
    flight.abandoned = true;
  }

  /** None takes off from here on. */
  halt(): void {
    this.openings = -this.inFlight;
  }

  /**
   * Calls it with the context of each that has landed, or has not taken off, since this was called last. What it calls may have
   * others land, or leave: from the end, it meets each that is still there.
   */
  forEachPrepared(call: (context: Context) => void): void {
    const { all } = this;
    let index = Math.min(this.preparedEnd, all.length);
    this.preparedEnd = 0;
    while (--index >= this.inFlight) if (index < all.length) call(all[index]!.context);
  }

  private build(): Flight {
    const flight = new Flight(this.tower, this.all.length, this.newContext());
    this.all.push(flight);
    return flight;
  }

  private exchange(flight: Flight, index: number): void {
    const { all } = this;
    const other = all[index]!;
    all[flight.index] = other;
    other.index = flight.index;
    all[index] = flight;
    flight.index = index;
  }
}
