// Finding the place of a key in a sorted map.

import { Address } from "../memory/alignment";
import { fail } from "../memory/root";
import { Status } from "../memory/status";
import { SortedMap } from "./sortedMap";
import { compareFields, compareRecords, equals, Kind, prepareRecord, Record, rank, storeFloat } from "./sortedMapKey";
import { NODE_HEADER, Node } from "./sortedMapNode";

/** Which neighbour of a key is meant. */
export namespace Neighbour {
  export const BELOW: u32 = 0;
  export const AT_OR_BELOW: u32 = 1;
  export const AT_OR_ABOVE: u32 = 2;
  export const ABOVE: u32 = 3;
}

/**
 * Searches for `key`, notes the place in `map.leaf` and `map.index` and the way to it in the map's path, and returns
 * true if the key is there. A key that is not a number is nowhere. O(log n).
 */
function locate<K>(map: SortedMap, key: K): bool {
  let node = map.root;
  let level = map.height;
  map.leaf = node;
  map.index = 0;
  if (level == 0) return false;
  const fields = map.fields;
  const bytes = map.keyBytes;
  const childrenOffset = map.childrenOffset;
  // One loop for both kinds of node, so that the search in a node is compiled in place.
  while (true) {
    level--;
    const index = rank<K>(node + NODE_HEADER, changetype<Node>(node).count, key, bytes, fields);
    if (level == 0) {
      map.leaf = node;
      map.index = index;
      return index < changetype<Node>(node).count && equals<K>(node + NODE_HEADER + index * bytes, key, fields);
    }
    const step = map.step(level);
    step.node = node;
    step.child = index;
    node = load<Address>(node + childrenOffset + (index << 2));
  }
}

/** As {@link locate}, for a key of the map's own kind: `key` if that is a number of at most 32 bits or f64, else the slot's. */
export function locateKey(map: SortedMap, key: f64): bool {
  const slot = map.keySlot;
  switch (map.keyKind) {
    case Kind.F64:
      return locate<f64>(map, key);
    case Kind.F32:
      return locate<f32>(map, <f32>key);
    case Kind.U32:
      return locate<u32>(map, <u32>key);
    case Kind.I32:
      return locate<i32>(map, <i32>key);
    case Kind.U16:
      return locate<u16>(map, <u16>key);
    case Kind.I16:
      return locate<i16>(map, <i16>key);
    case Kind.U8:
      return locate<u8>(map, <u8>key);
    case Kind.I8:
      return locate<i8>(map, <i8>key);
    case Kind.U64:
      return locate<u64>(map, load<u64>(slot));
    case Kind.I64:
      return locate<i64>(map, load<i64>(slot));
    default:
      return locate<Record>(map, changetype<Record>(slot));
  }
}

/**
 * Writes the key that is about to be inserted to the key slot, as nodes hold it: −0 as 0. Returns false, with a status,
 * if it is NaN or has a field that is.
 */
export function prepareKey(map: SortedMap, key: f64): bool {
  const slot = map.keySlot;
  switch (map.keyKind) {
    case Kind.F64:
      return storeFloat<f64>(slot, key) || refuseKey();
    case Kind.F32:
      return storeFloat<f32>(slot, <f32>key) || refuseKey();
    case Kind.U32:
      store<u32>(slot, <u32>key);
      return true;
    case Kind.I32:
      store<i32>(slot, <i32>key);
      return true;
    case Kind.U16:
      store<u16>(slot, <u16>key);
      return true;
    case Kind.I16:
      store<i16>(slot, <i16>key);
      return true;
    case Kind.U8:
      store<u8>(slot, <u8>key);
      return true;
    case Kind.I8:
      store<i8>(slot, <i8>key);
      return true;
    case Kind.U64:
    case Kind.I64:
      return true;
    default:
      return prepareRecord(slot, map.fields) || refuseKey();
  }
}

/** Notes that a key has no place in the order. */
function refuseKey(): bool {
  fail(Status.INVALID_KEY, 0);
  return false;
}

/** Returns the address of the value of `key` (see {@link locateKey}), or 0 if it is not there. O(log n). */
export function find(map: SortedMap, key: f64): Address {
  return locateKey(map, key) ? map.foundValue : 0;
}

/**
 * Moves `map.leaf` and `map.index` to a neighbour of `key` (see {@link locateKey}), which need not be in the map itself.
 * Returns the leaf, or 0 if there is no such entry. O(log n).
 */
export function seekNeighbour(map: SortedMap, key: f64, neighbour: u32): Address {
  const found = locateKey(map, key);
  if (!map.root) return 0;
  if (neighbour >= Neighbour.AT_OR_ABOVE) {
    if (found && neighbour == Neighbour.ABOVE) map.index++;
    // Only past the last key of a leaf does the search end outside of it, so one step along the links is enough.
    if (map.index == changetype<Node>(map.leaf).count) {
      map.leaf = changetype<Node>(map.leaf).next;
      map.index = 0;
    }
    return map.leaf;
  }
  if (found && neighbour == Neighbour.AT_OR_BELOW) return map.leaf;
  if (map.index == 0) {
    map.leaf = changetype<Node>(map.leaf).previous;
    if (!map.leaf) return 0;
    map.index = changetype<Node>(map.leaf).count;
  }
  map.index--;
  return map.leaf;
}

/** Below, at or above 0 as the key at `address` comes before, with or after `key` (see {@link locateKey}). */
export function compareTo(map: SortedMap, address: Address, key: f64): i32 {
  // A key that is not a number stands in the slot already, or is a struct, whose fields need no preparation here.
  if (map.keyKind == Kind.STRUCT) return compareRecords(address, map.keySlot, map.fields);
  prepareKey(map, key);
  return compareFields(address, map.keySlot, map.keyKind, 0);
}
