import {
  array,
  type ByteHeap,
  type Bytes,
  createRuntime,
  f64,
  type Runtime,
  struct,
  TidemarkError,
  u8,
} from "tidemark";
import { expect } from "vitest";
import { type Any, Cell, type Column } from "./misuse.js";
import { MEBIBYTE } from "./runtimes.js";

const Large = struct("Large", { bytes: array(u8, 4000) });

/** Fills memory by one allocator, one call after another. */
export interface Filler {
  /** Takes one piece more. */
  take(): void;
  /** Gives back all that was taken. */
  giveBack(): void;
  /** What a refused call must not change. */
  figures(): unknown;
  validate(): void;
}

/** Sizes that a byte heap finds in either half. */
const SIZES = [24, 100, 256, 700, 5000, 40_000];

function ofHeap(heap: ByteHeap, take: (size: number) => unknown, give: (block: never) => void): Filler {
  const taken: unknown[] = [];
  return {
    take: () => {
      taken.push(take(SIZES[taken.length % SIZES.length]!));
    },
    giveBack: () => {
      for (const block of taken.splice(0)) give(block as never);
      heap.trim();
    },
    // The debug build lets go of what it holds back when memory is short.
    figures: () => (heap.$memory.sites === undefined ? heap.stats().blocks : taken.length),
    validate: () => heap.validate(),
  };
}

export const fillers: Partial<Record<Column, (runtime: Runtime) => Filler>> = {
  arena: (runtime) => {
    const arena = runtime.arena();
    return {
      take: () => void arena.allocate(3000),
      giveBack: () => {
        for (let round = 0; round < 300; round++) arena.reset();
      },
      figures: () => arena.stats(),
      validate: () => expect(runtime.$memory.exports.validateArena(arena.address)).toBe(0),
    };
  },
  pool: (runtime) => {
    // The debug build takes note of where each was made, which takes it a while.
    const pool = runtime.debug ? runtime.pool(Large) : runtime.pool(Cell);
    const refs: ReturnType<typeof pool.new>[] = [];
    return {
      take: () => void refs.push((pool as Any).new()),
      giveBack: () => {
        for (const ref of refs.splice(0)) (pool as Any).free(ref);
      },
      figures: () => pool.stats(),
      validate: () => pool.validate(),
    };
  },
  "byte heap": (runtime) => {
    const heap = runtime.byteHeap();
    return ofHeap(
      heap,
      (size) => heap.allocate(size),
      (address) => heap.free(address),
    );
  },
  "checked bytes": (runtime) => {
    const heap = runtime.byteHeap();
    return ofHeap(
      heap,
      (size) => heap.bytes(size),
      (bytes) => heap.free(bytes),
    );
  },
  "frame pool": (runtime) => {
    const frames = runtime.framePool();
    const taken: Bytes[] = [];
    return {
      take: () => void taken.push(frames.acquire((["small", "medium", "large"] as const)[taken.length % 3]!)),
      giveBack: () => {
        for (const frame of taken.splice(0)) frames.release(frame);
      },
      figures: () => frames.stats().inUse,
      validate: () => frames.validate(),
    };
  },
  "C malloc": (runtime) => {
    const heap = runtime.byteHeap();
    const c = heap.asMalloc();
    const take = (size: number) => {
      const address = c.malloc(size) >>> 0;
      if (address === 0) throw heap.$memory.failure(`malloc(${size})`);
      return address;
    };
    return ofHeap(heap, take, (address) => c.free(address));
  },
  "sorted map": (runtime) => {
    const map = runtime.sortedMap(f64, f64);
    return {
      take: () => void map.set(map.size, 1),
      giveBack: () => map.clear(),
      figures: () => map.size,
      validate: () => map.validate(),
    };
  },
};

/** Takes until memory is out; returns how much that was. A refusal must change nothing. */
function fill(runtime: Runtime, filler: Filler, seen: Set<string>): number {
  for (let count = 0; ; count++) {
    try {
      filler.take();
    } catch (error) {
      note(error, seen);
      const before = [runtime.stats(), filler.figures()];
      expect(() => filler.take()).toThrow(TidemarkError);
      expect([runtime.stats(), filler.figures()]).toEqual(before);
      return count;
    }
  }
}

function note(error: unknown, seen: Set<string>): void {
  if (!(error instanceof TidemarkError)) throw error;
  expect(error.message).toMatch(/\d/);
  seen.add(error.code.replace("ERR_TIDEMARK_", ""));
}

/** Fills memory, gives everything back, and has nine tenths of it again. */
export async function exhaust(column: Column, debug: boolean): Promise<string> {
  const seen = new Set<string>();
  const runtime = await createRuntime({ debug, maximumBytes: 3 * MEBIBYTE, onLeak: () => {} });
  const filler = fillers[column]!(runtime);
  const first = fill(runtime, filler, seen);
  expect(first).toBeGreaterThan(10);
  for (let round = 0; round < 3; round++) {
    runtime.validate();
    filler.giveBack();
    filler.validate();
    expect(fill(runtime, filler, seen)).toBeGreaterThanOrEqual(0.9 * first);
  }
  runtime.dispose();
  return [...seen].join(", ");
}

/** Has page request number k refused, for every k that there is; the debug build can do that. */
export async function refuseEach(column: Column): Promise<{ codes: string; refused: number }> {
  const seen = new Set<string>();
  let refused = 0;
  for (let wasReached = true; wasReached; ) {
    refused++;
    const runtime = await createRuntime({ debug: true, maximumBytes: 4 * MEBIBYTE, onLeak: () => {} });
    const filler = fillers[column]!(runtime);
    filler.take();
    runtime.$memory.setRootWord("ROOT_REFUSE_AFTER", refused);
    for (let count = 0; count < (column === "sorted map" ? 10_000 : 150); count++) {
      const before = filler.figures();
      try {
        filler.take();
      } catch (error) {
        note(error, seen);
        expect(filler.figures()).toEqual(before);
        runtime.validate();
        filler.validate();
        filler.take();
      }
    }
    // An allocator that asks for less when much is refused, and is given that, throws nothing.
    wasReached = runtime.$memory.rootWord("ROOT_REFUSE_AFTER") === 0;
    runtime.$memory.setRootWord("ROOT_REFUSE_AFTER", 0);
    filler.validate();
    filler.giveBack();
    filler.validate();
    runtime.validate();
    runtime.dispose();
  }
  return { codes: [...seen].join(", "), refused: refused - 1 };
}
