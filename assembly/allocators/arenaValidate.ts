// The check of an arena's invariants.

import { Address } from "../memory/alignment";
import { generationOf, RETIRED } from "../memory/guard";
import { IS_DEBUG } from "../memory/root";
import { Arena, contentOf, firstBlockOf, usedBytes } from "./arena";
import { Block } from "./block";

/**
 * Checks the arena's invariants; O(bytes reserved). Returns 0, or the number of the first one broken: 1 the cursor is in
 * its block, 2 the blocks are chained both ways, 3 their sizes add up, 4 their uses add up, 5 what is unused is zero,
 * 6 the guard is alive, 7 the children know their parent.
 */
export function validateArena(arena: Arena): u32 {
  if (arena.cursor < contentOf(arena, arena.block) || arena.cursor > arena.end) return 1;
  let reserved: u32 = 0;
  let blocks: u32 = 0;
  let used: u32 = 0;
  let passed = false;
  let previous: Address = 0;
  for (let block = firstBlockOf(arena); block; block = changetype<Block>(block).next) {
    const header = changetype<Block>(block);
    if (header.previous != previous) return 2;
    reserved += header.bytes;
    blocks++;
    if (block == arena.block) {
      passed = true;
      if (!isZero(arena.cursor, block + header.bytes)) return 5;
    } else if (passed) {
      if (!isZero(contentOf(arena, block), block + header.bytes)) return 5;
    } else {
      used += header.used;
      if (!isZero(contentOf(arena, block) + header.used, block + header.bytes)) return 5;
    }
    previous = block;
  }
  if (!passed) return 2;
  for (let block = arena.oversize; block; block = changetype<Block>(block).previous) {
    reserved += changetype<Block>(block).bytes;
    used += changetype<Block>(block).used;
    blocks++;
  }
  if (reserved != arena.reserved || blocks != arena.blocks) return 3;
  if (used != arena.usedBefore || usedBytes(arena) > arena.maximumBytes) return 4;
  if (generationOf(arena.guard) == RETIRED) return 6;
  let children: u32 = 0;
  for (let child = arena.firstChild; child; child = changetype<Arena>(child).nextSibling) {
    if (changetype<Arena>(child).parent != changetype<Address>(arena)) return 7;
    children++;
  }
  return children == arena.childCount && blocks + children == arena.pieces ? 0 : 7;
}

/** In the debug module the unused part of a block is poisoned instead, and cleared when it is handed out. */
function isZero(start: Address, end: Address): bool {
  if (IS_DEBUG) return true;
  for (; start < end; start += 8) if (load<u64>(start)) return false;
  return true;
}
