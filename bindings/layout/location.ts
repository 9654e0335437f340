import { DisposedError, InvalidArgumentError, StaleReferenceError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";

/**
 * What a checked access needs to know: where a record lies, and the guard that tells whether it still lives.
 *
 * Every access loads the guard's word and compares it with the generation that was there when the location was taken.
 * Whatever ends the record (a reset, a rewind, a free, a move) changes that word first, so a stale location cannot read
 * or write what has come to lie in its place.
 */
export abstract class Location {
  /** The memory that the record lies in. */
  readonly $memory: LinearMemory;
  /** The record's address, in bytes; 0 while unset. */
  $address: Address = 0;
  /** The index of the guard's word in `memory.i32`. While unset it is word 0, which is always 0 and matches nothing. */
  $guard = 0;
  /** What the guard must show; signed, since engines compare 32-bit integers without a detour that way. */
  $generation = 1;

  constructor(memory: LinearMemory) {
    this.$memory = memory;
  }

  /** From here on it shows copies that are overwritten, and so do the views that it gives: see `Cursor.$fleeting`. */
  $becomeFleeting(): void {}

  /** What a console calls it. */
  abstract get $title(): string;

  /** What is there, as plain data, for `JSON.stringify` and consoles. */
  abstract toJSON(): unknown;
}

/** Node's console shows the data, and not the runtime behind it. */
Object.defineProperty(Location.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: Location, _depth: number, options: object, inspect: (value: unknown, options: object) => string): string {
    if (!isLive(this)) return `${this.$title} (ended)`;
    try {
      return `${this.$title} ${inspect(this.toJSON(), options)}`;
    } catch {
      return `${this.$title} (unreadable)`;
    }
  },
});

/** True while the record at `location` lives. */
export function isLive(location: Location): boolean {
  const { $memory: memory, $guard: guard, $generation: generation } = location;
  return memory.i32[guard] === generation || (memory.recover() && memory.i32[guard] === generation);
}

/**
 * Points `location` at a record whose address and guard are known to be good.
 *
 * @throws {InvalidArgumentError} if a program has frozen it; nothing has changed
 */
export function place(location: Location, address: Address, guard: number, generation: number): void {
  try {
    location.$address = address;
  } catch (error) {
    throw frozenError(location, error);
  }
  location.$guard = guard;
  location.$generation = generation;
}

/**
 * Makes sure that `location` can be placed, before anything is changed for it that could not be undone.
 *
 * @throws {InvalidArgumentError} if a program has frozen it
 */
export function assertMovable(location: Location): void {
  const { $address: address } = location;
  try {
    location.$address = address; // engines leave this out for all that can be written to
  } catch (error) {
    throw frozenError(location, error);
  }
}

/** For what shows a record or elements, and cannot be changed, as the engine has just found out. */
export function frozenError({ $address }: Location, cause: unknown): InvalidArgumentError {
  return new InvalidArgumentError(`what shows the record at ${$address} is frozen, and cannot be moved`, { cause });
}

/** Points `location` to nothing. */
export function unset(location: Location): void {
  place(location, 0, 0, 1);
}

/** Ends what `location` shows, though the record may live on; its address stays, for messages. */
export function end(location: Location): void {
  place(location, location.$address, 0, 1);
}

/** Throws unless the record at `location` lives. */
export function assertLive(location: Location): void {
  if (location.$memory.i32[location.$guard] !== location.$generation) stale(location);
}

/**
 * Throws the error for an access that has failed its check; returns where only the views had been detached, by a host
 * that grew memory behind our back, and have been made anew.
 *
 * @throws {DisposedError} after the runtime's dispose
 * @throws {StaleReferenceError} otherwise
 */
export function stale(location: Location): void {
  const { $memory: memory, $address: address, $guard: guard, $generation: expected } = location;
  if (memory.recover() && memory.i32[guard] === expected) return;
  if (memory.disposed) throw new DisposedError("access to a record: the runtime has been disposed");
  if (guard === 0 && address !== 0) {
    throw new StaleReferenceError(
      `what showed the record at ${address} has ended: with its scope, with its event, or by release`,
    );
  }
  if (guard === 0) throw new StaleReferenceError("the cursor has not been moved to any record yet");
  throw new StaleReferenceError(
    `the record at ${address} has ended: its guard at ${guard * 4} shows generation ${memory.u32[guard]}, ` +
      `the reference was made in generation ${expected >>> 0}`,
  );
}

/** Throws unless `other` belongs to the same runtime as `memory`. */
export function assertSameMemory(memory: LinearMemory, other: Location, operation: string): void {
  if (other.$memory !== memory) throw new InvalidArgumentError(`${operation}: it belongs to another runtime`);
}
