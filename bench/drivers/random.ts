/** The random numbers of bench/assembly/drivers/random.ts, for the plain models of the drivers. */

const TWO_TO_32 = 2 ** 32;

/** The state after `state`, which must not be 0. */
export function nextRandom(state: number): number {
  let next = state ^ (state << 13);
  next ^= next >>> 17;
  return (next ^ (next << 5)) >>> 0;
}

/** A number from 0 to `bound` − 1 out of a random `state`; exact for bounds up to 2^21. */
export function pick(state: number, bound: number): number {
  return Math.floor((state * bound) / TWO_TO_32);
}
