// Byte heap: malloc and free, in two halves.
//
//   1 … 256 B   blocks of one of sixteen classes, in pages of granules         see span.ts, freeRuns.ts
//   above       blocks of any size with boundary tags, in areas of pages       see boundaryTag.ts, area.ts
//
// The byte that the page heap keeps for each page tells which half an address belongs to. Everything is O(1), and every
// free is checked: an address that is not the beginning of a block of this heap, in use, is refused, and nothing changes.
//
//   heap (two small blocks)   ┌─────────┬───────┬───────────┬────────────┬──────────────┐   ┌──────┐
//                             │ figures │ areas │ free runs │ quarantine │ size classes │   │ bins │
//                             └─────────┴───────┴───────────┴────────────┴──────────────┘   └──────┘

import { Address, ALIGNMENT_LIMIT, isPowerOfTwo, PAGE_MASK, PAGE_SHIFT, SIZE_LIMIT } from "../memory/alignment";
import { availablePages, Owner, ownerOf } from "../memory/pageHeap";
import { fail, IS_DEBUG } from "../memory/root";
import { CLASS_COUNT, classBytes, GRANULE, SMALL_LIMIT, sizeClassOf } from "../memory/sizeClass";
import { allocateSmallBlock, freeSmallBlock, SMALL_BLOCK_SIZE } from "../memory/smallBlock";
import { Status } from "../memory/status";
import { countStep } from "../memory/work";
import { Areas, freeAllAreas, trimAreas } from "./area";
import { BINS_SIZE, Bins, blockSizeFor, TAG_SIZE, TaggedBlock } from "./boundaryTag";
import { endChecked } from "./checkedBlock";
import { FREE_RUNS_SIZE, FreeRuns } from "./freeRuns";
import {
  allocateGuarded,
  dropQuarantine,
  freeGuarded,
  guardedSize,
  Quarantine,
  reallocateGuarded,
} from "./guardedBlock";
import {
  allocateBelow,
  allocateFree,
  allocateLarge,
  allocateLargeAligned,
  blockOf,
  checkLarge,
  contentBytes,
  freeKnown,
  freeLarge,
  growAtEnd,
  growInPlace,
  shrink,
} from "./largeBlock";
import { CLASS_SIZE, SizeClass, WARM_LIMIT } from "./sizeClasses";
import { FIRST_GRANULE, GranuleState, granulesOf, heapOf, isSpanPage, LAST_GRANULE, stateOf, warm } from "./span";

@unmanaged
export class ByteHeap {
  /** In the debug module: a block that was written to after its free, or past its end; 0 if none was found. */
  damaged: Address;
  /** Frees and reallocations that were refused. */
  refusals: u32;
  /** Small blocks that were taken from the areas so far. */
  smallAmongLarge: u32;
  /** The newest of its checked blocks. */
  checked: Address;
  /** A number that no other heap has, or hardly any: see checkedBlock.ts. */
  salt: u32;
  /** The most warm blocks that a class may have: WARM_LIMIT, or fewer while most granules are free. */
  warmLimit: u32;
  /** The bins lie in a small block of their own. */
  bins: Bins;

  /** Returns the address of `size` bytes, not cleared, at a multiple of 16, or 0 with a status. */
  @inline
  allocate(size: u32): Address {
    return IS_DEBUG ? allocateGuarded(this, size, GRANULE) : this.take(size);
  }

  /** As {@link allocate}, at a multiple of `alignment`, a power of two up to 4,096. */
  allocateAligned(size: u32, alignment: u32): Address {
    if (!isPowerOfTwo(alignment) || alignment > ALIGNMENT_LIMIT) return fail(Status.INVALID_ALIGNMENT, alignment);
    return IS_DEBUG ? allocateGuarded(this, size, alignment) : this.takeAligned(size, alignment);
  }

  /** Takes a block back. Returns 1, or 0 with a status if none in use begins at `address`; then nothing has changed. */
  @inline
  free(address: Address): u32 {
    return IS_DEBUG ? freeGuarded(this, address) : this.give(address);
  }

  /**
   * Makes the block at `address` hold `size` bytes, in place where that is possible, and returns its address; 0 with a
   * status if it cannot be, or there is no such block: then nothing has changed. The bytes that fit are kept.
   */
  reallocate(address: Address, size: u32): Address {
    return IS_DEBUG ? reallocateGuarded(this, address, size) : this.resize(address, size);
  }

