import { type ByteHeap, type Runtime, StaleReferenceError } from "tidemark";
import { describe, expect, test } from "vitest";
import { RandomNumbers } from "../support/randomNumbers.js";
import { MEBIBYTE, modules, PAGE, withRuntime } from "../support/runtimes.js";

/** How often the pages that the heap has taken change while `step` runs `times` times. */
function pageChanges(heap: ByteHeap, times: number, step: (turn: number) => void): number {
  const { byteHeapPages } = heap.$memory.exports;
  let changes = 0;
  let pages = byteHeapPages(heap.address);
  for (let turn = 0; turn < times; turn++) {
    step(turn);
    const now = byteHeapPages(heap.address);
    if (now !== pages) changes++;
    pages = now;
  }
  return changes;
}

const withHeap = (debug: boolean, body: (heap: ByteHeap, runtime: Runtime) => void) =>
  withRuntime({ debug, maximumBytes: 256 * MEBIBYTE }, (runtime) => {
    const heap = runtime.byteHeap();
    body(heap, runtime);
    heap.validate();
    heap.destroy();
  });

describe.each(modules)("pages of the $name module's byte heap", ({ debug }) => {
  test.each([16, 200, 300, 5000, 60_000, 500_000])("go back when blocks of %i bytes are freed, but for a few", (size) =>
    withHeap(debug, (heap) => {
      const addresses = new Uint32Array(Math.ceil(((debug ? 4 : 16) * MEBIBYTE) / Math.max(size, 64)));
      heap.allocateMany(size, addresses);
      const { reservedBytes } = heap.stats();
      const random = new RandomNumbers(size);
      for (let left = addresses.length; left > 1; left--) {
        const index = random.below(left);
        [addresses[index], addresses[left - 1]] = [addresses[left - 1]!, addresses[index]!];
      }
      for (const address of addresses) heap.free(address);
      for (let count = 0; count < 64; count++) heap.free(heap.allocate(1)); // no large block is held back any longer
      expect(reservedBytes).toBeGreaterThan((debug ? 3 : 12) * MEBIBYTE * Math.min(1, size / 64));
      // The 64 blocks that the debug module holds back may lie in as many pages.
      expect(heap.stats().reservedBytes).toBeLessThanOrEqual((debug && size < 300 ? 48 : 8) * PAGE);
      heap.trim();
      expect(heap.stats().reservedBytes).toBe(0);
    }),
  );

  test("are not taken and given in turn by a program at the edge of a page", () =>
    withHeap(debug, (heap) => {
      for (const size of [16, 256, 257, 4000, 30_000, 65_000, 70_000, 120_000]) {
        const kept: number[] = [];
        for (let count = 0; count < (debug ? 12 : 400); count++) {
          kept.push(heap.allocate(size));
          // Wherever the edge is, here or there the program goes over it, again and again.
          const changes = pageChanges(heap, 200, (turn) => {
            if (turn % 2 === 0) kept.push(heap.allocate(size));
            else heap.free(kept.pop()!);
          });
          expect(changes).toBeLessThanOrEqual(debug ? 66 : 2);
        }
        for (const address of kept) heap.free(address);
        heap.trim();
      }
    }));
});

