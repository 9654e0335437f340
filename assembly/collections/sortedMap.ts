// Sorted map: a B+ tree (Bayer and McCreight 1972; Comer, "The ubiquitous B-tree", 1979) that owns its memory.
//
//   first block (a small block of 4,352 B)                                     runs of 1, 2, 4, … 16 pages
//   ┌────────┬───────────┬────────┬──────┬────────────┬────────────┬ ─ ─ ─ ┐   ┌─────┬──────┬──────┬ ─ ─ ─ ┐
//   │ header │ key slots │ pivots │ path │ key fields │ value slot │ nodes │   │ run │ node │ node │ nodes │
//   └────────┴───────────┴────────┴──────┴────────────┴────────────┴ ─ ─ ─ ┘   └─────┴──────┴──────┴ ─ ─ ─ ┘
//
// All leaves have the same depth and are linked both ways. Keys ascend; whoever wants them descending reads from the
// other end.
//
// Bounds. An insert splits at most one node a level, a delete merges or balances at most one a level, and either moves
// at most one node's bytes a level: there is no moment at which the whole tree is rebuilt. Nodes other than the first and
// last of their level are at least a quarter full. After a split or a merge, a quarter of a node's capacity must change
// before the next one there, so their cost is O(1) an operation on average. Keys that come in order (or in reverse)
// leave full nodes behind them.
//
// What deletes free goes on a list of the map's own, and inserts take from it first. `clear` gives back every run.
//
// The map owns a guard; every insert of a new key, every delete, and clear end the refs to its entries, which may have
// moved. Writing a value in place does not.

import { Address, alignUp } from "../memory/alignment";
import { poison } from "../memory/clear";
import { advanceGuard, allocateGuard, freeGuard, generationOf } from "../memory/guard";
import { freePages, Owner } from "../memory/pageHeap";
import { fail, IS_DEBUG } from "../memory/root";
import { allocateSmallBlock, freeSmallBlock, SMALL_BLOCK_SIZE } from "../memory/smallBlock";
import { Status } from "../memory/status";
import { KeyFields } from "./sortedMapKey";
import { NODE_ALIGNMENT, NODE_HEADER, Node } from "./sortedMapNode";

/** The largest key and value, in bytes, and the most fields that a struct as key can have. */
export const KEY_LIMIT: u32 = 64;
export const VALUE_LIMIT: u32 = 1024;
const FIELD_LIMIT: u32 = 64;

/**
 * A node is this large, and larger where it would hold less than the minima below. Of 384 to 2,048 B this is the best for
 * entries of 8 + 8 bytes: larger nodes cost more for each insert into 5,000 entries (58 → 67 ns), smaller ones add a
 * level at a million.
 */
const NODE_TARGET: u32 = 576;
const LEAF_MINIMUM_CAPACITY: u32 = 8;
const INNER_MINIMUM_CAPACITY: u32 = 15;

/**
 * The most levels of a tree. Inner nodes that are not at the edge of their level have at least 4 children and those at
 * the edge 2, so a level has at most a quarter as many nodes as the one below it, plus 1; and of the smallest nodes
 * fewer than 2^23 fit in memory, so there are at most 14 levels.
 */
export const HEIGHT_LIMIT: u32 = 16;
if (NODE_TARGET < 512) ERROR("more nodes would fit in memory than the bound of the height counts on");

@unmanaged
export class SortedMap {
  /** Entries. */
  size: u32;
  /** The root node; 0 while the map is empty. */
  root: Address;
  /** Levels of the tree; 0 while the map is empty, 1 while the root is a leaf. */
  height: u32;
  /** The first and last leaf; 0 while the map is empty. */
  first: Address;
  last: Address;
  /** The guard of refs that are made now, and its generation. */
  guard: Address;
  generation: u32;

  /** Where the last search ended: the entry that it found, or the place where its key would be inserted. */
  leaf: Address;
  index: u32;

  keyKind: u32;
  keyBytes: u32;
  valueKind: u32;
  valueBytes: u32;
  /** Where values and children begin in a node. */
  valuesOffset: u32;
  childrenOffset: u32;
  leafCapacity: u32;
  /** The most separators of an inner node; it has one child more. */
  innerCapacity: u32;

