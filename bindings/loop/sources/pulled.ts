import { InvalidArgumentError } from "../../errors.js";
import { ignore } from "../callback.js";
import type { Basin, StopPolicy, Tap } from "./tap.js";

/** What a source needs of a web `ReadableStream`. */
export interface WebStream {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: unknown }>;
    cancel(reason?: unknown): Promise<unknown>;
    releaseLock(): void;
  };
}

/** So many chunks are asked for in a row. A stream that has all of them at hand would keep the platform waiting for ever. */
const PULLS = 1024;

/** What is asked for each chunk. */
interface Supply {
  next(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>;
  /** The end, before it has come by itself. */
  leave(policy: StopPolicy): void;
  /** The end has come by itself. */
  ended?(): void;
}

/** A stream that gives a chunk when asked for one, and is not asked while the source has no room: that is its pause. */
class PulledTap implements Tap {
  readonly #supply: Supply;
  #basin: Basin | undefined;
  #isFlowing = true;
  #isPulling = false;

  constructor(supply: Supply) {
    this.#supply = supply;
  }

  open(basin: Basin): void {
    this.#basin = basin;
    void this.#pull();
  }

  pause(): void {
    this.#isFlowing = false;
  }

  resume(): void {
    this.#isFlowing = true;
    if (!this.#isPulling) void this.#pull();
  }

  close(policy: StopPolicy): void {
    if (this.#basin === undefined) return;
    this.#basin = undefined;
    this.#supply.leave(policy);
  }

  /** One at a time, since a stream may be asked for the next chunk only when it has given this one. */
  async #pull(): Promise<void> {
    this.#isPulling = true;
    try {
      for (let pulls = 1; this.#isFlowing && this.#basin !== undefined; pulls++) {
        if (pulls % PULLS === 0) {
          await this.#hop(this.#basin);
          continue; // it may be closed by now
        }
        const { done, value } = await this.#supply.next();
        if (this.#basin === undefined) return; // closed meanwhile: what has come is nobody's
        if (done === true) this.#ended()?.end();
        else this.#basin.chunk(value);
      }
    } catch (error) {
      this.#ended()?.fail(error);
    } finally {
      this.#isPulling = false;
    }
  }

  #hop(basin: Basin): Promise<void> {
    return new Promise((resolve) => basin.hop(resolve));
  }

  /** The stream has come to its end, or failed. Returns whom to tell, if anybody is left. */
  #ended(): Basin | undefined {
    const basin = this.#basin;
    this.#basin = undefined;
    if (basin !== undefined) this.#supply.ended?.();
    return basin;
  }
}

/** @throws {InvalidArgumentError} if somebody else reads the stream */
export function webStreamTap(stream: WebStream): Tap {
  let reader: ReturnType<WebStream["getReader"]>;
  try {
    reader = stream.getReader();
  } catch (error) {
    throw new InvalidArgumentError("the stream is locked: somebody else is reading it", { cause: error });
  }
  return new PulledTap({
    next: () => reader.read(),
    leave: (policy) => {
      if (policy === "close") reader.cancel().catch(ignore);
      reader.releaseLock();
    },
    ended() {
      try {
        reader.releaseLock();
      } catch {
        // There is nothing left to be read.
      }
    },
  });
}

export function asyncIterableTap(iterable: AsyncIterable<unknown>): Tap {
  const iterator = iterable[Symbol.asyncIterator]();
  return new PulledTap({
    next: () => iterator.next(),
    leave: (policy) => {
      // A generator that waits for something takes note of it only then: it is not waited for.
      if (policy === "close") Promise.resolve(iterator.return?.()).catch(ignore);
    },
  });
}
