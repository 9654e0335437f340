import { createLoop, type Kind, type Loop, type Region, type RingMessage, type Source, SourceError } from "tidemark";
import type { WebSocket } from "ws";
import { BOOK_TICKER, NOT_TAKEN } from "./feedStructs.js";
import { decodeMessage, FeedMessage } from "./message.js";
import { PlainBook } from "./plainBook.js";
import { excerpt } from "./printable.js";
import { type BookSummary, type Observer, RefusalLog, type SubjectName, type TickerMessage } from "./subject.js";
import { TidemarkBook } from "./tidemarkBook.js";

/** The connection has ended before the feed. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** What watches a client at work. */
export interface LiveObserver extends Observer {
  /** A message of so many bytes has arrived. */
  arrive(bytes: number): void;
  /** Where it verifies: the feed's own best levels have come. The object is used again for the next message. */
  ticker?(ticker: TickerMessage): void;
}

/** One program that follows a feed over a WebSocket and keeps the book; the rules of the book are those of `Subject`. */
export interface LiveClient {
  readonly name: SubjectName;
  /** Messages that are none. */
  readonly refusals: RefusalLog;
  /** How often the connection had to wait for the handler. */
  readonly pauses: number;
  /**
   * Follows one connection, which has just been asked for, to its end. What comes does not follow what came over another one:
   * updates are held until a snapshot has come.
   *
   * @throws {ConnectionLost} it has ended in another way than with code 1000; all that has come has been handled
   */
  follow(socket: WebSocket): Promise<void>;
  /** Ends the connection that is followed, as if it had ended by itself; what has arrived is not handled any more. */
  stop(): void;
  book(): BookSummary;
  linearBytes(): number;
  dispose(): Promise<void>;
}

/** Makes the client called `name`. */
export async function createLiveClient(name: SubjectName, observer: LiveObserver): Promise<LiveClient> {
  return name === "plain" ? new PlainClient(observer) : new TidemarkClient(await TidemarkBook.create(), observer);
}

/** Bytes of messages that wait or are being handled; the recorded snapshots are some 64 KiB long. */
const RING_BYTES = 4 << 20;

/**
 * A socket is read up to 32 times before the next turn. So a turn may take longer than what came took, or messages would
 * wait for more than one; and the queue is short, so that few come before the socket is paused.
 */
const LOOP_OPTIONS = { queue: { capacity: 1024 }, turn: { milliseconds: 100 } };

/** Tells of a refused message by its number and its bytes. */
class LiveRefusals extends RefusalLog {
  #bytes: Buffer = Buffer.alloc(0);

