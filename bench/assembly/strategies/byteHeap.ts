// The byte heap as a strategy.

import { ByteHeap, createByteHeap } from "../../../assembly/allocators/byteHeap";
import { Address, PAGE_SHIFT } from "../../../assembly/memory/alignment";

@unmanaged
export class ByteHeapStrategy {
  heap: ByteHeap;

  @inline
  allocate(size: u32): Address {
    return this.heap.allocate(size);
  }

  @inline
  free(address: Address, _size: u32): u32 {
    return this.heap.free(address);
  }

  @inline
  reallocate(address: Address, _oldSize: u32, newSize: u32): Address {
    return this.heap.reallocate(address, newSize);
  }

  @inline
  taken(): u32 {
    return this.heap.pages << PAGE_SHIFT;
  }

  @inline
  reset(): void {}
}

/** Makes the strategy at `place`, which has room for it. Returns it, or 0 with a status. */
export function createByteHeapStrategy(place: Address): Address {
  const heap = createByteHeap(0); // none of its blocks are checked
  if (!heap) return 0;
  changetype<ByteHeapStrategy>(place).heap = changetype<ByteHeap>(heap);
  return place;
}
