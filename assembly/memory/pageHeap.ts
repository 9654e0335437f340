// Page heap: runs of 64 KiB pages, address-ordered first fit, reuse before growth.
//
// A bitmap holds one bit a page (1 = free), so that a search for a run reads 64 pages a step: it takes a step for each 64
// pages, 1,024 for the whole of memory, and two more for each free run that is too short. A table holds one byte a page,
// so that any address leads to its owner in O(1), and a free of something that is no run is refused.
//
//   owner byte   ┌───┬───────────────┐
//                │ c │ owner (1…15)  │   c = 1: continues the run of the page before; c = 0: a run begins here
//                └───┴───────────────┘   0: the page is free
//                  7   6           0

import { Address, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE } from "./alignment";
import { announceGrowth, growMemory } from "./growth";
import {
  fail,
  IS_DEBUG,
  LAYOUT_VERSION,
  MAGIC,
  metadataPages,
  OWNER_COUNT,
  OWNER_PAGES,
  PAGE_BITMAP,
  PAGE_BITMAP_BYTES,
  PAGE_LIMIT,
  PAGE_OWNERS,
  ROOT,
  ROOT_BYTES,
  root,
} from "./root";
import { Status } from "./status";
import { countStep } from "./work";

/** Who owns a page. */
export namespace Owner {
  export const FREE: u8 = 0;
  /** Root block, bitmap, owner table. */
  export const METADATA: u8 = 1;
  /** Pages that the host has grown for itself; never handed out. */
  export const HOST: u8 = 2;
  export const GUARDS: u8 = 3;
  export const SMALL_BLOCKS: u8 = 4;
  export const ARENA: u8 = 5;
  export const SORTED_MAP: u8 = 6;
  /** Work space of one call, freed before it returns. */
  export const SCRATCH: u8 = 7;
  /** Slabs of pools. */
  export const POOL: u8 = 8;
  /** Small blocks of byte heaps. */
  export const HEAP_SPANS: u8 = 9;
  /** Areas of their large ones. */
  export const HEAP_AREAS: u8 = 10;
  /** Blocks of collected heaps. */
  export const COLLECTED: u8 = 11;
  /** Timing wheels. */
  export const TIMERS: u8 = 12;
  export const MESSAGE_RINGS: u8 = 13;
}

/** The owners below this one are the page heap's own, and can neither ask for pages nor give any back. */
const FIRST_CLIENT: u8 = Owner.GUARDS;

/** So many bytes of the table lie in memory's first page, whatever the table's size. */
const OWNERS_IN_FIRST_PAGE: u32 = PAGE_SIZE - <u32>PAGE_OWNERS;

const CONTINUES: u8 = 0x80;
const NO_PAGE: u32 = u32.MAX_VALUE;

/**
 * Makes the heap in a memory whose first pages are zero. Returns 1, or 0 when memory is smaller than the tables or
 * `maximumPages` is out of range.
 */
export function initialize(maximumPages: u32): u32 {
  const size = <u32>memory.size();
  const metadata = metadataPages(maximumPages);
  if (maximumPages > PAGE_LIMIT || size > maximumPages || size < metadata) return 0;
  const state = root();
  memory.fill(ROOT, 0, ROOT_BYTES);
  memory.fill(OWNER_PAGES, 0, OWNER_COUNT * 4);
  memory.fill(PAGE_BITMAP, 0, PAGE_BITMAP_BYTES);
  memory.fill(PAGE_OWNERS, 0, max(maximumPages, OWNERS_IN_FIRST_PAGE));
  state.magic = MAGIC;
  state.version = LAYOUT_VERSION;
  state.debug = IS_DEBUG ? 1 : 0;
  state.maximumPages = maximumPages;
  addPages(0, size);
  take(0, metadata, Owner.METADATA);
  return 1;
}

