// malloc, free and their kin with C's contract, for guest modules that import them, over the byte heap that the runtime
// has named as theirs.
//
// What C leaves undefined is defined here: an address that is no block in use is refused, and so are free and realloc of
// checked bytes; nothing changes, and the heap counts it. A size of 0 gives the smallest block.

import { Address } from "../memory/alignment";
import { fail, root } from "../memory/root";
import { isMemoryOut, Status } from "../memory/status";
import { ByteHeap } from "./byteHeap";
import { byteHeapFree, byteHeapReallocate } from "./byteHeapCalls";

function heap(): ByteHeap {
  return changetype<ByteHeap>(root().guestHeap);
}

/** Makes `address`, a byte heap or 0, the one that guests allocate from. */
export function setGuestHeap(address: Address): void {
  root().guestHeap = address;
}

/** At least `size` bytes, 16-byte aligned and not cleared, or 0 when memory is out. */
export function malloc(size: u32): Address {
  if (!root().guestHeap) return fail(Status.FOREIGN_ADDRESS, 0);
  return heap().allocate(max(size, 1)) || refused();
}

/** Notes that memory was out: of this TypeScript makes no error, by which it would tell the heaps. Returns 0. */
function refused(): Address {
  const state = root();
  if (isMemoryOut(state.status)) {
    state.guestRefusals++;
    state.guestRefusedPages = state.statusRequested;
  }
  return 0;
}

/** `count` times `size` bytes, cleared, or 0 when memory is out or the product is no u32. */
export function calloc(count: u32, size: u32): Address {
  const bytes = <u64>count * size;
  if (bytes > u32.MAX_VALUE) return fail(Status.INVALID_SIZE, u32.MAX_VALUE);
  const address = malloc(<u32>bytes);
  if (address) memory.fill(address, 0, <u32>bytes);
  return address;
}

/** As C's: of 0 it allocates, to 0 bytes it frees and returns 0, and where it fails the block is as it was. */
export function realloc(address: Address, size: u32): Address {
  if (!address) return malloc(size);
  if (size && !root().guestHeap) return fail(Status.FOREIGN_ADDRESS, 0);
  if (size) return byteHeapReallocate(heap(), address, size) || refused();
  free(address);
  return 0;
}

/** Frees the block at `address`; 0 is ignored. */
export function free(address: Address): void {
  if (address && root().guestHeap) byteHeapFree(heap(), address);
}

/** As C11's: `alignment` is a power of two up to 4,096. */
export function aligned_alloc(alignment: u32, size: u32): Address {
  if (!root().guestHeap) return fail(Status.FOREIGN_ADDRESS, 0);
  return heap().allocateAligned(max(size, 1), alignment) || refused();
}

/**
 * As POSIX's: 0, or EINVAL (22) for an alignment that is no power of two from the size of a pointer to 4,096, or ENOMEM (12);
 * then nothing is stored at `result`.
 */
export function posix_memalign(result: Address, alignment: u32, size: u32): i32 {
  const address =
    alignment < sizeof<Address>() ? fail(Status.INVALID_ALIGNMENT, alignment) : aligned_alloc(alignment, size);
  if (!address) return root().status == Status.INVALID_ALIGNMENT ? 22 : 12;
  store<Address>(result, address);
  return 0;
}

/** The bytes that can be used of the block at `address`; 0 if there is none in use. */
export function malloc_usable_size(address: Address): u32 {
  return address && root().guestHeap ? heap().usableSize(address) : 0;
}
