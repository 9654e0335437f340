import { readFile } from "node:fs/promises";
import { runInNewContext } from "node:vm";
import {
  createRuntime,
  createTimers,
  f64,
  InvalidArgumentError,
  type Runtime,
  type RuntimeOptions,
  ref,
  struct,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { compileGuest } from "../support/guest.js";
import { MEBIBYTE, modules, PAGE, validate, withRuntime } from "../support/runtimes.js";
import { code } from "../support/thrown.js";

const Cell = struct("Cell", { value: f64 });

/** A promise that is rejected once somebody waits for it. */
function failing(reason: unknown): PromiseLike<never> {
  // biome-ignore lint/suspicious/noThenProperty: it is to be awaited
  return { then: (_resolved, rejected) => Promise.reject(reason).then(undefined, rejected) };
}

describe("createRuntime", () => {
  test("takes the memory that its options ask for", async () => {
    await withRuntime({}, (runtime) => {
      expect(runtime.stats()).toMatchObject({
        committedBytes: MEBIBYTE,
        maximumBytes: 2 ** 30,
        growths: 0,
        sealed: false,
      });
    });
    await withRuntime({ initialBytes: 1, maximumBytes: 3 * PAGE + 5 }, (runtime) => {
      expect(runtime.stats()).toMatchObject({ committedBytes: PAGE, maximumBytes: 3 * PAGE });
      runtime.arena();
      expect(runtime.stats().committedBytes).toBe(3 * PAGE);
    });
    await withRuntime({ initialBytes: 5 * PAGE, maximumBytes: 5 * PAGE }, (runtime) => {
      expect(runtime.stats()).toMatchObject({ committedBytes: 5 * PAGE, maximumBytes: 5 * PAGE, usedBytes: PAGE });
    });
    // Above 24,576 pages the tables take a second one.
    for (const [pages, metadata] of [
      [24_576, 1],
      [24_577, 2],
      [65_535, 2],
    ] as const) {
      await withRuntime({ initialBytes: 1, maximumBytes: pages * PAGE }, (runtime) => {
        expect(runtime.stats().bytesByOwner.metadata).toBe(metadata * PAGE);
        runtime.arena().new(Cell);
        runtime.validate();
      });
    }
  });

  const Node = struct("Node", { next: ref("Node") });
  test.each<[number, Record<string, (runtime: Runtime) => unknown>]>([
    [
      2,
      {
        timers: (runtime) =>
          createTimers(runtime)
            .after(1000, () => {})
            .unref(),
      },
    ],
    [
      3,
      {
        arena: (runtime) => runtime.arena().new(Cell),
        map: (runtime) => runtime.sortedMap(f64, f64).set(1, 2),
        pool: (runtime) => runtime.pool(Cell).new(),
        frames: (runtime) => runtime.framePool().acquire("small"),
        byteHeap: (runtime) => runtime.byteHeap().allocate(8),
      },
    ],
    [
      4,
      {
        bytes: (runtime) => runtime.byteHeap().bytes(8),
        manual: (runtime) => runtime.heap("manual", { types: [Node] }).new(Node, runtime.scope()),
        refcount: (runtime) => runtime.heap("refcount", { types: [Node] }).new(Node, runtime.scope()),
        "mark-sweep": (runtime) => runtime.heap("mark-sweep", { types: [Node] }).new(Node, runtime.scope()),
      },
    ],
  ])("of %i pages at the most can make what it is said to, and that is the fewest", async (pages, makers) => {
    for (const debug of [false, true]) {
      for (const make of Object.values(makers)) {
        await withRuntime({ debug, maximumBytes: pages * PAGE }, (runtime) => void make(runtime));
        if (pages === 2) continue;
        await withRuntime({ debug, maximumBytes: (pages - 1) * PAGE }, (runtime) => {
          expect(() => make(runtime)).toThrow(code("OUT_OF_MEMORY"));
        });
      }
    }
  });

  const noSizes = [0, -1, 1.5, Number.NaN, Infinity, 2 ** 32, "5", 5n, {}, [], true];
  const bad: [string, unknown][] = [
    ...[null, 5, "5", 5n, true].map((options): [string, unknown] => [`options ${String(options)}`, options]),
    ...noSizes.map((size): [string, unknown] => [`maximumBytes ${String(size)}`, { maximumBytes: size }]),
    ...noSizes.map((size): [string, unknown] => [`initialBytes ${String(size)}`, { initialBytes: size }]),
    ["a maximum that holds the tables only", { maximumBytes: PAGE }],
    ["a maximum below a page", { maximumBytes: 100 }],
    ["more at first than at most", { initialBytes: 10 * PAGE, maximumBytes: 9 * PAGE }],
    ...[5, "memory", {}, new ArrayBuffer(PAGE)].map((memory): [string, unknown] => [
      `memory ${String(memory)}`,
      { memory },
    ]),
    [
      "a memory above the maximum",
      { memory: new WebAssembly.Memory({ initial: 20, maximum: 20 }), maximumBytes: 10 * PAGE },
    ],
  ];
  test.each(bad)("refuses %s", async (_name, options) => {
    await expect(createRuntime(options as RuntimeOptions)).rejects.toThrow(InvalidArgumentError);
  });

  test("says that the engine refuses a memory given, when it cannot be made large enough", async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
    await expect(createRuntime({ memory, initialBytes: 5 * PAGE })).rejects.toEqual(code("OUT_OF_MEMORY"));
    const none = new WebAssembly.Memory({ initial: 0, maximum: 0 });
    await expect(createRuntime({ memory: none, initialBytes: 1 })).rejects.toEqual(code("OUT_OF_MEMORY"));
  });

  test("refuses a memory without a maximum, saying so", async () => {
    const memory = new WebAssembly.Memory({ initial: 20 });
    await expect(createRuntime({ memory })).rejects.toThrow(/maximum/);
  });

  test("refuses what is no module of this package", async () => {
    const empty = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const garbage: unknown[] = [
      new Uint8Array(0),
      new Uint8Array(100),
      empty.subarray(0, 6),
      empty,
      new WebAssembly.Module(empty),
      Promise.resolve(new Uint8Array(3)),
      failing(new Error("no network")),
      failing(undefined),
      new Response("<html>"),
      new Uint8Array(await compileGuest("export const LAYOUT_VERSION: u32 = 1;", false)),
      new Uint8Array(
        await compileGuest(
          'export { ROOT } from "./assembly/memory/root"; export const LAYOUT_VERSION: u32 = 99;',
          false,
        ),
      ),
      new Uint8Array(
        await compileGuest(
          '@external("env", "missing") declare function missing(): void; export function f(): void { missing(); }',
          false,
        ),
      ),
    ];
    for (const [index, wasm] of garbage.entries()) {
      const made = createRuntime({ wasm: wasm as never });
      await expect(made, `number ${index}`).rejects.toEqual(code("INVALID_MODULE"));
    }
  });

  test("says which option it was, and what was given, when that is no module", async () => {
    const says = "wasm must be a compiled module, its bytes, a Response, or a promise of one of these, but is ";
    for (const [given, found] of [
      ["./tidemark.wasm", '"./tidemark.wasm"'],
      [new URL("file:///tidemark.wasm"), "the URL file:///tidemark.wasm"],
      [Promise.resolve({}), "an object"],
      [5, "5"],
      [[], "an array"],
    ]) {
      const made = createRuntime({ wasm: given as never });
      await expect(made).rejects.toEqual(code("INVALID_ARGUMENT"));
      await expect(made).rejects.toThrow(`${says}${found}`);
    }
    const bytes = runInNewContext("(size) => new Uint8Array(size)")(5);
    await expect(createRuntime({ wasm: bytes.buffer })).rejects.toEqual(code("INVALID_MODULE"));
  });

  test("refuses a module that is not the one that debug asks for, and leaves a memory given as it was", async () => {
    for (const debug of [false, true]) {
      const wasm = await readFile(new URL(`../../build/tidemark${debug ? ".debug" : ""}.wasm`, import.meta.url));
      const memory = new WebAssembly.Memory({ initial: 16, maximum: 16 });
      const options = { wasm, memory, maximumBytes: 16 * PAGE };
      await expect(createRuntime({ ...options, debug: !debug })).rejects.toEqual(code("INVALID_MODULE"));
      for (const asked of [debug, undefined]) {
        await withRuntime({ ...options, debug: asked }, (runtime) => expect(runtime.debug).toBe(debug));
      }
    }
  });

  test.each(modules)("lives in a memory that others have used and left dirty, $name module", async ({ debug }) => {
    for (const [initial, maximum] of [
      [1, 200],
      [3, 200],
      [16, 200],
      [50, 50],
    ] as const) {
      const memory = new WebAssembly.Memory({ initial, maximum });
      new Uint8Array(memory.buffer).fill(0xee);
      await withRuntime({ debug, memory, maximumBytes: maximum * PAGE, initialBytes: PAGE }, (runtime) => {
        expect(runtime.memory).toBe(memory);
        expect(runtime.stats()).toMatchObject({ committedBytes: initial * PAGE, maximumBytes: maximum * PAGE });
        const arenas = Array.from({ length: 4 }, () => runtime.arena());
        for (let round = 0; round < 100; round++) {
          for (const arena of arenas) {
            const bytes = arena.bytes(1 + round * 100);
            expect(bytes.toUint8Array().every((byte) => byte === 0)).toBe(true);
            bytes.copyFrom(new Uint8Array(1 + round * 100).fill(0xdd));
            arena.array(Cell, 3).at(2).value = 5;
          }
          validate(runtime, ...arenas);
        }
        for (const arena of arenas) arena.destroy();
        runtime.validate();
      });
    }
  });

  test("refuses a memory given that is larger than the maximum, and leaves every byte of it as it was", async () => {
    const memory = new WebAssembly.Memory({ initial: 100, maximum: 200 });
    new Uint8Array(memory.buffer).fill(7);
    for (const maximumBytes of [50 * PAGE, 99 * PAGE, 100 * PAGE - 1]) {
      await expect(createRuntime({ memory, maximumBytes })).rejects.toThrow(InvalidArgumentError);
    }
    expect(memory.buffer.byteLength).toBe(100 * PAGE);
    expect(new Uint8Array(memory.buffer).every((byte) => byte === 7)).toBe(true);
    await withRuntime({ memory, maximumBytes: 100 * PAGE }, (runtime) => runtime.validate());
  });

  test("refuses the memory of a runtime that lives, which goes on as if nothing had been asked", async () => {
    for (const debug of [false, true]) {
      await withRuntime({}, async (runtime) => {
        const map = runtime.sortedMap(f64, f64);
        for (let key = 0; key < 1000; key++) map.set(key, key * 2);
        const arena = runtime.arena();
        const cell = arena.new(Cell);
        cell.value = 5;
        const { memory } = runtime;
        const before = runtime.stats();
        for (const options of [{}, { initialBytes: 50 * PAGE }, { maximumBytes: 100 * PAGE }]) {
          await expect(createRuntime({ ...options, memory, debug })).rejects.toThrow(InvalidArgumentError);
        }
        expect(runtime.stats()).toEqual(before);
        expect([cell.value, map.size, map.get(999)]).toEqual([5, 1000, 1998]);
        map.validate();
        validate(runtime, arena);
        map.set(1000.5, 1);
        arena.array(Cell, 1000).at(999).value = 1;
        validate(runtime, arena);
      });
    }
  });

  test("gives a memory to one runtime only, also when two ask for it at once", async () => {
    const memory = new WebAssembly.Memory({ initial: 20, maximum: 100 });
    const results = await Promise.allSettled([1, 2, 3].map(() => createRuntime({ memory, maximumBytes: 100 * PAGE })));
    const made = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const refusals = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    expect([made.length, refusals.length]).toEqual([1, 2]);
    for (const refusal of refusals) expect(refusal).toBeInstanceOf(InvalidArgumentError);
    const arena = made[0]!.arena();
    arena.bytes(10 * PAGE);
    validate(made[0]!, arena);
    made[0]!.dispose();
  });

  test("can use a memory again whose runtime has been disposed", async () => {
    const memory = new WebAssembly.Memory({ initial: 16, maximum: 100 });
    for (let turn = 0; turn < 5; turn++) {
      await withRuntime({ memory, maximumBytes: 100 * PAGE }, (runtime) => {
        const arena = runtime.arena();
        const cells = arena.array(Cell);
        for (let index = 0; index < 30_000; index++) expect(cells.push().value === 0).toBe(true);
        for (const cell of cells) cell.value = turn + 1;
        runtime.validate();
      });
    }
    expect(memory.buffer.byteLength).toBeLessThan(30 * PAGE);
  });
});

