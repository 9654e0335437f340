import { SourceError } from "../../errors.js";
import { ignore } from "../callback.js";
import type { Basin, StopPolicy, Tap } from "./tap.js";

/** What a source needs of a Node readable stream: a socket, a file, a pipe, `process.stdin`, a response. */
export interface NodeStream {
  // biome-ignore lint/suspicious/noExplicitAny: any listener's own type
  on(event: string, listener: (...values: any[]) => void): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: any listener's own type
  removeListener(event: string, listener: (...values: any[]) => void): unknown;
  listenerCount?(event: string): number;
  pause(): unknown;
  resume(): unknown;
  destroy?(error?: Error): unknown;
  readonly destroyed?: boolean;
  readonly errored?: Error | null;
  readonly readableEnded?: boolean;
  readonly readableEncoding?: string | null;
}

/** Flowing mode: `pause` takes effect at once, and nothing comes until `resume`. */
export class NodeStreamTap implements Tap {
  readonly #stream: NodeStream;
  #basin: Basin | undefined;

  constructor(stream: NodeStream) {
    this.#stream = stream;
  }

  open(basin: Basin): void {
    const stream = this.#stream;
    this.#basin = basin;
    if (stream.readableEnded === true) {
      this.#onEnd();
    } else if (stream.destroyed === true) {
      stream.on("error", ignore); // it may emit only now what it is asked for here
      if (stream.errored) this.#onError(stream.errored);
      else this.#onClose();
    } else {
      stream.on("end", this.#onEnd);
      stream.on("error", this.#onError);
      stream.on("close", this.#onClose);
      stream.on("data", this.#onData);
      stream.resume(); // a stream that was paused by hand does not begin to flow by itself
    }
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  close(policy: StopPolicy): void {
    if (this.#basin === undefined) return;
    this.#letGo();
    const stream = this.#stream;
    if (policy === "leave") stream.pause();
    else if (stream.destroyed !== true) {
      stream.on("error", ignore); // nobody is left whom an error of its closing could tell anything
      stream.destroy?.();
    }
  }

  #letGo(): Basin | undefined {
    const basin = this.#basin;
    const stream = this.#stream;
    this.#basin = undefined;
    stream.removeListener("data", this.#onData);
    stream.removeListener("end", this.#onEnd);
    stream.removeListener("error", this.#onError);
    stream.removeListener("close", this.#onClose);
    return basin;
  }

  readonly #onData = (chunk: unknown): void => {
    this.#basin?.chunk(chunk);
  };

  readonly #onEnd = (): void => {
    // Its other side, or its closing, may fail still: that is not this source's, and was nobody else's.
    this.#stream.on("error", ignore);
    this.#letGo()?.end();
  };

  readonly #onError = (error: unknown): void => {
    this.#letGo()?.fail(error);
  };

  readonly #onClose = (): void => {
    this.#letGo()?.fail(new SourceError("disconnected", "the stream was closed before its end"));
  };
}
