// The count word before each counted object, and where it is while a run of cycle collection looks at the object.
//
//   here  ┌───┬───────────┬───────┐       away  ┌───┬─────────────┐       entry  ┌────────┬──────┬───────┬──────┐
//         │ 0 │ count     │ flags │             │ 1 │ address ÷ 2 │ ───────────▶ │ object │ word │ inner │ next │
//         └───┴───────────┴───────┘             └───┴─────────────┘              └────────┴──────┴───────┴──────┘
//          31  30        8 7     0               31  30          0               0        4      8       12
//
// A word that is away lies in an entry of the run's list, and everything that reads or writes it goes there. So a run has room for
// its own count of each object that it visits, and objects have none for it. A count that reaches its limit stays there: its object
// lives as long as the heap. Both are told from all others by one comparison.

import { Address } from "../memory/alignment";
import { Heap } from "./heap";

export const COUNT_ONE: u32 = 256;
/** Counts from here on do not change. */
export const SATURATED: u32 = 0x7fff_ff00;
/** The word is in an entry of a run. */
export const AWAY: u32 = 0x8000_0000;

export namespace Flag {
  /** In the list of candidates, or of roots. */
  export const BUFFERED: u32 = 1;
  /** Without references, its own being taken back; or condemned by cycle collection. */
  export const DEAD: u32 = 2;
  /** Its hook is to be run, or is running. */
  export const DYING: u32 = 4;
  /** Has been stored in a weak slot. */
  export const WEAKLY: u32 = 8;
  /**
   * Its references have been taken back, and it waits: for the weak slots to be emptied, to leave the candidates, or for the
   * end of a run.
   */
  export const RELEASED: u32 = 16;
  /** Should be in a list for which there was no memory. */
  export const LOST: u32 = 32;
  /** Its hook has run. */
  export const HOOKED: u32 = 64;
  /** The run under way has begun with it. */
  export const ROOT: u32 = 128;
}
export const FLAGS: u32 = COUNT_ONE - 1;
if (FLAGS & SATURATED || SATURATED & AWAY) ERROR("the parts of a word must not overlap");

/** What a run of cycle collection knows of an object: see cycleCollection.ts. */
@unmanaged
export class Visit {
  object: Address;
  /** The object's count and flags. */
  word: u32;
  /** The references that the run has seen to it, as a count. */
  inner: u32;
  /** 0 until the object is known to be held from outside, then not: the next of those whose references are to be looked at, or NONE. */
  next: Address;

  get isHeld(): bool {
    return this.next != 0;
  }
}
export const VISIT_BYTES: u32 = offsetof<Visit>();
if (VISIT_BYTES != 16) ERROR("entries must fill a chunk of a list exactly");

/** The end of the list of what is held. */
export const NONE: Address = 1;

/** The entry of an object; 0 if no run looks at it. */
export function visitOf(object: Address): Visit {
  const word = load<u32>(object - 4);
  return changetype<Visit>(word & AWAY ? <Address>(word << 1) : 0);
}

/** The count and flags of an object. */
export function wordOf(object: Address): u32 {
  const word = load<u32>(object - 4);
  return word & AWAY ? changetype<Visit>(<Address>(word << 1)).word : word;
}

export function setWord(object: Address, word: u32): void {
  const visit = visitOf(object);
  if (changetype<Address>(visit)) visit.word = word;
  else store<u32>(object - 4, word);
}

/** Has an entry keep the word of its object from now on. */
export function takeWord(visit: Visit): void {
  store<u32>(visit.object - 4, AWAY | <u32>(changetype<Address>(visit) >> 1));
}

/** Gives an object a word of its own back. */
export function giveWord(object: Address, word: u32): void {
  store<u32>(object - 4, word);
}

/** Counts one more reference. */
export function retain(object: Address): void {
  const word = load<u32>(object - 4);
  if (word < SATURATED) store<u32>(object - 4, word + COUNT_ONE);
  else if (word & AWAY) retainAway(changetype<Visit>(<Address>(word << 1)));
}

function retainAway(visit: Visit): void {
  if (visit.word < SATURATED) visit.word += COUNT_ONE;
}

/** True for an object that only its own destroy hook, or that of another that dies with it, can know. */
export function isDead(object: Address): bool {
  return object != 0 && (wordOf(object) & (Flag.DEAD | Flag.DYING)) != 0;
}

/** The run knows that an object is held from outside of what it visits, and will look for what that reaches. O(1) */
export function hold(heap: Heap, visit: Visit): void {
  if (visit.isHeld) return;
  visit.next = heap.held;
  heap.held = changetype<Address>(visit);
}
