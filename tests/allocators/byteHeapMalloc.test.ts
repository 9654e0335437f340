import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ByteHeap, Runtime } from "tidemark";
import { beforeAll, describe, expect, test } from "vitest";
import { compileGuest } from "../support/guest.js";
import { MEBIBYTE, modules, PAGE, withRuntime } from "../support/runtimes.js";

/** What a guest exports that passes C's functions on, and uses them on its own. */
interface Guest {
  doMalloc(size: number): number;
  doCalloc(count: number, size: number): number;
  doRealloc(address: number, size: number): number;
  doFree(address: number): void;
  doAlignedAlloc(alignment: number, size: number): number;
  doPosixMemalign(result: number, alignment: number, size: number): number;
  doUsableSize(address: number): number;
  churn(rounds: number): number;
}

const SOURCE = `
@external("env", "malloc") declare function malloc(size: u32): usize;
@external("env", "calloc") declare function calloc(count: u32, size: u32): usize;
@external("env", "realloc") declare function realloc(address: usize, size: u32): usize;
@external("env", "free") declare function free(address: usize): void;
@external("env", "aligned_alloc") declare function aligned_alloc(alignment: u32, size: u32): usize;
@external("env", "posix_memalign") declare function posix_memalign(result: usize, alignment: u32, size: u32): i32;
@external("env", "malloc_usable_size") declare function malloc_usable_size(address: usize): u32;

export function doMalloc(size: u32): usize { return malloc(size); }
export function doCalloc(count: u32, size: u32): usize { return calloc(count, size); }
export function doRealloc(address: usize, size: u32): usize { return realloc(address, size); }
export function doFree(address: usize): void { free(address); }
export function doAlignedAlloc(alignment: u32, size: u32): usize { return aligned_alloc(alignment, size); }
export function doPosixMemalign(result: usize, alignment: u32, size: u32): i32 {
  return posix_memalign(result, alignment, size);
}
export function doUsableSize(address: usize): u32 { return malloc_usable_size(address); }

/** Grows 1,000 blocks in turn, each filled with its number, and returns how many bytes were found wrong. */
export function churn(rounds: u32): u32 {
  const table = calloc(1000, 8);
  let wrong: u32 = 0;
  let random: u32 = 1;
  for (let round: u32 = 0; round < rounds; round++) {
    random = random * 1664525 + 1013904223;
    const index = (random >> 10) % 1000;
    const slot = table + (index << 3);
    const block = load<usize>(slot);
    const size = load<u32>(slot, 4);
    for (let at: u32 = 0; at < size; at++) if (load<u8>(block + at) != <u8>index) wrong++;
    const next = ((random >> 20) % 13) * ((random >> 24) % 97);
    const moved = realloc(block, next);
    memory.fill(moved, <u8>index, next);
    store<usize>(slot, moved);
    store<u32>(slot, next, 4);
  }
  for (let index: u32 = 0; index < 1000; index++) free(load<usize>(table + (index << 3)));
  free(table);
  return wrong;
}
`;

let wasm: BufferSource;
beforeAll(async () => {
  wasm = new Uint8Array(await compileGuest(SOURCE, false));
});

