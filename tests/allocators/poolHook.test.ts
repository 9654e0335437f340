import {
  type CursorOf,
  createRuntime,
  DestroyHookError,
  type Pool,
  type PoolOptions,
  ReentrantCallError,
  type Runtime,
  ref,
  StaleReferenceError,
  struct,
  u32,
} from "tidemark";
import { beforeEach, describe, expect, test } from "vitest";
import { modules, PAGE, withoutStacks, withRuntime } from "../support/runtimes.js";
import { code, thrownBy } from "../support/thrown.js";

withoutStacks();

/** What the hook does beside noting that it was called; set by the tests. */
let behave: (ticket: TicketCursor) => void = () => {};
const destroyed: number[] = [];
beforeEach(() => {
  behave = () => {};
  destroyed.length = 0;
});
/** What `destroyed` has, taken out of it. */
const taken = () => destroyed.splice(0);

function destroy(ticket: TicketCursor): void {
  destroyed.push(ticket.id);
  behave(ticket);
}
const Ticket = struct("Ticket", { id: u32, next: ref("Ticket") });
const Hooked = struct("Ticket", { id: u32, next: ref("Ticket") }, { destroy: (ticket) => destroy(ticket as never) });
type Fields = (typeof Ticket)["fields"];
type TicketCursor = CursorOf<Fields>;

/** The two places that a hook can stand in. */
const places: [string, (runtime: Runtime, options?: PoolOptions<Fields>) => Pool<Fields>][] = [
  ["the pool's own", (runtime, options) => runtime.pool(Ticket, { ...options, destroy })],
  ["the struct's", (runtime, options) => runtime.pool(Hooked as never, options)],
];

function ticket(pool: Pool<Fields>, id: number): TicketCursor {
  const cursor = pool.new(pool.cursor());
  cursor.id = id;
  return cursor;
}

const table = modules.flatMap(({ name, debug }) => places.map(([place, poolOf]) => ({ name, debug, place, poolOf })));

