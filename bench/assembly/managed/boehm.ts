import { Boehm } from "../programs/boehm";
import { endEvent } from "./program";

const MINIMUM_DEPTH: u32 = 4;

class Node {
  first: u32;
  second: u32;
  constructor(
    public left: Node | null,
    public right: Node | null,
  ) {}
}

let longLived: Node | null = null;
let array: StaticArray<f64> | null = null;

export function boehm(record: Boehm): f64 {
  record.clear();
  let checksum = dropBottomUp(record, record.stretchDepth);
  const length = record.arrayLength;
  longLived = new Node(null, null);
  populate(record.longLivedDepth, longLived!);
  array = new StaticArray<f64>(length);
  for (let index: u32 = 0; index < length / 2; index++) unchecked((array![index] = 1 / <f64>(index + 1)));
  endEvent(record, 2 << record.longLivedDepth);
  for (let depth = MINIMUM_DEPTH; depth <= record.maximumDepth; depth += 2) {
    const trees: u32 = (2 * sizeOf(record.stretchDepth)) / sizeOf(depth);
    for (let tree: u32 = 0; tree < trees; tree++) checksum += dropTopDown(record, depth);
    for (let tree: u32 = 0; tree < trees; tree++) checksum += dropBottomUp(record, depth);
  }
  checksum += count(longLived!);
  for (let index: u32 = 0; index < length / 2; index++) checksum += unchecked(array![index]);
  longLived = null;
  array = null;
  endEvent(record, 0);
  return checksum;
}

function sizeOf(depth: u32): u32 {
  return (2 << depth) - 1;
}

function populate(depth: u32, node: Node): void {
  if (!depth) return;
  const left = new Node(null, null);
  const right = new Node(null, null);
  node.left = left;
  node.right = right;
  populate(depth - 1, left);
  populate(depth - 1, right);
}

function bottomUp(depth: u32): Node {
  if (!depth) return new Node(null, null);
  return new Node(bottomUp(depth - 1), bottomUp(depth - 1));
}

function count(node: Node): u32 {
  const left = node.left;
  return left ? 1 + count(left) + count(node.right!) : 1;
}

function dropTopDown(record: Boehm, depth: u32): f64 {
  const found = makeTopDown(depth);
  endEvent(record, sizeOf(depth));
  return found;
}

function makeTopDown(depth: u32): u32 {
  const tree = new Node(null, null);
  populate(depth, tree);
  return depthOf(tree);
}

function dropBottomUp(record: Boehm, depth: u32): f64 {
  const found = depthOf(bottomUp(depth));
  endEvent(record, sizeOf(depth));
  return found;
}

function depthOf(tree: Node): u32 {
  let depth: u32 = 0;
  let node = tree.right;
  while (node) {
    depth++;
    node = node.right;
  }
  return depth;
}
