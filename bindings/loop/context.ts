import { destroyRecords } from "../allocators/destroyRecords.js";
import type { Region } from "../allocators/region.js";
import { Scope } from "../collectors/scope.js";
import { RegionEndedError, ScopeEndedError } from "../errors.js";
import type { EventKind, Kind } from "./kind.js";
import type { Leases } from "./leases.js";

/**
 * What a handler is given beside the payload. It is passed, never ambient, and serves its one event only.
 *
 * Synchronous events share one context object, so a handler must not keep it, its region or its scope for later. A handler
 * that returns a promise has them for itself until that promise has settled; they are never given to another event. With
 * `createRuntime({ debug: true })` that holds for every event, so that a context that was kept is always found out.
 */
export interface EventContext<Payload = unknown> {
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

/**
 * The context as the loop sees it. An event's life goes one way, and each step leaves a state that the next asserts:
 *
 *   ENDED ──begin──▶ OPEN ──region read──▶ + LEASED, scope read──▶ + SCOPED, in either order
 *     ▲               │                      │
 *     └──────end──────┴─────────end──────────┘
 */
export class Context implements EventContext {
  readonly #leases: Leases;
  /** The region object of this context's events, kept from one to the next; leased in the state LEASED only. */
  #region: Region | undefined;
  /** The scope object of this context's events, likewise. */
  #scope: Scope | undefined;
  #kind: EventKind | undefined;
  #sequence = 0;
  /** ENDED, or OPEN and what the event has read. */
  #state = ENDED;

  /**
   * @param region an object that is not leased, for this context to use
   * @param scope one that is not open, likewise
   */
  constructor(leases: Leases, region?: Region, scope?: Scope) {
    this.#leases = leases;
    this.#region = region;
    this.#scope = scope;
  }

  get region(): Region {
    return (this.#state & LEASED) !== 0 ? this.#region! : this.#lease();
  }

  get scope(): Scope {
    return (this.#state & SCOPED) !== 0 ? this.#scope! : this.#openScope();
  }

  get kind(): Kind {
    return this.#kind!;
  }

  get sequence(): number {
    return this.#sequence;
  }

  begin(kind: EventKind, sequence: number): void {
    this.#kind = kind;
    this.#sequence = sequence;
    this.#state = OPEN;
  }

  /**
   * Ends the event, and with it the region and the scope, if it has read them. Nothing else ends the region; the scope may
   * have been ended before.
   *
   * @throws {DestroyHookError} if a destroy hook has thrown; region and scope have ended
   */
  end(): void {
    const state = this.#state;
    this.#state = ENDED; // first: whatever happens below, what was read is given back once
    if (state <= OPEN) return;
    if (state < SCOPED) this.#endRegion();
    else this.#endScope(state);
  }

  /**
   * The context of the next event, when this one's event goes on; takes those objects along that it has not read, of region
   * and scope.
   */
  successor(): Context {
    const state = this.#state;
    let region: Region | undefined;
    let scope: Scope | undefined;
    if ((state & LEASED) === 0) {
      region = this.#region;
      this.#region = undefined;
    }
    if ((state & SCOPED) === 0) {
      scope = this.#scope;
      this.#scope = undefined;
    }
    return new Context(this.#leases, region, scope);
  }

  #endRegion(): void {
    const leases = this.#leases;
    const region = this.#region!;
    // The hooks of records run here, and not in the pool, so that what they throw keeps nobody from the count of bytes.
    const sweep = region.$start === 0 ? destroyRecords(region, "ending an event's region") : undefined;
    leases.ended++;
    const bytes = leases.pool.end(region);
    leases.bytesReset += bytes;
    this.#kind!.learn(bytes);
    sweep?.finish("ending an event's region");
  }

  /** Apart, so that events without a scope need no `finally`. */
  #endScope(state: number): void {
    try {
      if ((state & LEASED) !== 0) this.#endRegion();
    } finally {
      this.#leases.scopesEnded++;
      this.#scope!.end();
    }
  }

  #lease(): Region {
    if (this.#state === ENDED) {
      throw new RegionEndedError(`the event ${this.#sequence} has ended, and its region with it`);
    }
    const leases = this.#leases;
    this.#region ??= leases.pool.createRegion();
    leases.pool.lease(this.#region, this.#kind!.sizeHint); // may throw: then nothing is leased
    leases.begun++;
    this.#state |= LEASED;
    return this.#region;
  }

  #openScope(): Scope {
    if (this.#state === ENDED) {
      throw new ScopeEndedError(`the event ${this.#sequence} has ended, and its scope with it`);
    }
    if (this.#scope === undefined) this.#scope = new Scope();
    else this.#scope.$open();
    this.#leases.scopesBegun++;
    this.#state |= SCOPED;
    return this.#scope;
  }
}
