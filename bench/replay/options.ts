import { Command, InvalidArgumentError, Option } from "commander";
import { EXIT, numberUpTo, type Output, readCommandLine, requireWritable, wholeNumber } from "../commandLine.js";
import { DEFAULT_MESSAGES, DEFAULT_SEED, MESSAGES_AT_LEAST, MESSAGES_AT_MOST } from "./generator.js";
import { MAXIMUM_MESSAGE_BYTES } from "./message.js";
import type { Assignment } from "./protocol.js";
import type { SubjectName } from "./subject.js";
import { subjects } from "./subjects.js";

/** What the command line asks for. */
export interface ReplayOptions {
  readonly feed: Assignment["feed"];
  /** Where the feed is to be served to the subjects, if it is; 0 is any port that is free. */
  readonly server: { readonly port: number } | undefined;
  readonly verify: boolean;
  readonly rate: number | undefined;
  readonly jsonFile: string | undefined;
  readonly only: SubjectName | undefined;
  readonly passes: number | undefined;
}

const RATE_AT_MOST = 10_000_000;
const PASSES_AT_MOST = 1000;

const HELP_AFTER = `
Without FILE, a generator writes the feed: snapshot, depth updates, book tickers and trades as a recorded spot feed has
them; the same seed gives the same feed.

FILE is gzip or plain text, a message a line: the receive time in nanoseconds, a space, and the JSON as received. The
files of one recording are given in their order; where one begins before another that is given before it ends, that is said.
A message that is longer than ${MAXIMUM_MESSAGE_BYTES >> 20} MiB is refused unread, wherever it comes from; above 100 MiB
it ends the connection over which it comes.

Latency is counted from the end of the message before to the message's own end, all work between two messages included;
with --rate, from the message's intended arrival, so that a stall is charged to everything behind it.

With --serve and --connect the feed is followed once, without warming up. Each WebSocket message is the JSON of one message
of the feed, without the receive time that a FILE has before it. Latency is counted from when the subject is given the
message to its end: for tidemark with the time in its queue, for plain, which has none, from the call of its handler. A
connection that is lost is asked for again, up to five times until one has lasted for five seconds; the book then waits for
a snapshot. --serve goes on where the client was, and sends one; it listens on 127.0.0.1 only, and ends with the subjects,
closing what others have connected with code 1000. --messages is the number after which --connect stops; without it, when
the server closes the connection with code 1000 or without a code.

The JavaScript heap is what is alive on it after a full collection at the end, Node itself included, the bytes of typed
arrays not. Resident memory is the most at the end of a measured pass.

The JSON file:
  { "feed": { "messages", "bytes": unpacked; with --serve and --connect, of the messages that were handled,
        "levels": in all snapshots and depth updates }, "refused": lines,
    "verified": { "compared", "equal" }: of the subject with fewer equal; without --verify 0 and 0,
    "book": { "bids", "asks": levels at the end, "bestBid", "bestAsk": [price, quantity], or null where there is none },
    "subjects": [{ "name", "messagesPerSecond", "latencyMicros": { "p50", "p99", "p999", "p9999", "max" },
        "collections": { "count", "totalMillis", "maxMillis" }, "heapBytes", "linearBytes", "residentBytes",
        with --serve and --connect also "connection": { "url", "connections", "pauses": for the handler } }] }

Exit status:
  ${EXIT.good}    all is well
  ${EXIT.wrong}    lines were refused as no messages, the subjects' books differ, or the verification failed
  ${EXIT.unusable}    an option is bad, a file cannot be read, a server cannot be reached (again) by a subject, a port cannot be
       had, or the JSON file cannot be written
  ${EXIT.failed}    a subject's process failed
  ${EXIT.interrupted}  interrupted (Ctrl-C); ${EXIT.terminated} terminated

Examples:
  npm start
  npm start -- day1.gz day2.gz --verify
  npm start -- --rate 50000 --json result.json
  npm start -- day1.gz day2.gz --serve --verify
  npm start -- --connect ws://127.0.0.1:9000/ --messages 100000`;

interface RawOptions {
  verify?: boolean;
  rate?: number;
  json?: string;
  only?: SubjectName;
  seed?: number;
  messages?: number;
  passes?: number;
  serve?: number | true;
  connect?: string;
}

