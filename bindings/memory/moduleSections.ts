const PREAMBLE_BYTES = 8;
const I32_CONST = 0x41;
const END = 0x0b;

/**
 * Reads the binary format of wasm, one thing after another.
 *
 * Source: WebAssembly Core Specification 2.0, 5.2.2 "Integers" and 5.5.2 "Sections".
 */
class SectionReader {
  /** @param bytes a module that the engine has compiled, so it is well-formed */
  constructor(
    readonly bytes: Uint8Array,
    private position: number,
  ) {}

  get isAtEnd(): boolean {
    return this.position >= this.bytes.length;
  }

  byte(): number {
    return this.bytes[this.position++]!;
  }

  integer(signed = false): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      const negative = signed && shift + 7 < 32 && (byte & 0x40) !== 0;
      return negative ? value | (-1 << (shift + 7)) : value;
    }
  }

  /** The address that an expression is, where that is a single constant; any other may be of any length, and ends the reading. */
  constantAddress(): number | undefined {
    if (this.byte() !== I32_CONST) return undefined;
    const address = this.integer(true) >>> 0; // a signed constant that means an address
    return this.byte() === END ? address : undefined;
  }

  skip(bytes: number): void {
    this.position += bytes;
  }
}

/** A reader at the content of the section that has this number; undefined if the module has none. O(sections) */
export function sectionOf(bytes: Uint8Array, number: number): SectionReader | undefined {
  const reader = new SectionReader(bytes, PREAMBLE_BYTES);
  while (!reader.isAtEnd) {
    const found = reader.byte();
    const size = reader.integer() >>> 0;
    if (found === number) return reader;
    reader.skip(size);
  }
  return undefined;
}
