import { checkInteger, describe } from "../arguments.js";
import { InvalidArgumentError, InvalidStructError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { decodeText, encodeText, utf8Length } from "./bytes.js";
import { type Codec, Image, pathOf, unreadable } from "./codec.js";
import { assertLasting, Cursor, REF_SIZE, Ref } from "./cursor.js";
import { FieldKind, type FieldType, isFieldType } from "./fieldType.js";
import { assertLive, place } from "./location.js";
import { Sequence, ValueArray } from "./sequence.js";
import { type AnyStruct, type CursorOf, type Fields, hasHook, type SequenceOf, StructType } from "./struct.js";

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
  return refType("ref", structOnce(target));
}

/** Calls `target` once, when its struct is first needed: by then both structs are declared. */
function structOnce(target: () => AnyStruct): () => AnyStruct {
  let found: AnyStruct | undefined;
  return () => {
    if (found !== undefined) return found;
    let given: unknown;
    try {
      given = target();
    } catch (cause) {
      throw new InvalidStructError("the function given to ref() failed; is its struct declared yet?", { cause });
    }
    if (!(given instanceof StructType)) {
      throw new InvalidStructError(`the function given to ref() must return a struct, but returned ${describe(given)}`);
    }
    found = given as AnyStruct;
    return found;
  };
}

function refType(name: string, $target: () => AnyStruct): FieldType<unknown> & { $target: () => AnyStruct } {
  return { kind: FieldKind.REF, name, size: REF_SIZE, alignment: 4, $codec: refCodec($target), $target };
}

function refCodec(target: () => AnyStruct): Codec {
  const codec: Codec = {
    accessor: (_memory, offset) => ({
      get() {
        assertLive(this);
        const { u32, i32 } = this.$memory;
        const word = (this.$address + offset) >>> 2;
        const record = u32[word]!;
        if (record === 0) return null;
        const cursor = target().$newCursor(this.$memory);
        place(cursor, record, u32[word + 1]! >>> 2, i32[word + 2]!);
        return cursor;
      },
      set(value) {
        assertLive(this);
        codec.check(this.$memory, value, "a field");
        assertLive(this); // the function that gives the struct may have ended the record
        codec.write(this.$memory, this.$address + offset, value);
      },
    }),
    check(memory, value, path, member) {
      if (value === null) return value;
      const struct = target();
      if (!(value instanceof Cursor || value instanceof Ref)) {
        throw new InvalidArgumentError(
          `${pathOf(path, member)} takes a cursor or ref of ${struct.name}, or null, but was given ${describe(value)}`,
        );
      }
      struct.$assertRecord(memory, value, pathOf(path, member));
      assertLasting(value, pathOf(path, member));
      return value;
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
 * {@link ValueArray}), one per cursor, placed anew whenever the field is read.
 *
 * @param length 1 to 65,536, and at most 65,536 bytes in all
 * @throws {InvalidArgumentError} for another length
 * @throws {InvalidStructError} if `element` is no field type, or a struct that has a destroy hook
 *
 * @example
 * const Candle = struct("Candle", { prices: array(f64, 4) });
 */
export function array<Element extends FieldType<unknown>>(element: Element, length: number): ArrayType<Element> {
  if (!isFieldType(element))
    throw new InvalidStructError(`array takes a field type, but was given ${describe(element)}`);
  if (hasHook(element)) {
    throw new InvalidStructError(
      `array of ${element.name}: the struct's destroy hook would not be called: make it of refs`,
    );
  }
  if (element.size > INLINE_LIMIT) {
    throw new InvalidStructError(
      `array of ${element.name}: ${element.size} bytes, more than the limit of ${INLINE_LIMIT}`,
    );
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
          checked[index] = element.$codec.check(memory, found, what, index);
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
    read: (memory, address) =>
      Array.from({ length }, (_, index) => element.$codec.read(memory, address + index * element.size)),
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
