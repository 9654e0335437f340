// An arena as a strategy: what is freed stays until the reset, and a reallocation takes a new block.

import { Arena, createArena, resetArena } from "../../../assembly/allocators/arena";
import { Address } from "../../../assembly/memory/alignment";

@unmanaged
export class ArenaStrategy {
  arena: Arena;

  @inline
  allocate(size: u32): Address {
    return this.arena.allocate(size);
  }

  @inline
  free(_address: Address, _size: u32): u32 {
    return 1;
  }

  @inline
  reallocate(address: Address, oldSize: u32, newSize: u32): Address {
    const moved = this.arena.allocate(newSize);
    if (moved) memory.copy(moved, address, min(oldSize, newSize));
    return moved;
  }

  @inline
  taken(): u32 {
    return this.arena.reserved;
  }

  @inline
  reset(): void {
    resetArena(this.arena);
  }
}

/** Makes the strategy at `place`, which has room for it. Returns it, or 0 with a status. */
export function createArenaStrategy(place: Address): Address {
  const arena = createArena(0, 0, u32.MAX_VALUE);
  if (!arena) return 0;
  changetype<ArenaStrategy>(place).arena = changetype<Arena>(arena);
  return place;
}
