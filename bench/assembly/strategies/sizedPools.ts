// Pools as a strategy for blocks of any size: a pool for each of forty sizes, and runs of pages for what is larger. It is
// what a program does that knows its sizes; a pool is made when its size is first asked for, and stays.
//
//   size class   16 B apart up to 128 B                then four to each doubling, up to 32 KiB
//   number       0     1     2     …     7             8      9      10     11     12     …     39
//   cell         16    32    48    …     128           160    192    224    256    320    …     32,768

import { createPool, Pool } from "../../../assembly/allocators/pool";
import { Address, PAGE_SHIFT, pagesFor, SIZE_LIMIT } from "../../../assembly/memory/alignment";
import { allocatePages, freePages, Owner } from "../../../assembly/memory/pageHeap";

const GRANULE_SHIFT: u32 = 4;
const LINEAR_SHIFT: u32 = 7;
const LINEAR_LIMIT: u32 = 1 << LINEAR_SHIFT;
const LINEAR_CLASSES: u32 = LINEAR_LIMIT >> GRANULE_SHIFT;
/** Each doubling has 2^2 classes. */
const QUARTER_SHIFT: u32 = 2;
const CLASS_COUNT: u32 = 40;
const POOLED_LIMIT: u32 = 32_768;

/** The class of a size from 1 to {@link POOLED_LIMIT}. */
function classOf(size: u32): u32 {
  const below = size - 1;
  if (size <= LINEAR_LIMIT) return below >> GRANULE_SHIFT;
  const doubling = 31 - <u32>clz(below);
  // The two bits below the highest one tell the quarter; the highest adds 4.
  const quarter = (below >> (doubling - QUARTER_SHIFT)) - (1 << QUARTER_SHIFT);
  return LINEAR_CLASSES + ((doubling - LINEAR_SHIFT) << QUARTER_SHIFT) + quarter;
}

/** The largest size of a class. */
function cellBytesOf(sizeClass: u32): u32 {
  if (sizeClass < LINEAR_CLASSES) return (sizeClass + 1) << GRANULE_SHIFT;
  const above = sizeClass - LINEAR_CLASSES;
  const doubling = LINEAR_SHIFT + (above >> QUARTER_SHIFT);
  const quarter = (above & ((1 << QUARTER_SHIFT) - 1)) + (1 << QUARTER_SHIFT) + 1;
  return quarter << (doubling - QUARTER_SHIFT);
}

@unmanaged
export class SizedPools {
  /** Pages of the blocks that are larger than any cell. */
  largePages: u32;

  @inline
  poolAt(sizeClass: u32): Address {
    return load<Address>(changetype<Address>(this) + (sizeClass << 2), offsetof<SizedPools>());
  }

  @inline
  allocate(size: u32): Address {
    if (size > POOLED_LIMIT) return this.allocateLarge(size);
    const pool = this.poolAt(classOf(size));
    return pool ? changetype<Pool>(pool).allocate() : this.allocateFirst(size);
  }

  @inline
  free(address: Address, size: u32): u32 {
    if (size > POOLED_LIMIT) return this.freeLarge(address);
    return changetype<Pool>(this.poolAt(classOf(size))).free(address);
  }

  @inline
  reallocate(address: Address, oldSize: u32, newSize: u32): Address {
    if (max(oldSize, newSize) <= POOLED_LIMIT) {
      if (classOf(oldSize) == classOf(newSize)) return address;
    } else if (min(oldSize, newSize) > POOLED_LIMIT && pagesFor(oldSize) == pagesFor(newSize)) {
      return address;
    }
    const moved = this.allocate(newSize);
    if (!moved) return 0;
    memory.copy(moved, address, min(oldSize, newSize));
    this.free(address, oldSize);
    return moved;
  }

  taken(): u32 {
    let pages = this.largePages;
    for (let sizeClass: u32 = 0; sizeClass < CLASS_COUNT; sizeClass++) {
      const pool = this.poolAt(sizeClass);
      if (pool) pages += changetype<Pool>(pool).slabs * changetype<Pool>(pool).slabPages;
    }
    return pages << PAGE_SHIFT;
  }

  @inline
  reset(): void {}

  /** Makes the pool of a size, and takes its first cell. */
  allocateFirst(size: u32): Address {
    const sizeClass = classOf(size);
    const pool = createPool(cellBytesOf(sizeClass), 0, 0);
    if (!pool) return 0;
    store<Address>(changetype<Address>(this) + (sizeClass << 2), pool, offsetof<SizedPools>());
    return changetype<Pool>(pool).allocate();
  }

  allocateLarge(size: u32): Address {
    if (size > SIZE_LIMIT) return 0;
    const pages = pagesFor(size);
    const address = allocatePages(pages, Owner.SCRATCH);
    if (address) this.largePages += pages;
    return address;
  }

  freeLarge(address: Address): u32 {
    const pages = freePages(address, Owner.SCRATCH);
    this.largePages -= pages;
    return pages ? 1 : 0;
  }
}

/** Makes the strategy at `place`, which has room for it and holds zeros. */
export function createSizedPools(place: Address): Address {
  return place;
}
