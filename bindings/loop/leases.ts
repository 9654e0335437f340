import type { Region, RegionPool } from "../allocators/region.js";

/** The region pool as the loop uses it: with counts. */
export class Leases {
  /** Regions leased since the loop was made. */
  begun = 0;
  /** Those of them that have ended. */
  ended = 0;
  /** Bytes that events had used of their regions when those were reset. */
  bytesReset = 0;

  readonly #pool: RegionPool;

  constructor(pool: RegionPool) {
    this.#pool = pool;
  }

  /** A region object that is not leased. */
  create(): Region {
    return this.#pool.createRegion();
  }

  /** @throws whatever the pool throws when it has no memory to give; then nothing is leased */
  begin(region: Region, sizeHint: number): void {
    this.#pool.lease(region, sizeHint);
    this.begun++;
  }

  /** Resets the region. Returns the bytes that were used of it. */
  end(region: Region): number {
    this.ended++;
    const bytes = this.#pool.end(region);
    this.bytesReset += bytes;
    return bytes;
  }

  /** Gives the idle regions' memory back, and that of the others as they end. */
  dispose(): void {
    this.#pool.dispose();
  }
}
