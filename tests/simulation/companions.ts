import type { Baton, Fiber, Timer } from "tidemark";

/** A promise that the driver settles. */
export class Gate {
  isOpen = false;
  readonly promise: Promise<void>;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  open(): void {
    this.isOpen = true;
    this.#resolve();
  }

  fail(error: unknown): void {
    this.isOpen = true;
    this.#reject(error);
  }
}

/** What has become of a promise that the loop has handed out. Its rejection is nobody else's to handle. */
export class Outcome {
  state: "pending" | "resolved" | "rejected" = "pending";
  value: unknown;

  constructor(
    readonly name: string,
    promise: PromiseLike<unknown>,
  ) {
    promise.then(
      (value) => this.#settle("resolved", value),
      (error) => this.#settle("rejected", error),
    );
  }

  #settle(state: "resolved" | "rejected", value: unknown): void {
    this.state = state;
    this.value = value;
  }
}

/** A fiber that the scenario has spawned. */
export interface FiberRecord {
  readonly id: number;
  fiber: Fiber | undefined;
  begun: boolean;
  /** How often its `finally` block has run. */
  ends: number;
}

/** A timer of the loop. */
export interface TimerRecord {
  readonly id: number;
  timer: Timer | undefined;
  readonly periodic: boolean;
  /** By the host's clock, at the earliest. */
  due: number;
  /** And at the latest, but for what the clock and the host make of it. */
  latest: number;
  /** In which stretch of the driver it was armed: what is armed while timers fire waits for the next. */
  armedIn: number;
  state: "armed" | "fired" | "cancelled";
}

/** Whom several wait for, one at a time. */
export interface BatonRecord {
  readonly id: number;
  readonly baton: Baton;
}

/** What handlers, fibers and timers throw on purpose. */
export class Sabotage extends Error {
  /** How often the loop's `onError` was told. */
  told = 0;

  /** @param isTold whether it must be told: it is an event's or a timer's, which nobody else can hear of */
  constructor(
    readonly what: string,
    readonly isTold: boolean,
    cause?: unknown,
  ) {
    super(what, { cause });
  }
}
