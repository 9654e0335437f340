import { createLoop, type Kind, type Loop, type Region, type RingMessage, type Source, SourceError } from "tidemark";
import type { WebSocket } from "ws";
import { excerpt } from "../printable.js";
import { BOOK_TICKER, NOT_TAKEN } from "./feedStructs.js";
import { decodeBytes, FeedMessage, MAXIMUM_MESSAGE_BYTES } from "./message.js";
import { PlainBook } from "./plainBook.js";
import { type BookSummary, type Observer, RefusalLog, type SubjectName, type TickerMessage } from "./subject.js";
import { TidemarkBook } from "./tidemarkBook.js";

/** The connection has ended before the feed. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** What watches a client at work. */
export interface LiveObserver extends Observer {
  /** A message has arrived. */
  arrive(): void;
  /** Where it verifies: the feed's own best levels have come. The object is used again for the next message. */
  ticker?(ticker: TickerMessage): void;
}

/** One program that follows a feed over a WebSocket and keeps the book; the rules of the book are those of `Subject`. */
export interface LiveClient {
  readonly name: SubjectName;
  /** Messages that are none. */
  readonly refusals: RefusalLog;
  /** Bytes of the messages that have been handled, refused ones included. */
  readonly bytes: number;
  /** How often the connection had to wait for the handler. */
  readonly pauses: number;
  /**
   * Follows one connection, which has just been asked for, to its end. What comes does not follow what came over another one:
   * updates are held until a snapshot has come.
   *
   * @throws {ConnectionLost} it has ended in another way than with code 1000 or without one; all that has come has been handled
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

/** What goes into the ring of a message that is too long: as much as tells that it is. */
const LONGEST_BYTES = MAXIMUM_MESSAGE_BYTES + 1;

/** Bytes of messages that wait or are being handled: one of the longest, or many. */
const RING_BYTES = LONGEST_BYTES + 64 * 1024;

/**
 * A socket is read up to 32 times before the next turn. So a turn may take longer than what came took, or messages would
 * wait for more than one; and the queue is short, so that few come before the socket is paused.
 */
const LOOP_OPTIONS = { queue: { capacity: 1024 }, turn: { milliseconds: 100 } };

/** Codes with which a connection ends as it should: normally, or without one. A source takes them for its end, too. */
const NORMAL_CLOSURE = 1000;
const NO_STATUS = 1005;

/** Tells of a refused message by its number and how it begins. */
class LiveRefusals extends RefusalLog {
  #text = "";

  constructor() {
    super({ place: (number) => `message ${number + 1}`, excerpt: () => this.#text });
  }

  refuseMessage(number: number, reason: string, text: string): void {
    this.#text = text;
    this.refuse(number, reason);
  }
}

/** A source of the loop takes the connection's messages into linear memory; the handler gives each to the book. */
class TidemarkClient implements LiveClient {
  readonly name = "tidemark";
  readonly refusals = new LiveRefusals();
  bytes = 0;
  pauses = 0;
  readonly #book: TidemarkBook;
  readonly #observer: LiveObserver;
  readonly #loop: Loop;
  readonly #messages: Kind<RingMessage>;
  readonly #run: Promise<void>;
  #source: Source | undefined;
  #isStopped = false;
  readonly #unusual = new FeedMessage();
  /** How long those were when they arrived that are not whole in the ring, oldest first. */
  readonly #cutLengths: number[] = [];
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
      maximumMessageBytes: LONGEST_BYTES,
      map: (data: Buffer) => this.#arrive(data),
    });
    this.#source = source;
    try {
      const { ended } = await source.done;
      if (ended === "loop-closed") await this.#run; // with the error of the handler
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      if (this.#isStopped) return; // lost behind the last message that is wanted, before that was handled
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

  #arrive(data: Buffer): Buffer {
    this.#observer.arrive();
    if (data.length < LONGEST_BYTES) return data;
    this.#cutLengths.push(data.length);
    return data.subarray(0, LONGEST_BYTES);
  }

  #handle(message: RingMessage, region: Region): void {
    if (this.#isStopped) return;
    const length = message.length === LONGEST_BYTES ? this.#cutLengths.shift()! : message.length;
    this.bytes += length;
    const kind = this.#book.take(message.address, length, region);
    if (kind === NOT_TAKEN) this.#handleUnusual(message, length);
    else if (kind === BOOK_TICKER) this.#observer.ticker?.(this.#book.message);
    this.#observer.end(this.#number++);
  }

  #handleUnusual(message: RingMessage, length: number): void {
    const { buffer, byteOffset, byteLength } = message.view();
    const bytes = Buffer.from(buffer, byteOffset, byteLength);
    const refusal = decodeBytes(bytes, 0, bytes.length, this.#unusual);
    if (refusal !== undefined) {
      this.refusals.refuseMessage(this.#number, refusal, excerpt(bytes, length));
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
  bytes = 0;
  readonly pauses = 0;
  readonly #book = new PlainBook();
  readonly #observer: LiveObserver;
  readonly #message = new FeedMessage();
  #socket: WebSocket | undefined;
  #end: () => void = () => {};
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
      this.#end = resolve;
      let failure: Error | undefined;
      socket.on("message", (data: Buffer) => {
        if (!this.#isStopped) this.#handle(data);
      });
      socket.on("error", (error) => {
        failure = error;
      });
      socket.on("close", (code, reason) => {
        if (code === NORMAL_CLOSURE || code === NO_STATUS) resolve();
        else reject(new ConnectionLost(failure?.message ?? describeClose(code, String(reason)), { cause: failure }));
      });
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#socket?.close(NORMAL_CLOSURE);
    this.#end(); // the other side may take its time to answer
  }

  book(): BookSummary {
    return this.#book.summary();
  }

  linearBytes(): number {
    return 0;
  }

  async dispose(): Promise<void> {}

  #handle(data: Buffer): void {
    this.#observer.arrive();
    this.bytes += data.length;
    const refusal = decodeBytes(data, 0, data.length, this.#message);
    if (refusal === undefined) {
      this.#book.take(this.#message);
      if (this.#message.kind === "bookTicker") this.#observer.ticker?.(this.#message);
    } else {
      this.refusals.refuseMessage(this.#number, refusal, excerpt(data));
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
