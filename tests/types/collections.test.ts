import { array, type CursorOf, f64, type Runtime, struct, text, u8, u64 } from "tidemark";
import { describe, expectTypeOf, test } from "vitest";

const Level = struct("Level", { price: f64, quantity: f64 });
const Key = struct("Key", { name: text(4), number: f64 });
const Nested = struct("Nested", { at: Level, four: array(u8, 4) });
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

  test("of structs takes refs, and what is nested whole in keys and in part in values", () => {
    compiled(() => {
      const map = runtime.sortedMap(Nested, Nested);
      const cursor = runtime.cursor(Nested);
      const whole = { at: { price: 1, quantity: 2 }, four: [1, 2, 3, 4] as const };
      map.set(whole, { at: { price: 1 } });
      map.set({ ...whole, four: new Uint8Array(4) }, { four: new Uint8Array(4) });
      map.set(cursor.ref(), cursor.ref());
      map.set({ at: cursor.at.ref(), four: cursor.four }, { at: cursor.at, four: cursor.four });
      expectTypeOf(map.get(cursor)).toEqualTypeOf<CursorOf<typeof Nested.fields> | undefined>();
      map.first()!.value = { at: { price: 2 } };
      // @ts-expect-error: a key has all its fields, nested ones too
      map.get({ ...whole, at: { price: 1 } });
      // @ts-expect-error: no such field of the nested struct
      map.set(whole, { at: { prise: 1 } });
      // @ts-expect-error: a ref of another struct
      map.set(runtime.cursor(Key).ref(), {});
    });
  });

  test("of inline arrays takes arrays of any kind, and shows plain ones", () => {
    compiled(() => {
      const map = runtime.sortedMap(array(u8, 4), f64);
      map.set([1, 2, 3, 4], 1);
      map.set(new Uint8Array(4), 1);
      map.set(runtime.cursor(Nested).four, 1);
      expectTypeOf(map.first()!.key).toEqualTypeOf<number[]>();
      map.forEach((_value, key) => {
        expectTypeOf(key).toEqualTypeOf<number[]>();
      });
      const levels = runtime.sortedMap(array(Level, 2), f64);
      levels.set([{ price: 1, quantity: 2 }, runtime.cursor(Level).ref()], 1);
      expectTypeOf(levels.first()!.key).toEqualTypeOf<{ price: number; quantity: number }[]>();
      // @ts-expect-error: not an array of numbers
      map.set("nonsense", 1);
      // @ts-expect-error: no array
      map.set({ foo: 1 }, 1);
      // @ts-expect-error: a key has all its fields, those in arrays too
      levels.set([{ price: 1 }, { price: 1 }], 1);
    });
  });
});
