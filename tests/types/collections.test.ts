import { type CursorOf, f64, type Runtime, struct, text, u64 } from "tidemark";
import { describe, expectTypeOf, test } from "vitest";

const Level = struct("Level", { price: f64, quantity: f64 });
const Key = struct("Key", { name: text(4), number: f64 });
type LevelCursor = CursorOf<typeof Level.fields>;
type KeyCursor = CursorOf<typeof Key.fields>;

declare const runtime: Runtime;

/** The code inside is compiled, not run. */
const compiled = (_code: () => void) => {};

describe("a sorted map", () => {
  test("of numbers takes and gives numbers", () => {
    compiled(() => {
      const map = runtime.sortedMap(f64, u64, { order: "descending" });
      expectTypeOf(map.set(1, 2n)).toEqualTypeOf<boolean>();
      expectTypeOf(map.get(1)).toEqualTypeOf<bigint | undefined>();
      expectTypeOf(map.first()!.key).toEqualTypeOf<number>();
      expectTypeOf(map.first()!.value).toEqualTypeOf<bigint>();
      for (const { key, value } of map) {
        expectTypeOf(key).toEqualTypeOf<number>();
        expectTypeOf(value).toEqualTypeOf<bigint>();
      }
      // @ts-expect-error: a bigint is wanted
      map.set(1, 2);
      // @ts-expect-error: a number is wanted
      map.get("1");
      // @ts-expect-error: no such order
      runtime.sortedMap(f64, f64, { order: "sideways" });
      // @ts-expect-error: read-only
      map.size = 5;
    });
  });

  test("of structs takes plain objects and cursors, and shows cursors", () => {
    compiled(() => {
      const map = runtime.sortedMap(Key, Level);
      const key = runtime.cursor(Key);
      const level = runtime.cursor(Level);
      map.set({ name: "a", number: 1 }, { price: 1 });
      map.set(key, level);
      expectTypeOf(map.first()!.key).toEqualTypeOf<KeyCursor>();
      expectTypeOf(map.first()!.value).toEqualTypeOf<LevelCursor>();
      expectTypeOf(map.get(key)).toEqualTypeOf<LevelCursor | undefined>();
      // @ts-expect-error: a key has all its fields
      map.get({ name: "a" });
      // @ts-expect-error: no such field
      map.set(key, { prise: 1 });
      // @ts-expect-error: another struct
      map.set(level, level);
    });
  });
});
