import { describe } from "../arguments.js";
import { InvalidArgumentError, InvalidStructError, StaleReferenceError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { Codec, SlotReport } from "./codec.js";
import { Cursor, type Ref } from "./cursor.js";
import type { ArrayType, RefType, SelfRefType } from "./fields.js";
import { FieldKind, type FieldType } from "./fieldType.js";
import { assertLive, assertSameMemory, isLive, type Location, place, stale } from "./location.js";
import { StructArray, type ValueArray } from "./sequence.js";

/** The fields of a struct, in the order in which they lie in memory. */
export type Fields = { readonly [name: string]: FieldType<unknown> };

/** A struct of any fields. */
// biome-ignore lint/suspicious/noExplicitAny: the only type that every struct's cursor is assignable to
export type AnyStruct = StructType<any>;

/** What reading a field of type `T` gives, in a struct with the fields `Self`. */
type Read<T, Self extends Fields> =
  T extends SelfRefType<string>
    ? CursorOf<Self> | null
    : T extends RefType<infer F>
      ? CursorOf<F> | null
      : T extends ArrayType<infer Element>
        ? Elements<Element, Self>
        : T extends StructType<infer F>
          ? CursorOf<F>
          : T extends FieldType<infer Value>
            ? Value
            : never;

/** What `toObject` gives and `assign` takes for a field of type `T`. */
type Plain<T> = T extends SelfRefType<string> | RefType<Fields>
  ? Cursor | Ref | null
  : T extends ArrayType<infer Element>
    ? Plain<Element>[]
    : T extends StructType<infer F>
      ? ObjectOf<F>
      : T extends FieldType<infer Value>
        ? Value
        : never;

type Elements<Element, Self extends Fields> =
  Element extends StructType<infer F> ? StructArray<CursorOf<F>, ObjectOf<F>> : ValueArray<Read<Element, Self>>;

/** The cursor of a struct with these fields. */
export type CursorOf<F extends Fields> = Omit<Cursor, "toObject" | "assign" | "copyTo"> & {
  -readonly [Name in keyof F]: Read<F[Name], F>;
} & {
  toObject(): ObjectOf<F>;
  assign(values: Partial<ObjectOf<F>>): CursorOf<F>;
  copyTo(target: Parameters<Cursor["copyTo"]>[0], into?: CursorOf<F>): CursorOf<F>;
} & Cursor;

/** The plain object that has the values of a struct with these fields. */
export type ObjectOf<F extends Fields> = { -readonly [Name in keyof F]: Plain<F[Name]> };

/** The array of elements of type `T`. */
export type SequenceOf<T extends FieldType<unknown>> =
  T extends StructType<infer F>
    ? StructArray<CursorOf<F>, ObjectOf<F>>
    : ValueArray<T extends FieldType<infer V> ? V : never>;

/** Names that fields cannot have: they would hide a cursor's methods, or make it look like a promise. */
const RESERVED: ReadonlySet<string> = new Set([...Object.getOwnPropertyNames(Cursor.prototype), "then", "__proto__"]);

/** The largest struct, in bytes; what is larger should be several records. */
const SIZE_LIMIT = 0x10_0000;

/**
 * A declared layout: fields at offsets, with the alignment and padding that C would give them.
 *
 * A struct belongs to no runtime; it can be used with several, and nested in other structs as a field.
 */
export class StructType<F extends Fields> implements FieldType<CursorOf<F>> {
  readonly kind = FieldKind.STRUCT;
  /** The name, as messages show it. */
  readonly name: string;
  /** In bytes, a multiple of `alignment`: the distance between elements of an array. */
  readonly size: number;
  /** In bytes: that of the most strictly aligned field. */
  readonly alignment: number;
  /** Where each field begins, in bytes from the start of the record. */
  readonly offsets: { readonly [Name in keyof F]: number };
  /** The fields' types. */
  readonly fields: F;
  readonly $codec: Codec;
  /** `size` rounded up to 8: what a record takes in an arena. */
  readonly $rounded: number;
  declare readonly $value?: CursorOf<F>;
  readonly #Cursor: new (
    memory: LinearMemory,
  ) => Cursor;

  /** Use {@link struct}. */
  constructor(name: string, declared: F) {
    this.name = checkName(name);
    const fields: Record<string, FieldType<unknown>> = Object.create(null);
    const offsets: Record<string, number> = Object.create(null);
    let offset = 0;
    let alignment = 1;
    for (const [fieldName, declaredType] of Object.entries(checkFields(name, declared))) {
      const type = bind(declaredType, this as AnyStruct);
      offset = Math.ceil(offset / type.alignment) * type.alignment;
      fields[fieldName] = type;
      offsets[fieldName] = offset;
      offset += type.size;
      alignment = Math.max(alignment, type.alignment);
    }
    this.size = Math.ceil(offset / alignment) * alignment;
    if (this.size > SIZE_LIMIT) {
      throw new InvalidStructError(`struct ${name} has ${this.size} bytes, more than the limit of ${SIZE_LIMIT}`);
    }
    this.alignment = alignment;
    this.fields = Object.freeze(fields) as F;
    this.offsets = Object.freeze(offsets) as this["offsets"];
    this.$rounded = Math.ceil(this.size / 8) * 8;
    this.$codec = structCodec(this as AnyStruct);
    this.#Cursor = cursorClass(this as AnyStruct);
  }

  /** A cursor of this struct that points to nothing yet. */
  $newCursor(memory: LinearMemory): CursorOf<F> {
    return new this.#Cursor(memory) as CursorOf<F>;
  }

  /** An array of this struct that points to nothing yet. */
  $newArray(memory: LinearMemory): StructArray<CursorOf<F>, ObjectOf<F>> {
    return new StructArray<CursorOf<F>, ObjectOf<F>>(memory, this.$newCursor(memory));
  }

  /** Throws unless `target` points at a live record of this struct in `memory`. */
  $assertRecord(memory: LinearMemory, target: Cursor | Ref, operation: string): void {
    if (target.$struct !== (this as AnyStruct)) {
      throw new InvalidArgumentError(
        `${operation}: a cursor or ref of ${this.name} was expected, but one of ${target.$struct?.name} given`,
      );
    }
    assertSameMemory(memory, target, operation);
    if (!isLive(target)) {
      if (target.$address === 0) throw new StaleReferenceError(`${operation}: the cursor points to nothing yet`);
      stale(target);
    }
  }

  /** The struct that the ref field `name` refers to. */
  $refTarget(name: string): AnyStruct {
    const field = this.fields[name] as FieldType<unknown> & Partial<RefType<Fields>>;
    if (field?.$target === undefined) {
      throw new InvalidArgumentError(`follow: struct ${this.name} has no ref field ${describe(name)}`);
    }
    return field.$target() as AnyStruct;
  }

  /** Throws unless `values` is an object all of whose properties are fields with values that fit. */
  $check(memory: LinearMemory, values: unknown, path: string): void {
    if (typeof values !== "object" || values === null) {
      throw new InvalidArgumentError(`${path} takes an object, but was given ${describe(values)}`);
    }
    if (values instanceof Cursor) {
      this.$assertRecord(memory, values, path);
      return;
    }
    for (const name in values) {
      const field = this.fields[name];
      if (field === undefined)
        throw new InvalidArgumentError(`${path}: struct ${this.name} has no field ${describe(name)}`);
      field.$codec.check(memory, (values as Record<string, unknown>)[name], `${path}.${name}`);
    }
  }

  /** Writes values that have passed {@link $check}. */
  $write(memory: LinearMemory, address: Address, values: object): void {
    if (values instanceof Cursor) {
      memory.u8.copyWithin(address, values.$address, values.$address + this.size);
      return;
    }
    for (const name in values) {
      const value = (values as Record<string, unknown>)[name];
      this.fields[name]!.$codec.write(memory, address + this.offsets[name]!, value as never);
    }
  }

  /** The record at `address` as a plain object. */
  $read(memory: LinearMemory, address: Address): ObjectOf<F> {
    const result: Record<string, unknown> = {};
    for (const name in this.fields) {
      result[name] = this.fields[name]!.$codec.read(memory, address + this.offsets[name]!);
    }
    return result as ObjectOf<F>;
  }
}

