// Graph: nodes of four edges, reached from a table of random roots; each event makes some, and turns and cuts some edges.
//
// What is garbage only a tracer knows, so there is no such program under manual memory.

import { nextRandom, pick } from "../drivers/random";
import { ELEMENTS, Program, SLOTS, VARIABLE } from "./program";

const EDGES: u32 = 4;
const NODE_BYTES: u32 = 20;
const VALUE: u32 = 16;

/** The most edges that a walk follows. */
const WALK: u32 = 8;

const MAKE_ROOT: u32 = 0;
const INSERT: u32 = 1;
const TURN: u32 = 2;
const KINDS: u32 = 4;

@unmanaged
export class Graph extends Program {
  roots: u32;
  events: u32;
  operationsPerEvent: u32;
  /** The state of the random numbers. */
  random: u32;
  table: usize;

  draw(bound: u32): u32 {
    this.random = nextRandom(this.random);
    return pick(this.random, bound);
  }

  /** The node at the end of a random walk from a random root; 0 if the root is empty. */
  walk(): usize {
    let node = load<usize>(this.table + (this.draw(this.roots) << 2), ELEMENTS);
    for (let left = this.draw(WALK); node && left; left--) {
      const next = load<usize>(node + (this.draw(EDGES) << 2));
      if (!next) break;
      node = next;
    }
    return node;
  }
}

/** Returns the sum of what is found at the ends of all walks, or NaN when memory is out. */
export function graph<S>(heap: S, record: Graph): f64 {
  record.clear();
  if (!record.firstType) {
    record.firstType = heap.addType(NODE_BYTES, SLOTS, EDGES, EDGES, 0, 0, 0);
    record.secondType = heap.addType(4, SLOTS, 1, 0, 0, 0, VARIABLE);
  }
  const type = record.firstType;
  if (!type || !record.secondType) return NaN;
  const scope = heap.openScope();
  if (!scope) return NaN;
  const table = heap.allocateArray(record.secondType, record.roots);
  if (!table || !heap.push(scope, table)) return NaN;
  record.table = table;
  record.random = record.seed;
  let checksum: f64 = 0;
  for (let event: u32 = 0; event < record.events; event++) {
    let made: u32 = 0;
    for (let operation: u32 = 0; operation < record.operationsPerEvent; operation++) {
      const kind = record.draw(KINDS);
      const at = record.walk();
      if (at) checksum += load<u32>(at, VALUE);
      if (kind == MAKE_ROOT) {
        const node = heap.allocate(type);
        if (!node) return NaN;
        made++;
        store<u32>(node, record.made + made, VALUE);
        heap.store(node, 0, at);
        heap.store(node, 4, record.walk());
        heap.store(table, ELEMENTS + (record.draw(record.roots) << 2), node);
        continue;
      }
      const edge = record.draw(EDGES) << 2;
      if (!at) continue;
      if (kind == INSERT) {
        const node = heap.allocate(type);
        if (!node) return NaN;
        made++;
        store<u32>(node, record.made + made, VALUE);
        heap.store(node, 0, load<usize>(at + edge));
        heap.store(node, 4, at);
        heap.store(at, edge, node);
      } else {
        heap.store(at, edge, kind == TURN ? record.walk() : 0);
      }
    }
    record.endEvent<S>(heap, made);
  }
  heap.endScope(scope);
  record.endEvent<S>(heap, 0);
  return checksum;
}
