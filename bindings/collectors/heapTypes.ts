import { describe } from "../arguments.js";
import { InvalidArgumentError, InvalidStructError } from "../errors.js";
import { type ArrayObjectType, isArrayObject } from "../layout/arrayObjectType.js";
import type { ArrayType } from "../layout/fields.js";
import { type FieldType, isFieldType, u8 } from "../layout/fieldType.js";
import type { ArrayRefType, RefType } from "../layout/refs.js";
import { type AnyStruct, hasHook, StructType } from "../layout/struct.js";
import { HeapArrayType } from "./heapArrays.js";
import type { HeapStruct } from "./heapStruct.js";
import type { Objects, ObjectType, SlotType } from "./objects.js";

/** What a heap can be told to have objects of: structs, and arrays without a length. */
export type DeclaredType = AnyStruct | ArrayObjectType<FieldType<unknown>>;

/** How a strategy makes its own types of what is declared. */
export interface TypeFactory {
  struct(declared: AnyStruct, fields: Record<string, FieldType<unknown>>): HeapStruct;
  /** A slot for references; its target is set before it is used. */
  slot(name: string, isWeak: boolean): SlotType;
  /** `length` elements inside an object. */
  inlineArray(element: FieldType<unknown>, length: number): FieldType<unknown>;
}

/** A slot that is yet to be told what it refers to. */
interface OpenSlot {
  readonly slot: SlotType;
  readonly declared: RefType<never> | ArrayRefType<FieldType<unknown>>;
  /** The field that it stands in, as messages call it. */
  readonly path: string;
}

/**
 * The types of one heap: each declared struct and array, with fields that are references made anew for the heap.
 *
 * Arrays are the same type if their elements are, however often `array(…)` has been written. Bytes need not be declared.
 */
export class HeapTypes {
  readonly #heap: Objects;
  readonly #factory: TypeFactory;
  /** By declared struct; those included that are only nested in others. */
  readonly #structs = new Map<AnyStruct, HeapStruct>();
  /** What was asked for last, since a program makes many of one struct. */
  #lastDeclared: AnyStruct | undefined = undefined;
  #lastOwn: HeapStruct | undefined = undefined;
  /** As {@link #structs}, without those that are only nested in others. */
  readonly #declared = new Map<AnyStruct, HeapStruct>();
  /** By what their elements are. */
  readonly #arrays = new Map<string, HeapArrayType>();
  /** The same by the very types that a program has given; weak, since it may make a new one at each call. */
  readonly #arraysByElement = new WeakMap<FieldType<unknown>, HeapArrayType>();
  readonly #numbers = new Map<AnyStruct, number>();
  readonly #fields = new Map<FieldType<unknown>, FieldType<unknown>>();
  #open: OpenSlot[] = [];
  /** All types that objects can be of. */
  readonly all: readonly (HeapStruct | HeapArrayType)[];

