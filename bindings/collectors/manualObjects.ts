import { ByteHeap, byteHeapBytes } from "../allocators/byteHeap.js";
import { poolBytes } from "../allocators/cells.js";
import { Pool } from "../allocators/pool.js";
import { Bytes } from "../layout/bytes.js";
import type { Cursor } from "../layout/cursor.js";
import { array } from "../layout/fields.js";
import type { FieldType } from "../layout/fieldType.js";
import { assertLive, assertMovable, end, type Location, place, unset } from "../layout/location.js";
import type { AnyFields, AnyStruct, CursorOf } from "../layout/struct.js";
import type { Collector } from "../memory/collector.js";
import { DestroySweep } from "../memory/destroySweep.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { type Address, PAGE_SIZE } from "../memory/module.js";
import type { CollectionListener, HeapStats } from "./figures.js";
import { ARRAY_HEADER, type HeapArrayType } from "./heapArrays.js";
import { HeapStruct } from "./heapStruct.js";
import { type DeclaredType, HeapTypes, type TypeFactory } from "./heapTypes.js";
import { ManualSlot } from "./manualSlot.js";
import {
  assertScope,
  handleBytes,
  INSIDE,
  Objects,
  type ObjectType,
  type ObjectView,
  objectOf,
  refuseAllocation,
  refuseInside,
} from "./objects.js";
import type { Scope, ScopeRange } from "./scope.js";

/** The views that a scope has given out, which it ends. */
class ManualRange implements ScopeRange {
  readonly #idle: ManualRange[];
  readonly #views: ObjectView[] = [];

  /** @param idle where it goes when it has ended */
  constructor(idle: ManualRange[]) {
    this.#idle = idle;
  }

  add(view: ObjectView): void {
    if (view.$range === this) return;
    view.$range = this;
    this.#views.push(view);
  }

  $end(): void {
    for (const view of this.#views) {
      if (view.$range !== this) continue; // it is another scope's by now
      if (!Object.isExtensible(view)) continue; // a program has frozen it: it is on its object until that is freed
      view.$range = undefined;
      end(view);
      view.$forgetParts();
    }
    this.#views.length = 0;
    this.#idle.push(this);
  }
}

/** The range that ends what was read from `from`. */
function rangeOf(from: Location | undefined): ManualRange | undefined {
  let view = from as Partial<ObjectView> | undefined;
  while (view?.$owner !== undefined) view = view.$owner as Partial<ObjectView>;
  return view?.$range as ManualRange | undefined;
}

/**
 * Objects that live until they are freed, one by one: structs in pools, arrays in a byte heap. References are checked, so
 * that whatever leads to an object that has been freed says so.
 */
export class ManualObjects extends Objects {
  readonly types: HeapTypes;
  readonly #pools = new Map<ObjectType, Pool<AnyFields>>();
  readonly #arrays: ByteHeap;
  /** Shows array objects to the byte heap. */
  readonly #bytes: Bytes;
  readonly #idleRanges: ManualRange[] = [];
  #arrayCount = 0;
  #arrayBytes = 0;
  #made = 0;
  #handles = 0;
  /** Destroy hooks of this heap that are running, one inside another. */
  #hooks = 0;
  /** True while the hooks of all objects run before they end. */
  #ending = false;