describe.each(modules)("a guest of the $name module that imports C's functions", ({ debug }) => {
  const withGuest = (body: (guest: Guest, heap: ByteHeap, runtime: Runtime) => void) =>
    withRuntime({ debug, maximumBytes: 64 * MEBIBYTE }, async (runtime) => {
      const heap = runtime.byteHeap();
      // The guest itself knows nothing of the runtime: only its imports are the module's.
      const exports = await runtime.instantiate<Guest>(wasm, { env: heap.asMalloc() });
      const unsigned =
        (call: (...numbers: number[]) => number) =>
        (...numbers: number[]) =>
          call(...numbers) >>> 0;
      const guest = {
        ...exports,
        doMalloc: unsigned(exports.doMalloc),
        doCalloc: unsigned(exports.doCalloc as never),
        doRealloc: unsigned(exports.doRealloc as never),
        doAlignedAlloc: unsigned(exports.doAlignedAlloc as never),
      } as Guest;
      body(guest, heap, runtime);
      if (!heap.destroyed) heap.validate();
      heap.destroy();
    });

  test("gets a block of its own for each malloc of 0, which can be freed", () =>
    withGuest((guest, heap) => {
      const blocks = Array.from({ length: 1000 }, (_, index) =>
        index % 3 === 0 ? guest.doMalloc(0) : index % 3 === 1 ? guest.doCalloc(0, 5) : guest.doAlignedAlloc(16, 0),
      );
      expect(new Set(blocks).size).toBe(1000);
      expect(blocks.every((address) => address !== 0 && address % 16 === 0)).toBe(true);
      expect(guest.doUsableSize(blocks[0]!)).toBeGreaterThan(0);
      for (const address of blocks) guest.doFree(address);
      heap.trim();
      expect(heap.stats()).toMatchObject({ blocks: 0, refusals: 0 });
    }));

  test("gets cleared memory from calloc, and 0 where the product is no u32", () =>
    withGuest((guest, heap, runtime) => {
      for (const size of [1, 24, 300, 10_000, 200_000]) {
        const dirty = guest.doMalloc(size);
        runtime.$memory.u8.fill(0xff, dirty, dirty + size);
        guest.doFree(dirty);
        heap.trim();
        const block = guest.doCalloc(size, 1);
        const bytes = runtime.$memory.u8.subarray(block, block + size);
        expect(bytes.every((byte) => byte === 0)).toBe(true);
      }
      const { blocks } = heap.stats();
      for (const [count, size] of [
        [65_536, 65_536],
        [65_537, 65_536],
        [2 ** 31, 2],
        [2, 2 ** 31 + 8],
        [2 ** 32 - 1, 2 ** 32 - 1],
        [2 ** 16, 2 ** 20],
        [2 ** 32 - 1, 1],
        [3, 2 ** 30],
      ]) {
        expect(guest.doCalloc(count!, size!)).toBe(0);
      }
      expect(guest.doCalloc(0, 2 ** 32 - 1)).toBeGreaterThan(0);
      heap.trim();
      expect(heap.stats().blocks).toBe(blocks + 1);
    }));

  test("has realloc allocate where there was nothing, free for 0 bytes, and keep what fits", () =>
    withGuest((guest, heap, runtime) => {
      let block = guest.doRealloc(0, 100);
      expect(guest.doUsableSize(block)).toBeGreaterThanOrEqual(100);
      runtime.$memory.u8.fill(9, block, block + 100);
      for (const size of [200, 257, 5000, 300_000, 4000, 100]) {
        block = guest.doRealloc(block, size);
        expect(runtime.$memory.u8.subarray(block, block + 100).every((byte) => byte === 9)).toBe(true);
      }
      expect(guest.doRealloc(block, 2 ** 30)).toBe(0);
      expect(guest.doRealloc(block, 2 ** 32 - 1)).toBe(0);
      expect(runtime.$memory.u8.subarray(block, block + 100).every((byte) => byte === 9)).toBe(true);
      expect(guest.doRealloc(block, 0)).toBe(0);
      heap.trim();
      expect(heap.stats()).toMatchObject({ blocks: 0, refusals: 0 });
      expect(guest.doRealloc(0, 0)).toBeGreaterThan(0);
    }));

  test("has bad addresses ignored and counted, and null not even that", () =>
    withGuest((guest, heap) => {
      const small = guest.doMalloc(100);
      const large = guest.doMalloc(1000);
      const freed = guest.doMalloc(1000);
      guest.doFree(freed);
      guest.doFree(0);
      const before = heap.stats();
      const bad = [freed, small + 16, small + 8, large + 16, large - 16, 4, 1024, 2 ** 31, 2 ** 32 - 16];
      for (const address of bad) {
        guest.doFree(address);
        expect(guest.doRealloc(address, 50)).toBe(0);
        expect(guest.doRealloc(address, 0)).toBe(0);
        expect(guest.doUsableSize(address)).toBe(0);
      }
      expect(guest.doUsableSize(0)).toBe(0);
      expect(heap.stats()).toEqual({ ...before, refusals: 3 * bad.length });
      guest.doFree(small);
      guest.doFree(large);
    }));

  test("has posix_memalign say EINVAL and ENOMEM, and store an address for success only", () =>
    withGuest((guest, _heap, runtime) => {
      const result = guest.doMalloc(16);
      const { u32 } = runtime.$memory;
      const word = result >>> 2;
      u32[word] = 77;
      for (const alignment of [0, 1, 2, 3, 5, 12, 24, 8192, 2 ** 31]) {
        expect([alignment, guest.doPosixMemalign(result, alignment, 100)]).toEqual([alignment, 22]);
      }
      for (const size of [2 ** 30, 2 ** 31, 2 ** 32 - 1]) expect(guest.doPosixMemalign(result, 64, size)).toBe(12);
      expect(u32[word]).toBe(77);
      for (let alignment = 4; alignment <= 4096; alignment *= 2) {
        for (const size of [0, 1, 100, 5000]) {
          expect(guest.doPosixMemalign(result, alignment, size)).toBe(0);
          expect(runtime.$memory.u32[word]! % Math.max(alignment, 16)).toBe(0);
          expect(guest.doAlignedAlloc(alignment, size) % Math.max(alignment, 16)).toBe(0);
        }
      }
      for (const alignment of [0, 3, 8192]) expect(guest.doAlignedAlloc(alignment, 100)).toBe(0);
      expect(guest.doAlignedAlloc(16, 2 ** 31)).toBe(0);
    }));

  test("keeps what it writes to a thousand blocks that it reallocates at random", () =>
    withGuest((guest, heap, runtime) => {
      expect(guest.churn(debug ? 20_000 : 200_000)).toBe(0);
      heap.trim();
      expect(heap.stats()).toMatchObject({ blocks: 0, refusals: 0, reservedBytes: 0 });
      runtime.validate();
    }));

  test("gets nothing once the heap has been destroyed, until another takes its place", () =>
    withGuest((guest, heap, runtime) => {
      const other = runtime.byteHeap();
      expect(() => other.asMalloc()).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_INVALID_ARGUMENT" }));
      const block = guest.doMalloc(50);
      other.destroy();
      expect(guest.doUsableSize(block)).toBeGreaterThanOrEqual(50);
      heap.destroy();
      expect([guest.doMalloc(5), guest.doCalloc(1, 5), guest.doRealloc(0, 5), guest.doRealloc(block, 5)]).toEqual([
        0, 0, 0, 0,
      ]);
      expect([guest.doAlignedAlloc(16, 5), guest.doUsableSize(block)]).toEqual([0, 0]);
      expect(guest.doPosixMemalign(block, 16, 5)).toBe(12);
      guest.doFree(block);
    }));

  test("gets nothing once the runtime has been disposed of", () =>
    withGuest((guest, _heap, runtime) => {
      const block = guest.doMalloc(50);
      runtime.dispose();
      expect([guest.doMalloc(5), guest.doCalloc(1, 5), guest.doRealloc(block, 5), guest.doUsableSize(block)]).toEqual([
        0, 0, 0, 0,
      ]);
      guest.doFree(block);
    }));
});

