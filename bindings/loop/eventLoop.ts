import { describe } from "../arguments.js";
import { DisposedError, InvalidArgumentError, LoopStateError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Runtime } from "../runtime.js";
import { callBack, stray } from "./callback.js";
import { causedBy } from "./cause.js";
import { Closing } from "./closing.js";
import { type CompanionRuntime, Companions, type CompanionWatch } from "./companions.js";
import type { Context } from "./context.js";
import { type CollectedMemory, Dispatcher, type DispatchObserver } from "./dispatcher.js";
import type { Fiber, FiberBody } from "./fiber.js";
import type { SpawnOptions } from "./fibersOptions.js";
import { IdleTime } from "./idleTime.js";
import {
  type EventKind,
  type FailedEvent,
  type Handler,
  type Inbox,
  type Kind,
  type KindOptions,
  NO_EVENT,
} from "./kind.js";
import { Kinds } from "./kinds.js";
import { Lanes } from "./lanes.js";
import { Leases } from "./leases.js";
import type { CloseReport, Loop, RunOptions } from "./loop.js";
import { LoopWatch } from "./loopWatch.js";
import { type CloseOptions, closingOf, type LoopSettings } from "./options.js";
import { Phase } from "./phase.js";
import { Pressure } from "./pressure.js";
import type { PostResult } from "./queue.js";
import type { RingMessage } from "./ringMessage.js";
import { Runner, signalOf } from "./runner.js";
import type { SourceStream } from "./sources/detect.js";
import type { SourceOptions } from "./sources/options.js";
import type { Source } from "./sources/source.js";
import { Sources } from "./sources/sources.js";
import {
  collectionsOf,
  eventFigures,
  type LoopStatistics,
  leaseFigures,
  queueFigures,
  watchFigures,
} from "./statistics.js";
import type { Timer, TimerTarget } from "./timer.js";
import type { Timers } from "./timers.js";
import type { PayloadOptions, PeriodicOptions } from "./timersOptions.js";
import { Turn } from "./turn.js";
import type { Waiting } from "./waiting.js";

/** What a loop needs of its runtime. */
export type LoopRuntime = Pick<Runtime, "debug" | "disposed" | "regionPool" | "$onDispose"> &
  Partial<Pick<Runtime, "$platform">> &
  CompanionRuntime & { readonly $memory: CollectedMemory };

/**
 * The loop's phases, its promises, and the hops between its turns. Events themselves are the dispatcher's.
 *
 * Nothing is scheduled while nobody runs the loop. While it runs, with the queue empty or as many events in flight as may
 * be, its time is the heaps', a hop for each step; when they have nothing to do, or there are none, nothing is scheduled
 * either. A run, a post to the empty queue, or a landing wakes it.
 */
export class EventLoop implements Loop, Inbox, DispatchObserver, CompanionWatch {
  readonly #runtime: Pick<Runtime, "disposed"> & { readonly $memory: CollectedMemory };
  readonly #settings: LoopSettings;
  readonly #kinds: Kinds;
  readonly #lanes: Lanes<EventKind>;
  readonly #companions: Companions;
  readonly #leases: Leases;
  readonly #dispatcher: Dispatcher;
  /** The part of a turn that handles events. */
  readonly #events: Turn;
  readonly #idleTime: IdleTime;
  readonly #watch: LoopWatch;
  readonly #sources = new Sources();

  readonly #forgetRuntime: () => void;
  readonly #phase = new Phase();
  #runner: Runner | undefined;
  #closing: Closing | undefined;
  /** Whether somebody has been told that `onError`, or an `onDrain` without it, has failed itself. */
  #isFaultTold = false;
  readonly #pressure: Pressure;
  /** Whether the loop runs, and has gone to rest for want of events: the next post wakes it. */
  #resting = false;
  /** Whether a post has nothing to do but to queue: the loop is open, and not at rest. */
  #isPlain = true;
  /** Whether a hop is under way: a turn will come. At most one is. */
  #hopping = false;
  /** Whether a turn is under way, or has paused: what follows a turn must wait for its end. */
  #turning = false;
  #dropped = 0;

