// A walk over a whole byte heap that checks every invariant. For tests, and for users of the debug module.

import { Address, PAGE_SHIFT } from "../memory/alignment";
import { Owner, ownerOf } from "../memory/pageHeap";
import { IS_DEBUG } from "../memory/root";
import { CLASS_COUNT, classBytes } from "../memory/sizeClass";
import { AREA_HEADER, Area } from "./area";
import { BIN_COUNT, BLOCK_MINIMUM, binOf, TAG_SIZE, TaggedBlock } from "./boundaryTag";
import { ByteHeap } from "./byteHeap";
import { Findings, found, Violation } from "./findings";
import { isGuardedSound } from "./guardedBlock";
import { nextPageOf, SPANS_IN_PAGE, Span, spanAt } from "./span";

/** Checks everything. Returns 1 if all is well, or 0 with the violation and its address in `findings`. O(blocks) */
export function validateByteHeap(heap: ByteHeap, findings: Findings): u32 {
  memory.fill(changetype<Address>(findings), 0, offsetof<Findings>());
  if (!walkSpans(heap, findings) || !walkRings(heap, findings) || !walkAreas(heap, findings)) return 0;
  return walkBins(heap, findings) ? 1 : 0;
}

function walkSpans(heap: ByteHeap, findings: Findings): bool {
  let pages: u32 = 0;
  for (let page = heap.spanPages.first; page; page = nextPageOf(page)) {
    if (ownerOf(page) != Owner.HEAP_SPANS) return found(findings, Violation.OWNER, page);
    pages++;
    for (let number: u32 = 0; number < SPANS_IN_PAGE; number++) {
      const span = spanAt(page, number);
      if (span.heap && !walkSpan(heap, span, findings)) return false;
    }
  }
  return pages == heap.spanPages.count || found(findings, Violation.FIGURES, heap.spanPages.first);
}

function walkSpan(heap: ByteHeap, span: Span, findings: Findings): bool {
  const address = changetype<Address>(span);
  if (span.heap != changetype<Address>(heap)) return found(findings, Violation.OWNER, address);
  let used: u32 = 0;
  for (let index: u32 = 0; index < span.blocks; index++) {
    if (span.isFree(index)) continue;
    used++;
    if (IS_DEBUG && !isGuardedSound(span.blockAt(index), span.blockBytes))
      return found(findings, Violation.CANARY, span.blockAt(index));
  }
  if (used != span.usedCount) return found(findings, Violation.SPAN, address);
  if (used < span.blocks && !span.isListed) return found(findings, Violation.RING, address);
  findings.blocks += used;
  findings.bytes += used * span.blockBytes;
  findings.freeBlocks += span.blocks - used;
  return true;
}

function walkRings(heap: ByteHeap, findings: Findings): bool {
  for (let number: u32 = 1; number <= CLASS_COUNT; number++) {
    const sizeClass = heap.classOf(number);
    const first = sizeClass.ring;
    for (let address = first; address; ) {
      const span = changetype<Span>(address);
      const isOurs = span.sizeClass == changetype<Address>(sizeClass) && span.blockBytes == classBytes(number);
      if (!isOurs || !span.isListed) return found(findings, Violation.RING, address);
      if (changetype<Span>(span.next).previous != address) return found(findings, Violation.RING, address);
      address = span.next == first ? 0 : span.next;
    }
    for (let index: u32 = 0; index < sizeClass.warmCount; index++) {
      if (heap.check(sizeClass.warmAt(index))) return found(findings, Violation.WARM, sizeClass.warmAt(index));
    }
  }
  return true;
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
      if (!walkBlock(block, findings)) return false;
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

function walkBlock(block: TaggedBlock, findings: Findings): bool {
  const content = changetype<Address>(block) + TAG_SIZE;
  if (block.isFree) {
    findings.freeBlocks++;
    findings.freeBytes += block.size;
    findings.largestFree = max(findings.largestFree, block.size - TAG_SIZE);
    return true;
  }
  findings.blocks++;
  findings.bytes += block.size - TAG_SIZE;
  return !IS_DEBUG || isGuardedSound(content, block.size - TAG_SIZE) || found(findings, Violation.CANARY, content);
}

/** Every free block of the areas is in its bin, and nothing else is. */
function walkBins(heap: ByteHeap, findings: Findings): bool {
  let bytes: u32 = 0;
  for (let bin: u32 = 0; bin < BIN_COUNT; bin++) {
    let link = heap.bins.head(bin);
    for (let address = load<Address>(link); address; address = load<Address>(link)) {
      const block = changetype<TaggedBlock>(address);
      const isRight = block.isFree && block.link == link && binOf(block.size) == bin && heap.bins.isMarked(bin);
      if (!isRight) return found(findings, Violation.BIN, address);
      bytes += block.size;
      link = address + offsetof<TaggedBlock>("nextFree");
    }
  }
  return bytes == heap.areas.freeBytes || found(findings, Violation.BIN, 0);
}
