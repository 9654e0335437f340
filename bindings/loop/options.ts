import { FramePool } from "../allocators/framePool.js";
import { assertFunction, assertObject, assertOptions, checkInteger, describe, type NamesOf } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { type Host, platformHost } from "./host.js";
import type { FailedEvent } from "./kind.js";
import { WATCH_OPTIONS, type WatchOptions, type WatchSettings, watchSettingsOf } from "./loopWatch.js";
import { ABOVE_ZERO, checkMilliseconds } from "./milliseconds.js";

/**
 * What a post does when the ring is full: `"reject"` refuses it, `"spill"` puts it into the bounded overflow, `"drop-oldest"` drops
 * the oldest event of the same kind that waits in the ring, and is refused if there is none.
 */
export type QueuePolicy = "reject" | "spill" | "drop-oldest";

/** Which of the kinds whose events wait comes first; see {@link KindOptions.priority}. */
export type Priority = "high" | "normal" | "low";

/** The options of a loop's queue. */
export interface QueueOptions {
  /**
   * Events that the ring holds, from 1 to 2^24; 4,096 if not given. Each priority that a kind has, and the normal one in any
   * case, takes a ring of its own at once: 16 bytes a slot, the slots rounded up to a power of two.
   */
  readonly capacity?: number | undefined;
  /** Events that wait behind the full ring, from 0 to 2^24; 65,536 if not given. Takes memory only when used. */
  readonly overflow?: number | undefined;
  /** For kinds that name no policy of their own; `"reject"` if not given. */
  readonly policy?: QueuePolicy | undefined;
  /**
   * Called when the queue of an open loop has become empty after its ring had no room for a post: sources that have stopped may go on.
   * What it throws, or the promise that it returns rejects with, is reported as an event's failure is.
   */
  readonly onDrain?: ((this: void) => unknown) | undefined;
}

/** What ends a turn, whichever comes first; then the platform has its chance before the next one. */
export interface TurnOptions {
  /** Events in one turn, from 1 to 2^24; 4,096 if not given. As many fibers are resumed before them, and timers fire. */
  readonly events?: number | undefined;
  /**
   * Milliseconds, fractions included, above 0 and at most 2^31 − 1; 4 if not given. The clock is read with every 16 µs of work,
   * 2 µs where somebody is told of slow handlers, and after 256 events at the latest; so a turn of equally long handlers
   * overruns by some 32 µs, or by one handler. Timers and fibers have as much again, before the events.
   */
  readonly milliseconds?: number | undefined;
}

/**
 * The options of {@link createLoop}; all of them may be left out. Others are refused, so that a misspelt one is found: of a larger
 * configuration, pass those that are the loop's.
 */
export interface LoopOptions extends WatchOptions {
  /** How many events may wait, and what a post does when they are as many. */
  readonly queue?: QueueOptions | undefined;
  /** What ends a turn. */
  readonly turn?: TurnOptions | undefined;
  /** Asynchronous events that may be in flight at once, from 1 to 2^24; 1,024 if not given. At it, dispatch pauses. */
  readonly inFlight?: number | undefined;
  /**
   * Milliseconds that the loop waits for an event in flight, above 0 and at most 2^31 − 1; as long as it takes if not given.
   * Then the event is abandoned: its signal is aborted, `onError` is told with an {@link EventAbandonedError}, and its place is
   * another's. Its region is kept apart, and used by nobody else, until its handler has settled after all. Without an `onError`,
   * an event that is abandoned stops the loop.
   */
  readonly abandonAfter?: number | undefined;
  /** Where the frames of fibers come from, of the loop's runtime; a pool of the loop's own if not given, of 1, 4 and 16 KiB. */
  readonly frames?: FramePool | undefined;
  /** Clock, hop and timer; those of the platform if not given. */
  readonly host?: Host | undefined;
  /**
   * Told of each event whose handler threw or rejected, after its region and scope have ended; of what a heap threw that was
   * collected: a destroy hook's error, or want of memory; and, as of kind `""` and number −1, of the failures of timers (see
   * {@link TimersOptions.onError}) and of fibers that nobody has joined, and of what `onDrain` and `onSlow` throw. The loop goes
   * on. If it throws itself, or returns a promise that rejects, the loop stops with that error (the handler's error is its
   * `cause`, unless it has one); behind another stop, the first such promise is a rejection that nobody has handled, and others
   * are not told of. Without it, the first failure stops the loop, but for that of an event whose post a closing loop has refused;
   * what fails behind that, or once the loop has closed, is told to nobody (`stats().failed` counts the events).
   */
  readonly onError?: ((this: void, error: unknown, event: FailedEvent) => unknown) | undefined;
}

