import { Command, Option } from "commander";
import { EXIT, type Output, readCommandLine, requireWritable } from "../commandLine.js";
import { absenceOf, isPeer, type StrategyName } from "../drivers/workbench.js";

/** The allocators that can replay a trace, in the order of the report. */
export const ALLOCATORS: readonly StrategyName[] = ["heap", "arena", "pool", "tlsf", "dlmalloc"];

/** What the command line asks for. */
export interface TraceOptions {
  readonly files: readonly string[];
  readonly runs: readonly { readonly strategy: StrategyName; readonly debug: boolean }[];
  /** What was asked for by `all` and cannot be had here. */
  readonly absent: readonly { readonly allocator: StrategyName; readonly reason: string }[];
  readonly integrity: boolean;
  readonly jsonFile: string | undefined;
}

const HELP_AFTER = `
TRACE is gzip or plain text: four header lines (weight, number of ids, number of operations, most bytes live at once),
then an operation a line: "a ID BYTES" allocates, "r ID BYTES" reallocates, "f ID" frees. Lines end with LF or CRLF. Sizes
are as the program asked for them; a size of 0 counts as 1. Nothing of it is replayed unless all of it is well-formed. Of
the header, that means: four whole numbers, as many operations as it says, and no id that is not below its number of ids.
The weight and the most bytes live are not compared with anything; what is reported is found in the replay.

Allocators, each inside wasm and in a process of its own, the drivers compiled together with it:
  heap      Tidemark's byte heap
  arena     Tidemark's arena: a free does nothing, a reallocation is a new block
  pool      Tidemark's pools, one for each of forty sizes (16 B apart up to 128 B, then four to each doubling, up to
            32 KiB); what is larger has a run of pages of its own
  tlsf      AssemblyScript's own
  dlmalloc  wasi-libc's, compiled where clang and wasi-libc are installed

The columns:
  operations/s    the median of 3 rounds over warm memory; freeing what the trace leaves behind is not counted, nor is the
                  reset of an arena, which clears what the trace has used
  p50 … max       nanoseconds of one operation. Each is timed once, in one of 7 passes, through a clock that is imported;
                  what such a sample costs is in it, and is measured with samples of nothing (column "sample")
  live, taken     the most payload bytes that were live, and the most bytes that the allocator had taken from below
                  (whole pages; of an arena its blocks; of the peers, which have a memory of their own, all of it behind
                  the base of their heap) in the first pass, looked at after every operation
  utilisation     peak live ÷ peak taken
  fragmentation   1 − live ÷ taken behind the last operation, before anything that is left over is freed
  integrity       "ok": in a pass of its own, every byte of every block was written, as a function of the block's id and
                  the byte's position, and found again at each reallocation, at the free, and at the end; so no two
                  blocks overlap. Every address is a multiple of 8.

The JSON file:
  { "traces": [{ "file", "ids", "operations", "allocators": [{
        "allocator", "debug": whether it is the debug module,
        "operationsPerSecond", "latencyNanos": { "p50", "p99", "p999", "p9999", "max" }, "samplingNanos": the same,
        "peakLiveBytes", "peakTakenBytes", "utilisation", "fragmentation": shares from 0 to 1,
        "intact": true, false, or null where nobody looked, "fault": a sentence or null }] }],
    "refused": [{ "file", "reason" }], "absent": [{ "allocator", "reason" }] }
Where a fault ended a replay before it was timed, the rate and the times are null.

Exit status:
  ${EXIT.good}    all is well
  ${EXIT.wrong}    a trace was refused or did not fit memory, or an allocator broke a block
  ${EXIT.unusable}    an option is bad, a file cannot be read, or the JSON file cannot be written
  ${EXIT.failed}    an allocator's process failed
  ${EXIT.interrupted}  interrupted (Ctrl-C); ${EXIT.terminated} terminated

Examples:
  npm run replay -- sqlite3.rep.gz
  npm run replay -- *.rep.gz --allocator heap --debug --json result.json`;

interface RawOptions {
  allocator: StrategyName | "all";
  debug?: boolean;
  integrity: boolean;
  json?: string;
}

/**
 * Reads the command line, without the program's own name.
 *
 * @throws {CommandLineEnd} after help or a message has been written
 */
export function parseOptions(words: readonly string[], write: Output): TraceOptions {
  return readCommandLine(buildCommand(), words, write, (command) => {
    const raw = command.opts<RawOptions>();
    const names = raw.allocator === "all" ? ALLOCATORS : [raw.allocator];
    const absent = names.flatMap((allocator) => {
      const reason = absenceOf(allocator);
      return reason === undefined ? [] : [{ allocator, reason }];
    });
    if (raw.allocator !== "all" && absent.length > 0) {
      command.error(`error: --allocator ${raw.allocator}: ${absent[0]!.reason}`);
    }
    if (raw.json !== undefined) requireWritable(command, raw.json, command.args);
    const here = names.filter((name) => absenceOf(name) === undefined);
    return {
      files: command.args,
      runs: here.flatMap((strategy) => [
        { strategy, debug: false },
        ...(raw.debug && !isPeer(strategy) ? [{ strategy, debug: true }] : []),
      ]),
      absent,
      integrity: raw.integrity,
      jsonFile: raw.json,
    };
  });
}

function buildCommand(): Command {
  return new Command("npm run replay --")
    .description("Replays recorded allocations through allocators inside wasm, and compares their speed and memory.")
    .argument("<TRACE...>", "the traces to replay")
    .addOption(new Option("--allocator <NAME>", "one allocator alone").choices([...ALLOCATORS, "all"]).default("all"))
    .option("--debug", "replay through the debug module, too, where the allocator is Tidemark's")
    .option("--no-integrity", "do not fill and check the blocks")
    .option("--json <FILE>", "write the result as JSON")
    .addHelpText("after", HELP_AFTER)
    .showHelpAfterError("(--help tells what there is)")
    .exitOverride();
}
