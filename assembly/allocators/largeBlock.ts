// Large blocks: allocating, freeing and resizing between boundary tags. Every operation here looks at a block and its two
// neighbours and at one bin, whatever else lives.

import { Address, PAGE_MASK } from "../memory/alignment";
import { isCommitted, isRunStart } from "../memory/pageHeap";
import { fail } from "../memory/root";
import { Status } from "../memory/status";
import { AREA_HEADER, Areas, END_SIZE, EndTag, extendArea, growAreas, releaseTail } from "./area";
import { Bins, BLOCK_GRAIN, BLOCK_MINIMUM, blockSizeFor, TAG_SIZE, TaggedBlock } from "./boundaryTag";

/** Returns the content of a block for `bytes`, or 0 with a status. O(1) */
export function allocateLarge(areas: Areas, bins: Bins, heap: Address, bytes: u32): Address {
  const size = blockSizeFor(bytes);
  const block = bins.takeFit(size) || growAreas(areas, bins, heap, size);
  return block ? take(areas, bins, changetype<TaggedBlock>(block), size) : 0;
}

/** As {@link allocateLarge}, from what the areas have; 0 if nothing there is large enough. O(1) */
export function allocateFree(areas: Areas, bins: Bins, bytes: u32): Address {
  return allocateBelow(areas, bins, blockSizeFor(bytes), u32.MAX_VALUE);
}

/** As {@link allocateFree}, a block of `size` bytes, header included, out of a free one of less than `limit`. O(1) */
export function allocateBelow(areas: Areas, bins: Bins, size: u32, limit: u32): Address {
  const block = bins.find(size);
  if (!block || changetype<TaggedBlock>(block).size >= limit) return 0;
  bins.remove(changetype<TaggedBlock>(block));
  return take(areas, bins, changetype<TaggedBlock>(block), size);
}

/** Takes `size` bytes of a free block that is in no bin, and returns their content. */
function take(areas: Areas, bins: Bins, block: TaggedBlock, size: u32): Address {
  block.tag = block.size;
  cutTail(bins, block, size);
  areas.freeBytes -= block.size;
  areas.allocations++;
  return changetype<Address>(block) + TAG_SIZE;
}

/** As {@link allocateLarge}, with the content at a multiple of `alignment`, a power of two above 16. */
export function allocateLargeAligned(areas: Areas, bins: Bins, heap: Address, bytes: u32, alignment: u32): Address {
  // Room to move the content up to the alignment, and so far that what is left before it is a block.
  const room = bytes + alignment + BLOCK_MINIMUM;
  const content = allocateLarge(areas, bins, heap, room);
  if (!content) return 0;
  if ((content & (alignment - 1)) == 0) {
    shrink(areas, bins, blockOf(content), blockSizeFor(bytes));
    return content;
  }
  const front = blockOf(content);
  const aligned = (content + BLOCK_MINIMUM + (alignment - 1)) & ~(<Address>alignment - 1);
  const block = changetype<TaggedBlock>(aligned - TAG_SIZE);
  const gap = <u32>(aligned - content);
  block.previous = changetype<Address>(front);
  block.tag = front.size - gap;
  block.heap = front.heap;
  block.next.previous = changetype<Address>(block);
  front.tag = gap;
  freeKnown(areas, bins, front);
  shrink(areas, bins, block, blockSizeFor(bytes));
  return aligned;
}

/** The block whose content begins at `content`. */
export function blockOf(content: Address): TaggedBlock {
  return changetype<TaggedBlock>(content - TAG_SIZE);
}

/** The bytes that can be used of a block. */
export function contentBytes(block: TaggedBlock): u32 {
  return block.size - TAG_SIZE;
}

/**
 * Makes sure that `content`, in a page of areas, begins a block of `heap` that is in use. Returns 1, or 0 with a status.
 * Both neighbours must agree with the block's own tag.
 */
export function checkLarge(heap: Address, content: Address): u32 {
  if (!isPlaced(content)) return <u32>fail(Status.INTERIOR_ADDRESS, <u32>content);
  const block = blockOf(content);
  const endsWell = agreesBehind(block);
  const beginsWell = agreesBefore(block);
  if (endsWell && beginsWell) {
    if (block.heap != heap) return <u32>fail(Status.FOREIGN_ADDRESS, <u32>content);
    if (block.isFree) return <u32>fail(Status.FREED_ADDRESS, <u32>content);
    return 1;
  }
  const isCorrupt = block.heap == heap && !endsArea(block) && hasNeighbour(block, endsWell, beginsWell);
  return <u32>fail(isCorrupt ? Status.CORRUPT_BLOCK : Status.INTERIOR_ADDRESS, <u32>content);
}

/**
 * True if a block that the tags on one side alone agree with is one whose tags, or a neighbour's, have been written over.
 *
 * The other way to such a tag is a merge of three: the tags of the second and the third, now inside the first, still agree
 * with each other, but neither does with what lies on its other side. A neighbour in use or in a bin agrees on both.
 */
function hasNeighbour(block: TaggedBlock, endsWell: bool, beginsWell: bool): bool {
  if (endsWell) return agreesBehind(block.next) || endsArea(block.next);
  return beginsWell && (!block.previous || agreesBefore(changetype<TaggedBlock>(block.previous)));
}

