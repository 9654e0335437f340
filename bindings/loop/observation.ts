import type { DiagnosticsChannel, Platform } from "../platform.js";
import type { SlowReport, SlowSubject } from "./watchdog.js";

/** Published on `tidemark:event` after each event's handler has returned or thrown. Times are readings of the loop's clock. */
export interface EventObservation {
  /** The name of the event's kind. */
  readonly kind: string;
  /** The event's number. */
  readonly sequence: number;
  /** When its handler was called, in milliseconds. */
  readonly startedAt: number;
  /** What the handler took, in milliseconds, up to its return; what an async one does after an `await` is the platform's time. */
  readonly milliseconds: number;
}

/** Published on `tidemark:turn` after each turn that has handled events. */
export interface TurnObservation {
  /** The turn's number, from 1. */
  readonly turn: number;
  /** Events that it has handled. */
  readonly events: number;
  /** When it began, a reading of the loop's clock in milliseconds. */
  readonly startedAt: number;
  /** How long it took, in milliseconds; pauses, in which promises settled, are counted in. */
  readonly milliseconds: number;
}

/** Published on `tidemark:collection` after each turn that the loop has spent on a heap. */
export interface CollectionObservation {
  /** Turns of this sort so far. */
  readonly turn: number;
  /** When the step of the heap began, a reading of the loop's clock in milliseconds. */
  readonly startedAt: number;
  /** How long it took, in milliseconds. */
  readonly milliseconds: number;
}

/** Published on `tidemark:slow` for each handler that was slow, however many there are. */
export interface SlowObservation extends Omit<SlowReport, "suppressed"> {
  /** When it began, a reading of the loop's clock in milliseconds. */
  readonly startedAt: number;
}

/** The options of `observe`. */
export interface ObservationOptions {
  /**
   * Whether turns, slow handlers and collections become entries of `performance.measure`, which profilers show and a
   * `PerformanceObserver` is given. That takes some microseconds for each. They are not left in the timeline's buffer, which
   * would grow without bound. Needs a clock that goes with `performance.now()`, as the platform's host has.
   */
  readonly measures?: boolean | undefined;
  /**
   * Whether the loop's lag is recorded, for `stats().lag`; false if not given. It takes a reading of the clock a turn, and two
   * more in a turn of one event, which would do without.
   */
  readonly lag?: boolean | undefined;
}

/**
 * What the loop tells to whoever looks on: to subscribers of `node:diagnostics_channel`, in Node, and to profilers, by
 * `performance.measure`.
 *
 * Whether somebody does is looked up once a turn, by {@link Observation.refresh}; then the loop reads fields. Nothing is made
 * for nobody: without channels and measures `refresh` is one comparison, with Node's channels it reads four fields.
 *
 * A subscriber that throws does not throw into the loop: Node reports it as an uncaught exception.
 */
export class Observation {
  /** Whether somebody wants to know of each event: then the clock is read for each. */
  events = false;
  /** Whether somebody wants to know of turns. */
  turns = false;
  /** Whether somebody wants to know of collections. */
  collections = false;
  /** Whether somebody wants to know of slow handlers. */
  slows = false;

  readonly #event: DiagnosticsChannel | undefined;
  readonly #turn: DiagnosticsChannel | undefined;
  readonly #collection: DiagnosticsChannel | undefined;
  readonly #slow: DiagnosticsChannel | undefined;
  #measures: boolean;

  /** @param platform what the package's entry knows of the platform; without channels nothing is published */
  constructor(platform: Platform | undefined, options: ObservationOptions = {}) {
    const channel = platform?.diagnosticsChannel;
    this.#event = channel?.("tidemark:event");
    this.#turn = channel?.("tidemark:turn");
    this.#collection = channel?.("tidemark:collection");
    this.#slow = channel?.("tidemark:slow");
    this.#measures = options.measures ?? false;
    this.refresh();
  }

  /** Looks up who looks on. Called at the beginning of each turn. */
  refresh(): void {
    if (this.#event === undefined) {
      this.turns = this.collections = this.slows = this.#measures;
      return;
    }
    const measures = this.#measures;
    this.events = this.#event.hasSubscribers;
    this.turns = measures || this.#turn!.hasSubscribers;
    this.collections = measures || this.#collection!.hasSubscribers;
    this.slows = measures || this.#slow!.hasSubscribers;
  }

  /** Called for each event while {@link Observation.events} is true. */
  event(kind: string, sequence: number, startedAt: number, endedAt: number): void {
    const milliseconds = endedAt - startedAt;
    this.#event?.publish({ kind, sequence, startedAt, milliseconds } satisfies EventObservation);
  }

  /** Called after each turn that has handled events while {@link Observation.turns} is true. */
  turn(turn: number, events: number, startedAt: number, endedAt: number): void {
    const milliseconds = endedAt - startedAt;
    if (this.#turn?.hasSubscribers) {
      this.#turn.publish({ turn, events, startedAt, milliseconds } satisfies TurnObservation);
    }
    if (this.#measures) this.#measure("tidemark: turn", startedAt, endedAt, { turn, events });
  }

  /** Called after each turn that was spent on a heap while {@link Observation.collections} is true. */
  collection(turn: number, startedAt: number, endedAt: number): void {
    const milliseconds = endedAt - startedAt;
    if (this.#collection?.hasSubscribers) {
      this.#collection.publish({ turn, startedAt, milliseconds } satisfies CollectionObservation);
    }
    if (this.#measures) this.#measure("tidemark: collection", startedAt, endedAt, { turn });
  }

  /** Called by the watchdog for each slow handler; may be called when nobody looks on. */
  slow(kind: string, sequence: number, events: number, startedAt: number, endedAt: number, subject: SlowSubject): void {
    const milliseconds = endedAt - startedAt;
    if (this.#slow?.hasSubscribers) {
      this.#slow.publish({ subject, kind, sequence, events, startedAt, milliseconds } satisfies SlowObservation);
    }
    if (!this.#measures) return;
    const name = `tidemark: slow ${kind === "" ? subject : kind}`;
    this.#measure(name, startedAt, endedAt, { subject, kind, sequence, events });
  }

  /** Observers and profilers have been given it when `measure` returns; for the buffer it would only be a burden. */
  #measure(name: string, start: number, end: number, detail: object): void {
    try {
      performance.measure(name, { start, end, detail });
      performance.clearMeasures(name);
    } catch {
      this.#measures = false; // a clock whose readings are no times of this process
    }
  }
}
