// Arena: a bump allocator over a chain of blocks.
//
// Allocation moves a cursor; nothing is freed alone, everything at once. What an arena hands out is zero: the bytes that
// were used are cleared at reset, where it is one pass over memory that is still in the cache, rather than at each
// allocation. Reset keeps the blocks that recent rounds needed, so that a region which is leased event after event stops
// asking the page heap for memory.
//
//   first block                                    second block (64 KiB)
//   ┌───────┬────────────┬───────────┬ ─ ─ ─ ┐     ┌───────┬───────────┬ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┐
//   │ block │ arena      │ content   │ unused│ ──▶ │ block │ content   │ zeros
//   └───────┴─┬──────────┴───────────┴ ─ ─ ─ ┘     └───────┴───────────┴ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┘
//             │ cursor ──────────────────────────────────────────────────▲                  ▲
//             │ limit  ─────────────────────────────────────────────────────────────────────┘
//
// TypeScript does the fast paths itself (see bindings/allocators/claim.ts): it claims what is left of a block and hands it
// out, and it resets an arena that has seen next to nothing, since a call would cost more than the work. That logic exists
// twice, and property tests hold the two together. In the debug module `limit` is 0, so that nothing can be claimed and
// everything comes here.
//
// Source: the doubling block chain of obstacks and of Hanson, "Fast allocation and deallocation of memory based on
// object lifetimes" (1990); marks after Ross, "The AED free storage package" (1967).

import {
  Address,
  ALIGNMENT_LIMIT,
  alignUp,
  GRAIN,
  isPowerOfTwo,
  PAGE_SIZE,
  pagesFor,
  SIZE_LIMIT,
} from "../memory/alignment";
import { clear, poison } from "../memory/clear";
import { advanceGuard, allocateGuard, freeGuard, Guard, generationOf, RETIRED } from "../memory/guard";
import { fail, IS_DEBUG } from "../memory/root";
import { SMALL_BLOCK_SIZE } from "../memory/smallBlock";
import { Status } from "../memory/status";
import { dropMarks, outermostGuard } from "./arenaMark";
import { allocateBlock, BLOCK_HEADER, Block, freeBlock } from "./block";

/** Blocks double up to here; larger ones would waste more at their ends than they save in calls. */
export const BLOCK_LIMIT: u32 = 16 * PAGE_SIZE;

/** A request that would take a block above this gets a run of its own, so that it cannot waste or double blocks. */
const OVERSIZE: u32 = BLOCK_LIMIT / 4;

/** A peak loses 1/32 of itself each reset: a burst's blocks are given back after some hundred quiet rounds. */
const DECAY_SHIFT: u32 = 5;

@unmanaged
export class Arena {
  /** The next free byte; a multiple of 8. */
  cursor: Address;
  /** The end of what may be handed out without asking further; below `cursor` in the debug module. */
  limit: Address;
  /** The guard of refs that are made now. */
  guard: Address;
  /** Blocks, oversize runs and children: 1 while there is nothing but the first block. */
  pieces: u32;

  /** The block that `cursor` is in, and the end of its usable bytes. */
  block: Address;
  end: Address;
  /** The newest oversize run; they hang together by `previous`. */
  oversize: Address;
  /** The innermost mark. */
  mark: Address;

  /** Bytes in use in the blocks before `block` and in oversize runs. */
  usedBefore: u32;
  /** The most bytes that may be in use; u32.MAX_VALUE = no limit. */
  maximumBytes: u32;
  /** Bytes taken from below, headers included. */
  reserved: u32;
  blocks: u32;
  /** The size of the next block. */
  nextBytes: u32;
  highWater: u32;
  resets: u32;
  /** Bytes of blocks that recent rounds reached, decaying. */
  peak: u32;

  parent: Address;
  firstChild: Address;
  nextSibling: Address;
  previousSibling: Address;

  /** Numbers marks and children in the order of their making; 2^53 of them before it ends. */
  serial: f64;
  /** The serial that this arena has in its parent. */
  birth: f64;
  childCount: u32;
  depth: u32;

  /** Returns the address of `size` bytes, zero, 8-byte aligned, or 0 with a status. */
  @inline
  allocate(size: u32): Address {
    const address = this.cursor;
    const rounded = (size + (GRAIN - 1)) & ~(GRAIN - 1);
    // One compare for three cases: a size of 0 and one that wrapped to 0 become 2^32 − 1, which no block has room for.
    // `end` is at or behind `cursor`, always.
    if (rounded - 1 >= <u32>(this.end - address)) return allocateChecked(this, size, GRAIN);
    this.cursor = address + rounded;
    if (IS_DEBUG) clear(address, address + rounded);
    return address;
  }
}

