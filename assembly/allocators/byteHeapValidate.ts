// A walk over a whole byte heap that checks every invariant. For tests, and for users of the debug module.

import { Address, PAGE_SHIFT } from "../memory/alignment";
import { Owner, ownerOf } from "../memory/pageHeap";
import { IS_DEBUG } from "../memory/root";
import { CLASS_COUNT, classBytes, GRANULE, GRANULE_SHIFT } from "../memory/sizeClass";
import { AREA_HEADER, Area } from "./area";
import { BIN_COUNT, BLOCK_GRAIN, BLOCK_MINIMUM, binOf, TAG_SIZE, TaggedBlock } from "./boundaryTag";
import { ByteHeap } from "./byteHeap";
import { givenAddress } from "./checkedBlock";
import { Findings, found, Violation } from "./findings";
import { FreeRun, LAST_BIN } from "./freeRuns";
import { contentOf, isGuardedSound } from "./guardedBlock";
import {
  ALL_GRANULES,
  FIRST_GRANULE,
  freeFrom,
  GranuleState,
  granulesOf,
  heapOf,
  isSpanPage,
  LAST_GRANULE,
  nextPageOf,
  stateOf,
} from "./span";

/** Checks everything. Returns 1 if all is well, or 0 with the violation and its address in `findings`. O(blocks) */
export function validateByteHeap(heap: ByteHeap, findings: Findings): u32 {
  memory.fill(changetype<Address>(findings), 0, offsetof<Findings>());
  if (!walkSpans(heap, findings) || !walkWarm(heap, findings) || !walkRuns(heap, findings)) return 0;
  if (!walkAreas(heap, findings)) return 0;
  return walkBins(heap, findings) ? 1 : 0;
}

function walkSpans(heap: ByteHeap, findings: Findings): bool {
  let pages: u32 = 0;
  let empty: u32 = 0;
  for (let page = heap.runs.firstPage; page; page = nextPageOf(page)) {
    if (!isSpanPage(page) || heapOf(page) != changetype<Address>(heap)) return found(findings, Violation.OWNER, page);
    pages++;
    if (freeFrom(page + FIRST_GRANULE) == ALL_GRANULES) empty++;
    if (!walkSpan(heap, page, findings)) return false;
  }
  const isRight = pages == heap.runs.pages && empty == heap.runs.emptyPages && empty <= 1;
  return isRight || found(findings, Violation.FIGURES, heap.runs.firstPage);
}

/** Goes from block to block, and over the runs between them: together they are the whole page. */
function walkSpan(heap: ByteHeap, page: Address, findings: Findings): bool {
  let address = page + FIRST_GRANULE;
  let isBehindFree = false;
  while (address < page + LAST_GRANULE) {
    const state = stateOf(address);
    const isFree = state == GranuleState.FREE || state == GranuleState.WARM;
    if (isFree) {
      findings.freePieces++;
      if (!isBehindFree) findings.freeBlocks++;
    }
    isBehindFree = isFree;
    if (state == GranuleState.FREE) {
      address += freeFrom(address) << GRANULE_SHIFT;
      continue;
    }
    const granules = granulesOf(address);
    if (state == GranuleState.INSIDE || granules > CLASS_COUNT) return found(findings, Violation.SPAN, address);
    const bytes = classBytes(granules);
    if (!isFree) {
      if (IS_DEBUG && !isGuardedSound(address, bytes)) return foundDamage(heap, findings, address);
      findings.blocks++;
      findings.bytes += bytes;
    }
    address += bytes;
  }
  return address == page + LAST_GRANULE || found(findings, Violation.SPAN, address);
}

/** Every block that a class knows as warm is one. */
function walkWarm(heap: ByteHeap, findings: Findings): bool {
  for (let granules: u32 = 1; granules <= CLASS_COUNT; granules++) {
    const sizeClass = heap.classOf(granules);
    for (let index: u32 = 0; index < sizeClass.warmCount; index++) {
      const block = sizeClass.warmAt(index);
      const isOurs = isSpanPage(block) && heapOf(block) == changetype<Address>(heap);
      if (!isOurs || stateOf(block) != GranuleState.WARM || granulesOf(block) != granules)
        return found(findings, Violation.WARM, block);
    }
  }
  return true;
}

function warmBlocksOf(heap: ByteHeap): u32 {
  let count: u32 = 0;
  for (let granules: u32 = 1; granules <= CLASS_COUNT; granules++) count += heap.classOf(granules).warmCount;
  return count;
}

