import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { CorruptionError, f64, type Leak, type Runtime, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { PAGE, withRuntime } from "../support/runtimes.js";

const Cell = struct("Cell", { value: f64, other: f64 });

/** Kind, count and bytes of what is alive. */
const summary = (runtime: Runtime) => runtime.leaks().map(({ kind, count, bytes }) => [kind, count, bytes]);

describe("what is alive in a debug runtime", () => {
  test("has a pool with its pages, and its live cells by the place where each was made", () =>
    withRuntime({ debug: true }, (runtime) => {
      const pool = runtime.pool(Cell);
      expect(summary(runtime)).toEqual([["pool", 1, PAGE]]);
      const cursor = pool.cursor();
      const makeHere = () => pool.new().$address;
      const makeThere = () => pool.new(cursor).ref();
      for (let count = 0; count < 5; count++) makeHere();
      const there = [1, 2, 3].map(() => makeThere());
      const cells = () => runtime.leaks().filter(({ kind }) => kind === "cell");
      expect(cells().map(({ count, bytes }) => [count, bytes])).toEqual([
        [5, 5 * Cell.size],
        [3, 3 * Cell.size],
      ]);
      for (const [index, name] of ["makeHere", "makeThere"].entries()) {
        const [top] = cells()[index]!.stack.split("\n");
        expect(top).toMatch(/poolLeaks\.test\.ts:\d+:\d+/);
        expect(top).toContain(name);
      }
      expect(cells().some(({ stack }) => stack.includes("bindings"))).toBe(false);
      pool.free(there[1]!);
      expect(cells().map(({ count }) => count)).toEqual([5, 2]);
      for (const each of pool) pool.free(each);
      expect(cells()).toEqual([]);
      pool.new();
      pool.clear();
      expect(summary(runtime)).toEqual([["pool", 1, PAGE]]);
      pool.new();
      pool.destroy();
      expect(runtime.leaks()).toEqual([]);
    }));

  test("counts a cell that was freed and made again once, where it was made last", () =>
    withRuntime({ debug: true }, (runtime) => {
      const pool = runtime.pool(Cell, { capacity: 1 });
      const first = () => pool.new();
      const second = () => pool.new();
      pool.free(first());
      second();
      const cells = runtime.leaks().filter(({ kind }) => kind === "cell");
      expect(cells).toMatchObject([{ count: 1, bytes: Cell.size, stack: expect.stringContaining("second") }]);
    }));

  test("has nothing of what a hook's free has ended, and all that it has made", () =>
    withRuntime({ debug: true }, (runtime) => {
      const pool = runtime.pool(Cell, { destroy: (cell) => void (cell.value > 0 && pool.new()) });
      const cell = pool.new(pool.cursor());
      cell.value = 1;
      pool.free(cell);
      expect(summary(runtime).filter(([kind]) => kind === "cell")).toEqual([["cell", 1, Cell.size]]);
      pool.destroy();
      expect(runtime.leaks()).toEqual([]);
    }));

  test("has frames and their pool", () =>
    withRuntime({ debug: true }, (runtime) => {
      const frames = runtime.framePool({ small: 100, large: 70_000 });
      expect(runtime.leaks()).toEqual([]); // it owns nothing yet
      const small = [1, 2].map(() => frames.acquire("small"));
      const large = frames.acquire("large");
      const { reservedBytes } = frames.stats();
      expect(summary(runtime)).toEqual([
        ["framePool", 1, reservedBytes],
        ["frame", 1, 70_000],
        ["frame", 2, 200],
      ]);
      for (const each of [...small, large]) frames.release(each);
      expect(summary(runtime)).toEqual([["framePool", 1, reservedBytes]]);
      frames.acquire("medium");
      frames.destroy();
      expect(runtime.leaks()).toEqual([]);
    }));

  test("does not have a pool that could not be made", () =>
    withRuntime({ debug: true, maximumBytes: 4 * PAGE }, (runtime) => {
      expect(() => runtime.pool(Cell, { capacity: 100_000 })).toThrow();
      expect(runtime.leaks()).toEqual([]);
    }));
});

describe("what was written where nothing may be written, in a debug runtime", () => {
  test("is told of when the cell is freed, for a write past its end", () =>
    withRuntime({ debug: true }, (runtime) => {
      const pool = runtime.pool(Cell);
      const [cell, other] = [pool.new(), pool.new()];
      pool.validate();
      runtime.$memory.u8[cell.$address + Cell.size] = 1;
      expect(() => pool.validate()).toThrow(CorruptionError);
      expect(() => pool.free(cell)).toThrow(`the cell at ${cell.$address} of 16 bytes was written past its end`);
      expect([cell.isLive(), pool.count]).toEqual([false, 1]);
      pool.free(other);
      pool.validate();
    }));

  test("is told of when the cell is handed out again, for a write after its free", () =>
    withRuntime({ debug: true }, (runtime) => {
      const pool = runtime.pool(Cell);
      pool.free(pool.new());
      const freed = pool.new();
      pool.free(freed);
      expect(new Set(runtime.$memory.u8.subarray(freed.$address + 8, freed.$address + 16))).toEqual(new Set([0xcb]));
      pool.validate();
      runtime.$memory.f64[freed.$address / 8 + 1] = 5;
      expect(() => pool.validate()).toThrow(
        `bytes written past the end of a block, or after its free, at ${freed.$address}`,
      );
      expect(() => pool.new()).toThrow(CorruptionError);
      const [next] = pool;
      expect(next!.$address).toBe(freed.$address);
      expect(next!.toObject()).toEqual({ value: 0, other: 0 });
      pool.free(next!);
      pool.free(pool.new());
      pool.validate();
    }));
});

describe.each([false, true])("a pool whose own memory was written over, debug %s", (debug) => {
  test("is told of by validate, whatever word of it and whatever was written", () =>
    withRuntime({ debug, initialBytes: 16 * PAGE }, (runtime) => {
      const pool = runtime.pool(Cell);
      const cells = Array.from({ length: 6000 }, () => pool.new());
      for (let index = 0; index < cells.length; index += 3) pool.free(cells[index]!);
      pool.validate();
      const { u32 } = runtime.$memory;
      const before = u32.slice();
      const found = { whole: 0, corrupt: 0 };
      // The header of a slab and of the pool, and the first cells: every fifth free, with what links them.
      const first = (pool.$address & ~(PAGE - 1)) >>> 2;
      for (let word = first; word < first + 150; word++) {
        for (const value of [0, 1, 0xffff_ffff, 0xffff_fff0, before[word]! + 4, before[word]! ^ 0x1000_0000]) {
          u32[word] = value;
          try {
            pool.validate();
            found.whole++;
          } catch (error) {
            if (!(error instanceof CorruptionError)) throw error;
            found.corrupt++;
          }
          u32.set(before);
        }
      }
      expect(found.corrupt).toBeGreaterThan(100);
      pool.validate();
    }));

  test("is told of by the free cell whose link was written over", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(Cell);
      const cells = Array.from({ length: 400 }, () => pool.new());
      for (const cell of cells) pool.free(cell);
      const written = cells[0]!.$address; // the first to be freed is warm no more
      runtime.$memory.u32[written / 4] = 0xffff_fff0;
      expect(() => pool.validate()).toThrow(`a slab whose counts disagree with its cells, at ${written}`);
    }));
});

