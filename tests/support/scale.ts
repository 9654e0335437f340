/**
 * How much of the long tests to run: 1 is what a full run does, at least a million operations in all. `TIDEMARK_TEST_SCALE`
 * sets it: 0.1 while working on something else, 100 for a night.
 */
export const scale = Number(process.env.TIDEMARK_TEST_SCALE ?? 1);
if (!(scale > 0))
  throw new Error(`TIDEMARK_TEST_SCALE must be a number above 0, but is ${process.env.TIDEMARK_TEST_SCALE}`);

/** `count` at the present scale, at least 1. */
export function scaled(count: number): number {
  return Math.max(1, Math.round(count * scale));
}
