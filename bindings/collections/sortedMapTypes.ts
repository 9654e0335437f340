import type { Cursor, Ref } from "../layout/cursor.js";
import type { ArrayType } from "../layout/fields.js";
import type { FieldType } from "../layout/fieldType.js";
import type { AnyFields, CursorOf, Given, Plain, SequenceOf, StructType } from "../layout/struct.js";

/** What reading a key or value of type `T` gives: a number, bigint, boolean or string, a struct's cursor, or a plain array. */
export type Shown<T extends FieldType<unknown>> = T extends StructType<infer F> ? CursorOf<F> : Plain<T, AnyFields>;

/**
 * What is taken for a key of type `T`: for a struct a plain object with all its fields, or a cursor or ref; for an inline array
 * one of any kind with all its elements.
 */
export type GivenKey<T extends FieldType<unknown>> =
  T extends StructType<infer F>
    ? Cursor<F> | Ref<F> | { readonly [Name in keyof F]: GivenKey<F[Name]> }
    : T extends ArrayType<infer Element>
      ? ArrayLike<GivenKey<Element>> | SequenceOf<Element>
      : T extends FieldType<infer Value>
        ? Value
        : never;

/** What is taken for a value of type `T`: for a struct what `assign` takes, whose missing fields are zero. */
export type GivenValue<T extends FieldType<unknown>> = Given<T, AnyFields>;

/** The cursor that `get` can be given: for structs as values. */
export type ValueCursor<T extends FieldType<unknown>> = T extends StructType<infer F> ? CursorOf<F> : undefined;
