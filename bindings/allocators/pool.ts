import { checkInteger, describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { type Cursor, describeRecord, Ref } from "../layout/cursor.js";
import { assertLive, assertSameMemory, isLive } from "../layout/location.js";
import { type AnyStruct, type CursorOf, type Fields, StructType } from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import {
  type Address,
  CELL_GUARD,
  CELL_NEXT,
  PAGE_OWNERS,
  POOL_COUNT,
  POOL_CURRENT,
  POOL_OWNER,
  SLAB_FREE,
  SLAB_POOL,
  SLAB_USED,
} from "../memory/module.js";
import { Cells, poolBytes } from "./cells.js";
import { type HookFunction, PoolHooks } from "./poolHooks.js";
import { PoolIterator } from "./poolIterator.js";

/** Cells up to this size, in bytes, are taken without a call: clearing more costs as much as the call. */
const FAST_LIMIT = 128;

/** The most cells that can be asked for at once. */
const CAPACITY_LIMIT = 0x2000_0000;

/** What a generation becomes when a cell is retired, signed: 2^32 − 2. */
const RETIRED = -2;

/** Options of {@link Pool}s. */
export interface PoolOptions<F extends Fields> {
  /** The cells to reserve at once. Without {@link grow} there will never be more: nothing is taken later. */
  capacity?: number;
  /** Whether it takes more memory when it is full. Default: true without a capacity, false with one. */
  grow?: boolean;
  /** Called once for each record, before its cell is reclaimed, instead of the struct's own hook. See {@link Pool.free}. */
  destroy?(record: CursorOf<F>): void;
}

/** The figures of a pool. */
export interface PoolStats {
  /** Cells in use. */
  readonly count: number;
  /** Cells there are, in use or not; with retired ones. */
  readonly capacity: number;
  /** True if it will never have more. */
  readonly fixed: boolean;
  /** Cells that are no longer used, because their generations have run out: after 2^31 uses each. */
  readonly retired: number;
  /** Taken from the page heap, in bytes; the generations, 4 bytes a cell, not included. */
  readonly reservedBytes: number;
  readonly slabs: number;
}

/**
 * A slab allocator for the records of one struct: each is allocated and freed alone.
 *
 * | operation | cost |
 * |---|---|
 * | `new`, `free` | O(1); for records up to 128 bytes without a call into wasm |
 * | `count`, `capacity` | O(1) |
 * | iteration | O(cells that were ever in use) |
 * | `clear`, `destroy` | O(cells that were ever in use + pages of memory) |
 *
 * A record is known by a {@link Ref} or a cursor, which remember the generation of its cell: once it has been freed, every
 * use is a {@link StaleReferenceError}, also when the cell has been given to another record, and also when the pool is gone.
 * Records never move. A cell takes its struct's size, rounded up to 8, and 4 bytes for its generation.
 *
 * With a fixed capacity everything is reserved when the pool is made: it works in a sealed runtime, and a full pool is a
 * {@link LimitExceededError}.
 *
 * Source: Bonwick, "The slab allocator" (1994); generations as in Lattner's and in Vale's generational references.
 *
 * @example
 * using orders = runtime.pool(Order, { capacity: 100_000 });
 * const cursor = orders.cursor();
 * const best = orders.new(cursor).ref();
 * cursor.price = 100.5;
 * orders.free(best);
 */
export class Pool<F extends Fields> {
  /** The struct of the records. */
  readonly type: StructType<F>;
  readonly $memory: LinearMemory;
  readonly #cells: Cells;
  /** What runs the destroy hook; undefined without one. */
  readonly #hooks: PoolHooks | undefined;
  /**
   * The indices in `memory.u32` of the pool's word for the slab to allocate from, and for the count. The first is 0, where a
   * word 0 leads to the slow path, when that is the only one: in the debug runtime, with a hook, for large records.
   */
  #current = 0;
  readonly #address: Address;
  /** The 8-byte words of a record. */
  readonly #words: number;

  /** Use `runtime.pool()`. */
  constructor(memory: LinearMemory, type: StructType<F>, options: PoolOptions<F> = {}) {
    memory.assertUsable("pool");
    if (!(type instanceof StructType)) throw new InvalidArgumentError(`pool takes a struct, not ${describe(type)}`);
    const { capacity, fixed, destroy } = checkOptions(type, options);
    this.$memory = memory;
    this.type = type;
    this.#words = type.$rounded / 8;
    this.#cells = new Cells(memory, { kind: "pool", cellBytes: type.$rounded, capacity, fixed });
    this.#address = this.#cells.address("pool");
    memory.sites?.register(this, "pool", poolBytes(this.#address));
    if (destroy !== undefined) this.#hooks = new PoolHooks(this.#cells, type as AnyStruct, destroy as HookFunction);
    const hasFastPath = destroy === undefined && memory.sites === undefined && type.$rounded <= FAST_LIMIT;
    if (hasFastPath) this.#current = (this.#address + POOL_CURRENT) >>> 2;
  }

  /**
   * Allocates a record, zero.
   *
   * @param into a cursor of the struct to point at it; without it a fresh ref is made, which is garbage later
   * @returns `into`, or the ref
   * @throws {LimitExceededError} if the capacity is fixed, and reached
   * @throws {OutOfMemoryError}, {SealedError}; nothing has changed
   * @throws {DisposedError} if the pool has been destroyed
   */
  new(): Ref<F>;
  new(into: CursorOf<F>): CursorOf<F>;
  new(into?: CursorOf<F>): CursorOf<F> | Ref<F> {
    const memory = this.$memory;
    if (into == null || into.$struct !== (this.type as AnyStruct) || into.$memory !== memory)
      return this.#newSlow(into);
    const { u32, i32, f64 } = memory;
    const slab = u32[this.#current]! >>> 2;
    const cell = u32[slab + SLAB_FREE / 4]!;
    if (!cell) return this.#newSlow(into);
    const word = cell >>> 2;
    const guard = u32[word + CELL_GUARD / 4]! >>> 2;
    const generation = (i32[guard]! + 1) | 0;
    i32[guard] = generation;
    u32[slab + SLAB_FREE / 4] = u32[word + CELL_NEXT / 4]!;
    u32[slab + SLAB_USED / 4]!++;
    u32[this.#current + (POOL_COUNT - POOL_CURRENT) / 4]!++;
    const end = (cell >>> 3) + this.#words;
    for (let index = cell >>> 3; index < end; index++) f64[index] = 0;
    into.$address = cell;
    into.$guard = guard;
    into.$generation = generation;
    return into;
  }

  #newSlow(into: CursorOf<F> | undefined): CursorOf<F> | Ref<F> {
    const { type, $memory: memory } = this;
    this.#cells.address("new");
    this.#hooks?.assertOpen("new");
    if (into === undefined) {
      const ref = new Ref(type, memory, 0, 0, 1);
      this.#cells.allocate(ref, `new ${type.name}`);
      return ref;
    }
    assertSameMemory(memory, into, "new");
    if (into.$struct !== (type as AnyStruct)) {
      throw new InvalidArgumentError(`new: a cursor of ${type.name} was expected, but ${describeRecord(into)} given`);
    }
    this.#cells.allocate(into, `new ${type.name}`);
    return into;
  }

  /**
   * Runs the destroy hook, if there is one, and takes the record's cell back. O(1).
   *
   * In its hook the record is live. A hook may free other records of the pool: their hooks run after it, one by one, before
   * the first `free` returns, so that a long chain is no deep recursion. It may allocate, here and elsewhere; it cannot free
   * its own record again, or one that is waiting for its hook. If hooks throw, all others run and all cells are reclaimed;
   * then `free` throws.
   *
   * @param record a cursor on it, or its ref
   * @throws {StaleReferenceError} if it has been freed already; nothing has changed
   * @throws {InvalidArgumentError} if it is no record of this pool; nothing has changed
   * @throws {ReentrantCallError} in a hook, for a record whose hook is running or waiting; nothing has changed
   * @throws {DestroyHookError} if a hook has thrown
   */
  free(record: Cursor<F> | Ref<F>): void {
    const memory = this.$memory;
    const { u32, i32, u8 } = memory;
    if (record == null || record.$struct !== this.type || record.$memory !== memory || this.#current === 0) {
      this.#freeSlow(record);
      return;
    }
    const address = record.$address;
    const guard = record.$guard;
    const generation = (record.$generation + 1) | 0;
    const page = address >>> 16;
    const slab = page << 14;
    const free = u32[slab + SLAB_FREE / 4]!;
    const used = u32[slab + SLAB_USED / 4]!;
    if (
      i32[guard] !== record.$generation ||
      u8[PAGE_OWNERS + page] !== POOL_OWNER ||
      u32[slab + SLAB_POOL / 4] !== this.#address ||
      free === 0 ||
      used === 1 ||
      generation === RETIRED
    ) {
      this.#freeSlow(record);
      return;
    }
    i32[guard] = generation;
    const word = address >>> 2;
    u32[word + CELL_NEXT / 4] = free;
    u32[word + CELL_GUARD / 4] = guard << 2;
    u32[slab + SLAB_FREE / 4] = address;
    u32[slab + SLAB_USED / 4] = used - 1;
    u32[this.#current + (POOL_COUNT - POOL_CURRENT) / 4]!--;
  }

  #freeSlow(record: Cursor<F> | Ref<F>): void {
    this.#cells.address("free");
    this.$assertOwn(record, "free");
    if (this.#hooks === undefined) this.#cells.free(record, `freeing a ${this.type.name}`);
    else this.#hooks.free(record);
  }

  /** Throws unless `record` is a live record of this pool. */
  $assertOwn(record: Cursor<F> | Ref<F>, operation: string): void {
    this.type.$assertRecord(this.$memory, record, operation);
    assertLive(record);
    if (this.#cells.owns(record)) return;
    throw new InvalidArgumentError(
      `${operation}: the ${this.type.name} at ${record.$address} is live, but not one of this pool's`,
    );
  }

  /** Makes a cursor of the struct, which points to nothing until it is moved, or given to {@link new}. */
  cursor(): CursorOf<F> {
    this.#cells.address("cursor");
    return this.type.$newCursor(this.$memory);
  }

  /** True if `record` is a live record of this pool. O(1) */
  contains(record: Cursor<F> | Ref<F>): boolean {
    this.#cells.address("contains");
    if (record?.$struct !== (this.type as AnyStruct)) return false;
    return record.$memory === this.$memory && isLive(record) && this.#cells.owns(record);
  }

  /** The records in use. */
  get count(): number {
    this.#cells.address("count");
    return this.#cells.word("POOL_COUNT");
  }

  /** The cells there are, in use or not. */
  get capacity(): number {
    this.#cells.address("capacity");
    return this.#cells.word("POOL_CAPACITY");
  }

  /**
   * The records in use, in the order of their addresses, all shown by one cursor: take what you need of it, or its `ref()`.
   * Records may be freed and made meanwhile; one that is made may be shown or not.
   */
  [Symbol.iterator](): IterableIterator<CursorOf<F>> {
    return new PoolIterator(this.#cells, this.cursor());
  }

  /**
   * Frees all records, running the destroy hook for each first, in the order of addresses. O(cells + pages).
   *
   * @throws {DestroyHookError} if a hook has thrown; all are freed
   * @throws {ReentrantCallError} in a hook of this pool; nothing has changed
   */
  clear(): void {
    this.#cells.address("clear");
    const sweep = this.#hooks?.endAll("clear");
    this.#cells.clear();
    sweep?.finish("clear");
  }

  /** As {@link clear}, and gives all memory back. A second call does nothing. */
  destroy(): void {
    if (this.#cells.destroyed) return;
    const sweep = this.#hooks?.endAll("destroy");
    this.#current = 0;
    this.$memory.sites?.unregister(this);
    this.#hooks?.unregister();
    this.#cells.destroy();
    sweep?.finish("destroy");
  }

  /** As {@link destroy}. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  /** True once the pool has been destroyed, alone or with the runtime. */
  get destroyed(): boolean {
    return this.#cells.destroyed;
  }

  /** The pool's figures. O(1) */
  stats(): PoolStats {
    this.#cells.address("stats");
    return {
      count: this.#cells.word("POOL_COUNT"),
      capacity: this.#cells.word("POOL_CAPACITY"),
      fixed: this.#cells.options.fixed,
      retired: this.#cells.word("POOL_RETIRED"),
      reservedBytes: this.#cells.reservedBytes(),
      slabs: this.#cells.word("POOL_SLABS"),
    };
  }

  /**
   * Checks every invariant. O(cells + pages).
   *
   * @throws {CorruptionError} naming the first that is broken
   */
  validate(): void {
    this.#cells.validate();
  }
}

function checkOptions<F extends Fields>(type: StructType<F>, options: PoolOptions<F>) {
  if (typeof options !== "object" || options === null) {
    throw new InvalidArgumentError(`pools take an object of options, but were given ${describe(options)}`);
  }
  const { capacity, grow, destroy = type.$destroy } = options;
  if (capacity !== undefined) checkInteger("the capacity of a pool", capacity, 1, CAPACITY_LIMIT);
  if (grow !== undefined && typeof grow !== "boolean") {
    throw new InvalidArgumentError(`grow must be true or false, but is ${describe(grow)}`);
  }
  if (grow === false && capacity === undefined) {
    throw new InvalidArgumentError("a pool that does not grow needs a capacity");
  }
  if (destroy !== undefined && typeof destroy !== "function") {
    throw new InvalidArgumentError(`destroy must be a function, but is ${describe(destroy)}`);
  }
  return { capacity: capacity ?? 0, fixed: capacity !== undefined && !grow, destroy };
}
