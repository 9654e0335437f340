// Fibers under a simulated clock, held against a model of them, script by script. A script that fails is made as short as it can
// be, and printed with its seed.

import fc from "fast-check";
import {
  Baton,
  Channel,
  Condition,
  createFibers,
  createRuntime,
  type Fiber,
  type FiberContext,
  type FramePool,
  Mutex,
  Semaphore,
  select,
  TidemarkError,
  WaitGroup,
  type WaitTimers,
} from "tidemark";
import { expect, test } from "vitest";
import { scaled } from "../support/scale.js";
import { type Action, BATONS, Model, MUTEXES, type Script, type Step, waits } from "./fiberModel.js";

/** Timers that fire when they are told to: those that are due at once in the order in which they were armed. */
class ManualTimers implements WaitTimers {
  #now = 0;
  #armed: { readonly at: number; readonly callback: () => void }[] = [];

  after(milliseconds: number, callback: () => void) {
    const timer = { at: this.#now + milliseconds, callback };
    this.#armed.push(timer);
    return timer;
  }

  cancel(timer: unknown): void {
    const index = this.#armed.indexOf(timer as never);
    if (index < 0) throw new Error("a timer was cancelled that is not armed");
    this.#armed.splice(index, 1);
  }

  get armed(): number {
    return this.#armed.length;
  }

  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = this.#armed.filter(({ at }) => at <= end).sort((left, right) => left.at - right.at)[0];
      if (due === undefined) break;
      this.#now = Math.max(this.#now, due.at);
      this.cancel(due);
      due.callback();
    }
    this.#now = end;
  }
}

/** The real thing, playing a script. */
class World {
  readonly log: string[] = [];
  readonly timers = new ManualTimers();
  readonly fibers;
  readonly spawned: Fiber[] = [];
  readonly batons = Array.from({ length: BATONS }, () => new Baton());
  readonly mutexes = Array.from({ length: MUTEXES }, () => new Mutex());
  readonly condition = new Condition(this.mutexes[0]!);
  readonly semaphore: Semaphore;
  readonly group = new WaitGroup();
  readonly channels: Channel<string>[];
  #inside = new Set<number>();

  constructor(
    readonly script: Script,
    readonly frames: FramePool,
    debug: boolean,
  ) {
    this.semaphore = new Semaphore(script.permits);
    this.channels = script.capacities.map((capacity) => new Channel<string>(capacity));
    this.fibers = createFibers({
      wake() {},
      timers: this.timers,
      frames,
      debug,
      onError: (error) => this.log.push(`onError ${nameOf(error)}`),
    });
  }

  step(step: Step): void {
    if (step.do === "run") this.fibers.run(step.limit);
    else if (step.do === "advance") this.timers.advance(step.ms);
    else if (step.do === "post") this.batons[step.b]!.post();
    else if (step.do === "spawn") this.#spawn();
    else if (this.spawned[step.f] !== undefined) {
      this.log.push(`cancel ${step.f}: ${this.spawned[step.f]!.cancel()}`);
    }
  }

