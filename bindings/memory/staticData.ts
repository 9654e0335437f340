import { GUEST_BASE, PAGE_BITMAP } from "./module.js";

/** A range of addresses, in bytes; `end` does not belong to it. */
export interface DataRange {
  readonly start: number;
  readonly end: number;
}

/** Where guests' static data may lie; see the drawing in assembly/memory/root.ts. */
export const GUEST_DATA: DataRange = { start: GUEST_BASE, end: PAGE_BITMAP };

const PREAMBLE_BYTES = 8;
const DATA_SECTION = 11;
const PASSIVE = 1;
const EXPLICIT_MEMORY = 2;
const I32_CONST = 0x41;
const END = 0x0b;

/**
 * Where the active data segments of a wasm module lie, up to the first whose place is no constant. O(sections and segments).
 *
 * Source: WebAssembly Core Specification 2.0, 5.5.14 "Data Section".
 *
 * @param bytes a module that the engine has compiled, so it is well-formed
 */
export function staticDataOf(bytes: Uint8Array): DataRange[] {
  let position = PREAMBLE_BYTES;
  const readInteger = (signed = false): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[position++]!;
      value |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      const negative = signed && shift + 7 < 32 && (byte & 0x40) !== 0;
      return negative ? value | (-1 << (shift + 7)) : value;
    }
  };
  const ranges: DataRange[] = [];
  while (position < bytes.length) {
    const section = bytes[position++];
    const size = readInteger() >>> 0;
    if (section !== DATA_SECTION) {
      position += size;
      continue;
    }
    for (let left = readInteger(); left > 0; left--) {
      const flags = readInteger();
      if (flags === EXPLICIT_MEMORY) readInteger();
      let start: number | undefined;
      if (flags !== PASSIVE) {
        // Anything but a single constant is an address that is only known to the host, and may be of any length.
        if (bytes[position++] !== I32_CONST) return ranges;
        start = readInteger(true) >>> 0; // a signed constant that means an address
        if (bytes[position++] !== END) return ranges;
      }
      const length = readInteger() >>> 0;
      position += length;
      if (start !== undefined && length > 0) ranges.push({ start, end: start + length });
    }
  }
  return ranges;
}
