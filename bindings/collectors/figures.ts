/** How a heap finds out what can go: see `runtime.heap()`. */
export type Strategy = "manual" | "refcount" | "mark-sweep" | "mark-sweep-stop";

/**
 * The figures of a heap. Units are those of `heap.step(units)`; bytes those of objects with their headers. Only under `"manual"`
 * the header of an object, by which references to it are checked, lies apart and is not counted: 4 bytes.
 */
export interface HeapStats {
  /** What the heap was made with. */
  readonly strategy: Strategy;
  /** Objects that have not been freed: those that nothing leads to any more are counted until they are found. */
  readonly objects: number;
  /** What they take, in bytes. A collected array of more than 8 KiB takes whole pages of 64 KiB. */
  readonly bytes: number;
  /**
   * What the heap has taken from the page heap for objects, in bytes; handles, scopes and lists lie in small blocks, the headers
   * of `"manual"` in pages of guards that all share.
   */
  readonly reservedBytes: number;
  /** Kept handles that have not been released. */
  readonly handles: number;
  /** Objects freed since the heap was made. */
  readonly freedObjects: number;
  /** Cycles of collection that have ended. */
  readonly cycles: number;
  /** Units of the last cycle that has ended; decrements that were done before or beside it are not among them. */
  readonly lastCycleUnits: number;
  /** Steps that have done something. A `collect()` is one step. */
  readonly steps: number;
  /** Units of all these steps. */
  readonly units: number;
  /** Units of the last of them. */
  readonly lastStepUnits: number;
  /** The most units of one of them. */
  readonly longestStepUnits: number;
  /** How long the last of them took, in microseconds. */
  readonly lastStepMicroseconds: number;
  /** The longest that one of them took, in microseconds. */
  readonly longestStepMicroseconds: number;
  /** Bytes that were allocated while the last cycle went on, which it did not judge: garbage among them is left to the next. */
  readonly floatingBytes: number;
  /** Reference counting: decrements that are yet to be done. */
  readonly pendingDecrements: number;
  /** Reference counting: objects that may be part of a dead cycle, and are yet to be looked at. */
  readonly candidates: number;
  /** How often a cycle of which more than eight steps were left was ended at once between two events, to keep memory bounded. */
  readonly overruns: number;
}

/** What is told of a cycle of collection that has ended. */
export interface Collection {
  /** That of the heap. */
  readonly strategy: Strategy;
  /** Its number, from 1. Where one step has ended several, the last one's. */
  readonly cycle: number;
  /** The units that it took. */
  readonly units: number;
  /** The steps since the last one was told of. */
  readonly steps: number;
  /** What these steps took together, in microseconds. */
  readonly microseconds: number;
  /** Objects freed since the last one was told of. */
  readonly freedObjects: number;
  /** Objects that are left. */
  readonly objects: number;
  /** What these take, in bytes. */
  readonly bytes: number;
  /** Bytes of them that were allocated while the cycle went on, garbage or not. */
  readonly floatingBytes: number;
}

/** Told of each cycle of collection that has ended. */
export type CollectionListener = (collection: Collection) => void;
