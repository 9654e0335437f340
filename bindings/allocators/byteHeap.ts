import { assertObject, checkInteger, checkPowerOfTwo, describe, lengthOfTyped } from "../arguments.js";
import { CorruptionError, DisposedError, InvalidArgumentError, OutOfBoundsError } from "../errors.js";
import { assertBytes, Bytes } from "../layout/bytes.js";
import { assertLive, assertMovable, assertSameMemory, place } from "../layout/location.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { type Address, ALIGNMENT_LIMIT, PAGE_SIZE, SIZE_LIMIT, SMALL_BLOCK_SIZE } from "../memory/module.js";
import { walk } from "./findings.js";

/** The highest address, in bytes. */
const ADDRESS_LIMIT = 0xffff_ffff;

/** The alignment of every block. */
const NATURAL_ALIGNMENT = 16;

/** The most blocks of one call. */
const COUNT_LIMIT = 0x1000_0000;

/** What a single allocation can be told. Unknown options are not looked for: that would take a tenth of what allocating does. */
export interface AllocationOptions {
  /** A power of two up to 4,096; every block is aligned to 16 at least. */
  alignment?: number | undefined;
}

/** The figures of a byte heap. */
export interface ByteHeapStats {
  /** Blocks in use; in the debug runtime also those that are freed and held back. */
  readonly blocks: number;
  /** Bytes that can be used of these blocks. */
  readonly usableBytes: number;
  /** Taken from the page heap, in bytes. */
  readonly reservedBytes: number;
  /** Free blocks, what lies side by side counted as one. */
  readonly freeBlocks: number;
  /** Bytes of the free blocks above 256 bytes. */
  readonly freeBytes: number;
  /** The largest of these, in bytes. */
  readonly largestFree: number;
  /** Frees and reallocations that were refused since the heap was made, for their addresses. */
  readonly refusals: number;
}

/**
 * `malloc` and its kin, as wasm functions to be imported by other modules. To TypeScript they give addresses as signed numbers:
 * apply `>>> 0` to each.
 */
export type MallocFunctions = {
  /** As C's: at least `size` bytes, not cleared; 0 when memory is out. */
  malloc(size: number): Address;
  /** As C's: `count` times `size` bytes, cleared; 0 when memory is out, or the product is 2^32 or more. */
  calloc(count: number, size: number): Address;
  /** As C's: of 0 it allocates, to 0 bytes it frees and gives 0; 0 also when memory is out, and the block is as it was. */
  realloc(address: Address, size: number): Address;
  /** As C's: 0 is ignored. */
  free(address: Address): void;
  /** As C11's, for a power of two up to 4,096; 0 for another alignment, or when memory is out. */
  aligned_alloc(alignment: number, size: number): Address;
  /**
   * As POSIX's: 0, with the address at `result`; 22 (EINVAL) if the alignment is no power of two from 4 to 4,096, and 12 (ENOMEM)
   * when memory is out, with nothing stored.
   */
  posix_memalign(result: Address, alignment: number, size: number): number;
  /** The bytes that can be used of the block at `address`; 0 if none in use begins there. */
  malloc_usable_size(address: Address): number;
};

/**
 * The manual heap: `malloc` and `free` over linear memory, for sizes from 1 byte to 4 GiB.
 *
 * | operation | cost |
 * |---|---|
 * | `allocate`, `free`, `usableSize` | O(1), and the pages that are taken or given back |
 * | `reallocate` | O(1) in place, O(size) where the block moves |
 * | `stats`, `validate` | O(blocks) |
 * | `trim` | O(pages) |
 * | `destroy` | O(pages + blocks of `bytes` in use) |
 *
 * Blocks up to 256 bytes come from size classes 16 bytes apart, larger ones from a good fit with boundary tags that merges
 * at once. Every free and reallocation is checked: an address at which no block of this heap, in use, begins is an
 * {@link InvalidAddressError}. An address alone cannot tell whether the block at it is still the one that it was given for;
 * {@link bytes} can, and so can the debug runtime for the last 64 blocks freed,
 * as far as they come to 4 MiB.
 *
 * No check stands between a raw address and a write to it. What is written to a block of up to 256 bytes after its free, or past
 * its end where a free one lies, costs no other block anything: the words there say everything twice. In a free block of more it may
 * be a link, which the next allocation from its bin follows; the debug runtime tells of it, as does {@link validate}.
 *
 * @example
 * using heap = runtime.byteHeap();
 * const address = heap.allocate(100, { alignment: 64 });
 * const larger = heap.reallocate(address, 1000);
 * heap.free(larger);
 */