/** Returns the address of a run of `count` pages, or 0 with a status. The pages are not cleared. */
export function allocatePages(count: u32, owner: u8): Address {
  const state = root();
  if (IS_DEBUG && refusedByTest()) return fail(Status.ENGINE_REFUSED, count);
  if (count == 0 || count > PAGE_LIMIT) return fail(count == 0 ? Status.INVALID_SIZE : Status.MAXIMUM_REACHED, count);
  if (!isClient(owner)) return fail(Status.FOREIGN_ADDRESS, owner);
  let start = count <= state.freePages ? findRun(count) : NO_PAGE;
  if (start == NO_PAGE) {
    start = growForRun(count);
    if (start == NO_PAGE) return 0;
  }
  take(start, count, owner);
  return (<Address>start) << PAGE_SHIFT;
}

/** Takes back a run of `owner` that begins at `address`; returns its pages, or 0 if there is no such run. */
export function freePages(address: Address, owner: u8): u32 {
  const count = runLength(address, owner);
  if (count == 0) return <u32>fail(Status.FOREIGN_ADDRESS, <u32>address);
  release(<u32>(address >> PAGE_SHIFT), count, owner);
  return count;
}

function release(start: u32, count: u32, owner: u8): void {
  const state = root();
  memory.fill(PAGE_OWNERS + start, 0, count);
  markFree(start, count);
  setOwnerPages(owner, ownerPages(owner) - count);
  state.freePages += count;
  if (start < state.firstFree) state.firstFree = start;
}

/**
 * Makes the run of `owner` that ends at `end` longer by `count` pages, growing memory if it ends there. Returns 1, or 0
 * where the pages behind it are in use or cannot be had; then nothing has changed.
 */
export function extendRun(end: Address, count: u32, owner: u8): u32 {
  if (IS_DEBUG && refusedByTest()) return 0;
  const committed = root().committedPages;
  const start = <u32>(end >> PAGE_SHIFT);
  if (count > PAGE_LIMIT - start || start > committed) return 0;
  const stop = start + count;
  const known = min(stop, committed);
  if (nextUsed(start, known) != known) return 0;
  // What a host has grown meanwhile lies between our pages and the new ones.
  if (stop > committed && (<u32>memory.size() != committed || !growBy(stop - committed, count))) return 0;
  take(start, count, owner);
  store<u8>(PAGE_OWNERS + start, owner | CONTINUES);
  return 1;
}

/** Makes the run that begins at `address` a part of the run before it, which has the same owner and ends there. */
export function joinRuns(address: Address): void {
  const byte = PAGE_OWNERS + (address >> PAGE_SHIFT);
  store<u8>(byte, load<u8>(byte) | CONTINUES);
}

/** Gives back the last `count` pages of the run of `owner` that ends at `end`; its first page stays. */
export function shortenRun(end: Address, count: u32, owner: u8): void {
  release(<u32>(end >> PAGE_SHIFT) - count, count, owner);
}

function isClient(owner: u8): bool {
  return owner >= FIRST_CLIENT && owner < <u8>OWNER_COUNT;
}

/** The pages of the run of `owner` that begins at `address`; 0 if none does. O(pages of the run). */
function runLength(address: Address, owner: u8): u32 {
  if (address & PAGE_MASK || !isClient(owner)) return 0;
  const start = <u32>(address >> PAGE_SHIFT);
  const committed = root().committedPages;
  if (start >= committed || load<u8>(PAGE_OWNERS + start) != owner) return 0;
  let end = start + 1;
  while (end < committed && load<u8>(PAGE_OWNERS + end) == (owner | CONTINUES)) {
    countStep();
    end++;
  }
  return end - start;
}

/** The owner of the page that holds `address`; {@link Owner.FREE} outside of memory too. O(1). */
export function ownerOf(address: Address): u8 {
  return ownerByte(address) & ~CONTINUES;
}

/** True if `address` lies in memory that the heap knows of. */
export function isCommitted(address: Address): bool {
  return <u32>(address >> PAGE_SHIFT) < root().committedPages;
}

/** As {@link ownerOf}, for a page that begins a run: a page that continues one gives another number. */
export function ownerByte(address: Address): u8 {
  const page = <u32>(address >> PAGE_SHIFT);
  // The bytes in memory's first page are 0 for pages that are not committed, also for those that never can be.
  return page < OWNERS_IN_FIRST_PAGE || page < root().committedPages ? load<u8>(PAGE_OWNERS + page) : Owner.FREE;
}

