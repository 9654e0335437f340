import { type ByteHeap, type Bytes, InvalidAddressError, OutOfMemoryError, type Runtime } from "tidemark";
import { expect } from "vitest";
import { checkPattern, writePattern } from "./heapPattern.js";
import { PAGE } from "./runtimes.js";

/** The blocks that the debug module holds back after their free, at most. */
export const HELD_BACK_LIMIT = 64;
/** The most bytes that it holds back. */
const HELD_BACK_BYTES = 4 << 20;

/** What the model knows of a block in use. */
export interface HeapBlock {
  readonly address: number;
  readonly size: number;
  readonly usable: number;
  readonly stamp: number;
  /** What it is to be freed as, if not by its address. */
  readonly bytes: Bytes | undefined;
  /** Where it is in the list of all. */
  place: number;
}

/** In bytes; see assembly/allocators/checkedBlock.ts. */
const CHECKED_HEADER = 16;

export interface HeapModelOptions {
  /** One in how many checks of a content is made; default 1. */
  readonly contentEvery?: number;
  /** True if memory may run out: then blocks that are held back may be let go of unseen. */
  readonly isTight?: boolean;
}

/**
 * A byte heap's blocks as they have to be: where each is and what is in it. Every operation is checked against them, and
 * that it leaves the others alone.
 */
export class HeapModel {
  readonly blocks: HeapBlock[] = [];
  readonly heap: ByteHeap;
  /** Another heap in the same memory, with one small and one large block. */
  readonly strange: ByteHeap;
  readonly strangers: readonly number[];
  operations = 0;
  outOfMemory = 0;
  #refusals = 0;
  /** The sizes of the blocks that are held back, the first to leave first, and their sum. */
  readonly #heldBack: number[] = [];
  #heldBytes = 0;
  #stamp = 0;
  #checks = 0;
  /** The addresses in use, in order, to find overlaps. */
  readonly #order: number[] = [];
  readonly #byAddress = new Map<number, HeapBlock>();
  readonly #freed: number[] = [];
  readonly #contentEvery: number;
  readonly #isTight: boolean;

  constructor(
    readonly runtime: Runtime,
    { contentEvery = 1, isTight = false }: HeapModelOptions = {},
  ) {
    this.strange = runtime.byteHeap();
    this.strangers = [this.strange.allocate(100), this.strange.allocate(1000)];
    this.heap = runtime.byteHeap();
    this.#contentEvery = contentEvery;
    this.#isTight = isTight;
  }

