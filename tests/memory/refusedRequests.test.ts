import { createRuntime, type Runtime, type RuntimeOptions } from "tidemark";
import { describe, expect, test } from "vitest";
import { strategies } from "../support/heaps.js";
import { MEBIBYTE, modules, Owner, PAGE, withoutStacks } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";
import { events, fibers, sources } from "./refusedLoops.js";
import { arenas, type Feature, heap, isRefusal, neighbours, type Program, pool, together } from "./refusedPrograms.js";

withoutStacks();

/** What memory is refused to. Single calls of arenas, pools, byte heaps, maps and timers have such tests of their own. */
const features: Record<string, Feature> = {
  "arenas with destroy hooks, in one another": arenas,
  "a pool whose destroy hook allocates": pool,
  ...Object.fromEntries(strategies.map((strategy) => [`a ${strategy} heap`, heap(strategy)])),
  "events of all kinds": events,
  "fibers with frames and limits of time": fibers,
  "sources and their rings": sources,
  "a byte heap, a map, a pool, arenas and a heap in one memory": together(neighbours, pool, arenas, heap("refcount")),
};

const MAXIMUM = 64 * MEBIBYTE;
const NEVER = 2 ** 31;

/** How many requests and steps of a program are tried, about. */
const REQUESTS_TRIED = scaled(10);
const STEPS_TRIED = scaled(4);

/** An odd number, so that odd and even requests have their turn. */
const stride = (count: number, tried: number) => Math.ceil(count / tried) | 1;

/** Maxima in pages: the least that a runtime has, and on to more than enough. */
const MAXIMA = [2, 3, 4, 5, 6, 7, 8, 10, 14, 24];

/** How memory is refused to a program, and given again. */
interface Refusal {
  /** Before a step is taken for the first time. */
  before?(index: number): unknown;
  /** A step has been refused memory so many times. */
  refused?(times: number): void;
  /** From here on there is memory. */
  end(): void;
  /** Whether steps that are refused are left out, and not taken again. */
  readonly leavesOut?: boolean;
}

