// Rings: doubly linked ones, each of them a cycle, of which a random one is replaced at each event.

import { nextRandom, pick } from "../drivers/random";
import { ELEMENTS, Program, SLOTS, VARIABLE } from "./program";

const NODE_BYTES: u32 = 12;
const PREVIOUS: u32 = 0;
const NEXT: u32 = 4;
const VALUE: u32 = 8;

@unmanaged
export class Rings extends Program {
  /** Nodes of a ring. */
  members: u32;
  /** Rings that are alive at once. */
  live: u32;
  events: u32;
}

/** Returns the sum of what all rings hold when they are dropped, or NaN when memory is out. */
export function rings<S>(heap: S, record: Rings): f64 {
  record.clear();
  if (!record.firstType) {
    record.firstType = heap.addType(NODE_BYTES, SLOTS, 2, 2, 0, 0, 0);
    record.secondType = heap.addType(4, SLOTS, 1, 0, 0, 0, VARIABLE);
  }
  const type = record.firstType;
  if (!type || !record.secondType) return NaN;
  const live = record.live;
  const members = record.members;
  const scope = heap.openScope();
  if (!scope) return NaN;
  const table = heap.allocateArray(record.secondType, live);
  if (!table || !heap.push(scope, table)) return NaN;
  let random = record.seed;
  let checksum: f64 = 0;
  for (let event: u32 = 0; event < record.events; event++) {
    random = nextRandom(random);
    const offset = ELEMENTS + (pick(random, live) << 2);
    const first = heap.allocate(type);
    if (!first) return NaN;
    store<u32>(first, event, VALUE);
    let last = first;
    for (let index: u32 = 1; index < members; index++) {
      const node = heap.allocate(type);
      if (!node) return NaN;
      store<u32>(node, event + index, VALUE);
      heap.store(node, PREVIOUS, last);
      heap.store(last, NEXT, node);
      last = node;
    }
    heap.store(last, NEXT, first);
    heap.store(first, PREVIOUS, last);
    const old = load<usize>(table + offset);
    if (old) checksum += sum(old);
    heap.store(table, offset, first);
    if (heap.isManual() && old) freeRing<S>(heap, old);
    record.endEvent<S>(heap, members);
  }
  for (let index: u32 = 0; index < live; index++) {
    const ring = load<usize>(table + (index << 2), ELEMENTS);
    if (!ring) continue;
    checksum += sum(ring);
    if (heap.isManual()) freeRing<S>(heap, ring);
  }
  if (heap.isManual()) heap.free(table);
  heap.endScope(scope);
  record.endEvent<S>(heap, 0);
  return checksum;
}

/** Once around each way; what is met backwards counts twice. */
function sum(ring: usize): f64 {
  let total: f64 = 0;
  let node = ring;
  do {
    total += load<u32>(node, VALUE);
    node = load<usize>(node, NEXT);
  } while (node != ring);
  do {
    total += 2 * <f64>load<u32>(node, VALUE);
    node = load<usize>(node, PREVIOUS);
  } while (node != ring);
  return total;
}

function freeRing<S>(heap: S, ring: usize): void {
  let node = load<usize>(ring, NEXT);
  while (node != ring) {
    const next = load<usize>(node, NEXT);
    heap.free(node);
    node = next;
  }
  heap.free(ring);
}