  get #memory(): Uint8Array {
    return this.runtime.$memory.u8;
  }

  picked(pick: number): HeapBlock | undefined {
    return this.blocks[pick % this.blocks.length];
  }

  // ── operations ────────────────────────────────────────────────────────────────────────────────────────────────────

  allocate(size: number): void {
    this.#attempt(() => this.#add(this.heap.allocate(size), size, 16));
  }

  allocateAligned(size: number, alignment: number): void {
    this.#attempt(() => this.#add(this.heap.allocate(size, { alignment }), size, Math.max(16, alignment)));
  }

  allocateZeroed(size: number): void {
    this.#attempt(() => {
      const address = this.heap.allocateZeroed(size);
      this.#expectZeros(address, size);
      this.#add(address, size, 16);
    });
  }

  bytes(size: number): void {
    this.#attempt(() => {
      const bytes = this.heap.bytes(size);
      this.#expectZeros(bytes.address, size);
      expect(bytes.length).toBe(size);
      this.#add(bytes.address, size, 16, bytes);
    });
  }

  reallocate(block: HeapBlock, size: number): void {
    if (block.bytes !== undefined) {
      this.free(block); // checked bytes stay where they are
      return;
    }
    this.#attempt(() => {
      const moved = this.heap.reallocate(block.address, size);
      this.#checkContent(block, moved, Math.min(size, block.size));
      this.#forget(block);
      this.#hold(block.size);
      this.#add(moved, size, 16);
    });
  }

  free(block: HeapBlock): void {
    this.operations++;
    this.#checkContent(block, block.address, block.size);
    this.heap.free(block.bytes ?? block.address);
    this.#forget(block);
    this.#hold(block.size + (block.bytes === undefined ? 0 : CHECKED_HEADER));
  }

  usableSize(block: HeapBlock): void {
    this.operations++;
    const usable = this.#usableSize(block.address, block.bytes);
    if (usable !== block.usable) expect(usable).toBe(block.usable);
  }

  /** Checked bytes lie behind a header of their own in their block. */
  #usableSize(address: number, bytes?: Bytes): number {
    if (bytes === undefined) return this.heap.usableSize(address);
    return this.heap.usableSize(address - CHECKED_HEADER) - CHECKED_HEADER;
  }

  allocateMany(size: number, count: number): void {
    const addresses = new Uint32Array(count).fill(7);
    this.#attempt(
      () => {
        this.heap.allocateMany(size, addresses);
        for (const address of addresses) this.#add(address, size, 16);
        if (count > 0) this.#hold(count * 4); // the list of the call itself
      },
      () => expect(addresses.every((address) => address === 7)).toBe(true),
    );
    this.operations += count;
  }

  freeMany(count: number): void {
    const blocks = this.blocks.filter((block) => block.bytes === undefined).slice(0, count);
    for (const block of blocks) this.#checkContent(block, block.address, block.size);
    const addresses = Uint32Array.from(blocks, (block) => block.address);
    this.heap.freeMany(addresses);
    this.operations += blocks.length + 1;
    expect(addresses.every((address) => address === 0)).toBe(true);
    for (const block of blocks) {
      this.#forget(block);
      this.#hold(block.size);
    }
    if (blocks.length > 0) this.#hold(blocks.length * 4);
  }

  trim(): void {
    this.operations++;
    this.heap.trim();
    this.#heldBack.length = 0;
    this.#heldBytes = 0;
  }

  /** Tries to free, to reallocate and to measure what is no block in use. */
  refuse(address: number): void {
    if (this.#byAddress.has(address)) return;
    // Where the block below checked bytes begins, an address that was once another block's cannot be told from its own.
    if (this.#byAddress.get(address + CHECKED_HEADER)?.bytes !== undefined) return;
    this.operations++;
    const before = this.#isTight ? undefined : this.runtime.stats();
    this.#expectRefusal(() => this.heap.free(address), address);
    this.#expectRefusal(() => this.heap.reallocate(address, 50), address);
    this.#expectRefusal(() => this.heap.usableSize(address), address);
    this.#refusals += 2; // an address that is only asked about does no harm
    if (before !== undefined) expect(this.runtime.stats()).toEqual(before);
  }

  /** As {@link refuse}, of addresses that are often bad in programs. */
  refuseNear(kind: BadAddress, pick: number): void {
    const block = this.picked(pick);
    switch (kind) {
      case "inside":
        if (block !== undefined) this.refuse(block.address + 1 + (pick % block.usable));
        break;
      case "before":
        if (block !== undefined) this.refuse(block.address - 1 - (pick % 64));
        break;
      case "granule":
        if (block !== undefined) this.refuse(block.address + 16 * (1 + (pick % (1 + (block.usable >>> 4)))));
        break;
      case "end of page":
        if (block !== undefined) this.refuse((Math.floor(block.address / PAGE) + 1) * PAGE - 16 * (pick % 5));
        break;
      case "freed":
        if (this.#freed.length > 0) this.refuse(this.#freed[pick % this.#freed.length]!);
        break;
      case "strange":
        this.refuse(this.strangers[pick % this.strangers.length]!);
        break;
      case "wild":
        this.refuse((pick * 0x9e37_79b1) >>> 0);
        break;
      case "low":
        this.refuse(pick % 70_000);
        break;
    }
  }

  // ── checks ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Checks the heap's own walk and its figures; `thorough`: the content of every block too. O(blocks) */
  check(thorough: boolean): void {
    this.heap.validate();
    this.runtime.validate();
    const stats = this.heap.stats();
    const live = this.blocks.length;
    const heldBack = stats.blocks - live;
    if (!this.#isTight || !this.runtime.debug) expect(heldBack).toBe(this.#heldBack.length);
    else expect(heldBack >= 0 && heldBack <= HELD_BACK_LIMIT).toBe(true);
    expect(stats.refusals).toBe(this.#refusals);
    let usable = 0;
    for (const block of this.blocks) usable += block.usable + (block.bytes === undefined ? 0 : CHECKED_HEADER);
    if (this.runtime.debug) expect(stats.usableBytes).toBeGreaterThanOrEqual(usable);
    else expect(stats.usableBytes).toBe(usable);
    expect(stats.reservedBytes).toBeGreaterThanOrEqual(stats.usableBytes);
    if (thorough) for (const block of this.blocks) this.#checkContent(block, block.address, block.size, true);
  }

  /** Frees all and checks that every page comes back; then that a heap's end gives back what is in use. */
  end(): void {
    while (this.blocks.length > 0) this.free(this.blocks[(this.operations * 31) % this.blocks.length]!);
    this.check(false);
    this.trim();
    expect(this.heap.stats()).toMatchObject({ blocks: 0, usableBytes: 0, reservedBytes: 0, freeBytes: 0 });
    expect(this.runtime.$memory.rootWord("ROOT_GUARDS_LIVE")).toBe(0);
    for (const size of [1, 200, 300, 70_000]) this.allocate(size);
    this.heap.destroy();
    this.strange.destroy();
    const { heapSpans, heapAreas } = this.runtime.stats().bytesByOwner;
    expect([heapSpans, heapAreas]).toEqual([0, 0]);
    this.runtime.validate();
  }

  /** Runs an operation that memory may be too small for: then all must be as it was. */
  #attempt(operation: () => void, refused?: () => void): void {
    this.operations++;
    try {
      operation();
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      if (!this.#isTight) throw error;
      this.outOfMemory++;
      refused?.();
    }
  }

  #add(address: number, size: number, alignment: number, bytes?: Bytes): void {
    const usable = this.#usableSize(address, bytes);
    if (address % alignment !== 0) expect(`${address} is aligned to ${alignment}`).toBe(true);
    if (usable < size) expect(usable).toBeGreaterThanOrEqual(size);
    const block = { address, size, usable, stamp: ++this.#stamp, bytes, place: this.blocks.length };
    const index = this.#indexOf(address);
    const before = this.#byAddress.get(this.#order[index - 1]!);
    const behind = this.#order[index];
    if (before !== undefined && before.address + before.usable > address) this.#failOverlap(before, block);
    if (behind !== undefined && address + usable > behind) this.#failOverlap(this.#byAddress.get(behind)!, block);
    this.#order.splice(index, 0, address);
    this.#byAddress.set(address, block);
    this.blocks.push(block);
    writePattern(this.#memory, address, size, block.stamp);
  }

  #forget(block: HeapBlock): void {
    this.#order.splice(this.#indexOf(block.address), 1);
    this.#byAddress.delete(block.address);
    const last = this.blocks.pop()!;
    if (last !== block) {
      last.place = block.place;
      this.blocks[block.place] = last;
    }
    this.#freed.push(block.address);
    if (this.#freed.length > 100) this.#freed.splice(0, 50);
  }

  /** The place in the order of addresses at which `address` is, or would be. */
  #indexOf(address: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#order[middle]! < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #failOverlap(present: HeapBlock, added: HeapBlock): never {
    expect.fail(`${added.address}+${added.usable} overlaps ${present.address}+${present.usable}, which is in use`);
  }

  #checkContent(block: HeapBlock, address: number, size: number, always = false): void {
    if (!always && this.#checks++ % this.#contentEvery !== 0) return;
    checkPattern(this.#memory, address, size, block.size, block.stamp);
  }

  #expectZeros(address: number, size: number): void {
    const content = this.#memory.subarray(address, address + size);
    if (!content.every((byte) => byte === 0)) expect.fail(`the ${size} bytes at ${address} are not zero`);
  }

  #expectRefusal(operation: () => void, address: number): void {
    try {
      operation();
    } catch (error) {
      if (error instanceof InvalidAddressError && error.message.includes(String(address))) return;
      throw error;
    }
    expect.fail(`${address} is no block in use, but was not refused`);
  }

  /** Debug module: notes that a block has been freed, which is held back for a while. */
  #hold(size: number): void {
    if (!this.runtime.debug) return;
    this.#heldBack.push(size);
    this.#heldBytes += size;
    while (this.#heldBack.length > HELD_BACK_LIMIT || this.#heldBytes > HELD_BACK_BYTES) {
      this.#heldBytes -= this.#heldBack.shift()!;
    }
  }
}

/** Where a bad address lies, seen from a block in use or otherwise. */
export type BadAddress = "inside" | "before" | "granule" | "end of page" | "freed" | "strange" | "wild" | "low";
export const BAD_ADDRESSES: readonly BadAddress[] = [
  "inside",
  "before",
  "granule",
  "end of page",
  "freed",
  "strange",
  "wild",
  "low",
];
