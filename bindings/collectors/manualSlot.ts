import type { Codec } from "../layout/codec.js";
import { REF_SIZE } from "../layout/cursor.js";
import { FieldKind } from "../layout/fieldType.js";
import { assertLive, type Location, place, stale } from "../layout/location.js";
import type { Address } from "../memory/module.js";
import type { ManualObjects } from "./manualObjects.js";
import { type ObjectType, type ObjectView, objectOf, type SlotType } from "./objects.js";

/** A reference as it lies in memory: taken from a view at once, since that may move before it is written. */
interface Reference {
  readonly object: Address;
  readonly guard: number;
  readonly generation: number;
}

/** References of the manual strategy: 12 bytes, checked like those of pools, so that a use after a free is found out. */
export class ManualSlot implements SlotType {
  readonly $isSlot = true;
  readonly kind = FieldKind.REF;
  readonly size: number = REF_SIZE;
  readonly alignment: number = 4;
  readonly $codec: Codec;
  declare readonly $value?: unknown;
  $target!: ObjectType;

  constructor(
    readonly heap: ManualObjects,
    readonly name: string,
    readonly isWeak: boolean,
  ) {
    this.$codec = codecOf(this);
  }

  /** @throws {StaleReferenceError} if the object has been freed, and the slot is not weak */
  $load(address: Address, from: Location, into: ObjectView): boolean {
    const { u32, i32 } = this.heap.memory;
    const word = address >>> 2;
    const object = u32[word]!;
    if (object === 0) return false;
    const guard = u32[word + 1]! >>> 2;
    const generation = i32[word + 2]!;
    if (i32[guard] !== generation) {
      if (this.isWeak) return false;
      const ended = this.$target.$newRef();
      place(ended, object, guard, generation);
      stale(ended);
    }
    this.heap.point(into, object, guard, generation, from);
    return true;
  }

  /** Points a fresh `view` at what the slot refers to, which may have been freed; null where there is nothing. */
  show(address: Address, from: Location | undefined, isRef: boolean): ObjectView | null {
    const { u32, i32 } = this.heap.memory;
    const word = address >>> 2;
    const object = u32[word]!;
    if (object === 0) return null;
    const guard = u32[word + 1]! >>> 2;
    const generation = i32[word + 2]!;
    if (this.isWeak && i32[guard] !== generation) return null;
    const view = isRef ? this.$target.$newRef() : this.$target.$newObjectView();
    this.heap.point(view, object, guard, generation, from);
    return view;
  }
}

function codecOf(slot: ManualSlot): Codec {
  const codec: Codec = {
    accessor: (memory, offset) => ({
      get() {
        assertLive(this);
        return slot.show(this.$address + offset, this, false);
      },
      set(value: ObjectView | null) {
        assertLive(this);
        if (value !== null) slot.heap.assertStorable(slot.$target, value, "a field");
        const word = (this.$address + offset) >>> 2;
        memory.u32[word] = value === null ? 0 : objectOf(value);
        memory.u32[word + 1] = value === null ? 0 : value.$guard << 2;
        memory.i32[word + 2] = value === null ? 0 : value.$generation;
      },
    }),
    check(_memory, value, path, member): Reference | null {
      if (value === null) return null;
      const view = value as ObjectView;
      slot.heap.assertStorable(slot.$target, view, path, member);
      return { object: objectOf(view), guard: view.$guard, generation: view.$generation };
    },
    write(memory, address, value: Reference | null) {
      const word = address >>> 2;
      memory.u32[word] = value?.object ?? 0;
      memory.u32[word + 1] = (value?.guard ?? 0) << 2;
      memory.i32[word + 2] = value?.generation ?? 0;
    },
    read: (_memory, address, from) => slot.show(address, from, true),
    slots: (offset, report) => report(offset, slot.$target, slot.isWeak),
  };
  return codec;
}
