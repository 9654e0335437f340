import { type ByteHeap, CorruptionError, f64, type Pool, struct } from "tidemark";
import { expect } from "vitest";
import { type Act, type Any, Cell, must, NOT_TOLD, type Row, SERVED, type Stage } from "./misuse.js";

type Cells = Pool<(typeof Cell)["fields"]>;

const poolCalls = (pool: Cells): (() => unknown)[] => {
  const cursor = pool.cursor();
  const ref = pool.new();
  return [
    () => pool.new(),
    () => pool.new(cursor),
    () => pool.free(ref),
    () => pool.contains(ref),
    () => pool.cursor(),
    () => pool.count,
    () => pool.capacity,
    () => [...pool],
    () => pool.clear(),
    () => pool.stats(),
    () => pool.validate(),
  ];
};

const heapCalls = (heap: ByteHeap): (() => unknown)[] => {
  const address = heap.allocate(100);
  return [
    () => heap.allocate(8),
    () => heap.allocate(8, { alignment: 64 }),
    () => heap.allocateZeroed(8),
    () => heap.reallocate(address, 200),
    () => heap.free(address),
    () => heap.usableSize(address),
    () => heap.allocateMany(8, new Uint32Array(2)),
    () => heap.freeMany(new Uint32Array([address])),
    () => heap.bytes(8),
    () => heap.asMalloc(),
    () => heap.trim(),
    () => heap.stats(),
    () => heap.validate(),
    () => heap.address,
  ];
};

const acts = (calls: readonly (() => unknown)[]): Act[] => calls.map((run) => ({ run }));

/** Every call of every owner, made ready before the owner ends. */
const calls = {
  arena: ({ arena }: Stage) => {
    const mark = arena.mark();
    return [
      () => arena.new(Cell),
      () => arena.allocate(8),
      () => arena.array(f64, 3),
      () => arena.bytes(8),
      () => arena.text("tide"),
      () => arena.mark(),
      () => arena.rewind(mark),
      () => arena.reset(),
      () => arena.arena(),
      () => arena.stats(),
      () => arena.address,
    ];
  },
  frames: ({ frames }: Stage) => {
    const frame = frames.acquire("small");
    return [
      () => frames.acquire("small"),
      () => frames.acquire("large"),
      () => frames.release(frame),
      () => frames.stats(),
      () => frames.validate(),
    ];
  },
  map: ({ map }: Stage) => [
    () => map.set(1, 2),
    () => map.get(1),
    () => map.has(1),
    () => map.delete(1),
    () => map.clear(),
    () => map.first(),
    () => map.size,
    () => map.stats(),
    () => map.validate(),
    () => [...map],
  ],
};

function after(calls: readonly (() => unknown)[], end: () => void): Act[] {
  end();
  return acts(calls);
}

/** A pool whose hook calls `run`, once, when `start` is called; `inner` is what the hook is given. */
function hooked(
  stage: Stage,
  run: (pool: Cells, record: Any) => unknown,
  start = (pool: Cells, ref: Any) => pool.free(ref),
): Act {
  let given: Any;
  let perform: (() => void) | undefined;
  const pool: Cells = stage.runtime.pool(Cell, {
    destroy: (record) => {
      given = record;
      const now = perform;
      perform = undefined;
      now?.();
    },
  });
  const ref = pool.new();
  pool.new();
  return {
    run: () => run(pool, given),
    around: (body) => {
      let failure: unknown;
      perform = () => {
        try {
          body();
        } catch (error) {
          failure = error;
        }
      };
      start(pool, ref);
      if (failure !== undefined) throw failure;
      pool.validate();
      expect(pool.count).toBeLessThanOrEqual(1);
      expect(ref.isLive()).toBe(false);
    },
    figures: () => pool.stats(),
  };
}

/** As {@link hooked}, of a record in an arena that is reset. */
function hookedArena(stage: Stage, run: (arena: Stage["arena"], record: Any) => unknown): Act {
  let perform: (() => void) | undefined;
  let given: Any;
  const Hooked = struct("Hooked", { value: f64 }, {
    destroy: (record: Any) => {
      given = record;
      perform?.();
    },
  } as Any);
  const arena = stage.runtime.arena();
  const record = arena.new(Hooked);
  return {
    run: () => run(arena, given),
    around: (body) => {
      let failure: unknown;
      perform = () => {
        try {
          body();
        } catch (error) {
          failure = error;
        }
      };
      arena.reset();
      if (failure !== undefined) throw failure;
      expect(record.isLive()).toBe(false);
    },
    figures: () => arena.stats(),
  };
}

