import { DeadlineError, DestroyHookError, EventAbandonedError, InvalidArgumentError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Runtime } from "../runtime.js";
import { causedBy } from "./cause.js";
import { Context, type EventContext } from "./context.js";
import type { Fibers } from "./fibers.js";
import type { Flight, Tower } from "./flight.js";
import { Flights } from "./flights.js";
import { isGenerator } from "./generatorFunction.js";
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
  /**
   * An asynchronous event has settled, whichever way, and heaps have been collected. Comes after `failed`; not at all for one that
   * has settled well in the turn in which it took off, as the turn's end follows.
   */
  landed(): void;
}

/** What the dispatcher has of its loop besides: made when it is first read. */
export interface DispatchTools {
  readonly fibers: Fibers;
  readonly timers: Timers;
}

/** For {@link Dispatcher.sharingTurn}. */
const NO_TURN = -1;

/** Calls a handler. */
function invoke(handler: Handler<unknown>, payload: unknown, context: EventContext<unknown>): unknown {
  return handler(payload, context);
}

/** Apart, since code that never runs counts, too, for what engines compile in place. */
function generatorError(kind: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `the handler of "${kind}" has returned a generator, of which nothing would run: a handler that is a fiber must be a generator function itself`,
  );
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
 * Each event has a flight, and that a context. A synchronous event is begun, run and ended on the flight that is next, and leaves
 * it to the one that follows. A handler that returns a promise takes off with it, as one that is a fiber does; it ends when the
 * promise settles or the fiber has ended. Nothing else ends it: not a close, not a deadline, not another event's failure. What is
 * private here is so to the compiler only: see {@link Context}.
 */
