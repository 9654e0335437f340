// Byte heap: malloc and free, in two halves.
//
//   1 … 256 B   blocks of one of sixteen classes, in spans of 4 KiB            see span.ts
//   above       blocks of any size with boundary tags, in areas of pages       see boundaryTag.ts, area.ts
//
// The byte that the page heap keeps for each page tells which half an address belongs to. Everything is O(1), and every
// free is checked: an address that is not the beginning of a block of this heap, in use, is refused, and nothing changes.
//
//   heap (a small block)   ┌─────────┬───────┬────────────┬────────────┬──────┬─────────┐
//                          │ figures │ areas │ span pages │ quarantine │ bins │ classes │
//                          └─────────┴───────┴────────────┴────────────┴──────┴─────────┘

import { Address, ALIGNMENT_LIMIT, isPowerOfTwo, SIZE_LIMIT } from "../memory/alignment";
import { Owner, ownerOf } from "../memory/pageHeap";
import { joinRing, leaveRing } from "../memory/ring";
import { fail, IS_DEBUG } from "../memory/root";
import { CLASS_COUNT, classBytes, GRANULE, SMALL_LIMIT, sizeClassOf } from "../memory/sizeClass";
import { allocateSmallBlock, freeSmallBlock, SMALL_BLOCK_SIZE } from "../memory/smallBlock";
import { Status } from "../memory/status";
import { countStep } from "../memory/work";
import { Areas, freeAllAreas, trimAreas } from "./area";
import { BINS_SIZE, Bins, blockSizeFor, TaggedBlock } from "./boundaryTag";
import {
  allocateGuarded,
  dropQuarantine,
  freeGuarded,
  guardedSize,
  Quarantine,
  reallocateGuarded,
} from "./guardedBlock";
import {
  allocateLarge,
  allocateLargeAligned,
  blockOf,
  checkLarge,
  contentBytes,
  freeLarge,
  growAtEnd,
  growInPlace,
  shrink,
} from "./largeBlock";
import {
  allocateSpan,
  freeAllSpans,
  freeEmptyPages,
  freeSpan,
  isSpanPage,
  NO_BLOCK,
  Span,
  SpanPages,
  spanOf,
  UNLISTED,
} from "./span";

/** The most warm blocks of a class. */
const WARM_LIMIT: u32 = 14;

/**
 * What the heap keeps for each class of small blocks. The blocks that were freed last are handed out first, since their
 * memory is in the processor's cache. Their bits say that they are free, like those of all others, so that the list is a
 * hint that can be dropped at any time; but while there is one, it is where blocks come from.
 */
@unmanaged
export class SizeClass {
  /** A ring of spans: all that have a free block, and some that have become full in it. */
  ring: Address;
  /** How many warm blocks there are; their addresses follow. */
  warmCount: u32;

  @inline
  warmAt(index: u32): Address {
    return load<Address>(changetype<Address>(this) + (index << 2), offsetof<SizeClass>());
  }

  @inline
  setWarm(index: u32, block: Address): void {
    store<Address>(changetype<Address>(this) + (index << 2), block, offsetof<SizeClass>());
  }
}
const CLASS_SIZE: u32 = offsetof<SizeClass>() + WARM_LIMIT * sizeof<Address>();

