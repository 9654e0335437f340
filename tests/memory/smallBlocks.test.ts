import fc from "fast-check";
import { createRuntime } from "tidemark";
import { beforeAll, describe, expect, test } from "vitest";
import { compileGuest } from "../support/guest.js";
import { Owner, PAGE, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

const HEADER = 256;
const SIZE = 4352;
const PER_PAGE = 15;

interface SmallBlockExports {
  allocateSmallBlock(): number;
  freeSmallBlock(address: number): number;
}
let wasm: Uint8Array<ArrayBuffer>;
beforeAll(async () => {
  const source = `export { allocateSmallBlock, freeSmallBlock } from "./assembly/memory/smallBlock";`;
  wasm = new Uint8Array(await compileGuest(source, false));
});

describe("small blocks", () => {
  test("never overlap, keep what is written to them, and fill pages densely, whatever is taken and given back", async () => {
    const operation = fc.record({
      type: fc.constantFrom("allocate", "allocate", "free", "free", "wild"),
      pick: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 500, size: "max" }), async (operations) => {
        const runtime = await createRuntime({ maximumBytes: 8 * PAGE, initialBytes: 2 * PAGE });
        const { allocateSmallBlock, freeSmallBlock } = await runtime.instantiate<SmallBlockExports>(wasm);
        const memory = runtime.$memory;
        const live = new Map<number, number>();
        let stamp = 1;
        const check = (address: number, value: number) => {
          const bytes = memory.u8.subarray(address, address + SIZE);
          if (bytes[0] !== value || bytes[SIZE - 1] !== value || bytes.some((byte) => byte !== value)) {
            expect([address, ...bytes]).toEqual([address, ...new Array(SIZE).fill(value)]);
          }
        };
        for (const { type, pick } of operations) {
          const chosen = [...live.keys()][pick % Math.max(live.size, 1)];
          if (type === "allocate") {
            const address = allocateSmallBlock() >>> 0;
            if (address === 0) {
              expect(live.size).toBe(7 * PER_PAGE);
              expect(memory.rootWord("ROOT_STATUS")).toBe(1);
              continue;
            }
            expect((address % PAGE) - HEADER).toBeGreaterThanOrEqual(0);
            expect(((address % PAGE) - HEADER) % SIZE).toBe(0);
            expect(live.has(address)).toBe(false);
            stamp = (stamp % 255) + 1;
            live.set(address, stamp);
            memory.u8.fill(stamp, address, address + SIZE);
          } else if (type === "free" && chosen !== undefined) {
            check(chosen, live.get(chosen)!);
            expect(freeSmallBlock(chosen)).toBe(1);
            live.delete(chosen);
            expect(freeSmallBlock(chosen)).toBe(0);
          } else if (type === "wild") {
            const address = pick % (9 * PAGE);
            if (!live.has(address)) expect(freeSmallBlock(address)).toBe(0);
            if (chosen !== undefined) expect(freeSmallBlock(chosen + 8)).toBe(0);
          }
          const pages = runtime.stats().bytesByOwner.smallBlocks / PAGE;
          const needed = new Set([...live.keys()].map((address) => Math.floor(address / PAGE))).size;
          // Beside the pages in use there is at most one empty one.
          expect(pages - needed).toBeGreaterThanOrEqual(0);
          expect(pages - needed).toBeLessThanOrEqual(1);
        }
        for (const [address, value] of live) check(address, value);
        for (const address of live.keys()) expect(freeSmallBlock(address)).toBe(1);
        expect(runtime.stats().bytesByOwner.smallBlocks / PAGE).toBeLessThanOrEqual(1);
        runtime.validate();
        runtime.dispose();
      }),
      { numRuns: scaled(60) },
    );
  });

  test("refuse frees of what is no block in use, and change nothing", () =>
    withRuntime({ initialBytes: 4 * PAGE, maximumBytes: 4 * PAGE }, async (runtime) => {
      const { allocateSmallBlock, freeSmallBlock } = await runtime.instantiate<SmallBlockExports>(wasm);
      const block = allocateSmallBlock();
      const other = runtime.$memory.exports.allocatePages(1, Owner.ARENA);
      const page = block - HEADER;
      const before = [...runtime.$memory.u8.subarray(page, page + HEADER)];
      const wild: [string, number][] = [
        ["address 0", 0],
        ["the page's header", page],
        ["inside the header", page + 8],
        ["inside the block", block + 8],
        ["just before the block", block - 1],
        ["a free block", block + SIZE],
        ["of the last block's end", page + PAGE - 1],
        ["in a page of another owner", other + HEADER],
        ["in a free page", other + PAGE + HEADER],
        ["beyond memory", 100 * PAGE + HEADER],
        ["at the end of the address space", 0xffff_ffff],
      ];
      for (const [what, address] of wild) {
        expect([what, freeSmallBlock(address)]).toEqual([what, 0]);
        expect([what, runtime.$memory.rootWord("ROOT_STATUS")]).toEqual([what, 7]);
        expect([what, ...runtime.$memory.u8.subarray(page, page + HEADER)]).toEqual([what, ...before]);
      }
      expect(freeSmallBlock(block)).toBe(1);
      expect(freeSmallBlock(block)).toBe(0);
      runtime.validate();
    }));
});
