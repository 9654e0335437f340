// Blocks: the pieces of memory that arenas allocate from.
//
//   block   ┌──────────┬──────┬───────┬──────┬────────────────────────── ─ ─ ─┐
//           │ previous │ next │ bytes │ used │ 16 B header, then the content   │
//           └──────────┴──────┴───────┴──────┴────────────────────────── ─ ─ ─┘
//
// A block is a small block or a run of pages. Its content is zero wherever its arena has not allocated.

import { Address, PAGE_SIZE, pagesFor } from "../memory/alignment";
import { clear, poison } from "../memory/clear";
import { allocatePages, firstUntouchedPage, freePages, Owner } from "../memory/pageHeap";
import { IS_DEBUG } from "../memory/root";
import { allocateSmallBlock, freeSmallBlock, SMALL_BLOCK_SIZE } from "../memory/smallBlock";

@unmanaged
export class Block {
  previous: Address;
  next: Address;
  /** The size of the whole block, header included. */
  bytes: u32;
  /** The content bytes that were in use when the arena moved on to another block. */
  used: u32;
}

export const BLOCK_HEADER: u32 = offsetof<Block>();
if (BLOCK_HEADER != 16) ERROR("content must start on a multiple of 16");

/** Returns a block of at least `bytes`, header included, with zeros in it; 0 with a status when memory is out. */
export function allocateBlock(bytes: u32): Address {
  let address: Address;
  let size: u32;
  let untouched = false;
  if (bytes <= SMALL_BLOCK_SIZE) {
    size = SMALL_BLOCK_SIZE;
    address = allocateSmallBlock();
  } else {
    const pages = pagesFor(bytes);
    const boundary = firstUntouchedPage();
    size = pages * PAGE_SIZE;
    address = allocatePages(pages, Owner.ARENA);
    untouched = address >= <usize>boundary * PAGE_SIZE;
  }
  if (!address) return 0;
  if (!untouched) clear(address, address + size);
  const block = changetype<Block>(address);
  block.previous = 0;
  block.next = 0;
  block.bytes = size;
  block.used = 0;
  return address;
}

/** Gives a block back to where it came from; nothing may point into it any more. */
export function freeBlock(address: Address): void {
  const bytes = changetype<Block>(address).bytes;
  if (IS_DEBUG) poison(address, address + bytes);
  if (bytes == SMALL_BLOCK_SIZE) freeSmallBlock(address);
  else freePages(address, Owner.ARENA);
}
