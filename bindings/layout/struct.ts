import { assertOptions, describe, isPlain, type NamesOf } from "../arguments.js";
import { InvalidArgumentError, InvalidStructError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { isArrayObject } from "./arrayObjectType.js";
import type { Bytes } from "./bytes.js";
import { type Codec, Image, imageOf, type Member, pathOf, type SlotReport, unreadable } from "./codec.js";
import { Cursor, describeRecord, held, type Ref } from "./cursor.js";
import type { ArrayType } from "./fields.js";
import { type ByteType, FieldKind, type FieldType, isFieldType } from "./fieldType.js";
import { assertLive, assertSameMemory, Location, place } from "./location.js";
import type { ArrayRefType, RefType, SelfRefType } from "./refs.js";
import { StructArray, type ValueArray } from "./sequence.js";

/** The fields of a struct, in the order in which they lie in memory. */
export type Fields = { readonly [name: string]: FieldType<unknown> };

/** Fields that the type system does not know. */
// biome-ignore lint/suspicious/noExplicitAny: the only type that every struct's cursor is assignable to
export type AnyFields = any;

/** A struct of any fields. */
export type AnyStruct = StructType<AnyFields>;

/** What reading a field of type `T` gives, in a struct with the fields `Self`. */
type Read<T, Self extends Fields> =
  T extends SelfRefType<string>
    ? CursorOf<Self> | null
    : T extends ArrayRefType<infer Element>
      ? ArrayObjectOf<Element, Self> | null
      : T extends RefType<infer F>
        ? CursorOf<F> | null
        : T extends ArrayType<infer Element>
          ? ElementsOf<Element, Self>
          : T extends StructType<infer F>
            ? CursorOf<F>
            : T extends FieldType<infer Value>
              ? Value
              : never;

/** What `toObject` gives for a field of type `T`, in a struct with the fields `Self`: data on the JavaScript heap. */
export type Plain<T, Self extends Fields> =
  T extends SelfRefType<string>
    ? Ref<Self> | null
    : T extends ArrayRefType<infer Element>
      ? ArrayObjectOf<Element, Self> | null
      : T extends RefType<infer F>
        ? Ref<F> | null
        : T extends ArrayType<infer Element>
          ? Plain<Element, Self>[]
          : T extends StructType<infer F>
            ? ObjectOf<F>
            : T extends FieldType<infer Value>
              ? Value
              : never;

/** What `assign` takes for a field of type `T`. */
export type Given<T, Self extends Fields> =
  T extends SelfRefType<string>
    ? Cursor<Self> | Ref<Self> | null
    : T extends ArrayRefType<infer Element>
      ? ArrayObjectOf<Element, Self> | null
      : T extends RefType<infer F>
        ? Cursor<F> | Ref<F> | null
        : T extends ArrayType<infer Element>
          ? ArrayLike<Given<Element, Self>> | ElementsOf<Element, Self>
          : T extends StructType<infer F>
            ? ValuesOf<F> | Cursor<F> | Ref<F>
            : T extends FieldType<infer Value>
              ? Value
              : never;

type ElementsOf<Element, Self extends Fields> =
  Element extends StructType<infer F> ? StructArray<F> : ValueArray<Plain<Element, Self>, Given<Element, Self>>;

/** The cursor of a struct with these fields: a property for each, beside the methods of {@link Cursor}. */
export type CursorOf<F extends Fields> = Cursor<F> & { -readonly [Name in keyof F]: Read<F[Name], F> };

/** The plain object that has the values of a struct with these fields. */
export type ObjectOf<F extends Fields> = { -readonly [Name in keyof F]: Plain<F[Name], F> };

/** What `assign` takes for a struct with these fields: any of them, and what cursors, refs and typed arrays stand for. */
export type ValuesOf<F extends Fields> = { readonly [Name in keyof F]?: Given<F[Name], F> };

/** An array that is an object of a heap, of elements of type `Element`; of bytes, {@link Bytes}. */
export type ArrayObjectOf<Element, Self extends Fields = AnyFields> = Element extends ByteType
  ? Bytes
  : ElementsOf<Element, Self>;

/** The array of elements of type `T`. */
export type SequenceOf<T extends FieldType<unknown>> = ElementsOf<T, AnyFields>;

/** The names of the ref fields. */
export type RefName<F extends Fields> = string &
  {
    [Name in keyof F]: F[Name] extends RefType<AnyFields> | SelfRefType<string> | ArrayRefType<FieldType<unknown>>
      ? Name
      : never;
  }[keyof F];

/** The names of the ref fields that refer to records of the same struct. */
export type SelfRefName<F extends Fields> = string &
  {
    [Name in keyof F]: F[Name] extends SelfRefType<string>
      ? Name
      : F[Name] extends RefType<infer Target>
        ? [Target, F] extends [F, Target]
          ? Name
          : never
        : never;
  }[keyof F];

/** The fields of the struct that the ref field `Name` refers to. */
export type RefTarget<F extends Fields, Name extends keyof F> =
  F[Name] extends SelfRefType<string> ? F : F[Name] extends RefType<infer Target> ? Target : never;

/** What `follow` moves to where the ref field `Name` leads. */
export type RefView<F extends Fields, Name extends keyof F> =
  F[Name] extends ArrayRefType<infer Element> ? ArrayObjectOf<Element, F> : CursorOf<RefTarget<F, Name>>;

/** Options of a struct. */
export interface StructOptions<F extends Fields> {
  /**
   * Called once for each record of the struct, before its memory is reclaimed: see {@link struct}.
   *
   * @param record on the record, which is live and can be read and written; moved to another one afterwards, so take
   *   what you need of it
   */
  destroy?: ((this: void, record: CursorOf<F>) => void) | undefined;
}

/** Names that fields cannot have: they would hide a cursor's methods, or make it look like a promise. */
const RESERVED: ReadonlySet<string> = new Set([...Object.getOwnPropertyNames(Cursor.prototype), "then", "__proto__"]);

/** More bytes than any block has, and still a small integer to engines when an address is added. */
const FITS_NOWHERE = 1 << 24;

/** The largest struct, in bytes; what is larger should be several records. */
const SIZE_LIMIT = 0x10_0000;

/**
 * A declared layout: fields at offsets, with the alignment and padding that C would give them.
 *
 * A struct belongs to no runtime; it can be used with several, and nested in other structs as a field. See {@link struct}.
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
  /** How many fields there are. */
  readonly $count: number;
  /** `size` rounded up to 8: what a record takes in an arena. */
  readonly $rounded: number;
  /**
   * What the fast path of allocation has to find room for: `$rounded`, or, where the struct has a hook, what fits nowhere,
   * so that every record comes to the slow path, which notes it.
   */
  readonly $fast: number;
  declare readonly $value?: CursorOf<F>;
  /** The hook, where there is one; to be called by a `DestroySweep` only. */
  readonly $destroy: StructOptions<AnyFields>["destroy"];

  /** Use {@link struct}. */
  constructor(name: string, declared: F, options: StructOptions<F> = {}) {
    this.name = checkName(name);
    const destroy = checkHook(name, options);
    const fields: Record<string, FieldType<unknown>> = Object.create(null);
    const offsets: Record<string, number> = Object.create(null);
    let offset = 0;
    let alignment = 1;
    for (const [fieldName, declaredType] of checkFields(name, declared)) {
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
    this.$count = Object.keys(fields).length;
    this.$rounded = Math.ceil(this.size / 8) * 8;
    this.$fast = destroy === undefined ? this.$rounded : FITS_NOWHERE;
    this.$destroy = destroy as StructOptions<AnyFields>["destroy"];
    this.$codec = structCodec(this as AnyStruct);
  }

  /** A cursor of this struct that points to nothing yet. */
  $newCursor(memory: LinearMemory): CursorOf<F> {
    const known = memory.cursorClasses.get(this) as CursorClass | undefined;
    return new (known ?? this.#declareCursor(memory))(memory) as CursorOf<F>;
  }

  #declareCursor(memory: LinearMemory): CursorClass {
    const declared = cursorClass(this as AnyStruct, memory);
    memory.cursorClasses.set(this, declared);
    return declared;
  }

  /** A cursor for a view of this struct inside another, or in an array. */
  $newView(memory: LinearMemory): Cursor {
    return this.$newCursor(memory);
  }

  /** An array of this struct that points to nothing yet. */
  $newArray(memory: LinearMemory): StructArray<F> {
    return new StructArray<F>(memory, this.$newCursor(memory));
  }

  /** Throws unless `target` points at a live record of this struct in `memory`. */
  $assertRecord(memory: LinearMemory, target: Cursor | Ref, operation: string): void {
    if (target?.$struct !== (this as AnyStruct)) {
      throw new InvalidArgumentError(
        `${operation}: a cursor or ref of ${this.name} was expected, but ${describeRecord(target)} given`,
      );
    }
    assertSameMemory(memory, target, operation);
    assertLive(target);
  }

  /** The struct that the ref field `name` refers to. */
  $refTarget(name: string): AnyStruct {
    const field = (typeof name === "string" ? this.fields[name] : undefined) as Partial<RefType<Fields>> | undefined;
    if (field?.$target === undefined) {
      throw new InvalidArgumentError(`follow: struct ${this.name} has no ref field ${describe(name)}`);
    }
    return field.$target() as AnyStruct;
  }

  /** Whether the ref field `name` is a weak one. */
  $isWeak(name: string): boolean {
    return (this.fields[name] as Partial<RefType<Fields>>).$isWeak === true;
  }

  /**
   * Throws unless `values` is a record of this struct, or an object all of whose own properties are fields with values
   * that fit, and that has no field otherwise; returns what {@link $write} takes.
   */
  $check(memory: LinearMemory, values: unknown, path: string): object {
    if (typeof values !== "object" || values === null) {
      throw new InvalidArgumentError(`${path} takes an object, but was given ${describe(values)}`);
    }
    const checked: Record<string, unknown> = {};
    let count = 0;
    let member: Member;
    try {
      if (values instanceof Location) {
        this.$assertRecord(memory, values as Cursor, path);
        return values;
      }
      for (const name in values) {
        if (!Object.hasOwn(values, name)) continue;
        const field = this.fields[name];
        if (field === undefined) {
          throw new InvalidArgumentError(`${path}: struct ${this.name} has no field ${describe(name)}`);
        }
        member = name;
        checked[name] = held(field.$codec.check(memory, (values as Record<string, unknown>)[name], path, name));
        count++;
      }
      member = undefined;
      if (count < this.$count) assertNoneMissed(this as AnyStruct, values, checked, path);
    } catch (cause) {
      throw unreadable(cause, path, member);
    }
    return checked;
  }

  /** Writes what {@link $check} has returned. */
  $write(memory: LinearMemory, address: Address, values: object): void {
    if (values instanceof Location) {
      memory.u8.copyWithin(address, values.$address, values.$address + this.size);
    } else if (values instanceof Image) {
      memory.u8.set(values.bytes, address);
    } else {
      for (const name in values) {
        const value = (values as Record<string, unknown>)[name];
        this.fields[name]!.$codec.write(memory, address + this.offsets[name]!, value as never);
      }
    }
  }

  /** The record at `address` as a plain object; `from` as for `Codec.read`. */
  $read(memory: LinearMemory, address: Address, from?: Location): ObjectOf<F> {
    const result: Record<string, unknown> = {};
    for (const name in this.fields) {
      result[name] = this.fields[name]!.$codec.read(memory, address + this.offsets[name]!, from);
    }
    return result as ObjectOf<F>;
  }
}

/**
 * Declares a layout.
 *
 * The fields lie in the order of the declaration, each at the next multiple of its alignment, and the size is rounded up
 * to the largest of these, as C does. Types: {@link u8} {@link i8} {@link u16} {@link i16} {@link u32} {@link i32}
 * {@link u64} {@link i64} {@link f32} {@link f64} {@link bool}, `text(bytes)`, `array(type, length)`, `ref(struct)`,
 * `weak(struct)`, and other structs.
 *
 * A struct can have a destroy hook, for what a record stands for and memory does not know: an entry in a table, a handle
 * of the host. It is called exactly once for each record that `arena.new` or `region.new` has made, before the memory is
 * reclaimed: at a reset, a rewind to a mark made before, the end of the event, the destroy of the arena or of one above
 * it, `runtime.dispose()`. Of all the records that end together, in whichever arenas they lie, the newest goes first, and
 * all of them are live until the last hook has run.
 *
 * A record of a pool has its hook called when it is freed, or with all others when the pool is cleared or ends: see `Pool.free`.
 * An object of a heap has it called when it is freed or collected, or with all others when the heap ends.
 *
 * - In a hook, the arenas that are about to end their records hand out nothing more, and cannot be reset, rewound or
 *   destroyed: that is a {@link ReentrantCallError}. Other arenas, and collections, can be used as ever. While
 *   `runtime.dispose()` runs the hooks, all arenas are about to end, and all the runtime's calls are a
 *   {@link DisposedError}; collections can still be used.
 * - When a hook throws, the others run and the memory is reclaimed all the same; then the operation throws a
 *   {@link DestroyHookError}. In a loop that goes where the errors of handlers go.
 * - A hook is synchronous: what it does later finds the record gone.
 * - Such records are made one by one. The struct cannot be nested in another, be the element of an array, or a key or
 *   value of a collection; `copyTo` copies none of its records. In an arena a record takes 40 bytes more, and costs several times as
 *   much as one without a hook.
 *
 * Declare a struct once, and not in a function that is called again and again: each declaration makes accessors of its own, and is
 * another struct. A runtime keeps for good the structs of which it has made records with a hook, or copied records by `copyTo`.
 *
 * @param name as messages and `ref("name")` show it
 * @param options the destroy hook, if there is one
 * @throws {InvalidStructError} if the name is empty; if there are no fields; if one is of no type, an array without a length, of
 *   a struct that has a hook, or a ref by another name than the own; if its name is reserved (that of a cursor's method, `then`,
 *   what begins with `$`, a number); if the hook is no function; or if all comes to more than 1 MiB
 *
 * @example
 * const Level = struct("Level", { price: f64, quantity: f64 });
 * Level.size; // 16
 * Level.offsets.quantity; // 8
 *
 * @example
 * const Upload = struct("Upload", { file: u32 }, { destroy: (upload) => files.close(upload.file) });
 */
export function struct<const F extends Fields>(name: string, fields: F, options?: StructOptions<F>): StructType<F> {
  return new StructType(name, fields, options);
}

const OPTIONS: NamesOf<StructOptions<Fields>> = { destroy: true };

function checkHook<F extends Fields>(name: string, options: StructOptions<F>): StructOptions<F>["destroy"] {
  assertOptions(`the options argument of struct ${name}`, options, OPTIONS, InvalidStructError);
  const { destroy } = options;
  if (destroy === undefined || typeof destroy === "function") return destroy;
  throw new InvalidStructError(`struct ${name}: destroy must be a function, but is ${describe(destroy)}`);
}

function checkName(name: string): string {
  if (typeof name === "string" && name.length > 0) return name;
  throw new InvalidStructError(`a struct needs a name, but was given ${describe(name)}`);
}

function checkFields(name: string, declared: Fields): [string, FieldType<unknown>][] {
  if (typeof declared !== "object" || declared === null) {
    throw new InvalidStructError(`struct ${name} needs an object of fields, but was given ${describe(declared)}`);
  }
  let entries: [string, FieldType<unknown>][];
  try {
    entries = Object.entries(declared);
  } catch (cause) {
    throw new InvalidStructError(`struct ${name}: its fields ${Object.keys(declared)} cannot be read`, { cause });
  }
  if (entries.length === 0) throw new InvalidStructError(`struct ${name} needs at least one field`);
  for (const [fieldName, type] of entries) {
    if (RESERVED.has(fieldName) || fieldName.startsWith("$")) {
      throw new InvalidStructError(`struct ${name}: the field name ${describe(fieldName)} is reserved`);
    }
    if (/^\d+$/.test(fieldName)) {
      // JavaScript puts such properties first, whatever the order in which they were written.
      throw new InvalidStructError(`struct ${name}: the field name ${describe(fieldName)} is a number`);
    }
    if (isArrayObject(type)) {
      throw new InvalidStructError(
        `struct ${name}: field ${fieldName} is an array without a length, which is an object: make it ref(${type.name})`,
      );
    }
    if (!isFieldType(type)) {
      throw new InvalidStructError(`struct ${name}: field ${fieldName} is of no field type, but ${describe(type)}`);
    }
    if (hasHook(type)) {
      throw new InvalidStructError(
        `struct ${name}: field ${fieldName} is of struct ${type.name}, whose destroy hook would not be called: make it a ref`,
      );
    }
  }
  return entries;
}

/**
 * Throws if `values`, of which `checked` has been taken, is of a class that inherits fields, as its accessors or its defaults, or has no
 * field at all: what a program means to be taken would silently be left out.
 */
function assertNoneMissed(type: AnyStruct, values: object, checked: object, path: string): void {
  if (isPlain(values)) return;
  for (const name in type.fields) {
    if (Object.hasOwn(checked, name) || !(name in values) || name in Object.prototype) continue;
    throw new InvalidArgumentError(
      `${path}: ${name} is no enumerable own property of the object given, as what it inherits is none, and only those ` +
        "are taken",
    );
  }
  if (Object.keys(checked).length > 0) return;
  throw new InvalidArgumentError(`${path} takes an object with fields of ${type.name}, but the one given has none`);
}

/** True for a struct that has a destroy hook, which only records of their own can have. */
export function hasHook(type: FieldType<unknown>): boolean {
  return type instanceof StructType && type.$destroy !== undefined;
}

/** Gives a ref to the own name its target. */
function bind(type: FieldType<unknown>, self: AnyStruct): FieldType<unknown> {
  return (type as Partial<SelfRefType<string>>).$bind?.(self) ?? type;
}

/** A class of cursors. */
export type CursorClass = new (memory: LinearMemory) => Cursor;

/** Makes the class of the cursors of `type` over `memory`: `base` with an accessor for each field. */
export function cursorClass(
  type: AnyStruct,
  memory: LinearMemory,
  base: CursorClass = Cursor as unknown as CursorClass,
): CursorClass {
  class StructCursor extends base {}
  Object.defineProperty(StructCursor.prototype, "$struct", { value: type });
  Object.defineProperty(StructCursor.prototype, "$moves", { value: type });
  Object.keys(type.fields).forEach((name, part) => {
    const field = type.fields[name] as FieldType<unknown>;
    const accessor = field.$codec.accessor(memory, type.offsets[name] as number, part);
    Object.defineProperty(StructCursor.prototype, name, { ...accessor, enumerable: true } as PropertyDescriptor);
  });
  return StructCursor;
}

/** How a struct lies inside another: a cursor of its own, placed anew whenever the field is read. */
function structCodec(type: AnyStruct): Codec {
  const make = (memory: LinearMemory): Location => type.$newView(memory);
  return {
    accessor: (_memory, offset, part) => ({
      get(this: Location) {
        assertLive(this);
        const nested = (this as Cursor).$part(part, make);
        place(nested, this.$address + offset, this.$guard, this.$generation);
        return nested;
      },
      set(this: Location, value: object) {
        assertLive(this);
        const checked = type.$check(this.$memory, value, type.name);
        assertLive(this); // a getter in the value may have ended the record
        type.$write(this.$memory, this.$address + offset, checked);
      },
    }),
    check(memory, value, path, member) {
      const checked = type.$check(memory, value, pathOf(path, member));
      // Among others, the values that follow may move a cursor, or end its record: its bytes are what was given.
      return checked instanceof Location && member !== undefined
        ? imageOf(memory, checked.$address, type.size)
        : checked;
    },
    write: (memory, address, value: object) => type.$write(memory, address, value),
    read: (memory, address, from) => type.$read(memory, address, from),
    slots(offset: number, report: SlotReport) {
      for (const name in type.fields) {
        const field = type.fields[name] as FieldType<unknown>;
        field.$codec.slots(offset + (type.offsets[name] as number), report);
      }
    },
  };
}
