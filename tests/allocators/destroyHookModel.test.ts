import fc from "fast-check";
import {
  type Arena,
  type ArenaMark,
  type CursorOf,
  createRuntime,
  DestroyHookError,
  f64,
  ReentrantCallError,
  type Runtime,
  ref,
  struct,
  u32,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { modules, PAGE, validate } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

/** What the hooks of one run do, since a struct is declared once and belongs to no runtime. */
let destroy: (record: HookedCursor) => void;

const Hooked = struct("Hooked", { id: u32, elder: ref("Hooked") }, { destroy: (record) => destroy(record) });
const Large = struct("Large", { id: u32, value: f64 });
type HookedCursor = CursorOf<(typeof Hooked)["fields"]>;

interface HookedRecord {
  readonly id: number;
  readonly cursor: HookedCursor;
  readonly elder: number;
  readonly arena: ModelArena;
}

/** Which hooks throw, call back into what is ending, and use another arena, by the record's number. */
const throws = (id: number) => id % 7 === 3;
const reenters = (id: number) => id % 5 === 2;
const wanders = (id: number) => id % 11 === 5;

/** Records of the arena that wandering hooks use have numbers from here on. */
const ELSEWHERE = 1_000_000;

/** An arena as the model knows it: what has been made in it since each of its marks, the outermost first. */
class ModelArena {
  frames: { mark: ArenaMark | undefined; records: HookedRecord[]; children: ModelArena[] }[];

  constructor(
    readonly arena: Arena,
    readonly parent: ModelArena | undefined,
  ) {
    this.frames = [{ mark: undefined, records: [], children: [] }];
  }

  get top() {
    return this.frames[this.frames.length - 1]!;
  }

  /** Everything from `frame` on, with all that is nested in it. */
  recordsFrom(frame: number): HookedRecord[] {
    return this.frames
      .slice(frame)
      .flatMap(({ records, children }) => [...records, ...children.flatMap((child) => child.recordsFrom(0))]);
  }

  arenas(): ModelArena[] {
    return [this, ...this.frames.flatMap(({ children }) => children.flatMap((child) => child.arenas()))];
  }
}

class World {
  readonly roots: ModelArena[] = [];
  readonly elsewhere: Arena;
  readonly log: number[] = [];
  readonly all: HookedRecord[] = [];
  /** What hooks found that should not be; what they throw is swallowed. */
  readonly #faults: unknown[] = [];
  #made = 0;
  #strays = 0;

  constructor(readonly runtime: Runtime) {
    this.elsewhere = runtime.arena();
    destroy = (record) => this.#destroy(record);
  }

  get arenas(): ModelArena[] {
    return this.roots.flatMap((root) => root.arenas());
  }

  record(arena: ModelArena, pick: number): void {
    const id = ++this.#made;
    const cursor = arena.arena.new(Hooked);
    expect([cursor.id, cursor.elder]).toEqual([0, null]);
    cursor.id = id;
    const near = arena.frames.flatMap(({ records }) => records);
    const elder = near[pick % (near.length + 1)];
    cursor.elder = elder?.cursor ?? null;
    const record = { id, cursor, elder: elder?.id ?? 0, arena };
    arena.top.records.push(record);
    this.all.push(record);
  }

  /** Runs what ends `ending`, and holds the hooks that ran against those that should have, in their order. */
  end(operation: () => void, ending: readonly HookedRecord[], disposing = false): void {
    const newestFirst = [...ending].sort((one, other) => other.id - one.id);
    const expected = newestFirst.flatMap(({ id }) => {
      if (!wanders(id) || disposing) return [id];
      this.#strays += 2;
      return [id, ELSEWHERE + this.#strays, ELSEWHERE + this.#strays - 1];
    });
    this.#strays -= expected.length - newestFirst.length;
    this.log.length = 0;
    let thrown: unknown;
    try {
      operation();
    } catch (error) {
      thrown = error;
    }
    expect(this.#faults).toEqual([]);
    expect(this.log).toEqual(expected);
    const failing = newestFirst.filter(({ id }) => throws(id));
    if (failing.length === 0) {
      expect(thrown).toBeUndefined();
    } else {
      expect(thrown).toBeInstanceOf(DestroyHookError);
      expect((thrown as Error).cause).toBe(failing[0]!.id);
      const count = failing.length === 1 ? "a destroy hook" : `${failing.length} destroy hooks`;
      expect((thrown as Error).message).toContain(`${count} threw`);
    }
    for (const { cursor } of ending) expect(cursor.isLive()).toBe(false);
  }

  #destroy(record: HookedCursor): void {
    const { id } = record;
    this.log.push(id);
    if (id >= ELSEWHERE) return;
    try {
      this.#look(record, id);
    } catch (fault) {
      this.#faults.push(fault);
    }
    if (throws(id)) throw id;
  }

  #look(record: HookedCursor, id: number): void {
    const known = this.all[id - 1]!;
    expect([known.id, known.cursor.id, known.cursor.isLive()]).toEqual([id, id, true]);
    expect(record.elder?.id ?? 0).toBe(known.elder);
    if (reenters(id)) this.#reenter(known.arena);
    if (wanders(id) && !this.runtime.disposed) this.#wander(record);
    expect(record.id).toBe(id);
  }

  /** Every call that changes the arena, or one above it, while it is ending. */
  #reenter({ arena, parent }: ModelArena): void {
    const refusal = this.runtime.disposed
      ? expect.objectContaining({ code: "ERR_TIDEMARK_DISPOSED" })
      : ReentrantCallError;
    const before = this.runtime.disposed ? undefined : arena.stats();
    const scratch = Large.$newCursor(arena.$memory);
    const calls = [
      () => arena.new(Hooked),
      () => arena.new(Large, scratch),
      () => arena.bytes(1),
      () => arena.mark(),
      () => arena.arena(),
      () => arena.reset(),
    ];
    for (const call of calls) expect(call).toThrow(refusal);
    if (this.runtime.disposed) return;
    expect(() => arena.destroy()).toThrow(ReentrantCallError);
    expect(() => parent?.arena.destroy() ?? arena.destroy()).toThrow(ReentrantCallError);
    expect(arena.stats()).toEqual(before);
  }

  /** Makes and ends records in an arena that has nothing to do with what is ending. */
  #wander(record: HookedCursor): void {
    const cursor = this.elsewhere.new(Hooked);
    cursor.id = ELSEWHERE + ++this.#strays;
    cursor.elder = record;
    this.elsewhere.new(Hooked, cursor).id = ELSEWHERE + ++this.#strays;
    this.elsewhere.reset();
  }

  check(): void {
    const live = new Set(this.roots.flatMap((root) => root.recordsFrom(0)).map(({ id }) => id));
    for (const { id, cursor } of this.all) {
      if (cursor.isLive() !== live.has(id)) expect([id, cursor.isLive()]).toEqual([id, live.has(id)]);
      if (live.has(id) && cursor.id !== id) expect(cursor.id).toBe(id);
    }
    validate(this.runtime, ...this.arenas.map(({ arena }) => arena));
  }
}

