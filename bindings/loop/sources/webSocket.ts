import { messageOf } from "../../arguments.js";
import { SourceError } from "../../errors.js";
import { ignore } from "../callback.js";
import type { Basin, StopPolicy, Tap } from "./tap.js";

/** What a source needs of a WebSocket: a browser's, Node's own, or one of the `ws` package. */
export interface WebSocketStream {
  binaryType: string;
  readonly readyState: number;
  // biome-ignore lint/suspicious/noExplicitAny: never called
  send(data: any): void;
  close(code?: number, reason?: string): void;
  // biome-ignore lint/suspicious/noExplicitAny: any listener's own type
  addEventListener(type: string, listener: (event: any) => void): void;
  // biome-ignore lint/suspicious/noExplicitAny: any listener's own type
  removeEventListener(type: string, listener: (event: any) => void): void;
}

/** Those of the `ws` package can be paused, give texts as the bytes that they came in, and may close with any code. */
interface PausableWebSocket extends WebSocketStream {
  // biome-ignore lint/suspicious/noExplicitAny: any listener's own type
  on(type: string, listener: (...values: any[]) => void): void;
  // biome-ignore lint/suspicious/noExplicitAny: any listener's own type
  off(type: string, listener: (...values: any[]) => void): void;
  pause(): void;
  resume(): void;
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;

/** A WebSocket has ended as it should: normally, or without any code. */
const NORMAL_CLOSURE = 1000;
const NO_STATUS = 1005;
const ABNORMAL_CLOSURE = 1006;

/** Programs in a browser may close with 1000 or a code from 3000 on only, so 1009 is 4009 there, and 1013 4013. */
const PRIVATE_CODES = 3000;

/** How the end of a connection is told: `undefined` if it is as it should be. */
function failureOf(code: number, reason: unknown, cause: unknown): SourceError | undefined {
  if (code === NORMAL_CLOSURE || code === NO_STATUS) return undefined;
  const text = messageOf(reason);
  const words = text === "" ? "" : `: ${text}`;
  return new SourceError("disconnected", `the WebSocket was closed with code ${code}${words}`, { cause });
}

/**
 * Browsers' and Node's own: no pausing. Both tell of an error before the close that follows it, without saying which. Before Node 24
 * none follows a handshake that fails: the socket goes on to say that it is connecting, and the error is all there is.
 */
export class WebSocketTap implements Tap {
  readonly #socket: WebSocketStream;
  readonly #binaryType: string;
  #basin: Basin | undefined;
  #error: unknown;

  constructor(socket: WebSocketStream) {
    this.#socket = socket;
    this.#binaryType = socket.binaryType;
  }

  open(basin: Basin): void {
    const socket = this.#socket;
    this.#basin = basin;
    if (socket.readyState === CLOSED) {
      this.#letGo()?.fail(failureOf(ABNORMAL_CLOSURE, "before the source was made", undefined));
      return;
    }
    socket.binaryType = "arraybuffer"; // a Blob's bytes would come later, and out of order
    socket.addEventListener("message", this.#onMessage);
    socket.addEventListener("error", this.#onError);
    socket.addEventListener("close", this.#onClose);
  }

  pause(): void {}

  resume(): void {}

  close(policy: StopPolicy, code: number): void {
    if (this.#letGo() === undefined) return;
    const socket = this.#socket;
    if (policy === "leave") socket.binaryType = this.#binaryType;
    else if (socket.readyState <= OPEN) socket.close(code === NORMAL_CLOSURE ? code : code + PRIVATE_CODES);
  }

  #letGo(): Basin | undefined {
    const basin = this.#basin;
    const socket = this.#socket;
    this.#basin = undefined;
    socket.removeEventListener("message", this.#onMessage);
    socket.removeEventListener("error", this.#onError);
    socket.removeEventListener("close", this.#onClose);
    return basin;
  }

  readonly #onMessage = (event: { readonly data: unknown }): void => {
    this.#basin?.chunk(event.data);
  };

  readonly #onError = (event: { readonly error?: unknown }): void => {
    this.#error = event.error ?? event;
    if (this.#socket.readyState === CONNECTING) this.#letGo()?.fail(failureOf(ABNORMAL_CLOSURE, "", this.#error));
  };

  readonly #onClose = (event: { readonly code: number; readonly reason: string }): void => {
    const failure = failureOf(event.code, event.reason, this.#error);
    const basin = this.#letGo();
    if (failure === undefined) basin?.end();
    else basin?.fail(failure);
  };
}

/**
 * Those of the `ws` package. Messages that have arrived with the one at which it is paused still come: some socket reads'
 * worth at the most.
 */
export class PausableWebSocketTap implements Tap {
  readonly #socket: PausableWebSocket;
  readonly #binaryType: string;
  #basin: Basin | undefined;
  #error: unknown;

  constructor(socket: PausableWebSocket) {
    this.#socket = socket;
    this.#binaryType = socket.binaryType;
  }

  open(basin: Basin): void {
    const socket = this.#socket;
    this.#basin = basin;
    if (socket.readyState === CLOSED) {
      this.#letGo()?.fail(failureOf(ABNORMAL_CLOSURE, "before the source was made", undefined));
      return;
    }
    socket.binaryType = "nodebuffer";
    socket.on("message", this.#onMessage);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(policy: StopPolicy, code: number): void {
    if (this.#letGo() === undefined) return;
    const socket = this.#socket;
    if (policy === "leave") {
      socket.binaryType = this.#binaryType;
      return;
    }
    socket.on("error", ignore); // of a connection that is given up before it is there, by us or before us, for example
    if (socket.readyState > OPEN) return;
    if (socket.readyState !== CONNECTING) socket.resume(); // the other side's answer comes behind what is not read yet
    socket.close(code);
  }

  #letGo(): Basin | undefined {
    const basin = this.#basin;
    const socket = this.#socket;
    this.#basin = undefined;
    socket.off("message", this.#onMessage);
    socket.off("error", this.#onError);
    socket.off("close", this.#onClose);
    return basin;
  }

  readonly #onMessage = (data: unknown): void => {
    this.#basin?.chunk(data);
  };

  readonly #onError = (error: unknown): void => {
    this.#error = error;
  };

  readonly #onClose = (code: number, reason: unknown): void => {
    const failure = failureOf(code, reason, this.#error);
    const basin = this.#letGo();
    if (failure === undefined) basin?.end();
    else basin?.fail(failure);
  };
}

/** Whether it has what only those of the `ws` package have. */
export function isPausable(socket: WebSocketStream): socket is PausableWebSocket {
  const { on, off, pause, resume } = socket as Partial<PausableWebSocket>;
  return [on, off, pause, resume].every((method) => typeof method === "function");
}
