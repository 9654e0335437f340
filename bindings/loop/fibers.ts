import { assertFrameSize, type FramePool, type FrameSize } from "../allocators/framePool.js";
import { assertObject, checkFlag, checkInteger, describe } from "../arguments.js";
import { FiberStateError, InvalidArgumentError, LoopClosedError } from "../errors.js";
import { callBack, ignore, stray } from "./callback.js";
import { causedBy } from "./cause.js";
import {
  DYING,
  Fiber,
  type FiberBody,
  type FiberScheduler,
  type FiberState,
  FiberTask,
  NEW,
  READY,
  RUNNING,
  Settlement,
  TURN,
  WAITING,
} from "./fiber.js";
import { type FibersOptions, type FibersStats, fibersSettingsOf, type SpawnOptions } from "./fibersOptions.js";
import { isGeneratorFunction } from "./generatorFunction.js";
import type { Host } from "./host.js";
import { isThenable, whenSettled } from "./thenable.js";
import type { Waitable, WaitTimers } from "./waiting.js";

// Constants of this module's own: an imported one is read, and checked, through the other module each time.
const fresh = NEW;
const turn = TURN;
const ready = READY;
const running = RUNNING;
const waiting = WAITING;

/** Milliseconds of one turn on a host, and the most resumptions between two readings of the clock. */
const TURN_MILLISECONDS = 4;
const CLOCK_BATCH = 256;

/** More than can ever be resumed in one go, and a small integer in every engine. */
const NO_LIMIT = 2 ** 30 - 1;

/** Tasks and settlements that are kept for later, whatever has been the peak. */
const SPARES = 4096;

/** How often a cancelled fiber may yield, and be told that it must not, before it is given up. */
const REFUSALS = 16;

/**
 * Runs fibers: generator functions that wait by `yield`, on one thread, one at a time.
 *
 * Those that are ready stand in a line, and are resumed in the order in which they became so. A fiber runs until it yields or
 * ends; nothing else runs meanwhile, so what lies between two yields is atomic. Spawning, posting, resuming, cancelling and
 * ending only ever put a fiber into that line. `yield` alone puts it at the end.
 *
 * **Fibers are stackless.** Only the body itself can yield: a function that it calls cannot suspend it, unless it is a generator
 * function, too, and called by `yield*`; and each such level is passed through at each resumption, at the cost of another switch
 * or more. A library that calls back (`array.forEach`, a parser) cannot be yielded from. Stackful fibers would need an engine that
 * can put a whole stack aside: WebAssembly's stack switching, or its promise integration, which suspends wasm frames for
 * promises only. Native ones (`node-fibers`) are gone from the engines. What stackless ones cost otherwise: locals live in a
 * generator object of the JavaScript heap (some 130 bytes), which the garbage collector takes when the fiber has ended. What can
 * be linear memory is: the frame.
 *
 * Tidemark's own part makes no garbage: tasks are used again, and waits are. A fiber costs its generator, an object for the
 * handle unless it is `detached`, and an object for each `yield`, which engines make for every generator.
 */
export class Fibers implements FiberScheduler {
  readonly $timers: WaitTimers;
  readonly $frames: FramePool | undefined;
  readonly #host: Host;
  readonly #onError: FibersOptions["onError"];
  readonly #wake: (() => void) | undefined;
  readonly #debug: boolean;

  /** Those that are ready, linked; `#last` means nothing while `#first` is undefined. */
  #first: FiberTask | undefined;
  #last: FiberTask | undefined;
  /** Whether somebody will call `run()`, or is in it. */
  #awake = false;
  #running = false;
  #closed = false;

  /** The tasks of living fibers, `#live` of them, and behind them those that are kept for later. */
  readonly #tasks: FiberTask[] = [];
  #live = 0;
  #highWater = 0;
  readonly #settlements: Settlement[] = [];
  #returned = 0;
  #failed = 0;
  #cancelled = 0;
  #resumptions = 0;

  /** Use {@link createFibers}. */
  constructor(options: FibersOptions) {
    const { frames, host, timers, onError, wake, debug } = fibersSettingsOf(options);
    this.#host = host;
    this.$timers = timers;
    this.$frames = frames;
    this.#onError = onError;
    this.#wake = wake;
    this.#debug = debug;
  }