describe("a pool that is dropped without having been destroyed", () => {
  const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

  /** Runs `body` in a process that can collect garbage when it likes; returns what was reported. */
  async function reportsOf(body: string): Promise<Leak[][]> {
    const program = `
      const { createRuntime, f64, struct, u32 } = await import(${JSON.stringify(entry)});
      const Cell = struct("Cell", { value: f64 });
      const Hooked = struct("Hooked", { id: u32 }, { destroy() {} });
      const reports = [];
      let told = [];
      const runtime = await createRuntime({ debug: true, onLeak: (leak) => told.push(leak) });
      async function collect() {
        for (let round = 0; round < 6; round++) {
          gc();
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        reports.push(told);
        told = [];
      }
      ${body}
      console.log(JSON.stringify(reports));
    `;
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program]);
    return JSON.parse(stdout);
  }

  test("is reported once with its size and place, whether or not its records or a hook are still there", async () => {
    const [first, second, alive, afterDispose] = (await reportsOf(`
      const kept = [];
      function dropPool() { kept.push(runtime.pool(Cell, { capacity: 10_000 }).new()); }
      function dropHooked() { runtime.pool(Hooked).new(); }
      function dropOwnHook() { runtime.pool(Cell, { destroy() {} }).new(); }
      function dropFrames() { kept.push(runtime.framePool().acquire("small")); }
      function dropEmptyFrames() { runtime.framePool(); }
      function giveBack() {
        runtime.pool(Cell).destroy();
        runtime.pool(Hooked)[Symbol.dispose]();
        const frames = runtime.framePool();
        frames.acquire("large");
        frames.destroy();
      }
      dropPool(); dropHooked(); dropOwnHook(); dropFrames(); dropEmptyFrames(); giveBack();
      const held = runtime.pool(Cell);
      await collect();
      await collect();
      reports.push(runtime.leaks().filter(({ kind }) => kind === "pool"));
      held.destroy();
      runtime.dispose();
      await collect();
    `)) as [Leak[], Leak[], Leak[], Leak[]];
    const told = first.map(({ kind, count, bytes, stack }) => [kind, count, bytes, /at (\w+)/.exec(stack)?.[1]]);
    expect(told.sort((one, other) => String(one[3]).localeCompare(String(other[3])))).toEqual([
      ["framePool", 1, PAGE, "dropFrames"],
      ["pool", 1, PAGE, "dropHooked"],
      ["pool", 1, PAGE, "dropOwnHook"],
      ["pool", 1, 3 * PAGE, "dropPool"],
    ]);
    expect(second).toEqual([]);
    expect(alive).toHaveLength(4); // their memory is in use, whether or not somebody can reach them
    expect(afterDispose).toEqual([]);
  });
});
