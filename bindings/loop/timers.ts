import { checkInteger, describe } from "../arguments.js";
import { CorruptionError, DisposedError, InvalidArgumentError, LimitExceededError, LoopStateError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { type Address, PAGE_SIZE, verifyConstants } from "../memory/module.js";
import type { Runtime } from "../runtime.js";
import { type Alarm, alarmOf } from "./alarm.js";
import { callBack, watchAnswer } from "./callback.js";
import { causedBy } from "./cause.js";
import type { Host } from "./host.js";
import {
  assertDelay,
  assertDrift,
  assertPeriod,
  assertTarget,
  PeriodicTimer,
  Timer,
  type TimerOwner,
  type TimerTarget,
} from "./timer.js";
import { TimerEntries, type TimerEntry } from "./timerEntries.js";
import { TimersClock } from "./timersClock.js";
import {
  assertPeriodicOptions,
  checkTimersOptions,
  type PayloadOptions,
  type PeriodicOptions,
  type TimersOptions,
  type TimersStatistics,
} from "./timersOptions.js";
import { SLOTS, VIOLATIONS, Wheel } from "./timingWheel.js";

/** What names a timer that `timers.arm()` has armed: a number, good for one firing and never used again. */
export type TimerId = number;

/** What a run fires at the most if it is not told. */
const RUN_LIMIT = 4096;
const COUNT_LIMIT = 2 ** 30;

/** Stops and timers that sink in one run at the most: less than half a millisecond. */
const RUN_WORK = 16_384;

/**
 * Timers in a hierarchical timing wheel in linear memory: any number of them, on one timer of the host.
 *
 * | operation | cost |
 * |---|---|
 * | `after`, `every`, `arm`, `restart`, `cancel` | O(1) |
 * | firing | O(1) a timer; it moves at most 7 times before that, ahead of its time |
 * | idle time, also of years | O(1): only what is due, or begins, is looked at |
 * | `nextDue` | O(1): at most some hundred steps |
 * | memory | 24 bytes a timer: 64 KiB at first, then 192 KiB for each 8,192; kept until {@link dispose} |
 * | JavaScript heap | a word a timer, for its target; kept likewise |
 *
 * Delays are in milliseconds, fractions welcome, from 0 to 2^47 − 1 (4,460 years). A timer is due at the first whole
 * millisecond of its timers' clock at which its delay has passed; those that are due at the same one fire in the order in
 * which they were armed. What is armed while timers fire waits for the next turn, with a delay of 0 too.
 *
 * The clock is read for each, but for more than 64 that one stretch of code arms in quick succession, of which up to 32
 * share a reading. If the process turns out to have been held up before the next one, they are put off by as long, so that
 * none is early by more than a twentieth of a millisecond.
 *
 * Without a loop they run themselves: the host's timer calls {@link run}. Armed timers keep the process alive unless all
 * are `unref`'d.
 *
 * @example
 * using timers = createTimers(runtime);
 * const hello = timers.after(100, () => console.log("hello"));
 * const tick = timers.every(16.7, (frame) => frame.draw(), { payload: frame, drift: "skip" });
 * timers.after(500, depth, message); // posts to a kind
 * hello.cancel();
 */
export class Timers implements TimerOwner {
  readonly $memory: LinearMemory;
  readonly #host: Host;
  readonly #onError: TimersOptions["onError"];
  readonly #onDue: TimersOptions["onDue"];
  readonly #alarm: Alarm;
  readonly #forgetMemory: () => void;
  /** Whether they are a loop's, which alone ends them. */
  readonly #isOwned: boolean;
  /** 0 once disposed. */
  #wheel: Address;
  readonly #entries = new TimerEntries();

  readonly $clock: TimersClock;
  /** The tick at which a run has something to do, when it was last looked for. */
  #wake = 0.5;
  /** Whether the present stretch of code has something to do at its end. */
  #isSettling = false;
  #isRunning = false;
  #isHopping = false;
  /** Armed timers that keep the process alive. */
  #holds = 0;
  #skipped = 0;
  #failed = 0;

  /** Use {@link createTimers}. @param isOwned whether a loop has them, and ends them by {@link $end} */
  constructor(memory: LinearMemory, options: TimersOptions = {}, isOwned = false) {
    memory.assertUsable("timers");
    verifyConstants(memory.exports, "WHEEL", Wheel);
    const { host, onError, onDue } = checkTimersOptions(options);
    this.$memory = memory;
    this.#isOwned = isOwned;
    this.#host = host;
    this.#onError = onError;
    this.#onDue = onDue;
    this.$clock = new TimersClock(host, (slot, generation, ticks) => {
      memory.exports.delayTimer(this.#wheel, slot, generation, ticks);
    });
    const wheel = memory.exports.createWheel() >>> 0;
    if (wheel === 0) throw memory.failure("making timers");
    this.#wheel = wheel;
    const { alarm, forget } = alarmOf(memory, host);
    this.#alarm = alarm;
    this.#forgetMemory = forget;
    memory.sites?.register(this, "timers", bytesOf(wheel));
  }

  /**
   * Arms a new timer.
   *
   * @param milliseconds from now, 0 to 2^47 − 1
   * @param target a function (no generator function: nothing would run it, and the timer has failed), or a kind, a baton, or anything
   *   else with a `post`
   * @param payload what it is called with, or what is posted; may be left out where the target takes `undefined`
   * @throws {InvalidArgumentError} if the delay is not a number of milliseconds, or the target not a target; as with all that
   *   follow, nothing has changed
   * @throws {OutOfMemoryError} or {SealedError} if there is no memory for it
   * @throws {LimitExceededError} if 8 million are armed
   * @throws {DisposedError} if the timers, or their runtime, have been disposed
   */
  after<Payload>(milliseconds: number, target: TimerTarget<Payload>, payload: Payload): Timer;
  after(milliseconds: number, target: TimerTarget<undefined>): Timer;
  after(milliseconds: number, target: TimerTarget<never>, payload?: unknown): Timer {
    assertDelay(milliseconds);
    assertTarget(target);
    this.$readClock("after");
    const timer = new Timer(this, milliseconds, target, payload);
    this.$armAfter(timer, milliseconds);
    return timer;
  }

  /**
   * Arms a new timer that fires after each period, until it is cancelled. For an example see {@link Timers}.
   *
   * @param milliseconds the period, fractions included, 1 to 2^47 − 1
   * @param options its `payload` may be left out where the target takes `undefined`
   * @throws as {@link after}
   */
  every<Payload>(milliseconds: number, target: TimerTarget<Payload>, options: PayloadOptions<Payload>): Timer;
  every(milliseconds: number, target: TimerTarget<undefined>, options?: PeriodicOptions<undefined>): Timer;
  every(milliseconds: number, target: TimerTarget<never>, options: PeriodicOptions<unknown> = {}): Timer {
    assertPeriod(milliseconds);
    assertTarget(target);
    assertPeriodicOptions(options);
    const { drift = "skip", payload } = options;
    assertDrift(drift);
    this.#open("every");
    const timer = new PeriodicTimer(this, milliseconds, target, payload, drift);
    timer.restart();
    return timer;
  }

  /**
   * As {@link after}, without a {@link Timer}: for great numbers of timers of which each is to take few bytes.
   *
   * @returns a number that names it: a double, which may lie in a `Float64Array` or a field of `f64`
   * @throws as {@link after}
   *
   * @example
   * const id = timers.arm(50, depth, message);
   * timers.cancel(id); // true; false once it has fired
   */
  arm<Payload>(milliseconds: number, target: TimerTarget<Payload>, payload: Payload): TimerId;
  arm(milliseconds: number, target: TimerTarget<undefined>): TimerId;
  arm(milliseconds: number, target: TimerTarget<never>, payload?: unknown): TimerId {
    assertDelay(milliseconds);
    assertTarget(target);
    this.$readClock("arm");
    const slot = this.#take(target, Math.ceil(this.$clock.time + milliseconds));
    if (payload !== undefined) this.#entries.keep(slot, payload);
    this.#holds++;
    const generation = this.$memory.i32[(this.#wheel + Wheel.GENERATION) >>> 2]!;
    if (this.$clock.isLent) this.$clock.note(slot, generation);
    return generation * SLOTS + slot;
  }

  /**
   * Cancels a timer, or the one that has the id which {@link arm} gave. Returns false if it has fired or been cancelled, or is
   * not one of these. O(1)
   */
  cancel(timer: TimerId | Timer): boolean {
    if (typeof timer === "number") return this.#cancelById(timer);
    return timer instanceof Timer && timer.$owner === this && timer.cancel();
  }

  #cancelById(id: TimerId): boolean {
    if (this.#wheel === 0 || !Number.isSafeInteger(id) || id < 0) return false;
    const generation = Math.floor(id / SLOTS);
    const slot = id - generation * SLOTS;
    // That of a `Timer` is no id, even if somebody has guessed the number.
    if (this.#entries.at(slot) instanceof Timer) return false;
    if (this.$memory.exports.cancelTimer(this.#wheel, slot, generation) === 0) return false;
    this.#entries.clear(slot);
    this.#letGo();
    return true;
  }

  /**
   * Fires what is due, in the order of due times, ties in arm order. What its callbacks arm is for the next run.
   *
   * @param now the host's clock, if it has just been read. A clock that goes backwards stands still
   * @param limit fires no more than this many, 1 to 2^30; 4,096 if not given
   * @returns true if more is due already: call it again, after others have had their turn
   * @throws {InvalidArgumentError} if the time is not a number, or has not come yet, or the limit is not a whole number
   * @throws {LoopStateError} inside a timer's callback
   * @throws {DisposedError} if the timers, or their runtime, have been disposed
   *
   * @example
   * let now = 0;
   * const byHand = createTimers(runtime, { host: { ...platformHost(), now: () => now } });
   * byHand.after(100, () => console.log("fired"));
   * now = 100;
   * byHand.run(); // fired
   */
  run(now?: number, limit: number = RUN_LIMIT): boolean {
    this.#open("run");
    const time = this.#host.now();
    if (limit !== RUN_LIMIT) checkInteger("the limit of a run", limit, 1, COUNT_LIMIT);
    if (now === undefined) return this.$run(time, limit);
    if (typeof now !== "number" || !(now <= time)) {
      throw new InvalidArgumentError(
        `run: the time must be one that the host's clock has shown, of now ${time} ms, but is ${describe(now)}`,
      );
    }
    return this.$run(now, limit);
  }

  /** As {@link run}, by whoever has just read the clock. */
  $run(now: number, limit: number): boolean {
    if (this.#isRunning) throw new LoopStateError("run: a timer's callback cannot run the timers that are calling it");
    this.$collect(now);
    return this.$fireCollected(now, limit);
  }

  /** Makes ready what is due by `now`, a reading of the clock: what is armed from here on is for whoever collects next. */
  $collect(now: number): void {
    const wheel = this.#open("run");
    this.$clock.take(now);
    this.$memory.exports.advanceWheel(wheel, Math.floor(this.$clock.time), RUN_WORK);
  }

  /** Fires up to `limit` of what has been collected. Returns true if more is due, collected or not. */
  $fireCollected(now: number, limit: number): boolean {
    const wheel = this.#open("run");
    const { exports } = this.$memory;
    this.$clock.take(now);
    this.#isRunning = true;
    for (let left = limit; left > 0 && !this.$disposed; left--) {
      const slot = exports.takeTimer(wheel) - 1;
      if (slot < 0) break;
      this.#fire(slot);
    }
    this.#isRunning = false;
    if (this.$disposed) return false;
    this.#look();
    return this.#schedule(true);
  }

  /**
   * When a run has something to do next, on the host's clock: when the next timer is due, or, where very many are due later
   * in one stretch of time, some time before that. Infinity if nothing is armed.
   */
  get nextDue(): number {
    this.#open("nextDue");
    this.#look();
    return this.$clock.origin + this.#wake;
  }

  /** How often a timer has fired. O(1) */
  get $fired(): number {
    return this.$memory.f64[(this.#open("stats") + Wheel.FIRED) >>> 3]!;
  }

  /** The figures of now. O(1) */
  stats(): TimersStatistics {
    const wheel = this.#open("stats");
    const { f64, u32 } = this.$memory;
    return {
      armed: u32[(wheel + Wheel.ARMED) >>> 2]!,
      highWater: u32[(wheel + Wheel.HIGH_WATER) >>> 2]!,
      arms: f64[(wheel + Wheel.ARMS) >>> 3]!,
      fired: f64[(wheel + Wheel.FIRED) >>> 3]!,
      cancelled: f64[(wheel + Wheel.CANCELLED) >>> 3]!,
      skipped: this.#skipped,
      failed: this.#failed,
      bytes: bytesOf(wheel)(this.$memory),
    };
  }

  /**
   * Checks every invariant of the wheel. O(n)
   *
   * @throws {CorruptionError} naming the first violation
   */
  validate(): void {
    const wheel = this.#open("validate");
    const violation = this.$memory.exports.validateWheel(wheel);
    if (violation !== 0) throw new CorruptionError(`the timing wheel at ${wheel} is corrupt: ${VIOLATIONS[violation]}`);
  }

  /**
   * Cancels all timers, lets go of the host's, and gives all memory back. A second call does nothing.
   *
   * @throws {LoopStateError} if they are a loop's, as long as that is not closed: it needs them for its own; nothing has changed
   */
  dispose(): void {
    if (this.#isOwned && !this.$disposed) {
      throw new LoopStateError("dispose: these timers are a loop's, and end when it has closed");
    }
    this.$end();
  }

  /** As {@link dispose}, whoever has them. */
  $end(): void {
    if (this.#wheel === 0) return;
    const { $memory: memory } = this;
    if (!memory.disposed) {
      memory.recover(); // the host may have grown memory
      memory.exports.destroyWheel(this.#wheel);
      memory.sites?.unregister(this);
    }
    this.#wheel = 0;
    this.$clock.clear();
    this.#alarm.clear();
    this.#forgetMemory();
    this.#entries.clearAll();
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** True once they, or their runtime, have been disposed. */
  get disposed(): boolean {
    return this.$disposed;
  }

  // ── what a timer asks for ─────────────────────────────────────────────────────────────────────────────────────────

  get $disposed(): boolean {
    return this.#wheel === 0 || this.$memory.disposed;
  }

  $armAfter(timer: Timer, delay: number): void {
    this.#armAt(timer, Math.ceil(this.$clock.time + delay));
  }

  $armAtDue(timer: PeriodicTimer): void {
    this.#armAt(timer, Math.ceil(timer.$due));
  }

  #armAt(timer: Timer, tick: number): void {
    const slot = timer.$slot;
    if (slot >= 0) {
      const moved = this.$memory.exports.moveTimer(this.#wheel, slot, timer.$generation, tick);
      if (moved === 0) throw this.$memory.failure("arming a timer");
    } else {
      timer.$slot = this.#take(timer, tick);
      timer.$generation = this.$memory.i32[(this.#wheel + Wheel.GENERATION) >>> 2]!;
      if (timer.$keepsAlive) this.#holds++;
    }
    if (this.$clock.isLent) this.$clock.note(timer.$slot, timer.$generation);
  }

  $cancel(timer: Timer): boolean {
    const slot = timer.$slot;
    if (slot < 0 || this.#wheel === 0) return false;
    timer.$slot = -1;
    if (this.$memory.exports.cancelTimer(this.#wheel, slot, timer.$generation) === 0) return false;
    this.#entries.remove(slot);
    if (timer.$keepsAlive) this.#letGo();
    return true;
  }

  $hold(timer: Timer, keepsAlive: boolean): void {
    if (timer.$keepsAlive === keepsAlive) return;
    timer.$keepsAlive = keepsAlive;
    if (!timer.armed) return;
    this.#holds += keepsAlive ? 1 : -1;
    this.#settleSoon();
  }

  $skip(missed: number): void {
    this.#skipped += missed;
  }

  $readClock(operation: string): void {
    if (this.#wheel === 0 || this.$memory.u32.length === 0 || !this.$clock.lend()) this.$readClockNow(operation);
  }

  $readClockNow(operation: string): void {
    this.#open(operation);
    this.$clock.readForArm();
    this.#settleSoon();
  }

  $deliver(target: TimerTarget<never>, payload: unknown): void {
    try {
      const answer = typeof target === "function" ? target(payload as never) : target.post(payload as never);
      if (typeof target !== "function" && answer === "rejected") {
        throw new LimitExceededError("a timer has posted to a full queue, which has refused what it posted");
      }
      watchAnswer(answer, this.#fail);
    } catch (error) {
      this.#fail(error);
    }
    this.$clock.endStretch();
  }

  // ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes a slot for what is due at `tick`. */
  #take(entry: TimerEntry, tick: number): number {
    const memory = this.$memory;
    const slot = memory.exports.armTimer(this.#wheel, tick) - 1;
    if (slot < 0) throw memory.failure("arming a timer");
    if (memory.u32.length === 0) memory.recover(); // a host has grown memory
    this.#entries.set(slot, entry);
    return slot;
  }

  #fire(slot: number): void {
    const entry = this.#entries.at(slot)!;
    if (entry instanceof Timer) {
      this.#entries.remove(slot);
      if (entry.$keepsAlive) this.#holds--;
      try {
        entry.$slot = -1; // first, as it throws if a program has frozen the timer
        entry.$fire();
      } catch (error) {
        this.#fail(Object.isFrozen(entry) ? frozenTimer(error) : error); // otherwise a periodic timer has found no memory
      }
      return;
    }
    const payload = this.#entries.payloadAt(slot);
    this.#entries.clear(slot);
    this.#holds--;
    this.$deliver(entry, payload);
  }

  /** Made once, as it waits for many a promise. */
  readonly #fail = (error: unknown): void => {
    this.#failed++;
    const onError = this.#onError;
    if (onError === undefined) {
      this.#throwLater(error);
      return;
    }
    callBack(
      () => onError(error),
      (fault) => this.#throwLater(causedBy(fault, error)),
    );
  };

  #throwLater(error: unknown): void {
    this.#host.hop(() => {
      throw error;
    });
  }

  /** Looks for the tick at which a run has something to do. */
  #look(): void {
    this.$memory.exports.nextWake(this.#wheel);
    this.$memory.recover(); // a callback may have had the host grow memory
    this.#wake = this.$memory.f64[(this.#wheel + Wheel.WAKE) >>> 3]!;
  }

  #letGo(): void {
    if (--this.#holds === 0) this.#settleSoon();
  }

  /** Sees to the host's timer when the present stretch of code is over: most of what it arms it may cancel as well. */
  #settleSoon(): void {
    if (this.#isSettling || this.#isRunning) return;
    this.#isSettling = true;
    RESOLVED.then(this.#settle);
  }

  readonly #settle = (): void => {
    this.#isSettling = false;
    if (this.$disposed || this.#isRunning) return;
    this.$clock.endStretch();
    this.#look();
    this.#schedule(false);
  };

  /**
   * Sees to it that somebody comes when there is something to do.
   *
   * @param isRun true at the end of a run: whoever runs us is told by its answer that more is due
   * @returns true if more is due already
   */
  #schedule(isRun: boolean): boolean {
    const wake = this.#wake;
    if (wake === Number.POSITIVE_INFINITY) {
      this.#alarm.clear();
      return false;
    }
    this.$clock.read();
    const isDue = wake <= this.$clock.time;
    if (!isDue || this.#holds === 0) {
      // Rounded up, since hosts round down, and would come a millisecond too early, for nothing.
      this.#alarm.set(wake, Math.ceil(Math.max(wake - this.$clock.time, 0)), this.#holds > 0, this.#ring);
    } else if (this.#onDue !== undefined) {
      if (!isRun) this.#onDue();
    } else if (!this.#isHopping) {
      this.#isHopping = true;
      this.#host.hop(this.#land);
    }
    return isDue;
  }

  readonly #ring = (): void => {
    if (this.$disposed) return;
    if (this.#onDue === undefined) this.run();
    else this.#onDue();
  };

  readonly #land = (): void => {
    this.#isHopping = false;
    this.#ring();
  };

  #open(operation: string): Address {
    // Views of length 0: the runtime has been disposed, or a host has grown memory behind our back.
    if (this.#wheel === 0 || this.$memory.u32.length === 0) this.#assertUsable(operation);
    return this.#wheel;
  }

  #assertUsable(operation: string): void {
    this.$memory.assertUsable(operation);
    if (this.#wheel === 0) throw new DisposedError(`${operation}: the timers have been disposed`);
  }
}

const RESOLVED = Promise.resolve();

function frozenTimer(cause: unknown): InvalidArgumentError {
  return new InvalidArgumentError("the timer is frozen: it has come due, and cannot fire", { cause });
}

/** What the wheel at `address` takes, in bytes. Made here, since a function made in the constructor would hold the timers. */
function bytesOf(address: Address): (memory: LinearMemory) => number {
  return ({ u32 }) => u32[(address + Wheel.PAGES) >>> 2]! * PAGE_SIZE;
}

/**
 * Makes timers that need no loop: the host's timer runs them.
 *
 * @throws {InvalidArgumentError} if `runtime` is not a runtime, or an option is not a function
 * @throws {OutOfMemoryError}, {SealedError} or {DisposedError}
 *
 * @example
 * using timers = createTimers(runtime, { onError: (error) => log(error) });
 * const heartbeat = timers.every(1000, () => socket.send("ping")).unref();
 */
export function createTimers(runtime: Pick<Runtime, "$memory">, options?: TimersOptions): Timers {
  if (typeof runtime?.$memory?.assertUsable !== "function") {
    throw new InvalidArgumentError(`createTimers takes a runtime, but was given ${describe(runtime)}`);
  }
  return new Timers(runtime.$memory, options);
}
