import { isInstance, messageOf } from "../../arguments.js";
import { DisposedError, LoopClosedError, SourceError, type SourceFailure } from "../../errors.js";
import type { LinearMemory } from "../../memory/linearMemory.js";
import { Deferred } from "../deferred.js";
import type { EventKind, Kind } from "../kind.js";
import { MessageRing, type MessageRingStats } from "../messageRing.js";
import { type Chunk, chunkOf } from "./chunk.js";
import { type Detected, detect, type SourceStream } from "./detect.js";
import { Intake } from "./intake.js";
import { type SourceOptions, type SourceSettings, sourceSettings } from "./options.js";
import { releaseAtEnd } from "./release.js";
import type { Basin, Tap } from "./tap.js";

/** What a source has done, once it has ended. */
export interface SourceReport {
  /** Messages that the loop has accepted, and their bytes. */
  readonly messages: number;
  readonly bytes: number;
  /**
   * Of these messages, those that the loop has dropped unhandled, as it was closed with `mode: "discard"`, its close has come to
   * its deadline, or it was stopped. Counted when the loop has closed.
   */
  readonly dropped: number;
  /** Messages that were left out since they were too long. */
  readonly skipped: number;
  /** How often the stream had to wait for room. */
  readonly pauses: number;
  /** What came first: the stream's own end, `stop()`, or the loop's close. */
  readonly ended: "end" | "stopped" | "loop-closed";
}

/** The figures of a source. */
export interface SourceStats extends Omit<SourceReport, "ended"> {
  /** Whether the stream is flowing, is paused for want of room, or gives no more. */
  readonly state: "flowing" | "paused" | "ending" | "ended";
  /** Bytes that wait outside the ring for room in it, counted as for {@link SourceOptions.backlogBytes}. */
  readonly backlogBytes: number;
  /** The figures of the ring that the messages lie in. */
  readonly ring: MessageRingStats;
}

/** What a source needs of its loop. */
export interface SourceLoop {
  ready(kind: Kind<never>): Promise<void>;
  /** Calls back when the platform has had its chance. */
  $hop(callback: () => void): void;
}

const RESOLVED = Promise.resolve();

const pause = (tap: Tap): void => tap.pause();
const resume = (tap: Tap): void => tap.resume();

/** The codes with which a WebSocket tells its other side why it is closed. */
const CLOSE_CODES: Partial<Record<SourceFailure, number>> = {
  failed: 1011,
  "too-long": 1009,
  overrun: 1013,
  unsupported: 1003,
};
const NORMAL_CLOSURE = 1000;

/**
 * What `loop.source()` returns: a stream whose bytes go into linear memory and become events of one kind.
 *
 *   open ──end, failure, stop, the loop's close──▶ ending ──all posted, and every event of it ended──▶ ended
 *
 * @example
 * const source = loop.source(lines, process.stdin, { framing: "line", tooLong: "skip" });
 * source.done.catch((error) => {
 *   if (error instanceof SourceError) console.error(error.reason);
 * });
 */
export class Source implements Basin {
  /**
   * Resolves when the stream has ended and all its messages have been handled, or after `stop()` or the loop's close when
   * those that were accepted have been, or have been dropped. Rejects with a {@link SourceError} if the stream has failed, when
   * all that came before has been handled; look at it, or that rejection is one that nobody has handled. The ring has been given
   * back by then, unless events that the loop has abandoned still read their messages.
   */
  readonly done: Promise<SourceReport>;

  readonly #done = new Deferred<SourceReport>();
  readonly #loop: SourceLoop;
  readonly #kind: EventKind;
  readonly #settings: SourceSettings;
  readonly #givesEvents: boolean;
  readonly #tap: Tap;
  readonly #ring: MessageRing;
  readonly #intake: Intake;
  readonly #onEnded: (source: Source) => void;
  #phase: "open" | "ending" | "ended" = "open";
  #ended: SourceReport["ended"] = "end";
  #failure: SourceError | undefined;
  #isPaused = false;
  #pauses = 0;
  #dropped = 0;
  /** Whether somebody will call `#run`. */
  #isWaiting = false;