/**
 * Reads the command line, without the program's own name.
 *
 * @throws {CommandLineEnd} after help or a message has been written
 */
export function parseOptions(words: readonly string[], write: Output): ReplayOptions {
  return readCommandLine(buildCommand(), words, write, (command) => {
    const raw = command.opts<RawOptions>();
    const conflict = conflictOf(raw, command.args.length > 0);
    if (conflict !== undefined) command.error(`error: ${conflict}`);
    if (raw.json !== undefined) requireWritable(command, raw.json, command.args);
    return {
      feed: feedOf(raw, command.args),
      server: raw.serve === undefined ? undefined : { port: raw.serve === true ? 0 : raw.serve },
      verify: raw.verify ?? false,
      rate: raw.rate,
      jsonFile: raw.json,
      // What another server sends is its own affair: it need not be the same for a second subject.
      only: raw.only ?? (raw.connect === undefined ? undefined : "tidemark"),
      passes: raw.passes,
    };
  });
}

function feedOf({ connect, seed, messages }: RawOptions, files: readonly string[]): ReplayOptions["feed"] {
  if (connect !== undefined) return { url: connect, limit: messages };
  if (files.length > 0) return { files };
  return { generated: { seed: seed ?? DEFAULT_SEED, messages: messages ?? DEFAULT_MESSAGES } };
}

/** What does not go together, if anything. */
function conflictOf(raw: RawOptions, hasFiles: boolean): string | undefined {
  const { connect, serve, seed, messages, passes, rate } = raw;
  if (hasFiles && (seed !== undefined || (messages !== undefined && connect === undefined))) {
    return "--seed and --messages are for a generated feed, not for FILE";
  }
  if ((connect !== undefined || serve !== undefined) && passes !== undefined) {
    return "--passes is for a feed in memory: over a connection it is followed once";
  }
  if (connect === undefined) return undefined;
  if (hasFiles || seed !== undefined || serve !== undefined) return "--connect brings its own feed, and its own server";
  return rate === undefined ? undefined : "--rate is for whoever serves the feed";
}

function buildCommand(): Command {
  return new Command("npm start --")
    .description(
      "Replays a market feed through Tidemark's event loop and through a plain TypeScript handler, each in a process of " +
        "its own, one after the other, and compares them.",
    )
    .argument("[FILE...]", "recordings to replay instead of a generated feed")
    .option(
      "--verify",
      "hold the rebuilt best prices and quantities against the feed's own bookTicker; fails if more than 0.1 % differ",
    )
    .option(
      "--rate <N>",
      "play open loop, N messages per second, instead of as fast as it goes",
      numberUpTo(RATE_AT_MOST),
    )
    .option("--json <FILE>", "write the result as JSON")
    .option("--seed <N>", `seed of the generated feed (default: ${DEFAULT_SEED})`, wholeNumber(0, 2 ** 32 - 1))
    .option(
      "--messages <N>",
      `length of the generated feed (default: ${DEFAULT_MESSAGES})`,
      wholeNumber(MESSAGES_AT_LEAST, MESSAGES_AT_MOST),
    )
    .option(
      "--passes <N>",
      "measured passes over the feed (default: enough for 800,000 messages; with --rate: one)",
      wholeNumber(1, PASSES_AT_MOST),
    )
    .option(
      "--serve [PORT]",
      "play the feed over a WebSocket on this machine, and have the subjects connect to it (default port: any)",
      wholeNumber(0, 65_535, "A FILE comes before --serve, or after its PORT."),
    )
    .option(
      "--connect <URL>",
      "follow a feed from a WebSocket server (by default with the tidemark subject only)",
      webSocketUrl,
    )
    .addOption(new Option("--only <SUBJECT>", "run one subject alone").choices(Object.keys(subjects)))
    .addHelpText("after", HELP_AFTER)
    .showHelpAfterError("(--help tells what there is)")
    .exitOverride();
}

function webSocketUrl(text: string): string {
  if (URL.canParse(text) && /^wss?:$/.test(new URL(text).protocol) && !text.includes("#")) return text;
  throw new InvalidArgumentError("It must be a URL that begins with ws:// or wss://, without a fragment.");
}