  /**
   * Makes a fiber. It is ready at once, and begins when its turn comes, never inside this call. O(1).
   *
   * If it fails, whoever has joined it by then gets the error, and `onError` if nobody has; who joins later gets it, too.
   *
   * @param body a generator function
   * @returns the fiber, to join or cancel; nothing, for a detached one
   * @throws {InvalidArgumentError} if the body is no generator function, or `frame` is not a size
   * @throws {FiberStateError} if a frame is wanted, and the scheduler has no frame pool
   * @throws {LoopClosedError} if the scheduler has been closed. The fiber itself fails, with what {@link FramePool.acquire} throws,
   * if there is no memory for its frame when it begins
   */
  spawn<Result>(
    body: FiberBody<Result>,
    options?: SpawnOptions & { readonly detached?: false | undefined },
  ): Fiber<Result>;
  spawn(body: FiberBody, options: SpawnOptions & { readonly detached: true }): undefined;
  spawn<Result>(body: FiberBody<Result>, options?: SpawnOptions): Fiber<Result> | undefined;
  spawn(body: FiberBody, options?: SpawnOptions): Fiber | undefined {
    if (this.#closed) throw new LoopClosedError("the fibers' scheduler is closed, and takes no fiber");
    if (!isGeneratorFunction(body)) refuseBody(body);
    if (options === undefined) return this.#spawn(body, undefined, false);
    assertObject("the options argument of spawn", options);
    const { frame, detached = false } = options;
    if (frame !== undefined) this.#checkFrame(frame);
    return this.#spawn(body, frame, checkFlag("detached", detached));
  }

  #spawn(body: FiberBody, frame: FrameSize | undefined, detached: boolean): Fiber | undefined {
    const task = this.#take();
    task.state = fresh;
    task.body = body;
    task.frameSize = frame;
    this.$enqueue(task);
    if (detached) return undefined;
    const fiber = new Fiber(task);
    task.fiber = fiber;
    return fiber;
  }

  /**
   * Runs a generator that has been made already, up to its first wait, before this returns, as calling an async function does.
   * One of the two is called once, when it has ended, maybe before this returns.
   *
   * @param owner what {@link $nextOwner} is to be for it
   * @returns the task, which must be forgotten when that has happened
   * @throws {LoopClosedError} if the scheduler has been closed
   * @throws {FiberStateError} if a fiber is running
   */
  $adopt(
    generator: Generator<unknown, unknown, unknown>,
    landed: (value: unknown, cancelled: boolean) => void,
    crashed: (error: unknown) => void,
    owner: unknown,
  ): FiberTask {
    if (this.#closed) throw new LoopClosedError("the fibers' scheduler is closed, and takes no fiber");
    this.#assertOutside();
    const task = this.#take();
    task.generator = generator;
    task.landed = landed;
    task.crashed = crashed;
    task.owner = owner;
    task.state = ready;
    this.#running = true;
    this.#resumptions++;
    this.#step(task);
    this.#running = false;
    return task;
  }

  /** Whose fiber is resumed next, if it has been adopted. */
  get $nextOwner(): unknown {
    return this.#first?.owner;
  }

  /** Whether a fiber is ready. */
  get hasReady(): boolean {
    return this.#first !== undefined;
  }

  /** How many fibers are ready. O(n) */
  $countReady(): number {
    let count = 0;
    for (let task = this.#first; task !== undefined; task = task.next) count++;
    return count;
  }

  /** How often a fiber has run, up to its next `yield` or its end. */
  get $resumptions(): number {
    return this.#resumptions;
  }

  /**
   * Resumes fibers, those too that become ready meanwhile, until none is ready or `limit` have been. Returns how many it was.
   *
   * @throws {InvalidArgumentError} if the limit is not a whole number
   * @throws {FiberStateError} if a fiber is running: nothing runs inside another
   *
   * @example
   * const driven = createFibers({ wake: () => setTimeout(drive, 0) });
   * function drive() {
   *   driven.run(100);
   *   if (driven.hasReady) setTimeout(drive, 0);
   * }
   */
  run(limit = NO_LIMIT): number {
    this.#assertOutside();
    if (limit !== NO_LIMIT) checkInteger("the limit of a run", limit, 0, NO_LIMIT);
    this.#running = true;
    this.#awake = true;
    let count = 0;
    for (; count < limit; count++) {
      const task = this.#first;
      if (task === undefined) break;
      this.#first = task.next;
      task.next = undefined;
      const { state } = task;
      if (state === ready || state === turn) this.#step(task);
      else this.#stepSlow(task);
    }
    this.#running = false;
    this.#awake = this.#first !== undefined;
    this.#resumptions += count;
    return count;
  }

  /** Resumes a task with a value, and sees to what it yields or how it ends. */
  #step(task: FiberTask): void {
    let step: IteratorResult<unknown, unknown>;
    task.state = running;
    try {
      step = task.generator!.next(task.value);
    } catch (error) {
      this.#end(task, "failed", error);
      return;
    }
    this.#follow(task, step);
  }

  #follow(task: FiberTask, step: IteratorResult<unknown, unknown>): void {
    if (step.done) {
      this.#end(task, "returned", step.value);
      return;
    }
    const awaited = step.value as Waitable | undefined;
    if (task.doomed) {
      this.#kill(task, awaited);
    } else if (awaited === undefined) {
      task.state = turn;
      task.value = undefined;
      this.$enqueue(task);
    } else {
      this.#wait(task, awaited);
    }
  }

