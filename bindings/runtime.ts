import { instantiateSync } from "@assemblyscript/loader";
import { Arena } from "./allocators/arena.js";
import { ByteHeap } from "./allocators/byteHeap.js";
import { FramePool, type FramePoolOptions } from "./allocators/framePool.js";
import { Pool, type PoolOptions } from "./allocators/pool.js";
import { RegionPool } from "./allocators/region.js";
import type { ArenaOptions } from "./allocators/space.js";
import { assertFunction, assertObject, checkInteger, describe } from "./arguments.js";
import { type Entry, SortedMap, type SortedMapOptions } from "./collections/sortedMap.js";
import { createHeap } from "./collectors/createHeap.js";
import type { Strategy } from "./collectors/figures.js";
import type { Heap, HeapOptions } from "./collectors/heap.js";
import { Scope } from "./collectors/scope.js";
import {
  CorruptionError,
  DisposedError,
  InvalidArgumentError,
  InvalidModuleError,
  OutOfMemoryError,
} from "./errors.js";
import { Bytes } from "./layout/bytes.js";
import { newSequence } from "./layout/fields.js";
import type { FieldType } from "./layout/fieldType.js";
import { type CursorOf, type Fields, type SequenceOf, StructType } from "./layout/struct.js";
import { AllocationSites, callerStack, type Leak, warnOfLeak } from "./memory/allocationSites.js";
import { LinearMemory } from "./memory/linearMemory.js";
import { MAGIC, type ModuleExports, PAGE_LIMIT, PAGE_SIZE, ROOT, verifyModule } from "./memory/module.js";
import { GUEST_DATA, staticDataOf } from "./memory/staticData.js";
import type { Platform } from "./platform.js";

export type { Entry };

/** What can be instantiated: a compiled module, its bytes, or a response that delivers them. */
export type WasmSource =
  | WebAssembly.Module
  | BufferSource
  | Response
  | PromiseLike<WebAssembly.Module | BufferSource | Response>;

/** Options of {@link createRuntime}; all have defaults. */
export interface RuntimeOptions {
  /** Memory taken at the start, in bytes, rounded up to pages of 64 KiB. Default 1 MiB, or `maximumBytes` if that is less. */
  initialBytes?: number;
  /**
   * The most memory it may ever take, in bytes, rounded down to pages: at least 128 KiB, for the tables and a page, and at most
   * 65,535 pages. Default 1 GiB.
   */
  maximumBytes?: number;
  /**
   * Take the debug module: what ends is filled with poison, canaries lie behind blocks and cells, every event has a context of
   * its own, so that one that was kept is found out, and leaks are told of. It is slower. Default false.
   */
  debug?: boolean;
  /**
   * Told, in the debug runtime, of whatever owns memory (an arena, a pool of records, frames or regions, a byte heap, a
   * collection, a heap, a scope, a kept handle, timers, a source's messages, the runtime itself) and is garbage-collected without
   * having been disposed of; by default a warning on the console. The engine collects when it likes, never while the program runs
   * synchronously, and perhaps not at all before the process ends. A runtime that is dropped with all that is in it is one leak.
   * A function that refers to an owner keeps it from being collected.
   */
  onLeak?: (leak: Leak) => void;
  /** The module to instantiate, where the package's own way of finding it does not fit (some bundlers, some hosts). */
  wasm?: WasmSource;
  /**
   * The memory to live in, with nothing in it yet; by default a new one. `initialBytes` makes it grow if it is smaller. It needs
   * a maximum of its own, of 65,535 pages at the most, and must be neither larger than `maximumBytes` nor in use by another
   * runtime.
   */
  memory?: WebAssembly.Memory;
}

/** The figures of a runtime, in bytes where not said otherwise. */
export interface RuntimeStats {
  /** Taken from the host. */
  readonly committedBytes: number;
  /** Committed and in use, in whole pages. */
  readonly usedBytes: number;
  /** Committed and free. */
  readonly freeBytes: number;
  /** The most that was ever in use. */
  readonly highWaterBytes: number;
  /** The most that may ever be committed. */
  readonly maximumBytes: number;
  /** How often memory has grown. */
  readonly growths: number;
  /** In use, by owner. */
  readonly bytesByOwner: Readonly<Record<OwnerName, number>>;
  readonly sealed: boolean;
  readonly debug: boolean;
}

