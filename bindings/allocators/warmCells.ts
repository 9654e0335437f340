import type { Cursor, Ref } from "../layout/cursor.js";
import { frozenError } from "../layout/location.js";
import type { AnyStruct, CursorOf, Fields, StructType } from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { type Address, CELL_GUARD, CELL_NEXT, PAGE_OWNERS, POOL_OWNER, SLAB_POOL } from "../memory/module.js";

/** Records up to this size, in bytes, are cleared here: clearing more costs as much as the call. */
export const WARM_CELL_LIMIT = 128;

/** How many cells are claimed, or given back, at a time, and the most that are held. */
const BATCH = 32;
const STOCK = 2 * BATCH;

/** Constants of this module, since engines load what is imported anew at each use: pool/pair takes 5.9 ns so, and else 7.0. */
const OWNERS = PAGE_OWNERS;
const OWNER = POOL_OWNER;
const POOL_WORD = SLAB_POOL / 4;

/** The numbers kept of each cell: address and guard. */
const NUMBERS = 2;

/** What a generation becomes when a cell is retired, signed: 2^32 − 2. */
const RETIRED = -2;

/** Allocates a record, and points a cursor or a fresh ref at it. */
export interface NewFunction<F extends Fields> {
  (): Ref<F>;
  (into: CursorOf<F>): CursorOf<F>;
}

/** The fast paths of one pool, and what the slow ones need. */
export interface WarmCells<F extends Fields> {
  readonly new: (into?: CursorOf<F>) => CursorOf<F> | Ref<F>;
  readonly free: (record: Cursor<F> | Ref<F>) => void;
  /** Claims free cells. False if none can be had, with the status of the call. */
  claim(): boolean;
  /** Gives cells back if no more can be held. True if it has. */
  makeRoom(): boolean;
  /** How many cells are held. */
  claimed(): number;
  /** Gives all cells back. */
  yield(): void;
  /** Lets go of all cells, which have ended with the content of the pool. */
  forget(): void;
  /** The pool has ended: from here on every call goes the slow way. */
  close(): void;
}

/**
 * Takes a pool's free cells a few at a time, and hands them out, and takes them back, without a call and without touching
 * the lists in linear memory. The cells that were freed last go first. To wasm, those that are held are in use; that their
 * generations are even tells everyone else that they are free.
 *
 * The functions are closures made for each pool, and not methods: to an engine the memory, and with it the address of its
 * views, is then a constant of the code (benchmark case pool/pair: 5.9 ns, where methods on the lists in linear memory took
 * 15.2).
 *
 * Source: Bonwick and Adams, "Magazines and vmem" (2001).
 *
 * @param pool the pool's address, of cells for records of `type`
 */
export function warmCells<F extends Fields>(
  memory: LinearMemory,
  type: StructType<F>,
  pool: Address,
  newSlow: (into?: CursorOf<F>) => CursorOf<F> | Ref<F>,
  freeSlow: (record: Cursor<F> | Ref<F>) => void,
): WarmCells<F> {
  const words = type.$rounded / 8;
  /** Address and guard of each cell in turn; the last is handed out first. */
  const stock = new Uint32Array(STOCK * NUMBERS);
  /** How many numbers there are in the stock, and can be. */
  let top = 0;
  let limit = STOCK * NUMBERS;

  /** Gives back the cells of the first `end` numbers, which have been held longest. */
  const giveBack = (end: number): void => {
    const { u32 } = memory;
    let first: Address = 0;
    // The list begins with the cell that was freed first, so that the one that was freed last comes to be handed out first.
    for (let index = end - NUMBERS; index >= 0; index -= NUMBERS) {
      const cell = stock[index]!;
      u32[(cell + CELL_NEXT) >>> 2] = first;
      u32[(cell + CELL_GUARD) >>> 2] = stock[index + 1]! << 2;
      first = cell;
    }
    stock.copyWithin(0, end, top);
    top -= end;
    memory.exports.returnCells(pool, first);
  };

  return {
    new: (into) => {
      if (top === 0 || into == null || into.$moves !== (type as AnyStruct) || into.$memory !== memory) {
        return newSlow(into);
      }
      const { i32, f64 } = memory;
      const cell = stock[top - 2]!;
      const guard = stock[top - 1]!;
      const generation = (i32[guard]! + 1) | 0;
      if ((generation & 1) === 0) return newSlow(into); // the views have been detached
      try {
        into.$address = cell; // first, as it throws if a program has frozen the cursor
      } catch (error) {
        throw frozenError(into, error);
      }
      into.$guard = guard;
      into.$generation = generation;
      top -= NUMBERS;
      i32[guard] = generation;
      const start = cell >>> 3;
      for (let index = 0; index < words; index++) f64[start + index] = 0;
      return into;
    },

    free: (record) => {
      if (record == null || record.$struct !== type || record.$memory !== memory || top === limit) {
        freeSlow(record);
        return;
      }
      const { u8, u32, i32 } = memory;
      const cell = record.$address;
      const guard = record.$guard;
      const page = cell >>> 16;
      const generation = (record.$generation + 1) | 0;
      // A live record of this struct, in a page of pools, of a slab of this pool, is one of its cells.
      if (
        i32[guard] !== record.$generation ||
        u8[OWNERS + page] !== OWNER ||
        u32[(page << 14) + POOL_WORD] !== pool ||
        generation === RETIRED
      ) {
        freeSlow(record);
        return;
      }
      i32[guard] = generation;
      stock[top] = cell;
      stock[top + 1] = guard;
      top += NUMBERS;
    },

    claim() {
      if (top > 0 || limit === 0) return false;
      memory.recover();
      const first = memory.exports.claimCells(pool, BATCH) >>> 0;
      const { u32 } = memory;
      for (let cell = first; cell !== 0; cell = u32[(cell + CELL_NEXT) >>> 2]!) top += NUMBERS;
      // The first of the list is the one that was freed last, or has the lowest address.
      let index = top;
      for (let cell = first; cell !== 0; cell = u32[(cell + CELL_NEXT) >>> 2]!) {
        index -= NUMBERS;
        stock[index] = cell;
        stock[index + 1] = u32[(cell + CELL_GUARD) >>> 2]! >>> 2;
      }
      return top > 0;
    },

    makeRoom() {
      if (top < limit || limit === 0) return false;
      giveBack(BATCH * NUMBERS);
      return true;
    },

    claimed: () => top / NUMBERS,
    yield: () => giveBack(top),
    forget() {
      top = 0;
    },
    close() {
      top = 0;
      limit = 0;
    },
  };
}
