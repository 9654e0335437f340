// A walk over a whole collected heap that checks every invariant. For tests, and for users of the debug module.

import { Findings, found, Violation } from "../allocators/findings";
import { Address, PAGE_MASK, PAGE_SHIFT } from "../memory/alignment";
import { Owner, ownerByte } from "../memory/pageHeap";
import { RingMember } from "../memory/ring";
import { CellBlock } from "./cellBlock";
import { CellClass } from "./cellClass";
import { CellType, slotAt, slotsOf, VariableObject } from "./cellType";
import { Flag, visitOf, wordOf } from "./countWord";
import { isCondemned } from "./cycleCollection";
import { entryAt, objectOf, SEGMENT_ENTRIES, Segment } from "./handleTable";
import { Heap, Phase, Run, Strategy } from "./heap";
import { figures } from "./heapLife";
import { isMarked } from "./marker";

/** Checks everything. Returns 1 if all is well, or 0 with the violation and its address in `findings`. O(blocks + objects + slots) */
export function validateHeap(heap: Heap, findings: Findings): u32 {
  memory.fill(changetype<Address>(findings), 0, offsetof<Findings>());
  let pages: u32 = 0;
  for (let address = heap.classes; address; ) {
    const c = changetype<CellClass>(address);
    if (!walkClass(heap, c, findings)) return 0;
    pages += pagesOf(c);
    address = c.nextClass;
  }
  if (!walkHandles(heap, findings)) return 0;
  figures(heap);
  findings.bytes = heap.bytes;
  if (pages != heap.blockPages || findings.blocks - heap.deadObjects != heap.objects) {
    return <u32>found(findings, Violation.FIGURES, changetype<Address>(heap));
  }
  if (heap.deadObjects && !mayHaveDead(heap)) return <u32>found(findings, Violation.FIGURES, changetype<Address>(heap));
  findings.blocks = heap.objects;
  return 1;
}

/** True if something is under way, or noted down, that an object which has ended may wait for. */
function mayHaveDead(heap: Heap): bool {
  return (
    !heap.pending.isEmpty ||
    !heap.releasing.isEmpty ||
    !heap.hooked.isEmpty ||
    !heap.candidates.isEmpty ||
    !heap.roots.isEmpty ||
    !heap.aside.isEmpty ||
    !heap.clearing.isEmpty ||
    !heap.zombies.isEmpty ||
    (heap.runPhase | heap.walkPurpose | heap.lost) != 0 ||
    heap.dying != 0
  );
}

function walkClass(heap: Heap, c: CellClass, findings: Findings): bool {
  let taken: u32 = 0;
  let blocks: u32 = 0;
  let pages: u32 = 0;
  for (let address = c.blocks; address; ) {
    const block = changetype<CellBlock>(address);
    if (ownerByte(address) != Owner.COLLECTED) return found(findings, Violation.OWNER, address);
    const isWell = block.cellClass == changetype<Address>(c) && changetype<RingMember>(block.next).previous == address;
    if (!isWell) return found(findings, Violation.RING, address);
    const before = taken;
    for (let index: u32 = 0; index < block.cells; index++) {
      const isTaken = bitAt(block.startWord(index >> 5), index);
      const isMark = bitAt(block.markWord(index >> 5), index);
      // No mark without an object, and none at all between cycles.
      if (isMark && (!isTaken || heap.phase == Phase.IDLE)) return found(findings, Violation.SLAB, address);
      if (!isTaken) {
        if (index >> 5 < block.scan) return found(findings, Violation.SLAB, address);
        continue;
      }
      taken++;
      const object = block.objectAt(index, c.stride);
      if (c.isUnused(object)) continue;
      findings.blocks++;
      if (!isSound(heap, c, object)) return found(findings, Violation.TAG, object);
    }
    if (block.free != block.cells - (taken - before)) return found(findings, Violation.SLAB, address);
    pages += block.pages;
    blocks++;
    address = block.next == c.blocks ? 0 : block.next;
  }
  const isWell = taken == c.taken && blocks == c.blockCount && pages == pagesOf(c);
  return isWell || found(findings, Violation.FIGURES, changetype<Address>(c));
}

/** The pages of all blocks of a class. */
function pagesOf(c: CellClass): u32 {
  return c.stride ? c.blockCount * c.pages : c.ownBytes >> PAGE_SHIFT;
}

function bitAt(word: Address, index: u32): bool {
  return ((load<u32>(word) >> (index & 31)) & 1) != 0;
}

/** True if all references of an object lead to objects that are there. */
function isSound(heap: Heap, c: CellClass, object: Address): bool {
  const isCounted = heap.strategy == Strategy.REFCOUNT;
  if (isCounted && !isCountSound(heap, object)) return false;
  if (isCounted && hasEnded(heap, object)) return true;
  // What is about to be swept may refer to what has been swept already.
  if (heap.phase == Phase.SWEEP || (heap.phase != Phase.IDLE && !isMarked(object))) return true;
  const type = changetype<CellType>(c.type ? c.type : changetype<VariableObject>(object).type);
  const count = slotsOf(type, object);
  for (let index: u32 = 0; index < count; index++) {
    const child = load<Address>(slotAt(type, object, index));
    if (child && !isObject(heap, child)) return false;
    // Once the marking is over, what is marked refers to what is marked.
    if (child && (heap.phase == Phase.WEAK || heap.phase == Phase.HOOKS) && !isMarked(child)) return false;
    if (child && isCounted && hasEnded(heap, child)) return false;
  }
  return true;
}

/** True for a counted object whose references may lead to what has been freed. */
function hasEnded(heap: Heap, object: Address): bool {
  return (wordOf(object) & Flag.DEAD) != 0 || isCondemned(heap, object);
}

/** True if a count is where it belongs: with its object, or in an entry of the run under way. */
function isCountSound(heap: Heap, object: Address): bool {
  const visit = visitOf(object);
  return !changetype<Address>(visit) || (heap.runPhase != Run.NONE && visit.object == object);
}

/** True if an object of the heap begins at `address`. */
function isObject(heap: Heap, address: Address): bool {
  if (ownerByte(address) != Owner.COLLECTED) return false;
  const block = changetype<CellBlock>(address & ~(<Address>PAGE_MASK));
  const c = changetype<CellClass>(block.cellClass);
  if (changetype<Address>(c.heap) != changetype<Address>(heap)) return false;
  const index = block.indexOf(address);
  const isThere = index < block.cells && block.objectAt(index, c.stride) == address;
  return isThere && bitAt(block.startWord(index >> 5), index) && !c.isUnused(address);
}

function walkHandles(heap: Heap, findings: Findings): bool {
  let handles: u32 = 0;
  for (let segment = heap.segments; segment; segment = changetype<Segment>(segment).next) {
    for (let index: u32 = 0; index < SEGMENT_ENTRIES; index++) {
      const object = objectOf(entryAt(segment, index));
      if (!object) continue;
      handles++;
      if (!isObject(heap, object)) return found(findings, Violation.TAG, entryAt(segment, index));
    }
  }
  return handles == heap.handles || found(findings, Violation.FIGURES, changetype<Address>(heap));
}
