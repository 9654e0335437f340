// Values that are, or lead to, what is just being written, moved or overwritten.

import { type Arena, array, createRuntime, f64, type Runtime, ref, struct, u32 } from "tidemark";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectRefusal } from "./hostile.js";

const Point = struct("Point", { x: f64 });
const Node = struct("Node", { value: f64, next: ref("Node"), children: array(ref("Node"), 2) });

let runtime: Runtime;
let arena: Arena;
beforeAll(async () => {
  runtime = await createRuntime({ maximumBytes: 64 << 20 });
});
afterAll(() => runtime.dispose());
beforeEach(() => {
  arena = runtime.arena();
});
afterEach(() => arena.destroy());

describe("what an entry's key shows inside", () => {
  const Inner = struct("Inner", { a: u32 });
  const Key = struct("Key", { inner: Inner, row: array(Inner, 2) });
  const Holder = struct("Holder", { to: ref(Inner) });
  const makeMap = () => {
    const map = runtime.sortedMap(Key, u32);
    for (const a of [1, 2]) map.set({ inner: { a }, row: [{ a }, { a }] }, a);
    return map;
  };

  test("is a copy like the key itself, and nothing may refer to it", () => {
    using map = makeMap();
    const holder = arena.new(Holder);
    const cursor = runtime.cursor(Inner);
    for (const shown of [() => map.first()!.key.inner, () => map.first()!.key.row.at(0)]) {
      expect(shown().a).toBe(1);
      expectRefusal(() => shown().ref(), "ERR_TIDEMARK_INVALID_ARGUMENT", /copy/);
      expectRefusal(() => cursor.moveTo(shown()), "ERR_TIDEMARK_INVALID_ARGUMENT", /copy/);
      expectRefusal(() => holder.assign({ to: shown() }), "ERR_TIDEMARK_INVALID_ARGUMENT", /copy/);
      expectRefusal(
        () => {
          holder.to = shown();
        },
        "ERR_TIDEMARK_INVALID_ARGUMENT",
        /copy/,
      );
    }
    expect(holder.to).toBe(null);
    map.validate();
  });

  test("goes nowhere else, as the key's own cursor does not", () => {
    using map = makeMap();
    const record = arena.new(Key);
    const { key } = map.first()!;
    expectRefusal(() => key.moveTo(record), "ERR_TIDEMARK_INVALID_ARGUMENT", /copy/);
    expectRefusal(() => key.moveTo(null), "ERR_TIDEMARK_INVALID_ARGUMENT", /copy/);
    expect(map.last()!.key.inner.a).toBe(2);
    expect(record.inner.a).toBe(0);
  });
});

describe("an array that has been cut short", () => {
  test("takes back a record that it had in that place, as it was", () => {
    const points = arena.array(Point);
    points.push({ x: 1 });
    points.push({ x: 2 });
    const last = points.at(1).ref();
    points.truncate(1);
    expect(points.push(last).x).toBe(2);
    points.truncate(1);
    expect(points.push().x).toBe(0);
    points.truncate(0);
    expect(points.push({}).x).toBe(0);
  });
});

describe("a cursor among the values of an assign", () => {
  test("is taken for where it was when it was read, wherever a getter moves it then", () => {
    const [node, first, second] = [arena.new(Node), arena.new(Node), arena.new(Node)];
    first.value = 1;
    second.value = 2;
    const cursor = runtime.cursor(Node).moveTo(first);
    node.assign({
      next: cursor,
      get value() {
        cursor.moveTo(second);
        return 7;
      },
    });
    expect([node.value, node.next!.value]).toEqual([7, 1]);

    const children = {
      length: 2,
      get 0() {
        return cursor.moveTo(first);
      },
      get 1() {
        return cursor.moveTo(second);
      },
    };
    node.assign({ children: children as never });
    const values = [0, 1].map((index) => runtime.cursor(Node).moveTo(node.children.at(index)!).value);
    expect(values).toEqual([1, 2]);
  });
});

describe("bytes to copy", () => {
  test.each([
    ["an Int8Array", new Int8Array([-1])],
    ["a Uint8ClampedArray", new Uint8ClampedArray(1)],
    ["a DataView", new DataView(new ArrayBuffer(1))],
    ["an array", [1]],
    ["an object that claims to be one", Object.create(Uint8Array.prototype)],
    ["null", null],
  ])("are a Uint8Array, not %s", (_label, source) => {
    const bytes = arena.bytes(4);
    expectRefusal(() => bytes.copyFrom(source as never), "ERR_TIDEMARK_INVALID_ARGUMENT");
    expect([...bytes.toUint8Array()]).toEqual([0, 0, 0, 0]);
  });

  test("are as many as there are, whatever their length is said to be", () => {
    const bytes = arena.bytes(4);
    const behind = arena.bytes(4);
    const source = Object.defineProperty(new Uint8Array(8).fill(9), "length", { value: 1 });
    expectRefusal(() => bytes.copyFrom(source), "ERR_TIDEMARK_OUT_OF_BOUNDS", /8/);
    expect([...bytes.toUint8Array(), ...behind.toUint8Array()]).toEqual(new Array(8).fill(0));
  });
});
