// Message ring: the bytes of a stream as they arrive, and the messages that are framed in them, in memory of its own.
//
// Bytes are copied in once, in whatever pieces they come, and become messages where they lie: a message is an entry that
// says where its bytes are. So each must lie in one piece. What has arrived and is in no message yet is open; where the
// end of the data leaves it no room to go on, it moves to their beginning, and the rest of the lap stays unused.
//
//   header │ entries │ data
//                      ┌──────────┬─────────┬─────────┬──────┬─ ─ ─ ─ ─ ─ ─ ─ ┐
//   one lap            │ free     │ message │ message │ open │ free
//                      └──────────┴─────────┴─────────┴──────┴─ ─ ─ ─ ─ ─ ─ ─ ┘
//                                 ▲ tail              ▲ frame ▲ head
//                      ┌─────────┬──────┬─ ─ ─ ─ ┬─────────┬─────────┬─ ─ ─ ─ ┐
//   the next one       │ message │ open │ free   │ message │ message │ unused
//                      └─────────┴──────┴─ ─ ─ ─ ┴─────────┴─────────┴─ ─ ─ ─ ┘
//                                ▲frame ▲ head   ▲ tail
//
// Entries form a ring of their own, in the order of arrival. A message is released when its event has ended, in any order;
// its bytes and its entry are free once all older ones are released, too.
//
// Progress. While messages are held their release makes room. When none is, the open bytes move to the beginning, and they
// are fewer than the data hold: a message of the maximum, its prefix and its end fit.

import { Address, PAGE_SIZE, pagesFor } from "../memory/alignment";
import { poison } from "../memory/clear";
import { allocatePages, freePages, Owner } from "../memory/pageHeap";
import { fail, IS_DEBUG } from "../memory/root";
import { Status } from "../memory/status";
import { countStep } from "../memory/work";

/** What the framing calls answer in place of a slot; numbered as in bindings/loop/messageRingLayout.ts. */
namespace Framed {
  /** The open bytes hold no whole message. */
  export const NOTHING: i32 = -1;
  /** All entries are in use. */
  export const NO_ENTRY: i32 = -2;
  /** A message is longer than the maximum; the header says how long it is, as far as that is known. */
  export const TOO_LONG: i32 = -3;
}

export namespace EntryState {
  export const FREE: u32 = 0;
  export const HELD: u32 = 1;
  export const RELEASED: u32 = 2;
}

/** Data for which there is one entry; messages that are shorter on the average run out of entries first. */
const BYTES_PER_ENTRY: u32 = 64;
const ENTRIES_AT_LEAST: u32 = 64;
export const ENTRIES_AT_MOST: u32 = 65_536;

/** Offsets stay below 2^31. */
export const RING_BYTES_LIMIT: u32 = 1 << 30;

/** What must lie beside the longest message: a prefix, or what ends a line. */
export const FRAMING_BYTES: u32 = 8;

export const PREFIX_BYTES: u32 = 4;
const NEWLINE: u8 = 10;
const RETURN: u8 = 13;

@unmanaged
export class RingEntry {
  /** Where the bytes of the message begin, from the beginning of the data on. */
  offset: u32;
  length: u32;
  state: u32;
  /** Which lap the message is of. */
  lap: u32;
}
const ENTRY_BYTES: u32 = offsetof<RingEntry>();

@unmanaged
export class MessageRing {
  /** Where the data begin, and how many bytes they are. */
  data: Address;
  capacity: u32;
  /** Where the next bytes go. All offsets count from the beginning of the data. */
  head: u32;
  /** Where the open bytes begin: they end at `head`, and never go round the end. */
  frame: u32;
  /** The open bytes before this offset hold no newline. */
  scan: u32;
  /** Where the oldest byte in use lies. */
  tail: u32;
  /** 1 while `head` is a lap ahead of `tail`. */
  wrapped: u32;
  /** The lap that `head` is on. */
  lap: u32;
  /** The entries: how many there are (a power of two), the slot of the oldest in use, and how many are in use. */
  entries: u32;
  first: u32;
  count: u32;
  /** The longest message in bytes. */
  maximum: u32;
  /** How long the message was that was too long last. */
  tooLong: u32;
  /** What is still to be left out: bytes; or for lines, if not 0, all before the next newline. */
  skip: u32;
  /** The most bytes that were in use, and the most messages. */
  highWater: u32;
  countHighWater: u32;
  pages: u32;
  /** Bytes that were moved to the beginning. */
  moved: f64;

  get address(): Address {
    return changetype<Address>(this);
  }

  entryAt(slot: u32): RingEntry {
    return changetype<RingEntry>(this.address + offsetof<MessageRing>() + slot * ENTRY_BYTES);
  }

