import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { gunzipSync } from "node:zlib";
import { excerpt } from "../printable.js";

/** A recording that cannot be read, with a message for the person who named the file. */
export class RecordingError extends Error {
  override readonly name = "RecordingError";
}

/** The lines of a file within its recording. */
interface RecordedFile {
  readonly name: string;
  readonly firstLine: number;
}

const NEWLINE = 10;
const SPACE = 32;
const DIGIT_ZERO = 48;
const DIGIT_NINE = 57;

/** Nanoseconds since the epoch have 19 digits until the year 2286. */
const STAMP_DIGITS_LIMIT = 20;

/** Line offsets are 32 bits wide. */
const RECORDING_BYTES_LIMIT = 2 ** 32 - 1;

/** What a socket hands over at once: 64 KiB is what a read on Linux fills when the feed is ahead of the program. */
const CHUNK_BYTES = 64 * 1024;

/**
 * A market feed in memory: the bytes of all its files, unpacked, and where each line's message starts and ends.
 *
 * Each line is `<receive time, ns> <message>`. The stamp is the recorder's, not the exchange's, so `starts` points behind
 * it. A line without a stamp is all message.
 */
export class Recording {
  /** Offset of each message's first byte. */
  readonly starts: Uint32Array;
  /** Offset behind each message's last byte; the newline does not belong to it. */
  readonly ends: Uint32Array;

  constructor(
    readonly bytes: Buffer,
    private readonly files: readonly RecordedFile[],
    lines: { starts: Uint32Array; ends: Uint32Array },
  ) {
    this.starts = lines.starts;
    this.ends = lines.ends;
  }

  get lineCount(): number {
    return this.starts.length;
  }

  /**
   * The line behind the last one that arrives together with `first`: as many whole lines as one socket read brings,
   * at least one, none at or behind `limit`. O(lines returned).
   */
  chunkEnd(first: number, limit: number): number {
    const { starts, ends } = this;
    const lastByte = starts[first]! + CHUNK_BYTES;
    let end = first + 1;
    while (end < limit && ends[end]! <= lastByte) end++;
    return end;
  }

  /** Where a line stands, as a person looks it up: `btcusdt.gz:17`. Lines of a file are counted from 1. */
  place(line: number): string {
    const file = this.files.findLast((candidate) => candidate.firstLine <= line)!;
    return `${file.name}:${line - file.firstLine + 1}`;
  }

  /**
   * Where a file begins, by the receive times of its lines, before one that is given before it has ended: a sentence for each.
   * Files without times are passed over. O(files), where lines have times.
   */
  disorder(): string[] {
    const sentences: string[] = [];
    let last: { readonly name: string; readonly stamp: bigint } | undefined;
    for (const [index, { name, firstLine }] of this.files.entries()) {
      const end = this.files[index + 1]?.firstLine ?? this.lineCount;
      const begin = this.#firstStamp(firstLine, end, 1);
      if (last !== undefined && begin !== undefined && begin < last.stamp) {
        sentences.push(`${name} begins before the end of ${last.name}, which is given before it`);
      }
      const stamp = this.#firstStamp(end - 1, firstLine - 1, -1);
      if (stamp !== undefined) last = { name, stamp };
    }
    return sentences;
  }

  /** The receive time of the first line that has one, from `from` on, before `end`. */
  #firstStamp(from: number, end: number, step: 1 | -1): bigint | undefined {
    for (let line = from; line !== end; line += step) {
      const start = this.#lineStart(line);
      const behind = this.starts[line]!;
      if (behind > start) return BigInt(this.bytes.toString("latin1", start, behind - 1));
    }
    return undefined;
  }

  #lineStart(line: number): number {
    return line === 0 ? 0 : this.ends[line - 1]! + 1;
  }

  /** The line's text from its first byte on, stamp included, shortened and with unprintable bytes made visible. */
  excerpt(line: number): string {
    return excerpt(this.bytes.subarray(this.#lineStart(line), this.ends[line]!));
  }
}

/**
 * Reads the files of one recording, in order, gzip or plain text.
 *
 * @throws {RecordingError} a file is missing, unreadable, empty, truncated or damaged, or all are too large together
 */
export function readRecording(paths: readonly string[]): Recording {
  return joinFiles(paths.map((path) => ({ name: basename(path), bytes: readUnpacked(path) })));
}

/** A recording of one file that is in memory already. */
export function recordingOf(name: string, bytes: Buffer): Recording {
  return joinFiles([{ name, bytes }]);
}

/** The bytes of a file, unpacked if it is gzip. */
export function readUnpacked(path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new RecordingError(explainUnreadable(path, error as NodeJS.ErrnoException), { cause: error });
  }
  if (bytes.length === 0) throw new RecordingError(`${path} is empty`);
  const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (!zipped && path.endsWith(".gz")) throw new RecordingError(`${path} is named .gz, but is no gzip file`);
  const text = zipped ? unzip(path, bytes) : bytes;
  if (text.length === 0) throw new RecordingError(`${path} is empty once unpacked`);
  return text;
}

