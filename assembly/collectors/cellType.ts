// Cell types: what the collectors know of a struct, or of the elements of variable-length objects: where references lie.
//
//   variable-length object  ┌──────┬────────┬───────────┬───────────┬ ─ ─
//                           │ type │ length │ element 0 │ element 1 │
//                           └──────┴────────┴───────────┴───────────┴ ─ ─
//                           0      4        8

import { Arena } from "../allocators/arena";
import { Address } from "../memory/alignment";
import { blockOf } from "./cellBlock";
import { CellClass, layOut } from "./cellClass";
import { Heap } from "./heap";

namespace TypeFlag {
  /** Objects have a destroy hook. */
  export const HOOKED: u32 = 1;
  /** Objects have as many elements as they were made with. */
  export const VARIABLE: u32 = 2;
  /** No field is aligned to more than 4 bytes. */
  export const WORD_ALIGNED: u32 = 4;
}

/** Where an object's type and length lie, if it is of variable length, and where its elements begin. */
@unmanaged
export class VariableObject {
  type: Address;
  length: u32;
}
export const VARIABLE_HEADER: u32 = offsetof<VariableObject>();

/** A fixed type is the class of its objects at the same time. */
@unmanaged
export class CellType extends CellClass {
  flags: u32;
  /** Of an object, or of an element of one of variable length. */
  bytes: u32;
  /** The offsets of references from the beginning of an object or element; those that may lead back to its type come first. */
  slots: Address;
  slotCount: u32;
  cyclicCount: u32;
  weakSlots: Address;
  weakCount: u32;

  @inline
  get isVariable(): bool {
    return (this.flags & TypeFlag.VARIABLE) != 0;
  }

  @inline
  get isHooked(): bool {
    return (this.flags & TypeFlag.HOOKED) != 0;
  }
}
const TYPE_BYTES: u32 = offsetof<CellType>();

/**
 * Adds a type to a heap. `slots` and `weakSlots` are lists of words that live as long as the heap. Returns 0 with a status when
 * memory is out.
 */
export function addType(
  heap: Heap,
  bytes: u32,
  slots: Address,
  slotCount: u32,
  cyclicCount: u32,
  weakSlots: Address,
  weakCount: u32,
  flags: u32,
): Address {
  const address = changetype<Arena>(heap.arena).allocate(TYPE_BYTES);
  if (!address) return 0;
  const type = changetype<CellType>(address);
  memory.fill(address, 0, TYPE_BYTES);
  type.flags = flags;
  type.bytes = bytes;
  type.slots = slots;
  type.slotCount = slotCount;
  type.cyclicCount = cyclicCount;
  type.weakSlots = weakSlots;
  type.weakCount = weakCount;
  if (type.isHooked) heap.hasHooks = 1;
  if (!type.isVariable) {
    type.type = address;
    layOut(type, heap, bytes, (flags & TypeFlag.WORD_ALIGNED) != 0);
  } else if (weakCount) heap.variableWeak = 1;
  return address;
}

/** The type of an object. */
export function typeOf(object: Address): CellType {
  const type = blockOf(object).type;
  return changetype<CellType>(type ? type : changetype<VariableObject>(object).type);
}

/** The class that an object lies in. */
export function classOf(object: Address): CellClass {
  return changetype<CellClass>(blockOf(object).cellClass);
}

/** How many strong slots an object of `type` has. */
export function slotsOf(type: CellType, object: Address): u32 {
  return type.isVariable ? type.slotCount * changetype<VariableObject>(object).length : type.slotCount;
}

/** How many weak slots it has. */
export function weakSlotsOf(type: CellType, object: Address): u32 {
  return type.isVariable ? type.weakCount * changetype<VariableObject>(object).length : type.weakCount;
}

/** The address of strong slot `index` of an object. */
export function slotAt(type: CellType, object: Address, index: u32): Address {
  return placeAt(type, object, type.slots, type.slotCount, index);
}

/** The same for weak slots. */
export function weakSlotAt(type: CellType, object: Address, index: u32): Address {
  return placeAt(type, object, type.weakSlots, type.weakCount, index);
}

/** How many references an object has to types that may lead back to its own, and where each lies. */
export function cyclicSlotsOf(type: CellType, object: Address): u32 {
  return type.isVariable ? type.cyclicCount * changetype<VariableObject>(object).length : type.cyclicCount;
}

export function cyclicSlotAt(type: CellType, object: Address, index: u32): Address {
  return placeAt(type, object, type.slots, type.cyclicCount, index);
}

function placeAt(type: CellType, object: Address, slots: Address, count: u32, index: u32): Address {
  if (!type.isVariable) return object + load<u32>(slots + ((<usize>index) << 2));
  const element = count == 1 ? index : index / count;
  const offset = load<u32>(slots + ((<usize>(index - element * count)) << 2));
  return object + VARIABLE_HEADER + <usize>element * type.bytes + offset;
}
