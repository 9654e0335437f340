import { type Arena, array, createRuntime, f64, Ref, type Runtime, ref, type StructType, struct, u8 } from "tidemark";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectRefusal, HOSTILE_OBJECTS } from "./hostile.js";

const Level = struct("Level", { price: f64 });
const Node = struct("Node", { value: f64, next: ref("Node"), level: ref(Level) });
const Family = struct("Family", { children: array(ref("Family"), 2), levels: array(ref(Level), 2), age: u8 });

const Parent: StructType<{ child: ReturnType<typeof lazyChild>; name: typeof u8 }> = struct("Parent", {
  child: lazyChild(),
  name: u8,
});
const Child = struct("Child", { parent: ref(() => Parent), age: u8 });
function lazyChild() {
  return ref((): StructType<{ age: typeof u8 }> => Child as never);
}

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

describe("a ref field", () => {
  test("is null at first, and refers to what it is given, cursor or ref", () => {
    const node = arena.new(Node);
    const level = arena.new(Level);
    expect(node.next).toBe(null);
    node.level = level;
    level.price = 5;
    expect(node.level!.price).toBe(5);
    node.level = null;
    expect(node.level).toBe(null);
    node.assign({ level: level.ref() });
    expect(node.level!.price).toBe(5);
  });

  test("may refer to its own record and to its own struct", () => {
    const node = arena.new(Node);
    node.next = node;
    node.next!.next!.value = 3;
    expect(node.value).toBe(3);
  });

  test("may refer to a struct that is declared later", () => {
    const parent = arena.new(Parent);
    const child = arena.new(Child);
    parent.child = child as never;
    child.parent = parent;
    child.age = 7;
    parent.name = 9;
    expect(child.parent!.child!.age).toBe(7);
    expect(child.parent!.name).toBe(9);
  });

  test("gives a fresh cursor at each reading, so several can be held at once", () => {
    const node = arena.new(Node);
    const first = arena.new(Node);
    node.next = first;
    const one = node.next!;
    node.next = arena.new(Node);
    const two = node.next!;
    one.value = 1;
    two.value = 2;
    expect(first.value).toBe(1);
  });

  test("to a record that has ended is told from null, and refused at the first access", () => {
    const scratch = runtime.arena();
    const node = arena.new(Node);
    node.next = scratch.new(Node);
    expect(node.next!.isLive()).toBe(true);
    scratch.reset();
    scratch.new(Node);
    expect(node.next!.isLive()).toBe(false);
    expectRefusal(() => node.next!.value, "ERR_TIDEMARK_STALE_REFERENCE");
    expectRefusal(() => runtime.cursor(Node).moveTo(node.next), "ERR_TIDEMARK_STALE_REFERENCE");
    const held = (node.toObject() as { next: Ref }).next;
    expect(held.isLive()).toBe(false);
    scratch.destroy();
    expectRefusal(() => node.next!.value, "ERR_TIDEMARK_STALE_REFERENCE");
  });

  test.each([...HOSTILE_OBJECTS.filter(([label]) => label !== "null"), ["undefined", undefined] as const])(
    "does not take %s",
    (_label, value) => {
      const node = arena.new(Node);
      const level = arena.new(Level);
      node.level = level;
      expectRefusal(
        () => {
          node.level = value as null;
        },
        "ERR_TIDEMARK_INVALID_ARGUMENT",
        /Level/,
      );
      expect(node.level!.$address).toBe(level.$address);
    },
  );

  test("does not take a record of another struct, of another runtime, one that has ended, or an unset cursor", async () => {
    using other = await createRuntime();
    const node = arena.new(Node);
    const set = (target: unknown) => () => {
      node.level = target as null;
    };
    const ended = runtime.arena();
    const gone = ended.new(Level);
    ended.destroy();
    expectRefusal(set(node), "ERR_TIDEMARK_INVALID_ARGUMENT", /Level.*Node/);
    expectRefusal(set(node.ref()), "ERR_TIDEMARK_INVALID_ARGUMENT", /Level.*Node/);
    expectRefusal(set(other.arena().new(Level)), "ERR_TIDEMARK_INVALID_ARGUMENT", /another runtime/);
    expectRefusal(set(gone), "ERR_TIDEMARK_STALE_REFERENCE");
    expectRefusal(set(runtime.cursor(Level)), "ERR_TIDEMARK_STALE_REFERENCE");
    expectRefusal(set(arena.array(Level, 1)), "ERR_TIDEMARK_INVALID_ARGUMENT");
    expect(node.level).toBe(null);
  });

  test("whose function gives no struct, or throws, is an invalid struct at its first use", () => {
    const Lazy = struct("Lazy", { nothing: ref((() => 5) as never), thrown: ref((() => missing()) as never) });
    const missing = (): never => {
      throw new ReferenceError("not yet");
    };
    const lazy = arena.new(Lazy);
    const level = arena.new(Level);
    for (const name of ["nothing", "thrown"] as const) {
      expectRefusal(
        () => {
          lazy[name] = level as never;
        },
        "ERR_TIDEMARK_INVALID_STRUCT",
        /ref/,
      );
      expectRefusal(() => lazy.follow(name, level as never), "ERR_TIDEMARK_INVALID_STRUCT");
      expect(lazy[name]).toBe(null);
    }
    expectRefusal(() => lazy.copyTo(arena), "ERR_TIDEMARK_INVALID_STRUCT");
  });

  test("whose function ends the record, or what is to have its copy, is refused there and then", async () => {
    using own = await createRuntime();
    let end: () => void;
    const makeNode = () =>
      struct("Node", {
        value: f64,
        level: ref(() => {
          end();
          return Level;
        }),
      });
    const [source, target] = [own.arena(), own.arena()];
    const copied = source.new(makeNode()).assign({ value: 5 });
    let later = target;
    end = () => {
      target.destroy();
      later = own.arena();
    };
    const used = own.arena().stats().used;
    expectRefusal(() => copied.copyTo(target), "ERR_TIDEMARK_DISPOSED");
    expect(later.stats().used).toBe(used);

    end = () => {
      source.reset();
      source.array(u8, 64).set(12, 255); // what lies there now would be taken for a ref
    };
    expectRefusal(() => source.new(makeNode()).copyTo(later), "ERR_TIDEMARK_STALE_REFERENCE");
    const level = own.cursor(Level);
    expectRefusal(() => source.new(makeNode()).follow("level", level), "ERR_TIDEMARK_STALE_REFERENCE");
    expect(level.$address).toBe(0);
    expectRefusal(() => {
      const node = source.new(makeNode());
      node.level = source.new(Level);
      node.toObject();
    }, "ERR_TIDEMARK_STALE_REFERENCE");
    expect(later.stats().used).toBe(used);
  });

  test("whose function throws takes no memory, however often a copy is refused for it", async () => {
    using own = await createRuntime({ maximumBytes: 16 << 20 });
    let isReady = false;
    const Late = struct("Late", {
      value: f64,
      level: ref((): typeof Level => {
        if (!isReady) throw new ReferenceError("not yet");
        return Level;
      }),
    });
    const Top = struct("Top", { first: ref(Late), second: ref(Level), value: f64 });
    const top = own.arena().new(Top);
    top.value = 5;
    const target = own.arena();
    expectRefusal(() => top.copyTo(target), "ERR_TIDEMARK_INVALID_STRUCT");
    const before = [own.stats(), target.stats()];
    let refusals = 0;
    for (let attempt = 0; attempt < 50_000; attempt++) {
      try {
        top.copyTo(target);
      } catch {
        refusals++;
      }
    }
    expect(refusals).toBe(50_000);
    expect([own.stats(), target.stats()]).toEqual(before);
    isReady = true;
    expect(top.copyTo(target).value).toBe(5);
    own.validate();
  });
});

