// The classic free list: cells of one size, each free one holding the address of the next. No header, no bitmap, no
// check: what a pool of cells costs at the least.

import { Address, PAGE_SHIFT, PAGE_SIZE } from "../../../assembly/memory/alignment";
import { allocatePages, Owner } from "../../../assembly/memory/pageHeap";

const CELL_BYTES: u32 = 32;

@unmanaged
export class IntrusiveList {
  first: Address;
  pages: u32;

  /** `size` is at most that of a cell. */
  @inline
  allocate(_size: u32): Address {
    const cell = this.first;
    if (!cell) return this.allocateSlow();
    this.first = load<Address>(cell);
    return cell;
  }

  @inline
  free(address: Address, _size: u32): u32 {
    store<Address>(address, this.first);
    this.first = address;
    return 1;
  }

  @inline
  reallocate(address: Address, _oldSize: u32, _newSize: u32): Address {
    return address;
  }

  @inline
  taken(): u32 {
    return this.pages << PAGE_SHIFT;
  }

  @inline
  reset(): void {}

  /** Cuts another page into cells, and hands out the first. */
  allocateSlow(): Address {
    const page = allocatePages(1, Owner.SCRATCH);
    if (!page) return 0;
    this.pages++;
    for (let offset = PAGE_SIZE - CELL_BYTES; offset; offset -= CELL_BYTES) this.free(page + offset, CELL_BYTES);
    return page;
  }
}

/** Makes the strategy at `place`, which has room for it and holds zeros. */
export function createIntrusiveList(place: Address): Address {
  return place;
}
