import fc from "fast-check";
import { type Arena, createRuntime, type Runtime, struct, text, u8 } from "tidemark";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectRefusal, HOSTILE_OBJECTS } from "./hostile.js";

let runtime: Runtime;
let arena: Arena;
beforeAll(async () => {
  runtime = await createRuntime();
});
afterAll(() => runtime.dispose());
beforeEach(() => {
  arena = runtime.arena();
});
afterEach(() => arena.destroy());

/** Surrogates without their other half, alone and in a row. */
const LONE = [
  "\ud800",
  "\udc00",
  "\udfff",
  "\ud800\ue000",
  "\udc00\udc00",
  "\ud800\ud800",
  "\udfffb\udc00",
  "\udc00\ud800",
  "\ud800a",
];

const Named = struct("Named", { before: u8, name: text(8), after: u8 });

describe("an inline text", () => {
  test.each([
    ["empty", ""],
    ["of ASCII", "tide"],
    ["that fits exactly", "tidemark"],
    ["of two-byte characters", "üöäß"],
    ["of three-byte characters", "€€"],
    ["of four-byte characters", "😀😀"],
    ["that begins with a byte order mark", "\ufefftide"],
    ["of U+FFFD itself", "\ufffd\ufffd"],
  ])("%s reads back as it was", (_label, value) => {
    const record = arena.new(Named);
    record.name = value;
    expect(record.name).toBe(value);
    expect(record.toObject()).toEqual({ before: 0, name: value, after: 0 });
  });

  test.each([
    ["of nine bytes", "tidemarks", /9 bytes/],
    ["of seven characters but nine bytes", "tidema€", /9 bytes/],
    ["with U+0000 inside", "a\0b", /U\+0000/],
    ["that ends with U+0000", "a\0", /U\+0000/],
    ["with a lone high surrogate", "a\ud83d", /surrogate at 1/],
    ["with a lone low surrogate", "\ude00", /surrogate at 0/],
    ["with its surrogates in the wrong order", "\ude00\ud83d", /surrogate at 0/],
  ])("%s is refused and changes nothing", (_label, value, message) => {
    const record = arena.new(Named);
    record.name = "kept";
    expectRefusal(
      () => {
        record.name = value;
      },
      "ERR_TIDEMARK_INVALID_ARGUMENT",
      message,
    );
    expect(record.name).toBe("kept");
  });

  test("that is shorter than the one before leaves nothing of it", () => {
    const record = arena.new(Named);
    record.name = "tidemark";
    record.name = "ü";
    expect(record.name).toBe("ü");
    const bytes = new Uint8Array(runtime.memory.buffer, record.$address, Named.size);
    expect([...bytes]).toEqual([0, 0xc3, 0xbc, 0, 0, 0, 0, 0, 0, 0]);
  });

  test("cut off in the middle of a character by foreign bytes reads as U+FFFD, and never past its end", () => {
    const record = arena.new(Named);
    record.after = 0x41;
    new Uint8Array(runtime.memory.buffer).set([0xe2, 0x82, 0xac, 0xe2, 0x82, 0xac, 0xe2, 0x82], record.$address + 1);
    expect(record.name).toBe("€€\ufffd");
  });

  test("takes any well-formed string that fits, and refuses any other", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 10 }), fc.constantFrom("", ...LONE), (given, lone) => {
        const value = given + lone;
        const record = arena.new(Named);
        const fits = lone === "" && Buffer.byteLength(value) <= 8 && !value.includes("\0");
        if (fits) {
          record.name = value;
          expect(record.name).toBe(value);
        } else {
          expectRefusal(() => {
            record.name = value;
          }, "ERR_TIDEMARK_INVALID_ARGUMENT");
          expect(record.name).toBe("");
        }
      }),
      { numRuns: 1000 },
    );
  });
});

/** The first and the last characters of each length in UTF-8, and those on both sides of the surrogates. */
const EDGES = [
  "\x7f",
  "\x80",
  "\u07ff",
  "\u0800",
  "\ud7ff",
  "\ue000",
  "\uffff",
  "\u{10000}",
  "\u{103ff}",
  "\u{10ffff}",
];

test.each(EDGES)("a text has room for exactly the bytes of its characters: %j", (edge) => {
  const whole = edge + "x".repeat(8 - Buffer.byteLength(edge));
  const record = arena.new(Named);
  record.name = whole;
  expect([record.name, record.before, record.after]).toEqual([whole, 0, 0]);
  expectRefusal(() => {
    record.name = `${whole}x`;
  }, "ERR_TIDEMARK_INVALID_ARGUMENT");
  const stored = arena.text(edge);
  expect([stored.toString(), stored.length]).toEqual([edge, Buffer.byteLength(edge)]);
});

describe("region.text", () => {
  test("keeps any well-formed string, U+0000 and byte order marks included", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (value) => {
        arena.reset();
        const stored = arena.text(value);
        expect(stored.toString()).toBe(value);
        expect(stored.length).toBe(Buffer.byteLength(value));
        expect(stored.toUint8Array()).toEqual(new Uint8Array(Buffer.from(value)));
      }),
    );
    expect(arena.text("\ufeff").toString()).toBe("\ufeff");
    expect(arena.text("a\0b").toString()).toBe("a\0b");
  });

  test.each([
    ...HOSTILE_OBJECTS.filter(([label]) => label !== '"Level"'),
    ...LONE.map((lone) => [JSON.stringify(lone), `a${lone}b`] as const),
  ])("refuses %s and takes no memory for it", (_label, value) => {
    const before = arena.stats().used;
    expectRefusal(() => arena.text(value as string), "ERR_TIDEMARK_INVALID_ARGUMENT");
    expect(arena.stats().used).toBe(before);
  });

  test("refused, leaves the bytes that were to be reused as they were", () => {
    const bytes = arena.text("kept");
    expectRefusal(() => arena.text("\ud800", bytes), "ERR_TIDEMARK_INVALID_ARGUMENT");
    expect(bytes.toString()).toBe("kept");
  });
});