export class ByteHeap {
  readonly $memory: LinearMemory;
  /** The heap's address; 0 once it has been destroyed. */
  #address: Address;
  /** Debug runtime: where the blocks in use were allocated, and their sizes. */
  readonly #sites: Map<Address, { site: number; bytes: number }> | undefined;
  readonly #forgetSource: (() => void) | undefined;

  /**
   * Use `runtime.byteHeap()`.
   *
   * @throws {OutOfMemoryError}, {SealedError}; nothing has changed
   */
  constructor(memory: LinearMemory) {
    memory.assertUsable("byteHeap");
    this.$memory = memory;
    this.#address = memory.exports.createByteHeap(Math.random() * 2 ** 32) >>> 0;
    if (this.#address === 0) throw memory.failure("making a byte heap");
    if (memory.sites === undefined) return;
    memory.sites.register(this, "byteHeap", byteHeapBytes(this.#address));
    const sites = new Map<Address, { site: number; bytes: number }>();
    this.#sites = sites;
    // The source must not keep the heap itself alive, which may be dropped and reported.
    this.#forgetSource = memory.sites.addSource(function* () {
      for (const { site, bytes } of sites.values()) yield { kind: "block", site, bytes };
    });
  }

  /** The heap's address, for guest modules that import `assembly/allocators/byteHeap`. */
  get address(): Address {
    return this.#open("address");
  }

  #open(operation: string): Address {
    this.$memory.assertUsable(operation);
    if (this.#address === 0) throw new DisposedError(`${operation}: the byte heap has been destroyed`);
    return this.#address;
  }

  /** True once the heap has been destroyed, alone or with the runtime. */
  get destroyed(): boolean {
    return this.#address === 0 || this.$memory.disposed;
  }

  /**
   * Allocates a block, not cleared: what lay there before shows.
   *
   * @param size in bytes, 1 to about 4 GiB
   * @returns its address, a multiple of 16 or of `alignment`
   * @throws {InvalidArgumentError} for another size or alignment
   * @throws {OutOfMemoryError} or {SealedError}; nothing has changed
   */
  allocate(size: number, options?: AllocationOptions): Address {
    checkInteger("the size of a block", size, 1, SIZE_LIMIT);
    const alignment = options === undefined ? NATURAL_ALIGNMENT : checkAlignment(options);
    const address = this.$memory.exports.byteHeapAllocate(this.#open("allocate"), size, alignment) >>> 0;
    if (address === 0) throw this.$memory.failure(`allocating ${size} bytes aligned to ${alignment}`);
    this.#note(address, size);
    return address;
  }

  /** As {@link allocate}, with zeros in it. O(size) */
  allocateZeroed(size: number, options?: AllocationOptions): Address {
    const address = this.allocate(size, options);
    this.$memory.u8.fill(0, address, address + size);
    return address;
  }

  /**
   * Makes a block hold `size` bytes, in place where that can be, else by moving it, which the debug runtime always does; what
   * fits of its content is kept, what is new is not cleared. A block that has moved is aligned to 16. One of up to 16 KiB that
   * loses a quarter of itself or more fills a hole elsewhere if there is one, so that memory is not cut up.
   *
   * @returns its address from now on
   * @throws {InvalidAddressError} if no block in use begins at `address`
   * @throws {InvalidArgumentError} for a size out of range
   * @throws {CorruptionError} if what lies beside the block has been written over: it is left as it is
   * @throws {OutOfMemoryError} or {SealedError}: the block is as it was
   */
  reallocate(address: Address, size: number): Address {
    checkAddress(address);
    checkInteger("the size of a block", size, 1, SIZE_LIMIT);
    const moved = this.$memory.exports.byteHeapReallocate(this.#open("reallocate"), address, size) >>> 0;
    if (moved === 0) throw this.#failure(`reallocating the block at ${address} to ${size} bytes`);
    this.#sites?.delete(address);
    this.#note(moved, size);
    return moved;
  }

  /**
   * Frees a block.
   *
   * @param block its address, or what {@link bytes} has returned
   * @throws {InvalidAddressError} if no block in use begins at the address; nothing has changed
   * @throws {InvalidArgumentError} if `block` is neither, or bytes of another runtime
   * @throws {StaleReferenceError} if the bytes have been freed already
   * @throws {CorruptionError} if what lies beside the block has been written over: it is left as it is. In the debug runtime
   *   also if a block that had been freed before was written to: then this one is freed
   */
  free(block: Address | Bytes): void {
    if (typeof block === "number") this.#release(block);
    else this.#freeBytes(block);
    this.#assertUndamaged();
  }

  #release(address: Address): void {
    checkAddress(address);
    if (this.$memory.exports.byteHeapFree(this.#open("free"), address) === 0) throw this.#failure(`freeing ${address}`);
    this.#sites?.delete(address);
  }

  /**
   * Allocates a block with zeros in it, as checked bytes: after {@link free} every use of them is a
   * {@link StaleReferenceError}, also when the memory has come to someone else, and also when the heap has been destroyed.
   * They cost 24 bytes more. They are freed as what they are: their address is none of a block's.
   *
   * @param size 1 to about 4 GiB
   * @param into from `runtime.bytes()`, to reuse: no garbage
   * @throws as {@link allocate}
   */
  bytes(size: number, into = new Bytes(this.$memory)): Bytes {
    assertBytes(this.$memory, into, "bytes");
    assertMovable(into);
    const { exports } = this.$memory;
    checkInteger("the size of a block", size, 1, SIZE_LIMIT);
    const address = exports.byteHeapAllocateChecked(this.#open("bytes"), size) >>> 0;
    if (address === 0) throw this.$memory.failure(`allocating ${size} bytes`);
    this.#note(address, size);
    const guard = exports.byteHeapCheckedGuard(address) >>> 2;
    place(into, address, guard, this.$memory.i32[guard]!);
    into.$length = size;
    return into;
  }

  #freeBytes(bytes: Bytes): void {
    if (!(bytes instanceof Bytes))
      throw new InvalidArgumentError(`free takes an address or bytes, not ${describe(bytes)}`);
    assertSameMemory(this.$memory, bytes, "free");
    assertLive(bytes);
    const { $address: address, $guard: guard } = bytes;
    if (this.$memory.exports.byteHeapFreeChecked(this.#open("free"), address, guard << 2) === 0) {
      throw this.#failure(`freeing the bytes at ${address}`);
    }
    this.#sites?.delete(address);
  }

  /**
   * The bytes that can be used of a block: what was asked for, and what its size class or its tags have added.
   *
   * @throws {InvalidAddressError} if no block in use begins at `address`
   * @throws {CorruptionError} if what lies beside the block has been written over
   */
  usableSize(address: Address): number {
    checkAddress(address);
    const size = this.$memory.exports.byteHeapUsableSize(this.#open("usableSize"), address) >>> 0;
    if (size === 0) throw this.#failure(`the usable size of ${address}`);
    return size;
  }

  /**
   * Allocates a block of `size` bytes for each element of `addresses`, in one call, and writes their addresses there.
   *
   * @throws {InvalidArgumentError} if `addresses` is no `Uint32Array`, or a view of the runtime's memory
   * @throws {OutOfBoundsError} for more than 2^28 elements
   * @throws as {@link allocate}; then none is allocated, and `addresses` is as it was
   *
   * @example
   * const blocks = new Uint32Array(1000);
   * heap.allocateMany(64, blocks);
   * heap.freeMany(blocks); // all elements are 0 now
   */
  allocateMany(size: number, addresses: Uint32Array): void {
    checkInteger("the size of a block", size, 1, SIZE_LIMIT);
    const heap = this.#open("allocateMany");
    const isListed = this.#withList(heap, addresses, (list, count) => {
      const done = this.$memory.exports.byteHeapAllocateMany(heap, count, size, list);
      if (done === 0) throw this.$memory.failure(`allocating ${count} blocks of ${size} bytes`);
      addresses.set(this.$memory.u32.subarray(list >>> 2, (list >>> 2) + count));
    });
    if (!isListed) throw this.$memory.failure(`a list of ${addresses.length} addresses`);
    if (this.#sites !== undefined) for (const address of addresses) this.#note(address, size);
  }

  /**
   * Frees the blocks at all `addresses`, in one call, and sets the elements to 0.
   *
   * @throws {InvalidAddressError} at the first that is no block in use: those before it are freed and 0, it and those behind
   *   it are as they were
   * @throws {CorruptionError} as {@link free}; those before one that is left as it is are freed and 0
   * @throws {InvalidArgumentError}, {OutOfBoundsError} as {@link allocateMany}
   */
  freeMany(addresses: Uint32Array): void {
    const heap = this.#open("freeMany");
    const free = (list: Address, count: number) => {
      this.$memory.u32.set(addresses, list >>> 2);
      const done = this.$memory.exports.byteHeapFreeMany(heap, count, list);
      for (let index = 0; index < done; index++) this.#sites?.delete(addresses[index]!);
      if (done < count) {
        const error = this.#failure(`freeing ${addresses[done]}, number ${done} of ${count}`);
        addresses.fill(0, 0, done);
        throw error;
      }
      addresses.fill(0);
    };
    if (!this.#withList(heap, addresses, free)) {
      // There is no memory for a list, and that must not keep any from coming back.
      for (let index = 0; index < addresses.length; index++) {
        this.#release(addresses[index]!);
        addresses[index] = 0;
      }
    }
    this.#assertUndamaged();
  }

  /** Runs `body` with as many words of the heap's memory as `addresses` has elements. False if they cannot be had. */
  #withList(heap: Address, addresses: Uint32Array, body: (list: Address, count: number) => void): boolean {
    const count = lengthOfTyped(addresses, "Uint32Array");
    if (count === undefined) {
      throw new InvalidArgumentError(`the addresses must be a Uint32Array, but are ${describe(addresses)}`);
    }
    const { exports, u8 } = this.$memory;
    if (addresses.buffer === u8.buffer) {
      throw new InvalidArgumentError(
        "the addresses must not be a view of the memory itself, which may grow under them",
      );
    }
    if (count === 0) return true;
    if (count > COUNT_LIMIT) {
      throw new OutOfBoundsError(`${count} blocks are more than ${COUNT_LIMIT}, the most of one call`);
    }
    const list = exports.byteHeapAllocate(heap, count * 4, NATURAL_ALIGNMENT) >>> 0;
    if (list === 0) return false;
    try {
      body(list, count);
    } finally {
      exports.byteHeapFree(heap, list);
    }
    return true;
  }

  /**
   * Makes this heap the one that C modules allocate from, and gives the functions to link them with. There is one such heap
   * in a runtime.
   *
   * The contract is C's; what C leaves undefined is refused, and counted in {@link stats}. A size of 0 gives the smallest
   * block. Once the heap has been destroyed, alone or with the runtime, it is to them as if memory were out.
   *
   * A C module must bring no libc: the `malloc` of one takes all memory behind the module's data, which is not checked. Its
   * data and stack together must end at 32,768. LLVM's linker puts 64 KiB of stack elsewhere if it is not told
   * `--import-memory --allow-undefined --global-base=4096 -z stack-size=16384`, and from LLVM 22 on `--no-stack-first`; the README
   * has the whole command. `runtime.instantiate` refuses a stack above, if it is given the bytes, and these have their names or
   * say which tools have made them.
   *
   * @throws {InvalidArgumentError} if another heap of this runtime is it already
   *
   * @example
   * const heap = runtime.byteHeap();
   * const guest = await runtime.instantiate(bytes, { env: heap.asMalloc() });
   */
  asMalloc(): MallocFunctions {
    const heap = this.#open("asMalloc");
    const memory = this.$memory;
    const present = memory.rootWord("ROOT_GUEST_HEAP");
    if (present !== 0 && present !== heap) {
      throw new InvalidArgumentError(`asMalloc: guests allocate from the byte heap at ${present} already`);
    }
    memory.exports.setGuestHeap(heap);
    const { malloc, calloc, realloc, free, aligned_alloc, posix_memalign, malloc_usable_size } = memory.exports;
    const functions = { malloc, calloc, realloc, free, aligned_alloc, posix_memalign, malloc_usable_size };
    return this.#sites === undefined ? functions : forgetting(functions, this.#sites);
  }

  /**
   * Gives back to the page heap what is kept for the next allocations, and lets go of the blocks held back for debugging.
   *
   * @throws {CorruptionError} in the debug runtime, if one of these was written to; the trim is done
   */
  trim(): void {
    this.$memory.exports.trimByteHeap(this.#open("trim"));
    this.#assertUndamaged();
  }

  /**
   * The heap's figures, by a walk over it. O(blocks)
   *
   * @throws {CorruptionError} if the walk meets a violation
   * @throws {OutOfMemoryError} or {SealedError} if there is no room for what it notes down
   */
  stats(): ByteHeapStats {
    const heap = this.#open("stats");
    const { memory, counted } = this.#walk();
    return {
      blocks: counted.blocks,
      usableBytes: counted.bytes,
      reservedBytes: memory.exports.byteHeapPages(heap) * PAGE_SIZE,
      freeBlocks: counted.freeBlocks,
      freeBytes: counted.freeBytes,
      largestFree: counted.largestFree,
      refusals: memory.u32[(heap + memory.exports.BYTE_HEAP_REFUSALS!.value) >>> 2]!,
    };
  }

  /**
   * Checks every invariant; in the debug runtime the surroundings of every block too, and the content of those that are held
   * back. O(blocks)
   *
   * @throws {CorruptionError} naming the first that is broken
   * @throws {OutOfMemoryError} or {SealedError} if there is no room for what it notes down
   */
  validate(): void {
    this.#walk();
  }

  #walk() {
    const heap = this.#open("validate");
    const memory = this.$memory;
    const counted = walk(memory, "byte heap", (findings) => memory.exports.validateByteHeap(heap, findings));
    return { memory, counted };
  }

  /**
   * Gives all memory back, whatever is in use. Addresses mean nothing afterwards, and other calls are a {@link DisposedError}. A
   * second call does nothing.
   */
  destroy(): void {
    if (this.destroyed) return;
    const memory = this.$memory;
    memory.recover(); // the host may have grown memory
    if (memory.rootWord("ROOT_GUEST_HEAP") === this.#address) memory.exports.setGuestHeap(0);
    memory.sites?.unregister(this);
    this.#forgetSource?.();
    memory.exports.destroyByteHeap(this.#address);
    this.#address = 0;
  }

  /** As {@link destroy}. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  #note(address: Address, bytes: number): void {
    this.#sites?.set(address, { site: this.$memory.sites!.siteOf(), bytes });
  }

  /** The error of a call that may have been refused because a block was damaged, which is told once. */
  #failure(operation: string): Error {
    const error = this.$memory.failure(operation);
    if (error instanceof CorruptionError) this.#takeDamaged();
    return error;
  }

  /** Debug runtime: tells of a write to a block that was free. */
  #assertUndamaged(): void {
    const damaged = this.#takeDamaged();
    if (damaged === 0) return;
    throw new CorruptionError(`the block at ${damaged} was written to after its free, or past its end`);
  }

  #takeDamaged(): Address {
    const memory = this.$memory;
    const word = (this.#address + memory.exports.BYTE_HEAP_DAMAGED!.value) >>> 2;
    const damaged = memory.u32[word]!;
    if (damaged !== 0) memory.u32[word] = 0;
    return damaged;
  }
}

/** What a byte heap takes in bytes, its header and bins included, for who asks when the object that stood for it may be gone. */
export function byteHeapBytes(heap: Address): (memory: LinearMemory) => number {
  return ({ exports }) => 2 * SMALL_BLOCK_SIZE + exports.byteHeapPages(heap) * PAGE_SIZE;
}

/** Debug runtime: the functions, so that a block from TypeScript that a guest frees or reallocates is no longer told of as alive. */
function forgetting(functions: MallocFunctions, sites: Map<Address, unknown>): MallocFunctions {
  return {
    ...functions,
    free(address) {
      functions.free(address);
      sites.delete(address >>> 0);
    },
    realloc(address, size) {
      const moved = functions.realloc(address, size);
      if (moved !== 0 || size === 0) sites.delete(address >>> 0);
      return moved;
    },
  };
}

function checkAddress(address: Address): void {
  checkInteger("an address", address, 0, ADDRESS_LIMIT);
}

function checkAlignment(options: AllocationOptions): number {
  assertObject("the options argument of allocate", options);
  const { alignment = NATURAL_ALIGNMENT } = options;
  return Math.max(checkPowerOfTwo("an alignment", alignment, ALIGNMENT_LIMIT), NATURAL_ALIGNMENT);
}