describe.each(table)("a destroy hook, $place, $name module", ({ debug, poolOf }) => {
  test("is called once for each record: at its free, or with all others in the order of addresses", async () => {
    const runtime = await createRuntime({ debug });
    const pool = poolOf(runtime);
    const made = [1, 2, 3, 4, 5].map((id) => ticket(pool, id));
    expect(taken()).toEqual([]);
    pool.free(made[2]!);
    pool.free(made[0]!.ref());
    expect(taken()).toEqual([3, 1]);
    for (const index of [0, 2]) expect(() => pool.free(made[index]!)).toThrow(StaleReferenceError);
    expect([taken(), pool.count]).toEqual([[], 3]);
    pool.clear();
    expect([taken(), pool.count]).toEqual([[2, 4, 5], 0]);
    expect(made.map((each) => each.isLive())).toEqual(made.map(() => false));
    pool.clear();
    for (const id of [6, 7]) ticket(pool, id);
    pool.validate();
    pool.destroy();
    pool.destroy();
    expect(taken()).toEqual([6, 7]);
    expect(runtime.$memory.hookOwners.size).toBe(0); // nothing of it is kept
    {
      using scoped = poolOf(runtime);
      ticket(scoped, 8);
    }
    expect(taken()).toEqual([8]);
    const older = poolOf(runtime, { capacity: 3 });
    const newer = poolOf(runtime, { capacity: 3 });
    for (const id of [11, 12]) ticket(older, id);
    for (const id of [21, 22]) ticket(newer, id);
    runtime.dispose();
    expect(taken()).toEqual([21, 22, 11, 12]);
    runtime.dispose();
    older.destroy();
    expect(taken()).toEqual([]);
  });

  test("is called for the records of a pool that the program has dropped, when the runtime is disposed of", async () => {
    const runtime = await createRuntime({ debug, onLeak: () => {} });
    (() => ticket(poolOf(runtime), 1))();
    runtime.dispose();
    expect(taken()).toEqual([1]);
  });

  test("finds its record and all others live, and may write", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = poolOf(runtime);
      const one = ticket(pool, 1);
      const two = ticket(pool, 2);
      one.next = two;
      two.next = one;
      const seen: unknown[] = [];
      behave = (record) => {
        seen.push(record.isLive(), pool.contains(record), pool.count, record.next?.id);
        record.id += 100;
      };
      pool.clear();
      expect(seen).toEqual([true, true, 2, 2, true, true, 2, 101]);
    }));

  test.each([1, 2, 3])("that throws %i times keeps nothing from being reclaimed; then it is told", (count) =>
    withRuntime({ debug }, (runtime) => {
      const pool = poolOf(runtime);
      behave = ({ id }) => {
        if (id <= count) throw new Error(`hook ${id}`);
      };
      const says = count === 1 ? "a destroy hook threw" : `${count} destroy hooks threw, this first`;
      for (const operation of ["clear", "destroy"] as const) {
        const made = [1, 2, 3, 4].map((id) => ticket(pool, id));
        const error = thrownBy(() => pool[operation]()) as Error;
        expect(error).toBeInstanceOf(DestroyHookError);
        expect(error.message).toBe(`${operation}: ${says}: hook 1`);
        expect((error.cause as Error).message).toBe("hook 1");
        expect(taken()).toEqual([1, 2, 3, 4]);
        expect(made.map((each) => each.isLive())).toEqual([false, false, false, false]);
        if (operation === "clear") {
          expect(pool.count).toBe(0);
          pool.validate();
        }
      }
      expect(pool.destroyed).toBe(true);
      expect(runtime.stats().bytesByOwner.pools).toBe(0);
      const other = poolOf(runtime);
      const last = ticket(other, 1);
      expect(thrownBy(() => other.free(last))).toMatchObject({ message: "free: a destroy hook threw: hook 1" });
      expect([last.isLive(), other.count]).toEqual([false, 0]);
      other.free(ticket(other, 5));
      other.validate();
      runtime.validate();
    }),
  );

  test("that throws at the runtime's dispose keeps no other from running", async () => {
    const runtime = await createRuntime({ debug });
    for (const id of [1, 2]) ticket(poolOf(runtime), id);
    behave = ({ id }) => {
      throw new Error(`hook ${id}`);
    };
    expect(thrownBy(() => runtime.dispose())).toMatchObject({
      code: "ERR_TIDEMARK_DESTROY_HOOK",
      message: "dispose: 2 destroy hooks threw, this first: hook 2",
    });
    expect([runtime.disposed, taken()]).toEqual([true, [2, 1]]);
  });

  test("may allocate in its pool, where the record still has its cell, and have it grow", () =>
    withRuntime({ debug, initialBytes: 2 * PAGE }, (runtime) => {
      const pool = poolOf(runtime);
      const { growths } = runtime.stats();
      const cursor = pool.cursor();
      behave = (record) => {
        while (runtime.stats().growths < growths + 2) {
          if (pool.new(cursor).$address === record.$address) expect.fail("the record's cell was handed out");
        }
        expect(record.isLive()).toBe(true);
      };
      const first = ticket(pool, 1);
      pool.free(first);
      expect(taken()).toEqual([1]);
      expect(pool.stats().slabs).toBeGreaterThan(1);
      expect(pool.count).toBe([...pool].length);
      behave = () => {};
      pool.clear();
      pool.validate();
    }));

  test("may have the host grow memory behind the runtime's back, whatever ends the records", async () => {
    const runtime = await createRuntime({ debug, maximumBytes: 64 * PAGE, initialBytes: 4 * PAGE });
    const pool = poolOf(runtime);
    const { memory } = runtime;
    behave = () => memory.grow(1);
    const made = [1, 2, 3].map((id) => ticket(pool, id));
    made[0]!.next = made[2]!;
    pool.free(made[1]!);
    expect(taken()).toEqual([2]);
    pool.clear();
    expect([taken(), pool.count]).toEqual([[1, 3], 0]);
    for (const id of [4, 5, 6]) ticket(pool, id);
    pool.validate();
    pool.destroy();
    expect(taken()).toEqual([4, 5, 6]);
    const last = poolOf(runtime);
    for (const id of [7, 8, 9]) ticket(last, id);
    runtime.dispose();
    expect(taken()).toEqual([7, 8, 9]);
  });

  test("may free others, whose hooks run after it, and are live until then", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = poolOf(runtime);
      const made = [0, 1, 2, 3, 4, 5, 6].map((id) => ticket(pool, id));
      const liveAfter: boolean[] = [];
      behave = ({ id }) => {
        for (const next of [2 * id + 1, 2 * id + 2]) {
          if (next >= made.length) continue;
          pool.free(made[next]!);
          liveAfter.push(made[next]!.isLive());
        }
      };
      pool.free(made[0]!);
      expect(taken()).toEqual([0, 1, 2, 3, 4, 5, 6]);
      expect(liveAfter).toEqual([true, true, true, true, true, true]);
      expect(pool.count).toBe(0);
      pool.validate();
    }));

  test("may free the next of a chain of 200,000, which is no recursion and holds on to nothing", () =>
    withRuntime({ debug }, (runtime) => {
      const length = 200_000;
      const pool = poolOf(runtime, { capacity: length });
      const cursor = pool.cursor();
      const walker = pool.cursor();
      let head: ReturnType<TicketCursor["ref"]> | undefined;
      for (let id = length - 1; id >= 0; id--) {
        pool.new(cursor).id = id;
        if (head !== undefined) cursor.next = walker.moveTo(head);
        head = cursor.ref();
      }
      behave = (record) => {
        if (record.follow("next", walker)) pool.free(walker);
      };
      pool.free(head!);
      expect(pool.count).toBe(0);
      expect(destroyed.length).toBe(length);
      expect(taken().every((id, index) => id === index)).toBe(true);
      pool.validate();
    }));

  test.each<[string, (pool: Pool<Fields>, record: TicketCursor, other: TicketCursor) => void]>([
    ["free its own record", (pool, record) => pool.free(record)],
    ["free its own record by a ref", (pool, record) => pool.free(record.ref())],
    [
      "free a record twice",
      (pool, _, other) => {
        pool.free(other);
        pool.free(other);
      },
    ],
    ["clear its pool", (pool) => pool.clear()],
    ["destroy its pool", (pool) => pool.destroy()],
    ["dispose of its pool", (pool) => pool[Symbol.dispose]()],
  ])("cannot %s", (_, attempt) =>
    withRuntime({ debug }, (runtime) => {
      const pool = poolOf(runtime);
      const other = ticket(pool, 2);
      const record = ticket(pool, 1);
      const failures: unknown[] = [];
      behave = (each) => {
        if (each.id !== 1) return;
        failures.push(thrownBy(() => attempt(pool, each, other)));
        expect([pool.destroyed, each.isLive(), other.isLive(), pool.count]).toEqual([false, true, true, 2]);
      };
      pool.free(record);
      expect(failures).toEqual([code("REENTRANT_CALL")]);
      expect(record.isLive()).toBe(false);
      const withOther = taken();
      expect(withOther.slice(0, 1)).toEqual([1]);
      expect(other.isLive()).toBe(withOther.length === 1);
      pool.clear();
      expect([...withOther, ...taken()]).toEqual([1, 2]);
      pool.validate();
    }),
  );

  test.each<[string, (pool: Pool<Fields>, record: TicketCursor, other: TicketCursor) => void]>([
    ["free its own record", (pool, record) => pool.free(record)],
    ["free another", (pool, _, other) => pool.free(other)],
    ["allocate", (pool) => pool.new()],
    ["allocate through a cursor", (pool) => pool.new(pool.cursor())],
    ["clear the pool", (pool) => pool.clear()],
    ["destroy the pool", (pool) => pool.destroy()],
  ])("cannot %s while all records end", (_, attempt) =>
    withRuntime({ debug }, (runtime) => {
      for (const operation of ["clear", "destroy"] as const) {
        const pool = poolOf(runtime);
        const made = [1, 2].map((id) => ticket(pool, id));
        const failures: unknown[] = [];
        behave = (each) => {
          failures.push(thrownBy(() => attempt(pool, each, made[2 - each.id]!)));
          expect([pool.count, pool.destroyed, each.isLive()]).toEqual([2, false, true]);
        };
        pool[operation]();
        expect(failures).toEqual([code("REENTRANT_CALL"), code("REENTRANT_CALL")]);
        expect(failures[0]).toBeInstanceOf(ReentrantCallError);
        expect([taken(), pool.destroyed]).toEqual([[1, 2], operation === "destroy"]);
        if (operation === "clear") expect(pool.count).toBe(0);
      }
      runtime.validate();
    }),
  );

  test("cannot dispose of the runtime, which goes on", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = poolOf(runtime);
      const failures: unknown[] = [];
      behave = () => failures.push(thrownBy(() => runtime.dispose()));
      pool.free(ticket(pool, 1));
      ticket(pool, 2);
      pool.clear();
      expect(failures).toEqual([code("REENTRANT_CALL"), code("REENTRANT_CALL")]);
      expect([runtime.disposed, pool.count, taken()]).toEqual([false, 0, [1, 2]]);
    }));

  test("cannot use pools while the runtime is disposed of, with a hook or without", async () => {
    const runtime = await createRuntime({ debug });
    const pool = poolOf(runtime);
    const plain = runtime.pool(struct("Plain", { id: u32 }));
    const cursor = plain.cursor();
    const kept = [plain.new(cursor).ref(), plain.new(), plain.new()];
    plain.free(kept[2]!);
    const failures: unknown[] = [];
    behave = (record) => {
      const uses = [
        () => plain.new(),
        () => plain.new(cursor),
        () => plain.free(kept[0]!),
        () => plain.clear(),
        () => plain.count,
        () => pool.new(),
        () => pool.free(record),
        () => pool.clear(),
      ];
      for (const use of uses) failures.push(thrownBy(use));
      plain.destroy();
      pool.destroy();
      runtime.dispose();
      expect([kept[0]!.isLive(), record.isLive()]).toEqual([true, true]);
    };
    ticket(pool, 1);
    ticket(pool, 2);
    runtime.dispose();
    expect(failures).toEqual(Array.from({ length: 16 }, () => code("DISPOSED")));
    expect(taken()).toEqual([1, 2]);
  });

  test("may move its cursor, and free, clear and destroy other pools, whose hooks run within it", () =>
    withRuntime({ debug }, (runtime) => {
      const pool = poolOf(runtime);
      const [second, third] = [poolOf(runtime), poolOf(runtime)];
      const made = [1, 2, 3].map((id) => ticket(pool, id));
      const strays = [11, 12, 13].map((id) => ticket(second, id));
      ticket(third, 21);
      behave = (record) => {
        const { id } = record;
        record.moveTo(id === 1 ? null : made[0]!.isLive() ? made[0]! : null);
        if (id === 1) second.free(strays[0]!);
        if (id === 2) second.clear();
        if (id === 3) third.destroy();
      };
      pool.free(made[2]!);
      expect([taken(), third.destroyed]).toEqual([[3, 21], true]);
      pool.clear();
      expect(taken()).toEqual([1, 11, 2, 12, 13]);
      expect([pool.count, second.count]).toEqual([0, 0]);
      expect(made.map((each) => each.isLive())).toEqual([false, false, false]);
      pool.validate();
      second.validate();
    }));
});

test("the pool's own hook is called instead of the struct's", () =>
  withRuntime({}, (runtime) => {
    const own: number[] = [];
    const pool = runtime.pool(Hooked, { destroy: ({ id }) => void own.push(id) });
    const cursor = pool.new(pool.cursor());
    cursor.id = 5;
    pool.free(cursor);
    expect([own, taken()]).toEqual([[5], []]);
  }));
