// Pool: cells of one size, allocated and freed in O(1).
//
// A cell is known by its address and the generation of its guard, which is odd while the cell is in use (guardRun.ts).
// Every free is checked; a cell's generation does not wrap: after 2^31 uses the cell is retired.
//
// Source of the division by multiplication that also tells what is no multiple: Granlund and Montgomery, "Division by
// invariant integers using multiplication" (1994), section 9.
//
// TypeScript claims free cells a few at a time and hands them out itself (bindings/allocators/warmCells.ts); in the debug
// module, and for large cells, everything is a call.

import { Address, alignUp, GRAIN, PAGE_MASK, PAGE_SIZE, pagesFor } from "../memory/alignment";
import { clear, isPoisoned, poison } from "../memory/clear";
import { guardPagesFor, RETIRED_CELL, wearGuardRun } from "../memory/guardRun";
import { availablePages, Owner, ownerByte, ownerOf } from "../memory/pageHeap";
import { joinRing, leaveRing } from "../memory/ring";
import { fail, IS_DEBUG, root } from "../memory/root";
import { Status } from "../memory/status";
import { countStep } from "../memory/work";
import {
  allocateSlab,
  cellsIn,
  endCells,
  FIRST_CELL,
  FreeCell,
  freeSlab,
  nextSlab,
  SLAB_HEADER,
  Slab,
  slabOf,
  slabPagesFor,
  threadCells,
  UNLISTED,
} from "./slab";

/** The largest cell, in bytes: that of the largest struct. */
export const CELL_LIMIT: u32 = 1 << 20;

/** Behind each cell of the debug module, to show writes past its end. */
export const CELL_CANARY: u64 = 0x5afe_c0de_5afe_c0de;

/** The most warm cells of a pool, and how many are taken from the slabs, or given back to them, at a time. */
export const WARM_LIMIT: u32 = 16;
const BATCH: u32 = WARM_LIMIT / 2;

/** A cell that was freed a moment ago, or is next to be handed out. */
@unmanaged
class WarmCell {
  cell: Address;
  guard: Address;
}

/**
 * The cells that were freed last are handed out first, and without a look at their slabs, in which they count as in use;
 * that their generations are even tells everyone that they are free.
 */
@unmanaged
export class Pool {
  /** The ring of slabs with a free cell. */
  current: Address;
  /** How many warm cells there are; they lie behind the pool. */
  warmCount: u32;
  /** Cells that are taken from the slabs: in use, warm, or claimed by TypeScript. */
  taken: u32;
  cellBytes: u32;
  /** From one cell to the next, in bytes. */
  stride: u32;
  /** The stride is 2^`strideShift` times an odd number, and this its inverse modulo 2^32. */
  strideInverse: u32;
  strideShift: u32;
  slabPages: u32;
  slabCells: u32;
  slabs: u32;
  /** All cells, in use, free and retired. */
  capacity: u32;
  /** As many cells there were at first; the capacity does not fall below that. */
  reserved: u32;
  /** Cells whose generations have run out since the pool was made. */
  retired: u32;
  /** 1 if the pool has all the slabs that it will ever have. */
  isFixed: u32;
  /** The guard of the cell that the last call has found. */
  guard: Address;
  /** Debug module: a cell that was written to after its free, or past its end. */
  damaged: Address;

  /** Returns the address of a cell, not cleared, or 0 with a status. */
  @inline
  allocate(): Address {
    return this.warmCount ? this.takeWarm() : allocateCold(this);
  }

  /** Takes a cell back. Returns 1, or 0 with a status if none in use begins at `address`; then nothing has changed. */
  @inline
  free(address: Address): u32 {
    const guard = this.guardOf(address);
    if (!guard) return 0;
    this.give(address, guard);
    return 1;
  }

  /** The guard of the cell in use that begins at `address`, or 0 with a status. */
  @inline
  guardOf(address: Address): Address {
    // The first page of a slab shows this byte; of one with several pages the others are left to the slow way.
    if (ownerByte(address) != Owner.POOL) return guardBehind(this, address);
    return this.guardIn(changetype<Slab>(address & ~(<Address>PAGE_MASK)), address);
  }

