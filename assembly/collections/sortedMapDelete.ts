// Deleting from a sorted map.

import { Address } from "../memory/alignment";
import { endRefs, SortedMap } from "./sortedMap";
import { freeNode } from "./sortedMapMemory";
import { copyKey, Node, shiftDown, shiftUp } from "./sortedMapNode";
import { locateKey } from "./sortedMapSearch";

/** What a delete did. */
export namespace Deletion {
  /** The guard had to be replaced and memory is out: nothing has changed. */
  export const REFUSED: u32 = 0;
  export const ABSENT: u32 = 1;
  export const DELETED: u32 = 2;
}

/** Removes the entry of `key` (see `locateKey`), which ends refs to entries. O(log n). */
export function deleteKey(map: SortedMap, key: f64): u32 {
  if (!locateKey(map, key)) return Deletion.ABSENT;
  if (!endRefs(map)) return Deletion.REFUSED;
  const leaf = map.leaf;
  const count = changetype<Node>(leaf).count - 1;
  const after = map.index + 1;
  shiftDown(map.keyAt(leaf, after), map.keyAt(leaf, count + 1), map.keyBytes);
  shiftDown(map.valueAt(leaf, after), map.valueAt(leaf, count + 1), map.valueBytes);
  changetype<Node>(leaf).count = count;
  map.size--;
  if (count < map.leafMinimum) mend(map);
  return Deletion.DELETED;
}

/** Puts right a leaf that holds too little, and the inner nodes above it that come to hold too little by that. */
function mend(map: SortedMap): void {
  if (map.height == 1) {
    if (map.size == 0) uproot(map);
    return;
  }
  if (!mendLeaf(map)) return;
  let level: u32 = 1;
  while (level < map.height - 1 && changetype<Node>(map.step(level).node).count < map.innerMinimum) {
    if (!mendInner(map, level)) return;
    level++;
  }
  // Only a root can be left with a single child: below it there is always a neighbour to join or to take from.
  const root = map.root;
  if (changetype<Node>(root).count > 0) return;
  map.root = load<Address>(map.childAt(root, 0));
  map.height--;
  freeNode(map, root);
}

/** Makes the map empty when its last entry is gone. */
function uproot(map: SortedMap): void {
  freeNode(map, map.root);
  map.root = 0;
  map.first = 0;
  map.last = 0;
  map.height = 0;
}

/** The most that a node formed of two may hold: a quarter stays free, so that it is not split again at once. */
function joinLimit(capacity: u32): u32 {
  return capacity - (capacity >> 2);
}

/** Joins the leaf of the last search with its neighbour, or evens the two out. Returns true if they were joined. */
function mendLeaf(map: SortedMap): bool {
  const step = map.step(1);
  const index = step.child ? step.child - 1 : 0;
  const left = load<Address>(map.childAt(step.node, index));
  const right = load<Address>(map.childAt(step.node, index + 1));
  const total = changetype<Node>(left).count + changetype<Node>(right).count;
  if (total <= joinLimit(map.leafCapacity)) {
    appendEntries(map, left, right);
    unlinkAfter(map, left, right);
    removeSeparator(map, step.node, index);
    freeNode(map, right);
    return true;
  }
  evenLeaves(map, left, right, total >> 1);
  copyKey(map.keyAt(step.node, index), map.keyAt(left, (total >> 1) - 1), map.keyBytes);
  return false;
}

function appendEntries(map: SortedMap, left: Address, right: Address): void {
  const count = changetype<Node>(left).count;
  const moved = changetype<Node>(right).count;
  memory.copy(map.keyAt(left, count), map.keyAt(right, 0), moved * map.keyBytes);
  memory.copy(map.valueAt(left, count), map.valueAt(right, 0), moved * map.valueBytes);
  changetype<Node>(left).count = count + moved;
}

function unlinkAfter(map: SortedMap, left: Address, right: Address): void {
  const next = changetype<Node>(right).next;
  changetype<Node>(left).next = next;
  if (next) changetype<Node>(next).previous = left;
  else map.last = left;
}

