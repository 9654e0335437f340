import { createRuntime, DisposedError, InvalidAddressError } from "tidemark";
import { describe, expect, test } from "vitest";
import { RandomNumbers } from "../support/randomNumbers.js";
import { modules, PAGE, withRuntime } from "../support/runtimes.js";

const corrupt = expect.objectContaining({ code: "ERR_TIDEMARK_CORRUPTION" });

describe.each(modules)("what is no block in use of the $name module's byte heap", ({ debug }) => {
  test("is an invalid address, wherever it lies in the pages of large blocks", () =>
    withRuntime({ debug }, (runtime) => {
      const heap = runtime.byteHeap();
      const live = new Set([1000, 3000, 500, 20_000].map((size) => heap.allocate(size)));
      const first = Math.floor(Math.min(...live) / PAGE) * PAGE;
      expect(heap.stats().reservedBytes).toBe(PAGE);
      const before = heap.stats();
      let refusals = 0;
      for (let address = first - 16; address <= first + PAGE; address += 4) {
        if (live.has(address)) continue;
        expect(() => heap.free(address)).toThrow(InvalidAddressError);
        refusals++;
      }
      expect(heap.stats()).toEqual({ ...before, refusals });
      heap.validate();
    }));

  test("is an invalid address, wherever it lies in the pages of small blocks", () =>
    withRuntime({ debug }, (runtime) => {
      const heap = runtime.byteHeap();
      const sizes = Array.from({ length: 300 }, (_, index) => 1 + ((index * 37) % (debug ? 208 : 256)));
      const addresses = sizes.map((size) => heap.allocate(size));
      const first = Math.floor(Math.min(...addresses) / PAGE) * PAGE;
      expect(heap.stats().reservedBytes).toBe(PAGE);
      // Some warm, some in runs between others, and the rest of the page.
      for (let index = 0; index < addresses.length; index += 3) heap.free(addresses[index]!);
      const live = new Set(addresses.filter((_, index) => index % 3 !== 0));
      const before = heap.stats();
      let refusals = 0;
      for (let address = first; address < first + PAGE; address += 4) {
        if (live.has(address)) continue;
        expect(() => heap.free(address)).toThrow(InvalidAddressError);
        refusals++;
      }
      expect(heap.stats()).toEqual({ ...before, refusals });
      heap.validate();
      for (const address of live) heap.free(address);
      heap.trim();
      expect(heap.stats()).toMatchObject({ blocks: 0, reservedBytes: 0 });
    }));

  test("is an invalid address where three blocks have been merged, whichever was freed last", () =>
    withRuntime({ debug }, (runtime) => {
      for (const order of [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
      ]) {
        const heap = runtime.byteHeap();
        const [first, second, third] = [heap.allocate(1000), heap.allocate(2000), heap.allocate(3000)] as const;
        const last = heap.allocate(4000);
        const blocks = [first, second, third];
        for (const index of order) heap.free(blocks[index]!);
        heap.trim();
        for (const address of blocks) expect(() => heap.free(address)).toThrow(InvalidAddressError);
        const merged = heap.allocate(5900);
        if (!debug) expect(merged).toBe(first);
        for (const address of [second, third]) expect(() => heap.free(address)).toThrow(InvalidAddressError);
        heap.free(merged);
        heap.free(last);
        heap.validate();
        heap.destroy();
      }
    }));

  test("ends a series of frees there, also where the series' own list lies at its address", () =>
    withRuntime({ debug }, (runtime) => {
      for (const count of [1, 3, 4, 5, 60, 100, 1000, 20_000]) {
        const heap = runtime.byteHeap();
        const addresses = new Uint32Array(count);
        heap.allocateMany(40, addresses);
        const freed = heap.allocate(4 * count);
        heap.free(freed);
        heap.trim(); // and now the list takes its place
        const place = count >>> 1;
        heap.free(addresses[place]!);
        addresses[place] = freed;
        const before = addresses.slice();
        expect(() => heap.freeMany(addresses)).toThrow(InvalidAddressError);
        expect(addresses).toEqual(before.fill(0, 0, place));
        if (!debug) expect(heap.stats()).toMatchObject({ blocks: count - place - 1, refusals: 1 });
        addresses[place] = heap.allocate(40);
        heap.freeMany(addresses.subarray(place));
        heap.trim();
        expect(heap.stats()).toMatchObject({ blocks: 0, refusals: 1 });
        heap.destroy();
      }
    }));
});

test("what is asked of a heap that has been destroyed is named by its refusal", () =>
  withRuntime({}, (runtime) => {
    const heap = runtime.byteHeap();
    heap.destroy();
    const list = new Uint32Array(1);
    for (const [operation, call] of Object.entries({
      allocate: () => heap.allocate(1),
      reallocate: () => heap.reallocate(16, 1),
      free: () => heap.free(16),
      bytes: () => heap.bytes(1),
      usableSize: () => heap.usableSize(16),
      allocateMany: () => heap.allocateMany(1, list),
      freeMany: () => heap.freeMany(list),
      asMalloc: () => heap.asMalloc(),
      trim: () => heap.trim(),
      stats: () => heap.stats(),
      validate: () => heap.validate(),
      address: () => heap.address,
    })) {
      expect(call).toThrow(new DisposedError(`${operation}: the byte heap has been destroyed`));
    }
  }));

