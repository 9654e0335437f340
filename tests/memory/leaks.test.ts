import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createRuntime, f64, type Leak, type Runtime, struct, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { PAGE, withRuntime } from "../support/runtimes.js";

const SMALL_BLOCK = 4352;
const Cell = struct("Cell", { value: f64 });

/** Kind, count and bytes of what is alive. */
const summary = (runtime: Runtime) => runtime.leaks().map(({ kind, count, bytes }) => [kind, count, bytes]);

describe("what is alive in a debug runtime", () => {
  test("has no block that a C guest has freed or reallocated, and one whose free was not for it", () =>
    withRuntime({ debug: true }, (runtime) => {
      const heap = runtime.byteHeap();
      const { free, realloc } = heap.asMalloc();
      const [freed, moved, ended, kept] = [1, 2, 3, 4].map((size) => heap.allocate(size)) as [
        number,
        number,
        number,
        number,
      ];
      free(freed);
      realloc(moved, 100);
      realloc(ended, 0);
      free(kept + 8);
      const blocks = runtime.leaks().filter(({ kind }) => kind === "block");
      expect(blocks.map(({ count, bytes }) => [count, bytes])).toEqual([[1, 4]]);
    }));

  test("is nothing at first, and nothing again when all has been given back", () =>
    withRuntime({ debug: true }, (runtime) => {
      expect(runtime.leaks()).toEqual([]);
      {
        using arena = runtime.arena();
        using map = runtime.sortedMap(u32, f64);
        using pool = runtime.regionPool();
        const region = pool.createRegion();
        pool.lease(region, 0);
        arena.arena().new(Cell);
        map.set(1, 2);
        expect(runtime.leaks()).toHaveLength(3);
        pool.end(region);
      }
      expect(runtime.leaks()).toEqual([]);
    }));

  test("is listed by kind and place, the most bytes first, with what is nested counted where it hangs", () =>
    withRuntime({ debug: true }, (runtime) => {
      const map = runtime.sortedMap(u32, f64);
      const arenas = [1, 2, 3].map(() => runtime.arena());
      arenas[0]!
        .arena()
        .arena()
        .bytes(3 * PAGE);
      arenas[0]!.arena();
      const pool = runtime.regionPool();
      const regions = [pool.createRegion(), pool.createRegion()];
      for (const region of regions) pool.lease(region, 0);
      expect(summary(runtime)).toEqual([
        ["arena", 3, 6 * SMALL_BLOCK + 4 * PAGE],
        ["regionPool", 1, 2 * SMALL_BLOCK],
        ["sortedMap", 1, SMALL_BLOCK],
      ]);
      pool.end(regions[0]!);
      arenas[0]!.destroy();
      arenas[0]!.destroy();
      map.dispose();
      map.dispose();
      expect(summary(runtime)).toEqual([
        ["arena", 2, 2 * SMALL_BLOCK],
        ["regionPool", 1, 2 * SMALL_BLOCK],
      ]);
      pool.dispose();
      pool.dispose();
      expect(summary(runtime)).toEqual([["arena", 2, 2 * SMALL_BLOCK]]);
      arenas[1]!.reset();
      expect(summary(runtime)).toEqual([["arena", 2, 2 * SMALL_BLOCK]]);
    }));

  test("follows a region pool as it gives arenas back that it no longer needs", () =>
    withRuntime({ debug: true }, (runtime) => {
      const pool = runtime.regionPool();
      const regions = [1, 2, 3].map(() => pool.createRegion());
      for (const region of regions) pool.lease(region, 0);
      for (const region of regions) pool.end(region);
      expect(summary(runtime)).toEqual([["regionPool", 1, 3 * SMALL_BLOCK]]);
      while (pool.size > 1) {
        pool.lease(regions[0]!, 0);
        pool.end(regions[0]!);
      }
      runtime.sortedMap(f64, f64).set(1, 2); // lies where an arena lay
      expect(summary(runtime)).toEqual([
        ["regionPool", 1, SMALL_BLOCK],
        ["sortedMap", 1, SMALL_BLOCK],
      ]);
    }));

  test("tells the places in the program, and none of the package's own", () =>
    withRuntime({ debug: true }, (runtime) => {
      const makeHere = () => runtime.arena();
      makeHere();
      runtime.arena();
      runtime.sortedMap(f64, f64);
      runtime.regionPool(); // has nothing yet
      const stacks = runtime.leaks().map(({ stack }) => stack.split("\n"));
      expect(stacks).toHaveLength(3);
      for (const [top] of stacks) expect(top).toMatch(/leaks\.test\.ts:\d+:\d+/);
      expect(stacks.filter(([top]) => top!.includes("makeHere"))).toHaveLength(1);
      expect(new Set(stacks.map(([top]) => top)).size).toBe(3);
      expect(stacks.flat().filter((line) => line.includes("bindings"))).toEqual([]);
    }));

  test("goes on being listed when other sources join, until they leave", () =>
    withRuntime({ debug: true }, (runtime) => {
      const sites = runtime.$memory.sites!;
      const site = sites.siteOf();
      const cells = [1, 2, 3].map(() => ({ kind: "cell", site, bytes: 100 }) as const);
      const leave = sites.addSource(() => cells);
      runtime.arena();
      expect(summary(runtime)).toEqual([
        ["arena", 1, SMALL_BLOCK],
        ["cell", 3, 300],
      ]);
      expect(runtime.leaks()[1]!.stack).toMatch(/leaks\.test\.ts/);
      leave();
      expect(summary(runtime)).toEqual([["arena", 1, SMALL_BLOCK]]);
    }));

  test("numbers the same place once, and others apart", () =>
    withRuntime({ debug: true }, (runtime) => {
      const sites = runtime.$memory.sites!;
      const here = () => sites.siteOf();
      const found = [1, 2, 3].map(() => here());
      expect(new Set(found).size).toBe(1);
      expect(sites.siteOf()).not.toBe(found[0]);
      expect(Math.min(...found)).toBeGreaterThan(0);
      expect(sites.stackOf(found[0]!)).toMatch(/here.*leaks\.test\.ts/);
    }));

  test("is still known where a program has its own idea of stacks", () =>
    withRuntime({ debug: true }, (runtime) => {
      const { prepareStackTrace, stackTraceLimit } = Error;
      try {
        Error.prepareStackTrace = (_, sites) => sites;
        runtime.arena();
        Error.prepareStackTrace = undefined as never;
        Error.stackTraceLimit = 0;
        runtime.arena();
      } finally {
        Error.prepareStackTrace = prepareStackTrace as never;
        Error.stackTraceLimit = stackTraceLimit;
      }
      for (const { kind, stack } of runtime.leaks()) expect([kind, stack.length > 0]).toEqual(["arena", true]);
      expect(runtime.leaks().reduce((sum, { count }) => sum + count, 0)).toBe(2);
    }));

  test("is not asked of a release runtime, which does not know it, nor of one that is gone", async () => {
    const release = await createRuntime({ onLeak: () => {} });
    release.arena();
    expect(() => release.leaks()).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_INVALID_ARGUMENT" }));
    expect(() => release.leaks()).toThrow(/debug: true/);
    release.dispose();
    const gone = await createRuntime({ debug: true });
    gone.dispose();
    expect(() => gone.leaks()).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_DISPOSED" }));
  });

  test.each([[5], ["warn"], [null], [{}]])("is told to no onLeak like %s: it is refused", async (onLeak) => {
    const made = createRuntime({ debug: true, onLeak: onLeak as never });
    await expect(made).rejects.toMatchObject({ code: "ERR_TIDEMARK_INVALID_ARGUMENT" });
  });
});

