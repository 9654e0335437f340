import { writeFileSync } from "node:fs";
import { Presets, SingleBar } from "cli-progress";
import { CommandLineEnd, EXIT } from "../commandLine.js";
import { printable } from "../printable.js";
import { ConnectionFailure } from "./connectionFailure.js";
import { type FeedSource, loadFeed } from "./feed.js";
import { FeedServer, FeedServerError } from "./feedServer.js";
import type { SubjectReport } from "./measure.js";
import { parseOptions, type ReplayOptions } from "./options.js";
import type { Assignment } from "./protocol.js";
import { RecordingError } from "./recording.js";
import { findFaults, toResult } from "./result.js";
import { type RunProgress, runSubject, SubjectFailure } from "./runSubject.js";
import type { SubjectName } from "./subject.js";
import { subjects } from "./subjects.js";
import { renderTable } from "./table.js";

/** Where the program writes. */
export interface Output {
  out(text: string): void;
  error(text: string): void;
  /** A terminal for the progress bar; absent where there is none. */
  readonly terminal?: NodeJS.WritableStream | undefined;
}

/** Writes whole lines, and nothing in them that a terminal would obey: files, URLs and peers bring what they like. */
class Lines {
  readonly terminal: Output["terminal"];

  constructor(private readonly output: Output) {
    this.terminal = output.terminal;
  }

  out(line: string): void {
    this.output.out(`${printable(line)}\n`);
  }

  error(line: string): void {
    this.output.error(`${printable(line)}\n`);
  }
}

/**
 * The whole program but for the process around it.
 *
 * @param words the command line without the program's name
 * @param signal aborted with an exit status as its reason, ends the subjects' processes
 * @returns the exit status, as `--help` describes it
 */
export async function replay(words: readonly string[], output: Output, signal: AbortSignal): Promise<number> {
  const lines = new Lines(output);
  try {
    const options = parseOptions(words, output);
    const { reports, isComplete } =
      options.server === undefined
        ? await runSubjects(options, (_) => options.feed, lines, signal)
        : await serve(options, options.server, lines, signal);
    const status = reports.length === 0 ? EXIT.unusable : conclude(reports, options, lines);
    return isComplete ? status : EXIT.unusable;
  } catch (error) {
    if (error instanceof CommandLineEnd) return error.status;
    if (signal.aborted) return signal.reason as number;
    if (error instanceof RecordingError || error instanceof FeedServerError) {
      lines.error(`error: ${error.message}`);
      return EXIT.unusable;
    }
    if (error instanceof SubjectFailure) {
      lines.error(`error: ${error.message}`);
      return EXIT.failed;
    }
    throw error;
  }
}

/** Plays the feed to the subjects over a WebSocket, for as long as they run. */
async function serve(
  options: ReplayOptions,
  { port }: { readonly port: number },
  lines: Lines,
  signal: AbortSignal,
): Promise<Outcome> {
  const recording = await loadFeed(options.feed as FeedSource);
  const server = await FeedServer.open(recording, { port, rate: options.rate });
  try {
    const expected = recording.lineCount;
    const outcome = await runSubjects(options, (name) => ({ url: server.url(name), expected }), lines, signal);
    const disorder = recording.disorder();
    return { ...outcome, reports: outcome.reports.map((report) => ({ ...report, disorder })) };
  } finally {
    await server.close();
  }
}

/** What the subjects have told. */
interface Outcome {
  readonly reports: readonly SubjectReport[];
  /** False if one of them had no connection, or none any more; that has been said. */
  readonly isComplete: boolean;
}