/** The options of `loop.close()`. */
export interface CloseOptions {
  /** `"drain"` (the default) handles what is queued; `"discard"` drops it. Both wait for what is in flight. */
  readonly mode?: "drain" | "discard" | undefined;
  /**
   * Milliseconds from the call, 0 to 2^31 − 1; then what is queued is dropped, and what is in flight abandoned. None if not given.
   */
  readonly deadline?: number | undefined;
}

/** The options, checked and complete. */
export interface LoopSettings {
  readonly capacity: number;
  readonly overflow: number;
  readonly policy: QueuePolicy;
  readonly turnEvents: number;
  readonly turnMilliseconds: number;
  readonly inFlight: number;
  readonly onDrain: (() => unknown) | undefined;
  readonly abandonAfter: number | undefined;
  readonly frames: FramePool | undefined;
  readonly host: Host;
  readonly onError: LoopOptions["onError"];
  readonly watch: WatchSettings;
}

/** Bound of every count: two arrays of 2^24 references are 256 MiB, and slot numbers stay small integers everywhere. */
const LARGEST_COUNT = 2 ** 24;

const OPTIONS: NamesOf<LoopOptions> = {
  queue: true,
  turn: true,
  inFlight: true,
  abandonAfter: true,
  frames: true,
  host: true,
  onError: true,
  ...WATCH_OPTIONS,
};
const QUEUE_OPTIONS: NamesOf<QueueOptions> = {
  capacity: true,
  overflow: true,
  policy: true,
  onDrain: true,
};
const TURN_OPTIONS: NamesOf<TurnOptions> = { events: true, milliseconds: true };
const CLOSE_OPTIONS: NamesOf<CloseOptions> = { mode: true, deadline: true };

/** @throws {InvalidArgumentError} naming the first option that is out of range, or unknown */
export function settingsOf(options: LoopOptions): LoopSettings {
  assertOptions("the options argument of createLoop", options, OPTIONS);
  const { queue = {}, turn = {}, inFlight = 1024, abandonAfter, frames, onError } = options;
  assertOptions("queue", queue, QUEUE_OPTIONS);
  assertOptions("turn", turn, TURN_OPTIONS);
  const { capacity = 4096, overflow = 65_536, policy = "reject", onDrain } = queue;
  const { events = 4096, milliseconds: slice = 4 } = turn;
  if (onError !== undefined) assertFunction("onError", onError);
  if (onDrain !== undefined) assertFunction("queue.onDrain", onDrain);
  if (frames !== undefined && !(frames instanceof FramePool)) {
    throw new InvalidArgumentError(`frames must be a frame pool, but is ${describe(frames)}`);
  }
  return {
    capacity: checkInteger("queue.capacity", capacity, 1, LARGEST_COUNT),
    overflow: checkInteger("queue.overflow", overflow, 0, LARGEST_COUNT),
    policy: policyOf("queue.policy", policy),
    turnEvents: checkInteger("turn.events", events, 1, LARGEST_COUNT),
    turnMilliseconds: checkMilliseconds("turn.milliseconds", slice, ABOVE_ZERO),
    inFlight: checkInteger("inFlight", inFlight, 1, LARGEST_COUNT),
    onDrain,
    abandonAfter: abandonAfter === undefined ? undefined : checkMilliseconds("abandonAfter", abandonAfter, ABOVE_ZERO),
    frames,
    host: checkHost(options.host),
    onError,
    watch: watchSettingsOf(options),
  };
}

/** @throws {InvalidArgumentError} if the mode is unknown or the deadline out of range */
export function closingOf(options: CloseOptions): { mode: "drain" | "discard"; deadline: number | undefined } {
  assertOptions("the options argument of close", options, CLOSE_OPTIONS);
  const { mode = "drain", deadline } = options;
  if (mode !== "drain" && mode !== "discard") {
    throw new InvalidArgumentError(`mode must be "drain" or "discard", but is ${describe(mode)}`);
  }
  return { mode, deadline: deadline === undefined ? undefined : checkMilliseconds("deadline", deadline) };
}

/** @throws {InvalidArgumentError} if it is no policy */
export function policyOf(name: string, policy: QueuePolicy): QueuePolicy {
  if (policy === "reject" || policy === "spill" || policy === "drop-oldest") return policy;
  throw new InvalidArgumentError(`${name} must be "reject", "spill" or "drop-oldest", but is ${describe(policy)}`);
}

/** The host that was given, or the platform's. @throws {InvalidArgumentError} if it is not a host */
export function checkHost(host: Host | undefined): Host {
  if (host === undefined) return platformHost();
  assertObject("host", host);
  assertFunction("host.now", host.now);
  assertFunction("host.hop", host.hop);
  assertFunction("host.after", host.after);
  return host;
}
