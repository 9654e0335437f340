import { DestroyHookError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Runtime } from "../runtime.js";
import { causedBy } from "./cause.js";
import { Context } from "./context.js";
import { Flight, type Tower } from "./flight.js";
import type { EventKind, FailedEvent } from "./kind.js";
import type { Leases } from "./leases.js";
import type { EventQueue } from "./queue.js";
import { isThenable, whenSettled } from "./thenable.js";

/** What the loop's parts need of the memory: who collects between events, and whom to tell that a handler runs. */
export type CollectedMemory = Pick<LinearMemory, "collectors" | "handlersRunning">;

/** Whom the dispatcher tells; both are called when the event's region and scope have ended. */
export interface DispatchObserver {
  /** An event's handler threw or rejected, a destroy hook at its region's end, or a heap that was collected after it. */
  failed(error: unknown, event: FailedEvent): void;
  /** An asynchronous event has settled, whichever way, and heaps have been collected. Comes after `failed`. */
  landed(): void;
}

/**
 * Takes events from the queue and runs their handlers, and sees to it that each event ends exactly once, and that heaps are
 * collected after each and never inside one.
 *
 * A synchronous event is begun, run and ended here, on one context object that serves all of them. A handler that
 * returns a promise takes its context with it: the event becomes a flight, and ends when the promise settles. Nothing
 * else ends it: not a close, not a deadline, not another event's failure.
 */
export class Dispatcher implements Tower {
  /** Events whose handler threw or rejected. */
  failures = 0;
  /** Asynchronous events that have not settled. */
  inFlight = 0;
  inFlightHighWater = 0;
  /** Events that were in flight when the loop stopped waiting for them. */
  abandoned = 0;

  readonly #runtime: Pick<Runtime, "disposed">;
  readonly #memory: CollectedMemory;
  readonly #queue: EventQueue<EventKind>;
  readonly #leases: Leases;
  readonly #observer: DispatchObserver;
  readonly #inFlightBound: number;
  /** Whether each event gets a context and a region object of its own, synchronous ones too. */
  readonly #isDebug: boolean;
  /** The context of the next event; nobody has it, but synchronous handlers that have kept it. */
  #context: Context;
  /** The next event's number, which is how many have begun. */
  #sequence = 0;
  #halted = false;
  #abandoning = false;
  /** Flights that have landed and wait for another; at most the bound of those in flight. */
  readonly #hangar: Flight[] = [];

  constructor(
    runtime: Pick<Runtime, "disposed" | "debug"> & { readonly $memory: CollectedMemory },
    queue: EventQueue<EventKind>,
    leases: Leases,
    inFlightBound: number,
    observer: DispatchObserver,
  ) {
    this.#runtime = runtime;
    this.#memory = runtime.$memory;
    this.#queue = queue;
    this.#leases = leases;
    this.#observer = observer;
    this.#inFlightBound = inFlightBound;
    this.#isDebug = runtime.debug;
    this.#context = new Context(leases);
  }

  /** Events whose handler has returned, thrown or settled, the one that is running now counted in. */
  get processed(): number {
    return this.#sequence - (this.#abandoning ? this.abandoned : this.inFlight);
  }

  /** Whether another event may begin: nothing has stopped dispatch, and not too many are in flight. */
  get mayDispatch(): boolean {
    return !this.#halted && this.inFlight < this.#inFlightBound;
  }

  /**
   * Handles up to `limit` of the events in the queue, which holds at least as many. Returns how many it was.
   *
   * One function, as a call per event would cost a tenth of it; the context is a local, as a store of a young object
   * into an old one is what an asynchronous event would feel most.
   */
  dispatch(limit: number): number {
    const queue = this.#queue;
    const memory = this.#memory;
    const collectors = memory.collectors;
    const running = memory.handlersRunning;
    let context = this.#context;
    let count = 0;
    for (; count < limit && this.mayDispatch; count++) {
      const kind = queue.kind;
      const payload = queue.payload;
      queue.shift();

      const handler = kind.handler;
      context.begin(kind, this.#sequence++);
      memory.handlersRunning = running + 1;
      try {
        const result = handler(payload, context);
        memory.handlersRunning = running;
        if (result !== undefined && isThenable(result)) {
          this.#depart(result, context, payload);
          context = context.successor();
          continue;
        }
      } catch (error) {
        memory.handlersRunning = running;
        this.failures++;
        this.#reportFailure(error, this.#end(context), context, payload);
        this.#settle(context, payload);
        context = new Context(this.#leases);
        continue;
      }
      const fault = this.#end(context);
      if (fault === undefined && collectors.size === 0 && !this.#isDebug) continue;
      if (fault !== undefined) this.#report(fault, context, payload);
      this.#settle(context, payload);
      if (fault !== undefined || this.#isDebug) context = new Context(this.#leases);
    }
    this.#context = context;
    return count;
  }

  /** No event begins from here on. Those in flight still land. */
  halt(): void {
    this.#halted = true;
  }

  /** Stops waiting for those in flight: they still land, and end their regions, but count as abandoned. */
  abandon(): void {
    this.halt();
    this.#abandoning = true;
    this.abandoned = this.inFlight;
  }

  land(flight: Flight): void {
    const { context, payload } = flight;
    const fault = this.#endFlight(flight);
    if (fault !== undefined) this.#report(fault, context!, payload);
    if (this.#memory.collectors.size > 0) this.#settle(context!, payload);
    this.#observer.landed();
  }

  crash(flight: Flight, error: unknown): void {
    const { context, payload } = flight;
    this.failures++;
    this.#reportFailure(error, this.#endFlight(flight), context!, payload);
    this.#settle(context!, payload);
    this.#observer.landed();
  }

  /** The event goes on without us, and keeps its context. */
  #depart(promise: PromiseLike<unknown>, context: Context, payload: unknown): void {
    const flight = this.#hangar.pop() ?? new Flight(this);
    flight.context = context;
    flight.payload = payload;
    whenSettled(promise, flight.landed, flight.crashed); // may throw, if its constructor is a strange one
    this.inFlight++;
    if (this.inFlight > this.inFlightHighWater) this.inFlightHighWater = this.inFlight;
  }

  #endFlight(flight: Flight): unknown {
    const fault = this.#end(flight.context!);
    flight.context = undefined;
    flight.payload = undefined;
    this.#hangar.push(flight);
    this.inFlight--;
    return fault;
  }

  /**
   * Has each heap pay what it owes, now that an event has ended. What one throws is reported with the event, as its own
   * failure, and keeps no other from its turn.
   */
  #settle(context: Context, payload: unknown): void {
    for (const collector of this.#memory.collectors) {
      try {
        collector.$settle();
      } catch (error) {
        this.#report(error, context, payload);
      }
    }
  }

  /** Returns what went wrong in ending the region. A disposed runtime has ended all of them itself: nothing is wrong. */
  #end(context: Context): unknown {
    try {
      context.end();
    } catch (error) {
      if (!this.#runtime.disposed) return error;
    }
    return undefined;
  }

  /**
   * Reports a handler's error and what went wrong in ending its region: in one, but for what destroy hooks have thrown,
   * which has another cause and is reported after it.
   */
  #reportFailure(error: unknown, fault: unknown, context: Context, payload: unknown): void {
    if (fault instanceof DestroyHookError) {
      this.#report(error, context, payload);
      this.#report(fault, context, payload);
    } else {
      this.#report(causedBy(fault, error), context, payload);
    }
  }

  #report(error: unknown, context: Context, payload: unknown): void {
    this.#observer.failed(error, { kind: context.kind.name, sequence: context.sequence, payload });
  }
}
