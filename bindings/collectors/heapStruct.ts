import type { Cursor } from "../layout/cursor.js";
import type { FieldType } from "../layout/fieldType.js";
import type { StructArray } from "../layout/sequence.js";
import {
  type AnyFields,
  type AnyStruct,
  type CursorClass,
  type CursorOf,
  cursorClass,
  type Fields,
  StructType,
} from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { HeapStructs } from "./heapArrays.js";
import { HeapCursor, HeapRef } from "./heapCursor.js";
import { INSIDE, isSlotType, type Objects, type ObjectType, type ObjectView, type SlotType } from "./objects.js";

/**
 * A struct as one heap has it: the same fields, but for references, which are the heap's own. It is another struct than the
 * declared one, so whatever checks the structs of records (arenas, pools, collections, other heaps) refuses its cursors.
 */
export class HeapStruct<F extends Fields = AnyFields> extends StructType<F> implements ObjectType {
  readonly heap: Objects;
  /** What the program calls it by. */
  readonly $declared: AnyStruct;
  $type: Address = 0;
  /** Of a collected heap: the index of its class in `memory.u32`, and from an object to the next one of a run, in bytes. */
  $class = 0;
  $stride = 0;
  /** The reference fields by their names: one look-up where `fields` and `offsets` would be two by a name that varies. */
  readonly $slots = new Map<string, { readonly slot: SlotType; readonly offset: number }>();
  #cursors: CursorClass | undefined = undefined;
  #views: CursorClass | undefined = undefined;

  /** @param fields those of `declared`, as the heap has them */
  constructor(
    heap: Objects,
    declared: StructType<F>,
    fields: Record<string, FieldType<unknown>>,
    destroy: StructType<F>["$destroy"] = declared.$destroy,
  ) {
    super(declared.name, fields as F, destroy === undefined ? {} : { destroy });
    this.heap = heap;
    this.$declared = declared as AnyStruct;
    for (const [name, slot] of Object.entries(this.fields)) {
      if (isSlotType(slot)) this.$slots.set(name, { slot, offset: this.offsets[name]! });
    }
  }

  $newObjectView(): ObjectView {
    return this.$newCursor() as unknown as ObjectView;
  }

  $newRef(): ObjectView {
    return new HeapRef(this, this.heap.memory);
  }

  override $newCursor(_memory?: LinearMemory): CursorOf<F> {
    this.#cursors ??= this.#declare();
    return new this.#cursors(this.heap.memory) as CursorOf<F>;
  }

  /** What its cursors are made from. */
  protected get $cursorBase(): typeof HeapCursor {
    return HeapCursor;
  }

  #declare(): CursorClass {
    const made = cursorClass(this as AnyStruct, this.heap.memory, this.$cursorBase as unknown as CursorClass);
    Object.defineProperty(made.prototype, "$heap", { value: this.heap });
    Object.defineProperty(made.prototype, "$objectType", { value: this });
    Object.defineProperty(made.prototype, "$declared", { value: this.$declared });
    return made;
  }

  override $newView(_memory?: LinearMemory): Cursor {
    this.#views ??= this.#declareViews();
    const view = new this.#views(this.heap.memory);
    (view as unknown as ObjectView).$root = INSIDE;
    return view;
  }

  /** Cursors that only their owners move. */
  #declareViews(): CursorClass {
    this.#cursors ??= this.#declare();
    class View extends this.#cursors {}
    Object.defineProperty(View.prototype, "$moves", { value: undefined });
    return View;
  }

  override $newArray(memory: LinearMemory): StructArray<F> {
    return new HeapStructs<F>(memory, this.$newView() as CursorOf<F>, undefined);
  }
}
