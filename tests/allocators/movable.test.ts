import { type CursorOf, createRuntime, f64, type Runtime, ref, struct } from "tidemark";
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
