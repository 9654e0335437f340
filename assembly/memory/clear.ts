// Clearing and poisoning of memory.

import { Address } from "./alignment";

/** What freed memory is filled with in the debug module: an address that is out of reach, a float that stands out. */
export const POISON: u8 = 0xcb;

/** Up to here a loop of 16-byte stores beats `memory.fill`, which engines run as a call out of wasm. */
const INLINE_LIMIT: usize = 256;

/** Sets the bytes from `start` to `end` to zero; both are multiples of 8. */
export function clear(start: Address, end: Address): void {
  if (end - start > INLINE_LIMIT) {
    memory.fill(start, 0, end - start);
    return;
  }
  if ((end - start) & 8) {
    store<u64>(start, 0);
    start += 8;
  }
  for (; start < end; start += 16) v128.store(start, i64x2.splat(0));
}

/** Fills the bytes from `start` to `end` with {@link POISON}. */
export function poison(start: Address, end: Address): void {
  memory.fill(start, POISON, end - start);
}

/** True if every byte from `start` to `end` is still {@link POISON}. */
export function isPoisoned(start: Address, end: Address): bool {
  for (let address = start; address < end; address++) if (load<u8>(address) != POISON) return false;
  return true;
}
