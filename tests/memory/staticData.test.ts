import { expect, test } from "vitest";
import { staticDataOf } from "../../bindings/memory/staticData.js";

const I32_CONST = 0x41;
const I32_ADD = 0x6a;
const GLOBAL_GET = 0x23;
const END = 0x0b;
/** Two constants as wasm writes them: 1000 and 24. */
const THOUSAND = [0xe8, 0x07];
const TWENTY_FOUR = [0x18];

/** A module that imports its memory and a global, and has these segments of data. */
function moduleWith(...segments: readonly (readonly number[])[]): Uint8Array<ArrayBuffer> {
  const name = [1, 0x65, 1];
  const imports = [2, ...name, 0x6d, 2, 0, 1, ...name, 0x67, 3, 0x7f, 0];
  const data = [segments.length, ...segments.flat()];
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  return new Uint8Array([...header, 2, imports.length, ...imports, 11, data.length, ...data]);
}

/** Three bytes at the address that `expression` comes to. */
const active = (...expression: readonly number[]): number[] => [0, ...expression, END, 3, 1, 2, 3];

test("static data lies where a constant says", () => {
  const passive = [1, 3, 1, 2, 3];
  const bytes = moduleWith(active(I32_CONST, ...THOUSAND), passive, active(I32_CONST, ...TWENTY_FOUR));
  expect(WebAssembly.validate(bytes)).toBe(true);
  expect(staticDataOf(bytes)).toEqual([
    { start: 1000, end: 1003 },
    { start: 24, end: 27 },
  ]);
});

// Node 20 does not know the sums yet, so they are not validated.
test.each([
  ["a global", [GLOBAL_GET, 0]],
  ["a sum of constants", [I32_CONST, ...THOUSAND, I32_CONST, ...TWENTY_FOUR, I32_ADD]],
  ["a sum that begins with a global", [GLOBAL_GET, 0, I32_CONST, ...TWENTY_FOUR, I32_ADD]],
])("an address that is %s is not known, and what comes before it is", (_, expression) => {
  const known = active(I32_CONST, ...TWENTY_FOUR);
  expect(staticDataOf(moduleWith(known, active(...expression), known))).toEqual([{ start: 24, end: 27 }]);
});
