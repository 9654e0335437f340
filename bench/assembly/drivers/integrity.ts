// Integrity: a replay in which every byte of every block is written, and looked at again before it is given back.
//
// A byte's content follows from the id of its block and from its position, so a block that overlaps another, or that lost
// something when it moved, shows at its next reallocation, at its free, or at the end.

import { ALLOCATE, BLOCK_SHIFT, ID_SHIFT, KIND_MASK, OPERATION_SHIFT, REALLOCATE, Replay } from "./replay";

export namespace Fault {
  export const NONE: u32 = 0;
  export const OUT_OF_MEMORY: u32 = 1;
  /** Of this and of a refusal, `faultFound` is the address. */
  export const MISALIGNED: u32 = 2;
  export const CHANGED: u32 = 3;
  /** A free of what is live was refused. */
  export const REFUSED: u32 = 4;
}

/** Every address is to be a multiple of 8. */
const ALIGNMENT_MASK: usize = 7;

/**
 * Does all operations, follows what is live and taken after each of them, and, if `record.fills`, fills and checks the
 * blocks. Returns a {@link Fault}; `record` tells of the operation. What is live at the end stays so.
 */
export function checkReplay<S>(strategy: S, record: Replay): u32 {
  const fills = record.fills != 0;
  record.live = 0;
  record.peakLive = 0;
  record.peakTaken = 0;
  for (let index: u32 = 0; index < record.count; index++) {
    record.at = index;
    const operation = record.operations + (index << OPERATION_SHIFT);
    const word = load<u32>(operation);
    const id = word >> ID_SHIFT;
    const kind = word & KIND_MASK;
    const block = record.table + (id << BLOCK_SHIFT);
    const address = load<usize>(block);
    const size: u32 = kind == ALLOCATE ? 0 : load<u32>(block, 4);
    let newAddress: usize = 0;
    let newSize: u32 = 0;
    if (kind != ALLOCATE && fills && !isUnchanged(record, id, address, size)) return Fault.CHANGED;
    if (kind == ALLOCATE || kind == REALLOCATE) {
      newSize = load<u32>(operation, 4);
      newAddress = kind == ALLOCATE ? strategy.allocate(newSize) : strategy.reallocate(address, size, newSize);
      if (!newAddress) return Fault.OUT_OF_MEMORY;
      if (newAddress & ALIGNMENT_MASK) return failAt(record, id, Fault.MISALIGNED, <u32>newAddress);
    } else if (!strategy.free(address, size)) {
      return failAt(record, id, Fault.REFUSED, <u32>address);
    }
    store<usize>(block, newAddress);
    store<u32>(block, newSize, 4);
    if (fills) {
      if (!isUnchanged(record, id, newAddress, min(size, newSize))) return Fault.CHANGED;
      fill(id, newAddress, size, newSize);
    }
    record.live = record.live - size + newSize;
    record.taken = strategy.taken();
    record.peakLive = max(record.peakLive, record.live);
    record.peakTaken = max(record.peakTaken, record.taken);
  }
  record.at = record.count;
  if (!fills) return Fault.NONE;
  for (let id: u32 = 0; id < record.ids; id++) {
    const block = record.table + (id << BLOCK_SHIFT);
    const address = load<usize>(block);
    if (address && !isUnchanged(record, id, address, load<u32>(block, 4))) return Fault.CHANGED;
  }
  return Fault.NONE;
}

function failAt(record: Replay, id: u32, fault: u32, found: u32): u32 {
  record.faultId = id;
  record.faultFound = found;
  return fault;
}

/** The four bytes of a block at `position`, a multiple of 4. Odd factors, so that neighbours differ in every byte. */
function patternAt(id: u32, position: u32): u32 {
  return (id * 0x9e37_79b1) ^ (position * 0x85eb_ca6b) ^ 0x5bd1_e995;
}

function patternByte(id: u32, position: u32): u8 {
  return <u8>(patternAt(id, position & ~3) >> ((position & 3) << 3));
}

/** Writes the bytes of a block from `start` to `end`. */
function fill(id: u32, address: usize, start: u32, end: u32): void {
  let position = start;
  for (; position < end && position & 3; position++) store<u8>(address + position, patternByte(id, position));
  for (; position + 4 <= end; position += 4) store<u32>(address + position, patternAt(id, position));
  for (; position < end; position++) store<u8>(address + position, patternByte(id, position));
}

/** True if a block's first `size` bytes are as they were written; otherwise `record` tells of the first that is not. */
function isUnchanged(record: Replay, id: u32, address: usize, size: u32): bool {
  let position: u32 = 0;
  while (position + 4 <= size && load<u32>(address + position) == patternAt(id, position)) position += 4;
  for (; position < size; position++) {
    const found = load<u8>(address + position);
    const expected = patternByte(id, position);
    if (found == expected) continue;
    record.faultId = id;
    record.faultPosition = position;
    record.faultExpected = expected;
    record.faultFound = found;
    return false;
  }
  return true;
}
