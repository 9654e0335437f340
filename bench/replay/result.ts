import type { ConnectionReport, SubjectReport } from "./measure.js";
import { isVerified } from "./oracle.js";
import type { BookSummary, SubjectName } from "./subject.js";

/** The outcome of a replay, as `--json` writes it. */
export interface ReplayResult {
  /**
   * Lines that are messages; bytes of the unpacked feed, or over a connection of all messages that were handled; levels in its
   * snapshots and depth updates together.
   */
  readonly feed: { readonly messages: number; readonly bytes: number; readonly levels: number };
  /** Lines that are no messages. */
  readonly refused: number;
  /** Zero and zero without `--verify`; of two subjects, the one with fewer equal. */
  readonly verified: { readonly compared: number; readonly equal: number };
  /** Number of levels a side at the end, and the best of each; `null` where a side is empty. */
  readonly book: {
    readonly bids: number;
    readonly asks: number;
    readonly bestBid: readonly [number, number] | null;
    readonly bestAsk: readonly [number, number] | null;
  };
  readonly subjects: readonly SubjectResult[];
}

export interface SubjectResult {
  readonly name: SubjectName;
  readonly messagesPerSecond: number;
  readonly latencyMicros: {
    readonly p50: number;
    readonly p99: number;
    readonly p999: number;
    readonly p9999: number;
    readonly max: number;
  };
  readonly collections: { readonly count: number; readonly totalMillis: number; readonly maxMillis: number };
  /** Alive after a full collection at the end of the measuring. */
  readonly heapBytes: number;
  readonly linearBytes: number;
  /** The most at the end of a measured pass. */
  readonly residentBytes: number;
  /** With `--serve` and `--connect` only. */
  readonly connection?: ConnectionReport;
}

/** Puts the reports, at least one, together. */
export function toResult(reports: readonly SubjectReport[]): ReplayResult {
  const { book, feedBytes, refused } = reports[0]!;
  const verifications = reports.map(({ verification }) => verification ?? { compared: 0, equal: 0 });
  const { compared, equal } = verifications.reduce((worst, other) => (other.equal < worst.equal ? other : worst));
  return {
    feed: { messages: book.counters.messages, bytes: feedBytes, levels: book.counters.levels },
    refused: refused.count,
    verified: { compared, equal },
    book: {
      bids: book.bids.length / 2,
      asks: book.asks.length / 2,
      bestBid: best(book.bids),
      bestAsk: best(book.asks),
    },
    subjects: reports.map((report) => ({
      name: report.name,
      messagesPerSecond: report.messagesPerSecond,
      latencyMicros: report.latencyMicros,
      collections: report.collections,
      heapBytes: report.heapBytes,
      linearBytes: report.linearBytes,
      residentBytes: report.residentBytes,
      ...(report.connection && { connection: report.connection }),
    })),
  };
}

function best(rows: readonly number[]): [number, number] | null {
  return rows.length === 0 ? null : [rows[0]!, rows[1]!];
}

/** What is wrong with the outcome, a sentence each; none if all is well. */
export function findFaults(reports: readonly SubjectReport[]): string[] {
  const faults: string[] = [];
  for (const { name, verification, disorder } of reports) {
    if (verification === null || isVerified(verification)) continue;
    const { compared, equal } = verification;
    faults.push(
      compared === 0
        ? `${name}: nothing could be verified, as no depth update could be held against a bookTicker`
        : `${name}: ${compared - equal} of ${compared} best prices differ from the feed's own bookTicker` +
            (disorder.length === 0 ? "" : "; its files are not in the order of their times"),
    );
  }
  const refused = reports[0]!.refused.count;
  if (refused > 0) faults.push(`${refused} ${refused === 1 ? "line is no message" : "lines are no messages"}`);
  const [one, other] = reports;
  if (one !== undefined && other !== undefined) faults.push(...compareReports(one, other));
  return faults;
}

/** Where two subjects disagree on the feed or on the book at its end. */
function compareReports(one: SubjectReport, other: SubjectReport): string[] {
  const names = `${one.name} and ${other.name}`;
  const faults: string[] = [];
  if (one.refused.count !== other.refused.count) {
    faults.push(`${names} refuse ${one.refused.count} and ${other.refused.count} lines`);
  }
  // What was sent while there was no connection, only one of them has missed.
  const isWhole = [one, other].every(({ connection }) => (connection?.connections ?? 1) === 1);
  const counters = isWhole ? (Object.keys(one.book.counters) as (keyof BookSummary["counters"])[]) : [];
  for (const counter of counters) {
    const [value, otherValue] = [one.book.counters[counter], other.book.counters[counter]];
    if (value !== otherValue) faults.push(`${names} count ${value} and ${otherValue} ${counter}`);
  }
  if (one.book.ticker?.join(" ") !== other.book.ticker?.join(" ")) {
    faults.push(`${names} end with the tickers ${one.book.ticker?.join(" ")} and ${other.book.ticker?.join(" ")}`);
  }
  for (const side of ["bids", "asks"] as const) {
    const difference = compareRows(one.book[side], other.book[side]);
    if (difference !== undefined) faults.push(`the ${side} of ${names} differ: ${difference}`);
  }
  return faults;
}

function compareRows(rows: readonly number[], others: readonly number[]): string | undefined {
  const length = Math.max(rows.length, others.length);
  for (let index = 0; index < length; index += 2) {
    if (rows[index] === others[index] && rows[index + 1] === others[index + 1]) continue;
    return (
      `${rows.length / 2} and ${others.length / 2} levels; the first that differs is level ${index / 2 + 1}, ` +
      `${describeLevel(rows, index)} and ${describeLevel(others, index)}`
    );
  }
  return undefined;
}

function describeLevel(rows: readonly number[], index: number): string {
  return index < rows.length ? `${rows[index + 1]} at ${rows[index]}` : "none";
}
