// GCBench: trees made from their root down and from their leaves up, beside a tree and an array that live long.
//
// Source: Ellis, Kovac and Boehm, GCBench (1997). What it makes is the same; it makes no use of it, this here counts.

import { bottomUp, count, freeTree } from "./binaryTrees";
import { ELEMENTS, Program, SLOTS, VARIABLE } from "./program";

/** Two references and two numbers, which nobody reads. */
const NODE_BYTES: u32 = 16;
const LEFT: u32 = 0;
const RIGHT: u32 = 4;

const MINIMUM_DEPTH: u32 = 4;

@unmanaged
export class Boehm extends Program {
  /** Of the first tree, which is dropped before the clock counts anything. */
  stretchDepth: u32;
  longLivedDepth: u32;
  maximumDepth: u32;
  /** Numbers of 64 bits in the array. */
  arrayLength: u32;
}

/** Returns the depths of all trees, the size of the one that lives long and half of the array, or NaN when memory is out. */
export function boehm<S>(heap: S, record: Boehm): f64 {
  record.clear();
  if (!record.firstType) {
    record.firstType = heap.addType(NODE_BYTES, SLOTS, 2, 2, 0, 0, 0);
    record.secondType = heap.addType(8, 0, 0, 0, 0, 0, VARIABLE);
  }
  const type = record.firstType;
  if (!type || !record.secondType) return NaN;
  let checksum = dropBottomUp<S>(heap, record, record.stretchDepth);
  const scope = heap.openScope();
  if (!scope) return NaN;
  const longLived = heap.allocate(type);
  if (!longLived || !heap.push(scope, longLived) || !populate<S>(heap, type, record.longLivedDepth, longLived))
    return NaN;
  const length = record.arrayLength;
  const array = heap.allocateArray(record.secondType, length);
  if (!array || !heap.push(scope, array)) return NaN;
  for (let index: u32 = 0; index < length / 2; index++) {
    store<f64>(array + (index << 3), 1 / <f64>(index + 1), ELEMENTS);
  }
  record.endEvent<S>(heap, 2 << record.longLivedDepth);
  for (let depth = MINIMUM_DEPTH; depth <= record.maximumDepth; depth += 2) {
    const trees: u32 = (2 * sizeOf(record.stretchDepth)) / sizeOf(depth);
    for (let tree: u32 = 0; tree < trees; tree++) checksum += dropTopDown<S>(heap, record, depth);
    for (let tree: u32 = 0; tree < trees; tree++) checksum += dropBottomUp<S>(heap, record, depth);
  }
  checksum += count(longLived);
  for (let index: u32 = 0; index < length / 2; index++) checksum += load<f64>(array + (index << 3), ELEMENTS);
  if (heap.isManual()) {
    freeTree<S>(heap, longLived);
    heap.free(array);
  }
  heap.endScope(scope);
  record.endEvent<S>(heap, 0);
  return checksum;
}

function sizeOf(depth: u32): u32 {
  return (2 << depth) - 1;
}

/** Gives `node` children, and those theirs, `depth` levels down. False when memory is out. */
function populate<S>(heap: S, type: usize, depth: u32, node: usize): bool {
  if (!depth) return true;
  const left = heap.allocate(type);
  if (!left) return false;
  heap.store(node, LEFT, left);
  const right = heap.allocate(type);
  if (!right) return false;
  heap.store(node, RIGHT, right);
  return populate<S>(heap, type, depth - 1, left) && populate<S>(heap, type, depth - 1, right);
}

function dropTopDown<S>(heap: S, record: Boehm, depth: u32): f64 {
  const scope = heap.openScope();
  if (!scope) return NaN;
  const tree = heap.allocate(record.firstType);
  if (!tree || !heap.push(scope, tree) || !populate<S>(heap, record.firstType, depth, tree)) return NaN;
  const found = depthOf(tree);
  if (heap.isManual()) freeTree<S>(heap, tree);
  heap.endScope(scope);
  record.endEvent<S>(heap, sizeOf(depth));
  return found;
}

function dropBottomUp<S>(heap: S, record: Boehm, depth: u32): f64 {
  const scope = heap.openScope();
  if (!scope) return NaN;
  const tree = bottomUp<S>(heap, record.firstType, depth);
  if (!tree || !heap.push(scope, tree)) return NaN;
  const found = depthOf(tree);
  if (heap.isManual()) freeTree<S>(heap, tree);
  heap.endScope(scope);
  record.endEvent<S>(heap, sizeOf(depth));
  return found;
}

/** As it is found along one side. */
function depthOf(tree: usize): u32 {
  let depth: u32 = 0;
  for (let node = load<usize>(tree, RIGHT); node; node = load<usize>(node, RIGHT)) depth++;
  return depth;
}