/** In the order of the numbers in assembly/memory/pageHeap.ts. */
const OWNERS = [
  "free",
  "metadata",
  "host",
  "guards",
  "smallBlocks",
  "arenas",
  "sortedMaps",
  "scratch",
  "pools",
  "heapSpans",
  "heapAreas",
  "collected",
  "timers",
  "messageRings",
] as const;

/**
 * Who owns pages:
 *
 * | owner | what its pages hold |
 * |---|---|
 * | `metadata` | the runtime's own tables |
 * | `host` | what the host has grown memory by for itself |
 * | `guards` | the words by which stale references are found out |
 * | `smallBlocks` | blocks of 4,352 bytes: the first of each arena and map, what byte heaps begin with, the lists of heaps |
 * | `arenas` | the other blocks of arenas |
 * | `sortedMaps` | the other nodes of maps |
 * | `scratch` | the work space of one call |
 * | `pools` | the cells of pools, and the frames of frame pools |
 * | `heapSpans`, `heapAreas` | the small blocks of byte heaps, and the large ones |
 * | `collected` | the objects of heaps, but for those of `"manual"`, which lie in pools and a byte heap |
 * | `timers`, `messageRings` | timers, and the messages of sources |
 */
export type OwnerName = Exclude<(typeof OWNERS)[number], "free">;

const DEFAULT_INITIAL_BYTES = 1 << 20;
const DEFAULT_MAXIMUM_BYTES = 1 << 30;

/** Bitmap and owner table end here at the latest; see the drawing in assembly/memory/root.ts. */
const METADATA_BYTES = 40_960;

/**
 * One linear memory and everything in it: arenas, collections, and what a loop needs.
 *
 * It owns the memory; {@link dispose}, or `using`, lets go of it, and every later use of the runtime or of anything made
 * with it is a {@link DisposedError}. Several runtimes can live side by side; nothing passes from one to another.
 *
 * @example
 * using runtime = await createRuntime({ maximumBytes: 64 << 20 });
 * const arena = runtime.arena();
 */
export class Runtime {
  readonly $memory: LinearMemory;
  /** True if this runtime uses the debug module. */
  readonly debug: boolean;

  /** What the entry that has made this runtime knows of the platform; for loops. */
  readonly $platform: Platform;

  /** Use {@link createRuntime}. */
  constructor(memory: LinearMemory, platform: Platform = {}) {
    this.$memory = memory;
    this.$platform = platform;
    this.debug = memory.rootWord("ROOT_DEBUG") === 1;
  }

  /** True after {@link dispose}. */
  get disposed(): boolean {
    return this.$memory.disposed;
  }

  /**
   * The memory itself, for guest modules. Better let it grow through {@link reserve} alone: the pages of a `memory.grow`
   * of your own stay yours, and count towards the maximum.
   */
  get memory(): WebAssembly.Memory {
    this.$memory.assertUsable("memory");
    return this.$memory.raw;
  }

  /** Has the loop told when the runtime ends under it. */
  $onDispose(listener: () => void): () => void {
    return this.$memory.onDispose(listener);
  }

  /** Makes an arena. Errors as in {@link Arena}. */
  arena(options?: ArenaOptions): Arena {
    return new Arena(this.$memory, options);
  }

  /**
   * Makes a cursor of `type`, which points to nothing until it is moved: see {@link Cursor}.
   *
   * @throws {InvalidArgumentError} if `type` is no struct
   */
  cursor<F extends Fields>(type: StructType<F>): CursorOf<F> {
    this.$memory.assertUsable("cursor");
    if (!(type instanceof StructType)) throw new InvalidArgumentError(`cursor takes a struct, not ${describe(type)}`);
    return type.$newCursor(this.$memory);
  }

  /**
   * Makes an array of `type` that has no elements and no place yet, for `region.array(type, …, into)`.
   *
   * @throws {InvalidArgumentError} if `type` is no field type, or a struct that has a destroy hook
   * @throws {InvalidStructError} if it is a ref by a name, which means something inside a struct only
   *
   * @example
   * const levels = runtime.array(Level); // once; each event places it anew
   * loop.on("tick", (price: number, { region }) => {
   *   region.array(Level, levels).push({ price });
   * });
   */
  array<T extends FieldType<unknown>>(type: T): SequenceOf<T> {
    this.$memory.assertUsable("array");
    return newSequence(this.$memory, type);
  }

