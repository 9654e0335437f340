import type { FramePool } from "../allocators/framePool.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Runtime } from "../runtime.js";
import { Fibers } from "./fibers.js";
import type { Host } from "./host.js";
import { Sleepers } from "./sleep.js";
import { Timers } from "./timers.js";
import type { TimersStatistics } from "./timersOptions.js";
import type { WaitTimers } from "./waiting.js";

/** Timers that fire before fibers are resumed, and fibers that are resumed before timers fire. */
const PIECE = 64;

/** Is told how long timers and fibers took. */
export interface CompanionWatch {
  /**
   * So many of them have run between two readings of the clock.
   *
   * @param owner whose fiber it is, if it is only one and an event's
   * @returns how many may run before the next reading
   */
  ran(subject: "fiber" | "timer", owner: unknown, count: number, startedAt: number, endedAt: number): number;
}

/** What a loop needs of its runtime for these; only read when they are first made. */
export type CompanionRuntime = Partial<Pick<Runtime, "framePool">> & { readonly $memory: unknown };

export interface CompanionOptions {
  readonly host: Host;
  readonly frames: FramePool | undefined;
  readonly debug: boolean;
  /** Called when there is something to do and there was not. */
  readonly onWake: () => void;
  /** Told of what a timer's function or a fiber that nobody joins throws. */
  readonly onError: (error: unknown) => void;
  readonly watch: CompanionWatch;
}

/**
 * What a loop has beside its events: timers, which fire in its turns, and fibers, which are resumed there. Each is made when it is
 * first needed, so a loop that has neither pays for neither.
 */
export class Companions {
  readonly #runtime: CompanionRuntime;
  readonly #options: CompanionOptions;
  /** Those who sleep on the loop's clock. */
  readonly sleepers = new Sleepers(() => this.timers);
  #timers: Timers | undefined;
  #timersAreDue = false;
  /** Whether the turn that is under way may have more timers to fire: what falls due in it is for the next. */
  #turnHasDue = false;
  #fibers: Fibers | undefined;
  #closed = false;
  /** The frame pool that is the loop's own. */
  #frames: FramePool | undefined;

  constructor(runtime: CompanionRuntime, options: CompanionOptions) {
    this.#runtime = runtime;
    this.#options = options;
  }

  /** @throws {OutOfMemoryError}, {SealedError} or {DisposedError} when they are first made */
  get timers(): Timers {
    this.#timers ??= new Timers(
      this.#runtime.$memory as LinearMemory,
      {
        host: this.#options.host,
        onError: this.#options.onError,
        onDue: () => {
          this.#timersAreDue = true;
          this.#options.onWake();
        },
      },
      true,
    );
    return this.#timers;
  }

  /** @throws as {@link timers} */
  get fibers(): Fibers {
    this.#fibers ??= this.#createFibers();
    return this.#fibers;
  }

  /** The figures of the timers; undefined if there are none, or none any more. */
  timersStats(): TimersStatistics | undefined {
    return this.#timers === undefined || this.#timers.disposed ? undefined : this.#timers.stats();
  }

  get madeFibers(): Fibers | undefined {
    return this.#fibers;
  }

  /** How many fibers are ready. O(n) */
  get readyFibers(): number {
    return this.#fibers?.$countReady() ?? 0;
  }

  /** Whether a turn has something to do for them. */
  get wanted(): boolean {
    return this.#hasDue || this.#fibers?.hasReady === true;
  }

  /** Whether timers are due; those that have been disposed with the runtime are never. */
  get #hasDue(): boolean {
    return this.#timersAreDue && this.#hasTimers;
  }

  get #hasTimers(): boolean {
    return this.#timers?.disposed === false;
  }

  /** Whether timers are due, be it that the host has not told of it yet. Then they are {@link wanted}. */
  findDue(): boolean {
    if (this.#hasTimers && this.#timers!.nextDue <= this.#options.host.now()) this.#timersAreDue = true;
    return this.#hasDue;
  }

  #createFibers(): Fibers {
    const { host, debug, onError } = this.#options;
    const waits: WaitTimers = {
      after: (milliseconds, callback) => this.timers.arm(milliseconds, callback),
      cancel: (id) => void this.timers.cancel(id as number),
    };
    let { frames } = this.#options;
    if (frames === undefined && this.#runtime.framePool !== undefined) {
      this.#frames = this.#runtime.framePool();
      frames = this.#frames;
    }
    return new Fibers({ ...(frames && { frames }), host, timers: waits, debug, wake: this.#wake, onError });
  }

  /** After a close, runs a fiber that could not end yet because a condition owed it a mutex. */
  readonly #wake = (): void => {
    if (this.#closed) this.#options.host.hop(() => void this.#fibers!.run());
    else this.#options.onWake();
  };

  /**
   * Fires what is due and resumes what is ready, in turn, one of each at least: timers that were due when it began, and fibers until
   * none is ready, the clock has come to `end`, or `limit` of them have been resumed. The clock is read as by the watchdog: what
   * takes microseconds is alone between two readings, unless it comes behind such as take less.
   *
   * @param now a reading of the clock
   * @returns how many fibers have been resumed
   */
  run(now: number, end: number, limit: number): number {
    const before = this.#fibers?.$resumptions ?? 0;
    this.#turnHasDue = this.#hasDue;
    if (this.#turnHasDue) this.#timers!.$collect(now);
    let time = now;
    for (let left = limit; left > 0; left -= PIECE) {
      const piece = Math.min(left, PIECE);
      time = this.#runTimers(time, end, piece);
      time = this.#runFibers(time, end, piece);
      if (time >= end || !(this.#turnHasDue || this.#fibers?.hasReady)) break;
    }
    return (this.#fibers?.$resumptions ?? 0) - before;
  }

  /** Returns the last reading of the clock, as {@link #runFibers} does. */
  #runTimers(now: number, end: number, piece: number): number {
    const { host, watch } = this.#options;
    let before = now;
    for (let left = piece, stretch = 1; left > 0 && this.#turnHasDue && this.#hasTimers; ) {
      const wanted = Math.min(stretch, left);
      const fired = this.#fire(before, wanted);
      if (fired < wanted) this.#turnHasDue = false;
      const after = host.now();
      if (fired > 0) stretch = watch.ran("timer", undefined, fired, before, after);
      left -= fired;
      before = after;
      if (after >= end) break;
    }
    return before;
  }

  #runFibers(now: number, end: number, piece: number): number {
    const { host, watch } = this.#options;
    const fibers = this.#fibers;
    let before = now;
    for (let left = piece, stretch = 1; left > 0 && fibers?.hasReady; ) {
      const owner = fibers.$nextOwner;
      const resumed = fibers.run(Math.min(stretch, left));
      const after = host.now();
      stretch = watch.ran("fiber", resumed === 1 ? owner : undefined, resumed, before, after);
      left -= resumed;
      before = after;
      if (after >= end) break;
    }
    return before;
  }

  /** Returns how many timers have fired; 0 if one of them has disposed of the runtime. */
  #fire(now: number, limit: number): number {
    const timers = this.#timers!;
    const before = timers.$fired;
    this.#timersAreDue = timers.$fireCollected(now, limit);
    return timers.disposed ? 0 : timers.$fired - before;
  }

  /** Cancels all timers and fibers, wakes who sleeps with an error each, and gives back what memory they had. */
  close(refusal: () => unknown): void {
    this.#closed = true;
    this.#fibers?.close();
    this.sleepers.refuse(refusal);
    this.#timers?.$end();
    this.#timersAreDue = false;
    this.#frames?.destroy();
  }
}