  /** The bytes that can be used of the block at `address`, or 0 with a status if there is none in use. */
  usableSize(address: Address): u32 {
    return IS_DEBUG ? guardedSize(this, address) : this.sizeAt(address);
  }

  // ── what the debug module wraps ───────────────────────────────────────────────────────────────────────────────────

  @inline
  take(size: u32): Address {
    // A size of 0 wraps to more than the limit.
    if (size - 1 < SMALL_LIMIT) {
      const sizeClass = this.classOf(sizeClassOf(size));
      if (sizeClass.warmCount) return sizeClass.takeWarm();
      return takeCold(this, sizeClassOf(size));
    }
    return this.takeLarge(size);
  }

  private takeLarge(size: u32): Address {
    if (size == 0 || size > SIZE_LIMIT) return fail(Status.INVALID_SIZE, size);
    const address = changetype<Address>(this);
    const block = allocateLarge(this.areas, this.bins, address, size);
    return block || !reclaim(this, size) ? block : allocateLarge(this.areas, this.bins, address, size);
  }

  takeAligned(size: u32, alignment: u32): Address {
    if (alignment <= GRANULE) return this.take(size);
    if (size == 0 || size > SIZE_LIMIT) return fail(Status.INVALID_SIZE, size);
    const address = changetype<Address>(this);
    const block = allocateLargeAligned(this.areas, this.bins, address, size, alignment);
    return block || !reclaim(this, size)
      ? block
      : allocateLargeAligned(this.areas, this.bins, address, size, alignment);
  }

  @inline
  give(address: Address): u32 {
    // Nested, so that what most calls do falls through from one check to the next: 3 % of benchmark cases heap/tiny and heap/small.
    if (isSpanPage(address)) {
      if (heapOf(address) == changetype<Address>(this)) {
        const granules = warm(address);
        if (granules) {
          const sizeClass = this.classOf(granules);
          if (sizeClass.warmCount < this.warmLimit) sizeClass.giveWarm(address);
          else giveCold(this, address, granules);
          return 1;
        }
      }
      return refuseSmall(this, address);
    }
    return giveLarge(this, address);
  }

  /** Checks that a block in use begins at `address`. Returns 1, or 0 with a status. */
  check(address: Address): u32 {
    const owner = ownerOf(address);
    if (owner == Owner.HEAP_AREAS) return checkLarge(changetype<Address>(this), address);
    if (owner != Owner.HEAP_SPANS) return <u32>fail(Status.FOREIGN_ADDRESS, <u32>address);
    if (heapOf(address) != changetype<Address>(this)) return <u32>fail(Status.FOREIGN_ADDRESS, <u32>address);
    const offset = <u32>(address & PAGE_MASK);
    if (offset & (GRANULE - 1) || offset < FIRST_GRANULE || offset >= LAST_GRANULE) {
      return <u32>fail(Status.INTERIOR_ADDRESS, <u32>address);
    }
    const state = stateOf(address);
    if (state == GranuleState.USED) return 1;
    return <u32>fail(state == GranuleState.INSIDE ? Status.INTERIOR_ADDRESS : Status.FREED_ADDRESS, <u32>address);
  }

  /** As {@link usableSize}. */
  sizeAt(address: Address): u32 {
    if (!this.check(address)) return 0;
    if (ownerOf(address) == Owner.HEAP_AREAS) return contentBytes(blockOf(address));
    return classBytes(granulesOf(address));
  }

  resize(address: Address, size: u32): Address {
    const usable = this.sizeAt(address);
    if (!usable) {
      this.refusals++;
      return 0;
    }
    if (size == 0 || size > SIZE_LIMIT) return fail(Status.INVALID_SIZE, size);
    if (isSpanPage(address)) {
      if (size <= SMALL_LIMIT && sizeClassOf(size) == sizeClassOf(usable)) return address;
    } else {
      const resized = resizeLarge(this, address, size);
      if (resized) return resized;
    }
    const moved = this.take(size);
    if (!moved) return size <= usable ? address : 0; // what is to become smaller fits where it is
    memory.copy(moved, address, min(usable, size));
    this.give(address);
    return moved;
  }

