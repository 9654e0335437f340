import fc from "fast-check";
import { createRuntime, f64, struct } from "tidemark";
import { beforeAll, describe, expect, test } from "vitest";
import { compileGuest } from "../support/guest.js";
import { modules, PAGE, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

const RETIRED = 2 ** 32 - 1;
const Cell = struct("Cell", { value: f64 });

interface GuardExports {
  allocateGuard(): number;
  freeGuard(guard: number): void;
  advanceGuard(guard: number): number;
  generationOf(guard: number): number;
}
let wasm: Uint8Array<ArrayBuffer>;
beforeAll(async () => {
  const source = `export { allocateGuard, freeGuard, advanceGuard, generationOf } from "./assembly/memory/guard";`;
  wasm = new Uint8Array(await compileGuest(source, false));
});

describe("guards", () => {
  test("never show a generation twice, whatever is taken, advanced and given back, up to their retirement", async () => {
    const operation = fc.record({
      type: fc.constantFrom("allocate", "allocate", "free", "advance", "nearEnd"),
      pick: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 400, size: "max" }), async (operations) => {
        const runtime = await createRuntime({ maximumBytes: 8 * PAGE, initialBytes: 2 * PAGE });
        const guards = await runtime.instantiate<GuardExports>(wasm);
        const words = runtime.$memory;
        const live: number[] = [];
        const seen = new Set<string>();
        const retired = new Set<number>();
        const note = (guard: number) => {
          const shown = `${guard}:${guards.generationOf(guard) >>> 0}`;
          expect(seen.has(shown)).toBe(false);
          expect(guards.generationOf(guard) >>> 0).not.toBe(RETIRED);
          expect(retired.has(guard)).toBe(false);
          seen.add(shown);
        };
        for (const { type, pick } of operations) {
          const index = pick % Math.max(live.length, 1);
          const guard = live[index];
          if (type === "allocate") {
            const made = guards.allocateGuard();
            note(made);
            live.push(made);
          } else if (guard === undefined) {
            continue;
          } else if (type === "free") {
            if (words.u32[guard >>> 2] === RETIRED - 1) retired.add(guard);
            guards.freeGuard(guard);
            live.splice(index, 1);
          } else if (type === "advance") {
            const last = words.u32[guard >>> 2] === RETIRED - 1;
            const next = guards.advanceGuard(guard);
            expect(next === guard).toBe(!last);
            if (last) {
              retired.add(guard);
              expect(guards.generationOf(guard) >>> 0).toBe(RETIRED);
            }
            note(next);
            live[index] = next;
          } else {
            words.u32[guard >>> 2] = RETIRED - 1;
            seen.add(`${guard}:${RETIRED - 1}`);
          }
          expect(words.rootWord("ROOT_GUARDS_LIVE")).toBe(live.length);
        }
        runtime.validate();
        runtime.dispose();
      }),
      { numRuns: scaled(60) },
    );
  });

  test("are packed into pages, and taken again before another page is", async () => {
    await withRuntime({ maximumBytes: 8 * PAGE, initialBytes: 2 * PAGE }, async (runtime) => {
      const guards = await runtime.instantiate<GuardExports>(wasm);
      const pages = () => runtime.stats().bytesByOwner.guards / PAGE;
      const made = Array.from({ length: PAGE / 8 }, () => guards.allocateGuard());
      expect(pages()).toBe(1);
      expect(new Set(made).size).toBe(PAGE / 8);
      made.push(guards.allocateGuard());
      expect(pages()).toBe(2);
      for (const guard of made) guards.freeGuard(guard);
      const again = made.map(() => guards.allocateGuard());
      expect(new Set(again)).toEqual(new Set(made));
      expect(pages()).toBe(2);
    });
  });

  test("a guard that can be neither advanced nor replaced stays as it is", async () => {
    await withRuntime({ maximumBytes: 4 * PAGE, initialBytes: 2 * PAGE }, async (runtime) => {
      const guards = await runtime.instantiate<GuardExports>(wasm);
      const made = Array.from({ length: PAGE / 8 }, () => guards.allocateGuard());
      const guard = made[100]!;
      runtime.$memory.exports.allocatePages(1, 7);
      runtime.$memory.exports.allocatePages(1, 7);
      runtime.$memory.u32[guard >>> 2] = RETIRED - 1;
      expect(guards.advanceGuard(guard)).toBe(0);
      expect(guards.generationOf(guard) >>> 0).toBe(RETIRED - 1);
      expect(runtime.$memory.rootWord("ROOT_STATUS")).toBe(1);
    });
  });
});

