import { checkInteger, checkPowerOfTwo, describe } from "../arguments.js";
import {
  InvalidArgumentError,
  LimitExceededError,
  OutOfBoundsError,
  OutOfMemoryError,
  StaleMarkError,
  type TidemarkError,
} from "../errors.js";
import { assertBytes, Bytes, encodeText, utf8Length } from "../layout/bytes.js";
import { type CopyTarget, type Cursor, describeRecord } from "../layout/cursor.js";
import { descriptorOf } from "../layout/descriptor.js";
import { newSequence } from "../layout/fields.js";
import type { FieldType } from "../layout/fieldType.js";
import {
  assertLive,
  assertMovable,
  assertSameMemory,
  frozenError,
  isLive,
  Location,
  place,
} from "../layout/location.js";
import { type SegmentSource, StructArray, ValueArray } from "../layout/sequence.js";
import { type AnyStruct, type CursorOf, type Fields, type SequenceOf, StructType } from "../layout/struct.js";
import { type Address, ALIGNMENT_LIMIT, SIZE_LIMIT } from "../memory/module.js";
import { Claimant, frozenArena } from "./claim.js";
import { destroyRecords, reentrant } from "./destroyRecords.js";
import { HOOK_HEADER, type HookedRecords, hookedRecordsOf } from "./hookedRecords.js";

/** A place in an arena or region to which it can go back. */
export interface ArenaMark {
  readonly $space: Space;
  readonly $address: Address;
  readonly $serial: number;
}

/** Figures of an arena, in bytes where not said otherwise. */
export interface ArenaStats {
  /** Handed out, with padding for alignment and marks. */
  readonly used: number;
  /** Taken from the page heap, with headers and what is not used yet. */
  readonly reserved: number;
  /** How many blocks that is. */
  readonly blocks: number;
  /** The most that was ever in use; of a region, at resets of its arena by events above 256 bytes. */
  readonly highWater: number;
  /** The limit that was set, or Infinity. */
  readonly maximumBytes: number;
  /** How often it has been reset; of a region, its arena, by events above 256 bytes. */
  readonly resets: number;
  /** Child arenas alive. */
  readonly children: number;
  /** Open marks. */
  readonly marks: number;
}

/** Options of {@link Arena}s. */
export interface ArenaOptions {
  /** The most bytes it may hand out, padding and marks included: 1 to about 4 GiB. By default as much as memory has. */
  maximumBytes?: number | undefined;
  /** The bytes that it will probably hold; its first block is chosen to fit, up to 1 MiB. */
  sizeHint?: number | undefined;
}

/** A space that ends with another one, among all that do: the links are those that wasm has. */
export interface ChildSpace extends Space {
  /** The serial that wasm gave it among its parent's marks and children. */
  readonly $birth: number;
  /** In an object of its own, which is not frozen where a program freezes the space. */
  readonly $siblings: Siblings;
}

/** Those that were made before and after a space in the same parent, and live. */
export interface Siblings {
  older: ChildSpace | undefined;
  newer: ChildSpace | undefined;
}

/**
 * What arenas and regions have in common: allocation that moves a cursor through linear memory.
 *
 * Records, arrays and bytes are zero when they are new. They are never freed alone; they end together, at a reset, a
 * rewind or a destroy, and every cursor, ref, array and view of them then fails its check.
 *
 * A space that a program has frozen takes no call that would change it, nor does one that it is nested in end before the runtime
 * does: each is an {@link InvalidArgumentError}, and nothing has changed.
 *
 * Its methods are private to the compiler only: engines mark each new object of a class that has `#methods`, and a loop makes a
 * region for each asynchronous event. Marking was more than half of what making one took, measured by hand.
 */
export abstract class Space extends Claimant implements CopyTarget, SegmentSource {
  /** The arena that {@link arena} has made last, if one lives, for their end with this one: it leads to those before it. */
  $newestChild: ChildSpace | undefined = undefined;
  /** The header of the newest record with a destroy hook, or 0. While there is one, `$start` is 0: no small resets. */
  $newest: Address = 0;
  /** The memory's records with hooks, once this space has had one. */
  $records: HookedRecords | undefined = undefined;
  /** True while the hooks of a reset, a rewind or the end of this space are running; `$limit` is 0 then. */
  $sweeping = false;

  /** The error for any use of a space whose arena is gone. */
  abstract $ended(operation: string): TidemarkError;

