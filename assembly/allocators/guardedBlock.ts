// Guarded blocks: what the debug module makes of a byte heap's blocks.
//
//   raw block   ┌───────┬ ─ ─ ┬───────┬──────┬───────┬──────┬─────────┬───────────────┬─────────┐
//               │ front │     │ front │ size │ state │ next │ canary  │ content       │ canary  │
//               └───────┴ ─ ─ ┴───────┴──────┴───────┴──────┴─────────┴───────────────┴─────────┘
//               0             front − 32                    − 16      front           + size
//
// `front` is 32, or the alignment where that is larger. Canaries show writes before and behind the content. A freed block
// is filled with poison and held back in a queue, so that its memory comes to nobody else soon, and a write to it shows
// when it leaves the queue.

import { Address, ALIGNMENT_LIMIT, isPowerOfTwo, pagesFor, SIZE_LIMIT } from "../memory/alignment";
import { isPoisoned, POISON, poison } from "../memory/clear";
import { Owner, ownerOf } from "../memory/pageHeap";
import { fail, root } from "../memory/root";
import { Status } from "../memory/status";
import { ByteHeap } from "./byteHeap";

const HEADER: u32 = 32;
const CANARY: u64 = 0xfeed_face_cafe_beef;
const CANARY_SIZE: u32 = 16;
const LIVE: u32 = 0x4c49_5645;
const FREED: u32 = 0x4652_4545;
/** What the state becomes when the raw block is freed, until something else lies there. */
const POISONED: u32 = <u32>POISON * 0x0101_0101;

/** The most blocks that are held back. */
const QUARANTINE_LIMIT: u32 = 64;

/** The most bytes that are held back, so that a program with large blocks does not run out of memory for it: 4 MiB. */
const QUARANTINE_BYTES: u32 = 4 << 20;

@unmanaged
class Header {
  front: u32;
  size: u32;
  state: u32;
  /** The block that was freed after this one. */
  next: Address;
}
if (offsetof<Header>() + CANARY_SIZE != HEADER) ERROR("the first canary must end where the content begins");

/** The blocks that are held back, the first to leave first. Lies in the heap's memory. */
@unmanaged
export class Quarantine {
  first: Address;
  last: Address;
  count: u32;
  bytes: u32;
}

function headerOf(content: Address): Header {
  return changetype<Header>(content - HEADER);
}

function rawOf(content: Address): Address {
  return content - headerOf(content).front;
}

export function allocateGuarded(heap: ByteHeap, size: u32, alignment: u32): Address {
  if (size == 0 || size > SIZE_LIMIT) return fail(Status.INVALID_SIZE, size);
  const front = max(alignment, HEADER);
  const bytes = size + front + CANARY_SIZE;
  if (bytes > SIZE_LIMIT) return fail(Status.MAXIMUM_REACHED, pagesFor(bytes));
  let raw = heap.takeAligned(bytes, alignment);
  if (!raw && heap.quarantine.count) {
    dropQuarantine(heap);
    raw = heap.takeAligned(bytes, alignment);
  }
  if (!raw) return 0;
  const content = raw + front;
  store<u32>(raw, front);
  const header = headerOf(content);
  header.front = front;
  header.size = size;
  header.state = LIVE;
  header.next = 0;
  writeCanary(content - CANARY_SIZE);
  writeCanary(content + size);
  return content;
}

export function freeGuarded(heap: ByteHeap, content: Address): u32 {
  if (!checkGuarded(heap, content)) {
    heap.refusals++;
    return 0;
  }
  const header = headerOf(content);
  header.state = FREED;
  poison(content, content + header.size);
  const queue = heap.quarantine;
  if (queue.last) headerOf(queue.last).next = content;
  else queue.first = content;
  queue.last = content;
  queue.count++;
  // No sum of blocks in one memory passes 32 bits.
  queue.bytes += header.size;
  while (queue.count > QUARANTINE_LIMIT || queue.bytes > QUARANTINE_BYTES) leaveQuarantine(heap);
  return 1;
}

/** Always moves the block, so that whoever keeps the former address is found out. */
export function reallocateGuarded(heap: ByteHeap, content: Address, size: u32): Address {
  if (!checkGuarded(heap, content)) {
    heap.refusals++;
    return 0;
  }
  const moved = allocateGuarded(heap, size, 1);
  if (!moved) return 0;
  memory.copy(moved, content, min(size, headerOf(content).size));
  freeGuarded(heap, content);
  return moved;
}

export function guardedSize(heap: ByteHeap, content: Address): u32 {
  return checkGuarded(heap, content) ? headerOf(content).size : 0;
}

