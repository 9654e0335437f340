import { OutOfMemoryError, type Runtime } from "tidemark";
import { expect } from "vitest";
import { type HeapShape, heapShape, heapShapes } from "./collectorShapes.js";
import type { RandomNumbers } from "./randomNumbers.js";
import { ARRAY_HEADER, RawHeap, type RawHeapOptions } from "./rawHeap.js";
import { PAGE } from "./runtimes.js";
import { forPayload, isZero, patternOf, type ShadowObject, sizeOf, slotAddress, slotCount } from "./shadowObject.js";

export interface ShadowScope {
  readonly address: number;
  readonly guard: number;
  readonly generation: number;
  readonly handles: ShadowHandle[];
}

export interface ShadowHandle {
  readonly slot: number;
  target: ShadowObject;
  /** Undefined for a kept handle. */
  readonly scope: ShadowScope | undefined;
  readonly guard: number;
  readonly generation: number;
}

export interface ShadowOptions extends RawHeapOptions {
  /** True if memory may run out: then what needs memory may be refused. */
  readonly isTight?: boolean;
  /** Called while a hook runs, with the object that dies. */
  readonly inHook?: (model: ShadowHeap, dying: ShadowObject) => void;
}

/** Arrays with more slots than this have some of their empty slots looked at, not all. */
const SLOTS_LOOKED_AT = 512;
/** What is in hand is the last that was loaded: so many objects. */
const HAND = 6;
/** The units of a step that does everything. */
const LARGE_STEP = 1_000_000;
/** The phase of mark-sweep in which memory is taken back. */
const SWEEP = 4;
const SCOPES = 6;
const HANDLES = 400;
const KEPT = 40;

/** Statuses that mean: memory is out. */
const OUT_OF_MEMORY = [1, 2, 3];
export const RESURRECTION = 16;

/**
 * A collected heap and, beside it, the same graph in plain objects: every operation goes to both, and a plain tracer over
 * the shadows says what has to be there. The model does what a program may do, and no more: it uses objects that it has a
 * handle for, objects that it has reached from these, and what it has loaded since the last step.
 */
export class ShadowHeap {
  readonly heap: RawHeap;
  readonly scopes: ShadowScope[] = [];
  readonly kept: ShadowHandle[] = [];
  /** What was loaded since the last step: still good, reachable or not. */
  readonly hand: ShadowObject[] = [];
  /** The newest object at each address. */
  readonly byAddress = new Map<number, ShadowObject>();
  operations = 0;
  refusals = 0;
  hooksRun = 0;
  revivals = 0;
  handles = 0;
  #isTight: boolean;
  #inHook: ((model: ShadowHeap, dying: ShadowObject) => void) | undefined;
  #stamp = 0;
  /** True if the last step has ended at a hook. */
  #hookHasRun = false;
  /** The object whose hook is running: read and written as others are, but not to be stored. */
  dying: ShadowObject | undefined;
  /** The pages in use when the heap was made, without those of guards. */
  readonly #pagesBefore: number;

  /** @throws {OutOfMemoryError} if memory is too small for the heap itself */
  constructor(
    readonly runtime: Runtime,
    options: ShadowOptions,
  ) {
    this.#pagesBefore = pagesInUse(runtime);
    this.heap = new RawHeap(runtime, options);
    this.#isTight = options.isTight ?? false;
    this.#inHook = options.inHook;
  }

  /** From here on, what needs memory may be refused. */
  allowRefusals(): void {
    this.#isTight = true;
  }

  // ── operations ──────────────────────────────────────────────────────────────────────────────────────────────────────

  openScope(): ShadowScope | undefined {
    this.operations++;
    const address = this.#attempt(() => this.heap.openScope());
    if (address === 0) return undefined;
    const guard = this.heap.scopeGuard(address);
    expect(this.heap.at(guard + 4)).toBe(address);
    if (this.scopes.some((scope) => scope.address === address)) expect.fail(`the scope ${address} is open twice`);
    const scope = { address, guard, generation: this.heap.at(guard), handles: [] };
    this.scopes.push(scope);
    return scope;
  }

  endScope(scope: ShadowScope): void {
    this.operations++;
    this.#expectOpen(scope);
    for (const { target } of scope.handles.slice(-2)) this.#take(target);
    this.heap.exports.endScope(scope.address);
    this.scopes.splice(this.scopes.indexOf(scope), 1);
    this.handles -= scope.handles.length;
    if (this.heap.at(scope.guard) === scope.generation) expect.fail(`the scope ${scope.address} has not ended`);
  }

