/** Bytes of a message that are shown. */
const EXCERPT_BYTES = 100;

/**
 * How a message of `length` bytes begins, with what is no printable ASCII made visible, and how long it is if that is not all.
 *
 * @param bytes its own, or its first ones
 */
export function excerpt(bytes: Buffer, length = bytes.length): string {
  const shown = bytes.toString("latin1", 0, EXCERPT_BYTES).replace(/[^\x20-\x7e]/g, escaped);
  return length > EXCERPT_BYTES ? `${shown}… (${length} bytes)` : shown;
}

/**
 * One line of text with whatever a terminal obeys, or does not show, made visible: names of files, URLs and the words of a peer
 * come from elsewhere. Letters of any script stay.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escaped);
}

function escaped(character: string): string {
  const code = character.codePointAt(0)!.toString(16);
  return code.length > 2 ? `\\u{${code}}` : `\\x${code.padStart(2, "0")}`;
}