describe("what is dropped without having been disposed of", () => {
  const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

  /** Runs `body` in a process that can collect garbage when it likes; returns what was reported, and the console. */
  async function reportsOf(body: string): Promise<{ reports: Leak[][]; warnings: string }> {
    const program = `
      const { createLoop, createRuntime, createTimers, f64, ref, struct, u32 } = await import(${JSON.stringify(entry)});
      const Hooked = struct("Hooked", { id: u32 }, { destroy() {} });
      const reports = [];
      let told = [];
      const onLeak = (leak) => told.push(leak);
      /** Collects until nothing more is found; notes what was told. */
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
    const { stdout, stderr } = await run(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program]);
    return { reports: JSON.parse(stdout), warnings: stderr };
  }

  test("is reported with its size and place, once; what was disposed of, or hangs on another, is not", async () => {
    const { reports } = await reportsOf(
      `
      const runtime = await createRuntime({ debug: true, onLeak });
      function dropArena() { runtime.arena().arena().bytes(100); }
      function dropMap() { runtime.sortedMap(f64, f64).set(1, 2); }
      function dropPool() { const pool = runtime.regionPool(); pool.lease(pool.createRegion(), 0); }
      function dropEmptyPool() { runtime.regionPool(); }
      function dropHooked() { runtime.arena().new(Hooked); }
      function giveBack() {
        runtime.arena().destroy();
        runtime.sortedMap(f64, f64).dispose();
        runtime.regionPool().dispose();
        runtime.arena()[Symbol.dispose]();
      }
      const kept = runtime.arena();
      let child = kept.arena();
      dropArena(); dropMap(); dropPool(); dropEmptyPool(); dropHooked(); giveBack();
      child = undefined;
      await collect();
      await collect();
      reports.push(runtime.leaks());
      kept.destroy();
      runtime.dispose();
      await collect();
    `.replace("using arena = runtime.arena();", "runtime.arena()[Symbol.dispose]();"),
    );
    const [first, second, alive, afterDispose] = reports as [Leak[], Leak[], Leak[], Leak[]];
    const told = first.map(({ kind, count, bytes, stack }) => [kind, count, bytes, /at (\w+)/.exec(stack)?.[1]]);
    expect(told.sort()).toEqual([
      ["arena", 1, SMALL_BLOCK, "dropHooked"],
      ["arena", 1, 2 * SMALL_BLOCK, "dropArena"],
      ["regionPool", 1, SMALL_BLOCK, "dropPool"],
      ["sortedMap", 1, SMALL_BLOCK, "dropMap"],
    ]);
    expect(second).toEqual([]);
    expect(alive).toHaveLength(5); // their memory is in use, whether or not somebody can reach them
    expect(afterDispose).toEqual([]);
  });

  test("is reported of every kind of owner, also where nothing was ever put into it", async () => {
    const { reports } = await reportsOf(`
      const runtime = await createRuntime({ debug: true, onLeak });
      const Cell = struct("Cell", { value: f64, next: ref("Cell") });
      const heap = (strategy) => runtime.heap(strategy, { types: [Cell] });
      const makers = [
        function arena() { runtime.arena(); },
        function map() { runtime.sortedMap(u32, f64); },
        function pool() { runtime.pool(Cell); },
        function hookedPool() { runtime.pool(Hooked); },
        function byteHeap() { runtime.byteHeap(); },
        function framePool() { const frames = runtime.framePool(); frames.release(frames.acquire("small")); },
        function manual() { heap("manual"); },
        function refcount() { heap("refcount"); },
        function markSweep() { heap("mark-sweep"); },
        function timers() { createTimers(runtime); },
        function firedTimers() {
          const timers = createTimers(runtime);
          timers.after(1, () => {}).cancel();
          timers.after(0, () => {}).unref();
        },
      ];
      for (const make of makers) make();
      await collect();
      runtime.dispose();
    `);
    const told = reports[0]!.map(({ kind, bytes, stack }) => [/at (\w+)/.exec(stack)?.[1], kind, bytes]);
    expect(told.sort()).toEqual([
      ["arena", "arena", SMALL_BLOCK],
      ["byteHeap", "byteHeap", 2 * SMALL_BLOCK],
      ["firedTimers", "timers", PAGE],
      ["framePool", "framePool", PAGE],
      ["heap", "heap", SMALL_BLOCK],
      ["heap", "heap", SMALL_BLOCK],
      ["heap", "heap", PAGE + 2 * SMALL_BLOCK],
      ["hookedPool", "pool", PAGE],
      ["map", "sortedMap", SMALL_BLOCK],
      ["pool", "pool", PAGE],
      ["timers", "timers", PAGE],
    ]);
  });

  test("is one leak where a runtime is dropped with all that is in it, a loop that runs included", async () => {
    const { reports } = await reportsOf(`
      async function dropRuntime() {
        const runtime = await createRuntime({ debug: true, onLeak, initialBytes: 2 << 20 });
        runtime.arena().new(Hooked);
        runtime.sortedMap(f64, f64);
        const loop = createLoop(runtime);
        loop.on("kind", (_, { region }) => region.arena().new(Hooked)).post(1);
        await loop.runUntilIdle();
      }
      await dropRuntime();
      await collect();
      const disposed = (await createRuntime({ debug: true, onLeak })).dispose();
      await collect();
    `);
    expect(reports).toEqual([
      [{ kind: "runtime", count: 1, bytes: 2 << 20, stack: expect.stringContaining("dropRuntime") }],
      [],
    ]);
  });

  test("is warned of on the console by default, and in a release runtime not watched at all", async () => {
    const { warnings } = await reportsOf(`
      const runtimes = [await createRuntime({ debug: true }), await createRuntime()];
      for (const runtime of runtimes) (function drop() { runtime.arena(); })();
      await collect();
    `);
    expect(warnings.match(/tidemark: /g)).toHaveLength(1);
    expect(warnings).toMatch(/leaked: arena of 4352 bytes.*\n +at drop /);
  });
});
