import {
  Baton,
  Channel,
  Condition,
  createFibers,
  createLoop,
  createRuntime,
  createTimers,
  f64,
  InvalidArgumentError,
  InvalidStructError,
  type Loop,
  Mutex,
  type Runtime,
  Semaphore,
  select,
  struct,
  WaitGroup,
} from "tidemark";
import { beforeAll, describe, expect, test } from "vitest";

const Level = struct("Level", { price: f64 });

let runtime: Runtime;
let loop: Loop;
let kinds = 0;

beforeAll(async () => {
  runtime = await createRuntime();
  loop = createLoop(runtime);
});

/** Takes whatever a program that is not type-checked may pass as options. */
type Taker = (options: never) => unknown;

/** Each function that takes options, with options that it takes. */
const TAKERS: Readonly<Record<string, [Taker, object]>> = {
  createRuntime: [(options) => createRuntime(options), { maximumBytes: 1 << 20, debug: false }],
  createLoop: [(options) => createLoop(runtime, options), { inFlight: 5, onError() {} }],
  "createLoop's queue": [(queue) => createLoop(runtime, { queue }), { capacity: 5 }],
  "createLoop's turn": [(turn) => createLoop(runtime, { turn }), { events: 5 }],
  "createLoop's watchdog": [(watchdog) => createLoop(runtime, { watchdog }), { worker: false }],
  "createLoop's observe": [(observe) => createLoop(runtime, { observe }), { lag: false }],
  createTimers: [(options) => createTimers(runtime, options), { onError() {} }],
  createFibers: [(options) => createFibers(options), { debug: true }],
  pool: [(options) => runtime.pool(Level, options), { capacity: 5 }],
  sortedMap: [(options) => runtime.sortedMap(f64, f64, options), { order: "descending" }],
  arena: [(options) => runtime.arena(options), { sizeHint: 5 }],
  "arena in an arena": [(options) => runtime.arena().arena(options), { maximumBytes: 5 }],
  framePool: [(options) => runtime.framePool(options), { small: 512 }],
  regionPool: [(options) => runtime.regionPool(options), { maximumBytes: 1 << 20 }],
  heap: [(options) => runtime.heap("manual", options), { types: [Level] }],
  struct: [(options) => struct("Struct", { a: f64 }, options), { destroy() {} }],
  on: [(options) => loop.on(`kind ${kinds++}`, () => {}, options), { priority: "low" }],
  every: [(options) => loop.every(5, () => {}, options).cancel(), { drift: "skip" }],
  source: [
    (options) =>
      loop.source(
        loop.on(`kind ${kinds++}`, () => {}),
        empty(),
        options,
      ),
    { framing: "line" },
  ],
  run: [(options) => createLoop(runtime).runUntilIdle(options), { signal: new AbortController().signal }],
  close: [(options) => createLoop(runtime).close(options), { mode: "drain" }],
  Baton: [(options) => new Baton(options), { timers: undefined }],
  Mutex: [(options) => new Mutex(options), { timers: undefined }],
  Condition: [(options) => new Condition(new Mutex(), options), { timers: undefined }],
  Semaphore: [(options) => new Semaphore(1, options), { limit: 5 }],
  WaitGroup: [(options) => new WaitGroup(options), { timers: undefined }],
  Channel: [(options) => new Channel(1, options), { timers: undefined }],
};

/** Those that are called too often to look for names that are unknown. */
const HOT_TAKERS: typeof TAKERS = {
  spawn: [(options) => createFibers().spawn(function* () {}, options), { detached: true }],
  allocate: [(options) => runtime.byteHeap().allocate(8, options), { alignment: 64 }],
};

async function* empty(): AsyncGenerator<string> {}

