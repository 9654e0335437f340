import type { FramePool, FrameSize } from "../allocators/framePool.js";
import { FiberCancelledError, FiberStateError, InvalidArgumentError } from "../errors.js";
import type { Bytes } from "../layout/bytes.js";
import { Baton } from "./baton.js";
import { FiberFrame } from "./fiberFrame.js";
import { whenSettled } from "./thenable.js";
import { platformTimers, type Registration, type Waitable, type Waiter, Waiting, type WaitTimers } from "./waiting.js";

/**
 * What a fiber runs: a generator function. It yields what it waits for, and each `yield` gives what the wait gives: a wait of a
 * baton (or of what is built on batons), a sleep, a promise, another fiber; or nothing, to let others run.
 */
// biome-ignore lint/suspicious/noExplicitAny: what a yield gives depends on what is yielded, which a generator's type cannot say
export type FiberBody<Result = unknown> = (context: FiberContext) => Generator<unknown, Result, any>;

/** What becomes of a fiber. `"running"` is all before its end, whether it runs, waits, or has not begun. */
export type FiberState = "running" | "returned" | "failed" | "cancelled";

/** Who keeps the fibers in order, as their tasks see it. */
export interface FiberScheduler {
  readonly $timers: WaitTimers;
  readonly $frames: FramePool | undefined;
  /** Puts a task behind those that are ready; it is not among them. */
  $enqueue(task: FiberTask): void;
  /** Keeps what a promise's two callbacks need for the next promise. */
  $keep(settlement: Settlement): void;
}

// What hot code compares is no export: an exported constant lies in a cell, which is read each time.
const idle = 0;
const fresh = 1;
const turn = 2;
const ready = 3;
const waiting = 5;
const dying = 6;
const failing = 7;

/** No fiber has the task. */
export const IDLE = idle;
/** It is ready for its first run. */
export const NEW = fresh;
/** It is ready, having yielded nothing: there is nothing that a cancel could lose. */
export const TURN = turn;
/** It is ready, having been resumed with something. */
export const READY = ready;
export const RUNNING = 4;
export const WAITING = waiting;
/** It is ready to be ended by its cancel. */
export const DYING = dying;
/** It is ready, having been resumed with an error. */
export const FAILING = failing;

export type TaskState =
  | typeof IDLE
  | typeof NEW
  | typeof TURN
  | typeof READY
  | typeof RUNNING
  | typeof WAITING
  | typeof DYING
  | typeof FAILING;

/**
 * A fiber as its scheduler sees it. Tasks are used again, fiber after fiber; nobody outside has one.
 *
 *   IDLE ──▶ NEW ──▶ RUNNING ──yields nothing──▶ TURN ───────────────────▶ RUNNING …
 *                      │  ▲ └────waits──────────▶ WAITING ──▶ READY ─────▶ RUNNING …
 *                      ▼                            │
 *                     IDLE ◀── RUNNING ◀── DYING ◀──┴── cancelled (from NEW and TURN, too)
 *
 * What it waits for forgets it before it is resumed or withdrawn, so nothing can resume the fiber that comes after.
 */
export class FiberTask implements Waiter {
  readonly scheduler: FiberScheduler;
  readonly $timers: WaitTimers;
  readonly context: FiberContext;
  state: TaskState = idle;
  /** Whether it is to end at the next wait. */
  doomed = false;
  /** What it is resumed with. */
  value: unknown = undefined;
  generator: Generator<unknown, unknown, unknown> | undefined = undefined;
  body: FiberBody | undefined = undefined;
  /** The wait under way; meaningless unless WAITING. */
  registration: Registration | undefined = undefined;
  /** Behind it, among those that are ready. */
  next: FiberTask | undefined = undefined;
  /** Its place among the scheduler's tasks. */
  index = 0;

  fiber: Fiber | undefined = undefined;
  /** Told of the end in place of a fiber's joiners. */
  landed: ((value: unknown, cancelled: boolean) => void) | undefined = undefined;
  crashed: ((error: unknown) => void) | undefined = undefined;
  /** Whose fiber it is, for whoever has adopted it. */
  owner: unknown = undefined;

  frameSize: FrameSize | undefined = undefined;
  frame: FiberFrame | undefined = undefined;
  sleeper: Sleeper | undefined = undefined;
  controller: AbortController | undefined = undefined;

  constructor(scheduler: FiberScheduler) {
    this.scheduler = scheduler;
    this.$timers = scheduler.$timers;
    this.context = new FiberContext(this);
  }

  $resume(value: unknown): void {
    this.value = value;
    this.state = this.doomed ? dying : ready;
    this.scheduler.$enqueue(this);
  }

  $fail(error: unknown): void {
    this.value = error;
    this.state = failing;
    this.scheduler.$enqueue(this);
  }