@unmanaged
export class ByteHeap {
  /** In the debug module: a block that was written to after its free, or past its end; 0 if none was found. */
  damaged: Address;
  /** Frees and reallocations that were refused. */
  refusals: u32;

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
    if (size - 1 >= SMALL_LIMIT) return this.takeLarge(size);
    const sizeClass = this.classOf(sizeClassOf(size));
    const count = sizeClass.warmCount;
    if (!count) return takeCold(this, sizeClass, sizeClassOf(size));
    sizeClass.warmCount = count - 1;
    const block = sizeClass.warmAt(count - 1);
    const span = spanOf(block);
    span.take(span.knownIndexOf(block));
    return block;
  }

  private takeLarge(size: u32): Address {
    if (size == 0 || size > SIZE_LIMIT) return fail(Status.INVALID_SIZE, size);
    return allocateLarge(this.areas, this.bins, changetype<Address>(this), size);
  }

  takeAligned(size: u32, alignment: u32): Address {
    if (alignment <= GRANULE) return this.take(size);
    if (size == 0 || size > SIZE_LIMIT) return fail(Status.INVALID_SIZE, size);
    return allocateLargeAligned(this.areas, this.bins, changetype<Address>(this), size, alignment);
  }

  @inline
  give(address: Address): u32 {
    if (!isSpanPage(address)) return giveLarge(this, address);
    const span = spanOf(address);
    const index = span.indexOf(address);
    if (span.heap != changetype<Address>(this) || index == NO_BLOCK || span.isFree(index)) {
      return refuseSmall(this, address);
    }
    span.give(index);
    const sizeClass = changetype<SizeClass>(span.sizeClass);
    const count = sizeClass.warmCount;
    if (count < WARM_LIMIT) {
      sizeClass.setWarm(count, address);
      sizeClass.warmCount = count + 1;
    }
    if (span.needsCare) settle(this, sizeClass, span);
    return 1;
  }

  /** Checks that a block in use begins at `address`. Returns 1, or 0 with a status. */
  check(address: Address): u32 {
    const owner = ownerOf(address);
    if (owner == Owner.HEAP_AREAS) return checkLarge(changetype<Address>(this), address);
    if (owner != Owner.HEAP_SPANS) return <u32>fail(Status.FOREIGN_ADDRESS, <u32>address);
    const span = spanOf(address);
    if (span.heap != changetype<Address>(this)) {
      return <u32>fail(span.heap ? Status.FOREIGN_ADDRESS : Status.FREED_ADDRESS, <u32>address);
    }
    const index = span.indexOf(address);
    if (index == NO_BLOCK) return <u32>fail(Status.INTERIOR_ADDRESS, <u32>address);
    return span.isFree(index) ? <u32>fail(Status.FREED_ADDRESS, <u32>address) : 1;
  }

  /** As {@link usableSize}. */
  sizeAt(address: Address): u32 {
    if (!this.check(address)) return 0;
    if (ownerOf(address) == Owner.HEAP_AREAS) return contentBytes(blockOf(address));
    return spanOf(address).blockBytes;
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
    } else if (size > SMALL_LIMIT && resizeLarge(this, blockOf(address), blockSizeFor(size))) return address;
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

  get spanPages(): SpanPages {
    return changetype<SpanPages>(changetype<Address>(this) + SPAN_PAGES);
  }

  /** In the debug module: the blocks that are freed and held back. */
  get quarantine(): Quarantine {
    return changetype<Quarantine>(changetype<Address>(this) + QUARANTINE);
  }

  get bins(): Bins {
    return changetype<Bins>(changetype<Address>(this) + BINS);
  }

  @inline
  classOf(sizeClass: u32): SizeClass {
    return changetype<SizeClass>(changetype<Address>(this) + CLASSES + sizeClass * CLASS_SIZE);
  }

  /** The pages taken from the page heap. */
  get pages(): u32 {
    return this.areas.pages + this.spanPages.count;
  }
}

const AREAS: u32 = offsetof<ByteHeap>();
const SPAN_PAGES: u32 = AREAS + offsetof<Areas>();
const QUARANTINE: u32 = SPAN_PAGES + offsetof<SpanPages>();
const BINS: u32 = QUARANTINE + offsetof<Quarantine>();
/** Classes are numbered from 1. */
const CLASSES: u32 = BINS + BINS_SIZE - CLASS_SIZE;
const HEAP_SIZE: u32 = CLASSES + (CLASS_COUNT + 1) * CLASS_SIZE;
if (HEAP_SIZE > SMALL_BLOCK_SIZE) ERROR("a heap must fit into a small block");

/** Spans that have become full in their ring are taken out where they are met, but no more than this in one operation. */
const LOOK_LIMIT: u32 = 16;

