import fc from "fast-check";
import {
  type CursorOf,
  createRuntime,
  DestroyHookError,
  type Pool,
  ReentrantCallError,
  ref,
  struct,
  u32,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { modules, PAGE, withoutStacks } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

withoutStacks();

const Hooked = struct("Hooked", { id: u32, next: ref("Hooked") });
type Fields = (typeof Hooked)["fields"];
type HookedCursor = CursorOf<Fields>;

/** What the hook of a record does, by the record's number. */
const throws = (id: number) => id % 7 === 3;
const freesNext = (id: number) => id % 3 !== 0;
const freesAnother = (id: number) => id % 5 === 1;
const makes = (id: number) => id % 11 === 4;
const reenters = (id: number) => id % 4 === 2;
const moves = (id: number) => id % 6 === 5;

interface HookedRecord {
  readonly id: number;
  readonly pool: PoolModel;
  readonly cursor: HookedCursor;
  next: HookedRecord | undefined;
  state: "live" | "dying" | "ended";
}

interface PoolModel {
  readonly pool: Pool<Fields>;
  readonly records: HookedRecord[];
}

/** Predicts which hooks run in which order, as they should, and notes which do. */
class World {
  readonly pools: PoolModel[] = [];
  readonly all: HookedRecord[] = [];
  readonly #ran: number[] = [];
  readonly #faults: unknown[] = [];

  constructor(readonly runtime: Awaited<ReturnType<typeof createRuntime>>) {}

  open(): void {
    const model: PoolModel = {
      pool: this.runtime.pool(Hooked, { destroy: (record) => this.#hook(model, record) }),
      records: [],
    };
    this.pools.push(model);
  }

  make(model: PoolModel): HookedRecord {
    const cursor = model.pool.new(model.pool.cursor());
    expect(cursor.toObject()).toEqual({ id: 0, next: null });
    const record: HookedRecord = { id: this.all.length + 1, pool: model, cursor, next: undefined, state: "live" };
    cursor.id = record.id;
    this.all.push(record);
    model.records.push(record);
    return record;
  }

  link(from: HookedRecord, to: HookedRecord): void {
    from.next = to;
    from.cursor.next = to.cursor;
  }

  /** Whom the hook of `record` frees beside the next. */
  #another({ id, pool }: HookedRecord): HookedRecord | undefined {
    return pool.records[id % Math.max(pool.records.length, 1)];
  }

  // ── what happens ────────────────────────────────────────────────────────────────────────────────────────────────

  #hook(model: PoolModel, cursor: HookedCursor): void {
    const { id } = cursor;
    this.#ran.push(id);
    const record = this.all[id - 1]!;
    const before = this.#waiting[this.#waiting.indexOf(record) - 1];
    if (before !== undefined) before.state = "ended";
    try {
      expect([record.pool === model, record.cursor.id, cursor.isLive()]).toEqual([true, id, true]);
      this.#act(record, cursor);
    } catch (fault) {
      this.#faults.push(fault);
    }
    if (throws(id)) throw id;
  }

  #isEnding = false;

  #act(record: HookedRecord, cursor: HookedCursor): void {
    const { id, pool } = record;
    if (moves(id)) cursor.moveTo(null);
    if (this.#isEnding) {
      expect(() => pool.pool.free(record.cursor)).toThrow();
      expect(() => pool.pool.new()).toThrow();
      return;
    }
    if (reenters(id))
      for (const operation of ["clear", "destroy"] as const)
        expect(() => pool.pool[operation]()).toThrow(ReentrantCallError);
    const chosen = [freesNext(id) ? record.next : undefined, freesAnother(id) ? this.#another(record) : undefined];
    for (const each of chosen) {
      if (each === undefined || each.state === "ended") continue;
      if (each.state === "dying") expect(() => pool.pool.free(each.cursor)).toThrow(ReentrantCallError);
      else {
        each.state = "dying";
        pool.pool.free(each.cursor);
        this.#waiting.push(each);
      }
      expect(each.cursor.id).toBe(each.id);
    }
    if (makes(id)) this.make(pool);
  }

  /** Records that hooks have freed, in the order in which their own hooks are due. */
  #waiting: HookedRecord[] = [];

  // ── what should happen ──────────────────────────────────────────────────────────────────────────────────────────

  free(record: HookedRecord): void {
    record.state = "dying";
    this.#waiting = [record];
    const thrown = this.#run(() => record.pool.pool.free(record.cursor));
    this.#finish(this.#waiting, thrown);
  }

  end(model: PoolModel, operation: () => void): void {
    this.#isEnding = true;
    const due = [...model.records].sort((one, other) => one.cursor.$address - other.cursor.$address);
    const thrown = this.#run(operation);
    this.#isEnding = false;
    this.#finish(due, thrown);
  }

  dispose(): void {
    this.#isEnding = true;
    const due = [...this.pools]
      .reverse()
      .flatMap(({ records }) => [...records].sort((one, other) => one.cursor.$address - other.cursor.$address));
    this.#finish(
      due,
      this.#run(() => this.runtime.dispose()),
    );
  }

  #run(operation: () => void): unknown {
    this.#ran.length = 0;
    try {
      operation();
    } catch (error) {
      return error;
    }
    return undefined;
  }

  /** Holds what ran against `due`, and what was thrown against the first of these that throws. */
  #finish(due: readonly HookedRecord[], thrown: unknown): void {
    expect(this.#faults).toEqual([]);
    expect(this.#ran).toEqual(due.map(({ id }) => id));
    const failing = due.filter(({ id }) => throws(id));
    if (failing.length === 0) expect(thrown).toBeUndefined();
    else {
      expect(thrown).toBeInstanceOf(DestroyHookError);
      expect((thrown as Error).cause).toBe(failing[0]!.id);
      expect((thrown as Error).message).toContain(
        failing.length === 1 ? "a destroy hook threw" : `${failing.length} destroy`,
      );
    }
    for (const record of due) {
      record.state = "ended";
      record.pool.records.splice(record.pool.records.indexOf(record), 1);
    }
  }

  check(): void {
    for (const { id, state, cursor } of this.all) {
      if (cursor.isLive() !== (state === "live")) expect([id, cursor.isLive()]).toEqual([id, state]);
      if (state === "live" && cursor.id !== id) expect(cursor.id).toBe(id);
    }
    for (const { pool, records } of this.pools) {
      expect(pool.count).toBe(records.length);
      pool.validate();
    }
    expect(this.runtime.$memory.hooksRunning).toBe(0);
  }
}

