import type { Context } from "./context.js";

/** Whom a flight tells that its promise has settled. */
export interface Tower {
  land(flight: Flight): void;
  crash(flight: Flight, error: unknown): void;
}

/**
 * An asynchronous event between its handler's return and its promise's settling.
 *
 * Flights are used again: the two callbacks are made once, and the promise calls exactly one of them, exactly once, so
 * that none can reach a flight that has taken off again.
 */
export class Flight {
  context: Context | undefined;
  payload: unknown;

  readonly landed: () => void;
  readonly crashed: (error: unknown) => void;

  constructor(tower: Tower) {
    this.landed = () => tower.land(this);
    this.crashed = (error) => tower.crash(this, error);
  }
}
