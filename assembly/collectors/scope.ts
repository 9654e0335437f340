// Scopes: the handles of one event. Each is a word with the address of its object; all of them end together.
//
// A scope has a guard, whose second word leads back to the scope: so whoever has a reference into it finds the scope.
//
//   guard   ┌────────────┬───────┐
//           │ generation │ scope │
//           └────────────┴───────┘

import { Arena } from "../allocators/arena";
import { Address } from "../memory/alignment";
import { advanceGuard, allocateGuard, freeGuard, Guard, RETIRED } from "../memory/guard";
import { joinRing, leaveRing, RingMember } from "../memory/ring";
import { Heap, refuse, restingBarrier } from "./heap";
import { WORD_STACK_BYTES, WordStack } from "./wordStack";

@unmanaged
export class Scope extends RingMember {
  heap: Heap;
  guard: Address;
  /** The handles. */
  stack: WordStack;
  /** That of the heap, once the cycle under way has scanned the scope, or need not: it was opened since. */
  scanEpoch: u32;
}
const SCOPE_BYTES: u32 = offsetof<Scope>();

/** Opens a scope. Returns 0 with a status when memory is out. O(1) */
export function openScope(heap: Heap): Address {
  let address = heap.freeScopes;
  if (address) heap.freeScopes = changetype<Scope>(address).next;
  else address = makeScope(heap);
  if (!address) return refuse(heap);
  const scope = changetype<Scope>(address);
  changetype<Guard>(scope.guard).nextFree = address;
  scope.scanEpoch = heap.scanEpoch;
  joinRing(changetype<Address>(heap) + offsetof<Heap>("scopes"), address);
  return address;
}

function makeScope(heap: Heap): Address {
  const guard = allocateGuard();
  if (!guard) return 0;
  const address = changetype<Arena>(heap.arena).allocate(SCOPE_BYTES + WORD_STACK_BYTES);
  if (!address) {
    freeGuard(guard);
    return 0;
  }
  memory.fill(address, 0, SCOPE_BYTES + WORD_STACK_BYTES);
  const scope = changetype<Scope>(address);
  scope.heap = heap;
  scope.guard = guard;
  scope.stack = changetype<WordStack>(address + SCOPE_BYTES);
  return address;
}

/** True if the cycle under way has not looked at all handles of the scope that it has to. */
export function isUnscanned(scope: Scope): bool {
  return scope.scanEpoch != scope.heap.scanEpoch;
}

/** Ends every reference into the scope, whose handles have been dealt with, and makes it ready to be opened again. */
export function closeScope(scope: Scope): void {
  const heap = scope.heap;
  const address = changetype<Address>(scope);
  if (isUnscanned(scope)) {
    leaveRing(changetype<Address>(heap) + offsetof<Heap>("unscanned"), address);
    if (!heap.unscanned) heap.handleBarrier = restingBarrier(heap);
  } else leaveRing(changetype<Address>(heap) + offsetof<Heap>("scopes"), address);
  if (heap.scanScope == address) heap.scanScope = 0;
  const guard = advanceGuard(scope.guard);
  if (guard) {
    scope.guard = guard;
    scope.next = heap.freeScopes;
    heap.freeScopes = address;
  } else {
    // The guard's last generation is used up, and there is no memory for another: the scope is not used again.
    changetype<Guard>(scope.guard).generation = RETIRED;
    scope.stack.release();
  }
}
