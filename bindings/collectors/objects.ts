import { describe } from "../arguments.js";
import { DisposedError, InvalidArgumentError, ReentrantCallError } from "../errors.js";
import { type Member, pathOf } from "../layout/codec.js";
import type { FieldType } from "../layout/fieldType.js";
import { assertLive, assertMovable, type Location } from "../layout/location.js";
import type { AnyStruct } from "../layout/struct.js";
import type { Collector } from "../memory/collector.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { CollectionListener, HeapStats } from "./figures.js";
import type { HeapArrayType } from "./heapArrays.js";
import type { HeapCursor } from "./heapCursor.js";
import { Scope, type ScopedHeap, type ScopeRange } from "./scope.js";

/** What `$root` of a view says. */
export const INSIDE = 0;
export const UNROOTED = 1;

/**
 * A view of an object of a heap, or of a part of one: a cursor, a ref, an array, bytes.
 *
 * Where several views show parts of one object, `$owner` leads from each to the view that it was read from.
 */
export interface ObjectView extends Location {
  /** The heap; what a scope asks to keep the object. */
  readonly $heap: Objects;
  /** The type of the object, as its heap has it; undefined for a part. */
  readonly $objectType: ObjectType | undefined;
  /** What can be moved to an object of this type: the type, or undefined for refs and parts. */
  readonly $moves: unknown;
  /** How many bytes behind the beginning of the object its content begins. */
  readonly $header: number;
  /**
   * {@link INSIDE} for a view of a part, which cannot be referred to; {@link UNROOTED} for one of a whole object that keeps
   * nothing alive; else the address of the handle that belongs to this view alone.
   */
  $root: number;
  /** True for a kept handle that has not been released. */
  $kept: boolean;
  /** Under the manual strategy: the scope's range that ends the view. */
  $range: ScopeRange | undefined;
  $owner: object | undefined;
  /** Points the view at the object. */
  $show(object: Address, guard: number, generation: number): void;
  /** Ends the views of parts that were read through this one, since it is about to move. */
  $forgetParts(): void;
  /** A view of the same kind that shows nothing yet. */
  $like(): ObjectView;
}

/** A type of objects, as one heap has it. */
export interface ObjectType {
  readonly name: string;
  /** Its address in wasm; 0 where there is none. */
  $type: Address;
  /** A cursor or array that shows nothing yet. */
  $newObjectView(): ObjectView;
  /** What stands for an object of the type in plain data: a ref, or an array itself. */
  $newRef(): ObjectView;
}

/** A field type whose values are references to objects of a heap. */
export interface SlotType extends FieldType<unknown> {
  readonly $isSlot: true;
  readonly isWeak: boolean;
  /** The type of the objects; set when all types of the heap are known. */
  $target: ObjectType;
  /** Points `into` at what the slot at `address` refers to, which was read from `from`; false if to nothing. */
  $load(address: Address, from: Location, into: ObjectView): boolean;
}

/** True for a type that heaps have made for their slots. */
export function isSlotType(type: unknown): type is SlotType {
  return (type as Partial<SlotType> | undefined)?.$isSlot === true;
}

/** The address at which the object itself begins. */
export function objectOf(view: ObjectView): Address {
  return view.$address - view.$header;
}

/**
 * The objects of one heap, under one strategy: what is behind a `Heap`. Views, scopes and the runtime hold on to this and
 * not to the heap, so that a heap that a program has dropped can be found out.
 */
export abstract class Objects implements ScopedHeap, Collector {
  readonly memory: LinearMemory;
  /** True while a step works, with its destroy hooks, or a destroy does. */
  protected working = false;

  constructor(memory: LinearMemory) {
    this.memory = memory;
  }

  /** True once it has been destroyed, alone or with the runtime. */
  abstract get destroyed(): boolean;

  /** @throws {DisposedError} if it has been destroyed */
  assertOpen(operation: string): void {
    this.memory.assertUsable(operation);
    if (this.destroyed) throw new DisposedError(`${operation}: the heap has been destroyed`);
  }

  /** @throws {ReentrantCallError} where no collection may run: in a handler, a destroy hook, a listener of this heap */
  assertIdle(operation: string): void {
    this.assertOpen(operation);
    const { hooksRunning, handlersRunning } = this.memory;
    if (!this.working && hooksRunning === 0 && handlersRunning === 0) return;
    const where = hooksRunning > 0 ? "a destroy hook" : this.working ? "a step of this heap" : "a handler";
    throw new ReentrantCallError(`${operation}: called inside ${where}; a heap collects between events only`);
  }

  /** @throws {ReentrantCallError} if the heap itself is at work */
  assertDestroyable(): void {
    if (!this.working) return;
    throw new ReentrantCallError(
      "destroy: the heap is at work, and a destroy hook or a listener of it has been called",
    );
  }