  #spawn(): void {
    const id = this.spawned.length;
    const actions = this.script.fibers[id];
    if (actions === undefined) return;
    const world = this;
    const body = function* (context: FiberContext) {
      return yield* world.#play(id, actions, context);
    };
    this.spawned.push(id % 2 === 0 ? this.fibers.spawn(body, { frame: "small" }) : this.fibers.spawn(body));
  }

  *#play(id: number, actions: readonly Action[], context: FiberContext): Generator<unknown, number, unknown> {
    const held = { mutexes: new Set<number>(), permits: 0 };
    this.log.push(`${id} begins`);
    const stamp = id % 2 === 0;
    if (stamp) context.frame.set(0, id + 1);
    try {
      for (const [position, action] of actions.entries()) {
        if (action.do === "throw") throw new Error(`fault of ${id}`);
        if (this.#act(id, position, action, held)) continue;
        if (!waits(held, action, this.spawned.length)) continue;
        let outcome: string;
        try {
          const value = yield this.#waitOf(action, `${id}/${position}`, context);
          if (action.do === "lock" && value === true) {
            held.mutexes.add(action.m);
            this.#enter(action.m);
          }
          if (action.do === "acquire" && value === true) held.permits += action.n;
          if (action.do === "waitCondition") this.#enter(0);
          outcome = shown(value, action);
        } catch (error) {
          outcome = `throws ${nameOf(error)}`;
        }
        this.log.push(`${id}.${position} ${action.do} ${outcome}`);
      }
      return id;
    } finally {
      if (stamp && context.frame.get(0) !== id + 1) this.log.push(`${id} has lost its frame`);
      this.log.push(`${id} finally`);
      for (const mutex of [...held.mutexes].sort()) this.#unlock(mutex);
      if (held.permits > 0) this.semaphore.release(held.permits);
    }
  }

  #enter(mutex: number): void {
    if (this.#inside.has(mutex)) this.log.push(`two are inside mutex ${mutex}`);
    this.#inside.add(mutex);
  }

  #unlock(mutex: number): void {
    this.#inside.delete(mutex);
    this.mutexes[mutex]!.unlock();
  }

  #act(id: number, position: number, action: Action, held: { mutexes: Set<number>; permits: number }): boolean {
    if (action.do === "post") this.batons[action.b]!.post();
    else if (action.do === "reset") this.batons[action.b]!.reset();
    else if (action.do === "tryWait") this.log.push(`${id}.${position} tryWait ${this.batons[action.b]!.tryWait()}`);
    else if (action.do === "spawn") this.#spawn();
    else if (action.do === "cancelSelf") this.spawned[id]!.cancel();
    else if (action.do === "cancel") this.spawned[action.f]?.cancel();
    else if (action.do === "unlock") {
      if (held.mutexes.delete(action.m)) this.#unlock(action.m);
    } else if (action.do === "release") {
      if (held.permits > 0) {
        held.permits--;
        this.semaphore.release();
      }
    } else if (action.do === "add") this.group.add();
    else if (action.do === "done") {
      if (this.group.count > 0) this.group.done();
    } else if (action.do === "notify") this.condition.notify(action.n);
    else if (action.do === "close") this.channels[action.c]!.close();
    else return false;
    return true;
  }

  #waitOf(action: Action, value: string, context: FiberContext): unknown {
    switch (action.do) {
      case "sleep":
        return context.sleep(action.ms);
      case "wait":
        return action.ms === undefined ? this.batons[action.b]!.wait() : this.batons[action.b]!.wait(action.ms);
      case "join":
        return this.spawned[action.f];
      case "lock":
        return this.mutexes[action.m]!.lock(action.ms);
      case "acquire":
        return this.semaphore.acquire(action.n, action.ms);
      case "waitAll":
        return this.group.wait(action.ms);
      case "waitCondition":
        this.#inside.delete(0);
        return this.condition.wait(action.ms);
      case "send":
        return this.channels[action.c]!.send(value);
      case "receive":
        return this.channels[action.c]!.receive();
      case "select": {
        const operations = [this.channels[action.from]!.receive(), this.channels[action.to]!.send(value)] as const;
        return action.ms === undefined ? select(operations) : select(operations, action.ms);
      }
      default:
        return undefined;
    }
  }
}

function nameOf(error: unknown): string {
  return error instanceof TidemarkError ? error.code.replace("ERR_TIDEMARK_", "") : (error as Error).message;
}

function shown(value: unknown, action: Action): string {
  if (action.do !== "select" || value === undefined) return String(value);
  const { index, value: inner } = value as { index: number; value: unknown };
  return `${index}:${inner}`;
}

