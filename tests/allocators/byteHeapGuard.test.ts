import { type ByteHeap, CorruptionError, InvalidAddressError, type Runtime } from "tidemark";
import { describe, expect, test } from "vitest";
import { HELD_BACK_LIMIT } from "../support/heapModel.js";
import { withRuntime } from "../support/runtimes.js";

const POISON = 0xcb;
const SIZES = [1, 20, 200, 300, 5000, 60_000];

const withHeap = (body: (heap: ByteHeap, memory: Uint8Array, runtime: Runtime) => void) =>
  withRuntime({ debug: true, initialBytes: 1 << 24 }, (runtime) => {
    const heap = runtime.byteHeap();
    body(heap, runtime.$memory.u8, runtime);
    heap.destroy();
  });

/** Frees so many other blocks that all that was held back before leaves. */
function flush(heap: ByteHeap): void {
  for (let count = 0; count <= HELD_BACK_LIMIT; count++) heap.free(heap.allocate(10));
}

/** Overruns of a block's content, as [first byte, bytes] from its address. */
const overruns: Record<string, (size: number) => [number, number]> = {
  "one byte past the end": (size) => [size, 1],
  "16 bytes past the end": (size) => [size, 16],
  "one byte before the beginning": () => [-1, 1],
  "16 bytes before the beginning": () => [-16, 16],
};

describe.each(SIZES)("the debug module, with a block of %i bytes", (size) => {
  test.each(Object.entries(overruns))(
    "finds a write %s: at free, in a walk, at a look, and says so once",
    (_name, at) =>
      withHeap((heap, u8) => {
        const other = heap.allocate(50);
        const block = heap.allocate(size);
        const [from, bytes] = at(size);
        const before = u8.slice(block + from, block + from + bytes);
        u8.fill(0x41, block + from, block + from + bytes);
        const named = expect.objectContaining({
          code: "ERR_TIDEMARK_CORRUPTION",
          message: expect.stringContaining(String(block)),
        });
        expect(() => heap.free(block)).toThrow(named);
        expect(() => heap.usableSize(block)).toThrow(named);
        expect(() => heap.reallocate(block, 70)).toThrow(named);
        expect(() => heap.validate()).toThrow(named);
        heap.free(other); // which is told of nothing
        heap.trim();
        u8.set(before, block + from);
        heap.validate();
        heap.free(block);
        heap.trim();
        expect(heap.stats().blocks).toBe(0);
      }),
  );

  test("finds a write after free: in a walk, when the block leaves the quarantine, and at a trim", () =>
    withHeap((heap, u8) => {
      for (const offset of new Set([0, size >>> 1, size - 1])) {
        for (const look of [() => flush(heap), () => heap.trim()]) {
          const block = heap.allocate(size);
          heap.free(block);
          expect(u8.subarray(block, block + size).every((byte) => byte === POISON)).toBe(true);
          heap.validate();
          u8[block + offset] = 7;
          expect(() => heap.validate()).toThrow(new RegExp(`at ${block}$`));
          expect(look).toThrow(new RegExp(`${block} was written to after its free`));
          heap.validate();
          heap.trim();
        }
      }
    }));

  test.each(Object.entries(overruns))("finds a write %s after free", (_name, at) =>
    withHeap((heap, u8) => {
      const block = heap.allocate(size);
      heap.free(block);
      const [from, bytes] = at(size);
      u8.fill(0x41, block + from, block + from + bytes);
      expect(() => heap.validate()).toThrow(new RegExp(`at ${block}$`));
      expect(() => heap.trim()).toThrow(new RegExp(`the block at ${block} `));
      heap.validate();
    }),
  );

  test("names in a walk the address that was given: of a block at a large alignment, and of checked bytes", () =>
    withHeap((heap, u8) => {
      for (const address of [heap.allocate(size, { alignment: 1024 }), heap.bytes(size).address]) {
        const before = u8[address + size]!;
        u8[address + size] = before ^ 0xff;
        expect(() => heap.validate()).toThrow(new RegExp(`at ${address}$`));
        u8[address + size] = before;
        heap.validate();
      }
    }));

  test("refuses a second free as long as the block is held back, and gives its memory to nobody", () =>
    withHeap((heap) => {
      const block = heap.allocate(size);
      heap.free(block);
      for (let count = 1; count < HELD_BACK_LIMIT; count++) {
        expect(() => heap.free(block)).toThrow(/has been freed already/);
        const next = heap.allocate(size);
        expect(next).not.toBe(block);
        heap.free(next);
      }
      heap.free(heap.allocate(10));
      expect(() => heap.free(block)).toThrow(InvalidAddressError);
      heap.validate();
    }));
});

/** Damage of the words before a block, with what its size and its place are found by. */
const headers: [string, number, number][] = [
  ["32 bytes", -32, 32],
  ["the way to the raw block", -32, 4],
  ["the size", -28, 4],
  ["the state", -24, 4],
  ["the next one held back", -20, 4],
  ["from the size on", -28, 28],
];

describe.each(headers)("the debug module, with %s before a block written over", (_name, from, bytes) => {
  test.each([0x01, 0x41, 0x7f, 0xff])("by bytes of %i, tells of it and goes on", (value) =>
    withHeap((heap, u8) => {
      for (const size of SIZES) {
        for (const isFreed of [false, true]) {
          const block = heap.allocate(size);
          const others = [heap.allocate(size), heap.allocate(40)];
          if (isFreed) heap.free(block);
          for (const other of others) heap.free(other);
          const before = u8.slice(block + from, block);
          u8.fill(value, block + from, block + from + bytes);
          const known = expect.objectContaining({
            code: expect.stringMatching(/ERR_TIDEMARK_(CORRUPTION|INVALID_ADDRESS)/),
          });
          const isNext = from === -20; // of no meaning until the block is freed
          if (!isNext) expect(() => heap.validate()).toThrow(CorruptionError);
          if (isFreed) {
            expect(() => heap.trim()).toThrow(CorruptionError);
            heap.trim(); // it is told once
          } else {
            if (!isNext) expect(() => heap.free(block)).toThrow(known);
            u8.set(before, block + from);
            heap.free(block);
            heap.trim();
          }
          heap.free(heap.allocate(size));
        }
      }
    }),
  );
});

test("a long overrun of one block over those behind it is told of, and the rest of the heap goes on", () =>
  withHeap((heap, u8) => {
    const blocks = Array.from({ length: 40 }, () => heap.allocate(100));
    const freed = Array.from({ length: 20 }, () => heap.allocate(100));
    for (const block of freed) heap.free(block);
    u8.fill(0x41, blocks[30]!, blocks[30]! + 4000 - (blocks[30]! % 4096 > 3000 ? 3900 : 2500));
    expect(() => heap.validate()).toThrow(CorruptionError);
    expect(() => heap.free(blocks[30]!)).toThrow(CorruptionError);
    for (const block of blocks.slice(0, 30)) heap.free(block);
    expect(heap.allocate(5000)).toBeGreaterThan(0);
  }));

test("no more than 4 MiB are held back, and nothing of a block that is larger", () =>
  withHeap((heap) => {
    for (let count = 0; count < 20; count++) heap.free(heap.allocate(1_000_000));
    expect(heap.stats()).toMatchObject({ blocks: 4 });
    heap.free(heap.allocate(5_000_000));
    expect(heap.stats()).toMatchObject({ blocks: 0 });
    heap.validate();
  }));
