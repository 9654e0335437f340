// Binary trees: one that lives long, and many that are made, walked and dropped.
//
// Source: the Computer Language Benchmarks Game, binary-trees, after Boehm's GCBench.

import { Program, SLOTS } from "./program";

export const NODE_BYTES: u32 = 8;
const LEFT: u32 = 0;
const RIGHT: u32 = 4;

const MINIMUM_DEPTH: u32 = 4;

@unmanaged
export class BinaryTrees extends Program {
  /** Of the tree that lives long; at least the least depth. */
  depth: u32;
}

/** Returns the sum of the counted nodes, each weighted with its tree's depth, or NaN when memory is out. */
export function binaryTrees<S>(heap: S, record: BinaryTrees): f64 {
  record.clear();
  if (!record.firstType) record.firstType = heap.addType(NODE_BYTES, SLOTS, 2, 2, 0, 0, 0);
  const type = record.firstType;
  const depth = record.depth;
  if (!type) return NaN;
  let checksum = dropTree<S>(heap, record, depth + 1);
  const scope = heap.openScope();
  if (!scope) return NaN;
  const longLived = bottomUp<S>(heap, type, depth);
  if (!longLived || !heap.push(scope, longLived)) return NaN;
  record.endEvent<S>(heap, (2 << depth) - 1);
  for (let shortDepth = MINIMUM_DEPTH; shortDepth <= depth; shortDepth += 2) {
    const trees: u32 = 1 << (depth - shortDepth + MINIMUM_DEPTH);
    for (let tree: u32 = 0; tree < trees; tree++) checksum += dropTree<S>(heap, record, shortDepth);
  }
  checksum += <f64>depth * count(longLived);
  if (heap.isManual()) freeTree<S>(heap, longLived);
  heap.endScope(scope);
  record.endEvent<S>(heap, 0);
  return checksum;
}

/** An event that makes a tree, counts it and drops it. */
function dropTree<S>(heap: S, record: BinaryTrees, depth: u32): f64 {
  const scope = heap.openScope();
  if (!scope) return NaN;
  const tree = bottomUp<S>(heap, record.firstType, depth);
  if (!tree || !heap.push(scope, tree)) return NaN;
  const weighted = <f64>depth * count(tree);
  if (heap.isManual()) freeTree<S>(heap, tree);
  heap.endScope(scope);
  record.endEvent<S>(heap, (2 << depth) - 1);
  return weighted;
}

/** A tree whose leaves lie `depth` below its root; 0 when memory is out. Children come before their parent. */
export function bottomUp<S>(heap: S, type: usize, depth: u32): usize {
  if (!depth) return heap.allocate(type);
  const left = bottomUp<S>(heap, type, depth - 1);
  if (!left) return 0;
  const right = bottomUp<S>(heap, type, depth - 1);
  if (!right) return 0;
  const node = heap.allocate(type);
  if (!node) return 0;
  heap.store(node, LEFT, left);
  heap.store(node, RIGHT, right);
  return node;
}

export function count(node: usize): u32 {
  const left = load<usize>(node, LEFT);
  return left ? 1 + count(left) + count(load<usize>(node, RIGHT)) : 1;
}

export function freeTree<S>(heap: S, node: usize): void {
  const left = load<usize>(node, LEFT);
  if (left) {
    freeTree<S>(heap, left);
    freeTree<S>(heap, load<usize>(node, RIGHT));
  }
  heap.free(node);
}
