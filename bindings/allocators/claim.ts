import { InvalidArgumentError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { type Address, ARENA_CURSOR, ARENA_GUARD, ARENA_LIMIT, ARENA_PIECES, ARENA_SIZE } from "../memory/module.js";

const CURSOR = ARENA_CURSOR / 4;
const LIMIT = ARENA_LIMIT / 4;
const GUARD = ARENA_GUARD / 4;
const PIECES = ARENA_PIECES / 4;

/** Up to here, in bytes, clearing in TypeScript costs less than the call. */
export const SMALL_RESET = 256;

/** The generation of a guard that is no longer used, signed: 2^32 − 1. */
const RETIRED = -1;

/** For an arena that a program has frozen, as the engine has just found out. */
export function frozenArena(cause: unknown): InvalidArgumentError {
  return new InvalidArgumentError("the arena is frozen: nothing can be allocated in it, and it cannot end", { cause });
}

/** What a reset returns when it could not be made. */
export const FAILED = 0xffff_ffff;

/**
 * Who has an arena, and takes its memory by the block: what makes allocation from TypeScript cheap.
 *
 * The fast path makes no call and does not even touch the arena's header in linear memory: {@link $claim} takes all that
 * is left of the present block at once, by moving the header's cursor to its limit, and it is handed out from `$cursor`
 * and `$limit` here. {@link $yield} puts the header's cursor to where the fast path has come, before wasm has a look at
 * the arena. In between a guest module that allocates in the same arena finds a full block and takes another, so that
 * the two never hand out the same bytes. Without a claim `$limit` is 0 and every allocation takes the slow path. The
 * debug module has no limit to claim up to: there everything is a call.
 *
 * Measured: a record with four checked stores took 7.1 ns with the cursor in linear memory, 3.6 ns with it here.
 */
export abstract class Claimant {
  readonly $memory: LinearMemory;
  /** The index of the arena's header in `memory.u32`; 0 when there is none (any more). */
  $header = 0;
  /** The next free byte, and the end, of what is claimed; both 0 if nothing is. */
  $cursor = 0;
  $limit = 0;
  /** Where the claim began, if it was made of an empty arena and has been kept since; else 0. */
  $start = 0;
  /** The guard of records that are made now, as its index in `memory.i32`, and its generation. */
  $guard = 0;
  $generation = 0;

  constructor(memory: LinearMemory) {
    this.$memory = memory;
  }

  /** Takes what is left of the present block for the fast path. */
  $claim(): void {
    const { u32 } = this.$memory;
    const header = this.$header;
    const cursor = u32[header + CURSOR]!;
    const limit = u32[header + LIMIT]!;
    this.$readGuard();
    if (limit <= cursor) return;
    this.$cursor = cursor;
    this.$limit = limit;
    u32[header + CURSOR] = limit;
  }

  /** Gives back what the fast path has not used, unless a guest has gone on to another block since. */
  $yield(): void {
    const limit = this.$limit;
    if (limit === 0) return;
    const { u32 } = this.$memory;
    const cursor = this.$header + CURSOR;
    if (u32[cursor] === limit) u32[cursor] = this.$cursor;
    try {
      this.$limit = 0;
    } catch {
      return; // a program has frozen this: nothing is handed out any more
    }
    this.$cursor = 0;
    this.$start = 0;
  }

  /**
   * Resets an arena that has seen no more than one claim and {@link SMALL_RESET} bytes, which is what most events come
   * to, without a call (benchmark case loop/synchronous: 8 ns an event). It does what `resetArena` in wasm does for such
   * an arena. A mark cannot be there: making one gives the claim back, or takes a second block.
   *
   * @returns the bytes that were in use, or −1 if {@link $reset} has to do it
   */
  $resetSmall(): number {
    const start = this.$start;
    const cursor = this.$cursor;
    const used = cursor - start;
    if (start === 0 || used > SMALL_RESET) return -1;
    const { u32, i32, f64 } = this.$memory;
    const generation = (this.$generation + 1) | 0;
    const header = this.$header;
    // A guard that is about to retire has to be replaced. Blocks that are kept from larger rounds have to go some day. And
    // a guest that has kept the arena's address may have made pieces, or gone on from the claim.
    if (generation === RETIRED || u32[header + PIECES] !== 1 || u32[header + CURSOR] !== this.$limit) return -1;
    try {
      this.$generation = generation; // first, as it throws if a program has frozen this
    } catch (error) {
      throw frozenArena(error);
    }
    for (let index = start >>> 3; index < cursor >>> 3; index++) f64[index] = 0;
    i32[this.$guard] = generation;
    this.$cursor = start;
    return used;
  }

  /** Ends everything in the arena, in wasm its children too. Returns the bytes that were in use, or {@link FAILED}. */
  $reset(): number {
    const header = this.$header;
    const memory = this.$memory;
    // A host may have grown memory, which detaches the views, while the arena was in use.
    if (memory.u32.length === 0) memory.recover();
    const used = memory.exports.resetClaimed(header * 4, this.$cursor, this.$limit) >>> 0;
    this.$cursor = 0;
    this.$limit = 0;
    this.$start = 0;
    if (used === FAILED) return FAILED;
    const { u32 } = memory;
    const limit = u32[header + LIMIT]!;
    if (limit !== 0) {
      this.$cursor = header * 4 + ARENA_SIZE;
      this.$limit = limit;
      this.$start = this.$cursor;
    }
    this.$readGuard();
    return used;
  }

  /** Makes `$guard` and `$generation` those of the arena's present frame. */
  $readGuard(): void {
    const { u32, i32 } = this.$memory;
    this.$guard = u32[this.$header + GUARD]! >>> 2;
    this.$generation = i32[this.$guard]!;
  }

  /** Takes up the arena at `address`, which is new. */
  $take(address: Address): void {
    this.$header = address >>> 2;
    this.$claim();
    this.$start = this.$cursor;
  }

  /** Lets go of the arena, which is gone or will be. */
  $drop(): void {
    this.$header = 0;
    this.$cursor = 0;
    this.$limit = 0;
    this.$start = 0;
  }
}