test("an address behind the end of memory is refused, whatever a memory that was given had in it", async () => {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 16 });
  new Uint8Array(memory.buffer).fill(9); // the byte of a page of small blocks
  const runtime = await createRuntime({ memory, maximumBytes: 16 << 16 });
  const heap = runtime.byteHeap();
  for (const page of [4, 15, 16, 100, 24_575, 24_576, 65_535]) {
    expect(() => heap.free(page * 65_536 + 2048)).toThrow(InvalidAddressError);
  }
  heap.validate();
  runtime.dispose();
});

describe("in the release module", () => {
  test("large blocks whose tags have been written over are found out, and left as they are", () =>
    withRuntime({}, (runtime) => {
      const heap = runtime.byteHeap();
      const { u8 } = runtime.$memory;
      const blocks = [1000, 2000, 3000].map((size) => heap.allocate(size)) as [number, number, number];
      for (const address of blocks) {
        const end = address + heap.usableSize(address);
        const before = u8.slice(end, end + 8);
        // What begins behind it is told of wrongly: the first word, or the first two.
        for (const bytes of [4, 8]) {
          u8.fill(0x41, end, end + bytes);
          expect(() => heap.free(address)).toThrow(corrupt);
          expect(() => heap.reallocate(address, 5000)).toThrow(corrupt);
          expect(() => heap.usableSize(address)).toThrow(corrupt);
          expect(() => heap.validate()).toThrow(corrupt);
          u8.set(before, end);
        }
        heap.validate();
      }
      for (const address of blocks) heap.free(address);
      heap.validate();
    }));
});

test("a large block whose links are written to after its free is found out by the walk", () =>
  withRuntime({}, (runtime) => {
    const { $memory: memory } = runtime;
    for (const word of [0, 1]) {
      for (const value of [1, 4, 0x10004, 0x7fff_fff4, 0xffff_fff4, 0xffff_ffff, memory.u8.length - 12]) {
        const heap = runtime.byteHeap();
        const blocks = [1000, 1000, 1000].map((size) => heap.allocate(size));
        heap.free(blocks[1]!);
        heap.validate();
        memory.u32[(blocks[1]! >>> 2) + word] = value;
        expect(() => heap.validate()).toThrow(corrupt);
        heap.destroy();
      }
    }
  }));

test("a small block whose first words are written to after its free leads no allocation past the end of memory", () =>
  withRuntime({}, (runtime) => {
    const { $memory: memory } = runtime;
    for (let word = 0; word < 3; word++) {
      for (let bytes = 1; bytes <= 16; bytes++) {
        const heap = runtime.byteHeap();
        const blocks = [48, 48, 48, 48, 48].map((size) => heap.allocate(size));
        for (const index of [1, 3]) heap.free(blocks[index]!);
        heap.trim(); // and they are runs of their own
        memory.u32[(blocks[3]! >>> 2) + word] = memory.u8.length - bytes;
        memory.u32[(blocks[1]! >>> 2) + word] = memory.u8.length - bytes;
        const more = Array.from({ length: 4 }, () => heap.allocate(48));
        expect(new Set([...more, blocks[0], blocks[2], blocks[4]]).size).toBe(7);
        for (const address of more) heap.free(address);
        heap.destroy();
      }
    }
  }));

test.each([0, 1, 0xff, "what was there before"])(
  "small blocks that are written to after their free (%s) cost no other block anything, and the walk tells",
  (content) =>
    withRuntime({}, (runtime) => {
      const heap = runtime.byteHeap();
      const random = new RandomNumbers(7);
      const owned = new Set<number>();
      const blocks: { address: number; size: number }[] = [];
      const stale: { address: number; bytes: Uint8Array }[] = [];
      let overlaps = 0;
      const allocate = () => {
        const size = 1 + random.below(256);
        const address = heap.allocate(size);
        heap.$memory.u8.fill(size, address, address + size);
        for (let at = address; at < address + size; at++) {
          if (owned.has(at)) overlaps++;
          owned.add(at);
        }
        blocks.push({ address, size });
      };
      const free = () => {
        const [block] = blocks.splice(random.below(blocks.length), 1);
        const { address, size } = block!;
        stale.push({ address, bytes: heap.$memory.u8.slice(address, address + size) });
        heap.free(address);
        for (let at = address; at < address + size; at++) owned.delete(at);
      };
      for (let count = 0; count < 1500; count++) allocate();
      while (blocks.length > 500) free();
      for (let turn = 0; turn < 2000; turn++) {
        free();
        // Whoever freed a block goes on writing to it, but not where someone else lives by now.
        for (let count = 0; count < 8; count++) {
          const { address, bytes } = stale[random.below(stale.length)]!;
          if (bytes.some((_, offset) => owned.has(address + offset))) continue;
          if (typeof content === "number") heap.$memory.u8.fill(content, address, address + bytes.length);
          else heap.$memory.u8.set(bytes, address);
        }
        allocate();
      }
      expect(overlaps).toBe(0);
      expect(heap.$memory.u32[0]).toBe(0);
      expect(() => heap.validate()).toThrow(corrupt);
      for (const { address } of blocks) heap.free(address);
    }),
);
