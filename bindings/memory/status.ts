/** Why a call into the module returned address 0; the numbers of `assembly/memory/status.ts`. */
export const Status = {
  OK: 0,
  MAXIMUM_REACHED: 1,
  ENGINE_REFUSED: 2,
  SEALED: 3,
  BYTE_LIMIT: 4,
  INVALID_SIZE: 5,
  INVALID_ALIGNMENT: 6,
  FOREIGN_ADDRESS: 7,
  STALE_MARK: 8,
  STALE_REFERENCE: 9,
  INVALID_KEY: 10,
  DESTROY_HOOK: 11,
  INTERIOR_ADDRESS: 12,
  FREED_ADDRESS: 13,
  CORRUPT_BLOCK: 14,
  POOL_FULL: 15,
} as const;
