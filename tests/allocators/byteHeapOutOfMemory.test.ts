import { type ByteHeap, OutOfMemoryError, type Runtime, SealedError } from "tidemark";
import { describe, expect, test } from "vitest";
import { HeapModel } from "../support/heapModel.js";
import { randomHeapSize } from "../support/heapSizes.js";
import { RandomNumbers } from "../support/randomNumbers.js";
import { MEBIBYTE, modules, Owner, PAGE, withRuntime } from "../support/runtimes.js";

/** Calls that may need pages, on a heap with blocks of 100, 5,000, 100,000 and 60 bytes, in this order. */
const calls: Record<string, (model: HeapModel) => void> = {
  "allocating a small block": (model) => model.allocate(200),
  "allocating a large block": (model) => model.allocate(150_000),
  "allocating an aligned block": (model) => model.allocateAligned(100_000, 4096),
  "allocating a block with zeros": (model) => model.allocateZeroed(100_000),
  "allocating checked bytes": (model) => model.bytes(120_000),
  "moving a small block to another class": (model) => model.reallocate(model.blocks[0]!, 250),
  "moving a small block to the large ones": (model) => model.reallocate(model.blocks[0]!, 150_000),
  "growing a large block that has to move": (model) => model.reallocate(model.blocks[1]!, 200_000),
  "growing a large block that is the last": (model) => model.reallocate(model.blocks[2]!, 300_000),
  "cutting a large block down to a small one": (model) => model.reallocate(model.blocks[1]!, 20),
  "allocating many small blocks": (model) => model.allocateMany(240, 1500),
  "allocating many large blocks": (model) => model.allocateMany(30_000, 20),
  "freeing many": (model) => model.freeMany(4),
};

function prepared(runtime: Runtime): HeapModel {
  const model = new HeapModel(runtime, { isTight: true });
  for (const size of [100, 5000, 100_000, 60]) model.allocate(size);
  expect(model.outOfMemory).toBe(0);
  return model;
}

/** Runs a call, and returns whether it was refused; all must be as it was then. */
function isRefused(model: HeapModel, call: (model: HeapModel) => void): boolean {
  const { outOfMemory } = model;
  const blocks = [...model.blocks];
  call(model);
  const isRefused = model.outOfMemory > outOfMemory;
  if (isRefused) expect(model.blocks).toEqual(blocks);
  return isRefused;
}

describe.each(Object.entries(calls))("out of memory at %s", (_name, call) => {
  test("is a typed error at whichever page request it comes, with nothing lost or changed", async () => {
    for (let request = 1; ; request++) {
      let isOver = false;
      await withRuntime({ debug: true }, (runtime) => {
        const model = prepared(runtime);
        runtime.$memory.setRootWord("ROOT_REFUSE_AFTER", request);
        const refused = isRefused(model, call);
        isOver = runtime.$memory.rootWord("ROOT_REFUSE_AFTER") > 0;
        runtime.$memory.setRootWord("ROOT_REFUSE_AFTER", 0);
        model.check(true);
        if (refused) expect(isRefused(model, call)).toBe(false);
        model.check(true);
        model.end();
      });
      if (isOver) break;
      expect(request).toBeLessThan(100);
    }
  });

  test.each(modules)("is a typed error whatever the maximum, $name module", async ({ debug }) => {
    for (let pages = 0; ; pages++) {
      let refused = false;
      await withRuntime({ debug }, (runtime) => {
        const model = prepared(runtime);
        const memory = runtime.$memory;
        while (memory.rootWord("ROOT_FREE_PAGES") > 0) memory.exports.allocatePages(1, Owner.SCRATCH);
        memory.setRootWord("ROOT_MAXIMUM_PAGES", memory.rootWord("ROOT_COMMITTED_PAGES") + pages);
        refused = isRefused(model, call);
        model.check(true);
        memory.setRootWord("ROOT_MAXIMUM_PAGES", 10_000);
        if (refused) expect(isRefused(model, call)).toBe(false);
        model.check(true);
        model.end();
      });
      if (!refused) break;
      expect(pages).toBeLessThan(100);
    }
  });
});

/** Allocates until memory is out, and returns how many blocks of `size` bytes there was room for. */
function fill(heap: ByteHeap, size: number, addresses: number[], error: unknown = OutOfMemoryError): number {
  const before = addresses.length;
  expect(() => {
    for (;;) addresses.push(heap.allocate(size));
  }).toThrow(error as typeof OutOfMemoryError);
  return addresses.length - before;
}

/** What there is for blocks of `size` bytes: less for small ones, of which there are many. */
const totalFor = (size: number) => (size < 1000 ? 30 : 100) * PAGE;

/** How many blocks of `size` bytes a heap has room for that nothing has been allocated from. */
async function roomFor(size: number, debug: boolean): Promise<number> {
  let count = 0;
  await withRuntime({ debug, initialBytes: PAGE, maximumBytes: totalFor(size) }, (runtime) => {
    count = fill(runtime.byteHeap(), size, []);
  });
  return count;
}