  /** Makes bytes that have no place yet, for `region.bytes(size, into)`; to be used again and again, like an {@link array}. */
  bytes(): Bytes {
    this.$memory.assertUsable("bytes");
    return new Bytes(this.$memory);
  }

  /** Makes a pool of records of `type`. Errors as in {@link Pool}. */
  pool<F extends Fields>(type: StructType<F>, options?: PoolOptions<F>): Pool<F> {
    return new Pool(this.$memory, type, options);
  }

  /** Makes a byte heap: `malloc` and `free`. Errors as in {@link ByteHeap}. */
  byteHeap(): ByteHeap {
    return new ByteHeap(this.$memory);
  }

  /**
   * Makes a heap: objects of declared types that refer to each other, under the strategy named. Errors as in {@link Heap}.
   *
   * @param strategy `"manual"`, `"refcount"`, `"mark-sweep"` or `"mark-sweep-stop"`
   * @throws {InvalidArgumentError} for another strategy, for options out of range, for no types at all, for one that is none or
   *   is named twice, for types that refer to others that are not among them
   * @throws {InvalidStructError} if a function given to `ref` fails, or the elements of an array among them are refs by a name
   * @throws {OutOfMemoryError}, {SealedError}; nothing has changed
   *
   * @example
   * using heap = runtime.heap("mark-sweep", { types: [Node], stepUnits: 2_000 });
   */
  heap(strategy: Strategy, options: HeapOptions): Heap {
    return createHeap(this.$memory, strategy, options);
  }

  /** Makes a scope for handles, to be ended by the program. In a loop's handler there is `context.scope`. */
  scope(): Scope {
    this.$memory.assertUsable("scope");
    return new Scope(this.$memory.sites);
  }

  /** Makes a pool of frames in three sizes. Errors as in {@link FramePool}. */
  framePool(options?: FramePoolOptions): FramePool {
    return new FramePool(this.$memory, options);
  }

  /** Makes a sorted map. Errors as in {@link SortedMap}. */
  sortedMap<K extends FieldType<unknown>, V extends FieldType<unknown>>(
    keyType: K,
    valueType: V,
    options?: SortedMapOptions,
  ): SortedMap<K, V> {
    this.$memory.assertUsable("sortedMap");
    return new SortedMap(this.$memory, keyType, valueType, options);
  }

  /**
   * Makes a pool of arenas for regions; the loop has one of its own.
   *
   * @param options `maximumBytes`: the most that one region may hand out, 1 to about 4 GiB; by default as much as memory has
   * @throws {InvalidArgumentError} for another number, or options that are none
   */
  regionPool(options?: { maximumBytes?: number }): RegionPool {
    this.$memory.assertUsable("regionPool");
    return new RegionPool(this.$memory, options);
  }

  /**
   * Instantiates a module of your own over this memory, compiled with
   * `--importMemory --runtime stub --memoryBase 4096 --enable simd` and with `assembly/` imported as source. It works on the same
   * heap, since all state lies in linear memory. Static data must end at 32,768, and that of several guests must not overlap,
   * which is not checked: give each a `--memoryBase` of its own.
   *
   * @param source the module, compiled with `--use DEBUG=1` for a debug runtime, `DEBUG=0` for another. Best given as
   *   bytes, for then the place of its static data can be checked
   * @param imports what it imports beside `env.memory` and the growth hook, which are added
   * @returns its exports
   * @throws {InvalidModuleError} if it cannot be compiled or linked, is compiled for the other DEBUG mode, or its static data
   *   lies over the runtime's own
   * @throws {DisposedError} if the runtime has been disposed, or is meanwhile
   *
   * @example
   * const guest = await runtime.instantiate<{ squares(region: number, count: number): number }>(bytes);
   * const address = guest.squares(arena.address, 100) >>> 0; // 0 when memory is out
   * arena.arrayAt(f64, address, 100).at(9); // 81
   */
  async instantiate<Exports extends object>(source: WasmSource, imports: WebAssembly.Imports = {}): Promise<Exports> {
    const memory = this.$memory;
    memory.assertUsable("instantiate");
    const { module, bytes } = await compile(source);
    memory.assertUsable("instantiate"); // a dispose may have come meanwhile
    const mode = WebAssembly.Module.imports(module).find(({ module: from }) => from === "growth")?.name;
    if (mode !== undefined && (mode === "grownDebug") !== this.debug) {
      throw new InvalidModuleError(
        `the module is compiled with DEBUG=${this.debug ? 0 : 1}, this runtime needs DEBUG=${this.debug ? 1 : 0}`,
      );
    }
    if (bytes !== undefined) assertPlacement(bytes);
    return instantiateOver(memory, module, imports) as Exports;
  }

