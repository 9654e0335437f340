// Checking a sorted map, without recursion and without trusting what it checks: no address is followed before it is known
// to be a node of the map.

import { Address } from "../memory/alignment";
import { generationOf } from "../memory/guard";
import { Owner, ownerOf } from "../memory/pageHeap";
import { SMALL_BLOCK_SIZE } from "../memory/smallBlock";
import { HEIGHT_LIMIT, RUN_HEADER, Run, SortedMap } from "./sortedMap";
import { compareFields, compareRecords, Kind } from "./sortedMapKey";
import { FREE_LEVEL, Node } from "./sortedMapNode";

/** What is wrong with a map; numbered as in bindings/collections/sortedMapLayout.ts. */
export namespace Violation {
  export const NONE: u32 = 0;
  /** The guard is not the map's own, or its generation not the one in the header. */
  export const GUARD: u32 = 1;
  /** A run is no run of the map's, or the sizes of all do not add up. */
  export const RUNS: u32 = 2;
  /** A child, a link or an entry of the free list is no node of the map. */
  export const FOREIGN_NODE: u32 = 3;
  /** A node's level is not one less than its parent's: the leaves are not all at the same depth. */
  export const LEVEL: u32 = 4;
  /** A node holds too little or too much. */
  export const FILL: u32 = 5;
  /** Two keys, or a key and a separator, are in the wrong order. */
  export const ORDER: u32 = 6;
  /** Leaves are not linked in order, both ways. */
  export const LINKS: u32 = 7;
  /** The leaves do not hold as many entries as the map has. */
  export const SIZE: u32 = 8;
  /** Nodes in use, free and unused are not all the nodes that there are. */
  export const NODES: u32 = 9;
  /** The free list holds a node that is not free, or not as many as it should. */
  export const FREE_LIST: u32 = 10;
}

/** Returns the first {@link Violation} of the map's invariants; 0 if there is none. O(n). */
export function validateSortedMap(map: SortedMap): u32 {
  if (ownerOf(map.guard) != Owner.GUARDS || generationOf(map.guard) != map.generation) return Violation.GUARD;
  const held = countNodes(map);
  if (!held) return Violation.RUNS;
  const fault = map.root ? validateTree(map) : validateEmpty(map);
  if (fault) return fault;
  const unused = <u32>(map.limit - map.cursor) / map.nodeBytes;
  if (map.nodes + map.freeNodes + unused != held - 1) return Violation.NODES;
  return validateFreeList(map);
}

/** The nodes that there is room for, plus 1; 0 when the runs are not in order. */
function countNodes(map: SortedMap): u32 {
  let nodes = <u32>(map.address + SMALL_BLOCK_SIZE - map.firstNode) / map.nodeBytes;
  let bytes: u32 = 0;
  for (let address = map.run; address; ) {
    const run = changetype<Run>(address);
    if (ownerOf(address) != Owner.SORTED_MAP || run.bytes == 0 || run.bytes > map.runBytes - bytes) return 0;
    bytes += run.bytes;
    nodes += (run.bytes - RUN_HEADER) / map.nodeBytes;
    address = run.previous;
  }
  return bytes == map.runBytes ? nodes + 1 : 0;
}

/** True if `address` is where a node of the map begins. O(runs). */
function isNode(map: SortedMap, address: Address): bool {
  if (address >= map.firstNode && address < map.address + SMALL_BLOCK_SIZE) {
    return <u32>(address - map.firstNode) % map.nodeBytes == 0;
  }
  for (let run = map.run; run; run = changetype<Run>(run).previous) {
    const offset = <u32>(address - run);
    if (address < run || offset >= changetype<Run>(run).bytes) continue;
    return offset >= RUN_HEADER && (offset - RUN_HEADER) % map.nodeBytes == 0;
  }
  return false;
}

