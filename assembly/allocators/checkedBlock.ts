// Checked blocks: blocks of a byte heap with a guard, for bytes that know when they have been freed.
//
//   block   ┌──────┬──────┬───────┬──────┬──────────────── ─ ─
//           │ next │ link │ guard │ seal │ content
//           └──────┴──────┴───────┴──────┴──────────────── ─ ─
//           0                            16
//
// The heap has a list of them, so that their guards end with it. No block begins where the content does: an address of
// checked bytes cannot be freed as if it were a block's, which would leave the bytes without knowing.

import { Address, SIZE_LIMIT } from "../memory/alignment";
import { allocateGuard, freeGuard } from "../memory/guard";
import { isCommitted, Owner, ownerOf } from "../memory/pageHeap";
import { fail, root } from "../memory/root";
import { Status } from "../memory/status";
import { ByteHeap } from "./byteHeap";

@unmanaged
class CheckedBlock {
  next: Address;
  /** Where the address of this block is kept: in the `next` before it, or in the heap. */
  link: Address;
  guard: Address;
  /** Tells it from other blocks, whatever is in those: see {@link sealOf}. */
  seal: u32;
}
const HEADER: u32 = offsetof<CheckedBlock>();
if (HEADER & 15 || offsetof<CheckedBlock>("next") != 0)
  ERROR("the content must be aligned as the block is, and the link to the next begin it");

/**
 * What a checked block at `address` is sealed with. The number that its heap was made with is in it, so that what another heap
 * has left in memory, perhaps one at the same place in a runtime before this one, is not taken for one of this heap's.
 */
function sealOf(heap: ByteHeap, address: Address): u32 {
  return <u32>address ^ heap.salt;
}

/** Returns the content of a block of `size` bytes, cleared, or 0 with a status; then nothing has changed. */
export function allocateChecked(heap: ByteHeap, size: u32): Address {
  if (size == 0 || size > SIZE_LIMIT - HEADER) return fail(Status.INVALID_SIZE, size);
  const address = heap.allocate(size + HEADER);
  if (!address) return 0;
  const guard = allocateGuard();
  if (!guard) {
    heap.free(address);
    return 0;
  }
  const block = changetype<CheckedBlock>(address);
  const first = heap.checked;
  block.next = first;
  block.link = changetype<Address>(heap) + offsetof<ByteHeap>("checked");
  block.guard = guard;
  block.seal = sealOf(heap, address);
  if (first) changetype<CheckedBlock>(first).link = address;
  heap.checked = address;
  memory.fill(address + HEADER, 0, size);
  return address + HEADER;
}

/** True if the block at `address` is one of checked bytes of `heap`, which is freed as such or not at all. */
export function isChecked(heap: ByteHeap, address: Address): bool {
  if (address & 15 || !isCommitted(address)) return false;
  const block = changetype<CheckedBlock>(address);
  if (block.seal != sealOf(heap, address) || block.link & 3 || !isCommitted(block.link)) return false;
  return load<Address>(block.link) == address;
}

/** What the program knows the block at `address` by: its content's address if it is one of checked bytes, or its own. */
export function givenAddress(heap: ByteHeap, address: Address): Address {
  return isChecked(heap, address) ? address + HEADER : address;
}

/** The guard of the block whose content is at `content`, which must be one. */
export function checkedGuard(content: Address): Address {
  return changetype<CheckedBlock>(content - HEADER).guard;
}

/** Takes back the block with this content and guard. Returns 1, or 0 with a status; then nothing has changed. */
export function freeChecked(heap: ByteHeap, content: Address, guard: Address): u32 {
  const address = content - HEADER;
  if (!heap.usableSize(address)) return refuse(heap, root().status, content);
  const block = changetype<CheckedBlock>(address);
  if (block.guard != guard) return refuse(heap, Status.FOREIGN_ADDRESS, content);
  const next = block.next;
  // What lies before the content may have been written over: nothing is followed that does not lead back here.
  const isListed =
    (block.link & 3) == 0 &&
    isCommitted(block.link) &&
    load<Address>(block.link) == address &&
    (!next || isLinked(next, address));
  if (!isListed) return refuse(heap, Status.CORRUPT_BLOCK, content);
  const link = block.link;
  block.seal = 0;
  if (!heap.free(address)) {
    block.seal = sealOf(heap, address);
    return 0;
  }
  store<Address>(link, next);
  if (next) changetype<CheckedBlock>(next).link = link;
  freeGuard(guard);
  return 1;
}

/** True if `address` can be a block, and says that its own address is kept at `link`. */
function isLinked(address: Address, link: Address): bool {
  return (address & 15) == 0 && isCommitted(address) && changetype<CheckedBlock>(address).link == link;
}

/** Counts a call that names no such block of the heap, and notes why. Returns 0. */
export function refuse(heap: ByteHeap, status: u32, address: Address): u32 {
  heap.refusals++;
  return <u32>fail(status, <u32>address);
}

/** Ends all checked bytes of a heap that is about to be destroyed. O(their number) */
export function endChecked(heap: ByteHeap): void {
  let link = changetype<Address>(heap) + offsetof<ByteHeap>("checked");
  for (let address = heap.checked; address && isLinked(address, link); ) {
    const block = changetype<CheckedBlock>(address);
    if (ownerOf(block.guard) == Owner.GUARDS) freeGuard(block.guard);
    link = address;
    address = block.next;
  }
}