  constructor(runtime: LoopRuntime, settings: LoopSettings) {
    this.#runtime = runtime;
    this.#settings = settings;
    this.#lanes = new Lanes(settings.capacity, settings.overflow);
    this.#kinds = new Kinds(this.#lanes, settings);
    this.#pressure = new Pressure(this.#lanes);
    this.#leases = new Leases(runtime.$memory, runtime.regionPool());
    this.#companions = new Companions(runtime, {
      host: settings.host,
      frames: settings.frames,
      debug: runtime.debug,
      onWake: () => this.#wake(),
      onError: (error) => {
        if (!this.#phase.isRefusal(error)) this.#failedAside(error);
      },
      watch: this,
    });
    this.#watch = new LoopWatch(
      settings.watch,
      runtime.$platform,
      (error) => this.#failedAside(error),
      (index) => this.#kinds.nameOf(index),
    );
    const { heartbeat } = this.#watch;
    this.#dispatcher = new Dispatcher(runtime, this.#leases, settings, this, this.#companions, heartbeat);
    this.#events = new Turn(
      settings,
      this.#lanes,
      this.#dispatcher,
      this.#watch,
      () => this.#hasEvents,
      () => this.#resume(),
    );
    this.#idleTime = new IdleTime(runtime.$memory.collectors);
    this.#forgetRuntime = runtime.$onDispose(() => {
      const error = () => new DisposedError("the loop's runtime has been disposed");
      this.#stop(error(), true);
      this.#dispatcher.forgetRegions();
      this.#companions.sleepers.refuse(error); // those in flight are waited for
      this.#advanceAside();
    });
  }

  accept(kind: EventKind, payload: unknown): PostResult {
    if (!this.#isPlain) return this.#acceptSlow(kind, payload);
    return kind.queue.push(kind, payload, kind.policy);
  }

  #acceptSlow(kind: EventKind, payload: unknown): PostResult {
    this.assertAccepts(kind);
    const result = kind.queue.push(kind, payload, kind.policy);
    this.#wake();
    return result;
  }

  assertAccepts(kind: EventKind): void {
    if (this.#phase.name !== "open") this.#refuse(kind);
  }

  /** One turn. Runs from the host, never inside another turn, and throws nothing. */
  readonly #turn = (): void => {
    this.#hopping = false;
    this.#turning = true;
    const hadWork = this.#companions.wanted && this.#isRunning;
    if (hadWork) this.#runCompanions();
    else if (this.#handleAlone()) return;
    if (this.#hasEvents) {
      this.#idleTime.renew();
      if (this.#events.begin() === "paused") return;
    } else if (!hadWork && this.#hasIdleTime) this.#idleTurn();
    this.#endTurn();
  };

  /**
   * A whole turn, if it is for one event, and nobody needs the clock. Returns false if that is not so; then nothing has happened.
   *
   * It is what a turn does otherwise, but in one function, and without the loop's many parts: where events come one by one, all code
   * and data is out of the caches each time (benchmark case loop/hop: 1.25 of a bare `setImmediate` for 1.31).
   */
  #handleAlone(): boolean {
    const lanes = this.#lanes;
    const dispatcher = this.#dispatcher;
    if (!this.#isPlain || lanes.length !== 1 || !this.#hasEvents || this.#watch.look()) return false;
    dispatcher.beginTurn(++this.#events.count);
    if (lanes.isOne) dispatcher.dispatch(lanes.normal, 1);
    else lanes.serve(1, dispatcher.dispatchFrom);
    dispatcher.endTurn();
    this.#watch.heartbeat?.rest();
    this.#idleTime.renew();
    this.#turning = false;
    if (this.#isPlain && this.#hasEvents && !this.#pressure.isFelt) this.#hop();
    else this.#advance();
    return true;
  }

  #resume(): void {
    if (this.#events.resume(!this.#closing?.discard) === "done") this.#endTurn();
  }

  #endTurn(): void {
    this.#turning = false;
    this.#advance();
  }

  /**
   * Fires timers that are due and resumes fibers that are ready, up to a count and a slice of time; all of it counts as inside a
   * handler.
   */
  #runCompanions(): void {
    const { $memory } = this.#runtime;
    const { host, turnMilliseconds, turnEvents } = this.#settings;
    this.#idleTime.renew();
    $memory.handlersRunning++;
    this.#watch.look();
    const closing = this.#closing;
    if (closing !== undefined && !this.#hasEventsLeft) closing.lastResumptions ??= this.#companions.readyFibers;
    const now = host.now();
    const resumed = this.#companions.run(now, now + turnMilliseconds, turnEvents);
    if (closing?.lastResumptions !== undefined) closing.lastResumptions -= resumed;
    $memory.handlersRunning--;
    if ($memory.collectors.size > 0) this.#dispatcher.settleHeaps();
  }

  /** What follows a turn, a landing, a run or a close: drop, make room known, come to an end, or hop to the next turn. */
  #advance(): void {
    if (this.#phase.name === "closed") return;
    if (this.#closing?.discard) this.#discard(this.#closing);
    this.#pressure.announceRoom();
    if (this.#lanes.length === 0) this.#runDry();
    this.#wake();
    this.#resting = this.#isRunning && this.#lanes.length === 0;
    this.#isPlain = this.#phase.name === "open" && !this.#resting;
  }

  /** Something has happened that may have been outside any turn, which would advance at its end. */
  #advanceAside(): void {
    if (!this.#turning) this.#advance();
  }

  /** The queue is empty: says so, and comes to an end if nothing else is under way. */
  #runDry(): void {
    if (this.#phase.name === "open") this.#announceDrain();
    if (!this.#hasEventsLeft && !this.#isKept) this.#endIdle();
  }

  /** Whether events are queued or in flight. */
  get #hasEventsLeft(): boolean {
    return this.#lanes.length > 0 || this.#dispatcher.inFlight > 0;
  }

  /** Whether timers or fibers still need a turn. While closing, one without events suffices, and one resumption of each fiber. */
  get #isKept(): boolean {
    const left = this.#closing?.lastResumptions;
    return this.#companions.wanted && (left === undefined || left > 0);
  }

  #discard(closing: Closing): void {
    this.#drop();
    if (!closing.abortsFlights) return;
    closing.abortsFlights = false;
    this.#turning = true; // what the listeners of signals ask for is seen to below
    this.#dispatcher.abort(this.#phase.closedError("waits for nothing but what is in flight"));
    this.#turning = false;
  }

  /** Gives one heap one step. Like an event that fails, a step that fails is reported, and stops the loop if it must. */
  #idleTurn(): void {
    try {
      if (this.#watch.wantsCollections) this.#idleStepTimed();
      else this.#idleTime.step();
    } catch (error) {
      this.failed(error, NO_EVENT);
    }
  }

  #idleStepTimed(): void {
    const { host } = this.#settings;
    const before = host.now();
    try {
      this.#idleTime.step();
    } finally {
      this.#watch.collected(this.#idleTime.turns, before, host.now());
    }
  }

  /** Hops to the next turn, if there is something to do in it and no hop under way. */
  #wake(): void {
    this.#resting = false;
    this.#isPlain = this.#phase.name === "open";
    if (!this.#hopping && !this.#turning && this.#hasWork) this.#hop();
  }

  #hop(): void {
    this.#hopping = true;
    const { host } = this.#settings;
    if (this.#watch.wantsHops) this.#watch.hopAsked(host.now());
    try {
      host.hop(this.#turn);
    } catch (error) {
      this.#hopFailed(error);
    }
  }

  /** No turn will come, so the loop stops, and tells so; otherwise it would wait for that turn for ever. */
  #hopFailed(error: unknown): void {
    this.#hopping = false;
    if (this.#phase.failure !== undefined) return; // the host fails again, and will not let the loop end either
    this.#stop(error);
    this.#advanceAside();
  }

  /** Whether a turn would have something to do. */
  get #hasWork(): boolean {
    return this.#hasEvents || (this.#companions.wanted && this.#isRunning) || this.#hasIdleTime;
  }

  /** Whether a turn may handle an event. */
  get #hasEvents(): boolean {
    return this.#lanes.length > 0 && this.#dispatcher.mayDispatch && this.#isRunning;
  }

  /** Whether a turn without events may go to a heap; never after an error has stopped the loop. */
  get #hasIdleTime(): boolean {
    return this.#idleTime.wanted && this.#isRunning && this.#phase.failure === undefined;
  }

  get #isRunning(): boolean {
    return this.#runner !== undefined || this.#phase.name === "closing";
  }

  /** The queue is empty: tells whoever has found it full since it last was. */
  #announceDrain(): void {
    if (!this.#pressure.relieve()) return;
    this.#turning = true; // what it asks for is seen to below
    callBack(
      () => this.#settings.onDrain?.(),
      (error) => this.#failedAside(error),
      (error) => (this.#settings.onError === undefined ? this.#stopAside(error) : this.#failedAside(error)),
    );
    this.#turning = false;
    if (this.#closing?.discard) this.#discard(this.#closing); // it has asked for that, or has failed
  }

  #endIdle(): void {
    if (this.#closing !== undefined) {
      this.#finish(this.#closing);
    } else if (this.#runner?.until === "idle" && !this.#companions.findDue()) {
      const { done } = this.#takeRunner()!;
      done.resolve();
    }
  }

  on<Payload>(name: string, handler: Handler<Payload>, options: KindOptions<Payload> = {}): Kind<Payload> {
    const settings = this.#kinds.check(name, handler, options);
    this.#phase.assertOpen(`takes no kind "${name}"`);
    const kind = this.#kinds.declare(this, settings);
    this.#watch.declare(kind.index, name);
    return kind;
  }

  source(kind: Kind<RingMessage>, stream: SourceStream, options: SourceOptions = {}): Source {
    this.#phase.assertOpen("takes no source");
    if (!this.#kinds.has(kind)) {
      throw new InvalidArgumentError("a source takes a kind of this very loop, as loop.on() has returned it");
    }
    if (kind.policy === "drop-oldest" || kind.policy === "coalesce") {
      throw new InvalidArgumentError(
        `a source loses no message: its kind must reject or spill, but "${kind.name}" is of policy "${kind.policy}"`,
      );
    }
    return this.#sources.add(this, this.#runtime.$memory as LinearMemory, kind, stream, options);
  }

  /** See {@link SourceLoop}. */
  $hop(callback: () => void): void {
    this.#settings.host.hop(callback);
  }

  spawn<Result>(
    body: FiberBody<Result>,
    options?: SpawnOptions & { readonly detached?: false | undefined },
  ): Fiber<Result>;
  spawn(body: FiberBody, options: SpawnOptions & { readonly detached: true }): undefined;
  spawn(body: FiberBody, options?: SpawnOptions): Fiber | undefined {
    this.#phase.assertOpen("takes no fiber");
    return this.#companions.fibers.spawn(body, options);
  }

  get timers(): Timers {
    this.#phase.assertAlive("has no timers");
    return this.#companions.timers;
  }

  after<Payload>(delay: number, target: TimerTarget<Payload>, payload: Payload): Timer;
  after(delay: number, target: TimerTarget<undefined>): Timer;
  after(delay: number, target: TimerTarget<unknown>, payload?: unknown): Timer {
    this.#phase.assertAlive("takes no timer");
    return this.#companions.timers.after(delay, target, payload);
  }

  every<Payload>(period: number, target: TimerTarget<Payload>, options: PayloadOptions<Payload>): Timer;
  every(period: number, target: TimerTarget<undefined>, options?: PeriodicOptions<undefined>): Timer;
  every(period: number, target: TimerTarget<undefined>, options?: PeriodicOptions<undefined>): Timer {
    this.#phase.assertAlive("takes no timer");
    return this.#companions.timers.every(period, target, options);
  }

  sleep(delay: number): Waiting<void> {
    this.#phase.assertAlive("lets nobody sleep");
    return this.#companions.sleepers.sleep(delay);
  }

  run(options: RunOptions = {}): Promise<void> {
    return this.#start("closed", options);
  }

  runUntilIdle(options: RunOptions = {}): Promise<void> {
    return this.#start("idle", options);
  }

  ready(kind?: Kind<never>): Promise<void> {
    if (kind !== undefined && !this.#kinds.has(kind)) {
      return Promise.reject(
        new InvalidArgumentError(`ready takes a kind of this loop, but was given ${describe(kind)}`),
      );
    }
    const queue = kind === undefined ? this.#lanes.normal : kind.queue;
    if (this.#phase.name !== "open") return Promise.reject(this.#phase.closedError("will have no room again"));
    return this.#pressure.room(queue);
  }

  close(options: CloseOptions = {}): Promise<CloseReport> {
    try {
      const { mode, deadline } = closingOf(options);
      if (this.#closing?.requested) return this.#closing.done.promise;
      const closing = this.#beginClosing(mode === "discard");
      closing.requested = true;
      if (deadline !== undefined && this.#phase.name !== "closed") {
        closing.cancelDeadline = this.#settings.host.after(deadline, () => this.#expire(closing));
      }
      this.#advanceAside();
      return closing.done.promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  stats(): LoopStatistics {
    return {
      ...queueFigures(this.#lanes.queues, this.#dropped),
      ...eventFigures(this.#dispatcher),
      ...leaseFigures(this.#leases),
      ...watchFigures(this.#watch),
      coalesced: this.#kinds.coalesced,
      turns: this.#events.count,
      idleTurns: this.#idleTime.turns,
      collections: collectionsOf(this.#runtime.$memory.collectors),
      timers: this.#companions.timersStats(),
      fibers: this.#companions.madeFibers?.stats(),
    };
  }

  ran(subject: "fiber" | "timer", owner: unknown, count: number, startedAt: number, endedAt: number): number {
    const event = owner as Context | undefined; // see Dispatcher.departFiber
    return this.#watch.ran(subject, event?.kind.name ?? "", event?.sequence ?? -1, count, startedAt, endedAt);
  }

  landed(): void {
    this.#idleTime.renew();
    if (this.#turning) return; // the turn that is under way, or has paused, will see to what follows
    if (this.#phase.name === "closed") this.#releaseMemory();
    // A turn on its way to handle events will advance; but nobody waits for one in which there is no event left to handle.
    else if (!this.#hopping || this.#closing !== undefined || this.#lanes.length === 0) this.#advance();
  }

  failed(error: unknown, event: FailedEvent): void {
    const { onError } = this.#settings;
    if (onError === undefined) {
      if (!this.#phase.isRefusal(error)) this.#stop(error);
      return;
    }
    callBack(
      () => onError(error, event),
      (fault) => {
        this.#isFaultTold = true;
        this.#stop(causedBy(fault, error));
      },
      (fault) => this.#stopAside(causedBy(fault, error)),
    );
  }

  /**
   * A promise of `onError`, or of `onDrain` where there is none, has rejected, maybe when the loop has stopped for another reason and
   * nobody is left to be told but the platform. Those that follow the first are not told of: mostly they are the same fault again.
   */
  #stopAside(error: unknown): void {
    if (this.#isFaultTold || this.#phase.isRefusal(error)) return;
    this.#isFaultTold = true;
    if (this.#phase.name === "closed" || this.#phase.failure !== undefined) {
      stray(error);
      return;
    }
    this.#stop(error);
    this.#advanceAside();
  }

  /** Something has failed that is no event: maybe outside any turn, which would see to what follows. */
  #failedAside(error: unknown): void {
    this.failed(error, NO_EVENT);
    this.#advanceAside();
  }

  #start(until: Runner["until"], options: RunOptions): Promise<void> {
    try {
      const signal = signalOf(options);
      this.#phase.assertOpen("cannot run");
      if (this.#runner !== undefined) {
        throw new LoopStateError(`the loop is running already, until it is ${this.#runner.until}`);
      }
      signal?.throwIfAborted();
      const runner = new Runner(until, signal, (reason) => this.#abortRun(reason));
      this.#runner = runner;
      this.#advanceAside();
      return runner.done.promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #abortRun(reason: unknown): void {
    this.#stop(reason);
    this.#advanceAside();
  }

  /** The runner, who is told by the caller, and is no runner any more. */
  #takeRunner(): Runner | undefined {
    const runner = this.#runner;
    this.#runner = undefined;
    runner?.forgetSignal();
    return runner;
  }

  /** An error ends the loop: nothing more is dispatched, what is queued is dropped, the run rejects. */
  #stop(error: unknown, told = false): void {
    if (this.#phase.failure !== undefined || this.#phase.name === "closed") return;
    const runner = this.#takeRunner();
    this.#phase.failure = { error, told: told || runner !== undefined };
    this.#beginClosing(true);
    this.#dispatcher.halt(this.#phase.closedError("waits for nothing but what is in flight"));
    this.#drop();
    runner?.done.reject(error);
  }

  #beginClosing(discard: boolean): Closing {
    if (this.#closing !== undefined) return this.#closing;
    this.#phase.name = "closing";
    this.#isPlain = false;
    this.#pressure.refuse(() => this.#phase.closedError("will have no room again"));
    this.#closing = new Closing(discard);
    this.#sources.loopClosing();
    return this.#closing;
  }

  #drop(): void {
    const dropped = this.#lanes.clear();
    if (dropped === 0) return;
    this.#dropped += dropped;
    this.#kinds.dropped();
  }

  #expire(closing: Closing): void {
    if (this.#phase.name === "closed") return;
    this.#drop();
    const abandoned = this.#dispatcher.inFlight;
    this.#dispatcher.abandon(this.#phase.closedError("does not wait any longer"));
    this.#finish(closing, abandoned);
  }

  /** Settles everything that has been promised. */
  #finish(closing: Closing, abandonedNow = 0): void {
    this.#phase.name = "closed";
    this.#sources.loopClosed();
    this.#forgetRuntime();
    this.#watch.close();
    this.#releaseMemory();
    closing.cancelDeadline?.();
    this.#closeCompanions();
    const { processed, abandoned } = this.#dispatcher;
    const { dropped } = this.stats();
    const report: CloseReport = { processed, dropped, abandoned };

    const runner = this.#takeRunner();
    if (runner?.until === "idle" && this.#dropped + abandonedNow > 0) {
      runner.done.reject(this.#phase.closedError(`dropped ${this.#dropped} events and abandoned ${abandonedNow}`));
    } else {
      runner?.done.resolve();
    }

    if (this.#phase.failure === undefined || this.#phase.failure.told) {
      closing.done.resolve(report);
    } else {
      closing.done.reject(this.#phase.failure.error);
      closing.done.promise.catch(() => {}); // whoever calls close() later is told; until then it is no stray rejection
    }
  }

  /** Ends timers and fibers; what the fibers' last words throw is nobody's any more. */
  #closeCompanions(): void {
    const { $memory } = this.#runtime;
    $memory.handlersRunning++;
    this.#companions.close(() => this.#phase.closedError("wakes nobody any more"));
    $memory.handlersRunning--;
  }

  /** Gives the regions' memory back, once nobody can want another: abandoned events may, until they settle. */
  #releaseMemory(): void {
    if (this.#dispatcher.inFlight + this.#dispatcher.quarantined === 0) this.#leases.pool.dispose();
  }

  #refuse(kind: EventKind): never {
    if (!this.#runtime.disposed) throw this.#phase.closedError(`takes no event of kind "${kind.name}"`);
    throw new DisposedError(`the runtime has been disposed: no event of kind "${kind.name}" can be handled`);
  }
}
