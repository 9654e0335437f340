// Deep copy of a struct graph into an arena, sharing and cycles kept.
//
// Breadth first, like Cheney's copying collector (1970), but the source stays untouched: where a record went is kept in
// a table of our own and not in the record. The list of copied records is also the queue of records to scan, so there is
// no recursion, and a failure half-way only has to put the target's cursor back.
//
//   entries   ┌ source, target, type ┬ source, target, type ┬ ─ ─      in the order of discovery
//   index     ┌ entry + 1 ┬ 0 ┬ entry + 1 ┬ ─ ─                      open addressing by source and type

import { Address, PAGE_SIZE, pagesFor } from "../memory/alignment";
import { generationOf } from "../memory/guard";
import { allocatePages, freePages, Owner } from "../memory/pageHeap";
import { fail } from "../memory/root";
import { Status } from "../memory/status";
import { Arena, arenaContains, undo } from "./arena";
import { Ref, TypeDescriptor } from "./typeDescriptor";

@unmanaged
class Entry {
  source: Address;
  target: Address;
  type: TypeDescriptor;
}
const ENTRY_SIZE: u32 = offsetof<Entry>();

/** The work space of one copy, at the start of its first run of pages. */
@unmanaged
class Copy {
  entries: Address;
  capacity: u32;
  count: u32;
  index: Address;
  /** Slots of the index less one; the slots are a power of two and at least twice the entries. */
  mask: u32;
}

const FIRST_PAGES: u32 = 1;
const HEADER: u32 = 64;
if (offsetof<Copy>() > HEADER) ERROR("the header must hold the copy's state");
const INITIAL_SLOTS: u32 = 2048;
const INITIAL_CAPACITY: u32 = INITIAL_SLOTS / 2;
if (HEADER + INITIAL_SLOTS * 4 + INITIAL_CAPACITY * ENTRY_SIZE > FIRST_PAGES * PAGE_SIZE) {
  ERROR("the first tables must fit the first page");
}

/**
 * Copies the record at `source` and every record that it leads to into `target`. Refs that lead into `target` already
 * are kept as they are. Returns the address of the copy, or 0 with a status: out of memory, over the target's limit, a
 * stale ref in the graph, or a record that has a destroy hook; then source and target are as before. A ref to a part of a
 * record (a nested struct) leads to a copy of that part alone. O(bytes and refs copied, and for each ref the blocks of
 * `target`).
 */
export function copyGraph(target: Arena, source: Address, type: TypeDescriptor): Address {
  // A type without refs needs no table.
  if (type.slots == 0) return copyRecord(target, source, type);
  const work = allocatePages(FIRST_PAGES, Owner.SCRATCH);
  if (!work) return 0;
  const copy = changetype<Copy>(work);
  copy.index = work + HEADER;
  copy.mask = INITIAL_SLOTS - 1;
  copy.entries = copy.index + INITIAL_SLOTS * 4;
  copy.capacity = INITIAL_CAPACITY;
  copy.count = 0;
  memory.fill(copy.index, 0, INITIAL_SLOTS * 4);

  const block = target.block;
  const cursor = target.cursor;
  const oversize = target.oversize;
  const usedBefore = target.usedBefore;
  const result = forward(copy, target, source, type);
  let whole = result != 0;
  for (let scan: u32 = 0; whole && scan < copy.count; scan++) whole = scanEntry(copy, target, scan);
  if (!whole) undo(target, block, cursor, oversize, usedBefore);
  if (copy.mask != INITIAL_SLOTS - 1) {
    freePages(copy.index, Owner.SCRATCH);
    freePages(copy.entries, Owner.SCRATCH);
  }
  freePages(work, Owner.SCRATCH);
  return whole ? result : 0;
}

function copyRecord(target: Arena, source: Address, type: TypeDescriptor): Address {
  if (type.hook) return fail(Status.DESTROY_HOOK, <u32>source);
  const address = target.allocate(type.size);
  if (address) memory.copy(address, source, type.size);
  return address;
}

/** Redirects the refs of one copied record to the copies of what they refer to. */
function scanEntry(copy: Copy, target: Arena, scan: u32): bool {
  const entry = entryAt(copy, scan);
  const type = entry.type;
  const record = entry.target;
  for (let slot: u32 = 0; slot < type.slots; slot++) {
    const ref = changetype<Ref>(record + type.slotOffset(slot));
    if (!ref.address) continue;
    if (!ref.isLive) {
      fail(Status.STALE_REFERENCE, <u32>ref.address);
      return false;
    }
    if (arenaContains(target, ref.address, 1)) continue;
    const address = forward(copy, target, ref.address, type.slotType(slot));
    if (!address) return false;
    ref.address = address;
    ref.guard = target.guard;
    ref.generation = generationOf(target.guard);
  }
  return true;
}

/** Where the record at `source` went; copies it if it has not gone anywhere yet. 0 with a status when it cannot. */
function forward(copy: Copy, target: Arena, source: Address, type: TypeDescriptor): Address {
  let slot = hash(source, type) & copy.mask;
  while (true) {
    const number = load<u32>(copy.index + (slot << 2));
    if (!number) break;
    const entry = entryAt(copy, number - 1);
    if (entry.source == source && entry.type == type) return entry.target;
    slot = (slot + 1) & copy.mask;
  }
  if (copy.count == copy.capacity) {
    if (!grow(copy)) return 0;
    slot = freeSlot(copy, source, type);
  }
  const address = copyRecord(target, source, type);
  if (!address) return 0;
  const entry = entryAt(copy, copy.count);
  entry.source = source;
  entry.target = address;
  entry.type = type;
  store<u32>(copy.index + (slot << 2), ++copy.count);
  return address;
}

/** Doubles both tables. Returns false, with a status and nothing changed, when memory is out. */
function grow(copy: Copy): bool {
  const capacity = copy.capacity * 2;
  const slots = capacity * 2;
  const entries = allocatePages(pagesFor(capacity * ENTRY_SIZE), Owner.SCRATCH);
  if (!entries) return false;
  const index = allocatePages(pagesFor(slots * 4), Owner.SCRATCH);
  if (!index) {
    freePages(entries, Owner.SCRATCH);
    return false;
  }
  memory.copy(entries, copy.entries, copy.count * ENTRY_SIZE);
  memory.fill(index, 0, slots * 4);
  if (copy.mask != INITIAL_SLOTS - 1) {
    freePages(copy.index, Owner.SCRATCH);
    freePages(copy.entries, Owner.SCRATCH);
  }
  copy.entries = entries;
  copy.capacity = capacity;
  copy.index = index;
  copy.mask = slots - 1;
  for (let number: u32 = 0; number < copy.count; number++) {
    const entry = entryAt(copy, number);
    store<u32>(index + (freeSlot(copy, entry.source, entry.type) << 2), number + 1);
  }
  return true;
}

function freeSlot(copy: Copy, source: Address, type: TypeDescriptor): u32 {
  let slot = hash(source, type) & copy.mask;
  while (load<u32>(copy.index + (slot << 2))) slot = (slot + 1) & copy.mask;
  return slot;
}

function entryAt(copy: Copy, number: u32): Entry {
  return changetype<Entry>(copy.entries + <usize>number * ENTRY_SIZE);
}

/** Multiplicative hashing (Knuth, TAOCP 3, 6.4); addresses are multiples of 4, so the high bits are folded down. */
function hash(source: Address, type: TypeDescriptor): u32 {
  const mixed = (<u32>source ^ ((<u32>changetype<usize>(type)) << 3)) * 0x9e37_79b1;
  return mixed ^ (mixed >> 15);
}
