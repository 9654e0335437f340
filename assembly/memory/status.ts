// Why a call returned address 0. Kept in the root block, so that TypeScript can make a typed error with the numbers in it.

/** The reasons, numbered for both sides of the boundary. */
export namespace Status {
  export const OK: u32 = 0;
  /** The memory's maximum leaves no room for the pages that were needed. */
  export const MAXIMUM_REACHED: u32 = 1;
  /** The engine refused `memory.grow` below the maximum. */
  export const ENGINE_REFUSED: u32 = 2;
  /** The runtime is sealed: nothing more is taken from the host. */
  export const SEALED: u32 = 3;
  /** A limit set on the arena itself would be passed. */
  export const BYTE_LIMIT: u32 = 4;
  /** A size of 0, or beyond the largest request. */
  export const INVALID_SIZE: u32 = 5;
  /** An alignment that is no power of two, or larger than 4,096. */
  export const INVALID_ALIGNMENT: u32 = 6;
  /** An address that the callee does not own. */
  export const FOREIGN_ADDRESS: u32 = 7;
  /** A mark that is no longer on its arena's stack of marks, or never was. */
  export const STALE_MARK: u32 = 8;
  /** A ref whose guard has moved on. */
  export const STALE_REFERENCE: u32 = 9;
  /** A key that has no place in the order: NaN. */
  export const INVALID_KEY: u32 = 10;
  /** A record that has a destroy hook, where a copy of it was asked for. */
  export const DESTROY_HOOK: u32 = 11;
  /** An address in memory of the callee's at which no block begins. */
  export const INTERIOR_ADDRESS: u32 = 12;
  /** The address of a block that is free already. */
  export const FREED_ADDRESS: u32 = 13;
  /** The tags beside the block disagree: something has written past the end of its memory. */
  export const CORRUPT_BLOCK: u32 = 14;
  /** Every cell of a pool with a fixed capacity is in use, or has been retired. */
  export const POOL_FULL: u32 = 15;
  /** A dead object, where a reference to it would bring it back. */
  export const RESURRECTION: u32 = 16;
  /** A timing wheel holds as many timers as it can ever. */
  export const WHEEL_FULL: u32 = 17;
}

/** True if a status tells that a run of pages was refused. */
export function isMemoryOut(status: u32): bool {
  return status == Status.MAXIMUM_REACHED || status == Status.ENGINE_REFUSED || status == Status.SEALED;
}
