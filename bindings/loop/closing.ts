import { Deferred } from "./deferred.js";
import type { CloseReport } from "./loop.js";

/** A close under way: asked for, or begun by the error that stopped the loop. */
export class Closing {
  readonly done = new Deferred<CloseReport>();
  /** Whether what is queued is dropped rather than handled. */
  readonly discard: boolean;
  /** Whether `close()` was called; a stop that nobody has asked for waits without a deadline, and tells nobody. */
  requested = false;
  cancelDeadline: (() => void) | undefined;
  /** Whether those in flight are still to be told that nobody waits for what they do. */
  abortsFlights: boolean;
  /** Fibers that were ready when there was no event left, and have not been resumed since; undefined until then. */
  lastResumptions: number | undefined;

  constructor(discard: boolean) {
    this.discard = discard;
    this.abortsFlights = discard;
  }
}
