import type { Dispatcher } from "./dispatcher.js";
import type { EventKind } from "./kind.js";
import type { Lanes } from "./lanes.js";
import type { LoopWatch } from "./loopWatch.js";
import type { LoopSettings } from "./options.js";

/**
 * Events in flight from a turn before it lets those settle that can: so few that what they have lies in the caches still. A turn
 * that took off 1,024 of them first took a quarter longer for each that has a region, measured by hand.
 */
const TAKEOFFS = 64;

/** A turn that pauses goes on behind the promises that have settled by then. */
const settled = Promise.resolve();

/**
 * A turn of a loop: handles as many events as are queued when it begins, in stretches between two readings of the clock, until a
 * count or a slice of time is used up, or as many events are in flight as may be.
 *
 *   idle ──begin──▶ under way ──many in flight──▶ paused ──▶ under way …──▶ idle
 */
export class Turn {
  /** Turns so far. */
  count = 0;
  readonly #settings: Pick<LoopSettings, "host" | "turnEvents" | "turnMilliseconds">;
  readonly #lanes: Lanes<EventKind>;
  readonly #dispatcher: Dispatcher;
  readonly #watch: LoopWatch;
  /** Whether a turn may handle an event. */
  readonly #mayGoOn: () => boolean;
  /** Called after a pause, for {@link resume}. */
  readonly #onResume: () => void;
  /** Events to handle yet, and before the next reading of the clock; the last one, and when to end. */
  #remaining = 0;
  #stretch = 1;
  #readAt = 0;
  #sliceEnd = 0;

  constructor(
    settings: Pick<LoopSettings, "host" | "turnEvents" | "turnMilliseconds">,
    lanes: Lanes<EventKind>,
    dispatcher: Dispatcher,
    watch: LoopWatch,
    mayGoOn: () => boolean,
    onResume: () => void,
  ) {
    this.#settings = settings;
    this.#lanes = lanes;
    this.#dispatcher = dispatcher;
    this.#watch = watch;
    this.#mayGoOn = mayGoOn;
    this.#onResume = onResume;
  }

  /** Begins a turn. */
  begin(): "paused" | "done" {
    const { host, turnEvents, turnMilliseconds } = this.#settings;
    const remaining = Math.min(this.#lanes.length, turnEvents);
    this.#dispatcher.beginTurn(++this.count);
    this.#watch.look();
    const now = host.now();
    this.#watch.begins(now);
    this.#remaining = remaining;
    this.#stretch = 1;
    this.#readAt = now;
    this.#sliceEnd = now + turnMilliseconds;
    return this.#goOn();
  }

  /** Goes on with a turn that has paused. */
  resume(isWanted: boolean): "paused" | "done" {
    const now = this.#settings.host.now();
    this.#watch.resumes(now - this.#readAt);
    this.#readAt = now; // what was done meanwhile was no handler's beginning
    if (!isWanted) this.#remaining = 0;
    return this.#goOn();
  }

  #goOn(): "paused" | "done" {
    const { host } = this.#settings;
    const watch = this.#watch;
    const dispatcher = this.#dispatcher;
    const { inFlight } = dispatcher;
    while (this.#remaining > 0 && this.#mayGoOn()) {
      const wanted = Math.min(this.#stretch, this.#remaining);
      this.#remaining -= wanted;
      const first = dispatcher.next;
      const events = this.#lanes.serve(wanted, dispatcher.dispatchFrom);
      const now = host.now();
      const kind = events === 1 || this.#lanes.isOne ? dispatcher.lastKind : "";
      if (events > 0) this.#stretch = watch.handled(kind, first, events, this.#readAt, now);
      this.#readAt = now;
      if (events < wanted || now >= this.#sliceEnd) break;
      if (dispatcher.inFlight === inFlight) continue;
      if (this.#stretch > TAKEOFFS) this.#stretch = TAKEOFFS;
      if (dispatcher.inFlight < inFlight + TAKEOFFS || this.#remaining === 0) continue;
      watch.heartbeat?.rest();
      settled.then(this.#onResume);
      return "paused";
    }
    dispatcher.endTurn();
    watch.heartbeat?.rest();
    watch.ends(this.count, this.#readAt);
    return "done";
  }
}
