import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { array, bool, f32, f64, i64, ref, struct, text, u8, u16, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { expectRefusal, HOSTILE_COUNTS, HOSTILE_OBJECTS } from "./hostile.js";
import { fieldName, layoutOf, type StructShape, structOf, structShapes, toC } from "./shapes.js";

const compiler = ["cc", "gcc", "clang"].find((name) => spawnSync(name, ["--version"]).status === 0);
if (compiler === undefined) console.warn("\n*** NO C COMPILER: layouts are compared with the model only. ***\n");

describe("size, alignment and offsets", () => {
  test("are those of a struct written out by hand", () => {
    const Mixed = struct("Mixed", { flag: bool, price: f64, count: u16, name: text(3), small: u8, rate: f32 });
    expect(Mixed.offsets).toEqual({ flag: 0, price: 8, count: 16, name: 18, small: 21, rate: 24 });
    expect(Mixed.size).toBe(32);
    expect(Mixed.alignment).toBe(8);
    expect(Mixed.name).toBe("Mixed");
    expect(Object.keys(Mixed.fields)).toEqual(["flag", "price", "count", "name", "small", "rate"]);
  });

  test("follow natural alignment for random structs", () => {
    fc.assert(
      fc.property(structShapes, (shape) => {
        const type = structOf(shape);
        const { size, alignment, offsets } = layoutOf(shape);
        expect(type.size).toBe(size);
        expect(type.alignment).toBe(alignment);
        expect(Object.values(type.offsets)).toEqual(offsets);
      }),
      { numRuns: 500 },
    );
  });

  test.runIf(compiler !== undefined)("are what the C compiler gives, for 400 random structs", () => {
    const shapes = fc.sample(structShapes, { numRuns: 400, seed: 20_260_101 });
    const folder = mkdtempSync(join(tmpdir(), "tidemark-layout-"));
    try {
      writeFileSync(join(folder, "layouts.c"), cProgram(shapes));
      execFileSync(compiler!, ["-o", join(folder, "layouts"), join(folder, "layouts.c")], { stdio: "pipe" });
      const lines = execFileSync(join(folder, "layouts"), { encoding: "utf8" }).trim().split("\n");
      expect(lines).toEqual(shapes.map((shape) => numbersOf(shape).join(" ")));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("are frozen, as are the fields", () => {
    const Level = struct("Level", { price: f64 });
    expect(() => {
      (Level.offsets as { price: number }).price = 4;
    }).toThrow(TypeError);
    expect(() => {
      (Level.fields as Record<string, unknown>).other = f64;
    }).toThrow(TypeError);
  });

  test("of a nested struct and of arrays count its padding", () => {
    const Inner = struct("Inner", { value: f64, flag: bool });
    const Outer = struct("Outer", { first: bool, inner: Inner, rows: array(Inner, 3), last: bool });
    expect(Inner.size).toBe(16);
    expect(Outer.offsets).toEqual({ first: 0, inner: 8, rows: 24, last: 72 });
    expect(Outer.size).toBe(80);
  });
});

/** Prints one line a struct: size, alignment, and the offset of each field, also of those of directly nested structs. */
function cProgram(shapes: readonly StructShape[]): string {
  const bodies = shapes.map((shape, number) => {
    const numbers = [
      `sizeof(s${number})`,
      `_Alignof(s${number})`,
      ...paths(shape).map((path) => `offsetof(s${number}, ${path})`),
    ];
    return `  typedef ${toC(shape, `s${number}`)};\n  printf("${numbers.map(() => "%zu").join(" ")}\\n", ${numbers.join(", ")});`;
  });
  return `#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\nint main(void) {\n${bodies.join("\n")}\n}\n`;
}

function paths(shape: StructShape): string[] {
  return shape.fields.flatMap((field, index) =>
    field.kind === "struct"
      ? [fieldName(index), ...paths(field).map((path) => `${fieldName(index)}.${path}`)]
      : [fieldName(index)],
  );
}

/** The same numbers, as Tidemark has them. */
function numbersOf(shape: StructShape): number[] {
  const type = structOf(shape);
  const offsets = (inner: StructShape, fields: typeof type, base: number): number[] =>
    inner.fields.flatMap((field, index) => {
      const offset = base + fields.offsets[fieldName(index)]!;
      if (field.kind !== "struct") return [offset];
      return [offset, ...offsets(field, fields.fields[fieldName(index)] as unknown as typeof type, offset)];
    });
  return [type.size, type.alignment, ...offsets(shape, type, 0)];
}

describe("a declaration is refused", () => {
  const refused = (fields: unknown, message?: RegExp) =>
    expectRefusal(() => struct("Bad", fields as { a: typeof f64 }), "ERR_TIDEMARK_INVALID_STRUCT", message);

  test.each(HOSTILE_OBJECTS)("if the fields are %s", (_label, fields) => {
    refused(fields);
  });

  test.each(HOSTILE_OBJECTS)("if a field's type is %s", (_label, type) => {
    refused({ a: f64, b: type }, /field b/);
  });

  test("without fields", () => {
    refused({});
    refused(undefined);
  });

  test.each([0, null, undefined, "", 5n, Symbol("name"), {}])("if its name is %s", (name) => {
    expectRefusal(() => struct(name as string, { a: f64 }), "ERR_TIDEMARK_INVALID_STRUCT");
  });

  test.each([
    "constructor",
    "isLive",
    "moveTo",
    "follow",
    "ref",
    "toObject",
    "assign",
    "copyTo",
    "then",
    "__proto__",
    "$memory",
    "$",
  ])("if a field is called %s, which a cursor needs", (name) => {
    refused({ a: f64, [name]: f64 }, /reserved/);
  });

  test.each(["0", "7", "4294967295", "007"])("if a field is called %s, which loses its place in the order", (name) => {
    refused({ a: f64, [name]: f64 }, /number/);
  });

  test("if reading a field's type throws", () => {
    const declaration = {
      a: f64,
      get b(): typeof f64 {
        throw new RangeError("hostile");
      },
    };
    expectRefusal(() => struct("Bad", declaration), "ERR_TIDEMARK_INVALID_STRUCT", /b/);
  });

  test("reads each field's type once, so that it cannot change between the check and the use", () => {
    let reads = 0;
    const Once = struct("Once", {
      get a() {
        reads++;
        return f64;
      },
    });
    expect(reads).toBe(1);
    expect(Once.fields.a).toBe(f64);
  });

  test("if it is larger than 1 MiB", () => {
    const Large = struct("Large", { bytes: array(u8, 65_536) });
    const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, Large]));
    expect(struct("Whole", fields(16)).size).toBe(2 ** 20);
    expectRefusal(() => struct("Over", { ...fields(16), more: u8 }), "ERR_TIDEMARK_INVALID_STRUCT", /1048577.*1048576/);
    expectRefusal(() => array(struct("Whole", fields(16)), 1), undefined, /65536/);
  });

  test("with names that merely look like JavaScript's own, it is accepted", () => {
    const Odd = struct("Odd", { toString: f64, hasOwnProperty: u8, length: u32, "1.5": u8, "": u8, valueOf: u8 });
    expect(Odd.offsets.hasOwnProperty).toBe(8);
    expect(Odd.size).toBe(24);
  });
});

describe("text, array and ref refuse", () => {
  test.each([["0", 0], ...HOSTILE_COUNTS, ["undefined", undefined]] as const)("a size of %s", (_label, size) => {
    expectRefusal(() => text(size as number), "ERR_TIDEMARK_INVALID_ARGUMENT", /1 to 65536/);
    expectRefusal(() => array(u8, size as number), "ERR_TIDEMARK_INVALID_ARGUMENT", /1 to 65536/);
    expectRefusal(() => array(i64, size as number), "ERR_TIDEMARK_INVALID_ARGUMENT", /1 to 8192/);
  });

  test("a size over the limit, and take the limit itself", () => {
    expect(text(65_536).size).toBe(65_536);
    expectRefusal(() => text(65_537), "ERR_TIDEMARK_INVALID_ARGUMENT", /65537/);
    expect(array(f64, 8192).size).toBe(65_536);
    expectRefusal(() => array(f64, 8193), "ERR_TIDEMARK_INVALID_ARGUMENT", /8193/);
  });

  test.each(HOSTILE_OBJECTS)("an element type that is %s", (_label, element) => {
    expectRefusal(() => array(element as typeof f64, 2), "ERR_TIDEMARK_INVALID_STRUCT");
  });

  test.each(HOSTILE_OBJECTS.filter(([label]) => !["a function", '"Level"'].includes(label)))(
    "a ref to %s",
    (_label, target) => {
      expectRefusal(() => ref(target as "Node"), "ERR_TIDEMARK_INVALID_STRUCT");
    },
  );

  test("a ref by a name that is not the own one, also inside an array", () => {
    expectRefusal(() => struct("Node", { next: ref("Other") }), "ERR_TIDEMARK_INVALID_STRUCT", /Other/);
    expectRefusal(() => struct("Node", { next: array(ref("Other"), 2) }), "ERR_TIDEMARK_INVALID_STRUCT", /Other/);
  });
});
