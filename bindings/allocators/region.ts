import { assertOptions, checkInteger, type NamesOf } from "../arguments.js";
import { DisposedError, InvalidArgumentError, RegionEndedError, type TidemarkError } from "../errors.js";
import type { AllocationSites } from "../memory/allocationSites.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { Arena, checkLimit } from "./arena.js";
import { FAILED, frozenArena, SMALL_RESET } from "./claim.js";
import { destroyRecords } from "./destroyRecords.js";
import { type ArenaOptions, Space } from "./space.js";

/** Up to here, in bytes, an event's region may be reset and used again without a call. */
export const SMALL_EVENT = SMALL_RESET;

/** More than any hint can say. */
const HINT_LIMIT = 0xffff_ffff;

/** After so many events the pool looks whether it holds too much. */
const SHRINK_INTERVAL = 64;

/** Hints below the first block of any arena need no reserving. */
const RESERVE_AHEAD = 4096;

/** Whether it is a hint, and one that needs no reserving. */
function isSmallHint(sizeHint: number): boolean {
  return typeof sizeHint === "number" && sizeHint >>> 0 === sizeHint && sizeHint <= RESERVE_AHEAD;
}

/** An arena of a pool. While no region has it, the claim on all of it is kept here. */
class Lease {
  cursor = 0;
  start = 0;
  limit = 0;
  guard = 0;
  generation = 0;

  /** @param header the index of the arena's header in `memory.u32` */
  constructor(readonly header: number) {}
}

/**
 * The arena that the loop leases to one event. It allocates as an arena does; the loop alone ends it, when the event
 * ends, and any later use is a {@link RegionEndedError}.
 *
 * @example
 * loop.on("tick", (price: number, { region }) => {
 *   region.new(Level).price = price; // gone when this event ends
 * });
 */
export class Region extends Space {
  /** The pool that leases it. */
  readonly $pool: RegionPool;
  /** What it has leased. */
  $lease: Lease | undefined = undefined;

  /** Use `pool.createRegion()`. */
  constructor(memory: LinearMemory, pool: RegionPool) {
    super(memory);
    this.$pool = pool;
  }

  /** True while no event has this region. */
  get ended(): boolean {
    return this.$header === 0;
  }

  override arena(options?: ArenaOptions): Arena {
    return new Arena(this.$memory, options, this);
  }

  /** Takes up an arena with the claim that was kept on it. */
  $resume(lease: Lease): void {
    try {
      this.$lease = lease; // first, as it throws if a program has frozen the region
    } catch (error) {
      throw frozenArena(error);
    }
    this.$header = lease.header;
    this.$cursor = lease.cursor;
    this.$start = lease.start;
    this.$limit = lease.limit;
    this.$guard = lease.guard;
    this.$generation = lease.generation;
  }

  $ended(operation: string): TidemarkError {
    return new RegionEndedError(`${operation}: the event that had leased this region has ended`);
  }
}

/** Options of {@link RegionPool}s. */
export interface RegionPoolOptions {
  /** The most bytes that one region may hand out, 1 to about 4 GiB. By default as much as memory has. */
  maximumBytes?: number | undefined;
}

const OPTIONS: NamesOf<RegionPoolOptions> = { maximumBytes: true };

/**
 * The arenas that regions are leased from and go back to. It holds as many as recent events needed at once (a peak that
 * decays by 1/32 every 64 events, one arena given back at a time), and each keeps the blocks that its recent events needed.
 *
 * @example
 * using pool = runtime.regionPool({ maximumBytes: 1 << 20 });
 * const region = pool.createRegion();
 * pool.lease(region, 0);
 * region.new(Level).price = 100.5;
 * pool.end(region); // 16: the bytes that were in use
 */
export class RegionPool {
  readonly #memory: LinearMemory;
  readonly #maximumBytes: number;
  readonly #idle: Lease[] = [];
  #leased = 0;
  /** The most that were leased at once, decaying. */
  #peak = 1;
  #ends = 0;
  #disposed = false;
  /** The addresses of all arenas held, for those who count leaks; in the debug runtime only. */
  readonly #arenas: Set<Address> | undefined;

  /** Use `runtime.regionPool()`. */
  constructor(memory: LinearMemory, options: RegionPoolOptions = {}) {
    assertOptions("the options argument of a region pool", options, OPTIONS);
    this.#memory = memory;
    this.#maximumBytes = checkLimit(options.maximumBytes);
    this.#arenas = memory.sites && watch(this, memory.sites);
  }

  /** Regions leased now. */
  get leased(): number {
    return this.#leased;
  }

  /** Arenas held, leased or not. */
  get size(): number {
    return this.#leased + this.#idle.length;
  }

