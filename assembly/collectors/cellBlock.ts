// Cell blocks: the runs of pages that the objects of a collected heap lie in, all of one class, with their bitmaps beside them.
//
//   block  ┌────────┬─────────────┬────────────┬────────┬────────┬────────┬ ─ ─ ─
//          │ header │ start bits  │ mark bits  │ cell 0 │ cell 1 │ cell 2 │
//          └────────┴─────────────┴────────────┴────────┴────────┴────────┴ ─ ─ ─
//          0        64            one bit a cell each
//
// Objects of one struct share their blocks with no others, so an object needs no word that names its type: masking its address
// leads to the block, and the block names the type (the "big bag of pages" of Steele, "Data representations in PDP-10
// MacLISP", 1977). A start bit is set while its cell is taken, a mark bit while a cycle knows that its object is reachable.
// A block of more than one page has one cell, so that an object always begins in the first page of its block.

import { Address, PAGE_MASK, PAGE_SIZE } from "../memory/alignment";
import { RingMember } from "../memory/ring";

/** Its ring is that of all blocks of its class. */
@unmanaged
export class CellBlock extends RingMember {
  /** The class that it belongs to, and the type of its objects; 0 where each object names its own. */
  cellClass: Address;
  type: Address;
  /** `cell number = (offset behind the first × reciprocal) >> 32`. */
  reciprocal: u32;
  /** Offsets of cell 0 (of the object in it), and of the mark bits. */
  first: u32;
  marks: u32;
  cells: u32;
  /** Cells whose start bit is not set. */
  free: u32;
  pages: u32;
  /** Words of start bits below this one have no free cell. */
  scan: u32;
  /** That of the class while the block is in the ring of those with room. */
  roomEpoch: u32;
  roomNext: Address;
  roomPrevious: Address;

  /** The address of word `index` of the start bits, and of the mark bits. */
  @inline
  startWord(index: u32): Address {
    return changetype<Address>(this) + BLOCK_HEADER + ((<usize>index) << 2);
  }

  @inline
  markWord(index: u32): Address {
    return changetype<Address>(this) + this.marks + ((<usize>index) << 2);
  }

  /** The words of each bitmap; 32 cells a word. */
  @inline
  get words(): u32 {
    return (this.cells + 31) >> 5;
  }

  @inline
  objectAt(index: u32, stride: u32): Address {
    return changetype<Address>(this) + this.first + <usize>index * stride;
  }

  /** The cell that the object at `object` lies in. */
  @inline
  indexOf(object: Address): u32 {
    const offset = (<u32>object & PAGE_MASK) - this.first;
    return <u32>((<u64>offset * this.reciprocal) >> 32);
  }

  /** The bits of the last word of a bitmap that stand for cells. */
  lastMask(): u32 {
    const rest = this.cells & 31;
    return rest ? (1 << rest) - 1 : u32.MAX_VALUE;
  }
}
/** Where the start bits begin. */
export const BLOCK_HEADER: u32 = 64;
if (offsetof<CellBlock>() > BLOCK_HEADER) ERROR("the header must end before the start bits");

/** From one cell to the next, in bytes, at the least; so no block has more cells than this. */
export const STRIDE_MINIMUM: u32 = 8;
export const CELLS_LIMIT: u32 = PAGE_SIZE / STRIDE_MINIMUM;

/** The block of the object at `object`. */
export function blockOf(object: Address): CellBlock {
  return changetype<CellBlock>(object & ~(<Address>PAGE_MASK));
}

/** The most cells of `stride` that a page has room for beside its bitmaps, and where the first of them begins. */
export function cellsInPage(stride: u32, lead: u32): u32 {
  // Each cell takes its stride and two bits; what rounding up adds is taken off until it fits.
  let cells = ((PAGE_SIZE - BLOCK_HEADER) * 8) / (stride * 8 + 2);
  while (firstCell(cells, lead) - lead + cells * stride > PAGE_SIZE) cells--;
  return cells;
}

/** The offset of the first object behind the bitmaps of `cells`; `lead` bytes of its cell lie before it. */
export function firstCell(cells: u32, lead: u32): u32 {
  const bits = ((cells + 31) >> 5) << 2;
  return (BLOCK_HEADER + 2 * bits + lead + 7) & ~7;
}

/** `floor(offset × reciprocal >> 32)` divides by the stride, exactly for every offset below 2^16 and every stride up to it. */
export function reciprocalOf(stride: u32): u32 {
  return <u32>((((<u64>1) << 32) + stride - 1) / stride);
}