const operation = fc.record({
  type: fc.constantFrom("make", "make", "make", "link", "link", "free", "free", "clear", "destroy", "open"),
  pool: fc.nat({ max: 100 }),
  pick: fc.nat({ max: 1000 }),
});
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

function apply(world: World, { type, pool: which, pick }: Operation): void {
  if (type === "open" || world.pools.length === 0) {
    if (world.pools.length < 3) world.open();
    return;
  }
  const model = world.pools[which % world.pools.length]!;
  const { records } = model;
  const record = records[pick % Math.max(records.length, 1)];
  if (type === "make") for (let count = 0; count <= pick % 4; count++) world.make(model);
  else if (type === "clear") world.end(model, () => model.pool.clear());
  else if (type === "destroy") {
    world.end(model, () => model.pool.destroy());
    world.pools.splice(world.pools.indexOf(model), 1);
  } else if (record !== undefined) {
    if (type === "link") world.link(record, records[(pick * 7 + 1) % records.length]!);
    else world.free(record);
  }
}

describe.each(modules)("the destroy hooks of pools, $name module", ({ debug }) => {
  test("run once each, in the order that the model says, whatever they do themselves", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 120, size: "max" }), async (operations) => {
        const runtime = await createRuntime({ debug, maximumBytes: 64 * PAGE, initialBytes: 2 * PAGE });
        const world = new World(runtime);
        for (const each of operations) {
          apply(world, each);
          world.check();
        }
        world.dispose();
      }),
      { numRuns: scaled(150) },
    );
  });
});
