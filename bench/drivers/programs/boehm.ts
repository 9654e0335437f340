import type { PlainResult } from "./program.js";

/** See bench/assembly/programs/boehm.ts. */
export interface BoehmParameters {
  readonly stretchDepth: number;
  readonly longLivedDepth: number;
  readonly maximumDepth: number;
  readonly arrayLength: number;
}

interface Node {
  left: Node | null;
  right: Node | null;
  first: number;
  second: number;
}

const MINIMUM_DEPTH = 4;

export function boehm({ stretchDepth, longLivedDepth, maximumDepth, arrayLength }: BoehmParameters): PlainResult {
  let checksum = depthOf(bottomUp(stretchDepth));
  const longLived = leaf();
  populate(longLivedDepth, longLived);
  const array = new Float64Array(arrayLength);
  const half = Math.floor(arrayLength / 2);
  for (let index = 0; index < half; index++) array[index] = 1 / (index + 1);
  let made = sizeOf(stretchDepth) + sizeOf(longLivedDepth) + 1;
  for (let depth = MINIMUM_DEPTH; depth <= maximumDepth; depth += 2) {
    const trees = Math.floor((2 * sizeOf(stretchDepth)) / sizeOf(depth));
    for (let tree = 0; tree < trees; tree++) {
      const root = leaf();
      populate(depth, root);
      checksum += depthOf(root);
    }
    for (let tree = 0; tree < trees; tree++) checksum += depthOf(bottomUp(depth));
    made += 2 * trees * sizeOf(depth);
  }
  checksum += count(longLived);
  for (let index = 0; index < half; index++) checksum += array[index]!;
  return { checksum, made };
}

const sizeOf = (depth: number) => 2 ** (depth + 1) - 1;

const leaf = (): Node => ({ left: null, right: null, first: 0, second: 0 });

function populate(depth: number, node: Node): void {
  if (depth === 0) return;
  node.left = leaf();
  node.right = leaf();
  populate(depth - 1, node.left);
  populate(depth - 1, node.right);
}

function bottomUp(depth: number): Node {
  if (depth === 0) return leaf();
  return { left: bottomUp(depth - 1), right: bottomUp(depth - 1), first: 0, second: 0 };
}

function count(node: Node): number {
  return node.left === null ? 1 : 1 + count(node.left) + count(node.right!);
}

function depthOf(tree: Node): number {
  let depth = 0;
  for (let node = tree.right; node !== null; node = node.right) depth++;
  return depth;
}
