import { assertFunction, assertOptions, checkFlag, checkInteger, describe, type NamesOf } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { type Cursor, describeRecord, Ref } from "../layout/cursor.js";
import { assertLive, assertMovable, assertSameMemory, isLive } from "../layout/location.js";
import { type AnyStruct, type CursorOf, type Fields, StructType } from "../layout/struct.js";
import type { DestroySweep } from "../memory/destroySweep.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { Cells, poolBytes } from "./cells.js";
import { type HookFunction, PoolHooks } from "./poolHooks.js";
import { PoolIterator } from "./poolIterator.js";
import { type NewFunction, WARM_CELL_LIMIT, type WarmCells, warmCells } from "./warmCells.js";

/** The most cells that can be asked for at once. */
const CAPACITY_LIMIT = 0x2000_0000;

/** Options of {@link Pool}s. */
export interface PoolOptions<F extends Fields> {
  /**
   * The cells to reserve at once, and for good: 1 to 2^29. Without {@link grow} there will never be more: nothing is taken later.
   */
  capacity?: number | undefined;
  /** Whether it takes more memory when it is full. Default: true without a capacity, false with one. */
  grow?: boolean | undefined;
  /** Called once for each record, before its cell is reclaimed, instead of the struct's own hook. See {@link Pool.free}. */
  destroy?: ((this: void, record: CursorOf<F>) => void) | undefined;
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
  /** Runs of pages that its cells lie in. */
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
 *
 * @example
 * using uploads = runtime.pool(Upload, { destroy: ({ file }) => files.close(file) });
 * for (const upload of uploads) if (upload.file === 7) uploads.free(upload);
 */
export class Pool<F extends Fields> {
  /** The struct of the records. */
  readonly type: StructType<F>;
  readonly $memory: LinearMemory;
  readonly #cells: Cells;
  /** What runs the destroy hook; undefined without one. */
  readonly #hooks: PoolHooks | undefined;
  /** The fast paths; undefined where every call goes into wasm: in the debug runtime, with a hook, for large records. */
  readonly #warm: WarmCells<F> | undefined;
  /** Shows, for a moment, the record that a fresh ref is made of. */
  readonly #warmCursor!: CursorOf<F>;
  readonly #stopListening: (() => void) | undefined;
  /** How messages begin: made once, since a text that is made at each call is garbage. */
  readonly #making: string;
  readonly #freeing: string;

  /**
   * Allocates a record, zero.
   *
   * @param into a cursor of the struct to point at it; without it a fresh ref is made, which is garbage later
   * @returns `into`, or the ref
   * @throws {InvalidArgumentError} if `into` is no cursor of the struct
   * @throws {LimitExceededError} if the capacity is fixed, and reached
   * @throws {OutOfMemoryError}, {SealedError}; nothing has changed
   * @throws {ReentrantCallError} in a destroy hook, while all records end
   * @throws {DisposedError} if the pool has been destroyed
   * @throws {CorruptionError} in the debug runtime, if the cell was written to while it was free; it is taken all the same
   */
  readonly new: NewFunction<F>;

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
   * @throws {CorruptionError} in the debug runtime, if what lies behind the record was written over; it is freed all the same.
   *   With a hook this is the `cause` of a {@link DestroyHookError}
   */
  readonly free: (record: Cursor<F> | Ref<F>) => void;

  /**
   * Use `runtime.pool()`.
   *
   * @throws {InvalidArgumentError} if `type` is no struct, the capacity is out of range, `grow` is false without one, or an
   *   option is not what it must be
   * @throws {OutOfMemoryError}, {SealedError}; nothing has changed
   */
  constructor(memory: LinearMemory, type: StructType<F>, options: PoolOptions<F> = {}) {
    memory.assertUsable("pool");
    if (!(type instanceof StructType)) throw new InvalidArgumentError(`pool takes a struct, not ${describe(type)}`);
    const { capacity, fixed, destroy } = checkOptions(type, options);
    this.$memory = memory;
    this.type = type;
    this.#making = `new ${type.name}`;
    this.#freeing = `freeing a ${type.name}`;
    this.#cells = new Cells(memory, { kind: "pool", cellBytes: type.$rounded, capacity, fixed });
    const address = this.#cells.address("pool");
    memory.sites?.register(this, "pool", poolBytes(address));
    if (destroy !== undefined) this.#hooks = new PoolHooks(this.#cells, type as AnyStruct, destroy as HookFunction);
    else if (memory.sites === undefined && type.$rounded <= WARM_CELL_LIMIT) {
      this.#warm = warmCells(memory, type, address, this.#newSlow, this.#freeSlow);
      this.#warmCursor = type.$newCursor(memory);
      this.#stopListening = closeWith(memory, this.#warm);
    }
    this.new = (this.#warm?.new ?? this.#newSlow) as NewFunction<F>;
    this.free = this.#warm?.free ?? this.#freeSlow;
  }

  /**
   * V8 compiles what it has seen called into the loops that call `new`, also if that is rare, and may have nothing left of its
   * budget for the accessors of fields, whose numbers are then garbage. So this is short.
   */
  readonly #newSlow = (into?: CursorOf<F>): CursorOf<F> | Ref<F> => {
    const isFit = into != null && into.$moves === (this.type as AnyStruct) && into.$memory === this.$memory;
    return isFit && this.#warm?.claim() ? this.new(into) : this.#newSlowest(into);
  };