describe.each(modules)("an arena whose guard has come to its last generation, $name module", ({ debug }) => {
  /** Puts the arena's guard to its last generation, as four thousand million resets would. */
  const age = (runtime: { $memory: { u32: Uint32Array } }, address: number) => {
    const { u32 } = runtime.$memory;
    const guard = u32[(address + 8) >>> 2]!;
    u32[guard >>> 2] = RETIRED - 1;
    return guard;
  };

  test("takes another one at the next reset, and every ref made before stays stale for ever", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const first = arena.new(Cell);
      const guard = age(runtime, arena.address);
      const last = arena.new(Cell);
      last.value = 5;
      expect([first.isLive(), last.isLive()]).toEqual([false, true]);
      arena.reset();
      expect(runtime.$memory.u32[guard >>> 2]).toBe(RETIRED);
      expect(runtime.$memory.u32[(arena.address + 8) >>> 2]).not.toBe(guard);
      const next = arena.new(Cell);
      expect([first.isLive(), last.isLive(), next.isLive()]).toEqual([false, false, true]);
      expect(() => last.value).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_STALE_REFERENCE" }));
      for (let round = 0; round < 100; round++) {
        runtime.arena().new(Cell);
        arena.reset();
      }
      expect([first.isLive(), last.isLive(), next.isLive()]).toEqual([false, false, false]);
    }));

  test("takes another one at a rewind", () =>
    withRuntime({ debug }, (runtime) => {
      const arena = runtime.arena();
      const outer = arena.new(Cell);
      const mark = arena.mark();
      const inner = arena.new(Cell);
      const guard = age(runtime, arena.address);
      const last = arena.new(Cell);
      const upper = arena.mark();
      arena.new(Cell);
      arena.rewind(mark);
      expect(runtime.$memory.u32[guard >>> 2]).toBe(RETIRED);
      const next = arena.new(Cell);
      expect([outer, inner, last, next].map((cell) => cell.isLive())).toEqual([true, false, false, true]);
      expect(() => arena.rewind(upper)).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_STALE_MARK" }));
      arena.rewind(mark);
      arena.reset();
      expect([outer, next].map((cell) => cell.isLive())).toEqual([false, false]);
      expect(runtime.$memory.exports.validateArena(arena.address)).toBe(0);
      arena.destroy();
      runtime.validate();
    }));

  test("gives it up when it is destroyed", () =>
    withRuntime({ debug }, (runtime) => {
      const live = runtime.$memory.rootWord("ROOT_GUARDS_LIVE");
      const arena = runtime.arena();
      const guard = age(runtime, arena.address);
      const cell = arena.new(Cell);
      arena.destroy();
      expect(runtime.$memory.u32[guard >>> 2]).toBe(RETIRED);
      expect(cell.isLive()).toBe(false);
      const another = runtime.arena();
      expect(runtime.$memory.u32[(another.address + 8) >>> 2]).not.toBe(guard);
      expect(runtime.$memory.rootWord("ROOT_GUARDS_LIVE")).toBe(live + 1);
    }));

  test("refuses the reset, with nothing changed, when there is no memory for another", () =>
    withRuntime({ debug, maximumBytes: 3 * PAGE, initialBytes: 3 * PAGE }, (runtime) => {
      const arena = runtime.arena();
      const mark = arena.mark();
      const spare = runtime.arena();
      // Uses up the page of guards: marks take one each, in blocks of an arena whose guards run out with them.
      const { u32 } = runtime.$memory;
      const root = runtime.$memory.exports.ROOT.value;
      const limit = [...u32.subarray(root >>> 2, (root >>> 2) + 24)].findIndex((word) => word === 2 * PAGE);
      expect(limit).toBeGreaterThan(0);
      const cursor = [...u32.subarray(root >>> 2, (root >>> 2) + 24)].findIndex(
        (word) => word > PAGE && word < 2 * PAGE && word % PAGE === runtime.$memory.rootWord("ROOT_GUARDS_LIVE") * 8,
      );
      expect(cursor).toBeGreaterThan(0);
      u32[(root >>> 2) + cursor] = 2 * PAGE;
      age(runtime, arena.address);
      const cell = arena.new(Cell);
      cell.value = 7;
      const before = arena.stats();
      const refused = expect.objectContaining({ code: "ERR_TIDEMARK_OUT_OF_MEMORY" });
      expect(() => arena.rewind(mark)).toThrow(refused);
      expect(arena.stats()).toEqual(before);
      expect(cell.value).toBe(7);
      expect(() => arena.mark()).toThrow(refused);
      expect(() => runtime.arena()).toThrow(refused);
      expect(() => arena.arena()).toThrow(refused);
      expect(arena.stats()).toEqual(before);
      spare.destroy();
      arena.rewind(mark);
      expect(cell.isLive()).toBe(false);
      runtime.validate();
    }));
});
