import { type ByteHeap, type Bytes, Ref } from "tidemark";
import { expect } from "vitest";
import { type Act, type Any, must, NOT_TOLD, Other, type Row, SERVED, type Stage } from "./misuse.js";
import { Owner, PAGE } from "./runtimes.js";

/** Sizes of both halves of a byte heap, of a block with pages of its own, and an alignment that moves the content. */
const BLOCKS = [
  { size: 100 },
  { size: 256 },
  { size: 257 },
  { size: 1000 },
  { size: 70_000 },
  { size: 300, alignment: 4096 },
];

const NO_ADDRESSES: readonly unknown[] = [
  -1,
  0.5,
  Number.NaN,
  2 ** 32,
  2 ** 53,
  "16",
  "",
  {},
  [],
  [16],
  undefined,
  null,
  16n,
  true,
  Symbol("16"),
  () => 16,
];

/** One block of each kind, and what frees it. */
function blocks(heap: ByteHeap): { address: number; size: number }[] {
  return BLOCKS.map(({ size, alignment }) => ({
    size,
    address: heap.allocate(size, alignment === undefined ? undefined : { alignment }),
  }));
}

/** Addresses in a block at which none begins. */
function inside({ address, size }: { address: number; size: number }): number[] {
  return [1, 2, 4, 8, 16, 32, size >> 1, size - 16, size - 8, size - 1].map((offset) => address + offset);
}

/** Acts that give `addresses` to the heap of C guests, one by one. */
function frees(stage: Stage, addresses: readonly number[]): Act[] {
  return addresses.map((address) => ({ run: () => stage.c.free(address), names: address }));
}

/** Acts that give `addresses` to all calls of a byte heap that take one. */
function heapCalls({ heap }: Stage, addresses: readonly number[]): Act[] {
  return addresses.flatMap((address) => [
    { run: () => heap.free(address), names: address },
    { run: () => heap.freeMany(new Uint32Array([address])), names: address, holdsBack: true },
    { run: () => heap.reallocate(address, 10), names: address },
    { run: () => heap.reallocate(address, 100_000), names: address },
    { run: () => heap.usableSize(address), names: address },
  ]);
}

/** Addresses that are nobody's to free, one of each kind of memory. */
function foreign({ runtime, others: { map }, heap }: Stage): number[] {
  const memory = runtime.$memory;
  for (let key = 0; key < 10_000; key++) map.set(key, key);
  const committed = runtime.stats().committedBytes;
  const pages = Array.from({ length: committed / PAGE }, (_, page) => page * PAGE);
  const pageOf = (owner: number) => pages.find((page) => memory.exports.ownerOf(page) === owner)!;
  const nodes = pageOf(Owner.SORTED_MAP);
  const bases = [pageOf(Owner.METADATA), pageOf(Owner.GUARDS), pageOf(Owner.SMALL_BLOCKS), nodes, pageOf(Owner.FREE)];
  expect(bases.includes(undefined as Any)).toBe(false);
  return [
    ...bases.flatMap((base) => [base + 16, base + 1088, base + 4096]),
    map.address,
    heap.address,
    heap.address + 16,
    1024,
    4096,
    32_768,
    committed - 16,
    committed,
    committed + 16,
    2 ** 31,
    2 ** 32 - PAGE,
    2 ** 32 - 16,
    2 ** 32 - 1,
  ];
}

function freed<T>(block: T, free: (block: T) => void): T {
  free(block);
  return block;
}

