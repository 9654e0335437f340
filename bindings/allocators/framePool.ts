import { assertOptions, checkInteger, describe, type NamesOf } from "../arguments.js";
import { DisposedError, InvalidArgumentError } from "../errors.js";
import { assertBytes, Bytes } from "../layout/bytes.js";
import { assertLive, assertMovable, assertSameMemory } from "../layout/location.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { Cells, poolBytes } from "./cells.js";

/** The sizes of frames, by name. */
export type FrameSize = "small" | "medium" | "large";

const SIZES: readonly FrameSize[] = ["small", "medium", "large"];
const DEFAULT_BYTES: Readonly<Record<FrameSize, number>> = { small: 1024, medium: 4096, large: 16_384 };

/** The largest frame, in bytes. */
const BYTES_LIMIT = 1 << 20;

/** Options of {@link FramePool}s: the bytes of each size, 8 to 1 MiB. Default 1, 4 and 16 KiB. */
export type FramePoolOptions = { readonly [Size in FrameSize]?: number | undefined };

/** The figures of a frame pool. */
export interface FramePoolStats {
  /** Frames in use, by size. */
  readonly inUse: Readonly<Record<FrameSize, number>>;
  /** Frames there are, in use or not, by size. */
  readonly capacity: Readonly<Record<FrameSize, number>>;
  /** Taken from the page heap, in bytes. */
  readonly reservedBytes: number;
}

/**
 * Blocks of three sizes for whoever runs for a while and then ends: the frames of fibers. They are taken when they are first
 * needed, many of a size at a time, and kept on a free list when they are given back. Those that were taken together go back to
 * the page heap once none of them is in use, if half as many others are free; the first of each size stay.
 *
 * `acquire` and `release` are O(1), apart from clearing the frame. A size that nobody asks for takes no memory.
 *
 * @example
 * using frames = runtime.framePool({ small: 512 });
 * const frame = frames.acquire("small");
 * frame.set(0, 1);
 * frames.release(frame);
 */
export class FramePool {
  readonly $memory: LinearMemory;
  readonly #bytes: Readonly<Record<FrameSize, number>>;
  /** How messages begin: made once, since a text that is made at each call is garbage. */
  readonly #acquiring: Readonly<Record<FrameSize, string>>;
  /** The pools that have been needed so far. */
  readonly #pools: Partial<Record<FrameSize, Cells>> = {};
  /** Where they lie. */
  readonly #addresses: Address[] = [];
  #destroyed = false;

  /**
   * Use `runtime.framePool()`. It takes no memory yet.
   *
   * @throws {InvalidArgumentError} for bytes out of range, or options that are not an object
   */
  constructor(memory: LinearMemory, options: FramePoolOptions = {}) {
    memory.assertUsable("framePool");
    this.$memory = memory;
    this.#bytes = checkOptions(options);
    this.#acquiring = acquiringTexts(this.#bytes);
    const addresses = this.#addresses;
    memory.sites?.register(this, "framePool", (alive) => reservedBytes(alive, addresses));
  }

  /**
   * Takes a frame, cleared.
   *
   * @param into from `runtime.bytes()`, to reuse: no garbage
   * @throws {InvalidArgumentError} for another size, or what cannot be reused
   * @throws {OutOfMemoryError} or {SealedError}; nothing has changed
   */
  acquire(size: FrameSize, into = new Bytes(this.$memory)): Bytes {
    this.#assertAlive("acquire");
    assertFrameSize(size);
    assertBytes(this.$memory, into, "acquire");
    assertMovable(into);
    const pool = this.#pools[size] ?? this.#open(size);
    pool.allocate(into, this.#acquiring[size]);
    into.$length = this.#bytes[size];
    return into;
  }

  #open(size: FrameSize): Cells {
    const cellBytes = this.#bytes[size];
    const pool = new Cells(this.$memory, { kind: "framePool", cellBytes, capacity: 0, fixed: false });
    this.#pools[size] = pool;
    this.#addresses.push(pool.address("acquire"));
    return pool;
  }

