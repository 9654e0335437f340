// Replace: cells of one size, of which a random one after the other is freed and made anew.

import { nextRandom, pick } from "./random";

const ENTRY_SHIFT: u32 = 2;

/** What the host asks for; the words of bench/drivers/replace.ts, in their order. */
@unmanaged
export class Replace {
  /** Room for the addresses of the live cells. */
  table: usize;
  seed: u32;
  live: u32;
  cellBytes: u32;
  operations: u32;
}

/**
 * Makes `live` cells, replaces a random one `operations` times, and frees them all. Each cell holds the number of the
 * step that made it; the sum of what the freed ones hold is returned, or NaN when memory is out.
 */
export function replace<S>(strategy: S, record: Replace): f64 {
  const table = record.table;
  const live = record.live;
  const cellBytes = record.cellBytes;
  const end = live + record.operations;
  let random = record.seed;
  let checksum: f64 = 0;
  for (let step: u32 = 0; step < end; step++) {
    let entry = table + (step << ENTRY_SHIFT);
    if (step >= live) {
      random = nextRandom(random);
      entry = table + (pick(random, live) << ENTRY_SHIFT);
      const old = load<usize>(entry);
      checksum += load<u32>(old);
      strategy.free(old, cellBytes);
    }
    const address = strategy.allocate(cellBytes);
    if (!address) return NaN;
    store<u32>(address, step);
    store<usize>(entry, address);
  }
  for (let index: u32 = 0; index < live; index++) {
    const address = load<usize>(table + (index << ENTRY_SHIFT));
    checksum += load<u32>(address);
    strategy.free(address, cellBytes);
  }
  strategy.reset();
  return checksum;
}
