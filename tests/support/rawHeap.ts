import { readFileSync } from "node:fs";
import { createRuntime, type Runtime, type RuntimeOptions } from "tidemark";
import { expect } from "vitest";
import { type HeapShape, heapShapes } from "./collectorShapes.js";

/** What the module exports for collected heaps. Addresses come back signed. */
export interface CollectorExports {
  createHeap(strategy: number, minimumBytes: number, stepUnits: number): number;
  destroyHeap(heap: number): void;
  heapSlotList(heap: number, count: number): number;
  heapAddType(
    heap: number,
    bytes: number,
    slots: number,
    slotCount: number,
    cyclicCount: number,
    weakSlots: number,
    weakCount: number,
    flags: number,
  ): number;
  heapAllocate(heap: number, type: number, scope: number): number;
  heapAllocateArray(heap: number, type: number, length: number, scope: number): number;
  openScope(heap: number): number;
  endScope(scope: number): void;
  pushHandle(scope: number, object: number): number;
  moveHandle(heap: number, slot: number, object: number): number;
  keepHandle(heap: number, object: number): number;
  releaseHandle(heap: number, slot: number): void;
  heapStore(heap: number, slot: number, object: number): number;
  heapLoadWeak(heap: number, slot: number): number;
  heapStoreWeak(heap: number, slot: number, object: number): number;
  heapOwed(heap: number): number;
  heapIdle(heap: number): void;
  heapStep(heap: number, units: number): number;
  heapHooked(heap: number): void;
  heapBeginCycle(heap: number): void;
  heapNextObject(heap: number, type: number, after: number): number;
  heapFigures(heap: number): void;
  heapValidate(heap: number, findings: number): number;
  allocateFindings(): number;
  freeFindings(findings: number): void;
  readonly SCOPE_GUARD: WebAssembly.Global;
  readonly [constant: `HEAP_${string}`]: WebAssembly.Global;
}

export type Strategy = "refcount" | "mark-sweep" | "mark-sweep-stop";

/** What is to be tested, where not everything is: `debug` for the debug module only, and names of strategies. */
const kinds = process.env.TIDEMARK_TEST_KINDS?.split(",") ?? [];

/** The strategies that collect, by the numbers of the module. */
const numbers: readonly { readonly strategy: Strategy; readonly number: number }[] = [
  { strategy: "refcount", number: 1 },
  { strategy: "mark-sweep", number: 2 },
  { strategy: "mark-sweep-stop", number: 3 },
];
export const strategies = numbers.filter(({ strategy }) => kinds.length < 2 || kinds.includes(strategy));

/** Each strategy in each module, for `describe.each`. */
export const heapKinds = strategies.flatMap(({ strategy }) =>
  (kinds.includes("debug") ? (["debug"] as const) : (["release", "debug"] as const)).map((module) => ({
    strategy,
    module,
    debug: module === "debug",
  })),
);

const HOOKED = 1;
const VARIABLE = 2;
/** In front of an array's elements: its type's address and its length. */
export const ARRAY_HEADER = 8;
/** What a step may do beyond its budget: a block's sweep, which is the largest piece of work; reference counting has none such. */
export const STEP_SLACK = { refcount: 2, "mark-sweep": 257, "mark-sweep-stop": 257 } as const;
/** The calls of heapStep and the units that a cycle may take in a test before it is said not to end. */
const STEP_LIMIT = 1_000_000;
const UNITS_LIMIT = 30_000_000;

/** A folder with other modules to test, `tidemark.wasm` and `tidemark.debug.wasm`, set by the script that tests mutants. */
const otherModules = process.env.TIDEMARK_TEST_MODULES;

/** A runtime over the module that is to be tested. */
async function collectorRuntime(options: RuntimeOptions): Promise<Runtime> {
  if (otherModules === undefined) return createRuntime(options);
  return createRuntime({ ...options, wasm: moduleAt(`${otherModules}/tidemark${options.debug ? ".debug" : ""}.wasm`) });
}

