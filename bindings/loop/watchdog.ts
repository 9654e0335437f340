// The watchdog: which handler has held the loop for too long.
//
// To name it exactly, the clock would have to be read before and after each event. A reading costs 50 to 120 ns here (Node 20,
// shared cores; `Date.now()` costs as much), an event of a bare loop 15, and there is nothing else on one thread that tells
// time. So readings are rationed, by three rules.
//
// 1. Events are handled in stretches, with a reading after each. Each turn begins with a stretch of one event. After one that
//    took less than SPACING (2 µs) the next is twice as long, up to 256 events; after one that took twice as much or more it is
//    as short as SPACING demands. So a reading comes with 2 µs of work or more, and costs some 3 per cent of it; an event of
//    15 ns pays for a 128th to a 256th of one, 0.3 to 0.9 ns. Whatever takes 2 µs or more finds itself alone in its stretch: a
//    handler that does real work is named exactly, the first time. This also bounds how far a turn overruns its slice: a
//    stretch is never longer than twice as many events as have just been handled in less than 2 µs. While nobody is to be told
//    of slow handlers, but in the statistics, where names do not matter, it is 16 µs, and less than half a per cent.
//
// 2. If a stretch of several events was slow, they are told of together: the number of the first, how many there are, and the
//    kind, if they are all of one. It buys single stretches: as many events are then timed one by one as readings of 100 ns go
//    into the time that was lost, 250,000 for 25 ms, and so is what follows an event that was caught in the act. So a handler
//    that is slow again is named, unless it is slower than once in a quarter of a million events; and readings never take more
//    time than slow handlers have.
//
// 3. With the worker (watchdogThread.ts) the loop writes its heartbeat before each event, two plain stores of together some
//    0.1 to 1 ns, and the worker notes which event it saw for half of `slowAfter` or more. Then also the first of the fast
//    handlers that is slow once is named exactly.

import { assertFunction } from "../arguments.js";
import { callBack } from "./callback.js";
import type { Heartbeat } from "./heartbeat.js";
import { ABOVE_ZERO, checkMilliseconds } from "./milliseconds.js";

/** What has held the loop: an event's handler, a fiber that has gone on after a wait or begun, or a timer's function. */
export type SlowSubject = "event" | "fiber" | "timer";

/** What `onSlow` is told, after the handler has returned. */
export interface SlowReport {
  /** What has held the loop. The first steps of a handler that is a fiber are its event's. */
  readonly subject: SlowSubject;
  /** The name of the event's kind; empty if it is one of several events that are not of one kind, and where there is no event. */
  readonly kind: string;
  /**
   * The event's number; that of the first, if it is one of several. −1 for timers, for a fiber that is no handler, and for several
   * fibers.
   */
  readonly sequence: number;
  /** 1 if it is known which event it was, as nearly always; else the number of successive events (fibers, timers) of which it is one. */
  readonly events: number;
  /** How long the loop was held, in milliseconds: by the handler's synchronous part, and the end of its region and scope. */
  readonly milliseconds: number;
  /** How many have not been told of since the last report, because there were too many. */
  readonly suppressed: number;
}

/** The options of a loop that are the watchdog's. */
export interface SlowOptions {
  /** Milliseconds above which a handler is slow, above 0; 25 if not given, `Infinity` for never. */
  readonly slowAfter?: number | undefined;
  /**
   * Told of slow handlers, after they have returned. What it throws, or the promise that it returns rejects with, is reported as
   * an event's failure is: to the loop's `onError`; without one the loop stops.
   */
  readonly onSlow?: ((this: void, report: SlowReport) => unknown) | undefined;
  /** Milliseconds between two reports, at the least, from 0; 1,000 if not given. What is left out is counted in the next one. */
  readonly slowReportsEvery?: number | undefined;
}

/** The options, checked and complete. */
export interface SlowSettings {
  readonly slowAfter: number;
  readonly slowReportsEvery: number;
  readonly onSlow: SlowOptions["onSlow"];
}

/** Who is told of every slow handler, however many there are: for profiles and subscribers, which count for themselves. */
export interface SlowObserver {
  slow(kind: string, sequence: number, events: number, startedAt: number, endedAt: number, subject: SlowSubject): void;
}

/** Milliseconds of work that a reading of the clock is to come with: see rule 1. */
const SPACING = 0.002;
/** The same while nobody is to be told. */
const QUIET_SPACING = 0.016;
/** The most events in a stretch. */
const LONGEST_STRETCH = 256;
/** Readings of the clock that go into a millisecond, at the least: see rule 2. */
const READINGS_PER_MILLISECOND = 10_000;
/** Bound of the single stretches that are left, so that they stay a small integer. */
const SINGLE_LIMIT = 2 ** 30 - 1;