const C_SOURCE = `
typedef unsigned long size_t;
extern void *malloc(size_t), *calloc(size_t, size_t), *realloc(void *, size_t);
extern void free(void *);

struct node { struct node *next; int value; };

volatile int calls[2] = {1, 2}; // so that there is static data

__attribute__((export_name("sum"))) int sum(int count) {
  struct node *first = 0;
  volatile int recent[4]; // so that there is a stack in memory
  calls[0]++;
  for (int value = 1; value <= count; value++) {
    recent[value & 3] = value;
    struct node *node = malloc(sizeof(struct node));
    node->next = first;
    node->value = value;
    first = node;
  }
  int total = 0, capacity = 0, length = 0, *values = 0;
  for (struct node *next; first; first = next) {
    if (length == capacity) values = realloc(values, (capacity = capacity ? 2 * capacity : 4) * sizeof(int));
    values[length++] = first->value;
    next = first->next;
    free(first);
  }
  for (int index = 0; index < length; index++) total += values[index];
  free(values);
  return total;
}
`;

const CLANG = "/usr/bin/clang";
const canCompileC = existsSync(CLANG) && existsSync("/usr/bin/wasm-ld");
if (!canCompileC) console.warn("SKIPPED: no clang with wasm-ld is there, so no C program was compiled against malloc");

/** The program, linked with these flags. */
function compileC(flags: readonly string[]): Uint8Array<ArrayBuffer> {
  const all = ["--no-entry", "--import-memory", "--allow-undefined", ...flags].flatMap((flag) => ["-Xlinker", flag]);
  return runClang(["--target=wasm32", "-O2", "-fno-builtin", "-nostdlib", ...all, "guest.c", "-o", "guest.wasm"]);
}

/** What clang makes of the program with these arguments, which have it in guest.c, and guest.wasm of it. */
function runClang(words: readonly string[]): Uint8Array<ArrayBuffer> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-c-"));
  try {
    writeFileSync(join(folder, "guest.c"), C_SOURCE);
    execFileSync(CLANG, words, { cwd: folder });
    return new Uint8Array(readFileSync(join(folder, "guest.wasm")));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test.skipIf(!canCompileC)("a program in C, compiled by clang as the README says, allocates from the heap", () =>
  withRuntime({ initialBytes: 4 * PAGE, maximumBytes: 64 * MEBIBYTE }, async (runtime) => {
    const heap = runtime.byteHeap();
    const [, words] = /^clang (.*)$/m.exec(readFileSync(new URL("../../README.md", import.meta.url), "utf8"))!;
    const bytes = runClang(words!.split(" "));
    const { sum } = await runtime.instantiate<{ sum(count: number): number }>(bytes, { env: heap.asMalloc() });
    for (const count of [0, 1, 1000, 50_000]) expect(sum(count)).toBe((count * (count + 1)) / 2);
    heap.validate();
    heap.trim();
    expect(heap.stats()).toMatchObject({ blocks: 0, refusals: 0, reservedBytes: 0 });
  }),
);

test.skipIf(!canCompileC).each([
  ["as it comes", []],
  ["with its data in place alone", ["--global-base=4096"]],
  ["without what debuggers need", ["--strip-debug"]],
  ["with a small stack below its data", ["--stack-first", "-z", "stack-size=16384", "--global-base=16384"]],
  ["with a small stack at the beginning", ["--stack-first", "-z", "stack-size=4096", "--global-base=4096"]],
])("a program in C that is linked %s is refused, since its stack would lie over the heap's memory", (_, flags) =>
  withRuntime({}, async (runtime) => {
    const env = { ...runtime.byteHeap().asMalloc() };
    await expect(runtime.instantiate(compileC(flags), { env })).rejects.toMatchObject({
      code: "ERR_TIDEMARK_INVALID_MODULE",
      message: expect.stringContaining("stack-size=16384"),
    });
  }),
);
