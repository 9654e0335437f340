import { describe } from "../arguments.js";
import { InvalidArgumentError, InvalidStructError } from "../errors.js";
import { type ArrayObjectType, isArrayObject } from "./arrayObjectType.js";
import { type Codec, pathOf } from "./codec.js";
import { assertLasting, Cursor, REF_SIZE, Ref } from "./cursor.js";
import { FieldKind, type FieldType } from "./fieldType.js";
import { assertLive, place } from "./location.js";
import { type AnyStruct, type ArrayObjectOf, type CursorOf, type Fields, StructType } from "./struct.js";

/** A checked reference to a record of one struct, or `null`. */
export interface RefType<F extends Fields> extends FieldType<CursorOf<F> | null> {
  readonly $target: () => StructType<F>;
  /** True for `weak(T)`. */
  readonly $isWeak: boolean;
}

/** A reference to the struct that is being declared. */
export interface SelfRefType<Name extends string> extends FieldType<unknown> {
  readonly $self: Name;
  readonly $bind: (self: AnyStruct) => FieldType<unknown>;
}

/** A reference to an array that is an object of a heap, or `null`. */
export interface ArrayRefType<out Element extends FieldType<unknown>> extends FieldType<ArrayObjectOf<Element> | null> {
  readonly $array: ArrayObjectType<Element>;
  /** True for `weak(array(T))`. */
  readonly $isWeak: boolean;
}

/** What a ref can be told to refer to. */
type Target = string | AnyStruct | (() => AnyStruct) | ArrayObjectType<FieldType<unknown>>;

/**
 * A reference to a record of another struct, or of the same one by its name; or to an array that is an object of a heap.
 *
 * It takes 12 bytes: address, guard and generation, so that following it is checked like any cursor. Reading the field
 * gives a fresh cursor, or `null`; `cursor.follow("field", into)` moves one that is there already. In the objects of a
 * collected heap a ref takes 4 bytes, and keeps what it refers to alive.
 *
 * A ref to an array can be anything but `null` in the objects of heaps only.
 *
 * @param target a struct, a function that gives it (for structs that refer to each other), the own name, or an array type
 *   without a length
 * @throws {InvalidStructError} if it is none of these
 *
 * @example
 * const Node = struct("Node", { value: f64, next: ref("Node"), samples: ref(array(f64)) });
 */
export function ref<Name extends string>(target: Name): SelfRefType<Name>;
export function ref<F extends Fields>(target: StructType<F> | (() => StructType<F>)): RefType<F>;
export function ref<Element extends FieldType<unknown>>(target: ArrayObjectType<Element>): ArrayRefType<Element>;
export function ref(target: Target): FieldType<unknown> {
  return reference("ref", target, false);
}

/**
 * A reference that keeps nothing alive: it reads as `null` once what it refers to has been freed, reset or collected.
 *
 * In arenas and pools it takes 12 bytes, and once its record has ended it reads as `null` and `follow` finds nothing, where a
 * `ref` would be a {@link StaleReferenceError}; `copyTo` leaves it as it is, so the copy's refers to what the original's did. In
 * the objects of a collected heap it takes 4 bytes, and is empty before the destroy hook of what has been collected runs.
 *
 * @param target as for {@link ref}
 * @throws {InvalidStructError} as {@link ref}
 *
 * @example
 * const Node = struct("Node", { parent: weak("Node"), first: ref("Node") });
 */
export function weak<Name extends string>(target: Name): SelfRefType<Name>;
export function weak<F extends Fields>(target: StructType<F> | (() => StructType<F>)): RefType<F>;
export function weak<Element extends FieldType<unknown>>(target: ArrayObjectType<Element>): ArrayRefType<Element>;
export function weak(target: Target): FieldType<unknown> {
  return reference("weak", target, true);
}

