import { nextRandom, pick } from "../random.js";
import type { PlainResult } from "./program.js";

/** See bench/assembly/programs/cells.ts. */
export interface CellsParameters {
  /** Not 0. */
  readonly seed: number;
  readonly length: number;
  readonly events: number;
  readonly perEvent: number;
  readonly passes: number;
}

interface Cell {
  readonly next: Cell | null;
  readonly value: number;
}

/** @param onStretch called before the array is filled, and before each pass */
export function cells(
  { seed, length, events, perEvent, passes }: CellsParameters,
  onStretch: () => void = () => {},
): PlainResult {
  onStretch();
  const array = Array.from({ length }, (_, value): Cell => ({ next: null, value }));
  let random = seed;
  let checksum = 0;
  for (let pass = 0; pass < passes; pass++) {
    onStretch();
    for (let event = 0; event < events; event++) {
      for (let index = 0; index < perEvent; index++) {
        random = nextRandom(random);
        const at = pick(random, length);
        checksum += array[at]!.value;
        array[at] = { next: null, value: event + index };
      }
    }
  }
  for (const { value } of array) checksum += value;
  return { checksum, made: 1 + length + passes * events * perEvent };
}
