import {
  type Arena,
  type ByteHeap,
  createRuntime,
  type FramePool,
  f64,
  type Pool,
  type Runtime,
  type SortedMap,
  struct,
  TidemarkError,
} from "tidemark";
import { expect } from "vitest";
import { MEBIBYTE, validate } from "./runtimes.js";

export const Cell = struct("Cell", { value: f64 });
export const Other = struct("Other", { value: f64, more: f64 });

/** Anything, where the types would not let it through. */
// biome-ignore lint/suspicious/noExplicitAny: the point of these tests
export type Any = any;

/** The columns of the table. */
export const COLUMNS = ["arena", "pool", "byte heap", "checked bytes", "frame pool", "C malloc", "sorted map"] as const;
export type Column = (typeof COLUMNS)[number];

/** What is no error code: a call that is in order, and a misuse that cannot be known as one. */
export const SERVED = "served";
export const NOT_TOLD = "not told";

/** All of one runtime that can be misused. */
export interface Owners {
  readonly runtime: Runtime;
  readonly arena: Arena;
  readonly pool: Pool<(typeof Cell)["fields"]>;
  readonly heap: ByteHeap;
  readonly frames: FramePool;
  readonly map: SortedMap<typeof f64, typeof f64>;
}

/** What a cell of the table works on: an owner of each kind, others of the same runtime, and those of a second one. */
export interface Stage extends Owners {
  readonly debug: boolean;
  readonly others: Owners;
  readonly strange: Owners;
  /** The heap of C guests, and its functions. */
  readonly guests: ByteHeap;
  readonly c: ReturnType<ByteHeap["asMalloc"]>;
}

/** One call that is to be refused, or not. */
export interface Act {
  readonly run: () => unknown;
  /** What the message must name. */
  readonly names?: number | string;
  /** Has `run` called from somewhere else, for example in a hook. */
  readonly around?: (run: () => void) => void;
  /** True if what the error tells of is done all the same. */
  readonly isDone?: boolean;
  /** True if the call may have grown memory before it failed. */
  readonly mayGrow?: boolean;
  /** What must be as before too, when the call was refused. */
  readonly figures?: () => unknown;
  /** True if the call may free: the debug build holds such blocks back, and lets go of them where memory is short. */
  readonly holdsBack?: boolean;
  /** Puts right what the misuse has spoiled, before all is checked. */
  readonly repair?: () => void;
}

/** A cell of the table: what must come of its acts, in the release and in the debug build. */
export interface Case {
  readonly expected: string;
  readonly expectedInDebug: string;
  readonly make: (stage: Stage) => Act | Act[];
}

export interface Row {
  readonly name: string;
  readonly cells: Partial<Record<Column, Case>>;
  /** Said below the table. */
  readonly note?: string;
}

/** A case with the code, without its prefix, that all its acts must get. */
export function must(expected: string, make: Case["make"], expectedInDebug = expected): Case {
  return { expected, expectedInDebug, make };
}

function owners(runtime: Runtime): Owners {
  const map = runtime.sortedMap(f64, f64);
  for (let key = 1; key <= 100; key++) map.set(key, -key);
  return {
    runtime,
    map,
    arena: runtime.arena(),
    pool: runtime.pool(Cell),
    heap: runtime.byteHeap(),
    frames: runtime.framePool({ small: 64, medium: 1000, large: 5000 }),
  };
}

async function openStage(debug: boolean): Promise<Stage> {
  const options = { debug, initialBytes: 4 * MEBIBYTE, maximumBytes: 64 * MEBIBYTE, onLeak: () => {} };
  const runtime = await createRuntime(options);
  const stage = { ...owners(runtime), debug, others: owners(runtime), strange: owners(await createRuntime(options)) };
  const guests = runtime.byteHeap();
  return { ...stage, guests, c: guests.asMalloc() };
}

/** The figures of everything alive, but for how often calls were refused. */
function figures(stage: Stage, act: Act): unknown {
  return [stage, stage.others, stage.strange].map(({ runtime, arena, pool, heap, frames, map }) => {
    if (runtime.disposed) return "disposed";
    const { committedBytes, freeBytes, highWaterBytes, growths, ...pages } = runtime.stats();
    return [
      act.holdsBack && stage.debug
        ? "whatever"
        : act.mayGrow
          ? pages
          : { ...pages, committedBytes, freeBytes, highWaterBytes, growths },
      runtime.$memory.rootWord("ROOT_GUARDS_LIVE"),
      ...[arena, pool, frames].map((each) => (each.destroyed ? "destroyed" : each.stats())),
      map.disposed ? "disposed" : map.stats(),
      ...[heap, stage.guests].map((each) => figuresOf(each, act, stage.debug)),
    ];
  });
}

