import type { Operation } from "./line.js";
import { platformTimers, type Registration, type Waiter, type WaitTimers } from "./waiting.js";

/**
 * What iterates over a channel. Not an async generator: one that waits takes note of a `return` only when its value has come, and
 * that would be lost. Here leaving takes all that wait out of the line.
 *
 * Each `next()` is a receiver of its own from the call on, so those of one iterator get their values in the order of the calls.
 */
export class ChannelIterator<Value> implements AsyncIterableIterator<Value>, AsyncDisposable {
  readonly #receive: () => Operation<Value | undefined>;
  /** The calls of `next()` that stand in the line, by who waits for them. */
  readonly #waiting = new Map<Receiver<Value>, Registration>();
  #isLeft = false;

  /** @param receive what to do for each value; gives `undefined` when there will be no more */
  constructor(receive: () => Operation<Value | undefined>) {
    this.#receive = receive;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Value, undefined>> {
    if (this.#isLeft) return Promise.resolve(resultOf<Value>(undefined));
    return new Promise<Value | undefined>((resolve, reject) => {
      const receiver = new Receiver<Value>(resolve, reject, this.#waiting);
      const registration = this.#receive().$begin(receiver);
      if (registration !== undefined) this.#waiting.set(receiver, registration);
    }).then(resultOf);
  }

  /** Leaves: calls of `next()` that wait give the end. What has been sent to them already is theirs. */
  async return(value?: unknown): Promise<IteratorResult<Value, unknown>> {
    this.#leave();
    return { done: true, value: await value };
  }

  /** As {@link return}, and rejects with `error`. */
  async throw(error?: unknown): Promise<never> {
    this.#leave();
    throw error;
  }

  /** As {@link return}. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave();
  }

  #leave(): void {
    this.#isLeft = true;
    for (const [receiver, registration] of this.#waiting) {
      registration.$withdraw(receiver);
      receiver.$resume(undefined);
    }
  }
}

/** One call of `next()`. */
class Receiver<Value> implements Waiter {
  constructor(
    private readonly resolve: (value: Value | undefined) => void,
    private readonly reject: (error: unknown) => void,
    private readonly waiting: Map<Receiver<Value>, Registration>,
  ) {}

  get $timers(): WaitTimers {
    return platformTimers();
  }

  $resume(value: unknown): void {
    this.waiting.delete(this);
    this.resolve(value as Value | undefined);
  }

  $fail(error: unknown): void {
    this.waiting.delete(this);
    this.reject(error);
  }
}

function resultOf<Value>(value: Value | undefined): IteratorResult<Value, undefined> {
  return value === undefined ? { done: true, value: undefined } : { done: false, value };
}
