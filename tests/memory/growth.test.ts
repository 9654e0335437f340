import { array, createRuntime, f64, OutOfMemoryError, type Runtime, ref, struct, text, u8 } from "tidemark";
import { describe, expect, test } from "vitest";
import { MEBIBYTE, modules, PAGE, validate, withRuntime } from "../support/runtimes.js";

const Inner = struct("Inner", { low: f64, high: f64 });
const Record = struct("Record", { id: f64, name: text(16), inner: Inner, values: array(f64, 4), next: ref("Record") });

/** Things of every kind in a fresh arena, and a check that they are as they were made. */
function things(runtime: Runtime, stamp: number): { check: () => void; write: (by: number) => void } {
  const arena = runtime.arena();
  const record = arena.new(Record);
  record.assign({
    id: stamp,
    name: `number ${stamp}`,
    inner: { low: stamp, high: stamp + 1 },
    values: [1, 2, 3, stamp],
  });
  const { inner, values } = record;
  record.next = record;
  const reference = record.ref();
  const fixed = arena.array(f64, 10);
  const records = arena.array(Record);
  for (let index = 0; index < 20; index++) records.push({ id: index + stamp });
  const bytes = arena.bytes(50);
  bytes.copyFrom(new Uint8Array(50).fill(stamp & 0xff));
  const name = arena.text(`tide ${stamp}`);
  const cursor = runtime.cursor(Record);
  let value = stamp;
  fixed.set(9, stamp);
  return {
    check() {
      expect(record.id).toBe(value);
      expect(record.name).toBe(`number ${stamp}`);
      expect([inner.low, inner.high, values.at(3)]).toEqual([stamp, stamp + 1, stamp]);
      expect(cursor.moveTo(reference).id).toBe(value);
      expect(record.next?.id).toBe(value);
      expect(fixed.at(9)).toBe(value);
      expect(records.toArray().map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, index) => index + stamp));
      expect([bytes.get(49), bytes.toUint8Array().length, name.toString()]).toEqual([
        stamp & 0xff,
        50,
        `tide ${stamp}`,
      ]);
      validate(runtime, arena);
    },
    write(by) {
      value += by;
      record.id = value;
      fixed.set(9, value);
    },
  };
}

/** The ways in which memory can grow while a program is at work. */
const growths: Record<string, (runtime: Runtime) => void> = {
  "oversize bytes": (runtime) => void runtime.arena().bytes(5 * MEBIBYTE),
  "a block of an arena": (runtime) => {
    const arena = runtime.arena();
    const { growths } = runtime.stats();
    while (runtime.stats().growths === growths) arena.new(Record);
  },
  "a growable array": (runtime) => {
    const values = runtime.arena().array(f64);
    const { growths } = runtime.stats();
    while (runtime.stats().growths === growths) values.push(1);
  },
  "a copy": (runtime) => {
    const source = runtime.arena();
    const first = source.new(Record);
    let last = first;
    for (let index = 0; index < 20_000; index++) {
      const next = source.new(Record);
      next.id = index;
      last.next = next;
      last = next;
    }
    const copy = first.copyTo(runtime.arena());
    expect(copy.next?.next?.id).toBe(1);
  },
  reserve: (runtime) => runtime.reserve(runtime.stats().freeBytes + PAGE),
  "a guest": (runtime) => void runtime.$memory.exports.allocatePages(runtime.stats().freeBytes / PAGE + 1, 7),
  "child arenas": (runtime) => {
    const arena = runtime.arena();
    const { growths } = runtime.stats();
    while (runtime.stats().growths === growths) arena.arena({ sizeHint: 100_000 });
  },
};

