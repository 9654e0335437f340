// What comes from elsewhere: memory that others have left, marks and arrays that are made up, numbers that are none.

import { createRuntime, f64, type Region, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { expectRefusal } from "../layout/hostile.js";
import { withRuntime } from "../support/runtimes.js";

const Level = struct("Level", { price: f64 });

describe.each([false, true])("a byte heap (debug: %s)", (debug) => {
  test("frees, resizes and measures blocks that lie where the checked bytes of a heap before it lay", () =>
    withRuntime({ debug, onLeak() {} }, (runtime) => {
      const fill = () => {
        const heap = runtime.byteHeap();
        for (let count = 0; count < 20; count++) {
          heap.bytes(1000);
          heap.allocate(500);
          heap.bytes(100);
        }
        heap.destroy();
      };
      fill();
      const heap = runtime.byteHeap();
      const blocks = Array.from({ length: 40 }, (_, index) => heap.allocate(index % 2 === 0 ? 1016 : 116));
      heap.free(blocks[0]!);
      blocks[1] = heap.reallocate(blocks[1]!, 200);
      heap.freeMany(Uint32Array.from(blocks.slice(1, 20)));
      const { free } = heap.asMalloc();
      for (const block of blocks.slice(20)) free(block);
      heap.trim(); // of those that the debug module holds back
      expect(heap.stats()).toMatchObject({ blocks: 0, refusals: 0 });
    }));

  test("does so in a memory that a runtime before has used in the same way", async () => {
    const memory = new WebAssembly.Memory({ initial: 16, maximum: 64 });
    const use = async () => {
      using runtime = await createRuntime({ memory, maximumBytes: 64 * 65_536, debug, onLeak() {} });
      const heap = runtime.byteHeap();
      const blocks = Array.from({ length: 20 }, () => heap.allocate(1016));
      for (const block of blocks) heap.free(block);
      const kept = Array.from({ length: 20 }, () => heap.bytes(1000));
      expect(kept[0]!.get(0)).toBe(0);
      return heap.stats().refusals;
    };
    expect([await use(), await use(), await use()]).toEqual([0, 0, 0]);
  });

  test("takes no view of the memory for a list of addresses, also once the host has grown it", () =>
    withRuntime({ debug, maximumBytes: 64 << 20, onLeak() {} }, (runtime) => {
      const heap = runtime.byteHeap();
      const { memory } = runtime;
      memory.grow(1);
      const list = new Uint32Array(memory.buffer, 0, 4);
      const before = [...list];
      expectRefusal(() => heap.allocateMany(64, list), "ERR_TIDEMARK_INVALID_ARGUMENT");
      expectRefusal(() => heap.freeMany(list), "ERR_TIDEMARK_INVALID_ARGUMENT");
      expect([...list]).toEqual(before);
      expect(heap.stats().blocks).toBe(0);
    }));

  test("goes by the elements that a list of addresses has, whatever its length is said to be", () =>
    withRuntime({ debug, onLeak() {} }, (runtime) => {
      const heap = runtime.byteHeap();
      const list = Object.defineProperty(new Uint32Array(100), "length", { value: 2 });
      heap.allocateMany(64, list);
      heap.trim(); // of those that the debug module holds back
      expect(heap.stats().blocks).toBe(100);
      heap.freeMany(list);
      heap.trim();
      expect(heap.stats().blocks).toBe(0);
      heap.validate();
    }));
});

test.each([0, -1, -0.5, Number.NaN])("a mark at the made-up address %s runs no hooks", (address) =>
  withRuntime({}, (runtime) => {
    const ran: number[] = [];
    const Hooked = struct("Hooked", { id: f64 }, { destroy: ({ id }) => ran.push(id) });
    const arena = runtime.arena();
    arena.new(Hooked).id = 7;
    expectRefusal(
      () => arena.rewind({ $space: arena, $address: address, $serial: -1 } as never),
      "ERR_TIDEMARK_STALE_MARK",
    );
    expect(ran).toEqual([]);
    arena.reset();
    expect(ran).toEqual([7]);
  }),
);

describe("a region pool", () => {
  const NO_COUNTS = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, "7", true, null, 1n];

  test.each(NO_COUNTS)("takes %s for no count of events and for no hint", (count) =>
    withRuntime({}, (runtime) => {
      using pool = runtime.regionPool();
      const region: Region = pool.createRegion();
      pool.lease(region, 0);
      region.new(Level);
      expectRefusal(() => pool.end(region, count as never), "ERR_TIDEMARK_INVALID_ARGUMENT");
      expect(region.ended).toBe(false);
      expect(pool.end(region)).toBe(8);
      expectRefusal(() => pool.lease(region, count as never), "ERR_TIDEMARK_INVALID_ARGUMENT");
      expect(pool.leased).toBe(0);
    }),
  );
});
