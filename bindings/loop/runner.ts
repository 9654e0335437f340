import { assertOptions, describe, type NamesOf } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { Deferred } from "./deferred.js";
import type { RunOptions } from "./loop.js";

const RUN_OPTIONS: NamesOf<RunOptions> = { signal: true };

/** Whoever runs a loop, and until when. */
export class Runner {
  readonly until: "closed" | "idle";
  readonly done = new Deferred<void>();
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: (() => void) | undefined;

  /** @param onAbort called with the reason if the signal is aborted before {@link forgetSignal} */
  constructor(until: "closed" | "idle", signal: AbortSignal | undefined, onAbort: (reason: unknown) => void) {
    this.until = until;
    this.#signal = signal;
    if (signal === undefined) return;
    this.#onAbort = () => onAbort(signal.reason);
    signal.addEventListener("abort", this.#onAbort);
  }

  /** Takes the listener from the caller's signal. */
  forgetSignal(): void {
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** The signal among a run's options, checked. */
export function signalOf(options: RunOptions): AbortSignal | undefined {
  assertOptions("the options argument of run", options, RUN_OPTIONS);
  const { signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidArgumentError(`signal must be an AbortSignal, but is ${describe(signal)}`);
  }
  return signal;
}
