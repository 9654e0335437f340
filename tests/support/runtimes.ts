import { type Arena, createRuntime, type Runtime, type RuntimeOptions } from "tidemark";
import { afterAll, beforeAll } from "vitest";

/** The two modules, for `describe.each`. */
export const modules = [
  { name: "release", debug: false },
  { name: "debug", debug: true },
] as const;

export const PAGE = 65_536;
export const MEBIBYTE = 1 << 20;

/** The numbers of page owners that tests use; those of assembly/memory/pageHeap.ts. */
export const Owner = {
  FREE: 0,
  METADATA: 1,
  HOST: 2,
  GUARDS: 3,
  SMALL_BLOCKS: 4,
  ARENA: 5,
  SORTED_MAP: 6,
  SCRATCH: 7,
  POOL: 8,
  HEAP_SPANS: 9,
  HEAP_AREAS: 10,
  TIMERS: 12,
  MESSAGE_RINGS: 13,
};

/** Runs `body` with a runtime of its own, which is disposed afterwards. */
export async function withRuntime(options: RuntimeOptions, body: (runtime: Runtime) => unknown): Promise<void> {
  const runtime = await createRuntime(options);
  try {
    await body(runtime);
  } finally {
    runtime.dispose();
  }
}

/** Checks every invariant of the page heap and of the arenas given. */
export function validate(runtime: Runtime, ...arenas: Arena[]): void {
  runtime.validate();
  for (const arena of arenas) {
    const found = runtime.$memory.exports.validateArena(arena.address);
    if (found !== 0) throw new Error(`validateArena found ${found} in the arena at ${arena.address}`);
  }
}

/** A word of an arena's header, by the name of the exported offset. */
export function arenaWord(arena: Arena, name: `ARENA_${string}`): number {
  const memory = arena.$memory;
  return memory.u32[(arena.address + memory.exports[name]!.value) >>> 2]!;
}

/**
 * Keeps the stacks of this file's tests short: the debug runtime takes one at each allocation, and in a test runner, which
 * maps stacks to sources, that takes a tenth of a millisecond.
 */
export function withoutStacks(): void {
  const { stackTraceLimit } = Error;
  beforeAll(() => {
    Error.stackTraceLimit = 1;
  });
  afterAll(() => {
    Error.stackTraceLimit = stackTraceLimit;
  });
}
