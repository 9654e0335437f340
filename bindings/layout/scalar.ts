import { describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { type Member, pathOf } from "./codec.js";
import type { Cursor } from "./cursor.js";
import { isLive, type Location, stale } from "./location.js";
import type { Fields } from "./struct.js";

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
export function refuseStore(location: Location, name: ScalarName, value: unknown): void {
  if (!isLive(location)) stale(location);
  // Neither may be so: the views had been detached, and have been made anew.
  if (!ACCEPTS[name](value)) refuse(name, value, fieldOf(location, name));
}

/** What was stored to, as far as the struct and the type tell: setters are too small to pass more. */
function fieldOf(location: Location, name: ScalarName): string {
  const struct = (location as Partial<Cursor>).$struct;
  if (struct === undefined) return "a field";
  const fields: Fields = struct.fields;
  const [first, ...others] = Object.keys(fields).filter((each) => fields[each]!.name === name);
  return first !== undefined && others.length === 0 ? `${struct.name}.${first}` : `a field of ${struct.name}`;
}

// A number's own bit operation gives it back unchanged exactly when it is in range, whole, and no NaN.
const isU8 = (value: unknown): boolean => typeof value === "number" && (value & 0xff) === value;
const isI8 = (value: unknown): boolean => typeof value === "number" && (value << 24) >> 24 === value;
const isU16 = (value: unknown): boolean => typeof value === "number" && (value & 0xffff) === value;
const isI16 = (value: unknown): boolean => typeof value === "number" && (value << 16) >> 16 === value;
const isU32 = (value: unknown): boolean => typeof value === "number" && value >>> 0 === value;
const isI32 = (value: unknown): boolean => typeof value === "number" && (value | 0) === value;
export const isU64 = (value: unknown): boolean => typeof value === "bigint" && BigInt.asUintN(64, value) === value;
export const isI64 = (value: unknown): boolean => typeof value === "bigint" && BigInt.asIntN(64, value) === value;
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
