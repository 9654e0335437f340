import { f64 } from "tidemark";
import { expect } from "vitest";
import { type Act, type Any, must, type Row, SERVED, type Stage } from "./misuse.js";
import { PAGE } from "./runtimes.js";

/** Around every edge of the size classes of a byte heap. */
const CLASS_EDGES = [
  1,
  2,
  ...Array.from({ length: 18 }, (_, index) => 16 * (index + 1)).flatMap((edge) => [edge - 1, edge, edge + 1]),
];

/** Just below whole pages, where headers and tags decide whether one more is needed. */
const PAGE_EDGES = [1, 2, 3, 4, 16].flatMap((pages) =>
  Array.from({ length: 33 }, (_, less) => pages * PAGE - less).concat(pages * PAGE + 1),
);

const GOOD_SIZES = [...CLASS_EDGES, ...PAGE_EDGES, 4095, 4096, 4097, 10 * PAGE + 1];
const TOO_MUCH = [2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 2 * PAGE];
const BEYOND = [
  ...Array.from({ length: 32 }, (_, less) => 2 ** 32 - 1 - less),
  2 ** 32 - 2 * PAGE + 1,
  2 ** 32,
  2 ** 53,
];
const NO_SIZES: readonly number[] = [-1, 0.5, Number.NaN, Infinity, -Infinity];
const NO_ALIGNMENTS: readonly number[] = [0, 3, 24, 4097, 8192, 2 ** 31, -16];

/** Serves `size`, and shows that all of it can be used beside others that stay as they are. */
function use(stage: Stage, size: number, allocate: (size: number) => number, free?: (address: number) => void): Act {
  const run = () => {
    const memory = stage.runtime.$memory;
    const before = allocate(40);
    memory.u8.fill(0x11, before, before + 40);
    const address = allocate(size);
    const behind = allocate(40);
    expect(address).toBeGreaterThan(0);
    memory.u8.fill(0x22, behind, behind + 40);
    memory.u8.fill(0x33, address, address + size);
    expect(memory.u8.subarray(before, before + 40).every((byte) => byte === 0x11)).toBe(true);
    expect(memory.u8.subarray(behind, behind + 40).every((byte) => byte === 0x22)).toBe(true);
    expect([memory.u8[address], memory.u8[address + size - 1]]).toEqual([0x33, 0x33]);
    for (const each of [before, address, behind]) free?.(each);
  };
  return { run };
}

/** Acts that ask every call for `sizes`; C leaves the pages, and not the bytes, that it needed. */
function asks(sizes: readonly number[], calls: readonly ((size: number) => unknown)[], more: Partial<Act> = {}): Act[] {
  return sizes.flatMap((size) => calls.map((call) => ({ run: () => call(size), names: size, ...more })));
}

const arenaCalls = ({ arena }: Stage) => [
  (size: number) => arena.allocate(size),
  (size: number) => arena.allocate(size, 4096),
  (size: number) => arena.bytes(size),
];

function heapCalls({ heap }: Stage) {
  const held = heap.allocate(100);
  return [
    (size: number) => heap.allocate(size),
    (size: number) => heap.allocate(size, { alignment: 4096 }),
    (size: number) => heap.allocateZeroed(size),
    (size: number) => heap.reallocate(held, size),
  ];
}

function guestCalls({ c }: Stage) {
  const held = c.malloc(100);
  return [
    (size: number) => c.malloc(size),
    (size: number) => c.calloc(1, size),
    (size: number) => c.realloc(held, size),
    (size: number) => c.aligned_alloc(4096, size),
  ];
}

