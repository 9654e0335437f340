import { assertOptions, checkInteger, type NamesOf } from "../arguments.js";
import { DisposedError, type TidemarkError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { SIZE_LIMIT } from "../memory/module.js";
import { FAILED } from "./claim.js";
import { destroyRecords } from "./destroyRecords.js";
import { type ArenaOptions, type ArenaStats, type ChildSpace, type Siblings, Space } from "./space.js";

/** What wasm takes for "no limit". */
const NO_LIMIT = 0xffff_ffff;

/**
 * A bump allocator: allocation moves a cursor, and everything ends together.
 *
 * | operation | cost |
 * |---|---|
 * | `new`, `array`, `bytes` | O(1), amortised over blocks: 4 KiB, then 64 KiB, doubling up to 1 MiB |
 * | `mark` | O(1) |
 * | `rewind`, `reset` | O(bytes used since), one pass that clears them, + O(blocks, marks and arenas made in it since) |
 * | `destroy` | O(blocks, marks and arenas made in it): their pages are cleared when they are next taken |
 *
 * It owns its memory: {@link destroy}, or `using`, gives it back. Requests above 256 KiB get pages of their own.
 *
 * @example
 * using arena = runtime.arena();
 * const level = arena.new(Level);
 * const mark = arena.mark();
 * arena.array(Level, 1000);
 * arena.rewind(mark); // the array is gone, `level` lives
 */
export class Arena extends Space implements ChildSpace {
  readonly #parent: Space | undefined;
  readonly $birth: number = 0;
  readonly $siblings: Siblings = { older: undefined, newer: undefined };
  /** Resets that wasm does not know of, and the most bytes that were in use at one. */
  #smallResets = 0;
  #smallHighWater = 0;

  /**
   * Use `runtime.arena()` or `arena.arena()`.
   *
   * @throws {InvalidArgumentError} for options out of range, or that are not an object
   * @throws {OutOfMemoryError}, {SealedError}; nothing has changed
   */
  constructor(memory: LinearMemory, options: ArenaOptions = {}, parent?: Space) {
    super(memory);
    memory.assertUsable("arena");
    const { maximumBytes, sizeHint } = checkArenaOptions(options);
    const address = memory.exports.createArena(parent?.$open("arena") ?? 0, sizeHint, maximumBytes) >>> 0;
    if (address === 0) throw memory.failure("creating an arena");
    this.$take(address);
    this.#parent = parent;
    if (parent === undefined) {
      memory.sites?.register(this, "arena", ({ exports }) => exports.arenaReserved(address) >>> 0);
    } else {
      this.$birth = memory.f64[(address + memory.exports.ARENA_BIRTH!.value) >>> 3]!;
      parent.$adopt(this);
    }
  }

  /** True once the arena has been destroyed, alone, with its parent or with the runtime. */
  get destroyed(): boolean {
    return this.$header === 0 || this.$memory.disposed;
  }

  override arena(options?: ArenaOptions): Arena {
    return new Arena(this.$memory, options, this);
  }

  /**
   * Ends everything in the arena, its children included, and keeps the blocks that recent rounds needed: a peak that
   * decays by 1/32 each reset. The arena goes on with nothing in it.
   *
   * @returns the bytes that were in use
   * @throws {DisposedError} if it has been destroyed
   * @throws {OutOfMemoryError} or {SealedError} once in 2^32 resets, if the guard has to be replaced and memory is out;
   *   nothing has changed
   * @throws {ReentrantCallError} in a destroy hook of a record that is about to end with this arena; nothing has changed
   * @throws {DestroyHookError} if a destroy hook has thrown; the reset is done
   */
  reset(): number {
    const small = this.$memory.disposed ? -1 : this.$resetSmall();
    if (small < 0) return this.#resetSlow();
    this.#smallResets++;
    if (small > this.#smallHighWater) this.#smallHighWater = small;
    return small;
  }

  #resetSlow(): number {
    this.$assertAlive("reset");
    const sweep = destroyRecords(this, "reset", -1, 0);
    const used = this.$reset();
    if (used === FAILED) throw this.$memory.failure("resetting an arena");
    this.$endChildren(-1);
    sweep?.finish("reset");
    return used;
  }

  /**
   * Ends everything in the arena, its children included, and gives all its memory back. A second call does nothing.
   *
   * @throws {ReentrantCallError} in a destroy hook of a record that is about to end with this arena; nothing has changed
   * @throws {DestroyHookError} if a destroy hook has thrown; the arena is destroyed
   */
  destroy(): void {
    if (this.$header === 0 || this.$memory.disposed) return;
    const sweep = destroyRecords(this, "destroy");
    this.$memory.sites?.unregister(this);
    this.$memory.exports.destroyArena(this.$header * 4);
    this.$drop();
    this.$endChildren(-1);
    this.#parent?.$orphan(this);
    sweep?.finish("destroy");
  }

  /** As {@link destroy}. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  override stats(): ArenaStats {
    const stats = super.stats();
    const highWater = Math.max(stats.highWater, this.#smallHighWater);
    return { ...stats, highWater, resets: stats.resets + this.#smallResets };
  }

  $ended(operation: string): TidemarkError {
    return new DisposedError(`${operation}: the arena has been destroyed, or has ended with its parent`);
  }
}

const OPTIONS: NamesOf<ArenaOptions> = { maximumBytes: true, sizeHint: true };

/** Checks the options and gives them as wasm takes them. */
function checkArenaOptions(options: ArenaOptions): { maximumBytes: number; sizeHint: number } {
  assertOptions("the options argument of an arena", options, OPTIONS);
  const { maximumBytes, sizeHint } = options;
  return {
    maximumBytes: checkLimit(maximumBytes),
    sizeHint: sizeHint === undefined ? 0 : checkInteger("sizeHint", sizeHint, 1, SIZE_LIMIT),
  };
}

/** The most bytes that an arena or a region may hand out, as wasm takes it. */
export function checkLimit(maximumBytes: number | undefined): number {
  return maximumBytes === undefined ? NO_LIMIT : checkInteger("maximumBytes", maximumBytes, 1, SIZE_LIMIT);
}
