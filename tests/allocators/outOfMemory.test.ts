import { type Arena, array, type CursorOf, f64, type Runtime, ref, struct, u8, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { arenaWord, modules, Owner, PAGE, validate, withRuntime } from "../support/runtimes.js";

const Node = struct("Node", { id: u32, next: ref("Node"), other: ref("Node") });
const Chunk = struct("Chunk", { bytes: array(u8, 1000) });
type NodeCursor = CursorOf<(typeof Node)["fields"]>;

/** A call that may need pages, on arenas made ready for it. */
interface Call {
  /** The arenas that the call works on: none of them may change when it fails. */
  readonly arenas: Arena[];
  readonly run: () => unknown;
  /** What must hold once it has run. */
  readonly done?: (result: unknown) => void;
  /** Guards that a failed call may have taken for good: that of the arena in which the runtime describes types. */
  readonly guards?: number;
  /** More that must be as before when it has failed. */
  readonly figures?: () => unknown;
}

/** An arena whose present block is full, with something in it. */
function fullArena(runtime: Runtime): Arena {
  const arena = runtime.arena();
  const { address } = arena.bytes(1000);
  const headers = address - arena.address + 16;
  runtime.$memory.u8.fill(3, address, address + 1000);
  while (arena.stats().reserved - arena.stats().used >= headers + 8) arena.allocate(8);
  return arena;
}

/** A chain of nodes, with shortcuts and a cycle. */
function chain(arena: Arena, length: number): NodeCursor {
  const first = arena.new(Node);
  let last = first;
  for (let id = 1; id < length; id++) {
    const node = arena.new(Node);
    node.id = id;
    node.other = id % 3 === 0 ? first : node;
    last.next = node;
    last = node;
  }
  last.next = first;
  return first;
}

function walk(first: NodeCursor, runtime: Runtime): number[] {
  const ids: number[] = [];
  const walker = runtime.cursor(Node).moveTo(first);
  do ids.push(walker.id);
  while (walker.follow("next") && walker.id !== 0);
  return ids;
}

const calls: Record<string, (runtime: Runtime) => Call> = {
  "making an arena": (runtime) => ({ arenas: [], run: () => runtime.arena() }),
  "making an arena with a hint": (runtime) => ({ arenas: [], run: () => runtime.arena({ sizeHint: 300_000 }) }),
  "making a child": (runtime) => {
    const arena = fullArena(runtime);
    return { arenas: [arena], run: () => arena.arena() };
  },
  "making a record": (runtime) => {
    const arena = fullArena(runtime);
    return { arenas: [arena], run: () => arena.new(Chunk) };
  },
  "making a record with a cursor that is at another": (runtime) => {
    const arena = fullArena(runtime);
    const cursor = runtime.arena().new(Chunk);
    cursor.bytes.set(0, 77);
    const { $address } = cursor;
    return {
      arenas: [arena],
      run: () => arena.new(Chunk, cursor),
      figures: () => [cursor.$address === $address, cursor.bytes.at(0)],
    };
  },
  "making raw bytes, aligned": (runtime) => {
    const arena = fullArena(runtime);
    return { arenas: [arena], run: () => arena.allocate(5000, 4096) };
  },
  "making bytes": (runtime) => {
    const arena = fullArena(runtime);
    return { arenas: [arena], run: () => arena.bytes(100_000) };
  },
  "making oversize bytes": (runtime) => {
    const arena = fullArena(runtime);
    return { arenas: [arena], run: () => arena.bytes(1_000_000) };
  },
  "making a text": (runtime) => {
    const arena = fullArena(runtime);
    return { arenas: [arena], run: () => arena.text("tide".repeat(100)) };
  },
  "making an array": (runtime) => {
    const arena = fullArena(runtime);
    return { arenas: [arena], run: () => arena.array(f64, 4000) };
  },
  "pushing to an array": (runtime) => {
    const arena = fullArena(runtime);
    const values = arena.array(f64);
    const push = () => {
      while (values.length < 20_000) values.push(values.length);
    };
    return {
      arenas: [],
      run: push,
      done: () => expect(values.toArray()).toEqual(Array.from({ length: 20_000 }, (_, index) => index)),
      figures: () => values.toArray().every((value, index) => value === index),
    };
  },
  "pushing one element": (runtime) => {
    const arena = fullArena(runtime);
    const chunks = arena.array(Chunk);
    return { arenas: [arena], run: () => chunks.push(), figures: () => [chunks.length, chunks.address] };
  },
  marking: (runtime) => {
    const arena = fullArena(runtime);
    return { arenas: [arena], run: () => arena.mark() };
  },
  "marking when the guards are used up": (runtime) => {
    const arena = runtime.arena();
    const eater = runtime.arena();
    while (runtime.$memory.rootWord("ROOT_GUARDS_LIVE") % (PAGE / 8) !== 0) eater.mark();
    return { arenas: [arena], run: () => arena.mark() };
  },
  "leasing a region": (runtime) => {
    const pool = runtime.regionPool();
    const region = pool.createRegion();
    return {
      arenas: [],
      run: () => pool.lease(region, 100_000),
      figures: () => [pool.leased, pool.size, region.ended],
    };
  },
  "copying a record without refs": (runtime) => {
    const target = fullArena(runtime);
    const source = runtime.arena();
    const chunk = source.new(Chunk);
    chunk.bytes.set(999, 5);
    meet(chunk, runtime);
    return {
      arenas: [target, source],
      run: () => chunk.copyTo(target),
      done: (copy) => expect((copy as typeof chunk).toObject()).toEqual(chunk.toObject()),
    };
  },
  "copying a small graph": (runtime) => copy(runtime, 10),
  "copying a struct that the runtime has not met": (runtime) => {
    const target = fullArena(runtime);
    const source = runtime.arena();
    const node = source.new(Node);
    return { arenas: [target, source], guards: 1, run: () => node.copyTo(target) };
  },
  "copying a graph that outgrows its work space twice": (runtime) => copy(runtime, 3000),
};

/** Makes the runtime describe the struct of a record, which it does once. */
function meet(record: { copyTo(target: Arena): unknown }, runtime: Runtime): void {
  const arena = runtime.arena();
  record.copyTo(arena);
  arena.destroy();
}

function copy(runtime: Runtime, length: number): Call {
  const target = fullArena(runtime);
  const source = runtime.arena();
  const first = chain(source, length);
  meet(source.new(Node), runtime);
  let used = 0;
  return {
    arenas: [target, source],
    run() {
      ({ used } = target.stats());
      return first.copyTo(target);
    },
    done: (result) => {
      const copied = result as NodeCursor;
      expect(target.stats().used).toBe(used + length * Node.$rounded);
      expect(copied.next?.other?.$address).toBe(copied.next?.$address);
      expect(target.contains(copied)).toBe(true);
      expect(walk(copied, runtime)).toEqual(Array.from({ length }, (_, id) => id));
    },
    figures: () => walk(first, runtime).every((id, index) => id === index),
  };
}

/** All that a failed call must leave as it was. Blocks taken ahead are no loss: they are used next. */
function snapshot(runtime: Runtime, call: Call): unknown {
  const arenas = call.arenas.map((arena) => {
    const { reserved: _reserved, blocks: _blocks, ...stats } = arena.stats();
    return [stats, arenaWord(arena, "ARENA_CURSOR")];
  });
  const { scratch } = runtime.stats().bytesByOwner;
  return [arenas, scratch, runtime.$memory.rootWord("ROOT_GUARDS_LIVE"), call.figures?.()];
}

/** The content of everything that lives in the pages of small blocks and arenas, headers left out. */
function contents(runtime: Runtime, call: Call): Uint8Array[] {
  return call.arenas.map((arena) => {
    const end = arenaWord(arena, "ARENA_CURSOR");
    const start = Math.max(arena.address + 200, end - 3000);
    return runtime.$memory.u8.slice(start, end);
  });
}

/** Runs the call, which may be refused, and returns whether it was. */
function attempt(runtime: Runtime, call: Call): boolean {
  const before = snapshot(runtime, call);
  const bytes = contents(runtime, call);
  try {
    const result = call.run();
    call.done?.(result);
    return false;
  } catch (error) {
    expect(error).toMatchObject({ code: "ERR_TIDEMARK_OUT_OF_MEMORY", message: expect.stringMatching(/\d+ pages/) });
  } finally {
    validate(runtime, ...call.arenas);
  }
  const [arenas, scratch, guards, figures] = snapshot(runtime, call) as [unknown, number, number, unknown];
  const [arenasBefore, , guardsBefore, figuresBefore] = before as [unknown, number, number, unknown];
  expect([arenas, scratch, figures]).toEqual([arenasBefore, 0, figuresBefore]);
  expect(guards - guardsBefore).toBeLessThanOrEqual(call.guards ?? 0);
  expect(contents(runtime, call)).toEqual(bytes);
  return true;
}

describe.each(Object.entries(calls))("out of memory at %s", (_name, prepare) => {
  test("is a typed error at whichever page request it comes, with nothing lost or changed", async () => {
    for (let turn = 1; ; turn++) {
      let isOver = false;
      await withRuntime({ debug: true }, (runtime) => {
        const call = prepare(runtime);
        runtime.$memory.setRootWord("ROOT_REFUSE_AFTER", turn);
        if (attempt(runtime, call)) {
          expect(runtime.$memory.rootWord("ROOT_REFUSE_AFTER")).toBe(0);
          for (const arena of call.arenas)
            expect(
              arena
                .bytes(40)
                .toUint8Array()
                .every((byte) => byte === 0),
            ).toBe(true);
          const result = call.run();
          call.done?.(result);
          validate(runtime, ...call.arenas);
        }
        isOver = runtime.$memory.rootWord("ROOT_REFUSE_AFTER") > 0;
        runtime.$memory.setRootWord("ROOT_REFUSE_AFTER", 0);
        for (const arena of call.arenas) arena.destroy();
        runtime.validate();
      });
      if (isOver) break;
      expect(turn).toBeLessThan(100);
    }
  });

  test.each(modules)("is a typed error whatever the maximum, $name module", async ({ debug }) => {
    let refusals = 0;
    for (let pages = 0; ; pages++) {
      let isOver = false;
      await withRuntime({ debug }, (runtime) => {
        const call = prepare(runtime);
        const memory = runtime.$memory;
        while (memory.rootWord("ROOT_FREE_PAGES") > 0) memory.exports.allocatePages(1, Owner.SCRATCH);
        const scratch = runtime.stats().bytesByOwner.scratch / PAGE;
        memory.setRootWord("ROOT_MAXIMUM_PAGES", memory.rootWord("ROOT_COMMITTED_PAGES") + pages);
        // Small blocks that are free are used up too, so that the least request needs a page.
        const fill = runtime.arena.bind(runtime);
        const eaters: Arena[] = [];
        if (pages === 0) {
          try {
            for (;;) eaters.push(fill());
          } catch (error) {
            expect(error).toMatchObject({ code: "ERR_TIDEMARK_OUT_OF_MEMORY" });
          }
        }
        const { figures } = call;
        const seen: Call = {
          ...call,
          figures: () => [figures?.(), runtime.stats().bytesByOwner.scratch / PAGE - scratch],
        };
        const before = snapshot(runtime, seen) as unknown[];
        try {
          const result = call.run();
          isOver = true;
          call.done?.(result);
        } catch (error) {
          refusals++;
          expect(error).toMatchObject({ code: "ERR_TIDEMARK_OUT_OF_MEMORY" });
          const after = snapshot(runtime, seen) as unknown[];
          expect([after[0], after[1], after[3]]).toEqual([before[0], before[1], before[3]]);
          expect((after[2] as number) - (before[2] as number)).toBeLessThanOrEqual(call.guards ?? 0);
        }
        validate(runtime, ...call.arenas);
        if (!isOver) {
          memory.setRootWord("ROOT_MAXIMUM_PAGES", 10_000);
          const result = call.run();
          call.done?.(result);
          validate(runtime, ...call.arenas);
        }
      });
      if (isOver) break;
      expect(pages).toBeLessThan(200);
    }
    expect(refusals).toBeGreaterThan(0);
  });
});

test.each(modules)(
  "a hint that cannot be met is no failure: the arena begins with what there is ($name)",
  ({ debug }) =>
    withRuntime({ debug, initialBytes: 4 * PAGE, maximumBytes: 4 * PAGE }, (runtime) => {
      const first = runtime.arena(); // its page has room for more blocks as small
      while (runtime.$memory.exports.allocatePages(1, Owner.SCRATCH) !== 0);
      const hinted = runtime.arena({ sizeHint: 300_000 });
      expect(hinted.stats().reserved).toBe(first.stats().reserved);
      hinted.new(Node).id = 1;
      validate(runtime);
    }),
);

test.each(modules)(
  "a mark for which an arena has no room takes no guard, however often it is asked for ($name)",
  ({ debug }) =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena({ maximumBytes: 64 });
      arena.allocate(56);
      const guards = runtime.$memory.rootWord("ROOT_GUARDS_LIVE");
      for (let attempt = 0; attempt < 100; attempt++) expect(() => arena.mark()).toThrow(/limit|64/);
      expect(runtime.$memory.rootWord("ROOT_GUARDS_LIVE")).toBe(guards);
      validate(runtime);
    }),
);

