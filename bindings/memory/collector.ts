/** What a collector has done since it was made. Units are those of the budget of `heap.step(units)`. */
export interface CollectorFigures {
  /** Steps that have done something. */
  readonly steps: number;
  /** Units of work, in all steps. */
  readonly units: number;
  /** The most units of one step. */
  readonly longestStepUnits: number;
  /** The longest time that one step took, in microseconds. */
  readonly longestStepMicroseconds: number;
  /** Cycles of collection that have ended. */
  readonly cycles: number;
}

/**
 * What has work to do between events: a heap, as the loop sees it. It registers with `memory.collectors` when it is made
 * and leaves when it is destroyed.
 *
 * The loop calls it while no handler runs, and never from inside another call of it. Either call may run destroy hooks, and
 * throws what they threw in a {@link DestroyHookError} when its work is done; any other error means that it is not.
 */
export interface Collector {
  /**
   * Pays what is owed: called after each event's end. One step's units, and an eighth of what is owed beyond them; all at once
   * where allocation has outrun the collector, or where it stops for whole cycles. Where memory was refused, all of a cycle is owed.
   */
  $settle(): void;
  /** Does one step, if there is anything to do, because nobody else wants the time. True if there is more to do. */
  $idle(): boolean;
  /** Something in the runtime was refused a run of so many pages: has a cycle begin, where garbage may make room for it. */
  $refused(pages: number): void;
  /** The figures of now. */
  readonly $figures: CollectorFigures;
}