describe.each(modules)("memory that grows in the middle of use, $name module", ({ debug }) => {
  test.each(Object.entries(growths))("by %s leaves nothing stale", (_name, grow) =>
    withRuntime({ debug, initialBytes: PAGE * 2, maximumBytes: 200 * MEBIBYTE }, (runtime) => {
      const made = things(runtime, 5);
      for (let round = 0; round < 3; round++) {
        const { growths, committedBytes } = runtime.stats();
        made.write(1);
        grow(runtime);
        expect(runtime.stats().growths).toBeGreaterThan(growths);
        expect(runtime.$memory.u8.length).toBe(runtime.stats().committedBytes);
        expect(runtime.$memory.u8.length).toBeGreaterThan(committedBytes);
        made.check();
        made.write(1);
        made.check();
      }
    }),
  );

  test("leaves iteration where it was, and elements pushed meanwhile are visited", () =>
    withRuntime({ debug, initialBytes: PAGE * 2 }, (runtime) => {
      const arena = runtime.arena();
      const records = arena.array(Record);
      for (let index = 0; index < 50; index++) records.push({ id: index });
      const seen: number[] = [];
      for (const record of records) {
        const { id } = record;
        if (seen.length % 10 === 0) arena.bytes(2 * MEBIBYTE).set(0, 1);
        if (seen.length < 5) records.push({ id: 100 + seen.length });
        seen.push(id);
      }
      expect(seen).toEqual([...Array.from({ length: 50 }, (_, index) => index), 100, 101, 102, 103, 104]);
      expect(runtime.stats().growths).toBeGreaterThan(3);
    }));

  test("makes a view that was taken before it empty, so that it shows nothing of what lies there now", () =>
    withRuntime({ debug, initialBytes: PAGE * 2 }, (runtime) => {
      const bytes = runtime.arena().text("tide");
      const view = bytes.view();
      expect(view.length).toBe(4);
      runtime.reserve(4 * MEBIBYTE);
      expect(view.length).toBe(0);
      expect(bytes.view().length).toBe(4);
    }));

  test("in one runtime touches none of the others", async () => {
    const runtimes = await Promise.all(
      Array.from({ length: 8 }, () => createRuntime({ debug, initialBytes: PAGE * 2, maximumBytes: 100 * MEBIBYTE })),
    );
    const made = runtimes.map((runtime, index) => things(runtime, index * 1000));
    const ways = Object.values(growths);
    for (let round = 0; round < 24; round++) {
      const index = (round * 5) % runtimes.length;
      const before = runtimes.map((runtime) => runtime.stats());
      ways[round % ways.length]!(runtimes[index]!);
      runtimes.forEach((runtime, other) => {
        if (other !== index) expect(runtime.stats()).toEqual(before[other]);
      });
      for (const each of made) each.check();
      made[index]!.write(1);
      if (round === 20) runtimes[3]!.dispose();
      if (round >= 20) {
        made[3] = { check: () => {}, write: () => {} };
        runtimes[3] = await createRuntime({ debug });
      }
    }
    for (const runtime of runtimes) runtime.dispose();
  });

  test("by the host itself, behind the runtime's back, is noticed at the next access, whatever that is", () =>
    withRuntime({ debug, initialBytes: PAGE * 4, maximumBytes: PAGE * 100 }, (runtime) => {
      const made = things(runtime, 7);
      const arena = runtime.arena();
      const grow = () => {
        runtime.$memory.raw.grow(1);
        expect(runtime.$memory.u8.length).toBe(0);
      };
      grow();
      expect(arena.stats().used).toBe(0);
      made.check();
      grow();
      expect(arena.bytes(5).toUint8Array()).toEqual(new Uint8Array(5));
      made.check();
      grow();
      const record = runtime.arena().new(Record);
      record.id = 9;
      expect(record.id).toBe(9);
      grow();
      runtime.validate();
      made.check();
      grow();
      made.check();
      grow();
      made.write(1);
      made.check();
      grow();
      expect(record.isLive()).toBe(true);
      arena.reset();
      grow();
      expect(() => runtime.cursor(Record).id).toThrow(
        expect.objectContaining({ code: "ERR_TIDEMARK_STALE_REFERENCE" }),
      );
      grow();
      const values = runtime.array(f64);
      arena.array(f64, values);
      values.push(5);
      expect(values.at(0)).toBe(5);
      grow();
      expect(arena.array(u8, 5).at(4)).toBe(0);
      made.check();
      validate(runtime, arena);
    }));
});

test.each(modules)("an engine that refuses a large step is asked for no more than is needed ($name)", ({ debug }) =>
  withRuntime({ debug, initialBytes: 4 * PAGE, maximumBytes: 10 * PAGE }, (runtime) => {
    runtime.$memory.setRootWord("ROOT_MAXIMUM_PAGES", 1000); // as where the engine has less than it was asked to be ready for
    const arena = runtime.arena();
    expect(() => {
      for (;;) arena.bytes(PAGE - 100);
    }).toThrow(OutOfMemoryError);
    expect(runtime.stats()).toMatchObject({ committedBytes: 10 * PAGE, freeBytes: 0 });
    validate(runtime, arena);
  }),
);
