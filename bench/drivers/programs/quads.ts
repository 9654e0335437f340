import type { PlainResult } from "./program.js";

/** See bench/assembly/programs/quads.ts. */
export interface QuadsParameters {
  readonly longLivedDepth: number;
  readonly shortLivedDepth: number;
  readonly live: number;
  readonly events: number;
}

interface Quad {
  first: Quad | null;
  second: Quad | null;
  third: Quad | null;
  fourth: Quad | null;
  readonly value: number;
}

export function quads({ longLivedDepth, shortLivedDepth, live, events }: QuadsParameters): PlainResult {
  const longLived = grow(longLivedDepth, 1);
  const ring = new Array<Quad | null>(live).fill(null);
  let checksum = 0;
  for (let event = 0; event < events; event++) {
    checksum += sum(ring[event % live]!);
    ring[event % live] = grow(shortLivedDepth, event);
  }
  checksum += sum(longLived);
  return { checksum, made: sizeOf(longLivedDepth) + 1 + events * sizeOf(shortLivedDepth) };
}

const sizeOf = (depth: number) => (4 ** (depth + 1) - 1) / 3;

function grow(depth: number, value: number): Quad {
  const node: Quad = { first: null, second: null, third: null, fourth: null, value: value + depth };
  if (depth === 0) return node;
  node.first = grow(depth - 1, value);
  node.second = grow(depth - 1, value + 1);
  node.third = grow(depth - 1, value + 2);
  node.fourth = grow(depth - 1, value + 3);
  return node;
}

function sum(node: Quad | null): number {
  if (node === null) return 0;
  if (node.first === null) return node.value;
  return node.value + sum(node.first) + sum(node.second) + sum(node.third) + sum(node.fourth);
}
