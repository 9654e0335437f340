import fc from "fast-check";
import { type Arena, createRuntime, f64, type Runtime, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { MEBIBYTE, modules, PAGE, validate, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

const Small = struct("Small", { a: f64 });
const NO_LIMIT = 0xffff_ffff;
const SCRATCH = MEBIBYTE;

/** What a guest module does that has been told an arena's address once, and never asks for it again. */
class Guest {
  readonly #runtime: Runtime;

  constructor(
    runtime: Runtime,
    readonly header: number,
  ) {
    this.#runtime = runtime;
  }

  allocate(size: number, alignment = 8): number {
    return this.#runtime.$memory.exports.arenaAllocate(this.header, size, alignment) >>> 0;
  }

  /** The bytes that the present block still has; 0 in the debug module, where every allocation is a call. */
  get room(): number {
    return Math.max(0, this.word("ARENA_LIMIT") - this.word("ARENA_CURSOR"));
  }

  mark(): number {
    return this.#runtime.$memory.exports.markArena(this.header) >>> 0;
  }

  makeChild(): number {
    return this.#runtime.$memory.exports.createArena(this.header, 0, NO_LIMIT) >>> 0;
  }

  allocateIn(child: number, size: number): number {
    return this.#runtime.$memory.exports.arenaAllocate(child, size, 8) >>> 0;
  }

  /** A word of the arena's header, read without a word to the arena, so that what TypeScript has claimed stays claimed. */
  word(name: "ARENA_CURSOR" | "ARENA_LIMIT" | "ARENA_CHILD_COUNT" | "ARENA_BLOCKS"): number {
    const memory = this.#runtime.$memory;
    return memory.u32[(this.header + memory.exports[name]!.value) >>> 2]!;
  }
}

/** Fails, naming the first byte that is another, unless all bytes from `address` on are `value`. */
function expectFilled(runtime: Runtime, address: number, size: number, value: number): void {
  const bytes = Buffer.from(runtime.$memory.u8.buffer, address, size);
  if (bytes.equals(Buffer.alloc(size, value))) return;
  const wrong = bytes.findIndex((byte) => byte !== value);
  expect([address, size, wrong, bytes[wrong]]).toEqual([address, size, wrong, value]);
}

/** Arenas in use around holes, into which blocks of the arena under test will come. */
class Bystanders {
  readonly #places: { address: number; size: number }[] = [];
  readonly #runtime: Runtime;
  readonly arenas: Arena[] = [];

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    const pads: Arena[] = [];
    for (const size of [60_000, 60_000, 120_000, 250_000, 1_000_000]) {
      const pad = runtime.arena({ sizeHint: size });
      pads.push(pad);
      this.occupy(60_000);
    }
    // More than a page of small blocks, so that a small arena made now lies above the holes, too.
    for (let index = 0; index < 20; index++) this.occupy(3000);
    for (const pad of pads) pad.destroy();
  }

  occupy(size: number): void {
    const arena = this.#runtime.arena();
    const address = arena.allocate(size);
    this.arenas.push(arena);
    this.#places.push({ address, size });
    this.#runtime.$memory.u8.fill(0x5a, address, address + size);
  }

  check(): void {
    for (const { address, size } of this.#places) expectFilled(this.#runtime, address, size, 0x5a);
  }

  overlap(address: number, size: number): boolean {
    return this.#places.some((place) => place.address < address + size && address < place.address + place.size);
  }
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 300 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 9000 }) },
  { weight: 1, arbitrary: fc.constantFrom(PAGE - 16, PAGE, 4 * PAGE - 16, 4 * PAGE, 5 * PAGE) },
);
const type = <T extends string>(name: T) => fc.constant(name);
const operation = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: type("new") }) },
  { weight: 3, arbitrary: fc.record({ type: type("bytes"), size }) },
  { weight: 4, arbitrary: fc.record({ type: type("guest"), size }) },
  { weight: 4, arbitrary: fc.record({ type: type("guestFill"), first: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: type("guestOversize"), size: fc.integer({ min: 262_144, max: 900_000 }) }),
  },
  { weight: 2, arbitrary: fc.record({ type: type("guestChild"), size: fc.integer({ min: 1, max: 9000 }) }) },
  { weight: 1, arbitrary: fc.record({ type: type("guestMark") }) },
  { weight: 1, arbitrary: fc.record({ type: type("stats") }) },
  { weight: 4, arbitrary: fc.record({ type: type("reset") }) },
);

