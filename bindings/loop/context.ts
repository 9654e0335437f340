import { destroyRecords } from "../allocators/destroyRecords.js";
import { type Region, SMALL_EVENT } from "../allocators/region.js";
import { Scope } from "../collectors/scope.js";
import { LoopStateError, RegionEndedError, ScopeEndedError } from "../errors.js";
import type { EventKind, Kind } from "./kind.js";
import type { Leases } from "./leases.js";

/**
 * What a handler is given beside the payload. It is passed, never ambient, and serves its one event only.
 *
 * Synchronous events share context objects, so a handler must not keep its context, its region or its scope for later. Those of a
 * fiber are its own until it has ended, and then another's. A handler that returns a promise has them for itself until that has
 * settled; if that is not before its turn has ended, they are never given to another event. With
 * `createRuntime({ debug: true })` that holds for every event, so that a context that was kept is always found out.
 *
 * @example
 * loop.on("load", async (address: string, { region, signal, sequence }) => {
 *   const response = await fetch(address, { signal });
 *   console.log(sequence, region.text(await response.text()).length);
 * }, { deadline: 1000 });
 */
export interface EventContext<Payload = never> {
  /**
   * The event's region: scratch memory that is reset in one step when the event ends. Leased when first read.
   *
   * @throws {RegionEndedError} if the event has ended
   * @throws {OutOfMemoryError} if there is no memory to begin it with; a later event may have more luck
   * @throws {SealedError} if the runtime is sealed and has no region ready
   * @throws {DisposedError} if the runtime has been disposed
   */
  readonly region: Region;
  /**
   * The event's scope: what a heap makes for it, or shows through a cursor of it, is a root until the event ends, also while
   * an async handler waits. Opened when first read. It ends after the region, so that the destroy hooks of the region's
   * records may still look at what the event holds, and as certainly: whatever they throw.
   *
   * @throws {ScopeEndedError} if the event has ended
   */
  readonly scope: Scope;
  /**
   * Aborted when nobody wants the event's result any more: its kind's deadline has passed (reason {@link DeadlineError}), the loop
   * has given it up ({@link EventAbandonedError}), or is closing without waiting for the queue, or has been stopped
   * ({@link LoopClosedError}). The region and the scope end when the handler has settled all the same, and not before. Made when
   * first read, as that costs microseconds.
   *
   * @throws {LoopStateError} if the event has ended
   */
  readonly signal: AbortSignal;
  /** The event's kind, to post through. */
  readonly kind: Kind<Payload>;
  /** The event's number: 0 for the first that the loop handles, and one more for each that follows. */
  readonly sequence: number;
}

/** Between events, or after the only one. */
const ENDED = 0;
/** An event has the context. */
const OPEN = 1;
/** It has read its region. Beside OPEN only. */
const LEASED = 2;
/** It has read its scope. Beside OPEN only. */
const SCOPED = 4;
/** The region is leased whether the event has read it or not: the one before has left it behind, empty. */
const READY = 8;
/** It has read its signal, or is to be aborted. Beside OPEN only. */
const SIGNALLED = 16;

// What hot code compares is no export: an exported constant lies in a cell, which is read each time.
const smallEvent = SMALL_EVENT;

/**
 * The context as the loop sees it. An event's life goes one way:
 *
 *   ENDED ──begin──▶ OPEN ──region read──▶ + LEASED, scope read──▶ + SCOPED, in either order
 *     ▲               │                      │
 *     └──────end──────┴─────────end──────────┘
 *
 * Events of one turn that come one after another on a context hand the region on, if it can be reset by a few stores (READY
 * beside all of these): `endShared` in place of `end`, and `rest` at the end of the turn. What is private here is
 * so to the compiler only, as what the language hides takes more code, of which engines compile only so much in place.
 */
export class Context implements EventContext<unknown> {
  private readonly leases: Leases;
  /** The region object of this context's events, kept from one to the next; leased in the states LEASED and READY only. */
  private ownRegion: Region | undefined = undefined;
  /** The scope object of this context's events, likewise. */
  private ownScope: Scope | undefined = undefined;
  /** Of the event that has it, or had it last. */
  eventKind: EventKind | undefined = undefined;
  private eventSequence = 0;
  /** The signal's, once it has been read; and why it is aborted, if it is. Until the next event begins. */
  private controller: AbortController | undefined = undefined;
  private abortReason: unknown = undefined;
  /** ENDED, or OPEN and what the event has read; and READY beside either. */
  private state = ENDED;

  constructor(leases: Leases) {
    this.leases = leases;
  }

  get region(): Region {
    const { state } = this;
    if (state === (OPEN | READY) && this.eventKind!.sizeHint <= smallEvent) {
      this.state = OPEN | READY | LEASED;
      this.leases.begun++;
      return this.ownRegion!;
    }
    return (state & LEASED) !== 0 ? this.ownRegion! : this.leaseRegion();
  }