describe.each(modules)("a byte heap of the $name module that has filled memory", ({ debug }) => {
  test.each([20, 200, 256, 1000, 5000, 70_000, 1_000_000])(
    "has 90 % of it to give again once all is free, as blocks of %i bytes",
    async (size) => {
      const room = await roomFor(size, debug);
      if (!debug && size >= 200 && size < PAGE) expect(room * size).toBeGreaterThan(0.9 * (totalFor(size) - 4 * PAGE));
      await withRuntime({ debug, initialBytes: PAGE, maximumBytes: totalFor(size) }, (runtime) => {
        const random = new RandomNumbers(size);
        const heap = runtime.byteHeap();
        const addresses: number[] = [];
        for (let turn = 0; turn < 3; turn++) {
          for (let refusals = 0; refusals < 20; ) {
            try {
              addresses.push(heap.allocate(randomHeapSize(random, 30)));
            } catch (error) {
              expect(error).toBeInstanceOf(OutOfMemoryError);
              refusals++;
            }
          }
          heap.validate();
          // All but a tenth are freed, in no order; the rest next time.
          while (addresses.length > (turn < 2 ? 100 : 0)) {
            const index = random.below(addresses.length);
            const last = addresses.pop()!;
            heap.free(addresses[index] ?? last);
            if (index < addresses.length) addresses[index] = last;
          }
        }
        heap.validate();
        expect(fill(heap, size, addresses)).toBeGreaterThanOrEqual(Math.floor(0.9 * room));
        heap.validate();
        runtime.validate();
        heap.destroy();
      });
    },
  );

  test("gives all of it back by freeMany, which needs memory for its list where there is some", () =>
    withRuntime({ debug, initialBytes: PAGE, maximumBytes: 40 * PAGE }, (runtime) => {
      const heap = runtime.byteHeap();
      const addresses: number[] = [];
      for (const size of [70_000, 4000, 200, 100, 1]) fill(heap, size, addresses);
      const list = Uint32Array.from(addresses);
      const wrong = Uint32Array.of(addresses[5]!, addresses[7]!, 12, addresses[9]!);
      expect(() => heap.freeMany(wrong)).toThrow(/12/);
      expect(wrong).toEqual(Uint32Array.of(0, 0, 12, addresses[9]!));
      list[5] = heap.allocate(70_000);
      list[7] = heap.allocate(70_000);
      heap.freeMany(list);
      expect(list.every((address) => address === 0)).toBe(true);
      heap.trim();
      expect(heap.stats()).toMatchObject({ blocks: 0, reservedBytes: 0 });
      heap.destroy();
    }));

  test("goes on with what it has once the runtime is sealed", () =>
    withRuntime({ debug, initialBytes: 2 * MEBIBYTE, maximumBytes: 100 * PAGE }, (runtime) => {
      const heap = runtime.byteHeap();
      const kept = heap.allocate(3000);
      runtime.seal();
      const { committedBytes, growths } = runtime.stats();
      const addresses: number[] = [];
      const counts = [50_000, 500, 50].map((size) => fill(heap, size, addresses, SealedError));
      expect(() => heap.reallocate(kept, MEBIBYTE)).toThrow(SealedError);
      expect(() => heap.allocate(100_000, { alignment: 4096 })).toThrow(SealedError);
      expect(() => heap.allocateMany(60_000, new Uint32Array(10))).toThrow(SealedError);
      expect(() => heap.bytes(60_000)).toThrow(SealedError);
      heap.validate();
      for (const address of addresses.splice(0)) heap.free(address);
      const again = [50_000, 500, 50].map((size) => fill(heap, size, addresses, SealedError));
      expect(again[0]).toBeGreaterThanOrEqual(counts[0]!);
      heap.validate();
      expect(runtime.stats()).toMatchObject({ committedBytes, growths });
      heap.destroy();
    }));
});

test("what warm blocks hold comes to blocks of other sizes when memory is out", () =>
  withRuntime({ initialBytes: PAGE, maximumBytes: 20 * PAGE }, (runtime) => {
    const heap = runtime.byteHeap();
    const addresses: number[] = [];
    for (const size of [256, 128, 64, 32, 16]) fill(heap, size, addresses);
    // Side by side, and few enough to stay as they are.
    const freed = addresses.slice(100, 116);
    for (const address of freed) heap.free(address);
    const rooms = Array.from({ length: 32 }, () => heap.allocate(128));
    expect(Math.min(...rooms)).toBe(Math.min(...freed));
    expect(Math.max(...rooms)).toBe(Math.max(...freed) + 128);
    expect(() => heap.allocate(16)).toThrow(OutOfMemoryError);
    heap.validate();
    for (const address of addresses) if (!freed.includes(address)) heap.free(address);
    for (const address of rooms) heap.free(address);
    heap.free(heap.allocate(15 * PAGE)); // pages that only warm blocks are in
    heap.validate();
  }));
