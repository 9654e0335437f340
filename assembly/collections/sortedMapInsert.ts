// Inserting into a sorted map.

import { Address } from "../memory/alignment";
import { endRefs, SortedMap } from "./sortedMap";
import { Kind } from "./sortedMapKey";
import { reserveNodes, takeNode } from "./sortedMapMemory";
import { clearValue, copyKey, Node, shiftUp } from "./sortedMapNode";
import { locateKey, prepareKey } from "./sortedMapSearch";

/** What a set did. */
export namespace Setting {
  /** The key is NaN, or memory is out: nothing has changed. */
  export const REFUSED: u32 = 0;
  export const UPDATED: u32 = 1;
  export const INSERTED: u32 = 2;
}

/**
 * Sets the value of `key` (see `locateKey`) to a number, in the kind of the map's values; not for values that are 64-bit
 * integers or structs. Refs to entries end if the key is new. O(log n).
 */
export function set(map: SortedMap, key: f64, value: f64): u32 {
  const found = locateKey(map, key);
  const address = found ? map.foundValue : prepareKey(map, key) ? insertLocated(map) : 0;
  if (!address) return Setting.REFUSED;
  storeValue(address, map.valueKind, value);
  return found ? Setting.UPDATED : Setting.INSERTED;
}

/**
 * Returns the address of the value of `key` (see `locateKey`), which is inserted with a value of zeros if it is not
 * there; then refs to entries end. 0 with a status when the key is NaN or memory is out; then nothing has changed.
 * O(log n).
 */
export function insert(map: SortedMap, key: f64): Address {
  if (locateKey(map, key)) return map.foundValue;
  return prepareKey(map, key) ? insertLocated(map) : 0;
}

function storeValue(address: Address, kind: u32, value: f64): void {
  switch (kind) {
    case Kind.F64:
      store<f64>(address, value);
      return;
    case Kind.F32:
      store<f32>(address, <f32>value);
      return;
    case Kind.U32:
      store<u32>(address, <u32>value);
      return;
    case Kind.I32:
      store<i32>(address, <i32>value);
      return;
    case Kind.U16:
    case Kind.I16:
      store<u16>(address, <u16>(<i32>value));
      return;
    default:
      store<u8>(address, <u8>(<i32>value));
  }
}

/** Inserts the key in the slot at the place that the last search found. */
function insertLocated(map: SortedMap): Address {
  const leaf = map.leaf;
  if (!leaf || changetype<Node>(leaf).count == map.leafCapacity) return insertSlow(map);
  if (!endRefs(map)) return 0;
  return insertEntry(map, leaf, map.index);
}

/** Puts the key in the slot at `index` of a leaf that has room. Returns its value, which is zeros. */
function insertEntry(map: SortedMap, leaf: Address, index: u32): Address {
  const count = changetype<Node>(leaf).count;
  const keyBytes = map.keyBytes;
  const valueBytes = map.valueBytes;
  const key = map.keyAt(leaf, index);
  const value = map.valueAt(leaf, index);
  shiftUp(key, map.keyAt(leaf, count), keyBytes);
  shiftUp(value, map.valueAt(leaf, count), valueBytes);
  copyKey(key, map.keySlot, keyBytes);
  clearValue(value, valueBytes);
  changetype<Node>(leaf).count = count + 1;
  map.size++;
  return value;
}

// ── splitting ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the insert that splits a node is part of. Keys that come in order leave full nodes behind. */
namespace Pattern {
  export const SCATTERED: u32 = 0;
  /** The new key is above all others. */
  export const ASCENDING: u32 = 1;
  /** The new key is below all others. */
  export const DESCENDING: u32 = 2;
}

/** Inserts where the leaf is full, or where there is none yet. All that can fail comes before all that changes. */
function insertSlow(map: SortedMap): Address {
  if (!reserveNodes(map, nodesNeeded(map)) || !endRefs(map)) return 0;
  return map.root ? splitLeaf(map) : plant(map);
}

/** The nodes that an insert at the last search's place takes: one for each full node from the leaf upwards, and a root. */
function nodesNeeded(map: SortedMap): u32 {
  let level: u32 = 1;
  while (level < map.height && changetype<Node>(map.step(level).node).count == map.innerCapacity) level++;
  return level >= map.height ? map.height + 1 : level;
}

/** Inserts into an empty map. */
function plant(map: SortedMap): Address {
  const leaf = takeNode(map, 0);
  map.root = leaf;
  map.first = leaf;
  map.last = leaf;
  map.height = 1;
  return insertEntry(map, leaf, 0);
}