  /** Throws unless `into` can be moved to a new object of `type`. */
  protected assertInto(type: ObjectType, into: ObjectView | undefined, operation: string): void {
    if (into === undefined) return;
    if (into?.$moves !== type) {
      throw new InvalidArgumentError(
        `${operation}: a ${type.name} of this heap was expected to be moved, but ${describeView(into)} given`,
      );
    }
    if (into.$kept) {
      throw new InvalidArgumentError(`${operation}: a kept handle cannot be moved to a new object; release it first`);
    }
    assertMovable(into);
  }

  /** Makes an object of a struct that the program calls `declared`, zero, with a handle in `scope`. */
  abstract allocate(declared: AnyStruct, scope: Scope, into: HeapCursor | undefined): ObjectView;
  abstract allocateArray(type: HeapArrayType, length: number, scope: Scope, into: ObjectView | undefined): ObjectView;
  /** Frees an object of this heap, where the strategy does that. */
  abstract free(view: ObjectView): void;

  /** Moves `into`, one of this heap's, to the object that `target` shows. */
  abstract moveTo(into: ObjectView, target: ObjectView): void;
  /** Moves a view to nothing. */
  abstract clear(into: ObjectView): void;

  abstract $openRange(scope: Scope): ScopeRange;
  abstract $keep<Record extends object>(record: Record): Record & Disposable;
  /** Ends a kept handle that has not ended. */
  protected abstract unkeep(handle: ObjectView): void;

  /** Ends a kept handle; does nothing to one that has been released, or has ended with its object. */
  release(handle: unknown): void {
    const view = handle as ObjectView | null | undefined;
    if (view?.$heap !== this || view.$objectType === undefined) {
      throw new InvalidArgumentError(`release takes a kept handle of this heap, not ${describeView(handle)}`);
    }
    if (view.$kept) this.unkeep(view);
    else if (!released.has(view))
      throw new InvalidArgumentError("release: the handle is not a kept one: it ends with its scope");
  }

  /** Notes that `handle` was a kept one. */
  protected forgetKept(handle: ObjectView): void {
    handle.$kept = false;
    released.add(handle);
    this.memory.sites?.unregister(handle);
  }

  /** Works for at most `units`; what was done. */
  abstract work(units: number): number;
  /** Does all there is to do: what is not reachable now is gone afterwards. */
  abstract collectAll(): number;
  abstract stats(): Omit<HeapStats, "strategy">;
  abstract onCollection(listener: CollectionListener): () => void;
  abstract validate(): void;
  abstract destroy(): void;
  /** What it takes of the page heap, for who asks when the heap may be gone: it must refer neither to it nor to the memory. */
  abstract bytesOf(): (memory: LinearMemory) => number;

  abstract $settle(): void;
  abstract $idle(): boolean;
  abstract $refused(pages: number): void;
  abstract get $figures(): Collector["$figures"];

  /** Throws unless `view` is live and shows a whole object of `type`; `path` and `member` name the slot. */
  assertStorable(type: ObjectType, view: ObjectView, path: string, member?: Member): void {
    if (view?.$objectType !== type) {
      throw new InvalidArgumentError(
        `${pathOf(path, member)} takes a ${type.name} of this heap, or null, but was given ${describeView(view)}`,
      );
    }
    if (view.$root === INSIDE) refuseInside(pathOf(path, member));
    assertLive(view);
  }
}

/** Kept handles that have been released: only these may be released once more. */
const released = new WeakSet<ObjectView>();

/** Throws where a hook of an object that ends with its heap would make another. */
export function refuseAllocation(): never {
  throw new ReentrantCallError("new: the heap is about to end all its objects, and their destroy hooks are running");
}

/** What a kept handle takes, in bytes, as leaks tell it: the view on the JavaScript heap is not counted, its place here is. */
const HANDLE_BYTES = 8;

/** For the register of leaks, which must not hold the handle itself: one that has ended, or whose object has, takes nothing. */
export function handleBytes(guard: number, generation: number): (memory: LinearMemory) => number {
  return (memory) => (memory.i32[guard] === generation ? HANDLE_BYTES : 0);
}

/** Throws for a view of a part of an object where a whole one is needed. */
export function refuseInside(operation: string): never {
  throw new InvalidArgumentError(
    `${operation}: it shows a part of an object, which no reference can lead to; take the object itself`,
  );
}

/** How a message calls what was given for an object. */
export function describeView(given: unknown): string {
  const view = given as (Partial<ObjectView> & { $struct?: { name: string } }) | null | undefined;
  if (view?.$objectType != null)
    return `a ${view.$objectType.name}${view.$heap === undefined ? "" : " of another heap or type"}`;
  if (view?.$struct != null) return `a ${view.$struct.name}, which is no object of a heap`;
  return describe(given);
}

/** Throws unless `scope` is one. */
export function assertScope(scope: unknown, operation: string): asserts scope is Scope {
  if (scope instanceof Scope) return;
  throw new InvalidArgumentError(
    `${operation} takes a scope (runtime.scope(), or a handler's context.scope), but was given ${describe(scope)}`,
  );
}
