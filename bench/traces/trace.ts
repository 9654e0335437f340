import { basename } from "node:path";
import { MEMORY_LIMIT_BYTES } from "../drivers/workbench.js";
import { printable } from "../printable.js";
import { readUnpacked } from "../replay/recording.js";

/** A trace that is not one, or that no memory can hold, with a message that names file, line and text. */
export class TraceError extends Error {
  override readonly name = "TraceError";
}

/** The operations of a recorded program. */
export interface Trace {
  /** The file's name, without its folder. */
  readonly name: string;
  /** Blocks have ids from 0 to here, exclusive. */
  readonly ids: number;
  /** Two words an operation, as bench/assembly/drivers/replay.ts draws them. */
  readonly operations: Uint32Array;
}

/** What an operation does; the two low bits of its first word. */
export const Kind = { allocate: 0, reallocate: 1, free: 2 } as const;
export const KIND_MASK = 3;
export const ID_SHIFT = 2;
export const OPERATION_WORDS = 2;

/** What the header's lines are, in their order. Weight and bytes are numbers, and nothing else is asked of them. */
const HEADER = ["weight", "number of ids", "number of operations", "most bytes live at once"] as const;

/** So many ids and operations fit the peers' room for tables, operations and samples. */
const TRACE_LIMIT = 1 << 24;

/** More than {@link TRACE_LIMIT} lines need; below the longest text that the engine can hold. */
const TEXT_LIMIT = 1 << 28;

const EXCERPT_CHARACTERS = 60;

/** A map, since an object would also know `constructor`. */
const KINDS: ReadonlyMap<string, number> = new Map([
  ["a", Kind.allocate],
  ["r", Kind.reallocate],
  ["f", Kind.free],
]);

/**
 * Reads a trace, gzip or plain text.
 *
 * @throws {RecordingError} if the file is missing, unreadable, empty, truncated or damaged
 * @throws {TraceError} if a line is none of a trace, or no memory could hold it
 */
export function readTrace(path: string): Trace {
  const name = basename(path);
  const bytes = readUnpacked(path);
  if (bytes.length > TEXT_LIMIT) {
    throw new TraceError(`${name}: ${bytes.length} bytes of text are more than the ${TEXT_LIMIT} that can be replayed`);
  }
  return parseTrace(name, bytes.toString("latin1"));
}

/**
 * Parses the text of a trace. O(length).
 *
 * @param name what messages call the file
 * @throws {TraceError} as {@link readTrace}
 */
export function parseTrace(name: string, text: string): Trace {
  return new Parser(name, text).parse();
}

/** Where an operation stands, and how it reads: `sqlite3-wiki.rep.gz:17: a 12 4096`. Operations are counted from 0. */
export function describeOperation({ name, operations }: Trace, index: number): string {
  const word = operations[index * OPERATION_WORDS]!;
  const id = word >>> ID_SHIFT;
  const kind = word & KIND_MASK;
  const line = `${name}:${HEADER.length + index + 1}`;
  if (kind === Kind.free) return `${line}: f ${id}`;
  return `${line}: ${kind === Kind.allocate ? "a" : "r"} ${id} ${operations[index * OPERATION_WORDS + 1]}`;
}

class Parser {
  /** The line at hand, counted from 1, and where the next one begins. */
  #line = 0;
  #position = 0;
  #text = "";
  /** The first request that no memory could meet. It is told last: what is no trace at all comes before. */
  #unfit: TraceError | undefined;

  constructor(
    private readonly name: string,
    private readonly content: string,
  ) {}

  parse(): Trace {
    const [, ids, count] = HEADER.map((what) => this.#readHeader(what)) as [number, number, number, number];
    this.#checkHeader(ids, count);
    const operations = new Uint32Array(count * OPERATION_WORDS);
    const live = new Uint8Array(ids);
    let index = 0;
    for (; this.#next(); index++) {
      if (index === count) throw this.#refuse(`the header says ${count} operations, and this is one more`);
      this.#readOperation(operations, index, live);
    }
    if (index < count) {
      throw new TraceError(
        `${this.name}:${this.#line}: the file ends after ${index} operations; the header says ${count}`,
      );
    }
    if (this.#unfit !== undefined) throw this.#unfit;
    return { name: this.name, ids, operations };
  }

  #readHeader(what: (typeof HEADER)[number]): number {
    if (!this.#next()) {
      throw new TraceError(`${this.name}:${this.#line}: the file ends in its header, before the ${what}`);
    }
    return this.#number(this.#text, `the header's ${what}`);
  }

  /** What is reserved by the header's word must be within reason. */
  #checkHeader(ids: number, count: number): void {
    for (const [line, value, what] of [
      [2, ids, "ids"],
      [3, count, "operations"],
    ] as const) {
      if (value > TRACE_LIMIT) {
        throw new TraceError(
          `${this.name}:${line}: ${value} ${what} are more than the ${TRACE_LIMIT} that can be replayed`,
        );
      }
    }
  }

  #readOperation(operations: Uint32Array, index: number, live: Uint8Array): void {
    const words = this.#text.split(" ");
    const kind = KINDS.get(words[0]!);
    if (kind === undefined) throw this.#refuse("an operation is a, r or f");
    if (words.length !== (kind === Kind.free ? 2 : 3)) {
      throw this.#refuse(`the operation ${words[0]} is written ${words[0]} ID${kind === Kind.free ? "" : " BYTES"}`);
    }
    const id = this.#number(words[1]!, "the id");
    if (id >= live.length) throw this.#refuse(`the id ${id} is out of range: the header says ${live.length} ids`);
    if (kind === Kind.allocate && live[id]) throw this.#refuse(`the block ${id} is live already`);
    if (kind !== Kind.allocate && !live[id]) throw this.#refuse(`the block ${id} is not live`);
    live[id] = kind === Kind.free ? 0 : 1;
    operations[index * OPERATION_WORDS] = (id << ID_SHIFT) | kind;
    if (kind !== Kind.free) operations[index * OPERATION_WORDS + 1] = this.#readSize(words[2]!);
  }

  /** The size to ask for: as malloc, which hands out something for a size of 0 as well, a byte at the least. */
  #readSize(text: string): number {
    const size = this.#number(text, "the size");
    if (size <= MEMORY_LIMIT_BYTES) return Math.max(size, 1);
    this.#unfit ??= this.#refuse(
      `this cannot fit: ${size} bytes are asked for, and a memory has at most ${MEMORY_LIMIT_BYTES}`,
    );
    return 1;
  }

  #number(text: string, what: string): number {
    if (!/^[0-9]+$/.test(text)) throw this.#refuse(`${what} must be a whole number from 0`);
    const value = Number(text);
    if (!Number.isSafeInteger(value)) throw this.#refuse(`${what} must be at most ${Number.MAX_SAFE_INTEGER}`);
    return value;
  }

  /** Moves on to the next line; false at the end of the file. */
  #next(): boolean {
    if (this.#position >= this.content.length) return false;
    const end = this.content.indexOf("\n", this.#position);
    const stop = end < 0 ? this.content.length : end;
    // Lines may end with CRLF, as those of a feed may.
    this.#text = this.content.slice(this.#position, stop).replace(/\r$/, "");
    this.#position = stop + 1;
    this.#line++;
    return true;
  }

  #refuse(reason: string): TraceError {
    const shown = JSON.stringify(this.#text.slice(0, EXCERPT_CHARACTERS));
    const more = this.#text.length > EXCERPT_CHARACTERS ? "…" : "";
    return new TraceError(printable(`${this.name}:${this.#line}: ${reason}: ${shown}${more}`));
  }
}
