// Cell classes: where new objects of one size go. Every struct has a class of its own; variable-length objects share some.
//
// Allocation moves a cursor through a run of free cells, as an arena does. A run is claimed from the start bits of a block with
// room: all its bits are set at once, its memory is cleared in one pass, and what is left of it is given back when a cycle
// begins or ends. So the fast path looks at no bitmap, and a sweep frees 32 cells a step by an and of two words.

import { Address, PAGE_SHIFT, PAGE_SIZE, pagesFor } from "../memory/alignment";
import { poison } from "../memory/clear";
import { allocatePages, availablePages, freePages, Owner, ownerPages, runStartOf } from "../memory/pageHeap";
import { joinRing, leaveRing } from "../memory/ring";
import { IS_DEBUG } from "../memory/root";
import { countStep } from "../memory/work";
import { leaveBlock } from "./blockWalk";
import {
  BLOCK_HEADER,
  blockOf,
  CELLS_LIMIT,
  CellBlock,
  cellsInPage,
  firstCell,
  reciprocalOf,
  STRIDE_MINIMUM,
} from "./cellBlock";
import { Heap, Phase, refuse, seekLost } from "./heap";

@unmanaged
export class CellClass {
  /** The next object of the run, and where the run ends; equal if it is used up. */
  cursor: Address;
  limit: Address;
  heap: Heap;
  /** The type of all objects, or 0 if each names its own. */
  type: Address;
  /** From an object to the next one, in bytes; 0 where each block is made for its object. */
  stride: u32;
  reciprocal: u32;
  first: u32;
  marks: u32;
  cells: u32;
  pages: u32;
  /** Rings of all blocks, and of those that have a free cell and may be allocated from. */
  blocks: Address;
  room: Address;
  /** Cells whose start bit is set, and the bytes of all blocks that were made for one object. */
  taken: u32;
  ownBytes: u32;
  blockCount: u32;
  /** The next block to be swept, and how many there are. */
  sweepNext: Address;
  sweepLeft: u32;
  /** Advances when the ring of blocks with room is given up as a whole. */
  roomEpoch: u32;
  nextClass: Address;
  /** Of variable-length objects: 1 if none of them has slots. */
  isLeaf: u32;

  /** Returns a new object, zeroed, or 0 with a status. */
  @inline
  allocate(): Address {
    const object = this.cursor;
    if (object == this.limit) return claimRun(this);
    this.cursor = object + this.stride;
    return object;
  }

  /** The objects of the run that have not been handed out. */
  get unused(): u32 {
    return this.limit == this.cursor ? 0 : <u32>(this.limit - this.cursor) / this.stride;
  }

  /** True for a cell that was claimed and not handed out. */
  isUnused(object: Address): bool {
    return object >= this.cursor && object < this.limit;
  }
}
export const CLASS_BYTES: u32 = offsetof<CellClass>();

/** A run ends when it has as many bytes, and at the next cell in use. */
const RUN_BYTES: u32 = 4096;

/** Objects up to this size share pages with others; larger ones have pages of their own. */
export const CELL_LIMIT: u32 = 8192;

/** While blocks wait to be swept, an allocation that finds no room sweeps as many before it takes a new page. */
const SWEEPS_FOR_ROOM: u32 = 8;

/** What a sweep of one block comes to at most, in units: one for each word of its bitmaps, and one for the block. */
const SWEEP_UNITS_LIMIT: u32 = (CELLS_LIMIT >> 5) + 1;
if (SWEEP_UNITS_LIMIT != 257) ERROR("the bound on a step's units that tests hold is that of a block's sweep");

