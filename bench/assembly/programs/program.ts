// Programs: what a collector is put to work with.
//
// A program is a function over the type of a heap, so that the compiler makes a copy of it for each strategy, with the
// heap's own fast paths compiled in place. The heap has these methods:
//
//   addType(bytes, slots, slotCount, cyclicCount, weakSlots, weakCount, flags): usize   see assembly/collectors; 0 = memory is out
//   allocate(type: usize): usize                       zeroed; 0 when memory is out
//   allocateArray(type: usize, length: u32): usize     elements begin ELEMENTS behind the address
//   store(object, offset, value): void                 a strong reference, with what the strategy needs
//   openScope(): scope, push(scope, object): slot, move(slot, object), endScope(scope)   roots
//   safepoint(): u32                                   between two events: does what is owed, returns the units done
//   isManual(): bool                                   true if the program has to free what it has made
//   free(object): void                                 of a manual heap
//
// A program is a sequence of events. At the end of each, everything that is still wanted is held by a handle of an open
// scope or by another object, and what has been made and is not is garbage. bench/assembly/managed/ has the same programs
// with AssemblyScript's managed classes, bench/drivers/programs/ with plain objects of JavaScript; all draw the same
// random numbers and give the same checksum.

import { now } from "../drivers/clock";

/** Where an array's elements begin, in bytes. */
export const ELEMENTS: u32 = 8;

/** A flag of `addType`: the length is told with each allocation. */
export const VARIABLE: u32 = 2;

/** Offsets for `addType`: references that lie one behind the other from an object's, or an element's, beginning. */
export const SLOTS: usize = memory.data<u32>([0, 4, 8, 12]);

/** What the host asks for, and what it is told; the words of bench/drivers/programs.ts, in their order. */
@unmanaged
export class Program {
  /** 1 = the clock is read about each step. */
  timed: u32;
  /** Ends of events at which the heap had something to do. */
  steps: u32;
  /** The most units at the end of one event. */
  longestUnits: u32;
  /** Objects made. */
  made: u32;
  /** The longest time that the heap took at once. */
  longestMillis: f64;
  /** The units of all steps. */
  units: f64;
  /** For AssemblyScript's minimal runtime, which has no pacing of its own: the objects after which it collects. */
  collectAfter: u32;
  seed: u32;
  /** The types that the program has added to its heap. */
  firstType: usize;
  secondType: usize;
  /** What `density` finds: the bytes from its lowest object to its highest. */
  span: u32;
  /** Of `cells`: the longest time that the heap took at once while the array was filled. */
  fillMillis: f64;

  clear(): void {
    this.steps = 0;
    this.longestUnits = 0;
    this.made = 0;
    this.longestMillis = 0;
    this.units = 0;
  }

  /** Ends an event that has made so many objects. */
  @inline
  endEvent<S>(heap: S, made: u32): void {
    this.made += made;
    const started = this.timed ? now() : 0;
    const units = heap.safepoint();
    if (units) this.note(units);
    if (this.timed) this.noteTime(now() - started);
  }

  note(units: u32): void {
    this.steps++;
    this.units += units;
    if (units > this.longestUnits) this.longestUnits = units;
  }

  noteTime(millis: f64): void {
    if (millis > this.longestMillis) this.longestMillis = millis;
  }
}
