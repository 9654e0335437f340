import { DestroyHookError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Runtime } from "../runtime.js";
import { causedBy } from "./cause.js";
import { Context, type EventContext } from "./context.js";
import { Flight, type Tower } from "./flight.js";
import type { EventKind, FailedEvent, Handler } from "./kind.js";
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

/** Calls a handler. */
function invoke(handler: Handler<unknown>, payload: unknown, context: EventContext): unknown {
  return handler(payload, context);
}

let areApart = false;

/**
 * Has the engine see more than one handler, before there is any. With one kind of event it would compile that kind's handler in
 * place, into the loop of {@link Dispatcher.dispatch}; the two together exceed what V8 compiles in place, and what suffers is the
 * handler's inside: accessors become calls, and the fractions that they return garbage (benchmark case loop/synchronous: 58 to 38
 * ns). In functions of their own both fit.
 */
function keepHandlersApart(): void {
  if (areApart) return;
  areApart = true;
  const handlers: Handler<unknown>[] = [() => {}, (payload) => payload, (_payload, context) => context];
  for (let call = 0; call < 600; call++) invoke(handlers[call % 3]!, undefined, undefined as never);
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

  private readonly runtime: Pick<Runtime, "disposed">;
  private readonly memory: CollectedMemory;
  private readonly queue: EventQueue<EventKind>;
  private readonly leases: Leases;
  private readonly observer: DispatchObserver;
  /** How many more events may be in flight. None or less once dispatch is halted. */
  private openings: number;
  /** Whether each event gets a context and a region object of its own, synchronous ones too. */
  private readonly isDebug: boolean;
  /** The context of the next event; nobody has it, but synchronous handlers that have kept it. */
  private context: Context;
  /** The next event's number, which is how many have begun. */
  private sequence = 0;
  private abandoning = false;
  /** Flights that have landed and wait for another; at most the bound of those in flight. */
  private readonly hangar: Flight[] = [];

  constructor(
    runtime: Pick<Runtime, "disposed" | "debug"> & { readonly $memory: CollectedMemory },
    queue: EventQueue<EventKind>,
    leases: Leases,
    inFlightBound: number,
    observer: DispatchObserver,
  ) {
    this.runtime = runtime;
    this.memory = runtime.$memory;
    this.queue = queue;
    this.leases = leases;
    this.observer = observer;
    this.openings = inFlightBound;
    this.isDebug = runtime.debug;
    this.context = new Context(leases);
    keepHandlersApart();
  }

  /** Events whose handler has returned, thrown or settled, the one that is running now counted in. */
  get processed(): number {
    return this.sequence - (this.abandoning ? this.abandoned : this.inFlight);
  }

  /** Whether another event may begin: nothing has stopped dispatch, and not too many are in flight. */
  get mayDispatch(): boolean {
    return this.openings > 0;
  }

  /**
   * Handles up to `limit` of the events in the queue, which holds at least as many. Returns how many it was.
   *
   * One function, as a call per event would cost a tenth of it; the context is a local, as a store of a young object
   * into an old one is what an asynchronous event would feel most. For the collectors' sake a handler counts as running from
   * the first event to the last, but for what is not as usual between two of them.
   */
  dispatch(limit: number): number {
    const queue = this.queue;
    const memory = this.memory;
    const collectors = memory.collectors;
    const running = memory.handlersRunning;
    let context = this.context;
    let count = 0;
    memory.handlersRunning = running + 1;
    for (; count < limit && this.openings > 0; count++) {
      const kind = queue.kind;
      const payload = queue.shift();
      context.begin(kind, this.sequence++);
      let result: unknown;
      try {
        result = invoke(kind.handler, payload, context);
        if (result === undefined && collectors.size === 0 && !this.isDebug) {
          context.endShared();
          continue;
        }
      } catch (error) {
        memory.handlersRunning = running;
        context = this.failedEvent(error, context, payload);
        memory.handlersRunning = running + 1;
        continue;
      }
      memory.handlersRunning = running;
      context = this.unusual(result, context, payload);
      memory.handlersRunning = running + 1;
    }
    memory.handlersRunning = running;
    context.rest();
    this.context = context;
    return count;
  }

  /** The event's handler has returned something, or there is more to do at its end. Returns the next event's context. */
  private unusual(result: unknown, context: Context, payload: unknown): Context {
    try {
      if (isThenable(result)) {
        this.depart(result, context, payload);
        return context.successor();
      }
    } catch (error) {
      return this.failedEvent(error, context, payload);
    }
    const fault = this.end(context);
    if (fault !== undefined) this.report(fault, context, payload);
    this.settle(context, payload);
    return fault !== undefined || this.isDebug ? new Context(this.leases) : context;
  }

  /**
   * The event's handler has thrown, or its region could not be ended, and then it has ended all the same. Returns the next
   * event's context.
   */
  private failedEvent(error: unknown, context: Context, payload: unknown): Context {
    if (context.hasEnded) {
      if (!this.runtime.disposed) this.report(error, context, payload);
    } else {
      this.failures++;
      this.reportFailure(error, this.end(context), context, payload);
    }
    this.settle(context, payload);
    return new Context(this.leases);
  }

  /** No event begins from here on. Those in flight still land. */
  halt(): void {
    this.openings = -this.inFlight;
  }

  /** Stops waiting for those in flight: they still land, and end their regions, but count as abandoned. */
  abandon(): void {
    this.halt();
    this.abandoning = true;
    this.abandoned = this.inFlight;
  }

  land(flight: Flight): void {
    const { context, payload } = flight;
    const fault = this.endFlight(flight);
    if (fault !== undefined) this.report(fault, context!, payload);
    if (this.memory.collectors.size > 0) this.settle(context!, payload);
    this.observer.landed();
  }

  crash(flight: Flight, error: unknown): void {
    const { context, payload } = flight;
    this.failures++;
    this.reportFailure(error, this.endFlight(flight), context!, payload);
    this.settle(context!, payload);
    this.observer.landed();
  }

  /** The event goes on without us, and keeps its context. */
  private depart(promise: PromiseLike<unknown>, context: Context, payload: unknown): void {
    const flight = this.hangar.pop() ?? new Flight(this);
    flight.context = context;
    flight.payload = payload;
    whenSettled(promise, flight.landed, flight.crashed); // may throw, if its constructor is a strange one
    this.inFlight++;
    this.openings--;
    if (this.inFlight > this.inFlightHighWater) this.inFlightHighWater = this.inFlight;
  }

  private endFlight(flight: Flight): unknown {
    const fault = this.end(flight.context!);
    flight.context = undefined;
    flight.payload = undefined;
    this.hangar.push(flight);
    this.inFlight--;
    this.openings++;
    return fault;
  }

  /**
   * Has each heap pay what it owes, now that an event has ended. What one throws is reported with the event, as its own
   * failure, and keeps no other from its turn.
   */
  private settle(context: Context, payload: unknown): void {
    for (const collector of this.memory.collectors) {
      try {
        collector.$settle();
      } catch (error) {
        this.report(error, context, payload);
      }
    }
  }

  /** Returns what went wrong in ending the region. A disposed runtime has ended all of them itself: nothing is wrong. */
  private end(context: Context): unknown {
    try {
      context.end();
    } catch (error) {
      if (!this.runtime.disposed) return error;
    }
    return undefined;
  }

  /**
   * Reports a handler's error and what went wrong in ending its region: in one, but for what destroy hooks have thrown,
   * which has another cause and is reported after it.
   */
  private reportFailure(error: unknown, fault: unknown, context: Context, payload: unknown): void {
    if (fault instanceof DestroyHookError) {
      this.report(error, context, payload);
      this.report(fault, context, payload);
    } else {
      this.report(causedBy(fault, error), context, payload);
    }
  }

  private report(error: unknown, context: Context, payload: unknown): void {
    this.observer.failed(error, { kind: context.kind.name, sequence: context.sequence, payload });
  }
}