  /**
   * The address of the arena's header, for guest modules: they pass it to functions compiled from `assembly/`. Take it
   * anew for each call, and at the end of a function that the guest calls: until then the guest finds the block at hand
   * full, since the fast path has claimed the rest of it, and takes another.
   */
  get address(): Address {
    return this.$arena("address");
  }

  /**
   * Allocates a record of `type`, zero, and returns a cursor on it.
   *
   * @param into a cursor to move onto the record; without it a fresh one is made, which is garbage later
   * @throws {InvalidArgumentError} if `type` is no struct, or `into` no cursor of it
   * @throws {OutOfMemoryError}, {SealedError}, {LimitExceededError}; nothing has changed
   * @throws {DisposedError} or {RegionEndedError} if the arena is gone
   * @throws {ReentrantCallError} in a destroy hook of a record that is about to end with this arena
   *
   * @example
   * const level = region.new(Level);
   * level.price = 100.5;
   */
  new<F extends Fields>(type: StructType<F>, into?: CursorOf<F>): CursorOf<F> {
    // What passes this is a struct and a cursor of it over this memory; all else is for the slow path.
    if (into == null || into.$moves !== (type as AnyStruct) || type === undefined || into.$memory !== this.$memory) {
      return this.newSlow(type, into);
    }
    const address = this.$cursor;
    const end = address + type.$fast;
    if (end > this.$limit || this.$memory.disposed === true) return this.newSlow(type, into);
    try {
      this.$cursor = end;
      into.$address = address;
    } catch (error) {
      throw this.undoFrozen(into, address, error);
    }
    into.$guard = this.$guard;
    into.$generation = this.$generation;
    return into;
  }

  /** The error where a program has frozen this space, or `into`, for which a record had been taken at `address`. */
  private undoFrozen(into: Location, address: Address, error: unknown): InvalidArgumentError {
    if (Object.isFrozen(this)) return frozenArena(error);
    this.$cursor = address;
    return frozenError(into, error);
  }

  private newSlow<F extends Fields>(type: StructType<F>, given: CursorOf<F> | undefined): CursorOf<F> {
    assertStruct(type);
    const into = given === undefined ? type.$newCursor(this.$memory) : given;
    if (into?.$moves !== (type as AnyStruct)) {
      throw new InvalidArgumentError(`new: a cursor of ${type.name} was expected, but ${describeRecord(into)} given`);
    }
    assertSameMemory(this.$memory, into, "new");
    assertMovable(into);
    const address = type.$destroy === undefined ? this.bump(type.$rounded) : this.bumpHooked(type as AnyStruct);
    place(into, address, this.$guard, this.$generation);
    return into;
  }

  /** As {@link bump}, for a record whose hook has to be called some day. */
  private bumpHooked(type: AnyStruct): Address {
    this.$records ??= hookedRecordsOf(this.$memory);
    const header = this.bump(HOOK_HEADER + type.$rounded);
    this.$memory.recover(); // the host may have grown memory, which the fast path does not notice
    this.$records.note(header, type, this.$header, this.$newest, this.$guard, this.$generation);
    this.$newest = header;
    this.$start = 0;
    return header + HOOK_HEADER;
  }

  /** Returns the address of `size` bytes, at most SIZE_LIMIT, aligned to 8. Afterwards `$guard` is the guard of them. */
  private bump(size: number): Address {
    const rounded = Math.ceil(size / 8) * 8;
    if (this.$limit === 0 || this.$memory.disposed) {
      this.$open("allocate");
      this.$claim();
    }
    const address = this.$cursor;
    const end = address + rounded;
    if (end > this.$limit) return this.bumpSlow(size);
    try {
      this.$cursor = end;
    } catch (error) {
      throw frozenArena(error);
    }
    return address;
  }

  private bumpSlow(size: number): Address {
    this.$assertMutable();
    const address = this.$memory.exports.arenaAllocate(this.$arena("allocate"), size, 8) >>> 0;
    if (address === 0) throw this.$memory.failure(`allocating ${size} bytes`);
    this.$claim();
    return address;
  }

