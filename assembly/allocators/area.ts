// Areas: the runs of pages that large blocks lie in.
//
//   area   ┌─────────────────────────────┬─────────┬─────────┬ ─ ─ ┬──────────────────────────────────────┐
//          │ list, end, heap             │ block   │ block   │     │ end: previous, 0, heap, area         │
//          └─────────────────────────────┴─────────┴─────────┴ ─ ─ ┴──────────────────────────────────────┘
//          0                             20                        end − 28
//
// An area grows at its end where the pages behind it are free, so that blocks can merge across what was taken at different
// times, and gives pages back from its end. Its last block is a tag of size 0, which is never free: no merge passes it.

import { Address, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, pagesFor } from "../memory/alignment";
import { allocatePages, extendRun, freePages, joinRuns, Owner, ownerOf, shortenRun } from "../memory/pageHeap";
import { Bins, BLOCK_GRAIN, BLOCK_MINIMUM, TAG_SIZE, TaggedBlock } from "./boundaryTag";

@unmanaged
export class Area {
  next: Address;
  previous: Address;
  /** Where its pages end. */
  end: Address;
  heap: Address;
  unused: u32;

  get endTag(): EndTag {
    return changetype<EndTag>(this.end - END_SIZE);
  }
}

export const AREA_HEADER: u32 = offsetof<Area>();

/** What ends an area: a tag of size 0, and behind it the way to the area. */
@unmanaged
export class EndTag extends TaggedBlock {
  get area(): Area {
    return changetype<Area>(this.nextFree);
  }
}
export const END_SIZE: u32 = 28;

/** The bytes of an area that no block can have. */
const AREA_OVERHEAD: u32 = AREA_HEADER + END_SIZE;
if ((AREA_HEADER + TAG_SIZE) % BLOCK_GRAIN != 0) ERROR("the content of an area's first block must be aligned");
if ((END_SIZE - TAG_SIZE) % BLOCK_GRAIN != 0) ERROR("the end must lie where a block could begin");
if (END_SIZE < TAG_SIZE + sizeof<Address>()) ERROR("the end must have room for the way to its area");

/** The areas of one heap. */
@unmanaged
export class Areas {
  first: Address;
  /** The area that grew last: the one to try first. */
  newest: Address;
  count: u32;
  pages: u32;
  /** Bytes in free blocks. */
  freeBytes: u32;
  /** Blocks that were taken so far. */
  allocations: u32;
}

/** A heap keeps up to this many free bytes, so that a program at the edge of a page does not take and give it in turn. */
const RETAINED: u32 = 2 * PAGE_SIZE;
/** As many bytes in one piece go back at once, however few are retained then. */
const LARGE_RELEASE: u32 = 4 * PAGE_SIZE;

// ── growing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Returns a free block of at least `size` bytes, in no bin, from pages that are newly taken; 0 with a status when there
 * are none. What it takes is what it needs: the block it returns is the one that was computed, and no search follows.
 */
export function growAreas(areas: Areas, bins: Bins, heap: Address, size: u32): Address {
  if (areas.newest) {
    const block = extendArea(areas, bins, changetype<Area>(areas.newest), size);
    if (block) return block;
  }
  const pages = pagesFor(size + AREA_OVERHEAD);
  const address = allocatePages(pages, Owner.HEAP_AREAS);
  if (!address) return 0;
  areas.pages += pages;
  areas.freeBytes += pages << PAGE_SHIFT;
  // The pages before these were no one's gain a moment ago, so an area that is there ends exactly here.
  const before = changetype<EndTag>(address - END_SIZE);
  if (ownerOf(address - 1) == Owner.HEAP_AREAS && before.heap == heap) {
    joinRuns(address);
    areas.newest = changetype<Address>(before.area);
    return moveEnd(bins, before.area, pages);
  }
  return openArea(areas, address, pages, heap);
}

/** Makes `area` so much longer that its last block, returned free and in no bin, has `size` bytes; 0 if it cannot be. */
export function extendArea(areas: Areas, bins: Bins, area: Area, size: u32): Address {
  const last = area.endTag.previous;
  const trailing = last && changetype<TaggedBlock>(last).isFree ? changetype<TaggedBlock>(last).size : 0;
  // A bin is searched at its head only, so that the last block may be large enough as it is.
  const pages = trailing < size ? pagesFor(size - trailing) : 0;
  if (pages && !extendRun(area.end, pages, Owner.HEAP_AREAS)) return 0;
  areas.pages += pages;
  areas.freeBytes += pages << PAGE_SHIFT;
  return moveEnd(bins, area, pages);
}

