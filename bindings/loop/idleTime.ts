import { DestroyHookError } from "../errors.js";
import type { Collector } from "../memory/collector.js";

/**
 * What the runtime's heaps get of the time in which a loop has no event to handle: a turn, one after another, in each of
 * which one of them does one step. So whatever comes in the meantime waits for one step at the most.
 *
 * It is over when each of them has said in turn that there is nothing more to do, and begins anew after the next event.
 */
export class IdleTime {
  /** Turns in which a heap was given a step. */
  turns = 0;

  readonly #collectors: ReadonlySet<Collector>;
  /** The order in which they are asked; a set's iterator sees who comes and goes meanwhile. */
  #round: Iterator<Collector>;
  /** How many in a row, since the last event, had nothing more to do. */
  #quiet = 0;

  constructor(collectors: ReadonlySet<Collector>) {
    this.#collectors = collectors;
    this.#round = collectors.values();
  }

  /** Whether there may be something to do. */
  get wanted(): boolean {
    return this.#quiet < this.#collectors.size;
  }

  /** An event has ended, or is about to begin: there may be something to do again. */
  renew(): void {
    this.#quiet = 0;
  }

  /**
   * Gives the next heap one step.
   *
   * @throws what the heap throws. It is asked again in this idle time only if that came from a destroy hook: then the step
   *   was done, and of what is left there is less; another failure may well be the same each time
   */
  step(): void {
    const collector = this.#next();
    if (collector === undefined) return;
    this.turns++;
    let hasMore = false;
    try {
      hasMore = collector.$idle();
    } catch (error) {
      hasMore = error instanceof DestroyHookError;
      throw error;
    } finally {
      this.#quiet = hasMore ? 0 : this.#quiet + 1;
    }
  }

  #next(): Collector | undefined {
    const next = this.#round.next();
    if (!next.done) return next.value;
    this.#round = this.#collectors.values();
    return this.#round.next().value;
  }
}