  /**
   * Gives a frame back; every use of it is a {@link StaleReferenceError} from then on.
   *
   * @throws {StaleReferenceError} if it has been given back already
   * @throws {InvalidArgumentError} if it is no frame of this pool
   */
  release(frame: Bytes): void {
    this.#assertAlive("release");
    if (!(frame instanceof Bytes)) throw new InvalidArgumentError(`release takes a frame, not ${describe(frame)}`);
    assertSameMemory(this.$memory, frame, "release");
    assertLive(frame);
    for (const size of SIZES) {
      const pool = this.#pools[size];
      if (!pool?.owns(frame)) continue;
      pool.free(frame, "releasing a frame");
      return;
    }
    throw new InvalidArgumentError(`release: the bytes at ${frame.$address} are no frame of this pool`);
  }

  /** The pool's figures. */
  stats(): FramePoolStats {
    this.#assertAlive("stats");
    const figures = (of: (pool: Cells) => number) =>
      Object.fromEntries(
        SIZES.map((size) => {
          const pool = this.#pools[size];
          return [size, pool === undefined ? 0 : of(pool)];
        }),
      ) as Record<FrameSize, number>;
    return {
      inUse: figures((pool) => pool.count()),
      capacity: figures((pool) => pool.word("POOL_CAPACITY")),
      reservedBytes: reservedBytes(this.$memory, this.#addresses),
    };
  }

  /**
   * Checks every invariant. O(frames + pages).
   *
   * @throws {CorruptionError} naming the first that is broken
   * @throws {OutOfMemoryError} or {SealedError} if there is no room for what it notes down
   */
  validate(): void {
    this.#assertAlive("validate");
    for (const size of SIZES) this.#pools[size]?.validate();
  }

  /** Ends all frames and gives their memory back. A second call does nothing. */
  destroy(): void {
    if (this.destroyed) return;
    this.$memory.recover(); // the host may have grown memory
    this.#destroyed = true;
    this.$memory.sites?.unregister(this);
    for (const size of SIZES) this.#pools[size]?.destroy();
  }

  /** As {@link destroy}. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  /** True once the pool has been destroyed, alone or with the runtime. */
  get destroyed(): boolean {
    return this.#destroyed || this.$memory.disposed;
  }

  #assertAlive(operation: string): void {
    this.$memory.assertUsable(operation);
    if (this.#destroyed) throw new DisposedError(`${operation}: the frame pool has been destroyed`);
  }
}

/** @throws {InvalidArgumentError} if it is no size of a frame */
export function assertFrameSize(size: FrameSize): void {
  if (size === "small" || size === "medium" || size === "large") return;
  throw new InvalidArgumentError(`a frame is "small", "medium" or "large", not ${describe(size)}`);
}

/** Not in the constructor, where a function that knows the pool would keep it from being collected, and reported. */
function acquiringTexts(bytes: Readonly<Record<FrameSize, number>>): Record<FrameSize, string> {
  const texts = SIZES.map((size) => [size, `acquiring a ${size} frame of ${bytes[size]} bytes`]);
  return Object.fromEntries(texts) as Record<FrameSize, string>;
}

function reservedBytes(memory: LinearMemory, pools: readonly Address[]): number {
  return pools.reduce((sum, pool) => sum + poolBytes(pool)(memory), 0);
}

const OPTIONS: NamesOf<FramePoolOptions> = { small: true, medium: true, large: true };

function checkOptions(options: FramePoolOptions): Record<FrameSize, number> {
  assertOptions("the options argument of a frame pool", options, OPTIONS);
  const bytes = { ...DEFAULT_BYTES };
  for (const size of SIZES) {
    const given = options[size];
    if (given !== undefined) bytes[size] = checkInteger(`the bytes of ${size} frames`, given, 8, BYTES_LIMIT);
  }
  return bytes;
}