  /** @throws {OutOfMemoryError}, {SealedError}; nothing is left of it */
  constructor(memory: LinearMemory, declared: readonly DeclaredType[]) {
    super(memory);
    const factory: TypeFactory = {
      struct: (struct, fields) => new HeapStruct(this, struct, fields, this.#wrap(struct)),
      slot: (name, isWeak) => new ManualSlot(this, name, isWeak),
      inlineArray: (element: FieldType<unknown>, length) => array(element, length),
    };
    this.types = new HeapTypes(this, factory, declared);
    this.#bytes = new Bytes(memory);
    this.#arrays = new ByteHeap(memory);
    memory.sites?.unregister(this.#arrays); // the heap is told of as one
    try {
      for (const type of this.types.all) {
        if (!(type instanceof HeapStruct)) continue;
        const pool = new Pool<AnyFields>(memory, type);
        memory.sites?.unregister(pool);
        this.#pools.set(type, pool);
      }
    } catch (error) {
      this.#end();
      throw error;
    }
    memory.collectors.add(this);
  }

  /** The struct's hook, noting that it runs. */
  #wrap(struct: AnyStruct): AnyStruct["$destroy"] {
    const destroy = struct.$destroy;
    if (destroy === undefined) return undefined;
    return (record: CursorOf<AnyFields>) => {
      this.#hooks++;
      this.working = true;
      try {
        destroy(record);
      } finally {
        this.working = --this.#hooks > 0;
      }
    };
  }

  get destroyed(): boolean {
    return this.#arrays.destroyed;
  }

  allocate(declared: AnyStruct, scope: Scope, into: ObjectView | undefined): ObjectView {
    this.assertOpen("new");
    const type = this.types.struct(declared, "new");
    assertScope(scope, "new");
    this.assertInto(type, into, "new");
    if (this.#ending) refuseAllocation();
    const range = scope.$rangeOf<ManualRange>(this);
    const view = into ?? type.$newObjectView();
    this.#pools.get(type)!.new(view as unknown as CursorOf<AnyFields>);
    view.$forgetParts();
    this.#made++;
    range.add(view);
    return view;
  }

  allocateArray(type: HeapArrayType, length: number, scope: Scope, into: ObjectView | undefined): ObjectView {
    this.assertInto(type, into, "array");
    if (this.#ending) refuseAllocation();
    const range = scope.$rangeOf<ManualRange>(this);
    const view = into ?? type.$newObjectView();
    const bytes = ARRAY_HEADER + length * type.element.size;
    const { $address: object, $guard: guard, $generation: generation } = this.#arrays.bytes(bytes, this.#bytes);
    this.memory.u32[(object + 4) >>> 2] = length;
    this.#arrayCount++;
    this.#arrayBytes += bytes;
    this.#made++;
    view.$forgetParts();
    view.$show(object, guard, generation);
    range.add(view);
    return view;
  }

  free(view: ObjectView): void {
    if (this.#ending) return; // all objects are about to end, and each has its hook run in its turn
    const pool = this.#pools.get(view.$objectType!);
    if (pool !== undefined) {
      pool.free(view as unknown as Cursor<AnyFields>);
      return;
    }
    const object = objectOf(view);
    const bytes =
      ARRAY_HEADER + this.memory.u32[(object + 4) >>> 2]! * (view.$objectType as HeapArrayType).element.size;
    place(this.#bytes, object, view.$guard, view.$generation);
    this.#arrays.free(this.#bytes);
    this.#arrayCount--;
    this.#arrayBytes -= bytes;
  }

  /** Points `into` at an object that was read from `from`: its own scope, or being kept, goes before that of `from`. */
  point(into: ObjectView, object: Address, guard: number, generation: number, from: Location | undefined): void {
    assertMovable(into);
    if (into.$range === undefined && !into.$kept) rangeOf(from)?.add(into);
    into.$forgetParts();
    into.$show(object, guard, generation);
  }

  moveTo(into: ObjectView, target: ObjectView): void {
    this.point(into, objectOf(target), target.$guard, target.$generation, target);
  }

  clear(into: ObjectView): void {
    if (into.$kept) this.unkeep(into);
    into.$forgetParts();
    unset(into);
  }

  $openRange(): ManualRange {
    this.assertOpen("a new handle");
    return this.#idleRanges.pop() ?? new ManualRange(this.#idleRanges);
  }

  $keep<Record extends object>(record: Record): Record & Disposable {
    const view = record as unknown as ObjectView;
    this.assertOpen("keep");
    if (view.$root === INSIDE) refuseInside("keep");
    assertLive(view);
    const handle = view.$like();
    handle.$show(objectOf(view), view.$guard, view.$generation);
    handle.$kept = true;
    this.#handles++;
    this.memory.sites?.register(handle, "handle", handleBytes(handle.$guard, handle.$generation));
    return handle as unknown as Record & Disposable;
  }

  protected unkeep(handle: ObjectView): void {
    assertMovable(handle);
    this.#handles--;
    this.forgetKept(handle);
    end(handle);
    handle.$forgetParts();
  }

  work(): number {
    return 0;
  }

  collectAll(): number {
    return 0;
  }

  $settle(): void {}

  $idle(): boolean {
    return false;
  }

  $refused(): void {}

  get $figures(): Collector["$figures"] {
    return NOTHING;
  }

  onCollection(_listener: CollectionListener): () => void {
    return () => {};
  }

  stats(): Omit<HeapStats, "strategy"> {
    let objects = this.#arrayCount;
    let bytes = this.#arrayBytes;
    let reservedBytes = this.memory.exports.byteHeapPages(this.#arrays.address) * PAGE_SIZE;
    for (const pool of this.#pools.values()) {
      objects += pool.count;
      bytes += pool.count * pool.type.$rounded;
      reservedBytes += pool.stats().reservedBytes;
    }
    const freedObjects = this.#made - objects;
    return { ...NO_COLLECTIONS, objects, bytes, reservedBytes, handles: this.#handles, freedObjects };
  }

  validate(): void {
    this.#arrays.validate();
    for (const pool of this.#pools.values()) pool.validate();
  }

  bytesOf(): (memory: LinearMemory) => number {
    const parts = [...this.#pools.values()].map((pool) => poolBytes(pool.$address));
    parts.push(byteHeapBytes(this.#arrays.address));
    return (memory) => parts.reduce((sum, bytes) => sum + bytes(memory), 0);
  }

  /** Runs the hooks of all objects, type by type, and only then gives the first of them back. */
  destroy(): void {
    const { memory } = this;
    memory.collectors.delete(this);
    const sweep = DestroySweep.begin(memory);
    this.#ending = true;
    for (const pool of this.#pools.values()) pool.$runHooks(sweep);
    this.#ending = false;
    this.#end();
    sweep.finish("destroy");
  }

  /** Gives everything back, whatever is found damaged; then throws the first of that. */
  #end(): void {
    const errors: unknown[] = [];
    for (const pool of this.#pools.values()) {
      try {
        pool.destroy();
      } catch (error) {
        errors.push(error);
      }
    }
    this.#arrays.destroy();
    if (errors.length > 0) throw errors[0];
  }
}

const NOTHING = { steps: 0, units: 0, longestStepUnits: 0, longestStepMicroseconds: 0, cycles: 0 };

const NO_COLLECTIONS = {
  ...NOTHING,
  lastCycleUnits: 0,
  lastStepUnits: 0,
  lastStepMicroseconds: 0,
  floatingBytes: 0,
  pendingDecrements: 0,
  candidates: 0,
  overruns: 0,
};
