// Nodes of the sorted map's tree. Keys lie apart from values, so that a search reads nothing but keys.
//
//   leaf    ┌──────┬──────────┬───────┬───────┬─────────────── ─ ─ ┬──────────────────── ─ ─ ┐
//           │ next │ previous │ count │ level │ key 0, key 1, …    │ value 0, value 1, …     │
//           └──────┴──────────┴───────┴───────┴─────────────── ─ ─ ┴──────────────────── ─ ─ ┘
//   inner   ┌──────┬──────────┬───────┬───────┬─────────────── ─ ─ ┬──────────────────── ─ ─ ┐
//           │ 0    │ 0        │ count │ level │ separator 0, …     │ child 0, child 1, …     │   count + 1 children
//           └──────┴──────────┴───────┴───────┴─────────────── ─ ─ ┴──────────────────── ─ ─ ┘
//           0      4          8       12      16
//
// Every key under child i is above separator i − 1 and at or below separator i. The child of a key is then found by the
// same search as an entry of a leaf: both are the number of keys below it.

import { Address } from "../memory/alignment";

@unmanaged
export class Node {
  /** Leaves: the neighbours in ascending order. Free nodes: the next free one. */
  next: Address;
  previous: Address;
  /** Entries of a leaf, separators of an inner node. */
  count: u32;
  /** 0 for a leaf, one more than its children's for an inner node, {@link FREE_LEVEL} for a free node. */
  level: u32;
}

export const NODE_HEADER: u32 = offsetof<Node>();
if (NODE_HEADER != 16) ERROR("keys must begin on a multiple of 16");

/** Nodes begin on cache lines. */
export const NODE_ALIGNMENT: u32 = 64;

export const FREE_LEVEL: u32 = u32.MAX_VALUE;

/** Moves the bytes from `start` to `end` up by `distance`. */
export function shiftUp(start: Address, end: Address, distance: u32): void {
  memory.copy(start + distance, start, end - start);
}

/** Moves the bytes from `start` to `end` down by `distance`. */
export function shiftDown(start: Address, end: Address, distance: u32): void {
  memory.copy(start - distance, start, end - start);
}

/** Copies a key of 1 to 64 bytes. Most have 8 or 4, for which a call of `memory.copy` would cost more than the rest. */
export function copyKey(target: Address, source: Address, bytes: u32): void {
  if (bytes == 8) store<u64>(target, load<u64>(source));
  else if (bytes == 4) store<u32>(target, load<u32>(source));
  else memory.copy(target, source, bytes);
}

/** Sets a value to zeros. */
export function clearValue(value: Address, bytes: u32): void {
  if (bytes == 8) store<u64>(value, 0);
  else memory.fill(value, 0, bytes);
}
