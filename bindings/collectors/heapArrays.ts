import { InvalidArgumentError, LimitExceededError } from "../errors.js";
import { Bytes } from "../layout/bytes.js";
import { type FieldType, u8 } from "../layout/fieldType.js";
import { place, unset } from "../layout/location.js";
import { StructArray, ValueArray } from "../layout/sequence.js";
import { type CursorOf, type Fields, StructType } from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { INSIDE, type Objects, type ObjectType, type ObjectView, UNROOTED } from "./objects.js";
import type { ScopeRange } from "./scope.js";

/**
 * What lies before the elements of an array object, in bytes.
 *
 *   ┌──────┬────────┐┌───────────┬───┐
 *   │ type │ length ││ element 0 │ … │
 *   └──────┴────────┘└───────────┴───┘
 */
export const ARRAY_HEADER = 8;
const LENGTH = 4;

/** A type of arrays that are objects, as one heap has it. */
export class HeapArrayType implements ObjectType {
  $type: Address = 0;
  readonly name: string;

  constructor(
    readonly heap: Objects,
    /** The elements' type, as the heap has it. */
    readonly element: FieldType<unknown>,
  ) {
    this.name = `array(${element.name})`;
  }

  $newObjectView(): ObjectView {
    const { element, heap } = this;
    if (element === u8) return new HeapBytes(heap.memory, this);
    if (!(element instanceof StructType)) return new HeapValues(heap.memory, this);
    return new HeapStructs(heap.memory, element.$newView(heap.memory) as CursorOf<Fields>, this);
  }

  $newRef(): ObjectView {
    return this.$newObjectView();
  }
}

/** The length of the array object at `object`; 0 of one that has been freed, whose memory may be another's. */
function lengthOf({ u32, i32 }: LinearMemory, object: Address, guard: number, generation: number): number {
  return i32[guard] === generation ? u32[(object + LENGTH) >>> 2]! : 0;
}

/** A view of an object of a heap is moved by its heap alone: it would be taken for that object still. */
function refuseMove(operation: string): never {
  throw new InvalidArgumentError(`${operation}: an array, text or bytes of a heap cannot be moved to other memory`);
}

function refuseTruncate(length: number): never {
  throw new LimitExceededError(`truncate: an array of a heap keeps its length of ${length} elements`);
}

/** Values in a row: an object of a heap. */
class HeapValues extends ValueArray<unknown> implements ObjectView {
  $root: number = UNROOTED;
  $kept = false;
  $range: ScopeRange | undefined = undefined;
  $owner: object | undefined = undefined;

  constructor(
    memory: LinearMemory,
    readonly $objectType: HeapArrayType,
  ) {
    super(memory, $objectType.element);
  }

  get $heap(): Objects {
    return this.$objectType.heap;
  }

  get $moves(): HeapArrayType {
    return this.$objectType;
  }

  get $header(): number {
    return ARRAY_HEADER;
  }

  override truncate(): void {
    refuseTruncate(this.$length);
  }

  override $assertReusable(): void {
    refuseMove("array");
  }

  $show(object: Address, guard: number, generation: number): void {
    this.$fix(object + ARRAY_HEADER, lengthOf(this.$memory, object, guard, generation), guard, generation);
  }

  $forgetParts(): void {}

  $like(): ObjectView {
    return this.$objectType.$newObjectView();
  }

  [Symbol.dispose](): void {
    this.$heap.release(this);
  }
}

/** Structs in a row: an object of a heap, or inside one. */
export class HeapStructs<F extends Fields> extends StructArray<F> implements ObjectView {
  $root: number;
  $kept = false;
  $range: ScopeRange | undefined = undefined;
  $owner: object | undefined = undefined;
  /** The cursor that shows the elements. */
  readonly #shown: CursorOf<F>;

  /** @param $objectType undefined for an array inside an object */
  constructor(
    memory: LinearMemory,
    shown: CursorOf<F>,
    readonly $objectType: HeapArrayType | undefined,
  ) {
    super(memory, shown);
    this.$root = $objectType === undefined ? INSIDE : UNROOTED;
    this.#shown = shown;
    (shown as unknown as ObjectView).$owner = this;
  }

  get $heap(): Objects {
    return (this.#shown as unknown as ObjectView).$heap;
  }

  get $moves(): HeapArrayType | undefined {
    return this.$objectType;
  }

  get $header(): number {
    return ARRAY_HEADER;
  }

  override truncate(): void {
    refuseTruncate(this.$length);
  }

  override $assertReusable(): void {
    refuseMove("array");
  }

  $show(object: Address, guard: number, generation: number): void {
    this.$fix(object + ARRAY_HEADER, lengthOf(this.$memory, object, guard, generation), guard, generation);
  }

  $forgetParts(): void {
    unset(this.#shown);
    (this.#shown as unknown as ObjectView).$forgetParts();
  }

  $like(): ObjectView {
    return this.$objectType!.$newObjectView();
  }

  [Symbol.dispose](): void {
    this.$heap.release(this);
  }
}

/** Bytes: an object of a heap. */
class HeapBytes extends Bytes implements ObjectView {
  $root: number = UNROOTED;
  $kept = false;
  $range: ScopeRange | undefined = undefined;
  $owner: object | undefined = undefined;

  constructor(
    memory: LinearMemory,
    readonly $objectType: HeapArrayType,
  ) {
    super(memory);
  }

  override $assertMovable(operation: string): void {
    refuseMove(operation);
  }

  get $heap(): Objects {
    return this.$objectType.heap;
  }

  get $moves(): HeapArrayType {
    return this.$objectType;
  }

  get $header(): number {
    return ARRAY_HEADER;
  }

  $show(object: Address, guard: number, generation: number): void {
    place(this, object + ARRAY_HEADER, guard, generation);
    this.$length = lengthOf(this.$memory, object, guard, generation);
  }

  $forgetParts(): void {}

  $like(): ObjectView {
    return new HeapBytes(this.$memory, this.$objectType);
  }

  [Symbol.dispose](): void {
    this.$heap.release(this);
  }
}