/** Where the content of the first block begins, from the arena's address on. */
export const ARENA_SIZE: u32 = offsetof<Arena>();
if (ARENA_SIZE % GRAIN != 0) ERROR("the first allocation must be aligned");
if (BLOCK_HEADER + ARENA_SIZE > SMALL_BLOCK_SIZE / 4) ERROR("an arena must leave most of its first block free");

// ── allocating ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** As {@link Arena.allocate}, aligned to `alignment`, a power of two up to 4,096. */
export function allocateAligned(arena: Arena, size: u32, alignment: u32): Address {
  return alignment == GRAIN ? arena.allocate(size) : allocateChecked(arena, size, alignment);
}

/** Refuses sizes and alignments that cannot be, before it looks for room. */
function allocateChecked(arena: Arena, size: u32, alignment: u32): Address {
  if (size == 0 || size > SIZE_LIMIT) return fail(Status.INVALID_SIZE, size);
  if (!isPowerOfTwo(alignment) || alignment > ALIGNMENT_LIMIT) return fail(Status.INVALID_ALIGNMENT, alignment);
  const address = alignUp(arena.cursor, max(alignment, GRAIN));
  const rounded = <u32>alignUp(size, GRAIN);
  // Neither side can overflow: `end` and `cursor` are at most 2^32 − 64 KiB, and an alignment adds at most 4,088.
  if (address > arena.end || rounded > <u32>(arena.end - address)) return allocateSlow(arena, rounded, alignment);
  arena.cursor = address + rounded;
  if (IS_DEBUG) clear(address, address + rounded);
  return address;
}

function allocateSlow(arena: Arena, rounded: u32, alignment: u32): Address {
  const next = changetype<Block>(arena.block).next;
  if (next) {
    const padding = <u32>(alignUp(next + BLOCK_HEADER, max(alignment, GRAIN)) - next) - BLOCK_HEADER;
    if (BLOCK_HEADER + padding + rounded <= changetype<Block>(next).bytes) {
      if (padding + rounded > roomOf(arena)) return failLimit(arena, padding + rounded);
      enter(arena, next);
      return take(arena, rounded, alignment);
    }
  }
  // The content of a run of pages begins 16 bytes after a multiple of 4,096, that of any block at a multiple of 16, so
  // this is the padding of the first and the bound of the other. No sum overflows: sizes end 128 KiB below 2^32.
  const padding = alignment > BLOCK_HEADER ? alignment - BLOCK_HEADER : 0;
  if (padding + rounded > roomOf(arena)) return failLimit(arena, padding + rounded);
  const need = BLOCK_HEADER + padding + rounded;
  if (need > OVERSIZE) return allocateOversize(arena, rounded, alignment, padding);
  let block = allocateBlock(max(need, arena.nextBytes));
  // What is left of memory may hold the request, though not the block that would have been next.
  if (!block && need < arena.nextBytes) block = allocateBlock(need);
  if (!block) return 0;
  arena.nextBytes = min(max(changetype<Block>(block).bytes, PAGE_SIZE / 2) * 2, BLOCK_LIMIT);
  insertAfter(arena, block);
  enter(arena, block);
  return take(arena, rounded, alignment);
}

/** Takes bytes from the present block, which is known to have room for them. */
function take(arena: Arena, rounded: u32, alignment: u32): Address {
  const address = alignUp(arena.cursor, max(alignment, GRAIN));
  arena.cursor = address + rounded;
  if (IS_DEBUG) clear(address, address + rounded);
  return address;
}

function allocateOversize(arena: Arena, rounded: u32, alignment: u32, padding: u32): Address {
  const address = allocateBlock(BLOCK_HEADER + padding + rounded);
  if (!address) return 0;
  const block = changetype<Block>(address);
  block.previous = arena.oversize;
  block.used = padding + rounded;
  arena.oversize = address;
  arena.usedBefore += block.used;
  arena.reserved += block.bytes;
  arena.blocks++;
  arena.pieces++;
  drawEnd(arena);
  return alignUp(address + BLOCK_HEADER, max(alignment, GRAIN));
}

/** The bytes that may be handed out before the arena's own limit. */
function roomOf(arena: Arena): u32 {
  return arena.maximumBytes - min(usedBytes(arena), arena.maximumBytes);
}