  constructor() {
    super({ place: (number) => `message ${number + 1}`, excerpt: () => excerpt(this.#bytes) });
  }

  refuseBytes(bytes: Buffer, number: number, reason: string): void {
    this.#bytes = bytes;
    this.refuse(number, reason);
  }
}

/** A source of the loop takes the connection's messages into linear memory; the handler gives each to the book. */
class TidemarkClient implements LiveClient {
  readonly name = "tidemark";
  readonly refusals = new LiveRefusals();
  pauses = 0;
  readonly #book: TidemarkBook;
  readonly #observer: LiveObserver;
  readonly #loop: Loop;
  readonly #messages: Kind<RingMessage>;
  readonly #run: Promise<void>;
  #source: Source | undefined;
  #isStopped = false;
  readonly #unusual = new FeedMessage();
  #number = 0;

  constructor(book: TidemarkBook, observer: LiveObserver) {
    this.#book = book;
    this.#observer = observer;
    book.observer = observer;
    this.#loop = createLoop(book.runtime, LOOP_OPTIONS);
    this.#messages = this.#loop.on("message", (message: RingMessage, { region }) => this.#handle(message, region));
    this.#run = this.#loop.run();
    this.#run.catch(() => {}); // whoever follows is told by `follow`
  }

  async follow(socket: WebSocket): Promise<void> {
    this.#book.awaitSnapshot();
    const source = this.#loop.source(this.#messages, socket, {
      ringBytes: RING_BYTES,
      map: (data: Buffer) => {
        this.#observer.arrive(data.length);
        return data;
      },
    });
    this.#source = source;
    try {
      const { ended } = await source.done;
      if (ended === "loop-closed") await this.#run; // with the error of the handler
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      throw new ConnectionLost(reasonOf(error), { cause: error });
    } finally {
      this.pauses += source.stats().pauses;
    }
  }

  stop(): void {
    this.#isStopped = true;
    void this.#source?.stop();
  }

  book(): BookSummary {
    return this.#book.summary();
  }

  linearBytes(): number {
    return this.#book.runtime.stats().committedBytes;
  }

  async dispose(): Promise<void> {
    await this.#loop.close({ mode: "discard" });
    this.#book.runtime.dispose();
  }

  #handle(message: RingMessage, region: Region): void {
    if (this.#isStopped) return;
    const kind = this.#book.take(message.address, message.length, region);
    if (kind === NOT_TAKEN) this.#handleUnusual(message);
    else if (kind === BOOK_TICKER) this.#observer.ticker?.(this.#book.message);
    this.#observer.end(this.#number++);
  }

  #handleUnusual(message: RingMessage): void {
    const { buffer, byteOffset, byteLength } = message.view();
    const bytes = Buffer.from(buffer, byteOffset, byteLength);
    const refusal = decodeMessage(bytes.toString("latin1"), this.#unusual); // as the plain client reads it
    if (refusal !== undefined) {
      this.refusals.refuseBytes(bytes, this.#number, refusal);
      return;
    }
    this.#book.takeDecoded(this.#unusual);
    if (this.#unusual.kind === "bookTicker") this.#observer.ticker?.(this.#unusual);
  }
}

/** The handler of the socket's own event does everything, as one would write it. */
class PlainClient implements LiveClient {
  readonly name = "plain";
  readonly refusals = new LiveRefusals();
  readonly pauses = 0;
  readonly #book = new PlainBook();
  readonly #observer: LiveObserver;
  readonly #message = new FeedMessage();
  #socket: WebSocket | undefined;
  #isStopped = false;
  #number = 0;

  constructor(observer: LiveObserver) {
    this.#observer = observer;
    this.#book.observer = observer;
  }

  follow(socket: WebSocket): Promise<void> {
    this.#book.awaitSnapshot();
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      let failure: Error | undefined;
      socket.on("message", (data: Buffer) => {
        if (!this.#isStopped) this.#handle(data);
      });
      socket.on("error", (error) => {
        failure = error;
      });
      socket.on("close", (code, reason) => {
        if (code === 1000 || this.#isStopped) resolve();
        else reject(new ConnectionLost(failure?.message ?? describeClose(code, String(reason)), { cause: failure }));
      });
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#socket?.close(1000);
  }

  book(): BookSummary {
    return this.#book.summary();
  }

  linearBytes(): number {
    return 0;
  }

  async dispose(): Promise<void> {}

  #handle(data: Buffer): void {
    this.#observer.arrive(data.length);
    const refusal = decodeMessage(data.toString("latin1"), this.#message);
    if (refusal === undefined) {
      this.#book.take(this.#message);
      if (this.#message.kind === "bookTicker") this.#observer.ticker?.(this.#message);
    } else {
      this.refusals.refuseBytes(data, this.#number, refusal);
    }
    this.#observer.end(this.#number++);
  }
}

function describeClose(code: number, reason: string): string {
  return `it was closed with code ${code}${reason === "" ? "" : `: ${reason}`}`;
}

/** Why a source has lost its connection, in the words of the network where there are any. */
function reasonOf(error: SourceError): string {
  const { cause } = error;
  return cause instanceof Error && cause.message !== "" ? cause.message : error.message;
}
