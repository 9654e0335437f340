import {
  type Arena,
  array,
  type Bytes,
  bool,
  type CursorOf,
  createRuntime,
  f32,
  f64,
  i64,
  type ObjectOf,
  type Ref,
  type RefType,
  ref,
  type SequenceOf,
  type StructArray,
  type StructType,
  struct,
  text,
  u8,
  u64,
  type ValueArray,
} from "tidemark";
import { describe, expectTypeOf, test } from "vitest";

// What is checked here is checked by the compiler: `tsc --noEmit` of the root reads this file. Nothing needs to run.

const Level = struct("Level", { price: f64, quantity: f32 });
const Side = struct("Side", {
  name: text(4),
  open: bool,
  stamp: u64,
  best: Level,
  levels: array(Level, 3),
  counts: array(u8, 2),
  rows: array(array(i64, 2), 2),
  names: array(text(2), 2),
});
const Node = struct("Node", { value: f64, next: ref("Node"), level: ref(Level), children: array(ref("Node"), 2) });

type LevelFields = typeof Level.fields;
type LevelCursor = CursorOf<LevelFields>;
type SideCursor = CursorOf<typeof Side.fields>;
type NodeCursor = CursorOf<typeof Node.fields>;
type Plain = { price: number; quantity: number };

declare const level: LevelCursor;
declare const side: SideCursor;
declare const node: NodeCursor;
declare const arena: Arena;

/** The code inside is compiled, not run. */
const compiled = (_code: () => void) => {};

describe("a cursor", () => {
  test("has a property for each field, of the type that reading it gives", () => {
    expectTypeOf<LevelCursor["price"]>().toEqualTypeOf<number>();
    expectTypeOf<SideCursor["name"]>().toEqualTypeOf<string>();
    expectTypeOf<SideCursor["open"]>().toEqualTypeOf<boolean>();
    expectTypeOf<SideCursor["stamp"]>().toEqualTypeOf<bigint>();
    expectTypeOf<SideCursor["best"]>().toEqualTypeOf<LevelCursor>();
    expectTypeOf<SideCursor["levels"]>().toEqualTypeOf<StructArray<LevelFields>>();
    expectTypeOf<SideCursor["counts"]>().toEqualTypeOf<ValueArray<number, number>>();
    expectTypeOf<NodeCursor["next"]>().toEqualTypeOf<NodeCursor | null>();
    expectTypeOf<NodeCursor["level"]>().toEqualTypeOf<LevelCursor | null>();
  });

  test("does not know other names, and takes values of its fields' types only", () => {
    compiled(() => {
      level.price = 1;
      side.best = level;
      node.next = node;
      node.next = null;
      // @ts-expect-error: a number is wanted
      level.price = "1";
      // @ts-expect-error: a bigint is wanted
      side.stamp = 1;
      // @ts-expect-error: no such field
      level.prise;
      // @ts-expect-error: another struct
      side.best = node;
      // @ts-expect-error: another struct
      node.level = node;
      // @ts-expect-error: the struct is fixed
      level.$struct = Side;
    });
  });

  test("gives and takes plain objects of the same shape", () => {
    expectTypeOf<ObjectOf<typeof Side.fields>>().toEqualTypeOf<{
      name: string;
      open: boolean;
      stamp: bigint;
      best: Plain;
      levels: Plain[];
      counts: number[];
      rows: bigint[][];
      names: string[];
    }>();
    expectTypeOf<ObjectOf<typeof Node.fields>>().toEqualTypeOf<{
      value: number;
      next: Ref<typeof Node.fields> | null;
      level: Ref<LevelFields> | null;
      children: (Ref<typeof Node.fields> | null)[];
    }>();
    compiled(() => {
      expectTypeOf(level.toObject()).toEqualTypeOf<Plain>();
      expectTypeOf(level.assign({ price: 1 })).toEqualTypeOf<LevelCursor>();
      level.assign({ price: 1, quantity: 2 }).price = 3;
      level.assign(level).assign(level.ref()).assign(level.toObject());
      side.assign({ best: { price: 1 }, levels: [level, {}, level.ref()], counts: Uint8Array.of(1, 2) });
      side.assign({ levels: side.levels, counts: side.counts, rows: [[1n, 2n], side.rows.at(0)] });
      side.assign(side.toObject());
      node.assign({ next: node, level: level.ref(), children: [node, null] });
      node.assign(node.toObject());
      // @ts-expect-error: no such field
      level.assign({ prise: 1 });
      // @ts-expect-error: a number is wanted
      level.assign({ price: "1" });
      // @ts-expect-error: a number is wanted, deep inside
      side.assign({ best: { price: 1n } });
      // @ts-expect-error: another struct
      level.assign(node);
      // @ts-expect-error: another struct
      node.assign({ next: level });
      // @ts-expect-error: another struct
      node.assign({ children: [level, null] });
    });
  });

  test("moves over records of its own struct only", () => {
    compiled(() => {
      expectTypeOf(level.moveTo(level.ref())).toEqualTypeOf<LevelCursor>();
      node.moveTo(node.next);
      node.moveTo(node.children.at(0));
      level.moveTo(node.level);
      // @ts-expect-error: another struct
      level.moveTo(node);
      // @ts-expect-error: another struct
      level.moveTo(node.ref());
      // @ts-expect-error: no record
      level.moveTo(undefined);
    });
  });

  test("is followed to itself where the struct was given by a function, as structs that refer to each other need it", () => {
    type OrderFields = { price: typeof f64; next: RefType<OrderFields>; level: RefType<TotalFields> };
    type TotalFields = { total: typeof f64; first: RefType<OrderFields> };
    const Order: StructType<OrderFields> = struct("Order", {
      price: f64,
      next: ref(() => Order),
      level: ref(() => Total),
    });
    const Total: StructType<TotalFields> = struct("Total", { total: f64, first: ref(() => Order) });
    void ((walker: CursorOf<OrderFields>) => {
      walker.follow("next");
      // @ts-expect-error: it leads elsewhere, and needs a cursor of that
      walker.follow("level");
    });
  });

  test("follows ref fields only, into cursors of what they refer to", () => {
    compiled(() => {
      node.follow("next");
      node.follow("next", node);
      node.follow("level", level);
      // @ts-expect-error: a cursor of the other struct is wanted
      node.follow("level");
      // @ts-expect-error: no ref field
      node.follow("value");
      // @ts-expect-error: no such field
      node.follow("nexd");
      // @ts-expect-error: another struct
      node.follow("level", node);
      // @ts-expect-error: no ref fields at all
      level.follow("price");
    });
  });

  test("gives the copy's cursor", () => {
    compiled(() => {
      expectTypeOf(level.copyTo(arena)).toEqualTypeOf<LevelCursor>();
      // @ts-expect-error: another struct
      level.copyTo(arena, node);
      // @ts-expect-error: no arena
      level.copyTo({});
    });
  });
});

