// The bugs that the collectors' tests have to find, one at a time: each barrier, each source of roots, each change of colour,
// each step of weak slots and hooks. `find` stands once in `file`, which is below assembly/collectors.

export const mutants = [
  // ── mark-sweep: barriers ──────────────────────────────────────────────────────────────────────────────────────────
  mutant("markSweep.ts", "a store does not mark what it overwrites", {
    find: "if (old) drop(heap, old);",
    replace: "if (old) noteDropped(heap);",
  }),
  mutant("markSweep.ts", "a store does not note that it overwrites something", {
    find: "if (old) drop(heap, old);",
    replace: "if (heap.phase == Phase.MARK) shade(heap, old);",
  }),
  mutant("markSweep.ts", "a moved handle does not mark what it leaves", {
    find: "drop(heap, load<Address>(slot));",
    replace: "noteDropped(heap);",
  }),
  mutant("markSweep.ts", "a moved handle does not note that it leaves something", {
    find: "drop(heap, load<Address>(slot));",
    replace: "if (heap.phase == Phase.MARK) shade(heap, load<Address>(slot));",
  }),
  mutant("markSweep.ts", "a released handle does not mark its object", {
    find: "drop(heap, changetype<HandleEntry>(entry).object);",
    replace: "noteDropped(heap);",
  }),
  mutant("markSweep.ts", "a released handle is not noted", {
    find: "drop(heap, changetype<HandleEntry>(entry).object);",
    replace: "if (heap.phase == Phase.MARK) shade(heap, changetype<HandleEntry>(entry).object);",
  }),
  mutant("markSweep.ts", "a scope that ends is not noted", {
    find: "  if (!scope.stack.isEmpty) noteDropped(heap);\n",
  }),
  mutant("markSweep.ts", "a scope that ends unscanned is forgotten", {
    find: "if (heap.phase == Phase.MARK && isUnscanned(scope)) heap.orphans.absorb(scope.stack);\n  else scope.stack.clear();",
    replace: "scope.stack.clear();",
  }),
  mutant("markSweep.ts", "a weak load does not mark what it shows", {
    find: "if (heap.phase == Phase.MARK) {\n    drop(heap, target); // it may be garbage already\n  } else if",
    replace: "if",
  }),
  mutant("markSweep.ts", "a weak load that keeps garbage is not noted", {
    find: "drop(heap, target);",
    replace: "shade(heap, target);",
  }),
  mutant("heap.ts", "nobody has to call for the first that is dropped", {
    find: "return heap.dropped ? Barrier.NONE : Barrier.OVERWRITTEN;",
    replace: "return Barrier.NONE;",
  }),
  mutant("heap.ts", "the barrier of marking falls with the first store", {
    find: "if (heap.phase != Phase.MARK && heap.barrier == Barrier.OVERWRITTEN)",
    replace: "if (heap.barrier == Barrier.OVERWRITTEN)",
  }),
  mutant("markSweep.ts", "a refusal has a cycle begin that cannot find anything", {
    find: "  if (!heap.dropped) heap.refused = Refused.NOTHING;\n",
  }),
  mutant("markSweep.ts", "the barrier is not raised when a cycle begins", {
    find: "heap.black = 1;\n  heap.barrier = Barrier.OVERWRITTEN;",
    replace: "heap.black = 1;",
  }),
  mutant("markSweep.ts", "the barrier is not raised for hooks", {
    find: "heap.barrier = Barrier.CALL;\n  heap.handleBarrier = Barrier.CALL;\n  heap.phase = Phase.HOOKS;",
    replace: "heap.phase = Phase.HOOKS;",
  }),
  mutant("marker.ts", "the barrier of handles is not raised when a cycle begins", {
    find: "heap.handleBarrier = heap.unscanned ? Barrier.CALL : restingBarrier(heap);",
    replace: "heap.handleBarrier = restingBarrier(heap);",
  }),
  mutant("marker.ts", "the barrier of handles falls when the first scope has been scanned", {
    find: "if (!heap.unscanned) heap.handleBarrier = restingBarrier(heap);",
    replace: "heap.handleBarrier = restingBarrier(heap);",
  }),
  mutant("scope.ts", "the barrier of handles falls when an unscanned scope ends", {
    find: "if (!heap.unscanned) heap.handleBarrier = restingBarrier(heap);",
    replace: "heap.handleBarrier = restingBarrier(heap);",
  }),
  mutant("marker.ts", "objects of few slots are taken for empty", {
    find: "if (childCount <= FEW_SLOTS && isEmpty(childType, child, childCount)) {",
    replace: "if (childCount <= FEW_SLOTS) {",
  }),
  // ── mark-sweep: roots ─────────────────────────────────────────────────────────────────────────────────────────────
  mutant("marker.ts", "scopes are no roots", {
    find: "heap.unscanned = heap.scopes;\n  heap.scopes = 0;\n",
  }),
  mutant("marker.ts", "kept handles are no roots", {
    find: "heap.scanSegment = heap.segments;",
    replace: "heap.scanSegment = 0;",
  }),
  mutant("marker.ts", "a scope's handles are not marked", {
    find: "heap.scanPlace -= 4;\n      shade(heap, load<Address>(heap.scanPlace));",
    replace: "heap.scanPlace -= 4;",
  }),
  mutant("marker.ts", "only the topmost chunk of a scope is scanned", {
    find: "heap.scanChunk = changetype<Chunk>(heap.scanChunk).previous;",
    replace: "heap.scanChunk = 0;",
  }),
  mutant("marker.ts", "only the newest segment of kept handles is scanned", {
    find: "heap.scanSegment = changetype<Segment>(heap.scanSegment).next;",
    replace: "heap.scanSegment = 0;",
  }),
  mutant("marker.ts", "handles of ended scopes are not marked", {
    find: "shade(heap, heap.orphans.pop());",
    replace: "heap.orphans.pop();",
  }),
  mutant("marker.ts", "a cycle does not tell new scopes from old ones", {
    find: "  heap.scanEpoch++;\n",
  }),
  // ── mark-sweep: colours ───────────────────────────────────────────────────────────────────────────────────────────
  mutant("marker.ts", "an object is not marked", {
    find: "  store<u32>(word, bits | bit);\n  return true;",
    replace: "  return true;",
  }),
  mutant("marker.ts", "a marked object is not looked into", {
    find: "  if (!heap.markStack.pushPair(object, 0)) heap.overflow = 1;\n}\n\n/** Begins with",
    replace: "}\n\n/** Begins with",
  }),
  mutant("marker.ts", "an object that was left for its child is not resumed", {
    find: "if (index < count && !heap.markStack.pushPair(object, index)) {",
    replace: "if (index > count) {",
  }),
  mutant("marker.ts", "an object that was left at the end of the budget is not resumed", {
    find: "if (!heap.markStack.pushPair(object, index)) heap.overflow = 1;\n      return done;",
    replace: "return done;",
  }),
  mutant("marker.ts", "a lack of room for marked objects is not noticed", {
    find: "} else if (heap.overflow || heap.walkClass) {",
    replace: "} else if (heap.walkClass) {",
  }),
  mutant("marker.ts", "the search for marked objects does not look into them", {
    find: "if (slotsOf(typeOf(object), object) && !heap.markStack.pushPair(object, 0)) heap.overflow = 1;\n",
  }),
  mutant("markSweep.ts", "new objects are white", {
    find: "  heap.black = 1;\n",
  }),
  mutant("cellClass.ts", "cells that are claimed are not marked", {
    find: "store<u32>(marks, load<u32>(marks) | bits);\n}",
    replace: "}",
  }),
  mutant("markSweep.ts", "new objects stay black in a sweep", {
    find: "  heap.black = 0;\n",
  }),
  mutant("cellClass.ts", "a sweep leaves the marks", {
    find: "    store<u32>(marks, 0);\n",
  }),
  mutant("cellClass.ts", "a sweep frees nothing", {
    find: "const live = started & load<u32>(marks);",
    replace: "const live = started;",
  }),
  mutant("cellClass.ts", "blocks that wait to be swept are allocated from", {
    find: "  c.room = 0;\n  c.roomEpoch++;\n  c.sweepNext",
    replace: "  c.sweepNext",
  }),
  mutant("markSweep.ts", "the marking ends with a step, not with the work", {
    find: "if (done < budget) beginWeak(heap);",
    replace: "if (done <= budget) beginWeak(heap);",
  }),
  // ── mark-sweep: weak slots and hooks ──────────────────────────────────────────────────────────────────────────────
  mutant("markSweep.ts", "weak slots are not emptied", {
    find: "if (target && !isMarked(target)) store<Address>(slot, 0);",
    replace: "",
  }),
  mutant("markSweep.ts", "a weak load shows the dead before the slots are emptied", {
    find: "else if ((heap.phase == Phase.WEAK || heap.phase == Phase.HOOKS) && !isMarked(target)) return 0;",
    replace: "",
  }),
  mutant("markSweep.ts", "no hook runs", {
    find: "    heap.dying = object;\n    heap.dyingType = type;",
    replace: "",
  }),
  mutant("markSweep.ts", "hooks run of what lives", {
    find: "const object = nextUnmarked(heap);",
    replace: "const object = nextTaken(heap);",
    also: [["import { nextUnmarked, ", "import { nextTaken, nextUnmarked, "]],
  }),
  mutant("markSweep.ts", "a step goes on while a hook has to run", {
    find: "heap.phase != Phase.IDLE && !heap.dying)",
    replace: "heap.phase != Phase.IDLE)",
  }),
  mutant("markSweep.ts", "the dead can be stored in what lives", {
    find: "value && !isMarked(value) && isMarked(objectAround(slot))",
    replace: "false",
  }),
  mutant("markSweep.ts", "the dead cannot be stored in the dead", {
    find: "value && !isMarked(value) && isMarked(objectAround(slot))",
    replace: "value && !isMarked(value)",
  }),
  mutant("heapCalls.ts", "what a hook was shown without a handle stays good", {
    find: "  advanceEpoch(heap); // where there was no memory for a scope, the hook has been shown its object without a handle\n",
  }),
  mutant("weakWalk.ts", "only the first weak slot of an object is looked at", {
    find: "if (object && typeOf(object).weakCount) heap.weakHolder = object;",
    replace: "if (object && typeOf(object).weakCount == 1) heap.weakHolder = object;",
  }),
  mutant("weakWalk.ts", "weak slots of arrays are not looked at", {
    find: ": heap.variableWeak != 0;",
    replace: ": false;",
  }),
  // ── reference counting: counts ────────────────────────────────────────────────────────────────────────────────────
  mutant("refcount.ts", "a stored reference is not counted", {
    find: "} else if (value) retain(value);",
    replace: "}",
  }),
  mutant("refcount.ts", "an overwritten reference is not taken off", {
    find: "  if (old) defer(heap, old);\n",
  }),
  mutant("refcount.ts", "a moved handle does not count its new object", {
    find: "  retain(object);\n  store<Address>(slot, object);",
    replace: "  store<Address>(slot, object);",
  }),
  mutant("refcount.ts", "a moved handle does not let its old object go", {
    find: "  store<Address>(slot, object);\n  defer(heap, old);",
    replace: "  store<Address>(slot, object);",
  }),
  mutant("refcount.ts", "a released handle does not let its object go", {
    find: "  giveEntry(heap, entry);\n  defer(heap, object);",
    replace: "  giveEntry(heap, entry);",
  }),
  mutant("refcount.ts", "a scope that ends does not let its few objects go", {
    find: "while (!stack.isEmpty) defer(heap, stack.pop());",
    replace: "while (!stack.isEmpty) stack.pop();",
  }),
  mutant("refcount.ts", "a scope that ends does not let its many objects go", {
    find: "} else heap.pending.absorb(stack);",
    replace: "} else stack.clear();",
  }),
  mutant("heapCalls.ts", "a pushed handle is not counted", {
    find: "if (isCounted(heap) && !isDead(object)) retain(object);",
    replace: "",
  }),
  mutant("heapCalls.ts", "a kept handle is not counted", {
    find: "  if (!entry) return refuse(heap);\n  if (isCounted(heap)) retain(object);",
    replace: "  if (!entry) return refuse(heap);",
  }),
  mutant("heapCalls.ts", "a new object's handle is not counted", {
    find: "giveWord(object, COUNT_ONE);",
    replace: "giveWord(object, 0);",
  }),
  mutant("countWord.ts", "a reference is not counted while a run has the count", {
    find: "  if (visit.word < SATURATED) visit.word += COUNT_ONE;\n",
  }),
  mutant("release.ts", "what an object without references refers to is not let go of", {
    find: "      if (child != object) decrement(heap, child);\n",
  }),
  mutant("release.ts", "what is stored in itself is let go of when it is gone", {
    find: "      if (child != object) decrement(heap, child);",
    replace: "      decrement(heap, child);",
  }),
  mutant("release.ts", "what is not its last reference is not let go of", {
    find: "      return done + 1;\n    }\n    decrement(heap, child);",
    replace: "      return done + 1;\n    }",
  }),
  mutant("release.ts", "what may be part of a dropped ring is not noted", {
    find: "  else if (!(word & Flag.BUFFERED) && typeOf(object).cyclicCount) suspect(heap, object);\n",
  }),
  mutant("release.ts", "a candidate that is freed is not left to its list", {
    find: "  if (load<u32>(object - 4) & (AWAY | Flag.BUFFERED | Flag.WEAKLY)) keepReleased(heap, object);",
    replace: "  if (load<u32>(object - 4) & (AWAY | Flag.WEAKLY)) keepReleased(heap, object);",
  }),
  mutant("release.ts", "what a run looks at is freed before the run has left it", {
    find: "  if (load<u32>(object - 4) & (AWAY | Flag.BUFFERED | Flag.WEAKLY)) keepReleased(heap, object);",
    replace: "  if (wordOf(object) & (Flag.BUFFERED | Flag.WEAKLY)) keepReleased(heap, object);",
  }),
  mutant("release.ts", "the release of a large object is not resumed", {
    find: "if (!heap.releasing.pushPair(object, index)) lose(heap, object);",
    replace: "",
  }),
  // ── reference counting: cycle collection ──────────────────────────────────────────────────────────────────────────
  mutant("cycleCollection.ts", "a reference that was seen is not counted", {
    find: "  seen.inner += COUNT_ONE;\n",
  }),
  mutant("cycleCollection.ts", "a reference is counted at the first visit only", {
    find: "    if (!changetype<Address>(seen)) return;\n  }\n  seen.inner += COUNT_ONE;",
    replace: "    if (!changetype<Address>(seen)) return;\n    seen.inner += COUNT_ONE;\n  }",
  }),
  mutant("cycleCollection.ts", "what is visited is not looked into", {
    find: "const end: u32 = visit.word & GONE ? 0 : cyclicSlotsOf(type, object);",
    replace: "const end: u32 = 0;",
  }),
  mutant("cycleCollection.ts", "only the first slice of an object is looked into", {
    find: "  heap.runIndex = index;\n  if (index >= end) heap.runObject = 0;\n  return max(done, 1);\n}\n\n/** Counts a reference",
    replace: "  heap.runObject = 0;\n  return max(done, 1);\n}\n\n/** Counts a reference",
  }),
  mutant("cycleCollection.ts", "only the first slice of a held object is looked through", {
    find: "  heap.runIndex = index;\n  if (index >= end) heap.runObject = 0;\n  done = max(done, 1);",
    replace: "  heap.runObject = 0;\n  done = max(done, 1);",
  }),
  mutant("cycleCollection.ts", "only the first slice of a condemned object is let go of", {
    find: "  heap.runIndex = index;\n  if (index >= end) heap.runObject = 0;\n  return max(done, 1);\n}\n\nfunction freeAll",
    replace: "  heap.runObject = 0;\n  return max(done, 1);\n}\n\nfunction freeAll",
  }),
  mutant("cycleCollection.ts", "a count is not compared with the inner one", {
    find: "if (!next.isHeld && !isInner(next)) hold(heap, next);",
    replace: "",
  }),
  mutant("cycleCollection.ts", "what a held object reaches is not held", {
    find: "if (changetype<Address>(reached)) hold(heap, reached);",
    replace: "",
  }),
  mutant("release.ts", "a reference that ends while a run looks does not hold its object", {
    find: "  visit.word = word - COUNT_ONE;\n  hold(heap, visit);",
    replace: "  visit.word = word - COUNT_ONE;",
  }),
  mutant("refcount.ts", "a weak load while a run looks does not hold its object", {
    find: "  hold(heap, visit);\n  if (!(visit.word & Flag.BUFFERED))",
    replace: "  if (!(visit.word & Flag.BUFFERED))",
  }),
  mutant("refcount.ts", "what a weak load has held is no candidate any more", {
    find: "  if (!(visit.word & Flag.BUFFERED)) suspect(heap, visit.object);\n",
  }),
  mutant("refcount.ts", "a weak load shows what has just been condemned", {
    find: "if (!target || isDead(target) || isCondemned(heap, target)) return 0;",
    replace: "if (!target || isDead(target)) return 0;",
  }),
  mutant("cycleCollection.ts", "what lives does not get its count back", {
    find: "      giveWord(object, word);\n",
  }),
  mutant("cycleCollection.ts", "candidates that live stay marked as such", {
    find: "  setWord(object, word & ~Flag.BUFFERED);\n",
  }),
  mutant("cycleCollection.ts", "what ended while a run looked is not freed", {
    find: "if (!(word & Flag.BUFFERED)) endReleased(heap, object, word);",
    replace: "",
  }),
  mutant("cycleCollection.ts", "roots of a run that was short of memory are candidates no more", {
    find: " else if (heap.runShort && isRoot && !(word & (Flag.BUFFERED | GONE))) suspect(heap, object);",
    replace: "",
  }),
  mutant("cycleCollection.ts", "a root for which there was no memory is forgotten", {
    find: "  heap.roots.push(object); // there is room: it has just come from there\n",
  }),
  mutant("cycleCollection.ts", "references of the condemned are not let go of", {
    find: "if (!isDead(child)) decrement(heap, child);",
    replace: "",
  }),
  mutant("cycleCollection.ts", "the condemned are not freed", {
    find: "    finishRelease(heap, heap.visited.pop());",
    replace: "    heap.visited.pop();",
  }),
  mutant("cycleCollection.ts", "hooks of the condemned do not run", {
    find: "if (typeOf(object).isHooked) heap.runHooks = 1;",
    replace: "",
  }),
  mutant("cycleCollection.ts", "only one hook of the condemned runs", {
    find: "    beginHook(heap, object);\n    return done;",
    replace:
      "    beginHook(heap, object);\n    heap.runPhase = Run.LET_GO;\n    heap.walk.start(heap.visited);\n    return done;",
  }),
  // ── reference counting: weak slots and hooks ──────────────────────────────────────────────────────────────────────
  mutant("refcount.ts", "a weak load shows the dead", {
    find: "if (!target || isDead(target) || isCondemned(heap, target)) return 0;",
    replace: "if (!target || isCondemned(heap, target)) return 0;",
  }),
  mutant("release.ts", "what weak slots refer to is freed before they are emptied", {
    find: "  if (word & Flag.WEAKLY) keepZombie(heap, object);\n  else free(heap, object);",
    replace: "  free(heap, object);",
  }),
  mutant("refcount.ts", "a weak store is not noted", {
    find: "    setWord(value, wordOf(value) | Flag.WEAKLY);\n",
  }),
  mutant("countingWalk.ts", "weak slots are not emptied", {
    find: "if (isDead(load<Address>(slot))) store<Address>(slot, 0);",
    replace: "",
  }),
  mutant("release.ts", "hooks do not run", {
    find: "if (type.isHooked && !(wordOf(object) & Flag.HOOKED)) {",
    replace: "if (false) {",
  }),
  mutant("release.ts", "an object is not dead while its hook is to run", {
    find: "(wordOf(object) | Flag.DYING)",
    replace: "(wordOf(object))",
  }),
  mutant("release.ts", "an object is freed before the handles that its hook has had are", {
    find: "  startRelease(heap, object);\n  continueRelease(heap, object);",
    replace:
      "  startRelease(heap, object);\n  if (slotsOf(typeOf(object), object) == 0) finishRelease(heap, object);\n  else continueRelease(heap, object);",
  }),
  mutant("refcount.ts", "what dies can be stored in what lives", {
    find: "    if (!isDead(objectAround(slot))) return <u32>fail(Status.RESURRECTION, <u32>value);\n",
  }),
  // ── out of memory ─────────────────────────────────────────────────────────────────────────────────────────────────
  mutant("countingWalk.ts", "an object for which there was no room in a list is not sought", {
    find: "if (object && wordOf(object) & Flag.LOST) findAgain(heap, object);",
    replace: "",
  }),
  mutant("release.ts", "without room a reference is not taken off", {
    find: "  if (takeOff(heap, object) != UNCOUNTED) lose(heap, object);",
    replace: "  lose(heap, object);",
  }),
  mutant("heapCalls.ts", "an object is made without room for its handle", {
    find: "export function heapAllocate(heap: Heap, type: CellType, scope: Scope): Address {\n  if (scope.stack.top == scope.stack.end && !scope.stack.reserveOne()) return refuse(heap);",
    replace: "export function heapAllocate(heap: Heap, type: CellType, scope: Scope): Address {",
  }),
  // ── pacing ───────────────────────────────────────────────────────────────────────────────────────────────────────────
  mutant("pacing.ts", "idle time begins cycles where nothing was allocated", {
    find: "return heap.trigger - (heap.trigger >> 1);",
    replace: "return heap.trigger >> 1;",
  }),
  mutant("pacing.ts", "the units of eight long steps are computed in 32 bits", {
    find: "<u64>units + <u64>heap.stepUnits * HASTE",
    replace: "units + heap.stepUnits * HASTE",
  }),
  // ── handles ───────────────────────────────────────────────────────────────────────────────────────────────────────
  mutant("scope.ts", "the handles of an ended scope stay good", {
    find: "const guard = advanceGuard(scope.guard);",
    replace: "const guard = scope.guard;",
  }),
  mutant("handleTable.ts", "a released handle stays good", {
    find: "  freeGuard(entry.guard);\n  entry.guard = 0;\n  entry.object = heap.freeHandle | FREE;",
    replace: "  entry.guard = 0;\n  entry.object = heap.freeHandle | FREE;",
  }),
];

/** Without a `replace` the text is taken out. `also` are other replacements that the change needs to compile. */
function mutant(file, why, { find, replace = "", also = [] }) {
  return { file, why, find, replace, also };
}
