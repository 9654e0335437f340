// What TypeScript calls of a byte heap: the methods as functions, and series of calls in one.

import { Address } from "../memory/alignment";
import { GRANULE } from "../memory/sizeClass";
import { Status } from "../memory/status";
import { ByteHeap } from "./byteHeap";
import { isChecked, refuse } from "./checkedBlock";

export function byteHeapAllocate(heap: ByteHeap, size: u32, alignment: u32): Address {
  return alignment <= GRANULE ? heap.allocate(size) : heap.allocateAligned(size, alignment);
}

export function byteHeapFree(heap: ByteHeap, address: Address): u32 {
  return isChecked(heap, address) ? refuse(heap, Status.INTERIOR_ADDRESS, address) : heap.free(address);
}

export function byteHeapReallocate(heap: ByteHeap, address: Address, size: u32): Address {
  return isChecked(heap, address)
    ? <Address>refuse(heap, Status.INTERIOR_ADDRESS, address)
    : heap.reallocate(address, size);
}

export function byteHeapUsableSize(heap: ByteHeap, address: Address): u32 {
  return heap.usableSize(address);
}

/** The pages that the heap has taken from the page heap. */
export function byteHeapPages(heap: ByteHeap): u32 {
  return heap.pages;
}

/**
 * Allocates `count` blocks of `size` bytes and writes their addresses to the words at `list`. Returns 1, or 0 with a status
 * when memory is out: then none is allocated, and the list holds zeros.
 */
export function allocateMany(heap: ByteHeap, count: u32, size: u32, list: Address): u32 {
  for (let index: u32 = 0; index < count; index++) {
    const address = heap.allocate(size);
    store<Address>(list + ((<usize>index) << 2), address);
    if (address) continue;
    while (index--) {
      heap.free(load<Address>(list + ((<usize>index) << 2)));
      store<Address>(list + ((<usize>index) << 2), 0);
    }
    return 0;
  }
  return 1;
}

/**
 * Frees the blocks whose addresses are in the `count` words at `list`, a block of the heap, and clears the words. Returns how
 * many it has freed: it ends before the first that is no block in use, with a status. The list itself counts as none: the
 * caller has just made it, perhaps in the memory of a block that had been freed already and is in the list once more.
 */
export function freeMany(heap: ByteHeap, count: u32, list: Address): u32 {
  for (let index: u32 = 0; index < count; index++) {
    const word = list + ((<usize>index) << 2);
    const address = load<Address>(word);
    // Where the list itself lies nobody's block was: one that had been freed before the list was made.
    if (!(address == list ? refuse(heap, Status.FREED_ADDRESS, list) : byteHeapFree(heap, address))) return index;
    store<Address>(word, 0);
  }
  return count;
}
