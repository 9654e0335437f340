import type { Codec, Member } from "../layout/codec.js";
import { FieldKind } from "../layout/fieldType.js";
import { type Location, stale } from "../layout/location.js";
import type { Address } from "../memory/module.js";
import type { CollectedObjects } from "./collectedObjects.js";
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

function codecOf(slot: CollectedSlot): Codec {
  const { heap, isWeak } = slot;
  /** The address to be stored for `value`. A slot whose value was checked is written before the heap can work. */
  const checked = (value: ObjectView | null, path: string, member?: Member): Address => {
    if (value === null) return 0;
    heap.assertStorable(slot.$target, value, path, member);
    return objectOf(value);
  };
  return {
    accessor: (memory, offset) => ({
      get() {
        if (memory.i32[this.$guard] !== this.$generation) stale(this);
        const object = slot.objectAt(this.$address + offset);
        return object === 0 ? null : heap.show(slot.$target, object, this);
      },
      set(value: ObjectView | null) {
        if (memory.i32[this.$guard] !== this.$generation) stale(this);
        const object = value === null ? 0 : checked(value, "a field");
        const address = this.$address + offset;
        if (isWeak) heap.storeWeak(address, object);
        else if (memory.u32[heap.barrierWord] === 0) memory.u32[address >>> 2] = object;
        else heap.store(address, object);
      },
    }),
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
