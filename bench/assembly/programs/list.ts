// List: a long list grows at its head and is dropped whole.
//
// The list is what reference counting with immediate frees stalls at, and what a recursive marker overflows at.

import { Program, SLOTS } from "./program";

const NODE_BYTES: u32 = 8;
const NEXT: u32 = 0;
const VALUE: u32 = 4;

@unmanaged
export class List extends Program {
  /** A multiple of `perEvent`. */
  length: u32;
  perEvent: u32;
  /** Lists that are made one after the other. */
  rounds: u32;
}

/** Returns the sum of what all lists hold, or NaN when memory is out. */
export function list<S>(heap: S, record: List): f64 {
  record.clear();
  if (!record.firstType) record.firstType = heap.addType(NODE_BYTES, SLOTS, 1, 1, 0, 0, 0);
  const type = record.firstType;
  if (!type) return NaN;
  const perEvent = record.perEvent;
  let checksum: f64 = 0;
  for (let round: u32 = 0; round < record.rounds; round++) {
    const scope = heap.openScope();
    if (!scope) return NaN;
    let slot: usize = 0;
    let head: usize = 0;
    for (let made: u32 = 0; made < record.length; made += perEvent) {
      for (let index: u32 = 0; index < perEvent; index++) {
        const node = heap.allocate(type);
        if (!node) return NaN;
        store<u32>(node, made + index, VALUE);
        heap.store(node, NEXT, head);
        head = node;
      }
      if (slot) heap.move(slot, head);
      else slot = heap.push(scope, head);
      if (!slot) return NaN;
      record.endEvent<S>(heap, perEvent);
    }
    for (let node = head; node; ) {
      const next = load<usize>(node, NEXT);
      checksum += load<u32>(node, VALUE);
      if (heap.isManual()) heap.free(node);
      node = next;
    }
    heap.endScope(scope);
    record.endEvent<S>(heap, 0);
  }
  return checksum;
}