/**
 * Declares a layout.
 *
 * The fields lie in the order of the declaration, each at the next multiple of its alignment, and the size is rounded up
 * to the largest of these, as C does. Types: {@link u8} {@link i8} {@link u16} {@link i16} {@link u32} {@link i32}
 * {@link u64} {@link i64} {@link f32} {@link f64} {@link bool}, `text(bytes)`, `array(type, length)`, `ref(struct)`, and
 * other structs.
 *
 * @param name as messages and `ref("name")` show it
 * @throws {InvalidStructError} if there are no fields, one is of no type, or its name is reserved
 *
 * @example
 * const Level = struct("Level", { price: f64, quantity: f64 });
 * Level.size; // 16
 * Level.offsets.quantity; // 8
 */
export function struct<const F extends Fields>(name: string, fields: F): StructType<F> {
  return new StructType(name, fields);
}

function checkName(name: string): string {
  if (typeof name === "string" && name.length > 0) return name;
  throw new InvalidStructError(`a struct needs a name, but was given ${describe(name)}`);
}

function checkFields(name: string, declared: Fields): Fields {
  if (typeof declared !== "object" || declared === null || Object.keys(declared).length === 0) {
    throw new InvalidStructError(`struct ${name} needs at least one field, but was given ${describe(declared)}`);
  }
  for (const [fieldName, type] of Object.entries(declared)) {
    if (RESERVED.has(fieldName) || fieldName.startsWith("$")) {
      throw new InvalidStructError(`struct ${name}: the field name ${describe(fieldName)} is reserved`);
    }
    if (/^\d+$/.test(fieldName)) {
      // JavaScript puts such properties first, whatever the order in which they were written.
      throw new InvalidStructError(`struct ${name}: the field name ${describe(fieldName)} is a number`);
    }
    if (typeof (type as FieldType<unknown> | undefined)?.$codec !== "object") {
      throw new InvalidStructError(`struct ${name}: field ${fieldName} is of no field type, but ${describe(type)}`);
    }
  }
  return declared;
}

