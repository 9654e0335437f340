// Alignment and page arithmetic. Every function here states the range in which it cannot overflow.

/** An address in linear memory, in bytes. 0 is never handed out and means "none". */
export type Address = usize;

/** WebAssembly's own page: 64 KiB. */
export const PAGE_SHIFT: u32 = 16;
export const PAGE_SIZE: u32 = 1 << PAGE_SHIFT;
export const PAGE_MASK: u32 = PAGE_SIZE - 1;

/** Every address that an allocator hands out is a multiple of this, so that any field can be read in place. */
export const GRAIN: u32 = 8;

/** The largest alignment that can be asked for; what it can waste is small beside a block of pages. */
export const ALIGNMENT_LIMIT: u32 = 4096;
if (ALIGNMENT_LIMIT > PAGE_SIZE) ERROR("an alignment larger than a page cannot be met inside a run of pages");

/** The largest size of one request. Below it, rounding up and adding a header cannot overflow 32 bits. */
export const SIZE_LIMIT: u32 = 0xffff_0000 - PAGE_SIZE;

/** Rounds `value` up to a multiple of `alignment`, a power of two. Exact for value ≤ 2^32 − alignment. */
export function alignUp(value: usize, alignment: usize): usize {
  return (value + (alignment - 1)) & ~(alignment - 1);
}

/** True for 1, 2, 4, …; false for 0. */
export function isPowerOfTwo(value: u32): bool {
  return value != 0 && (value & (value - 1)) == 0;
}

/** The number of pages that hold `bytes`. Exact for every u32: the sum is made in 64 bits. */
export function pagesFor(bytes: u32): u32 {
  return <u32>((<u64>bytes + PAGE_MASK) >> PAGE_SHIFT);
}
