import { walk } from "../allocators/findings.js";
import type { TidemarkError } from "../errors.js";
import { assertLive, assertMovable, end, frozenError, isLive, type Location, unset } from "../layout/location.js";
import type { AnyStruct } from "../layout/struct.js";
import type { Collector } from "../memory/collector.js";
import { DestroySweep } from "../memory/destroySweep.js";
import type { HookOwner, LinearMemory } from "../memory/linearMemory.js";
import {
  type Address,
  CLASS_CURSOR,
  CLASS_LIMIT,
  PAGE_SIZE,
  SMALL_BLOCK_SIZE,
  STACK_END,
  STACK_TOP,
  verifyConstants,
} from "../memory/module.js";
import { Barrier } from "./barrier.js";
import { type CollectedRange, CollectedRanges } from "./collectedRange.js";
import { CollectedSlot } from "./collectedSlot.js";
import { addTypes } from "./collectedTypes.js";
import { CollectedStruct, collectedArray } from "./collectedValues.js";
import type { CollectionListener, HeapStats, Strategy } from "./figures.js";
import type { HeapArrayType } from "./heapArrays.js";
import type { HeapCursor } from "./heapCursor.js";
import type { HeapStruct } from "./heapStruct.js";
import { type DeclaredType, HeapTypes, type TypeFactory } from "./heapTypes.js";
import { ObjectHooks } from "./objectHooks.js";
import {
  assertScope,
  handleBytes,
  INSIDE,
  Objects,
  type ObjectType,
  type ObjectView,
  objectOf,
  refuseAllocation,
  refuseInside,
  UNROOTED,
} from "./objects.js";
import { Scope } from "./scope.js";
import { now, Steps } from "./steps.js";

/** The strategies by the numbers that assembly/collectors has for them, and the most cells that a page has. */
const HeapConstant = { REFCOUNT: 1, MARK_SWEEP: 2, MARK_SWEEP_STOP: 3, CELLS_LIMIT: 8192 } as const;
const STRATEGY_NUMBERS = {
  refcount: HeapConstant.REFCOUNT,
  "mark-sweep": HeapConstant.MARK_SWEEP,
  "mark-sweep-stop": HeapConstant.MARK_SWEEP_STOP,
} as const;

/** More units than there can be to do. */
const UNLIMITED = 0xffff_ffff;

/** Words of a class of objects, and of a stack of handles, from their beginning. */
const CURSOR = CLASS_CURSOR / 4;
const LIMIT = CLASS_LIMIT / 4;
const TOP = STACK_TOP / 4;
const END = STACK_END / 4;

/** The words of a heap in linear memory that TypeScript reads. */
type HeapWord = `HEAP_${string}`;

/** The figures that a collected heap is made with; see `HeapOptions`. */
interface CollectedOptions {
  readonly stepUnits: number;
  readonly minimumBytes: number;
}

/**
 * The objects of a heap that are collected: by counting references, or by marking and sweeping. All of that is in wasm;
 * here are the views of the objects, the handles, and the steps.
 */
export class CollectedObjects extends Objects implements HookOwner {
  readonly strategy: Strategy;
  readonly types: HeapTypes;
  readonly #options: CollectedOptions;
  /** The heap's address; 0 once it has been destroyed. */
  #heap: Address = 0;
  /** What stores references, and moves handles, where that takes no call. */
  readonly barrier: Barrier;
  /** What the word before a new object is set to; 0 where objects have none. */
  readonly #newCount: number;
  readonly #slotWord: number;
  readonly #dyingWord: number;
  readonly #stackOffset: number;
  readonly #epochWord: number;
  readonly #cyclesWord: number;
  readonly #ranges: CollectedRanges;
  readonly #hooks: ObjectHooks;
  readonly #steps = new Steps();
  /** Cycles that listeners have been told of. */
  #toldCycles = 0;
  /** True while the hooks of all objects run before they end. */
  #ending = false;

