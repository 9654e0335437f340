import { array, createRuntime, f32, f64, i64, type Runtime, ref, struct, text, u8, u16, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { fillUpTo } from "../support/highMemory.js";
import { modules, Owner, PAGE, validate } from "../support/runtimes.js";

const GIBIBYTE = 2 ** 30;
const MOST_PAGES = 65_535;
const END = MOST_PAGES * PAGE;

const Record = struct("Record", {
  byte: u8,
  short: u16,
  word: u32,
  single: f32,
  double: f64,
  long: i64,
  name: text(12),
  values: array(u16, 5),
  next: ref("Record"),
});

/** Does with an arena what can be done with one, at addresses from `from` on. */
function exercise(runtime: Runtime, from: number): void {
  const arena = runtime.arena({ sizeHint: 10_000 });
  expect(arena.address).toBeGreaterThanOrEqual(from);
  const values = {
    byte: 255,
    short: 65_535,
    word: 4_294_967_295,
    single: 0.5,
    double: 0.1,
    long: -5n,
    name: "überfluß",
    values: [1, 2, 3, 4, 65_535],
    next: null,
  };
  const records = arena.array(Record);
  for (let index = 0; index < 2000; index++) records.push({ ...values, word: index });
  const last = runtime.cursor(Record).moveTo(records.at(1999));
  records.at(0).next = last;
  let sum = 0;
  for (const record of records) sum += record.word;
  expect(sum).toBe((2000 * 1999) / 2);
  expect(records.at(1999).toObject()).toEqual({ ...values, word: 1999 });
  const walker = runtime.cursor(Record).moveTo(records.at(0));
  expect(walker.follow("next")).toBe(true);
  expect(walker.word).toBe(1999);
  expect(walker.$address).toBeGreaterThan(from);
  expect(arena.contains(walker)).toBe(true);

  const floats = arena.array(f64, 1000);
  for (let index = 0; index < 1000; index++) floats.set(index, index / 3);
  expect(floats.toArray()).toEqual(Array.from({ length: 1000 }, (_, index) => index / 3));
  const bytes = arena.bytes(100_000);
  bytes.copyFrom(new Uint8Array(100_000).fill(7));
  expect(bytes.get(99_999)).toBe(7);
  expect(bytes.toUint8Array().every((byte) => byte === 7)).toBe(true);
  expect(arena.text("Gezeiten 🌊").toString()).toBe("Gezeiten 🌊");
  expect(arena.allocate(100, 4096) % 4096).toBe(0);
  expect(arena.arrayAt(f64, floats.address, 1000).at(999)).toBe(333);

  const child = arena.arena();
  const first = runtime.cursor(Record).moveTo(records.at(0));
  const copy = first.copyTo(child);
  expect(copy.next?.word).toBe(1999);
  expect(child.contains(copy)).toBe(true);
  expect(copy.next?.$address).not.toBe(walker.$address);

  const mark = arena.mark();
  const gone = arena.array(Record, 50);
  gone.at(49).word = 9;
  arena.rewind(mark);
  expect(() => gone.at(49)).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_STALE_REFERENCE" }));
  expect(() => gone.at(49)).toThrow(/the record at \d+ has ended: its guard at \d+ shows/);
  expect(arena.array(Record, 50).at(49).word).toBe(0);
  validate(runtime, arena, child);
  arena.reset();
  expect([walker.isLive(), copy.isLive()]).toEqual([false, false]);
  arena.new(Record).word = 1;
  validate(runtime, arena);
  arena.destroy();
}

describe.each(modules)("addresses above $name memory's first gibibytes", ({ debug }) => {
  test.each([
    ["1 GiB", GIBIBYTE],
    ["2 GiB", 2 * GIBIBYTE],
    ["3 GiB", 3 * GIBIBYTE],
    ["4 GiB less 64 MiB", 4 * GIBIBYTE - 64 * 2 ** 20],
  ])("records, arrays, texts, refs, copies and marks work from %s on", async (_name, from) => {
    const runtime = await createRuntime({ debug, maximumBytes: END, initialBytes: PAGE * 2 });
    fillUpTo(runtime, from);
    // The small block's page, the guards and all else lie above the mark now.
    exercise(runtime, from);
    expect(runtime.stats().highWaterBytes).toBeGreaterThan(from);
    runtime.validate();
    runtime.dispose();
  });

  test.each([
    ["1 GiB", GIBIBYTE],
    ["2 GiB", 2 * GIBIBYTE],
  ])("a run of pages may lie across %s", async (_name, boundary) => {
    const runtime = await createRuntime({ debug, maximumBytes: END, initialBytes: PAGE * 2 });
    const arena = runtime.arena();
    fillUpTo(runtime, boundary - 3 * PAGE);
    const bytes = arena.bytes(6 * PAGE);
    expect(bytes.address).toBeLessThan(boundary);
    expect(bytes.address + bytes.length).toBeGreaterThan(boundary);
    const source = Uint8Array.from({ length: 6 * PAGE }, (_, index) => index * 7);
    bytes.copyFrom(source);
    expect(Buffer.compare(bytes.toUint8Array(), source)).toBe(0);
    const numbers = arena.arrayAt(u32, bytes.address, (6 * PAGE) / 4);
    expect(numbers.at(numbers.length - 1)).toBe(0xf9_f2_eb_e4);
    validate(runtime, arena);
    arena.reset();
    expect(
      arena
        .bytes(6 * PAGE)
        .toUint8Array()
        .every((byte) => byte === 0),
    ).toBe(true);
    runtime.dispose();
  });
});

describe("the cap of 65,535 pages", () => {
  test("is reached to the last byte, and one more page is out of memory", async () => {
    const runtime = await createRuntime({ maximumBytes: END, initialBytes: PAGE * 4 });
    fillUpTo(runtime, END - 10 * PAGE);
    const arena = runtime.arena();
    const cells = [];
    let last = 0;
    const full = expect.objectContaining({ code: "ERR_TIDEMARK_OUT_OF_MEMORY" });
    try {
      for (;;) {
        const record = arena.new(Record);
        record.word = cells.length;
        cells.push(record);
        last = Math.max(last, record.$address + Record.$rounded);
      }
    } catch (error) {
      expect(error).toEqual(full);
    }
    expect(runtime.stats()).toMatchObject({ committedBytes: END, usedBytes: END, freeBytes: 0, highWaterBytes: END });
    expect(END - last).toBeLessThan(Record.$rounded + 8);
    for (let left = arena.stats().reserved; left > 0; left -= 8) {
      try {
        last = Math.max(last, arena.allocate(8) + 8);
      } catch (error) {
        expect(error).toEqual(full);
        break;
      }
    }
    expect(last).toBe(END);
    cells.forEach((cell, index) => {
      if (cell.word !== index) expect(cell.word).toBe(index);
    });
    expect(() => arena.mark()).toThrow(full);
    expect(() => runtime.reserve(PAGE)).toThrow(
      /1 pages \(65536 bytes\).*65535 of 65535 pages are in use, the maximum is 65535/,
    );
    expect(runtime.$memory.exports.allocatePages(1, Owner.SCRATCH)).toBe(0);
    expect(runtime.$memory.exports.ownerOf(END - 1)).toBe(Owner.ARENA);
    expect(runtime.$memory.exports.ownerOf(END)).toBe(Owner.FREE);
    validate(runtime, arena);
    arena.reset();
    expect(cells.some((cell) => cell.isLive())).toBe(false);
    arena.new(Record).word = 1;
    validate(runtime, arena);
    runtime.dispose();
  });

  test("holds for one request of nearly all of it, and for what no memory can hold", async () => {
    const runtime = await createRuntime({ maximumBytes: END, initialBytes: PAGE * 4 });
    const arena = runtime.arena();
    const full = expect.objectContaining({ code: "ERR_TIDEMARK_OUT_OF_MEMORY" });
    for (const size of [2 ** 32 - 2 * PAGE, 2 ** 32 - 4 * PAGE, END - 4 * PAGE]) {
      expect(() => arena.bytes(size)).toThrow(full);
    }
    // Tables take two pages, guards and small blocks one each, and the header a part of the run's own first page.
    const size = END - 4 * PAGE - 16;
    const bytes = arena.bytes(size);
    expect(bytes.length).toBe(size);
    bytes.set(size - 1, 7);
    expect([bytes.get(size - 1), bytes.get(size - 2), bytes.get(2 ** 31), bytes.get(0)]).toEqual([7, 0, 0, 0]);
    expect(bytes.address + size).toBe(END);
    expect(() => bytes.get(size)).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_OUT_OF_BOUNDS" }));
    expect(arena.contains(END - 1)).toBe(true);
    expect(arena.stats().used).toBe(size);
    arena.reset();
    expect(runtime.stats().bytesByOwner.arenas).toBe(0);
    runtime.validate();
    runtime.dispose();
  });

  test("ends an array's growth where its next segment would be larger than any memory", async () => {
    // Segments of 2,097,184 · 2^k bytes: the twelfth has 2^32 + 65,536, which wraps to one page in 32 bits.
    const Wide = struct("Wide", {
      first: f64,
      ...Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`part${index}`, array(u8, 65_536)])),
    });
    expect(Wide.size).toBe(524_296);
    const runtime = await createRuntime({ maximumBytes: END, initialBytes: PAGE * 4 });
    const arena = runtime.arena();
    const wide = arena.array(Wide);
    const full = expect.objectContaining({ code: "ERR_TIDEMARK_OUT_OF_MEMORY" });
    expect(() => {
      for (;;) wide.push();
    }).toThrow(full);
    expect(wide.length).toBe(4 * (2 ** 11 - 1));
    expect(wide.at(wide.length - 1).first).toBe(0);
    const before = arena.stats();
    expect(() => wide.push()).toThrow(/4295032832/);
    expect(arena.stats()).toEqual(before);
    validate(runtime, arena);
    arena.destroy();
    runtime.dispose();
  });

  test("is the most that may be asked for", async () => {
    for (const maximumBytes of [END + 1, 2 ** 32, 2 ** 53]) {
      await expect(createRuntime({ maximumBytes })).rejects.toMatchObject({ code: "ERR_TIDEMARK_INVALID_ARGUMENT" });
    }
  });
});