describe.each(modules)("runtimes side by side, $name module", ({ debug }) => {
  test("share nothing, and one's end is not the others'", async () => {
    const runtimes = await Promise.all(
      [false, true, debug, debug].map((each) => createRuntime({ debug: each, maximumBytes: 20 * MEBIBYTE })),
    );
    const cells = runtimes.map((runtime, index) => {
      const cell = runtime.arena().new(Cell);
      cell.value = index;
      return cell;
    });
    expect(runtimes.map((runtime) => runtime.debug)).toEqual([false, true, debug, debug]);
    runtimes[0]!.seal();
    expect(runtimes.map((runtime) => runtime.stats().sealed)).toEqual([true, false, false, false]);
    runtimes[1]!.dispose();
    expect(runtimes.map((runtime) => runtime.disposed)).toEqual([false, true, false, false]);
    expect(() => cells[1]!.value).toThrow(code("DISPOSED"));
    expect([cells[0]!.value, cells[2]!.value, cells[3]!.value]).toEqual([0, 2, 3]);
    for (const runtime of runtimes) runtime[Symbol.dispose]();
  });

  test("a guest may import the members of a function or a class: these are objects to WebAssembly", async () => {
    const source =
      '@external("sums", "add") declare function add(a: i32, b: i32): i32; export function three(): i32 { return add(1, 2); }';
    const runtime = await createRuntime({ debug });
    const wasm = new Uint8Array(await compileGuest(source, debug));
    const sums = Object.assign(() => {}, { add: (left: number, right: number) => left + right });
    const guest = await runtime.instantiate<{ three(): number }>(wasm, { sums: sums as never });
    expect(guest.three()).toBe(3);
    runtime.dispose();
  });

  test("a guest whose instantiation outlasts the runtime is refused", async () => {
    const source = "export function answer(): u32 { return 42; }";
    const wasm = new Uint8Array(await compileGuest(source, debug));
    const runtime = await createRuntime({ debug });
    const guest = await runtime.instantiate<{ answer(): number }>(wasm);
    expect(guest.answer()).toBe(42);
    const late = runtime.instantiate(wasm);
    runtime.dispose();
    await expect(late).rejects.toEqual(code("DISPOSED"));
  });

  test("a disposed runtime lets go of its memory at once, and its arenas' ends are quiet", async () => {
    const runtime = await createRuntime({ debug });
    const arena = runtime.arena();
    const child = arena.arena();
    const cell = child.new(Cell);
    expect([arena.destroyed, child.destroyed]).toEqual([false, false]);
    runtime.dispose();
    expect(runtime.$memory.u8.length).toBe(0);
    expect([arena.destroyed, child.destroyed]).toEqual([true, true]);
    child.destroy();
    arena[Symbol.dispose]();
    arena.destroy();
    expect(cell.isLive()).toBe(false);
    expect(() => arena.new(Cell)).toThrow(code("DISPOSED"));
  });
});

