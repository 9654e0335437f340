// Spans: pages of granules, in which the small blocks of all classes lie side by side.
//
// Two bits for each granule are all there is. Nothing is kept in a block or before it, so that it costs no byte more than its
// granules, and a double, interior or wild free is seen by the same bits that have to be read and changed anyway.
//
//   page     ┌────────────────┬────────┬──────────────────────── ─ ─ ─ ┬──────┐
//            │ two bits each  │ header │ granules that blocks lie in   │ last │
//            └────────────────┴────────┴──────────────────────── ─ ─ ─ ┴──────┘
//            0                1,024    1,040                           65,520
//
// A block ends where the next granule has a bit: nobody has to remember its size. The granules of these bits and the header,
// and the last, are as if they were warm, so that no block and no run goes on into them.
//
// Source: bitmap-marked chunks as in phkmalloc (Kamp, "Malloc(3) revisited", 1998).

import { Address, PAGE_MASK, PAGE_SIZE } from "../memory/alignment";
import { allocatePages, Owner, ownerByte } from "../memory/pageHeap";
import { GRANULE, GRANULE_SHIFT, SMALL_LIMIT } from "../memory/sizeClass";
import { countStep } from "../memory/work";

const GRANULES: u32 = PAGE_SIZE / GRANULE;
/** An address shifted by this is that of its granule's two bits, in bytes from the beginning of its page. */
const BYTE_SHIFT: u32 = GRANULE_SHIFT + 2;
const HEADER: u32 = GRANULES / 4;

/** What a granule is: its two bits. */
export namespace GranuleState {
  /** Goes on with the block before it. */
  export const INSIDE: u64 = 0;
  /** Begins a block that is in use. */
  export const USED: u64 = 1;
  /** Is free, in a run of others (freeRuns.ts). */
  export const FREE: u64 = 2;
  /** Begins a block that is warm: free, but not given back to its span. Or no block may lie here. */
  export const WARM: u64 = 3;
}
const STATE_MASK: u64 = 3;
/** Makes a block in use warm, and back. */
const WARM_BIT: u64 = GranuleState.USED ^ GranuleState.WARM;

/** The bits of 32 granules that are free. */
const ALL_FREE: u64 = 0xaaaa_aaaa_aaaa_aaaa;
/** Those of four, and of four that no block may lie in. */
const FREE_BYTE: u8 = 0xaa;
const CLOSED_BYTE: u8 = 0xff;

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

// A word that begins with the byte of a granule has the bits of all granules that its block can have, and of one more.
if (2 * (3 + SMALL_LIMIT / GRANULE + 1) > 64) ERROR("the bits of the largest block must fit a word");

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

/** Where the bits of the granule at `address` are: in this byte, and those of the granules behind it in what follows. */
function bitsOf(address: Address): Address {
  return pageOf(address) | ((address & PAGE_MASK) >> BYTE_SHIFT);
}

/** The first of the granule's bits in that byte. */
function shiftOf(address: Address): u64 {
  return (<u64>address >> (GRANULE_SHIFT - 1)) & 6;
}

/** Ones for the bits of so many granules. */
function onesFor(granules: u32): u64 {
  return ((<u64>1) << (2 * granules)) - 1;
}

/** The granules of a block, of whose bits and those behind it `word` begins with the first. */
function granulesIn(word: u64): u32 {
  return <u32>(ctz(word >> 2) >> 1) + 1;
}

// ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Makes the block in use that begins at `address` warm. Returns its granules; 0 if none does, and nothing has changed. */
export function warm(address: Address): u32 {
  const bits = bitsOf(address);
  const shift = shiftOf(address);
  const word = load<u64>(bits);
  const own = word >> shift;
  if (((own ^ GranuleState.USED) & STATE_MASK) | (address & (GRANULE - 1))) return 0;
  store<u64>(bits, word | (WARM_BIT << shift));
  return granulesIn(own);
}

/** Takes the warm block at `address` into use again. */
export function reuse(address: Address): void {
  const bits = bitsOf(address);
  store<u64>(bits, load<u64>(bits) ^ (WARM_BIT << shiftOf(address)));
}

/** The state of the granule that `address`, in a span, lies in. */
export function stateOf(address: Address): u64 {
  return (<u64>load<u8>(bitsOf(address)) >> shiftOf(address)) & STATE_MASK;
}

/** The granules of the block, in use or warm, that begins at `address`. */
export function granulesOf(address: Address): u32 {
  return granulesIn(load<u64>(bitsOf(address)) >> shiftOf(address));
}

// ── granules ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Makes a block in use of `granules` free ones. */
export function take(address: Address, granules: u32): void {
  set(address, granules, GranuleState.USED);
}

/** Makes the `granules` of a warm block free ones. */
export function give(address: Address, granules: u32): void {
  set(address, granules, ALL_FREE & onesFor(granules));
}

/** Sets the bits of `granules`, at most those of the largest block. */
function set(address: Address, granules: u32, to: u64): void {
  const bits = bitsOf(address);
  const shift = shiftOf(address);
  store<u64>(bits, (load<u64>(bits) & ~(onesFor(granules) << shift)) | (to << shift));
}

/** How many granules from `address` on are free. At most a step for 32 of them. */
export function freeFrom(address: Address): u32 {
  const page = pageOf(address);
  const first = <u32>(address & PAGE_MASK) >> GRANULE_SHIFT;
  let granule = first;
  // The last granule is never free.
  while (true) {
    countStep();
    const others = (load<u64>(page + ((granule >> 5) << 3)) ^ ALL_FREE) >> (2 * (granule & 31));
    if (others) return granule + <u32>(ctz(others) >> 1) - first;
    granule = (granule | 31) + 1;
  }
}

// ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Returns a new span of `heap`, all of its granules free, in no list; 0 with a status. */
export function allocateSpan(heap: Address): Address {
  const page = allocatePages(1, Owner.HEAP_SPANS);
  if (!page) return 0;
  memory.fill(page, FREE_BYTE, HEADER);
  memory.fill(page, CLOSED_BYTE, HEADER >> BYTE_SHIFT);
  set(page + HEADER, 1, GranuleState.WARM);
  set(page + LAST_GRANULE, 1, GranuleState.WARM);
  headerOf(page).heap = heap;
  return page;
}
if ((HEADER >> BYTE_SHIFT) << BYTE_SHIFT != HEADER) ERROR("the granules before the header must be whole bytes");

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
