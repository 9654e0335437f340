import type { Collector, CollectorFigures } from "../memory/collector.js";
import type { Dispatcher } from "./dispatcher.js";
import type { FibersStats } from "./fibersOptions.js";
import type { EventKind } from "./kind.js";
import type { LagSummary } from "./lagHistogram.js";
import type { Leases } from "./leases.js";
import type { LoopWatch } from "./loopWatch.js";
import type { EventQueue } from "./queue.js";
import type { TimersStatistics } from "./timersOptions.js";
import type { WatchdogState } from "./watchdogThread.js";

/** What `loop.stats()` returns: a plain object, a snapshot. Counts are of events, since the loop was made. */
export interface LoopStatistics {
  /** Events whose handler has returned, thrown or settled. */
  readonly processed: number;
  /** Those of them whose handler threw or rejected, and abandoned ones that did so later. */
  readonly failed: number;
  /** Events that were queued when a close, its deadline or an error dropped them, or a newer one displaced them. */
  readonly dropped: number;
  /** Events that were in flight when a close's deadline passed, or for as long as `abandonAfter` says. */
  readonly abandoned: number;
  /** Posts that were refused because there was no room. */
  readonly rejected: number;
  /** Posts that went into the overflow. */
  readonly spilled: number;
  /** Events that were dropped for newer ones of their kind, under the policy `"drop-oldest"`. */
  readonly displaced: number;
  /** Posts that took over the place of one with the same key. */
  readonly coalesced: number;
  /** Events that wait now, in the ring and in the overflow. */
  readonly queued: number;
  /** Those of them that wait in the overflow. */
  readonly overflow: number;
  /** The most events that a ring has held: each priority has one. */
  readonly queueHighWater: number;
  /** The most events that an overflow has held. */
  readonly overflowHighWater: number;
  /** Asynchronous events whose handler's promise has not settled, abandoned ones included. */
  readonly inFlight: number;
  /** The most that have been in flight at once. */
  readonly inFlightHighWater: number;
  /** Abandoned events that have not settled: their regions are kept for them. */
  readonly quarantined: number;
  /** Turns that have handled events. */
  readonly turns: number;
  /** Regions that are leased now. */
  readonly regionsLive: number;
  /** Regions that have been leased. */
  readonly regionsLeased: number;
  /** Bytes that events had used of their regions when those were reset. */
  readonly bytesReset: number;
  /** Scopes that are open now. */
  readonly scopesLive: number;
  /** Scopes that events have read. */
  readonly scopesOpened: number;
  /**
   * Handlers, fibers and timers that have held the loop for longer than `slowAfter`. A handler that is the only event of its turn,
   * with nothing queued behind it, may not be timed unless somebody is told, or the lag is recorded.
   */
  readonly slow: number;
  /** How long the slowest has held it, in milliseconds. */
  readonly longestSlow: number;
  /** The loop's lag; undefined without `observe: { lag: true }`. */
  readonly lag: LagSummary | undefined;
  /** How the watchdog's worker does; undefined without one. */
  readonly watchdog: WatchdogState | undefined;
  /** Turns in which no event could be handled, and a heap was given one step. */
  readonly idleTurns: number;
  /**
   * What the heaps of the runtime have done, over the life of each, by whomever they were driven. A heap that has been
   * destroyed is not among them. The two longest are each the longest of any heap.
   */
  readonly collections: CollectorFigures;
  /** The figures of the loop's timers; undefined if it has none, or is closed. */
  readonly timers: TimersStatistics | undefined;
  /** The figures of the loop's fibers, those of fiber handlers among them; undefined if it has none. */
  readonly fibers: FibersStats | undefined;
}

/** @param dropped events that a close or an error has dropped */
export function queueFigures(queues: readonly EventQueue<EventKind>[], dropped: number) {
  const sum = (of: (queue: EventQueue<EventKind>) => number) => queues.reduce((total, queue) => total + of(queue), 0);
  const displaced = sum((queue) => queue.displaced);
  return {
    dropped: dropped + displaced,
    rejected: sum((queue) => queue.rejected),
    spilled: sum((queue) => queue.spilled),
    displaced,
    queued: sum((queue) => queue.length),
    overflow: sum((queue) => queue.overflowLength),
    queueHighWater: Math.max(...queues.map((queue) => queue.ringHighWater)),
    overflowHighWater: Math.max(...queues.map((queue) => queue.overflowHighWater)),
  };
}

export function eventFigures(dispatcher: Dispatcher) {
  const { processed, failures: failed, abandoned, inFlight, quarantined, inFlightHighWater } = dispatcher;
  return { processed, failed, abandoned, inFlight: inFlight + quarantined, inFlightHighWater, quarantined };
}

export function leaseFigures({ begun, ended, bytesReset, scopesBegun, scopesEnded }: Leases) {
  return {
    regionsLive: begun - ended,
    regionsLeased: begun,
    bytesReset,
    scopesLive: scopesBegun - scopesEnded,
    scopesOpened: scopesBegun,
  };
}

export function watchFigures({ slow, longestSlow, lag, workerState: watchdog }: LoopWatch) {
  return { slow, longestSlow, lag, watchdog };
}

/** The figures of all in one. O(heaps). */
export function collectionsOf(collectors: Iterable<Collector>): CollectorFigures {
  let steps = 0;
  let units = 0;
  let longestStepUnits = 0;
  let longestStepMicroseconds = 0;
  let cycles = 0;
  for (const { $figures: figures } of collectors) {
    steps += figures.steps;
    units += figures.units;
    longestStepUnits = Math.max(longestStepUnits, figures.longestStepUnits);
    longestStepMicroseconds = Math.max(longestStepMicroseconds, figures.longestStepMicroseconds);
    cycles += figures.cycles;
  }
  return { steps, units, longestStepUnits, longestStepMicroseconds, cycles };
}
