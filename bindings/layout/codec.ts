import { describe, isInstance } from "../arguments.js";
import { InvalidArgumentError, TidemarkError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { Location } from "./location.js";

/** The accessor of one field, to be put on a cursor's prototype. */
export interface Accessor {
  get(this: Location): unknown;
  set(this: Location, value: never): void;
}

/**
 * How values of one field type lie in memory.
 *
 * Accessors are closures, made once for each struct and memory: as fast as generated source, and allowed under a
 * content-security policy that forbids `eval`.
 */
export interface Codec {
  /**
   * The checked accessor of a field at `offset`, for cursors over `memory`; `part` numbers the fields whose values are
   * views themselves.
   */
  accessor(memory: LinearMemory, offset: number, part: number): Accessor;
  /**
   * Throws {@link InvalidArgumentError} unless {@link write} can take `value`, and returns what it shall be given: the
   * value itself, or, where the value is an object, what a single reading of it has found, so that no getter can change
   * it after the check. `path` and `member` name it in the message.
   */
  check(memory: LinearMemory, value: unknown, path: string, member?: Member): unknown;
  /** Writes what {@link check} has returned. */
  write(memory: LinearMemory, address: Address, value: never): void;
  /**
   * The value at `address` as plain data.
   *
   * @param from what is being read, for values that are good as long as that is
   */
  read(memory: LinearMemory, address: Address, from?: Location): unknown;
  /** Reports each ref in a value that lies at `offset`, and the struct that it refers to. */
  slots(offset: number, report: SlotReport): void;
}

/** A field of a struct by its name, or an element of an array by its index. */
export type Member = string | number | undefined;

/** How a message calls a value. Made only when there is something to say, since strings are garbage. */
export function pathOf(path: string, member: Member): string {
  if (member === undefined) return path;
  if (typeof member === "number") return `${path}[${member}]`;
  return `${path}.${typeof member === "string" ? member : describe(member)}`; // types do not keep everybody from giving others
}

/** The bytes of a record or array, as they were when it was given as a value. */
export class Image {
  constructor(readonly bytes: Uint8Array) {}
}

/** The `size` bytes at `address` as they are now. */
export function imageOf(memory: LinearMemory, address: Address, size: number): Image {
  return new Image(memory.u8.slice(address, address + size));
}

/** The error for an object whose getters throw; an error of our own stays what it is. */
export function unreadable(cause: unknown, path: string, member: Member): TidemarkError {
  if (isInstance(cause, TidemarkError)) return cause;
  return new InvalidArgumentError(`${pathOf(path, member)} cannot be read`, { cause });
}

/** Takes the offset of a ref and the type that it refers to; and whether it is a weak one, in types that heaps have made. */
export type SlotReport = (offset: number, target: object, isWeak?: boolean) => void;
