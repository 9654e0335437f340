import { InvalidArgumentError } from "../errors.js";
import { Bytes } from "../layout/bytes.js";
import { end, place } from "../layout/location.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { Source } from "./sources/source.js";

/** Where messages lie, whom they tell of their end, and whose they are. */
export interface MessageOwner {
  readonly source: Source;
  $release(message: RingMessage): void;
}

/**
 * A message that has come through a source: its bytes, where they have arrived in linear memory. The payload of the event.
 *
 * It is a {@link Bytes}: `address` and `length` for calls into wasm, `get(index)`, `view()`, `toUint8Array()`, `toString()` for
 * its text. It belongs to its event and may be written to; it ends with the event, when the handler has returned, its promise
 * has settled, or its fiber has ended, and every later use is a {@link StaleReferenceError}.
 *
 * The objects are used again, so one that is kept for longer may come to show another message. With
 * `createRuntime({ debug: true })` they are not, so that one that was kept is always found out.
 *
 * @example
 * const lines = loop.on("line", (line: RingMessage) => console.log(line.length, line.toString()));
 * loop.source(lines, process.stdin, { framing: "line" });
 */
export class RingMessage extends Bytes {
  readonly #owner: MessageOwner;
  readonly $slot: number;
  /** Whether its event has begun. */
  $hasBegun = false;

  /** Made by sources only. */
  constructor(memory: LinearMemory, owner: MessageOwner, slot: number) {
    super(memory);
    this.#owner = owner;
    this.$slot = slot;
  }

  /**
   * The source that it has come through, as `loop.source()` has returned it: tells a handler of many which one it was. Also when its
   * event has ended, as for `onError`.
   *
   * @example
   * const request = loop.on("request", (message: RingMessage) => sessions.get(message.source)!.handle(message));
   * server.on("connection", (socket) => sessions.set(loop.source(request, socket, { framing: "line" }), new Session(socket)));
   */
  get source(): Source {
    return this.#owner.source;
  }

  /** Shows the `length` bytes at `address`, as long as the guard shows this generation. */
  $show(address: Address, length: number, guard: number, generation: number): void {
    place(this, address, guard, generation);
    this.$length = length;
    this.$hasBegun = false;
  }

  override $assertMovable(operation: string): void {
    throw new InvalidArgumentError(`${operation}: a source's message shows nothing else, and cannot be reused`);
  }

  /** Whether its event has not ended. */
  get $isHeld(): boolean {
    return this.$guard !== 0;
  }

  /** Its event has ended, or will never be: the bytes are given back. Does nothing the second time. */
  $end(): void {
    if (this.$guard === 0) return;
    end(this);
    this.#owner.$release(this);
  }
}