/** Without a limit of its own, what an arena cannot pass is the memory's: its bytes in use are counted in 32 bits. */
function failLimit(arena: Arena, bytes: u32): Address {
  if (arena.maximumBytes == u32.MAX_VALUE) return fail(Status.MAXIMUM_REACHED, pagesFor(bytes));
  return fail(Status.BYTE_LIMIT, bytes);
}

/** Makes `block`, which follows the present one, the block to allocate from. */
function enter(arena: Arena, block: Address): void {
  const left = changetype<Block>(arena.block);
  left.used = <u32>(arena.cursor - contentOf(arena, arena.block));
  arena.usedBefore += left.used;
  arena.block = block;
  arena.cursor = contentOf(arena, block);
  drawEnd(arena);
}

/** Sets the end of the present block, drawn in where the byte limit comes first. */
function drawEnd(arena: Arena): void {
  const blockEnd = arena.block + changetype<Block>(arena.block).bytes;
  arena.end = arena.cursor + (min(<u32>(blockEnd - arena.cursor), roomOf(arena)) & ~(GRAIN - 1));
  arena.limit = IS_DEBUG ? 0 : arena.end;
}

function insertAfter(arena: Arena, address: Address): void {
  const here = changetype<Block>(arena.block);
  const block = changetype<Block>(address);
  block.previous = arena.block;
  block.next = here.next;
  if (here.next) changetype<Block>(here.next).previous = address;
  here.next = address;
  arena.reserved += block.bytes;
  arena.blocks++;
  arena.pieces++;
}

export function firstBlockOf(arena: Arena): Address {
  return changetype<Address>(arena) - BLOCK_HEADER;
}

/** Where the content of a block begins: in the first block, behind the arena itself. */
export function contentOf(arena: Arena, block: Address): Address {
  return block + BLOCK_HEADER + (block == firstBlockOf(arena) ? <usize>ARENA_SIZE : 0);
}

/** The bytes handed out, padding for alignment and marks included. */
export function usedBytes(arena: Arena): u32 {
  return arena.usedBefore + <u32>(arena.cursor - contentOf(arena, arena.block));
}

// ── making and destroying ───────────────────────────────────────────────────────────────────────────────────────────

/**
 * Returns a new arena, or 0 with a status.
 *
 * @param parent the arena with which it dies, or 0
 * @param sizeHint the bytes that it will probably hold; its first blocks are chosen to fit
 * @param maximumBytes the most bytes it may hand out; u32.MAX_VALUE for no limit
 */
export function createArena(parent: Address, sizeHint: u32, maximumBytes: u32): Address {
  const guard = allocateGuard();
  if (!guard) return 0;
  const content = min(min(sizeHint, maximumBytes), BLOCK_LIMIT - BLOCK_HEADER - ARENA_SIZE);
  let block = allocateBlock(BLOCK_HEADER + ARENA_SIZE + content);
  // A hint that cannot be met is no failure.
  if (!block && content) block = allocateBlock(BLOCK_HEADER + ARENA_SIZE);
  if (!block) {
    freeGuard(guard);
    return 0;
  }
  const arena = changetype<Arena>(block + BLOCK_HEADER);
  const bytes = changetype<Block>(block).bytes;
  arena.guard = guard;
  arena.block = block;
  arena.cursor = contentOf(arena, block);
  arena.maximumBytes = maximumBytes;
  arena.reserved = bytes;
  arena.blocks = 1;
  arena.pieces = 1;
  arena.nextBytes = bytes == SMALL_BLOCK_SIZE ? PAGE_SIZE : min(bytes * 2, BLOCK_LIMIT);
  arena.peak = bytes;
  drawEnd(arena);
  if (parent) adopt(changetype<Arena>(parent), arena);
  return changetype<Address>(arena);
}

/** Ends every ref into the arena and its children, and gives all their memory back. O(blocks + marks + children). */
export function destroyArena(arena: Arena): void {
  // Not recursive: the deepest child goes first, then the walk climbs.
  let current = arena;
  while (true) {
    while (current.firstChild) current = changetype<Arena>(current.firstChild);
    const parent = current.parent;
    const last = current == arena;
    release(current);
    if (last) return;
    current = changetype<Arena>(parent);
  }
}

/** Gives back one arena that has no children. */
function release(arena: Arena): void {
  if (arena.parent) orphan(arena);
  dropMarks(arena, 0);
  freeGuard(arena.guard);
  freeOversize(arena, 0);
  let block = lastBlockOf(arena);
  while (block) {
    const previous = changetype<Block>(block).previous;
    freeBlock(block);
    block = previous;
  }
}

