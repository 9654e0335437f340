import { checkInteger } from "../arguments.js";
import { DisposedError, InvalidArgumentError, RegionEndedError, type TidemarkError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { Arena, checkArenaOptions } from "./arena.js";
import { type ArenaOptions, Space } from "./space.js";

/** What a reset returns when it could not be made. */
const FAILED = 0xffff_ffff;

/** More than any hint can say. */
const HINT_LIMIT = 0xffff_ffff;

/**
 * The arena that the loop leases to one event. It allocates as an arena does; the loop alone ends it, when the event
 * ends, and any later use is a {@link RegionEndedError}.
 */
export class Region extends Space {
  #parkedHeader = 0;
  #parkedLimit = 0;
  /** The pool that leases it. */
  readonly $pool: RegionPool;

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

  /** Ends the region, which has just been reset, but keeps the claim on its arena for {@link $resume}. */
  $park(): void {
    this.#parkedHeader = this.$header;
    this.#parkedLimit = this.$limit;
    this.$header = 0;
    this.$cursor = 0;
    this.$limit = 0;
  }

  /** Takes the parked arena up again. */
  $resume(): void {
    this.$header = this.#parkedHeader;
    this.$limit = this.#parkedLimit;
    this.$cursor = this.$start;
  }

  $ended(operation: string): TidemarkError {
    return new RegionEndedError(`${operation}: the event that had leased this region has ended`);
  }
}

/**
 * The arenas that regions are leased from and go back to. It holds as many as were ever in use at once; each keeps the
 * blocks that recent events needed.
 */
export class RegionPool {
  readonly #memory: LinearMemory;
  readonly #maximumBytes: number;
  readonly #idle: Address[] = [];
  /** The region that ended last, if its event was a small one: it keeps its arena ready, in case it comes again. */
  #parked: Region | undefined;
  #leased = 0;
  #disposed = false;

  /** Use `runtime.regionPool()`. */
  constructor(memory: LinearMemory, options: { maximumBytes?: number } = {}) {
    this.#memory = memory;
    this.#maximumBytes = checkArenaOptions(options).maximumBytes;
  }

  /** Regions leased now. */
  get leased(): number {
    return this.#leased;
  }

  /** Arenas held, leased or not. */
  get size(): number {
    return this.#leased + this.#idle.length + (this.#parked === undefined ? 0 : 1);
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
    if (region === this.#parked && sizeHint <= RESERVE_AHEAD && this.#memory.disposed === false) {
      this.#parked = undefined;
      this.#leased++;
      region.$resume();
    } else {
      this.#leaseSlow(region, sizeHint);
    }
  }

  #leaseSlow(region: Region, sizeHint: number): void {
    const memory = this.#memory;
    memory.assertUsable("leasing a region");
    if (this.#disposed) throw new DisposedError("leasing a region: the pool has been disposed");
    this.#assertOwn(region, "leasing a region");
    if (region.$header !== 0) throw new InvalidArgumentError("leasing a region: it is leased already");
    if (sizeHint !== 0) checkInteger("the size hint", sizeHint, 0, HINT_LIMIT);
    if (this.#parked !== undefined) this.#unpark(this.#parked);
    let arena = this.#idle.pop();
    if (arena === undefined) {
      arena = memory.exports.createArena(0, sizeHint, this.#maximumBytes) >>> 0;
      if (arena === 0) throw memory.failure("leasing a region");
    } else if (sizeHint > RESERVE_AHEAD) {
      // A hint that cannot be met is no failure: the event takes its blocks one by one, and may need fewer.
      memory.exports.reserveArena(arena, sizeHint);
    }
    this.#leased++;
    region.$take(arena);
  }

  /**
   * Ends everything in `region`, takes its arena back, and returns the bytes that were in use; 0 if it is not leased.
   *
   * @throws {InvalidArgumentError} if the region is of another pool; for one of this pool it never throws
   */
  end(region: Region): number {
    if (region?.$pool !== this || this.#parked !== undefined || this.#disposed) return this.#endSlow(region);
    const used = region.$resetSmall();
    if (used < 0) return this.#endSlow(region);
    this.#leased--;
    this.#parked = region;
    region.$park();
    return used;
  }

  #endSlow(region: Region): number {
    this.#assertOwn(region, "ending a region");
    const arena = region.$header * 4;
    if (arena === 0) return 0;
    this.#leased--;
    if (!this.#memory.disposed) region.$yield();
    region.$drop();
    if (this.#memory.disposed) return 0;
    if (region.$children !== undefined) region.$endChildren(-1);
    const used = this.#memory.exports.resetArena(arena) >>> 0;
    if (this.#disposed || used === FAILED) {
      this.#memory.exports.destroyArena(arena);
      return used === FAILED ? 0 : used;
    }
    this.#idle.push(arena);
    return used;
  }

  /** Puts the arena of the parked region to the idle ones. */
  #unpark(region: Region): void {
    this.#parked = undefined;
    region.$resume();
    this.#idle.push(region.$arena("leasing a region"));
    region.$drop();
  }

  #assertOwn(region: Region, operation: string): void {
    if (region?.$pool !== this) throw new InvalidArgumentError(`${operation}: it is none of this pool's`);
  }

  /** Gives the idle arenas back; those still leased follow when their regions end. A second call does nothing. */
  dispose(): void {
    this.#disposed = true;
    if (this.#memory.disposed) return;
    if (this.#parked !== undefined) this.#unpark(this.#parked);
    for (const arena of this.#idle) this.#memory.exports.destroyArena(arena);
    this.#idle.length = 0;
  }
}

/** Hints below the first block of any arena need no reserving. */
const RESERVE_AHEAD = 4096;
