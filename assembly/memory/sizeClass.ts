// Size classes of small blocks. Everything about them is derived from the three constants here.
//
// Classes are a GRANULE apart all the way, so that the class of a size is one shift. Wider steps towards the top would save in
// half-filled spans about what they lose in each block: simulated for heap/small, the pages come to the same.

/** Class `n` holds blocks of `n` granules; every block of it is aligned to one. */
export const GRANULE_SHIFT: u32 = 4;
export const GRANULE: u32 = 1 << GRANULE_SHIFT;

/** The largest small block, in bytes; larger ones have boundary tags. */
export const SMALL_LIMIT: u32 = 256;

/** Classes are numbered from 1. */
export const CLASS_COUNT: u32 = SMALL_LIMIT / GRANULE;
if (SMALL_LIMIT % GRANULE != 0) ERROR("the largest class must be whole granules");

/** The class of blocks that hold `size` bytes, 1 … SMALL_LIMIT. */
export function sizeClassOf(size: u32): u32 {
  return (size + (GRANULE - 1)) >> GRANULE_SHIFT;
}

/** The bytes of a block of `sizeClass`. */
export function classBytes(sizeClass: u32): u32 {
  return sizeClass << GRANULE_SHIFT;
}

/** `floor(granules * reciprocal >> RECIPROCAL_SHIFT)` divides by the class, exactly for all granules of a span. */
export const RECIPROCAL_SHIFT: u32 = 15;

export function reciprocalOf(sizeClass: u32): u32 {
  return ((1 << RECIPROCAL_SHIFT) + sizeClass - 1) / sizeClass;
}
