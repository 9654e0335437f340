import { describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { EventLoop, type LoopRuntime } from "./eventLoop.js";
import type { Fiber, FiberBody } from "./fiber.js";
import type { SpawnOptions } from "./fibersOptions.js";
import type { FiberHandler, Handler, Kind, KindOptions } from "./kind.js";
import { type CloseOptions, type LoopOptions, settingsOf } from "./options.js";
import type { RingMessage } from "./ringMessage.js";
import type { SourceStream } from "./sources/detect.js";
import type { SourceOptions } from "./sources/options.js";
import type { Source } from "./sources/source.js";
import type { LoopStatistics } from "./statistics.js";
import type { Timer, TimerTarget } from "./timer.js";
import type { Timers } from "./timers.js";
import type { PayloadOptions, PeriodicOptions } from "./timersOptions.js";
import type { Waiting } from "./waiting.js";

/** What a loop has done, once it has closed. Each event that it accepted is in exactly one of the three counts. */
export interface CloseReport {
  /** Events whose handler has returned, thrown or settled, over the loop's whole life. */
  readonly processed: number;
  /**
   * Events that were queued, and that no handler has seen: dropped by the close or by an error, or, under `"drop-oldest"`, for
   * newer ones.
   */
  readonly dropped: number;
  /**
   * Events that the loop has stopped waiting for: after `abandonAfter`, or when the deadline of the close passed. Their regions
   * and scopes end when they settle, and not before.
   */
  readonly abandoned: number;
}

/** The options of `loop.run()` and `loop.runUntilIdle()`. */
export interface RunOptions {
  /** Aborting it stops the loop. It has one listener of ours, until the run has settled. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * An event loop: typed kinds of events, a bounded queue, handlers that each run with a region of their own.
 *
 * Events of one priority are handled strictly in the order in which they were accepted, in turns. A turn handles as many
 * events as were queued when it began, capped by a count and a time slice, then gives way to the platform; so a handler may
 * post, to its own kind too, and starves nobody. While there is nothing to do, nothing is scheduled: an idle loop keeps no
 * process alive.
 *
 * Heaps are collected between events, and never inside a handler: a handler that asks for it gets a
 * {@link ReentrantCallError}; what an async handler does after an `await` runs between events, and may. After each event's
 * end every heap pays what it owes, however full the queue is: a step of `stepUnits`, and an eighth of what else the
 * allocation of the events before has made due; all at once where allocation has outrun it. While there is no event to handle,
 * the loop gives the heaps one step in a turn of its own, one heap after another, until none of them has more to do; so a post
 * waits for one step at the most. Without a heap nothing of this happens.
 *
 * When a handler fails, its region and scope are ended first. Then `onError` is told, and the loop goes on; without an `onError`
 * the loop stops: `run()` rejects with the error, and what was queued is dropped and counted.
 *
 * For an example see {@link createLoop}.
 */
export interface Loop {
  /**
   * Declares a kind of event. It lasts as long as the loop: where connections come and go, declare one kind for all of them, and put
   * into the payload whose event it is ({@link RingMessage.source} tells it of a source's messages).
   *
   * @param name unique in this loop, not empty; what `onError` and statistics call the kind
   * @param handler a synchronous, async or generator function; its payload type is that of the kind
   * @returns the kind, to post through
   * @throws {DuplicateKindError} if the name is taken
   * @throws {InvalidArgumentError} if name, handler or an option is not what it must be, or out of range
   * @throws {LoopClosedError} if the loop is closing, closed, or has been stopped by an error
   *
   * @example
   * const depth = loop.on("depth", (message: Uint8Array, { region }) => {
   *   for (const level of decodeDepth(message, region.array(Level))) bids.set(level.price, level.quantity);
   * });
   * socket.on("message", (bytes) => depth.post(bytes));
   */
  on<Payload>(name: string, handler: FiberHandler<Payload>, options?: KindOptions<Payload>): Kind<Payload>;
  on<Payload>(name: string, handler: Handler<Payload>, options?: KindOptions<Payload>): Kind<Payload>;

  /**
   * Makes a fiber that runs in this loop's turns, beside its events. As {@link Fibers.spawn}, whose errors it throws; a frame is
   * taken from the loop's frames. An error that nobody has joined for is reported as an event's failure is. The loop does not wait
   * for fibers that wait for something, nor for timers, before it comes to rest or closes: a close cancels them. Those that are
   * ready when there is no event left are each resumed once before that, unless the close has a deadline that comes first.
   *
   * @throws {LoopClosedError} if the loop is closing or closed
   *
   * @example
   * loop.spawn(function* () {
   *   for (;;) {
   *     yield loop.sleep(1000);
   *     heartbeat.post(undefined);
   *   }
   * });
   */
  spawn<Result>(
    body: FiberBody<Result>,
    options?: SpawnOptions & { readonly detached?: false | undefined },
  ): Fiber<Result>;
  spawn(body: FiberBody, options: SpawnOptions & { readonly detached: true }): undefined;

  /**
   * Arms a timer that fires in a turn of this loop: it calls a function, or posts to a kind or a baton. As {@link Timers.after},
   * whose errors it throws, also if there is no memory for the loop's timers, which the first use makes. What comes due while
   * nobody runs the loop waits for the next run. Armed timers keep the process alive.
   *
   * @throws {LoopClosedError} if the loop is closed; while it is closing, those in flight may need one
   *
   * @example
   * const timeout = loop.after(30_000, () => socket.destroy());
   * socket.on("close", () => timeout.cancel());
   */
  after<Payload>(milliseconds: number, target: TimerTarget<Payload>, payload: Payload): Timer;
  after(milliseconds: number, target: TimerTarget<undefined>): Timer;

  /**
   * As {@link after}, again and again. As {@link Timers.every}.
   *
   * @example
   * loop.every(1000, beat, { payload: "ping", drift: "fixed-delay" }); // posts to the kind `beat`
   */
  every<Payload>(milliseconds: number, target: TimerTarget<Payload>, options: PayloadOptions<Payload>): Timer;
  every(milliseconds: number, target: TimerTarget<undefined>, options?: PeriodicOptions<undefined>): Timer;

  /**
   * What to `yield` in a fiber, or `await`, to let `milliseconds` go by on the loop's clock, from then on. Whoever is asleep when
   * the loop closes is woken with a {@link LoopClosedError}; the loop's own fibers are cancelled.
   *
   * @throws {LoopClosedError} if the loop is closed
   * @throws {InvalidArgumentError} if that is no delay of a timer. The wait throws as {@link after} does, if there is no memory
   * for its timer
   *
   * @example
   * await loop.sleep(100); // in a fiber: yield loop.sleep(100)
   */
  sleep(milliseconds: number): Waiting<void>;

  /**
   * The loop's timers, made when first read. They end with the loop, and with them limits of time that others keep by them
   * (`new Baton({ timers: loop.timers })`): such a wait has none from then on.
   *
   * @throws {LoopClosedError} if it is closed
   * @throws {OutOfMemoryError}, {SealedError} or {DisposedError} if they cannot be made
   */
  readonly timers: Timers;

  /**
   * Makes each message that comes out of a stream an event of `kind`. The bytes are copied once, into a ring in linear memory,
   * and framed where they lie; the payload is a {@link RingMessage} that shows them until the event has ended.
   *
   * While ring or queue is full, the stream is paused, or not read: nothing is lost, and nothing piles up. A browser's
   * WebSocket, Node's own, and an `EventTarget` cannot be paused; what they send then waits, up to `backlogBytes`.
   *
   * The source ends with its stream, with `stop()`, or with the loop, and lets go of all that it has taken.
   *
   * @param kind of this loop; posts to it by other ways are none of the source's business
   * @param stream a Node readable stream or socket, a web `ReadableStream`, a WebSocket (a browser's, Node's, or the `ws`
   *   package's), an async iterable, or an `EventTarget`; told apart by what they have. Nobody else should read it.
   * @throws {InvalidArgumentError} if kind, stream or an option is not what it must be, or somebody else reads the stream, or it has
   *   an encoding where messages are framed by their lengths in bytes (unless `map` makes bytes of its texts), or the kind's policy,
   *   its own or the loop's, is `"drop-oldest"` or coalesces: a source loses no message
   * @throws {OutOfMemoryError} or {SealedError} if there is no memory for the ring
   * @throws {LoopClosedError} if the loop is closing, closed, or has been stopped by an error
   *
   * @example
   * const depth = loop.on("depth", (message: RingMessage, { region }) => decodeDepth(message, region));
   * const source = loop.source(depth, new WebSocket("wss://example.org/depth"), { maximumMessageBytes: 1 << 16 });
   * const { messages, ended } = await source.done;
   */
  source(kind: Kind<RingMessage>, stream: SourceStream, options?: SourceOptions): Source;

  /**
   * Handles events until the loop is closed.
   *
   * Rejects with the error that stopped the loop, with {@link LoopStateError} if the loop is running already (a handler
   * cannot run its own loop), and with {@link LoopClosedError} if it is closing or closed. If `signal` is aborted, the loop
   * stops with its reason, as by an error. One that is aborted already only has this run rejected, with its reason.
   *
   * @example
   * const interrupt = new AbortController();
   * process.once("SIGINT", () => interrupt.abort(new Error("interrupted")));
   * await loop.run({ signal: interrupt.signal });
   */
  run(options?: RunOptions): Promise<void>;

  /**
   * Handles events until the queue is empty, nothing is in flight, no timer is due and no fiber ready; at once if that is so. May
   * be called again.
   *
   * It waits for no heap: what heaps still have to do is left as it is, for the next run, or for `heap.step()`.
   * And for no source, not even one whose messages wait for room in the queue: `await source.done` while `loop.run()` runs.
   *
   * Rejects as {@link Loop.run} does, and with {@link LoopClosedError} if a close dropped or abandoned an event.
   */
  runUntilIdle(options?: RunOptions): Promise<void>;

  /**
   * Resolves when the ring has room for another event, which may be at once. Of several who wait, the first to post may
   * take all the room, so look at what `post` returns. Rejects with {@link LoopClosedError} once no more posts are taken, and
   * with {@link InvalidArgumentError} for a kind of another loop. For an example see {@link Kind.post}.
   *
   * @param kind whose ring, as each priority has one; that of normal priority if not given
   */
  ready(kind?: Kind<never>): Promise<void>;

  /**
   * Closes the loop. From the call on, no posts are taken; the queue is handled (`"drain"`, also if the loop was not
   * running) or dropped (`"discard"`), and what is in flight is waited for, until the deadline, if there is one.
   *
   * Inside a handler, closing begins after the turn. Do not await it there without a deadline: it waits for the handler. A handler's
   * own posts throw from then on, also while the queue is handled: that fails its event if it lets it, but stops no drain.
   *
   * Every promise that the loop has handed out settles. This one resolves with the counts, and rejects only with
   * {@link InvalidArgumentError}, which closes nothing, or with the error that stopped the loop while no `run()` was there to be
   * told: that of an event that failed in a drain, or of a promise, a timer's say, that rejected between two runs. A second call
   * returns the same promise, whatever its options, if these are valid; after an error has stopped the loop, the first call may
   * still set a deadline for what is in flight.
   *
   * @example
   * const running = loop.run();
   * const { processed, dropped, abandoned } = await loop.close({ deadline: 1000 });
   * await running;
   */
  close(options?: CloseOptions): Promise<CloseReport>;

  /** A snapshot of the loop's counts. */
  stats(): LoopStatistics;

  /** Closes the loop, draining it: `await using loop = createLoop(runtime)`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Makes an event loop on a runtime. Nothing runs before `run()`, `runUntilIdle()` or `close()`; posts are queued. It lasts until
 * it has closed, or its runtime is disposed of: the garbage collector takes none that was merely dropped.
 *
 * @throws {InvalidArgumentError} if `runtime` is not a runtime, an option is out of range, or `frames` are another runtime's
 * @throws {DisposedError} if the runtime has been disposed
 *
 * @example
 * const loop = createLoop(runtime, { queue: { capacity: 4096, overflow: 65536, policy: "reject" } });
 * const greet = loop.on("greet", (name: string, { region }) => console.log(region.text(`hello ${name}`).length));
 * greet.post("world");
 * await loop.runUntilIdle();
 * await loop.close();
 */
export function createLoop(runtime: LoopRuntime, options: LoopOptions = {}): Loop {
  if (typeof runtime?.regionPool !== "function" || typeof runtime.$onDispose !== "function") {
    throw new InvalidArgumentError(`createLoop takes a runtime, but was given ${describe(runtime)}`);
  }
  const settings = settingsOf(options);
  if (settings.frames !== undefined && settings.frames.$memory !== runtime.$memory) {
    throw new InvalidArgumentError("createLoop: the frame pool given as frames belongs to another runtime");
  }
  return new EventLoop(runtime, settings);
}