function lastBlockOf(arena: Arena): Address {
  let block = arena.block;
  while (changetype<Block>(block).next) block = changetype<Block>(block).next;
  return block;
}

function adopt(parent: Arena, child: Arena): void {
  child.parent = changetype<Address>(parent);
  child.birth = ++parent.serial;
  child.nextSibling = parent.firstChild;
  if (parent.firstChild) changetype<Arena>(parent.firstChild).previousSibling = changetype<Address>(child);
  parent.firstChild = changetype<Address>(child);
  parent.childCount++;
  parent.pieces++;
}

function orphan(child: Arena): void {
  const parent = changetype<Arena>(child.parent);
  if (child.nextSibling) changetype<Arena>(child.nextSibling).previousSibling = child.previousSibling;
  if (child.previousSibling) changetype<Arena>(child.previousSibling).nextSibling = child.nextSibling;
  else parent.firstChild = child.nextSibling;
  parent.childCount--;
  parent.pieces--;
}

/** Destroys the children made after `serial`; they are the first in the list. */
export function destroyChildrenSince(arena: Arena, serial: f64): void {
  while (arena.firstChild && changetype<Arena>(arena.firstChild).birth > serial) {
    destroyArena(changetype<Arena>(arena.firstChild));
  }
}

// ── resetting ───────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Empties the arena, ends every ref into it, and destroys its children. Blocks that recent rounds did not reach go back
 * to the page heap. Returns the bytes that were in use, or u32.MAX_VALUE with a status when the guard had to be replaced
 * and memory is out; then nothing has changed.
 */
export function resetArena(arena: Arena): u32 {
  const guard = changetype<Guard>(arena.guard);
  const next = guard.generation + 1;
  // What most events leave behind: one block, no oversize run or child, and a guard that has generations left.
  if (arena.pieces > 1 || arena.mark || next == RETIRED) return resetSlow(arena);
  const start = contentOf(arena, arena.block);
  const used = <u32>(arena.cursor - start);
  guard.generation = next;
  wipe(start, arena.cursor);
  arena.cursor = start;
  arena.highWater = max(arena.highWater, used);
  arena.resets++;
  return used;
}

/**
 * Resets an arena for a claimant (see bindings/allocators/claim.ts), who has claimed up to `limit` (0: has no
 * claim) and come to `cursor`; afterwards everything from the first byte of content up to the arena's limit is claimed.
 * Returns what `resetArena` does; where it fails, nothing is claimed.
 */
export function resetClaimed(arena: Arena, cursor: Address, limit: Address): u32 {
  // A cursor that is elsewhere has gone on to another block since, and what was claimed is full.
  if (limit && arena.cursor == limit) arena.cursor = cursor;
  const used = resetArena(arena);
  if (used != u32.MAX_VALUE) arena.cursor = max(arena.cursor, arena.limit);
  return used;
}

function resetSlow(arena: Arena): u32 {
  const base = advanceGuard(arena.mark ? outermostGuard(arena) : arena.guard);
  if (!base) return u32.MAX_VALUE;
  dropMarks(arena, 0);
  arena.guard = base;
  const used = usedBytes(arena);
  arena.highWater = max(arena.highWater, used);
  arena.resets++;
  if (arena.firstChild) destroyChildrenSince(arena, -1);
  if (arena.oversize) freeOversize(arena, 0);
  const reached = rewindBlocks(arena, firstBlockOf(arena), contentOf(arena, firstBlockOf(arena)));
  arena.peak = max(reached, arena.peak - (arena.peak >> DECAY_SHIFT));
  arena.usedBefore = 0;
  if (arena.reserved > arena.peak && arena.blocks > 1) trim(arena);
  drawEnd(arena);
  return used;
}

/**
 * Clears what is in use from `cursor` in `target` up to the present cursor, and makes that the place to allocate from.
 * Returns the bytes of the blocks up to the one that was current.
 */
function rewindBlocks(arena: Arena, target: Address, cursor: Address): u32 {
  let block = arena.block;
  let end = arena.cursor;
  let reached: u32 = 0;
  while (block != target) {
    const header = changetype<Block>(block);
    reached += header.bytes;
    wipe(contentOf(arena, block), end);
    block = header.previous;
    end = contentOf(arena, block) + changetype<Block>(block).used;
  }
  wipe(cursor, end);
  arena.block = target;
  arena.cursor = cursor;
  return reached + changetype<Block>(target).bytes;
}