/** One after the other: at the same time, they would take each other's processor and memory bandwidth. */
async function runSubjects(
  options: ReplayOptions,
  feedOf: (name: SubjectName) => Assignment["feed"],
  lines: Lines,
  signal: AbortSignal,
): Promise<Outcome> {
  const names = (Object.keys(subjects) as SubjectName[]).filter((name) => (options.only ?? name) === name);
  const reports: SubjectReport[] = [];
  for (const name of names) {
    const bar = openBar(name, lines.terminal);
    try {
      const assignment = {
        subject: name,
        feed: feedOf(name),
        options: { verify: options.verify, rate: options.rate, passes: options.passes },
        tellsProgress: bar !== undefined,
      };
      const notice = (text: string) => lines.error(`note: ${text}`);
      reports.push(await runSubject(assignment, signal, { progress: bar?.progress ?? (() => {}), notice }));
    } catch (error) {
      // What one could not have, as another's client was in its place, the other may have had or may still have.
      if (!(error instanceof ConnectionFailure)) throw error;
      lines.error(`error: ${error.message}`);
    } finally {
      bar?.close();
    }
  }
  return { reports, isComplete: reports.length === names.length };
}

function openBar(
  name: SubjectName,
  terminal: NodeJS.WritableStream | undefined,
): { progress: RunProgress; close(): void } | undefined {
  if (terminal === undefined) return undefined;
  const format = "{subject} {bar} {percentage} % of {stage}";
  const bar = new SingleBar({ format, stream: terminal, clearOnComplete: true, hideCursor: true }, Presets.shades_grey);
  bar.start(1, 0, { subject: name.padEnd("tidemark".length), stage: "loading" });
  return {
    progress: (stage, share) => bar.update(share, { stage }),
    close: () => bar.stop(),
  };
}

/** Tells the outcome and decides the exit status. */
function conclude(reports: readonly SubjectReport[], options: ReplayOptions, lines: Lines): number {
  const result = toResult(reports);
  const { messages, bytes, levels } = result.feed;
  lines.out(`${count(messages)} messages, ${count(bytes)} bytes, ${count(levels)} levels`);
  for (const line of renderTable(reports).split("\n")) lines.out(line);
  for (const sentence of reports[0]!.disorder) lines.out(`not in order: ${sentence}`);
  describeProblems(reports, options, lines);
  const faults = findFaults(reports);
  for (const fault of faults) lines.error(`wrong: ${fault}`);
  if (options.jsonFile !== undefined) {
    try {
      writeFileSync(options.jsonFile, `${JSON.stringify(result, null, 2)}\n`);
    } catch (error) {
      lines.error(`error: --json ${options.jsonFile}: ${(error as Error).message}`);
      return EXIT.unusable;
    }
  }
  return faults.length > 0 ? EXIT.wrong : EXIT.good;
}

function describeProblems(reports: readonly SubjectReport[], { feed }: ReplayOptions, lines: Lines): void {
  const { book, refused, disorder } = reports[0]!;
  for (const { place, reason, text } of refused.first) lines.error(`refused: ${place}: ${reason}: ${text}`);
  if (refused.count > refused.first.length) {
    lines.error(`refused: ${count(refused.count - refused.first.length)} more`);
  }
  for (const { name, connection } of reports) {
    if (connection === undefined) continue;
    const { url, connections, pauses } = connection;
    const what = connections === 1 ? "one connection" : `${connections} connections`;
    lines.out(`${name}: ${what} to ${url}, held up ${count(pauses)} times by the handler`);
  }
  if (book.counters.snapshots === 0) {
    const question = "files" in feed && disorder.length === 0 ? ": are its files given in their order?" : "";
    lines.error(`note: the feed has no snapshot, so its book stays empty${question}`);
  }
  for (const sentence of disorder) lines.error(`note: ${sentence}: are the files given in their order?`);
  for (const { name, verification } of reports) {
    for (const { comparison, updateId, tickerId, rebuilt, ticker } of verification?.differences ?? []) {
      lines.error(
        `differs: ${name}, comparison ${count(comparison)}, update ${updateId}: the book has ${rebuilt.join(" ")}, ` +
          `bookTicker ${tickerId} has ${ticker.join(" ")}`,
      );
    }
  }
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
