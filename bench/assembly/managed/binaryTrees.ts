import { BinaryTrees } from "../programs/binaryTrees";
import { endEvent } from "./program";

const MINIMUM_DEPTH: u32 = 4;

class Node {
  constructor(
    public left: Node | null,
    public right: Node | null,
  ) {}
}

let longLived: Node | null = null;

export function binaryTrees(record: BinaryTrees): f64 {
  record.clear();
  const depth = record.depth;
  let checksum = dropTree(record, depth + 1);
  longLived = bottomUp(depth);
  endEvent(record, (2 << depth) - 1);
  for (let shortDepth = MINIMUM_DEPTH; shortDepth <= depth; shortDepth += 2) {
    const trees: u32 = 1 << (depth - shortDepth + MINIMUM_DEPTH);
    for (let tree: u32 = 0; tree < trees; tree++) checksum += dropTree(record, shortDepth);
  }
  checksum += <f64>depth * count(longLived!);
  longLived = null;
  endEvent(record, 0);
  return checksum;
}

function dropTree(record: BinaryTrees, depth: u32): f64 {
  const weighted = <f64>depth * makeAndCount(depth);
  endEvent(record, (2 << depth) - 1);
  return weighted;
}

function makeAndCount(depth: u32): u32 {
  return count(bottomUp(depth));
}

function bottomUp(depth: u32): Node {
  if (!depth) return new Node(null, null);
  return new Node(bottomUp(depth - 1), bottomUp(depth - 1));
}

function count(node: Node): u32 {
  const left = node.left;
  return left ? 1 + count(left) + count(node.right!) : 1;
}