function unzip(path: string, bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes);
  } catch (error) {
    throw new RecordingError(explainDamage(path, bytes.length, error as NodeJS.ErrnoException), { cause: error });
  }
}

function explainUnreadable(path: string, error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT") return `${path}: no such file`;
  if (error.code === "EISDIR") return `${path} is a folder, not a file`;
  if (error.code === "EACCES") return `${path}: reading it is not permitted`;
  return `${path} cannot be read: ${error.message}`;
}

function explainDamage(path: string, length: number, error: NodeJS.ErrnoException): string {
  if (error.code === "Z_BUF_ERROR") return `${path} is truncated: its gzip data ends early, after ${length} bytes`;
  if (error.code === "ERR_BUFFER_TOO_LARGE") return `${path} is too large once unpacked: a recording is held in memory`;
  return `${path} is damaged: ${error.message}`;
}

function joinFiles(files: readonly { name: string; bytes: Buffer }[]): Recording {
  const parts: Buffer[] = [];
  const recorded: RecordedFile[] = [];
  const index = new LineIndex();
  let offset = 0;
  for (const { name, bytes } of files) {
    recorded.push({ name, firstLine: index.length });
    // Each file but the last must end its last line, or it would run into the next file's first.
    const whole = bytes.at(-1) === NEWLINE ? bytes : Buffer.concat([bytes, Buffer.of(NEWLINE)]);
    if (offset + whole.length > RECORDING_BYTES_LIMIT) {
      throw new RecordingError(`${name}: the recording is larger than ${RECORDING_BYTES_LIMIT} bytes once unpacked`);
    }
    index.addLines(whole, offset);
    parts.push(whole);
    offset += whole.length;
  }
  return new Recording(parts.length === 1 ? parts[0]! : Buffer.concat(parts), recorded, index.finish());
}

/** Line offsets, gathered in arrays that double. */
class LineIndex {
  length = 0;
  #starts = new Uint32Array(1 << 16);
  #ends = new Uint32Array(1 << 16);

  /** Adds the lines of `bytes`, which end with a newline and will stand at `offset` in the recording. */
  addLines(bytes: Buffer, offset: number): void {
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf(NEWLINE, start);
      this.#add(offset + start + stampLength(bytes, start, end), offset + end);
      start = end + 1;
    }
  }

  finish(): { starts: Uint32Array; ends: Uint32Array } {
    return { starts: this.#starts.slice(0, this.length), ends: this.#ends.slice(0, this.length) };
  }

  #add(start: number, end: number): void {
    if (this.length === this.#starts.length) {
      this.#starts = doubled(this.#starts);
      this.#ends = doubled(this.#ends);
    }
    this.#starts[this.length] = start;
    this.#ends[this.length] = end;
    this.length++;
  }
}

function doubled(offsets: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(offsets.length * 2);
  larger.set(offsets);
  return larger;
}

/** Bytes of the receive stamp and the space behind it, or 0 where the line does not begin with one. */
function stampLength(bytes: Buffer, start: number, end: number): number {
  const limit = Math.min(end, start + STAMP_DIGITS_LIMIT + 1);
  let position = start;
  while (position < limit && bytes[position]! >= DIGIT_ZERO && bytes[position]! <= DIGIT_NINE) position++;
  return position > start && position < limit && bytes[position] === SPACE ? position + 1 - start : 0;
}
