import { describe } from "../../arguments.js";
import { InvalidArgumentError } from "../../errors.js";
import { type EventTargetStream, EventTargetTap } from "./eventTarget.js";
import { type NodeStream, NodeStreamTap } from "./nodeStream.js";
import type { SourceSettings } from "./options.js";
import { asyncIterableTap, type WebStream, webStreamTap } from "./pulled.js";
import type { Tap } from "./tap.js";
import { isPausable, PausableWebSocketTap, type WebSocketStream, WebSocketTap } from "./webSocket.js";

/** What a source can be made of, by its shape. */
export type SourceStream = NodeStream | WebStream | WebSocketStream | AsyncIterable<unknown> | EventTargetStream;

/** A tap, and whether its chunks are events, whose bytes are their `data`. */
export interface Detected {
  readonly tap: Tap;
  readonly givesEvents: boolean;
}

/**
 * Finds out what a stream is by what it has, so that it may come from anywhere. The order decides where one is several: a
 * WebSocket is an event target, and a Node stream can be iterated. (What can be iterated and paused, but not piped, is no stream of
 * bytes: an interface of `node:readline`.)
 *
 * @throws {InvalidArgumentError} if it is none, somebody else reads it, or it gives texts where the framing is of bytes
 */
export function detect(stream: SourceStream, settings: SourceSettings): Detected {
  const found = stream as Partial<NodeStream & WebStream & WebSocketStream & AsyncIterable<unknown>> & {
    pipe?: unknown;
  };
  const has = (...names: (keyof typeof found)[]) => names.every((name) => typeof found[name] === "function");
  const isObject = (typeof stream === "object" && stream !== null) || typeof stream === "function";
  if (!isObject) throw unknownStream(stream);

  if (has("addEventListener", "send", "close") && typeof found.binaryType === "string" && "readyState" in found) {
    const socket = stream as WebSocketStream;
    const tap = isPausable(socket) ? new PausableWebSocketTap(socket) : new WebSocketTap(socket);
    return { tap, givesEvents: false };
  }
  if (has("getReader")) return { tap: webStreamTap(stream as WebStream), givesEvents: false };
  const isIterable = typeof found[Symbol.asyncIterator] === "function";
  if (has("on", "removeListener", "pause", "resume") && (has("pipe") || !isIterable)) {
    assertUnread(stream as NodeStream);
    assertBytes(stream as NodeStream, settings);
    return { tap: new NodeStreamTap(stream as NodeStream), givesEvents: false };
  }
  if (has("addEventListener", "removeEventListener")) {
    return { tap: new EventTargetTap(stream as EventTargetStream, settings.event), givesEvents: true };
  }
  if (isIterable) {
    return { tap: asyncIterableTap(stream as AsyncIterable<unknown>), givesEvents: false };
  }
  throw unknownStream(stream);
}

/** Of one with another reader, each would have some of the chunks, or one of them all. */
function assertUnread(stream: NodeStream): void {
  for (const event of ["data", "readable"]) {
    const readers = stream.listenerCount?.(event) ?? 0;
    if (readers === 0) continue;
    throw new InvalidArgumentError(
      `somebody else is reading the stream: there are ${readers} listeners of its "${event}"`,
    );
  }
}

/** Bytes that have been made a text are other bytes, and their lengths others. */
function assertBytes({ readableEncoding }: NodeStream, { framing, map }: SourceSettings): void {
  if (!readableEncoding || map !== undefined || (framing !== "length" && framing !== "length-le")) return;
  throw new InvalidArgumentError(
    `the stream gives texts, as its encoding is ${describe(readableEncoding)}, but framing "${framing}" is of bytes: ` +
      "leave out setEncoding, or have map make bytes of the texts",
  );
}

function unknownStream(stream: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    "a source takes a Node readable stream, a web ReadableStream, a WebSocket, an EventTarget or an async iterable, " +
      `but was given ${describe(stream)}`,
  );
}