function wipe(start: Address, end: Address): void {
  if (IS_DEBUG) poison(start, end);
  else clear(start, end);
}

/** Gives back the blocks behind the first ones that together hold the peak. */
function trim(arena: Arena): void {
  let kept = changetype<Block>(arena.block).bytes;
  let block = changetype<Block>(arena.block).next;
  while (block && kept < arena.peak) {
    kept += changetype<Block>(block).bytes;
    block = changetype<Block>(block).next;
  }
  if (!block) return;
  changetype<Block>(changetype<Block>(block).previous).next = 0;
  while (block) {
    const next = changetype<Block>(block).next;
    arena.reserved -= changetype<Block>(block).bytes;
    arena.blocks--;
    arena.pieces--;
    freeBlock(block);
    block = next;
  }
  arena.nextBytes = max(min(kept, BLOCK_LIMIT), PAGE_SIZE);
}

function freeOversize(arena: Arena, until: Address): void {
  while (arena.oversize != until) {
    const address = arena.oversize;
    const block = changetype<Block>(address);
    arena.oversize = block.previous;
    arena.reserved -= block.bytes;
    arena.blocks--;
    arena.pieces--;
    freeBlock(address);
  }
}

/**
 * Makes sure that `bytes`, or as many as one block holds, can be handed out before the page heap is asked; used where a
 * hint is known. Returns 1, or 0 with a status. O(blocks not in use).
 */
export function reserveArena(arena: Arena, bytes: u32): u32 {
  bytes = min(bytes, roomOf(arena)); // more could never be used
  let ready = <u32>(arena.end - arena.cursor);
  for (let block = changetype<Block>(arena.block).next; block && ready < bytes; block = changetype<Block>(block).next) {
    ready += changetype<Block>(block).bytes - BLOCK_HEADER;
  }
  if (ready >= bytes) return 1;
  const block = allocateBlock(min(bytes - ready, BLOCK_LIMIT - BLOCK_HEADER) + BLOCK_HEADER);
  if (!block) return 0;
  insertAfter(arena, block);
  arena.peak = max(arena.peak, arena.reserved);
  return 1;
}

// ── undoing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Puts the place to allocate from back to an earlier one, as `arena` showed it then. No guard moves. */
export function rollBack(arena: Arena, block: Address, cursor: Address, oversize: Address, usedBefore: u32): void {
  freeOversize(arena, oversize);
  rewindBlocks(arena, block, cursor);
  arena.usedBefore = usedBefore;
  drawEnd(arena);
}

/** Undoes what failed half-way: rolls back, and gives back the blocks behind, as far as recent rounds did not need them. */
export function undo(arena: Arena, block: Address, cursor: Address, oversize: Address, usedBefore: u32): void {
  rollBack(arena, block, cursor, oversize, usedBefore);
  if (arena.reserved > arena.peak) trim(arena);
}

// ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The bytes that the arena and those nested in it have taken from below, headers included. O(arenas). */
export function reservedBytes(arena: Arena): u32 {
  let bytes: u32 = 0;
  // Not recursive: into the first child, else on to the next sibling, climbing where there is none.
  let current = arena;
  while (true) {
    bytes += current.reserved;
    let next = current.firstChild;
    while (!next && current != arena) {
      next = current.nextSibling;
      if (!next) current = changetype<Arena>(current.parent);
    }
    if (!next) return bytes;
    current = changetype<Arena>(next);
  }
}

/** True when the `bytes` (at least 1) from `address` on lie in one piece that this arena has handed out. O(blocks). */
export function arenaContains(arena: Arena, address: Address, bytes: u32): bool {
  const content = contentOf(arena, arena.block);
  if (isInside(address, bytes, content, <u32>(arena.cursor - content))) return true;
  for (let block = changetype<Block>(arena.block).previous; block; block = changetype<Block>(block).previous) {
    if (isInside(address, bytes, contentOf(arena, block), changetype<Block>(block).used)) return true;
  }
  for (let block = arena.oversize; block; block = changetype<Block>(block).previous) {
    if (isInside(address, bytes, block + BLOCK_HEADER, changetype<Block>(block).used)) return true;
  }
  return false;
}

/** Written without a sum that could overflow. */
function isInside(address: Address, bytes: u32, start: Address, length: u32): bool {
  return address >= start && bytes <= length && <u32>(address - start) <= length - bytes;
}