test("a sealed runtime refuses what it would need from the host, and goes on with what it has", () =>
  withRuntime({ initialBytes: 8 * PAGE, maximumBytes: 100 * PAGE }, (runtime) => {
    const arena = runtime.arena();
    const record = arena.new(Node);
    record.id = 5;
    runtime.seal();
    const before = arena.stats();
    expect(() => arena.bytes(10 * PAGE)).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_SEALED" }));
    expect(() => arena.bytes(10 * PAGE)).toThrow(/11 pages \(720896 bytes\).*sealed.*of 8 pages are in use/);
    expect(arena.stats()).toEqual(before);
    expect(record.id).toBe(5);
    while (runtime.stats().freeBytes > 0) arena.new(Node);
    expect(() => {
      for (;;) arena.new(Node);
    }).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_SEALED" }));
    arena.destroy();
    runtime.arena().bytes(4 * PAGE);
    expect(runtime.stats()).toMatchObject({ growths: 0, committedBytes: 8 * PAGE });
  }));

test("what was reserved before a seal can be had in one piece, however scattered the free pages were", () =>
  withRuntime({ initialBytes: 40 * PAGE, maximumBytes: 200 * PAGE }, (runtime) => {
    const { exports } = runtime.$memory;
    const runs: number[] = [];
    while (runtime.stats().freeBytes >= 3 * PAGE) runs.push(exports.allocatePages(3, Owner.SCRATCH) >>> 0);
    for (let index = 0; index < runs.length; index += 2) exports.freePages(runs[index]!, Owner.SCRATCH);
    expect(runtime.stats().freeBytes).toBeGreaterThan(15 * PAGE);
    runtime.reserve(15 * PAGE);
    const { committedBytes } = runtime.stats();
    runtime.reserve(15 * PAGE); // it is there: nothing more is taken
    expect(runtime.stats().committedBytes).toBe(committedBytes);
    runtime.seal();
    const arena = runtime.arena();
    const bytes = arena.bytes(15 * PAGE - 100);
    bytes.set(15 * PAGE - 101, 1);
    expect(runtime.stats()).toMatchObject({ committedBytes, sealed: true });
    runtime.validate();
  }));