/** Lays out a class for objects of `bytes`, at most 8-byte aligned, at `c`, which is zeroed; `bytes` 0 for blocks made to measure. */
export function layOut(c: CellClass, heap: Heap, bytes: u32, isWordAligned: bool): void {
  c.heap = heap;
  c.roomEpoch = 1;
  if (heap.lastClass) changetype<CellClass>(heap.lastClass).nextClass = changetype<Address>(c);
  else heap.classes = changetype<Address>(c);
  heap.lastClass = changetype<Address>(c);
  c.cells = 1;
  if (bytes) {
    const grain: u32 = isWordAligned || bytes & 4 ? 4 : 8;
    c.stride = max(STRIDE_MINIMUM, (heap.lead + bytes + grain - 1) & ~(grain - 1));
    if (c.stride <= CELL_LIMIT) {
      c.cells = cellsInPage(c.stride, heap.lead);
      c.reciprocal = reciprocalOf(c.stride);
    }
  }
  c.first = firstCell(c.cells, heap.lead);
  c.marks = BLOCK_HEADER + (((c.cells + 31) >> 5) << 2);
  c.pages = pagesFor(c.first + c.stride);
  if (c.cells > 1) c.pages = 1;
}

// ── claiming ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Claims another run and returns its first object, or 0 with a status. O(words of bitmaps with no free bit), amortized O(1) */
function claimRun(c: CellClass): Address {
  for (;;) {
    while (c.room) {
      countStep();
      const block = changetype<CellBlock>(c.room);
      if (block.free && claimIn(c, block)) return takeFirst(c);
      leaveRoom(c, block);
    }
    if (!sweepForRoom(c)) break;
  }
  if (!addBlock(c, c.pages)) return 0;
  claimIn(c, changetype<CellBlock>(c.room));
  return takeFirst(c);
}

function takeFirst(c: CellClass): Address {
  const object = c.cursor;
  c.cursor = object + c.stride;
  return object;
}

function sweepForRoom(c: CellClass): bool {
  if (c.heap.phase != Phase.SWEEP) return false;
  for (let swept: u32 = 0; swept < SWEEPS_FOR_ROOM && c.sweepLeft; swept++) {
    c.heap.cycleUnits += sweepNext(c);
    if (c.room) return true;
  }
  return false;
}

/** Claims the first run of free cells of a block. Returns false if there is none. */
function claimIn(c: CellClass, block: CellBlock): bool {
  const words = block.words;
  let index = block.scan;
  let free: u32 = 0;
  for (; index < words; index++) {
    countStep();
    free = freeBits(block, index, words);
    if (free) break;
  }
  block.scan = index;
  if (!free) return false;
  const bit = <u32>ctz(free);
  const heap = c.heap;
  const most = max<u32>(RUN_BYTES / c.stride, 1);
  let count = min(min(<u32>ctz(~(free >> bit)), 32 - bit), most);
  take(heap, block, index, (count == 32 ? u32.MAX_VALUE : (1 << count) - 1) << bit);
  const start = (index << 5) + bit;
  while (((start + count) & 31) == 0 && count < most && ++index < words) {
    countStep();
    const more = <u32>ctz(~freeBits(block, index, words));
    if (more == 0) break;
    take(heap, block, index, more == 32 ? u32.MAX_VALUE : (1 << more) - 1);
    count += more;
  }
  block.free -= count;
  c.taken += count;
  heap.allocated += count * c.stride;
  c.cursor = block.objectAt(start, c.stride);
  c.limit = c.cursor + <usize>count * c.stride;
  clearWords(c.cursor - heap.lead, c.limit - heap.lead);
  return true;
}

function freeBits(block: CellBlock, index: u32, words: u32): u32 {
  const free = ~load<u32>(block.startWord(index));
  return index + 1 == words ? free & block.lastMask() : free;
}

function take(heap: Heap, block: CellBlock, index: u32, bits: u32): void {
  const starts = block.startWord(index);
  store<u32>(starts, load<u32>(starts) | bits);
  if (!heap.black) return;
  const marks = block.markWord(index);
  store<u32>(marks, load<u32>(marks) | bits);
}

function clearWords(start: Address, end: Address): void {
  for (; start + 16 <= end; start += 16) v128.store(start, i64x2.splat(0));
  for (; start < end; start += 4) store<u32>(start, 0);
}