  /**
   * Allocates raw bytes, zero, and returns their address; for guest modules and layouts of your own. Nothing checks the
   * accesses that you make with it.
   *
   * @param size in bytes, 1 to about 4 GiB; rounded up to 8
   * @param alignment a power of two up to 4,096
   * @throws {InvalidArgumentError} for another size or alignment; otherwise as {@link new}
   */
  allocate(size: number, alignment = 8): Address {
    checkInteger("the size of an allocation", size, 1, SIZE_LIMIT);
    checkPowerOfTwo("an alignment", alignment, ALIGNMENT_LIMIT);
    if (alignment <= 8) return this.bump(size);
    const address = this.$memory.exports.arenaAllocate(this.$open("allocate"), size, alignment) >>> 0;
    if (address === 0) throw this.$memory.failure(`allocating ${size} bytes aligned to ${alignment}`);
    return address;
  }

  /**
   * Allocates an array of structs or values.
   *
   * @param length the fixed number of elements, at least 1, at most about 4 GiB in all; without it the array is empty and grows
   *   by `push`, see {@link StructArray.push} for how far
   * @param into an array of the same type (from `runtime.array(type)`) to reuse: no garbage
   * @throws {InvalidArgumentError} for another length, a type that is not a field type, or a struct that has a destroy hook;
   *   otherwise as {@link new}
   * @throws {InvalidStructError} for a ref by a name, which means something inside a struct only
   *
   * @example
   * const levels = region.array(Level);      // grows
   * const prices = region.array(f64, 100);   // fixed
   */
  array<T extends FieldType<unknown>>(type: T, length?: number, into?: SequenceOf<T>): SequenceOf<T>;
  array<T extends FieldType<unknown>>(type: T, into: SequenceOf<T>): SequenceOf<T>;
  array<T extends FieldType<unknown>>(type: T, length?: number | SequenceOf<T>, given?: SequenceOf<T>): SequenceOf<T> {
    const isReused = length instanceof Location;
    const sequence = this.sequence(type, isReused ? length : given);
    if (!isReused && length !== undefined) {
      checkInteger("the length of an array", length, 1, Math.floor(SIZE_LIMIT / type.size));
      const address = this.bump(length * type.size);
      sequence.$fix(address, length, this.$guard, this.$generation);
    } else {
      this.refreshGuard("array");
      if (this.$sweeping) throw reentrant("array");
      sequence.$grow(this, this.$guard, this.$generation);
    }
    return sequence;
  }

  /** The array to use: the one given, or a new one. */
  private sequence<T extends FieldType<unknown>>(type: T, into: SequenceOf<T> | undefined): SequenceOf<T> {
    if (typeof type?.$codec !== "object") {
      throw new InvalidArgumentError(`array takes a struct or a field type, not ${describe(type)}`);
    }
    if (into === undefined) return newSequence(this.$memory, type);
    if (!(into instanceof StructArray || into instanceof ValueArray)) {
      throw new InvalidArgumentError(
        `array: an array of ${type.name} to reuse was expected, but ${describe(into)} was given`,
      );
    }
    into.$assertReusable(this.$memory, type);
    assertMovable(into);
    return into as SequenceOf<T>;
  }

  /**
   * A view, as a fixed array, of elements that a guest module has written into this arena: see {@link Runtime.instantiate}.
   *
   * @param address of the first element, as the guest returned it, aligned for `type`
   * @param into an array of the same type to reuse: no garbage
   * @throws {OutOfBoundsError} if the elements do not lie in what this arena has handed out, or are not aligned
   * @throws {InvalidArgumentError} for a length, a type or an array to reuse that {@link array} would not take either
   * @throws {DisposedError} or {RegionEndedError} if the arena is gone
   */
  arrayAt<T extends FieldType<unknown>>(
    type: T,
    address: Address,
    length: number,
    into?: SequenceOf<T>,
  ): SequenceOf<T> {
    const sequence = this.sequence(type, into);
    const arena = this.$arena("arrayAt");
    checkInteger("the length of an array", length, 1, Math.floor(SIZE_LIMIT / type.size));
    checkInteger("an address", address, 0, 0xffff_ffff);
    const bytes = length * type.size;
    if (address % type.alignment !== 0 || this.$memory.exports.arenaContains(arena, address, bytes) === 0) {
      throw new OutOfBoundsError(`arrayAt: ${length} × ${type.name} at ${address} do not lie in this arena`);
    }
    this.refreshGuard("arrayAt");
    sequence.$fix(address, length, this.$guard, this.$generation);
    return sequence;
  }

  /**
   * Allocates `size` bytes, zero.
   *
   * @param size 1 to about 4 GiB
   * @param into from `runtime.bytes()`, to reuse: no garbage
   * @throws as {@link allocate}
   */
  bytes(size: number, into = new Bytes(this.$memory)): Bytes {
    assertBytes(this.$memory, into, "bytes");
    checkInteger("the size of bytes", size, 1, SIZE_LIMIT);
    assertMovable(into);
    place(into, this.bump(size), this.$guard, this.$generation);
    into.$length = size;
    return into;
  }