/** Moves the end of an area behind `pages` that it has got, and returns its last block, free and in no bin. */
function moveEnd(bins: Bins, area: Area, pages: u32): Address {
  const former = area.endTag;
  let block: TaggedBlock = former;
  let size = pages << PAGE_SHIFT;
  const last = changetype<TaggedBlock>(former.previous);
  if (former.previous && last.isFree) {
    bins.remove(last);
    block = last;
    size += last.size;
  }
  area.end += pages << PAGE_SHIFT;
  closeArea(area, block, size);
  return changetype<Address>(block);
}

/** Makes `block`, of `size` bytes, the free block that ends at the end of `area`. */
function closeArea(area: Area, block: TaggedBlock, size: u32): void {
  block.tag = size | 1;
  block.heap = area.heap;
  const end = area.endTag;
  end.previous = changetype<Address>(block);
  end.tag = 0;
  end.heap = area.heap;
  end.nextFree = changetype<Address>(area);
}

function openArea(areas: Areas, address: Address, pages: u32, heap: Address): Address {
  const area = changetype<Area>(address);
  area.next = areas.first;
  area.previous = 0;
  if (areas.first) changetype<Area>(areas.first).previous = address;
  areas.first = address;
  areas.newest = address;
  areas.count++;
  areas.freeBytes -= AREA_OVERHEAD;
  area.end = address + (pages << PAGE_SHIFT);
  area.heap = heap;
  const block = changetype<TaggedBlock>(address + AREA_HEADER);
  block.previous = 0;
  closeArea(area, block, (pages << PAGE_SHIFT) - AREA_OVERHEAD);
  return changetype<Address>(block);
}

// ── giving back ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Gives back the pages in the free block, in its bin, that ends its area, if they are worth it. O(1) */
export function releaseTail(areas: Areas, bins: Bins, block: TaggedBlock): void {
  const area = changetype<EndTag>(block.next).area;
  const keep = whatStays(area, block);
  const bytes = <u32>(area.end - keep);
  if (bytes >= LARGE_RELEASE || areas.freeBytes >= bytes + RETAINED) release(areas, bins, area, block, keep);
}

/** Gives back the pages in every free block that ends an area. O(areas) */
export function trimAreas(areas: Areas, bins: Bins): void {
  let address = areas.first;
  while (address) {
    const area = changetype<Area>(address);
    address = area.next;
    const last = changetype<TaggedBlock>(area.endTag.previous);
    if (last.isFree) release(areas, bins, area, last, whatStays(area, last));
  }
}

/** Where `area` would end without the pages in its last block, which is free: its own address if that is all. */
function whatStays(area: Area, block: TaggedBlock): Address {
  const start = changetype<Address>(block);
  if (start == changetype<Address>(area) + AREA_HEADER) return changetype<Address>(area);
  // A block that shares its first page with others stays free up to the new end, and is a block or nothing.
  const keep = (start + END_SIZE + PAGE_MASK) & ~(<Address>PAGE_MASK);
  const rest = keep - END_SIZE - start;
  return min(rest != 0 && rest < BLOCK_MINIMUM ? keep + PAGE_SIZE : keep, area.end);
}

/** Cuts `area` off at `keep`, which is its own address if nothing of it stays. */
function release(areas: Areas, bins: Bins, area: Area, block: TaggedBlock, keep: Address): void {
  const pages = <u32>(area.end - keep) >> PAGE_SHIFT;
  if (!pages) return;
  bins.remove(block);
  areas.pages -= pages;
  areas.freeBytes -= pages << PAGE_SHIFT;
  if (keep == changetype<Address>(area)) {
    areas.freeBytes += AREA_OVERHEAD;
    unlink(areas, area);
    freePages(keep, Owner.HEAP_AREAS);
    return;
  }
  shortenRun(area.end, pages, Owner.HEAP_AREAS);
  area.end = keep;
  const rest = <u32>(keep - END_SIZE - changetype<Address>(block));
  if (rest) {
    closeArea(area, block, rest);
    bins.insert(block);
    return;
  }
  // The end takes the block's place, and what lies before it is the same.
  block.tag = 0;
  block.nextFree = changetype<Address>(area);
}

function unlink(areas: Areas, area: Area): void {
  if (area.next) changetype<Area>(area.next).previous = area.previous;
  if (area.previous) changetype<Area>(area.previous).next = area.next;
  else areas.first = area.next;
  if (areas.newest == changetype<Address>(area)) areas.newest = areas.first;
  areas.count--;
}

/** Gives every area back, whatever lives in it. O(areas) */
export function freeAllAreas(areas: Areas): void {
  let area = areas.first;
  while (area) {
    const next = changetype<Area>(area).next;
    freePages(area, Owner.HEAP_AREAS);
    area = next;
  }
  areas.first = 0;
  areas.newest = 0;
  areas.count = 0;
  areas.pages = 0;
  areas.freeBytes = 0;
}
