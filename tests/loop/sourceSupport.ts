// Bytes as streams send them, and a stream that sends what a test tells it.

import {
  createLoop,
  createRuntime,
  type Kind,
  type Loop,
  type LoopOptions,
  type RingMessage,
  type Runtime,
} from "tidemark";
import { expect } from "vitest";
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

type Listener = (...values: never[]) => void;

/** A Node stream by its shape, which sends when told, and keeps account of what is done to it. */
export class Faucet {
  paused = false;
  destroyed = false;
  pauses = 0;
  readonly #listeners = new Map<string, Set<Listener>>();

  on(event: string, listener: Listener): void {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event)!.add(listener);
  }

  removeListener(event: string, listener: Listener): void {
    this.#listeners.get(event)?.delete(listener);
  }

  pause(): void {
    this.paused = true;
    this.pauses++;
  }

  resume(): void {
    this.paused = false;
  }

  destroy(): void {
    this.destroyed = true;
  }

  /** How many listen to anything but what a destroyed stream may still have to say. */
  get listeners(): number {
    return [...this.#listeners.values()].reduce((count, { size }) => count + size, 0);
  }

  emit(event: string, value?: unknown): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(value as never);
  }

  send(chunk: Uint8Array | string): void {
    this.emit("data", chunk);
  }

  end(): void {
    this.emit("end");
  }
}

export interface Setting {
  readonly runtime: Runtime;
  readonly loop: Loop;
  readonly kind: Kind<RingMessage>;
  /** The texts of all messages that were handled. */
  readonly texts: string[];
}

/** Runs `body` with a loop whose one kind gathers the texts of its messages; at the end, all memory must be back. */
export async function withLoop(
  body: (setting: Setting) => Promise<void>,
  options: LoopOptions & { debug?: boolean; handle?: (message: RingMessage) => unknown } = {},
): Promise<void> {
  const { debug = false, handle, ...loopOptions } = options;
  const runtime = await createRuntime({ debug });
  const loop = createLoop(runtime, loopOptions);
  const texts: string[] = [];
  const kind = loop.on("message", (message: RingMessage) => {
    texts.push(message.toString());
    return handle?.(message);
  });
  try {
    await body({ runtime, loop, kind, texts });
    await loop.close();
    expect(runtime.stats().bytesByOwner.messageRings).toBe(0);
    runtime.validate();
  } finally {
    runtime.dispose();
  }
}

/** {@link withLoop} with a handler that holds each message until its function among `releases`, the oldest first, is called. */
export async function withHeldMessages(
  body: (setting: Setting, releases: (() => void)[]) => Promise<void>,
  options: LoopOptions = {},
): Promise<void> {
  const releases: (() => void)[] = [];
  await withLoop((setting) => body(setting, releases), {
    ...options,
    handle: () => new Promise<void>((resolve) => releases.push(resolve)),
  });
}

/** Waits until every promise that can settle by itself has done so. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
