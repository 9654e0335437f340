// Replay: the operations of a recorded program, one after the other.
//
// The operations lie in memory, 8 bytes each, as bench/traces/trace.ts writes them; bench/peers/dlmalloc.c has the same
// drivers in C.
//
//   operation   ┌──────────────────────────┬──────┬────────────────────────┐
//               │ id                       │ kind │ size in bytes, from 1  │
//               └──────────────────────────┴──────┴────────────────────────┘
//                31                       2 1    0  word 0 │ word 1

import { now } from "./clock";

export const OPERATION_SHIFT: u32 = 3;
export const ID_SHIFT: u32 = 2;
export const KIND_MASK: u32 = 3;

export const ALLOCATE: u32 = 0;
export const REALLOCATE: u32 = 1;

/** A block of the table, by its id: its address, 0 if it is not live, and its size. */
export const BLOCK_SHIFT: u32 = 3;

/** What the host asks for, and what it is told; the words of bench/traces/traceReplay.ts, in their order. */
@unmanaged
export class Replay {
  operations: usize;
  count: u32;
  /** A block for each id, cleared. */
  table: usize;
  ids: u32;
  /** Where the times of the timed operations go: f64, milliseconds. */
  samples: usize;
  /** One operation in so many is timed, … */
  every: u32;
  /** … from this one on. */
  first: u32;
  /** 1 = the integrity pass fills and checks the blocks. */
  fills: u32;

  /** The operation that is being done. */
  at: u32;
  live: u32;
  taken: u32;
  peakLive: u32;
  peakTaken: u32;
  /** What the integrity pass found: the block, the byte in it, what it should hold and what it does. */
  faultId: u32;
  faultPosition: u32;
  faultExpected: u32;
  faultFound: u32;
}

/** Watches a replay that is timed as a whole. */
@unmanaged
export class Unwatched {
  @inline
  before(): void {}

  @inline
  after(): void {}
}

/** Times one operation in so many. */
@unmanaged
export class Sampler {
  /** Where the next sample goes. */
  cursor: usize;
  every: u32;
  /** Operations up to the next that is timed, that one included. */
  left: u32;
  started: f64;

  start(record: Replay): void {
    this.cursor = record.samples;
    this.every = record.every;
    this.left = record.first + 1;
  }

  @inline
  before(): void {
    if (this.left == 1) this.started = now();
  }

  @inline
  after(): void {
    if (--this.left) return;
    store<f64>(this.cursor, now() - this.started);
    this.cursor += 8;
    this.left = this.every;
  }
}

/**
 * Does all operations. A block's first word, if it has one, is the number of the operation that last gave it its size.
 * Returns the sum of the words found where blocks are reallocated and freed, or NaN when memory is out.
 */
export function replay<S, W>(strategy: S, record: Replay, watcher: W): f64 {
  const operations = record.operations;
  const count = record.count;
  const table = record.table;
  let checksum: f64 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const operation = operations + (index << OPERATION_SHIFT);
    const word = load<u32>(operation);
    const kind = word & KIND_MASK;
    const block = table + ((word >> ID_SHIFT) << BLOCK_SHIFT);
    if (kind == ALLOCATE) {
      const size = load<u32>(operation, 4);
      watcher.before();
      const address = strategy.allocate(size);
      watcher.after();
      if (!address) return failAt(record, index);
      if (size >= 4) store<u32>(address, index);
      store<usize>(block, address);
      store<u32>(block, size, 4);
      continue;
    }
    const address = load<usize>(block);
    const size = load<u32>(block, 4);
    if (kind == REALLOCATE) {
      const newSize = load<u32>(operation, 4);
      watcher.before();
      const moved = strategy.reallocate(address, size, newSize);
      watcher.after();
      if (!moved) return failAt(record, index);
      if (min(size, newSize) >= 4) checksum += load<u32>(moved);
      if (newSize >= 4) store<u32>(moved, index);
      store<usize>(block, moved);
      store<u32>(block, newSize, 4);
    } else {
      if (size >= 4) checksum += load<u32>(address);
      watcher.before();
      strategy.free(address, size);
      watcher.after();
      store<usize>(block, 0);
    }
  }
  return checksum;
}

function failAt(record: Replay, index: u32): f64 {
  record.at = index;
  return NaN;
}

/** Frees what a replay has left behind. Returns how many blocks. */
export function release<S>(strategy: S, record: Replay): u32 {
  let released: u32 = 0;
  for (let id: u32 = 0; id < record.ids; id++) {
    const block = record.table + (id << BLOCK_SHIFT);
    const address = load<usize>(block);
    if (!address) continue;
    strategy.free(address, load<u32>(block, 4));
    store<usize>(block, 0);
    released++;
  }
  strategy.reset();
  return released;
}

/** Takes `count` samples of nothing: what taking a sample costs. */
export function sampleNothing(sampler: Sampler, record: Replay, count: u32): void {
  sampler.start(record);
  for (let index: u32 = 0; index < count; index++) {
    sampler.before();
    sampler.after();
  }
}
