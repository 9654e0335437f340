import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/**
 * Makes runtimes of structs that outlive them, in a process of its own, and tells how many of their memories the host has
 * collected when nothing but the structs is left.
 */
const program = `
  const { array, createLoop, createRuntime, f64, ref, struct, text } = await import(${JSON.stringify(entry)});
  const mode = process.argv[1];
  const Inner = struct("Inner", { low: f64, high: f64 });
  const Point = struct("Point", { x: f64, name: text(8), inner: Inner, many: array(Inner, 2), next: ref("Point") });
  const kept = [];
  const memories = [];

  async function use() {
    const runtime = await createRuntime({ initialBytes: 1 << 20, maximumBytes: 8 << 20 });
    memories.push(new WeakRef(runtime.$memory), new WeakRef(runtime.memory));
    const arena = runtime.arena();
    const point = arena.new(Point);
    point.inner.low = point.many.at(1).high = 1;
    point.next = point;
    point.copyTo(arena).next.x = 2;
    arena.array(Point).push({ x: 1 });
    const map = runtime.sortedMap(Inner, Point);
    map.set({ low: 1, high: 2 }, { x: 1, name: "one" });
    map.first().key.toObject();
    for (const strategy of ["manual", "mark-sweep"]) {
      const heap = runtime.heap(strategy, { types: [Point, Inner] });
      const scope = runtime.scope();
      const object = heap.new(Point, scope);
      object.next = scope.keep(object);
      heap.release(scope.keep(object));
      scope.end();
    }
    const loop = createLoop(runtime);
    const kind = loop.on("kind", (x, { region }) => void region.new(Point).assign({ x }));
    kind.post(1);
    await loop.runUntilIdle();
    await loop.close();
    if (mode === "kept") kept.push(runtime);
    if (mode === "disposed") runtime.dispose();
  }

  for (let turn = 0; turn < 20; turn++) await use();
  for (let turn = 0; turn < 20; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    gc();
  }
  const collected = memories.filter((memory) => memory.deref() === undefined).length;
  console.log(JSON.stringify({ collected, structs: [Inner.size, Point.size], kept: kept.length }));
`;

async function collect(mode: "disposed" | "forgotten" | "kept"): Promise<number> {
  const node = promisify(execFile);
  const { stdout } = await node(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program, mode]);
  const { collected, structs } = JSON.parse(stdout);
  expect(structs).toEqual([16, 80]);
  return collected;
}

test.each(["disposed", "forgotten"] as const)(
  "the memory of a %s runtime is kept by no struct that was used in it",
  async (mode) => {
    expect(await collect(mode)).toBe(40);
  },
);

test("the memory of a runtime that is held is not collected, so that the count means something", async () => {
  expect(await collect("kept")).toBe(0);
});

test("a struct that is declared at run time is kept by no runtime in which it was used", async () => {
  const declaring = `
    const { createRuntime, f64, struct } = await import(${JSON.stringify(entry)});
    const runtime = await createRuntime();
    const arena = runtime.arena();
    const structs = [];
    function use() {
      const Point = struct("Point", { x: f64 });
      structs.push(new WeakRef(Point));
      arena.new(Point).x = 1;
      runtime.pool(Point).destroy();
      const map = runtime.sortedMap(Point, Point);
      map.set({ x: 1 }, { x: 2 });
      map.dispose();
    }
    for (let turn = 0; turn < 20; turn++) use();
    for (let turn = 0; turn < 20; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      gc();
    }
    console.log(structs.filter((each) => each.deref() === undefined).length, runtime.disposed);
  `;
  const node = promisify(execFile);
  const { stdout } = await node(process.execPath, ["--expose-gc", "--input-type=module", "--eval", declaring]);
  expect(stdout).toBe("20 false\n");
});
