// Slabs: the runs of pages that the cells of a pool lie in.
//
//   slab          ┌────────┬────────────────────┬────────┬────────┬────────┬ ─ ─ ─ ─ ─ ─
//                 │ header │ pool, in its first │ cell   │ cell   │ cell   │ never used
//                 └────────┴────────────────────┴────────┴────────┴────────┴ ─ ─ ─ ─ ─ ─
//                 0        32                   256
//   free cell     ┌──────┬───────┬ ─ ─
//                 │ next │ guard │
//                 └──────┴───────┴ ─ ─
//
// Free cells hang together inside the slab, the one that was freed last first. Cells that were never used are threaded a
// few at a time, so that a slab's pages are touched as they are needed. The generations of the cells lie elsewhere, in a
// guard run, for they outlive the slab.
//
// Source: Bonwick, "The slab allocator: an object-caching kernel memory allocator" (1994).

import { Address, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE } from "../memory/alignment";
import { poison } from "../memory/clear";
import { allocateGuardRun, freeGuardRun, RETIRED_CELL, wearGuardRun } from "../memory/guardRun";
import { allocatePages, freePages, Owner, ownerByte, runStartOf } from "../memory/pageHeap";
import { RingMember } from "../memory/ring";
import { IS_DEBUG, root } from "../memory/root";
import { countStep } from "../memory/work";

/** Its ring is the pool's: every slab that has a free cell, and some that have become full. */
@unmanaged
export class Slab extends RingMember {
  pool: Address;
  /** The free cell that was freed last. */
  free: Address;
  /** The guard of cell 0. */
  guards: Address;
  /** How many cells there are, and how many of them have ever been threaded. */
  cells: u32;
  threaded: u32;
  /** How many cells are in use; {@link UNLISTED} is added while the slab is in no ring. */
  used: u32;

  cellAt(index: u32, stride: u32): Address {
    return changetype<Address>(this) + FIRST_CELL + <usize>index * stride;
  }

  guardAt(index: u32): Address {
    return this.guards + ((<usize>index) << 2);
  }

  get usedCount(): u32 {
    return this.used & ~UNLISTED;
  }

  get isListed(): bool {
    return this.used < UNLISTED;
  }

  /** True while no cell is free, threaded or not. */
  get isFull(): bool {
    return this.free == 0 && this.threaded == this.cells;
  }
}

/** A free cell. */
@unmanaged
export class FreeCell {
  next: Address;
  guard: Address;
}

/** More than the cells of any slab. */
export const UNLISTED: u32 = 0x8000_0000;

/** Where cells begin in every slab; the pool itself lies before them in its first. */
export const FIRST_CELL: u32 = 256;
export const SLAB_HEADER: u32 = offsetof<Slab>();

/** As many cells are threaded at a time: enough to make it rare, few enough to be done at once. */
const THREAD_LIMIT: u32 = 32;

/** A slab has the fewest pages of which cells take at least 7/8, and the fewest that hold one if none does up to 16. */
const PAGES_LIMIT: u32 = 16;

/** The pages of a slab for cells that lie `stride` bytes apart. */
export function slabPagesFor(stride: u32): u32 {
  for (let pages: u32 = 1; pages <= PAGES_LIMIT; pages++) {
    const room = pages * PAGE_SIZE - FIRST_CELL;
    if ((room / stride) * stride >= ((pages * PAGE_SIZE) / 8) * 7) return pages;
  }
  return (stride + FIRST_CELL + PAGE_MASK) / PAGE_SIZE;
}

/** How many cells fit `pages`. */
export function cellsIn(pages: u32, stride: u32): u32 {
  return (pages * PAGE_SIZE - FIRST_CELL) / stride;
}

/** Returns a slab of `cells` cells for `pool`, none in use, in no ring, or 0 with a status; then nothing has changed. */
export function allocateSlab(pool: Address, pages: u32, cells: u32): Address {
  const address = allocatePages(pages, Owner.POOL);
  if (!address) return 0;
  const guards = allocateGuardRun(cells);
  if (!guards) {
    freePages(address, Owner.POOL);
    return 0;
  }
  const slab = changetype<Slab>(address);
  slab.pool = pool;
  slab.free = 0;
  slab.guards = guards;
  slab.cells = cells;
  slab.threaded = 0;
  slab.used = UNLISTED;
  return address;
}

/** As {@link endCells}, and gives the slab's pages and guards back. O(cells that were ever used) */
export function freeSlab(slab: Slab, stride: u32): u32 {
  const retired = endCells(slab, stride);
  freeGuardRun(slab.guards);
  freePages(changetype<Address>(slab), Owner.POOL);
  return retired;
}

/** Ends every ref into the slab, and makes it as if no cell had ever been used. Returns how many cells this has retired. */
export function endCells(slab: Slab, stride: u32): u32 {
  let retired: u32 = 0;
  // Of an empty slab, which a single free may have made, there is nothing to end.
  for (let index: u32 = 0; slab.usedCount && index < slab.threaded; index++) {
    countStep();
    const guard = slab.guardAt(index);
    const generation = load<u32>(guard);
    if (!(generation & 1)) continue;
    store<u32>(guard, generation + 1);
    if (generation + 1 == RETIRED_CELL) retired++;
  }
  if (retired) wearGuardRun(slab.guards);
  if (IS_DEBUG) poison(slab.cellAt(0, stride), slab.cellAt(slab.threaded, stride));
  slab.free = 0;
  slab.threaded = 0;
  return retired;
}

/** Threads the next few cells that were never used, so that the lowest comes first; those that are retired stay out. */
export function threadCells(slab: Slab, stride: u32): void {
  while (!slab.free && slab.threaded < slab.cells) {
    const first = slab.threaded;
    const end = min(first + THREAD_LIMIT, slab.cells);
    for (let index = end; index-- > first; ) {
      countStep();
      const guard = slab.guardAt(index);
      if (load<u32>(guard) == RETIRED_CELL) continue;
      const cell = changetype<FreeCell>(slab.cellAt(index, stride));
      cell.next = slab.free;
      cell.guard = guard;
      slab.free = changetype<Address>(cell);
    }
    slab.threaded = end;
  }
}

/** The slab that holds `address`, in a page of pools. O(pages of the slab) */
export function slabOf(address: Address): Slab {
  return changetype<Slab>(runStartOf(address));
}

/** The first slab of `pool` that begins at `page` or behind it, or 0. O(pages) */
export function nextSlab(pool: Address, page: Address): Address {
  const end = root().committedPages;
  for (let number = <u32>(page >> PAGE_SHIFT); number < end; number++) {
    countStep();
    const address = (<Address>number) << PAGE_SHIFT;
    // A page that continues a run shows another byte.
    if (ownerByte(address) == Owner.POOL && changetype<Slab>(address).pool == pool) return address;
  }
  return 0;
}