function figuresOf(heap: ByteHeap, { repair, holdsBack }: Act, debug: boolean): unknown {
  if (heap.destroyed) return "destroyed";
  if (repair !== undefined) return "spoiled: cannot be walked over";
  if (holdsBack && debug) return "whatever is held back";
  return { ...heap.stats(), refusals: "whatever" };
}

/** Checks every invariant of what is alive, and that it goes on working. */
function checkSound(stage: Stage): void {
  for (const { runtime, arena, pool, heap, frames, map } of [stage, stage.others, stage.strange]) {
    if (runtime.disposed) continue;
    runtime.validate();
    if (!arena.destroyed) {
      validate(runtime, arena);
      expect(arena.new(Cell).value).toBe(0);
    }
    if (!pool.destroyed) {
      const record = pool.new(pool.cursor());
      expect(record.value).toBe(0);
      record.value = 5;
      pool.free(record);
      pool.validate();
    }
    for (const each of [heap, stage.guests]) if (!each.destroyed) checkHeap(each);
    if (!frames.destroyed) {
      const frame = frames.acquire("small");
      expect(frame.get(frame.length - 1)).toBe(0);
      frames.release(frame);
      frames.validate();
    }
    if (!map.disposed) {
      map.set(1000, 1);
      expect(map.get(1000)).toBe(1);
      map.delete(1000);
      map.validate();
    }
  }
}

function checkHeap(heap: ByteHeap): void {
  const { u8 } = heap.$memory;
  const addresses = [1, 100, 256, 257, 5000].map((size) => {
    const address = heap.allocate(size);
    heap.$memory.u8.fill(size, address, address + size);
    return { address, size };
  });
  for (const { address, size } of addresses) {
    expect(heap.usableSize(address)).toBeGreaterThanOrEqual(size);
    expect(u8.length === 0 || heap.$memory.u8[address + size - 1] === (size & 0xff)).toBe(true);
    heap.free(address);
  }
  heap.validate();
}

const PREFIX = "ERR_TIDEMARK_";

/** Makes the call and tells what came of it: a code without its prefix, or that nothing was thrown. */
function attempt(stage: Stage, column: Column, { run, names }: Act, expected: string): string {
  let thrown: unknown;
  try {
    if (column === "C malloc") thrown = refusalOf(stage, run);
    else run();
  } catch (error) {
    thrown = error;
  }
  if (thrown === undefined) return expected === NOT_TOLD ? NOT_TOLD : SERVED;
  if (!(thrown instanceof TidemarkError)) throw thrown;
  expect(thrown.name).toBe(thrown.constructor.name);
  expect(thrown.code.startsWith(PREFIX)).toBe(true);
  if (names !== undefined) expect(thrown.message).toContain(String(names));
  return thrown.code.slice(PREFIX.length);
}

/** C has no errors: what the runtime would have said of a call that was refused. */
function refusalOf({ runtime }: Stage, run: () => unknown): TidemarkError | undefined {
  const memory = runtime.$memory;
  memory.setRootWord("ROOT_STATUS", 0);
  const result = run();
  if (memory.rootWord("ROOT_STATUS") === 0) return undefined;
  expect([0, undefined, 12, 22]).toContain(result);
  return memory.failure("a call of C");
}

/** Runs one cell of the table in a runtime of its own; returns what came of it. */
export async function runCase(column: Column, each: Case, debug: boolean): Promise<string> {
  const stage = await openStage(debug);
  const expected = debug ? each.expectedInDebug : each.expected;
  const kept = stage.pool.new();
  const keptBytes = stage.heap.bytes(20);
  keptBytes.set(19, 77);
  checkSound(stage);
  const seen = new Set<string>();
  for (const act of [each.make(stage)].flat()) {
    const perform = () => {
      const before = [figures(stage, act), act.figures?.()];
      const outcome = attempt(stage, column, act, expected);
      seen.add(outcome);
      if (outcome !== SERVED && outcome !== NOT_TOLD && !act.isDone) {
        expect([figures(stage, act), act.figures?.()]).toEqual(before);
      }
    };
    if (act.around === undefined) perform();
    else act.around(perform);
    act.repair?.();
    checkSound(stage);
    if (!stage.pool.destroyed && kept.isLive()) expect(stage.pool.contains(kept)).toBe(true);
    if (!stage.heap.destroyed) expect(keptBytes.get(19)).toBe(77);
  }
  stage.runtime.dispose();
  stage.strange.runtime.dispose();
  const outcome = [...seen].join(", ");
  expect(outcome).toBe(expected);
  return outcome;
}
