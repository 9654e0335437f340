import { describe } from "../arguments.js";
import { InvalidArgumentError, TidemarkError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { isLive, type Location, stale } from "./location.js";

/** The accessor of one field, to be put on a cursor's prototype. */
export interface Accessor {
  get(this: Location): unknown;
  set(this: Location, value: never): void;
}

/**
 * How values of one field type lie in memory.
 *
 * Accessors are closures over the field's offset, one function body a kind, so that each touches one typed array only:
 * as fast as generated source, and allowed under a content-security policy that forbids `eval`.
 */
export interface Codec {
  /** The checked accessor of a field at `offset`; `part` numbers the fields whose values are views themselves. */
  accessor(offset: number, part: number): Accessor;
  /**
   * Throws {@link InvalidArgumentError} unless {@link write} can take `value`, and returns what it shall be given: the
   * value itself, or, where the value is an object, what a single reading of it has found, so that no getter can change
   * it after the check. `path` and `member` name it in the message.
   */
  check(memory: LinearMemory, value: unknown, path: string, member?: Member): unknown;
  /** Writes what {@link check} has returned. */
  write(memory: LinearMemory, address: Address, value: never): void;
  /** The value at `address` as plain data. */
  read(memory: LinearMemory, address: Address): unknown;
  /** Reports each ref in a value that lies at `offset`, and the struct that it refers to. */
  slots(offset: number, report: SlotReport): void;
}

/** A field of a struct by its name, or an element of an array by its index. */
export type Member = string | number | undefined;

/** How a message calls a value. Made only when there is something to say, since strings are garbage. */
export function pathOf(path: string, member: Member): string {
  if (member === undefined) return path;
  return typeof member === "number" ? `${path}[${member}]` : `${path}.${String(member)}`;
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
  if (cause instanceof TidemarkError) return cause;
  return new InvalidArgumentError(`${pathOf(path, member)} cannot be read`, { cause });
}

/** Takes the offset of a ref and the struct that it refers to. */
export type SlotReport = (offset: number, target: object) => void;

const RANGES = {
  u8: "a whole number from 0 to 255",
  i8: "a whole number from -128 to 127",
  u16: "a whole number from 0 to 65535",
  i16: "a whole number from -32768 to 32767",
  u32: "a whole number from 0 to 4294967295",
  i32: "a whole number from -2147483648 to 2147483647",
  u64: "a bigint from 0n to 18446744073709551615n",
  i64: "a bigint from -9223372036854775808n to 9223372036854775807n",
  f32: "a number",
  f64: "a number",
  bool: "true or false",
} as const;

/** The types that are one machine word or less. */
export type ScalarName = keyof typeof RANGES;

/** Throws the error for a value that a scalar does not take. */
function refuse(name: ScalarName, value: unknown, path: string, member?: Member): never {
  throw new InvalidArgumentError(
    `${pathOf(path, member)} of type ${name} takes ${RANGES[name]}, but was given ${describe(value)}`,
  );
}

/**
 * Throws the error for a store that a setter's one test has found wrong: the record has ended, or the value does not
 * fit. One test and one call keep setters small enough to be inlined by the dozen.
 */
function refuseStore(location: Location, name: ScalarName, value: unknown): void {
  if (!isLive(location)) stale(location);
  // Neither may be so: the views had been detached, and have been made anew.
  if (!ACCEPTS[name](value)) refuse(name, value, "a field");
}

/** Puts a scalar's codec together from its four ways of touching memory. */
function scalar<Value>(
  name: ScalarName,
  accepts: (value: unknown) => boolean,
  read: (memory: LinearMemory, address: Address) => Value,
  write: (memory: LinearMemory, address: Address, value: Value) => void,
  accessor: (offset: number) => { get(this: Location): Value; set(this: Location, value: Value): void },
): Codec {
  return {
    accessor: accessor as Codec["accessor"],
    check(_memory, value, path, member) {
      if (!accepts(value)) refuse(name, value, path, member);
      return value;
    },
    write: write as Codec["write"],
    read,
    slots() {},
  };
}

// A number's own bit operation gives it back unchanged exactly when it is in range, whole, and no NaN.
const isU8 = (value: unknown): boolean => typeof value === "number" && (value & 0xff) === value;
const isI8 = (value: unknown): boolean => typeof value === "number" && (value << 24) >> 24 === value;
const isU16 = (value: unknown): boolean => typeof value === "number" && (value & 0xffff) === value;
const isI16 = (value: unknown): boolean => typeof value === "number" && (value << 16) >> 16 === value;
const isU32 = (value: unknown): boolean => typeof value === "number" && value >>> 0 === value;
const isI32 = (value: unknown): boolean => typeof value === "number" && (value | 0) === value;
const isU64 = (value: unknown): boolean => typeof value === "bigint" && BigInt.asUintN(64, value) === value;
const isI64 = (value: unknown): boolean => typeof value === "bigint" && BigInt.asIntN(64, value) === value;
const isNumber = (value: unknown): boolean => typeof value === "number";
const isBoolean = (value: unknown): boolean => typeof value === "boolean";
const ACCEPTS: Readonly<Record<ScalarName, (value: unknown) => boolean>> = {
  u8: isU8,
  i8: isI8,
  u16: isU16,
  i16: isI16,
  u32: isU32,
  i32: isI32,
  u64: isU64,
  i64: isI64,
  f32: isNumber,
  f64: isNumber,
  bool: isBoolean,
};

export const u8Codec = scalar<number>(
  "u8",
  isU8,
  (memory, address) => memory.u8[address]!,
  (memory, address, value) => {
    memory.u8[address] = value;
  },
  (offset) => ({
    get() {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation) stale(this);
      return memory.u8[this.$address + offset]!;
    },
    set(value) {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation || typeof value !== "number" || (value & 0xff) !== value) {
        refuseStore(this, "u8", value);
      }
      memory.u8[this.$address + offset] = value;
    },
  }),
);