  /**
   * @throws {InvalidArgumentError} if `declared` is no list of types, names one twice, or leaves out one that another refers to
   * @throws {InvalidStructError} if a function given to `ref` fails
   */
  constructor(heap: Objects, factory: TypeFactory, declared: readonly DeclaredType[]) {
    this.#heap = heap;
    this.#factory = factory;
    if (!Array.isArray(declared) || declared.length === 0) {
      const found = Array.isArray(declared) ? "empty" : describe(declared);
      throw new InvalidArgumentError(`heap: types must be a list of structs and arrays, but is ${found}`);
    }
    for (const type of declared as DeclaredType[]) {
      if (type instanceof StructType) this.#declareStruct(type);
      else if (isArrayObject(type)) this.#declareArray(type.element);
      else throw new InvalidArgumentError(`heap: types are structs and arrays without a length, not ${describe(type)}`);
    }
    if (!this.#arrays.has(this.#keyOf(u8))) this.#declareArray(u8);
    this.#link();
    this.all = [...this.#declared.values(), ...this.#arrays.values()];
  }

  #declareStruct(struct: AnyStruct): void {
    if (this.#declared.has(struct)) throw new InvalidArgumentError(`heap: struct ${struct.name} is declared twice`);
    this.#declared.set(struct, this.#deriveStruct(struct));
  }

  #declareArray(element: FieldType<unknown>): void {
    assertElement(element);
    const key = this.#keyOf(element);
    if (this.#arrays.has(key)) throw new InvalidArgumentError(`heap: array(${element.name}) is declared twice`);
    this.#arrays.set(key, new HeapArrayType(this.#heap, this.#derive(element, `array(${element.name})`)));
  }

  /** The heap's own type of a declared struct. */
  struct(declared: AnyStruct, operation: string): HeapStruct {
    if (declared === this.#lastDeclared && declared !== undefined) return this.#lastOwn!;
    const found = this.#declared.get(declared);
    if (found !== undefined) {
      this.#lastDeclared = declared;
      this.#lastOwn = found;
      return found;
    }
    if (!(declared instanceof StructType)) {
      throw new InvalidArgumentError(`${operation} takes a struct, not ${describe(declared)}`);
    }
    throw this.#undeclared(operation, declared.name);
  }

  /** The heap's own type of arrays of such elements. */
  array(element: FieldType<unknown>, operation: string): HeapArrayType {
    const known = typeof element === "object" && element !== null ? this.#arraysByElement.get(element) : undefined;
    if (known !== undefined) return known;
    if (!isFieldType(element)) {
      throw new InvalidArgumentError(`${operation} takes the type of elements, not ${describe(element)}`);
    }
    assertElement(element);
    const found = this.#arrays.get(this.#keyOf(element));
    if (found === undefined) throw this.#undeclared(operation, `array(${element.name})`);
    this.#arraysByElement.set(element, found);
    return found;
  }

  #undeclared(operation: string, name: string): InvalidArgumentError {
    const known = [...this.#declared.keys(), ...this.#arrays.values()].map((type) => type.name).join(", ");
    return new InvalidArgumentError(
      `${operation}: ${name} is none of the types that this heap was made with, which are: ${known || "none"}`,
    );
  }

  #deriveStruct(struct: AnyStruct): HeapStruct {
    const known = this.#structs.get(struct);
    if (known !== undefined) return known;
    const fields: Record<string, FieldType<unknown>> = {};
    for (const [name, type] of Object.entries(struct.fields as Record<string, FieldType<unknown>>)) {
      fields[name] = this.#derive(type, `${struct.name}.${name}`);
    }
    const made = this.#factory.struct(struct, fields);
    this.#structs.set(struct, made);
    return made;
  }

  /** A field's type as the heap has it. Structs and inline arrays nest as deep as they were written. */
  #derive(type: FieldType<unknown>, path: string): FieldType<unknown> {
    if (type instanceof StructType) return this.#deriveStruct(type);
    const known = this.#fields.get(type);
    if (known !== undefined) return known;
    const made = this.#deriveField(type, path);
    this.#fields.set(type, made);
    return made;
  }

  #deriveField(type: FieldType<unknown>, path: string): FieldType<unknown> {
    const declared = type as Partial<RefType<never> & ArrayRefType<FieldType<unknown>> & ArrayType<FieldType<unknown>>>;
    if (declared.$target !== undefined || declared.$array !== undefined) {
      const slot = this.#factory.slot(type.name, declared.$isWeak!);
      this.#open.push({ slot, declared: type as OpenSlot["declared"], path });
      return slot;
    }
    if (declared.$element === undefined) return type;
    return this.#factory.inlineArray(this.#derive(declared.$element, path), declared.$length!);
  }

  /** Tells all slots what they refer to. Only now all structs are known, and the functions given to `ref` are called. */
  #link(): void {
    const missing: string[] = [];
    for (const { slot, declared, path } of this.#open) {
      const target = this.#targetOf(declared);
      if (target === undefined) missing.push(`${path} refers to ${nameOf(declared)}`);
      else slot.$target = target;
    }
    this.#open = [];
    if (missing.length === 0) return;
    throw new InvalidArgumentError(`heap: ${missing.join(", ")}: list in \`types\` all that references lead to`);
  }

  #targetOf(declared: OpenSlot["declared"]): ObjectType | undefined {
    if ("$array" in declared) return this.#arrays.get(this.#keyOf(declared.$array.element));
    return this.#declared.get(declared.$target() as AnyStruct);
  }

  /** A text that is the same for types that are. */
  #keyOf(type: FieldType<unknown>): string {
    if (type instanceof StructType) return `struct ${this.#numberOf(type)}`;
    const { $target, $array, $element, $length, $isWeak } = type as Partial<
      RefType<never> & ArrayRefType<FieldType<unknown>> & ArrayType<FieldType<unknown>>
    >;
    const word = $isWeak ? "weak" : "ref";
    if ($array !== undefined) return `${word}(array(${this.#keyOf($array.element)}))`;
    if ($target !== undefined) return `${word}(${this.#numberOf(($target as () => AnyStruct)())})`;
    return $element === undefined ? type.name : `array(${this.#keyOf($element)}, ${$length})`;
  }

  #numberOf(struct: AnyStruct): number {
    const known = this.#numbers.get(struct);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(struct, number);
    return number;
  }
}

function nameOf(declared: OpenSlot["declared"]): string {
  return "$array" in declared ? declared.$array.name : (declared.$target() as AnyStruct).name;
}

function assertElement(element: FieldType<unknown>): void {
  if (hasHook(element)) {
    throw new InvalidArgumentError(`an array of ${element.name}: the struct's destroy hook would not be called`);
  }
  if ("$bind" in element) throw new InvalidStructError(`${element.name} stands outside of a struct of that name`);
}
