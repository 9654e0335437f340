import { DeadlineError, DestroyHookError, EventAbandonedError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Runtime } from "../runtime.js";
import { causedBy } from "./cause.js";
import { Context, type EventContext } from "./context.js";
import type { Fibers } from "./fibers.js";
import { Flight, type Tower } from "./flight.js";
import type { Heartbeat } from "./heartbeat.js";
import { type EventKind, type FailedEvent, type Handler, NO_EVENT } from "./kind.js";
import type { Leases } from "./leases.js";
import type { LoopSettings } from "./options.js";
import type { EventQueue } from "./queue.js";
import { isThenable, whenSettled } from "./thenable.js";
import type { Timers } from "./timers.js";

/** What the loop's parts need of the memory: who collects between events, and whom to tell that a handler runs. */
export type CollectedMemory = Pick<LinearMemory, "collectors" | "handlersRunning">;

/** Whom the dispatcher tells; both are called when the event's region and scope have ended. */
export interface DispatchObserver {
  /** An event's handler threw or rejected, a destroy hook at its region's end, or a heap that was collected after it. */
  failed(error: unknown, event: FailedEvent): void;
  /** An asynchronous event has settled, whichever way, and heaps have been collected. Comes after `failed`. */
  landed(): void;
}

/** What the dispatcher has of its loop besides: made when it is first read. */
export interface DispatchTools {
  readonly fibers: Fibers;
  readonly timers: Timers;
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
 * returns a promise takes its context with it, as one that is a fiber does at its first wait: the event becomes a flight, and
 * ends when the promise settles or the fiber has ended. Nothing else ends it: not a close, not a deadline, not another event's
 * failure. What is private here is so to the compiler only: see {@link Context}.
 */
export class Dispatcher implements Tower {
  /** Events whose handler threw or rejected. */
  failures = 0;
  /** Asynchronous events that have not settled, and are waited for. */
  inFlight = 0;
  inFlightHighWater = 0;
  /** Events that the loop has stopped waiting for, and those of them that have not settled. */
  abandoned = 0;
  quarantined = 0;
  /** The name of the kind of those that were dispatched last; empty if they were of several. */
  lastKind = "";

  private readonly runtime: Pick<Runtime, "disposed">;
  private readonly memory: CollectedMemory;
  private readonly leases: Leases;
  private readonly observer: DispatchObserver;
  private readonly tools: DispatchTools;
  private readonly heartbeat: Heartbeat | undefined;
  private readonly abandonAfter: number | undefined;
  /** How many more events may be in flight. None or less once dispatch is halted. */
  private openings: number;
  /** Whether each event gets a context and a region object of its own, synchronous ones too. */
  private readonly isDebug: boolean;
  /** The context of the next event; nobody has it, but synchronous handlers that have kept it. */
  private context: Context;
  /** The next event's number, which is how many have begun. */
  private sequence = 0;
  private halted = false;
  /** Why nobody wants what is in flight any more, if that is so: those that take off now are to know as well. */
  private unwanted: unknown;
  /** Those in flight that are waited for, and behind them such as have landed, for the next: an array that shrinks makes garbage. */
  private readonly flights: Flight[] = [];

  constructor(
    runtime: Pick<Runtime, "disposed" | "debug"> & { readonly $memory: CollectedMemory },
    leases: Leases,
    settings: Pick<LoopSettings, "inFlight" | "abandonAfter">,
    observer: DispatchObserver,
    tools: DispatchTools,
    heartbeat: Heartbeat | undefined,
  ) {
    this.heartbeat = heartbeat;
    this.runtime = runtime;
    this.memory = runtime.$memory;
    this.leases = leases;
    this.observer = observer;
    this.tools = tools;
    this.openings = settings.inFlight;
    this.abandonAfter = settings.abandonAfter;
    this.isDebug = runtime.debug;
    this.context = new Context(leases);
    keepHandlersApart();
  }

  /** Events whose handler has returned, thrown or settled, the one that is running now counted in. */
  get processed(): number {
    return this.sequence - this.inFlight - this.abandoned;
  }

  /** Whether another event may begin: nothing has stopped dispatch, and not too many are in flight. */
  get mayDispatch(): boolean {
    return this.openings > 0;
  }

  /** The number of the next event. */
  get next(): number {
    return this.sequence;
  }

