// A pool as a strategy: cells of one size.

import { createPool, Pool } from "../../../assembly/allocators/pool";
import { Address, PAGE_SHIFT } from "../../../assembly/memory/alignment";

const CELL_BYTES: u32 = 32;

@unmanaged
export class PoolStrategy {
  pool: Pool;

  /** `size` is at most that of a cell. */
  @inline
  allocate(_size: u32): Address {
    return this.pool.allocate();
  }

  @inline
  free(address: Address, _size: u32): u32 {
    return this.pool.free(address);
  }

  @inline
  reallocate(address: Address, _oldSize: u32, _newSize: u32): Address {
    return address;
  }

  @inline
  taken(): u32 {
    return (this.pool.slabs * this.pool.slabPages) << PAGE_SHIFT;
  }

  @inline
  reset(): void {}
}

/** Makes the strategy at `place`, which has room for it. Returns it, or 0 with a status. */
export function createPoolStrategy(place: Address): Address {
  const pool = createPool(CELL_BYTES, 0, 0);
  if (!pool) return 0;
  changetype<PoolStrategy>(place).pool = changetype<Pool>(pool);
  return place;
}
