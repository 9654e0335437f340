// Spans: pages of granules, in which the small blocks of all classes lie side by side.
//
// Two bits for each granule are all there is. Nothing is kept in a block or before it, so that it costs no byte more than its
// granules, and a double, interior or wild free is seen by the same bits that have to be read and changed anyway.
//
//   page     ┌────────┬───────┬────────┬──────────────────────── ─ ─ ─ ┬──────┐
//            │ starts │ frees │ header │ granules that blocks lie in   │ last │
//            └────────┴───────┴────────┴──────────────────────── ─ ─ ─ ┴──────┘
//            0        512     1,024    1,040                           65,520
//
//   start free   the granule
//     0     0    goes on with the block before it
//     1     0    begins a block that is in use
//     1     1    begins a block that is warm: free, but not given back to its span; or is none that blocks may lie in
//     0     1    is free, in a run of others (freeRuns.ts)
//
// A block ends where the next granule has a bit: nobody has to remember its size. The granules of bitmaps and header, and
// the last, are as if they were warm, so that no block and no run goes on into them.
//
// Source: bitmap-marked chunks as in phkmalloc (Kamp, "Malloc(3) revisited", 1998).

import { Address, PAGE_MASK, PAGE_SIZE } from "../memory/alignment";
import { allocatePages, Owner, ownerByte } from "../memory/pageHeap";
import { GRANULE, GRANULE_SHIFT, SMALL_LIMIT } from "../memory/sizeClass";
import { countStep } from "../memory/work";

const GRANULES: u32 = PAGE_SIZE / GRANULE;
/** The bytes of a bitmap; that of frees follows that of starts. */
const FREES: u32 = GRANULES / 8;
/** An address shifted by this is that of its granule's bit, in bytes of a bitmap. */
const BYTE_SHIFT: u32 = GRANULE_SHIFT + 3;
const HEADER: u32 = 2 * FREES;

@unmanaged
class Header {
  /** The heap that the page belongs to. */
  heap: Address;
  /** The heap's pages. */
  next: Address;
  previous: Address;
}
if (offsetof<Header>() > GRANULE) ERROR("the header must fit a granule");

/** Where granules for blocks begin in a page, and where they end. */
export const FIRST_GRANULE: u32 = HEADER + GRANULE;
export const LAST_GRANULE: u32 = PAGE_SIZE - GRANULE;
/** How many there are. */
export const ALL_GRANULES: u32 = (LAST_GRANULE - FIRST_GRANULE) / GRANULE;

// A bit is found in the first of four bytes, and with it those of all granules that its block can have, and one more.
if (7 + SMALL_LIMIT / GRANULE + 1 > 32) ERROR("the bits of the largest block must fit a word");

/** True if `address` lies in a span. Spans are runs of one page, so that the owner's byte is all there is. */
export function isSpanPage(address: Address): bool {
  return ownerByte(address) == Owner.HEAP_SPANS;
}

/** The heap that the span around `address` belongs to. */
export function heapOf(address: Address): Address {
  return load<Address>(pageOf(address), HEADER + offsetof<Header>("heap"));
}

export function pageOf(address: Address): Address {
  return address & ~(<Address>PAGE_MASK);
}

function headerOf(page: Address): Header {
  return changetype<Header>(page + HEADER);
}

/** The span of the same heap behind `page`, or 0. */
export function nextPageOf(page: Address): Address {
  return headerOf(page).next;
}

/** Where the bits of the granule at `address` are: in this byte of starts, and FREES behind it. */
function bitsOf(address: Address): Address {
  return pageOf(address) | ((address & PAGE_MASK) >> BYTE_SHIFT);
}

/** The number of the granule's bit in that byte. */
function shiftOf(address: Address): u32 {
  return <u32>(address >> GRANULE_SHIFT) & 7;
}

// ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Makes the block in use that begins at `address` warm. Returns its granules; 0 if none does, and nothing has changed. */
export function warm(address: Address): u32 {
  const bits = bitsOf(address);
  const shift = shiftOf(address);
  const word = load<u32>(bits, FREES);
  const starts = load<u32>(bits) >> shift;
  const frees = word >> shift;
  if ((starts & ~frees & 1) == 0 || (address & (GRANULE - 1)) != 0) return 0;
  store<u32>(bits, word | (1 << shift), FREES);
  return <u32>ctz((starts | frees) >> 1) + 1;
}

