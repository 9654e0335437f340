// Churn: blocks of random sizes come and go in random order.
//
// A driver is a function over the type of a strategy (see ../strategies/bump.ts), so that the compiler makes a copy of it
// for each strategy, with the allocator's own code compiled in place. bench/peers/dlmalloc.c does the same in C, and
// bench/drivers/churnModel.ts in TypeScript; all three draw the same random numbers and give the same checksum.

import { Peak } from "./peak";
import { nextRandom, pick } from "./random";

/** A block of the table: its address and its size. */
const BLOCK_SHIFT: u32 = 3;

const ALLOCATE: u32 = 0;
const FREE: u32 = 1;
const KINDS: u32 = 2;

/** What the host is told (the peak first), and what it asks for; the words of bench/drivers/churn.ts, in their order. */
@unmanaged
export class Churn extends Peak {
  /** Allocations, frees and reallocations, the last frees included. */
  performed: u32;

  /** Room for the live blocks, 8 bytes each. */
  table: usize;
  capacity: u32;
  seed: u32;
  /** So many blocks are made first, and as many stay alive. */
  minimumLive: u32;
  maximumSize: u32;
  /** The steps behind the first fill. */
  operations: u32;
  /** 1 = every third step reallocates. */
  reallocates: u32;
}

/**
 * Fills up to the minimum, then allocates or frees, at random and equally likely (or reallocates, as the third); a free
 * that would go below the minimum is an allocation. At the end everything is freed.
 *
 * The first word of each block that has one is the number of the step that wrote it. Returns the sum of the words found
 * where blocks are reallocated and freed, or NaN when memory is out or the table is full.
 */
export function churn<S>(strategy: S, record: Churn): f64 {
  const table = record.table;
  const minimumLive = record.minimumLive;
  const maximumSize = record.maximumSize;
  const kinds = KINDS + record.reallocates;
  const end = minimumLive + record.operations;
  record.clear();
  let random = record.seed;
  let count: u32 = 0;
  let live: u32 = 0;
  let checksum: f64 = 0;
  for (let step: u32 = 0; step < end; step++) {
    random = nextRandom(random);
    let kind = step < minimumLive ? ALLOCATE : pick(random, kinds);
    if (kind == FREE && count <= minimumLive) kind = ALLOCATE;
    random = nextRandom(random);
    if (kind == ALLOCATE) {
      const size = pick(random, maximumSize) + 1;
      const address = strategy.allocate(size);
      if (!address || count == record.capacity) return NaN;
      if (size >= 4) store<u32>(address, step);
      const block = table + (count++ << BLOCK_SHIFT);
      store<usize>(block, address);
      store<u32>(block, size, 4);
      live += size;
      record.follow<S>(strategy, live, step);
      continue;
    }
    const block = table + (pick(random, count) << BLOCK_SHIFT);
    const address = load<usize>(block);
    const size = load<u32>(block, 4);
    if (kind == FREE) {
      if (size >= 4) checksum += load<u32>(address);
      strategy.free(address, size);
      store<u64>(block, load<u64>(table + (--count << BLOCK_SHIFT)));
      live -= size;
      continue;
    }
    random = nextRandom(random);
    const newSize = pick(random, maximumSize) + 1;
    const moved = strategy.reallocate(address, size, newSize);
    if (!moved) return NaN;
    if (min(size, newSize) >= 4) checksum += load<u32>(moved);
    if (newSize >= 4) store<u32>(moved, step);
    store<usize>(block, moved);
    store<u32>(block, newSize, 4);
    live = live - size + newSize;
    record.follow<S>(strategy, live, step);
  }
  record.peakTaken = max(record.peakTaken, strategy.taken());
  record.performed = end + count;
  while (count) {
    const block = table + (--count << BLOCK_SHIFT);
    const address = load<usize>(block);
    const size = load<u32>(block, 4);
    if (size >= 4) checksum += load<u32>(address);
    strategy.free(address, size);
  }
  strategy.reset();
  return checksum;
}