describe.each(modules)("an arena whose address a guest keeps, $name module", ({ debug }) => {
  test("never touches other arenas' bytes, and a reset ends all that is in it, whatever the guest has done", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(undefined, 4000, 60_000),
        fc.array(operation, { maxLength: 60, size: "max" }),
        async (sizeHint, operations) => {
          const runtime = await createRuntime({ debug, initialBytes: 2 * PAGE, maximumBytes: 48 * MEBIBYTE });
          const bystanders = new Bystanders(runtime);
          const before = runtime.stats().bytesByOwner;
          const guards = runtime.$memory.rootWord("ROOT_GUARDS_LIVE");
          const arena = runtime.arena(sizeHint === undefined ? {} : { sizeHint });
          const guest = new Guest(runtime, arena.address);
          const cursor = runtime.cursor(Small);
          let live: { address: number; size: number; stamp: number }[] = [];
          let stamp = 0;
          let children = 0;
          let inChildren = 0;

          const take = (address: number, size: number) => {
            expect(address).toBeGreaterThan(0);
            expect(bystanders.overlap(address, size)).toBe(false);
            for (const other of live) {
              const isApart = other.address + other.size <= address || other.address >= address + size;
              if (!isApart) expect([address, size]).toEqual(["apart from", other]);
            }
            expectFilled(runtime, address, size, 0);
            stamp = (stamp % 255) + 1;
            runtime.$memory.u8.fill(stamp, address, address + size);
            live.push({ address, size, stamp });
          };
          const check = () => {
            bystanders.check();
            for (const { address, size, stamp } of live) expectFilled(runtime, address, size, stamp);
          };
          const reset = () => {
            check();
            arena.reset();
            live = [];
            children = 0;
            inChildren = 0;
            bystanders.check();
            expect(guest.word("ARENA_CHILD_COUNT")).toBe(0);
          };

          for (const operation of operations) {
            switch (operation.type) {
              case "new":
                take(arena.new(Small, cursor).$address, 8);
                break;
              case "bytes":
                take(arena.bytes(operation.size).$address, operation.size);
                break;
              case "guest":
              case "guestOversize":
                take(guest.allocate(operation.size), operation.size);
                break;
              case "guestFill": {
                // Exactly to the end of a block, so that the arena's cursor is where it would be if all were claimed.
                if (operation.first || guest.room === 0) take(guest.allocate(8), 8);
                const { room } = guest;
                if (room > 0) take(guest.allocate(room), room);
                break;
              }
              case "guestChild":
                take(guest.allocateIn(guest.makeChild(), operation.size), operation.size);
                inChildren += operation.size;
                children++;
                break;
              case "guestMark":
                expect(guest.mark()).toBeGreaterThan(0);
                break;
              case "stats": {
                const bytes = live.reduce((sum, { size }) => sum + size, 0);
                expect(arena.stats().used).toBeGreaterThanOrEqual(bytes - inChildren);
                expect(arena.stats().children).toBe(children);
                break;
              }
              case "reset":
                reset();
                break;
            }
          }
          reset();
          expect(arena.stats()).toMatchObject({ used: 0, children: 0, marks: 0 });
          validate(runtime, arena, ...bystanders.arenas);
          arena.destroy();
          expect(runtime.stats().bytesByOwner).toMatchObject({ arenas: before.arenas });
          expect(runtime.$memory.rootWord("ROOT_GUARDS_LIVE")).toBe(guards);
          runtime.dispose();
        },
      ),
      { numRuns: scaled(150) },
    );
  });

  test("gives back at each reset what the guest took of the page heap, however small the event itself was", () =>
    withRuntime({ debug, maximumBytes: 64 * MEBIBYTE }, (runtime) => {
      const arena = runtime.arena();
      const guest = new Guest(runtime, arena.address);
      arena.reset();
      const { committedBytes, usedBytes } = runtime.stats();
      for (let round = 0; round < 60; round++) {
        arena.bytes(8);
        expect(guest.allocate(SCRATCH)).toBeGreaterThan(0);
        arena.reset();
        expect(runtime.stats().usedBytes).toBe(usedBytes);
        expect(guest.word("ARENA_BLOCKS")).toBe(1);
      }
      expect(runtime.stats().committedBytes).toBeLessThanOrEqual(committedBytes + 2 * SCRATCH);
      expect(arena.stats()).toMatchObject({ used: 0, blocks: 1 });
      validate(runtime, arena);
    }));

  test("gives it back where the guest alone has allocated since the last reset", () =>
    withRuntime({ debug, maximumBytes: 64 * MEBIBYTE }, (runtime) => {
      const arena = runtime.arena();
      const guest = new Guest(runtime, arena.address);
      arena.reset();
      arena.reset();
      const { usedBytes } = runtime.stats();
      for (let round = 0; round < 60; round++) {
        expect(guest.allocate(SCRATCH)).toBeGreaterThan(0);
        arena.reset();
        expect(runtime.stats().usedBytes).toBe(usedBytes);
      }
    }));

  test("ends the children that the guest has made, at the next reset", () =>
    withRuntime({ debug, maximumBytes: 64 * MEBIBYTE }, (runtime) => {
      const arena = runtime.arena();
      const guest = new Guest(runtime, arena.address);
      arena.reset();
      arena.reset();
      const { usedBytes } = runtime.stats();
      for (const withOwn of [false, true]) {
        for (let round = 0; round < 60; round++) {
          if (withOwn) arena.new(Small);
          const child = guest.makeChild();
          expect(guest.allocateIn(child, SCRATCH)).toBeGreaterThan(0);
          expect(guest.word("ARENA_CHILD_COUNT")).toBe(1);
          arena.reset();
          expect(guest.word("ARENA_CHILD_COUNT")).toBe(0);
          expect(runtime.stats().usedBytes).toBe(usedBytes);
        }
      }
      expect(runtime.$memory.rootWord("ROOT_GUARDS_LIVE")).toBe(1);
      validate(runtime, arena);
    }));

  test("is a region's arena as well: what the guest took goes back when the event ends", () =>
    withRuntime({ debug, maximumBytes: 64 * MEBIBYTE }, (runtime) => {
      const pool = runtime.regionPool();
      const region = pool.createRegion();
      pool.lease(region, 0);
      const guest = new Guest(runtime, region.address);
      const cursor = runtime.cursor(Small);
      pool.end(region);
      const { usedBytes } = runtime.stats();
      for (let event = 0; event < 120; event++) {
        pool.lease(region, 0);
        if (event % 2 === 0) region.new(Small, cursor);
        if (event % 3 === 0) expect(guest.allocateIn(guest.makeChild(), SCRATCH)).toBeGreaterThan(0);
        else expect(guest.allocate(SCRATCH)).toBeGreaterThan(0);
        pool.end(region);
        expect(cursor.isLive()).toBe(false);
        expect(guest.word("ARENA_CHILD_COUNT")).toBe(0);
        expect(runtime.stats().usedBytes).toBe(usedBytes);
      }
      expect([pool.leased, pool.size]).toEqual([0, 1]);
      runtime.validate();
    }));
});
