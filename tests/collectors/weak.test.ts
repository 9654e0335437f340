import { array, f64, type Heap, InvalidStructError, type Runtime, ref, struct, weak } from "tidemark";
import { describe, expect, test } from "vitest";
import { type HeapRun, heapRuns, withHeap } from "../support/heaps.js";
import { modules, withoutStacks, withRuntime } from "../support/runtimes.js";

withoutStacks();

const Node = struct("Node", { value: f64, parent: weak("Node"), first: ref("Node"), others: array(weak("Node"), 3) });

const withNodes = (run: HeapRun, body: (heap: Heap, runtime: Runtime) => void) =>
  withHeap(run, { types: [Node, array(weak(Node))] }, body);

describe.each(heapRuns)("weak references in a heap of the $name module under $strategy", (run) => {
  test("lead to what lives, and are empty once it has been freed", () =>
    withNodes(run, (heap, runtime) => {
      using scope = runtime.scope();
      const child = heap.new(Node, scope);
      {
        using inner = runtime.scope();
        const parent = heap.new(Node, inner);
        parent.value = 4;
        parent.first = child;
        child.parent = parent;
        child.others.set(2, parent);
        expect(parent.first.parent?.value).toBe(4); // read through the inner scope, so that it ends with that
        if (run.strategy === "manual") heap.free(parent);
      }
      heap.collect();
      expect(child.parent).toBe(null);
      expect(child.others.toArray()).toEqual([null, null, null]);
      expect(child.follow("parent", heap.cursor(Node))).toBe(false);
      expect(heap.stats().objects).toBe(1);
    }));

  test("keep nothing alive, and a cursor that was read from one does", () =>
    withNodes(run, (heap, runtime) => {
      using scope = runtime.scope();
      const holder = heap.new(Node, scope);
      const list = heap.array(weak(Node), 2, scope);
      let read: { isLive(): boolean } | null = null;
      {
        using inner = runtime.scope();
        const target = heap.new(Node, inner);
        holder.parent = target;
        list.set(1, target);
        read = holder.parent; // a handle in the outer scope
      }
      heap.collect();
      expect(read?.isLive()).toBe(true);
      expect(holder.parent?.value).toBe(0);
      expect(list.at(0)).toBe(null);
      expect(list.at(1)?.isLive()).toBe(true);
      holder.parent = null;
      expect(holder.parent).toBe(null);
    }));

  test("are copied with the record that they are in", () =>
    withNodes(run, (heap, runtime) => {
      using scope = runtime.scope();
      const target = heap.new(Node, scope);
      const one = heap.new(Node, scope);
      const other = heap.new(Node, scope);
      one.assign({ value: 3, parent: target, others: [target, null, one] });
      other.assign(one);
      expect([other.value, other.parent?.value, other.others.at(1)]).toEqual([3, 0, null]);
      expect(other.others.at(2)?.isLive()).toBe(true);
      target.value = 8;
      expect(other.parent?.value).toBe(8);
    }));
});

describe.each(modules)("weak references outside of heaps, on the $name module,", ({ debug }) => {
  test("are empty when their record of a pool has been freed, or of an arena reset", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.pool(Node);
      const arena = runtime.arena();
      const holder = pool.new(pool.cursor());
      const pooled = pool.new(pool.cursor());
      for (const [target, finish] of [
        [pooled, () => pool.free(pooled)],
        [arena.new(Node), () => arena.reset()],
      ] as const) {
        target.value = 5;
        holder.parent = target;
        expect(holder.parent?.value).toBe(5);
        holder.others.set(0, target);
        finish();
        expect(holder.parent).toBe(null);
        expect(holder.others.at(0)).toBe(null);
        expect(holder.toObject()).toEqual({ value: 0, parent: null, first: null, others: [null, null, null] });
      }
      expect(Node.size).toBe(8 + 5 * 12 + 4);
    }));

  test("stay as they are in a copy, and what they refer to is not copied along", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const other = runtime.arena();
      const target = arena.new(Node);
      const holder = arena.new(Node);
      holder.parent = target;
      holder.first = holder;
      const copy = holder.copyTo(other);
      target.value = 9;
      expect(copy.parent?.value).toBe(9);
      arena.reset();
      expect(copy.parent).toBe(null);
      expect(copy.first?.isLive()).toBe(true);
    }));
});

test("a weak reference is declared as a ref is", () => {
  expect(() => struct("Other", { parent: weak("Node") })).toThrow(InvalidStructError);
  expect(() => weak(5 as never)).toThrow(InvalidStructError);
  expect(weak(Node).name).toBe("weak(Node)");
  expect(weak(array(f64)).name).toBe("weak(array(f64))");
});
