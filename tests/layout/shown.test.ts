import { inspect } from "node:util";
import { type Arena, array, createRuntime, f64, type Runtime, ref, struct, text, u32 } from "tidemark";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

const Point = struct("Point", { x: f64, y: f64 });
const Node = struct("Node", { at: Point, tag: text(8), counts: array(u32, 2), next: ref("Node") });

let runtime: Runtime;
let arena: Arena;
beforeAll(async () => {
  runtime = await createRuntime({ maximumBytes: 16 << 20 });
});
afterAll(() => runtime.dispose());
beforeEach(() => {
  arena = runtime.arena();
});

/** A record that refers to itself. */
const makeNode = () => {
  const node = arena.new(Node).assign({ at: { x: 1, y: 2 }, tag: "tide", counts: [3, 4] });
  node.next = node;
  return node;
};

describe("as JSON", () => {
  test("a record is its fields, in which a ref is a text, and an array its elements", () => {
    const node = makeNode();
    const shown = { at: { x: 1, y: 2 }, tag: "tide", counts: [3, 4], next: `Node at ${node.$address}` };
    expect(JSON.parse(JSON.stringify(node))).toEqual(shown);
    expect(JSON.parse(JSON.stringify({ nodes: [node], ref: node.ref() }))).toEqual({ nodes: [shown], ref: shown.next });
    const points = arena.array(Point);
    points.push({ x: 5, y: 6 });
    expect(JSON.stringify(points)).toBe('[{"x":5,"y":6}]');
    expect(JSON.stringify(arena.text("ab"))).toBe("[97,98]");
  });

  test("an entry of a map is its key and its value", () => {
    using map = runtime.sortedMap(u32, Point);
    map.set(7, { x: 1, y: 2 });
    expect(JSON.stringify([...map].length)).toBe("1");
    expect(JSON.stringify(map.first())).toBe('{"key":7,"value":{"x":1,"y":2}}');
  });

  test("a map is its size, also empty, behind a change that has ended the view of its entry, and disposed", () => {
    const map = runtime.sortedMap(u32, Point);
    expect(JSON.stringify({ map })).toBe('{"map":{"size":0}}');
    map.set(7, { x: 1, y: 2 });
    map.first();
    map.set(8, { x: 3, y: 4 });
    expect(JSON.stringify({ map })).toBe('{"map":{"size":2}}');
    map.dispose();
    expect(JSON.stringify(map)).toBe('{"size":0}');
  });

  test("what has ended says so, and an owner of memory leaves that out", () => {
    const scratch = runtime.arena();
    const node = scratch.new(Node);
    scratch.destroy();
    expect(() => JSON.stringify(node)).toThrow(/has ended/);
    for (const owner of [arena, runtime.byteHeap()]) expect(JSON.stringify(owner).length).toBeLessThan(2000);
  });
});

describe("on Node's console", () => {
  test("a record is its data, in a line or a few, and not the runtime behind it", () => {
    const node = makeNode();
    expect(inspect(node.at)).toBe("Point { x: 1, y: 2 }");
    expect(inspect(node)).toMatch(/^Node \{[^$]*tag: 'tide'[^$]*\}$/);
    expect(inspect(node).length).toBeLessThan(300);
    expect(inspect(node.ref())).toBe(`Ref 'Node at ${node.$address}'`);
    expect(inspect(node.counts)).toBe("array(u32) [ 3, 4 ]");
    expect(inspect(arena.text("ab"))).toBe("Bytes [ 97, 98 ]");
    expect(inspect({ node: node.at })).toBe("{ node: Point { x: 1, y: 2 } }");
  });

  test("what shows nothing, or has ended, is called so", () => {
    const scratch = runtime.arena();
    const point = scratch.new(Point);
    scratch.destroy();
    expect(inspect(point)).toBe("Point (ended)");
    expect(inspect(runtime.cursor(Point))).toBe("Point (ended)");
  });

  test("owners show a few lines, without the memory", () => {
    for (const owner of [arena, runtime.pool(Point), runtime.byteHeap()]) {
      expect(inspect(owner)).not.toContain("Uint8Array");
    }
  });
});

describe.each(["manual", "refcount", "mark-sweep"] as const)("objects of a heap (%s)", (strategy) => {
  test("are shown as records are", () => {
    using heap = runtime.heap(strategy, { types: [Node] });
    const scope = runtime.scope();
    const node = heap.new(Node, scope).assign({ tag: "tide" });
    node.next = node;
    expect(JSON.parse(JSON.stringify(node))).toMatchObject({ tag: "tide", counts: [0, 0] });
    expect(inspect(node)).toMatch(/^Node \{[^$]*tag: 'tide'/);
    scope.end();
    expect(inspect(node)).toBe("Node (ended)");
  });
});
