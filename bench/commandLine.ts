import { accessSync, closeSync, constants, existsSync, openSync, readSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { type Command, CommanderError, InvalidArgumentError } from "commander";
import { printable } from "./printable.js";

/**
 * The program ends here: help was asked for (status 0), an option is bad (status 2), or it was interrupted (130, 143). All has been
 * said.
 */
export class CommandLineEnd extends Error {
  constructor(readonly status: number) {
    super(`the command line ends with status ${status}`);
  }
}

export const EXIT = {
  good: 0,
  wrong: 1,
  unusable: 2,
  failed: 3,
  interrupted: 130,
  unread: 141,
  terminated: 143,
} as const;

/**
 * What it means that `signal` has ended a process which this one has started; undefined if that is a failure. Ctrl-C, and whoever
 * else ends a process group, reaches both, and this one may be told of its own signal later than of the other's end.
 */
export function endBy(signal: NodeJS.Signals | null): CommandLineEnd | undefined {
  if (signal === "SIGINT") return new CommandLineEnd(EXIT.interrupted);
  return signal === "SIGTERM" ? new CommandLineEnd(EXIT.terminated) : undefined;
}

/** Where a program writes. */
export interface Output {
  out(text: string): void;
  error(text: string): void;
}

/** The process's own. */
export const processOutput: Output = {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
};

/**
 * Parses the command line, without the program's own name, and has `read` make of it what the program takes.
 *
 * @throws {CommandLineEnd} after help or a message has been written
 */
export function readCommandLine<Options>(
  program: Command,
  words: readonly string[],
  write: Output,
  read: (command: Command) => Options,
): Options {
  const command = program.configureOutput({ writeOut: write.out, writeErr: (text) => write.error(visible(text)) });
  try {
    command.parse([...words], { from: "user" });
    return read(command);
  } catch (error) {
    if (error instanceof CommanderError) throw new CommandLineEnd(error.exitCode === 0 ? EXIT.good : EXIT.unusable);
    throw error;
  }
}

/** Lines that may repeat what was given, which may be anything. */
function visible(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/** {@link readCommandLine} of this process's own command line; where that ends, the process does. */
export function readOwnCommandLine<Options>(program: Command, read: (command: Command) => Options): Options {
  const command = program.showHelpAfterError("(--help tells what there is)").exitOverride();
  try {
    return readCommandLine(command, process.argv.slice(2), processOutput, read);
  } catch (error) {
    if (error instanceof CommandLineEnd) process.exit(error.status);
    throw error;
  }
}

/** Reads an option's value; `advice`, a sentence, is for whoever has given something else. */
export function wholeNumber(least: number, most: number, advice?: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    const range = `It must be a whole number from ${least} to ${most}.`;
    throw new InvalidArgumentError(advice === undefined ? range : `${range} ${advice}`);
  };
}

/** Reads an option's value: a number above 0. */
export function numberUpTo(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (value > 0 && value <= most) return value;
    throw new InvalidArgumentError(`It must be a number above 0, at most ${most}.`);
  };
}

/**
 * Has the program end at once when nobody reads what it writes any more (`| head`), as others do that the signal ends; and
 * with a line where what it writes cannot be had, on a full disk.
 */
export function endWithItsReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(EXIT.unread);
      if (stream === process.stdout) process.stderr.write(`error: the output cannot be written: ${error.message}\n`);
      process.exit(EXIT.unusable);
    });
  }
}

/**
 * Ends the command line if a result cannot be written to `path`, or would replace something else than an older result: better
 * before a long run than after it.
 *
 * @param inputs the files that the program is to read
 */
export function requireWritable(command: Command, path: string, inputs: readonly string[] = []): void {
  if (path === "") command.error("error: --json takes the path of a file, and was given none");
  const refuse = (reason: string) => command.error(`error: --json ${path}: ${reason}`);
  const isThere = existsSync(path);
  try {
    accessSync(isThere ? path : dirname(path), constants.W_OK);
  } catch {
    refuse(isThere ? "this is not writable" : `the folder ${dirname(path)} is missing or not writable`);
  }
  if (!isThere) return;
  const kind = statSync(path);
  if (kind.isDirectory()) refuse("this is a folder");
  const input = inputs.find((other) => isSameFile(path, other));
  if (input !== undefined) refuse(`this is ${input}, which is to be read, and would be overwritten`);
  // What is no regular file keeps nothing that could be overwritten, and may wait for ever for its reader.
  if (kind.isFile() && !mayBeResult(path)) refuse("this file is there, and is no JSON result; it is not overwritten");
}

/** By whatever name, link or path. */
function isSameFile(path: string, other: string): boolean {
  const [one, two] = [path, other].map((name) => statSync(name, { bigint: true, throwIfNoEntry: false }));
  return one !== undefined && two !== undefined && one.dev === two.dev && one.ino === two.ino;
}

/** Enough to see how a text begins. */
const BEGINNING_BYTES = 4096;

/** Whether a file is empty, or begins as a JSON object does; of one that cannot be read nobody knows. */
function mayBeResult(path: string): boolean {
  try {
    const file = openSync(path, "r");
    try {
      const bytes = Buffer.alloc(BEGINNING_BYTES);
      return /^\s*(\{|$)/.test(bytes.toString("latin1", 0, readSync(file, bytes)));
    } finally {
      closeSync(file);
    }
  } catch {
    return false;
  }
}
