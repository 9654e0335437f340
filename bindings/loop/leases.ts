import type { RegionPool } from "../allocators/region.js";

/** What the contexts of a loop share: where regions come from, and the counts of what became of them and of scopes. */
export class Leases {
  /** Regions leased since the loop was made. */
  begun = 0;
  /** Those of them that have ended. */
  ended = 0;
  /** Bytes that events had used of their regions when those were reset. */
  bytesReset = 0;
  /** Scopes that events have read since the loop was made. */
  scopesBegun = 0;
  /** Those of them that have ended. */
  scopesEnded = 0;

  /** Of {@link ended}, as many as the pool has been told of. */
  private told = 0;

  /**
   * @param memory the runtime's
   * @param pool the loop's own
   */
  constructor(
    readonly memory: object,
    readonly pool: RegionPool,
  ) {}

  /** How many regions have ended since this was last asked. */
  newlyEnded(): number {
    const count = this.ended - this.told;
    this.told = this.ended;
    return count;
  }
}
