// Making and destroying heaps, and their figures.

import { Arena, createArena, destroyArena } from "../allocators/arena";
import { Address } from "../memory/alignment";
import { allocateGuard, freeGuard, Guard } from "../memory/guard";
import { root } from "../memory/root";
import { bytesOf, CellClass, removeBlocks } from "./cellClass";
import { releaseTable } from "./handleTable";
import { Barrier, HEAP_BYTES, Heap, Strategy } from "./heap";
import { closeScope, Scope } from "./scope";
import { VARIABLE_CLASSES_BYTES } from "./variableClass";
import { WORD_STACK_BYTES, WORD_WALK_BYTES, WordStack, WordWalk } from "./wordStack";

const STACKS: u32 = 11;
const WALKS: u32 = 2;

/** No limit on what an arena takes. */
const UNLIMITED: u32 = u32.MAX_VALUE;

/**
 * Returns a new heap, or 0 with a status; then nothing has changed.
 *
 * @param minimumBytes the allocation that starts a cycle, or a run of cycle collection, at the earliest, from 1
 * @param stepUnits the most units of one step between two events, from 1
 */
export function createHeap(strategy: u32, minimumBytes: u32, stepUnits: u32): Address {
  const arena = createArena(0, 0, UNLIMITED);
  if (!arena) return 0;
  const bytes = HEAP_BYTES + VARIABLE_CLASSES_BYTES + STACKS * WORD_STACK_BYTES + WALKS * WORD_WALK_BYTES;
  const address = changetype<Arena>(arena).allocate(bytes);
  const guard = address ? allocateGuard() : 0;
  if (!guard) {
    destroyArena(changetype<Arena>(arena));
    return 0;
  }
  memory.fill(address, 0, bytes);
  const heap = changetype<Heap>(address);
  layOutLists(heap, address + HEAP_BYTES);
  heap.arena = arena;
  heap.strategy = strategy;
  heap.minimumBytes = minimumBytes;
  heap.stepUnits = stepUnits;
  heap.trigger = minimumBytes;
  heap.headroom = minimumBytes;
  heap.lead = strategy == Strategy.REFCOUNT ? 4 : 0;
  heap.barrier = strategy == Strategy.REFCOUNT ? Barrier.CALL : Barrier.NONE;
  heap.handleBarrier = heap.barrier;
  heap.dropped = 1;
  heap.epochGuard = guard;
  heap.heard = root().guestRefusals;
  changetype<Guard>(guard).nextFree = 0;
  // The marker and the counter have chunks from the start, so that they come to an end whatever becomes of memory.
  if (strategy == Strategy.REFCOUNT ? reserveLists(heap) : heap.markStack.reserveOne()) return address;
  destroyHeap(heap);
  return 0;
}

function reserveLists(heap: Heap): bool {
  return (
    heap.releasing.reserveOne() &&
    heap.hooked.reserveOne() &&
    heap.candidates.reserveOne() &&
    heap.visited.reserveOne() &&
    heap.aside.reserveOne() &&
    heap.roots.reserveOne() &&
    heap.clearing.reserveOne() &&
    heap.zombies.reserveOne()
  );
}

function layOutLists(heap: Heap, start: Address): void {
  heap.variableClasses = start;
  let place = start + VARIABLE_CLASSES_BYTES;
  heap.markStack = changetype<WordStack>(place);
  heap.orphans = changetype<WordStack>((place += WORD_STACK_BYTES));
  heap.pending = changetype<WordStack>((place += WORD_STACK_BYTES));
  heap.releasing = changetype<WordStack>((place += WORD_STACK_BYTES));
  heap.hooked = changetype<WordStack>((place += WORD_STACK_BYTES));
  heap.candidates = changetype<WordStack>((place += WORD_STACK_BYTES));
  heap.roots = changetype<WordStack>((place += WORD_STACK_BYTES));
  heap.visited = changetype<WordStack>((place += WORD_STACK_BYTES));
  heap.aside = changetype<WordStack>((place += WORD_STACK_BYTES));
  heap.clearing = changetype<WordStack>((place += WORD_STACK_BYTES));
  heap.zombies = changetype<WordStack>((place += WORD_STACK_BYTES));
  heap.walk = changetype<WordWalk>((place += WORD_STACK_BYTES));
  heap.writer = changetype<WordWalk>(place + WORD_WALK_BYTES);
}

/** Ends every reference into the heap and gives its memory back. Runs no hooks. O(blocks + handles) */
export function destroyHeap(heap: Heap): void {
  while (heap.unscanned) endScope(changetype<Scope>(heap.unscanned));
  while (heap.scopes) endScope(changetype<Scope>(heap.scopes));
  for (let scope = heap.freeScopes; scope; scope = changetype<Scope>(scope).next) {
    changetype<Scope>(scope).stack.release();
    freeGuard(changetype<Scope>(scope).guard);
  }
  releaseTable(heap);
  for (let c = heap.classes; c; c = changetype<CellClass>(c).nextClass) removeBlocks(changetype<CellClass>(c));
  heap.markStack.release();
  heap.orphans.release();
  heap.pending.release();
  heap.releasing.release();
  heap.hooked.release();
  heap.candidates.release();
  heap.roots.release();
  heap.visited.release();
  heap.aside.release();
  heap.clearing.release();
  heap.zombies.release();
  freeGuard(heap.epochGuard);
  destroyArena(changetype<Arena>(heap.arena));
}

function endScope(scope: Scope): void {
  scope.stack.clear();
  closeScope(scope);
}

/** Writes the figures that are not kept up to date all the time. O(classes) */
export function figures(heap: Heap): void {
  let objects: u32 = 0;
  let bytes: u32 = 0;
  for (let address = heap.classes; address; ) {
    const c = changetype<CellClass>(address);
    objects += c.taken - c.unused;
    bytes += bytesOf(c);
    address = c.nextClass;
  }
  heap.objects = objects - heap.deadObjects;
  heap.bytes = bytes - heap.deadBytes;
  heap.pendingCount = heap.pending.count;
  heap.candidateCount = heap.candidates.count + heap.roots.count + heap.aside.count;
}
