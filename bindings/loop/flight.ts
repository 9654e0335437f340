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
 * An asynchronous event between its handler's return and its settling: a promise, or a fiber.
 *
 *   idle ──depart──▶ in flight ──settles──▶ idle
 *                        └──given up──▶ abandoned ──settles──▶ idle
 *
 * Flights are used again: the callbacks are made once, and the promise or the fiber calls exactly one of the first two, exactly
 * once, so that none can reach a flight that has taken off again.
 */
export class Flight {
  context: Context | undefined;
  payload: unknown;
  /** The fiber, if it is one, until it ends. */
  task: FiberTask | undefined;
  /** Its place among the dispatcher's flights. */
  index = 0;
  /** The context of the last fiber, when it has landed: for another to come. */
  spare: Context | undefined;
  /** Whether nobody waits for it any more: it still has its region, and nobody else gets that. */
  abandoned = false;
  deadline: TimerId | undefined;
  limit: TimerId | undefined;

  readonly landed: (value?: unknown, cancelled?: boolean) => void;
  readonly crashed: (error: unknown) => void;
  readonly overdue: () => void;
  readonly givenUp: () => void;

  constructor(tower: Tower) {
    this.landed = (_value, cancelled) => tower.land(this, cancelled === true);
    this.crashed = (error) => tower.crash(this, error);
    this.overdue = () => tower.overdue(this);
    this.givenUp = () => tower.giveUp(this);
  }
}
