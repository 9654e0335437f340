import { type Arena, array, createRuntime, f64, type Pool, type Runtime, struct, weak } from "tidemark";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectRefusal } from "./hostile.js";

const Level = struct("Level", { price: f64 });
const Watch = struct("Watch", { level: weak(Level), others: array(weak(Level), 2) });

let runtime: Runtime;
let arena: Arena;
let levels: Pool<(typeof Level)["fields"]>;
beforeAll(async () => {
  runtime = await createRuntime({ maximumBytes: 64 << 20 });
});
afterAll(() => runtime.dispose());
beforeEach(() => {
  arena = runtime.arena();
  levels = runtime.pool(Level);
});
afterEach(() => {
  levels.destroy();
  arena.destroy();
});

/** A record of the pool, in a cursor of its own. */
const priced = (price: number) => levels.new(runtime.cursor(Level)).assign({ price });

describe("a weak field of a record", () => {
  test("refers to what it was given while that is there, and reads as null afterwards, however it is read", () => {
    const level = priced(3);
    const watch = arena.new(Watch).assign({ level, others: [null, level] });
    const shown = runtime.cursor(Level);
    expect(watch.level!.price).toBe(3);
    expect(runtime.cursor(Level).moveTo(watch.others.at(1)!).price).toBe(3);
    expect(watch.follow("level", shown)).toBe(true);
    expect(shown.price).toBe(3);

    levels.free(level);
    expect(watch.level).toBe(null);
    expect(watch.others.at(1)).toBe(null);
    expect(watch.toObject()).toEqual({ level: null, others: [null, null] });
  });

  test("is followed to nothing once its record has ended, and leaves the cursor where it was", () => {
    const other = priced(4);
    const level = priced(3);
    const watch = arena.new(Watch).assign({ level });
    const shown = runtime.cursor(Level).moveTo(other);
    levels.free(level);
    expect(watch.follow("level", shown)).toBe(false);
    expect(shown.price).toBe(4);
  });

  test("is not fooled by a record that has taken the place of its own", () => {
    const scratch = runtime.arena();
    const level = scratch.new(Level);
    const watch = arena.new(Watch).assign({ level });
    scratch.reset();
    const successor = scratch.new(Level);
    expect(successor.$address).toBe(level.$address);
    expect(watch.level).toBe(null);
    expect(watch.follow("level", runtime.cursor(Level))).toBe(false);
    scratch.destroy();
    expect(watch.follow("level", runtime.cursor(Level))).toBe(false);
  });

  test("is copied as it is, and what it refers to is not", () => {
    const level = priced(3);
    const archive = runtime.arena();
    const copy = arena.new(Watch).assign({ level }).copyTo(archive);
    level.price = 5;
    expect(copy.level!.price).toBe(5);
    levels.free(level);
    expect(copy.level).toBe(null);
    archive.destroy();
  });

  test("refuses a record that has ended already", () => {
    const level = priced(3);
    const watch = arena.new(Watch);
    levels.free(level);
    expectRefusal(() => {
      watch.level = level;
    }, "ERR_TIDEMARK_STALE_REFERENCE");
    expect(watch.level).toBe(null);
  });
});