  /**
   * Makes sure that `bytes` are committed and free in one run, so that nothing has to grow until they are used. Growing
   * takes the host tens of microseconds to milliseconds: do it before the load comes.
   *
   * @param bytes rounded up to pages, 1 to 65,535 of them
   * @throws {InvalidArgumentError} for another number
   * @throws {OutOfMemoryError} or {SealedError}; nothing has changed
   *
   * @example
   * runtime.reserve(64 << 20); // now, rather than under load
   * runtime.seal(); // from here on, what does not fit is a SealedError
   */
  reserve(bytes: number): void {
    this.$memory.assertUsable("reserve");
    const pages = Math.ceil(checkInteger("the bytes to reserve", bytes, 1, PAGE_LIMIT * PAGE_SIZE) / PAGE_SIZE);
    if (this.$memory.exports.reservePages(pages) === 0) throw this.$memory.failure(`reserving ${bytes} bytes`);
  }

  /**
   * From here on the runtime takes nothing from the host: what does not fit the committed memory is a
   * {@link SealedError}. It cannot be undone. A second call does nothing. See {@link reserve} for an example.
   */
  seal(): void {
    this.$memory.assertUsable("seal");
    this.$memory.exports.seal();
  }

  /** The figures of now. O(1). */
  stats(): RuntimeStats {
    const memory = this.$memory;
    memory.assertUsable("stats");
    const committed = memory.rootWord("ROOT_COMMITTED_PAGES");
    const free = memory.rootWord("ROOT_FREE_PAGES");
    const table = memory.exports.OWNER_PAGES.value >>> 2;
    const byOwner = OWNERS.map((name, owner) => [name, memory.u32[table + owner]! * PAGE_SIZE] as const).slice(1);
    return {
      committedBytes: committed * PAGE_SIZE,
      usedBytes: (committed - free) * PAGE_SIZE,
      freeBytes: free * PAGE_SIZE,
      highWaterBytes: memory.rootWord("ROOT_HIGH_WATER_PAGES") * PAGE_SIZE,
      maximumBytes: memory.rootWord("ROOT_MAXIMUM_PAGES") * PAGE_SIZE,
      growths: memory.rootWord("ROOT_GROWTHS"),
      bytesByOwner: Object.fromEntries(byOwner) as Record<OwnerName, number>,
      sealed: memory.rootWord("ROOT_SEALED") === 1,
      debug: this.debug,
    };
  }

  /**
   * Checks every invariant of the page heap. O(pages).
   *
   * @throws {CorruptionError} naming the first page that breaks one
   */
  validate(): void {
    this.$memory.assertUsable("validate");
    const found = this.$memory.exports.validatePages();
    if (found !== 0) throw new CorruptionError(`the page heap is corrupt at page ${found - 1}`);
  }

  /**
   * What is alive now and owns memory, by kind and by the place in the program where it was made, the most bytes first.
   * Children count with their arenas, and regions with their pools. Called where all should have been given back, it
   * tells what has been forgotten. O(what is alive).
   *
   * @throws {InvalidArgumentError} in the release runtime, which takes no note of where things are made
   *
   * @example
   * for (const { kind, count, bytes, stack } of runtime.leaks()) console.log(kind, count, bytes, stack);
   */
  leaks(): Leak[] {
    this.$memory.assertUsable("leaks");
    const { sites } = this.$memory;
    if (sites === undefined) throw new InvalidArgumentError("leaks() needs a runtime made with debug: true");
    return sites.leaks();
  }

