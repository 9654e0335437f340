import type { PlainResult } from "./program.js";

/** See bench/assembly/programs/binaryTrees.ts. */
export interface BinaryTreesParameters {
  /** Of the tree that lives long; at least 4. */
  readonly depth: number;
}

interface Node {
  readonly left: Node | null;
  readonly right: Node | null;
}

const MINIMUM_DEPTH = 4;

export function binaryTrees({ depth }: BinaryTreesParameters): PlainResult {
  let checksum = weighted(depth + 1);
  let made = sizeOf(depth + 1) + sizeOf(depth);
  const longLived = bottomUp(depth);
  for (let shortDepth = MINIMUM_DEPTH; shortDepth <= depth; shortDepth += 2) {
    const trees = 2 ** (depth - shortDepth + MINIMUM_DEPTH);
    for (let tree = 0; tree < trees; tree++) checksum += weighted(shortDepth);
    made += trees * sizeOf(shortDepth);
  }
  return { checksum: checksum + depth * count(longLived), made };
}

const sizeOf = (depth: number) => 2 ** (depth + 1) - 1;

const weighted = (depth: number) => depth * count(bottomUp(depth));

function bottomUp(depth: number): Node {
  if (depth === 0) return { left: null, right: null };
  return { left: bottomUp(depth - 1), right: bottomUp(depth - 1) };
}

function count(node: Node): number {
  return node.left === null ? 1 : 1 + count(node.left) + count(node.right!);
}
