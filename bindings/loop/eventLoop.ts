import { DisposedError, DuplicateKindError, InvalidArgumentError, LoopClosedError, LoopStateError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Runtime } from "../runtime.js";
import { causedBy } from "./cause.js";
import { Deferred } from "./deferred.js";
import { type CollectedMemory, Dispatcher, type DispatchObserver } from "./dispatcher.js";
import { IdleTime } from "./idleTime.js";
import {
  assertHandler,
  assertKindName,
  EventKind,
  type FailedEvent,
  type Handler,
  type Inbox,
  type Kind,
  type KindOptions,
} from "./kind.js";
import { Leases } from "./leases.js";
import type { CloseReport, Loop } from "./loop.js";
import { assertObject, type CloseOptions, closingOf, type LoopSettings, policyOf } from "./options.js";
import { EventQueue, type PostResult } from "./queue.js";
import type { RingMessage } from "./ringMessage.js";
import type { SourceStream } from "./sources/detect.js";
import type { SourceOptions } from "./sources/options.js";
import type { Source } from "./sources/source.js";
import { Sources } from "./sources/sources.js";
import { collectionsOf, type LoopStatistics } from "./statistics.js";
import { isThenable } from "./thenable.js";

/** The most events between two readings of the clock, which costs as much as one or two events. */
const CLOCK_BATCH = 256;

/** What a loop needs of its runtime. */
export type LoopRuntime = Pick<Runtime, "debug" | "disposed" | "regionPool"> &
  Partial<Pick<Runtime, "$onDispose">> & { readonly $memory: CollectedMemory };

/** Whoever runs the loop, and until when. */
interface Runner {
  readonly until: "closed" | "idle";
  readonly done: Deferred<void>;
}

/** A close under way: asked for, or begun by the error that stopped the loop. */
interface Closing {
  readonly done: Deferred<CloseReport>;
  /** Whether what is queued is dropped rather than handled. */
  readonly discard: boolean;
  /** Whether `close()` was called; a stop that nobody has asked for waits without a deadline, and tells nobody. */
  requested: boolean;
  cancelDeadline: (() => void) | undefined;
}

/**
 * The loop's phases, its promises, and the hops between its turns. Events themselves are the dispatcher's.
 *
 *   open ──close()──▶ closing ──nothing queued, nothing in flight, or the deadline──▶ closed
 *     └────error────────▲
 *
 * Nothing is scheduled while nobody runs the loop. While it runs, with the queue empty or as many events in flight as may
 * be, its time is the heaps', a hop for each step; when they have nothing to do, or there are none, nothing is scheduled
 * either. A run, a post to the empty queue, or a landing wakes it.
 */
export class EventLoop implements Loop, Inbox, DispatchObserver {
  readonly #runtime: Pick<Runtime, "disposed"> & { readonly $memory: CollectedMemory };
  readonly #settings: LoopSettings;
  readonly #kinds = new Map<string, EventKind>();
  readonly #queue: EventQueue<EventKind>;
  readonly #leases: Leases;
  readonly #dispatcher: Dispatcher;
  readonly #idleTime: IdleTime;
  readonly #sources = new Sources();

  readonly #forgetRuntime: (() => void) | undefined;
  #phase: "open" | "closing" | "closed" = "open";
  #runner: Runner | undefined;
  #closing: Closing | undefined;
  /** The error that stopped the loop, and whether somebody has been told: a run, or whoever posted. */
  #failure: { readonly error: unknown; readonly told: boolean } | undefined;
  /** All who wait for room in the ring. */
  #room: Deferred<void> | undefined;
  /** Whether the loop runs, and has gone to rest for want of events: the next post wakes it. */
  #resting = false;
  /** Whether a hop is under way: a turn will come. At most one is. */
  #hopping = false;
  /** Whether a turn is under way: what follows a turn must wait for its end. */
  #turning = false;
  #turns = 0;
  #dropped = 0;