  get scope(): Scope {
    return (this.state & SCOPED) !== 0 ? this.ownScope! : this.openScope();
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      if (this.hasEnded)
        throw new LoopStateError(`the event ${this.eventSequence} has ended, and has no signal any more`);
      this.controller = new AbortController();
      if ((this.state & SIGNALLED) !== 0) this.controller.abort(this.abortReason);
      this.state |= SIGNALLED;
    }
    return this.controller.signal;
  }

  get kind(): Kind<unknown> {
    return this.eventKind!;
  }

  get sequence(): number {
    return this.eventSequence;
  }

  /** Why nobody wants the event's result any more; undefined if that is not so. */
  get aborted(): unknown {
    return this.abortReason;
  }

  /** Whether the event has ended, and none has begun since. */
  get hasEnded(): boolean {
    return (this.state & OPEN) === 0;
  }

  begin(kind: EventKind, sequence: number): void {
    if (this.eventKind !== kind) this.eventKind = kind;
    this.eventSequence = sequence;
    this.state = (this.state & READY) | OPEN;
  }

  /**
   * As {@link end}, for an event after which another begins at once, or {@link rest} is called.
   *
   * @throws {DestroyHookError} if a destroy hook has thrown; region and scope have ended
   */
  endShared(): void {
    const { state } = this;
    if (state === OPEN || state === (OPEN | READY)) {
      this.state = state & READY;
    } else if ((state & (SCOPED | SIGNALLED)) !== 0) {
      this.end();
    } else {
      const { leases, eventKind } = this;
      const bytes = leases.pool.$restart(this.ownRegion!);
      if (bytes < 0) {
        this.end();
        return;
      }
      this.state = READY;
      leases.ended++;
      leases.bytesReset += bytes;
      if (bytes !== eventKind!.sizeHint) eventKind!.learn(bytes);
    }
  }

  /** Gives back the inherited region when no event follows at once, or this one becomes asynchronous. */
  rest(): void {
    if ((this.state & (READY | LEASED)) === READY) this.giveBack();
  }

  /**
   * Ends the event, and with it the region and the scope, if it has read them. Nothing else ends the region; the scope may
   * have been ended before.
   *
   * @throws {DestroyHookError} if a destroy hook has thrown; region and scope have ended
   */
  end(): void {
    const { state } = this;
    this.state = state & READY; // first: whatever happens below, what was read is given back once
    if ((state & SIGNALLED) !== 0) this.forgetSignal();
    if ((state & (LEASED | SCOPED)) === 0) {
      if (state !== ENDED) this.rest();
    } else if ((state & SCOPED) === 0) {
      this.endRegion();
    } else {
      this.endScope(state);
    }
  }

  /** Tells the event that nobody wants its result any more, by its signal if it has read that, or reads it later. */
  abort(reason: unknown): void {
    if (this.hasEnded || this.abortReason !== undefined) return;
    this.abortReason = reason;
    this.state |= SIGNALLED;
    this.controller?.abort(reason);
  }

  private endRegion(): void {
    this.state = ENDED;
    const { leases } = this;
    const region = this.ownRegion!;
    // The hooks of records run here, and not in the pool, so that what they throw keeps nobody from the count of bytes.
    const sweep = region.$start === 0 ? destroyRecords(region, "ending an event's region") : undefined;
    leases.ended++;
    const bytes = leases.pool.end(region, leases.newlyEnded());
    leases.bytesReset += bytes;
    this.eventKind!.learn(bytes);
    sweep?.finish("ending an event's region");
  }

  /** Apart, so that events without a scope need no `finally`. */
  private endScope(state: number): void {
    try {
      if ((state & LEASED) !== 0) this.endRegion();
      else this.rest();
    } finally {
      this.leases.scopesEnded++;
      this.ownScope!.end();
    }
  }

  private forgetSignal(): void {
    this.controller = undefined;
    this.abortReason = undefined;
  }

  private leaseRegion(): Region {
    if (this.hasEnded) {
      throw new RegionEndedError(`the event ${this.eventSequence} has ended, and its region with it`);
    }
    if ((this.state & READY) !== 0) this.giveBack();
    const { leases } = this;
    this.ownRegion ??= leases.pool.createRegion();
    leases.pool.lease(this.ownRegion, this.eventKind!.sizeHint); // may throw: then nothing is leased
    leases.begun++;
    this.state |= LEASED;
    return this.ownRegion;
  }

  /** Gives back the region that the events before have left behind. */
  private giveBack(): void {
    this.state &= ~READY;
    this.leases.pool.end(this.ownRegion!, this.leases.newlyEnded());
  }

  private openScope(): Scope {
    if (this.hasEnded) {
      throw new ScopeEndedError(`the event ${this.eventSequence} has ended, and its scope with it`);
    }
    if (this.ownScope === undefined) this.ownScope = new Scope(this.leases.memory);
    else this.ownScope.$open();
    this.leases.scopesBegun++;
    this.state |= SCOPED;
    return this.ownScope;
  }
}