/** Writes over what lies behind a block, makes the call, and puts it right. */
function overflow(stage: Stage, address: number, end: number, run: () => unknown): Act {
  const { $memory: memory } = stage.runtime;
  let spoiled: Uint8Array;
  return {
    run,
    names: address,
    around: (body) => {
      spoiled = memory.u8.slice(end, end + 16);
      memory.u8.fill(0xee, end, end + 16);
      body();
    },
    repair: () => memory.u8.set(spoiled, end),
  };
}

export const stateRows: Row[] = [
  {
    name: "use after reset, clear",
    cells: {
      arena: must("STALE_REFERENCE", ({ arena }) => {
        const [cursor, bytes, array] = [arena.new(Cell), arena.bytes(8), arena.array(f64, 3)];
        arena.reset();
        return acts([
          () => cursor.value,
          () => cursor.ref(),
          () => bytes.get(0),
          () => bytes.address,
          () => array.at(0),
        ]);
      }),
      pool: must("STALE_REFERENCE", ({ runtime }) => {
        const pool = runtime.pool(Cell);
        const cursor = pool.new(pool.cursor());
        const ref = pool.new();
        pool.clear();
        return acts([
          () => cursor.value,
          () => pool.free(cursor),
          () => pool.free(ref),
          () => pool.cursor().moveTo(ref),
        ]);
      }),
      "sorted map": must("STALE_REFERENCE", ({ runtime }) => {
        const map = runtime.sortedMap(f64, Cell);
        map.set(1, { value: 2 });
        const shown = map.get(1)!;
        map.clear();
        return acts([() => shown.value, () => shown.ref()]);
      }),
    },
  },
  {
    name: "the owner, after its destroy",
    note: "C's functions outlive their heap: they find none",
    cells: {
      arena: must("DISPOSED", (stage) => after(calls.arena(stage), () => stage.arena.destroy())),
      pool: must("DISPOSED", ({ pool }) => after(poolCalls(pool), () => pool.destroy())),
      "byte heap": must("DISPOSED", ({ heap }) => after(heapCalls(heap), () => heap.destroy())),
      "frame pool": must("DISPOSED", (stage) => after(calls.frames(stage), () => stage.frames.destroy())),
      "C malloc": must("INVALID_ADDRESS", ({ c, guests }) => {
        guests.destroy();
        return acts([() => c.malloc(8), () => c.calloc(1, 8), () => c.realloc(0, 8), () => c.aligned_alloc(16, 8)]);
      }),
      "sorted map": must("DISPOSED", (stage) => after(calls.map(stage), () => stage.map.dispose())),
    },
  },
  {
    name: "a record, bytes, after their owner's destroy",
    cells: {
      arena: must("STALE_REFERENCE", ({ arena }) => {
        const [cursor, bytes] = [arena.new(Cell), arena.bytes(8)];
        arena.destroy();
        return acts([() => cursor.value, () => bytes.get(0)]);
      }),
      pool: must("STALE_REFERENCE", ({ pool, others }) => {
        const cursor = pool.new(pool.cursor());
        const ref = pool.new();
        pool.destroy();
        return acts([() => cursor.value, () => others.pool.free(ref), () => others.pool.cursor().moveTo(ref)]);
      }),
      "checked bytes": must("STALE_REFERENCE", ({ heap, others }) => {
        const bytes = [heap.bytes(8), heap.bytes(1000)];
        heap.destroy();
        return bytes.flatMap((each) => acts([() => each.get(0), () => each.set(0, 1), () => others.heap.free(each)]));
      }),
      "frame pool": must("STALE_REFERENCE", ({ frames, others }) => {
        const frame = frames.acquire("small");
        frames.destroy();
        return acts([() => frame.get(0), () => frame.set(0, 1), () => others.frames.release(frame)]);
      }),
      "sorted map": must("STALE_REFERENCE", ({ runtime }) => {
        const map = runtime.sortedMap(f64, Cell);
        map.set(1, { value: 2 });
        const shown = map.get(1)!;
        map.dispose();
        return acts([() => shown.value]);
      }),
    },
  },
  {
    name: "anything, after the runtime's dispose",
    cells: {
      arena: must("DISPOSED", (stage) => {
        const cursor = stage.arena.new(Cell);
        return after([...calls.arena(stage), () => cursor.value, () => stage.runtime.arena()], () =>
          stage.runtime.dispose(),
        );
      }),
      pool: must("DISPOSED", ({ pool, runtime }) =>
        after([...poolCalls(pool), () => runtime.pool(Cell)], () => runtime.dispose()),
      ),
      "byte heap": must("DISPOSED", ({ heap, runtime }) =>
        after([...heapCalls(heap), () => runtime.byteHeap()], () => runtime.dispose()),
      ),
      "checked bytes": must("DISPOSED", ({ heap, runtime }) => {
        const bytes = heap.bytes(8);
        return after([() => bytes.get(0), () => heap.free(bytes)], () => runtime.dispose());
      }),
      "frame pool": must("DISPOSED", (stage) =>
        after([...calls.frames(stage), () => stage.runtime.framePool()], () => stage.runtime.dispose()),
      ),
      "sorted map": must("DISPOSED", (stage) => after(calls.map(stage), () => stage.runtime.dispose())),
    },
  },
  {
    name: "ended by a getter among its own options",
    cells: {
      pool: must("DISPOSED", ({ runtime }) => ({
        run: () =>
          runtime.pool(Cell, {
            get capacity() {
              runtime.dispose();
              return 5;
            },
          }),
        isDone: true,
      })),
      "byte heap": must("DISPOSED", ({ heap }) => ({
        run: () =>
          heap.allocate(8, {
            get alignment() {
              heap.destroy();
              return 64;
            },
          }),
        isDone: true,
      })),
      "frame pool": must("DISPOSED", ({ runtime }) => ({
        run: () => {
          const frames = runtime.framePool({
            get small() {
              runtime.dispose();
              return 64;
            },
          });
          frames.acquire("small");
        },
        isDone: true,
      })),
    },
  },
  {
    name: "a destroy hook that throws",
    note: "the operation is done all the same",
    cells: {
      arena: must("DESTROY_HOOK", ({ runtime }) => {
        const throwing = () => {
          throw new Error("number 5");
        };
        const Throwing = struct("Throwing", { value: f64 }, { destroy: throwing } as Any);
        const arena = runtime.arena();
        arena.new(Throwing);
        return { run: () => arena.reset(), names: "number 5", isDone: true };
      }),
      pool: must("DESTROY_HOOK", ({ runtime }) => {
        const throwing = runtime.pool(Cell, {
          destroy: () => {
            throw new Error("number 5");
          },
        });
        const ref = throwing.new();
        for (let count = 0; count < 5; count++) throwing.new();
        const run = (call: () => void) => ({
          run: () => {
            try {
              call();
            } finally {
              throwing.destroyed || throwing.validate();
            }
          },
          names: "number 5",
          isDone: true,
        });
        return [
          run(() => throwing.free(ref)),
          run(() => throwing.clear()),
          run(() => {
            throwing.new();
            throwing.destroy();
          }),
        ];
      }),
    },
  },
  {
    name: "a hook that allocates, frees another",
    cells: {
      arena: must(SERVED, (stage) => [
        hookedArena(stage, () => stage.arena.new(Cell)),
        hookedArena(stage, () => stage.heap.free(stage.heap.allocate(8))),
        hookedArena(stage, () => stage.pool.free(stage.pool.new())),
      ]),
      pool: must(SERVED, (stage) => [
        hooked(stage, (pool) => pool.free(pool.new())),
        hooked(stage, () => stage.heap.free(stage.heap.allocate(8))),
        hooked(stage, (pool, dying) => {
          for (const record of pool) if (record.$address !== dying.$address) pool.free(record);
        }),
      ]),
    },
  },
  {
    name: "a hook that frees its own, ends its owner",
    cells: {
      arena: must("REENTRANT_CALL", (stage) => [
        hookedArena(stage, (arena) => arena.new(Cell)),
        hookedArena(stage, (arena) => arena.reset()),
        hookedArena(stage, (arena) => arena.destroy()),
        hookedArena(stage, () => stage.runtime.dispose()),
      ]),
      pool: must("REENTRANT_CALL", (stage) => [
        hooked(stage, (pool, dying) => pool.free(dying)),
        hooked(stage, (pool) => pool.clear()),
        hooked(stage, (pool) => pool.destroy()),
        hooked(stage, () => stage.runtime.dispose()),
        hooked(
          stage,
          (pool) => pool.new(),
          (pool) => pool.clear(),
        ),
        hooked(
          stage,
          (pool, dying) => pool.free(dying),
          (pool) => pool.clear(),
        ),
        hooked(
          stage,
          (pool) => pool.destroy(),
          (pool) => pool.clear(),
        ),
      ]),
    },
  },
  {
    name: "out of memory, sealed",
    cells: {
      arena: must("SEALED", (stage) => sealed(stage, () => stage.arena.allocate(8 << 20))),
      pool: must("SEALED", (stage) => sealed(stage, () => stage.runtime.pool(Cell, { capacity: 1 << 20 }))),
      "byte heap": must("SEALED", (stage) => sealed(stage, () => stage.heap.allocate(8 << 20), { holdsBack: true })),
      "checked bytes": must("SEALED", (stage) => sealed(stage, () => stage.heap.bytes(8 << 20), { holdsBack: true })),
      "frame pool": must("SEALED", (stage) => {
        const frames = stage.runtime.framePool({ small: 1 << 20 });
        const held = [1, 2, 3].map(() => frames.acquire("small"));
        expect(held.length).toBe(3);
        return sealed(stage, () => frames.acquire("small"));
      }),
      "C malloc": must("SEALED", (stage) => sealed(stage, () => stage.c.malloc(8 << 20), { holdsBack: true })),
      "sorted map": must("SEALED", (stage) => {
        const map = stage.runtime.sortedMap(f64, f64);
        return sealed(
          stage,
          () => {
            for (let key = 0; ; key++) map.set(key, key);
          },
          { isDone: true },
        );
      }),
    },
  },
  {
    name: "a write past the end",
    note: "of raw memory above 256 bytes, where tags are spoiled. Frames, checked bytes and records check every access",
    cells: {
      arena: must("OUT_OF_BOUNDS", ({ arena }) => {
        const [bytes, array] = [arena.bytes(20), arena.array(f64, 3)];
        return acts([() => bytes.set(20, 1), () => bytes.copyFrom(new Uint8Array(21)), () => array.set(3, 1)]);
      }),
      "byte heap": must("CORRUPTION", (stage) => {
        const blocks = [257, 1000, 5000, 300].map((size) => ({ size, address: stage.heap.allocate(size) }));
        return blocks.slice(0, 3).flatMap(({ size, address }) => {
          const end = address + (stage.debug ? size : stage.heap.usableSize(address));
          return [
            overflow(stage, address, end, () => stage.heap.free(address)),
            overflow(stage, address, end, () => stage.heap.reallocate(address, 50)),
            overflow(stage, address, end, () => stage.heap.usableSize(address)),
          ];
        });
      }),
      "checked bytes": must("OUT_OF_BOUNDS", ({ heap }) => {
        const bytes = heap.bytes(20);
        return acts([() => bytes.set(20, 1), () => bytes.copyFrom(new Uint8Array(21)), () => bytes.get(2 ** 32)]);
      }),
      "frame pool": must("OUT_OF_BOUNDS", ({ frames }) => {
        const frame = frames.acquire("small");
        return acts([() => frame.set(64, 1), () => frame.copyFrom(new Uint8Array(65)), () => frame.get(-1)]);
      }),
      "C malloc": must("CORRUPTION", (stage) => {
        const address = stage.c.malloc(1000);
        stage.c.malloc(300);
        const end = address + (stage.debug ? 1000 : stage.c.malloc_usable_size(address));
        const act = overflow(stage, address, end, () => stage.c.free(address));
        const repair = () => {
          act.repair!();
          // What a call of C has found is told to the next one of TypeScript.
          if (stage.debug) expect(() => stage.guests.trim()).toThrow(CorruptionError);
        };
        return { ...act, repair };
      }),
    },
  },
  {
    name: "a raw write past the end, up to 256 bytes",
    note: "not told: nothing lies between such blocks. The debug build has canaries there",
    cells: {
      "byte heap": must(
        NOT_TOLD,
        (stage) => {
          const { heap } = stage;
          const address = heap.allocate(96);
          return { ...overflow(stage, address, address + 96, () => heap.free(address)) };
        },
        "CORRUPTION",
      ),
    },
  },
];

function sealed(stage: Stage, run: () => unknown, more: Partial<Act> = {}): Act {
  stage.runtime.seal();
  return { run, ...more };
}