/** Takes the warm block at `address` into use again. */
export function reuse(address: Address): void {
  const bits = bitsOf(address);
  store<u32>(bits, load<u32>(bits, FREES) & ~(1 << shiftOf(address)), FREES);
}

/** What a granule is. */
export namespace GranuleState {
  export const INSIDE: u32 = 0;
  export const USED: u32 = 1;
  export const FREE: u32 = 2;
  export const WARM: u32 = 3;
}

/** The state of the granule that `address`, in a span, lies in. */
export function stateOf(address: Address): u32 {
  const bits = bitsOf(address);
  const shift = shiftOf(address);
  return ((<u32>load<u8>(bits) >> shift) & 1) | (((<u32>load<u8>(bits, FREES) >> shift) & 1) << 1);
}

/** The granules of the block, in use or warm, that begins at `address`. */
export function granulesOf(address: Address): u32 {
  const bits = bitsOf(address);
  return <u32>ctz((load<u32>(bits) | load<u32>(bits, FREES)) >> (shiftOf(address) + 1)) + 1;
}

// ── granules ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Makes a block in use of `granules` free ones. */
export function take(address: Address, granules: u32): void {
  const bits = bitsOf(address);
  const shift = shiftOf(address);
  store<u8>(bits, load<u8>(bits) | ((<u8>1) << (<u8>shift)));
  store<u32>(bits, load<u32>(bits, FREES) & ~(((1 << granules) - 1) << shift), FREES);
}

/** Makes the `granules` of a warm block free ones. */
export function give(address: Address, granules: u32): void {
  const bits = bitsOf(address);
  const shift = shiftOf(address);
  store<u8>(bits, load<u8>(bits) & ~((<u8>1) << (<u8>shift)));
  store<u32>(bits, load<u32>(bits, FREES) | (((1 << granules) - 1) << shift), FREES);
}

/** How many granules from `address` on are free. At most a step for 64 of them. */
export function freeFrom(address: Address): u32 {
  const page = pageOf(address);
  const first = <u32>(address & PAGE_MASK) >> GRANULE_SHIFT;
  let granule = first;
  // The last granule is never free.
  while (true) {
    countStep();
    const others = othersIn(page, granule) >> (granule & 63);
    if (others) return granule + <u32>ctz(others) - first;
    granule = (granule | 63) + 1;
  }
}

/** A bit for each of the 64 granules around `granule` that is not free. */
function othersIn(page: Address, granule: u32): u64 {
  const word = page + ((granule >> 6) << 3);
  return load<u64>(word) | ~load<u64>(word, FREES);
}

// ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Returns a new span of `heap`, all of its granules free, in no list; 0 with a status. */
export function allocateSpan(heap: Address): Address {
  const page = allocatePages(1, Owner.HEAP_SPANS);
  if (!page) return 0;
  memory.fill(page, 0, FREES);
  memory.fill(page + FREES, 0xff, FREES);
  memory.fill(page, 0xff, FIRST_GRANULE >> BYTE_SHIFT);
  markClosed(page + HEADER);
  markClosed(page + LAST_GRANULE);
  headerOf(page).heap = heap;
  return page;
}
if ((FIRST_GRANULE >> BYTE_SHIFT) << BYTE_SHIFT != HEADER) ERROR("the granules before the header must be whole bytes");

/** Takes a granule, which is free, from what blocks may lie in. */
function markClosed(address: Address): void {
  const bits = bitsOf(address);
  store<u8>(bits, load<u8>(bits) | ((<u8>1) << (<u8>shiftOf(address))));
}

/** Puts a page before `first`, the first of its list. */
export function linkPage(page: Address, first: Address): void {
  const header = headerOf(page);
  header.previous = 0;
  header.next = first;
  if (first) headerOf(first).previous = page;
}

/** Takes a page out of the list that begins with `first`, and returns which page it begins with now. */
export function unlinkPage(page: Address, first: Address): Address {
  const header = headerOf(page);
  if (header.next) headerOf(header.next).previous = header.previous;
  if (!header.previous) return header.next;
  headerOf(header.previous).next = header.next;
  return first;
}