  @inline
  guardIn(slab: Slab, address: Address): Address {
    if (slab.pool != changetype<Address>(this)) return fail(Status.FOREIGN_ADDRESS, <u32>address);
    const offset = <u32>(address - changetype<Address>(slab)) - FIRST_CELL;
    // This makes of each number another one, 0, 1, 2, … of the multiples of the stride: what is left for all others is larger.
    const index = rotr<u32>(offset * this.strideInverse, this.strideShift);
    if (index >= slab.cells) return fail(Status.INTERIOR_ADDRESS, <u32>address);
    const guard = slab.guardAt(index);
    return load<u32>(guard) & 1 ? guard : fail(Status.FREED_ADDRESS, <u32>address);
  }

  @inline
  takeWarm(): Address {
    const last = this.warmCount - 1;
    this.warmCount = last;
    const warm = this.warmAt(last);
    const guard = warm.guard;
    store<u32>(guard, load<u32>(guard) + 1);
    if (IS_DEBUG) arm(this, warm.cell);
    return warm.cell;
  }

  /** Takes back a cell that is in use and has this guard. */
  @inline
  give(cell: Address, guard: Address): void {
    if (IS_DEBUG) inspect(this, cell);
    const generation = load<u32>(guard) + 1;
    const count = this.warmCount;
    store<u32>(guard, generation);
    if (count == WARM_LIMIT || generation == RETIRED_CELL) giveCold(this, cell, guard);
    else this.pushWarm(count, cell, guard);
  }

  @inline
  pushWarm(count: u32, cell: Address, guard: Address): void {
    const warm = this.warmAt(count);
    warm.cell = cell;
    warm.guard = guard;
    this.warmCount = count + 1;
  }

  @inline
  warmAt(index: u32): WarmCell {
    return changetype<WarmCell>(changetype<Address>(this) + offsetof<Pool>() + index * offsetof<WarmCell>());
  }
}

/** The pool and its warm cells lie in its first slab. */
if (SLAB_HEADER + offsetof<Pool>() + WARM_LIMIT * offsetof<WarmCell>() > FIRST_CELL) {
  ERROR("a pool must fit before the first cell");
}

/** As `guardOf`, of an address that is not in the first page of a slab. */
function guardBehind(pool: Pool, address: Address): Address {
  if (ownerOf(address) != Owner.POOL) return fail(Status.FOREIGN_ADDRESS, <u32>address);
  return pool.guardIn(slabOf(address), address);
}

function allocateCold(pool: Pool): Address {
  let cell = claimFromSlab(pool, BATCH);
  if (!cell) return 0;
  let count: u32 = 0;
  for (let next = cell; next; next = changetype<FreeCell>(next).next) count++;
  pool.warmCount = count;
  // The first of the list is to go first.
  while (count--) {
    const guard = changetype<FreeCell>(cell).guard;
    const next = changetype<FreeCell>(cell).next;
    const warm = pool.warmAt(count);
    warm.cell = cell;
    warm.guard = guard;
    cell = next;
  }
  return pool.takeWarm();
}

/** Takes back a cell whose generation is even again, when there is no room for it, or none is left to come. */
function giveCold(pool: Pool, cell: Address, guard: Address): void {
  if (load<u32>(guard) == RETIRED_CELL) {
    const slab = slabOf(cell);
    pool.retired++;
    wearGuardRun(slab.guards);
    leaveSlab(pool, slab);
    return;
  }
  returnWarm(pool, BATCH);
  pool.pushWarm(pool.warmCount, cell, guard);
}

/** Gives the `count` cells that have been warm longest back to their slabs. */
function returnWarm(pool: Pool, count: u32): void {
  for (let index: u32 = 0; index < count; index++) {
    countStep();
    const warm = pool.warmAt(index);
    returnCell(pool, warm.cell, warm.guard);
  }
  pool.warmCount -= count;
  memory.copy(
    changetype<Address>(pool.warmAt(0)),
    changetype<Address>(pool.warmAt(count)),
    pool.warmCount * offsetof<WarmCell>(),
  );
}

