import {
  Arena,
  array,
  type CursorOf,
  createRuntime,
  DestroyHookError,
  f64,
  ReentrantCallError,
  type Ref,
  type Region,
  type Runtime,
  ref,
  StaleReferenceError,
  struct,
  TidemarkError,
  u32,
} from "tidemark";
import { beforeEach, describe, expect, test } from "vitest";
import { arenaWord, modules, Owner, PAGE, validate, withRuntime } from "../support/runtimes.js";
import { code, thrownBy } from "../support/thrown.js";

type TicketCursor = CursorOf<(typeof Ticket)["fields"]>;

/** What the hook of tickets does beside noting that it was called; set by the tests. */
let behave: (ticket: TicketCursor) => void = () => {};
/** The numbers of the tickets whose hook has run. */
const destroyed: number[] = [];
beforeEach(() => {
  behave = () => {};
  destroyed.length = 0;
});

const Ticket = struct(
  "Ticket",
  { id: u32, next: ref("Ticket") },
  {
    destroy(ticket) {
      destroyed.push(ticket.id);
      behave(ticket);
    },
  },
);
const Tag = struct("Tag", { id: u32 }, { destroy() {} });
const Cell = struct("Cell", { value: f64 });

/** Makes a ticket of this number. */
function ticket(space: Arena | Region, id: number): TicketCursor {
  const cursor = space.new(Ticket);
  cursor.id = id;
  return cursor;
}

/** What `destroyed` has, taken out of it. */
const taken = () => destroyed.splice(0);

/** The runtimes of arenas, for calls that need them. */
const runtimes = new WeakMap<Arena, Runtime>();

/** A call on something that is made before. */
function bound<T>(thing: T, use: (thing: T) => unknown): () => unknown {
  return () => use(thing);
}

