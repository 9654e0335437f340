import { type Bytes, type CursorOf, createRuntime, f64, type Runtime, ref, type SequenceOf, struct } from "tidemark";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const Point = struct("Point", { x: f64, y: f64 });
const Node = struct("Node", { value: f64, next: ref("Node") });
type PointCursor = CursorOf<(typeof Point)["fields"]>;

let runtime: Runtime;
beforeEach(async () => {
  runtime = await createRuntime();
});
afterEach(() => runtime.dispose());

const refused = expect.objectContaining({ code: "ERR_TIDEMARK_INVALID_ARGUMENT" });

describe("what takes a cursor to move refuses", () => {
  test("a ref, which stays on its record", () => {
    const pool = runtime.pool(Point);
    const arena = runtime.arena();
    const best = pool.new();
    const other = pool.new(pool.cursor());
    other.x = 5;
    const asCursor = best as unknown as PointCursor;
    expect(() => pool.new(asCursor)).toThrow(refused);
    expect(() => arena.new(Point, asCursor)).toThrow(refused);
    expect(() => other.copyTo(arena, asCursor)).toThrow(refused);
    expect(() => pool.new(asCursor)).toThrow("a cursor of Point was expected, but a ref of Point given");
    expect(pool.count).toBe(2);
    expect(runtime.cursor(Point).moveTo(best).x).toBe(0);
  });

  test("a ref to follow a field with", () => {
    const pool = runtime.pool(Node);
    const first = pool.new(pool.cursor());
    first.next = pool.new(pool.cursor());
    const kept = pool.new();
    expect(() => first.follow("next", kept as never)).toThrow(refused);
    expect(pool.contains(kept)).toBe(true);
  });

  test("what a program has frozen, and takes nothing for it", () => {
    const ended: number[] = [];
    const Ticket = struct("Ticket", { id: f64 }, { destroy: ({ id }) => ended.push(id) });
    const arena = runtime.arena();
    const frames = runtime.framePool();
    const heap = runtime.byteHeap();
    arena.new(Point);
    const before = arena.stats();
    const frozenArray = () => Object.freeze(runtime.array(f64)) as SequenceOf<typeof f64>;
    const bytes = () => Object.freeze(runtime.bytes()) as Bytes;
    arena.new(Point); // so that the next one takes the short way
    expect(() => arena.new(Point, Object.freeze(runtime.cursor(Point)))).toThrow(refused);
    expect(() => arena.new(Ticket, Object.freeze(runtime.cursor(Ticket)))).toThrow(refused);
    expect(() => arena.bytes(8, bytes())).toThrow(refused);
    expect(() => arena.text("text", bytes())).toThrow(refused);
    expect(() => arena.array(f64, 4, frozenArray())).toThrow(refused);
    expect(() => arena.array(f64, frozenArray())).toThrow(refused);
    const pool = runtime.pool(Point);
    pool.free(pool.new());
    expect(() => pool.new(Object.freeze(pool.cursor()))).toThrow(refused);
    expect(pool.count).toBe(0);
    const node = arena.new(Node);
    expect(() => Object.freeze(runtime.cursor(Node)).moveTo(node)).toThrow(refused);
    node.next = node;
    expect(() => node.follow("next", Object.freeze(runtime.cursor(Node)))).toThrow(refused);
    const map = runtime.sortedMap(f64, Point);
    map.set(1, {});
    expect(() => map.get(1, Object.freeze(runtime.cursor(Point)))).toThrow(refused);
    const place = runtime.arena();
    const grown = arena.array(f64);
    Object.freeze(grown);
    for (let time = 0; time < 3; time++) expect(() => grown.push(1)).toThrow(refused);
    expect(grown.length).toBe(0);
    const points = place.array(Point);
    points.push();
    Object.freeze(points.at(0));
    for (const value of [undefined, { x: 1 }]) expect(() => points.push(value as never)).toThrow(refused);
    expect(points.length).toBe(1);
    const target = runtime.arena();
    const empty = target.stats();
    expect(() => arena.new(Point).copyTo(target, Object.freeze(runtime.cursor(Point)))).toThrow(refused);
    expect(() => frames.acquire("small", bytes())).toThrow(refused);
    expect(() => heap.bytes(8, bytes())).toThrow(refused);
    expect(target.stats()).toEqual(empty);
    expect(arena.stats().used).toBe(before.used + 2 * Point.size + Node.size);
    expect(frames.stats().inUse.small).toBe(0);
    expect(heap.stats().blocks).toBe(0);
    runtime.dispose();
    expect(ended).toEqual([]);
  });

  test("what is none, and says what it takes", () => {
    const given = { x: 1 } as unknown as PointCursor;
    const pool = runtime.pool(Point);
    const arena = runtime.arena();
    const says = "a cursor of Point was expected, but an object given";
    expect(() => pool.new(given)).toThrow(says);
    expect(() => arena.new(Point, given)).toThrow(says);
    expect(() => arena.new(Point, null as never)).toThrow("a cursor of Point was expected, but null given");
    expect(() => arena.array(Point, 5, {} as never)).toThrow("array: an array of Point to reuse was expected");
    expect(() => arena.bytes(5, {} as never)).toThrow("bytes: bytes to reuse were expected, but an object was given");
  });

  test("bytes or a ref, where no struct is given either", () => {
    const arena = runtime.arena();
    const nothing = undefined as never;
    expect(() => arena.new(nothing, runtime.bytes() as never)).toThrow("new takes a struct, not undefined");
    expect(() => arena.new(nothing, arena.new(Point).ref() as never)).toThrow(refused);
  });

  test("the key that an entry of a sorted map shows, which the next entry overwrites", () => {
    const map = runtime.sortedMap(Point, f64);
    map.set({ x: 1, y: 2 }, 3);
    const { key } = map.first()!;
    const pool = runtime.pool(Point);
    expect(() => pool.new(key)).toThrow(refused);
    expect(() => runtime.arena().new(Point, key)).toThrow("one on a copy of Point");
    expect(pool.count).toBe(0);
  });
});