describe("arrays", () => {
  test("of structs give cursors and take plain objects", () => {
    expectTypeOf<SequenceOf<typeof Level>>().toEqualTypeOf<StructArray<LevelFields>>();
    compiled(() => {
      const levels = arena.array(Level);
      expectTypeOf(levels.at(0)).toEqualTypeOf<LevelCursor>();
      expectTypeOf(levels.push()).toEqualTypeOf<LevelCursor>();
      expectTypeOf(levels.toArray()).toEqualTypeOf<Plain[]>();
      for (const element of levels) expectTypeOf(element).toEqualTypeOf<LevelCursor>();
      levels.push({ price: 1 });
      levels.push(level);
      levels.set(0, level.ref());
      // @ts-expect-error: no such field
      levels.push({ prise: 1 });
      // @ts-expect-error: another struct
      levels.push(node);
      // @ts-expect-error: the length is read-only
      levels.length = 5;
      arena.array(Level, levels);
      arena.array(Level, 5, levels);
      // @ts-expect-error: an array of another type
      arena.array(Node, levels);
    });
  });

  test("of values give and take the values", () => {
    expectTypeOf<SequenceOf<typeof f64>>().toEqualTypeOf<ValueArray<number, number>>();
    expectTypeOf<SequenceOf<typeof u64>>().toEqualTypeOf<ValueArray<bigint, bigint>>();
    compiled(() => {
      expectTypeOf(arena.array(bool, 2).at(0)).toEqualTypeOf<boolean>();
      expectTypeOf(arena.array(text(4), 2).at(0)).toEqualTypeOf<string>();
      expectTypeOf(arena.array(ref(Level), 2).at(0)).toEqualTypeOf<Ref<LevelFields> | null>();
      expectTypeOf(arena.array(array(f64, 2), 2).at(0)).toEqualTypeOf<number[]>();
      expectTypeOf(node.children.at(0)).toEqualTypeOf<Ref<typeof Node.fields> | null>();
      expectTypeOf(side.rows.at(0)).toEqualTypeOf<bigint[]>();
      arena.array(ref(Level), 2).set(0, level);
      arena.array(ref(Level), 2).set(0, null);
      arena.array(array(f64, 2), 2).set(0, Float64Array.of(1, 2));
      // @ts-expect-error: another struct
      arena.array(ref(Level), 2).set(0, node);
      // @ts-expect-error: a bigint is wanted
      arena.array(u64, 2).push(1);
    });
  });
});

describe("a struct type", () => {
  test("knows its offsets by name, and is read-only", () => {
    expectTypeOf<typeof Level.offsets>().toEqualTypeOf<{ readonly price: number; readonly quantity: number }>();
    compiled(() => {
      // @ts-expect-error: read-only
      Level.size = 1;
      // @ts-expect-error: read-only
      Level.offsets.price = 1;
      // @ts-expect-error: read-only
      Level.fields.price = f32;
      // @ts-expect-error: no such field
      Level.offsets.prise;
    });
  });

  test("takes field types only", () => {
    compiled(() => {
      // @ts-expect-error: no field type
      struct("Bad", { a: 5 });
      // @ts-expect-error: no field type
      array("f64", 3);
    });
  });

  test("calls its destroy hook with a cursor of itself", () => {
    compiled(() => {
      const hooked = struct(
        "Hooked",
        { value: f64, next: ref("Hooked") },
        { destroy: (record) => expectTypeOf(record.next!.value).toEqualTypeOf<number>() },
      );
      expectTypeOf(arena.new(hooked)).toEqualTypeOf<CursorOf<typeof hooked.fields>>();
      // @ts-expect-error: no such field
      struct("Bad", { value: f64 }, { destroy: (record) => record.valeu });
      // @ts-expect-error: no function
      struct("Bad", { value: f64 }, { destroy: 5 });
    });
  });

  test("gives cursors and records of itself", () => {
    compiled(async () => {
      const runtime = await createRuntime();
      expectTypeOf(runtime.cursor(Level)).toEqualTypeOf<LevelCursor>();
      expectTypeOf(arena.new(Level)).toEqualTypeOf<LevelCursor>();
      expectTypeOf(arena.new(Level, level)).toEqualTypeOf<LevelCursor>();
      expectTypeOf(runtime.array(Level)).toEqualTypeOf<StructArray<LevelFields>>();
      expectTypeOf(arena.bytes(5)).toEqualTypeOf<Bytes>();
      // @ts-expect-error: another struct
      arena.new(Level, node);
      // @ts-expect-error: the length is read-only
      arena.bytes(5).length = 6;
    });
  });
});
