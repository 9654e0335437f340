// Spans: pieces of 4 KiB, each cut into blocks of one size class, sixteen to a page.
//
// A bitmap says which blocks are free; it is all there is. There is no list through the blocks, so a free does not touch
// the block's memory, taking a block does not wait for a link to be loaded from it, the lowest free block is taken first,
// and a double, interior or wild free is seen by the same bit that has to be changed anyway.
//
//   page     ┌──────────┬ ─ ─ ─ ┬───────────┬──────┬──────────────┬────────┬ ─ ─ ─ ┬─────────┐
//            │ header 0 │       │ header 15 │ page │ span 0       │ span 1 │       │ span 15 │
//            └──────────┴ ─ ─ ─ ┴───────────┴──────┴──────────────┴────────┴ ─ ─ ─ ┴─────────┘
//            0                              1,024  1,088          4,096
//   header   ┌────────────────────┬──────────────┐
//            │ list, heap, class  │ bitmap       │
//            └────────────────────┴──────────────┘
//            0                    32             64
//
// The headers lie together, and not each in its span, because addresses 4 KiB apart share the few places that a processor's
// first cache has for them: a hundred spans would push each other's headers out. Measured with blocks of 1 to 256 bytes, that
// was 57 million operations a second against 64.
//
// Source: bitmap-marked chunks as in phkmalloc (Kamp, "Malloc(3) revisited", 1998).

import { Address, PAGE_MASK, PAGE_SIZE } from "../memory/alignment";
import { allocatePages, freePages, Owner, ownerByte } from "../memory/pageHeap";
import { RingMember } from "../memory/ring";
import { GRANULE, GRANULE_SHIFT, RECIPROCAL_SHIFT, reciprocalOf, SMALL_LIMIT } from "../memory/sizeClass";
import { countStep } from "../memory/work";

const SPAN_SIZE: u32 = 4096;
const SPAN_MASK: u32 = SPAN_SIZE - 1;
const SPAN_SHIFT: u32 = 12;
export const SPANS_IN_PAGE: u32 = PAGE_SIZE / SPAN_SIZE;
const ALL_SPANS: u32 = (1 << SPANS_IN_PAGE) - 1;

const HEADER_SHIFT: u32 = 6;
const HEADER_SIZE: u32 = 1 << HEADER_SHIFT;
/** The headers of a page, and behind them what is said of the page, take the beginning of its first span. */
const HEADERS: u32 = SPANS_IN_PAGE * HEADER_SIZE;
const FIRST_SPAN: u32 = HEADERS + HEADER_SIZE;

/** The bitmap begins here in a header. */
const BITMAP: u32 = 32;
const BITMAP_WORDS: u32 = (HEADER_SIZE - BITMAP) / 8;
/** Granules that the blocks of a span can lie in. */
const GRANULES: u32 = SPAN_SIZE / GRANULE;
if (GRANULES > BITMAP_WORDS * 64) ERROR("the bitmap must have a bit for every block of the smallest class");
if ((SPAN_SIZE - FIRST_SPAN) / SMALL_LIMIT < 8) ERROR("a span must hold several blocks of the largest class");
// The error of the reciprocal, below 1 a class, is multiplied by the granules: it must not reach the next quotient.
if (GRANULES * (SMALL_LIMIT / GRANULE) >= 1 << RECIPROCAL_SHIFT) ERROR("the reciprocal must be exact in all of a span");

/** Its ring is that of the class: every span of it that has a free block, and some that have become full. */
@unmanaged
export class Span extends RingMember {
  /** The heap that it belongs to; 0 while the span is free. */
  heap: Address;
  /** Where the blocks begin. */
  start: Address;
  blockBytes: u16;
  reciprocal: u16;
  blocks: u16;
  /** How many blocks are in use; {@link UNLISTED} is added while the span is in no ring. */
  used: u16;
  /** What the heap keeps for the class. */
  sizeClass: Address;

  /** The number of the block that begins at `address`, in this span; NO_BLOCK if none does. */
  @inline
  indexOf(address: Address): u32 {
    // Below the first block this wraps to a number that no product is equal to.
    const offset = <u32>(address - this.start);
    const index = ((offset >> GRANULE_SHIFT) * <u32>this.reciprocal) >> RECIPROCAL_SHIFT;
    return index * <u32>this.blockBytes == offset && index < <u32>this.blocks ? index : NO_BLOCK;
  }