/** Gives all blocks that are held back to the heap. */
export function dropQuarantine(heap: ByteHeap): void {
  while (heap.quarantine.count) leaveQuarantine(heap);
}

function leaveQuarantine(heap: ByteHeap): void {
  const content = heap.quarantine.first;
  const header = headerOf(content);
  heap.quarantine.bytes -= min(heap.quarantine.bytes, header.size);
  const isWell = advance(heap.quarantine, header.next);
  const raw = rawOf(content);
  // Where the raw block begins may be known no more: then it stays as it is.
  const isKnown = isFront(header.front) && heap.check(raw) != 0 && load<u32>(raw) == header.front;
  if (!isWell || !isKnown || header.state != FREED || !isGuardedSound(raw, heap.sizeAt(raw))) heap.damaged = content;
  if (!isKnown) return;
  poison(content - HEADER, content);
  heap.give(raw);
}

/** Makes `next` the first of the queue, and the queue empty where that has been written over. False then. */
function advance(queue: Quarantine, next: Address): bool {
  queue.count--;
  queue.first = next;
  if (queue.count && isHeld(next)) return true;
  const isWell = queue.count == 0 && next == 0;
  queue.first = 0;
  queue.last = 0;
  queue.count = 0;
  queue.bytes = 0;
  return isWell;
}

/** True if a block that is held back can begin at `content`. */
function isHeld(content: Address): bool {
  return isPlaced(content) && headerOf(content).state == FREED;
}

/** Checks that the content of a block in use begins at `content`, and that its canaries are whole. */
function checkGuarded(heap: ByteHeap, content: Address): u32 {
  if (!isHeapPage(content) || !isHeapPage(content - HEADER)) return <u32>fail(Status.FOREIGN_ADDRESS, <u32>content);
  if (!isPlaced(content)) return <u32>fail(Status.INTERIOR_ADDRESS, <u32>content);
  const header = headerOf(content);
  const state = header.state;
  if (state == POISONED || state == FREED) return <u32>fail(Status.FREED_ADDRESS, <u32>content);
  // Before the raw block is looked at, nothing is known of the header: it may be anybody's bytes.
  if (state != LIVE) return <u32>fail(Status.INTERIOR_ADDRESS, <u32>content);
  // Why the raw block is none in use holds for the content too, but the number that matters is the content's.
  const raw = rawOf(content);
  if (!heap.check(raw)) return <u32>fail(root().status, <u32>content);
  if (isGuardedSound(raw, heap.sizeAt(raw))) return 1;
  heap.damaged = content;
  return <u32>fail(Status.CORRUPT_BLOCK, <u32>content);
}

/**
 * True if the raw block of `bytes` that is in use at `raw` is sound. What its header says is followed only where it can be:
 * that may have been written over too.
 */
export function isGuardedSound(raw: Address, bytes: u32): bool {
  const front = load<u32>(raw);
  if (!isFront(front) || front + CANARY_SIZE >= bytes) return false;
  const content = raw + front;
  const header = headerOf(content);
  if (header.front != front || header.size > bytes - front - CANARY_SIZE || !isWhole(content)) return false;
  return header.state == LIVE || (header.state == FREED && isPoisoned(content, content + header.size));
}

/** Where the content of the raw block at `raw` begins; where that has been written over, its likeliest place. */
export function contentOf(raw: Address): Address {
  const front = load<u32>(raw);
  return raw + (isFront(front) ? front : HEADER);
}

/** True if content can begin `front` bytes behind its raw block. */
function isFront(front: u32): bool {
  return front >= HEADER && front <= ALIGNMENT_LIMIT && isPowerOfTwo(front);
}

/** True if content, with its header, can lie at `content`: in the pages of a heap, at a multiple of 16. */
function isPlaced(content: Address): bool {
  return (content & (CANARY_SIZE - 1)) == 0 && isHeapPage(content) && isHeapPage(content - HEADER);
}

function isHeapPage(address: Address): bool {
  const owner = ownerOf(address);
  return owner == Owner.HEAP_SPANS || owner == Owner.HEAP_AREAS;
}

function writeCanary(address: Address): void {
  store<u64>(address, CANARY);
  store<u64>(address, CANARY, 8);
}

function isWhole(content: Address): bool {
  return isCanary(content - CANARY_SIZE) && isCanary(content + headerOf(content).size);
}

function isCanary(address: Address): bool {
  return load<u64>(address) == CANARY && load<u64>(address, 8) == CANARY;
}
