/** Bytes of a message that are shown. */
const EXCERPT_BYTES = 100;

/** The first bytes of `bytes`, with those that are no printable ASCII made visible, and how many there are if that is not all. */
export function excerpt(bytes: Buffer): string {
  const shown = bytes.toString("latin1", 0, EXCERPT_BYTES).replace(/[^\x20-\x7e]/g, escaped);
  return bytes.length > EXCERPT_BYTES ? `${shown}… (${bytes.length} bytes)` : shown;
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
