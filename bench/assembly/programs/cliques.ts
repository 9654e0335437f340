// Cliques: so many objects each of which refers to all of them, itself included; the oldest is replaced at each event.

import { ELEMENTS, Program, SLOTS, VARIABLE } from "./program";

const NODE_BYTES: u32 = 8;
const EDGES: u32 = 0;
const VALUE: u32 = 4;

@unmanaged
export class Cliques extends Program {
  members: u32;
  /** Cliques that are alive at once. */
  live: u32;
  events: u32;
}

/** Returns the sum of what is found along all edges of the cliques that are dropped, or NaN when memory is out. */
export function cliques<S>(heap: S, record: Cliques): f64 {
  record.clear();
  if (!record.firstType) {
    record.firstType = heap.addType(NODE_BYTES, SLOTS, 1, 1, 0, 0, 0);
    record.secondType = heap.addType(4, SLOTS, 1, 1, 0, 0, VARIABLE);
  }
  const type = record.firstType;
  const references = record.secondType;
  if (!type || !references) return NaN;
  const live = record.live;
  const members = record.members;
  const scope = heap.openScope();
  if (!scope) return NaN;
  const table = heap.allocateArray(references, live);
  // The members of the clique in the making.
  const making = heap.allocateArray(references, members);
  if (!table || !making || !heap.push(scope, table) || !heap.push(scope, making)) return NaN;
  record.endEvent<S>(heap, 2);
  let checksum: f64 = 0;
  for (let event: u32 = 0; event < record.events; event++) {
    for (let index: u32 = 0; index < members; index++) {
      const node = heap.allocate(type);
      if (!node) return NaN;
      store<u32>(node, event + index, VALUE);
      heap.store(making, ELEMENTS + (index << 2), node);
      const edges = heap.allocateArray(references, members);
      if (!edges) return NaN;
      heap.store(node, EDGES, edges);
    }
    for (let from: u32 = 0; from < members; from++) {
      const edges = load<usize>(load<usize>(making + (from << 2), ELEMENTS), EDGES);
      for (let to: u32 = 0; to < members; to++) {
        heap.store(edges, ELEMENTS + (to << 2), load<usize>(making + (to << 2), ELEMENTS));
      }
    }
    const offset = ELEMENTS + ((event % live) << 2);
    const old = load<usize>(table + offset);
    if (old) checksum += sum(old);
    heap.store(table, offset, load<usize>(making, ELEMENTS));
    if (heap.isManual() && old) freeClique<S>(heap, old);
    record.endEvent<S>(heap, 2 * members);
  }
  for (let index: u32 = 0; index < live; index++) {
    const clique = load<usize>(table + (index << 2), ELEMENTS);
    if (!clique) continue;
    checksum += sum(clique);
    if (heap.isManual()) freeClique<S>(heap, clique);
  }
  if (heap.isManual()) {
    heap.free(making);
    heap.free(table);
  }
  heap.endScope(scope);
  record.endEvent<S>(heap, 0);
  return checksum;
}

/** What the members hold, as often as edges lead to them. */
function sum(clique: usize): f64 {
  let total: f64 = 0;
  const edges = load<usize>(clique, EDGES);
  const members = load<u32>(edges, 4);
  for (let from: u32 = 0; from < members; from++) {
    const others = load<usize>(load<usize>(edges + (from << 2), ELEMENTS), EDGES);
    for (let to: u32 = 0; to < members; to++) total += load<u32>(load<usize>(others + (to << 2), ELEMENTS), VALUE);
  }
  return total;
}

function freeClique<S>(heap: S, clique: usize): void {
  const edges = load<usize>(clique, EDGES);
  const members = load<u32>(edges, 4);
  for (let index: u32 = 0; index < members; index++) {
    const node = load<usize>(edges + (index << 2), ELEMENTS);
    if (node == clique) continue;
    heap.free(load<usize>(node, EDGES));
    heap.free(node);
  }
  heap.free(edges);
  heap.free(clique);
}
