import { describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { Image } from "../layout/codec.js";
import type { ArrayType } from "../layout/fields.js";
import { FieldKind, type FieldType } from "../layout/fieldType.js";
import { Location } from "../layout/location.js";
import { type AnyStruct, type Fields, hasHook, StructType } from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { KEY_LIMIT } from "./sortedMapLayout.js";

/** One field by which structs are ordered, nested structs and arrays taken apart. */
interface KeyField {
  readonly path: string;
  readonly offset: number;
  readonly kind: FieldKind;
  /** The bytes of a text; 0 for other kinds. */
  readonly length: number;
}

/**
 * How the keys of one map come into wasm.
 *
 * Numbers are passed as a parameter, which costs less than a store and a load; 64-bit integers, texts and structs are
 * written to the map's key slot, and 0 is passed.
 */
export class KeyFormat {
  /** The kind that wasm compares by: texts are structs of one field. */
  readonly kind: FieldKind;
  /** True if keys are passed as a parameter. */
  readonly passed: boolean;
  /** The fields that are compared, in order; none for numbers. */
  readonly fields: readonly KeyField[];

  /** @throws {InvalidArgumentError} if keys cannot be of this type */
  constructor(readonly type: FieldType<unknown>) {
    if (typeof type?.$codec !== "object") {
      throw new InvalidArgumentError(`a sorted map takes a type for its keys, not ${describe(type)}`);
    }
    if (hasHook(type)) {
      throw new InvalidArgumentError(`keys cannot be of struct ${type.name}, whose destroy hook would not be called`);
    }
    if (type.size > KEY_LIMIT) {
      throw new InvalidArgumentError(`keys have at most ${KEY_LIMIT} bytes, but ${type.name} has ${type.size}`);
    }
    const isNumber = type.kind <= FieldKind.F64;
    this.kind = isNumber ? type.kind : FieldKind.STRUCT;
    this.passed = isNumber && !isWide(type);
    this.fields = isNumber ? [] : flatten(type, "the key");
  }

  /** Writes the description of the fields to where wasm reads it. */
  describe(memory: LinearMemory, address: Address): void {
    this.fields.forEach(({ offset, kind, length }, index) => {
      memory.u32[(address >>> 2) + index] = offset | (kind << 8) | (length << 16);
    });
  }

  /**
   * Throws unless `key` is one, and returns what {@link write} takes. Reading an object can run any code of its owner's.
   *
   * @throws {InvalidArgumentError} if it is no key of this type, lacks a field or is NaN
   */
  check(memory: LinearMemory, key: unknown): unknown {
    const { type } = this;
    const checked = type.$codec.check(memory, key, "the key");
    if (type instanceof StructType) assertComplete(type, checked, "the key");
    if (this.passed && Number.isNaN(checked)) this.#refuseNaN("the key");
    return checked;
  }

  /**
   * Returns what to pass for a key that has just been checked; writes it to `slot` if it is not passed. It has all its
   * fields, so nothing is left in the slot of the key before; what is between the fields is not compared.
   *
   * @throws {InvalidArgumentError} if one of its fields is NaN
   */
  write(memory: LinearMemory, slot: Address, checked: unknown): number {
    if (this.passed) return checked as number;
    this.type.$codec.write(memory, slot, checked as never);
    for (const { path, kind, offset } of this.fields) {
      if (kind === FieldKind.F64 && Number.isNaN(memory.f64[(slot + offset) >>> 3])) this.#refuseNaN(path);
      if (kind === FieldKind.F32 && Number.isNaN(memory.f32[(slot + offset) >>> 2])) this.#refuseNaN(path);
    }
    return 0;
  }

  #refuseNaN(path: string): never {
    throw new InvalidArgumentError(
      `${path} is NaN, which has no place in an order (keys are of type ${this.type.name})`,
    );
  }
}

/** True for integers of 64 bits, which no JavaScript number can hold. */
export function isWide(type: FieldType<unknown>): boolean {
  return type.kind === FieldKind.U64 || type.kind === FieldKind.I64;
}

/** Takes a type apart into the fields by which it is ordered. The depth is that of the declaration. */
function flatten(type: FieldType<unknown>, path: string, offset = 0): KeyField[] {
  if (type instanceof StructType) {
    const struct = type as AnyStruct;
    return Object.entries(struct.fields as Fields).flatMap(([name, field]) =>
      flatten(field, `${path}.${name}`, offset + (struct.offsets[name] as number)),
    );
  }
  if (type.kind === FieldKind.ARRAY && offset + type.size <= KEY_LIMIT) {
    const { $element: element, $length: length } = type as ArrayType<FieldType<unknown>>;
    return Array.from({ length }, (_, index) =>
      flatten(element, `${path}[${index}]`, offset + index * element.size),
    ).flat();
  }
  if (type.kind > FieldKind.TEXT) {
    throw new InvalidArgumentError(`${path} is of type ${type.name}, which has no order: keys cannot have it`);
  }
  return [{ path, offset, kind: type.kind, length: type.kind === FieldKind.TEXT ? type.size : 0 }];
}

/** Throws if what was read of an object lacks a field: a key with a field forgotten would silently be another key. */
function assertComplete(type: AnyStruct, checked: unknown, path: string): void {
  if (checked instanceof Location || checked instanceof Image) return;
  for (const [name, field] of Object.entries(type.fields as Fields)) {
    const value = Object.hasOwn(checked as object, name) ? (checked as Record<string, unknown>)[name] : undefined;
    if (value === undefined) throw new InvalidArgumentError(`${path} lacks the field ${name} of ${type.name}`);
    assertWhole(field, value, `${path}.${name}`);
  }
}

/** As {@link assertComplete}, for a value of any type: structs in arrays must have all their fields too. */
function assertWhole(type: FieldType<unknown>, value: unknown, path: string): void {
  if (type instanceof StructType) assertComplete(type, value, path);
  const { $element: element } = type as Partial<ArrayType<FieldType<unknown>>>;
  if (element === undefined || value instanceof Image) return;
  (value as unknown[]).forEach((item, index) => {
    assertWhole(element, item, `${path}[${index}]`);
  });
}