  nodeBytes: u32;
  /** Nodes in use. */
  nodes: u32;
  /** Nodes that deletes have given back. */
  freeNodes: u32;
  free: Address;
  /** The nodes that have never been used: from here to the limit. */
  cursor: Address;
  limit: Address;
  /** The newest run of pages, the size of the next one, and the bytes of all. */
  run: Address;
  nextPages: u32;
  runBytes: u32;
  /** Where the value slot, in which TypeScript prepares values, and the first node lie in the first block. */
  valueSlot: Address;
  firstNode: Address;

  get address(): Address {
    return changetype<Address>(this);
  }

  /** Where the key of a call lies that is not passed as a number, and every key that is being inserted. */
  get keySlot(): Address {
    return this.address + KEY_SLOT;
  }

  /** Where the separator lies that moves up from a split at `level`. */
  pivot(level: u32): Address {
    return this.address + PIVOTS + (level & 1) * KEY_LIMIT;
  }

  get fields(): KeyFields {
    return changetype<KeyFields>(this.address + KEY_FIELDS);
  }

  /** The step that the last search took at `level`, counted from the leaves. */
  step(level: u32): Step {
    return changetype<Step>(this.address + PATH + level * offsetof<Step>());
  }

  /** Fewer entries than this, and a leaf takes from its neighbour or joins it. */
  get leafMinimum(): u32 {
    return this.leafCapacity >> 2;
  }

  get innerMinimum(): u32 {
    return this.innerCapacity >> 2;
  }

  keyAt(node: Address, index: u32): Address {
    return node + NODE_HEADER + index * this.keyBytes;
  }

  valueAt(leaf: Address, index: u32): Address {
    return leaf + this.valuesOffset + index * this.valueBytes;
  }

  childAt(inner: Address, index: u32): Address {
    return inner + this.childrenOffset + (index << 2);
  }

  /** The value of the entry that the last search found. */
  get foundValue(): Address {
    return this.valueAt(this.leaf, this.index);
  }
}

/** An inner node that a search went through, and the child that it took. */
@unmanaged
export class Step {
  node: Address;
  child: u32;
}

export const KEY_SLOT: u32 = 128;
/** Where TypeScript shows a copy of a struct as key, so that nobody can write to the key itself. */
export const SHOWN_KEY: u32 = KEY_SLOT + KEY_LIMIT;
const PIVOTS: u32 = SHOWN_KEY + KEY_LIMIT;
const PATH: u32 = PIVOTS + 2 * KEY_LIMIT;
export const KEY_FIELDS: u32 = PATH + HEIGHT_LIMIT * 8;
const FIRST_BLOCK_MINIMUM: u32 = KEY_FIELDS + 4 + FIELD_LIMIT * 4 + VALUE_LIMIT + 8;
if (offsetof<SortedMap>() > KEY_SLOT) ERROR("the header runs into the key slot");
if (offsetof<Step>() != 8) ERROR("the path must have room for every step");
if (FIRST_BLOCK_MINIMUM > SMALL_BLOCK_SIZE) ERROR("the first block must hold everything that is no node");
if (INNER_MINIMUM_CAPACITY * 3 < 8 * 4) ERROR("two inner nodes that are balanced must both be above their minimum");

// ── making and destroying ───────────────────────────────────────────────────────────────────────────────────────────

/**
 * Returns a new, empty map, or 0 with a status.
 *
 * @param keyKind a kind of number, or `Kind.STRUCT` for all others; then the caller writes the key's fields to `map.fields`
 * @param keyBytes the size of a key, 1 to 64
 * @param valueKind a kind of number, `Kind.BOOL`, `Kind.TEXT` or `Kind.STRUCT`
 * @param valueBytes the size of a value, 1 to 1,024
 * @param fields the number of fields of a key that is `Kind.STRUCT`, 0 to 64
 */