describe("follow", () => {
  test("walks a list without making a cursor", () => {
    const first = arena.new(Node);
    let last = first;
    for (let value = 1; value < 10; value++) {
      const node = arena.new(Node).assign({ value });
      last.next = node;
      last = node;
    }
    const walker = runtime.cursor(Node).moveTo(first);
    let sum = 0;
    do sum += walker.value;
    while (walker.follow("next"));
    expect(sum).toBe(45);
    expect(walker.value).toBe(9);
  });

  test("moves another cursor, and leaves it where it is at the end of the list", () => {
    const node = arena.new(Node);
    const level = arena.new(Level).assign({ price: 3 });
    const cursor = runtime.cursor(Level).moveTo(level);
    expect(node.follow("level", cursor)).toBe(false);
    expect(cursor.price).toBe(3);
    const second = arena.new(Level).assign({ price: 4 });
    node.level = second;
    expect(node.follow("level", cursor)).toBe(true);
    expect(cursor.price).toBe(4);
  });

  test.each(["value", "children", "toString", "__proto__", "", 0, null, undefined, 5n, Symbol("next"), {}])(
    "refuses %s as a field",
    (name) => {
      const node = arena.new(Node).assign({ value: 1 });
      expectRefusal(() => node.follow(name as "next"), "ERR_TIDEMARK_INVALID_ARGUMENT", /Node/);
      expect(node.value).toBe(1);
    },
  );

  test.each(HOSTILE_OBJECTS)("refuses %s as the cursor to move", (_label, into) => {
    const node = arena.new(Node);
    expectRefusal(() => node.follow("level", into as never), "ERR_TIDEMARK_INVALID_ARGUMENT", /Level/);
  });

  test("refuses a cursor of another struct or runtime, and a record that has ended, and moves nothing", async () => {
    using other = await createRuntime();
    const scratch = runtime.arena();
    const node = arena.new(Node).assign({ value: 1, level: scratch.new(Level), next: scratch.new(Node) });
    expectRefusal(() => node.follow("level" as never), "ERR_TIDEMARK_INVALID_ARGUMENT", /Level.*Node/);
    expectRefusal(() => node.follow("level", other.cursor(Level)), "ERR_TIDEMARK_INVALID_ARGUMENT", /another runtime/);
    scratch.destroy();
    expectRefusal(() => node.follow("next"), "ERR_TIDEMARK_STALE_REFERENCE");
    expect(node.value).toBe(1);
  });
});