const FIBERS = 8;
const limit = fc.option(fc.constantFrom(0, 1, 2, 5), { nil: undefined, freq: 2 });
const b = fc.nat(BATONS - 1);
const m = fc.nat(MUTEXES - 1);
const f = fc.nat(FIBERS - 1);
const c = fc.nat(1);

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("turn", "release", "done", "add", "spawn") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("throw", "cancelSelf") }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("post", "post", "tryWait", "reset"), b }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait"), b, ms: limit }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("sleep"), ms: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("join", "cancel"), f }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("lock"), m, ms: limit }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("unlock"), m }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("acquire"), n: fc.integer({ min: 1, max: 3 }), ms: limit }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("waitAll", "waitCondition", "waitCondition"), ms: limit }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("notify"), n: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("send", "receive"), c }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close"), c }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("select"), from: c, to: c, ms: limit }) },
) as fc.Arbitrary<Action>;

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("run"), limit: fc.constantFrom(1, 2, 5, 100, 100) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("advance"), ms: fc.constantFrom(0, 1, 1, 2, 5) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("post"), b }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel"), f }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("spawn") }) },
) as fc.Arbitrary<Step>;

const script: fc.Arbitrary<Script> = fc.record({
  fibers: fc.array(fc.array(action, { maxLength: 12 }), { minLength: 1, maxLength: FIBERS }),
  steps: fc.array(step, { minLength: 4, maxLength: 30 }),
  permits: fc.nat(3),
  capacities: fc.tuple(fc.constantFrom(0, 1, 3), fc.constantFrom(0, 2)),
});

/** Plays a script to both, and compares after each step. */
function compare(script: Script, frames: FramePool, debug: boolean): void {
  const world = new World(script, frames, debug);
  const model = new Model(script);
  for (const [index, step] of script.steps.entries()) {
    world.step(step);
    model.step(step);
    const at = `after step ${index}, ${JSON.stringify(step)}`;
    expect(world.log, at).toEqual(model.log);
    expect(world.fibers.hasReady, at).toBe(model.ready.length > 0);
    expect(world.batons.map(({ posted, waitedFor }) => [posted, waitedFor])).toEqual(
      model.batons.map(({ posted, wait }) => [posted, wait !== undefined]),
    );
    expect(world.channels.map(({ length, waiting }) => [length, waiting])).toEqual(
      model.channels.map(({ buffer, senders, receivers }) => [
        buffer.length,
        { senders: senders.length, receivers: receivers.length },
      ]),
    );
    expect(world.mutexes.map(({ locked }) => locked)).toEqual(model.mutexes.map(({ locked }) => locked));
    expect([world.semaphore.available, world.group.count]).toEqual([model.available, model.count]);
    expect(world.fibers.stats().live).toBe(model.fibers.filter(({ ended }) => !ended).length);
    expect(frames.stats().inUse.small).toBe(
      model.fibers.filter(({ id, begun, ended }) => id % 2 === 0 && begun && !ended).length,
    );
  }
  const joined: string[] = [];
  for (const fiber of world.spawned) {
    fiber.$begin({
      $timers: world.timers,
      $resume: () => joined.push("value"),
      $fail: () => joined.push("error"),
    });
  }
  world.fibers.close();
  expect(joined.length).toBe(world.spawned.length);
  expect(world.spawned.filter(({ state }) => state === "running")).toEqual([]);
  expect(world.fibers.stats().live).toBe(0);
  expect(frames.stats().inUse.small).toBe(0);
  expect(world.timers.armed).toBe(0);
  expect(world.batons.some(({ waitedFor }) => waitedFor)).toBe(false);
  expect(world.mutexes.map(({ locked, waiting }) => [locked, waiting])).toEqual([
    [false, 0],
    [false, 0],
  ]);
  expect([world.semaphore.available, world.semaphore.waiting]).toEqual([script.permits, 0]);
  expect([world.group.waiting, world.condition.waiting]).toEqual([0, 0]);
  expect(world.channels.map(({ waiting }) => waiting)).toEqual([
    { senders: 0, receivers: 0 },
    { senders: 0, receivers: 0 },
  ]);
  expect(world.log.filter((line) => /lost|inside/.test(line))).toEqual([]);
}

test.each([false, true])("fibers do what the model does, script by script (debug: %s)", async (debug) => {
  using runtime = await createRuntime({ debug });
  fc.assert(
    fc.property(script, (script) => {
      using frames = runtime.framePool({ small: 64 });
      compare(script, frames, debug);
    }),
    { numRuns: scaled(debug ? 2_000 : 10_000) },
  );
});
