import type { FieldType } from "./fieldType.js";
import type { SelfRefType } from "./refs.js";
import type { AnyStruct } from "./struct.js";

/**
 * The type of arrays that are objects of their own, each of a length of its own: `array(element)` without a length. Only
 * heaps have such objects; a struct refers to them by `ref(array(element))`.
 *
 * Two array types of the same elements are the same type to a heap.
 *
 * @example
 * const Samples = array(f64); // for ref(Samples), and among the types of a heap
 */
export class ArrayObjectType<out Element extends FieldType<unknown>> {
  /** How the type is written in messages: `array(f64)`. */
  readonly name: string;

  /** Use `array(element)`. */
  constructor(
    /** The elements' type. */
    readonly element: Element,
  ) {
    this.name = `array(${element.name})`;
  }

  /** Gives a ref to the own name its target, in a struct that refers to this type. */
  $bind(self: AnyStruct): ArrayObjectType<FieldType<unknown>> {
    const bind = (this.element as Partial<SelfRefType<string>>).$bind;
    return bind === undefined ? this : new ArrayObjectType(bind(self));
  }
}

/** True for what `array(element)` gives. */
export function isArrayObject(type: unknown): type is ArrayObjectType<FieldType<unknown>> {
  return type instanceof ArrayObjectType;
}
