import type { Context } from "./context.js";
import type { FiberTask } from "./fiber.js";
import type { TimerId } from "./timers.js";

/** Whom a flight tells that its promise has settled, or its fiber has ended, and that it takes too long. */
export interface Tower {
  /** @param cancelled whether it is a fiber that has been cancelled */
  land(flight: Flight, cancelled: boolean): void;
  crash(flight: Flight, error: unknown): void;
  /** The deadline of its kind has passed. */
  overdue(flight: Flight): void;
  /** It has been in flight for as long as the loop waits. */
  giveUp(flight: Flight): void;
}

/**
 * What an event has: its context, and what it takes to wait for it, should it be asynchronous.
 *
 *   idle ──take-off──▶ airborne ──the promise settles, the fiber ends──▶ idle
 *                         └──given up──▶ abandoned ──settles──▶ gone
 *
 * Flights are used again: the callbacks are made once, and the promise or the fiber calls exactly one of the first two, exactly
 * once, so that none can reach a flight that has taken off again.
 */
export class Flight {
  /** Its place among the flights. */
  index: number;
  /** That of the event that it is in the air for; of the next, when it is idle. */
  context: Context;
  payload: unknown = undefined;
  /** The fiber, if it is one, until it ends. */
  task: FiberTask | undefined = undefined;
  /** Whether its event has become asynchronous, and has not ended. */
  airborne = false;
  /** Whether nobody waits for it any more: it still has its region, and nobody else gets that. */
  abandoned = false;
  /** The turn of take-off, for promises without a time limit that have not been abandoned; else 0. */
  turn = 0;
  deadline: TimerId | undefined = undefined;
  limit: TimerId | undefined = undefined;

  readonly landed: (value?: unknown, cancelled?: boolean) => void;
  readonly crashed: (error: unknown) => void;
  readonly overdue: () => void;
  readonly givenUp: () => void;

  constructor(tower: Tower, index: number, context: Context) {
    this.index = index;
    this.context = context;
    this.landed = (_value, cancelled) => tower.land(this, cancelled === true);
    this.crashed = (error) => tower.crash(this, error);
    this.overdue = () => tower.overdue(this);
    this.givenUp = () => tower.giveUp(this);
  }
}