export const sizeRows: Row[] = [
  {
    name: "sizes at the edges of classes and pages",
    note: "1, 16 k ± 1, k pages − 0 … 32: no misuse, and usable to the last byte",
    cells: {
      arena: must(SERVED, (stage) => GOOD_SIZES.map((size) => use(stage, size, (each) => stage.arena.allocate(each)))),
      "byte heap": must(SERVED, (stage) =>
        GOOD_SIZES.map((size) =>
          use(
            stage,
            size,
            (each) => stage.heap.allocate(each),
            (each) => stage.heap.free(each),
          ),
        ),
      ),
      "checked bytes": must(SERVED, ({ heap }) =>
        GOOD_SIZES.map((size) => ({
          run: () => {
            const bytes = heap.bytes(size);
            bytes.set(size - 1, 255);
            expect([bytes.length, bytes.get(size - 1)]).toEqual([size, 255]);
            heap.free(bytes);
          },
        })),
      ),
      "frame pool": must(SERVED, ({ runtime }) =>
        GOOD_SIZES.filter((size) => size >= 8 && size <= 1 << 20).map((small) => ({
          run: () => {
            const frames = runtime.framePool({ small });
            const [first, second] = [frames.acquire("small"), frames.acquire("small")];
            first.view().fill(255);
            expect(second.view().every((byte) => byte === 0)).toBe(true);
            frames.release(first);
            frames.validate();
            frames.destroy();
          },
        })),
      ),
      "C malloc": must(SERVED, (stage) =>
        GOOD_SIZES.map((size) =>
          use(
            stage,
            size,
            (each) => stage.c.malloc(each),
            (each) => stage.c.free(each),
          ),
        ),
      ),
    },
  },
  {
    name: "size or capacity 0",
    note: "malloc(0) gives the smallest block",
    cells: {
      arena: must("INVALID_ARGUMENT", (stage) => asks([0], arenaCalls(stage))),
      pool: must("INVALID_ARGUMENT", ({ runtime, pool }) =>
        asks([0], [(capacity) => runtime.pool(pool.type, { capacity })]),
      ),
      "byte heap": must("INVALID_ARGUMENT", (stage) => asks([0], heapCalls(stage))),
      "checked bytes": must("INVALID_ARGUMENT", ({ heap }) => asks([0], [(size) => heap.bytes(size)])),
      "frame pool": must("INVALID_ARGUMENT", ({ runtime }) => asks([0, 7], [(small) => runtime.framePool({ small })])),
      "C malloc": must(SERVED, ({ c }) => asks([0], [(size) => c.malloc(size), (size) => c.calloc(size, size)])),
    },
  },
  {
    name: "more than there is: 2^31 − 1, 2^31, 2^31 + 1 …",
    cells: {
      arena: must("OUT_OF_MEMORY", (stage) => asks(TOO_MUCH, arenaCalls(stage))),
      pool: must("OUT_OF_MEMORY", ({ runtime, pool }) =>
        asks([2 ** 29, 2 ** 24], [(capacity) => runtime.pool(pool.type, { capacity })]),
      ),
      "byte heap": must("OUT_OF_MEMORY", (stage) => asks(TOO_MUCH, heapCalls(stage), { holdsBack: true })),
      "checked bytes": must("OUT_OF_MEMORY", ({ heap }) =>
        asks(TOO_MUCH.slice(0, 3), [(size) => heap.bytes(size)], { holdsBack: true }),
      ),
      "C malloc": must("OUT_OF_MEMORY", (stage) =>
        asks(TOO_MUCH, guestCalls(stage)).map(({ run }) => ({ run, holdsBack: true })),
      ),
    },
  },
  {
    name: "sizes above the limit: 2^32 − 1 … − 32, 2^32",
    note: "C's are u32: 2^32 is 0 to it",
    cells: {
      arena: must("INVALID_ARGUMENT", (stage) => asks(BEYOND, arenaCalls(stage))),
      pool: must("INVALID_ARGUMENT", ({ runtime, pool }) =>
        asks([...BEYOND, 2 ** 29 + 1], [(capacity) => runtime.pool(pool.type, { capacity })]),
      ),
      "byte heap": must("INVALID_ARGUMENT", (stage) => [
        ...asks(BEYOND, heapCalls(stage)),
        ...asks(BEYOND, [(size) => stage.heap.allocateMany(size, new Uint32Array(4))]),
      ]),
      "checked bytes": must("INVALID_ARGUMENT", ({ heap }) => asks(BEYOND, [(size) => heap.bytes(size)])),
      "frame pool": must("INVALID_ARGUMENT", ({ runtime }) =>
        asks([...BEYOND, 2 ** 20 + 1], [(large) => runtime.framePool({ large })]),
      ),
      "C malloc": must("INVALID_ARGUMENT", (stage) =>
        asks(
          BEYOND.filter((size) => size < 2 ** 32),
          guestCalls(stage),
        ),
      ),
    },
  },
  {
    name: "sizes −1, 0.5, NaN, Infinity",
    note: "C's are u32: −1 is 2^32 − 1, and the others are whole numbers",
    cells: {
      arena: must("INVALID_ARGUMENT", (stage) => asks(NO_SIZES, arenaCalls(stage))),
      pool: must("INVALID_ARGUMENT", ({ runtime, pool }) =>
        asks(NO_SIZES, [(capacity) => runtime.pool(pool.type, { capacity })]),
      ),
      "byte heap": must("INVALID_ARGUMENT", (stage) => asks(NO_SIZES, heapCalls(stage))),
      "checked bytes": must("INVALID_ARGUMENT", ({ heap }) => asks(NO_SIZES, [(size) => heap.bytes(size)])),
      "frame pool": must("INVALID_ARGUMENT", ({ runtime }) =>
        asks(NO_SIZES, [(medium) => runtime.framePool({ medium })]),
      ),
      "C malloc": must("INVALID_ARGUMENT", ({ c }) => asks([-1], [c.malloc]).map(({ run }) => ({ run }))),
    },
  },
  {
    name: "alignments 0, 3, 8192, −16, NaN …",
    cells: {
      arena: must("INVALID_ARGUMENT", ({ arena }) =>
        asks([...NO_ALIGNMENTS, 0.5, Number.NaN], [(alignment) => arena.allocate(8, alignment)]),
      ),
      "byte heap": must("INVALID_ARGUMENT", ({ heap }) =>
        asks(
          [...NO_ALIGNMENTS, 0.5, Number.NaN],
          [(alignment) => heap.allocate(8, { alignment }), (alignment) => heap.allocateZeroed(8, { alignment })],
        ),
      ),
      "C malloc": must("INVALID_ARGUMENT", ({ c }) => {
        const result = c.malloc(4);
        return asks(NO_ALIGNMENTS, [
          (alignment) => c.aligned_alloc(alignment, 8),
          (alignment) => c.posix_memalign(result, alignment, 8),
        ]).map(({ run }) => ({ run }));
      }),
    },
  },
  {
    name: "count × size passes 2^32",
    cells: {
      arena: must("INVALID_ARGUMENT", ({ arena }) =>
        asks([2 ** 29, 2 ** 29 + 1], [(count) => arena.array(f64, count)]),
      ),
      pool: must("OUT_OF_MEMORY", ({ runtime, pool }) =>
        asks([2 ** 29], [(capacity) => runtime.pool(pool.type, { capacity })]),
      ),
      "byte heap": must("OUT_OF_MEMORY", ({ heap }) =>
        [2 ** 20, 2 ** 30, 2 ** 31].flatMap((size) => {
          const list = new Uint32Array(4096).fill(7);
          const figures = () => [...new Set(list)];
          return asks([size], [(each) => heap.allocateMany(each, list)], { figures, holdsBack: true, mayGrow: true });
        }),
      ),
      "C malloc": must("INVALID_ARGUMENT", ({ c }) =>
        [
          [2 ** 16, 2 ** 16],
          [2 ** 31, 2],
          [3, 2 ** 31],
          [2 ** 32 - 1, 2 ** 32 - 1],
        ].map(([count, size]) => ({ run: () => c.calloc(count!, size!) })),
      ),
    },
  },
  {
    name: "a list that is no list, or lies in the memory",
    cells: {
      "byte heap": must("INVALID_ARGUMENT", ({ heap, runtime }) => [
        ...[undefined, null, 5, "5", [0], {}, new Float64Array(1), new Uint8Array(4)].map((bad) => ({
          run: () => heap.allocateMany(8, bad as Any),
        })),
        ...[new Uint32Array(runtime.memory.buffer, heap.allocate(400_000), 100_000)].map((list) => ({
          run: () => heap.allocateMany(8, list),
        })),
      ]),
    },
  },
];
