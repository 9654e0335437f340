import fc from "fast-check";
import {
  type Arena,
  type ArenaMark,
  array,
  createRuntime,
  type Fields,
  f64,
  type Runtime,
  type StructType,
  struct,
  u8,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { arenaWord, MEBIBYTE, modules, PAGE, validate, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

const Small = struct("Small", { a: f64 });
const Odd = struct("Odd", { bytes: array(u8, 61) });
const Large = struct("Large", { bytes: array(u8, 5000) });
const structs: readonly StructType<Fields>[] = [Small, Odd, Large];

const size = fc.oneof(
  { weight: 10, arbitrary: fc.integer({ min: 1, max: 200 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 9000 }) },
  { weight: 1, arbitrary: fc.constantFrom(PAGE - 24, PAGE - 16, PAGE - 8, PAGE, 4 * PAGE, 5 * PAGE) },
);
const type = <T extends string>(name: T) => fc.constant(name);
const operation = fc.oneof(
  { weight: 10, arbitrary: fc.record({ type: type("struct"), which: fc.constantFrom(0, 0, 0, 1, 1, 2) }) },
  { weight: 6, arbitrary: fc.record({ type: type("bytes"), size }) },
  { weight: 3, arbitrary: fc.record({ type: type("array"), count: fc.integer({ min: 1, max: 300 }) }) },
  { weight: 2, arbitrary: fc.record({ type: type("aligned"), size, alignment: fc.constantFrom(1, 8, 16, 64, 4096) }) },
  { weight: 1, arbitrary: fc.record({ type: type("mark") }) },
  { weight: 1, arbitrary: fc.record({ type: type("rewind"), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ type: type("reset") }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** The bytes of an allocation, and its alignment. */
function demand(operation: Operation): { size: number; alignment: number } | undefined {
  switch (operation.type) {
    case "struct":
      return { size: structs[operation.which]!.size, alignment: 8 };
    case "bytes":
      return { size: operation.size, alignment: 8 };
    case "array":
      return { size: operation.count * 8, alignment: 8 };
    case "aligned":
      return operation;
    default:
      return undefined;
  }
}

/** Does an operation as a TypeScript program does; returns the address, or the error's code. */
function byTypeScript(arena: Arena, operation: Operation): number | string {
  try {
    switch (operation.type) {
      case "struct":
        return arena.new(structs[operation.which]!).$address;
      case "bytes":
        return arena.bytes(operation.size).address;
      case "array":
        return arena.array(f64, operation.count).address;
      case "aligned":
        return arena.allocate(operation.size, operation.alignment);
      default:
        return 0;
    }
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** The same through the module's own function, as a guest would. */
function byWasm(arena: Arena, header: number, operation: Operation): number | string {
  const memory = arena.$memory;
  const { size, alignment } = demand(operation)!;
  const address = memory.exports.arenaAllocate(header, size, alignment) >>> 0;
  return address === 0 ? memory.failure("allocating").code : address;
}

/** What TypeScript and wasm can see of an arena; where runtimes have the same history it is the same to the byte. */
function figures(arena: Arena): unknown {
  const words = ["ARENA_CURSOR", "ARENA_LIMIT", "ARENA_GUARD"] as const;
  return [arena.stats(), ...words.map((name) => arenaWord(arena, name))];
}

const limits = fc.constantFrom(undefined, undefined, 100, 5000, 70_000, 300_000);

describe.each(modules)("the allocation fast path in TypeScript and the one in wasm, $name module", ({ debug }) => {
  const make = (): Promise<Runtime> => createRuntime({ debug, maximumBytes: 3 * MEBIBYTE, initialBytes: 2 * PAGE });

  test("give the same addresses, block moves, refusals and figures for the same operations, also when mixed", async () => {
    await fc.assert(
      fc.asyncProperty(
        limits,
        fc.array(operation, { maxLength: 200, size: "max" }),
        fc.infiniteStream(fc.boolean()),
        async (maximumBytes, operations, choices) => {
          const runtimes = await Promise.all([make(), make(), make()]);
          const arenas = runtimes.map((runtime) => runtime.arena(maximumBytes ? { maximumBytes } : {}));
          const [first, second, mixed] = arenas as [Arena, Arena, Arena];
          let marks: ArenaMark[][] = [];
          for (const operation of operations) {
            if (demand(operation) !== undefined) {
              const expected = byWasm(first, first.address, operation);
              expect(byTypeScript(second, operation)).toBe(expected);
              const found = choices.next().value
                ? byWasm(mixed, mixed.address, operation)
                : byTypeScript(mixed, operation);
              expect(found).toBe(expected);
            } else if (operation.type === "mark") {
              try {
                marks.push(arenas.map((arena) => arena.mark()));
              } catch (error) {
                expect((error as { code: string }).code).toMatch(/LIMIT_EXCEEDED|OUT_OF_MEMORY/);
                for (const arena of arenas.slice(1)) expect(() => arena.mark()).toThrow();
              }
            } else if (operation.type === "rewind" && marks.length > 0) {
              const level = operation.pick % marks.length;
              for (const [index, arena] of arenas.entries()) arena.rewind(marks[level]![index]!);
              marks = marks.slice(0, level + 1);
            } else if (operation.type === "reset") {
              const used = arenas.map((arena) => arena.reset());
              expect(new Set(used).size).toBe(1);
              marks = [];
            }
            // Asking for figures ends the claim that the fast path lives on, so it is done now and then only.
            if (choices.next().value && choices.next().value) {
              expect(figures(second)).toEqual(figures(first));
              expect(figures(mixed)).toEqual(figures(first));
            }
          }
          expect(figures(second)).toEqual(figures(first));
          expect(figures(mixed)).toEqual(figures(first));
          runtimes.forEach((runtime, index) => {
            validate(runtime, arenas[index]!);
            runtime.dispose();
          });
        },
      ),
      { numRuns: scaled(100) },
    );
  });

  test("never hand out the same bytes, even where a guest holds on to an arena's address", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { maxLength: 300, size: "max" }),
        fc.infiniteStream(fc.boolean()),
        async (operations, choices) => {
          const runtime = await make();
          const arena = runtime.arena();
          const header = arena.address;
          let live: { address: number; size: number; stamp: number }[] = [];
          let stamp = 0;
          for (const operation of operations) {
            if (operation.type === "reset") {
              arena.reset();
              live = [];
            }
            const wanted = demand(operation);
            if (wanted === undefined) continue;
            const address = choices.next().value ? byWasm(arena, header, operation) : byTypeScript(arena, operation);
            if (typeof address === "string") {
              expect(address).toBe("ERR_TIDEMARK_OUT_OF_MEMORY");
              continue;
            }
            const { size } = wanted;
            for (const other of live) {
              const isApart = other.address + other.size <= address || other.address >= address + size;
              if (!isApart) expect([address, size]).toEqual(["apart from", other]);
            }
            const bytes = runtime.$memory.u8.subarray(address, address + size);
            expect(bytes.every((byte) => byte === 0)).toBe(true);
            stamp = (stamp % 255) + 1;
            bytes.fill(stamp);
            live.push({ address, size, stamp });
          }
          for (const { address, size, stamp } of live) {
            const bytes = runtime.$memory.u8.subarray(address, address + size);
            if (!bytes.every((byte) => byte === stamp)) expect(bytes).toEqual(new Uint8Array(size).fill(stamp));
            expect(arena.contains(address)).toBe(true);
          }
          expect(arena.stats().used).toBeGreaterThanOrEqual(live.reduce((sum, { size }) => sum + size, 0));
          validate(runtime, arena);
          arena.destroy();
          expect(runtime.stats().bytesByOwner.arenas).toBe(0);
          runtime.dispose();
        },
      ),
      { numRuns: scaled(100) },
    );
  });
});

describe("the fast path", () => {
  test("makes no call into the module while a block has room", () =>
    withRuntime({}, (runtime) => {
      const arena = runtime.arena();
      const cursor = runtime.cursor(Small);
      arena.new(Small, cursor);
      const memory = runtime.$memory;
      const exports = memory.exports;
      memory.attach({ ...exports, arenaAllocate: () => expect.fail("a call was made") } as typeof exports);
      const first = arena.new(Small, cursor).$address;
      for (let index = 1; index <= 400; index++) expect(arena.new(Small, cursor).$address).toBe(first + index * 8);
      memory.attach(exports);
      expect(arena.stats().used).toBe(402 * 8);
    }));

  test("ends at a reset what a guest has allocated meanwhile, too", () =>
    withRuntime({}, (runtime) => {
      const arena = runtime.arena();
      arena.new(Small);
      arena.reset();
      for (let round = 0; round < 5; round++) {
        const header = arena.address;
        arena.reset();
        const cell = arena.new(Small);
        const address = runtime.$memory.exports.arenaAllocate(header, 100, 8);
        runtime.$memory.u8.fill(9, address, address + 100);
        expect(arena.reset()).toBeGreaterThanOrEqual(100 + 8);
        expect([cell.isLive(), arena.stats().used, arena.contains(address)]).toEqual([false, 0, false]);
        validate(runtime, arena);
      }
    }));

  test("counts resets and the most that was used, small rounds and large ones alike", () =>
    withRuntime({}, (runtime) => {
      const arena = runtime.arena();
      for (let round = 1; round <= 100; round++) {
        for (let index = 0; index < round; index++) arena.new(Small).a = 1;
        expect(arena.reset()).toBe(round * 8);
        if (round % 7 === 0) expect(arena.stats()).toMatchObject({ resets: round, highWater: round * 8, used: 0 });
      }
      expect(arena.stats()).toMatchObject({ resets: 100, highWater: 800 });
    }));

  test("is not taken in the debug module, where every allocation is seen to be poisoned and cleared", () =>
    withRuntime({ debug: true }, (runtime) => {
      const arena = runtime.arena();
      const { u8 } = runtime.$memory;
      const { address } = arena.bytes(64);
      u8.fill(1, address, address + 64);
      arena.reset();
      expect([...u8.subarray(address, address + 64)]).toEqual(new Array(64).fill(0xcb));
      const again = arena.bytes(64);
      expect(again.address).toBe(address);
      expect([...again.toUint8Array()]).toEqual(new Array(64).fill(0));
      const mark = arena.mark();
      const gone = arena.bytes(64);
      gone.set(0, 7);
      arena.rewind(mark);
      expect(u8[gone.$address]).toBe(0xcb);
      arena.destroy();
      expect(u8[address]).toBe(0xcb);
      const other = runtime.arena();
      expect([...other.bytes(4000).toUint8Array()].every((byte) => byte === 0)).toBe(true);
    }));
});
