import {
  CorruptionError,
  DisposedError,
  InvalidAddressError,
  InvalidArgumentError,
  LimitExceededError,
  OutOfMemoryError,
  ReentrantCallError,
  ResurrectionError,
  SealedError,
  StaleMarkError,
  StaleReferenceError,
  type TidemarkError,
} from "../errors.js";
import type { AllocationSites } from "./allocationSites.js";
import type { Collector } from "./collector.js";
import { DestroySweep } from "./destroySweep.js";
import { type ModuleExports, PAGE_SIZE, ROOT } from "./module.js";
import { Status } from "./status.js";

/** What has destroy hooks to run before the memory is let go of. */
export interface HookOwner {
  /** Runs the hooks of all records that are alive; it must not throw. */
  $beforeDispose(sweep: DestroySweep): void;
}

/**
 * One linear memory: the views through which TypeScript reads and writes it, and the module that works on it.
 *
 * The views are replaced in {@link refresh} exactly when memory grows (growth detaches the old ones), so code reads
 * `memory.f64[…]` at each access and never keeps a view across anything that may allocate. After {@link dispose} the
 * views have length 0: every checked access then fails its check and lands in a {@link DisposedError}.
 */
export class LinearMemory {
  /** What has a memory may be shown as JSON; megabytes are no part of it. */
  toJSON(): undefined {}

  u8!: Uint8Array;
  i8!: Int8Array;
  u16!: Uint16Array;
  i16!: Int16Array;
  u32!: Uint32Array;
  i32!: Int32Array;
  f32!: Float32Array;
  f64!: Float64Array;
  u64!: BigUint64Array;
  i64!: BigInt64Array;
  /** True from the beginning of {@link dispose} on, while its hooks run too. */
  disposed = false;
  /** How many destroy hooks are running, one inside another. */
  hooksRunning = 0;
  /**
   * How many handlers of events are running: 1 at the most, but where one loop's handler has a host run another loop's. The
   * part of an async handler that runs after an `await` is not counted: it runs between events, as a collection does.
   */
  handlersRunning = 0;
  /** Whoever has work to do between events, for the loop to call: heaps, from their making to their destroying. */
  readonly collectors = new Set<Collector>();
  /** A sweep to use again. */
  idleSweep: DestroySweep | undefined = undefined;
  /**
   * Whoever has destroy hooks to run at {@link dispose}, in the order of their making. They are held strongly: register
   * what finds the records, rather than an object that a program may drop and that should then be found out as a leak.
   */
  readonly hookOwners = new Set<HookOwner>();
  /** Who has made what is alive; in the debug runtime only. */
  sites: AllocationSites | undefined = undefined;
  /** The layout layer's cursor classes for this memory, by struct; kept here, and weakly, so that neither keeps the other. */
  readonly cursorClasses = new WeakMap<object, unknown>();
  /** Whoever has to know when the memory is about to be let go of, and when it has been. */
  readonly #closeListeners = new Set<() => void>();
  readonly #disposeListeners = new Set<() => void>();
  /** Set by {@link attach}; before that nothing may be called. */
  exports!: ModuleExports;

  /** @param raw the memory that the module imports */
  constructor(public raw: WebAssembly.Memory) {
    this.refresh();
  }

  /** Takes the module that has been instantiated over this memory. */
  attach(exports: ModuleExports): void {
    // A copy: the namespace of an instance is an object whose every property is looked up anew at each call.
    this.exports = { ...exports };
  }

  /** Makes the views anew; called by the module's `grown` hook, and by no one else. */
  refresh(): void {
    this.#view(this.raw === undefined ? new ArrayBuffer(0) : this.raw.buffer);
  }

