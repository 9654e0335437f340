// The sorted map's nodes: taken from a list of freed ones, then from the unused rest of the newest run of pages.

import { Address, PAGE_SIZE } from "../memory/alignment";
import { poison } from "../memory/clear";
import { allocatePages, Owner } from "../memory/pageHeap";
import { IS_DEBUG } from "../memory/root";
import { KEY_LIMIT, RUN_HEADER, Run, SortedMap, VALUE_LIMIT } from "./sortedMap";
import { FREE_LEVEL, NODE_HEADER, Node } from "./sortedMapNode";

/** Runs double up to here: the unused part of the newest one is the most that a map wastes. */
const RUN_PAGES_LIMIT: u32 = 16;
if ((KEY_LIMIT + VALUE_LIMIT) * 8 + 128 > PAGE_SIZE / 4)
  ERROR("a run of one page must hold several of the largest nodes");

/**
 * Makes sure that `count` nodes can be taken. Returns false, with a status, when memory is out; then the map may hold
 * more unused nodes than before, and nothing else has changed. O(1) but for the page heap's search.
 */
export function reserveNodes(map: SortedMap, count: u32): bool {
  while (map.freeNodes + unusedNodes(map) < count) {
    if (!addRun(map)) return false;
  }
  return true;
}

function unusedNodes(map: SortedMap): u32 {
  return <u32>(map.limit - map.cursor) / map.nodeBytes;
}

function addRun(map: SortedMap): bool {
  let pages = map.nextPages;
  let address = allocatePages(pages, Owner.SORTED_MAP);
  if (!address && pages > 1) {
    pages = 1;
    address = allocatePages(pages, Owner.SORTED_MAP);
  }
  if (!address) return false;
  // The rest of the run before: no more nodes than an insert can need, or there would be no new run.
  while (map.cursor < map.limit) {
    release(map, map.cursor);
    map.cursor += map.nodeBytes;
  }
  const run = changetype<Run>(address);
  run.previous = map.run;
  run.bytes = pages * PAGE_SIZE;
  map.run = address;
  map.runBytes += run.bytes;
  map.nextPages = min(map.nextPages * 2, RUN_PAGES_LIMIT);
  map.cursor = address + RUN_HEADER;
  map.limit = map.cursor + ((run.bytes - RUN_HEADER) / map.nodeBytes) * map.nodeBytes;
  return true;
}

/** Takes a node that has been reserved. */
export function takeNode(map: SortedMap, level: u32): Address {
  let address = map.free;
  if (address) {
    map.free = changetype<Node>(address).next;
    map.freeNodes--;
  } else {
    address = map.cursor;
    map.cursor += map.nodeBytes;
  }
  map.nodes++;
  const node = changetype<Node>(address);
  node.next = 0;
  node.previous = 0;
  node.count = 0;
  node.level = level;
  return address;
}

/** Takes back a node in use. */
export function freeNode(map: SortedMap, address: Address): void {
  map.nodes--;
  release(map, address);
}

function release(map: SortedMap, address: Address): void {
  if (IS_DEBUG) poison(address + NODE_HEADER, address + map.nodeBytes);
  const node = changetype<Node>(address);
  node.next = map.free;
  node.level = FREE_LEVEL;
  map.free = address;
  map.freeNodes++;
}