/** Takes a block from the bitmaps. There are no warm ones, so that every bit means what it says. */
function takeCold(heap: ByteHeap, sizeClass: SizeClass, number: u32): Address {
  for (let looked: u32 = 0; sizeClass.ring && looked < LOOK_LIMIT; looked++) {
    countStep();
    const span = changetype<Span>(sizeClass.ring);
    if (!span.isFull) return span.takeLowest();
    unlist(sizeClass, span);
  }
  const span = allocateSpan(
    heap.spanPages,
    changetype<Address>(heap),
    changetype<Address>(sizeClass),
    classBytes(number),
  );
  if (!span) return takeLast(sizeClass);
  list(sizeClass, changetype<Span>(span));
  return changetype<Span>(span).takeLowest();
}

/**
 * Takes a block when memory is out: a span with room may lie behind more full ones than were looked at. No limit is needed,
 * since each that is taken out of the ring was put there by a free.
 */
function takeLast(sizeClass: SizeClass): Address {
  while (sizeClass.ring) {
    countStep();
    const span = changetype<Span>(sizeClass.ring);
    if (!span.isFull) return span.takeLowest();
    unlist(sizeClass, span);
  }
  return 0;
}

/** What a free has made of a span: one with room again, or one that is empty and goes back if its class has another. */
function settle(heap: ByteHeap, sizeClass: SizeClass, span: Span): void {
  if (!span.isListed) list(sizeClass, span);
  if (span.isEmpty && span.next != changetype<Address>(span)) removeSpan(heap, sizeClass, span);
}

function removeSpan(heap: ByteHeap, sizeClass: SizeClass, span: Span): void {
  sizeClass.warmCount = 0;
  unlist(sizeClass, span);
  freeSpan(heap.spanPages, changetype<Address>(span));
}

function list(sizeClass: SizeClass, span: Span): void {
  span.used -= UNLISTED;
  joinRing(changetype<Address>(sizeClass) + offsetof<SizeClass>("ring"), changetype<Address>(span));
}

function unlist(sizeClass: SizeClass, span: Span): void {
  span.used += UNLISTED;
  leaveRing(changetype<Address>(sizeClass) + offsetof<SizeClass>("ring"), changetype<Address>(span));
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
 * Resizes a large block in place: down, into free memory behind it, or into new pages, but only where no block that is free
 * elsewhere would do, or the heap would grow around its own holes.
 */
function resizeLarge(heap: ByteHeap, block: TaggedBlock, size: u32): bool {
  const areas = heap.areas;
  const bins = heap.bins;
  if (size <= block.size) {
    shrink(areas, bins, block, size);
    return true;
  }
  return growInPlace(areas, bins, block, size) || (!bins.find(size) && growAtEnd(areas, bins, block, size));
}

/** Returns a new heap, or 0 with a status. */
export function createByteHeap(): Address {
  const address = allocateSmallBlock();
  if (!address) return 0;
  memory.fill(address, 0, HEAP_SIZE);
  changetype<ByteHeap>(address).bins.prepare();
  return address;
}

/** Gives back all that the heap has, whatever lives in it. O(pages) */
export function destroyByteHeap(heap: ByteHeap): void {
  freeAllSpans(heap.spanPages);
  freeAllAreas(heap.areas);
  freeSmallBlock(changetype<Address>(heap));
}

/** Gives back what is kept for the next allocation: empty spans, empty pages, free ends of areas. O(pages) */
export function trimByteHeap(heap: ByteHeap): void {
  if (IS_DEBUG) dropQuarantine(heap);
  for (let sizeClass: u32 = 1; sizeClass <= CLASS_COUNT; sizeClass++) {
    const ring = heap.classOf(sizeClass).ring;
    if (ring && changetype<Span>(ring).isEmpty) removeSpan(heap, heap.classOf(sizeClass), changetype<Span>(ring));
  }
  freeEmptyPages(heap.spanPages);
  trimAreas(heap.areas, heap.bins);
}
