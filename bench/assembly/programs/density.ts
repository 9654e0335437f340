// Density: what an object of 24 bytes takes, with all that is kept about it.

import { Program, SLOTS } from "./program";

const ENTRY_BYTES: u32 = 24;
const NEXT: u32 = 0;
const FIRST: u32 = 4;
const FIFTH: u32 = 20;

/** Entries made in one event. */
const PER_EVENT: u32 = 1000;

@unmanaged
export class Density extends Program {
  length: u32;
  lowest: usize;
  highest: usize;

  look(address: usize): void {
    this.lowest = min(this.lowest, address);
    this.highest = max(this.highest, address);
    this.span = <u32>(this.highest - this.lowest);
  }

  clearSpan(): void {
    this.lowest = usize.MAX_VALUE;
    this.highest = 0;
  }
}

/** Makes a list; in a heap that nothing else lies in, its objects lie one behind the other. Returns the sum of what they hold. */
export function density<S>(heap: S, record: Density): f64 {
  record.clear();
  record.clearSpan();
  if (!record.firstType) record.firstType = heap.addType(ENTRY_BYTES, SLOTS, 1, 1, 0, 0, 0);
  const type = record.firstType;
  if (!type) return NaN;
  const scope = heap.openScope();
  if (!scope) return NaN;
  let slot: usize = 0;
  let head: usize = 0;
  for (let index: u32 = 0; index < record.length; index++) {
    const entry = heap.allocate(type);
    if (!entry) return NaN;
    record.look(entry);
    store<u32>(entry, index, FIRST);
    store<u32>(entry, index + 1, FIFTH);
    heap.store(entry, NEXT, head);
    head = entry;
    if (index % PER_EVENT) continue;
    if (slot) heap.move(slot, head);
    else slot = heap.push(scope, head);
    if (!slot) return NaN;
    record.endEvent<S>(heap, 0);
  }
  if (head) heap.move(slot, head);
  let checksum: f64 = 0;
  for (let entry = head; entry; ) {
    const next = load<usize>(entry, NEXT);
    checksum += <f64>load<u32>(entry, FIRST) + <f64>load<u32>(entry, FIFTH);
    if (heap.isManual()) heap.free(entry);
    entry = next;
  }
  heap.endScope(scope);
  record.endEvent<S>(heap, record.length);
  return checksum;
}