  /**
   * Runs the destroy hooks of all records that are alive (those of arenas the newest first, see {@link struct}), and lets go of the memory
   * and of all that is in it. A second call does nothing.
   *
   * @throws {ReentrantCallError} in a destroy hook that another operation has called; nothing has changed
   * @throws {DestroyHookError} if a hook has thrown; the memory has been let go of all the same
   */
  dispose(): void {
    this.$memory.dispose();
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** How a platform finds the package's own modules. */
export type ModuleLoader = (debug: boolean) => Promise<WebAssembly.Module>;

/**
 * Makes the `createRuntime` of one platform.
 *
 * @param find finds the release or the debug module, and compiles it; called once for each
 * @param platform what else there is on the platform; loops on the runtime make use of it
 */
export function runtimeFactory(
  find: ModuleLoader,
  platform: Platform = {},
): (options?: RuntimeOptions) => Promise<Runtime> {
  const load = loadOnce(find);
  return async (options = {}) => {
    const { initialPages, maximumPages } = checkOptions(options);
    if (options.memory !== undefined) checkMemory(options.memory, maximumPages);
    const stack = options.debug ? callerStack() : ""; // now, since after an await it is another
    const raw = options.memory ?? newMemory(initialPages, maximumPages);
    const memory = new LinearMemory(raw);
    const { module } = await compile(options.wasm ?? load(options.debug ?? false));
    // Once more, since another runtime may have taken the memory meanwhile; from here on nothing waits.
    if (options.memory !== undefined) checkMemory(options.memory, maximumPages);
    const exports = instantiateOver(memory, module, {}) as ModuleExports;
    verifyModule(exports);
    memory.attach(exports);
    if (options.memory !== undefined) prepareMemory(memory, initialPages, maximumPages);
    if (exports.initialize(maximumPages) === 0) {
      throw new InvalidArgumentError(
        `a memory of ${raw.buffer.byteLength} bytes cannot be run with maximumBytes ${maximumPages * PAGE_SIZE}`,
      );
    }
    // A memory that others have had may hold anything, so no page of it passes as untouched.
    if (options.memory !== undefined) {
      memory.setRootWord("ROOT_FIRST_UNTOUCHED", memory.rootWord("ROOT_COMMITTED_PAGES"));
    }
    const runtime = new Runtime(memory, platform);
    if (runtime.debug) memory.sites = new AllocationSites(memory, options.onLeak ?? warnOfLeak, stack);
    return runtime;
  };
}

/** Keeps what `find` has found. */
function loadOnce(find: ModuleLoader): ModuleLoader {
  const compiled = new Map<boolean, Promise<WebAssembly.Module>>();
  return (debug) => {
    let module = compiled.get(debug);
    if (module === undefined) {
      module = find(debug);
      compiled.set(debug, module);
      module.catch(() => compiled.delete(debug)); // what failed once (no network, say) may succeed next time
    }
    return module;
  };
}

function checkOptions(options: RuntimeOptions): { initialPages: number; maximumPages: number } {
  assertObject("the options argument of createRuntime", options);
  const limit = PAGE_LIMIT * PAGE_SIZE;
  const maximum = checkInteger("maximumBytes", options.maximumBytes ?? DEFAULT_MAXIMUM_BYTES, 1, limit);
  const maximumPages = Math.floor(maximum / PAGE_SIZE);
  const metadataPages = Math.ceil((METADATA_BYTES + maximumPages) / PAGE_SIZE);
  if (maximumPages < metadataPages + 1) {
    throw new InvalidArgumentError(
      `maximumBytes must be at least ${(metadataPages + 1) * PAGE_SIZE}, tables included, but is ${maximum}`,
    );
  }
  const initial = checkInteger(
    "initialBytes",
    options.initialBytes ?? Math.min(DEFAULT_INITIAL_BYTES, maximum),
    1,
    maximum,
  );
  const initialPages = Math.min(Math.max(Math.ceil(initial / PAGE_SIZE), metadataPages), maximumPages);
  if (options.debug !== undefined && typeof options.debug !== "boolean") {
    throw new InvalidArgumentError(`debug must be true or false, but is ${describe(options.debug)}`);
  }
  if (options.onLeak !== undefined) assertFunction("onLeak", options.onLeak);
  if (options.memory !== undefined && !(options.memory instanceof WebAssembly.Memory)) {
    throw new InvalidArgumentError(`memory must be a WebAssembly.Memory, but is ${describe(options.memory)}`);
  }
  return { initialPages, maximumPages };
}

function newMemory(initial: number, maximum: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial, maximum });
  } catch (cause) {
    throw new OutOfMemoryError(`the engine refused a memory of ${initial} pages with a maximum of ${maximum}`, {
      cause,
    });
  }
}