const operation = fc.record({
  type: fc.constantFrom(
    "record",
    "record",
    "record",
    "record",
    "record",
    "plain",
    "bytes",
    "mark",
    "rewind",
    "reset",
    "child",
    "destroy",
    "root",
  ),
  arena: fc.nat({ max: 1000 }),
  pick: fc.nat({ max: 1000 }),
});
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

function apply(world: World, { type, arena: which, pick }: Operation): void {
  const { arenas } = world;
  if (type === "root" || arenas.length === 0) {
    if (arenas.length < 10) world.roots.push(new ModelArena(world.runtime.arena(), undefined));
    return;
  }
  const model = arenas[which % arenas.length]!;
  const { arena, top } = model;
  if (type === "record") world.record(model, pick);
  else if (type === "plain") arena.new(Large).value = pick;
  else if (type === "bytes") arena.bytes(1 + pick * 5);
  else if (type === "mark") {
    if (model.frames.length < 5) model.frames.push({ mark: arena.mark(), records: [], children: [] });
  } else if (type === "child") {
    if (arenas.length < 10) top.children.push(new ModelArena(arena.arena(), model));
  } else if (type === "rewind") {
    if (model.frames.length === 1) return;
    const frame = 1 + (pick % (model.frames.length - 1));
    const { mark } = model.frames[frame]!;
    world.end(() => arena.rewind(mark!), model.recordsFrom(frame));
    model.frames.splice(frame, Infinity, { mark, records: [], children: [] });
  } else if (type === "reset") {
    world.end(() => arena.reset(), model.recordsFrom(0));
    model.frames = [{ mark: undefined, records: [], children: [] }];
  } else {
    world.end(() => arena.destroy(), model.recordsFrom(0));
    const siblings = model.parent?.frames.find(({ children }) => children.includes(model))?.children ?? world.roots;
    siblings.splice(siblings.indexOf(model), 1);
  }
}

describe.each(modules)("destroy hooks of the $name module", ({ debug }) => {
  test("run once each, in the order that the model says, whatever they do themselves", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 150, size: "max" }), async (operations) => {
        const runtime = await createRuntime({ debug, maximumBytes: 64 * PAGE * 16, initialBytes: 2 * PAGE });
        const world = new World(runtime);
        for (const each of operations) {
          apply(world, each);
          world.check();
        }
        const left = world.roots.flatMap((root) => root.recordsFrom(0));
        world.end(() => runtime.dispose(), left, true);
      }),
      { numRuns: scaled(150) },
    );
  });
});
