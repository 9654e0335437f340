import { ReentrantCallError } from "../errors.js";
import type { Cursor, Ref } from "../layout/cursor.js";
import { place } from "../layout/location.js";
import type { AnyStruct } from "../layout/struct.js";
import { DestroySweep } from "../memory/destroySweep.js";
import type { HookOwner } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { Cells } from "./cells.js";

/** A destroy hook. */
export type HookFunction = (record: Cursor) => void;

/** A record waits with its address, guard and generation. */
const WAITING_NUMBERS = 3;

/**
 * Runs the destroy hook of a pool: before a record is freed, before all are, and before the runtime's memory is let go of.
 *
 * It knows the cells and not the pool, so that it keeps no pool alive that a program has dropped.
 */
export class PoolHooks implements HookOwner {
  readonly #cells: Cells;
  readonly #destroy: HookFunction;
  #cursor: Cursor;
  /** Records that a hook has freed, whose own hooks come next. */
  readonly #waiting: number[] = [];
  /** Their addresses. */
  readonly #waitingAddresses = new Set<Address>();
  /** The address of the record whose hook is running in a free; 0 while there is none. */
  #running: Address = 0;
  #state: "idle" | "freeing" | "ending" | "ended" = "idle";

  constructor(cells: Cells, type: AnyStruct, destroy: HookFunction) {
    this.#cells = cells;
    this.#destroy = destroy;
    this.#cursor = type.$newCursor(cells.memory);
    cells.memory.hookOwners.add(this);
  }

  /** The pool has been destroyed. */
  unregister(): void {
    this.#cells.memory.hookOwners.delete(this);
  }

  /** @throws {ReentrantCallError} while the hooks run before all records end */
  assertOpen(operation: string): void {
    if (this.#state === "idle" || this.#state === "freeing") return;
    throw new ReentrantCallError(
      `${operation}: the pool is about to end all its records, and their destroy hooks are running`,
    );
  }

  /** Runs the hook for a live record of the pool and frees it, and then those that the hook has freed. */
  free(record: Cursor | Ref): void {
    this.assertOpen("free");
    const address = record.$address;
    if (address === this.#running || this.#waitingAddresses.has(address)) {
      throw new ReentrantCallError(`free: the record at ${address} is being freed, and its destroy hook runs or waits`);
    }
    const waiting = this.#waiting;
    if (this.#state === "freeing") {
      this.#waitingAddresses.add(address);
      waiting.push(address, record.$guard, record.$generation);
      return;
    }
    this.#state = "freeing";
    const sweep = DestroySweep.begin(this.#cells.memory);
    this.#end(sweep, address, record.$guard, record.$generation);
    for (let next = 0; next < waiting.length; ) {
      this.#waitingAddresses.delete(waiting[next]!);
      this.#end(sweep, waiting[next]!, waiting[next + 1]!, waiting[next + 2]!);
      next += WAITING_NUMBERS;
      if (next < waiting.length) continue;
      waiting.length = 0; // so that a chain of any length takes the place of one
      next = 0;
    }
    this.#state = "idle";
    sweep.finish("free");
  }

  #end(sweep: DestroySweep, address: Address, guard: number, generation: number): void {
    place(this.#cursor, address, guard, generation);
    this.#running = address;
    this.#run(sweep);
    this.#running = 0;
    const cursor = this.#cursor;
    place(cursor, address, guard, generation); // the hook may have moved it
    // In the sweep, since in the debug runtime it may tell of damage, and what waits must end all the same.
    sweep.run(this.#reclaim, cursor);
  }

  /** Runs the hook for the record that the cursor is on; if it has frozen the cursor, there is another one then. */
  #run(sweep: DestroySweep): void {
    const cursor = this.#cursor;
    sweep.run(this.#destroy, cursor);
    if (!Object.isExtensible(cursor)) this.#cursor = cursor.$struct.$newCursor(this.#cells.memory);
  }

  readonly #reclaim: HookFunction = (record) => this.#cells.free(record, "free");

  /**
   * Runs the hook for all records, which end after this.
   *
   * @returns the sweep, to be finished when they have
   * @throws {ReentrantCallError} in a hook of the pool; nothing has changed
   */
  endAll(operation: string): DestroySweep {
    this.assertOpen(operation);
    if (this.#state === "freeing") {
      throw new ReentrantCallError(`${operation}: a destroy hook cannot end all records of its own pool`);
    }
    const sweep = DestroySweep.begin(this.#cells.memory);
    this.#state = "ending";
    this.$beforeDispose(sweep);
    this.#state = "idle";
    return sweep;
  }

  /**
   * As {@link endAll}, for who ends several pools at once: all hooks run before the first record ends.
   *
   * @param sweep to be finished when all have ended
   */
  endWith(sweep: DestroySweep): void {
    this.#state = "ending";
    this.$beforeDispose(sweep);
    this.#state = "ended";
  }

  /** True if all hooks have run, and no record can be made any more. */
  get hasEnded(): boolean {
    return this.#state === "ended";
  }

  $beforeDispose(sweep: DestroySweep): void {
    for (let address = 0; this.#cells.next(address, this.#cursor); ) {
      address = this.#cursor.$address;
      this.#run(sweep);
      this.#cells.memory.recover(); // the hook may have had the host grow memory
    }
  }
}
