import type { Codec } from "./codec.js";
import {
  boolCodec,
  f32Codec,
  f64Codec,
  i8Codec,
  i16Codec,
  i32Codec,
  i64Codec,
  u8Codec,
  u16Codec,
  u32Codec,
  u64Codec,
} from "./scalarCodecs.js";

/** The kinds of field, numbered as `assembly/` knows them. */
export const FieldKind = {
  U8: 1,
  I8: 2,
  U16: 3,
  I16: 4,
  U32: 5,
  I32: 6,
  U64: 7,
  I64: 8,
  F32: 9,
  F64: 10,
  BOOL: 11,
  TEXT: 12,
  ARRAY: 13,
  STRUCT: 14,
  REF: 15,
} as const;

/** The number of a kind of field, as {@link FieldType.kind} has it. */
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

/**
 * The type of a field: its size and alignment in bytes, as C would have them, and in `Value` the TypeScript type that
 * reading it gives.
 */
export interface FieldType<out Value> {
  /** What kind of field it is, as a number. */
  readonly kind: FieldKind;
  /** How the type is written in messages: `f64`, `array(u8, 4)`. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** In bytes; a power of two up to 8. */
  readonly alignment: number;
  /** How its values lie in memory. */
  readonly $codec: Codec;
  /** Only in the type system: what a read gives. */
  readonly $value?: Value;
}

/** True for what {@link FieldType} describes; nothing else has a codec. */
export function isFieldType(type: unknown): type is FieldType<unknown> {
  return typeof (type as FieldType<unknown> | null | undefined)?.$codec?.accessor === "function";
}

/** The types whose values are numbers. */
export interface NumberType extends FieldType<number> {
  /** The least value that it takes; −Infinity for floats. */
  readonly minimum: number;
  /** The greatest value that it takes; Infinity for floats. */
  readonly maximum: number;
  /** True for the integer types: a fraction is refused. */
  readonly whole: boolean;
}

/** The types whose values are bigints. */
export interface BigintType extends FieldType<bigint> {
  /** The least value that it takes. */
  readonly minimum: bigint;
  /** The greatest value that it takes. */
  readonly maximum: bigint;
}

/** The type of bytes, which `array(u8)` is the type of a run of. */
export interface ByteType extends NumberType {
  readonly kind: typeof FieldKind.U8;
}

function number(name: string, kind: FieldKind, $codec: Codec, size: number, least: number, most: number): NumberType {
  const whole = kind !== FieldKind.F32 && kind !== FieldKind.F64;
  return { kind, name, size, alignment: size, minimum: least, maximum: most, whole, $codec };
}

/** An unsigned integer of 8 bits. */
export const u8: ByteType = number("u8", FieldKind.U8, u8Codec, 1, 0, 0xff) as ByteType;
/** A signed integer of 8 bits. */
export const i8: NumberType = number("i8", FieldKind.I8, i8Codec, 1, -0x80, 0x7f);
/** An unsigned integer of 16 bits. */
export const u16: NumberType = number("u16", FieldKind.U16, u16Codec, 2, 0, 0xffff);
/** A signed integer of 16 bits. */
export const i16: NumberType = number("i16", FieldKind.I16, i16Codec, 2, -0x8000, 0x7fff);
/** An unsigned integer of 32 bits. */
export const u32: NumberType = number("u32", FieldKind.U32, u32Codec, 4, 0, 0xffff_ffff);
/** A signed integer of 32 bits. */
export const i32: NumberType = number("i32", FieldKind.I32, i32Codec, 4, -0x8000_0000, 0x7fff_ffff);
/** A float of 32 bits; values are rounded to the nearest one. */
export const f32: NumberType = number("f32", FieldKind.F32, f32Codec, 4, -Infinity, Infinity);
/** A float of 64 bits: JavaScript's own number. */
export const f64: NumberType = number("f64", FieldKind.F64, f64Codec, 8, -Infinity, Infinity);

/** An unsigned integer of 64 bits, read and written as bigint, which is an object of the JavaScript heap. */
export const u64: BigintType = {
  kind: FieldKind.U64,
  name: "u64",
  size: 8,
  alignment: 8,
  minimum: 0n,
  maximum: 0xffff_ffff_ffff_ffffn,
  $codec: u64Codec,
};

/** A signed integer of 64 bits, read and written as bigint, which is an object of the JavaScript heap. */
export const i64: BigintType = {
  kind: FieldKind.I64,
  name: "i64",
  size: 8,
  alignment: 8,
  minimum: -0x8000_0000_0000_0000n,
  maximum: 0x7fff_ffff_ffff_ffffn,
  $codec: i64Codec,
};

/** A byte that is 0 or 1. */
export const bool: FieldType<boolean> = {
  kind: FieldKind.BOOL,
  name: "bool",
  size: 1,
  alignment: 1,
  $codec: boolCodec,
};
