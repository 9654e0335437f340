// Size classes: the warm blocks of a byte heap, class by class.
//
// The blocks that were freed last are handed out first, as they are: their memory is in the processor's cache, and nothing has
// to be found, cut or merged. Their bits say that they are free, so that a second free is refused.
//
// Source: Bonwick and Adams, "Magazines and vmem" (2001).

import { Address } from "../memory/alignment";
import { countStep } from "../memory/work";
import { FreeRuns } from "./freeRuns";
import { reuse, warm } from "./span";

/** The most warm blocks of a class: with one more, less of memory is filled (heap/small: 31, 83.8 %; 30, 85.1). */
export const WARM_LIMIT: u32 = 30;

/** So many cool down when one more has come: enough for the next few frees, and the rest for the next few allocations. */
const COOLED: u32 = 10;

/** So many at most are made warm when there are none: more of them fill less of memory (heap/small: 3, 83.8 %; 1, 85.1). */
const WARMED: u32 = 1;

@unmanaged
export class SizeClass {
  /** How many warm blocks there are; their addresses follow, the one that was freed first before all others. */
  warmCount: u32;

  @inline
  warmAt(index: u32): Address {
    return load<Address>(changetype<Address>(this) + (index << 2), offsetof<SizeClass>());
  }

  @inline
  private setWarm(index: u32, block: Address): void {
    store<Address>(changetype<Address>(this) + (index << 2), block, offsetof<SizeClass>());
  }

  /** Takes the block that was freed last. There must be one. */
  @inline
  takeWarm(): Address {
    const last = this.warmCount - 1;
    this.warmCount = last;
    const block = this.warmAt(last);
    reuse(block);
    return block;
  }

  /** Takes note of a block that has just become warm. There must be room. */
  @inline
  giveWarm(block: Address): void {
    const count = this.warmCount;
    this.setWarm(count, block);
    this.warmCount = count + 1;
  }

  /** Takes blocks of `granules` from the runs, as long as they have any, to be handed out next. There are none warm. */
  warmUp(runs: FreeRuns, granules: u32): void {
    while (this.warmCount < WARMED) {
      countStep();
      const block = runs.take(granules);
      if (!block) return;
      warm(block);
      this.giveWarm(block);
    }
  }

  /** Makes room for a warm block of `granules`: if there is none, those that have been warm longest go back to the runs. */
  makeRoom(runs: FreeRuns, granules: u32): void {
    if (this.warmCount == WARM_LIMIT) this.cool(runs, granules, COOLED);
  }

  /** Gives the `count` blocks that have been warm longest, of `granules` each, back to the runs. */
  cool(runs: FreeRuns, granules: u32, count: u32): void {
    const left = this.warmCount - count;
    for (let index: u32 = 0; index < count; index++) {
      countStep();
      runs.give(this.warmAt(index), granules);
    }
    for (let index: u32 = 0; index < left; index++) this.setWarm(index, this.warmAt(index + count));
    this.warmCount = left;
  }
}

/** The bytes of a class, its warm blocks included: a power of two, so that a class is found by a shift. */
export const CLASS_SIZE: u32 = 128;
if (offsetof<SizeClass>() + WARM_LIMIT * sizeof<Address>() > CLASS_SIZE)
  ERROR("a class must have room for its warm blocks");