  /** Bytes from the oldest in use to `head`, those included that the end of a lap has left unused. */
  get used(): u32 {
    return this.wrapped ? this.capacity - this.tail + this.head : this.head - this.tail;
  }
}

// ── making and destroying ───────────────────────────────────────────────────────────────────────────────────────────

/**
 * Returns a new ring for `bytes` of data at least, in whole pages, and messages of up to `maximum` bytes; or 0 with a status.
 * `maximum` and {@link FRAMING_BYTES} are no more than `bytes`.
 */
export function createMessageRing(bytes: u32, maximum: u32): Address {
  if (bytes > RING_BYTES_LIMIT || maximum > bytes - FRAMING_BYTES) return fail(Status.INVALID_SIZE, bytes);
  let entries = ENTRIES_AT_LEAST;
  while (entries < ENTRIES_AT_MOST && entries * BYTES_PER_ENTRY < bytes) entries <<= 1;
  const pages = pagesFor(sizeOfHead(entries) + bytes);
  // What the last page has left is for more data, and for their entries.
  const most = min(ENTRIES_AT_MOST, pages * (PAGE_SIZE / BYTES_PER_ENTRY));
  while (entries < most && pagesFor(sizeOfHead(entries << 1) + bytes) == pages) entries <<= 1;
  const before = sizeOfHead(entries);
  const address = allocatePages(pages, Owner.MESSAGE_RINGS);
  if (!address) return 0;
  memory.fill(address, 0, before);
  const ring = changetype<MessageRing>(address);
  ring.data = address + before;
  ring.capacity = pages * PAGE_SIZE - before;
  ring.entries = entries;
  ring.maximum = maximum;
  ring.pages = pages;
  return address;
}

/** The bytes of the header and the entries. */
export function sizeOfHead(entries: u32): u32 {
  return (offsetof<MessageRing>() + entries * ENTRY_BYTES + 7) & ~7;
}

/** Gives all memory of a ring back. */
export function destroyMessageRing(ring: MessageRing): void {
  if (IS_DEBUG) poison(ring.address, ring.data + ring.capacity);
  freePages(ring.address, Owner.MESSAGE_RINGS);
}

// ── bytes in ────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Returns how many bytes may be written at `head`. Where that is less than `wanted`, and there is more room at the beginning
 * of the data, the open bytes move there first: O(open bytes), and at most once a lap.
 */
export function ringRoom(ring: MessageRing, wanted: u32): u32 {
  if (ring.wrapped) return ring.tail - ring.head;
  const room = ring.capacity - ring.head;
  if (room >= wanted) return room;
  const open = ring.head - ring.frame;
  const start = ring.count ? ring.tail : ring.capacity;
  if (start <= open || start - open <= room) return room;
  memory.copy(ring.data, ring.data + ring.frame, open);
  ring.moved += <f64>open;
  ring.scan -= ring.frame;
  ring.frame = 0;
  ring.head = open;
  if (ring.count) {
    ring.wrapped = 1;
    ring.lap++;
  } else {
    ring.tail = 0;
  }
  return start - open;
}

/** Says that `bytes`, no more than there was room for, have been written at `head`: they are open now. */
export function fillRing(ring: MessageRing, bytes: u32): void {
  ring.head += bytes;
  ring.highWater = max(ring.highWater, ring.used);
}

// ── framing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Makes all open bytes one message, which may be empty. Returns its slot, or {@link Framed.NO_ENTRY}. */
export function frameAll(ring: MessageRing): i32 {
  return take(ring, ring.frame, ring.head - ring.frame, ring.head);
}

/**
 * Makes the next line a message, without its end: a newline, or a carriage return and a newline. Returns its slot, or one of
 * {@link Framed}. O(bytes that have not been looked at before)
 */
export function frameLine(ring: MessageRing): i32 {
  if (ring.skip && !skipToNewline(ring)) return Framed.NOTHING;
  const end = findNewline(ring);
  const isWhole = end < ring.head;
  let length = end - ring.frame;
  // Where the line has not ended yet, its last byte may be the first half of the end.
  if (length && load<u8>(ring.data + end - 1) == RETURN) length--;
  if (length > ring.maximum) {
    ring.tooLong = length;
    return Framed.TOO_LONG;
  }
  return isWhole ? take(ring, ring.frame, length, end + 1) : Framed.NOTHING;
}

/** Leaves out the line that was too long, also what of it is still to come. */
export function skipLine(ring: MessageRing): void {
  if (ring.scan < ring.head) {
    moveFrame(ring, ring.scan + 1);
    return;
  }
  ring.skip = 1;
  moveFrame(ring, ring.head);
}

