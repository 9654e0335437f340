// The heap's header: what all strategies share, and the state of each. See cellClass.ts for how objects are placed, scope.ts and
// handleTable.ts for roots, markSweep.ts and refcount.ts for what is done when.

import { Address } from "../memory/alignment";
import { WordStack, WordWalk } from "./wordStack";

export namespace Strategy {
  export const REFCOUNT: u32 = 1;
  export const MARK_SWEEP: u32 = 2;
  /** The same, a whole cycle at a time. */
  export const MARK_SWEEP_STOP: u32 = 3;
}

/** Where a mark-sweep cycle is; see markSweep.ts. */
export namespace Phase {
  export const IDLE: u32 = 0;
  export const MARK: u32 = 1;
  export const WEAK: u32 = 2;
  export const HOOKS: u32 = 3;
  export const SWEEP: u32 = 4;
}

/** Where a run of cycle collection is; see cycleCollection.ts. */
export namespace Run {
  export const NONE: u32 = 0;
  export const VISIT: u32 = 1;
  export const CHECK: u32 = 2;
  export const SETTLE: u32 = 3;
  export const TRIM: u32 = 4;
  export const HOOKS: u32 = 5;
  export const LET_GO: u32 = 6;
  export const FREE: u32 = 7;
}

/**
 * What has to be done beside storing when a reference is, as TypeScript sees it: it may store without a call where the word
 * that it overwrites is below the barrier, which is one comparison.
 */
export namespace Barrier {
  /** Nothing. */
  export const NONE: u32 = u32.MAX_VALUE;
  /** What is overwritten has to be marked, or that it is has to be noted, so nothing where that is null. */
  export const OVERWRITTEN: u32 = 1;
  /** More, of which only `heapStore` and `moveHandle` know. */
  export const CALL: u32 = 0;
}

@unmanaged
export class Heap {
  strategy: u32;
  phase: u32;
  /** The {@link Barrier} of stores into slots, and that of moves of handles in scopes; kept handles are moved by calls only. */
  barrier: u32;
  handleBarrier: u32;
  /** 1 while new objects are marked as they are made. */
  black: u32;
  /** Bytes before each object: the word of a count under reference counting. */
  lead: u32;
  /** The first of all classes, linked by `nextClass` in the order of their making, and the last. */
  classes: Address;
  lastClass: Address;
  /** The table of classes of variable-length objects: see variableClass.ts. */
  variableClasses: Address;
  /** 1 if a type of variable-length objects has weak slots. */
  variableWeak: u32;
  /** 1 if a type has a destroy hook. */
  hasHooks: u32;
  /** Where types, classes and scopes lie. */
  arena: Address;
  /** Rings of open scopes: those that a cycle has still to scan, and all others; and a list of those that can be opened again. */
  unscanned: Address;
  scopes: Address;
  freeScopes: Address;
  /** Kept handles: the newest segment, the first free entry, how many are in use. */
  segments: Address;
  freeHandle: Address;
  handles: u32;
  /** Where `allocate` has put the handle of the object that was made last. */
  slot: Address;
  /** Advances with each step that has done something. */
  epochGuard: Address;

  // ── figures ──
  /** Written by `figures`. */
  objects: u32;
  bytes: u32;
  pendingCount: u32;
  candidateCount: u32;
  /** Bytes of the classes, allocated since the last cycle or step ended; runs are counted as they are taken. */
  allocated: u32;
  blockPages: u32;
  /** Finished cycles (runs of cycle collection under reference counting), objects freed by all of them. */
  cycles: u32;
  freedObjects: u32;
  /** Units done in this cycle of mark-sweep, and in the last cycle or run. */
  cycleUnits: u32;
  lastCycleUnits: u32;
  /** Bytes allocated while the last cycle ran, which it could not look at. */
  floatingBytes: u32;
  /** How often a step had to be longer than asked for, to keep memory bounded. */
  overruns: u32;

  // ── pacing ──
  /** Allocation that starts a cycle at the earliest, and the length of a step, as given. */
  minimumBytes: u32;
  stepUnits: u32;
  /** Allocation that starts the next cycle. */
  trigger: u32;
  /** The most units that this cycle can come to, and the allocation during which they have to be done. */
  cycleBound: u32;
  headroom: u32;

  // ── destroy hooks ──
  /** The object whose hook is to be run, and its type; 0 if there is none. */
  dying: Address;
  dyingType: Address;

  // ── marking ──
  /** Pairs: a marked object, and the next of its slots to look at. */
  markStack: WordStack;
  /** Objects whose handles have ended before they were scanned. */
  orphans: WordStack;
  /** 1 if a marked object could not be pushed, so that it has to be found again. */
  overflow: u32;
  /** Advances when all handles there are have to be scanned anew; the place in the scope that is being scanned. */
  scanEpoch: u32;
  scanScope: Address;
  scanChunk: Address;
  scanPlace: Address;
  /** The place of the scan of kept handles. */
  scanSegment: Address;
  scanIndex: u32;
  /** The place of the walk over blocks that is under way: see blockWalk.ts. */
  walkClass: Address;
  walkBlock: Address;
  walkIndex: u32;
  /** The object whose weak slots are being looked at, and the next of them. */
  weakHolder: Address;
  weakIndex: u32;

