import { assertOptions, checkFlag, describe, type NamesOf } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import type { Platform } from "../platform.js";
import type { Heartbeat } from "./heartbeat.js";
import { LagHistogram, type LagSummary } from "./lagHistogram.js";
import { Observation, type ObservationOptions } from "./observation.js";
import { type SlowOptions, type SlowSettings, slowSettingsOf, Watchdog } from "./watchdog.js";
import { type WatchdogState, WatchdogThread } from "./watchdogThread.js";

/** The options of `watchdog`. */
export interface WatchdogOptions {
  /**
   * Whether a worker reports slow handlers while they still block the loop; false if not given. It needs the entry `tidemark`,
   * not `tidemark/inline`, and memory that threads share: in Node it is there, a page must be cross-origin isolated. Elsewhere
   * a line on the console says so.
   *
   * A handler is reported at `slowAfter`, and each time that it has taken ten times as long. Timers, and fibers that go on after
   * a wait, are not: `onSlow` is told of them.
   */
  readonly worker?: boolean | undefined;
  /**
   * Where the worker posts its reports (see {@link BlockedReport}), to be read by another thread than the loop's; if not
   * given, it writes lines to standard error, or to the browser's console. It is transferred to the worker.
   */
  readonly port?: { postMessage(message: unknown): void } | undefined;
}

/**
 * The options of a loop that say what is watched, and who is told. Without them slow handlers are counted in `stats()`, and
 * subscribers of the channels of `node:diagnostics_channel` are told.
 */
export interface WatchOptions extends SlowOptions {
  /** Whether a worker tells of handlers while they still block the loop, and whom. */
  readonly watchdog?: WatchdogOptions | undefined;
  /** What of the loop is recorded, or shown to profilers. */
  readonly observe?: ObservationOptions | undefined;
}

/** The options, checked and complete. */
export interface WatchSettings extends SlowSettings {
  readonly worker: boolean;
  readonly port: WatchdogOptions["port"];
  readonly measures: boolean;
  readonly lag: boolean;
}

/**
 * All that watches one loop: the watchdog with its worker, the lag's histogram, and what is told to those who look on.
 *
 * A turn goes like this:
 *
 *   hopAsked ──▶ (ran, after each stretch of timers or fibers) ──▶ begins ──▶ handled, after each of events ──▶ ends
 *                                                                              └── resumes, after a pause
 *
 * Nothing here throws.
 */
export class LoopWatch {
  /** What the dispatcher is to write before each event; undefined if nobody reads it. */
  readonly heartbeat: Heartbeat | undefined;
  readonly #watchdog: Watchdog;
  readonly #observation: Observation;
  readonly #thread: WatchdogThread | undefined;
  readonly #lag: LagHistogram | undefined;
  readonly #hasListener: boolean;
  /** When the hop to the next turn was asked for. */
  #askedAt = 0;
  #begunAt = 0;
  #events = 0;

  /**
   * @param failed takes what `onSlow` throws; must not throw itself
   * @param nameOf gives a kind's name by its number, as {@link LoopWatch.declare} was told it
   */
  constructor(
    settings: WatchSettings,
    platform: Platform | undefined,
    failed: (error: unknown) => void,
    nameOf: (index: number) => string,
  ) {
    this.#observation = new Observation(platform, settings);
    this.#watchdog = new Watchdog(settings, failed, this.#observation, nameOf);
    this.#hasListener = settings.onSlow !== undefined;
    if (settings.lag) this.#lag = new LagHistogram();
    if (settings.worker) {
      const { slowAfter, slowReportsEvery: reportsEvery, port } = settings;
      this.#thread = new WatchdogThread(platform, { slowAfter, reportsEvery, port });
      this.heartbeat = this.#watchdog.heartbeat = this.#thread.heartbeat;
    }
  }

  /** Whether {@link hopAsked} must be called. */
  get wantsHops(): boolean {
    return this.#lag !== undefined;
  }

  /** A kind has been declared; its number is what the heartbeat is given. */
  declare(index: number, name: string): void {
    this.#thread?.declare(index, name);
  }

  /** The hop to the next turn is being asked for. Needed only while {@link wantsHops}. */
  hopAsked(now: number): void {
    this.#askedAt = now;
  }