/** Gives back what is left of the run, if anything. O(words of its bits) */
export function retireRun(c: CellClass): void {
  const count = c.unused;
  if (count) {
    const block = blockOf(c.cursor);
    const start = block.indexOf(c.cursor);
    for (let index = start; index < start + count; index = (index | 31) + 1) {
      countStep();
      const bits = min(32 - (index & 31), start + count - index);
      const mask = ~((bits == 32 ? u32.MAX_VALUE : (1 << bits) - 1) << (index & 31));
      const starts = block.startWord(index >> 5);
      const marks = block.markWord(index >> 5);
      store<u32>(starts, load<u32>(starts) & mask);
      store<u32>(marks, load<u32>(marks) & mask);
    }
    c.taken -= count;
    c.heap.allocated -= count * c.stride;
    giveRoom(c, block, start, count);
  }
  c.cursor = 0;
  c.limit = 0;
}

// ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The program was refused a run of pages, by this heap or by whatever else lies in memory. Returns 0, for the caller to return in turn. */
export function refusePages(heap: Heap, pages: u32): Address {
  // More than all objects of all heaps could make room for: collecting would be in vain.
  return pages > availablePages() + ownerPages(Owner.COLLECTED) ? 0 : refuse(heap);
}

function addBlock(c: CellClass, pages: u32): Address {
  const address = allocatePages(pages, Owner.COLLECTED);
  if (!address) return refusePages(c.heap, pages);
  const block = changetype<CellBlock>(address);
  memory.fill(address, 0, c.first);
  block.cellClass = changetype<Address>(c);
  block.type = c.type;
  block.reciprocal = c.reciprocal;
  block.first = c.first;
  block.marks = c.marks;
  block.cells = c.cells;
  block.free = c.cells;
  block.pages = pages;
  joinRing(changetype<Address>(c) + offsetof<CellClass>("blocks"), address);
  c.blockCount++;
  c.heap.blockPages += pages;
  seekLost(c.heap); // there is memory
  joinRoom(c, block);
  return address;
}

/** Makes a block for one object of `bytes`, of a class without a stride. Returns the object, zeroed, or 0 with a status. O(bytes) */
export function allocateOwn(c: CellClass, bytes: u32): Address {
  const pages = pagesFor(c.first + bytes);
  const address = addBlock(c, pages);
  if (!address) return 0;
  const block = changetype<CellBlock>(address);
  leaveRoom(c, block);
  take(c.heap, block, 0, 1);
  block.free = 0;
  c.taken++;
  c.ownBytes += pages << PAGE_SHIFT;
  c.heap.allocated += pages << PAGE_SHIFT;
  memory.fill(address + c.first - c.heap.lead, 0, (pages << PAGE_SHIFT) - (c.first - c.heap.lead));
  return block.objectAt(0, 0);
}

function removeBlock(c: CellClass, block: CellBlock): void {
  const address = changetype<Address>(block);
  if (hasRoom(c, block)) leaveRoom(c, block);
  if (c.heap.walkBlock == address) leaveBlock(c.heap);
  leaveRing(changetype<Address>(c) + offsetof<CellClass>("blocks"), address);
  c.blockCount--;
  c.heap.blockPages -= block.pages;
  if (!c.stride) c.ownBytes -= block.pages << PAGE_SHIFT;
  freePages(address, Owner.COLLECTED);
}

/** `count` cells from `start` on have become free: the block has room, or is given back when it is empty and another has room. */
function giveRoom(c: CellClass, block: CellBlock, start: u32, count: u32): void {
  block.free += count;
  block.scan = min(block.scan, start >> 5);
  if (block.free == block.cells) {
    const isOnly = hasRoom(c, block) ? block.roomNext == changetype<Address>(block) : c.room == 0;
    if (block.pages > 1 || !c.stride || !isOnly) {
      removeBlock(c, block);
      return;
    }
  }
  if (!hasRoom(c, block)) joinRoom(c, block);
}

/** Frees the cell of an object. O(1), O(bytes) in the debug module */
export function freeCell(c: CellClass, object: Address): void {
  const block = blockOf(object);
  const index = block.indexOf(object);
  const starts = block.startWord(index >> 5);
  store<u32>(starts, load<u32>(starts) & ~(1 << (index & 31)));
  c.taken--;
  if (IS_DEBUG) poisonCell(c, block, object);
  giveRoom(c, block, index, 1);
}

function poisonCell(c: CellClass, block: CellBlock, object: Address): void {
  const start = object - c.heap.lead;
  poison(start, c.stride ? start + c.stride : changetype<Address>(block) + ((<usize>block.pages) << PAGE_SHIFT));
}