  /** Use `loop.source()`. */
  constructor(
    loop: SourceLoop,
    memory: LinearMemory,
    kind: EventKind,
    stream: SourceStream,
    options: SourceOptions,
    onEnded: (source: Source) => void,
  ) {
    this.#loop = loop;
    this.#kind = kind;
    this.done = this.#done.promise;
    this.#onEnded = onEnded;
    const settings = sourceSettings(options);
    this.#settings = settings;
    this.#ring = new MessageRing(memory, settings.framing, settings.ringBytes, settings.maximumMessageBytes, this);
    let detected: Detected;
    try {
      detected = detect(stream, settings);
    } catch (error) {
      this.#ring.dispose();
      throw error;
    }
    releaseAtEnd(kind);
    this.#tap = detected.tap;
    this.#givesEvents = detected.givesEvents;
    this.#intake = new Intake(settings, this.#ring, (message) => kind.post(message));
  }

  /** Begins; called once. */
  $open(): void {
    this.#use((tap) => tap.open(this));
  }

  /**
   * Ends the source: lets go of the stream, as `onStop` says, and drops what has not been posted. What has been is handled.
   *
   * @returns {@link done}; do not await it in a handler of the source's own messages, for which it waits
   */
  stop(): Promise<SourceReport> {
    this.#cutOff("stopped");
    return this.done;
  }