/** Every run in a bin is a whole one, of the bin's length, and what is free elsewhere is warm: so far nothing else is counted. */
function walkRuns(heap: ByteHeap, findings: Findings): bool {
  const runs = heap.runs;
  let granules: u32 = 0;
  let count: u32 = 0;
  for (let bin: u32 = 1; bin <= LAST_BIN; bin++) {
    let link = runs.head(bin);
    if (((runs.filled >> bin) & 1) != <u32>(load<Address>(link) != 0)) return found(findings, Violation.BIN, link);
    for (let address = load<Address>(link); address; address = load<Address>(link)) {
      const isOurs = isSpanPage(address) && heapOf(address) == changetype<Address>(heap);
      const isFree = isOurs && (address & (GRANULE - 1)) == 0 && stateOf(address) == GranuleState.FREE;
      const isRight = isFree && changetype<FreeRun>(address).link == link;
      const length = isRight ? freeFrom(address) : 0;
      if (!length || min(length, LAST_BIN) != bin || stateOf(address - GRANULE) == GranuleState.FREE)
        return found(findings, Violation.BIN, address);
      granules += length;
      count++;
      link = address + offsetof<FreeRun>("next");
    }
  }
  const isRight = granules == runs.freeGranules && count + warmBlocksOf(heap) == findings.freePieces;
  return isRight || found(findings, Violation.FIGURES, runs.firstPage);
}

function walkAreas(heap: ByteHeap, findings: Findings): bool {
  let areas: u32 = 0;
  let pages: u32 = 0;
  let freeBytes: u32 = 0;
  for (let address = heap.areas.first; address; address = changetype<Area>(address).next) {
    const area = changetype<Area>(address);
    if (ownerOf(address) != Owner.HEAP_AREAS || area.heap != changetype<Address>(heap)) {
      return found(findings, Violation.OWNER, address);
    }
    areas++;
    pages += <u32>(area.end - address) >> PAGE_SHIFT;
    let previous: Address = 0;
    let block = changetype<TaggedBlock>(address + AREA_HEADER);
    while (block.tag) {
      const isWell =
        block.size >= BLOCK_MINIMUM && block.previous == previous && block.heap == changetype<Address>(heap);
      const isMerged = !(block.isFree && previous && changetype<TaggedBlock>(previous).isFree);
      if (!isWell || !isMerged || changetype<Address>(block.next) > changetype<Address>(area.endTag))
        return found(findings, Violation.TAG, changetype<Address>(block));
      if (!walkBlock(heap, block, findings)) return false;
      if (block.isFree) freeBytes += block.size;
      previous = changetype<Address>(block);
      block = block.next;
    }
    if (
      changetype<Address>(block) != changetype<Address>(area.endTag) ||
      block.previous != previous ||
      changetype<Address>(area.endTag.area) != address
    ) {
      return found(findings, Violation.TAG, changetype<Address>(block));
    }
  }
  const isRight = areas == heap.areas.count && pages == heap.areas.pages && freeBytes == heap.areas.freeBytes;
  return isRight || found(findings, Violation.FIGURES, heap.areas.first);
}

function walkBlock(heap: ByteHeap, block: TaggedBlock, findings: Findings): bool {
  const content = changetype<Address>(block) + TAG_SIZE;
  if (block.isFree) {
    findings.freeBlocks++;
    findings.freeBytes += block.size;
    findings.largestFree = max(findings.largestFree, block.size - TAG_SIZE);
    return true;
  }
  findings.blocks++;
  findings.bytes += block.size - TAG_SIZE;
  return !IS_DEBUG || isGuardedSound(content, block.size - TAG_SIZE) || foundDamage(heap, findings, content);
}

/** Notes that the block at `raw` is damaged, by the address that the program knows. Returns false. */
function foundDamage(heap: ByteHeap, findings: Findings, raw: Address): bool {
  return found(findings, Violation.CANARY, givenAddress(heap, contentOf(raw)));
}

/** True if a block may begin at `address`, which may be anything. */
function mayHoldBlock(address: Address): bool {
  const last = address + (BLOCK_MINIMUM - 1);
  return ((address + TAG_SIZE) & (BLOCK_GRAIN - 1)) == 0 && last > address && ownerOf(last) == Owner.HEAP_AREAS;
}

/** Every free block of the areas is in its bin, and nothing else is. */
function walkBins(heap: ByteHeap, findings: Findings): bool {
  let bytes: u32 = 0;
  for (let bin: u32 = 0; bin < BIN_COUNT; bin++) {
    let link = heap.bins.head(bin);
    for (let address = load<Address>(link); address; address = load<Address>(link)) {
      const block = changetype<TaggedBlock>(address);
      if (!mayHoldBlock(address)) return found(findings, Violation.BIN, address);
      const isRight = block.isFree && block.link == link && binOf(block.size) == bin && heap.bins.isMarked(bin);
      if (!isRight) return found(findings, Violation.BIN, address);
      bytes += block.size;
      link = address + offsetof<TaggedBlock>("nextFree");
    }
  }
  return bytes == heap.areas.freeBytes || found(findings, Violation.BIN, 0);
}