  // ── parts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  get areas(): Areas {
    return changetype<Areas>(changetype<Address>(this) + AREAS);
  }

  get runs(): FreeRuns {
    return changetype<FreeRuns>(changetype<Address>(this) + FREE_RUNS);
  }

  /** In the debug module: the blocks that are freed and held back. */
  get quarantine(): Quarantine {
    return changetype<Quarantine>(changetype<Address>(this) + QUARANTINE);
  }

  /** Classes are numbered from 1. */
  @inline
  classOf(sizeClass: u32): SizeClass {
    return changetype<SizeClass>(changetype<Address>(this) + (CLASSES - CLASS_SIZE) + sizeClass * CLASS_SIZE);
  }

  /** The pages taken from the page heap. */
  get pages(): u32 {
    return this.areas.pages + this.runs.pages;
  }
}

const AREAS: u32 = offsetof<ByteHeap>();
const FREE_RUNS: u32 = AREAS + offsetof<Areas>();
const QUARANTINE: u32 = FREE_RUNS + FREE_RUNS_SIZE;
/** Each class begins a line of the processor's cache. */
const CLASSES: u32 = (QUARANTINE + offsetof<Quarantine>() + CLASS_SIZE - 1) & ~(CLASS_SIZE - 1);
const HEAP_SIZE: u32 = CLASSES + CLASS_COUNT * CLASS_SIZE;
if (HEAP_SIZE > SMALL_BLOCK_SIZE) ERROR("a heap must fit into a small block");
if (BINS_SIZE > SMALL_BLOCK_SIZE) ERROR("the bins of a heap must fit into a small block");

/** Small blocks lie among the large ones as long as there are so many large ones for each of them. */
const LARGE_FOR_A_SMALL: u32 = 8;

/** The most warm blocks of a class while most granules are free: so few of them cannot keep many pages from becoming empty. */
const WARM_LIMIT_AMONG_FREE: u32 = 4;

/**
 * Takes a block of a class that has none warm: from the free runs, also those that the warm blocks of other classes can make,
 * from the free blocks of the areas if small blocks are rare, and at last from a new page.
 */
function takeCold(heap: ByteHeap, granules: u32): Address {
  const runs = heap.runs;
  let block = runs.take(granules);
  if (!block && coolAll(heap)) block = runs.take(granules);
  if (block) {
    heap.classOf(granules).warmUp(runs, granules);
    return block;
  }
  // Not in the debug module: a small block that is held back there would keep the large ones' pages from going back.
  const isRare = heap.smallAmongLarge * LARGE_FOR_A_SMALL <= heap.areas.allocations;
  block = isRare && !IS_DEBUG ? takeAmongLarge(heap, granules) : 0;
  if (block) return block;
  if (runs.addPage(changetype<Address>(heap))) return runs.take(granules);
  // In the debug module the blocks that are held back go first: they may make room where the block belongs.
  return IS_DEBUG && heap.quarantine.count ? 0 : takeAmongLarge(heap, granules);
}

/** Takes note of a warm block of a class that has no room for another, or gives all of them back while most granules are free. */
function giveCold(heap: ByteHeap, block: Address, granules: u32): void {
  const runs = heap.runs;
  const sizeClass = heap.classOf(granules);
  if (runs.areMany) {
    if (heap.warmLimit == WARM_LIMIT) coolAll(heap);
    else sizeClass.cool(runs, granules, sizeClass.warmCount);
    heap.warmLimit = WARM_LIMIT_AMONG_FREE;
    runs.give(block, granules);
    return;
  }
  heap.warmLimit = WARM_LIMIT;
  sizeClass.makeRoom(runs, granules);
  sizeClass.giveWarm(block);
}

/** Gives all warm blocks back to the free runs; each had to be freed to be there. False if there was none. */
function coolAll(heap: ByteHeap): bool {
  let count: u32 = 0;
  for (let granules: u32 = 1; granules <= CLASS_COUNT; granules++) {
    countStep();
    const sizeClass = heap.classOf(granules);
    count += sizeClass.warmCount;
    if (sizeClass.warmCount) sizeClass.cool(heap.runs, granules, sizeClass.warmCount);
  }
  return count != 0;
}

/** When no page is to be had for `size` bytes: gives back those that only warm blocks hold. True if there was one. */
function reclaim(heap: ByteHeap, size: u32): bool {
  const pages = heap.runs.pages;
  if (size >> PAGE_SHIFT > availablePages() + pages) return false; // it would not be enough: so nothing changes
  coolAll(heap);
  heap.runs.dropEmptyPage();
  return heap.runs.pages != pages;
}

