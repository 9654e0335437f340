import { checkInteger, describe } from "../arguments.js";
import { InvalidArgumentError, InvalidStructError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { decodeText, encodeText, utf8Length } from "./bytes.js";
import type { Codec } from "./codec.js";
import { Cursor, REF_SIZE, Ref } from "./cursor.js";
import { FieldKind, type FieldType } from "./fieldType.js";
import { assertLive, place } from "./location.js";
import { ValueArray } from "./sequence.js";
import { type AnyStruct, type CursorOf, type Fields, type SequenceOf, StructType } from "./struct.js";

/** The longest inline text or array, in bytes: what is larger should be a record of its own. */
const INLINE_LIMIT = 65_536;

// ── text ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A text of up to `size` bytes inside the struct. */
export interface TextType extends FieldType<string> {}

/**
 * A text of up to `size` bytes of UTF-8, inside the struct; unused bytes are zero.
 *
 * A string that is longer, that contains U+0000 or a lone surrogate is refused, so that reading always gives back what
 * was written. Reading makes a string on the JavaScript heap.
 *
 * @param size in bytes, 1 to 65,536
 * @throws {InvalidArgumentError} for another size
 *
 * @example
 * const Trade = struct("Trade", { symbol: text(12), price: f64 });
 */
export function text(size: number): TextType {
  checkInteger("the size of a text", size, 1, INLINE_LIMIT);
  return { kind: FieldKind.TEXT, name: `text(${size})`, size, alignment: 1, $codec: textCodec(size) };
}

function textCodec(size: number): Codec {
  const codec: Codec = {
    accessor: (offset) => ({
      get() {
        assertLive(this);
        return codec.read(this.$memory, this.$address + offset);
      },
      set(value) {
        assertLive(this);
        codec.check(this.$memory, value, "a field");
        codec.write(this.$memory, this.$address + offset, value);
      },
    }),
    check(_memory, value, path) {
      const length = utf8Length(value as string);
      if (length > size) {
        throw new InvalidArgumentError(`${path} of type text(${size}) was given a text of ${length} bytes`);
      }
      if ((value as string).includes("\0")) {
        throw new InvalidArgumentError(`${path} of type text(${size}) was given a text with U+0000 in it`);
      }
    },
    write(memory, address, value: string) {
      const bytes = memory.u8.subarray(address, address + size);
      bytes.fill(0);
      encodeText(value, bytes);
    },
    read(memory, address) {
      const end = memory.u8.subarray(address, address + size).indexOf(0);
      return decodeText(memory.u8.subarray(address, address + (end < 0 ? size : end)));
    },
    slots() {},
  };
  return codec;
}

// ── refs ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A checked reference to a record of one struct, or `null`. */
export interface RefType<F extends Fields> extends FieldType<CursorOf<F> | null> {
  readonly $target: () => StructType<F>;
}

/** A reference to the struct that is being declared. */
export interface SelfRefType<Name extends string> extends FieldType<unknown> {
  readonly $self: Name;
  readonly $bind: (self: AnyStruct) => FieldType<unknown>;
}

/**
 * A reference to a record of another struct, or of the same one by its name.
 *
 * It takes 12 bytes: address, guard and generation, so that following it is checked like any cursor. Reading the field
 * gives a fresh cursor, or `null`; `cursor.follow("field", into)` moves one that is there already.
 *
 * @param target a struct, a function that gives it (for structs that refer to each other), or the own name
 *
 * @example
 * const Node = struct("Node", { value: f64, next: ref("Node") });
 */
export function ref<Name extends string>(target: Name): SelfRefType<Name>;
export function ref<F extends Fields>(target: StructType<F> | (() => StructType<F>)): RefType<F>;
export function ref(target: string | AnyStruct | (() => AnyStruct)): FieldType<unknown> {
  if (typeof target === "string") {
    return {
      ...refType(`ref("${target}")`, () => {
        throw new InvalidStructError(`ref("${target}") stands outside of a struct of that name`);
      }),
      $self: target,
      $bind(self: AnyStruct) {
        if (self.name !== target) {
          throw new InvalidStructError(
            `ref("${target}") in struct ${self.name}: only the own name can be given as text`,
          );
        }
        return refType(`ref("${target}")`, () => self);
      },
    } as SelfRefType<string>;
  }
  if (target instanceof StructType) return refType(`ref(${target.name})`, () => target);
  if (typeof target !== "function") {
    throw new InvalidStructError(`ref takes a struct, a function or a name, but was given ${describe(target)}`);
  }
  return refType("ref", target);
}

function refType(name: string, $target: () => AnyStruct): FieldType<unknown> & { $target: () => AnyStruct } {
  return { kind: FieldKind.REF, name, size: REF_SIZE, alignment: 4, $codec: refCodec($target), $target };
}

function refCodec(target: () => AnyStruct): Codec {
  const codec: Codec = {
    accessor: (offset) => ({
      get() {
        assertLive(this);
        const found = codec.read(this.$memory, this.$address + offset) as Ref | null;
        if (found === null) return null;
        const cursor = target().$newCursor(this.$memory);
        place(cursor, found.$address, found.$guard, found.$generation);
        return cursor;
      },
      set(value) {
        assertLive(this);
        codec.check(this.$memory, value, "a field");
        codec.write(this.$memory, this.$address + offset, value);
      },
    }),
    check(memory, value, path) {
      if (value === null) return;
      if (!(value instanceof Cursor || value instanceof Ref)) {
        throw new InvalidArgumentError(
          `${path} takes a cursor or ref of ${target().name}, or null, but was given ${describe(value)}`,
        );
      }
      target().$assertRecord(memory, value, path);
    },
    write(memory, address, value: Cursor | Ref | null) {
      const word = address >>> 2;
      memory.u32[word] = value === null ? 0 : value.$address;
      memory.u32[word + 1] = value === null ? 0 : value.$guard << 2;
      memory.i32[word + 2] = value === null ? 0 : value.$generation;
    },
    read(memory, address) {
      const word = address >>> 2;
      const record = memory.u32[word]!;
      if (record === 0) return null;
      return new Ref(target(), memory, record, memory.u32[word + 1]! >>> 2, memory.i32[word + 2]!);
    },
    slots: (offset, report) => report(offset, target()),
  };
  return codec;
}

// ── inline arrays ───────────────────────────────────────────────────────────────────────────────────────────────────

/** A fixed number of elements inside the struct. */
export interface ArrayType<Element extends FieldType<unknown>> extends FieldType<unknown> {
  readonly $element: Element;
  readonly $length: number;
}

/**
 * `length` elements in a row inside the struct. Reading the field gives a view of them ({@link StructArray} or
 * {@link ValueArray}), one per cursor, which moves with it.
 *
 * @param length 1 to 65,536, and at most 65,536 bytes in all
 * @throws {InvalidArgumentError} for another length
 *
 * @example
 * const Candle = struct("Candle", { prices: array(f64, 4) });
 */
export function array<Element extends FieldType<unknown>>(element: Element, length: number): ArrayType<Element> {
  if (typeof (element as FieldType<unknown> | undefined)?.$codec !== "object") {
    throw new InvalidStructError(`array takes a field type, but was given ${describe(element)}`);
  }
  checkInteger("the length of an inline array", length, 1, Math.floor(INLINE_LIMIT / element.size));
  const bind = (element as Partial<SelfRefType<string>>).$bind;
  return {
    kind: FieldKind.ARRAY,
    name: `array(${element.name}, ${length})`,
    size: element.size * length,
    alignment: element.alignment,
    $codec: arrayCodec(element, length),
    $element: element,
    $length: length,
    ...(bind && { $bind: (self: AnyStruct) => array(bind(self), length) }),
  };
}

function arrayCodec(element: FieldType<unknown>, length: number): Codec {
  const codec: Codec = {
    accessor: (offset, part) => ({
      get() {
        assertLive(this);
        const parts = ((this as Cursor).$parts ??= []);
        const view = (parts[part] ??= newSequence(this.$memory, element)) as SequenceOf<FieldType<unknown>>;
        view.$fix(this.$address + offset, length, this.$guard, this.$generation);
        return view;
      },
      set(value) {
        assertLive(this);
        codec.check(this.$memory, value, "a field");
        codec.write(this.$memory, this.$address + offset, value);
      },
    }),
    check(memory, value, path) {
      const given = (value as ArrayLike<unknown> | null | undefined)?.length;
      if (given !== length) {
        throw new InvalidArgumentError(`${path} takes ${length} elements, but was given ${given ?? describe(value)}`);
      }
      for (let index = 0; index < length; index++) {
        element.$codec.check(memory, elementOf(value as ArrayLike<unknown>, index), `${path}[${index}]`);
      }
    },
    write(memory, address, value: ArrayLike<unknown>) {
      for (let index = 0; index < length; index++) {
        element.$codec.write(memory, address + index * element.size, elementOf(value, index) as never);
      }
    },
    read: (memory, address) =>
      Array.from({ length }, (_, index) => element.$codec.read(memory, address + index * element.size)),
    slots(offset, report) {
      for (let index = 0; index < length; index++) element.$codec.slots(offset + index * element.size, report);
    },
  };
  return codec;
}

/** Element `index` of an array, a typed array, or one of our own. */
function elementOf(source: ArrayLike<unknown>, index: number): unknown {
  return source instanceof ValueArray ? source.at(index) : source[index];
}

/** An array view over elements of `element`, not yet pointing anywhere. */
export function newSequence<T extends FieldType<unknown>>(memory: LinearMemory, element: T): SequenceOf<T> {
  if (element instanceof StructType) return element.$newArray(memory) as SequenceOf<T>;
  return new ValueArray(memory, element) as unknown as SequenceOf<T>;
}