  /** A region object that has no arena yet. */
  createRegion(): Region {
    return new Region(this.#memory, this);
  }

  /**
   * Gives `region` an empty arena. O(1).
   *
   * @param region from {@link createRegion} of this very pool, and not leased
   * @param sizeHint the bytes that the event will probably need; 0 if unknown
   * @throws {OutOfMemoryError} or {SealedError} if there is no idle arena and no memory for another; nothing has changed
   * @throws {InvalidArgumentError} for another region or hint
   * @throws {DisposedError} after the pool's or the runtime's dispose
   */
  lease(region: Region, sizeHint: number): void {
    const idle = this.#idle;
    const lease = idle.length > 0 ? idle[idle.length - 1] : undefined;
    // Whatever is not as usual (a foreign or leased region, a large hint, a pool or runtime that is disposed) is for the
    // slow path to sort out.
    if (lease === undefined || !isSmallHint(sizeHint) || region?.$pool !== this) {
      this.#leaseSlow(region, sizeHint);
    } else if (region.$lease !== undefined || this.#memory.disposed !== false) {
      this.#leaseSlow(region, sizeHint);
    } else {
      region.$resume(lease);
      idle.pop();
      if (++this.#leased > this.#peak) this.#peak = this.#leased;
    }
  }

  #leaseSlow(region: Region, sizeHint: number): void {
    const memory = this.#memory;
    memory.assertUsable("leasing a region");
    if (this.#disposed) throw new DisposedError("leasing a region: the pool has been disposed");
    this.#assertOwn(region, "leasing a region");
    if (region.$lease !== undefined) throw new InvalidArgumentError("leasing a region: it is leased already");
    if (sizeHint !== 0) checkInteger("the size hint", sizeHint, 0, HINT_LIMIT);
    region.$assertMutable();
    const lease = this.#idle.pop();
    if (lease === undefined) {
      region.$take(this.#createArena(sizeHint));
      region.$lease = new Lease(region.$header);
    } else {
      region.$resume(lease);
    }
    if (++this.#leased > this.#peak) this.#peak = this.#leased;
    // A hint that cannot be met is no failure: the event takes its blocks one by one, and may need fewer.
    if (sizeHint > RESERVE_AHEAD) memory.exports.reserveArena(region.$arena("leasing a region"), sizeHint);
  }

  #createArena(sizeHint: number): Address {
    const arena = this.#memory.exports.createArena(0, sizeHint, this.#maximumBytes) >>> 0;
    if (arena === 0) throw this.#memory.failure("leasing a region");
    this.#arenas?.add(arena);
    return arena;
  }

  #destroyArena(header: number): void {
    this.#memory.exports.destroyArena(header * 4);
    this.#arenas?.delete(header * 4);
  }

  /**
   * Ends everything in `region`, takes its arena back, and returns the bytes that were in use; 0 if it is not leased.
   *
   * @param events how many have ended since the last call, this one among them: others may have been ended by {@link $restart}
   * @throws {InvalidArgumentError} if the region is of another pool, or `events` is no count
   * @throws {ReentrantCallError} in a destroy hook of a record that is about to end with the region; nothing has changed
   * @throws {DestroyHookError} if a destroy hook has thrown; the region has ended
   */
  end(region: Region, events = 1): number {
    this.#assertOwn(region, "ending a region");
    if (typeof events !== "number" || events >>> 0 !== events) checkInteger("the events", events, 0, HINT_LIMIT);
    const lease = region.$lease;
    if (lease === undefined) return 0;
    if (this.#memory.disposed) return this.#forget(region);
    const used = this.#disposed ? -1 : region.$resetSmall();
    if (used < 0) return this.#endSlow(region, lease, events);
    this.#takeBack(region, lease, events);
    return used;
  }

  /**
   * Ends everything in `region`, which then goes on as it would after another {@link lease}, for the next of events that follow
   * one another at once. This makes no call, and where the region goes on from is where it is.
   *
   * @param region leased from this pool, which has not been disposed
   * @returns the bytes that were in use; −1 if that takes more than a few stores (it has records with hooks, children, more than
   *   256 bytes), or the runtime has been disposed: then nothing has happened, and {@link end} has to do it
   */
  $restart(region: Region): number {
    return region.$resetSmall();
  }

  #endSlow(region: Region, lease: Lease, events: number): number {
    const sweep = destroyRecords(region, "ending a region");
    let used = region.$reset();
    region.$endChildren(-1);
    if (used === FAILED || this.#disposed) {
      this.#destroyArena(lease.header);
      if (used === FAILED) used = 0;
      this.#forget(region);
    } else {
      this.#takeBack(region, lease, events);
    }
    sweep?.finish("ending a region");
    return used;
  }

  /** Keeps the arena of a region that has been reset for another to come. */
  #takeBack(region: Region, lease: Lease, events: number): void {
    lease.cursor = region.$cursor;
    lease.start = region.$start;
    lease.limit = region.$limit;
    lease.guard = region.$guard;
    lease.generation = region.$generation;
    region.$lease = undefined;
    region.$drop();
    this.#leased--;
    this.#idle.push(lease);
    this.#ends += events;
    for (; this.#ends >= SHRINK_INTERVAL; this.#ends -= SHRINK_INTERVAL) this.#shrink();
  }

  /** Lets the remembered peak decay, and gives back an arena that recent events did not need. */
  #shrink(): void {
    this.#peak = Math.max(this.#leased + 1, this.#peak - Math.ceil(this.#peak / 32));
    if (this.size <= this.#peak) return;
    const idle = this.#idle.shift(); // the one that has been idle for longest
    if (idle !== undefined) this.#destroyArena(idle.header);
  }

  /** Ends a region whose arena is gone. */
  #forget(region: Region): number {
    region.$lease = undefined;
    region.$drop();
    this.#leased--;
    return 0;
  }

  #assertOwn(region: Region, operation: string): void {
    if (region?.$pool !== this) throw new InvalidArgumentError(`${operation}: it is not one of this pool's`);
  }

  /** Gives the idle arenas back; those still leased follow when their regions end. A second call does nothing. */
  dispose(): void {
    this.#disposed = true;
    this.#memory.sites?.unregister(this);
    if (!this.#memory.disposed) for (const { header } of this.#idle) this.#destroyArena(header);
    this.#idle.length = 0;
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Has the pool missed when it is dropped without a dispose. Returns the set in which it has to list its arenas. */
function watch(pool: RegionPool, sites: AllocationSites): Set<Address> {
  const arenas = new Set<Address>();
  sites.register(pool, "regionPool", ({ exports }) =>
    [...arenas].reduce((bytes, arena) => bytes + (exports.arenaReserved(arena) >>> 0), 0),
  );
  return arenas;
}
