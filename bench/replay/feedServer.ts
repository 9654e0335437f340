import { isUtf8 } from "node:buffer";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type WebSocket, WebSocketServer } from "ws";
import { decodeLine, FeedMessage } from "./message.js";
import { PlainBook } from "./plainBook.js";
import type { Recording } from "./recording.js";

/** The server could not be opened, with a message for the person who asked for it. */
export class FeedServerError extends Error {
  override readonly name = "FeedServerError";
}

export interface FeedServerOptions {
  /** 0, or absent: any that is free. */
  readonly port?: number;
  /** Messages per second; absent: as fast as they are taken. */
  readonly rate?: number | undefined;
}

/** Only ever this machine itself. */
const HOST = "127.0.0.1";

/** Names under which clients may come; each has a place in the recording. */
const SESSIONS_AT_MOST = 64;

/** Lines before and after the place of a return, at least, between which its snapshot comes, as an exchange's comes among updates. */
const OVERLAP = 100;

/** Milliseconds that a client has to answer the end of its connection. */
const PATIENCE = 1000;

const NORMAL_CLOSURE = 1000;
const TRY_AGAIN_LATER = 1013;

/** A client by its name, which is the path of its URL. */
interface Session {
  /** The line that comes next. */
  position: number;
  isConnected: boolean;
}

/**
 * Plays a recording to WebSocket clients on this machine, a message a line, as the exchange does.
 *
 * A client that comes for the first time gets the recording from its beginning, and after its end the connection is closed
 * with code 1000. One that was cut off and comes again, by the same path, goes on where it was, with what it may have missed
 * in a snapshot: some updates that are in it come first, then some that are newer, then the snapshot itself, then the rest.
 *
 * What it holds for a client are the bytes of one lot of lines at the most; the next is sent when those have left.
 */
export class FeedServer {
  readonly #recording: Recording;
  readonly #rate: number | undefined;
  readonly #server: WebSocketServer;
  readonly #sessions = new Map<string, Session>();
  /** The most bytes that have waited for one client. */
  #bufferedHighWater = 0;

  /** @throws {FeedServerError} the port cannot be had */
  static open(recording: Recording, options: FeedServerOptions = {}): Promise<FeedServer> {
    const server = new WebSocketServer({ host: HOST, port: options.port ?? 0, perMessageDeflate: false });
    return new Promise((resolve, reject) => {
      server.once("listening", () => resolve(new FeedServer(recording, server, options.rate)));
      server.once("error", (error: NodeJS.ErrnoException) => {
        const reason = error.code === "EADDRINUSE" ? "it is in use" : error.message;
        reject(new FeedServerError(`port ${options.port} of ${HOST} cannot be had: ${reason}`, { cause: error }));
      });
    });
  }

