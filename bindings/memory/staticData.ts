import { GUEST_BASE, PAGE_BITMAP } from "./module.js";
import { sectionOf } from "./moduleSections.js";

/** A range of addresses, in bytes; `end` does not belong to it. */
export interface DataRange {
  readonly start: number;
  readonly end: number;
}

/** Where guests' static data and stack may lie; see the drawing in assembly/memory/root.ts. */
export const GUEST_DATA: DataRange = { start: GUEST_BASE, end: PAGE_BITMAP };

const DATA_SECTION = 11;
const PASSIVE = 1;
const EXPLICIT_MEMORY = 2;

/**
 * Where the active data segments of a wasm module lie, up to the first whose place is no constant. O(sections and segments).
 *
 * Source: WebAssembly Core Specification 2.0, 5.5.14 "Data Section".
 *
 * @param bytes a module that the engine has compiled, so it is well-formed
 */
export function staticDataOf(bytes: Uint8Array): DataRange[] {
  const ranges: DataRange[] = [];
  const reader = sectionOf(bytes, DATA_SECTION);
  if (reader === undefined) return ranges;
  for (let left = reader.integer(); left > 0; left--) {
    const flags = reader.integer();
    if (flags === EXPLICIT_MEMORY) reader.integer();
    let start: number | undefined;
    if (flags !== PASSIVE) {
      start = reader.constantAddress();
      if (start === undefined) return ranges; // only the host knows
    }
    const length = reader.integer() >>> 0;
    reader.skip(length);
    if (start !== undefined && length > 0) ranges.push({ start, end: start + length });
  }
  return ranges;
}

const GLOBAL_SECTION = 6;
const I32 = 0x7f;
const MUTABLE = 1;

/** The global's name behind its length, as it stands in the section of names; AssemblyScript's own has a longer one. */
const STACK_POINTER = "__stack_pointer";
const COUNTED_STACK_POINTER = `${String.fromCharCode(STACK_POINTER.length)}${STACK_POINTER}`;

/**
 * Where the stack of a module that LLVM's linker has made begins, from where it goes down; undefined if the module has none, or
 * it cannot be told. O(sections and names).
 *
 * The linker makes the stack pointer the first of the module's own globals. A module is known as one of its by that name, or,
 * where names have been stripped, by the section that says which tools have made it, which asc does not write.
 *
 * Source: WebAssembly Core Specification 2.0, 5.5.9 "Global Section"; LLVM, lld/wasm/Driver.cpp, `createSyntheticSymbols`.
 *
 * @param bytes of `module`
 */
export function stackStartOf(module: WebAssembly.Module, bytes: Uint8Array): number | undefined {
  if (!isOfLinker(module)) return undefined;
  const reader = sectionOf(bytes, GLOBAL_SECTION);
  const isPointer = reader !== undefined && reader.integer() > 0 && reader.byte() === I32 && reader.byte() === MUTABLE;
  return isPointer ? reader.constantAddress() : undefined;
}

function isOfLinker(module: WebAssembly.Module): boolean {
  if (WebAssembly.Module.imports(module).some(({ name }) => name === STACK_POINTER)) return false; // it has none of its own
  const names = WebAssembly.Module.customSections(module, "name");
  return (
    names.some((section) => new TextDecoder().decode(section).includes(COUNTED_STACK_POINTER)) ||
    WebAssembly.Module.exports(module).some(({ name }) => name === STACK_POINTER) ||
    (names.length === 0 && WebAssembly.Module.customSections(module, "producers").length > 0)
  );
}
