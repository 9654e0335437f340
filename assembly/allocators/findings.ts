// What a walk over a pool or a heap finds.

import { Address } from "../memory/alignment";
import { allocateSmallBlock, freeSmallBlock } from "../memory/smallBlock";

/** What a walk has found, in the order in which it looks; numbered for both sides of the boundary. */
export namespace Violation {
  export const NONE: u32 = 0;
  /** A page or block that belongs to someone else. */
  export const OWNER: u32 = 1;
  /** A span whose bitmaps make no sense. */
  export const SPAN: u32 = 2;
  /** A ring of slabs that is broken, or has a slab of another pool. */
  export const RING: u32 = 3;
  /** A warm block that is none, or one that its class does not know. */
  export const WARM: u32 = 4;
  /** Tags that disagree, or two free blocks side by side. */
  export const TAG: u32 = 5;
  /** A bin that is broken, or has a block or run of another size. */
  export const BIN: u32 = 6;
  /** Figures that disagree with what is there. */
  export const FIGURES: u32 = 7;
  /** A slab whose counts, generations and free cells disagree. */
  export const SLAB: u32 = 9;
  /** Debug module: a canary or the poison of a freed block has been written over. */
  export const CANARY: u32 = 8;
}

/** What was found: kept by the caller, since a walk keeps figures. */
@unmanaged
export class Findings {
  violation: u32;
  /** The span, block or area that breaks the invariant. */
  address: Address;
  /** Blocks in use and their bytes, held-back ones of the debug module included. */
  blocks: u32;
  bytes: u32;
  freeBlocks: u32;
  freeBytes: u32;
  largestFree: u32;
  /** Free runs and warm blocks of a byte heap: those that lie side by side are one free block. */
  freePieces: u32;
}

/** Notes a violation and returns false. */
export function found(findings: Findings, violation: u32, address: Address): bool {
  findings.violation = violation;
  findings.address = address;
  return false;
}

/** Room for findings, or 0 with a status. */
export function allocateFindings(): Address {
  return allocateSmallBlock();
}

export function freeFindings(findings: Address): void {
  freeSmallBlock(findings);
}
