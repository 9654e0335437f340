// Quads: a tree of four branches that lives as long as the program, and a ring of smaller ones that come and go.

import { ELEMENTS, Program, SLOTS, VARIABLE } from "./program";

const BRANCHES: u32 = 4;
const NODE_BYTES: u32 = 20;
const VALUE: u32 = 16;

@unmanaged
export class Quads extends Program {
  longLivedDepth: u32;
  shortLivedDepth: u32;
  /** Small trees that are alive at once. */
  live: u32;
  /** Small trees that are made. */
  events: u32;
}

/** Returns the sum of what all trees hold when they are dropped, or NaN when memory is out. */
export function quads<S>(heap: S, record: Quads): f64 {
  record.clear();
  if (!record.firstType) {
    record.firstType = heap.addType(NODE_BYTES, SLOTS, BRANCHES, BRANCHES, 0, 0, 0);
    record.secondType = heap.addType(4, SLOTS, 1, 0, 0, 0, VARIABLE);
  }
  const type = record.firstType;
  if (!type || !record.secondType) return NaN;
  const live = record.live;
  const scope = heap.openScope();
  if (!scope) return NaN;
  const longLived = grow<S>(heap, type, record.longLivedDepth, 1);
  if (!longLived || !heap.push(scope, longLived)) return NaN;
  const ring = heap.allocateArray(record.secondType, live);
  if (!ring || !heap.push(scope, ring)) return NaN;
  record.endEvent<S>(heap, sizeOf(record.longLivedDepth) + 1);
  let checksum: f64 = 0;
  for (let event: u32 = 0; event < record.events; event++) {
    const offset = ELEMENTS + ((event % live) << 2);
    const old = load<usize>(ring + offset);
    if (old) checksum += sum(old);
    const tree = grow<S>(heap, type, record.shortLivedDepth, event);
    if (!tree) return NaN;
    heap.store(ring, offset, tree);
    if (heap.isManual() && old) freeQuad<S>(heap, old);
    record.endEvent<S>(heap, sizeOf(record.shortLivedDepth));
  }
  checksum += sum(longLived);
  if (heap.isManual()) {
    freeQuad<S>(heap, longLived);
    for (let index: u32 = 0; index < live; index++) {
      const tree = load<usize>(ring + (index << 2), ELEMENTS);
      if (tree) freeQuad<S>(heap, tree);
    }
    heap.free(ring);
  }
  heap.endScope(scope);
  record.endEvent<S>(heap, 0);
  return checksum;
}

/** (4^(depth + 1) − 1) / 3 */
function sizeOf(depth: u32): u32 {
  return ((4 << (depth << 1)) - 1) / 3;
}

/** A tree whose leaves lie `depth` below its root; 0 when memory is out. */
function grow<S>(heap: S, type: usize, depth: u32, value: u32): usize {
  const node = heap.allocate(type);
  if (!node) return 0;
  store<u32>(node, value + depth, VALUE);
  if (!depth) return node;
  for (let branch: u32 = 0; branch < BRANCHES; branch++) {
    const child = grow<S>(heap, type, depth - 1, value + branch);
    if (!child) return 0;
    heap.store(node, branch << 2, child);
  }
  return node;
}

function sum(node: usize): f64 {
  let total: f64 = load<u32>(node, VALUE);
  for (let branch: u32 = 0; branch < BRANCHES; branch++) {
    const child = load<usize>(node + (branch << 2));
    if (child) total += sum(child);
  }
  return total;
}

function freeQuad<S>(heap: S, node: usize): void {
  for (let branch: u32 = 0; branch < BRANCHES; branch++) {
    const child = load<usize>(node + (branch << 2));
    if (child) freeQuad<S>(heap, child);
  }
  heap.free(node);
}
