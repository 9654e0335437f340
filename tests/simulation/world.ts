import { createRuntime, type Runtime } from "tidemark";
import { Chance } from "./chance.js";
import { Driver, SimulationError } from "./driver.js";
import type { Scenario } from "./scenario.js";

/** Making a runtime takes longer than a scenario: so many share one, one after another. */
const SEEDS_PER_WORLD = 16;

const PAGE = 65_536;

/** Which scenarios are played. */
export interface Seeds {
  readonly first: number;
  readonly count: number;
  /** The one of which all that happens is noted down. */
  readonly traced?: number | undefined;
}

/** Whoever wants to know how it goes. */
export interface Observer {
  /** A scenario has come to its end, as it should. */
  passed?(seed: number): void;
  /** All that has happened in the one that was to be traced, whatever its end. */
  traced?(trace: readonly string[]): void;
}

/** A seed whose scenario has gone wrong. */
export class FailedSeed extends Error {
  constructor(
    readonly seed: number,
    problems: string,
  ) {
    super(`seed ${seed}: ${problems}\nalone, with all that happens: npm run simulate -- --seed ${seed} --trace`);
  }
}

/**
 * Plays scenarios, in the order of their seeds. As one finds the memory as those before it in its world have left it, they are
 * played before the first one, too, and nobody is told of them.
 *
 * @throws {FailedSeed} the first that goes wrong
 */
export async function playSeeds(seeds: Seeds, observer: Observer = {}): Promise<void> {
  const strays: unknown[] = [];
  const listener = (reason: unknown) => void strays.push(reason);
  process.on("unhandledRejection", listener);
  try {
    const end = seeds.first + seeds.count;
    const begin = seeds.first - (seeds.first % SEEDS_PER_WORLD);
    for (let first = begin; first < end; first += SEEDS_PER_WORLD) {
      await playWorld(first, Math.min(first + SEEDS_PER_WORLD, end), seeds, strays, observer);
    }
  } finally {
    process.off("unhandledRejection", listener);
  }
}

/** Plays the scenarios of one world, up to `end`. */
async function playWorld(
  begin: number,
  end: number,
  seeds: Seeds,
  strays: unknown[],
  observer: Observer,
): Promise<void> {
  const chance = new Chance(begin, "world");
  const options = {
    debug: chance.oneIn(3),
    initialBytes: PAGE,
    maximumBytes: chance.pick([4, 6, 10, 16, 24, 64]) * PAGE,
  };
  let runtime = await createRuntime(options);
  try {
    for (let seed = begin; seed < end; seed++) {
      if (runtime.disposed) runtime = await createRuntime(options);
      const isTraced = seed === seeds.traced;
      await playSeed(seed, runtime, strays, isTraced ? observer : undefined);
      if (seed >= seeds.first) observer.passed?.(seed);
    }
  } finally {
    runtime.dispose();
  }
}

async function playSeed(
  seed: number,
  runtime: Runtime,
  strays: unknown[],
  tracer: Observer | undefined,
): Promise<void> {
  const before = ownersOf(runtime);
  const driver = new Driver(seed, runtime, { traces: tracer !== undefined, strays });
  const { scenario } = driver;
  try {
    await driver.play();
    if (!runtime.disposed) assertClean(scenario, before);
  } catch (error) {
    const isFound = error instanceof SimulationError;
    throw new FailedSeed(seed, isFound ? error.message : `the simulation itself has failed: ${(error as Error).stack}`);
  } finally {
    tracer?.traced?.(scenario.trace!);
  }
}

/** What the owners of pages have; for guards and size classes they are kept, whoever has left. */
function ownersOf(runtime: Runtime): string {
  const { metadata, guards, smallBlocks, host, ...others } = runtime.stats().bytesByOwner;
  return JSON.stringify(others);
}

/** The memory is as sound as it was, and as empty. */
function assertClean({ frames, heap, runtime }: Scenario, before: string): void {
  heap?.validate();
  heap?.destroy();
  frames?.destroy();
  runtime.validate();
  const problems: string[] = [];
  const after = ownersOf(runtime);
  if (after !== before) problems.push(`the memory is not as it was: ${before}, then ${after}`);
  if (runtime.debug) for (const { kind, count } of runtime.leaks()) problems.push(`${count} ${kind} have leaked`);
  if (problems.length > 0) throw new SimulationError(problems);
}