/**
 * Tells of handlers that have held the loop for too long, and says how many events may be handled before the clock is read.
 *
 * | operation | cost |
 * |---|---|
 * | handled | O(1), no garbage; for a slow stretch one report object, if it is told of |
 *
 * @example
 * let stretch = 1;
 * for (let before = now(); queue.length > 0; ) {
 *   const events = dispatch(stretch);
 *   const after = now();
 *   stretch = watchdog.handled(kindName, firstSequence, events, before, after);
 *   before = after;
 * }
 */
export class Watchdog {
  /** Slow handlers, or stretches of several events, told of or not. */
  slow = 0;
  /** The longest time that one of them has held the loop, in milliseconds. */
  longest = 0;
  /**
   * Whether somebody is to be told of slow handlers: `onSlow`, or the observer at this moment, who says so here. If not, turns
   * of a single event need no clock for the watchdog's sake.
   */
  isHeard: boolean;
  /** The heartbeat that a worker watches, if one does. */
  heartbeat: Heartbeat | undefined;

  readonly #slowAfter: number;
  readonly #reportsEvery: number;
  readonly #onSlow: SlowOptions["onSlow"];
  readonly #failed: (error: unknown) => void;
  readonly #observer: SlowObserver | undefined;
  /** Names of kinds, by the numbers that the heartbeat has for them. */
  readonly #names: (index: number) => string;
  /** Events that are yet to be timed one by one. */
  #singles = 0;
  #quietUntil = Number.NEGATIVE_INFINITY;
  #suppressed = 0;

  /**
   * @param failed takes what `onSlow` throws; must not throw itself
   * @param names gives the name of a kind by the number that it has in the heartbeat
   */
  constructor(
    settings: SlowSettings,
    failed: (error: unknown) => void,
    observer?: SlowObserver,
    names: (index: number) => string = () => "",
  ) {
    this.#slowAfter = settings.slowAfter;
    this.#reportsEvery = settings.slowReportsEvery;
    this.#onSlow = settings.onSlow;
    this.isHeard = settings.onSlow !== undefined;
    this.#failed = failed;
    this.#observer = observer;
    this.#names = names;
  }

  /**
   * Takes note of a stretch of events that has been handled. Throws nothing.
   *
   * @param kind the name of the events' kind; empty if they are of several
   * @param sequence the number of the first
   * @param events how many, from 1
   * @param startedAt a reading of the clock before the first
   * @param endedAt one after the last
   * @param subject whether it was fibers or timers instead of events
   * @returns how many events to handle before the next reading
   */
  handled(
    kind: string,
    sequence: number,
    events: number,
    startedAt: number,
    endedAt: number,
    subject: SlowSubject = "event",
  ): number {
    const milliseconds = endedAt - startedAt;
    if (milliseconds > this.#slowAfter) this.#bite(subject, kind, sequence, events, startedAt, endedAt);
    if (this.#singles > 0) {
      this.#singles -= events;
      return 1;
    }
    const spacing = this.isHeard ? SPACING : QUIET_SPACING;
    if (milliseconds < spacing) return Math.min(2 * events, LONGEST_STRETCH);
    if (milliseconds < 2 * spacing) return events;
    return Math.max(1, Math.floor((events * spacing) / milliseconds));
  }

  #bite(
    subject: SlowSubject,
    kind: string,
    sequence: number,
    events: number,
    startedAt: number,
    endedAt: number,
  ): void {
    const milliseconds = endedAt - startedAt;
    this.slow++;
    if (milliseconds > this.longest) this.longest = milliseconds;
    if (!this.isHeard) return;
    this.#singles = Math.min(Math.ceil(milliseconds * READINGS_PER_MILLISECOND), SINGLE_LIMIT);

    let [name, first, count] = [kind, sequence, events];
    const suspect = this.heartbeat?.suspect ?? -1;
    if (subject === "event" && events > 1 && suspect >= sequence && suspect < sequence + events) {
      [name, first, count] = [this.#names(this.heartbeat!.suspectKind), suspect, 1];
    }
    this.#observer?.slow(name, first, count, startedAt, endedAt, subject);
    if (this.#onSlow !== undefined)
      this.#tell({ subject, kind: name, sequence: first, events: count, milliseconds }, endedAt);
  }

  #tell(report: Omit<SlowReport, "suppressed">, now: number): void {
    if (now < this.#quietUntil) {
      this.#suppressed++;
      return;
    }
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    this.#quietUntil = now + this.#reportsEvery;
    callBack(() => this.#onSlow!({ ...report, suppressed }), this.#failed);
  }
}

/**
 * Checks the options.
 *
 * @throws {InvalidArgumentError} naming the first that is out of range
 */
export function slowSettingsOf({ slowAfter = 25, slowReportsEvery = 1000, onSlow }: SlowOptions): SlowSettings {
  checkMilliseconds("slowAfter", slowAfter, ABOVE_ZERO, Number.POSITIVE_INFINITY);
  checkMilliseconds("slowReportsEvery", slowReportsEvery, 0, Number.POSITIVE_INFINITY);
  if (onSlow !== undefined) assertFunction("onSlow", onSlow);
  return { slowAfter, slowReportsEvery, onSlow };
}