  /** Allocates in `scope` and fills the payload. Undefined if memory was out, and rightly so. */
  allocate(shape: HeapShape, length: number, scope: ShadowScope): ShadowHandle | undefined {
    this.operations++;
    const { heap } = this;
    const objects = heap.objects;
    const before = heap.bytes;
    const address = this.#attempt(() => heap.allocate(shape, length, scope.address));
    if (address === 0) {
      if (heap.objects > objects || heap.bytes > before) expect(heap.bytes).toBe(before);
      return undefined;
    }
    const size = sizeOf(shape, length);
    // An allocation that finds no room may sweep.
    const isSweeping = heap.objects <= objects && heap.word("HEAP_PHASE") === SWEEP;
    const bytes = isSweeping ? undefined : heap.bytes - before;
    if (!isSweeping && heap.objects !== objects + 1) expect(heap.objects).toBe(objects + 1);
    if (bytes !== undefined && bytes < size) expect(bytes).toBeGreaterThanOrEqual(size);
    if (address % (size % 8 === 0 || shape.isArray ? 8 : 4) !== 0) expect.fail(`${address} is not aligned`);
    const object: ShadowObject = {
      shape,
      length,
      address,
      bytes,
      stamp: ++this.#stamp,
      strong: new Map(),
      weak: new Map(),
      isDead: false,
      hooksRun: 0,
    };
    this.#expectNew(object, size);
    this.byAddress.set(address, object);
    this.#writePayload(object);
    const slot = heap.newSlot;
    return this.#addHandle(slot, object, scope);
  }

  push(object: ShadowObject, scope: ShadowScope): ShadowHandle | undefined {
    this.operations++;
    const slot = this.#attempt(() => this.heap.push(scope.address, object.address));
    return slot === 0 ? undefined : this.#addHandle(slot, object, scope);
  }

  keep(object: ShadowObject): ShadowHandle | undefined {
    this.operations++;
    const count = this.heap.word("HEAP_HANDLES");
    const slot = this.#attempt(() => this.heap.keep(object.address));
    if (slot === 0) return undefined;
    expect(this.heap.word("HEAP_HANDLES")).toBe(count + 1);
    if (this.kept.some((handle) => handle.slot === slot)) expect.fail(`the entry ${slot} is in use twice`);
    const guard = this.heap.at(slot + 4);
    expect(this.heap.at(guard + 4)).toBe(0);
    const handle = { slot, target: object, scope: undefined, guard, generation: this.heap.at(guard) };
    this.#expectHandle(handle);
    this.kept.push(handle);
    return handle;
  }

  release(handle: ShadowHandle): void {
    this.operations++;
    const count = this.heap.word("HEAP_HANDLES");
    this.#expectHandle(handle);
    this.#take(handle.target);
    this.heap.release(handle.slot);
    this.kept.splice(this.kept.indexOf(handle), 1);
    expect(this.heap.word("HEAP_HANDLES")).toBe(count - 1);
    if (this.heap.at(handle.guard) === handle.generation) expect.fail(`the handle at ${handle.slot} has not ended`);
  }