/** True for the tag that ends an area: the block before it agrees with it, but it is no block. */
function endsArea(block: TaggedBlock): bool {
  return block.tag == 0 && ((changetype<Address>(block) + END_SIZE) & PAGE_MASK) == 0;
}

/** True if a block's tag can lie before `content`, which is in a page of areas: there is an area's header in the first. */
function isPlaced(content: Address): bool {
  return (
    (content & (BLOCK_GRAIN - 1)) == 0 && ((content & PAGE_MASK) >= AREA_HEADER + TAG_SIZE || !isRunStart(content))
  );
}

function agreesBehind(block: TaggedBlock): bool {
  const size = block.size;
  const next = changetype<Address>(block) + size;
  if (size < BLOCK_MINIMUM || size & (BLOCK_GRAIN - 1)) return false;
  // The tag may be anybody's bytes: it is followed within memory only.
  return (
    next > changetype<Address>(block) &&
    isCommitted(next) &&
    changetype<TaggedBlock>(next).previous == changetype<Address>(block)
  );
}

function agreesBefore(block: TaggedBlock): bool {
  const previous = block.previous;
  if (!previous)
    return (changetype<Address>(block) & PAGE_MASK) == AREA_HEADER && isRunStart(changetype<Address>(block));
  return previous < changetype<Address>(block) && changetype<TaggedBlock>(previous).next == block;
}

/** Frees the block at `content`, in a page of areas. Returns 1, or 0 with a status if there is none in use. O(1) */
export function freeLarge(areas: Areas, bins: Bins, heap: Address, content: Address): u32 {
  const block = blockOf(content);
  const isBlock =
    isPlaced(content) && block.heap == heap && !block.isFree && agreesBehind(block) && agreesBefore(block);
  if (!isBlock) return checkLarge(heap, content); // 0, and says why
  giveBack(areas, bins, block);
  return 1;
}

/** Makes a block free, merged with its neighbours. */
function giveBack(areas: Areas, bins: Bins, given: TaggedBlock): void {
  areas.freeBytes += given.size;
  const behind = bins.removeIfFree(given.next);
  // The first block of an area has 0 before it, where memory reads as a block that is not free.
  const before = bins.removeIfFree(changetype<TaggedBlock>(given.previous));
  const block = changetype<TaggedBlock>(changetype<Address>(given) - before);
  block.tag = (given.size + behind + before) | 1;
  const next = block.next;
  next.previous = changetype<Address>(block);
  bins.insert(block);
  if (next.tag == 0) releaseTail(areas, bins, block);
}

/** Frees a block that is known to be one in use: {@link giveBack}, which is compiled in place where it matters. */
export function freeKnown(areas: Areas, bins: Bins, block: TaggedBlock): void {
  giveBack(areas, bins, block);
}

/** Cuts a block in use down to `size`, if what is left over is a block; what lies behind it is in use. */
function cutTail(bins: Bins, block: TaggedBlock, size: u32): void {
  const rest = block.size - size;
  if (rest < BLOCK_MINIMUM) return;
  const tail = split(block, size);
  tail.tag = rest | 1;
  bins.insert(tail);
}

/** Cuts a block in use down to `size`, whatever lies behind it. */
export function shrink(areas: Areas, bins: Bins, block: TaggedBlock, size: u32): void {
  if (block.size - size < BLOCK_MINIMUM) return;
  freeKnown(areas, bins, split(block, size));
}

/** Makes two blocks in use of one, the first of `size` bytes, and returns the second. */
function split(block: TaggedBlock, size: u32): TaggedBlock {
  const next = block.next;
  const rest = block.size - size;
  block.tag = size;
  const tail = block.next;
  tail.previous = changetype<Address>(block);
  tail.tag = rest;
  tail.heap = block.heap;
  next.previous = changetype<Address>(tail);
  return tail;
}

/** Grows a block in use, in place, to `size` bytes if what lies behind it is free. True if it has. O(1) */
export function growInPlace(areas: Areas, bins: Bins, block: TaggedBlock, size: u32): bool {
  const behind = block.next;
  if (!behind.isFree || block.size + behind.size < size) return false;
  bins.remove(behind);
  merge(areas, bins, block, behind, size);
  return true;
}

/** As {@link growInPlace}, of the last block of an area, by pages that are newly taken. */
export function growAtEnd(areas: Areas, bins: Bins, block: TaggedBlock, size: u32): bool {
  const behind = block.next;
  const end = behind.isFree ? behind.next : behind;
  if (end.tag != 0) return false;
  const tail = extendArea(areas, bins, changetype<EndTag>(end).area, size - block.size);
  if (!tail) return false;
  merge(areas, bins, block, changetype<TaggedBlock>(tail), size);
  return true;
}

/** Makes `behind`, free and in no bin, a part of the block in use before it, and cuts that down to `size`. */
function merge(areas: Areas, bins: Bins, block: TaggedBlock, behind: TaggedBlock, size: u32): void {
  const former = block.size;
  block.tag = former + behind.size;
  block.next.previous = changetype<Address>(block);
  cutTail(bins, block, size);
  areas.freeBytes -= block.size - former;
}