/** True if a run begins with the page that holds `address`, which is in use. */
export function isRunStart(address: Address): bool {
  return (load<u8>(PAGE_OWNERS + (address >> PAGE_SHIFT)) & CONTINUES) == 0;
}

/** The first page of the run that `address` lies in. O(pages of the run) */
export function runStartOf(address: Address): Address {
  let page = address & ~(<Address>PAGE_MASK);
  while (!isRunStart(page)) page -= PAGE_SIZE;
  return page;
}

/** The pages in use by `owner`. */
export function ownerPages(owner: u8): u32 {
  return load<u32>(OWNER_PAGES + ((<usize>owner) << 2));
}

/** The pages that can still be had: free ones, and those that memory may grow by. */
export function availablePages(): u32 {
  const state = root();
  return state.freePages + (state.sealed ? 0 : growthLeft());
}

/** The pages that memory may grow by: none if the host has grown a memory of its own beyond the maximum. */
function growthLeft(): u32 {
  const maximum = root().maximumPages;
  return maximum - min(<u32>memory.size(), maximum);
}

/** Makes sure that a run of `count` pages is committed and free, growing if there is none. Returns 1, or 0 with a status. */
export function reservePages(count: u32): u32 {
  if (count == 0 || count > PAGE_LIMIT)
    return <u32>fail(count == 0 ? Status.INVALID_SIZE : Status.MAXIMUM_REACHED, count);
  if (count <= root().freePages && findRun(count) != NO_PAGE) return 1;
  return growForRun(count) == NO_PAGE ? 0 : 1;
}

/** From here on nothing is taken from the host. */
export function seal(): void {
  root().sealed = 1;
}

/** The first page that has never been in use: pages from here on hold zeros. Ask before a run is taken. */
export function firstUntouchedPage(): u32 {
  return root().firstUntouched;
}

// ── searching ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** The lowest run of `count` free pages, or NO_PAGE. Each bitmap word is read twice, and twice more for each run in it. */
function findRun(count: u32): u32 {
  const end = root().committedPages;
  let start = nextFree(root().firstFree, end);
  while (start < end) {
    const stop = nextUsed(start, min(start + count, end));
    if (stop - start >= count) return start;
    start = nextFree(stop, end);
  }
  return NO_PAGE;
}

/** The first free page at or after `page`, or `end`. */
function nextFree(page: u32, end: u32): u32 {
  while (page < end) {
    countStep();
    const word = bitmapWord(page) >> (page & 63);
    if (word) return min(page + <u32>ctz(word), end);
    page = (page | 63) + 1;
  }
  return end;
}

/** The first page at or after `page` that is not free, or `end`. */
function nextUsed(page: u32, end: u32): u32 {
  while (page < end) {
    countStep();
    const word = ~bitmapWord(page) >> (page & 63);
    if (word) return min(page + <u32>ctz(word), end);
    page = (page | 63) + 1;
  }
  return end;
}

function bitmapWord(page: u32): u64 {
  return load<u64>(PAGE_BITMAP + ((page >> 6) << 3));
}

function isFree(page: u32): bool {
  return ((bitmapWord(page) >> (page & 63)) & 1) != 0;
}

// ── taking and giving back ──────────────────────────────────────────────────────────────────────────────────────────

function take(start: u32, count: u32, owner: u8): void {
  const state = root();
  markUsed(start, count);
  store<u8>(PAGE_OWNERS + start, owner);
  memory.fill(PAGE_OWNERS + start + 1, owner | CONTINUES, count - 1);
  setOwnerPages(owner, ownerPages(owner) + count);
  state.freePages -= count;
  state.highWaterPages = max(state.highWaterPages, state.committedPages - state.freePages);
  state.firstUntouched = max(state.firstUntouched, start + count);
  if (start == state.firstFree) state.firstFree = start + count;
}

