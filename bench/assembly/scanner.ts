// Scanner: reads one JSON text byte by byte, as far as a market feed needs JSON.
//
// It takes less than JSON does, and never more: no white space, no escapes in strings, no nesting beyond what the
// decoder asks for, no exponents. A text that it does not take is not wrong; it is left to a whole JSON parser. Every
// function returns false, or a position past `end`, rather than read beyond the text.

import { DIGITS_LIMIT, toFloat } from "./decimal";

export const QUOTE: u32 = 0x22;
export const COMMA: u32 = 0x2c;
export const COLON: u32 = 0x3a;
export const OPEN_BRACE: u32 = 0x7b;
export const CLOSE_BRACE: u32 = 0x7d;
export const OPEN_BRACKET: u32 = 0x5b;
export const CLOSE_BRACKET: u32 = 0x5d;
const POINT: u32 = 0x2e;
const ZERO: u32 = 0x30;
const BACKSLASH: u32 = 0x5c;
const SPACE: u32 = 0x20;

/** The largest integer that JavaScript calls safe. */
const SAFE_LIMIT: u64 = ((<u64>1) << 53) - 1;

/** A position in a text, with what was read last. It lies in memory that its user allots. */
@unmanaged
export class Scanner {
  position: usize;
  end: usize;
  number: f64;
  /** The bytes of the string read last. */
  start: usize;
  length: u32;

  /** The byte at hand; 0, which JSON has nowhere, at the end. */
  @inline
  get peek(): u32 {
    return this.position < this.end ? <u32>load<u8>(this.position) : 0;
  }

  /** Steps over `byte` if it is the next one. */
  @inline
  skip(byte: u32): bool {
    if (this.peek != byte) return false;
    this.position++;
    return true;
  }

  /** Reads a string without escapes, between its quotes. */
  string(): bool {
    if (!this.skip(QUOTE)) return false;
    const start = this.position;
    const end = this.end;
    let position = start;
    while (position < end) {
      const byte = <u32>load<u8>(position);
      if (byte == QUOTE) {
        this.start = start;
        this.length = <u32>(position - start);
        this.position = position + 1;
        return true;
      }
      if (byte < SPACE || byte == BACKSLASH) return false;
      position++;
    }
    return false;
  }

  /** Reads a string of digits with at most one point, as a number: `"61837.63000000"`. At most 19 digits count. */
  decimal(): bool {
    if (!this.skip(QUOTE)) return false;
    const end = this.end;
    const start = this.position;
    let position = start;
    let mantissa: u64 = 0;
    let digit: u32 = 0;
    while (position < end && (digit = <u32>load<u8>(position) - ZERO) < 10) {
      mantissa = mantissa * 10 + digit;
      position++;
    }
    if (position == start) return false;
    // The zero before a point takes no room in the mantissa.
    let digits = <u32>(position - start) - (mantissa == 0 && position - start == 1 ? 1 : 0);
    if (digits > DIGITS_LIMIT) return false;
    let scale: u32 = 0;
    if (position < end && <u32>load<u8>(position) == POINT) {
      const point = ++position;
      while (position < end && (digit = <u32>load<u8>(position) - ZERO) < 10) {
        mantissa = mantissa * 10 + digit;
        position++;
      }
      scale = <u32>(position - point);
      digits += scale;
      if (digits > DIGITS_LIMIT) return false;
    }
    if (position >= end || <u32>load<u8>(position) != QUOTE) return false;
    this.position = position + 1;
    this.number = toFloat(mantissa, scale);
    return true;
  }

  /** Reads a whole number from 0 to 2^53 − 1 as JSON writes it. */
  integer(): bool {
    const start = this.position;
    const end = this.end;
    let position = start;
    let value: u64 = 0;
    let digit: u32 = 0;
    while (position < end && (digit = <u32>load<u8>(position) - ZERO) < 10) {
      value = value * 10 + digit;
      position++;
    }
    const digits = <u32>(position - start);
    if (digits == 0 || digits > 16 || value > SAFE_LIMIT) return false;
    if (digits > 1 && <u32>load<u8>(start) == ZERO) return false;
    // A fraction or an exponent would follow here; then it is a number, but none that this function reads.
    const next = this.peekAt(position);
    if (next != COMMA && next != CLOSE_BRACE) return false;
    this.position = position;
    this.number = <f64>value;
    return true;
  }

  /** Steps over a value that nobody wants: a string, a whole number, `true`, `false`. */
  skipScalar(): bool {
    const byte = this.peek;
    if (byte == QUOTE) return this.string();
    if (byte == 0x74) return this.word(0x6575_7274, 4); // "true"
    if (byte == 0x66) {
      this.position++;
      return this.word(0x6573_6c61, 4); // "alse"
    }
    return this.integer();
  }

  @inline
  private peekAt(position: usize): u32 {
    return position < this.end ? <u32>load<u8>(position) : 0;
  }

  private word(letters: u32, length: u32): bool {
    if (this.end - this.position < <usize>length || load<u32>(this.position) != letters) return false;
    this.position += length;
    return true;
  }
}