function returnCell(pool: Pool, cell: Address, guard: Address): void {
  const slab = slabOf(cell);
  changetype<FreeCell>(cell).next = slab.free;
  changetype<FreeCell>(cell).guard = guard;
  slab.free = cell;
  leaveSlab(pool, slab);
}

/** One cell less is taken from a slab. */
function leaveSlab(pool: Pool, slab: Slab): void {
  pool.taken--;
  slab.used--;
  settle(pool, slab);
}

/** A slab that has a free cell threaded, or 0 with a status. */
function slabWithRoom(pool: Pool): Address {
  while (pool.current) {
    countStep();
    const slab = changetype<Slab>(pool.current);
    threadCells(slab, pool.stride);
    if (slab.free) return changetype<Address>(slab);
    unlist(pool, slab);
  }
  if (pool.isFixed) return fail(Status.POOL_FULL, pool.capacity);
  return addSlab(pool, pool.slabCells) ? slabWithRoom(pool) : 0;
}

/**
 * Takes up to `limit` free cells of one slab off its list. They count as in use from here on, but their generations stay
 * even. Returns the first; they hang together. 0 with a status if there is none to be had.
 */
function claimFromSlab(pool: Pool, limit: u32): Address {
  const address = slabWithRoom(pool);
  if (!address) return 0;
  const slab = changetype<Slab>(address);
  const first = slab.free;
  let last = changetype<FreeCell>(first);
  let count: u32 = 1;
  while (count < limit && last.next) {
    countStep();
    last = changetype<FreeCell>(last.next);
    count++;
  }
  slab.free = last.next;
  last.next = 0;
  slab.used += count;
  pool.taken += count;
  return first;
}

function addSlab(pool: Pool, cells: u32): bool {
  const address = allocateSlab(changetype<Address>(pool), pool.slabPages, cells);
  if (!address) return false;
  enlist(pool, changetype<Slab>(address));
  return true;
}

/** Takes a new slab into the pool's figures and ring. */
function enlist(pool: Pool, slab: Slab): void {
  pool.slabs++;
  pool.capacity += slab.cells;
  list(pool, slab);
}

function list(pool: Pool, slab: Slab): void {
  slab.used &= ~UNLISTED;
  joinRing(changetype<Address>(pool) + offsetof<Pool>("current"), changetype<Address>(slab));
}

function unlist(pool: Pool, slab: Slab): void {
  slab.used |= UNLISTED;
  leaveRing(changetype<Address>(pool) + offsetof<Pool>("current"), changetype<Address>(slab));
}

/**
 * What a free has made of a slab: one with room again, or one that is empty. An empty one goes back if the cells that stay
 * free without it would fill half of it, so that a pool at the edge of a slab does not take and give it in turn.
 */
function settle(pool: Pool, slab: Slab): void {
  if (!slab.isListed && !slab.isFull) list(pool, slab);
  const isFirst = changetype<Address>(slab) + SLAB_HEADER == changetype<Address>(pool);
  const left = pool.capacity - slab.cells;
  if (slab.usedCount || isFirst || left < pool.reserved) return;
  if ((left - pool.taken) * 2 >= slab.cells) removeSlab(pool, slab);
}

function removeSlab(pool: Pool, slab: Slab): void {
  if (slab.isListed) unlist(pool, slab);
  pool.slabs--;
  pool.capacity -= slab.cells;
  pool.retired += freeSlab(slab, pool.stride);
}

// ── making and destroying ───────────────────────────────────────────────────────────────────────────────────────────

/**
 * Returns a new pool, or 0 with a status; then nothing has changed.
 *
 * @param cellBytes 1 … CELL_LIMIT
 * @param capacity the cells to reserve at once; 0 for those of one slab
 * @param isFixed 1 if there shall never be more
 */