function validateEmpty(map: SortedMap): u32 {
  if (map.size != 0) return Violation.SIZE;
  if (map.nodes != 0) return Violation.NODES;
  if (map.height != 0) return Violation.LEVEL;
  return map.first == 0 && map.last == 0 ? Violation.NONE : Violation.LINKS;
}

/** Walks the whole tree in order; the way back up is in the map's path. */
function validateTree(map: SortedMap): u32 {
  const height = map.height;
  if (height == 0 || height > HEIGHT_LIMIT) return Violation.LEVEL;
  let node = map.root;
  let level = height - 1;
  let previousKey: Address = 0;
  let previousLeaf: Address = 0;
  let entries: u32 = 0;
  let nodes: u32 = 0;
  while (true) {
    // Down to the leftmost leaf that has not been visited.
    while (true) {
      if (++nodes > map.nodes) return Violation.NODES;
      if (!isNode(map, node)) return Violation.FOREIGN_NODE;
      if (changetype<Node>(node).level != level) return Violation.LEVEL;
      if (!isFilled(map, node, level)) return Violation.FILL;
      if (level == 0) break;
      map.step(level).node = node;
      map.step(level).child = 0;
      node = load<Address>(map.childAt(node, 0));
      level--;
    }
    if (changetype<Node>(node).previous != previousLeaf) return Violation.LINKS;
    if ((previousLeaf ? changetype<Node>(previousLeaf).next : map.first) != node) return Violation.LINKS;
    previousLeaf = node;
    const count = changetype<Node>(node).count;
    entries += count;
    for (let index: u32 = 0; index < count; index++) {
      const key = map.keyAt(node, index);
      if (previousKey && compareKeys(map, previousKey, key) >= 0) return Violation.ORDER;
      previousKey = key;
    }
    // Up to the first inner node with a child that has not been visited.
    while (++level < height && map.step(level).child == changetype<Node>(map.step(level).node).count) {}
    if (level == height) break;
    const step = map.step(level);
    const separator = map.keyAt(step.node, step.child);
    // The last key on the left may be the separator itself; the first on the right must be above it.
    if (compareKeys(map, previousKey, separator) > 0) return Violation.ORDER;
    previousKey = separator;
    step.child++;
    node = load<Address>(map.childAt(step.node, step.child));
    level--;
  }
  if (changetype<Node>(previousLeaf).next != 0 || map.last != previousLeaf) return Violation.LINKS;
  if (entries != map.size) return Violation.SIZE;
  return nodes == map.nodes ? Violation.NONE : Violation.NODES;
}

/** True if the node, to which the path leads, holds neither too little nor too much. */
function isFilled(map: SortedMap, node: Address, level: u32): bool {
  const count = changetype<Node>(node).count;
  if (count == 0 || count > (level ? map.innerCapacity : map.leafCapacity)) return false;
  return count >= (level ? map.innerMinimum : map.leafMinimum) || isAtEdge(map, level);
}

/** True if the node to which the path leads is the first or last of its level, or the root. */
function isAtEdge(map: SortedMap, level: u32): bool {
  let first = true;
  let last = true;
  for (let above = level + 1; above < map.height; above++) {
    const step = map.step(above);
    if (step.child != 0) first = false;
    if (step.child != changetype<Node>(step.node).count) last = false;
  }
  return first || last;
}

function compareKeys(map: SortedMap, a: Address, b: Address): i32 {
  if (map.keyKind == Kind.STRUCT) return compareRecords(a, b, map.fields);
  return compareFields(a, b, map.keyKind, 0);
}

function validateFreeList(map: SortedMap): u32 {
  let count: u32 = 0;
  for (let node = map.free; node; node = changetype<Node>(node).next) {
    if (!isNode(map, node)) return Violation.FOREIGN_NODE;
    if (changetype<Node>(node).level != FREE_LEVEL || ++count > map.freeNodes) return Violation.FREE_LIST;
  }
  return count == map.freeNodes ? Violation.NONE : Violation.FREE_LIST;
}