  /** As {@link indexOf}, of an address that is known to be a block's. */
  @inline
  knownIndexOf(address: Address): u32 {
    return ((<u32>(address - this.start) >> GRANULE_SHIFT) * <u32>this.reciprocal) >> RECIPROCAL_SHIFT;
  }

  blockAt(index: u32): Address {
    return this.start + index * <u32>this.blockBytes;
  }

  /** True while block `index` is free. */
  @inline
  isFree(index: u32): bool {
    return ((load<u64>(this.wordOf(index), BITMAP) >> (index & 63)) & 1) != 0;
  }

  /** Takes block `index`, which is free. */
  @inline
  take(index: u32): void {
    const word = this.wordOf(index);
    store<u64>(word, load<u64>(word, BITMAP) & ~((<u64>1) << (index & 63)), BITMAP);
    this.used++;
  }

  /** Gives block `index`, which is in use, back. */
  @inline
  give(index: u32): void {
    const word = this.wordOf(index);
    store<u64>(word, load<u64>(word, BITMAP) | ((<u64>1) << (index & 63)), BITMAP);
    this.used--;
  }

  /** Takes the lowest free block. There must be one. */
  takeLowest(): Address {
    let word: u32 = 0;
    while (!load<u64>(changetype<Address>(this) + (word << 3), BITMAP)) {
      countStep();
      word++;
    }
    const index = (word << 6) + <u32>ctz(load<u64>(changetype<Address>(this) + (word << 3), BITMAP));
    this.take(index);
    return this.blockAt(index);
  }

  /** Where the bitmap has the bit of block `index`, less BITMAP. */
  @inline
  private wordOf(index: u32): Address {
    return changetype<Address>(this) + ((index >> 6) << 3);
  }

  get usedCount(): u32 {
    return this.used & (UNLISTED - 1);
  }

  get isListed(): bool {
    return this.used < UNLISTED;
  }

  /** True while every block is in use. */
  get isFull(): bool {
    return this.usedCount == this.blocks;
  }

  /** True for a span in a ring none of whose blocks is in use. */
  get isEmpty(): bool {
    return this.used == 0;
  }

  /** True after a free that has made the span empty, or that has met it in no ring: one compare for both. */
  @inline
  get needsCare(): bool {
    return <u32>this.used - 1 >= <u32>UNLISTED - 1;
  }
}

/** More than the blocks of any span. */
export const UNLISTED: u16 = 0x8000;

if (offsetof<Span>() > BITMAP) ERROR("the header must end before the bitmap");

export const NO_BLOCK: u32 = u32.MAX_VALUE;

/** True if `address` lies in a page of spans. Such pages are runs of their own, so that the owner's byte is all there is. */
export function isSpanPage(address: Address): bool {
  return ownerByte(address) == Owner.HEAP_SPANS;
}

/** The header of the span that `address`, in a page of spans, lies in. */
export function spanOf(address: Address): Span {
  const header = (address >> (SPAN_SHIFT - HEADER_SHIFT)) & ((SPANS_IN_PAGE - 1) << HEADER_SHIFT);
  return changetype<Span>((address & ~(<Address>PAGE_MASK)) | header);
}

@unmanaged
class SpanPage {
  /** The heap's pages: those with a free span come first. */
  next: Address;
  previous: Address;
  /** Bit i is set while span i is free. */
  freeSpans: u32;
}
if (offsetof<SpanPage>() > HEADER_SIZE) ERROR("what is said of a page must end before its first span");

function stateOf(page: Address): SpanPage {
  return changetype<SpanPage>(page + HEADERS);
}

/** The heap's page after `page`, or 0. */
export function nextPageOf(page: Address): Address {
  return stateOf(page).next;
}

/** The header of span `number` of `page`. */
export function spanAt(page: Address, number: u32): Span {
  return changetype<Span>(page + (number << HEADER_SHIFT));
}

/** A heap's pages of spans. Those that have a free span come first, so that one look at the first tells. */
@unmanaged
export class SpanPages {
  first: Address;
  last: Address;
  count: u32;
  /** Pages all of whose spans are free. */
  empty: u32;
}

/** True if there is a span to be had without another page. */
export function hasFreeSpan(pages: SpanPages): bool {
  return pages.first != 0 && stateOf(pages.first).freeSpans != 0;
}