  /** Moves a handle; `plainly` without a call where it is one of a scope, and what it shows is below the barrier. */
  move(handle: ShadowHandle, object: ShadowObject, plainly = true): void {
    this.operations++;
    this.#take(handle.target);
    const isPlain = plainly && handle.scope !== undefined;
    if (isPlain && this.heap.at(handle.slot) < this.heap.word("HEAP_HANDLE_BARRIER")) {
      this.heap.u32[handle.slot >>> 2] = object.address;
    } else if (this.#attempt(() => this.heap.exports.moveHandle(this.heap.address, handle.slot, object.address)) === 0)
      return;
    handle.target = object;
    this.#expectHandle(handle);
  }

  /** Reads a slot, and has what it shows in hand. */
  load(object: ShadowObject, index: number): ShadowObject | undefined {
    this.operations++;
    const target = object.strong.get(index);
    this.#expectSlot(object, index, target);
    if (target !== undefined) this.#take(target);
    return target;
  }

  /** Stores a reference; `plainly` without a call where what is overwritten is below the barrier. */
  store(object: ShadowObject, index: number, value: ShadowObject | undefined, plainly = true): boolean {
    this.operations++;
    const old = object.strong.get(index);
    if (old !== undefined) this.#take(old);
    const slot = this.slotAt(object, index);
    if (plainly && this.heap.at(slot) < this.heap.word("HEAP_BARRIER")) {
      this.heap.u32[slot >>> 2] = value?.address ?? 0;
    } else if (!this.heap.store(slot, value?.address ?? 0)) {
      // Only what dies may be refused, and then nothing has changed.
      const status = this.runtime.$memory.rootWord("ROOT_STATUS");
      if (value === undefined || this.dying === undefined || status !== RESURRECTION) {
        expect.fail(`a store of ${value?.address} into ${slot} was refused with status ${status}`);
      }
      if (this.reachable().has(value)) expect.fail(`the store of ${value.address}, which is alive, was refused`);
      this.#expectSlot(object, index, old);
      return false;
    }
    if (value === undefined) object.strong.delete(index);
    else object.strong.set(index, value);
    this.#expectSlot(object, index, value);
    return true;
  }

  loadWeak(object: ShadowObject, index: number): ShadowObject | undefined {
    this.operations++;
    const target = object.weak.get(index);
    const found = this.heap.loadWeak(this.weakSlotAt(object, index));
    if (target === undefined || target.isDead) {
      if (found !== 0) expect.fail(`the weak slot ${index} of ${object.address} shows ${found}, but it is empty`);
      return undefined;
    }
    if (found === 0) {
      if (this.hand.includes(target) || this.reachable().has(target)) {
        expect.fail(`the weak slot ${index} of ${object.address} is empty, but ${target.address} is alive`);
      }
      target.isDead = true;
      return undefined;
    }
    expect(found).toBe(target.address);
    this.#take(target);
    return target;
  }

  storeWeak(object: ShadowObject, index: number, value: ShadowObject | undefined): void {
    this.operations++;
    const slot = this.weakSlotAt(object, index);
    if (this.#attempt(() => (this.heap.storeWeak(slot, value?.address ?? 0) ? 1 : 0)) === 0) return;
    if (value === undefined) object.weak.delete(index);
    else object.weak.set(index, value);
    const found = this.heap.loadWeak(slot);
    if (value === undefined) expect(found).toBe(0);
    else if (found !== value.address && this.dying === undefined) expect(found).toBe(value.address);
  }

  /** One step of the collector, with its hooks. Returns the units that it did. */
  step(units: number): number {
    this.operations++;
    this.hand.length = 0;
    const done = this.heap.step(units);
    this.#hookHasRun = this.heap.dying !== 0;
    if (this.#hookHasRun) {
      this.#hook(this.heap.dying);
      this.heap.exports.heapHooked(this.heap.address);
    }
    return done;
  }

  /** Does what is owed, as the loop does after an event. */
  settle(): void {
    this.hand.length = 0;
    for (let round = 0; round < 1_000_000; round++) {
      const owed = this.heap.owed();
      if (owed === 0) return;
      if (this.step(owed) < owed && !this.#hookHasRun) return;
    }
    expect.fail("what is owed does not end");
  }

  beginCycle(): void {
    this.operations++;
    this.hand.length = 0;
    this.heap.beginCycle();
  }

  /** Ends what is under way and runs whole cycles; then exactly what is reachable must be there. */
  collect(units = LARGE_STEP): void {
    this.operations++;
    this.hand.length = 0;
    const hooksBefore = this.hooksRun;
    const hook = (object: number) => this.#hook(object);
    this.heap.collect({ hook, units });
    // What hooks have stored, opened or dropped may have made garbage again.
    if (this.#inHook !== undefined && this.hooksRun > hooksBefore) {
      for (let hooks = -1; hooks !== this.hooksRun; ) {
        hooks = this.hooksRun;
        this.heap.collect({ hook, units });
      }
    }
    // While memory is out, reference counting may have no room for what it should look at: it does so later.
    if (this.#isTight && this.heap.strategy === "refcount") this.check();
    else this.expectExact();
  }

  #hook(address: number): void {
    const object = this.byAddress.get(address);
    const type = this.heap.word("HEAP_DYING_TYPE");
    if (object === undefined) expect.fail(`the hook of ${address} has to run, but no such object was made`);
    if (type !== this.heap.types[object.shape.index]) expect.fail(`${address} dies as one of the type ${type}`);
    if (!object.shape.isHooked) expect.fail(`${address} has no hook`);
    if (object.hooksRun++ > 0) expect.fail(`the hook of ${address} has run already`);
    if (this.reachable().has(object)) expect.fail(`the hook of ${address} has to run, but it is reachable`);
    this.hooksRun++;
    this.dying = object;
    object.isDead = true;
    this.#expectObject(object);
    // What it refers to has not been freed before it.
    for (const target of object.strong.values()) this.#expectObject(target);
    for (const other of this.reachable()) this.#expectWeakOf(other);
    this.#expectWeakOf(object);
    this.#inHook?.(this, object);
    this.#expectObject(object);
    this.hand.length = 0;
    this.dying = undefined;
  }

  #expectWeakOf(object: ShadowObject): void {
    for (const [index, target] of object.weak) {
      if (!target.isDead) continue;
      const found = this.heap.loadWeak(this.weakSlotAt(object, index));
      if (found !== 0) expect.fail(`the weak slot ${index} of ${object.address} shows the dead ${found}`);
    }
  }

  /** Ends everything and checks that all that was allocated comes back. */
  end(): void {
    this.#inHook = undefined; // which may make objects and keep them
    this.#isTight = false;
    while (this.scopes.length > 0) this.endScope(this.scopes[0]!);
    while (this.kept.length > 0) this.release(this.kept[0]!);
    this.collect();
    expect([this.heap.objects, this.heap.bytes]).toEqual([0, 0]);
    this.destroy();
  }

  /** Destroys the heap as it is, and checks that its pages come back and its handles end. */
  destroy(): void {
    const handles = [...this.kept, ...this.scopes];
    this.heap.destroy();
    for (const { guard, generation } of handles) {
      if (this.heap.at(guard) === generation) expect.fail("a handle or scope has survived the heap");
    }
    expect(pagesInUse(this.runtime)).toBe(this.#pagesBefore);
    this.runtime.validate();
  }

  // ── what random programs choose from ────────────────────────────────────────────────────────────────────────────────

  get canOpen(): boolean {
    return this.scopes.length < SCOPES;
  }

  get canHold(): boolean {
    return this.handles < HANDLES;
  }

  get canKeep(): boolean {
    return this.kept.length < KEPT;
  }

  pickScope(random: RandomNumbers): ShadowScope | undefined {
    // Mostly the newest, as events do.
    if (this.scopes.length === 0 || (this.canOpen && random.below(20) === 0)) return this.openScope();
    return random.below(3) > 0 ? this.scopes.at(-1) : random.pick(this.scopes);
  }

  pickHandle(random: RandomNumbers): ShadowHandle | undefined {
    const scope = this.scopes.length === 0 ? undefined : random.pick(this.scopes);
    const isKept = scope === undefined || scope.handles.length === 0 || random.below(3) === 0;
    const list = isKept && this.kept.length > 0 ? this.kept : (scope?.handles ?? []);
    if (list.length === 0) return undefined;
    return random.below(2) === 0 ? list.at(-1) : random.pick(list);
  }

  /** An object that a program may use: of a handle, a few loads away from one, or in hand. */
  pickObject(random: RandomNumbers): ShadowObject | undefined {
    if (this.hand.length > 0 && random.below(4) === 0) return random.pick(this.hand);
    let object = this.dying !== undefined && random.below(3) === 0 ? this.dying : this.pickHandle(random)?.target;
    for (let loads = random.below(5); loads > 0 && object !== undefined; loads--) {
      const targets = [...object.strong.values()];
      if (targets.length === 0) break;
      object = random.pick(targets);
    }
    return object;
  }

  /** One that `wanted` says yes to, if it is met soon. */
  pickWanted(random: RandomNumbers, wanted: (object: ShadowObject) => boolean): ShadowObject | undefined {
    for (let attempt = 0; attempt < 8; attempt++) {
      const object = this.pickObject(random);
      if (object !== undefined && wanted(object)) return object;
    }
    return undefined;
  }

  // ── checks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The plain tracer: all that is reachable from handles. */
  reachable(): Set<ShadowObject> {
    const found = new Set<ShadowObject>();
    const waiting: ShadowObject[] = [];
    const visit = (object: ShadowObject) => {
      if (found.has(object)) return;
      found.add(object);
      waiting.push(object);
    };
    for (const { handles } of this.scopes) for (const { target } of handles) visit(target);
    for (const { target } of this.kept) visit(target);
    for (let object = waiting.pop(); object !== undefined; object = waiting.pop()) {
      for (const target of object.strong.values()) visit(target);
    }
    return found;
  }

  /** Checks every handle and every reachable object, and the heap's own walk. O(objects) */
  check(): void {
    for (const scope of this.scopes) {
      this.#expectOpen(scope);
      for (const handle of scope.handles) this.#expectHandle(handle);
    }
    for (const handle of this.kept) this.#expectHandle(handle);
    const reachable = this.reachable();
    let bytes = 0;
    for (const object of reachable) {
      if (object.hooksRun > 0) expect.fail(`the hook of ${object.address} has run, but it is reachable`);
      if (object.isDead) expect.fail(`${object.address} was dead to weak slots, but is reachable`);
      this.#expectObject(object);
      bytes += object.bytes ?? 0;
    }
    for (const object of this.hand) this.#expectObject(object);
    if (this.heap.objects < reachable.size || this.heap.bytes < bytes) {
      expect.fail(`the heap counts ${this.heap.objects} objects, but ${reachable.size} are reachable`);
    }
    this.heap.validate();
    expect(this.heap.word("HEAP_HANDLES")).toBe(this.kept.length);
  }

  /** Checks that what is reachable is there, and nothing else; weak slots that lead elsewhere are empty. */
  expectExact(): void {
    this.check();
    const reachable = this.reachable();
    let bytes: number | undefined = 0;
    const listed = new Map<HeapShape, Set<number>>();
    for (const object of reachable) {
      bytes = bytes === undefined || object.bytes === undefined ? undefined : bytes + object.bytes;
      let addresses = listed.get(object.shape);
      if (addresses === undefined) {
        addresses = new Set();
        listed.set(object.shape, addresses);
      }
      addresses.add(object.address);
    }
    const { heap } = this;
    if (heap.objects !== reachable.size) {
      const extra = heapShapes.flatMap((shape) =>
        shape.isArray || heap.types[shape.index] === 0
          ? []
          : heap.list(shape).filter((address) => !(listed.get(shape)?.has(address) ?? false)),
      );
      expect.fail(
        `${heap.objects} objects are left where ${reachable.size} are reachable; too many: ${extra.map(
          (address) => `${this.byAddress.get(address)?.shape.name} ${address}`,
        )}`,
      );
    }
    if (bytes !== undefined) expect(heap.bytes).toBe(bytes);
    for (const shape of heapShapes) {
      if (shape.isArray || heap.types[shape.index] === 0) continue;
      const expected = [...(listed.get(shape) ?? [])].sort((one, other) => one - other);
      const found = heap.list(shape).sort((one, other) => one - other);
      if (found.length !== expected.length || found.some((address, index) => address !== expected[index])) {
        expect([shape.name, found]).toEqual([shape.name, expected]);
      }
    }
    for (const object of reachable) {
      for (const [index, target] of object.weak) {
        const isAlive = reachable.has(target);
        if (!isAlive) target.isDead = true;
        const found = heap.loadWeak(this.weakSlotAt(object, index));
        if (found === (isAlive ? target.address : 0)) continue;
        expect.fail(`the weak slot ${index} of ${object.address} shows ${found}; its target is alive: ${isAlive}`);
      }
    }
    for (const [address, object] of this.byAddress) {
      if (reachable.has(object)) continue;
      if (object.shape.isHooked && object.hooksRun !== 1) {
        expect.fail(`the hook of ${address} has run ${object.hooksRun} times, but it is gone`);
      }
      this.byAddress.delete(address);
    }
  }

  /** The address of a strong slot. */
  slotAt(object: ShadowObject, index: number): number {
    return slotAddress(object, object.shape.strong, index);
  }

  weakSlotAt(object: ShadowObject, index: number): number {
    return slotAddress(object, object.shape.weak, index);
  }

  #attempt(call: () => number): number {
    const result = call();
    if (result !== 0) return result;
    const status = this.runtime.$memory.rootWord("ROOT_STATUS");
    if (!this.#isTight || !OUT_OF_MEMORY.includes(status)) {
      expect.fail(`a call was refused with status ${status}`);
    }
    this.refusals++;
    return 0;
  }

  #take(object: ShadowObject): void {
    if (this.hand.includes(object)) return;
    this.hand.push(object);
    if (this.hand.length > HAND) this.hand.shift();
  }

  #addHandle(slot: number, target: ShadowObject, scope: ShadowScope): ShadowHandle {
    const handle = { slot, target, scope, guard: scope.guard, generation: scope.generation };
    this.#expectHandle(handle);
    scope.handles.push(handle);
    this.handles++;
    return handle;
  }

