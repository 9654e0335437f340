import { createRuntime } from "tidemark";
import { expect, test } from "vitest";
import { stackStartOf, staticDataOf } from "../../bindings/memory/staticData.js";
import { compileGuest } from "../support/guest.js";

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

const LIMIT = 32_768;
const MUTABLE_I32 = [0x7f, 1];
const FIXED_I32 = [0x7f, 0];

const textOf = (text: string): number[] => [text.length, ...new TextEncoder().encode(text)];
const section = (number: number, content: readonly number[]): number[] => [number, content.length, ...content];

/** A number below 2^21, as wasm writes a signed one. */
const signed = (value: number): number[] => [
  (value & 0x7f) | 0x80,
  ((value >>> 7) & 0x7f) | 0x80,
  (value >>> 14) & 0x7f,
];

/** The section of names, which calls the first global so; `"producers"` names a tool. */
const namesOf = (name: string): number[] => section(0, [...textOf("name"), ...section(7, [1, 0, ...textOf(name)])]);
const PRODUCERS = section(0, [
  ...textOf("producers"),
  1,
  ...textOf("processed-by"),
  1,
  ...textOf("lld"),
  ...textOf("1"),
]);
const EXPORT = section(7, [1, ...textOf("__stack_pointer"), 3, 0]);
const IMPORT_MEMORY = section(2, [1, ...textOf("env"), ...textOf("memory"), 2, 0, 1]);

/** A module with one global, which begins at `start`, and with these sections about it. */
function moduleWithGlobal({
  start,
  type = MUTABLE_I32,
  about,
  memory = IMPORT_MEMORY,
}: {
  start: number;
  type?: readonly number[];
  about: readonly number[];
  memory?: readonly number[];
}): Uint8Array<ArrayBuffer> {
  const globals = section(6, [1, ...type, I32_CONST, ...signed(start), END]);
  // All that is not custom has its place: imports, globals, exports.
  const rest = about === EXPORT ? [...globals, ...EXPORT] : [...globals, ...about];
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...memory, ...rest]);
}

async function isTaken(bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
  using runtime = await createRuntime();
  try {
    await runtime.instantiate(bytes);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: "ERR_TIDEMARK_INVALID_MODULE", message: expect.stringContaining("a stack") });
    return false;
  }
}

test.each([
  ["named", namesOf("__stack_pointer")],
  ["exported", EXPORT],
  ["without a name, but linked by LLVM's tools", PRODUCERS],
])("a stack pointer that is %s must begin in the place of guests, from where it goes down", async (_, about) => {
  for (const start of [4112, 20_480, LIMIT]) {
    const bytes = moduleWithGlobal({ start, about });
    expect(stackStartOf(new WebAssembly.Module(bytes), bytes)).toBe(start);
    expect(await isTaken(bytes)).toBe(true);
  }
  for (const start of [4096, LIMIT + 16, 66_560]) expect(await isTaken(moduleWithGlobal({ start, about }))).toBe(false);
});

test.each([
  ["nothing is known of who made it", { about: [] }],
  ["it is AssemblyScript's own, which lies in its memory", { about: namesOf("~lib/memory/__stack_pointer") }],
  ["it has another name", { about: [...namesOf("counter"), ...PRODUCERS] }],
  ["it is a constant", { about: PRODUCERS, type: FIXED_I32 }],
  ["it is of a memory of the module's own", { about: PRODUCERS, memory: [] }],
])("a global that begins above the place of guests is none of their business where %s", async (_, about) => {
  expect(await isTaken(moduleWithGlobal({ start: 66_560, ...about }))).toBe(true);
});

/** A module with a page of memory of its own, data in it, and this section of exports. */
function moduleWithMemory(...exports: readonly number[]): Uint8Array<ArrayBuffer> {
  const data = section(11, [1, ...active(I32_CONST, ...TWENTY_FOUR)]);
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...section(5, [1, 0, 1]), ...exports, ...data]);
}

test("a module with a memory that it keeps for itself has its data where it likes", async () => {
  expect(await isTaken(moduleWithMemory())).toBe(true);
});

test("a module that exports a memory of its own, as one does that is linked without the flag, is refused", async () => {
  const bytes = moduleWithMemory(...section(7, [1, ...textOf("memory"), 2, 0]));
  using runtime = await createRuntime();
  for (const source of [bytes, new WebAssembly.Module(bytes)]) {
    await expect(runtime.instantiate(source)).rejects.toMatchObject({
      code: "ERR_TIDEMARK_INVALID_MODULE",
      message: expect.stringContaining("--import-memory"),
    });
  }
});

test("a guest in AssemblyScript may have any number in a global", async () => {
  const source = `let count: i32 = 100_000;
    export function next(): i32 { return ++count; }`;
  using runtime = await createRuntime();
  const bytes = new Uint8Array(await compileGuest(source, false));
  const guest = await runtime.instantiate<{ next(): number }>(bytes);
  expect(guest.next()).toBe(100_001);
});
