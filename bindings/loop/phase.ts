import { LoopClosedError } from "../errors.js";

/** The error that stopped a loop, and whether somebody has been told: a run, or whoever posted. */
export interface Failure {
  readonly error: unknown;
  readonly told: boolean;
}

/**
 * The phase that a loop is in, and what it throws because of that.
 *
 *   open ──close()──▶ closing ──nothing queued, nothing in flight, or the deadline──▶ closed
 *     └────error────────▲
 */
export class Phase {
  name: "open" | "closing" | "closed" = "open";
  /** Set with the error that stopped the loop. */
  failure: Failure | undefined;
  /**
   * What the loop has thrown because it closes. A timer or a fiber that goes on posting until it is cancelled has not failed by
   * that. An event has, but does not stop the loop, which would drop what it drains.
   */
  readonly #refusals = new WeakSet<object>();

  /** What still begins something new. @throws {LoopClosedError} */
  assertOpen(consequence: string): void {
    if (this.name !== "open") throw this.closedError(consequence);
  }

  /** What events in flight need is there until the last of them has settled. @throws {LoopClosedError} */
  assertAlive(consequence: string): void {
    if (this.name === "closed") throw this.closedError(consequence);
  }

  /**
   * The error of what cannot be done any more, with the one that stopped the loop as its cause; `consequence` follows "the loop …
   * and".
   */
  closedError(consequence: string): LoopClosedError {
    const state = this.failure === undefined ? `is ${this.name}` : "has been stopped by an error";
    const error = new LoopClosedError(`the loop ${state} and ${consequence}`, { cause: this.failure?.error });
    this.#refusals.add(error);
    return error;
  }

  /** Whether that is what {@link closedError} has made. */
  isRefusal(error: unknown): boolean {
    return this.#refusals.has(error as object);
  }
}
