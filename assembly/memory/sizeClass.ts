// Size classes of small blocks. Everything about them is derived from the three constants here.

/** Class `n` holds blocks of `n` granules; every block of it is aligned to one. */
export const GRANULE_SHIFT: u32 = 4;
export const GRANULE: u32 = 1 << GRANULE_SHIFT;

/** The largest small block, in bytes; larger ones have boundary tags. */
export const SMALL_LIMIT: u32 = 256;

/** Classes are numbered from 1. */
export const CLASS_COUNT: u32 = SMALL_LIMIT / GRANULE;
if (SMALL_LIMIT % GRANULE != 0) ERROR("the largest class must be whole granules");

/** The class of blocks that hold `size` bytes, 1 … SMALL_LIMIT: how many granules they have. */
export function sizeClassOf(size: u32): u32 {
  return (size + (GRANULE - 1)) >> GRANULE_SHIFT;
}

/** The bytes of a block of `sizeClass`. */
export function classBytes(sizeClass: u32): u32 {
  return sizeClass << GRANULE_SHIFT;
}