describe("the pages of large blocks", () => {
  test("are given back from wherever a block begins before the end of a page", () =>
    withHeap(false, (heap) => {
      for (let size = PAGE - 160; size <= PAGE; size += 4) {
        const kept = heap.allocate(size);
        const last = heap.allocate(500_000);
        heap.free(last);
        heap.validate();
        expect(heap.stats().reservedBytes).toBeLessThanOrEqual(2 * PAGE);
        const again = heap.allocate(400_000);
        heap.validate();
        heap.free(again);
        heap.trim();
        heap.validate();
        heap.free(kept);
        heap.trim();
        expect(heap.stats().reservedBytes).toBe(0);
        const block = heap.allocate(500_000);
        expect(heap.reallocate(block, size)).toBe(block); // what is cut off goes back at once
        heap.validate();
        expect(heap.stats().reservedBytes).toBeLessThanOrEqual(2 * PAGE);
        heap.free(block);
        heap.trim();
        expect(heap.stats().reservedBytes).toBe(0);
      }
    }));

  test("are not taken where the last block is large enough, but not the first of its bin", () =>
    withHeap(false, (heap) => {
      // With their tags 5,136 and 55,136 bytes, which leave 5,216 of the page: the bin is that of 5,120 to 5,247.
      const first = heap.allocate(5124);
      const wall = heap.allocate(55_124);
      expect(heap.stats().largestFree).toBe(5216 - 12);
      heap.free(first);
      expect(heap.allocate(5188)).toBe(wall + 55_136);
      expect(heap.stats().reservedBytes).toBe(PAGE);
    }));
});

test("small blocks of any size come from pages that others have left, before new ones are taken", () =>
  withHeap(false, (heap) => {
    const addresses = Array.from({ length: 20_000 }, () => heap.allocate(256));
    const { reservedBytes } = heap.stats();
    const middle = addresses.slice(8000, 12_000);
    for (const address of middle.filter((_, index) => index % 1000 < 900)) heap.free(address);
    const left = heap.stats().reservedBytes;
    expect(left).toBeLessThan(reservedBytes);
    for (let count = 0; count < 1000; count++) heap.allocate(64);
    expect(heap.stats().reservedBytes).toBe(left);
  }));