/** Returns a span of blocks of `blockBytes` for `heap`, all of its blocks free, or 0 with a status. O(1) */
export function allocateSpan(pages: SpanPages, heap: Address, sizeClass: Address, blockBytes: u32): Address {
  let page = pages.first;
  if (!hasFreeSpan(pages)) {
    page = allocatePages(1, Owner.HEAP_SPANS);
    if (!page) return 0;
    for (let number: u32 = 0; number < SPANS_IN_PAGE; number++) {
      countStep();
      spanAt(page, number).heap = 0;
    }
    stateOf(page).freeSpans = ALL_SPANS;
    linkFirst(pages, page);
    pages.count++;
    pages.empty++;
  }
  const state = stateOf(page);
  if (state.freeSpans == ALL_SPANS) pages.empty--;
  const number = <u32>ctz(state.freeSpans);
  state.freeSpans &= state.freeSpans - 1;
  if (state.freeSpans == 0 && state.next) {
    unlink(pages, page);
    linkLast(pages, page);
  }
  const span = spanAt(page, number);
  span.start = page + (number ? number << SPAN_SHIFT : FIRST_SPAN);
  span.heap = heap;
  span.sizeClass = sizeClass;
  prepare(span, blockBytes);
  return changetype<Address>(span);
}

function prepare(span: Span, blockBytes: u32): void {
  span.blockBytes = <u16>blockBytes;
  span.reciprocal = <u16>reciprocalOf(blockBytes >> GRANULE_SHIFT);
  const blocks = (SPAN_SIZE - <u32>(span.start & SPAN_MASK)) / blockBytes;
  span.blocks = <u16>blocks;
  span.used = UNLISTED;
  const bitmap = changetype<Address>(span) + BITMAP;
  for (let word: u32 = 0; word < BITMAP_WORDS; word++) {
    countStep();
    const bits = max(<i32>blocks - <i32>(word << 6), 0);
    store<u64>(bitmap + (word << 3), bits >= 64 ? u64.MAX_VALUE : ((<u64>1) << bits) - 1);
  }
}

/**
 * Takes a span back, and gives its page to the page heap if that is empty and another is, too: a program that takes and
 * frees one span again and again stays here. O(1)
 */
export function freeSpan(pages: SpanPages, address: Address): void {
  const page = address & ~(<Address>PAGE_MASK);
  const state = stateOf(page);
  changetype<Span>(address).heap = 0;
  if (state.freeSpans == 0 && pages.first != page) {
    unlink(pages, page);
    linkFirst(pages, page);
  }
  state.freeSpans |= 1 << (<u32>(address - page) >> HEADER_SHIFT);
  if (state.freeSpans != ALL_SPANS) return;
  pages.empty++;
  if (pages.empty > 1) freeEmptyPage(pages, page);
}

/** Gives the page that is kept empty, if there is one, to the page heap. O(pages with room) */
export function freeEmptyPages(pages: SpanPages): void {
  let page = pages.first;
  while (pages.empty) {
    const next = stateOf(page).next;
    if (stateOf(page).freeSpans == ALL_SPANS) freeEmptyPage(pages, page);
    page = next;
  }
}

function freeEmptyPage(pages: SpanPages, page: Address): void {
  unlink(pages, page);
  pages.count--;
  pages.empty--;
  freePages(page, Owner.HEAP_SPANS);
}

/** Gives every page to the page heap, whatever lives in it. O(pages) */
export function freeAllSpans(pages: SpanPages): void {
  let page = pages.first;
  while (page) {
    const next = stateOf(page).next;
    freePages(page, Owner.HEAP_SPANS);
    page = next;
  }
  pages.first = 0;
  pages.last = 0;
  pages.count = 0;
  pages.empty = 0;
}

function linkFirst(pages: SpanPages, page: Address): void {
  const state = stateOf(page);
  state.previous = 0;
  state.next = pages.first;
  if (pages.first) stateOf(pages.first).previous = page;
  else pages.last = page;
  pages.first = page;
}

function linkLast(pages: SpanPages, page: Address): void {
  const state = stateOf(page);
  state.next = 0;
  state.previous = pages.last;
  if (pages.last) stateOf(pages.last).next = page;
  else pages.first = page;
  pages.last = page;
}

function unlink(pages: SpanPages, page: Address): void {
  const state = stateOf(page);
  if (state.next) stateOf(state.next).previous = state.previous;
  else pages.last = state.previous;
  if (state.previous) stateOf(state.previous).next = state.next;
  else pages.first = state.next;
}
