import { type Arena, createRuntime, f64, type Runtime, struct, TidemarkError } from "tidemark";
import { expect } from "vitest";
import { validate } from "./runtimes.js";

export const Cell = struct("Cell", { value: f64 });
export const Other = struct("Other", { value: f64, more: f64 });

/** What is never a size, a count or an address. */
export const NO_NUMBERS: readonly unknown[] = ["5", "", null, 5n, {}, [], [5], true, Symbol("five"), () => 5];
/** Numbers that are no sizes, whatever the limit. */
export const NO_SIZES: readonly unknown[] = [
  0,
  -0,
  -1,
  0.5,
  1.5,
  Number.NaN,
  Infinity,
  -Infinity,
  2 ** 32,
  2 ** 53,
  ...NO_NUMBERS,
];

/** What a row of the table works on. */
export interface Bench {
  readonly runtime: Runtime;
  readonly arena: Arena;
  /** A second runtime, and an arena in it. */
  readonly stranger: Runtime;
  readonly strange: Arena;
}

/** One call with bad input, and the code of the error that it must get. */
export interface Row {
  readonly name: string;
  readonly code: string;
  /** Text that the message must contain. */
  readonly says?: string | RegExp;
  /** Makes ready what the call needs, and returns the call. */
  readonly make: (bench: Bench) => () => unknown;
}

export function row(name: string, code: string, make: Row["make"], says?: string | RegExp): Row {
  return { name, code: `ERR_TIDEMARK_${code}`, make, ...(says !== undefined && { says }) };
}

/** A row for each value. */
export function rows(
  name: string,
  code: string,
  values: readonly unknown[],
  call: (bench: Bench, value: never) => unknown,
): Row[] {
  return values.map((value) => {
    const shown =
      typeof value === "bigint" ? `${value}n` : typeof value === "object" ? JSON.stringify(value) : String(value);
    const says = typeof value === "number" && code === "INVALID_ARGUMENT" ? String(value) : undefined;
    return row(`${name} (${shown})`, code, (bench) => () => call(bench, value as never), says);
  });
}

/** Runs a row: a typed error with its code and numbers, nothing changed, and everything goes on working. */
export async function check(row: Row, debug: boolean): Promise<void> {
  const runtime = await createRuntime({ debug });
  const stranger = await createRuntime({ debug });
  const arena = runtime.arena();
  const strange = stranger.arena();
  const kept = arena.new(Cell);
  kept.value = 123;
  const call = row.make({ runtime, arena, stranger, strange });
  const figures = () =>
    [runtime, stranger].map((each) =>
      each.disposed ? "disposed" : [each.stats(), each.$memory.rootWord("ROOT_GUARDS_LIVE")],
    );
  const arenas = () =>
    [arena, strange].map((each) => (each.$memory.disposed || each.destroyed ? "gone" : each.stats()));
  const before = [figures(), arenas(), kept.isLive()];
  let thrown: unknown;
  try {
    const result = await call();
    expect.fail(`nothing was thrown; it returned ${typeof result}`);
  } catch (error) {
    thrown = error;
  }
  if (!(thrown instanceof TidemarkError)) throw thrown;
  expect(thrown.code).toBe(row.code);
  expect(thrown.name).toBe(thrown.constructor.name);
  if (row.says !== undefined) expect(thrown.message).toMatch(row.says);
  expect([figures(), arenas(), kept.isLive()]).toEqual(before);
  if (kept.isLive()) expect(kept.value).toBe(123);
  for (const each of [runtime, stranger]) {
    if (each.disposed) continue;
    const next = each.arena();
    const cell = next.new(Cell);
    expect(cell.value).toBe(0);
    cell.value = 5;
    expect(next.array(Cell, 3).at(2).value).toBe(0);
    validate(each, next);
    next.destroy();
  }
  for (const each of [arena, strange])
    if (!each.$memory.disposed && !each.destroyed) validate(each === arena ? runtime : stranger, each);
  runtime.dispose();
  stranger.dispose();
}
