// A walk over a whole pool that checks every invariant. For tests, and for users of the debug module.

import { Address, PAGE_SIZE } from "../memory/alignment";
import { RETIRED_CELL } from "../memory/guardRun";
import { RingMember } from "../memory/ring";
import { IS_DEBUG } from "../memory/root";
import { Findings, found, Violation } from "./findings";
import { CELL_CANARY, canaryOf, Pool, returnWarm } from "./pool";
import { FreeCell, nextSlab, Slab } from "./slab";

/** Checks everything; warm cells are given back first. Returns 1 if all is well, or 0 with the violation and its address in `findings`. O(cells + pages) */
export function validatePool(pool: Pool, findings: Findings): u32 {
  memory.fill(changetype<Address>(findings), 0, offsetof<Findings>());
  returnWarm(pool, pool.warmCount);
  const address = changetype<Address>(pool);
  let slabs: u32 = 0;
  let capacity: u32 = 0;
  for (let page = nextSlab(address, 0); page; page = nextSlab(address, page + PAGE_SIZE)) {
    const slab = changetype<Slab>(page);
    const used = findings.blocks;
    if (!walkCells(pool, slab, findings)) return 0;
    if (findings.blocks - used != slab.usedCount) return <u32>found(findings, Violation.SLAB, page);
    if (!slab.isListed && !slab.isFull) return <u32>found(findings, Violation.RING, page);
    slabs++;
    capacity += slab.cells;
  }
  if (!walkRing(pool, findings)) return 0;
  findings.bytes = findings.blocks * pool.cellBytes;
  const isRight = slabs == pool.slabs && capacity == pool.capacity && findings.blocks == pool.taken;
  return <u32>(isRight || found(findings, Violation.FIGURES, address));
}

function walkCells(pool: Pool, slab: Slab, findings: Findings): bool {
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
  for (let cell = slab.free; cell; cell = changetype<FreeCell>(cell).next) {
    const guard = changetype<FreeCell>(cell).guard;
    const index = <u32>(guard - slab.guards) >> 2;
    const isFree = index < slab.threaded && slab.cellAt(index, pool.stride) == cell && (load<u32>(guard) & 1) == 0;
    if (!isFree || free-- == 0) return found(findings, Violation.SLAB, cell);
  }
  return free == 0 || found(findings, Violation.SLAB, changetype<Address>(slab));
}

function walkRing(pool: Pool, findings: Findings): bool {
  const first = pool.current;
  for (let address = first; address; ) {
    const slab = changetype<Slab>(address);
    const isWell = slab.pool == changetype<Address>(pool) && slab.isListed;
    if (!isWell || changetype<RingMember>(slab.next).previous != address)
      return found(findings, Violation.RING, address);
    address = slab.next == first ? 0 : slab.next;
  }
  return true;
}