describe.each(modules)("a destroy hook, $name module", ({ debug }) => {
  test("is called for each record, the newest first, when the arena is reset, destroyed or disposed of", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      for (let round = 0; round < 3; round++) {
        for (const id of [1, 2, 3]) ticket(arena, id);
        arena.new(Cell).value = 1;
        expect(taken()).toEqual([]);
        expect(arena.reset()).toBeGreaterThan(3 * Ticket.size);
        expect(taken()).toEqual([3, 2, 1]);
        expect(arena.reset()).toBe(0);
        validate(runtime, arena);
      }
      ticket(arena, 4);
      arena.destroy();
      arena.destroy();
      expect(taken()).toEqual([4]);
      {
        using scoped = runtime.arena();
        ticket(scoped, 5);
      }
      expect(taken()).toEqual([5]);
      runtime.dispose();
      expect(taken()).toEqual([]);
    }));

  test("is called at a rewind for the records made since the mark, and for the others later", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      ticket(arena, 1);
      const outer = arena.mark();
      ticket(arena, 2);
      const inner = arena.mark();
      ticket(arena, 3);
      ticket(arena, 4);
      arena.rewind(inner);
      expect(taken()).toEqual([4, 3]);
      arena.rewind(inner);
      expect(taken()).toEqual([]);
      ticket(arena, 5);
      arena.rewind(outer);
      expect(taken()).toEqual([5, 2]);
      ticket(arena, 6);
      expect(() => arena.rewind(inner)).toThrow(code("STALE_MARK"));
      expect(taken()).toEqual([]);
      arena.reset();
      expect(taken()).toEqual([6, 1]);
      validate(runtime, arena);
    }));

  test.each<[string, (parent: Arena) => void, number[]]>([
    ["reset", (parent) => parent.reset(), [7, 6, 5, 4, 3, 2, 1]],
    ["destroy", (parent) => parent.destroy(), [7, 6, 5, 4, 3, 2, 1]],
  ])("is called at the %s of a parent for all nested arenas' records too, the newest of all first", (_, end, order) =>
    withRuntime({ debug }, (runtime) => {
      const parent = runtime.arena();
      ticket(parent, 1);
      const child = parent.arena();
      ticket(child, 2);
      ticket(parent, 3);
      const grandchild = child.arena();
      ticket(grandchild, 4);
      ticket(child, 5);
      const second = parent.arena();
      ticket(second, 6);
      ticket(grandchild, 7);
      end(parent);
      expect(taken()).toEqual(order);
      expect([child.destroyed, grandchild.destroyed, second.destroyed]).toEqual([true, true, true]);
      runtime.validate();
    }),
  );

  test("is called at the rewind of a parent for the arenas made since the mark, and not for those made before", () =>
    withRuntime({ debug }, (runtime) => {
      const parent = runtime.arena();
      const early = parent.arena();
      ticket(early, 1);
      const mark = parent.mark();
      const late = parent.arena();
      ticket(late, 2);
      ticket(early, 3);
      ticket(parent, 4);
      parent.rewind(mark);
      expect(taken()).toEqual([4, 2]);
      expect([early.destroyed, late.destroyed]).toEqual([false, true]);
      parent.destroy();
      expect(taken()).toEqual([3, 1]);
    }));

  test("is called once for records of an arena that was destroyed before its parent", () =>
    withRuntime({ debug }, (runtime) => {
      const parent = runtime.arena();
      const child = parent.arena();
      ticket(child, 1);
      ticket(parent, 2);
      child.destroy();
      expect(taken()).toEqual([1]);
      parent.reset();
      expect(taken()).toEqual([2]);
    }));

  test("is called by dispose for all that is alive in all arenas and leased regions, the newest first", async () => {
    const runtime = await createRuntime({ debug });
    const pool = runtime.regionPool();
    const region = pool.createRegion();
    pool.lease(region, 0);
    const arena = runtime.arena();
    ticket(arena, 1);
    ticket(region, 2);
    ticket(arena.arena(), 3);
    runtime.arena().mark();
    ticket(arena, 4);
    runtime.dispose();
    expect(taken()).toEqual([4, 3, 2, 1]);
    runtime.dispose();
    arena.destroy();
    expect(pool.end(region)).toBe(0);
    expect(taken()).toEqual([]);
  });

  test("that dispose has called cannot reset an arena, though there is nothing in it that has a hook", () =>
    withRuntime({ debug }, (runtime) => {
      const cell = runtime.arena().new(Cell);
      const small = runtime.arena();
      const kept = small.new(Cell);
      cell.value = kept.value = 5;
      const seen: unknown[] = [];
      behave = () => {
        try {
          small.reset();
        } catch (error) {
          seen.push((error as TidemarkError).code, kept.value);
        }
      };
      ticket(runtime.arena(), 1);
      runtime.dispose();
      expect(seen).toEqual(["ERR_TIDEMARK_DISPOSED", 5]);
    }));

  test("is called by dispose for the records of an arena object that the program has dropped", async () => {
    const runtime = await createRuntime({ debug });
    (() => ticket(runtime.arena(), 1))();
    runtime.dispose();
    expect(taken()).toEqual([1]);
  });

  test("is called when a region ends, once for each round of the region", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      for (let event = 0; event < 5; event++) {
        pool.lease(region, 0);
        expect(region.stats().used).toBe(0);
        const bare = region.new(Cell);
        if (event % 2 === 1) {
          ticket(region, 1);
          ticket(event === 3 ? region.arena() : region, 2);
        }
        pool.end(region);
        expect(taken()).toEqual(event % 2 === 1 ? [2, 1] : []);
        expect([bare.isLive(), region.ended, pool.leased, pool.size]).toEqual([false, true, 0, 1]);
      }
      pool.lease(region, 0);
      ticket(region, 3);
      pool.dispose();
      expect(taken()).toEqual([]);
      pool.end(region);
      expect([taken(), pool.size]).toEqual([[3], 0]);
    }));

  test("sees its record, and those that its refs lead to, live and as they were, whichever goes first", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const seen: unknown[] = [];
      behave = (record) => {
        seen.push(record.next?.id, record.isLive(), record.next?.next?.id);
        record.id += 100;
      };
      const old = ticket(arena.arena(), 1);
      const young = ticket(arena, 2);
      old.next = young;
      young.next = old;
      arena.reset();
      expect(seen).toEqual([1, true, 2, 102, true, 1]);
      expect([old.isLive(), young.isLive()]).toEqual([false, false]);
    }));

  test("has memory below it reclaimed only after the last hook: values that plain records hold are there too", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const cell = arena.new(Cell);
      cell.value = 12.5;
      const text = arena.text("tide");
      const seen: unknown[] = [];
      behave = () => seen.push(cell.value, text.toString());
      ticket(arena, 1);
      ticket(arena, 2);
      arena.reset();
      expect(seen).toEqual([12.5, "tide", 12.5, "tide"]);
    }));

  test("may use other arenas and collections, whose own hooks then run inside it", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const other = runtime.arena();
      const map = runtime.sortedMap(u32, f64);
      ticket(arena, 0);
      arena.reset(); // hooks are called with a cursor from then on that was made for the first
      taken();
      ticket(other, 10);
      ticket(other, 11);
      behave = (record) => {
        map.set(record.id, 1);
        if (record.id !== 2) return;
        const next = record.next!;
        other.reset();
        runtime.arena().new(Cell).value = 1;
        ticket(other, 12);
        expect([record.id, next.id]).toEqual([2, 1]); // the inner hooks have a cursor of their own
      };
      const first = ticket(arena, 1);
      ticket(arena, 2).next = first;
      arena.reset();
      expect(taken()).toEqual([2, 11, 10, 1]);
      expect(Array.from(map, ({ key }) => key)).toEqual([1, 2, 10, 11]);
      other.reset();
      expect(taken()).toEqual([12]);
    }));

  test("may use the parent of an arena that ends, and a child that does not end", () =>
    withRuntime({ debug }, (runtime) => {
      const parent = runtime.arena();
      const early = parent.arena();
      const mark = parent.mark();
      const late = parent.arena();
      ticket(late, 1);
      behave = () => {
        parent.new(Cell).value = 1;
        early.new(Cell).value = 2;
      };
      late.destroy();
      ticket(parent, 2);
      behave = () => early.reset();
      parent.rewind(mark);
      expect(taken()).toEqual([1, 2]);
      validate(runtime, parent, early);
    }));

  test("may have memory grow", () =>
    withRuntime({ debug, initialBytes: 2 * PAGE }, (runtime) => {
      const arena = runtime.arena();
      const other = runtime.arena();
      behave = () => other.bytes(20 * PAGE);
      for (const id of [1, 2, 3]) ticket(arena, id);
      const { growths } = runtime.stats();
      arena.reset();
      expect(taken()).toEqual([3, 2, 1]);
      expect(runtime.stats().growths).toBeGreaterThan(growths);
      ticket(arena, 4);
      behave = () => runtime.memory.grow(1); // behind our back
      ticket(arena, 5);
      runtime.memory.grow(1);
      arena.reset();
      expect(taken()).toEqual([5, 4]);
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      pool.lease(region, 0);
      ticket(region, 6);
      runtime.memory.grow(1);
      pool.end(region);
      expect(taken()).toEqual([6]);
      const { memory } = runtime;
      behave = () => memory.grow(1);
      ticket(arena, 7);
      ticket(arena, 8);
      validate(runtime, arena);
      runtime.dispose();
      expect(taken()).toEqual([8, 7]);
    }));

  describe.each<[string, (bench: { arena: Arena; parent: Arena; child: Arena; mark: unknown }) => () => unknown]>([
    [
      "new",
      ({ arena }) =>
        () =>
          arena.new(Cell),
    ],
    ["new, with a cursor", ({ arena }) => bound(Cell.$newCursor(arena.$memory), (cell) => arena.new(Cell, cell))],
    [
      "new, of a struct with a hook",
      ({ arena }) =>
        () =>
          arena.new(Ticket),
    ],
    [
      "allocate",
      ({ arena }) =>
        () =>
          arena.allocate(8),
    ],
    [
      "allocate, aligned",
      ({ arena }) =>
        () =>
          arena.allocate(8, 64),
    ],
    [
      "allocate, large",
      ({ arena }) =>
        () =>
          arena.allocate(10 * PAGE),
    ],
    [
      "bytes",
      ({ arena }) =>
        () =>
          arena.bytes(1),
    ],
    [
      "text",
      ({ arena }) =>
        () =>
          arena.text("tide"),
    ],
    [
      "array",
      ({ arena }) =>
        () =>
          arena.array(f64, 3),
    ],
    [
      "array, growable",
      ({ arena }) =>
        () =>
          arena.array(f64),
    ],
    ["push, to an array that needs a segment", ({ arena }) => bound(arena.array(f64), (values) => values.push(1))],
    [
      "mark",
      ({ arena }) =>
        () =>
          arena.mark(),
    ],
    [
      "arena",
      ({ arena }) =>
        () =>
          arena.arena(),
    ],
    ["copyTo", ({ arena, parent }) => bound(parent.new(Cell), (cell) => cell.copyTo(arena))],
    [
      "reset",
      ({ arena }) =>
        () =>
          arena.reset(),
    ],
    [
      "rewind",
      ({ arena, mark }) =>
        () =>
          arena.rewind(mark as never),
    ],
    [
      "destroy",
      ({ arena }) =>
        () =>
          arena.destroy(),
    ],
    [
      "dispose",
      ({ arena }) =>
        () =>
          arena[Symbol.dispose](),
    ],
    [
      "a new record in a nested arena",
      ({ child }) =>
        () =>
          child.new(Cell),
    ],
    [
      "the reset of a nested arena",
      ({ child }) =>
        () =>
          child.reset(),
    ],
    [
      "the destroy of a nested arena",
      ({ child }) =>
        () =>
          child.destroy(),
    ],
    [
      "the reset of the parent",
      ({ parent }) =>
        () =>
          parent.reset(),
    ],
    [
      "the destroy of the parent",
      ({ parent }) =>
        () =>
          parent.destroy(),
    ],
    [
      "the dispose of the runtime",
      ({ arena }) =>
        () =>
          runtimes.get(arena)!.dispose(),
    ],
  ])("is refused %s", (_, make) => {
    test.each<[string, (arena: Arena, mark: never) => void]>([
      ["reset", (arena) => arena.reset()],
      ["rewind", (arena, mark) => arena.rewind(mark)],
      ["destroy", (arena) => arena.destroy()],
    ])("while its arena is in a %s, and nothing changes", (operation, end) =>
      withRuntime({ debug }, (runtime) => {
        const parent = runtime.arena();
        const arena = parent.arena();
        runtimes.set(arena, runtime);
        const mark = arena.mark();
        const child = arena.arena();
        const kept = parent.new(Cell);
        const call = make({ arena, parent, child, mark });
        ticket(arena, 1);
        ticket(child, 2);
        const figures = () => [runtime.stats(), parent.stats(), arena.stats(), child.stats(), kept.isLive()];
        const failures: unknown[] = [];
        behave = () => {
          const before = figures();
          failures.push(thrownBy(call));
          expect(figures()).toEqual(before);
        };
        end(arena, mark as never);
        expect(failures).toEqual([code("REENTRANT_CALL"), code("REENTRANT_CALL")]);
        expect(failures[0]).toBeInstanceOf(ReentrantCallError);
        expect(taken()).toEqual([2, 1]);
        expect([arena.destroyed, child.destroyed, runtime.disposed]).toEqual([operation === "destroy", true, false]);
        behave = () => {};
        if (operation !== "destroy") {
          expect(arena.new(Cell).value).toBe(0);
          ticket(arena, 3);
          arena.reset();
          expect(taken()).toEqual([3]);
        }
        validate(runtime, parent);
      }),
    );
  });

  test("is refused the end of its region, and what would allocate there", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      pool.lease(region, 0);
      ticket(region, 1);
      behave = () => {
        expect(() => pool.end(region)).toThrow(ReentrantCallError);
        expect(() => region.new(Cell)).toThrow(ReentrantCallError);
        expect(() => pool.lease(region, 0)).toThrow(code("INVALID_ARGUMENT"));
        const other = pool.createRegion();
        pool.lease(other, 0);
        other.new(Cell).value = 1;
        pool.end(other);
      };
      pool.end(region);
      expect([taken(), pool.leased, pool.size]).toEqual([[1], 0, 2]);
    }));

  test.each<[string, (runtime: Runtime) => { arena: Arena | Region; end: () => void }]>([
    [
      "reset",
      (runtime) => {
        const arena = runtime.arena();
        return { arena, end: () => arena.reset() };
      },
    ],
    [
      "destroy",
      (runtime) => {
        const arena = runtime.arena();
        return { arena, end: () => arena.destroy() };
      },
    ],
    [
      "rewind",
      (runtime) => {
        const arena = runtime.arena();
        const mark = arena.mark();
        return { arena, end: () => arena.rewind(mark) };
      },
    ],
    [
      "end of a region",
      (runtime) => {
        const pool = runtime.regionPool();
        const arena = pool.createRegion();
        pool.lease(arena, 0);
        return { arena, end: () => pool.end(arena) };
      },
    ],
    ["dispose", (runtime) => ({ arena: runtime.arena(), end: () => runtime.dispose() })],
  ])("that throws keeps no other hook from running, nor the memory from being reclaimed, at a %s", (_, make) =>
    withRuntime({ debug }, (runtime) => {
      const { arena, end } = make(runtime);
      const cells = [1, 2, 3, 4].map((id) => ticket(arena, id));
      const causes = new Map([2, 3].map((id) => [id, new Error(`ticket ${id} is torn`)]));
      behave = (record) => {
        const cause = causes.get(record.id);
        if (cause !== undefined) throw cause;
      };
      const error = thrownBy(end) as Error;
      expect(error).toBeInstanceOf(DestroyHookError);
      expect(error).toBeInstanceOf(TidemarkError);
      expect(error).toEqual(code("DESTROY_HOOK"));
      expect(error.cause).toBe(causes.get(3));
      expect(error.message).toMatch(/2 destroy hooks threw.*ticket 3 is torn/);
      expect(taken()).toEqual([4, 3, 2, 1]);
      expect(cells.some((cell) => cell.isLive())).toBe(false);
      if (!runtime.disposed) runtime.validate();
      if (arena instanceof Arena && !arena.destroyed) expect(arena.stats().used).toBeLessThan(Ticket.size * 4);
      runtime.dispose();
      expect(taken()).toEqual([]);
    }),
  );

  test.each([
    [undefined],
    [null],
    ["text"],
    [Object.create(null)],
    [Symbol("thrown")],
    [Object.freeze(new Error("cold"))],
  ])("may throw anything: %s", (thrown) =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      ticket(arena, 1);
      behave = () => {
        throw thrown;
      };
      const error = thrownBy(() => arena.reset()) as Error;
      expect(error).toBeInstanceOf(DestroyHookError);
      expect(error.cause).toBe(thrown);
      expect(error.message).toMatch(/a destroy hook threw/);
      behave = () => {};
      ticket(arena, 2);
      arena.reset();
      expect(taken()).toEqual([1, 2]);
    }),
  );

  test("of a sweep inside another throws into the hook that began it", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const other = runtime.arena();
      ticket(other, 10);
      ticket(arena, 1);
      ticket(arena, 2);
      behave = ({ id }) => {
        if (id === 10) throw new Error("inner");
        if (id === 2) expect(thrownBy(() => other.reset())).toEqual(code("DESTROY_HOOK"));
      };
      arena.reset();
      expect(taken()).toEqual([2, 10, 1]);
    }));

  test("can read and write records and use collections while the runtime is disposed of, and nothing else", async () => {
    const runtime = await createRuntime({ debug });
    const arena = runtime.arena();
    const other = runtime.arena();
    const cell = other.new(Cell);
    cell.value = 1;
    const map = runtime.sortedMap(u32, f64);
    const pool = runtime.regionPool();
    const region = pool.createRegion();
    ticket(arena, 1);
    let calls = 0;
    behave = (record) => {
      record.id = 5;
      cell.value = record.id;
      map.set(1, cell.value);
      expect([map.get(1), cell.value, cell.isLive(), runtime.disposed]).toEqual([5, 5, true, true]);
      for (const call of [
        () => arena.new(Cell),
        () => other.new(Cell),
        () => other.new(Cell, cell),
        () => other.bytes(5),
        () => other.mark(),
        () => other.arena(),
        () => runtime.arena(),
        () => runtime.sortedMap(f64, f64),
        () => runtime.regionPool(),
        () => pool.lease(region, 0),
        () => runtime.reserve(1),
        () => runtime.stats(),
      ]) {
        expect(thrownBy(call)).toEqual(code("DISPOSED"));
        calls++;
      }
      runtime.dispose();
      arena.destroy();
      map.dispose();
    };
    runtime.dispose();
    expect([taken(), calls]).toEqual([[1], 12]);
    expect(() => cell.value).toThrow(code("DISPOSED"));
    expect(() => map.get(1)).toThrow(code("DISPOSED"));
  });

  test("that throws lets the runtime be disposed of, its memory be used again and its listeners be told", async () => {
    const memory = new WebAssembly.Memory({ initial: 4, maximum: 64 });
    const options = { debug, memory, maximumBytes: 64 * PAGE };
    const runtime = await createRuntime(options);
    let told = 0;
    runtime.$onDispose(() => told++);
    ticket(runtime.arena(), 1);
    behave = () => {
      throw new Error("torn");
    };
    expect(() => runtime.dispose()).toThrow(DestroyHookError);
    expect([taken(), told, runtime.disposed]).toEqual([[1], 1, true]);
    const next = await createRuntime(options);
    next.dispose();
    expect(taken()).toEqual([]);
  });

  test.each<[string, (arena: Arena, mark: never) => unknown]>([
    ["reset", (arena) => arena.reset()],
    ["rewind", (arena, mark) => arena.rewind(mark)],
  ])("has not run when a %s is refused for want of a guard, and cannot make one fail that has begun", (_, end) =>
    withRuntime({ debug, maximumBytes: 6 * PAGE, initialBytes: 6 * PAGE }, (runtime) => {
      const { exports, i32, u32 } = runtime.$memory;
      const arena = runtime.arena();
      const mark = arena.mark();
      // The guards of both frames are at their end, so that either operation has to replace one.
      i32[arenaWord(arena, "ARENA_GUARD") >>> 2] = -2;
      i32[u32[(mark.$address + 4) >>> 2]! >>> 2] = -2;
      const record = ticket(arena, 1);
      const guards: number[] = [];
      const eat = () => {
        while (exports.allocatePages(1, Owner.SCRATCH) !== 0);
        for (let guard = 1; guard !== 0; guards.push(guard)) guard = exports.setGuardAside(arena.address, 0, -1) >>> 0;
        guards.pop();
      };
      eat();
      expect(thrownBy(() => end(arena, mark as never))).toEqual(code("OUT_OF_MEMORY"));
      expect([taken(), record.isLive(), record.id]).toEqual([[], true, 1]);
      exports.returnGuard(guards.pop()!);
      behave = eat;
      end(arena, mark as never);
      expect([taken(), record.isLive()]).toEqual([[1], false]);
      behave = () => {};
      exports.returnGuard(guards.pop()!);
      ticket(arena, 2);
      arena.reset();
      expect(taken()).toEqual([2]);
      validate(runtime, arena);
    }),
  );

  test("is not called for a record that could not be made", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena({ maximumBytes: 200 });
      ticket(arena, 1);
      ticket(arena, 2);
      ticket(arena, 3);
      const { used } = arena.stats();
      expect(() => arena.new(Ticket)).toThrow(code("LIMIT_EXCEEDED"));
      expect(() => arena.new(Ticket, runtime.cursor(Cell) as never)).toThrow(code("INVALID_ARGUMENT"));
      expect(arena.stats().used).toBe(used);
      arena.reset();
      expect(taken()).toEqual([3, 2, 1]);
    }));

  test("is called for records across many blocks, and with a cursor that is reused or one that is given", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const cursor = runtime.cursor(Ticket);
      const ids = Array.from({ length: 20_000 }, (_, index) => index);
      for (const id of ids) arena.new(Ticket, cursor).id = id;
      const kept: Ref[] = [];
      behave = (record) => {
        if (record.id === 7) kept.push(record.ref());
      };
      arena.reset();
      expect(taken()).toEqual(ids.reverse());
      expect(() => cursor.moveTo(kept[0]!)).toThrow(StaleReferenceError);
      validate(runtime, arena);
    }));

  test("is not copied: a graph with such a record is refused whole, unless it lies in the target already", () =>
    withRuntime({ debug }, (runtime) => {
      const Holder = struct("Holder", { value: f64, ticket: ref(Ticket), next: ref("Holder") });
      const arena = runtime.arena();
      const target = runtime.arena();
      const mine = ticket(arena, 1);
      const holder = arena.new(Holder);
      holder.next = arena.new(Holder);
      const before = target.stats();
      expect(() => mine.copyTo(target)).toThrow(code("INVALID_ARGUMENT"));
      holder.next.ticket = mine;
      expect(() => holder.copyTo(target)).toThrow(/destroy hook/);
      expect(target.stats()).toEqual(before);
      const theirs = ticket(target, 2);
      holder.next.ticket = theirs;
      expect(holder.copyTo(target).next?.ticket?.id).toBe(2);
      holder.next.ticket = null;
      expect(holder.copyTo(target).next?.ticket).toBe(null);
      target.destroy();
      arena.destroy();
      expect(taken()).toEqual([2, 1]);
    }));

  test.each<[string, (runtime: Runtime, arena: Arena) => unknown]>([
    ["array", (_, arena) => arena.array(Ticket)],
    ["array, fixed", (_, arena) => arena.array(Ticket, 3)],
    ["arrayAt", (_, arena) => arena.arrayAt(Ticket, arena.allocate(64), 1)],
    ["an array to reuse", (runtime) => runtime.array(Ticket)],
    ["the keys of a sorted map", (runtime) => runtime.sortedMap(Tag, f64)],
    ["the values of a sorted map", (runtime) => runtime.sortedMap(f64, Tag)],
  ])("cannot be called for %s, which is refused", (_, make) =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const { bytesByOwner } = runtime.stats();
      expect(thrownBy(() => make(runtime, arena))).toEqual(code("INVALID_ARGUMENT"));
      expect(thrownBy(() => make(runtime, arena))).toHaveProperty(
        "message",
        expect.stringMatching(/T(icket|ag).* destroy hook/),
      );
      expect(runtime.stats().bytesByOwner.sortedMaps).toBe(bytesByOwner.sortedMaps);
    }),
  );
});

