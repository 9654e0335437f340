import { array, type Runtime, ref, struct, u8 } from "tidemark";
import { describe, expect, test } from "vitest";
import { MEBIBYTE, modules, PAGE, validate, withRuntime } from "../support/runtimes.js";

const Chunk = struct("Chunk", { bytes: array(u8, 1000) });
const Link = struct("Link", { bytes: array(u8, 1000), next: ref("Link") });
const SMALL_BLOCK = 4352;
const BLOCK_LIMIT = MEBIBYTE;
/** The bytes of an arena's first block that its own header takes. */
function headerBytes(runtime: Runtime): number {
  const arena = runtime.arena();
  const bytes = arena.allocate(8) - arena.address + 16;
  arena.destroy();
  return bytes;
}

/** The blocks that an arena takes one after the other: doubling up to a mebibyte. */
function blockSize(index: number): number {
  return index === 0 ? SMALL_BLOCK : Math.min(PAGE * 2 ** (index - 1), BLOCK_LIMIT);
}

describe.each(modules)("what an arena keeps at a reset, $name module", ({ debug }) => {
  test("is what the last round needed, so that equal rounds take nothing from the page heap", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const round = () => {
        for (let index = 0; index < 900; index++) arena.new(Chunk);
      };
      round();
      const { reserved, blocks } = arena.stats();
      const pages = runtime.stats();
      for (let index = 0; index < 300; index++) {
        expect(arena.reset()).toBe(900_000);
        round();
        expect(arena.stats()).toMatchObject({ reserved, blocks });
      }
      expect(runtime.stats()).toEqual(pages);
      validate(runtime, arena);
    }));

  test("is a peak that loses a thirty-second each reset, in whole blocks, down to the first", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      while (arena.stats().reserved < 5 * MEBIBYTE) arena.new(Chunk);
      let kept = arena.stats().blocks;
      const sizes = Array.from({ length: kept }, (_, index) => blockSize(index));
      const sum = (count: number) => sizes.slice(0, count).reduce((total, size) => total + size, 0);
      expect(arena.stats().reserved).toBe(sum(kept));
      let peak = 0;
      let rounds = 0;
      for (; kept > 1; rounds++) {
        const reached = rounds === 0 ? sum(kept) : SMALL_BLOCK;
        arena.reset();
        peak = Math.max(reached, peak - Math.floor(peak / 32));
        while (kept > 1 && sum(kept - 1) >= peak) kept--;
        expect(arena.stats()).toMatchObject({ reserved: sum(kept), blocks: kept, used: 0 });
        validate(runtime, arena);
      }
      expect(rounds).toBeGreaterThan(100);
      expect(rounds).toBeLessThan(300);
      expect(runtime.stats().bytesByOwner.arenas).toBe(0);
      // It goes on as a new one would.
      while (arena.stats().blocks < 4) arena.new(Chunk);
      expect(arena.stats().reserved).toBe(sum(4));
    }));

  test("never holds oversize runs, which go back at once", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const before = runtime.stats().bytesByOwner.arenas;
      const bytes = arena.bytes(3 * MEBIBYTE);
      bytes.set(3 * MEBIBYTE - 1, 9);
      expect(arena.stats()).toMatchObject({ blocks: 2, used: 3 * MEBIBYTE });
      expect(runtime.stats().bytesByOwner.arenas).toBe(before + 3 * MEBIBYTE + PAGE);
      arena.reset();
      expect(arena.stats()).toMatchObject({ blocks: 1, used: 0, highWater: 3 * MEBIBYTE });
      expect(runtime.stats().bytesByOwner.arenas).toBe(before);
      expect(arena.bytes(3 * MEBIBYTE).get(3 * MEBIBYTE - 1)).toBe(0);
    }));

  test("is given back whole by destroy: the page heap is where it was before", () =>
    withRuntime({ debug, maximumBytes: 64 * MEBIBYTE }, (runtime) => {
      runtime.arena().destroy(); // the pages of guards and small blocks stay
      const before = runtime.stats();
      const cycle = () => {
        const arena = runtime.arena();
        const children = [arena.arena(), arena.arena({ sizeHint: MEBIBYTE }), arena.arena().arena().arena()];
        for (const each of [arena, ...children]) {
          for (let index = 0; index < 300; index++) each.new(Chunk);
          each.mark();
          each.bytes(400_000);
        }
        children[1]!.reset();
        arena.destroy();
        expect(children.map((child) => child.destroyed)).toEqual([true, true, true]);
      };
      cycle();
      const { committedBytes, highWaterBytes, growths } = runtime.stats();
      expect(runtime.stats()).toEqual({
        ...before,
        committedBytes,
        highWaterBytes,
        growths,
        freeBytes: expect.anything(),
      });
      for (let index = 0; index < 50; index++) cycle();
      expect(runtime.stats()).toMatchObject({ committedBytes, highWaterBytes, growths, usedBytes: before.usedBytes });
      runtime.validate();
    }));

  test("a size hint is met by the first block, up to a mebibyte", () =>
    withRuntime({ debug }, (runtime) => {
      const header = headerBytes(runtime);
      for (const sizeHint of [1, 4000, SMALL_BLOCK - header, 5000, PAGE, 500_000, BLOCK_LIMIT - header]) {
        const arena = runtime.arena({ sizeHint });
        for (let taken = 0; taken + 8 <= sizeHint; taken += 8) arena.allocate(8);
        expect([sizeHint, arena.stats().blocks]).toEqual([sizeHint, 1]);
        expect(arena.stats().reserved).toBeLessThan(sizeHint + header + PAGE);
        arena.destroy();
      }
      const arena = runtime.arena({ sizeHint: 100 * MEBIBYTE });
      expect(arena.stats()).toMatchObject({ reserved: BLOCK_LIMIT, blocks: 1 });
      expect(runtime.arena({ sizeHint: MEBIBYTE, maximumBytes: 1000 }).stats().reserved).toBe(SMALL_BLOCK);
    }));

  test("a size hint that cannot be met is no failure", () =>
    withRuntime({ debug, maximumBytes: 4 * PAGE, initialBytes: 4 * PAGE }, (runtime) => {
      const arena = runtime.arena({ sizeHint: MEBIBYTE });
      expect(arena.stats()).toMatchObject({ reserved: SMALL_BLOCK, blocks: 1 });
      validate(runtime, arena);
    }));

  test("the next block is as small as need be where memory has no room for a doubled one", () =>
    withRuntime({ debug, maximumBytes: 16 * PAGE, initialBytes: PAGE * 2 }, (runtime) => {
      const arena = runtime.arena();
      let taken = 0;
      try {
        for (;;) {
          arena.allocate(64);
          taken += 64;
        }
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_TIDEMARK_OUT_OF_MEMORY" });
      }
      // Three pages are tables, guards and small blocks; of what remains nearly all can be had.
      expect(taken).toBeGreaterThan(12 * PAGE);
      expect(runtime.stats().freeBytes).toBe(0);
      validate(runtime, arena);
      arena.destroy();
      runtime.arena().allocate(8 * PAGE - 1000);
    }));

  test("is no more for a copy that its own limit has refused", () =>
    withRuntime({ debug }, (runtime) => {
      const source = runtime.arena();
      let head = source.new(Link);
      for (let count = 0; count < 400; count++) {
        const next = source.new(Link);
        next.next = head;
        head = next;
      }
      const target = runtime.arena({ maximumBytes: 4 * PAGE });
      const before = target.stats();
      expect(() => head.copyTo(target)).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_LIMIT_EXCEEDED" }));
      expect(target.stats()).toEqual(before);
      validate(runtime, source, target);
    }));
});