  /** Waits for a promise. It cannot be told to forget the task, so something between the two can. */
  await(promise: PromiseLike<unknown>, settlement: Settlement): void {
    settlement.task = this;
    this.registration = settlement;
    whenSettled(promise, settlement.resolved, settlement.rejected);
  }

  /** Begins to cancel the fiber; it ends when its turn comes. Returns false if that has been done already. */
  cancel(): boolean {
    const { state } = this;
    if (this.doomed || state === idle) return false;
    this.doomed = true;
    if (state === fresh || state === turn) {
      this.state = dying;
    } else if (state === waiting) {
      const { registration } = this;
      // Otherwise it is resumed by what it waits for, and dies then. That may have happened inside the call.
      if (registration === undefined || registration.$withdraw(this)) {
        this.state = dying;
        this.scheduler.$enqueue(this);
      }
    }
    this.controller?.abort(new FiberCancelledError("the fiber has been cancelled"));
    return true;
  }

  acquireFrame(): void {
    const frames = this.scheduler.$frames!;
    this.frame ??= new FiberFrame(frames.$memory);
    frames.acquire(this.frameSize!, this.frame);
    this.frame.isHeld = true;
  }

  /** @throws what the pool throws, if it has been damaged; one that is gone has taken the frame along */
  releaseFrame(): void {
    const frames = this.scheduler.$frames!;
    this.frame!.isHeld = false;
    if (!frames.destroyed) frames.release(this.frame!);
  }

  /** Forgets the fiber. */
  clear(): void {
    this.state = idle;
    this.doomed = false;
    this.value = undefined;
    this.generator = undefined;
    this.body = undefined;
    this.registration = undefined;
    this.fiber = undefined;
    this.landed = undefined;
    this.crashed = undefined;
    this.owner = undefined;
    this.frameSize = undefined;
    this.controller = undefined;
  }
}

/** The two callbacks of a promise that a fiber waits for; used again when the promise has called one of them. */
export class Settlement implements Registration {
  task: FiberTask | undefined = undefined;
  readonly resolved: (value?: unknown) => void;
  readonly rejected: (error: unknown) => void;

  constructor(scheduler: FiberScheduler) {
    this.resolved = (value) => {
      const { task } = this;
      this.task = undefined;
      scheduler.$keep(this);
      task?.$resume(value);
    };
    this.rejected = (error) => {
      const { task } = this;
      this.task = undefined;
      scheduler.$keep(this);
      task?.$fail(error);
    };
  }

  $withdraw(): boolean {
    this.task = undefined;
    return true;
  }
}

/**
 * The baton of a task's sleeps. Nobody posts it, so it need not know who waits, and many can at once: promises of which sleeps are a
 * part may still wait when the fiber sleeps again, or when another has its task.
 */
class Sleeper extends Baton {
  override $begin(_waiter: Waiter): Registration {
    return this;
  }
}

/**
 * What a fiber's body is given: passed, never ambient.
 *
 * It serves its fiber until that ends, and afterwards another: do not keep it. In a scheduler with `debug`, each fiber has one of
 * its own, and one that was kept is always found out.
 *
 * @example
 * fibers.spawn(function* ({ frame, sleep }) {
 *   for (frame.set(0, 3); frame.get(0) > 0; frame.set(0, frame.get(0) - 1)) yield sleep(10);
 * }, { frame: "small" });
 */
export class FiberContext {
  readonly #task: FiberTask;

  /**
   * Yield it to wait for that long. May be taken out of the context, as its properties may: `({ sleep }) => …`. As a part of a
   * promise (`Promise.race([sleep(100), answer])`) it goes by the platform's clock, and outlasts the fiber's wait.
   *
   * @param milliseconds from 0 to 2^31 − 1
   * @throws {InvalidArgumentError} if it is out of range
   * @throws {FiberStateError} if the fiber has ended
   */
  readonly sleep = (milliseconds: number): Waiting<unknown> => {
    const task = this.live("sleep");
    task.sleeper ??= new Sleeper();
    return task.sleeper.wait(milliseconds);
  };

  constructor(task: FiberTask) {
    this.#task = task;
  }

  /**
   * The fiber's memory, cleared when it began, and given back when it ends: a fiber's locals that are no garbage.
   *
   * @throws {FiberStateError} if it was spawned without a frame, or has ended
   */
  get frame(): Bytes {
    const task = this.live("frame");
    if (!task.frame?.isHeld) throw new FiberStateError("the fiber was spawned without a frame");
    return task.frame;
  }

  /** The fiber itself, for others to join or cancel. Made when first read. @throws {FiberStateError} if it has ended */
  get fiber(): Fiber {
    const task = this.live("fiber");
    task.fiber ??= new Fiber(task);
    return task.fiber;
  }