  private constructor(recording: Recording, server: WebSocketServer, rate: number | undefined) {
    this.#recording = recording;
    this.#rate = rate;
    this.#server = server;
    server.on("connection", (socket, request) => void this.#serve(socket, request.url ?? "/"));
  }

  /** Where it listens, for the client called `name`. */
  url(name: string): string {
    return `ws://${HOST}:${(this.#server.address() as AddressInfo).port}/${name}`;
  }

  get clientCount(): number {
    return this.#server.clients.size;
  }

  get bufferedHighWater(): number {
    return this.#bufferedHighWater;
  }

  /** Cuts all connections off, without a word. */
  breakConnections(): void {
    for (const socket of this.#server.clients) socket.terminate();
  }

  /** Takes no more clients, and ends the connections there are with code 1000; who does not answer is cut off. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#server.clients) socket.close(NORMAL_CLOSURE, "the server ends");
    const timer = setTimeout(() => this.breakConnections(), PATIENCE);
    await closed;
    clearTimeout(timer);
  }

  async #serve(socket: WebSocket, name: string): Promise<void> {
    socket.on("error", () => {}); // a client that is gone is seen by its close
    const known = this.#sessions.get(name);
    if (known?.isConnected || (known === undefined && this.#sessions.size === SESSIONS_AT_MOST)) {
      socket.close(TRY_AGAIN_LATER, known ? "a client of this name is connected" : "there are too many clients");
      return;
    }
    const session = known ?? { position: 0, isConnected: true };
    session.isConnected = true;
    this.#sessions.set(name, session);
    socket.once("close", () => {
      session.isConnected = false;
    });
    await this.#play(socket, session, known !== undefined);
    socket.close(NORMAL_CLOSURE, "the recording has ended");
  }

  async #play(socket: WebSocket, session: Session, isBack: boolean): Promise<void> {
    const { lineCount } = this.#recording;
    const snapshot = isBack ? this.#snapshotAt(session.position) : undefined;
    const origin = performance.now();
    let first = session.position;
    if (snapshot === undefined) {
      first = 0;
    } else {
      const until = Math.min(lineCount, first + OVERLAP);
      await this.#send(socket, Math.max(0, Math.min(first - OVERLAP, snapshot.lastUpdate)), until, session);
      await sent(socket, snapshot.text);
      first = until;
    }
    const begin = first;
    while (first < lineCount && socket.readyState === socket.OPEN) {
      const due = this.#rate === undefined ? lineCount : await this.#due(begin, first, origin, this.#rate);
      if (due === first) continue;
      const last = this.#recording.chunkEnd(first, Math.min(lineCount, due));
      await this.#send(socket, first, last, session);
      first = last;
    }
  }

  /**
   * The line behind the last that is due, or `next` where that is not due yet. Waits for it, but not for so long that nobody would
   * see for a while that the client has gone.
   */
  async #due(begin: number, next: number, origin: number, rate: number): Promise<number> {
    const wait = origin + ((next - begin) * 1000) / rate - performance.now();
    if (wait > 0) await sleep(Math.min(wait, 100));
    return Math.max(next, begin + Math.floor(((performance.now() - origin) * rate) / 1000) + 1);
  }

  /** Sends the lines `first` … `last − 1`, and waits until they have left, or the client is gone. */
  async #send(socket: WebSocket, first: number, last: number, session: Session): Promise<void> {
    const { bytes, starts, ends } = this.#recording;
    for (let line = first; line < last - 1; line++) {
      const text = bytes.subarray(starts[line]!, ends[line]!);
      socket.send(text, { binary: !isUtf8(text) });
    }
    const gone = sent(socket, bytes.subarray(starts[last - 1]!, ends[last - 1]!));
    this.#bufferedHighWater = Math.max(this.#bufferedHighWater, socket.bufferedAmount);
    session.position = last;
    await gone;
  }

  /**
   * A snapshot of the book after all lines before `position`, and the line of the last update that is in it; `undefined` if none has
   * come until there. O(position)
   */
  #snapshotAt(position: number): { readonly text: Uint8Array; readonly lastUpdate: number } | undefined {
    const book = new PlainBook();
    const message = new FeedMessage();
    let lastUpdate = 0;
    for (let line = 0; line < position; line++) {
      if (decodeLine(this.#recording, line, message) !== undefined) continue;
      const { updateId } = book;
      book.take(message);
      if (book.updateId !== updateId) lastUpdate = line;
    }
    if (book.updateId < 0) return undefined;
    const { bids, asks } = book.summary();
    const snapshot = { lastUpdateId: book.updateId, bids: toLevels(bids), asks: toLevels(asks) };
    return { text: Buffer.from(JSON.stringify(snapshot)), lastUpdate };
  }
}

/** Sends a text, as bytes if it is none, and waits until it has left, or the client is gone. */
function sent(socket: WebSocket, text: Uint8Array): Promise<void> {
  return new Promise((resolve) => socket.send(text, { binary: !isUtf8(text) }, () => resolve()));
}

/** `[price, quantity]` as texts, which read as the same numbers again. */
function toLevels(rows: readonly number[]): [string, string][] {
  const levels: [string, string][] = [];
  for (let index = 0; index < rows.length; index += 2) levels.push([String(rows[index]), String(rows[index + 1])]);
  return levels;
}