export const freeRows: Row[] = [
  {
    name: "double free",
    cells: {
      pool: must("STALE_REFERENCE", ({ pool }) => {
        const ref = freed(pool.new(), (each) => pool.free(each));
        return { run: () => pool.free(ref), names: ref.$address };
      }),
      "byte heap": must("INVALID_ADDRESS", (stage) => {
        const { heap } = stage;
        const addresses = blocks(heap).map(({ address }) => address);
        for (const address of addresses) heap.free(address);
        return heapCalls(stage, addresses);
      }),
      "checked bytes": must("STALE_REFERENCE", ({ heap }) => {
        return BLOCKS.map(({ size }) => {
          const bytes = heap.bytes(size);
          const { address } = bytes;
          heap.free(bytes);
          return { run: () => heap.free(bytes), names: address };
        });
      }),
      "frame pool": must("STALE_REFERENCE", ({ frames }) => {
        const frame = frames.acquire("medium");
        const { address } = frame;
        frames.release(frame);
        return { run: () => frames.release(frame), names: address };
      }),
      "C malloc": must("INVALID_ADDRESS", (stage) => {
        const addresses = blocks(stage.guests).map(({ address }) => address);
        for (const address of addresses) stage.c.free(address);
        return frees(stage, addresses);
      }),
    },
  },
  {
    name: "double free in one list",
    note: "lists are the byte heap's alone; those before the bad address are freed, it and the rest are not",
    cells: {
      "byte heap": must("INVALID_ADDRESS", ({ heap }) => {
        const lists = [8, 16, 100, 1000].flatMap((size) => {
          const [first, second, third] = [0, 1, 2].map(() => heap.allocate(size));
          heap.free(first!);
          // What was freed last is what a list of as many bytes would be given.
          const long = new Uint32Array(size / 4).fill(second!);
          long[0] = first!;
          return [long, new Uint32Array([first!, third!])];
        });
        const twice = heap.allocate(40);
        return [
          ...lists.map((list) => ({ run: () => heap.freeMany(list), names: list[0]!, holdsBack: true })),
          {
            run: () => heap.freeMany(new Uint32Array([twice, twice])),
            names: `${twice}, number 1 of 2`,
            isDone: true,
            holdsBack: true,
          },
        ];
      }),
    },
  },
  {
    name: "free inside a block",
    note: "a cell, a frame and checked bytes are known by an object: they have no address to get wrong",
    cells: {
      "byte heap": must("INVALID_ADDRESS", (stage) => heapCalls(stage, blocks(stage.heap).flatMap(inside))),
      "C malloc": must("INVALID_ADDRESS", (stage) => frees(stage, blocks(stage.guests).flatMap(inside))),
    },
  },
  {
    name: "free of an arena's memory",
    cells: {
      pool: must("INVALID_ARGUMENT", ({ pool, arena }) => {
        const { Cell } = { Cell: pool.type };
        const record = arena.new(Cell);
        return { run: () => pool.free(record), names: record.$address };
      }),
      "byte heap": must("INVALID_ADDRESS", (stage) =>
        heapCalls(stage, [stage.arena.address, stage.arena.allocate(64), stage.arena.allocate(300_000)]),
      ),
      "checked bytes": must("INVALID_ADDRESS", ({ heap, arena }) => {
        const bytes = arena.bytes(64);
        return { run: () => heap.free(bytes), names: bytes.address };
      }),
      "frame pool": must("INVALID_ARGUMENT", ({ frames, arena }) => {
        const bytes = arena.bytes(64);
        return { run: () => frames.release(bytes), names: bytes.address };
      }),
      "C malloc": must("INVALID_ADDRESS", (stage) =>
        frees(stage, [stage.arena.address, stage.arena.allocate(64), stage.arena.allocate(300_000)]),
      ),
    },
  },
  {
    name: "free of another's block",
    cells: {
      pool: must("INVALID_ARGUMENT", ({ pool, others }) => {
        const refs = [0, 1, 2].map(() => others.pool.new());
        return refs.map((ref) => ({ run: () => pool.free(ref), names: ref.$address }));
      }),
      "byte heap": must("INVALID_ADDRESS", (stage) => {
        const cell = stage.pool.new().$address;
        const frame = stage.frames.acquire("large").address;
        const others = blocks(stage.others.heap).flatMap((block) => [block.address, ...inside(block)]);
        return heapCalls(stage, [...others, cell, frame]);
      }),
      "checked bytes": must("INVALID_ADDRESS", ({ heap, others, frames }) => {
        return [others.heap.bytes(64), others.heap.bytes(1000), frames.acquire("small")].map((bytes) => ({
          run: () => heap.free(bytes),
          names: bytes.address,
        }));
      }),
      "frame pool": must("INVALID_ARGUMENT", ({ frames, others, heap }) => {
        frames.acquire("small");
        return [others.frames.acquire("small"), others.frames.acquire("large"), heap.bytes(64)].map((bytes) => ({
          run: () => frames.release(bytes),
          names: bytes.address,
        }));
      }),
      "C malloc": must("INVALID_ADDRESS", (stage) =>
        frees(
          stage,
          blocks(stage.heap).map(({ address }) => address),
        ),
      ),
    },
  },
  {
    name: "free of no one's address",
    note: "tables, guards, heads, map nodes, free pages, memory that there is not",
    cells: {
      "byte heap": must("INVALID_ADDRESS", (stage) => heapCalls(stage, foreign(stage))),
      "C malloc": must("INVALID_ADDRESS", (stage) => frees(stage, foreign(stage))),
    },
  },
  {
    name: "free of 0",
    note: "C allows it",
    cells: {
      "byte heap": must("INVALID_ADDRESS", (stage) => heapCalls(stage, [0])),
      "C malloc": must(SERVED, (stage) => frees(stage, [0])),
    },
  },
  {
    name: "free of what is no address, no block",
    note: "numbers that are none, strings, objects …: for C, WebAssembly makes u32 of all that it is given",
    cells: {
      pool: must("INVALID_ARGUMENT", ({ pool }) => NO_ADDRESSES.map((bad) => ({ run: () => pool.free(bad as Any) }))),
      "byte heap": must("INVALID_ARGUMENT", ({ heap }) =>
        NO_ADDRESSES.flatMap((bad) => [
          { run: () => heap.free(bad as Any), ...(typeof bad === "number" && { names: bad }) },
          { run: () => heap.reallocate(bad as Any, 10), ...(typeof bad === "number" && { names: bad }) },
          { run: () => heap.usableSize(bad as Any), ...(typeof bad === "number" && { names: bad }) },
          { run: () => heap.freeMany(bad as Any), holdsBack: true },
          { run: () => heap.freeMany([bad] as Any), holdsBack: true },
          { run: () => heap.freeMany(new Uint32Array(heap.$memory.u8.buffer, 0, 1)), names: "a view of the memory" },
        ]),
      ),
      "frame pool": must("INVALID_ARGUMENT", ({ frames }) =>
        NO_ADDRESSES.map((bad) => ({ run: () => frames.release(bad as Any) })),
      ),
    },
  },
  {
    name: "free by a stale address, the memory another's by now",
    note: "not told: an address has no generation. Checked bytes, pools and frames have one; the debug build holds freed blocks back",
    cells: {
      pool: must("STALE_REFERENCE", ({ pool }) => {
        const ref = freed(pool.new(), (each) => pool.free(each));
        expect(pool.new().$address).toBe(ref.$address);
        return { run: () => pool.free(ref), names: ref.$address };
      }),
      "byte heap": must(
        NOT_TOLD,
        ({ heap, debug }) => {
          const stale = freed(heap.allocate(100), (each) => heap.free(each));
          expect(heap.allocate(100) === stale).toBe(!debug);
          return { run: () => heap.free(stale), names: stale };
        },
        "INVALID_ADDRESS",
      ),
      "checked bytes": must("STALE_REFERENCE", ({ heap, debug }) => {
        const bytes = heap.bytes(100);
        const { address } = bytes;
        heap.free(bytes);
        expect(heap.bytes(100).address === address).toBe(!debug);
        return { run: () => heap.free(bytes), names: address };
      }),
      "frame pool": must("STALE_REFERENCE", ({ frames }) => {
        const frame = frames.acquire("medium");
        const { address } = frame;
        frames.release(frame);
        expect(frames.acquire("medium").address).toBe(address);
        return { run: () => frames.release(frame), names: address };
      }),
      "C malloc": must(
        NOT_TOLD,
        ({ c, debug }) => {
          const stale = freed(c.malloc(100), (each) => c.free(each));
          expect(c.malloc(100) === stale).toBe(!debug);
          return { run: () => c.free(stale), names: stale };
        },
        "INVALID_ADDRESS",
      ),
    },
  },
  {
    name: "reallocate a freed block",
    cells: {
      "byte heap": must("INVALID_ADDRESS", ({ heap }) => {
        return blocks(heap).map(({ address, size }) => {
          heap.free(address);
          return { run: () => heap.reallocate(address, size * 2), names: address };
        });
      }),
      "C malloc": must("INVALID_ADDRESS", ({ guests, c }) => {
        return blocks(guests).map(({ address, size }) => {
          c.free(address);
          return { run: () => c.realloc(address, size * 2), names: address };
        });
      }),
    },
  },
  {
    name: "reallocate inside a block",
    cells: {
      "byte heap": must("INVALID_ADDRESS", ({ heap }) =>
        blocks(heap)
          .flatMap(inside)
          .map((address) => ({ run: () => heap.reallocate(address, 50), names: address })),
      ),
      "C malloc": must("INVALID_ADDRESS", ({ guests, c }) =>
        blocks(guests)
          .flatMap(inside)
          .map((address) => ({ run: () => c.realloc(address, 50), names: address })),
      ),
    },
  },
  {
    name: "a record, cursor, bytes of another runtime",
    cells: {
      arena: must("INVALID_ARGUMENT", ({ arena, pool, strange }) => {
        const strangers = [strange.pool.cursor(), strange.pool.new(strange.pool.cursor())];
        return [
          ...strangers.map((cursor) => ({ run: () => arena.new(pool.type, cursor) })),
          { run: () => arena.bytes(8, strange.runtime.bytes()) },
        ];
      }),
      pool: must("INVALID_ARGUMENT", ({ pool, strange }) => {
        const ref = strange.pool.new();
        return [{ run: () => pool.free(ref) }, { run: () => pool.new(strange.pool.cursor()) }];
      }),
      "checked bytes": must("INVALID_ARGUMENT", ({ heap, strange }) => {
        const bytes = strange.heap.bytes(8);
        return [{ run: () => heap.free(bytes) }, { run: () => heap.bytes(8, strange.runtime.bytes()) }];
      }),
      "frame pool": must("INVALID_ARGUMENT", ({ frames, strange }) => {
        const frame = strange.frames.acquire("small");
        return [{ run: () => frames.release(frame) }, { run: () => frames.acquire("small", strange.runtime.bytes()) }];
      }),
      "sorted map": must("INVALID_ARGUMENT", ({ runtime, pool, strange }) => {
        const map = runtime.sortedMap(pool.type, pool.type);
        const cursor = strange.pool.new(strange.pool.cursor());
        map.set({ value: 1 }, { value: 2 });
        const figures = () => map.stats();
        return [
          { run: () => map.set({ value: 3 }, cursor), figures },
          { run: () => map.set(cursor, { value: 3 }), figures },
          { run: () => map.get({ value: 1 }, strange.pool.cursor()), figures },
        ];
      }),
    },
  },
  {
    name: "a record, cursor of another struct",
    cells: {
      arena: must("INVALID_ARGUMENT", ({ arena, runtime, pool }) => ({
        run: () => arena.new(pool.type, runtime.cursor(Other) as Any),
        names: "Other",
      })),
      pool: must("INVALID_ARGUMENT", ({ pool, runtime }) => {
        const other = runtime.pool(Other);
        const ref = other.new();
        return [
          { run: () => pool.free(ref as Any), names: "Other", figures: () => other.stats() },
          { run: () => pool.new(other.cursor() as Any), names: "Other" },
        ];
      }),
      "checked bytes": must("INVALID_ARGUMENT", ({ heap, pool }) => {
        const record = pool.new(pool.cursor());
        return [{ run: () => heap.free(record as Any) }, { run: () => heap.bytes(8, record as Any) }];
      }),
      "frame pool": must("INVALID_ARGUMENT", ({ frames, pool }) => {
        const record = pool.new(pool.cursor());
        return [{ run: () => frames.release(record as Any) }, { run: () => frames.acquire("small", record as Any) }];
      }),
      "sorted map": must("INVALID_ARGUMENT", ({ runtime, pool, arena }) => {
        const map = runtime.sortedMap(pool.type, pool.type);
        const other = arena.new(Other);
        map.set({ value: 1 }, { value: 2 });
        const figures = () => map.stats();
        return [
          { run: () => map.set({ value: 3 }, other as Any), figures },
          { run: () => map.set(other as Any, { value: 3 }), figures },
          { run: () => map.get({ value: 1 }, other as Any), figures },
        ];
      }),
    },
  },
  {
    name: "a ref where a cursor is to be moved",
    cells: {
      arena: must("INVALID_ARGUMENT", ({ arena, pool }) => {
        const ref = pool.new();
        return { run: () => arena.new(pool.type, ref as Any) };
      }),
      pool: must("INVALID_ARGUMENT", ({ pool }) => {
        const ref = pool.new();
        expect(ref).toBeInstanceOf(Ref);
        return { run: () => pool.new(ref as Any) };
      }),
    },
  },
  {
    name: "a cursor, bytes not placed yet",
    cells: {
      arena: must("STALE_REFERENCE", ({ arena, pool }) => ({ run: () => pool.cursor().copyTo(arena) })),
      pool: must("STALE_REFERENCE", ({ pool }) => ({ run: () => pool.free(pool.cursor()) })),
      "checked bytes": must("STALE_REFERENCE", ({ heap, runtime }) => ({ run: () => heap.free(runtime.bytes()) })),
      "frame pool": must("STALE_REFERENCE", ({ frames, runtime }) => ({ run: () => frames.release(runtime.bytes()) })),
      "sorted map": must("STALE_REFERENCE", ({ runtime, pool }) => {
        const map = runtime.sortedMap(pool.type, pool.type);
        return [
          { run: () => map.set(pool.cursor(), { value: 1 }), figures: () => map.stats() },
          { run: () => map.set({ value: 1 }, pool.cursor()), figures: () => map.stats() },
        ];
      }),
    },
  },
  {
    name: "checked bytes freed by their address",
    cells: {
      "checked bytes": must("INVALID_ADDRESS", (stage) => {
        return BLOCKS.flatMap(({ size }) => {
          const bytes: Bytes = stage.heap.bytes(size);
          const { address } = bytes;
          return heapCalls(stage, [address]);
        });
      }),
    },
  },
];