  constructor(runtime: LoopRuntime, settings: LoopSettings) {
    this.#runtime = runtime;
    this.#settings = settings;
    this.#queue = new EventQueue(settings.capacity, settings.overflow);
    this.#leases = new Leases(runtime.regionPool());
    this.#dispatcher = new Dispatcher(runtime, this.#queue, this.#leases, settings.inFlight, this);
    this.#idleTime = new IdleTime(runtime.$memory.collectors);
    this.#forgetRuntime = runtime.$onDispose?.(() => {
      this.#stop(new DisposedError("the loop's runtime has been disposed"));
      if (!this.#turning) this.#advance();
    });
  }

  accept(kind: EventKind, payload: unknown): PostResult {
    if (this.#phase !== "open" || this.#runtime.disposed) this.#refuse(kind);
    const result = this.#queue.push(kind, payload, kind.maySpill);
    if (this.#resting) this.#wake();
    return result;
  }

  /** One turn. Runs from the host, never inside another turn, and throws nothing. */
  readonly #turn = (): void => {
    this.#hopping = false;
    this.#turning = true;
    if (this.#hasEvents) this.#dispatchTurn();
    else if (this.#hasIdleTime) this.#idleTurn();
    this.#turning = false;
    this.#advance();
  };

  /** Handles what is queued now, until the count or the slice is used up, or as many are in flight as may be. */
  #dispatchTurn(): void {
    const { host, turnEvents, turnMilliseconds } = this.#settings;
    let remaining = Math.min(this.#queue.length, turnEvents);
    this.#turns++;
    this.#idleTime.renew();
    const end = remaining > 1 ? host.now() + turnMilliseconds : 0; // a turn of one event needs no clock
    for (let batch = 1; remaining > 0; batch = Math.min(2 * batch, CLOCK_BATCH)) {
      const wanted = Math.min(batch, remaining);
      remaining -= wanted;
      if (this.#dispatcher.dispatch(wanted) < wanted) return;
      if (remaining > 0 && host.now() >= end) return;
    }
  }

  /** What follows a turn, a landing, a run or a close: drop, make room known, come to an end, or hop to the next turn. */
  #advance(): void {
    if (this.#phase === "closed") return;
    if (this.#closing?.discard) this.#drop();
    if (this.#room !== undefined && this.#queue.hasRoom) this.#announceRoom();
    if (this.#queue.length === 0 && this.#dispatcher.inFlight === 0) this.#endIdle();
    this.#wake();
    this.#resting = this.#isRunning && this.#queue.length === 0;
  }

  /** Gives one heap one step. Like an event that fails, a step that fails is reported, and stops the loop if it must. */
  #idleTurn(): void {
    try {
      this.#idleTime.step();
    } catch (error) {
      this.failed(error, { kind: "", sequence: -1, payload: undefined });
    }
  }

  /** Hops to the next turn, if there is something to do in it and no hop under way. */
  #wake(): void {
    this.#resting = false;
    if (this.#hopping || this.#turning || !(this.#hasEvents || this.#hasIdleTime)) return;
    this.#hopping = true;
    this.#settings.host.hop(this.#turn);
  }

  /** Whether a turn may handle an event. */
  get #hasEvents(): boolean {
    return this.#queue.length > 0 && this.#dispatcher.mayDispatch && this.#isRunning;
  }

  /** Whether a turn that handles no event may be a heap's. Not any more once an error has stopped the loop. */
  get #hasIdleTime(): boolean {
    return this.#idleTime.wanted && this.#isRunning && this.#failure === undefined;
  }

  get #isRunning(): boolean {
    return this.#runner !== undefined || this.#phase === "closing";
  }

  #announceRoom(): void {
    const room = this.#room!;
    this.#room = undefined;
    room.resolve();
  }

  #endIdle(): void {
    if (this.#closing !== undefined) {
      this.#finish(this.#closing);
    } else if (this.#runner?.until === "idle") {
      const { done } = this.#runner;
      this.#runner = undefined;
      done.resolve();
    }
  }

  on<Payload>(name: string, handler: Handler<Payload>, options: KindOptions = {}): Kind<Payload> {
    assertKindName(name);
    assertHandler(name, handler);
    assertObject("options", options);
    const policy = policyOf("policy", options.policy ?? this.#settings.policy);
    if (this.#phase !== "open") throw this.#closedError(`takes no kind "${name}"`);
    if (this.#kinds.has(name)) {
      throw new DuplicateKindError(`the kind "${name}" has a handler already, as one of ${this.#kinds.size} kinds`);
    }
    const kind = new EventKind(this, name, handler as Handler<unknown>, policy);
    this.#kinds.set(name, kind);
    return kind;
  }

  source(kind: Kind<RingMessage>, stream: SourceStream, options: SourceOptions = {}): Source {
    if (this.#phase !== "open") throw this.#closedError("takes no source");
    if (!(kind instanceof EventKind) || this.#kinds.get(kind.name) !== kind) {
      throw new InvalidArgumentError("a source takes a kind of this very loop, as loop.on() has returned it");
    }
    return this.#sources.add(this, this.#runtime.$memory as LinearMemory, kind, stream, options);
  }

  run(): Promise<void> {
    return this.#start("closed");
  }

  runUntilIdle(): Promise<void> {
    return this.#start("idle");
  }

  ready(): Promise<void> {
    if (this.#phase !== "open") return Promise.reject(this.#closedError("will have no room again"));
    if (this.#queue.hasRoom) return Promise.resolve();
    this.#room ??= new Deferred();
    return this.#room.promise;
  }

  close(options: CloseOptions = {}): Promise<CloseReport> {
    try {
      const { mode, deadline } = closingOf(options);
      if (this.#closing?.requested) return this.#closing.done.promise;
      const closing = this.#beginClosing(mode === "discard");
      closing.requested = true;
      if (deadline !== undefined && this.#phase !== "closed") {
        closing.cancelDeadline = this.#settings.host.after(deadline, () => this.#expire(closing));
      }
      if (!this.#turning) this.#advance();
      return closing.done.promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  stats(): LoopStatistics {
    const queue = this.#queue;
    const dispatcher = this.#dispatcher;
    return {
      processed: dispatcher.processed,
      failed: dispatcher.failures,
      dropped: this.#dropped,
      abandoned: dispatcher.abandoned,
      rejected: queue.rejected,
      spilled: queue.spilled,
      queued: queue.length,
      overflow: queue.overflowLength,
      queueHighWater: queue.ringHighWater,
      overflowHighWater: queue.overflowHighWater,
      inFlight: dispatcher.inFlight,
      inFlightHighWater: dispatcher.inFlightHighWater,
      turns: this.#turns,
      regionsLive: this.#leases.begun - this.#leases.ended,
      regionsLeased: this.#leases.begun,
      bytesReset: this.#leases.bytesReset,
      scopesLive: this.#leases.scopesBegun - this.#leases.scopesEnded,
      scopesOpened: this.#leases.scopesBegun,
      idleTurns: this.#idleTime.turns,
      collections: collectionsOf(this.#runtime.$memory.collectors),
    };
  }

  landed(): void {
    this.#idleTime.renew();
    if (this.#phase === "closed") this.#releaseMemory();
    // A turn on its way to handle events will advance; but nobody waits for one in which there is no event left to handle.
    else if (!this.#hopping || this.#closing !== undefined || this.#queue.length === 0) this.#advance();
  }

  failed(error: unknown, event: FailedEvent): void {
    const { onError } = this.#settings;
    if (onError === undefined) {
      this.#stop(error);
      return;
    }
    const stop = (fault: unknown) => this.#stop(causedBy(fault, error));
    try {
      const answer = onError(error, event);
      if (isThenable(answer)) {
        Promise.resolve(answer).then(undefined, (fault) => {
          // After the close nobody is left to be told: then it is for the host's handler of stray rejections.
          if (this.#phase === "closed") throw causedBy(fault, error);
          stop(fault);
          this.#advance();
        });
      }
    } catch (fault) {
      stop(fault);
    }
  }

  #start(until: Runner["until"]): Promise<void> {
    if (this.#phase !== "open") return Promise.reject(this.#closedError("cannot run"));
    if (this.#runner !== undefined) {
      return Promise.reject(new LoopStateError(`the loop is running already, until it is ${this.#runner.until}`));
    }
    const done = new Deferred<void>();
    this.#runner = { until, done };
    this.#advance();
    return done.promise;
  }

  /** An error ends the loop: nothing more is dispatched, what is queued is dropped, the run rejects. */
  #stop(error: unknown, told = false): void {
    if (this.#failure !== undefined || this.#phase === "closed") return;
    const runner = this.#runner;
    this.#runner = undefined;
    this.#failure = { error, told: told || runner !== undefined };
    this.#dispatcher.halt();
    this.#beginClosing(true);
    this.#drop();
    runner?.done.reject(error);
  }

  #beginClosing(discard: boolean): Closing {
    if (this.#closing !== undefined) return this.#closing;
    this.#phase = "closing";
    this.#room?.reject(this.#closedError("will have no room again"));
    this.#room = undefined;
    this.#closing = { done: new Deferred(), discard, requested: false, cancelDeadline: undefined };
    this.#sources.loopClosing();
    return this.#closing;
  }

  #drop(): void {
    this.#dropped += this.#queue.clear();
  }

  #expire(closing: Closing): void {
    if (this.#phase === "closed") return;
    this.#drop();
    this.#dispatcher.abandon();
    this.#finish(closing);
  }

  /** Settles everything that has been promised. */
  #finish(closing: Closing): void {
    this.#phase = "closed";
    this.#sources.loopClosed();
    this.#forgetRuntime?.();
    this.#releaseMemory();
    closing.cancelDeadline?.();
    const { processed, abandoned } = this.#dispatcher;
    const report: CloseReport = { processed, dropped: this.#dropped, abandoned };

    const lost = report.dropped + report.abandoned;
    const runner = this.#runner;
    this.#runner = undefined;
    if (runner?.until === "idle" && lost > 0) {
      runner.done.reject(this.#closedError(`dropped ${report.dropped} events and abandoned ${report.abandoned}`));
    } else {
      runner?.done.resolve();
    }

    if (this.#failure === undefined || this.#failure.told) {
      closing.done.resolve(report);
    } else {
      closing.done.reject(this.#failure.error);
      closing.done.promise.catch(() => {}); // whoever calls close() later is told; until then it is no stray rejection
    }
  }

  /** Gives the regions' memory back, once nobody can want another: abandoned events may, until they settle. */
  #releaseMemory(): void {
    if (this.#dispatcher.inFlight === 0) this.#leases.pool.dispose();
  }

  #refuse(kind: EventKind): never {
    if (this.#phase !== "open") throw this.#closedError(`takes no event of kind "${kind.name}"`);
    const error = new DisposedError(`the runtime has been disposed: no event of kind "${kind.name}" can be handled`);
    this.#stop(error, true);
    if (!this.#turning) this.#advance();
    throw error;
  }

  #closedError(consequence: string): LoopClosedError {
    const state = this.#failure === undefined ? `is ${this.#phase}` : "has been stopped by an error";
    return new LoopClosedError(`the loop ${state} and ${consequence}`, { cause: this.#failure?.error });
  }
}
