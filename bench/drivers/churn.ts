import type { Workbench } from "./workbench.js";

/** A mix of allocations and frees; bench/assembly/drivers/churn.ts says what is done with it. */
export interface Mix {
  /** Not 0. */
  readonly seed: number;
  readonly minimumLive: number;
  /** Sizes are uniform from 1 to here, in bytes. */
  readonly maximumSize: number;
  /** Steps behind the first fill. */
  readonly operations: number;
  readonly reallocates: boolean;
}

/** What follows from the mix alone, whatever the allocator. */
export interface ChurnResult {
  /** The sum of what was found in the blocks; NaN when memory was out. */
  readonly checksum: number;
  /** Allocations, frees and reallocations. */
  readonly performed: number;
  /** The most payload bytes that were live at once. */
  readonly peakLive: number;
}

export interface ChurnOutcome extends ChurnResult {
  /** The most bytes that the allocator had taken. */
  readonly peakTaken: number;
}

/** The live blocks wander about their minimum, by some square root of the steps; as many more have room. */
const MARGIN = 65_536;
const TABLE_WORDS = 2;

/** The words of a churn's record. */
const PEAK_LIVE = 0;
const PEAK_TAKEN = 1;
const PERFORMED = 3;
const TABLE = 4;
const WORDS = 11;

/** Prepares a mix; each call of what is returned goes through it once, and leaves nothing live. */
export function prepareChurn(workbench: Workbench, mix: Mix): () => ChurnOutcome {
  const capacity = mix.minimumLive + MARGIN;
  const { seed, minimumLive, maximumSize, operations, reallocates } = mix;
  const table = workbench.place(capacity * TABLE_WORDS);
  const record = workbench.place(WORDS);
  const request = [table, capacity, seed, minimumLive, maximumSize, operations, reallocates ? 1 : 0];
  workbench.words(record, WORDS).set(request, TABLE);
  return () => {
    const checksum = workbench.run("Churn", record);
    const words = workbench.words(record, WORDS);
    return {
      checksum,
      performed: words[PERFORMED]!,
      peakLive: words[PEAK_LIVE]!,
      peakTaken: words[PEAK_TAKEN]!,
    };
  };
}