describe("a block that is reallocated", () => {
  test("grows in place where the block behind it is free, and no further than there is need", () =>
    withHeap(false, (heap) => {
      const [first, second, third] = [heap.allocate(1000), heap.allocate(3000), heap.allocate(500)] as const;
      heap.free(second);
      const { blocks, reservedBytes } = heap.stats();
      expect(heap.reallocate(first, 2500)).toBe(first);
      expect(heap.usableSize(first)).toBeLessThan(2500 + 48);
      expect(heap.stats()).toMatchObject({ blocks, reservedBytes });
      expect(heap.reallocate(first, third - first - 12)).toBe(first); // up to the tag of what lies behind
      heap.validate();
      expect(heap.reallocate(first, third - first - 11)).not.toBe(first);
    }));

  test("grows at the end of an area by new pages, where nothing that is free would do", () =>
    withHeap(false, (heap) => {
      const before = heap.allocate(50_000);
      const last = heap.allocate(1000);
      for (let size = 2000; size <= 64 * MEBIBYTE; size *= 2) expect(heap.reallocate(last, size)).toBe(last);
      expect(heap.stats().reservedBytes).toBeLessThanOrEqual(64 * MEBIBYTE + 2 * PAGE);
      expect(heap.reallocate(last, 1000)).toBe(last);
      expect(heap.stats().reservedBytes).toBeLessThanOrEqual(3 * PAGE);
      heap.free(before);
      expect(heap.reallocate(last, 10_000)).toBe(last); // in what is free behind it
    }));

  test("moves into a hole rather than have the heap grow around it", () =>
    withHeap(false, (heap) => {
      const hole = heap.allocate(300_000);
      const last = heap.allocate(2000);
      heap.free(hole);
      const { reservedBytes } = heap.stats();
      expect(heap.reallocate(last, 280_000)).toBe(hole);
      expect(heap.stats().reservedBytes).toBeLessThanOrEqual(reservedBytes);
    }));

  test("shrinks in place, and what it had too much comes to the next", () =>
    withHeap(false, (heap) => {
      const block = heap.allocate(10_000);
      const behind = heap.allocate(1000);
      heap.$memory.u8.fill(5, block, block + 10_000);
      expect(heap.reallocate(block, 4000)).toBe(block);
      expect(heap.usableSize(block)).toBeLessThan(4000 + 48);
      expect(heap.allocate(5500)).toBeLessThan(behind);
      expect(heap.$memory.u8.subarray(block, block + 4000).every((byte) => byte === 5)).toBe(true);
    }));

  test("fills a hole elsewhere rather than leave one behind it, where that is a quarter of it or more", () =>
    withHeap(false, (heap) => {
      const hole = heap.allocate(5000);
      const block = heap.allocate(10_000);
      heap.allocate(1000);
      heap.free(hole);
      heap.$memory.u8.fill(5, block, block + 10_000);
      expect(heap.reallocate(block, 8000)).toBe(block);
      expect(heap.reallocate(block, 4800)).toBe(hole);
      expect(heap.$memory.u8.subarray(hole, hole + 4800).every((byte) => byte === 5)).toBe(true);
      expect(heap.allocate(7500)).toBeLessThanOrEqual(block); // the place that it has left is whole
    }));

  test("does not move into a hole that is as large as itself, nor where more than 12 KiB would be copied", () =>
    withHeap(false, (heap) => {
      const holes = [heap.allocate(9000), heap.allocate(20_000)] as const;
      const blocks = [heap.allocate(9000), heap.allocate(30_000)] as const;
      heap.allocate(1000);
      for (const hole of holes) heap.free(hole);
      expect(heap.reallocate(blocks[0], 5000)).toBe(blocks[0]);
      expect(heap.reallocate(blocks[1], 19_000)).toBe(blocks[1]);
    }));

  test("stays where it is within its size class, and moves to another, leaving its place free", () =>
    withHeap(false, (heap) => {
      const block = heap.allocate(33);
      for (const size of [48, 40, 34, 33]) expect(heap.reallocate(block, size)).toBe(block);
      const moved = heap.reallocate(block, 49);
      expect(moved).not.toBe(block);
      expect(heap.stats().blocks).toBe(1);
      expect(heap.allocate(48)).toBe(block);
      const large = heap.reallocate(moved, 257);
      expect(heap.allocate(64)).toBe(moved);
      expect(heap.reallocate(large, 256)).toBe(large); // what loses less than half of itself is not worth a copy
      const small = heap.reallocate(large, 100);
      expect(heap.allocate(257)).toBe(large);
      expect(heap.stats().blocks).toBe(4);
      expect(heap.usableSize(small)).toBe(112);
    }));

  test("always moves in the debug module, so that whoever keeps the former address is found out", () =>
    withHeap(true, (heap) => {
      const block = heap.allocate(1000);
      const moved = heap.reallocate(block, 1001);
      expect(moved).not.toBe(block);
      expect(() => heap.free(block)).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_INVALID_ADDRESS" }));
      expect(() => heap.reallocate(block, 5)).toThrow(/has been freed already/);
      heap.free(moved);
    }));
});

test.each(modules)("free blocks are counted as they are merged, in the $name module", ({ debug }) =>
  withHeap(debug, (heap) => {
    const blocks = Array.from({ length: 6 }, () => heap.allocate(1000));
    const freeBlocks = () => {
      heap.trim(); // what the debug module holds back is free now
      return heap.stats().freeBlocks;
    };
    expect(freeBlocks()).toBe(1); // what is left of the page
    const counts = [1, 3, 2].map((index) => {
      heap.free(blocks[index]!);
      return freeBlocks();
    });
    expect(counts).toEqual([2, 3, 2]);
  }),
);

test.each(modules)(
  "checked bytes end with their heap, and their guards serve others, in the $name module",
  ({ debug }) =>
    withRuntime({ debug }, (runtime) => {
      const guardsInUse = () => runtime.$memory.rootWord("ROOT_GUARDS_LIVE");
      for (let round = 0; round < 3; round++) {
        const before = guardsInUse();
        const heap = runtime.byteHeap();
        const kept = Array.from({ length: 100 }, (_, index) => heap.bytes(1 + index));
        for (let index = 0; index < kept.length; index += 3) heap.free(kept[index]!);
        heap.destroy();
        for (const bytes of kept) expect(() => bytes.get(0)).toThrow(StaleReferenceError);
        expect(guardsInUse()).toBe(before);
      }
      runtime.validate();
    }),
);
