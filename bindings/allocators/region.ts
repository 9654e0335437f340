import { RegionEndedError, type TidemarkError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { Arena, checkArenaOptions } from "./arena.js";
import { type ArenaOptions, Space } from "./space.js";

/** What a reset returns when it could not be made. */
const FAILED = 0xffff_ffff;

/**
 * The arena that the loop leases to one event. It allocates as an arena does; the loop alone ends it, when the event
 * ends, and any later use is a {@link RegionEndedError}.
 */
export class Region extends Space {
  /** True while no event has this region. */
  get ended(): boolean {
    return this.$header === 0;
  }

  override arena(options?: ArenaOptions): Arena {
    return new Arena(this.$memory, options, this);
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
    return this.#leased + this.#idle.length;
  }

  /** A region object that has no arena yet. */
  createRegion(): Region {
    return new Region(this.#memory);
  }

  /**
   * Gives `region` an empty arena. O(1).
   *
   * @param sizeHint the bytes that the event will probably need; 0 if unknown
   * @throws {OutOfMemoryError} or {SealedError} if there is no idle arena and no memory for another; nothing has changed
   */
  lease(region: Region, sizeHint: number): void {
    const memory = this.#memory;
    memory.assertUsable("leasing a region");
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

  /** Ends everything in `region`, takes its arena back, and returns the bytes that were in use. Never throws. */
  end(region: Region): number {
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

  /** Gives the idle arenas back; those still leased follow when their regions end. A second call does nothing. */
  dispose(): void {
    this.#disposed = true;
    if (this.#memory.disposed) return;
    for (const arena of this.#idle) this.#memory.exports.destroyArena(arena);
    this.#idle.length = 0;
  }
}

/** Hints below the first block of any arena need no reserving. */
const RESERVE_AHEAD = 4096;