describe("arrays of refs", () => {
  test("inside a struct hold refs to its own struct and to others", () => {
    const family = arena.new(Family);
    const child = arena.new(Family).assign({ age: 4 });
    const level = arena.new(Level).assign({ price: 2 });
    family.children.set(1, child);
    family.levels.set(0, level.ref());
    expect(family.children.at(0)).toBe(null);
    const found = family.children.at(1);
    expect(found).toBeInstanceOf(Ref);
    expect(runtime.cursor(Family).moveTo(found).age).toBe(4);
    expect(runtime.cursor(Level).moveTo(family.levels.at(0)).price).toBe(2);
    family.assign({ children: [child, null], levels: [null, level] });
    expect(runtime.cursor(Family).moveTo(family.children.at(0)).age).toBe(4);
    expectRefusal(() => family.children.set(0, level as never), "ERR_TIDEMARK_INVALID_ARGUMENT", /Family.*Level/);
    expectRefusal(() => family.assign({ children: [null, level as never] }), "ERR_TIDEMARK_INVALID_ARGUMENT");
    expect(family.children.at(0)).not.toBe(null);
  });

  test("in a region grow, and their refs notice when a record ends", () => {
    const scratch = runtime.arena();
    const refs = arena.array(ref(Level));
    for (let price = 0; price < 100; price++) refs.push(scratch.new(Level).assign({ price }));
    const cursor = runtime.cursor(Level);
    let price = 0;
    for (const target of refs) expect(cursor.moveTo(target).price).toBe(price++);
    expect(price).toBe(100);
    scratch.destroy();
    expect(refs.at(5)!.isLive()).toBe(false);
    expectRefusal(() => cursor.moveTo(refs.at(5)), "ERR_TIDEMARK_STALE_REFERENCE");
  });

  test("cannot be made from a ref by name, which has no struct of its own", () => {
    expectRefusal(() => arena.array(ref("Node")), "ERR_TIDEMARK_INVALID_STRUCT", /Node/);
    expectRefusal(() => runtime.array(ref("Node")), "ERR_TIDEMARK_INVALID_STRUCT", /Node/);
    expectRefusal(() => arena.array(array(ref("Node"), 2), 3), "ERR_TIDEMARK_INVALID_STRUCT", /Node/);
  });

  test("are copied from one record to another as they are, also those whose records have ended", () => {
    const scratch = runtime.arena();
    const one = arena.new(Family).assign({ levels: [scratch.new(Level), arena.new(Level)] });
    const two = arena.new(Family);
    scratch.reset();
    two.levels = one.levels;
    expect(two.levels.at(0)!.isLive()).toBe(false);
    expect(two.levels.at(1)!.isLive()).toBe(true);
  });

  test("are copied with the graph that they hold together", () => {
    const family = arena.new(Family).assign({ age: 1 });
    const child = arena.new(Family).assign({ age: 2, children: [family, null] });
    family.assign({ children: [child, child] });
    using target = runtime.arena();
    const copy = family.copyTo(target);
    arena.reset();
    const [one, two] = copy.children.toArray();
    expect(one!.$address).toBe(two!.$address);
    const cursor = runtime.cursor(Family).moveTo(one!);
    expect(cursor.age).toBe(2);
    expect(cursor.children.at(0)!.$address).toBe(copy.$address);
  });
});

describe("a ref held in TypeScript", () => {
  test("stays where it is while its cursor moves on, and knows when the record has ended", () => {
    const cursor = arena.new(Level).assign({ price: 1 });
    const held = cursor.ref();
    arena.new(Level, cursor).price = 2;
    expect(runtime.cursor(Level).moveTo(held).price).toBe(1);
    expect(held.isLive()).toBe(true);
    arena.reset();
    expect(held.isLive()).toBe(false);
  });

  test("of a record before a mark outlives the rewind, and one after it does not", () => {
    const before = arena.new(Level).ref();
    const mark = arena.mark();
    const after = arena.new(Level).ref();
    arena.rewind(mark);
    expect(before.isLive()).toBe(true);
    expect(after.isLive()).toBe(false);
  });
});
