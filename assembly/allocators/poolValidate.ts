// A walk over a whole pool that checks every invariant, without trusting what it checks: no address is followed before it is
// known to be one of the pool's. For tests, and for users of the debug module.

import { Address, PAGE_SHIFT, PAGE_SIZE } from "../memory/alignment";
import { RETIRED_CELL } from "../memory/guardRun";
import { Owner, ownerByte, ownerOf } from "../memory/pageHeap";
import { IS_DEBUG, root } from "../memory/root";
import { Findings, found, Violation } from "./findings";
import { CELL_CANARY, CELL_LIMIT, canaryOf, isUntouched, Pool, strideFor, WARM_LIMIT } from "./pool";
import { FIRST_CELL, FreeCell, nextSlab, Slab, slabOf } from "./slab";

/** Checks everything. Returns 1 if all is well, or 0 with the violation and its address in `findings`. O(cells + pages) */
export function validatePool(pool: Pool, findings: Findings): u32 {
  memory.fill(changetype<Address>(findings), 0, offsetof<Findings>());
  const address = changetype<Address>(pool);
  if (!isShaped(pool)) return <u32>found(findings, Violation.FIGURES, address);
  let slabs: u32 = 0;
  let capacity: u32 = 0;
  for (let page = nextSlab(address, 0); page; page = nextSlab(address, page + PAGE_SIZE)) {
    const slab = changetype<Slab>(page);
    if (!isSlabShaped(pool, slab)) return <u32>found(findings, Violation.SLAB, page);
    slabs++;
    capacity += slab.cells;
  }
  if (!walkRing(pool, findings) || !walkWarm(pool, findings)) return 0;
  for (let page = nextSlab(address, 0); page; page = nextSlab(address, page + PAGE_SIZE)) {
    const slab = changetype<Slab>(page);
    const live = findings.blocks;
    const warm = warmIn(pool, slab);
    if (!walkCells(pool, slab, warm, findings)) return 0;
    if (findings.blocks - live + warm != slab.usedCount) return <u32>found(findings, Violation.SLAB, page);
    if (!slab.isListed && !slab.isFull) return <u32>found(findings, Violation.RING, page);
  }
  findings.bytes = findings.blocks * pool.cellBytes;
  const taken = findings.blocks + pool.warmCount;
  const isRight = slabs == pool.slabs && capacity == pool.capacity && taken == pool.taken;
  return <u32>(isRight || found(findings, Violation.FIGURES, address));
}

/** True if addresses can be worked out with the pool's figures. */
function isShaped(pool: Pool): bool {
  const bytes = pool.cellBytes;
  return bytes && bytes <= CELL_LIMIT && pool.stride == strideFor(bytes) && pool.warmCount <= WARM_LIMIT;
}

/** True if all cells of a slab lie in memory, and their guards where guards lie. */
function isSlabShaped(pool: Pool, slab: Slab): bool {
  const cells = slab.cells;
  const memoryEnd = (<u64>root().committedPages) << PAGE_SHIFT;
  const end = <u64>changetype<Address>(slab) + FIRST_CELL + <u64>cells * pool.stride;
  if (!cells || end > memoryEnd || slab.threaded > cells) return false;
  const guards = slab.guards;
  if (guards & 3 || <u64>guards + ((<u64>cells) << 2) > memoryEnd) return false;
  return ownerOf(guards) == Owner.GUARDS && ownerOf(slab.guardAt(cells - 1)) == Owner.GUARDS;
}

/** True if `cell` is a free one that was threaded, and `guard` its own. */
function isFree(pool: Pool, slab: Slab, cell: Address, guard: Address): bool {
  const first = slab.cellAt(0, pool.stride);
  if (cell < first) return false;
  const index = <u32>(cell - first) / pool.stride;
  if (index >= slab.threaded || slab.cellAt(index, pool.stride) != cell) return false;
  return slab.guardAt(index) == guard && (load<u32>(guard) & 1) == 0;
}

/** Warm cells count as in use in their slabs, though their generations are even. */
function walkWarm(pool: Pool, findings: Findings): bool {
  for (let index: u32 = 0; index < pool.warmCount; index++) {
    const warm = pool.warmAt(index);
    const cell = warm.cell;
    if (ownerOf(cell) != Owner.POOL) return found(findings, Violation.WARM, cell);
    const slab = slabOf(cell);
    const isOwn = slab.pool == changetype<Address>(pool);
    if (!isOwn || !isFree(pool, slab, cell, warm.guard)) return found(findings, Violation.WARM, cell);
    if (IS_DEBUG && !isUntouched(pool, cell)) return found(findings, Violation.CANARY, cell);
  }
  return true;
}

function warmIn(pool: Pool, slab: Slab): u32 {
  let count: u32 = 0;
  for (let index: u32 = 0; index < pool.warmCount; index++) {
    if (changetype<Address>(slabOf(pool.warmAt(index).cell)) == changetype<Address>(slab)) count++;
  }
  return count;
}

/** @param warm as many of the cells whose generations are even are not in the slab's list */
function walkCells(pool: Pool, slab: Slab, warm: u32, findings: Findings): bool {
  let free: u32 = 0;
  for (let index: u32 = 0; index < slab.cells; index++) {
    const generation = load<u32>(slab.guardAt(index));
    const cell = slab.cellAt(index, pool.stride);
    if (generation & 1) {
      findings.blocks++;
      if (index >= slab.threaded) return found(findings, Violation.SLAB, cell);
      const isSound = !IS_DEBUG || load<u64>(canaryOf(pool, cell)) == CELL_CANARY;
      if (!isSound) return found(findings, Violation.CANARY, cell);
    } else if (generation != RETIRED_CELL && index < slab.threaded) free++;
  }
  findings.freeBlocks += free;
  if (free < warm) return found(findings, Violation.SLAB, changetype<Address>(slab));
  free -= warm;
  let last = changetype<Address>(slab);
  for (let cell = slab.free; cell; cell = changetype<FreeCell>(cell).next) {
    // What leads elsewhere is told of by the cell that does: its first words have been written over.
    const isOwn = slab.cellAt(0, pool.stride) <= cell && cell < slab.cellAt(slab.threaded, pool.stride);
    if (!isOwn || !isFree(pool, slab, cell, changetype<FreeCell>(cell).guard) || free-- == 0) {
      return found(findings, Violation.SLAB, isOwn ? cell : last);
    }
    if (IS_DEBUG && !isUntouched(pool, cell)) return found(findings, Violation.CANARY, cell);
    last = cell;
  }
  return free == 0 || found(findings, Violation.SLAB, changetype<Address>(slab));
}

function walkRing(pool: Pool, findings: Findings): bool {
  const first = pool.current;
  let previous: Address = 0;
  for (let address = first; address; ) {
    if (!isOwnSlab(pool, address))
      return found(findings, Violation.RING, previous ? previous : changetype<Address>(pool));
    const slab = changetype<Slab>(address);
    if (!slab.isListed || (previous && slab.previous != previous)) return found(findings, Violation.RING, address);
    previous = address;
    address = slab.next == first ? 0 : slab.next;
  }
  return !first || changetype<Slab>(first).previous == previous || found(findings, Violation.RING, first);
}

/** True if a slab of the pool begins at `address`. */
function isOwnSlab(pool: Pool, address: Address): bool {
  const isSlab = (address & (PAGE_SIZE - 1)) == 0 && ownerByte(address) == Owner.POOL;
  return isSlab && changetype<Slab>(address).pool == changetype<Address>(pool);
}