  #expectOpen({ address, guard, generation }: ShadowScope): void {
    if (this.heap.at(guard) !== generation || this.heap.at(guard + 4) !== address) {
      expect.fail(`the scope ${address} has ended by itself`);
    }
  }

  #expectHandle({ slot, target, guard, generation }: ShadowHandle): void {
    const found = this.heap.at(slot);
    if (found !== target.address) expect.fail(`the handle at ${slot} shows ${found} instead of ${target.address}`);
    if (this.heap.at(guard) !== generation) expect.fail(`the handle at ${slot} has ended by itself`);
  }

  #expectSlot(object: ShadowObject, index: number, target: ShadowObject | undefined): void {
    const found = this.heap.at(this.slotAt(object, index));
    if (found === (target?.address ?? 0)) return;
    expect.fail(`slot ${index} of ${object.address} shows ${found} instead of ${target?.address ?? "nothing"}`);
  }

  /** A new object is zero, and lies over nothing that is in use. */
  #expectNew(object: ShadowObject, size: number): void {
    const { address, shape, length } = object;
    const previous = this.byAddress.get(address);
    if (previous !== undefined) {
      if (this.hand.includes(previous)) expect.fail(`${address} is handed out twice, and was still in hand`);
      previous.isDead = true;
      if (previous.shape.isHooked && previous.hooksRun !== 1) {
        expect.fail(
          `${address} is handed out again, but the hook of what was there has run ${previous.hooksRun} times`,
        );
      }
    }
    const from = shape.isArray ? ARRAY_HEADER : 0;
    if (shape.isArray) {
      const header = [this.heap.at(address), this.heap.at(address + 4)];
      if (header[0] !== this.heap.types[shape.index] || header[1] !== length) {
        expect(header).toEqual([this.heap.types[shape.index], length]);
      }
    }
    if (!isZero(this.runtime.$memory.u8, address + from, size - from)) {
      expect.fail(`the new ${shape.name} at ${address} is not zero`);
    }
  }

  #writePayload(object: ShadowObject): void {
    const { u8 } = this.runtime.$memory;
    forPayload(object, (address) => {
      u8[address] = patternOf(object.stamp, address - object.address);
    });
  }

  #expectObject(object: ShadowObject): void {
    const { shape, length, address } = object;
    const memory = this.runtime.$memory;
    if (shape.isArray) {
      const header = [this.heap.at(address), this.heap.at(address + 4)];
      if (header[0] !== this.heap.types[shape.index] || header[1] !== length) {
        expect.fail(`the header of the ${shape.name} at ${address} is ${header}, it has been freed or written over`);
      }
    }
    const { u8 } = memory;
    forPayload(object, (at) => {
      if (u8[at] === patternOf(object.stamp, at - address)) return;
      expect.fail(`byte ${at - address} of the ${shape.name} at ${address} has changed, it may have been freed`);
    });
    const count = slotCount(object);
    const stride = count > SLOTS_LOOKED_AT ? Math.floor(count / SLOTS_LOOKED_AT) : 1;
    for (let index = 0; index < count; index += stride) this.#expectSlot(object, index, object.strong.get(index));
    for (const [index, target] of object.strong) this.#expectSlot(object, index, target);
  }
}

/** The pages in use, without those of guards, which are kept for good, and the last of small blocks, which is kept too. */
function pagesInUse(runtime: Runtime): number {
  const { usedBytes, bytesByOwner } = runtime.stats();
  return (usedBytes - bytesByOwner.guards - Math.min(bytesByOwner.smallBlocks, PAGE)) / PAGE;
}

/** Makes a model, or returns undefined if memory is too small for it. */
export function tryShadowHeap(runtime: Runtime, options: ShadowOptions): ShadowHeap | undefined {
  try {
    return new ShadowHeap(runtime, options);
  } catch (error) {
    if (error instanceof OutOfMemoryError) return undefined;
    throw error;
  }
}

/** A node, the usual object of directed tests. */
export const NODE = heapShape("node");
