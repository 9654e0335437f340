import { describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { Cursor, Ref } from "../layout/cursor.js";
import { assertLive, assertMovable, type Location, place, unset } from "../layout/location.js";
import type { AnyFields, CursorOf, Fields, RefName, RefView, SelfRefName, StructType } from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { HeapStruct } from "./heapStruct.js";
import {
  describeView,
  INSIDE,
  type Objects,
  type ObjectType,
  type ObjectView,
  refuseInside,
  type SlotType,
  UNROOTED,
} from "./objects.js";
import type { ScopeRange } from "./scope.js";

/** Ends the views of parts that lie below `part`, and `part` itself. */
function forget(part: Location): void {
  unset(part);
  (part as Partial<ObjectView>).$forgetParts?.();
}

/**
 * A cursor on an object of a heap, or on a struct inside one.
 *
 * One that has a handle is the root of what it is on, and takes the handle along when it moves: walking a list of a million
 * objects makes no million handles.
 */
export abstract class HeapCursor<F extends Fields = AnyFields> extends Cursor<F> implements ObjectView {
  declare readonly $heap: Objects;
  declare readonly $objectType: ObjectType;
  /** The struct as the program has declared it. */
  declare readonly $declared: unknown;
  declare readonly $header: 0;
  $root: number = UNROOTED;
  $kept = false;
  $range: ScopeRange | undefined = undefined;
  $owner: object | undefined = undefined;

  override $part<View extends Location>(part: number, make: (memory: LinearMemory) => View): View {
    if (this.$parts === undefined) assertMovable(this); // a part ends with the handle, for which the cursor has to keep it
    const view = super.$part(part, make);
    (view as unknown as ObjectView).$owner = this;
    return view;
  }

  override moveTo(target: Cursor<F> | Ref<F> | null): this {
    const view = target as unknown as HeapCursor;
    if (
      view?.$struct !== (this.$struct as unknown) ||
      view.$memory.i32[view.$guard] !== view.$generation ||
      view.$root === INSIDE ||
      this.$root === INSIDE
    ) {
      return this.$moveSlow(target);
    }
    this.$heap.moveTo(this, view);
    return this;
  }

  $moveSlow(target: Cursor<F> | Ref<F> | null): this {
    if (this.$root === INSIDE) refuseInside("moveTo");
    if (target === null) {
      this.$heap.clear(this);
      return this;
    }
    assertObject(this.$struct, this.$memory, target, "moveTo");
    this.$heap.moveTo(this, target as unknown as ObjectView);
    return this;
  }

  override follow<Name extends SelfRefName<F>>(name: Name): boolean;
  override follow<Name extends RefName<F>>(name: Name, into: RefView<F, Name>): boolean;
  override follow(name: string, into: object = this): boolean {
    assertLive(this);
    const found = (this.$struct as unknown as HeapStruct).$slots.get(name);
    if (found === undefined) {
      throw new InvalidArgumentError(`follow: struct ${this.$struct.name} has no ref field ${describe(name)}`);
    }
    const view = into as unknown as ObjectView;
    if (view?.$moves !== found.slot.$target) refuseView(name, found.slot, view);
    return found.slot.$load(this.$address + found.offset, this, view);
  }

  override ref(): Ref<F> {
    assertLive(this);
    if (this.$root === INSIDE) refuseInside("ref");
    const ref = new HeapRef<F>(this.$struct, this.$memory);
    this.$heap.moveTo(ref, this);
    return ref;
  }

  override copyTo(): CursorOf<F> {
    throw new InvalidArgumentError(
      `copyTo: ${this.$struct.name} is an object of a heap, whose references mean nothing elsewhere; copy its values`,
    );
  }

  $show(object: Address, guard: number, generation: number): void {
    place(this, object, guard, generation);
  }

  $forgetParts(): void {
    if (this.$parts !== undefined) this.$parts.forEach(forget);
  }

  $like(): ObjectView {
    return this.$struct.$newCursor(this.$memory) as unknown as ObjectView;
  }

  [Symbol.dispose](): void {
    this.$heap.release(this);
  }
}
Object.defineProperty(HeapCursor.prototype, "$header", { value: 0 });

/** Throws since `view` cannot be moved to what the field `name` leads to. */
function refuseView(name: string, slot: SlotType, view: unknown): never {
  throw new InvalidArgumentError(
    `follow: ${name} refers to a ${slot.$target.name} of this heap, not to ${describeView(view)}`,
  );
}

/** Throws unless `target` is live, of `struct`, and a whole object. */
function assertObject<F extends Fields>(
  struct: StructType<F>,
  memory: LinearMemory,
  target: Cursor<F> | Ref<F>,
  operation: string,
): void {
  if (target?.$struct !== struct) {
    throw new InvalidArgumentError(
      `${operation}: a cursor or ref of a ${struct.name} of this heap was expected, but ${describeView(target)} given`,
    );
  }
  struct.$assertRecord(memory, target, operation);
  if ((target as unknown as ObjectView).$root === INSIDE) refuseInside(operation);
}

/** A ref to an object of a heap, with a handle of its own. */
export class HeapRef<F extends Fields = AnyFields> extends Ref<F> implements ObjectView {
  $root: number = UNROOTED;
  $kept = false;
  $range: ScopeRange | undefined = undefined;
  $owner: object | undefined = undefined;

  constructor(struct: StructType<F>, memory: LinearMemory) {
    super(struct, memory, 0, 0, 1);
  }

  get $heap(): Objects {
    return (this.$struct as unknown as { readonly heap: Objects }).heap;
  }

  get $objectType(): ObjectType {
    return this.$struct as unknown as ObjectType;
  }

  get $moves(): undefined {
    return undefined;
  }

  get $header(): number {
    return 0;
  }

  $show(object: Address, guard: number, generation: number): void {
    place(this, object, guard, generation);
  }

  $forgetParts(): void {}

  $like(): ObjectView {
    return new HeapRef<F>(this.$struct, this.$memory);
  }

  [Symbol.dispose](): void {
    this.$heap.release(this);
  }
}
