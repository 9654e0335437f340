import fc from "fast-check";
import type { RandomNumbers } from "./randomNumbers.js";
import { PAGE } from "./runtimes.js";

const EDGES = Array.from({ length: 18 }, (_, sizeClass) => [-1, 0, 1].map((step) => 16 * sizeClass + step))
  .flat()
  .filter((size) => size > 0);
const BIN_EDGES = [500, 512, 1000, 1024, 2048, 4096, 8192, 32_768].flatMap((size) =>
  [-13, -12, -11, 0, 1].map((step) => size + step),
);

/** Sizes at which something is different: class edges, bin edges, whole pages less what the headers take, and others. */
export const heapSize: fc.Arbitrary<number> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...EDGES) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 256 }) },
  { weight: 3, arbitrary: fc.integer({ min: 257, max: 6000 }) },
  { weight: 1, arbitrary: fc.constantFrom(...BIN_EDGES) },
  {
    weight: 2,
    arbitrary: fc
      .record({ pages: fc.integer({ min: 1, max: 6 }), less: fc.integer({ min: 0, max: 96 }) })
      .map(({ pages, less }) => pages * PAGE - less),
  },
  { weight: 1, arbitrary: fc.integer({ min: 6000, max: 500_000 }) },
);

/** The same, much faster; the larger `bulk`, the rarer are sizes above a page. */
export function randomHeapSize(random: RandomNumbers, bulk: number): number {
  switch (random.below(bulk)) {
    case 0:
      return random.between(1, 6) * PAGE - random.between(0, 96);
    case 1:
      return random.between(6000, 200_000);
    case 2:
      return random.pick(BIN_EDGES);
    default:
      break;
  }
  const kind = random.below(10);
  if (kind < 4) return random.pick(EDGES);
  return kind < 7 ? random.between(1, 256) : random.between(257, 6000);
}