function reference(word: string, target: Target, isWeak: boolean): FieldType<unknown> {
  if (typeof target === "string") {
    const name = `${word}("${target}")`;
    return {
      ...refType(name, isWeak, () => {
        throw new InvalidStructError(`${name} stands outside of a struct of that name`);
      }),
      $self: target,
      $bind(self: AnyStruct) {
        if (self.name !== target) {
          throw new InvalidStructError(`${name} in struct ${self.name}: only the own name can be given as text`);
        }
        return refType(name, isWeak, () => self);
      },
    } as SelfRefType<string>;
  }
  if (isArrayObject(target)) return arrayRefType(`${word}(${target.name})`, isWeak, target);
  if (target instanceof StructType) return refType(`${word}(${target.name})`, isWeak, () => target);
  if (typeof target !== "function") {
    throw new InvalidStructError(
      `${word} takes a struct, a function, a name or an array type, but was given ${describe(target)}`,
    );
  }
  return refType(word, isWeak, structOnce(word, target));
}

/** Calls `target` once, when its struct is first needed: by then both structs are declared. */
function structOnce(word: string, target: () => AnyStruct): () => AnyStruct {
  let found: AnyStruct | undefined;
  return () => {
    if (found !== undefined) return found;
    let given: unknown;
    try {
      given = target();
    } catch (cause) {
      throw new InvalidStructError(`the function given to ${word}() failed; is its struct declared yet?`, { cause });
    }
    if (!(given instanceof StructType)) {
      throw new InvalidStructError(
        `the function given to ${word}() must return a struct, but returned ${describe(given)}`,
      );
    }
    found = given as AnyStruct;
    return found;
  };
}

function refType(name: string, $isWeak: boolean, $target: () => AnyStruct): RefType<Fields> {
  const $codec = refCodec($target, $isWeak);
  return { kind: FieldKind.REF, name, size: REF_SIZE, alignment: 4, $codec, $target, $isWeak } as RefType<Fields>;
}

function refCodec(target: () => AnyStruct, isWeak: boolean): Codec {
  const codec: Codec = {
    accessor: (_memory, offset) => ({
      get() {
        assertLive(this);
        const { u32, i32 } = this.$memory;
        const word = (this.$address + offset) >>> 2;
        const record = u32[word]!;
        if (record === 0) return null;
        const guard = u32[word + 1]! >>> 2;
        const generation = i32[word + 2]!;
        if (isWeak && i32[guard] !== generation) return null;
        const cursor = target().$newCursor(this.$memory);
        place(cursor, record, guard, generation);
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
      const guard = memory.u32[word + 1]! >>> 2;
      const generation = memory.i32[word + 2]!;
      if (isWeak && memory.i32[guard] !== generation) return null;
      const struct = target();
      memory.recover(); // the function given to ref() may have had the host grow memory
      return new Ref(struct, memory, record, guard, generation);
    },
    // A weak one is no slot: what it refers to is not copied along.
    slots: isWeak ? () => {} : (offset, report) => report(offset, target()),
  };
  return codec;
}

/** A ref to an array object, where there are none: `null` for good. A heap makes a type of its own of it. */
function arrayRefType(
  name: string,
  $isWeak: boolean,
  $array: ArrayObjectType<FieldType<unknown>>,
): ArrayRefType<FieldType<unknown>> {
  const check: Codec["check"] = (_memory, value, path, member) => {
    if (value === null) return value;
    throw new InvalidArgumentError(
      `${pathOf(path, member)} of type ${name} takes null, since only heaps have arrays that are objects, but was given ` +
        describe(value),
    );
  };
  const $codec: Codec = {
    accessor: (memory) => ({
      get() {
        assertLive(this);
        return null;
      },
      set(value) {
        assertLive(this);
        check(memory, value, "a field");
      },
    }),
    check,
    write() {},
    read: () => null,
    slots() {},
  };
  const bound = { kind: FieldKind.REF, name, size: REF_SIZE, alignment: 4, $codec, $array, $isWeak };
  if (($array.element as Partial<SelfRefType<string>>).$bind === undefined) return bound;
  const $bind = (self: AnyStruct) => arrayRefType(name, $isWeak, $array.$bind(self));
  return { ...bound, $bind } as ArrayRefType<FieldType<unknown>>;
}
