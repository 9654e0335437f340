import type { Basin, Tap } from "./tap.js";

/** What a source needs of an `EventTarget`: a web worker, a message port, a broadcast channel, an event source. */
export interface EventTargetStream {
  // biome-ignore lint/suspicious/noExplicitAny: any listener's own type
  addEventListener(type: string, listener: (event: any) => void): void;
  // biome-ignore lint/suspicious/noExplicitAny: any listener's own type
  removeEventListener(type: string, listener: (event: any) => void): void;
}

/** Events of one type. It cannot be paused, and has no end; the target is nobody's to close. */
export class EventTargetTap implements Tap {
  readonly #target: EventTargetStream;
  readonly #type: string;
  #basin: Basin | undefined;

  constructor(target: EventTargetStream, type: string) {
    this.#target = target;
    this.#type = type;
  }

  open(basin: Basin): void {
    this.#basin = basin;
    this.#target.addEventListener(this.#type, this.#onEvent);
    const port = this.#target as { start?: () => void; postMessage?: unknown };
    // Message ports hold back until they are told to begin; what else has a `start` means something else.
    if (typeof port.start === "function" && typeof port.postMessage === "function") port.start();
  }

  pause(): void {}

  resume(): void {}

  close(): void {
    this.#basin = undefined;
    this.#target.removeEventListener(this.#type, this.#onEvent);
  }

  readonly #onEvent = (event: unknown): void => {
    this.#basin?.chunk(event);
  };
}