/** Moves entries between two leaves until the left one has `target`. */
function evenLeaves(map: SortedMap, left: Address, right: Address, target: u32): void {
  const leftCount = changetype<Node>(left).count;
  const rightCount = changetype<Node>(right).count;
  if (leftCount < target) {
    const moved = target - leftCount;
    memory.copy(map.keyAt(left, leftCount), map.keyAt(right, 0), moved * map.keyBytes);
    memory.copy(map.valueAt(left, leftCount), map.valueAt(right, 0), moved * map.valueBytes);
    shiftDown(map.keyAt(right, moved), map.keyAt(right, rightCount), moved * map.keyBytes);
    shiftDown(map.valueAt(right, moved), map.valueAt(right, rightCount), moved * map.valueBytes);
  } else {
    const moved = leftCount - target;
    shiftUp(map.keyAt(right, 0), map.keyAt(right, rightCount), moved * map.keyBytes);
    shiftUp(map.valueAt(right, 0), map.valueAt(right, rightCount), moved * map.valueBytes);
    memory.copy(map.keyAt(right, 0), map.keyAt(left, target), moved * map.keyBytes);
    memory.copy(map.valueAt(right, 0), map.valueAt(left, target), moved * map.valueBytes);
  }
  changetype<Node>(left).count = target;
  changetype<Node>(right).count = leftCount + rightCount - target;
}

/** Removes separator `index` of an inner node, and the child to the right of it. */
function removeSeparator(map: SortedMap, inner: Address, index: u32): void {
  const count = changetype<Node>(inner).count;
  shiftDown(map.keyAt(inner, index + 1), map.keyAt(inner, count), map.keyBytes);
  shiftDown(map.childAt(inner, index + 2), map.childAt(inner, count + 1), 4);
  changetype<Node>(inner).count = count - 1;
}

/** As {@link mendLeaf}, for the inner node of the path at `level`, which has a parent. */
function mendInner(map: SortedMap, level: u32): bool {
  const step = map.step(level + 1);
  const index = step.child ? step.child - 1 : 0;
  const left = load<Address>(map.childAt(step.node, index));
  const right = load<Address>(map.childAt(step.node, index + 1));
  const separator = map.keyAt(step.node, index);
  // The separator between the two counts as well: it comes down.
  const total = changetype<Node>(left).count + 1 + changetype<Node>(right).count;
  if (total <= joinLimit(map.innerCapacity)) {
    takeFromRight(map, left, right, separator, changetype<Node>(right).count + 1);
    removeSeparator(map, step.node, index);
    freeNode(map, right);
    return true;
  }
  const target = total >> 1;
  const leftCount = changetype<Node>(left).count;
  if (leftCount < target) takeFromRight(map, left, right, separator, target - leftCount);
  else takeFromLeft(map, left, right, separator, leftCount - target);
  return false;
}

/** Moves the first `moved` children of `right` to the end of `left`; the separator between the two goes round. */
function takeFromRight(map: SortedMap, left: Address, right: Address, separator: Address, moved: u32): void {
  const leftCount = changetype<Node>(left).count;
  const rightCount = changetype<Node>(right).count;
  copyKey(map.keyAt(left, leftCount), separator, map.keyBytes);
  memory.copy(map.keyAt(left, leftCount + 1), map.keyAt(right, 0), (moved - 1) * map.keyBytes);
  memory.copy(map.childAt(left, leftCount + 1), map.childAt(right, 0), moved << 2);
  changetype<Node>(left).count = leftCount + moved;
  // All of them: `right` is about to be freed, and the separator to be removed.
  if (moved > rightCount) return;
  copyKey(separator, map.keyAt(right, moved - 1), map.keyBytes);
  shiftDown(map.keyAt(right, moved), map.keyAt(right, rightCount), moved * map.keyBytes);
  shiftDown(map.childAt(right, moved), map.childAt(right, rightCount + 1), moved << 2);
  changetype<Node>(right).count = rightCount - moved;
}

/** Moves the last `moved` children of `left` to the start of `right`; the separator between the two goes round. */
function takeFromLeft(map: SortedMap, left: Address, right: Address, separator: Address, moved: u32): void {
  const kept = changetype<Node>(left).count - moved;
  const rightCount = changetype<Node>(right).count;
  shiftUp(map.keyAt(right, 0), map.keyAt(right, rightCount), moved * map.keyBytes);
  shiftUp(map.childAt(right, 0), map.childAt(right, rightCount + 1), moved << 2);
  memory.copy(map.keyAt(right, 0), map.keyAt(left, kept + 1), (moved - 1) * map.keyBytes);
  copyKey(map.keyAt(right, moved - 1), separator, map.keyBytes);
  memory.copy(map.childAt(right, 0), map.childAt(left, kept + 1), moved << 2);
  copyKey(separator, map.keyAt(left, kept), map.keyBytes);
  changetype<Node>(left).count = kept;
  changetype<Node>(right).count = rightCount + moved;
}