const table = (count: number) => Array.from({ length: count }, (_, index) => (index * 7 + 1) & 0xff).join(", ");
const tableGuest = (count: number) =>
  `const bytes = memory.data<u8>([${table(count)}]); export function first(): u8 { return load<u8>(bytes); }`;
/** Guests whose static data lies over what the runtime has there, with their memoryBase. */
const misplaced: [string, string, number][] = [
  ["a text at 1,024, where no memoryBase was given", 'export function word(): string { return "tidemark"; }', 1024],
  ["a table at 1,024", tableGuest(64), 1024],
  ["a large table at 1,024", tableGuest(8000), 1024],
  ["a table that runs into the page bitmap", tableGuest(30_000), 4096],
  ["a table that runs into the page owners", tableGuest(300), 40_900],
  ["a table over the figures of owners", tableGuest(64), 4032],
  ["a table between what the root block says", tableGuest(40), 1072],
  ["a table in the heap", tableGuest(3000), 65_536],
  ["a table among the heap's last pages", tableGuest(3), 1_200_000],
];

describe.each(modules)("a guest with static data, $name module", ({ debug }) => {
  test.each(misplaced)("that is %s is refused, and the runtime goes on", async (_name, source, memoryBase) => {
    const wasm = new Uint8Array(await compileGuest(source, debug, memoryBase));
    await withRuntime({ debug, initialBytes: 20 * PAGE }, async (runtime) => {
      const arena = runtime.arena();
      const map = runtime.sortedMap(f64, f64);
      const cells = arena.array(Cell);
      for (let index = 0; index < 5000; index++) {
        cells.push({ value: index });
        map.set(index, index);
      }
      const before = runtime.stats();
      const offset = new Uint8Array(wasm.length + 9);
      offset.set(wasm, 5);
      const ways = [wasm, wasm.buffer, offset.subarray(5, -4), Promise.resolve(wasm), new Response(wasm)];
      for (const given of ways) {
        await expect(runtime.instantiate(given)).rejects.toEqual(code("INVALID_MODULE"));
        expect(runtime.stats()).toEqual(before);
        validate(runtime, arena);
        map.validate();
      }
      expect(cells.toArray().every(({ value }, index) => value === index)).toBe(true);
      for (let index = 0; index < 5000; index++) cells.push({ value: index });
      runtime.arena().arena();
      runtime.arena().bytes(5 * PAGE);
      map.clear();
      arena.reset();
      validate(runtime, arena);
    });
  });

  test("that is where it should be is taken, and reads what it was compiled with", async () => {
    const source = `const bytes = memory.data<u8>([${table(20_000)}]);
      export function byte(index: u32): u8 { return load<u8>(bytes + index); }`;
    const wasm = new Uint8Array(await compileGuest(source, debug));
    await withRuntime({ debug }, async (runtime) => {
      const before = runtime.stats();
      const guest = await runtime.instantiate<{ byte(index: number): number }>(wasm);
      expect([guest.byte(0), guest.byte(19_999)]).toEqual([1, (19_999 * 7 + 1) & 0xff]);
      expect(runtime.stats()).toEqual(before);
      const arena = runtime.arena();
      for (let index = 0; index < 5000; index++) arena.new(Cell).value = index;
      expect([guest.byte(0), guest.byte(19_999)]).toEqual([1, (19_999 * 7 + 1) & 0xff]);
      validate(runtime, arena);
    });
  });

  test("whose start works on the heap is taken, with all that it has made", async () => {
    const source = `import { createArena } from "./assembly/allocators/arena";
      const arena = createArena(0, 0, u32.MAX_VALUE);
      export function made(): usize { return arena; }`;
    const wasm = new Uint8Array(await compileGuest(source, debug));
    await withRuntime({ debug }, async (runtime) => {
      const guest = await runtime.instantiate<{ made(): number }>(wasm);
      expect(runtime.$memory.exports.validateArena(guest.made())).toBe(0);
      expect(runtime.stats().bytesByOwner.smallBlocks).toBe(PAGE);
      runtime.validate();
    });
  });
});