export function createSortedMap(keyKind: u32, keyBytes: u32, valueKind: u32, valueBytes: u32, fields: u32): Address {
  if (keyBytes - 1 >= KEY_LIMIT) return fail(Status.INVALID_SIZE, keyBytes);
  if (valueBytes - 1 >= VALUE_LIMIT) return fail(Status.INVALID_SIZE, valueBytes);
  if (fields > FIELD_LIMIT) return fail(Status.INVALID_SIZE, fields);
  const guard = allocateGuard();
  if (!guard) return 0;
  const address = allocateSmallBlock();
  if (!address) {
    freeGuard(guard);
    return 0;
  }
  memory.fill(address, 0, SMALL_BLOCK_SIZE);
  const map = changetype<SortedMap>(address);
  map.guard = guard;
  map.generation = generationOf(guard);
  map.keyKind = keyKind;
  map.keyBytes = keyBytes;
  map.valueKind = valueKind;
  map.valueBytes = valueBytes;
  map.fields.count = fields;
  map.valueSlot = alignUp(address + KEY_FIELDS + 4 + fields * 4, 8);
  map.firstNode = alignUp(map.valueSlot + valueBytes, NODE_ALIGNMENT);
  layOutNodes(map);
  forgetNodes(map);
  return address;
}

/** Chooses the size of the nodes, and lays out what is in them. */
function layOutNodes(map: SortedMap): void {
  const entry = map.keyBytes + map.valueBytes;
  const branch = map.keyBytes + 4;
  // What is lost where values are moved up to a multiple of 8 and children to one of 4; and the child too many.
  const leafLoss = NODE_HEADER + (map.keyBytes & 7 ? 8 : 0);
  const innerLoss = NODE_HEADER + (map.keyBytes & 3 ? 4 : 0) + 4;
  const least = max(leafLoss + LEAF_MINIMUM_CAPACITY * entry, innerLoss + INNER_MINIMUM_CAPACITY * branch);
  map.nodeBytes = <u32>alignUp(max(least, NODE_TARGET), NODE_ALIGNMENT);
  map.leafCapacity = (map.nodeBytes - leafLoss) / entry;
  map.innerCapacity = (map.nodeBytes - innerLoss) / branch;
  map.valuesOffset = <u32>alignUp(NODE_HEADER + map.leafCapacity * map.keyBytes, 8);
  map.childrenOffset = <u32>alignUp(NODE_HEADER + map.innerCapacity * map.keyBytes, 4);
}

/** Makes the map empty, with all nodes of its first block unused. Its runs have been given back. */
function forgetNodes(map: SortedMap): void {
  map.size = 0;
  map.root = 0;
  map.height = 0;
  map.first = 0;
  map.last = 0;
  map.leaf = 0;
  map.index = 0;
  map.nodes = 0;
  map.freeNodes = 0;
  map.free = 0;
  const room = <u32>(map.address + SMALL_BLOCK_SIZE - map.firstNode) / map.nodeBytes;
  map.cursor = map.firstNode;
  map.limit = map.cursor + room * map.nodeBytes;
  map.run = 0;
  map.nextPages = 1;
  map.runBytes = 0;
}

/** Ends every ref into the map and gives all its memory back. O(runs). */
export function destroySortedMap(map: SortedMap): void {
  freeGuard(map.guard);
  freeRuns(map);
  if (IS_DEBUG) poison(map.address, map.address + SMALL_BLOCK_SIZE);
  freeSmallBlock(map.address);
}

/**
 * Removes every entry, ends every ref into the map and gives back all memory but the first block. Returns 1, or 0 with a
 * status when the guard had to be replaced and memory is out; then nothing has changed. O(runs).
 */
export function clearSortedMap(map: SortedMap): u32 {
  if (!endRefs(map)) return 0;
  freeRuns(map);
  if (IS_DEBUG) poison(map.firstNode, map.address + SMALL_BLOCK_SIZE);
  forgetNodes(map);
  return 1;
}

/** Ends every ref to the map's entries. False, with a status and nothing changed, when memory is out. */
export function endRefs(map: SortedMap): bool {
  const guard = advanceGuard(map.guard);
  if (!guard) return false;
  map.guard = guard;
  map.generation = generationOf(guard);
  return true;
}

/** The head of a run of pages; its nodes follow at the next cache line. */
@unmanaged
export class Run {
  /** The run taken before this one. */
  previous: Address;
  bytes: u32;
}
export const RUN_HEADER: u32 = NODE_ALIGNMENT;
if (offsetof<Run>() > RUN_HEADER) ERROR("a run's head must fit before its first node");

function freeRuns(map: SortedMap): void {
  let run = map.run;
  while (run) {
    const previous = changetype<Run>(run).previous;
    if (IS_DEBUG) poison(run, run + changetype<Run>(run).bytes);
    freePages(run, Owner.SORTED_MAP);
    run = previous;
  }
}
