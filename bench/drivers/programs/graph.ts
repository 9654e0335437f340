import { nextRandom, pick } from "../random.js";
import type { PlainResult } from "./program.js";

/** See bench/assembly/programs/graph.ts. */
export interface GraphParameters {
  /** Not 0. */
  readonly seed: number;
  readonly roots: number;
  readonly events: number;
  readonly operationsPerEvent: number;
}

const EDGES = 4;
const WALK = 8;
const MAKE_ROOT = 0;
const INSERT = 1;
const TURN = 2;
const KINDS = 4;

interface Node {
  readonly edges: (Node | null)[];
  readonly value: number;
}

export function graph({ seed, roots, events, operationsPerEvent }: GraphParameters): PlainResult {
  const table = new Array<Node | null>(roots).fill(null);
  let random = seed;
  const draw = (bound: number) => {
    random = nextRandom(random);
    return pick(random, bound);
  };
  const walk = () => {
    let node = table[draw(roots)]!;
    for (let left = draw(WALK); node !== null && left > 0; left--) {
      const next = node.edges[draw(EDGES)]!;
      if (next === null) break;
      node = next;
    }
    return node;
  };
  let made = 0;
  let checksum = 0;
  for (let operation = 0; operation < events * operationsPerEvent; operation++) {
    const kind = draw(KINDS);
    const at = walk();
    if (at !== null) checksum += at.value;
    if (kind === MAKE_ROOT) {
      const node = { edges: [at, walk(), null, null], value: ++made };
      table[draw(roots)] = node;
      continue;
    }
    const edge = draw(EDGES);
    if (at === null) continue;
    if (kind === INSERT) at.edges[edge] = { edges: [at.edges[edge]!, at, null, null], value: ++made };
    else at.edges[edge] = kind === TURN ? walk() : null;
  }
  return { checksum, made };
}