function markFree(start: u32, count: u32): void {
  for (let page = start; page < start + count; ) {
    countStep();
    const mask = wordMask(page, start + count);
    const address = PAGE_BITMAP + ((page >> 6) << 3);
    store<u64>(address, load<u64>(address) | mask);
    page = (page | 63) + 1;
  }
}

function markUsed(start: u32, count: u32): void {
  for (let page = start; page < start + count; ) {
    countStep();
    const mask = wordMask(page, start + count);
    const address = PAGE_BITMAP + ((page >> 6) << 3);
    store<u64>(address, load<u64>(address) & ~mask);
    page = (page | 63) + 1;
  }
}

/** The bits of the pages from `page` to `end`, as far as they lie in the bitmap word of `page`. */
function wordMask(page: u32, end: u32): u64 {
  const low = page & 63;
  const bits = min(64 - low, end - page);
  return (bits == 64 ? u64.MAX_VALUE : ((<u64>1) << bits) - 1) << low;
}

function setOwnerPages(owner: u8, pages: u32): void {
  store<u32>(OWNER_PAGES + ((<usize>owner) << 2), pages);
}

// ── growing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Grows so that a run of `count` ends memory, and returns its first page. The free pages at the end of memory count
 * towards the need, exactly as the search would count them: the run found afterwards is the one computed here.
 */
function growForRun(count: u32): u32 {
  const committed = root().committedPages;
  let trailing: u32 = 0;
  while (trailing < committed && isFree(committed - 1 - trailing)) {
    countStep();
    trailing++;
  }
  // The host may have grown memory behind our back; then our trailing pages are not at its end.
  if (<u32>memory.size() != committed) trailing = 0;
  // trailing < count, or the search would have found these pages.
  const first = growBy(count - trailing, count);
  return first == 0 ? NO_PAGE : first - trailing;
}

/** Adds at least `need` pages and returns the first, or 0 with a status that speaks of `requested` pages. */
function growBy(need: u32, requested: u32): u32 {
  const state = root();
  if (state.sealed) return <u32>fail(Status.SEALED, requested);
  if (need > growthLeft()) return <u32>fail(Status.MAXIMUM_REACHED, requested);
  const first = growMemory(need);
  if (first == NO_PAGE) return <u32>fail(Status.ENGINE_REFUSED, requested);
  if (first > state.committedPages) addHostPages(state.committedPages, first);
  addPages(first, <u32>memory.size() - first);
  announceGrowth();
  return first;
}

function addPages(first: u32, count: u32): void {
  const state = root();
  markFree(first, count);
  state.committedPages = first + count;
  state.freePages += count;
  if (state.freePages == count) state.firstFree = first;
}

function addHostPages(first: u32, end: u32): void {
  addPages(first, end - first);
  take(first, end - first, Owner.HOST);
}

// ── checking ────────────────────────────────────────────────────────────────────────────────────────────────────────

function refusedByTest(): bool {
  const state = root();
  if (state.refuseAfter == 0) return false;
  return --state.refuseAfter == 0;
}

/**
 * Checks every invariant of the heap; O(pages). Returns 0, or 1 + the first page that breaks one: a free page with an
 * owner, a used page without one, a continuation without a run, counts that disagree.
 */
export function validatePages(): u32 {
  const state = root();
  let free: u32 = 0;
  let previous: u8 = 0;
  for (let page: u32 = 0; page < state.committedPages; page++) {
    const byte = load<u8>(PAGE_OWNERS + page);
    if (isFree(page) != (byte == Owner.FREE)) return page + 1;
    if (byte & CONTINUES && (previous & ~CONTINUES) != (byte & ~CONTINUES)) return page + 1;
    if (byte == Owner.FREE) {
      if (page < state.firstFree) return page + 1;
      free++;
    }
    previous = byte;
  }
  let owned: u32 = 0;
  for (let owner: u32 = 1; owner < OWNER_COUNT; owner++) owned += ownerPages(<u8>owner);
  if (free != state.freePages || owned + free != state.committedPages) return state.committedPages + 1;
  return 0;
}
