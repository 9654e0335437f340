import type { FieldType } from "../layout/fieldType.js";
import type { CursorOf, ObjectOf, StructType } from "../layout/struct.js";

/** What reading a key or value of type `T` gives: a number, bigint, boolean or string, or a struct's cursor. */
export type Shown<T extends FieldType<unknown>> =
  T extends StructType<infer F> ? CursorOf<F> : T extends FieldType<infer Value> ? Value : never;

/** What is taken for a key of type `T`: for a struct a plain object with all its fields, or a cursor. */
export type GivenKey<T extends FieldType<unknown>> =
  T extends StructType<infer F> ? CursorOf<F> | ObjectOf<F> : T extends FieldType<infer Value> ? Value : never;

/** What is taken for a value of type `T`: for a struct a plain object, whose missing fields are zero, or a cursor. */
export type GivenValue<T extends FieldType<unknown>> =
  T extends StructType<infer F> ? CursorOf<F> | Partial<ObjectOf<F>> : T extends FieldType<infer Value> ? Value : never;

/** The cursor that `get` can be given: for structs as values. */
export type ValueCursor<T extends FieldType<unknown>> = T extends StructType<infer F> ? CursorOf<F> : undefined;
