import type { Codec, Member } from "../layout/codec.js";
import { FieldKind } from "../layout/fieldType.js";
import { type Location, stale } from "../layout/location.js";
import type { Address } from "../memory/module.js";
import type { CollectedObjects } from "./collectedObjects.js";
import { HeapStruct } from "./heapStruct.js";
import { type ObjectType, type ObjectView, objectOf, type SlotType } from "./objects.js";

/** The size of a reference in an object that is collected, in bytes: its address. */
const SLOT_SIZE = 4;

/** References of the collected strategies: 4 bytes, the object's address, 0 for none. */
export class CollectedSlot implements SlotType {
  readonly $isSlot = true;
  readonly kind = FieldKind.REF;
  readonly size: number = SLOT_SIZE;
  readonly alignment: number = SLOT_SIZE;
  readonly $codec: Codec;
  declare readonly $value?: unknown;
  $target!: ObjectType;

  constructor(
    readonly heap: CollectedObjects,
    readonly name: string,
    readonly isWeak: boolean,
  ) {
    this.$codec = codecOf(this);
  }

  $load(address: Address, from: Location, into: ObjectView): boolean {
    const object = this.objectAt(address);
    if (object === 0) return false;
    this.heap.point(into, object, from);
    return true;
  }

  /** The object that the slot at `address` refers to; 0 for none. */
  objectAt(address: Address): Address {
    return this.isWeak ? this.heap.loadWeak(address) : this.heap.memory.u32[address >>> 2]!;
  }
}

/** What no view moves to. */
const NO_STRUCT = Symbol("no struct");

function codecOf(slot: CollectedSlot): Codec {
  const { heap, isWeak } = slot;
  /** The address to be stored for `value`. A slot whose value was checked is written before the heap can work. */
  const checked = (value: ObjectView | null, path: string, member?: Member): Address => {
    if (value === null) return 0;
    heap.assertStorable(slot.$target, value, path, member);
    return objectOf(value);
  };
  return {
    accessor: (memory, offset) => {
      const { word } = heap.barrier;
      // All types are known by now. Arrays, and weak references, take the slow path.
      const direct = !isWeak && slot.$target instanceof HeapStruct ? slot.$target : NO_STRUCT;
      const setSlow = (record: Location, value: ObjectView | null) => {
        if (memory.i32[record.$guard] !== record.$generation) stale(record);
        const object = checked(value, "a field");
        if (isWeak) heap.storeWeak(record.$address + offset, object);
        else heap.store(record.$address + offset, object);
      };
      return {
        get() {
          if (memory.i32[this.$guard] !== this.$generation) stale(this);
          const object = slot.objectAt(this.$address + offset);
          return object === 0 ? null : heap.show(slot.$target, object, this);
        },
        set(value: ObjectView | null) {
          const { i32, u32 } = memory;
          const index = (this.$address + offset) >>> 2;
          if (
            value != null &&
            value.$moves === direct &&
            i32[value.$guard] === value.$generation &&
            i32[this.$guard] === this.$generation &&
            u32[index]! < u32[word]!
          ) {
            u32[index] = value.$address;
          } else setSlow(this, value);
        },
      };
    },
    check: (_memory, value, path, member) => checked(value as ObjectView | null, path, member),
    write(_memory, address, object: Address) {
      if (isWeak) heap.storeWeak(address, object);
      else heap.store(address, object);
    },
    read(_memory, address, from: Location | undefined) {
      const object = slot.objectAt(address);
      if (object === 0) return null;
      const ref = slot.$target.$newRef();
      heap.point(ref, object, from);
      return ref;
    },
    slots: (offset, report) => report(offset, slot.$target, isWeak),
  };
}
