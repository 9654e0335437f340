// Bytes as streams send them.

import type { Framing } from "../../build/bindings/loop/messageRing.js";

const encoder = new TextEncoder();

export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

/** All messages as one stream of bytes. `returns` decides, line by line, whether its end has a carriage return. */
export function framed(framing: Framing, messages: readonly Uint8Array[], returns: () => boolean): Uint8Array {
  const parts = messages.flatMap((message) => {
    if (framing === "message") return [message];
    if (framing === "line") return [message, bytesOf(returns() ? "\r\n" : "\n")];
    const prefix = new Uint8Array(4);
    new DataView(prefix.buffer).setUint32(0, message.length, framing === "length-le");
    return [prefix, message];
  });
  return new Uint8Array(Buffer.concat(parts));
}
