import { nextRandom, pick } from "./random.js";
import type { Workbench } from "./workbench.js";

/** Cells that are replaced in random order; see bench/assembly/drivers/replace.ts. */
export interface Replacement {
  /** Not 0. */
  readonly seed: number;
  readonly live: number;
  readonly cellBytes: number;
  readonly operations: number;
}

/** Prepares a replacement; each call of what is returned goes through it once and gives its checksum. */
export function prepareReplace(workbench: Workbench, replacement: Replacement): () => number {
  const { seed, live, cellBytes, operations } = replacement;
  const request = [workbench.place(live), seed, live, cellBytes, operations];
  const record = workbench.place(request.length, Uint32Array.from(request));
  return () => workbench.run("Replace", record);
}

/** The checksum, by the plainest code there is. */
export function replacePlainly({ seed, live, operations }: Replacement): number {
  const cells = Array.from({ length: live }, (_, step) => step);
  let random = seed;
  let checksum = 0;
  for (let step = live; step < live + operations; step++) {
    random = nextRandom(random);
    const index = pick(random, live);
    checksum += cells[index]!;
    cells[index] = step;
  }
  return cells.reduce((sum, cell) => sum + cell, checksum);
}