const compiled = new Map<string, WebAssembly.Module>();

function moduleAt(path: string): WebAssembly.Module {
  let found = compiled.get(path);
  if (found === undefined) {
    found = new WebAssembly.Module(readFileSync(path));
    compiled.set(path, found);
  }
  return found;
}

/** Runs `body` with a runtime of its own, which is disposed of afterwards. */
export async function withCollectorRuntime(
  options: RuntimeOptions,
  body: (runtime: Runtime) => unknown,
): Promise<void> {
  const runtime = await collectorRuntime(options);
  try {
    await body(runtime);
  } finally {
    runtime.dispose();
  }
}

export interface RawHeapOptions {
  readonly strategy: Strategy;
  /** The allocation that starts a cycle at the earliest; default 16 KiB, so that small tests meet cycles. */
  readonly minimumBytes?: number;
  /** The most units that are owed at a time, while pacing is not behind; default 1,000. */
  readonly stepUnits?: number;
  /** The shapes to declare, in their order in `heapShapes`; default all. */
  readonly shapes?: readonly HeapShape[];
}

export interface CollectOptions {
  /** Called for each object whose hook has to run. */
  readonly hook?: (object: number) => void;
  /** The budget of a step. */
  readonly units?: number;
  readonly cycles?: number;
}

/** A collected heap by the module's own calls, with every address unsigned. */
export class RawHeap {
  readonly address: number;
  readonly strategy: Strategy;
  readonly exports: CollectorExports;
  /** The types' addresses, by the index of their shape; 0 for shapes that are not declared. */
  readonly types: readonly number[];
  readonly shapeOfType = new Map<number, HeapShape>();