export function createPool(cellBytes: u32, capacity: u32, isFixed: u32): Address {
  if (cellBytes == 0 || cellBytes > CELL_LIMIT) return fail(Status.INVALID_SIZE, cellBytes);
  const stride = strideFor(cellBytes);
  let pages = slabPagesFor(stride);
  let cells = cellsIn(pages, stride);
  // A pool that will never have more than a part of a slab takes no more than that.
  if (isFixed && capacity < cells) {
    cells = capacity;
    pages = pagesFor(FIRST_CELL + cells * stride);
  }
  const first = isFixed ? min(capacity, cells) : cells;
  if (!hasRoomFor(capacity, cells, pages)) return 0;
  const address = allocateSlab(0, pages, first);
  if (!address) return 0;
  const pool = changetype<Pool>(address + SLAB_HEADER);
  memory.fill(changetype<Address>(pool), 0, offsetof<Pool>());
  changetype<Slab>(address).pool = changetype<Address>(pool);
  pool.cellBytes = cellBytes;
  pool.stride = stride;
  pool.strideShift = <u32>ctz(stride);
  pool.strideInverse = inverseOf(stride >> pool.strideShift);
  pool.slabPages = pages;
  pool.slabCells = cells;
  enlist(pool, changetype<Slab>(address));
  while (pool.capacity < capacity) {
    if (addSlab(pool, isFixed ? min(capacity - pool.capacity, cells) : cells)) continue;
    destroyPool(pool);
    return 0;
  }
  pool.reserved = pool.capacity;
  pool.isFixed = isFixed;
  return changetype<Address>(pool);
}

/** From one cell to the next. */
export function strideFor(cellBytes: u32): u32 {
  const content = max(<u32>alignUp(cellBytes, GRAIN), offsetof<FreeCell>());
  return content + (IS_DEBUG ? <u32>sizeof<u64>() : 0);
}

/** The number by which `odd`, an odd number, has to be multiplied to make 1, modulo 2^32. */
function inverseOf(odd: u32): u32 {
  // Every odd number is its own inverse modulo 8, and each turn doubles the bits that are right: 3, 6, 12, 24, 48.
  let inverse = odd;
  for (let bits = 3; bits < 32; bits *= 2) inverse *= 2 - odd * inverse;
  return inverse;
}

/**
 * True if there are pages for `capacity` cells, or those of one slab, else false with a status. Known beforehand, since pages that
 * have once held generations are never given back: what failed half way would leave them behind. That can still be where a slab
 * takes several pages, and those that are free lie apart: then one page of generations may stay, for the next that needs some.
 */
function hasRoomFor(capacity: u32, cellsInSlab: u32, slabPages: u32): bool {
  const slabs = capacity <= cellsInSlab ? 1 : (capacity - 1) / cellsInSlab + 1;
  const room = availablePages();
  let pages = <u64>slabs * slabPages;
  if (pages <= room) pages += guardPagesFor(cellsInSlab, slabs);
  if (pages <= room) return true;
  fail(root().sealed ? Status.SEALED : Status.MAXIMUM_REACHED, <u32>min(pages, u32.MAX_VALUE));
  return false;
}

/** Ends every ref into the pool and gives all its memory back. O(cells + pages) */
export function destroyPool(pool: Pool): void {
  const first = changetype<Address>(pool) - SLAB_HEADER;
  freeOtherSlabs(pool, 0);
  freeSlab(changetype<Slab>(first), pool.stride);
}

/** Ends every ref into the pool; it goes on with nothing in it, and the cells that were reserved. O(cells + pages) */
export function clearPool(pool: Pool): void {
  pool.warmCount = 0;
  freeOtherSlabs(pool, pool.reserved);
  for (
    let slab = nextSlab(changetype<Address>(pool), 0);
    slab;
    slab = nextSlab(changetype<Address>(pool), slab + PAGE_SIZE)
  ) {
    emptySlab(pool, changetype<Slab>(slab));
  }
  pool.taken = 0;
}

function emptySlab(pool: Pool, slab: Slab): void {
  pool.retired += endCells(slab, pool.stride);
  slab.used &= UNLISTED;
  if (!slab.isListed) list(pool, slab);
}