/** Checks a program, as far as there is memory for that. */
function check(program: Program): void {
  try {
    program.check();
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
}

/** Plays a program to its end. */
async function play(runtime: Runtime, feature: Feature, refusal?: Refusal): Promise<void> {
  const program = await feature(runtime);
  for (const [index, step] of program.steps.entries()) {
    refusal?.before?.(index);
    for (let times = 1; ; times++) {
      try {
        await step();
        break;
      } catch (error) {
        if (refusal === undefined || !isRefusal(error)) throw error;
        refusal.refused?.(times);
        check(program);
        runtime.validate();
        // What a program begins with, it needs.
        if (refusal.leavesOut && index > 0) break;
        if (times > 2) refusal.end();
        expect(times).toBeLessThan(10);
      }
    }
  }
  check(program);
  refusal?.end();
  program.check();
  await program.end();
  runtime.validate();
}

/** What is in use when all has been given back; guards are kept for ever, and a page of small blocks may be. */
function held(runtime: Runtime): Record<string, number> {
  const { guards: _guards, smallBlocks, ...others } = runtime.stats().bytesByOwner;
  return {
    ...others,
    smallBlocks: Math.max(smallBlocks - PAGE, PAGE),
    guards: runtime.$memory.rootWord("ROOT_GUARDS_LIVE"),
  };
}

/** Plays a program that is refused memory, and then once more without; nothing of either may be left. */
async function survive(
  feature: Feature,
  options: RuntimeOptions,
  refuse: (runtime: Runtime) => Refusal,
): Promise<void> {
  const runtime = await createRuntime({ maximumBytes: MAXIMUM, ...options });
  try {
    await play(runtime, feature, refuse(runtime));
    if (runtime.debug) expect(runtime.leaks()).toEqual([]);
    const { held: most } = await survey(feature);
    // Less where what describes a type for ever was among the steps left out.
    for (const [owner, amount] of Object.entries(held(runtime)))
      expect(amount, owner).toBeLessThanOrEqual(most[owner]!);
    await play(runtime, feature);
    expect(held(runtime)).toEqual(most);
  } finally {
    runtime.dispose();
  }
}

/** What a program comes to that is refused nothing: its steps, the requests for pages that they make, what is kept at its end. */
interface Survey {
  readonly steps: number;
  readonly requests: number;
  readonly held: Record<string, number>;
}

const surveys = new Map<Feature, Promise<Survey>>();

function survey(feature: Feature): Promise<Survey> {
  const find = async () => {
    using runtime = await createRuntime({ debug: true, maximumBytes: MAXIMUM });
    const { $memory: memory } = runtime;
    memory.setRootWord("ROOT_REFUSE_AFTER", NEVER);
    let [steps, requests] = [0, 0];
    await play(runtime, feature, {
      before: () => steps++,
      end() {
        requests = NEVER - memory.rootWord("ROOT_REFUSE_AFTER");
      },
    });
    return { steps, requests, held: held(runtime) };
  };
  if (!surveys.has(feature)) surveys.set(feature, find());
  return surveys.get(feature)!;
}

/** Takes all pages but `spare` ones, and lets memory grow no more. Returns what gives them back. */
function fill({ $memory: memory }: Runtime, spare: number): () => void {
  const taken: number[] = [];
  memory.setRootWord("ROOT_MAXIMUM_PAGES", memory.rootWord("ROOT_COMMITTED_PAGES"));
  while (memory.rootWord("ROOT_FREE_PAGES") > spare) taken.push(memory.exports.allocatePages(1, Owner.SCRATCH) >>> 0);
  return () => {
    for (const page of taken.splice(0)) memory.exports.freePages(page, Owner.SCRATCH);
    memory.setRootWord("ROOT_MAXIMUM_PAGES", MAXIMUM / PAGE);
  };
}

describe.each(Object.entries(features))("memory that is refused to %s", (_name, feature) => {
  test("at each request in turn, once or three times, leaves all as it was, and nothing behind", async () => {
    const { requests } = await survey(feature);
    for (let request = 1; request <= requests; request += stride(requests, REQUESTS_TRIED)) {
      const times = request % 2 === 0 ? 1 : 3;
      await survive(feature, { debug: true }, ({ $memory: memory }) => {
        const refuse = (after: number) => memory.setRootWord("ROOT_REFUSE_AFTER", after);
        refuse(request);
        let isRefused = false;
        return {
          refused(count) {
            isRefused = true;
            refuse(count < times ? 1 : 0);
          },
          end() {
            // Loops and hooks keep what they are refused to themselves.
            expect(isRefused || memory.rootWord("ROOT_REFUSE_AFTER") === 0).toBe(true);
            refuse(0);
          },
        };
      });
    }
  });

  test.each(modules)("from a step on, and given later, leaves all as it was ($name module)", async ({ debug }) => {
    const { steps } = await survey(feature);
    for (let from = 0; from < steps; from += stride(steps, STEPS_TRIED)) {
      await survive(feature, { debug }, (runtime) => {
        let giveBack = () => {};
        return {
          before(index) {
            if (index === from) giveBack = fill(runtime, from % 3);
            if (index === from + 5) giveBack();
          },
          end: () => giveBack(),
        };
      });
    }
  });

  test.each(modules)("by a maximum is missed by what was refused alone ($name module)", async ({ debug }) => {
    for (const pages of MAXIMA) {
      await survive(feature, { debug, initialBytes: PAGE }, ({ $memory: memory }) => {
        memory.setRootWord("ROOT_MAXIMUM_PAGES", pages);
        return { leavesOut: true, end: () => memory.setRootWord("ROOT_MAXIMUM_PAGES", MAXIMUM / PAGE) };
      });
    }
  });
});
