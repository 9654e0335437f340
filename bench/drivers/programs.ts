/** The programs that collectors are put to work with; see bench/assembly/programs/program.ts. */

import { binaryTrees } from "./programs/binaryTrees.js";
import { boehm } from "./programs/boehm.js";
import { cells } from "./programs/cells.js";
import { cliques } from "./programs/cliques.js";
import { density } from "./programs/density.js";
import { graph } from "./programs/graph.js";
import { list } from "./programs/list.js";
import type { PlainResult } from "./programs/program.js";
import { quads } from "./programs/quads.js";
import { requests } from "./programs/requests.js";
import { rings } from "./programs/rings.js";
import type { Workbench } from "./workbench.js";

/** A program that plain objects of JavaScript run, and how the same is asked of a module. */
interface Program<Parameters extends object> {
  /** In bench/assembly/programs/run.ts. */
  readonly number: number;
  /** The order of the parameters in the program's record, behind those of all programs and the seed. */
  readonly order: readonly Exclude<keyof Parameters, "seed">[];
  /** The same with plain objects, under the collector of the engine. */
  readonly plainly: (parameters: Parameters) => PlainResult;
}

const program = <Parameters extends object>(
  number: number,
  order: Program<Parameters>["order"],
  plainly: (parameters: Parameters) => PlainResult,
): Program<Parameters> => ({ number, order, plainly });

export const programs = {
  binaryTrees: program(0, ["depth"], binaryTrees),
  boehm: program(1, ["stretchDepth", "longLivedDepth", "maximumDepth", "arrayLength"], boehm),
  list: program(2, ["length", "perEvent", "rounds"], list),
  quads: program(3, ["longLivedDepth", "shortLivedDepth", "live", "events"], quads),
  rings: program(4, ["members", "live", "events"], rings),
  cliques: program(5, ["members", "live", "events"], cliques),
  graph: program(6, ["roots", "events", "operationsPerEvent"], graph),
  requests: program(7, ["events", "beside"], requests),
  cells: program(8, ["length", "events", "perEvent", "passes"], cells),
  density: program(9, ["length"], density),
} as const;

export type ProgramName = keyof typeof programs;
export type ParametersOf<Name extends ProgramName> = Parameters<(typeof programs)[Name]["plainly"]>[0];

/** A program and what it is told. */
export type Job = {
  [Name in ProgramName]: { readonly program: Name; readonly parameters: ParametersOf<Name> };
}[ProgramName];

/** What the heap has done meanwhile. */
export interface ProgramOutcome extends PlainResult {
  /** Ends of events, or collections of AssemblyScript's minimal runtime, at which there was something to do. */
  readonly steps: number;
  readonly units: number;
  readonly longestUnits: number;
  /** The longest time that the heap took at once, in milliseconds; 0 if it was not timed. */
  readonly longestMillis: number;
  /** Of `density`: the bytes from its lowest object to its highest. */
  readonly span: number;
  /** Of `cells`: as `longestMillis`, while the array is filled. */
  readonly fillMillis: number;
}

export interface RunOptions {
  /** Read the clock about each step (and, for `cells`, each allocation). */
  readonly timed?: boolean;
  /** For AssemblyScript's minimal runtime: collect when so many objects have been made. Default: never. */
  readonly collectAfter?: number;
}

/** The words of a program's record. */
const TIMED = 0;
const STEPS = 1;
const LONGEST_UNITS = 2;
const MADE = 3;
const LONGEST_MILLIS_BYTES = 16;
const UNITS_BYTES = 24;
const COLLECT_AFTER = 8;
const SEED = 9;
const SPAN = 12;
const FILL_MILLIS_BYTES = 56;
const PARAMETERS = 16;
/** Some programs keep words of their own behind their parameters. */
const WORDS = 24;

/** Prepares a job for a heap in wasm; each call of what is returned does it once, and leaves nothing but garbage. */
export function prepareProgram(workbench: Workbench, job: Job, options: RunOptions = {}): () => ProgramOutcome {
  const { number, order } = programs[job.program];
  const parameters = job.parameters as unknown as Readonly<Record<string, number>>;
  const record = workbench.place(WORDS);
  const words = workbench.words(record, WORDS);
  words[TIMED] = options.timed ? 1 : 0;
  words[COLLECT_AFTER] = options.collectAfter ?? 0xffff_ffff;
  words[SEED] = parameters.seed ?? 0;
  order.forEach((name, index) => {
    words[PARAMETERS + index] = parameters[name]!;
  });
  return () => {
    const checksum = workbench.run("Run", record, number);
    const words = workbench.words(record, WORDS);
    return {
      checksum,
      made: words[MADE]!,
      steps: words[STEPS]!,
      longestUnits: words[LONGEST_UNITS]!,
      longestMillis: workbench.floats(record + LONGEST_MILLIS_BYTES, 1)[0]!,
      span: words[SPAN]!,
      fillMillis: workbench.floats(record + FILL_MILLIS_BYTES, 1)[0]!,
      units: workbench.floats(record + UNITS_BYTES, 1)[0]!,
    };
  };
}

/** The job with plain objects. */
export function runPlainly(job: Job): PlainResult {
  const { plainly } = programs[job.program] as unknown as Program<object>;
  return plainly(job.parameters);
}
