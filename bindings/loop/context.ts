import { destroyRecords } from "../allocators/destroyRecords.js";
import type { Region } from "../allocators/region.js";
import { RegionEndedError } from "../errors.js";
import type { EventKind, Kind } from "./kind.js";
import type { Leases } from "./leases.js";

/**
 * What a handler is given beside the payload. It is passed, never ambient, and serves its one event only.
 *
 * Synchronous events share one context object, so a handler must not keep it, or its region, for later. A handler that
 * returns a promise has both for itself until that promise has settled; they are never given to another event. With
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
  readonly kind: Kind<Payload>;
  /** The event's number: 0 for the first that the loop handles, and one more for each that follows. */
  readonly sequence: number;
}

/** Between events, or after the only one. */
const ENDED = 0;
/** An event has the context, and has not read its region. */
const OPEN = 1;
/** An event has the context, and its region. */
const LEASED = 2;

/**
 * The context as the loop sees it. An event's life goes one way, and each step leaves a state that the next asserts:
 *
 *   ENDED ──begin──▶ OPEN ──region read──▶ LEASED
 *     ▲               │                      │
 *     └──────end──────┴─────────end──────────┘
 */
export class Context implements EventContext {
  readonly #leases: Leases;
  /** The region object of this context's events, kept from one to the next; leased in the state LEASED only. */
  #region: Region | undefined;
  #kind: EventKind | undefined;
  #sequence = 0;
  #state: typeof ENDED | typeof OPEN | typeof LEASED = ENDED;

  /** @param region an object that is not leased, for this context to use */
  constructor(leases: Leases, region?: Region) {
    this.#leases = leases;
    this.#region = region;
  }

  get region(): Region {
    return this.#state === LEASED ? this.#region! : this.#lease();
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
   * Ends the event, and with it the region, if one was leased. Nothing else ends either.
   *
   * @throws {DestroyHookError} if a destroy hook has thrown; the region has ended
   */
  end(): void {
    const state = this.#state;
    this.#state = ENDED; // first: whatever happens below, the region is given back once
    if (state !== LEASED) return;
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

  /** The context of the next event, when this one's event goes on; takes a region object along that it has not leased. */
  successor(): Context {
    if (this.#state === LEASED) return new Context(this.#leases);
    const region = this.#region;
    this.#region = undefined;
    return new Context(this.#leases, region);
  }

  #lease(): Region {
    if (this.#state === ENDED) {
      throw new RegionEndedError(`the event ${this.#sequence} has ended, and its region with it`);
    }
    const leases = this.#leases;
    this.#region ??= leases.pool.createRegion();
    leases.pool.lease(this.#region, this.#kind!.sizeHint); // may throw: then nothing is leased
    leases.begun++;
    this.#state = LEASED;
    return this.#region;
  }
}