  /**
   * Runs the destroy hooks of all that is alive, the newest owner first, and lets go of the memory and the module, so that
   * they can be collected whoever still has a cursor. Every later access fails its check, and every call returns 0, for
   * which the callers have their errors. While the hooks run records can be read and written, and collections used; all
   * that asks whether the runtime is usable is told that it is not.
   *
   * @throws {ReentrantCallError} if a destroy hook calls it in the midst of another operation; nothing has changed
   * @throws {DestroyHookError} if a hook has thrown; the memory has been let go of all the same
   */
  dispose(): void {
    if (this.disposed) return;
    if (this.hooksRunning > 0) {
      throw new ReentrantCallError("dispose: a destroy hook cannot dispose of the runtime that is running it");
    }
    this.recover();
    this.disposed = true;
    for (const listener of this.#closeListeners) listener();
    const sweep = DestroySweep.begin(this);
    for (const owner of [...this.hookOwners].reverse()) owner.$beforeDispose(sweep);
    this.hookOwners.clear();
    this.collectors.clear();
    this.sites?.clear();
    this.recover(); // a hook may have had the host grow memory
    this.setRootWord("ROOT_GUEST_HEAP", 0); // guests may still have the functions that allocate from it
    this.u32[ROOT >>> 2] = 0; // no runtime lives here any more: another one may
    this.raw = undefined as never;
    this.refresh();
    this.exports = withoutModule(this.exports);
    for (const listener of [...this.#disposeListeners]) listener();
    sweep.finish("dispose");
  }

  /** Has `listener`, which must not throw, called as {@link dispose} begins. Returns a function that takes it off again. */
  onClose(listener: () => void): () => void {
    this.#closeListeners.add(listener);
    return () => this.#closeListeners.delete(listener);
  }

  /** Has `listener`, which must not throw, called after {@link dispose}. Returns a function that takes it off again. */
  onDispose(listener: () => void): () => void {
    this.#disposeListeners.add(listener);
    return () => this.#disposeListeners.delete(listener);
  }

  #view(buffer: ArrayBufferLike): void {
    this.u8 = new Uint8Array(buffer);
    this.i8 = new Int8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.i16 = new Int16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.i64 = new BigInt64Array(buffer);
  }

  /** The word of the root block that the module exports the offset of, for example `ROOT_FREE_PAGES`. */
  rootWord(name: `ROOT_${string}`): number {
    return this.u32[(this.exports.ROOT.value + this.exports[name]!.value) >>> 2]!;
  }

  /** Sets a word of the root block. */
  setRootWord(name: `ROOT_${string}`, value: number): void {
    this.u32[(this.exports.ROOT.value + this.exports[name]!.value) >>> 2] = value;
  }

  /**
   * Makes the views anew if a host has grown memory behind our back, which detaches them. True if it has.
   *
   * Every check of a view that has been detached fails, since it reads `undefined`, so this is called on failures only.
   */
  recover(): boolean {
    if (this.u8.length !== 0 || this.raw === undefined) return false;
    this.refresh();
    return true;
  }

  /** @throws {DisposedError} after {@link dispose}, and while it runs its hooks */
  assertUsable(operation: string): void {
    if (!this.disposed && (this.u8.length !== 0 || this.recover())) return;
    throw new DisposedError(`${operation}: the runtime has been disposed`);
  }

  /**
   * The typed error for a call that has just returned address 0. Where memory was out, heaps begin to look for garbage.
   *
   * @param operation what was attempted, in words, with its numbers: it begins the message
   */
  failure(operation: string): TidemarkError {
    if (this.raw === undefined) return new DisposedError(`${operation}: the runtime has been disposed`);
    this.recover(); // the host may have grown memory, and the call that failed has not
    const requested = this.rootWord("ROOT_STATUS_REQUESTED");
    const committed = this.rootWord("ROOT_COMMITTED_PAGES");
    const free = this.rootWord("ROOT_FREE_PAGES");
    const maximum = this.rootWord("ROOT_MAXIMUM_PAGES");
    const need = `${requested} pages (${requested * PAGE_SIZE} bytes) were needed`;
    const have = `${committed - free} of ${committed} pages are in use, the maximum is ${maximum}`;
    const status = this.rootWord("ROOT_STATUS");
    if (MEMORY_IS_OUT.has(status)) for (const collector of this.collectors) collector.$refused(requested);
    switch (status) {
      case Status.MAXIMUM_REACHED:
        return new OutOfMemoryError(`${operation}: ${need}, but ${have}`);
      case Status.ENGINE_REFUSED:
        return new OutOfMemoryError(`${operation}: ${need}, but the engine refused to grow memory; ${have}`);
      case Status.SEALED:
        return new SealedError(`${operation}: ${need}, but the runtime is sealed; ${have}`);
      case Status.BYTE_LIMIT:
        return new LimitExceededError(`${operation}: ${requested} bytes would pass the arena's byte limit`);
      case Status.INVALID_ALIGNMENT:
        return new InvalidArgumentError(`${operation}: the alignment ${requested} is no power of two up to 4096`);
      case Status.INVALID_KEY:
        return new InvalidArgumentError(`${operation}: the key is not a number, and has no place in the order`);
      case Status.STALE_MARK:
        return new StaleMarkError(`${operation}: the mark at ${requested} is not, or no longer, one of this arena's`);
      case Status.STALE_REFERENCE:
        return new StaleReferenceError(`${operation}: the record at ${requested} has been reset or freed`);
      case Status.INVALID_SIZE:
        return new InvalidArgumentError(`${operation}: a size of ${requested} bytes is out of range`);
      case Status.FOREIGN_ADDRESS:
        return new InvalidAddressError(`${operation}: the address ${requested} does not belong here`);
      case Status.INTERIOR_ADDRESS:
        return new InvalidAddressError(`${operation}: no block in use begins at the address ${requested}`);
      case Status.FREED_ADDRESS:
        return new InvalidAddressError(`${operation}: the block at the address ${requested} has been freed already`);
      case Status.CORRUPT_BLOCK:
        return new CorruptionError(
          `${operation}: what lies beside the block at ${requested} has been written over; it is left as it is`,
        );
      case Status.POOL_FULL:
        return new LimitExceededError(`${operation}: all ${requested} cells of the pool are in use, or retired`);
      case Status.RESURRECTION:
        return new ResurrectionError(
          `${operation}: the object at ${requested} is dying, and nothing that lives may refer to it`,
        );
      case Status.WHEEL_FULL:
        return new LimitExceededError(`${operation}: ${requested} timers are armed, and there can be no more`);
      case Status.DESTROY_HOOK:
        return new InvalidArgumentError(
          `${operation}: the record at ${requested} is of a struct with a destroy hook, which a copy would not have`,
        );
      default:
        return new InvalidArgumentError(`${operation}: ${requested} is out of range`);
    }
  }
}

/** What tells that a run of pages was refused. */
const MEMORY_IS_OUT: ReadonlySet<number> = new Set([Status.MAXIMUM_REACHED, Status.ENGINE_REFUSED, Status.SEALED]);

/** The module's constants as they were, and functions of the same names that do nothing. */
function withoutModule(exports: ModuleExports): ModuleExports {
  const stubs = Object.entries(exports)
    .filter(([, member]) => !(member instanceof WebAssembly.Memory))
    .map(([name, member]) => [name, typeof member === "function" ? () => 0 : member]);
  return Object.fromEntries(stubs) as ModuleExports;
}

/** Nor are they in Node's console. */
Object.defineProperty(LinearMemory.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value: () => "[LinearMemory]",
});