  #newSlowest(into?: CursorOf<F>): CursorOf<F> | Ref<F> {
    const { type, $memory: memory } = this;
    this.#cells.address("new");
    this.#hooks?.assertOpen("new");
    if (into === undefined) {
      if (this.#warm !== undefined) return this.new(this.#warmCursor).ref();
      const ref = new Ref(type, memory, 0, 0, 1);
      this.#cells.allocate(ref, this.#making);
      return ref;
    }
    if (into?.$moves !== (type as AnyStruct)) {
      throw new InvalidArgumentError(`new: a cursor of ${type.name} was expected, but ${describeRecord(into)} given`);
    }
    assertSameMemory(memory, into, "new");
    this.#warm?.yield(); // a cell is held, but the views had been detached
    assertMovable(into);
    this.#cells.allocate(into, this.#making);
    return into;
  }

  readonly #freeSlow = (record: Cursor<F> | Ref<F>): void => {
    this.#cells.address("free");
    this.$assertOwn(record, "free");
    if (this.#warm?.makeRoom()) this.free(record);
    else if (this.#hooks === undefined) this.#cells.free(record, this.#freeing);
    else this.#hooks.free(record);
  };

  /** The pool's address in wasm. */
  get $address(): Address {
    return this.#cells.address("address");
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
    return this.#inUse();
  }

  #inUse(): number {
    return this.#cells.count() - (this.#warm?.claimed() ?? 0);
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
    this.#warm?.forget();
    this.#cells.clear();
    sweep?.finish("clear");
  }

  /** As {@link clear}, and gives all memory back. A second call does nothing. */
  destroy(): void {
    if (this.#cells.destroyed) return;
    this.$memory.recover(); // the host may have grown memory
    const sweep = this.#hooks?.hasEnded ? undefined : this.#hooks?.endAll("destroy");
    this.#warm?.close();
    this.#stopListening?.();
    this.$memory.sites?.unregister(this);
    this.#hooks?.unregister();
    this.#cells.destroy();
    sweep?.finish("destroy");
  }

  /** Runs the destroy hook for all records, which end with {@link destroy}: that is to follow, when other pools have done the same. */
  $runHooks(sweep: DestroySweep): void {
    this.#hooks?.endWith(sweep);
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
      count: this.#inUse(),
      capacity: this.#cells.word("POOL_CAPACITY"),
      fixed: this.#cells.options.fixed,
      retired: this.#cells.word("POOL_RETIRED"),
      reservedBytes: this.#cells.reservedBytes(),
      slabs: this.#cells.word("POOL_SLABS"),
    };
  }

  /**
   * Checks every invariant; in the debug runtime also that nobody has written past the end of a record, or to one that was freed.
   * O(cells + pages).
   *
   * @throws {CorruptionError} naming the first that is broken
   * @throws {OutOfMemoryError} or {SealedError} if there is no room for what it notes down
   */
  validate(): void {
    this.#cells.address("validate");
    this.#warm?.yield();
    this.#cells.validate();
  }
}

/** Has the fast paths closed when the memory is, without keeping a pool alive that a program has dropped. */
function closeWith<F extends Fields>(memory: LinearMemory, warm: WarmCells<F>): () => void {
  const weak = new WeakRef(warm);
  return memory.onClose(() => weak.deref()?.close());
}

const OPTIONS: NamesOf<PoolOptions<Fields>> = { capacity: true, grow: true, destroy: true };

function checkOptions<F extends Fields>(type: StructType<F>, options: PoolOptions<F>) {
  assertOptions("the options argument of a pool", options, OPTIONS);
  const { capacity, grow, destroy = type.$destroy } = options;
  if (capacity !== undefined) checkInteger("the capacity of a pool", capacity, 1, CAPACITY_LIMIT);
  if (grow !== undefined) checkFlag("grow", grow);
  if (grow === false && capacity === undefined) {
    throw new InvalidArgumentError("a pool that does not grow needs a capacity");
  }
  if (destroy !== undefined) assertFunction("destroy", destroy);
  return { capacity: capacity ?? 0, fixed: capacity !== undefined && !grow, destroy };
}