/** What a taker throws, now or later. */
async function failure(taker: Taker, options: unknown): Promise<Error | undefined> {
  try {
    await taker(options as never);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

describe.each(Object.entries({ ...TAKERS, ...HOT_TAKERS }))("the options of %s", (name, [taker, options]) => {
  const Refusal = name === "struct" ? InvalidStructError : InvalidArgumentError;

  test("are an object, and the message says whose they are", async () => {
    for (const wrong of [null, [], "options", 5, () => {}, 5n]) {
      const error = await failure(taker, wrong);
      expect(error, String(wrong)).toBeInstanceOf(Refusal);
      expect(error!.message).toMatch(/must be an object, but is/);
      expect(error!.message).not.toMatch(/^options /);
    }
    if (name !== "heap") expect(await failure(taker, undefined)).toBeUndefined();
  });

  test("are refused with one that does not exist, which the message names with those that do, unless looking costs too much", async () => {
    const error = await failure(taker, { ...options, misspelt: undefined });
    if (name in HOT_TAKERS) {
      expect(error).toBeUndefined();
      return;
    }
    expect(error).toBeInstanceOf(Refusal);
    expect(error!.message).toContain('the unknown option "misspelt"');
    for (const known of Object.keys(options)) expect(error!.message).toContain(known);
  });

  test("are not something else that has none of them, such as a promise of options or a signal, unless looking costs too much", async () => {
    for (const wrong of [Promise.resolve(options), new AbortController().signal, new Map(Object.entries(options))]) {
      const error = await failure(taker, wrong);
      if (name in HOT_TAKERS) expect(error).toBeUndefined();
      else expect(error?.message).toMatch(/is (a promise|an object) of a class that has no option: known are /);
    }
  });

  test("may come from a class or a prototype that has more, and have symbols", async () => {
    class Options {
      get more() {
        return 5;
      }
    }
    const own = Object.assign(new Options(), options, { [Symbol("more")]: 5 });
    const inherited = Object.create({ ...options, more: 5 });
    for (const given of [own, inherited]) expect(await failure(taker, given)).toBeUndefined();
  });
});

test.each<[string, readonly string[], (options: never) => unknown]>([
  [
    "createRuntime",
    ["initialBytes", "maximumBytes", "debug", "onLeak", "wasm", "memory"],
    (options) => createRuntime(options),
  ],
  [
    "createLoop",
    [
      "queue",
      "turn",
      "inFlight",
      "abandonAfter",
      "frames",
      "host",
      "onError",
      "slowAfter",
      "onSlow",
      "slowReportsEvery",
    ],
    (options) => createLoop(runtime, options),
  ],
  ["queue", ["capacity", "overflow", "policy", "onDrain"], (queue) => createLoop(runtime, { queue })],
  ["turn", ["events", "milliseconds"], (turn) => createLoop(runtime, { turn })],
  ["watchdog", ["worker", "port"], (watchdog) => createLoop(runtime, { watchdog })],
  ["observe", ["lag", "measures"], (observe) => createLoop(runtime, { observe })],
  ["createTimers", ["host", "onError", "onDue"], (options) => createTimers(runtime, options)],
  ["createFibers", ["frames", "host", "timers", "onError", "wake", "debug"], (options) => createFibers(options)],
  ["spawn", ["frame", "detached"], (options) => createFibers().spawn(function* () {}, options)],
  ["semaphore", ["limit", "timers"], (options) => new Semaphore(1, options)],
  [
    "source",
    ["framing", "ringBytes", "maximumMessageBytes", "tooLong", "backlogBytes", "map", "event", "onStop"],
    (options) =>
      loop.source(
        loop.on(`kind ${kinds++}`, () => {}),
        empty(),
        options,
      ),
  ],
])("no option of %s may be null, and undefined is as if it were not given", async (_, names, taker) => {
  for (const name of names) {
    expect(await failure(taker, { [name]: null }), name).toMatchObject({
      code: expect.stringMatching("^ERR_TIDEMARK_INVALID_"),
    });
    expect(await failure(taker, { [name]: undefined }), name).toBeUndefined();
  }
});

test("that are times are refused with what they may be", async () => {
  const message = async (taker: () => unknown) => (await failure(taker, {}))!.message;
  expect(await message(() => createLoop(runtime).close({ deadline: -1 }))).toBe(
    "deadline must be from 0 to 2147483647 ms, but is -1",
  );
  expect(await message(() => createLoop(runtime, { abandonAfter: 0 }))).toBe(
    "abandonAfter must be above 0 and at most 2147483647 ms, but is 0",
  );
  expect(await message(() => select([new Mutex().lock()], -1))).toBe(
    "the time limit of select must be from 0 to 2147483647 ms, but is -1",
  );
});

test("flags are true or false", async () => {
  for (const wrong of ["yes", 1, {}]) {
    expect(await failure(() => createFibers({ debug: wrong as never }), {})).toBeInstanceOf(InvalidArgumentError);
    const spawn = () => createFibers().spawn(function* () {}, { detached: wrong as never });
    expect(await failure(spawn, {})).toBeInstanceOf(InvalidArgumentError);
  }
});