  /**
   * Handles up to `limit` of the events in a queue, which holds at least as many. Returns how many it was.
   *
   * One function, as a call per event would cost a tenth of it; the context is a local, as a store of a young object
   * into an old one is what an asynchronous event would feel most. For the collectors' sake a handler counts as running from
   * the first event to the last, but for what is not as usual between two of them.
   */
  dispatch(queue: EventQueue<EventKind>, limit: number): number {
    const { memory, heartbeat } = this;
    const { collectors, handlersRunning: running } = memory;
    const first = queue.kind;
    let { context } = this;
    let isUniform = true;
    let count = 0;
    memory.handlersRunning = running + 1;
    for (; count < limit && this.openings > 0; count++) {
      const { kind } = queue;
      const payload = queue.shift();
      if (kind !== first) isUniform = false;
      if (heartbeat !== undefined) heartbeat.beat(this.sequence, kind.index);
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
        context = this.endFailed(error, context, payload);
        memory.handlersRunning = running + 1;
        continue;
      }
      memory.handlersRunning = running;
      context = this.endUnusual(result, context, payload);
      memory.handlersRunning = running + 1;
    }
    memory.handlersRunning = running;
    this.context = context;
    this.lastKind = isUniform && count > 0 ? first.name : "";
    this.rest(context);
    return count;
  }

  /** Gives back the region that the last event has left behind. Whoever has kept that may have given it hooks to run. */
  private rest(context: Context): void {
    try {
      context.rest();
    } catch (error) {
      if (!this.runtime.disposed) this.observer.failed(error, NO_EVENT);
    }
  }

