import fc from "fast-check";
import { createRuntime, type Runtime } from "tidemark";
import { describe, expect, test } from "vitest";
import { compileGuest } from "../support/guest.js";
import { PageModel } from "../support/pageModel.js";
import { modules, Owner, PAGE, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

const OWNERS = [Owner.GUARDS, Owner.SMALL_BLOCKS, Owner.ARENA, Owner.SORTED_MAP, Owner.SCRATCH, Owner.HEAP_AREAS];
const INITIAL_PAGES = 16;

const owner = fc.constantFrom(...OWNERS);
const operation = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ type: fc.constant("allocate" as const), count: fc.integer({ min: 1, max: 6 }), owner }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("allocate" as const),
      count: fc.oneof(fc.integer({ min: 0, max: 140 }), fc.constantFrom(65_535, 65_536, 2 ** 31, 2 ** 32 - 1)),
      owner,
    }),
  },
  { weight: 9, arbitrary: fc.record({ type: fc.constant("free" as const), pick: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("wild" as const), address: fc.nat({ max: 400 * PAGE }), owner }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("foreign" as const), pick: fc.nat(), owner }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("interior" as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("ask" as const), address: fc.nat({ max: 400 * PAGE }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("reserve" as const), count: fc.integer({ min: 0, max: 60 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("hostGrows" as const), count: fc.integer({ min: 1, max: 5 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("extend" as const),
      pick: fc.nat(),
      count: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constantFrom(300, 65_535, 2 ** 32 - 1)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("shorten" as const), pick: fc.nat(), count: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("join" as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("freeAll" as const) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

const limits = fc.record({
  maximum: fc.integer({ min: INITIAL_PAGES, max: 400 }),
  /** How far below the maximum the engine refuses. */
  refusal: fc.constantFrom(0, 0, 10, 100),
});

/** What owners of areas use, and TypeScript does not. */
interface RunFunctions {
  extendRun(end: number, count: number, owner: number): number;
  shortenRun(end: number, count: number, owner: number): void;
  joinRuns(address: number): void;
}
const RUN_FUNCTIONS = `export { extendRun, joinRuns, shortenRun } from "./assembly/memory/pageHeap";`;
const guests = new Map<boolean, Promise<WebAssembly.Module>>();

async function compileRunFunctions(debug: boolean): Promise<WebAssembly.Module> {
  return WebAssembly.compile((await compileGuest(RUN_FUNCTIONS, debug)) as BufferSource);
}

/** A page heap and its model, side by side. */
class Pair {
  readonly model: PageModel;
  /** Runs alive: first page and owner. */
  readonly runs: { page: number; owner: number; count: number }[] = [];

  static async make(debug: boolean, maximum: number, refusal: number): Promise<Pair> {
    const engineMaximum = Math.max(maximum - refusal, INITIAL_PAGES);
    const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: engineMaximum });
    const runtime = await createRuntime({
      debug,
      memory,
      initialBytes: INITIAL_PAGES * PAGE,
      maximumBytes: maximum * PAGE,
    });
    if (!guests.has(debug)) guests.set(debug, compileRunFunctions(debug));
    const guest = await runtime.instantiate<RunFunctions>(await guests.get(debug)!);
    return new Pair(runtime, guest, new PageModel(maximum, engineMaximum, INITIAL_PAGES, 1));
  }

  constructor(
    readonly runtime: Runtime,
    readonly guest: RunFunctions,
    model: PageModel,
  ) {
    this.model = model;
  }

  get #exports() {
    return this.runtime.$memory.exports;
  }

  apply(operation: Operation): void {
    const exports = this.#exports;
    const { model, runs } = this;
    const picked = "pick" in operation ? runs[operation.pick % Math.max(runs.length, 1)] : undefined;
    switch (operation.type) {
      case "allocate": {
        const page = model.allocate(operation.count, operation.owner);
        const address = exports.allocatePages(operation.count, operation.owner) >>> 0;
        this.#expect(address, page < 0 ? 0 : page * PAGE, page < 0);
        if (page >= 0) runs.push({ page, owner: operation.owner, count: operation.count });
        break;
      }
      case "free":
        if (picked === undefined) break;
        this.#free(picked.page * PAGE, picked.owner);
        runs.splice(runs.indexOf(picked), 1);
        // A run that has been freed once is a wild address now.
        this.#free(picked.page * PAGE, picked.owner);
        break;
      case "freeAll":
        for (const run of runs.splice(0)) this.#free(run.page * PAGE, run.owner);
        break;
      case "wild":
        if (model.pages[operation.address / PAGE]?.start !== operation.address / PAGE) {
          this.#free(operation.address, operation.owner);
        }
        break;
      case "foreign":
        if (picked !== undefined && picked.owner !== operation.owner) this.#free(picked.page * PAGE, operation.owner);
        break;
      case "interior":
        if (picked === undefined) break;
        this.#free(picked.page * PAGE + 8, picked.owner);
        if (picked.count > 1) this.#free((picked.page + 1) * PAGE, picked.owner);
        break;
      case "ask":
        this.#expect(exports.ownerOf(operation.address), model.pages[Math.floor(operation.address / PAGE)]?.owner ?? 0);
        break;
      case "reserve": {
        const done = model.reserve(operation.count);
        this.#expect(exports.reservePages(operation.count), done ? 1 : 0, !done);
        break;
      }
      case "extend": {
        if (picked === undefined) break;
        const done = model.extend(picked.page, operation.count);
        const end = (picked.page + picked.count) * PAGE;
        this.#expect(this.guest.extendRun(end, operation.count, picked.owner), done ? 1 : 0);
        if (done) picked.count += operation.count;
        break;
      }
      case "shorten": {
        if (picked === undefined || picked.count < 2) break;
        const count = 1 + (operation.count % (picked.count - 1));
        model.shorten(picked.page, count);
        this.guest.shortenRun((picked.page + picked.count) * PAGE, count, picked.owner);
        picked.count -= count;
        break;
      }
      case "join": {
        const next = runs.find((run) => run.page === (picked?.page ?? 0) + (picked?.count ?? 0));
        if (picked === undefined || next === undefined || next.owner !== picked.owner) break;
        model.join(picked.page, next.page);
        this.guest.joinRuns(next.page * PAGE);
        picked.count += next.count;
        runs.splice(runs.indexOf(next), 1);
        break;
      }
      case "hostGrows":
        if (model.memoryPages + operation.count > model.engineMaximum) break;
        this.runtime.$memory.raw.grow(operation.count);
        this.runtime.$memory.refresh();
        model.memoryPages += operation.count;
        break;
    }
  }

  #free(address: number, owner: number): void {
    const released = address % PAGE === 0 ? this.model.release(address / PAGE, owner) : 0;
    this.#expect(this.#exports.freePages(address, owner), released);
  }

  #expect(found: number, expected: number, failed = false): void {
    if (found !== expected) expect(found).toBe(expected);
    if (failed) expect(this.runtime.$memory.rootWord("ROOT_STATUS")).toBe(this.model.status);
  }

  /** Compares every figure that the runtime gives with the model's. */
  compare(): void {
    const { model } = this;
    const stats = this.runtime.stats();
    expect(stats).toMatchObject({
      committedBytes: model.pages.length * PAGE,
      usedBytes: model.used * PAGE,
      freeBytes: model.free * PAGE,
      highWaterBytes: model.highWater * PAGE,
      growths: model.growths,
    });
    expect(Object.values(stats.bytesByOwner)).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13].map((number) => model.ownedBy(number) * PAGE),
    );
    this.runtime.validate();
  }
}

describe.each(modules)("the page heap of the $name module", ({ debug }) => {
  test("does what the model says, with every figure compared and every invariant checked at each step", async () => {
    await fc.assert(
      fc.asyncProperty(
        limits,
        fc.array(operation, { maxLength: 60, size: "max" }),
        async ({ maximum, refusal }, list) => {
          const pair = await Pair.make(debug, maximum, refusal);
          for (const operation of list) {
            pair.apply(operation);
            pair.compare();
          }
          pair.runtime.dispose();
        },
      ),
      { numRuns: scaled(60) },
    );
  });

  test("does what the model says in long runs", async () => {
    let operations = 0;
    await fc.assert(
      fc.asyncProperty(
        limits,
        fc.array(operation, { minLength: 1000, maxLength: 1000, size: "max" }),
        async ({ maximum, refusal }, list) => {
          const pair = await Pair.make(debug, maximum, refusal);
          for (const operation of list) pair.apply(operation);
          pair.compare();
          pair.runtime.dispose();
          operations += list.length;
        },
      ),
      { numRuns: scaled(350), endOnFailure: true },
    );
    expect(operations).toBeGreaterThanOrEqual(scaled(350) * 1000);
  });
});

describe("the page heap", () => {
  test("reuses what was freed before it grows, lowest address first", () =>
    withRuntime({ initialBytes: PAGE * 20, maximumBytes: PAGE * 100 }, (runtime) => {
      const { allocatePages, freePages } = runtime.$memory.exports;
      const runs = [3, 1, 4, 2].map((count) => allocatePages(count, Owner.ARENA));
      expect(runs).toEqual([1, 4, 5, 9].map((page) => page * PAGE));
      freePages(runs[0]!, Owner.ARENA);
      freePages(runs[2]!, Owner.ARENA);
      expect(allocatePages(4, Owner.ARENA)).toBe(5 * PAGE);
      expect(allocatePages(2, Owner.ARENA)).toBe(PAGE);
      expect(allocatePages(1, Owner.ARENA)).toBe(3 * PAGE);
      expect(runtime.stats().growths).toBe(0);
    }));

  test("finds runs that cross the words of its bitmap", () =>
    withRuntime({ initialBytes: PAGE * 300, maximumBytes: PAGE * 300 }, (runtime) => {
      const { allocatePages, freePages } = runtime.$memory.exports;
      const single = Array.from({ length: 299 }, () => allocatePages(1, Owner.ARENA));
      expect(allocatePages(1, Owner.ARENA)).toBe(0);
      for (const page of single.slice(60 - 1, 200 - 1)) freePages(page, Owner.ARENA);
      expect(allocatePages(141, Owner.ARENA)).toBe(0);
      expect(allocatePages(140, Owner.ARENA)).toBe(60 * PAGE);
      expect(runtime.stats().freeBytes).toBe(0);
      runtime.validate();
    }));

  test("searches in two steps for each free run that is too short, and one for each 64 pages", () =>
    withRuntime({ initialBytes: PAGE * 1000, maximumBytes: PAGE * 1000, debug: true }, ({ $memory: memory }) => {
      const { allocatePages, freePages } = memory.exports;
      const steps = () => {
        memory.setRootWord("ROOT_STEPS", 0);
        expect(allocatePages(2, Owner.ARENA)).toBe(0);
        return memory.rootWord("ROOT_STEPS");
      };
      const single = Array.from({ length: 999 }, () => allocatePages(1, Owner.ARENA));
      const holes = 450;
      for (let hole = 0; hole < holes; hole++) freePages(single[hole * 2]!, Owner.ARENA);
      expect(steps()).toBeGreaterThan(2 * holes);
      expect(steps()).toBeLessThanOrEqual(2 * holes + Math.ceil(1000 / 64) + 1);
    }));

  test("grows by the need, or an eighth of what is live, within 1 and 16 MiB, and never past the maximum", () =>
    withRuntime({ initialBytes: PAGE * 2, maximumBytes: PAGE * 4000 }, (runtime) => {
      const { allocatePages } = runtime.$memory.exports;
      const committed = () => runtime.stats().committedBytes / PAGE;
      allocatePages(1, Owner.ARENA);
      expect(committed()).toBe(2);
      allocatePages(1, Owner.ARENA);
      expect(committed()).toBe(2 + 16); // the least step
      allocatePages(200, Owner.ARENA);
      expect(committed()).toBe(3 + 200); // the need, of which fifteen free pages at the end are a part
      allocatePages(1, Owner.ARENA);
      expect(committed()).toBe(203 + Math.floor(203 / 8)); // an eighth of what is live
      allocatePages(2800, Owner.ARENA);
      expect(committed()).toBe(204 + 2800);
      allocatePages(1, Owner.ARENA);
      expect(committed()).toBe(3004 + 256); // the largest step
      allocatePages(255, Owner.ARENA);
      allocatePages(600, Owner.ARENA);
      expect(committed()).toBe(3860);
      allocatePages(1, Owner.ARENA);
      expect(committed()).toBe(4000); // what the maximum leaves
    }));

  test("takes the bare need where the engine refuses the step", async () => {
    const memory = new WebAssembly.Memory({ initial: 16, maximum: 20 });
    await withRuntime({ memory, initialBytes: PAGE, maximumBytes: PAGE * 400 }, (runtime) => {
      const { allocatePages } = runtime.$memory.exports;
      expect(allocatePages(15, Owner.ARENA)).toBe(PAGE);
      expect(allocatePages(3, Owner.ARENA)).toBe(16 * PAGE);
      expect(runtime.stats().committedBytes).toBe(19 * PAGE);
      expect(allocatePages(2, Owner.ARENA)).toBe(0);
      expect(() => runtime.reserve(2 * PAGE)).toThrow(/the engine refused.*19 of 19 pages are in use/);
      expect(allocatePages(1, Owner.ARENA)).toBe(19 * PAGE);
    });
  });

  test("refuses frees that name no run of the caller, and changes nothing", () =>
    withRuntime({ initialBytes: PAGE * 20, maximumBytes: PAGE * 20 }, (runtime) => {
      const { allocatePages, freePages } = runtime.$memory.exports;
      const run = allocatePages(3, Owner.ARENA);
      const other = allocatePages(1, Owner.SCRATCH);
      const before = runtime.stats();
      const wild: [string, number, number][] = [
        ["address 0", 0, Owner.ARENA],
        ["the tables, under their own name", 0, Owner.METADATA],
        ["unaligned", run + 8, Owner.ARENA],
        ["just before the run", run - 1, Owner.ARENA],
        ["inside the run", run + PAGE, Owner.ARENA],
        ["of another owner", other, Owner.ARENA],
        ["with another owner's name", run, Owner.SCRATCH],
        ["free, under the name of free pages", other + PAGE, Owner.FREE],
        ["free", other + PAGE, Owner.ARENA],
        ["with an owner that there is not", run, 200],
        ["at the end of memory", 20 * PAGE, Owner.ARENA],
        ["beyond memory", 3000 * PAGE, Owner.ARENA],
        ["at the end of the address space", 0xffff_0000, Owner.ARENA],
        ["continuing", run + PAGE, Owner.ARENA | 0x80],
      ];
      for (const [what, address, owner] of wild) {
        expect([what, freePages(address, owner)]).toEqual([what, 0]);
        expect([what, runtime.stats()]).toEqual([what, before]);
      }
      expect(freePages(run, Owner.ARENA)).toBe(3);
      expect(freePages(run, Owner.ARENA)).toBe(0);
      runtime.validate();
    }));

  test("gives no pages to an owner that there is not", () =>
    withRuntime({ initialBytes: PAGE * 20, maximumBytes: PAGE * 20 }, (runtime) => {
      const before = runtime.stats();
      for (const owner of [Owner.FREE, Owner.METADATA, Owner.HOST, 16, 128, 133, 255]) {
        expect([owner, runtime.$memory.exports.allocatePages(1, owner)]).toEqual([owner, 0]);
      }
      expect(runtime.stats()).toEqual(before);
      runtime.validate();
    }));

  test("keeps the pages that a host has grown for itself out of everyone's hands", () =>
    withRuntime({ initialBytes: PAGE * 4, maximumBytes: PAGE * 100 }, (runtime) => {
      const { allocatePages, freePages, ownerOf } = runtime.$memory.exports;
      runtime.$memory.raw.grow(3);
      const bytes = new Uint8Array(runtime.$memory.raw.buffer, 4 * PAGE, 3 * PAGE).fill(7);
      expect(bytes[0]).toBe(7);
      expect(ownerOf(5 * PAGE)).toBe(Owner.FREE);
      // Three pages are free before the host's, but they no longer end memory.
      expect(allocatePages(5, Owner.ARENA)).toBe(7 * PAGE);
      expect([4, 5, 6].map((page) => ownerOf(page * PAGE))).toEqual([Owner.HOST, Owner.HOST, Owner.HOST]);
      expect(freePages(4 * PAGE, Owner.HOST)).toBe(0);
      expect(allocatePages(3, Owner.ARENA)).toBe(PAGE);
      expect(runtime.stats().bytesByOwner.host).toBe(3 * PAGE);
      expect(new Uint8Array(runtime.$memory.raw.buffer, 4 * PAGE, 3 * PAGE).every((byte) => byte === 7)).toBe(true);
      runtime.validate();
    }));

  test("takes nothing from the host once sealed, and goes on with what it has", () =>
    withRuntime({ initialBytes: PAGE * 4, maximumBytes: PAGE * 100 }, (runtime) => {
      const { allocatePages, freePages } = runtime.$memory.exports;
      runtime.seal();
      runtime.seal();
      expect(runtime.stats().sealed).toBe(true);
      expect(allocatePages(4, Owner.ARENA)).toBe(0);
      expect(runtime.$memory.rootWord("ROOT_STATUS")).toBe(3);
      expect(allocatePages(3, Owner.ARENA)).toBe(PAGE);
      expect(() => runtime.reserve(1)).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_SEALED" }));
      freePages(PAGE, Owner.ARENA);
      runtime.reserve(3 * PAGE);
      expect(runtime.stats()).toMatchObject({ committedBytes: 4 * PAGE, growths: 0 });
    }));

  test("commits ahead what is to be reserved, so that using it does not grow memory", () =>
    withRuntime({ initialBytes: PAGE * 4, maximumBytes: PAGE * 100 }, (runtime) => {
      runtime.reserve(50 * PAGE - 1);
      const { growths, freeBytes } = runtime.stats();
      expect(freeBytes).toBe(50 * PAGE);
      expect(runtime.$memory.exports.allocatePages(50, Owner.ARENA)).toBe(PAGE);
      expect(runtime.stats().growths).toBe(growths);
      expect(() => runtime.reserve(50 * PAGE)).toThrow(/50 pages \(3276800 bytes\).*51 of 51.*the maximum is 100/);
    }));

  test("validation finds a page without an owner, an owner without a page, a torn run and counts that disagree", () =>
    withRuntime({ initialBytes: PAGE * 20, maximumBytes: PAGE * 20 }, (runtime) => {
      const memory = runtime.$memory;
      const page = memory.exports.allocatePages(3, Owner.ARENA) / PAGE;
      const owners = 40_960;
      const damage: [number, number][] = [
        [owners + page, 0],
        [owners + page + 5, Owner.ARENA],
        [owners + page, Owner.SCRATCH],
        [owners + page, 0x80 | Owner.ARENA],
        [memory.exports.OWNER_PAGES.value + 4 * Owner.ARENA, 9],
        [memory.exports.ROOT.value + memory.exports.ROOT_FREE_PAGES!.value, 9],
      ];
      runtime.validate();
      for (const [address, value] of damage) {
        const before = memory.u8[address]!;
        memory.u8[address] = value;
        expect(() => runtime.validate()).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_CORRUPTION" }));
        memory.u8[address] = before;
        runtime.validate();
      }
    }));
});
