import { checkInteger, describe } from "../arguments.js";
import { InvalidArgumentError, InvalidStructError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { ArrayObjectType } from "./arrayObjectType.js";
import { decodeText, encodeText, utf8Length } from "./bytes.js";
import { type Codec, Image, pathOf, unreadable } from "./codec.js";
import { type Cursor, held } from "./cursor.js";
import { FieldKind, type FieldType, isFieldType } from "./fieldType.js";
import { assertLive } from "./location.js";
import type { SelfRefType } from "./refs.js";
import { Sequence, ValueArray } from "./sequence.js";
import { type AnyStruct, hasHook, type SequenceOf, StructType } from "./struct.js";

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
    accessor: (_memory, offset) => ({
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
    check(_memory, value, path, member) {
      const what = `${pathOf(path, member)} of type text(${size})`;
      const length = utf8Length(value as string, what);
      if (length > size) throw new InvalidArgumentError(`${what} was given a text of ${length} bytes`);
      const zero = (value as string).indexOf("\0");
      if (zero >= 0) throw new InvalidArgumentError(`${what} was given a text with U+0000 at ${zero}`);
      return value;
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

// ── inline arrays ───────────────────────────────────────────────────────────────────────────────────────────────────

/** A fixed number of elements inside the struct. */
export interface ArrayType<Element extends FieldType<unknown>> extends FieldType<unknown> {
  readonly $element: Element;
  readonly $length: number;
}

/**
 * `length` elements in a row inside the struct. Without a length: the type of arrays that are objects of their own, which heaps
 * make, each with its own length; for `ref(array(f64))`, and for the types that a heap is told of.
 *
 * Reading the field gives a view of them ({@link StructArray} or {@link ValueArray}), one per cursor, placed anew whenever the
 * field is read.
 *
 * @param length 1 to 65,536, and at most 65,536 bytes in all
 * @throws {InvalidArgumentError} for another length
 * @throws {InvalidStructError} if `element` is no field type, a struct that has a destroy hook, or, with a length, one of more
 *   than 65,536 bytes
 *
 * @example
 * const Candle = struct("Candle", { prices: array(f64, 4) });
 */
export function array<Element extends FieldType<unknown>>(element: Element): ArrayObjectType<Element>;
export function array<Element extends FieldType<unknown>>(element: Element, length: number): ArrayType<Element>;
export function array(
  element: FieldType<unknown>,
  ...rest: [length?: number]
): ArrayType<FieldType<unknown>> | ArrayObjectType<FieldType<unknown>> {
  if (!isFieldType(element))
    throw new InvalidStructError(`array takes a field type, but was given ${describe(element)}`);
  if (hasHook(element)) {
    throw new InvalidStructError(
      `array of ${element.name}: the struct's destroy hook would not be called: make it of refs`,
    );
  }
  if (rest.length === 0) return new ArrayObjectType(element);
  if (element.size > INLINE_LIMIT) {
    throw new InvalidStructError(
      `array of ${element.name}: ${element.size} bytes, more than the limit of ${INLINE_LIMIT}`,
    );
  }
  const length = checkInteger(
    "the length of an inline array",
    rest[0] as number,
    1,
    Math.floor(INLINE_LIMIT / element.size),
  );
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
  const make = (memory: LinearMemory): Sequence<unknown> => sequenceOf(memory, element);
  const codec: Codec = {
    accessor: (_memory, offset, part) => ({
      get() {
        assertLive(this);
        const view = (this as Cursor).$part(part, make);
        view.$fix(this.$address + offset, length, this.$guard, this.$generation);
        return view;
      },
      set(value) {
        assertLive(this);
        const checked = codec.check(this.$memory, value, "a field");
        assertLive(this); // a getter in the value may have ended the record
        codec.write(this.$memory, this.$address + offset, checked as never);
      },
    }),
    check(memory, value, path, member) {
      const what = pathOf(path, member);
      let index: number | undefined;
      try {
        const given: unknown = typeof value === "object" ? (value as ArrayLike<unknown> | null)?.length : undefined;
        if (given !== length) {
          const found = typeof given === "number" ? given : describe(value);
          throw new InvalidArgumentError(`${what} takes ${length} elements, but was given ${found}`);
        }
        if (value instanceof Sequence && value.$element === element && value.$memory === memory) return value.$image();
        const checked = new Array<unknown>(length);
        for (index = 0; index < length; index++) {
          const found = value instanceof Sequence ? value.$plain(index) : (value as ArrayLike<unknown>)[index];
          checked[index] = held(element.$codec.check(memory, found, what, index));
        }
        return checked;
      } catch (cause) {
        throw unreadable(cause, what, index);
      }
    },
    write(memory, address, value: Image | ArrayLike<unknown>) {
      if (value instanceof Image) {
        memory.u8.set(value.bytes, address);
        return;
      }
      for (let index = 0; index < length; index++) {
        element.$codec.write(memory, address + index * element.size, value[index] as never);
      }
    },
    read: (memory, address, from) =>
      Array.from({ length }, (_, index) => element.$codec.read(memory, address + index * element.size, from)),
    slots(offset, report) {
      for (let index = 0; index < length; index++) element.$codec.slots(offset + index * element.size, report);
    },
  };
  return codec;
}

/**
 * An array view over elements of `element`, not yet pointing anywhere.
 *
 * @throws {InvalidArgumentError} if `element` is no field type, or a struct that has a destroy hook
 * @throws {InvalidStructError} if it is a ref by a name, which means something inside a struct only
 */
export function newSequence<T extends FieldType<unknown>>(memory: LinearMemory, element: T): SequenceOf<T> {
  if (!isFieldType(element)) {
    throw new InvalidArgumentError(`an array takes a field type, but was given ${describe(element)}`);
  }
  if (hasHook(element)) {
    throw new InvalidArgumentError(`an array of ${element.name}: the struct's destroy hook would not be called`);
  }
  if ("$bind" in element) throw new InvalidStructError(`${element.name} stands outside of a struct of that name`);
  return sequenceOf(memory, element) as SequenceOf<T>;
}

function sequenceOf(memory: LinearMemory, element: FieldType<unknown>): Sequence<unknown> {
  return element instanceof StructType ? element.$newArray(memory) : new ValueArray(memory, element);
}