  /** The event's handler has returned something, or there is more to do at its end. Returns the next event's context. */
  private endUnusual(result: unknown, context: Context, payload: unknown): Context {
    try {
      if (context.eventKind!.isFiber) return this.departFiber(result, context, payload);
      if (isThenable(result)) return this.departPromise(result, context, payload);
    } catch (error) {
      return this.endFailed(error, context, payload);
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
  private endFailed(error: unknown, context: Context, payload: unknown): Context {
    if (context.hasEnded) {
      if (!this.runtime.disposed) this.report(error, context, payload);
    } else {
      this.failures++;
      this.reportFailure(error, this.end(context), context, payload);
    }
    this.settle(context, payload);
    return new Context(this.leases);
  }

  /** No event begins from here on. Those in flight still land; they are told by their signals that nobody wants what they do. */
  halt(reason: unknown): void {
    if (this.halted) return;
    this.halted = true;
    this.openings = -this.inFlight;
    this.abort(reason);
  }

  /** Aborts the signals of those in flight, and of whatever takes off from here on; fibers are cancelled. */
  abort(reason: unknown): void {
    this.unwanted ??= reason;
    for (const { context, task } of this.flights.slice(0, this.inFlight)) {
      context?.abort(reason);
      task?.cancel();
    }
  }

  /** Stops waiting for those in flight: they still land, and end their regions, but count as abandoned. */
  abandon(reason: unknown): void {
    this.halt(reason);
    while (this.inFlight > 0) this.leave(this.flights[0]!);
  }

  land(flight: Flight, cancelled: boolean): void {
    const { context, payload } = flight;
    if (cancelled && context!.aborted instanceof DeadlineError) {
      this.crash(flight, context!.aborted); // otherwise whoever has cancelled it knows
      return;
    }
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

  overdue(flight: Flight): void {
    flight.deadline = undefined;
    const { eventKind: kind, sequence } = flight.context!;
    const message = `the event ${sequence} of kind "${kind!.name}" has been in flight for ${kind!.deadline} ms, its deadline`;
    flight.context!.abort(new DeadlineError(message));
    flight.task?.cancel();
  }

  giveUp(flight: Flight): void {
    flight.limit = undefined;
    const { context, payload } = flight;
    const message = `the event ${context!.sequence} of kind "${context!.kind.name}" has been in flight for ${this.abandonAfter} ms, and is not waited for any more`;
    const error = new EventAbandonedError(message);
    this.leave(flight);
    context!.abort(error);
    flight.task?.cancel();
    this.report(error, context!, payload);
    this.observer.landed();
  }

  /** The event goes on without us, and keeps its context. Returns the next event's. */
  private departPromise(promise: PromiseLike<unknown>, context: Context, payload: unknown): Context {
    const flight = this.nextFlight();
    whenSettled(promise, flight.landed, flight.crashed); // may throw, if its constructor is a strange one
    this.takeOff(flight, context, payload);
    this.limit(flight, context, payload);
    return context.successor();
  }

  /** The event's fiber runs, up to its first wait. Returns the next event's context. */
  private departFiber(generator: unknown, context: Context, payload: unknown): Context {
    const flight = this.nextFlight();
    const next = flight.spare;
    flight.spare = undefined;
    this.takeOff(flight, context, payload);
    this.limit(flight, context, payload);
    this.board(flight, generator as Generator, context);
    if (flight.context === undefined) this.settle(context, payload);
    return next ?? (context.hasEnded ? new Context(this.leases) : context.successor());
  }

  /** Runs a fiber up to its first wait, or its end. */
  private board(flight: Flight, generator: Generator, context: Context): void {
    const { memory } = this;
    memory.handlersRunning++;
    try {
      const task = this.tools.fibers.$adopt(generator, flight.landed, flight.crashed, context);
      if (flight.context !== context) return; // it has landed already
      flight.task = task;
      if (context.aborted !== undefined) task.cancel();
    } catch (error) {
      this.crash(flight, error);
    } finally {
      memory.handlersRunning--;
    }
  }

  /** One that has landed, or a new one; it is taken by {@link takeOff}. */
  private nextFlight(): Flight {
    const { flights, inFlight } = this;
    if (inFlight < flights.length) return flights[inFlight]!;
    const flight = new Flight(this);
    flight.index = inFlight;
    flights.push(flight);
    return flight;
  }

  private takeOff(flight: Flight, context: Context, payload: unknown): void {
    try {
      context.depart();
    } catch (error) {
      if (!this.runtime.disposed) this.observer.failed(error, NO_EVENT); // as in `rest`
    }
    flight.context = context;
    flight.payload = payload;
    this.inFlight++;
    this.openings--;
    if (this.inFlight > this.inFlightHighWater) this.inFlightHighWater = this.inFlight;
    if (this.unwanted !== undefined) context.abort(this.unwanted);
  }

  /** Arms what limits the event's time. Its handler has been called: if there is no memory for that, it goes on without. */
  private limit(flight: Flight, context: Context, payload: unknown): void {
    const { abandonAfter } = this;
    const { deadline } = context.eventKind!;
    if (deadline === undefined && abandonAfter === undefined) return;
    try {
      if (deadline !== undefined) flight.deadline = this.tools.timers.arm(deadline, flight.overdue);
      if (abandonAfter !== undefined) flight.limit = this.tools.timers.arm(abandonAfter, flight.givenUp);
    } catch (error) {
      this.report(error, context, payload);
    }
  }

  /** Takes a flight from those that are waited for, but not its region. It is not used again. */
  private leave(flight: Flight): void {
    this.remove(flight);
    const last = this.flights.pop()!;
    if (last !== flight) {
      this.flights[flight.index] = last;
      last.index = flight.index;
    }
    flight.abandoned = true;
    this.abandoned++;
    this.quarantined++;
  }

  private remove(flight: Flight): void {
    const { flights } = this;
    const { index } = flight;
    const behind = --this.inFlight;
    this.openings++;
    if (index !== behind) {
      const last = flights[behind]!;
      flights[index] = last;
      last.index = index;
      flights[behind] = flight;
      flight.index = behind;
    }
    if (flight.deadline !== undefined || flight.limit !== undefined) this.disarm(flight);
  }

  private disarm(flight: Flight): void {
    const { deadline, limit } = flight;
    flight.deadline = undefined;
    flight.limit = undefined;
    if (this.runtime.disposed) return;
    if (deadline !== undefined) this.tools.timers.cancel(deadline);
    if (limit !== undefined) this.tools.timers.cancel(limit);
  }

  private endFlight(flight: Flight): unknown {
    const context = flight.context!;
    if (flight.abandoned) this.quarantined--;
    else this.remove(flight);
    const fault = this.end(context);
    context.eventKind!.onFiberEnd?.(flight.payload);
    if (context.eventKind!.isFiber && fault === undefined && !this.isDebug) flight.spare = context;
    flight.abandoned = false;
    flight.context = undefined;
    flight.payload = undefined;
    flight.task = undefined;
    return fault;
  }

  /** Has heaps pay what they owe for what was neither an event's nor inside a handler: what timers and fibers have done. */
  settleHeaps(): void {
    if (this.memory.handlersRunning > 0) return;
    for (const collector of this.memory.collectors) {
      try {
        collector.$settle();
      } catch (error) {
        this.observer.failed(error, NO_EVENT);
      }
    }
  }

  /**
   * Has each heap pay what it owes, now that an event has ended. What one throws is reported with the event, as its own
   * failure, and keeps no other from its turn. Where a handler may be running, as fibers end among others, whoever has called it
   * sees to that later.
   */
  private settle(context: Context, payload: unknown): void {
    if (this.memory.handlersRunning > 0) return;
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
    const kind = context.eventKind!;
    this.observer.failed(error, { kind: kind.name, sequence: context.sequence, payload: kind.payloadOf(payload) });
  }
}
