// The random numbers of the drivers; bench/peers/dlmalloc.c and bench/drivers/churnModel.ts draw the same ones.
//
// Source: Marsaglia, "Xorshift RNGs" (2003), the 32-bit generator with the shifts 13, 17 and 5.

/** The state after `state`, which must not be 0. */
export function nextRandom(state: u32): u32 {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^ (state << 5);
}

/** A number from 0 to `bound` − 1 out of a random `state`. The product is made in 64 bits. */
export function pick(state: u32, bound: u32): u32 {
  return <u32>((<u64>state * bound) >> 32);
}