  /** Aborted when the fiber is cancelled. Made when first read, as that costs microseconds. @throws {FiberStateError} */
  get signal(): AbortSignal {
    const task = this.live("signal");
    if (task.controller === undefined) {
      task.controller = new AbortController();
      if (task.doomed) task.controller.abort(new FiberCancelledError("the fiber has been cancelled"));
    }
    return task.controller.signal;
  }

  private live(what: string): FiberTask {
    const task = this.#task;
    if (task.state === idle) throw new FiberStateError(`${what}: the fiber of this context has ended`);
    return task;
  }
}

/**
 * A fiber, to join and to cancel. It is an object of its own for each fiber, so that one that has ended is always known as such.
 *
 * `yield fiber` in another fiber, and `await fiber.join()` elsewhere, waits for the end: it gives what the body has returned,
 * throws what it has thrown, or throws {@link FiberCancelledError}. Any number may join, before or after the end.
 *
 * @example
 * const fiber = fibers.spawn(function* () {
 *   yield ready.wait();
 *   return 42;
 * });
 * ready.post();
 * console.log(await fiber.join(), fiber.state); // 42 returned
 */
export class Fiber<Result = unknown> implements Waitable<Result>, Registration {
  declare readonly $value?: Result;
  // Nothing that the language hides: private fields and methods cost more to make than the rest of the object.
  /** Set until the end. */
  $task: FiberTask | undefined;
  $state: FiberState = "running";
  /** What was returned or thrown. */
  $outcome: unknown = undefined;
  /** The first who joins, and the others after it: mostly there are none. */
  $joiner: Waiter | undefined = undefined;
  $joiners: Set<Waiter> | undefined = undefined;

  /** Use `fibers.spawn()`. */
  constructor(task: FiberTask) {
    this.$task = task;
  }

  /** What has become of it. */
  get state(): FiberState {
    return this.$state;
  }

  /** What to await, outside fibers, for its end. Who awaits nothing is no joiner: then an error goes to `onError`. */
  join(): Waiting<Result> {
    return new Join(this);
  }

  /**
   * Ends the fiber: at the wait that it is in, at a fair turn, or before it has begun; and if it runs, or has been resumed by
   * something already, at its next wait. Its `finally` blocks run when its turn comes, and must not wait for anything: a
   * `yield` in them throws {@link FiberStateError}. If it returns before it waits again, it has returned.
   *
   * @returns false if it has ended, or has been cancelled before
   */
  cancel(): boolean {
    const task = this.$task;
    // That of a handle that is frozen may be another fiber's by now.
    return task?.fiber === this && task.cancel();
  }

  $begin(waiter: Waiter): Registration | undefined {
    if (this.$state !== "running") {
      tell(waiter, this.$state, this.$outcome);
      return undefined;
    }
    if (waiter === this.$task) throw new FiberStateError("a fiber cannot join itself: it would wait for ever");
    if (this.$task?.fiber !== this) throw frozenHandle(); // it has ended, and could not note that
    try {
      if (this.$joiner === undefined && this.$joiners === undefined) {
        this.$joiner = waiter;
      } else {
        this.$joiners ??= new Set();
        this.$joiners.add(waiter);
      }
    } catch (cause) {
      throw frozenHandle(cause);
    }
    return this;
  }

  $withdraw(waiter: Waiter): boolean {
    try {
      if (this.$joiner === waiter) this.$joiner = undefined;
      else this.$joiners?.delete(waiter);
    } catch {
      return false; // a program has frozen it: the waiter is told of the end
    }
    return true;
  }

  /** Tells those who have joined. Returns whether there was somebody. */
  $end(state: FiberState, outcome: unknown): boolean {
    const first = this.$joiner;
    const others = this.$joiners;
    try {
      this.$task = undefined;
      this.$state = state;
      this.$outcome = outcome;
      this.$joiner = undefined;
      this.$joiners = undefined;
    } catch {
      // A program has frozen it: those who had joined before are told all the same.
    }
    if (first !== undefined) tell(first, state, outcome);
    if (others !== undefined) for (const waiter of others) tell(waiter, state, outcome);
    return first !== undefined || (others !== undefined && others.size > 0);
  }
}

function frozenHandle(cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError("the fiber's handle is frozen, and cannot be joined any more", { cause });
}

/** Tells who joins what has become of a fiber that has ended. */
function tell(waiter: Waiter, state: FiberState, outcome: unknown): void {
  if (state === "returned") waiter.$resume(outcome);
  else if (state === "failed") waiter.$fail(outcome);
  else waiter.$fail(new FiberCancelledError("the fiber was cancelled"));
}

class Join<Result> extends Waiting<Result> {
  readonly #fiber: Fiber<Result>;

  constructor(fiber: Fiber<Result>) {
    super();
    this.#fiber = fiber;
  }

  $begin(waiter: Waiter): Registration | undefined {
    return this.#fiber.$begin(waiter);
  }

  protected override get asyncTimers(): WaitTimers {
    return platformTimers();
  }
}
