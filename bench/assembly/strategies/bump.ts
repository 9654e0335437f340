// Strategies: allocators as the drivers see them.
//
// A strategy is an unmanaged class with these methods; a driver is compiled anew for each, so that none is called through
// a table. Sizes are in bytes, from 1.
//
//   allocate(size: u32): usize                                      0 when memory is out
//   free(address: usize, size: u32): u32                            1, or 0 when it is refused
//   reallocate(address: usize, oldSize: u32, newSize: u32): usize   0 when memory is out; the block is as it was, then
//   taken(): u32                                                    bytes taken from below at this moment
//   reset(): void                                                   ends what `free` does not; nothing is live then
//
// This one is the upper bound of them all: it moves a cursor through one run of pages, and `free` does nothing.

import { Address, PAGE_SHIFT, SIZE_LIMIT } from "../../../assembly/memory/alignment";
import { allocatePages, Owner } from "../../../assembly/memory/pageHeap";

/** Every address is a multiple of this, as those of the heaps beside it. */
const GRAIN_MASK: u32 = 7;

@unmanaged
export class Bump {
  start: Address;
  cursor: Address;
  end: Address;

  @inline
  allocate(size: u32): Address {
    const address = this.cursor;
    const rounded = (size + GRAIN_MASK) & ~GRAIN_MASK;
    if (size > SIZE_LIMIT || rounded > <u32>(this.end - address)) return 0;
    this.cursor = address + rounded;
    return address;
  }

  @inline
  free(_address: Address, _size: u32): u32 {
    return 1;
  }

  @inline
  reallocate(address: Address, oldSize: u32, newSize: u32): Address {
    const moved = this.allocate(newSize);
    if (moved) memory.copy(moved, address, min(oldSize, newSize));
    return moved;
  }

  /** What has been used: the run is as long as the host guesses, and no figure of the strategy's. */
  @inline
  taken(): u32 {
    return <u32>(this.cursor - this.start);
  }

  @inline
  reset(): void {
    this.cursor = this.start;
  }
}

/** Makes a bump strategy with a run of `pages` at `place`, which has room for it. Returns it, or 0 with a status. */
export function createBump(place: Address, pages: u32): Address {
  const bump = changetype<Bump>(place);
  const run = allocatePages(pages, Owner.SCRATCH);
  if (!run) return 0;
  bump.start = run;
  bump.cursor = run;
  bump.end = run + (pages << PAGE_SHIFT);
  return place;
}
