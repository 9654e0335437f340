import {
  type Arena,
  array,
  bool,
  createRuntime,
  f64,
  type Runtime,
  ref,
  type SequenceOf,
  struct,
  text,
  u32,
} from "tidemark";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";

// What the tests of cursors and arrays begin with: a file that imports this has two runtimes, and each of its tests an
// arena of its own.

export const Level = struct("Level", { price: f64, quantity: f64 });
export const Side = struct("Side", { name: text(4), best: Level, levels: array(Level, 3), counts: array(u32, 2) });
export const Book = struct("Book", { bids: Side, asks: Side, open: bool, last: ref(Level) });

export let runtime: Runtime;
/** Another runtime, for what does not belong to the first. */
export let other: Runtime;
/** In `runtime`. */
export let arena: Arena;

beforeAll(async () => {
  runtime = await createRuntime({ maximumBytes: 256 << 20 });
  other = await createRuntime({ maximumBytes: 64 << 20 });
});
afterAll(() => {
  runtime.dispose();
  other.dispose();
});
beforeEach(() => {
  arena = runtime.arena();
});
afterEach(() => arena.destroy());

/** A level in the test's arena. */
export function level(price: number, quantity: number) {
  const cursor = arena.new(Level);
  cursor.price = price;
  cursor.quantity = quantity;
  return cursor;
}

/** A growable array with prices 0, 1, …. */
export function levelsUpTo(count: number): SequenceOf<typeof Level> {
  const levels = arena.array(Level);
  for (let price = 0; price < count; price++) levels.push().price = price;
  return levels;
}
