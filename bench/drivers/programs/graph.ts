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

/** Four fields: an array of them would be two objects more for each node. */
interface Node {
  first: Node | null;
  second: Node | null;
  third: Node | null;
  fourth: Node | null;
  readonly value: number;
}

function at(node: Node, edge: number): Node | null {
  if (edge < 2) return edge === 0 ? node.first : node.second;
  return edge === 2 ? node.third : node.fourth;
}

function turn(node: Node, edge: number, to: Node | null): void {
  if (edge < 2) {
    if (edge === 0) node.first = to;
    else node.second = to;
  } else if (edge === 2) node.third = to;
  else node.fourth = to;
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
      const next = at(node, draw(EDGES));
      if (next === null) break;
      node = next;
    }
    return node;
  };
  let made = 0;
  let checksum = 0;
  for (let operation = 0; operation < events * operationsPerEvent; operation++) {
    const kind = draw(KINDS);
    const found = walk();
    if (found !== null) checksum += found.value;
    if (kind === MAKE_ROOT) {
      const node = { first: found, second: walk(), third: null, fourth: null, value: ++made };
      table[draw(roots)] = node;
      continue;
    }
    const edge = draw(EDGES);
    if (found === null) continue;
    if (kind === INSERT) {
      turn(found, edge, { first: at(found, edge), second: found, third: null, fourth: null, value: ++made });
    } else turn(found, edge, kind === TURN ? walk() : null);
  }
  return { checksum, made };
}
