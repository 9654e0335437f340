import { CorruptionError, DisposedError } from "../errors.js";
import { type Location, place } from "../layout/location.js";
import type { LeakKind } from "../memory/allocationSites.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { type Address, PAGE_SIZE } from "../memory/module.js";
import { type Findings, walk } from "./findings.js";

/** The words of a pool in linear memory that TypeScript reads. */
type PoolWord = `POOL_${string}`;

/** What {@link Cells} are made of. */
interface CellsOptions {
  /** What messages and leaks call it. */
  readonly kind: LeakKind & ("pool" | "framePool");
  readonly cellBytes: number;
  /** The cells to reserve at once; 0 for those of one slab. */
  readonly capacity: number;
  /** True if there shall never be more. */
  readonly fixed: boolean;
}

/**
 * A pool in linear memory, as TypeScript handles it: cells of one size, known by address and guard. What pools of structs
 * and of frames have in common; every call here is one into wasm.
 */
export class Cells {
  readonly memory: LinearMemory;
  readonly options: CellsOptions;
  /** The pool's address; 0 once it has been destroyed. */
  #address: Address;
  /** Debug runtime: where the cells in use were allocated. */
  readonly #sites: Map<Address, number> | undefined;
  readonly #forgetSource: (() => void) | undefined;

  /** @throws {OutOfMemoryError} or {SealedError}; nothing has changed */
  constructor(memory: LinearMemory, options: CellsOptions) {
    this.memory = memory;
    this.options = options;
    const { kind, cellBytes, capacity, fixed } = options;
    this.#address = memory.exports.createPool(cellBytes, capacity, fixed ? 1 : 0) >>> 0;
    if (this.#address === 0)
      throw memory.failure(`making a ${kind} of ${capacity === 0 ? "" : `${capacity} `}cells of ${cellBytes} bytes`);
    if (memory.sites === undefined) return;
    const sites = new Map<Address, number>();
    this.#sites = sites;
    // The source must not keep the pool itself alive, which may be dropped and reported.
    const cell = kind === "pool" ? "cell" : "frame";
    this.#forgetSource = memory.sites.addSource(function* () {
      for (const site of sites.values()) yield { kind: cell, site, bytes: cellBytes };
    });
  }

  get destroyed(): boolean {
    return this.#address === 0 || this.memory.disposed;
  }

  /** @throws {DisposedError} if it has been destroyed, alone or with the runtime */
  address(operation: string): Address {
    this.memory.assertUsable(operation);
    if (this.#address === 0) throw new DisposedError(`${operation}: the ${this.options.kind} has been destroyed`);
    return this.#address;
  }

  /** The cells in use, those included that are claimed. */
  count(): number {
    return this.memory.exports.poolCount(this.#address) >>> 0;
  }

  /** A word of the pool, by the name of the exported offset. */
  word(name: PoolWord): number {
    return wordOf(this.memory, this.#address, name);
  }

  /**
   * Takes a cell, clears it, and points `into` at it.
   *
   * @throws {LimitExceededError} if the pool is full
   * @throws {OutOfMemoryError} or {SealedError}; nothing has changed
   */
  allocate(into: Location, operation: string): void {
    const pool = this.address(operation);
    const cell = this.memory.exports.poolAllocate(pool) >>> 0;
    if (cell === 0) throw this.memory.failure(operation);
    this.#point(into, cell);
    if (this.#sites !== undefined) this.#sites.set(cell, this.memory.sites!.siteOf());
    this.#assertUndamaged();
  }

  /** Gives back the cell at `location`, which is live and one of this pool's. */
  free(location: Location, operation: string): void {
    const cell = location.$address;
    if (this.memory.exports.poolFree(this.address(operation), cell) === 0) throw this.memory.failure(operation);
    this.#sites?.delete(cell);
    this.#assertUndamaged();
  }

  /** True if `location`, which is live, is at a cell of this pool. */
  owns(location: Location): boolean {
    return this.memory.exports.poolGuard(this.#address, location.$address) >>> 2 === location.$guard;
  }

  /** Points `into` at the first cell in use behind the address `after`, unless there is none: then returns false. */
  next(after: Address, into: Location): boolean {
    const cell = this.memory.exports.poolNext(this.#address, after) >>> 0;
    if (cell === 0) return false;
    this.#point(into, cell);
    return true;
  }

  /** Points `into` at the cell that the last call has returned. */
  #point(into: Location, cell: Address): void {
    const guard = this.word("POOL_GUARD") >>> 2;
    place(into, cell, guard, this.memory.i32[guard]!);
  }

  /** Ends every ref into the pool, and keeps what a new pool of these options would have. */
  clear(): void {
    this.memory.exports.clearPool(this.address("clear"));
    this.#sites?.clear();
  }

  /** Gives all memory back. */
  destroy(): void {
    this.memory.exports.destroyPool(this.#address);
    this.#address = 0;
    this.#forgetSource?.();
  }

  /** Bytes taken from the page heap. */
  reservedBytes(): number {
    return poolBytes(this.#address)(this.memory);
  }

  /** @throws {CorruptionError} naming the first violation */
  validate(): Findings {
    const pool = this.address("validate");
    return walk(this.memory, this.options.kind, (findings) => this.memory.exports.validatePool(pool, findings));
  }

  /** Debug runtime: tells of a write to a cell that was free, or past the end of one. */
  #assertUndamaged(): void {
    const damaged = this.word("POOL_DAMAGED");
    if (damaged === 0) return;
    this.memory.u32[(this.#address + this.memory.exports.POOL_DAMAGED!.value) >>> 2] = 0;
    throw new CorruptionError(
      `the cell at ${damaged} of ${this.options.cellBytes} bytes was written past its end, or after its free`,
    );
  }
}

function wordOf(memory: LinearMemory, pool: Address, name: PoolWord): number {
  return memory.u32[(pool + memory.exports[name]!.value) >>> 2]!;
}

/** What a pool takes of the page heap, in bytes, for who asks when the object that stood for it may be gone. */
export function poolBytes(pool: Address): (memory: LinearMemory) => number {
  return (memory) => wordOf(memory, pool, "POOL_SLABS") * wordOf(memory, pool, "POOL_SLAB_PAGES") * PAGE_SIZE;
}