/**
 * Makes the next message of those that are each preceded by their length, four bytes, the most significant first unless
 * `isLittleEndian`. Returns its slot, or one of {@link Framed}. O(1)
 */
export function framePrefixed(ring: MessageRing, isLittleEndian: u32): i32 {
  if (ring.skip) {
    const left = min(ring.skip, ring.head - ring.frame);
    ring.skip -= left;
    moveFrame(ring, ring.frame + left);
    if (ring.skip) return Framed.NOTHING;
  }
  const open = ring.head - ring.frame;
  if (open < PREFIX_BYTES) return Framed.NOTHING;
  const prefix = load<u32>(ring.data + ring.frame);
  const length = isLittleEndian ? prefix : bswap(prefix);
  if (length > ring.maximum) {
    ring.tooLong = length;
    return Framed.TOO_LONG;
  }
  if (open - PREFIX_BYTES < length) return Framed.NOTHING;
  const start = ring.frame + PREFIX_BYTES;
  return take(ring, start, length, start + length);
}

/** Leaves out the message that was too long, also what of it is still to come. */
export function skipPrefixed(ring: MessageRing): void {
  ring.skip = ring.tooLong;
  moveFrame(ring, ring.frame + PREFIX_BYTES);
}

function skipToNewline(ring: MessageRing): bool {
  const end = findNewline(ring);
  if (end == ring.head) {
    moveFrame(ring, end);
    return false;
  }
  ring.skip = 0;
  moveFrame(ring, end + 1);
  return true;
}

/** Returns where the first newline of the open bytes lies, or `head`, and remembers it. */
function findNewline(ring: MessageRing): u32 {
  const data = ring.data;
  const head = ring.head;
  const newlines = i8x16.splat(NEWLINE);
  let position = ring.scan;
  for (; position + 16 <= head; position += 16) {
    countStep();
    const found = i8x16.bitmask(i8x16.eq(v128.load(data + position), newlines));
    if (found) {
      ring.scan = position + <u32>ctz(found);
      return ring.scan;
    }
  }
  for (; position < head && load<u8>(data + position) != NEWLINE; position++) countStep();
  ring.scan = position;
  return position;
}

/** Makes the `length` bytes at `offset` a message; what is open begins at `next`. */
function take(ring: MessageRing, offset: u32, length: u32, next: u32): i32 {
  if (ring.count == ring.entries) return Framed.NO_ENTRY;
  const slot = (ring.first + ring.count) & (ring.entries - 1);
  const entry = ring.entryAt(slot);
  entry.offset = offset;
  entry.length = length;
  entry.state = EntryState.HELD;
  entry.lap = ring.lap;
  if (!ring.count) ring.tail = offset;
  ring.count++;
  ring.countHighWater = max(ring.countHighWater, ring.count);
  ring.frame = next;
  ring.scan = next;
  return <i32>slot;
}

/** What is open begins at `next`; the bytes before are in no message. */
function moveFrame(ring: MessageRing, next: u32): void {
  ring.frame = next;
  ring.scan = next;
  if (!ring.count) beginLap(ring);
}

/** Nothing but open bytes is in use: without any, all begins anew. */
function beginLap(ring: MessageRing): void {
  ring.wrapped = 0;
  ring.tail = ring.frame;
  if (ring.frame != ring.head) return;
  ring.head = 0;
  ring.frame = 0;
  ring.scan = 0;
  ring.tail = 0;
  ring.first = 0;
}

// ── messages out ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Releases the message in `slot`, which is held. Returns 1, or 0 if it is not. O(1), amortised over all messages */
export function releaseMessage(ring: MessageRing, slot: u32): u32 {
  if (slot >= ring.entries) return 0;
  const entry = ring.entryAt(slot);
  if (entry.state != EntryState.HELD) return 0;
  entry.state = EntryState.RELEASED;
  if (IS_DEBUG) poison(ring.data + entry.offset, ring.data + entry.offset + entry.length);
  if (slot == ring.first) freeReleased(ring);
  return 1;
}

function freeReleased(ring: MessageRing): void {
  while (ring.count && ring.entryAt(ring.first).state == EntryState.RELEASED) {
    countStep();
    ring.entryAt(ring.first).state = EntryState.FREE;
    ring.first = (ring.first + 1) & (ring.entries - 1);
    ring.count--;
  }
  if (!ring.count) {
    beginLap(ring);
    return;
  }
  // Offsets do not tell the lap: in a full ring an empty message may lie where the oldest began a lap before.
  const oldest = ring.entryAt(ring.first);
  ring.wrapped = ring.lap - oldest.lap;
  ring.tail = oldest.offset;
}