  /** Looks up, at the beginning of a turn, whether a turn of one event, too, needs the clock. */
  look(): boolean {
    const observation = this.#observation;
    observation.refresh();
    const isHeard = this.#hasListener || observation.slows;
    this.#watchdog.isHeard = isHeard;
    return isHeard || this.#lag !== undefined || observation.events || observation.turns;
  }

  /** A turn begins. */
  begins(now: number): void {
    this.#begunAt = now;
    this.#events = 0;
    this.#lag?.record(now - this.#askedAt);
  }

  /** A turn goes on that has let promises settle for so many milliseconds. */
  resumes(milliseconds: number): void {
    this.#lag?.record(milliseconds);
  }

  /**
   * A stretch of events has been handled; parameters as in {@link Watchdog.handled}.
   *
   * @returns how many events to handle before the next reading of the clock
   */
  handled(kind: string, sequence: number, events: number, startedAt: number, endedAt: number): number {
    this.#events += events;
    const stretch = this.#watchdog.handled(kind, sequence, events, startedAt, endedAt);
    if (!this.#observation.events) return stretch;
    // The first stretch of a turn is of one event, so from here on each is.
    this.#observation.event(kind, sequence, startedAt, endedAt);
    return 1;
  }

  /** Fibers have been resumed, or timers have fired, `count` of them; the rest as in {@link LoopWatch.handled}. */
  ran(
    subject: "fiber" | "timer",
    kind: string,
    sequence: number,
    count: number,
    startedAt: number,
    endedAt: number,
  ): number {
    return this.#watchdog.handled(kind, sequence, count, startedAt, endedAt, subject);
  }

  /** A turn ends. `turn` is its number, `now` the last reading of the clock. */
  ends(turn: number, now: number): void {
    if (this.#observation.turns) this.#observation.turn(turn, this.#events, this.#begunAt, now);
  }

  /** Whether turns that are spent on a heap are to be timed. */
  get wantsCollections(): boolean {
    return this.#observation.collections;
  }

  /** A turn has been spent on a heap; `turn` is its number among those. */
  collected(turn: number, startedAt: number, endedAt: number): void {
    this.#observation.collection(turn, startedAt, endedAt);
  }

  /** Slow handlers, fibers and timers, or stretches of several that were slow together. */
  get slow(): number {
    return this.#watchdog.slow;
  }

  /** The longest that one of them took, in milliseconds. */
  get longestSlow(): number {
    return this.#watchdog.longest;
  }

  /** The lag of all turns so far, if it is recorded. */
  get lag(): LagSummary | undefined {
    return this.#lag?.summary();
  }

  /** How the worker does, if one was asked for. */
  get workerState(): WatchdogState | undefined {
    return this.#thread?.state;
  }

  /** The loop has closed: ends the worker. */
  close(): void {
    this.#thread?.close();
  }
}

/** The names of these options, for whoever checks all of a loop's. */
export const WATCH_OPTIONS: NamesOf<WatchOptions> = {
  slowAfter: true,
  onSlow: true,
  slowReportsEvery: true,
  watchdog: true,
  observe: true,
};
const WATCHDOG_OPTIONS: NamesOf<WatchdogOptions> = { worker: true, port: true };
const OBSERVE_OPTIONS: NamesOf<ObservationOptions> = { measures: true, lag: true };

/**
 * Checks the options, but for whether there are others.
 *
 * @throws {InvalidArgumentError} naming the first that is out of range
 */
export function watchSettingsOf(options: WatchOptions): WatchSettings {
  const { watchdog = {}, observe = {} } = options;
  assertOptions("watchdog", watchdog, WATCHDOG_OPTIONS);
  assertOptions("observe", observe, OBSERVE_OPTIONS);
  const { worker = false, port } = watchdog;
  const { measures = false, lag = false } = observe;
  if (port !== undefined && typeof port?.postMessage !== "function") {
    throw new InvalidArgumentError(`watchdog.port must be a message port, but is ${describe(port)}`);
  }
  return {
    ...slowSettingsOf(options),
    worker: checkFlag("watchdog.worker", worker),
    port,
    measures: checkFlag("observe.measures", measures),
    lag: checkFlag("observe.lag", lag),
  };
}
