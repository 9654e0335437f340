import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { array, f64, type Runtime, ref, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { strategies } from "../support/heaps.js";
import { withRuntime } from "../support/runtimes.js";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

const Node = struct("Node", { value: f64, next: ref("Node") });
const types = [Node, array(f64)];

/** Kinds and counts of what is alive. */
const summary = (runtime: Runtime) =>
  runtime
    .leaks()
    .map(({ kind, count }) => `${count} ${kind}`)
    .sort();

describe.each(strategies)("what is left of a heap under %s", (strategy) => {
  test("is told of as one heap, with the handles that are kept, and as nothing when it has been destroyed", () =>
    withRuntime({ debug: true }, (runtime) => {
      const heap = runtime.heap(strategy, { types });
      expect(summary(runtime).filter((line) => line !== "1 heap")).toEqual([]);
      const scope = runtime.scope();
      const node = heap.new(Node, scope);
      const kept = scope.keep(node);
      const samples = scope.keep(heap.array(f64, 10, scope));
      const expected = strategy === "manual" ? ["1 block", "1 cell"] : [];
      expect(summary(runtime)).toEqual([...expected, "1 handle", "1 handle", "1 heap", "1 scope"].sort());
      scope.end();
      heap.release(kept);
      heap.release(samples);
      expect(summary(runtime)).toEqual([...expected, "1 heap"].sort());
      heap.destroy();
      expect(runtime.leaks()).toEqual([]);
    }));

  test("names the place where each was made", () =>
    withRuntime({ debug: true }, (runtime) => {
      const heap = runtime.heap(strategy, { types });
      using scope = runtime.scope();
      const kept = scope.keep(heap.new(Node, scope));
      for (const { kind, stack } of runtime.leaks()) {
        expect(`${kind} ${stack.split("\n")[0]}`).toContain("leaks.test");
      }
      heap.release(kept);
      heap.destroy();
    }));

  test("does not include handles whose heap has been destroyed", () =>
    withRuntime({ debug: true }, (runtime) => {
      const heap = runtime.heap(strategy, { types });
      const scope = runtime.scope();
      const kept = scope.keep(heap.new(Node, scope));
      scope.end();
      heap.destroy();
      expect(runtime.leaks()).toEqual([]);
      heap.release(kept);
    }));
});

test("under manual, what has not been freed is told of by the place where it was made", () =>
  withRuntime({ debug: true }, (runtime) => {
    const heap = runtime.heap("manual", { types });
    using scope = runtime.scope();
    const made = Array.from({ length: 5 }, () => heap.new(Node, scope));
    heap.free(made[2]!);
    const cells = runtime.leaks().filter(({ kind }) => kind === "cell");
    expect(cells.map(({ count, bytes }) => [count, bytes])).toEqual([[4, 4 * 24]]);
    expect(cells[0]?.stack).toContain("leaks.test");
    heap.destroy();
  }));

/** Drops a heap, and a kept handle of another, in a process of its own, and prints what is told of them. */
const program = `
  const { createRuntime, f64, ref, struct } = await import(${JSON.stringify(entry)});
  const Node = struct("Node", { value: f64, next: ref("Node") });
  const strategy = process.argv[1];
  const told = [];
  const runtime = await createRuntime({ debug: true, onLeak: ({ kind }) => told.push(kind) });
  const heap = runtime.heap(strategy, { types: [Node] });
  (() => {
    using(runtime.scope(), (scope) => scope.keep(heap.new(Node, scope)));
    using(runtime.scope(), (scope) => heap.release(scope.keep(heap.new(Node, scope))));
    const dropped = runtime.heap(strategy, { types: [Node] });
    using(runtime.scope(), (scope) => dropped.new(Node, scope));
  })();
  function using(scope, body) {
    body(scope);
    scope.end();
  }
  for (let turn = 0; turn < 50 && told.length < 2; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    gc();
  }
  console.log(JSON.stringify(told.sort()), heap.destroyed);
`;

test.each(strategies)("a heap, and a kept handle, that are dropped under %s are reported", async (strategy) => {
  const node = promisify(execFile);
  const { stdout } = await node(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program, strategy]);
  expect(stdout.trim()).toBe('["handle","heap"] false');
});