  /** As {@link stop}: `await using source = loop.source(kind, stream)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** A snapshot of the source's figures. */
  stats(): SourceStats {
    const { messages, bytes, skipped, backlogBytes } = this.#intake;
    const state = this.#phase !== "open" ? this.#phase : this.#isPaused ? "paused" : "flowing";
    const dropped = this.#dropped;
    return { state, messages, bytes, dropped, skipped, pauses: this.#pauses, backlogBytes, ring: this.#ring.stats() };
  }

  /** Looks through the ring. O(entries) @throws {CorruptionError} naming the first violation */
  validate(): void {
    this.#ring.validate();
  }

  // ── what the stream tells ─────────────────────────────────────────────────────────────────────────────────────────

  chunk(value: unknown): void {
    if (this.#phase !== "open") return;
    try {
      const chunk = this.#chunkOf(value);
      if (chunk === undefined || this.#isOver) return;
      this.#intake.take(chunk);
    } catch (error) {
      if (this.#isOver) return;
      this.#break(error);
    }
    this.#advance();
  }

  end(): void {
    this.#finish(true);
  }

  hop(callback: () => void): void {
    this.#loop.$hop(callback);
  }

  fail(error: unknown): void {
    if (this.#phase !== "open") return;
    this.#failure = failureOf(error, "the stream has failed");
    this.#finish(false);
  }

  /** Whether it has been ended meanwhile, as by `map`: then what has come is nobody's. */
  get #isOver(): boolean {
    return this.#phase !== "open";
  }

  /** What has come; undefined if nothing becomes of it. */
  #chunkOf(value: unknown): Chunk | undefined {
    const mapped = this.#map(value);
    if (mapped === undefined && this.#settings.map !== undefined) return undefined;
    const chunk = chunkOf(mapped);
    if (chunk !== undefined) return chunk;
    throw new SourceError(
      "unsupported",
      `bytes or a text were expected, but a value of type ${typeNameOf(mapped)} has come`,
    );
  }

  #map(value: unknown): unknown {
    const { map } = this.#settings;
    if (map === undefined) return this.#givesEvents ? (value as { data?: unknown })?.data : value;
    try {
      return (map as (value: unknown) => unknown)(value);
    } catch (error) {
      throw failureOf(error, "map has thrown");
    }
  }

  #finish(isGood: boolean): void {
    if (this.#phase !== "open") return;
    this.#phase = "ending";
    try {
      this.#intake.end(isGood);
    } catch (error) {
      this.#break(error);
    }
    this.#advance();
  }

  // ── what the loop tells ───────────────────────────────────────────────────────────────────────────────────────────

  /** The loop accepts no more. */
  $loopClosing(): void {
    this.#cutOff("loop-closed");
  }

  /** The loop handles no more: what was queued has been dropped, and what is in flight has been abandoned. */
  $loopClosed(): void {
    this.#cutOff("loop-closed");
    const { queued } = this.#ring;
    this.#dropped += queued.length;
    for (const message of queued) message.$end();
    this.#settle();
  }

  /** An event has ended, and its bytes are free. */
  $released(): void {
    if (this.#phase === "ended") this.#disposeRing();
    else if (this.#intake.want === "ring") this.#wake(RESOLVED);
    else if (this.#phase === "ending") this.#advance();
  }

  #wake(when: Promise<void>): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    when.then(this.#run, this.#onRefused);
  }

  /** There may be what was wanted. Runs after the turn, in which many events may have ended. */
  readonly #run = (): void => {
    this.#isWaiting = false;
    if (this.#phase === "ended" || this.#intake.want === "nothing") return;
    try {
      this.#intake.run();
    } catch (error) {
      this.#break(error);
    }
    this.#advance();
  };

  readonly #onRefused = (): void => {
    this.#isWaiting = false;
    this.#cutOff("loop-closed");
  };

  // ── its own life ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** What follows whenever something has come or gone: wait for room, pause or resume the stream, come to the end. */
  #advance(): void {
    const { want } = this.#intake;
    if (want === "queue") this.#wake(this.#loop.ready(this.#kind));
    // Where nothing is wanted, nothing waits.
    if (this.#phase === "open") this.#regulate(want !== "nothing");
    else if (this.#intake.isDone && this.#ring.held === 0) this.#settle();
  }

  #regulate(isFull: boolean): void {
    if (isFull === this.#isPaused) return;
    this.#isPaused = isFull;
    if (isFull) this.#pauses++;
    this.#use(isFull ? pause : resume);
  }

  /** A stream that throws has failed, and is let go of. */
  #use(operation: (tap: Tap) => void): void {
    try {
      operation(this.#tap);
    } catch (error) {
      this.fail(error);
      this.#letGo(CLOSE_CODES.failed!);
    }
  }

  /** Lets go of the stream, as `onStop` says. Errors of closing are ignored: nobody is left to be told. */
  #letGo(code: number): void {
    try {
      this.#tap.close(this.#settings.onStop, code);
    } catch {
      // see above
    }
  }

  /** Ends the source for a reason of its own. What has come before it is handled. */
  #break(error: unknown): void {
    if (isInstance(error, LoopClosedError) || isInstance(error, DisposedError)) {
      this.#cutOff("loop-closed");
      return;
    }
    const failure = failureOf(error, "the source has failed");
    this.#failure ??= failure;
    this.#phase = "ending";
    // What waits lies behind a message that was wrong in itself, and came before whatever else was.
    if (failure.reason === "too-long" || failure.reason === "truncated") this.#intake.abandon();
    else this.#intake.end(false);
    this.#letGo(CLOSE_CODES[failure.reason] ?? NORMAL_CLOSURE); // at last, as the stream may stop this source then
  }

  /** Ends the source from without. */
  #cutOff(ended: "stopped" | "loop-closed"): void {
    if (this.#phase === "ended") return;
    if (this.#phase === "open" || !this.#intake.isDone) this.#ended = ended;
    this.#phase = "ending";
    this.#letGo(NORMAL_CLOSURE);
    this.#intake.abandon();
    this.#advance();
  }

  #settle(): void {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#disposeRing();
    this.#onEnded(this);
    if (this.#failure !== undefined) {
      this.#done.reject(this.#failure);
      return;
    }
    const { messages, bytes, skipped } = this.#intake;
    this.#done.resolve({ messages, bytes, dropped: this.#dropped, skipped, pauses: this.#pauses, ended: this.#ended });
  }

  /** Events that the loop has abandoned may still read their messages. */
  #disposeRing(): void {
    if (this.#ring.held === 0) this.#ring.dispose();
  }
}

function failureOf(error: unknown, what: string): SourceError {
  if (isInstance(error, SourceError)) return error;
  return new SourceError("failed", `${what}: ${messageOf(error)}`, { cause: error });
}

/** What a value is, in a word, for a message. */
function typeNameOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value === null ? null : typeof value);
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}