/** Takes a small block from the areas, if they have one free; otherwise 0. */
function takeAmongLarge(heap: ByteHeap, granules: u32): Address {
  const block = allocateFree(heap.areas, heap.bins, classBytes(granules));
  if (block) heap.smallAmongLarge++;
  return block;
}

function refuseSmall(heap: ByteHeap, address: Address): u32 {
  heap.refusals++;
  return heap.check(address); // 0, and says why
}

function giveLarge(heap: ByteHeap, address: Address): u32 {
  const isGiven =
    ownerOf(address) == Owner.HEAP_AREAS
      ? freeLarge(heap.areas, heap.bins, changetype<Address>(heap), address)
      : <u32>fail(Status.FOREIGN_ADDRESS, <u32>address);
  if (!isGiven) heap.refusals++;
  return isGiven;
}

/**
 * Resizes a block of the areas, and returns its address from now on; 0 if it has to go elsewhere. It grows into free memory
 * behind it, into a free block elsewhere, and only then into new pages, or the heap would grow around its own holes.
 */
function resizeLarge(heap: ByteHeap, content: Address, size: u32): Address {
  const areas = heap.areas;
  const bins = heap.bins;
  const block = blockOf(content);
  const blockSize = blockSizeFor(size);
  if (blockSize <= block.size) {
    // What becomes small goes to its class, unless it keeps more than half of what it has.
    if (size <= SMALL_LIMIT && size << 1 <= contentBytes(block)) return 0;
    const hole = prefersHole(block.size, blockSize) ? allocateBelow(areas, bins, blockSize, block.size) : 0;
    if (hole) return moveLarge(heap, block, hole, size);
    shrink(areas, bins, block, blockSize);
    return content;
  }
  if (growInPlace(areas, bins, block, blockSize)) return content;
  const moved = allocateFree(areas, bins, size);
  if (!moved) return growAtEnd(areas, bins, block, blockSize) ? content : 0;
  return moveLarge(heap, block, moved, contentBytes(block));
}

/** Frees `block`, of which the first `bytes` go to `content`. Returns that. */
function moveLarge(heap: ByteHeap, block: TaggedBlock, content: Address, bytes: u32): Address {
  memory.copy(content, changetype<Address>(block) + TAG_SIZE, bytes);
  freeKnown(heap.areas, heap.bins, block);
  return content;
}

/** The largest block, in bytes, that moves when it becomes smaller: so no such reallocation copies more than 12 KiB. */
const HOLE_LIMIT: u32 = 16 << 10;

/**
 * True if a block of `size` bytes that is to become one of `smaller` had better fill a hole elsewhere than leave one behind it:
 * where it would leave a quarter or more. So 92 % of memory are filled instead of 87, at five sixths of the rate (benchmark case
 * heap/reallocating).
 */
function prefersHole(size: u32, smaller: u32): bool {
  return size <= HOLE_LIMIT && smaller <= size - (size >> 2);
}

/** Returns a new heap, or 0 with a status. `salt` is to be another number for each, at random: see checkedBlock.ts. */
export function createByteHeap(salt: u32): Address {
  const address = allocateSmallBlock();
  const bins = address ? allocateSmallBlock() : 0;
  if (!bins) {
    if (address) freeSmallBlock(address);
    return 0;
  }
  memory.fill(address, 0, HEAP_SIZE);
  memory.fill(bins, 0, BINS_SIZE);
  const heap = changetype<ByteHeap>(address);
  heap.bins = changetype<Bins>(bins);
  heap.bins.prepare();
  heap.warmLimit = WARM_LIMIT;
  heap.salt = salt;
  return address;
}

/** Gives back all that the heap has, whatever lives in it, and ends its checked bytes. O(pages + checked bytes) */
export function destroyByteHeap(heap: ByteHeap): void {
  endChecked(heap);
  heap.runs.dropAll();
  freeAllAreas(heap.areas);
  freeSmallBlock(changetype<Address>(heap.bins));
  freeSmallBlock(changetype<Address>(heap));
}

/** Gives back what is kept for the next allocation: warm blocks, an empty page, free ends of areas. O(pages) */
export function trimByteHeap(heap: ByteHeap): void {
  if (IS_DEBUG) dropQuarantine(heap);
  coolAll(heap);
  heap.runs.dropEmptyPage();
  trimAreas(heap.areas, heap.bins);
}