export const i8Codec = scalar<number>(
  "i8",
  isI8,
  (memory, address) => memory.i8[address]!,
  (memory, address, value) => {
    memory.i8[address] = value;
  },
  (offset) => ({
    get() {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation) stale(this);
      return memory.i8[this.$address + offset]!;
    },
    set(value) {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation || typeof value !== "number" || (value << 24) >> 24 !== value) {
        refuseStore(this, "i8", value);
      }
      memory.i8[this.$address + offset] = value;
    },
  }),
);

export const u16Codec = scalar<number>(
  "u16",
  isU16,
  (memory, address) => memory.u16[address >>> 1]!,
  (memory, address, value) => {
    memory.u16[address >>> 1] = value;
  },
  (offset) => ({
    get() {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation) stale(this);
      return memory.u16[(this.$address + offset) >>> 1]!;
    },
    set(value) {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation || typeof value !== "number" || (value & 0xffff) !== value) {
        refuseStore(this, "u16", value);
      }
      memory.u16[(this.$address + offset) >>> 1] = value;
    },
  }),
);

export const i16Codec = scalar<number>(
  "i16",
  isI16,
  (memory, address) => memory.i16[address >>> 1]!,
  (memory, address, value) => {
    memory.i16[address >>> 1] = value;
  },
  (offset) => ({
    get() {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation) stale(this);
      return memory.i16[(this.$address + offset) >>> 1]!;
    },
    set(value) {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation || typeof value !== "number" || (value << 16) >> 16 !== value) {
        refuseStore(this, "i16", value);
      }
      memory.i16[(this.$address + offset) >>> 1] = value;
    },
  }),
);

export const u32Codec = scalar<number>(
  "u32",
  isU32,
  (memory, address) => memory.u32[address >>> 2]!,
  (memory, address, value) => {
    memory.u32[address >>> 2] = value;
  },
  (offset) => ({
    get() {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation) stale(this);
      return memory.u32[(this.$address + offset) >>> 2]!;
    },
    set(value) {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation || typeof value !== "number" || value >>> 0 !== value) {
        refuseStore(this, "u32", value);
      }
      memory.u32[(this.$address + offset) >>> 2] = value;
    },
  }),
);

export const i32Codec = scalar<number>(
  "i32",
  isI32,
  (memory, address) => memory.i32[address >>> 2]!,
  (memory, address, value) => {
    memory.i32[address >>> 2] = value;
  },
  (offset) => ({
    get() {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation) stale(this);
      return memory.i32[(this.$address + offset) >>> 2]!;
    },
    set(value) {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation || typeof value !== "number" || (value | 0) !== value) {
        refuseStore(this, "i32", value);
      }
      memory.i32[(this.$address + offset) >>> 2] = value;
    },
  }),
);

export const f32Codec = scalar<number>(
  "f32",
  isNumber,
  (memory, address) => memory.f32[address >>> 2]!,
  (memory, address, value) => {
    memory.f32[address >>> 2] = value;
  },
  (offset) => ({
    get() {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation) stale(this);
      return memory.f32[(this.$address + offset) >>> 2]!;
    },
    set(value) {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation || typeof value !== "number") refuseStore(this, "f32", value);
      memory.f32[(this.$address + offset) >>> 2] = value;
    },
  }),
);

export const f64Codec = scalar<number>(
  "f64",
  isNumber,
  (memory, address) => memory.f64[address >>> 3]!,
  (memory, address, value) => {
    memory.f64[address >>> 3] = value;
  },
  (offset) => ({
    get() {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation) stale(this);
      return memory.f64[(this.$address + offset) >>> 3]!;
    },
    set(value) {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation || typeof value !== "number") refuseStore(this, "f64", value);
      memory.f64[(this.$address + offset) >>> 3] = value;
    },
  }),
);

export const u64Codec = scalar<bigint>(
  "u64",
  isU64,
  (memory, address) => memory.u64[address >>> 3]!,
  (memory, address, value) => {
    memory.u64[address >>> 3] = value;
  },
  (offset) => ({
    get() {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation) stale(this);
      return memory.u64[(this.$address + offset) >>> 3]!;
    },
    set(value) {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation || !isU64(value)) refuseStore(this, "u64", value);
      memory.u64[(this.$address + offset) >>> 3] = value;
    },
  }),
);

export const i64Codec = scalar<bigint>(
  "i64",
  isI64,
  (memory, address) => memory.i64[address >>> 3]!,
  (memory, address, value) => {
    memory.i64[address >>> 3] = value;
  },
  (offset) => ({
    get() {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation) stale(this);
      return memory.i64[(this.$address + offset) >>> 3]!;
    },
    set(value) {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation || !isI64(value)) refuseStore(this, "i64", value);
      memory.i64[(this.$address + offset) >>> 3] = value;
    },
  }),
);

export const boolCodec = scalar<boolean>(
  "bool",
  isBoolean,
  (memory, address) => memory.u8[address] !== 0,
  (memory, address, value) => {
    memory.u8[address] = value ? 1 : 0;
  },
  (offset) => ({
    get() {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation) stale(this);
      return memory.u8[this.$address + offset] !== 0;
    },
    set(value) {
      const memory = this.$memory;
      if (memory.i32[this.$guard] !== this.$generation || typeof value !== "boolean") refuseStore(this, "bool", value);
      memory.u8[this.$address + offset] = value ? 1 : 0;
    },
  }),
);
