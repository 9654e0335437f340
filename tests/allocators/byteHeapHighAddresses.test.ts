import { createRuntime, OutOfMemoryError, type Runtime } from "tidemark";
import { describe, expect, test } from "vitest";
import { HeapModel } from "../support/heapModel.js";
import { randomStep } from "../support/heapOperations.js";
import { fillUpTo } from "../support/highMemory.js";
import { RandomNumbers } from "../support/randomNumbers.js";
import { MEBIBYTE, modules, PAGE, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

const GIBIBYTE = 2 ** 30;
const END = 65_535 * PAGE;

function highRuntime(debug: boolean): Promise<Runtime> {
  return createRuntime({ debug, maximumBytes: END, initialBytes: 2 * PAGE });
}

describe.each(modules)("the byte heap of the $name module", ({ debug }) => {
  test.each([
    ["1 GiB", GIBIBYTE, MEBIBYTE],
    ["2 GiB", 2 * GIBIBYTE, MEBIBYTE],
    ["3 GiB", 3 * GIBIBYTE, 0],
  ])("does what the model says around %s", async (_name, boundary, below) => {
    const runtime = await highRuntime(debug);
    fillUpTo(runtime, boundary - below);
    const model = new HeapModel(runtime);
    const random = new RandomNumbers(boundary / 1024);
    while (model.operations < scaled(10_000)) randomStep(model, random, 300, 20);
    model.check(true);
    const addresses = model.blocks.map((block) => block.address);
    expect(Math.max(...addresses)).toBeGreaterThan(boundary);
    if (below > 0) expect(Math.min(...addresses)).toBeLessThan(boundary);
    model.end();
    runtime.dispose();
  });

  test("does what the model says in the last pages that there can be", async () => {
    const runtime = await highRuntime(debug);
    fillUpTo(runtime, END - 4 * MEBIBYTE);
    const model = new HeapModel(runtime, { isTight: true });
    const random = new RandomNumbers(4);
    let highest = 0;
    while (model.operations < scaled(20_000)) {
      randomStep(model, random, 1000, 8);
      const last = model.blocks.at(-1);
      if (last !== undefined) highest = Math.max(highest, last.address + last.usable);
    }
    model.check(true);
    expect(model.outOfMemory).toBeGreaterThan(0);
    expect(END - highest).toBeLessThan(PAGE);
    model.end();
    runtime.dispose();
  });

  test("keeps blocks around 16 MiB and of 100 MiB, moves them and gives their pages back", () =>
    withRuntime({ debug, maximumBytes: GIBIBYTE }, (runtime) => {
      const model = new HeapModel(runtime);
      const sizes = [-16, -1, 0, 1, 16].map((step) => 16 * MEBIBYTE + step);
      for (const size of [...sizes, 100 * MEBIBYTE]) model.allocate(size);
      model.check(true);
      model.reallocate(model.blocks[0]!, 20 * MEBIBYTE);
      model.reallocate(model.blocks[2]!, 5 * MEBIBYTE);
      model.reallocate(model.blocks[1]!, 100);
      model.allocateAligned(30 * MEBIBYTE, 4096);
      model.check(true);
      model.end();
    }));

  test("refuses sizes that no memory has, and changes nothing", () =>
    withRuntime({ debug, maximumBytes: GIBIBYTE }, (runtime) => {
      const model = new HeapModel(runtime);
      const { heap } = model;
      model.allocate(50);
      model.allocate(5000);
      const addresses = model.blocks.map((block) => block.address);
      const before = [heap.stats(), runtime.stats()];
      const list = new Uint32Array(3);
      const refuse = (size: number, code: string) => {
        const error = expect.objectContaining({ code });
        expect(() => heap.allocate(size)).toThrow(error);
        for (const alignment of [16, 32, 4096]) expect(() => heap.allocate(size, { alignment })).toThrow(error);
        expect(() => heap.allocateZeroed(size)).toThrow(error);
        expect(() => heap.allocateMany(size, list)).toThrow(error);
        for (const address of addresses) expect(() => heap.reallocate(address, size)).toThrow(error);
      };
      const limit = 2 ** 32 - 2 * PAGE;
      for (const size of [-1, 0, 1].map((step) => 2 ** 31 + step)) refuse(size, "ERR_TIDEMARK_OUT_OF_MEMORY");
      for (const size of [limit - 4096, limit - 48, limit - 1, limit]) refuse(size, "ERR_TIDEMARK_OUT_OF_MEMORY");
      for (let less = 1; less <= 32; less++) refuse(2 ** 32 - less, "ERR_TIDEMARK_INVALID_ARGUMENT");
      for (const size of [limit + 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53]) refuse(size, "ERR_TIDEMARK_INVALID_ARGUMENT");
      expect(runtime.stats()).toEqual(before[1]);
      heap.trim();
      expect(heap.stats().blocks).toBe(2);
      model.check(true);

      // C's functions have no one who looks at sizes before them.
      const { malloc, realloc, calloc, aligned_alloc } = heap.asMalloc();
      for (const size of [
        2 ** 31,
        limit - 48,
        limit,
        limit + 1,
        ...Array.from({ length: 32 }, (_, k) => 2 ** 32 - 1 - k),
      ]) {
        expect([malloc(size), calloc(1, size), aligned_alloc(4096, size), aligned_alloc(16, size)]).toEqual([
          0, 0, 0, 0,
        ]);
        for (const address of addresses) expect(realloc(address, size)).toBe(0);
      }
      expect(runtime.stats()).toEqual(before[1]);
      model.check(true);
      model.end();
    }));
});

describe("blocks of gibibytes", () => {
  test("are allocated, grown in place, cut down and freed, below and above 2 GiB", async () => {
    const runtime = await highRuntime(false);
    const model = new HeapModel(runtime);
    model.allocate(GIBIBYTE);
    const [block] = model.blocks;
    model.reallocate(block!, 2 ** 31 - 1);
    model.reallocate(model.blocks[0]!, 2 ** 31 + 1);
    expect(model.blocks[0]!.address).toBe(block!.address);
    model.allocate(GIBIBYTE);
    expect(model.blocks[1]!.address).toBeGreaterThan(2 ** 31);
    expect(() => model.allocate(GIBIBYTE)).toThrow(OutOfMemoryError);
    model.check(true);
    model.reallocate(model.blocks[0]!, 1000);
    model.allocateAligned(2 ** 31 - 20 * MEBIBYTE, 4096);
    model.check(true);
    model.end();
    runtime.dispose();
  });

  test("fill memory but for the tables and the heap's own page", async () => {
    const runtime = await highRuntime(false);
    const model = new HeapModel(runtime, { isTight: true });
    const size = END - 7 * PAGE;
    model.allocate(size);
    expect(model.outOfMemory).toBe(0);
    model.allocate(size);
    expect(model.outOfMemory).toBe(1);
    model.check(true);
    model.free(model.blocks[0]!);
    expect(model.heap.stats().reservedBytes).toBe(0);
    model.end();
    runtime.dispose();
  });
});
