import { writeFileSync } from "node:fs";
import { SingleBar } from "cli-progress";
import { CommandLineEnd, EXIT } from "../commandLine.js";
import { printable } from "../printable.js";
import { RecordingError } from "../replay/recording.js";
import type { Output } from "../replay/replay.js";
import { parseOptions, type TraceOptions } from "./options.js";
import type { AllocatorResult, ReplayResult, TraceResult } from "./result.js";
import { AllocatorFailure, runAllocator } from "./runAllocator.js";
import { renderTable } from "./table.js";
import { OPERATION_WORDS, readTrace, type Trace, TraceError } from "./trace.js";

interface ReadTrace {
  readonly file: string;
  readonly trace: Trace;
}

/**
 * The whole program but for the process around it.
 *
 * @param words the command line without the program's name
 * @param signal aborted with an exit status as its reason, ends the allocators' processes
 * @returns the exit status, as `--help` describes it
 */
export async function replayTraces(words: readonly string[], output: Output, signal: AbortSignal): Promise<number> {
  try {
    const options = parseOptions(words, output);
    for (const { allocator, reason } of options.absent) output.error(`*** LEFT OUT: ${allocator}: ${reason} ***\n`);
    const { traces, refused } = readTraces(options.files, output);
    const results = await runAll(traces, options, output, signal);
    return conclude({ traces: results, refused, absent: options.absent }, options, output);
  } catch (error) {
    if (error instanceof CommandLineEnd) return error.status;
    if (signal.aborted) return signal.reason as number;
    if (error instanceof RecordingError || error instanceof AllocatorFailure) {
      output.error(`error: ${printable(error.message)}\n`);
      return error instanceof RecordingError ? EXIT.unusable : EXIT.failed;
    }
    throw error;
  }
}

/** Before anything is replayed, so that a bad name is told at once. */
function readTraces(files: readonly string[], output: Output) {
  const traces: ReadTrace[] = [];
  const refused: ReplayResult["refused"][number][] = [];
  for (const file of files) {
    try {
      traces.push({ file, trace: readTrace(file) });
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      refused.push({ file, reason: error.message });
      output.error(`refused: ${error.message}\n`);
    }
  }
  return { traces, refused };
}

/** One after the other: at the same time, they would take each other's processor and memory bandwidth. */
async function runAll(
  traces: readonly ReadTrace[],
  { runs, integrity }: TraceOptions,
  output: Output,
  signal: AbortSignal,
): Promise<TraceResult[]> {
  const bar = openBar(traces.length * runs.length, output.terminal);
  const results: TraceResult[] = [];
  try {
    for (const { file, trace } of traces) {
      const allocators: AllocatorResult[] = [];
      for (const { strategy, debug } of runs) {
        bar?.update({ label: `${trace.name}: ${strategy}` });
        const report = await runAllocator({ trace, strategy, debug, integrity }, signal);
        allocators.push({ allocator: strategy, debug, ...report });
        bar?.increment();
      }
      results.push({ file, ids: trace.ids, operations: trace.operations.length / OPERATION_WORDS, allocators });
    }
  } finally {
    bar?.stop();
  }
  return results;
}

function openBar(total: number, terminal: NodeJS.WritableStream | undefined): SingleBar | undefined {
  if (terminal === undefined || total === 0) return undefined;
  const format = "{bar} {value}/{total} {label}";
  const bar = new SingleBar({ format, stream: terminal, clearOnComplete: true, hideCursor: true });
  bar.start(total, 0, { label: "" });
  return bar;
}

/** Tells the outcome and decides the exit status. */
function conclude(result: ReplayResult, { jsonFile }: TraceOptions, output: Output): number {
  if (result.traces.length > 0) output.out(`${renderTable(result.traces)}\n`);
  for (const { allocator, reason } of result.absent) output.out(`left out: ${allocator}: ${reason}\n`);
  const faults = result.traces.flatMap(({ allocators }) => allocators.filter(({ fault }) => fault !== null));
  for (const { allocator, fault } of faults) output.error(`wrong: ${allocator}: ${fault}\n`);
  if (jsonFile !== undefined) {
    try {
      writeFileSync(jsonFile, `${JSON.stringify(result, null, 2)}\n`);
    } catch (error) {
      output.error(`error: ${printable(`--json ${jsonFile}: ${(error as Error).message}`)}\n`);
      return EXIT.unusable;
    }
  }
  return faults.length + result.refused.length > 0 ? EXIT.wrong : EXIT.good;
}
