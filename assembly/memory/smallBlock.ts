// Small blocks: fifteen to a page, for owners that often need less than 64 KiB (the first block of an arena, the first
// nodes of a collection).
//
//   page  ┌──────────────────────────┬─────────┬─────────┬ ─ ─ ─ ┬──────────┐
//         │ next, previous, free map │ block 0 │ block 1 │       │ block 14 │
//         └──────────────────────────┴─────────┴─────────┴ ─ ─ ─ ┴──────────┘
//         0                          256       4,608             65,536
//
// A page is found from a block by masking the address. Pages with a free block are linked; an empty page goes back to
// the page heap unless it is the only one with room, so that a program that takes and frees one block stays here.

import { Address, PAGE_MASK, PAGE_SIZE } from "./alignment";
import { allocatePages, freePages, Owner, ownerOf } from "./pageHeap";
import { fail, root } from "./root";
import { Status } from "./status";

const HEADER: u32 = 256;
const BLOCKS: u32 = 15;

/** The bytes of a small block. */
export const SMALL_BLOCK_SIZE: u32 = 4352;
const ALL_FREE: u32 = (1 << BLOCKS) - 1;

if (HEADER + BLOCKS * SMALL_BLOCK_SIZE != PAGE_SIZE) ERROR("small blocks must fill their page exactly");

@unmanaged
class SmallBlockPage {
  next: Address;
  previous: Address;
  /** Bit i is set while block i is free. */
  free: u32;
}

/** Returns the address of a small block, not cleared, or 0 with a status. O(1). */
export function allocateSmallBlock(): Address {
  let page = root().smallBlockPages;
  if (!page) {
    page = allocatePages(1, Owner.SMALL_BLOCKS);
    if (!page) return 0;
    changetype<SmallBlockPage>(page).free = ALL_FREE;
    link(page);
  }
  const header = changetype<SmallBlockPage>(page);
  const index = <u32>ctz(header.free);
  header.free &= header.free - 1;
  if (header.free == 0) unlink(page);
  return page + HEADER + index * SMALL_BLOCK_SIZE;
}

/** Takes back a small block. Returns 1, or 0 with a status if `address` is none in use. O(1). */
export function freeSmallBlock(address: Address): u32 {
  const page = address & ~(<Address>PAGE_MASK);
  const offset = <u32>(address - page) - HEADER;
  const index = offset / SMALL_BLOCK_SIZE;
  const header = changetype<SmallBlockPage>(page);
  if (
    ownerOf(address) != Owner.SMALL_BLOCKS ||
    address - page < HEADER ||
    offset % SMALL_BLOCK_SIZE != 0 ||
    (header.free >> index) & 1
  ) {
    return <u32>fail(Status.FOREIGN_ADDRESS, <u32>address);
  }
  if (header.free == 0) link(page);
  header.free |= 1 << index;
  if (header.free == ALL_FREE && (header.next || header.previous)) {
    unlink(page);
    freePages(page, Owner.SMALL_BLOCKS);
  }
  return 1;
}

function link(page: Address): void {
  const state = root();
  const header = changetype<SmallBlockPage>(page);
  header.next = state.smallBlockPages;
  header.previous = 0;
  if (header.next) changetype<SmallBlockPage>(header.next).previous = page;
  state.smallBlockPages = page;
}

function unlink(page: Address): void {
  const header = changetype<SmallBlockPage>(page);
  if (header.next) changetype<SmallBlockPage>(header.next).previous = header.previous;
  if (header.previous) changetype<SmallBlockPage>(header.previous).next = header.next;
  else root().smallBlockPages = header.next;
  header.next = 0;
  header.previous = 0;
}