/** Gives a ref to the own name its target. */
function bind(type: FieldType<unknown>, self: AnyStruct): FieldType<unknown> {
  return (type as Partial<SelfRefType<string>>).$bind?.(self) ?? type;
}

function cursorClass(type: AnyStruct): new (memory: LinearMemory) => Cursor {
  class StructCursor extends Cursor {}
  Object.defineProperty(StructCursor.prototype, "$struct", { value: type });
  Object.keys(type.fields).forEach((name, part) => {
    const field = type.fields[name] as FieldType<unknown>;
    const accessor = field.$codec.accessor(type.offsets[name] as number, part);
    Object.defineProperty(StructCursor.prototype, name, { ...accessor, enumerable: true } as PropertyDescriptor);
  });
  return StructCursor;
}

/** How a struct lies inside another: a cursor of its own, which moves with the one around it. */
function structCodec(type: AnyStruct): Codec {
  return {
    accessor: (offset, part) => ({
      get(this: Location) {
        assertLive(this);
        const parts = ((this as Cursor).$parts ??= []);
        const nested = (parts[part] ??= type.$newCursor(this.$memory));
        place(nested, this.$address + offset, this.$guard, this.$generation);
        return nested;
      },
      set(this: Location, value: object) {
        assertLive(this);
        type.$check(this.$memory, value, type.name);
        type.$write(this.$memory, this.$address + offset, value);
      },
    }),
    check: (memory, value, path) => type.$check(memory, value, path),
    write: (memory, address, value: object) => type.$write(memory, address, value),
    read: (memory, address) => type.$read(memory, address),
    slots(offset: number, report: SlotReport) {
      for (const name in type.fields) {
        const field = type.fields[name] as FieldType<unknown>;
        field.$codec.slots(offset + (type.offsets[name] as number), report);
      }
    },
  };
}
