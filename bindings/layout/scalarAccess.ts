import { describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { type Member, pathOf } from "./codec.js";
import { isLive, type Location, stale } from "./location.js";

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
export function refuse(name: ScalarName, value: unknown, path: string, member?: Member): never {
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

/** Whether a scalar takes a value. */
export const ACCEPTS: Readonly<Record<ScalarName, (value: unknown) => boolean>> = {
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

/**
 * The checked reads and writes of scalar fields over one memory: what accessors come down to.
 *
 * Methods of an object that accessors hold as a constant, one for each kind, because of what V8 makes of it. An accessor
 * that only calls one is so short that it is compiled in place always, while longer accessors come last when a
 * function's budget for that is shared out; and a float that is returned by a call that was not compiled in place is an
 * object on the heap. The views of a memory are constants to the engine until it grows: an access then goes to an
 * absolute address. Measured on four checked stores: 2.7 ns with the memory read from the cursor, 2.1 ns so.
 */
export class ScalarAccess {
  constructor(readonly memory: LinearMemory) {}

  getU8(location: Location, offset: number): number {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation) stale(location);
    return memory.u8[location.$address + offset]!;
  }

  setU8(location: Location, offset: number, value: number): void {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation || typeof value !== "number" || (value & 0xff) !== value) {
      refuseStore(location, "u8", value);
    }
    memory.u8[location.$address + offset] = value;
  }

  getI8(location: Location, offset: number): number {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation) stale(location);
    return memory.i8[location.$address + offset]!;
  }

  setI8(location: Location, offset: number, value: number): void {
    const { memory } = this;
    if (
      memory.i32[location.$guard] !== location.$generation ||
      typeof value !== "number" ||
      (value << 24) >> 24 !== value
    ) {
      refuseStore(location, "i8", value);
    }
    memory.i8[location.$address + offset] = value;
  }

  getU16(location: Location, offset: number): number {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation) stale(location);
    return memory.u16[(location.$address + offset) >>> 1]!;
  }

  setU16(location: Location, offset: number, value: number): void {
    const { memory } = this;
    if (
      memory.i32[location.$guard] !== location.$generation ||
      typeof value !== "number" ||
      (value & 0xffff) !== value
    ) {
      refuseStore(location, "u16", value);
    }
    memory.u16[(location.$address + offset) >>> 1] = value;
  }

  getI16(location: Location, offset: number): number {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation) stale(location);
    return memory.i16[(location.$address + offset) >>> 1]!;
  }

  setI16(location: Location, offset: number, value: number): void {
    const { memory } = this;
    if (
      memory.i32[location.$guard] !== location.$generation ||
      typeof value !== "number" ||
      (value << 16) >> 16 !== value
    ) {
      refuseStore(location, "i16", value);
    }
    memory.i16[(location.$address + offset) >>> 1] = value;
  }

  getU32(location: Location, offset: number): number {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation) stale(location);
    return memory.u32[(location.$address + offset) >>> 2]!;
  }

  setU32(location: Location, offset: number, value: number): void {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation || typeof value !== "number" || value >>> 0 !== value) {
      refuseStore(location, "u32", value);
    }
    memory.u32[(location.$address + offset) >>> 2] = value;
  }

  getI32(location: Location, offset: number): number {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation) stale(location);
    return memory.i32[(location.$address + offset) >>> 2]!;
  }

  setI32(location: Location, offset: number, value: number): void {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation || typeof value !== "number" || (value | 0) !== value) {
      refuseStore(location, "i32", value);
    }
    memory.i32[(location.$address + offset) >>> 2] = value;
  }

  getF32(location: Location, offset: number): number {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation) stale(location);
    return memory.f32[(location.$address + offset) >>> 2]!;
  }

  setF32(location: Location, offset: number, value: number): void {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation || typeof value !== "number") {
      refuseStore(location, "f32", value);
    }
    memory.f32[(location.$address + offset) >>> 2] = value;
  }

  getF64(location: Location, offset: number): number {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation) stale(location);
    return memory.f64[(location.$address + offset) >>> 3]!;
  }

  setF64(location: Location, offset: number, value: number): void {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation || typeof value !== "number") {
      refuseStore(location, "f64", value);
    }
    memory.f64[(location.$address + offset) >>> 3] = value;
  }

  getU64(location: Location, offset: number): bigint {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation) stale(location);
    return memory.u64[(location.$address + offset) >>> 3]!;
  }

  setU64(location: Location, offset: number, value: bigint): void {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation || !isU64(value)) {
      refuseStore(location, "u64", value);
    }
    memory.u64[(location.$address + offset) >>> 3] = value;
  }

  getI64(location: Location, offset: number): bigint {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation) stale(location);
    return memory.i64[(location.$address + offset) >>> 3]!;
  }

  setI64(location: Location, offset: number, value: bigint): void {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation || !isI64(value)) {
      refuseStore(location, "i64", value);
    }
    memory.i64[(location.$address + offset) >>> 3] = value;
  }

  getBool(location: Location, offset: number): boolean {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation) stale(location);
    return memory.u8[location.$address + offset] !== 0;
  }

  setBool(location: Location, offset: number, value: boolean): void {
    const { memory } = this;
    if (memory.i32[location.$guard] !== location.$generation || typeof value !== "boolean") {
      refuseStore(location, "bool", value);
    }
    memory.u8[location.$address + offset] = value ? 1 : 0;
  }
}
