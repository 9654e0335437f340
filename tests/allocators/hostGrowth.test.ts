import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { array, f64, ref, struct, u8, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { modules, PAGE, withRuntime } from "../support/runtimes.js";

const Point = struct("Point", { id: u32, x: f64 });

describe.each(modules)("in the $name module, after the host has grown memory", ({ debug }) => {
  test("a byte heap that is destroyed is no longer the one that guests allocate from", () =>
    withRuntime({ debug }, (runtime) => {
      const heap = runtime.byteHeap();
      const { malloc } = heap.asMalloc();
      runtime.memory.grow(1);
      heap.destroy();
      expect(runtime.$memory.rootWord("ROOT_GUEST_HEAP")).toBe(0);
      expect(malloc(100)).toBe(0);
      runtime.validate();
    }));

  test("beyond the runtime's maximum, what is free is still there for a pool of many slabs, and no more is thought to be", async () => {
    const memory = new WebAssembly.Memory({ initial: 64, maximum: 200 });
    await withRuntime({ debug, memory, maximumBytes: 64 * PAGE }, (runtime) => {
      runtime.pool(Point).new();
      memory.grow(100);
      const before = runtime.stats();
      expect(() => runtime.pool(Point, { capacity: 500_000 })).toThrow(/pages \(\d+ bytes\) were needed/);
      expect(runtime.stats().bytesByOwner).toEqual(before.bytesByOwner);
      const pool = runtime.pool(Point, { capacity: 50_000 });
      expect(pool.capacity).toBeGreaterThanOrEqual(50_000);
      runtime.validate();
    });
  });

  test("an arena runs the hooks of the records that it makes from then on, each its own, and none twice", () =>
    withRuntime({ debug }, (runtime) => {
      const ended: string[] = [];
      const Session = struct("Session", { id: u32 }, { destroy: ({ id }) => ended.push(`session ${id}`) });
      const File = struct("File", { id: u32 }, { destroy: ({ id }) => ended.push(`file ${id}`) });
      const arena = runtime.arena();
      arena.new(Session).id = 0;
      arena.new(File).id = 1;
      runtime.memory.grow(1);
      arena.new(File).id = 2;
      arena.new(File).id = 3;
      arena.reset();
      expect(ended.splice(0)).toEqual(["file 3", "file 2", "file 1", "session 0"]);
      arena.new(File).id = 4;
      runtime.memory.grow(1);
      arena.new(Session).id = 5;
      runtime.dispose();
      expect(ended).toEqual(["session 5", "file 4"]);
    }));

  test("a record is copied, though the function given to ref() has had the host grow memory", () =>
    withRuntime({ debug }, (runtime) => {
      const target = () => {
        runtime.memory.grow(1);
        return Point;
      };
      const Link = struct("Link", { id: u32, point: ref(target) });
      const arena = runtime.arena();
      const link = arena.new(Link);
      link.id = 7;
      expect(link.copyTo(runtime.arena()).id).toBe(7);
    }));

  test("a pool that is destroyed gives each hook its record", () =>
    withRuntime({ debug }, (runtime) => {
      const ids: number[] = [];
      const pool = runtime.pool(Point, { destroy: (point) => ids.push(point.id) });
      const cursor = pool.cursor();
      for (const id of [1, 2, 3]) pool.new(cursor).id = id;
      runtime.memory.grow(1);
      pool.destroy();
      expect(ids).toEqual([1, 2, 3]);
    }));

  test("a frame pool that is destroyed gives its memory back", () =>
    withRuntime({ debug }, (runtime) => {
      const frames = runtime.framePool();
      frames.acquire("large");
      runtime.memory.grow(1);
      frames.destroy();
      expect(runtime.stats().bytesByOwner.pools).toBe(0);
    }));
});

describe.each(modules)("in the $name module, the block below checked bytes", ({ debug }) => {
  test("is none that can be freed or resized by its address", () =>
    withRuntime({ debug }, (runtime) => {
      const heap = runtime.byteHeap();
      const bytes = heap.bytes(100);
      const refused = expect.objectContaining({ code: "ERR_TIDEMARK_INVALID_ADDRESS" });
      const below = bytes.address - 16;
      expect(() => heap.free(below)).toThrow(refused);
      expect(() => heap.reallocate(below, 50)).toThrow(refused);
      expect(() => heap.freeMany(Uint32Array.of(below))).toThrow(refused);
      bytes.set(0, 7);
      expect(heap.bytes(100).get(0)).toBe(0);
      expect(bytes.get(0)).toBe(7);
      heap.free(bytes);
      heap.validate();
      // What has been checked once is a block like any other to whoever has its memory next.
      const blocks = Array.from({ length: 300 }, () => heap.allocate(116));
      for (const block of blocks) heap.free(block);
    }));
});

test("a fixed pool of one large record takes the pages of that record, and not of more", () =>
  withRuntime({}, (runtime) => {
    const Large = struct("Large", { one: array(u8, 65_000), other: array(u8, 36_000) });
    const pool = runtime.pool(Large, { capacity: 1 });
    expect(pool.stats()).toMatchObject({ capacity: 1, reservedBytes: 2 * 65_536 });
    pool.new();
    pool.validate();
  }));

test("a pool that a program drops does not stay as long as its runtime", async () => {
  const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;
  const program = `
    const { createRuntime, f64, struct } = await import(${JSON.stringify(entry)});
    const runtime = await createRuntime();
    const Point = struct("Point", { x: f64 });
    const dropped = [];
    (() => { for (let count = 0; count < 20; count++) {
      const pool = runtime.pool(Point);
      pool.new(pool.cursor());
      dropped.push(new WeakRef(pool));
    } })();
    for (let round = 0; round < 5; round++) { await new Promise((resolve) => setTimeout(resolve, 5)); gc(); }
    console.log(dropped.filter((each) => each.deref() !== undefined).length, runtime.disposed);
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", "--input-type=module", "-e", program]);
  expect(stdout.trim()).toBe("0 false");
});
