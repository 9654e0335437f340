import { type Arena, type Bytes, createRuntime, type Runtime } from "tidemark";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectRefusal, HOSTILE_COUNTS, HOSTILE_OBJECTS } from "./hostile.js";

let runtime: Runtime;
let arena: Arena;
let bytes: Bytes;
beforeAll(async () => {
  runtime = await createRuntime();
});
afterAll(() => runtime.dispose());
beforeEach(() => {
  arena = runtime.arena();
  bytes = arena.bytes(6);
  bytes.copyFrom(Uint8Array.of(1, 2, 3, 4, 5, 6));
});
afterEach(() => arena.destroy());

const now = () => [...bytes.toUint8Array()];

describe("bytes", () => {
  test("are zero when new, and hold what was set", () => {
    const fresh = arena.bytes(3);
    expect([...fresh.toUint8Array()]).toEqual([0, 0, 0]);
    fresh.set(0, 255);
    fresh.set(2, 1);
    expect([fresh.get(0), fresh.get(1), fresh.get(2)]).toEqual([255, 0, 1]);
    expect(fresh.length).toBe(3);
  });

  test("copied in from an offset lie there, and a copy out is a copy", () => {
    bytes.copyFrom(Uint8Array.of(9, 8), 4);
    expect(now()).toEqual([1, 2, 3, 4, 9, 8]);
    const copy = bytes.toUint8Array();
    copy[0] = 77;
    expect(bytes.get(0)).toBe(1);
    bytes.view()[0] = 78;
    expect(bytes.get(0)).toBe(78);
  });

  test("can be copied over themselves", () => {
    bytes.copyFrom(bytes.view().subarray(0, 4), 2);
    expect(now()).toEqual([1, 2, 1, 2, 3, 4]);
  });

  test("take a Buffer, and no bytes at all at the very end", () => {
    bytes.copyFrom(Buffer.from("tide"));
    expect(now()).toEqual([...Buffer.from("tide"), 5, 6]);
    bytes.copyFrom(new Uint8Array(0), 6);
    expect(now()).toEqual([...Buffer.from("tide"), 5, 6]);
  });

  test.each([["6", 6], ...HOSTILE_COUNTS, ["undefined", undefined]] as const)("have no byte at %s", (_label, index) => {
    expectRefusal(() => bytes.get(index as number), "ERR_TIDEMARK_OUT_OF_BOUNDS", /6/);
    expectRefusal(() => bytes.set(index as number, 1), "ERR_TIDEMARK_OUT_OF_BOUNDS");
    if (index !== undefined)
      expectRefusal(() => bytes.copyFrom(Uint8Array.of(7), index as number), "ERR_TIDEMARK_OUT_OF_BOUNDS");
    expect(now()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test.each([["256", 256], ...HOSTILE_COUNTS, ["undefined", undefined]] as const)(
    "take no %s as a byte",
    (_label, value) => {
      expectRefusal(() => bytes.set(1, value as number), "ERR_TIDEMARK_INVALID_ARGUMENT", /0 to 255/);
      expect(now()).toEqual([1, 2, 3, 4, 5, 6]);
    },
  );

  test("that do not fit are refused whole", () => {
    expectRefusal(() => bytes.copyFrom(new Uint8Array(7)), "ERR_TIDEMARK_OUT_OF_BOUNDS", /7 bytes from 0.*6 bytes/);
    expectRefusal(() => bytes.copyFrom(new Uint8Array(2), 5), "ERR_TIDEMARK_OUT_OF_BOUNDS", /2 bytes from 5/);
    expect(now()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test.each([
    ...HOSTILE_OBJECTS,
    ["undefined", undefined] as const,
    ["a plain array", [1, 2]] as const,
    ["floats", new Float64Array(2)] as const,
    ["16-bit words", new Uint16Array(2)] as const,
    ["a DataView", new DataView(new ArrayBuffer(2))] as const,
    ["an ArrayBuffer", new ArrayBuffer(2)] as const,
  ])("are not copied from %s", (_label, source) => {
    expectRefusal(() => bytes.copyFrom(source as Uint8Array), "ERR_TIDEMARK_INVALID_ARGUMENT");
    expect(now()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("cannot be made longer from outside", () => {
    expect(() => {
      (bytes as { length: number }).length = 1000;
    }).toThrow(TypeError);
    expect(bytes.length).toBe(6);
  });

  test("are refused in every way after the arena's reset, and after the runtime's end", async () => {
    const uses = (of: Bytes): (() => unknown)[] => [
      () => of.get(0),
      () => of.set(0, 1),
      () => of.copyFrom(Uint8Array.of(1)),
      () => of.toUint8Array(),
      () => of.view(),
      () => of.toString(),
      () => of.address,
    ];
    arena.reset();
    for (const use of uses(bytes)) expectRefusal(use, "ERR_TIDEMARK_STALE_REFERENCE", /generation/);
    for (const use of uses(runtime.bytes())) expectRefusal(use, "ERR_TIDEMARK_STALE_REFERENCE");
    const other = await createRuntime();
    const held = other.arena().bytes(3);
    other.dispose();
    for (const use of uses(held)) expectRefusal(use, "ERR_TIDEMARK_DISPOSED");
  });

  test("keep their place when memory grows, and a view taken before does not", () => {
    const view = bytes.view();
    const before = runtime.stats().growths;
    arena.bytes(32 << 20);
    expect(runtime.stats().growths).toBeGreaterThan(before);
    expect(view.length).toBe(0);
    expect(now()).toEqual([1, 2, 3, 4, 5, 6]);
    bytes.set(5, 60);
    expect(bytes.get(5)).toBe(60);
  });

  test("reused for another place and length, are those alone", () => {
    const first = bytes.address;
    const again = arena.bytes(2, bytes);
    expect(again).toBe(bytes);
    expect(bytes.length).toBe(2);
    expect(bytes.address).not.toBe(first);
    expectRefusal(() => bytes.get(2), "ERR_TIDEMARK_OUT_OF_BOUNDS");
  });
});