  // ── reference counting ──
  /** Objects with a decrement to be done; and pairs, an object without references and the next of its slots. */
  pending: WordStack;
  releasing: WordStack;
  /** Objects without references whose hook is to be run. */
  hooked: WordStack;
  /** Objects that may be part of a dropped cycle, and those of them that the run under way begins with. */
  candidates: WordStack;
  roots: WordStack;
  /** Candidates that the purge of released ones has looked at, and keeps. */
  aside: WordStack;
  /** What the run looks at, an entry each, and then what it has condemned, a word each: see cycleCollection.ts. */
  visited: WordStack;
  walk: WordWalk;
  writer: WordWalk;
  /** Freed objects that weak slots may still refer to: of the present pass, and since. */
  clearing: WordStack;
  zombies: WordStack;
  /** Where the run is, and the object or entry whose references it is looking at, with the next of them. */
  runPhase: u32;
  runObject: Address;
  runIndex: u32;
  /** The first entry whose object is held and whose references have still to be looked at: see countWord.ts. */
  held: Address;
  /** The condemned: how many, and whether any of them has a hook. */
  runGarbage: u32;
  runHooks: u32;
  /** 1 if there was no memory for something that should have been visited. */
  runShort: u32;
  /** Bytes of all objects when the last run ended. */
  base: u32;
  /** By how many bytes they have grown since, at the most. */
  growth: u32;
  /** What `growth` was when the run under way began, and the bytes made since. */
  runGrowth: u32;
  runMade: u32;
  /** Units of the run under way, and those of them for what is held. */
  runUnits: u32;
  runHeld: u32;
  /** Objects, and their bytes, that have ended and whose cells are not free yet; those of them that are still candidates. */
  deadObjects: u32;
  deadBytes: u32;
  stale: u32;
  /** Bytes of the objects that have ended and are candidates still, estimated; and of those that only weak slots may still refer to. */
  staleBytes: u32;
  zombieBytes: u32;
  /** Candidates that are still to be looked at by the purge of stale ones. */
  purgeLeft: u32;
  /** Units that are due for what has been allocated, and not paid yet. */
  debt: u32;
  /** Whether an object was lost from a list for want of memory, so that it has to be found by a walk: see {@link Lost}. */
  lost: u32;
  /** 1 if a walk has found more of these than the lists take: a run of cycle collection may make room. */
  listsFull: u32;
  /** 1 from the moment when a run was short of memory and has found nothing, in this step. */
  starved: u32;
  /** What the walk that is under way is for: see `Purpose` in release.ts. */
  walkPurpose: u32;
  /** 1 from `beginCycle` until there is nothing left to do. */
  forced: u32;

  // ── want of memory ──
  /** Whether the program was refused memory for an object or a handle, and no cycle has looked since for what it could have. */
  refused: u32;
  /**
   * 0 if no handle has ended or moved, and no reference been overwritten, since the last cycle of mark-sweep began: then what that
   * has left is no garbage, and another would find nothing. See {@link noteDropped}.
   */
  dropped: u32;
  /** How many of the refusals to guests it has heard of. */
  heard: u32;
}
export const HEAP_BYTES: u32 = offsetof<Heap>();

/** Whether there are objects that have to be found again: what `Heap.lost` says. */
export namespace Lost {
  export const NONE: u32 = 0;
  /** A walk should find them. */
  export const SOUGHT: u32 = 1;
  /** There was no room for them when they were found, either: the next walk waits until there may be some, or is asked for. */
  export const WAITING: u32 = 2;
}

/** The barrier where nothing has to be marked: whoever is the first to drop something since a cycle began has to call. */
export function restingBarrier(heap: Heap): u32 {
  return heap.dropped ? Barrier.NONE : Barrier.OVERWRITTEN;
}

/** A handle has ended or moved, or a reference been overwritten: what it led to may be garbage. Nobody else has to call for that. */
export function noteDropped(heap: Heap): void {
  if (heap.dropped) return;
  heap.dropped = 1;
  if (heap.phase != Phase.MARK && heap.barrier == Barrier.OVERWRITTEN) heap.barrier = Barrier.NONE;
  if (heap.handleBarrier == Barrier.OVERWRITTEN) heap.handleBarrier = Barrier.NONE;
}

/** There may be memory for what was lost. */
export function seekLost(heap: Heap): void {
  if (heap.lost) heap.lost = Lost.SOUGHT;
}

/** What `Heap.refused` says. */
export namespace Refused {
  export const NOTHING: u32 = 0;
  /** A cycle is to begin. */
  export const WAITING: u32 = 1;
  /** The cycle under way has begun because of it; or the run that has, which has ended, but not all that may have to be done behind it. */
  export const SOUGHT: u32 = 2;
}

/** The program was refused memory, for which there is a status. Returns 0, for the caller to return in turn. */
export function refuse(heap: Heap): Address {
  heap.refused = Refused.WAITING;
  return 0;
}