function splitLeaf(map: SortedMap): Address {
  const leaf = map.leaf;
  const index = map.index;
  const capacity = map.leafCapacity;
  let pattern = Pattern.SCATTERED;
  let kept = capacity >> 1;
  if (leaf == map.last && index == capacity) {
    pattern = Pattern.ASCENDING;
    kept = capacity;
  } else if (leaf == map.first && index == 0) {
    pattern = Pattern.DESCENDING;
    kept = 0;
  }
  const right = takeNode(map, 0);
  moveEntries(map, leaf, kept, right);
  linkAfter(map, leaf, right);
  // A place right at the split belongs to the left leaf, unless that one stays full.
  const goesLeft = index <= kept && pattern != Pattern.ASCENDING;
  const value = goesLeft ? insertEntry(map, leaf, index) : insertEntry(map, right, index - kept);
  insertChild(map, map.keyAt(leaf, changetype<Node>(leaf).count - 1), right, pattern);
  return value;
}

/** Moves the entries of `leaf` from `kept` on to the empty leaf `right`. */
function moveEntries(map: SortedMap, leaf: Address, kept: u32, right: Address): void {
  const moved = changetype<Node>(leaf).count - kept;
  memory.copy(map.keyAt(right, 0), map.keyAt(leaf, kept), moved * map.keyBytes);
  memory.copy(map.valueAt(right, 0), map.valueAt(leaf, kept), moved * map.valueBytes);
  changetype<Node>(leaf).count = kept;
  changetype<Node>(right).count = moved;
}

function linkAfter(map: SortedMap, leaf: Address, right: Address): void {
  const next = changetype<Node>(leaf).next;
  changetype<Node>(right).previous = leaf;
  changetype<Node>(right).next = next;
  changetype<Node>(leaf).next = right;
  if (next) changetype<Node>(next).previous = right;
  else map.last = right;
}

/**
 * Adds `child` to the right of the child that the last search took at level 1, with the separator at `separator` between
 * them, and splits inner nodes upwards as far as they are full. At most one split a level.
 */
function insertChild(map: SortedMap, separator: Address, child: Address, pattern: u32): void {
  for (let level: u32 = 1; level < map.height; level++) {
    const step = map.step(level);
    if (changetype<Node>(step.node).count < map.innerCapacity) {
      insertSeparator(map, step.node, step.child, separator, child);
      return;
    }
    child = splitInner(map, level, separator, child, pattern);
    separator = map.pivot(level);
  }
  const root = takeNode(map, map.height);
  store<Address>(map.childAt(root, 0), map.root);
  insertSeparator(map, root, 0, separator, child);
  map.root = root;
  map.height++;
}

/** Puts a separator at `index` of an inner node that has room, and `child` to the right of it. */
function insertSeparator(map: SortedMap, inner: Address, index: u32, separator: Address, child: Address): void {
  const count = changetype<Node>(inner).count;
  const key = map.keyAt(inner, index);
  const after = map.childAt(inner, index + 1);
  shiftUp(key, map.keyAt(inner, count), map.keyBytes);
  shiftUp(after, map.childAt(inner, count + 1), 4);
  copyKey(key, separator, map.keyBytes);
  store<Address>(after, child);
  changetype<Node>(inner).count = count + 1;
}

/**
 * Splits the full inner node of the path at `level` and adds `separator` and `child` to one half. Returns the new right
 * half; what separates the two is in `map.pivot(level)`. `separator` may lie in the pivot of the level below.
 */
function splitInner(map: SortedMap, level: u32, separator: Address, child: Address, pattern: u32): Address {
  const step = map.step(level);
  const inner = step.node;
  const index = step.child;
  const capacity = map.innerCapacity;
  // Either half ends with one separator at least, so every inner node has two children or more.
  let kept = capacity >> 1;
  if (pattern == Pattern.ASCENDING) kept = capacity - 1;
  if (pattern == Pattern.DESCENDING) kept = 0;
  const moved = capacity - kept - 1;
  const right = takeNode(map, level);
  copyKey(map.pivot(level), map.keyAt(inner, kept), map.keyBytes);
  memory.copy(map.keyAt(right, 0), map.keyAt(inner, kept + 1), moved * map.keyBytes);
  memory.copy(map.childAt(right, 0), map.childAt(inner, kept + 1), (moved + 1) << 2);
  changetype<Node>(inner).count = kept;
  changetype<Node>(right).count = moved;
  if (index <= kept) insertSeparator(map, inner, index, separator, child);
  else insertSeparator(map, right, index - kept - 1, separator, child);
  return right;
}