  /**
   * Stores `text` as UTF-8.
   *
   * @throws {InvalidArgumentError} if it has a lone surrogate; otherwise as {@link allocate}
   * @example
   * region.text("tide").toString(); // "tide"
   */
  text(text: string, into = new Bytes(this.$memory)): Bytes {
    assertBytes(this.$memory, into, "text");
    assertMovable(into);
    const length = utf8Length(text);
    place(into, this.bump(Math.max(length, 1)), this.$guard, this.$generation);
    into.$length = length;
    encodeText(text, into.view());
    return into;
  }

  /**
   * Makes an arena that ends with this one: when this one is destroyed, reset, or rewound past this moment. It can be
   * destroyed earlier.
   *
   * @throws as {@link new}, and {InvalidArgumentError} for bad options
   */
  abstract arena(options?: ArenaOptions): Space;

  /**
   * Marks the present place. A mark takes 32 bytes of the arena.
   *
   * @throws as {@link allocate}
   */
  mark(): ArenaMark {
    const memory = this.$memory;
    const $address = memory.exports.markArena(this.$open("mark")) >>> 0;
    if ($address === 0) throw memory.failure("marking an arena");
    return { $space: this, $address, $serial: memory.f64[($address + memory.exports.MARK_SERIAL!.value) >>> 3]! };
  }

  /**
   * Goes back to `mark`: what has been allocated since ends, with its refs, and so do the arenas and marks made since.
   * The mark itself stays, to be rewound to again. O(marks and blocks since, bytes used since).
   *
   * @param mark from {@link mark} of this very arena, not yet rewound past or reset
   * @throws {StaleMarkError} for any other; nothing has changed
   * @throws {OutOfMemoryError} or {SealedError} once in 2^32 rewinds, as `Arena.reset`; nothing has changed
   * @throws {ReentrantCallError} in a destroy hook of a record that is about to end with this arena; nothing has changed
   * @throws {DestroyHookError} if a destroy hook has thrown; the rewind is done
   */
  rewind(mark: ArenaMark): void {
    const memory = this.$memory;
    const arena = this.$open("rewind");
    if (mark?.$space !== this)
      throw new StaleMarkError(`rewind: the mark is not of the arena at ${arena}, or is not a mark`);
    const { $address: address, $serial: serial } = mark;
    if (!(typeof address === "number" && address > 0) || typeof serial !== "number") {
      throw new StaleMarkError("rewind: this is no mark that an arena has made");
    }
    const sweep = destroyRecords(this, "rewind", serial, address);
    if (memory.exports.rewindArena(arena, address, serial) === 0) throw memory.failure("rewind");
    this.$endChildren(serial);
    sweep?.finish("rewind");
  }

  /**
   * True if `target` (a cursor, an array, bytes) or the address given lies in what this arena has handed out. O(blocks)
   *
   * @throws {InvalidArgumentError} for anything else
   */
  contains(target: Location | Address): boolean {
    const arena = this.$arena("contains");
    if (typeof target !== "number" && !(target instanceof Location)) {
      throw new InvalidArgumentError(`contains takes a cursor, array, bytes or address, not ${describe(target)}`);
    }
    const address = typeof target === "number" ? target : target.$address;
    if (!Number.isInteger(address) || address <= 0 || address > 0xffff_ffff) return false;
    if (typeof target !== "number" && (target.$memory !== this.$memory || !isLive(target))) return false;
    return this.$memory.exports.arenaContains(arena, address, 1) !== 0;
  }

  /** The arena's figures. */
  stats(): ArenaStats {
    const memory = this.$memory;
    const address = this.$arena("stats");
    const word = (name: `ARENA_${string}`) => memory.u32[(address + memory.exports[name]!.value) >>> 2]!;
    const used = memory.exports.arenaUsed(address) >>> 0;
    const maximumBytes = word("ARENA_MAXIMUM_BYTES");
    return {
      used,
      reserved: word("ARENA_RESERVED"),
      blocks: word("ARENA_BLOCKS"),
      highWater: Math.max(word("ARENA_HIGH_WATER"), used),
      maximumBytes: maximumBytes === 0xffff_ffff ? Infinity : maximumBytes,
      resets: word("ARENA_RESETS"),
      children: word("ARENA_CHILD_COUNT"),
      marks: word("ARENA_DEPTH"),
    };
  }