describe("the declaration of a destroy hook", () => {
  test.each<[string, () => unknown]>([
    ["in a nested struct", () => struct("Outer", { inner: Ticket })],
    ["in an inline array", () => array(Ticket, 3)],
    ["that is no function", () => struct("Bad", { value: f64 }, { destroy: 5 as never })],
    ["in options that are none", () => struct("Bad", { value: f64 }, null as never)],
    ["given as the options", () => struct("Bad", { value: f64 }, 5 as never)],
  ])("%s is refused", (_, declare) => {
    expect(declare).toThrow(code("INVALID_STRUCT"));
  });

  test("leaves the layout as it is, and may be left out", () => {
    const fields = { id: u32, value: f64 };
    const plain = struct("Plain", fields, {});
    const hooked = struct("Hooked", fields, { destroy() {} });
    expect([hooked.size, hooked.alignment, hooked.offsets]).toEqual([plain.size, plain.alignment, plain.offsets]);
    expect(plain.$destroy).toBeUndefined();
  });

  test("is read once: what becomes of the options later changes nothing", () =>
    withRuntime({}, (runtime) => {
      const options = { destroy: () => destroyed.push(1) };
      const Once = struct("Once", { value: f64 }, options as never);
      options.destroy = () => destroyed.push(2);
      const arena = runtime.arena();
      arena.new(Once);
      arena.reset();
      expect(taken()).toEqual([1]);
    }));
});
