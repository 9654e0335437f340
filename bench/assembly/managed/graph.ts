import { nextRandom, pick } from "../drivers/random";
import { Graph } from "../programs/graph";
import { endEvent } from "./program";

const EDGES: u32 = 4;
const WALK: u32 = 8;

const MAKE_ROOT: u32 = 0;
const INSERT: u32 = 1;
const TURN: u32 = 2;
const KINDS: u32 = 4;

class Node {
  first: Node | null;
  second: Node | null;
  third: Node | null;
  fourth: Node | null;
  constructor(public value: u32) {}

  at(edge: u32): Node | null {
    if (edge < 2) return edge ? this.second : this.first;
    return edge == 2 ? this.third : this.fourth;
  }

  set(edge: u32, node: Node | null): void {
    if (edge < 2) {
      if (edge) this.second = node;
      else this.first = node;
    } else if (edge == 2) this.third = node;
    else this.fourth = node;
  }
}

let table: StaticArray<Node | null> | null = null;
let random: u32 = 0;
let made: u32 = 0;

export function graph(record: Graph): f64 {
  record.clear();
  table = new StaticArray<Node | null>(record.roots);
  random = record.seed;
  made = 0;
  let checksum: f64 = 0;
  for (let event: u32 = 0; event < record.events; event++) {
    const before = made;
    for (let operation: u32 = 0; operation < record.operationsPerEvent; operation++) checksum += operate(record.roots);
    endEvent(record, made - before);
  }
  table = null;
  endEvent(record, 0);
  return checksum;
}

function draw(bound: u32): u32 {
  random = nextRandom(random);
  return pick(random, bound);
}

function walk(roots: u32): Node | null {
  let node = unchecked(table![draw(roots)]);
  for (let left = draw(WALK); node && left; left--) {
    const next = node.at(draw(EDGES));
    if (!next) break;
    node = next;
  }
  return node;
}

function operate(roots: u32): f64 {
  const kind = draw(KINDS);
  const at = walk(roots);
  const found: f64 = at ? at.value : 0;
  if (kind == MAKE_ROOT) {
    const node = new Node(++made);
    node.first = at;
    node.second = walk(roots);
    unchecked((table![draw(roots)] = node));
    return found;
  }
  const edge = draw(EDGES);
  if (!at) return found;
  if (kind == INSERT) {
    const node = new Node(++made);
    node.first = at.at(edge);
    node.second = at;
    at.set(edge, node);
  } else {
    at.set(edge, kind == TURN ? walk(roots) : null);
  }
  return found;
}