  /** The arena's address, with its header as it should be for wasm to work on; or the error that it is gone. */
  $arena(operation: string): Address {
    this.$assertAlive(operation);
    this.$yield();
    return this.$header * 4;
  }

  /** As {@link $arena}, for a call that changes the arena. */
  $open(operation: string): Address {
    this.$assertAlive(operation);
    if (this.$sweeping) throw reentrant(operation);
    this.$assertMutable();
    this.$yield();
    return this.$header * 4;
  }

  $assertAlive(operation: string): void {
    this.$memory.assertUsable(operation);
    if (this.$header === 0) throw this.$ended(operation);
  }

  /** Throws if a program has frozen this space: it could not take note of its end, and would go on in memory that is another's. */
  $assertMutable(): void {
    const { $sweeping } = this;
    try {
      this.$sweeping = $sweeping;
    } catch (error) {
      throw frozenArena(error);
    }
  }

  /** Makes `$guard` and `$generation` those of the present frame. */
  private refreshGuard(operation: string): void {
    this.$assertAlive(operation);
    if (this.$limit !== 0) return;
    this.$assertMutable();
    this.$readGuard();
  }

  $segment(bytes: number, guard: number, generation: number): Address {
    this.refreshGuard("push");
    if (this.$guard !== guard || this.$generation !== generation) {
      throw new LimitExceededError(
        `push: the array cannot grow by ${bytes} bytes while a mark made after it is open, since the rewind would end them`,
      );
    }
    if (bytes > SIZE_LIMIT) {
      throw new OutOfMemoryError(`push: the next segment of ${bytes} bytes is larger than any memory can hold`);
    }
    return this.bump(bytes);
  }

  $copyIn(source: Cursor, into: Cursor): void {
    const memory = this.$memory;
    assertSameMemory(memory, source, "copyTo");
    assertSameMemory(memory, into, "copyTo");
    assertMovable(into);
    this.$open("copyTo");
    const descriptor = descriptorOf(memory, source.$struct);
    assertLive(source); // once more: a function given to ref() may have ended the record, or this arena
    const arena = this.$open("copyTo");
    const address = memory.exports.copyGraph(arena, source.$address, descriptor) >>> 0;
    if (address === 0) throw memory.failure(`copying a ${source.$struct.name} graph`);
    this.$readGuard();
    place(into, address, this.$guard, this.$generation);
  }

  /** Notes an arena that has just been made to end with this one. */
  $adopt(child: ChildSpace): void {
    const older = this.$newestChild;
    child.$siblings.older = older;
    if (older !== undefined) older.$siblings.newer = child;
    this.$newestChild = child;
  }

  /** Forgets one that ends alone. */
  $orphan(child: ChildSpace): void {
    const { older, newer } = child.$siblings;
    if (older !== undefined) older.$siblings.newer = newer;
    if (newer !== undefined) newer.$siblings.older = older;
    else this.forgetNewest(older);
    child.$siblings.older = undefined;
    child.$siblings.newer = undefined;
  }

  private forgetNewest(older: ChildSpace | undefined): void {
    try {
      this.$newestChild = older;
    } catch {
      // A program has frozen this: it makes no other child, and does not end, so that nobody asks.
    }
  }

  /** Adds the children made after `serial` to `list`. O(these) */
  $childrenSince(serial: number, list: Space[]): void {
    for (let child = this.$newestChild; child !== undefined && child.$birth > serial; child = child.$siblings.older) {
      list.push(child);
    }
  }

  /** Ends the children made after `serial`, whose arenas wasm has destroyed already. Not recursive: arenas nest deeply. */
  $endChildren(serial: number): void {
    if (this.$newestChild === undefined) return; // nothing is made for an event that has none
    let parent: Space | undefined = this;
    for (const ended: Space[] = []; parent !== undefined; parent = ended.pop()) {
      const since = parent === this ? serial : -1;
      for (let child = parent.$newestChild; child !== undefined && child.$birth > since; child = parent.$newestChild) {
        parent.$orphan(child);
        child.$drop();
        if (child.$newestChild !== undefined) ended.push(child);
      }
    }
  }
}

function assertStruct(type: unknown): void {
  if (!(type instanceof StructType)) throw new InvalidArgumentError(`new takes a struct, not ${describe(type)}`);
}