  /** @throws {Error} if memory is too small for the heap and its types */
  constructor(
    readonly runtime: Runtime,
    { strategy, minimumBytes = 16_384, stepUnits = 1000, shapes = heapShapes }: RawHeapOptions,
  ) {
    this.strategy = strategy;
    this.exports = runtime.$memory.exports as unknown as CollectorExports;
    const { number } = numbers.find((each) => each.strategy === strategy)!;
    this.address = this.exports.createHeap(number, minimumBytes, stepUnits) >>> 0;
    if (this.address === 0) throw runtime.$memory.failure("making a heap");
    this.types = heapShapes.map((shape) => (shapes.includes(shape) ? this.#declare(shape) : 0));
  }

  #declare(shape: HeapShape): number {
    const list = (offsets: readonly { offset: number }[]) => {
      if (offsets.length === 0) return 0;
      const address = this.exports.heapSlotList(this.address, offsets.length) >>> 0;
      if (address === 0) throw this.runtime.$memory.failure("making a list of slots");
      offsets.forEach(({ offset }, index) => {
        this.u32[(address >>> 2) + index] = offset;
      });
      return address;
    };
    const strong = list(shape.strong);
    const weak = list(shape.weak);
    const flags = (shape.isHooked ? HOOKED : 0) | (shape.isArray ? VARIABLE : 0);
    const type =
      this.exports.heapAddType(
        this.address,
        shape.bytes,
        strong,
        shape.strong.length,
        shape.cyclic,
        weak,
        shape.weak.length,
        flags,
      ) >>> 0;
    if (type === 0) throw this.runtime.$memory.failure("declaring a type");
    this.shapeOfType.set(type, shape);
    return type;
  }

  get u32(): Uint32Array {
    return this.runtime.$memory.u32;
  }

  /** A word of memory. */
  at(address: number): number {
    return this.u32[address >>> 2]!;
  }

  /** A word of the heap's header. */
  word(name: `HEAP_${string}`): number {
    return this.at(this.address + this.exports[name]!.value);
  }

  get objects(): number {
    this.exports.heapFigures(this.address);
    return this.word("HEAP_OBJECTS");
  }

  get bytes(): number {
    this.exports.heapFigures(this.address);
    return this.word("HEAP_BYTES");
  }

  /** The object whose hook has to run, or 0. */
  get dying(): number {
    return this.word("HEAP_DYING");
  }

  // ── calls, as they are ──────────────────────────────────────────────────────────────────────────────────────────────

  allocate(shape: HeapShape, length: number, scope: number): number {
    const type = this.types[shape.index]!;
    if (!shape.isArray) return this.exports.heapAllocate(this.address, type, scope) >>> 0;
    return this.exports.heapAllocateArray(this.address, type, length, scope) >>> 0;
  }

  /** The handle that the last allocation has made. */
  get newSlot(): number {
    return this.word("HEAP_SLOT");
  }

  openScope(): number {
    return this.exports.openScope(this.address) >>> 0;
  }

  scopeGuard(scope: number): number {
    return this.at(scope + this.exports.SCOPE_GUARD.value);
  }

  push(scope: number, object: number): number {
    return this.exports.pushHandle(scope, object) >>> 0;
  }

  keep(object: number): number {
    return this.exports.keepHandle(this.address, object) >>> 0;
  }

  release(slot: number): void {
    this.exports.releaseHandle(this.address, slot);
  }

  store(slot: number, object: number): boolean {
    return this.exports.heapStore(this.address, slot, object) !== 0;
  }

  loadWeak(slot: number): number {
    return this.exports.heapLoadWeak(this.address, slot) >>> 0;
  }

  storeWeak(slot: number, object: number): boolean {
    return this.exports.heapStoreWeak(this.address, slot, object) !== 0;
  }

  owed(): number {
    return this.exports.heapOwed(this.address) >>> 0;
  }

  step(units: number): number {
    return this.exports.heapStep(this.address, units) >>> 0;
  }

  beginCycle(): void {
    this.exports.heapBeginCycle(this.address);
  }

  // ── what is made of them ────────────────────────────────────────────────────────────────────────────────────────────

  /** Steps until all is done, with `hook` called for each object whose hook has to run. Returns the units that it took. */
  finish(units: number, hook: (object: number) => void = () => {}): number {
    let done = 0;
    for (let steps = 0; steps < STEP_LIMIT && done < UNITS_LIMIT; steps++) {
      const these = this.step(units);
      done += these;
      const { dying } = this;
      if (dying !== 0) {
        hook(dying);
        this.exports.heapHooked(this.address);
      } else if (these < units) return done;
    }
    throw new Error(`a cycle has not ended after ${done} units in steps of ${units}`);
  }

  /** Ends the cycle that is under way, which was begun with other roots, and runs `cycles` more. */
  collect({ hook = () => {}, units = 1_000_000, cycles = 1 }: CollectOptions = {}): void {
    this.finish(units, hook);
    for (let cycle = 0; cycle < cycles; cycle++) {
      this.beginCycle();
      this.finish(units, hook);
    }
  }

  /** Walks over the whole heap. @throws {Error} with what is wrong */
  validate(): void {
    if (this.exports.heapValidate === undefined) return;
    const findings = this.exports.allocateFindings() >>> 0;
    if (findings === 0) return; // memory is out: a later walk will do
    const isWell = this.exports.heapValidate(this.address, findings) !== 0;
    const constant = (name: string) => (this.exports as unknown as Record<string, WebAssembly.Global>)[name]!.value;
    const violation = this.at(findings + constant("FINDINGS_VIOLATION"));
    const address = this.at(findings + constant("FINDINGS_ADDRESS"));
    this.exports.freeFindings(findings);
    if (!isWell) expect.fail(`the heap is corrupt: violation ${violation} at ${address}`);
  }

  /** The live objects of a fixed type, by the heap's own walk. */
  list(shape: HeapShape): number[] {
    const found: number[] = [];
    let object = 0;
    do {
      object = this.exports.heapNextObject(this.address, this.types[shape.index]!, object) >>> 0;
      if (object !== 0) found.push(object);
    } while (object !== 0);
    return found;
  }

  destroy(): void {
    this.exports.destroyHeap(this.address);
  }
}
