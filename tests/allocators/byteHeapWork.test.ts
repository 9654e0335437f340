import { ByteHeap, type Runtime } from "tidemark";
import { describe, expect, test } from "vitest";
import { randomHeapSize } from "../support/heapSizes.js";
import { RandomNumbers } from "../support/randomNumbers.js";
import { PAGE, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

/**
 * The most steps of loops in one operation of the heap, by what the loops are over:
 *
 * - 768 bins and 24 rows of bins: a search forgets those that it finds empty, so that no second one in the same operation
 *   meets them again (it looks at most at 25 rows)
 * - 16 classes, whose warm blocks, of which there are 30 at most in each, are given back where no page would become empty with
 *   them, or before one is taken: each of them is paid for by its own free
 *
 * The debug module's reallocation does one allocation and one free.
 */
const HEAP_STEPS = 768 + 24 + 25 + 16 * (1 + 30);

/**
 * The page heap's, where pages are taken or given: a bitmap word for 64 pages is read when it is searched, again for each
 * run that is too short, and when it is changed; a freed run is walked over page by page, which its pages pay for. In a
 * memory that is full of holes of one page a search for two may so take as many steps as there are pages; what a byte heap
 * makes of its memory is far from that, which is what is held here.
 */
const pageHeapSteps = (committedPages: number) => 6 * Math.ceil(committedPages / 64) + 64;

class Meter {
  most = 0;
  last = 0;
  /** The most beyond what the bounds above allow; not above 0. */
  excess = -Infinity;

  constructor(
    readonly runtime: Runtime,
    readonly heap: ByteHeap,
  ) {}

  measure<T>(operation: () => T): T {
    const memory = this.runtime.$memory;
    const pages = memory.exports.byteHeapPages(this.heap.address);
    memory.setRootWord("ROOT_STEPS", 0);
    const result = operation();
    const steps = memory.rootWord("ROOT_STEPS");
    const moved = Math.abs(memory.exports.byteHeapPages(this.heap.address) - pages);
    const committed = memory.rootWord("ROOT_COMMITTED_PAGES");
    this.last = steps;
    this.most = Math.max(this.most, steps);
    this.excess = Math.max(this.excess, steps - HEAP_STEPS - pageHeapSteps(committed) - 3 * moved);
    return result;
  }
}

/** A heap whose calls are the module's own: the class keeps places of allocations, which would take most of the time. */
function bare(runtime: Runtime, heap: ByteHeap) {
  const { byteHeapAllocate, byteHeapFree, byteHeapReallocate } = runtime.$memory.exports;
  const { address } = heap;
  return {
    allocate: (size: number, alignment = 16) => byteHeapAllocate(address, size, alignment) >>> 0,
    free: (block: number) => byteHeapFree(address, block),
    reallocate: (block: number, size: number) => byteHeapReallocate(address, block, size) >>> 0,
  };
}

/** How far apart the bins are for blocks of `size` bytes, tags included. */
function binStep(size: number): number {
  return Math.max(16, 2 ** Math.floor(Math.log2(size)) / 32);
}

/** The most steps of one operation with `live` blocks in use. */
async function mostSteps(live: number, operations: number): Promise<Meter> {
  let result: Meter | undefined;
  await withRuntime({ debug: true, maximumBytes: 2 ** 31, initialBytes: 600 * PAGE }, (runtime) => {
    const heap = new ByteHeap(runtime.$memory);
    const meter = new Meter(runtime, heap);
    const calls = bare(runtime, heap);
    const random = new RandomNumbers(live);
    const size = () => randomHeapSize(random, 400);
    const blocks = Array.from({ length: live }, () => meter.measure(() => calls.allocate(size())));
    expect(blocks.every((address) => address !== 0)).toBe(true);
    for (let count = 0; count < operations; count++) {
      const index = random.below(blocks.length);
      const block = blocks[index]!;
      switch (random.below(4)) {
        case 0:
          blocks[index] = meter.measure(() => calls.reallocate(block, size()));
          break;
        case 1:
          meter.measure(() => calls.free(block));
          blocks[index] = meter.measure(() => calls.allocate(size(), 2 ** random.below(13)));
          break;
        default:
          meter.measure(() => calls.free(block));
          blocks[index] = meter.measure(() => calls.allocate(size()));
      }
    }
    heap.validate();
    expect(heap.stats().blocks - live).toBeLessThanOrEqual(64);
    for (const block of blocks) meter.measure(() => calls.free(block));
    heap.destroy();
    result = meter;
  });
  return result!;
}

describe("the steps of one operation", () => {
  test("are as few with 200,000 blocks in use as with 1,000, and below a constant", async () => {
    const few = await mostSteps(1000, scaled(150_000));
    const many = await mostSteps(200_000, scaled(150_000));
    for (const { excess } of [few, many]) expect(excess).toBeLessThanOrEqual(0);
    // Beyond the words of the page heap's bitmap nothing has become more.
    expect(many.most).toBeLessThanOrEqual(HEAP_STEPS + pageHeapSteps(2 ** 15));
    expect(few.most).toBeGreaterThan(16);
  });

  test("are below that constant where nearly every bin is known as used and has become empty", () =>
    withRuntime({ debug: true, maximumBytes: 2 ** 31 }, (runtime) => {
      const heap = new ByteHeap(runtime.$memory);
      const meter = new Meter(runtime, heap);
      const calls = bare(runtime, heap);
      // A block for each bin up to 1 MiB, each behind a wall that keeps it from merging.
      const sizes: number[] = [];
      for (let size = 320; size < 2 ** 20; size += Math.max(16, 2 ** Math.floor(Math.log2(size)) / 32))
        sizes.push(size);
      const blocks = sizes.map((size) => [calls.allocate(size - 60), calls.allocate(300)] as const);
      for (const [block] of blocks) meter.measure(() => calls.free(block));
      runtime.$memory.exports.trimByteHeap(heap.address);
      // The largest first, so that no search meets a bin that has become empty.
      const again = sizes.toReversed().map((size) => meter.measure(() => calls.allocate(size - 60)));
      expect(again.every((address) => address !== 0)).toBe(true);
      // No block may be left that a search would end at; one as small as its bin allows is found without a search.
      while (heap.stats().largestFree > 400) {
        const block = heap.stats().largestFree + 12;
        calls.allocate(block - (block % binStep(block)) - 60);
      }
      meter.measure(() => calls.allocate(300));
      expect(meter.last).toBeGreaterThan(300);
      meter.measure(() => calls.allocate(300));
      expect(meter.last).toBeLessThan(50); // they are known as empty from then on
      expect(meter.excess).toBeLessThanOrEqual(0);
      heap.destroy();
    }));

  test("are below that constant where a page is taken, or most are free, and there are warm blocks of every class", () =>
    withRuntime({ debug: true, maximumBytes: 2 ** 28 }, (runtime) => {
      const heap = new ByteHeap(runtime.$memory);
      const meter = new Meter(runtime, heap);
      const calls = bare(runtime, heap);
      const sizes = Array.from({ length: 13 }, (_, index) => 16 * index + 1);
      for (let turn = 0; turn < 4; turn++) {
        const blocks = sizes.map((size) => Array.from({ length: 400 }, () => calls.allocate(size)));
        // Every other one, so that what is free lies between what is not.
        for (const [index, list] of blocks.entries()) {
          for (let number = index & 1; number < 400; number += 2) meter.measure(() => calls.free(list[number]!));
        }
        for (let count = 0; count < 2000; count++) meter.measure(() => calls.allocate(200));
        for (const [index, list] of blocks.entries()) {
          for (let number = 1 - (index & 1); number < 400; number += 2) meter.measure(() => calls.free(list[number]!));
        }
      }
      expect(meter.most).toBeGreaterThan(100);
      expect(meter.excess).toBeLessThanOrEqual(0);
      heap.validate();
      heap.destroy();
    }));
});