  #wait(task: FiberTask, awaited: Waitable): void {
    task.state = waiting;
    try {
      if (awaited !== null && typeof awaited === "object" && typeof awaited.$begin === "function") {
        task.registration = awaited.$begin(task); // if it has resumed the task already, nobody will look
      } else {
        this.#waitForPromise(task, awaited);
      }
    } catch (error) {
      if (task.state === waiting) task.$fail(error); // the fiber gets it at the yield
    }
  }

  #waitForPromise(task: FiberTask, awaited: unknown): void {
    task.registration = undefined; // that of the wait before, as the `then` that is looked up may cancel the fiber
    const isPromise = isThenable(awaited);
    if (task.state !== waiting) return;
    if (!isPromise) {
      throw new InvalidArgumentError(
        `a fiber yields what it waits for (a wait, a promise, a fiber) or nothing, but yielded ${describe(awaited)}`,
      );
    }
    task.await(awaited, this.#settlements.pop() ?? new Settlement(this));
  }

  /** All that is not resuming with a value: the first run, an error, a cancel. */
  #stepSlow(task: FiberTask): void {
    if (task.state === fresh) this.#begin(task);
    else if (task.state === DYING) this.#kill(task);
    else this.#throw(task);
  }

  #begin(task: FiberTask): void {
    try {
      if (task.frameSize !== undefined) task.acquireFrame();
      task.generator = task.body!(task.context);
    } catch (error) {
      this.#end(task, "failed", error);
      return;
    }
    this.#step(task);
  }

  #throw(task: FiberTask): void {
    let step: IteratorResult<unknown, unknown>;
    task.state = running;
    try {
      step = task.generator!.throw(task.value);
    } catch (error) {
      this.#end(task, "failed", error);
      return;
    }
    this.#follow(task, step);
  }

  /** Ends a cancelled fiber: its `finally` blocks run now. A `yield` there is refused, so that this comes to an end. */
  #kill(task: FiberTask, awaited?: unknown): void {
    const { generator } = task;
    task.state = running;
    disown(awaited);
    if (generator === undefined) {
      this.#end(task, "cancelled", undefined); // before it has begun
      return;
    }
    let refusal: FiberStateError | undefined;
    try {
      let step = generator.return(undefined);
      for (let refusals = 0; !step.done; refusals++) {
        refusal = new FiberStateError(
          "a fiber that has been cancelled must not wait: it has only its finally blocks to run",
        );
        disown(step.value);
        if (refusals === REFUSALS) throw refusal;
        step = generator.throw(refusal);
      }
    } catch (error) {
      this.#end(task, "failed", error);
      return;
    }
    this.#end(task, "cancelled", undefined);
  }

  /** A fiber has ended: its frame goes back, its task is free, and then whoever has to know is told. */
  #end(task: FiberTask, state: FiberState, outcome: unknown): void {
    if (task.frame?.isHeld) {
      try {
        task.releaseFrame();
      } catch (fault) {
        outcome = state === "failed" ? causedBy(fault, outcome) : fault;
        state = "failed";
      }
    }
    const { fiber, landed, crashed } = task;
    this.#give(task);
    if (state === "returned") this.#returned++;
    else if (state === "failed") this.#failed++;
    else this.#cancelled++;

    if (landed !== undefined) {
      if (state === "failed") crashed!(outcome);
      else landed(outcome, state === "cancelled");
      fiber?.$end(state, outcome);
    } else if (fiber !== undefined) {
      if (!fiber.$end(state, outcome) && state === "failed") this.#report(outcome, fiber);
    } else if (state === "failed") {
      this.#reportDetached(outcome, task);
    }
  }

  #reportDetached(error: unknown, task: FiberTask): void {
    const fiber = new Fiber(task);
    fiber.$end("failed", error);
    this.#report(error, fiber);
  }

  #report(error: unknown, fiber: Fiber): void {
    const onError = this.#onError;
    if (onError === undefined) {
      stray(error);
      return;
    }
    callBack(
      () => onError(error, fiber),
      (fault) => stray(causedBy(fault, error)),
    );
  }

  $enqueue(task: FiberTask): void {
    if (this.#first === undefined) this.#first = task;
    else this.#last!.next = task;
    this.#last = task;
    if (!this.#awake) this.#wakeUp();
  }

  #wakeUp(): void {
    this.#awake = true;
    if (this.#wake !== undefined) this.#wake();
    else this.#host.hop(this.#turn);
  }

  /** One turn of a scheduler that drives itself: the host has its chance when the slice is used up. */
  readonly #turn = (): void => {
    if (this.#running || this.#first === undefined) return; // somebody has called `run()` in between
    const host = this.#host;
    const end = host.now() + TURN_MILLISECONDS;
    for (let batch = 1; ; batch = Math.min(2 * batch, CLOCK_BATCH)) {
      this.run(batch);
      if (this.#first === undefined) return;
      if (host.now() >= end) break;
    }
    host.hop(this.#turn);
  };

  $keep(settlement: Settlement): void {
    if (this.#settlements.length < SPARES) this.#settlements.push(settlement);
  }

  /**
   * Cancels all fibers and takes no more. Outside fibers, their `finally` blocks have run when this returns, unless one waits for
   * a mutex that is locked elsewhere; in a fiber, they run when it has yielded. A second call does nothing.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const task of this.#tasks.slice(0, this.#live)) task.cancel(); // its listeners may run fibers, which change places
    if (!this.#running) this.run();
  }

  /** As {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** A snapshot of the counts. */
  stats(): FibersStats {
    return {
      live: this.#live,
      highWater: this.#highWater,
      returned: this.#returned,
      failed: this.#failed,
      cancelled: this.#cancelled,
      resumptions: this.#resumptions,
    };
  }

  /** A task that is idle; it now counts as living. */
  #take(): FiberTask {
    const live = this.#live++;
    if (live === this.#highWater) this.#highWater = live + 1;
    const tasks = this.#tasks;
    if (live < tasks.length) return tasks[live]!;
    const task = new FiberTask(this);
    task.index = live;
    tasks.push(task);
    return task;
  }

  /** The task of a fiber that has ended changes places with the last of those that live. */
  #give(task: FiberTask): void {
    task.clear();
    const tasks = this.#tasks;
    const live = --this.#live;
    const { index } = task;
    if (index !== live) {
      const other = tasks[live]!;
      tasks[index] = other;
      other.index = index;
      tasks[live] = task;
      task.index = live;
    }
    if (this.#debug) tasks.splice(live, 1);
    else if (tasks.length > SPARES && tasks.length > 4 * live) tasks.pop();
  }

  #assertOutside(): void {
    if (this.#running) throw new FiberStateError("a fiber is running: nothing runs inside another");
  }

  #checkFrame(frame: FrameSize): void {
    assertFrameSize(frame);
    if (this.$frames === undefined) {
      throw new FiberStateError(`a ${frame} frame was asked for, but the scheduler was made without a frame pool`);
    }
  }
}

/**
 * Makes a scheduler of fibers, which runs by itself, or is driven by whoever gives `wake`.
 *
 * @throws {InvalidArgumentError} if an option is not what it must be
 *
 * @example
 * using fibers = createFibers({ frames: runtime.framePool() });
 * const done = new Baton();
 * const sum = fibers.spawn(function* ({ frame }) {
 *   yield done.wait();
 *   return frame.length;
 * }, { frame: "small" });
 * done.post();
 * console.log(await sum.join()); // 1024
 */
export function createFibers(options: FibersOptions = {}): Fibers {
  return new Fibers(options);
}

function refuseBody(body: unknown): never {
  throw new InvalidArgumentError(
    `spawn takes a generator function (function* () {…}), but was given ${describe(body)}${
      typeof body === "function" ? " that is not one" : ""
    }`,
  );
}

/** A fiber that has been cancelled does not wait any more: if it was for a promise, nobody else may know of its rejection. */
function disown(awaited: unknown): void {
  if (!(awaited instanceof Promise)) return;
  try {
    whenSettled(awaited, ignore, ignore);
  } catch {
    // a promise of the program's own kind that cannot be asked: then nobody is told anything
  }
}