/** Frees slabs other than the first, as long as `reserved` cells are left. */
function freeOtherSlabs(pool: Pool, reserved: u32): void {
  const first = changetype<Address>(pool) - SLAB_HEADER;
  for (
    let slab = nextSlab(changetype<Address>(pool), 0);
    slab;
    slab = nextSlab(changetype<Address>(pool), slab + PAGE_SIZE)
  ) {
    const isSpare = slab != first && pool.capacity - changetype<Slab>(slab).cells >= reserved;
    if (isSpare) removeSlab(pool, changetype<Slab>(slab));
  }
}

// ── finding ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The first cell in use behind `address`, in the order of addresses, or 0 if there is none; `guard` tells its guard. Cells
 * may come and go between two calls. Amortized O(1); O(pages) from slab to slab.
 */
export function nextCell(pool: Pool, address: Address): Address {
  let slab: Address = 0;
  let index: u32 = 0;
  if (address && ownerOf(address) == Owner.POOL) {
    const here = slabOf(address);
    if (here.pool == changetype<Address>(pool)) {
      slab = changetype<Address>(here);
      index = <u32>(address - slab - FIRST_CELL) / pool.stride + 1;
    }
  }
  if (!slab) slab = nextSlab(changetype<Address>(pool), address & ~(<Address>PAGE_MASK));
  while (slab) {
    const here = changetype<Slab>(slab);
    for (; index < here.threaded; index++) {
      countStep();
      if (!(load<u32>(here.guardAt(index)) & 1)) continue;
      pool.guard = here.guardAt(index);
      return here.cellAt(index, pool.stride);
    }
    index = 0;
    slab = nextSlab(changetype<Address>(pool), slab + PAGE_SIZE);
  }
  return 0;
}

// ── what TypeScript calls ───────────────────────────────────────────────────────────────────────────────────────────

/** As {@link Pool.allocate}, with the cell cleared and its guard in `guard`. */
export function poolAllocate(pool: Pool): Address {
  const cell = pool.allocate();
  if (!cell) return 0;
  pool.guard = pool.guardOf(cell);
  clear(cell, cell + alignUp(pool.cellBytes, GRAIN));
  return cell;
}

/** As {@link Pool.guardOf}. */
export function poolGuard(pool: Pool, address: Address): Address {
  return pool.guardOf(address);
}

/** As {@link Pool.free}. */
export function poolFree(pool: Pool, address: Address): u32 {
  return pool.free(address);
}

/** The cells in use, those included that TypeScript has claimed. */
export function poolCount(pool: Pool): u32 {
  return pool.taken - pool.warmCount;
}

/** As {@link claimFromSlab}, for TypeScript to hand out; those that are warm go back first, since they may be the only ones. */
export function claimCells(pool: Pool, limit: u32): Address {
  returnWarm(pool, pool.warmCount);
  return claimFromSlab(pool, limit);
}

/** Takes back claimed cells, which hang together, each with its guard. */
export function returnCells(pool: Pool, first: Address): void {
  for (let cell = first; cell; ) {
    countStep();
    const next = changetype<FreeCell>(cell).next;
    returnCell(pool, cell, changetype<FreeCell>(cell).guard);
    cell = next;
  }
}

// ── the debug module ────────────────────────────────────────────────────────────────────────────────────────────────

/** Looks at a cell that leaves the free list, and puts a canary behind it. */
function arm(pool: Pool, cell: Address): void {
  if (!isUntouched(pool, cell)) pool.damaged = cell;
  store<u64>(canaryOf(pool, cell), CELL_CANARY);
}

/** True unless a free cell that was in use before has been written to since, behind what a free cell holds. */
export function isUntouched(pool: Pool, cell: Address): bool {
  const canary = canaryOf(pool, cell);
  return load<u64>(canary) != CELL_CANARY || isPoisoned(cell + offsetof<FreeCell>(), canary);
}

/** Looks at a cell that is freed, and poisons it. */
function inspect(pool: Pool, cell: Address): void {
  if (load<u64>(canaryOf(pool, cell)) != CELL_CANARY) pool.damaged = cell;
  poison(cell, canaryOf(pool, cell));
}

export function canaryOf(pool: Pool, cell: Address): Address {
  return cell + pool.stride - sizeof<u64>();
}