/** Refuses a given memory that is too large, or in use. */
function checkMemory({ buffer }: WebAssembly.Memory, maximumPages: number): void {
  if (buffer.byteLength > maximumPages * PAGE_SIZE) {
    throw new InvalidArgumentError(
      `the memory given has ${buffer.byteLength} bytes, more than the maximumBytes of ${maximumPages * PAGE_SIZE}`,
    );
  }
  if (buffer.byteLength > 0 && new DataView(buffer).getUint32(ROOT, true) === MAGIC) {
    throw new InvalidArgumentError("the memory given is in use by another runtime: dispose of that first");
  }
}

/** Grows a given memory to the first pages that are needed, and clears those of the tables. */
function prepareMemory(memory: LinearMemory, initialPages: number, maximumPages: number): void {
  const pages = memory.raw.buffer.byteLength / PAGE_SIZE;
  try {
    if (pages < initialPages) memory.raw.grow(initialPages - pages);
  } catch (cause) {
    throw new OutOfMemoryError(`the memory given has ${pages} pages and refused to grow to ${initialPages}`, { cause });
  }
  memory.refresh();
  memory.u8.fill(0, 0, Math.min(METADATA_BYTES + maximumPages, memory.u8.length));
}

/**
 * Compiles `source`; gives its bytes too, where it is not a compiled module already.
 *
 * @throws {InvalidModuleError} if it cannot be fetched or compiled
 */
async function compile(source: WasmSource): Promise<{ module: WebAssembly.Module; bytes?: Uint8Array }> {
  try {
    const given = await source;
    if (given instanceof WebAssembly.Module) return { module: given };
    if (typeof Response === "function" && given instanceof Response) {
      if (!given.ok) throw new Error(`${given.url} could not be fetched: status ${given.status}`);
      return compile(await given.arrayBuffer());
    }
    const buffer = given as BufferSource;
    const bytes = ArrayBuffer.isView(buffer)
      ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).slice()
      : new Uint8Array(buffer).slice();
    return { module: await WebAssembly.compile(bytes), bytes };
  } catch (cause) {
    throw invalidModule(cause);
  }
}

/** @throws {InvalidModuleError} if static data lies where the runtime's own tables do */
function assertPlacement(bytes: Uint8Array): void {
  const stray = staticDataOf(bytes).find(({ start, end }) => start < GUEST_DATA.start || end > GUEST_DATA.end);
  if (stray === undefined) return;
  throw new InvalidModuleError(
    `the module has static data from ${stray.start} to ${stray.end}, over the runtime's own: compile it with ` +
      `--memoryBase ${GUEST_DATA.start}, to end at ${GUEST_DATA.end} at the latest`,
  );
}

/** @throws {InvalidModuleError} if the module's imports cannot be met, or its start function traps */
function instantiateOver(memory: LinearMemory, module: WebAssembly.Module, imports: WebAssembly.Imports): object {
  try {
    const { instance } = instantiateSync(module, {
      ...imports,
      env: { ...imports.env, memory: memory.raw },
      growth: { grown: () => memory.refresh(), grownDebug: () => memory.refresh() },
    });
    // Not the loader's own `exports`: those go through a wrapper that costs more than most calls do.
    return instance.exports;
  } catch (cause) {
    throw invalidModule(cause);
  }
}

function invalidModule(cause: unknown): InvalidModuleError {
  if (cause instanceof InvalidModuleError) return cause;
  const reason = cause instanceof Error ? cause.message : describe(cause);
  return new InvalidModuleError(`the module cannot be instantiated: ${reason}`, { cause });
}
