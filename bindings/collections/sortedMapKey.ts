import { describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { Cursor } from "../layout/cursor.js";
import type { ArrayType } from "../layout/fields.js";
import { FieldKind, type FieldType } from "../layout/fieldType.js";
import { type AnyStruct, type Fields, StructType } from "../layout/struct.js";
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
  /** The fields that are compared, in order; none for numbers. */
  readonly fields: readonly KeyField[];

  /** @throws {InvalidArgumentError} if keys cannot be of this type */
  constructor(readonly type: FieldType<unknown>) {
    if (typeof type?.$codec !== "object") {
      throw new InvalidArgumentError(`a sorted map takes a type for its keys, not ${describe(type)}`);
    }
    if (type.size > KEY_LIMIT) {
      throw new InvalidArgumentError(`keys have at most ${KEY_LIMIT} bytes, but ${type.name} has ${type.size}`);
    }
    const isNumber = type.kind <= FieldKind.F64;
    this.kind = isNumber ? type.kind : FieldKind.STRUCT;
    this.fields = isNumber ? [] : flatten(type, "the key");
  }

  /** True if keys are passed as a parameter. */
  get passed(): boolean {
    return this.kind !== FieldKind.U64 && this.kind !== FieldKind.I64 && this.kind !== FieldKind.STRUCT;
  }

  /** Writes the description of the fields to where wasm reads it. */
  describe(memory: LinearMemory, address: Address): void {
    this.fields.forEach(({ offset, kind, length }, index) => {
      memory.u32[(address >>> 2) + index] = offset | (kind << 8) | (length << 16);
    });
  }

  /**
   * Checks `key` and returns what to pass; writes it to `slot` if it is not passed.
   *
   * @throws {InvalidArgumentError} if it is no key of this type, or NaN is in it
   */
  prepare(memory: LinearMemory, slot: Address, key: unknown): number {
    const { type } = this;
    if (type instanceof StructType) assertComplete(type, key, "the key");
    type.$codec.check(memory, key, "the key");
    if (this.passed) {
      if (Number.isNaN(key)) this.#refuseNaN("the key");
      return key as number;
    }
    memory.u8.fill(0, slot, slot + type.size);
    type.$codec.write(memory, slot, key as never);
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

/** Throws if a plain object lacks a field: a key with a field forgotten would silently be another key. */
function assertComplete(type: AnyStruct, key: unknown, path: string): void {
  if (typeof key !== "object" || key === null || key instanceof Cursor) return;
  for (const [name, field] of Object.entries(type.fields as Fields)) {
    const value = (key as Record<string, unknown>)[name];
    if (value === undefined) throw new InvalidArgumentError(`${path} lacks the field ${name} of ${type.name}`);
    if (field instanceof StructType) assertComplete(field, value, `${path}.${name}`);
  }
}