export class Dispatcher implements Tower {
  /** Events whose handler threw or rejected. */
  failures = 0;
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
  /** Whether each event gets a context and a region object of its own. */
  private readonly isDebug: boolean;
  private readonly flights: Flights;
  /** The turn's number; and likewise while it is under way, or has paused, but for the debug runtime. */
  private turn = 0;
  private sharingTurn = NO_TURN;
  /** The next event's number, which is how many have begun. */
  private sequence = 0;
  private halted = false;
  /** Set once the results of events in flight are no longer wanted: the abort reason, also for those that take off later. */
  private unwanted: unknown;

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
    this.flights = new Flights(settings.inFlight, this, () => new Context(leases));
    this.abandonAfter = settings.abandonAfter;
    this.isDebug = runtime.debug;
    keepHandlersApart();
  }

  /** Asynchronous events that have not settled, and are waited for. */
  get inFlight(): number {
    return this.flights.inFlight;
  }

  get inFlightHighWater(): number {
    return this.flights.highWater;
  }

  /** Events whose handler has returned, thrown or settled, the one that is running now counted in. */
  get processed(): number {
    return this.sequence - this.inFlight - this.abandoned;
  }

  /** Whether another event may begin: nothing has stopped dispatch, and not too many are in flight. */
  get mayDispatch(): boolean {
    return this.flights.openings > 0;
  }

  /** The number of the next event. */
  get next(): number {
    return this.sequence;
  }

  /** The turn of this number, from 1, begins: what its events leave behind for one another is theirs until {@link endTurn}. */
  beginTurn(turn: number): void {
    this.turn = turn;
    if (!this.isDebug) this.sharingTurn = turn;
  }

  /** Gives back the regions that events have left behind. Whoever has kept such a one may have given it hooks to run. */
  endTurn(): void {
    this.sharingTurn = NO_TURN;
    this.flights.forEachPrepared(this.rest);
  }

  /** The runtime is gone: events that go on find none of the regions that have been left behind for them. */
  forgetRegions(): void {
    this.flights.forEachPrepared(this.rest);
  }

  private readonly rest = (context: Context): void => {
    try {
      context.rest();
    } catch (error) {
      if (!this.runtime.disposed) this.observer.failed(error, NO_EVENT);
    }
  };

  /**
   * Handles up to `limit` of the events in a queue, which holds at least as many. Returns how many it was.
   *
   * One function, as a call per event would cost a tenth of it. For the collectors' sake a handler counts as running from
   * the first event to the last, but for what is not as usual between two of them.
   */
  dispatch(queue: EventQueue<EventKind>, limit: number): number {
    const { memory, heartbeat, flights } = this;
    const { collectors, handlersRunning: running } = memory;
    const first = queue.kind;
    let flight = flights.prepare();
    let { context } = flight;
    let isUniform = true;
    let count = 0;
    memory.handlersRunning = running + 1;
    for (; count < limit && flights.openings > 0; count++) {
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
        this.endFailed(error, flight, payload);
        context = flight.context;
        memory.handlersRunning = running + 1;
        continue;
      }
      memory.handlersRunning = running;
      this.endUnusual(result, flight, payload);
      flight = flights.prepare();
      context = flight.context;
      memory.handlersRunning = running + 1;
    }
    memory.handlersRunning = running;
    this.lastKind = isUniform && count > 0 ? first.name : "";
    return count;
  }

  /** {@link dispatch}, to be handed on. */
  readonly dispatchFrom = (queue: EventQueue<EventKind>, limit: number): number => this.dispatch(queue, limit);

  /** The event's handler has returned something, or there is more to do at its end. */
  private endUnusual(result: unknown, flight: Flight, payload: unknown): void {
    const { context } = flight;
    try {
      if (context.eventKind!.isFiber) {
        this.departFiber(result as Generator, flight, payload);
        return;
      }
      if (isThenable(result)) {
        whenSettled(result, flight.landed, flight.crashed); // may throw, if its constructor is a strange one
        this.takeOff(flight, payload);
        return;
      }
      if (isGenerator(result)) throw generatorError(context.eventKind!.name);
    } catch (error) {
      this.endFailed(error, flight, payload);
      return;
    }
    const fault = this.end(flight, false);
    if (fault !== undefined) this.report(fault, context, payload);
    this.settle(context, payload);
  }

  /** The event's handler has thrown, or its region could not be ended, and then it has ended all the same. */
  private endFailed(error: unknown, flight: Flight, payload: unknown): void {
    const { context } = flight;
    if (context.hasEnded) {
      flight.context = new Context(this.leases);
      if (!this.runtime.disposed) this.report(error, context, payload);
    } else {
      this.failures++;
      const fault = this.end(flight, true);
      this.reportFailure(error, fault, context, payload);
    }
    this.settle(context, payload);
  }

  /** No event begins from here on. Those in flight still land; they are told by their signals that nobody wants what they do. */
  halt(reason: unknown): void {
    if (this.halted) return;
    this.halted = true;
    this.flights.halt();
    this.abort(reason);
  }

  /** Aborts the signals of those in flight, and of whatever takes off from here on; fibers are cancelled. */
  abort(reason: unknown): void {
    this.unwanted ??= reason;
    for (const flight of this.flights.waitedFor) {
      if (!flight.airborne) continue; // the fibers before it have ended it
      flight.context.abort(reason);
      flight.task?.cancel();
    }
  }

  /** Stops waiting for those in flight: they still land, and end their regions, but count as abandoned. */
  abandon(reason: unknown): void {
    this.halt(reason);
    for (const flight of this.flights.waitedFor) this.leave(flight);
  }

  land(flight: Flight, cancelled: boolean): void {
    const { context, payload } = flight;
    if (flight.turn === this.sharingTurn && this.memory.collectors.size === 0) {
      flight.payload = undefined;
      try {
        context.endShared();
      } catch (error) {
        this.endFailed(error, flight, payload);
      }
      this.retire(flight);
      return; // the turn will see to what follows
    }
    if (cancelled && context.aborted instanceof DeadlineError) {
      this.crash(flight, context.aborted); // otherwise whoever has cancelled it knows
      return;
    }
    const fault = this.endFlight(flight);
    if (fault !== undefined) this.report(fault, context, payload);
    if (this.memory.collectors.size > 0) this.settle(context, payload);
    this.observer.landed();
  }

  crash(flight: Flight, error: unknown): void {
    const { context, payload } = flight;
    this.failures++;
    const fault = this.endFlight(flight);
    this.reportFailure(error, fault, context, payload);
    this.settle(context, payload);
    this.observer.landed();
  }

  overdue(flight: Flight): void {
    flight.deadline = undefined;
    const { eventKind: kind, sequence } = flight.context;
    const message = `the event ${sequence} of kind "${kind!.name}" has been in flight for ${kind!.deadline} ms, its deadline`;
    flight.context.abort(new DeadlineError(message));
    flight.task?.cancel();
  }

  giveUp(flight: Flight): void {
    flight.limit = undefined;
    const { context, payload } = flight;
    const message = `the event ${context.sequence} of kind "${context.kind.name}" has been in flight for ${this.abandonAfter} ms, and is not waited for any more`;
    const error = new EventAbandonedError(message);
    this.leave(flight);
    context.abort(error);
    flight.task?.cancel();
    this.report(error, context, payload);
    this.observer.landed();
  }

  /** The event's fiber runs, up to its first wait, or its end. */
  private departFiber(generator: Generator, flight: Flight, payload: unknown): void {
    const { memory } = this;
    const { context } = flight;
    this.takeOff(flight, payload);
    flight.turn = 0;
    memory.handlersRunning++;
    try {
      const task = this.tools.fibers.$adopt(generator, flight.landed, flight.crashed, context);
      if (!flight.airborne) return;
      flight.task = task;
      if (context.aborted !== undefined) task.cancel();
    } catch (error) {
      this.crash(flight, error);
    } finally {
      memory.handlersRunning--;
      if (!flight.airborne) this.settle(context, payload);
    }
  }

  private takeOff(flight: Flight, payload: unknown): void {
    const { context } = flight;
    this.rest(context);
    this.flights.takeOff(flight);
    flight.payload = payload;
    flight.turn = this.turn;
    if (this.unwanted !== undefined) context.abort(this.unwanted);
    if (context.eventKind!.deadline === undefined && this.abandonAfter === undefined) return;
    flight.turn = 0;
    this.limit(flight, payload);
  }

  /** Arms what limits the event's time. Its handler has been called: if there is no memory for that, it goes on without. */
  private limit(flight: Flight, payload: unknown): void {
    const { context } = flight;
    const { abandonAfter } = this;
    const deadline = context.eventKind!.timeLeft;
    try {
      if (deadline !== undefined) flight.deadline = this.tools.timers.arm(deadline, flight.overdue);
      if (abandonAfter !== undefined) flight.limit = this.tools.timers.arm(abandonAfter, flight.givenUp);
    } catch (error) {
      this.report(error, context, payload);
    }
  }

  /** Takes a flight from those that are waited for, but not its region. */
  private leave(flight: Flight): void {
    this.disarm(flight);
    flight.turn = 0;
    this.flights.leave(flight);
    this.abandoned++;
    this.quarantined++;
  }

  private disarm(flight: Flight): void {
    const { deadline, limit } = flight;
    flight.deadline = undefined;
    flight.limit = undefined;
    if (this.runtime.disposed) return;
    if (deadline !== undefined) this.tools.timers.cancel(deadline);
    if (limit !== undefined) this.tools.timers.cancel(limit);
  }

  /** Ends the event of a flight. Its context is a fiber's while that is alive, and then another's, but a promise's for good. */
  private endFlight(flight: Flight): unknown {
    const { context, payload } = flight;
    const { eventKind: kind } = context;
    if (flight.deadline !== undefined || flight.limit !== undefined) this.disarm(flight);
    flight.payload = undefined;
    flight.task = undefined;
    const fault = this.end(flight, !kind!.isFiber);
    kind!.onFiberEnd?.(payload);
    this.retire(flight);
    return fault;
  }

  /** The event of a flight has ended: not before, as another might take what it has; and hooks may have given it up meanwhile. */
  private retire(flight: Flight): void {
    if (!flight.abandoned) {
      this.flights.land(flight);
      return;
    }
    this.quarantined--;
    flight.airborne = false;
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

  /**
   * Ends an event. Returns what went wrong in ending its region; a disposed runtime has ended all of them itself: nothing is
   * wrong.
   *
   * @param keeps whether the event's context stays its own; one that could not be ended well serves no other either
   */
  private end(flight: Flight, keeps: boolean): unknown {
    const { context } = flight;
    if (keeps || this.isDebug) flight.context = new Context(this.leases);
    try {
      context.end();
    } catch (error) {
      if (flight.context === context) flight.context = new Context(this.leases);
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