function hasRoom(c: CellClass, block: CellBlock): bool {
  return block.roomEpoch == c.roomEpoch;
}

/** The ring of blocks with room runs through words of its own. */
function joinRoom(c: CellClass, block: CellBlock): void {
  const address = changetype<Address>(block);
  block.roomEpoch = c.roomEpoch;
  if (!c.room) {
    block.roomNext = address;
    block.roomPrevious = address;
    c.room = address;
    return;
  }
  const first = changetype<CellBlock>(c.room);
  const last = changetype<CellBlock>(first.roomPrevious);
  block.roomNext = c.room;
  block.roomPrevious = first.roomPrevious;
  last.roomNext = address;
  first.roomPrevious = address;
}

function leaveRoom(c: CellClass, block: CellBlock): void {
  block.roomEpoch = 0;
  if (block.roomNext == changetype<Address>(block)) {
    c.room = 0;
    return;
  }
  changetype<CellBlock>(block.roomNext).roomPrevious = block.roomPrevious;
  changetype<CellBlock>(block.roomPrevious).roomNext = block.roomNext;
  if (c.room == changetype<Address>(block)) c.room = block.roomNext;
}

// ── sweeping ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Has all blocks wait to be swept, so that none is allocated from before. O(cells of a run) */
export function beginSweep(c: CellClass): void {
  retireRun(c);
  c.room = 0;
  c.roomEpoch++;
  c.sweepNext = c.blocks;
  c.sweepLeft = c.blockCount;
}

/** Frees the unmarked objects of the next block that waits, of which there must be one. Returns the units that it took. */
export function sweepNext(c: CellClass): u32 {
  const block = changetype<CellBlock>(c.sweepNext);
  c.sweepNext = block.next;
  c.sweepLeft--;
  const words = block.words;
  let taken: u32 = 0;
  for (let index: u32 = 0; index < words; index++) {
    countStep();
    const starts = block.startWord(index);
    const marks = block.markWord(index);
    const started = load<u32>(starts);
    const live = started & load<u32>(marks);
    if (IS_DEBUG) poisonDead(c, block, index, started & ~live);
    store<u32>(starts, live);
    store<u32>(marks, 0);
    taken += <u32>popcnt(live);
  }
  const dead = block.cells - block.free - taken;
  c.taken -= dead;
  c.heap.freedObjects += dead;
  block.free += dead;
  block.scan = 0;
  if (block.free) giveRoom(c, block, 0, 0);
  return words + 1;
}

function poisonDead(c: CellClass, block: CellBlock, index: u32, dead: u32): void {
  for (; dead; dead &= dead - 1) poisonCell(c, block, block.objectAt((index << 5) + <u32>ctz(dead), c.stride));
}

/** The bytes of cells that are claimed and not handed out. O(classes) */
export function unusedBytes(heap: Heap): u32 {
  let bytes: u32 = 0;
  for (let address = heap.classes; address; ) {
    const c = changetype<CellClass>(address);
    bytes += <u32>(c.limit - c.cursor);
    address = c.nextClass;
  }
  return bytes;
}

/** The bytes that have been allocated since `heap.allocated` was set, exactly. O(classes) */
export function allocatedBy(heap: Heap): u32 {
  return heap.allocated - unusedBytes(heap);
}

/** The bytes of all objects of a class. */
export function bytesOf(c: CellClass): u32 {
  return c.stride ? (c.taken - c.unused) * c.stride : c.ownBytes;
}

/** The object whose cell holds `address`. O(pages of its block) */
export function objectAround(address: Address): Address {
  const block = changetype<CellBlock>(runStartOf(address));
  if (block.pages > 1) return block.objectAt(0, 0);
  return block.objectAt(block.indexOf(address), changetype<CellClass>(block.cellClass).stride);
}

/** Gives back all blocks. O(blocks) */
export function removeBlocks(c: CellClass): void {
  while (c.blocks) removeBlock(c, changetype<CellBlock>(c.blocks));
}
if (CELL_LIMIT * 7 > PAGE_SIZE - 256) ERROR("the largest cells must fill most of a page");
