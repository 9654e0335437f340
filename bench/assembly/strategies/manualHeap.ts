// Manual memory as a heap of typed objects: a pool for each type, and a byte heap for arrays. There are no roots and no
// steps; the program frees what it has made.
//
//   type, 8 B                 array
//   ┌──────┬───────┐          ┌──────┬────────┬──────────┬ ─ ─
//   │ pool │ bytes │          │ type │ length │ elements │
//   └──────┴───────┘          └──────┴────────┴──────────┴ ─ ─

import { ByteHeap, createByteHeap } from "../../../assembly/allocators/byteHeap";
import { createPool, Pool } from "../../../assembly/allocators/pool";
import { Slab, slabOf } from "../../../assembly/allocators/slab";
import { Address, alignUp } from "../../../assembly/memory/alignment";
import { clear } from "../../../assembly/memory/clear";
import { Owner, ownerByte } from "../../../assembly/memory/pageHeap";
import { ELEMENTS, VARIABLE } from "../programs/program";

@unmanaged
class ManualType {
  pool: Address;
  bytes: u32;
}

@unmanaged
export class ManualHeap {
  arrays: ByteHeap;

  @inline
  isManual(): bool {
    return true;
  }

  addType(
    bytes: u32,
    _slots: Address,
    _slotCount: u32,
    _cyclicCount: u32,
    _weakSlots: Address,
    _weakCount: u32,
    flags: u32,
  ): Address {
    const type = this.arrays.allocate(offsetof<ManualType>());
    if (!type) return 0;
    changetype<ManualType>(type).bytes = bytes;
    if (flags & VARIABLE) return type;
    // `clear` goes by eights.
    changetype<ManualType>(type).bytes = <u32>alignUp(bytes, 8);
    const pool = createPool(bytes, 0, 0);
    changetype<ManualType>(type).pool = pool;
    return pool ? type : 0;
  }

  @inline
  allocate(type: Address): Address {
    const object = changetype<Pool>(changetype<ManualType>(type).pool).allocate();
    if (object) clear(object, object + changetype<ManualType>(type).bytes);
    return object;
  }

  allocateArray(type: Address, length: u32): Address {
    const bytes = ELEMENTS + length * changetype<ManualType>(type).bytes;
    const array = this.arrays.allocate(bytes);
    if (!array) return 0;
    memory.fill(array, 0, bytes);
    store<Address>(array, type);
    store<u32>(array, length, 4);
    return array;
  }

  @inline
  store(object: Address, offset: u32, value: Address): void {
    store<Address>(object + offset, value);
  }

  @inline
  free(object: Address): void {
    // Pools have slabs of one page for objects as small as the programs'.
    if (ownerByte(object) == Owner.POOL) changetype<Pool>(changetype<Slab>(slabOf(object)).pool).free(object);
    else this.arrays.free(object);
  }

  /** Anything but 0 will do for a scope and for a slot. */
  @inline
  openScope(): Address {
    return 1;
  }

  @inline
  push(_scope: Address, _object: Address): Address {
    return 1;
  }

  @inline
  move(_slot: Address, _object: Address): void {}

  @inline
  endScope(_scope: Address): void {}

  @inline
  safepoint(): u32 {
    return 0;
  }
}

/** Makes the heap at `place`, which has room for it. Returns it, or 0 with a status. */
export function createManualHeap(place: Address): Address {
  const arrays = createByteHeap(0);
  if (!arrays) return 0;
  changetype<ManualHeap>(place).arrays = changetype<ByteHeap>(arrays);
  return place;
}