  /** @throws {OutOfMemoryError}, {SealedError}, {InvalidArgumentError}; nothing is left of it */
  constructor(
    memory: LinearMemory,
    strategy: Exclude<Strategy, "manual">,
    declared: readonly DeclaredType[],
    options: CollectedOptions,
  ) {
    super(memory);
    verifyConstants(memory.exports, "HEAP", HeapConstant);
    this.strategy = strategy;
    this.#options = options;
    const factory: TypeFactory = {
      struct: (struct, fields) => new CollectedStruct(this, struct, fields),
      slot: (name, isWeak) => new CollectedSlot(this, name, isWeak),
      inlineArray: (element, length) => collectedArray(this, element, length),
    };
    this.types = new HeapTypes(this, factory, declared);
    const { exports } = memory;
    const { minimumBytes, stepUnits } = options;
    const heap = exports.createHeap(STRATEGY_NUMBERS[strategy], minimumBytes, stepUnits) >>> 0;
    if (heap === 0) throw memory.failure("making a heap");
    try {
      addTypes(memory, heap, this.types.all);
    } catch (error) {
      exports.destroyHeap(heap);
      throw error;
    }
    this.#heap = heap;
    this.barrier = new Barrier(memory, heap);
    this.#newCount = strategy === "refcount" ? exports.HEAP_COUNT_ONE!.value : 0;
    this.#slotWord = this.#word("HEAP_SLOT");
    this.#dyingWord = this.#word("HEAP_DYING");
    this.#epochWord = this.#word("HEAP_EPOCH_GUARD");
    this.#cyclesWord = this.#word("HEAP_CYCLES");
    this.#stackOffset = exports.SCOPE_STACK!.value;
    this.#ranges = new CollectedRanges(memory, heap);
    this.#hooks = new ObjectHooks(memory, this.types.all, this.#ranges, this.#epochWord);
    if (this.#hooks.any) memory.hookOwners.add(this);
    memory.collectors.add(this);
  }

  /** The index of a word of the heap in `memory.u32`. */
  #word(name: HeapWord): number {
    return (this.#heap + this.memory.exports[name]!.value) >>> 2;
  }

  #figure(name: HeapWord): number {
    return this.memory.u32[this.#word(name)]!;
  }

  get destroyed(): boolean {
    return this.#heap === 0 || this.memory.disposed;
  }

  // ── handles and views ─────────────────────────────────────────────────────────────────────────────────────────────

  /** A number that changes whenever the heap has worked. */
  get epoch(): number {
    this.memory.recover(); // the host may have grown memory
    return this.memory.i32[this.memory.u32[this.#epochWord]! >>> 2]!;
  }

  /**
   * On the fast path it takes the next object of the run of the class, and puts a handle on the scope's stack, as `heapAllocate`
   * does, on the very words that the module works on. Nothing of it is kept here, so between any two objects the module may
   * allocate, step, sweep or validate, and a guest may do the same. Where the views have been detached, what they show is
   * undefined, and equal.
   *
   * It is one long function, as {@link point} is, since engines would compile short ones in place: V8 does that up to 460 bytes
   * of bytecode, and gives what room a function has to calls before it does to accessors, whose floats are garbage where there
   * is none left.
   */
  allocate(declared: AnyStruct, scope: Scope, into: HeapCursor | undefined): ObjectView {
    const { memory } = this;
    // What passes this is a cursor of this heap that may be moved, of the struct asked for, and a scope.
    if (
      into != null &&
      into.$declared === declared &&
      into.$heap === this &&
      into.$moves !== undefined &&
      !into.$kept &&
      this.#heap !== 0 &&
      !this.#ending &&
      !memory.disposed &&
      scope instanceof Scope
    ) {
      const { u32 } = memory;
      const { stack, guard, generation } = scope.$rangeOf(this) as CollectedRange;
      const { $class: cells, $stride } = into.$objectType as HeapStruct;
      const object = u32[cells + CURSOR]!;
      const top = u32[stack + TOP]!;
      if (object !== u32[cells + LIMIT] && top !== u32[stack + END]) {
        try {
          into.$root = top; // first, as it throws if a program has frozen the cursor
        } catch (error) {
          throw frozenError(into, error);
        }
        into.$address = object;
        into.$guard = guard;
        into.$generation = generation;
        u32[cells + CURSOR] = object + $stride;
        if (this.#newCount !== 0) u32[(object >>> 2) - 1] = this.#newCount;
        u32[top >>> 2] = object;
        u32[stack + TOP] = top + 4;
        return into;
      }
    }
    this.assertOpen("new");
    const type = this.types.struct(declared, "new");
    assertScope(scope, "new");
    this.assertInto(type, into, "new");
    const range = scope.$rangeOf(this) as CollectedRange;
    if (this.#ending) refuseAllocation();
    const view = into ?? type.$newObjectView();
    const object = memory.exports.heapAllocate(this.#heap, type.$type, range.address) >>> 0;
    if (object === 0) throw memory.failure(`new ${type.name}`);
    this.#rooted(view, object, range);
    return view;
  }

  allocateArray(type: HeapArrayType, length: number, scope: Scope, into: ObjectView | undefined): ObjectView {
    this.assertInto(type, into, "array");
    const range = scope.$rangeOf(this) as CollectedRange;
    if (this.#ending) refuseAllocation();
    const view = into ?? type.$newObjectView();
    const object = this.memory.exports.heapAllocateArray(this.#heap, type.$type, length, range.address) >>> 0;
    if (object === 0) throw this.memory.failure(`${type.name} of ${length}`);
    this.#rooted(view, object, range);
    return view;
  }

  /** Shows a new object, whose handle wasm has just made. */
  #rooted(view: ObjectView, object: Address, range: CollectedRange): void {
    this.memory.recover();
    view.$root = this.memory.u32[this.#slotWord]!;
    view.$show(object, range.guard, range.generation);
  }

  free(): void {}

  /** A fresh view of the object at `object`, which was read from `from`. */
  show(type: ObjectType, object: Address, from: Location): ObjectView {
    const view = type.$newObjectView();
    this.point(view, object, from);
    return view;
  }

  /**
   * Points `into` at the object at `object`, which was read from `from`.
   *
   * A view that has a handle takes it along. Another gets one in the scope that `from` is of; and if that is of none, since it
   * is a kept handle or was read from one, the view keeps nothing alive, and is good until the heap next works.
   */
  point(into: ObjectView, object: Address, from: Location | undefined): void {
    assertMovable(into);
    const { memory } = this;
    const barrier = this.barrier.handleWord;
    if (into.$root > UNROOTED && isLive(into)) {
      const { u32 } = memory;
      const handle = into.$root >>> 2;
      if (u32[handle]! < u32[barrier]! && !into.$kept) u32[handle] = object;
      else if (memory.exports.moveHandle(this.#heap, into.$root, object) === 0) {
        throw memory.failure(`moving a handle from the object at ${u32[handle]} to that at ${object}`);
      }
      // What it was on is perhaps garbage now, though the guard of the views of its parts goes on.
      into.$forgetParts();
      into.$show(object, into.$guard, into.$generation);
      return;
    }
    const { i32, u32 } = memory;
    const scope = from === undefined ? 0 : u32[from.$guard + 1]!;
    if (scope === 0) {
      const guard = u32[this.#epochWord]! >>> 2;
      into.$root = UNROOTED;
      into.$show(object, guard, i32[guard]!);
      return;
    }
    const { $guard: guard, $generation: generation } = from!;
    const stack = u32[(scope + this.#stackOffset) >>> 2]! >>> 2;
    let slot = u32[stack + TOP]!;
    if (slot !== u32[stack + END] && object < u32[barrier]!) {
      u32[slot >>> 2] = object;
      u32[stack + TOP] = slot + 4;
    } else {
      slot = memory.exports.pushHandle(scope, object) >>> 0;
      if (slot === 0) throw memory.failure(`another handle, of the object at ${object}, in the scope at ${scope}`);
    }
    into.$root = slot;
    into.$show(object, guard, generation);
  }

  moveTo(into: ObjectView, target: ObjectView): void {
    this.point(into, objectOf(target), target);
  }

  clear(into: ObjectView): void {
    if (into.$kept) this.unkeep(into);
    into.$forgetParts();
    into.$root = UNROOTED;
    unset(into);
  }

  $openRange(): CollectedRange {
    this.assertOpen("a new handle");
    const range = this.#ranges.open();
    if (range === undefined) throw this.memory.failure("opening a scope");
    return range;
  }

  $keep<Record extends object>(record: Record): Record & Disposable {
    this.assertOpen("keep");
    const view = record as unknown as ObjectView;
    if (view.$root === INSIDE) refuseInside("keep");
    assertLive(view);
    const { memory } = this;
    const handle = view.$like();
    const slot = memory.exports.keepHandle(this.#heap, objectOf(view)) >>> 0;
    if (slot === 0) throw memory.failure("keeping a handle");
    const guard = memory.u32[(slot + 4) >>> 2]! >>> 2;
    handle.$root = slot;
    handle.$kept = true;
    handle.$show(objectOf(view), guard, memory.i32[guard]!);
    memory.sites?.register(handle, "handle", handleBytes(guard, handle.$generation));
    return handle as unknown as Record & Disposable;
  }

  protected unkeep(handle: ObjectView): void {
    assertMovable(handle);
    const isOpen = !this.destroyed && isLive(handle);
    if (isOpen) this.memory.exports.releaseHandle(this.#heap, handle.$root);
    this.forgetKept(handle);
    handle.$root = UNROOTED;
    end(handle);
    handle.$forgetParts();
  }

  // ── references ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Stores a reference. @throws {ResurrectionError} in a destroy hook, for an object that dies, where something lives */
  store(slot: Address, object: Address): void {
    this.barrier.store(slot, object);
  }

  loadWeak(slot: Address): Address {
    return this.memory.exports.heapLoadWeak(this.#heap, slot) >>> 0;
  }

  storeWeak(slot: Address, object: Address): void {
    if (this.memory.exports.heapStoreWeak(this.#heap, slot, object) !== 0) return;
    throw this.memory.failure("storing a weak reference");
  }

  /** Stores what another weak slot was read to have, as it is: it may refer to what is dead by now, and then counts as empty. */
  copyWeak(slot: Address, object: Address): void {
    const word = slot >>> 2;
    const before = this.memory.u32[word]!;
    this.memory.u32[word] = object;
    const live = this.loadWeak(slot);
    this.memory.u32[word] = before;
    this.storeWeak(slot, live);
  }

  // ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  work(units: number): number {
    this.memory.exports.heapBeginDue(this.#heap);
    return this.#perform(this.#budget(units), false);
  }

  /** The units of a step: stopping the world is to do everything in one. */
  #budget(units: number): number {
    return this.strategy === "mark-sweep-stop" ? UNLIMITED : units;
  }

  collectAll(): number {
    return this.#perform(UNLIMITED, true);
  }

  /** What has kept the last step from all that may be dead, if there is such a thing. */
  #starvation(): TidemarkError | undefined {
    const isAnyLost = this.#figure("HEAP_LOST") !== 0;
    if (!isAnyLost && this.#figure("HEAP_STARVED") === 0) return undefined;
    this.memory.exports.heapFigures(this.#heap);
    return isAnyLost || this.#figure("HEAP_CANDIDATES") > 0
      ? this.memory.failure("collect: looking for dropped cycles")
      : undefined;
  }

  $settle(): void {
    if (this.destroyed || this.working) return;
    const owed = this.memory.exports.heapOwed(this.#heap) >>> 0;
    if (owed === 0) return;
    this.#perform(owed, false);
  }

  $idle(): boolean {
    if (this.destroyed || this.working) return false;
    this.memory.exports.heapIdle(this.#heap);
    const units = this.#budget(this.#options.stepUnits);
    return this.#perform(units, false) >= units;
  }

  $refused(pages: number): void {
    if (!this.destroyed) this.memory.exports.heapRefused(this.#heap, pages);
  }

  get $figures(): Collector["$figures"] {
    const { steps, units, longestStepUnits, longestStepMicroseconds } = this.#steps;
    const cycles = this.destroyed ? this.#toldCycles : this.memory.u32[this.#cyclesWord]!;
    return { steps, units, longestStepUnits, longestStepMicroseconds, cycles };
  }

  /**
   * Does one step.
   *
   * @param isWhole to end the cycle under way and do another one
   * @returns the units done
   * @throws {OutOfMemoryError} or {SealedError} if that has left something that may be dead
   */
  #perform(units: number, isWhole: boolean): number {
    this.memory.recover(); // the host may have grown memory, and nobody has come to see the views since
    const sweep = DestroySweep.begin(this.memory);
    const start = now();
    let done = 0;
    let thrown: [unknown] | undefined;
    let starvation: TidemarkError | undefined;
    this.working = true;
    try {
      done = this.#advance(units, sweep);
      if (isWhole) {
        this.memory.exports.heapBeginCycle(this.#heap);
        done += this.#advance(units, sweep);
        starvation = this.#starvation(); // before anybody is told, who may do what fails for another reason
      }
      this.#steps.count(this.#figure("HEAP_FREED_OBJECTS"));
      if (done > 0) this.#steps.note(done, now() - start);
      thrown = this.#tellCycles();
    } finally {
      this.working = false;
    }
    finish(sweep, thrown);
    if (starvation !== undefined) throw starvation;
    return done;
  }

  /**
   * Works for about `units`, and runs the hooks that are met: no more than the heap has cells, since hooks that make and drop
   * objects with hooks would otherwise keep it from coming to an end.
   */
  #advance(units: number, sweep: DestroySweep): number {
    const { memory } = this;
    let done = 0;
    let hooks = 0;
    let most = 0;
    for (;;) {
      if (memory.u32[this.#dyingWord] !== 0) {
        if (hooks === 0) most = this.#figure("HEAP_BLOCK_PAGES") * HeapConstant.CELLS_LIMIT;
        this.#runDying(sweep);
        done++;
        hooks++;
      }
      if (done >= units || (hooks > 0 && hooks >= most)) return done;
      const budget = units - done;
      const worked = memory.exports.heapStep(this.#heap, budget) >>> 0;
      done += worked;
      if (worked < budget && memory.u32[this.#dyingWord] === 0) return done;
    }
  }

  /** Runs the hook that wasm has stopped for. */
  #runDying(sweep: DestroySweep): void {
    const { memory } = this;
    this.#hooks.run(memory.u32[this.#dyingWord]!, this.#figure("HEAP_DYING_TYPE"), sweep);
    memory.exports.heapHooked(this.#heap);
  }

  #tellCycles(): [unknown] | undefined {
    const cycles = this.memory.u32[this.#cyclesWord]!;
    if (cycles === this.#toldCycles) return undefined;
    this.#toldCycles = cycles;
    this.memory.exports.heapFigures(this.#heap);
    return this.#steps.tell(this.strategy, {
      cycle: cycles,
      units: this.#figure("HEAP_LAST_CYCLE_UNITS"),
      objects: this.#figure("HEAP_OBJECTS"),
      bytes: this.#figure("HEAP_BYTES"),
      floatingBytes: this.#figure("HEAP_FLOATING_BYTES"),
    });
  }

  onCollection(listener: CollectionListener): () => void {
    return this.#steps.listen(listener);
  }

  stats(): Omit<HeapStats, "strategy"> {
    const steps = this.#steps;
    this.memory.exports.heapFigures(this.#heap);
    steps.count(this.#figure("HEAP_FREED_OBJECTS"));
    return {
      objects: this.#figure("HEAP_OBJECTS"),
      bytes: this.#figure("HEAP_BYTES"),
      reservedBytes: this.#figure("HEAP_BLOCK_PAGES") * PAGE_SIZE,
      handles: this.#figure("HEAP_HANDLES"),
      freedObjects: steps.freedObjects,
      cycles: this.#figure("HEAP_CYCLES"),
      lastCycleUnits: this.#figure("HEAP_LAST_CYCLE_UNITS"),
      steps: steps.steps,
      units: steps.units,
      lastStepUnits: steps.lastStepUnits,
      longestStepUnits: steps.longestStepUnits,
      lastStepMicroseconds: steps.lastStepMicroseconds,
      longestStepMicroseconds: steps.longestStepMicroseconds,
      floatingBytes: this.#figure("HEAP_FLOATING_BYTES"),
      pendingDecrements: this.#figure("HEAP_PENDING"),
      candidates: this.#figure("HEAP_CANDIDATES"),
      overruns: this.#figure("HEAP_OVERRUNS"),
    };
  }

  validate(): void {
    walk(this.memory, "heap", (findings) => this.memory.exports.heapValidate(this.#heap, findings));
  }

  bytesOf(): (memory: LinearMemory) => number {
    const heap = this.#heap;
    // Its header and types lie in an arena, of which the first block is a small one.
    return ({ u32, exports }) => SMALL_BLOCK_SIZE + u32[(heap + exports.HEAP_BLOCK_PAGES!.value) >>> 2]! * PAGE_SIZE;
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Runs the hooks of all objects: of those that are dead and waiting for theirs, then of those that live. */
  $beforeDispose(sweep: DestroySweep): void {
    const { memory } = this;
    this.working = true;
    this.#ending = true;
    this.#advance(UNLIMITED, sweep);
    for (const type of this.#hooks.types) {
      for (let object = 0; ; ) {
        object = memory.exports.heapNextObject(this.#heap, type, object) >>> 0;
        if (object === 0) break;
        this.#hooks.run(object, type, sweep);
      }
    }
    this.#ending = false;
    this.working = false;
  }

  destroy(): void {
    const { memory } = this;
    const sweep = DestroySweep.begin(memory);
    if (this.#hooks.any) this.$beforeDispose(sweep);
    memory.hookOwners.delete(this);
    memory.collectors.delete(this);
    memory.exports.destroyHeap(this.#heap);
    this.#heap = 0;
    this.#ranges.close();
    sweep.finish("destroy");
  }
}

/** Ends the sweep of a step, and throws what has gone wrong, in hooks and in listeners. */
function finish(sweep: DestroySweep, thrown: [unknown] | undefined): void {
  try {
    sweep.finish("collecting");
  } catch (error) {
    if (thrown === undefined) throw error;
    throw new AggregateError([error, thrown[0]], "collecting: destroy hooks and a listener of the collection threw");
  }
  if (thrown !== undefined) throw thrown[0];
}
