import { Arena } from "./allocators/arena.js";
import { ByteHeap } from "./allocators/byteHeap.js";
import { FramePool, type FramePoolOptions } from "./allocators/framePool.js";
import { Pool, type PoolOptions } from "./allocators/pool.js";
import { RegionPool, type RegionPoolOptions } from "./allocators/region.js";
import type { ArenaOptions } from "./allocators/space.js";
import { checkInteger, describe } from "./arguments.js";
import { type Entry, SortedMap, type SortedMapOptions } from "./collections/sortedMap.js";
import { createHeap } from "./collectors/createHeap.js";
import type { Strategy } from "./collectors/figures.js";
import type { Heap, HeapOptions } from "./collectors/heap.js";
import { Scope } from "./collectors/scope.js";
import { CorruptionError, DisposedError, InvalidArgumentError, InvalidModuleError } from "./errors.js";
import { Bytes } from "./layout/bytes.js";
import { newSequence } from "./layout/fields.js";
import type { FieldType } from "./layout/fieldType.js";
import { type CursorOf, type Fields, type SequenceOf, StructType } from "./layout/struct.js";
import type { Leak } from "./memory/allocationSites.js";
import {
  assertImports,
  assertPlacement,
  assertSharesMemory,
  compile,
  instantiateOver,
  isDebugModule,
  type WasmSource,
} from "./memory/instantiate.js";
import type { LinearMemory } from "./memory/linearMemory.js";
import { PAGE_LIMIT, PAGE_SIZE } from "./memory/module.js";
import type { Platform } from "./platform.js";

export type { Entry };

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
  /** Whether it takes nothing more from the host: see {@link Runtime.seal}. */
  readonly sealed: boolean;
  /** Whether it uses the debug module. */
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
    return new Scope(this.$memory, this.$memory.sites);
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
   * @throws {InvalidArgumentError} for options out of range, or that are not an object
   */
  regionPool(options?: RegionPoolOptions): RegionPool {
    this.$memory.assertUsable("regionPool");
    return new RegionPool(this.$memory, options);
  }

  /**
   * Instantiates a module of your own over this memory, compiled with
   * `--importMemory --runtime stub --memoryBase 4096 --enable simd` and with `assembly/` imported as source. It works on the same
   * heap, since all state lies in linear memory. Static data must end at 32,768, and that of several guests must not overlap,
   * which is not checked: give each a `--memoryBase` of its own. For modules in C see {@link ByteHeap.asMalloc}.
   *
   * @param source the module, compiled with `--use DEBUG=1` for a debug runtime, `DEBUG=0` for another. Best given as
   *   bytes, for then the place of its static data and its stack can be checked
   * @param imports what it imports beside `env.memory` and the growth hook, which are added
   * @returns its exports
   * @throws {InvalidArgumentError} if `source` is neither a module nor bytes, a `Response`, or a promise of these, or the imports
   *   are not objects
   * @throws {InvalidModuleError} if it cannot be compiled or linked, is compiled for the other DEBUG mode, exports a memory of its
   *   own instead of importing this one, or its static data or its stack lies over the runtime's own, as far as its bytes tell
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
    assertImports(imports);
    const { module, bytes } = await compile("the module to instantiate", source);
    memory.assertUsable("instantiate"); // a dispose may have come meanwhile
    if (isDebugModule(module) === !this.debug) {
      throw new InvalidModuleError(
        `the module is compiled with DEBUG=${this.debug ? 0 : 1}, this runtime needs DEBUG=${this.debug ? 1 : 0}`,
      );
    }
    assertSharesMemory(module);
    if (bytes !== undefined) assertPlacement(module, bytes);
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
   * Runs the destroy hooks of all records that are alive (those of arenas the newest first, see {@link struct}), and lets go of
   * the memory and of all that is in it. A second call does nothing.
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
