/** Fibers: what it costs to wait and be resumed, and to begin and end. */

import type { SpawnOptions } from "tidemark";
import { defineSuite, type SubjectInstance, type Target, timedCase } from "../harness/case.js";

/** Switches of one batch; half of them into each of two tasks. */
const SWITCHES = 20_000;
/** Tasks of one batch, and how many of them live at once. */
const TASKS = 10_000;
const AT_ONCE = 100;

interface Tally {
  total: number;
}

/** What each task does between two waits: the order matters, so a switch that is left out shows. In 32 bits: no garbage. */
function count(tally: Tally, amount: number): void {
  tally.total = (Math.imul(tally.total, 31) + amount) | 0;
}

/** Two tasks that take turns: one counts ones, the other twos. */
function expectedSwitches(): number {
  const tally = { total: 0 };
  for (let round = 0; round < SWITCHES; round++) count(tally, 1 + (round % 2));
  return tally.total;
}

/** Tasks that count once when they begin and once when their turn comes again. */
function expectedTasks(): number {
  const tally = { total: 0 };
  for (let first = 0; first < TASKS; first += AT_ONCE) {
    for (let task = 0; task < AT_ONCE; task++) count(tally, 1);
    for (let task = 0; task < AT_ONCE; task++) count(tally, 2);
  }
  return tally.total;
}

/** A baton as one would write it for who resumes by a callback: as little as there can be. */
class CallbackBaton {
  #posted = false;
  #resume: (() => void) | undefined;

  post(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    if (resume === undefined) this.#posted = true;
    else resume();
  }

  wait(resume: () => void): void {
    if (this.#posted) {
      this.#posted = false;
      resume();
    } else {
      this.#resume = resume;
    }
  }
}

/** Fibers with a body of three lines: made, resumed twice, ended. */
function spawning(options: SpawnOptions, withFrames: boolean): () => Promise<SubjectInstance<number>> {
  return async () => {
    const { createFibers, createRuntime } = await import("tidemark");
    const runtime = await createRuntime();
    const fibers = createFibers(withFrames ? { wake() {}, frames: runtime.framePool() } : { wake() {} });
    const tally = { total: 0 };
    const task = function* () {
      count(tally, 1);
      yield;
      count(tally, 2);
    };
    return {
      run() {
        tally.total = 0;
        for (let first = 0; first < TASKS; first += AT_ONCE) {
          for (let made = 0; made < AT_ONCE; made++) fibers.spawn(task, options);
          fibers.run();
        }
        return tally.total;
      },
      dispose: () => runtime.dispose(),
    };
  };
}

const peerTargets: readonly Target[] = [
  { subject: "tidemark", ratio: { atMost: 2 } },
  { subject: "tidemark", against: "effection", ratio: { atMost: 0.1 } },
  { subject: "tidemark", against: "async functions", ratio: { atMost: 0.5 } },
];

/** Tidemark beside what Effect does the same with. */
const effectTarget = (against: string): Target => ({ subject: "tidemark", against, ratio: { atMost: 0.1 } });

/**
 * Two ways to wait in Effect: for a latch of its own, which resumes through its scheduler, as a baton does; and for a callback,
 * which resumes inside of it: less than a baton promises, and the least that Effect can do. The target is about each, and so
 * about the faster.
 */
const LATCHES = "Effect, latches";
const CALLBACKS = "Effect, callbacks";

export default defineSuite({
  name: "fibers",
  title: "fibers",
  cases: [
    timedCase({
      name: "switch",
      title: "two tasks that wait for each other in turn; bare generators are resumed by hand, and wait for nothing",
      unit: "switch",
      operations: SWITCHES,
      metric: "time",
      baseline: "bare generators",
      subjects: {
        "bare generators": () => {
          const tally = { total: 0 };
          const one = function* () {
            for (let round = 0; round < SWITCHES; round += 2) {
              count(tally, 1);
              yield;
            }
          };
          const other = function* () {
            for (let round = 0; round < SWITCHES; round += 2) {
              count(tally, 2);
              yield;
            }
          };
          return {
            run() {
              tally.total = 0;
              const [first, second] = [one(), other()];
              for (let round = 0; round < SWITCHES; round += 2) {
                first.next();
                second.next();
              }
              return tally.total;
            },
          };
        },
        tidemark: async () => {
          const { Baton, createFibers } = await import("tidemark");
          const fibers = createFibers({ wake() {} });
          const tally = { total: 0 };
          const [ping, pong] = [new Baton(), new Baton()];
          const one = function* () {
            for (let round = 0; round < SWITCHES; round += 2) {
              yield ping.wait();
              count(tally, 1);
              pong.post();
            }
          };
          const other = function* () {
            for (let round = 0; round < SWITCHES; round += 2) {
              yield pong.wait();
              count(tally, 2);
              ping.post();
            }
          };
          return {
            run() {
              tally.total = 0;
              ping.reset();
              fibers.spawn(one);
              fibers.spawn(other);
              ping.post();
              fibers.run();
              return tally.total;
            },
          };
        },
        "async functions": () => {
          const tally = { total: 0 };
          const [ping, pong] = [new CallbackBaton(), new CallbackBaton()];
          const waitForPing = (resolve: () => void) => ping.wait(resolve);
          const waitForPong = (resolve: () => void) => pong.wait(resolve);
          const one = async () => {
            for (let round = 0; round < SWITCHES; round += 2) {
              await new Promise<void>(waitForPing);
              count(tally, 1);
              pong.post();
            }
          };
          const other = async () => {
            for (let round = 0; round < SWITCHES; round += 2) {
              await new Promise<void>(waitForPong);
              count(tally, 2);
              ping.post();
            }
            ping.wait(() => {}); // the last post has nobody left to resume
          };
          return {
            async run() {
              tally.total = 0;
              const both = [one(), other()];
              ping.post();
              await Promise.all(both);
              return tally.total;
            },
          };
        },
        [LATCHES]: async () => {
          const { Effect, Fiber, Latch } = await import("effect");
          const tally = { total: 0 };
          const [ping, pong] = [Latch.makeUnsafe(), Latch.makeUnsafe()];
          const one = Effect.gen(function* () {
            for (let round = 0; round < SWITCHES; round += 2) {
              yield* ping.await;
              ping.closeUnsafe();
              count(tally, 1);
              pong.openUnsafe();
            }
          });
          const other = Effect.gen(function* () {
            for (let round = 0; round < SWITCHES; round += 2) {
              yield* pong.await;
              pong.closeUnsafe();
              count(tally, 2);
              ping.openUnsafe();
            }
          });
          const both = Effect.gen(function* () {
            const first = yield* Effect.forkChild(one);
            const second = yield* Effect.forkChild(other);
            yield* Fiber.join(first);
            yield* Fiber.join(second);
          });
          return {
            async run() {
              tally.total = 0;
              pong.closeUnsafe();
              ping.openUnsafe();
              await Effect.runPromise(both);
              return tally.total;
            },
          };
        },
        [CALLBACKS]: async () => {
          const { Effect, Fiber } = await import("effect");
          const tally = { total: 0 };
          const [ping, pong] = [new CallbackBaton(), new CallbackBaton()];
          const waitForPing = Effect.callback<void>((resume) => ping.wait(() => resume(Effect.void)));
          const waitForPong = Effect.callback<void>((resume) => pong.wait(() => resume(Effect.void)));
          const one = Effect.gen(function* () {
            for (let round = 0; round < SWITCHES; round += 2) {
              yield* waitForPing;
              count(tally, 1);
              pong.post();
            }
          });
          const other = Effect.gen(function* () {
            for (let round = 0; round < SWITCHES; round += 2) {
              yield* waitForPong;
              count(tally, 2);
              ping.post();
            }
            ping.wait(() => {});
          });
          const both = Effect.gen(function* () {
            const first = yield* Effect.forkChild(one);
            const second = yield* Effect.forkChild(other);
            ping.post();
            yield* Fiber.join(first);
            yield* Fiber.join(second);
          });
          return {
            async run() {
              tally.total = 0;
              await Effect.runPromise(both);
              return tally.total;
            },
          };
        },
        effection: async () => {
          const { action, run, spawn } = await import("effection");
          const tally = { total: 0 };
          const [ping, pong] = [new CallbackBaton(), new CallbackBaton()];
          const nothing = () => {};
          const waitForPing = action<void>((resolve) => {
            ping.wait(resolve as () => void);
            return nothing;
          });
          const waitForPong = action<void>((resolve) => {
            pong.wait(resolve as () => void);
            return nothing;
          });
          const one = function* () {
            for (let round = 0; round < SWITCHES; round += 2) {
              yield* waitForPing;
              count(tally, 1);
              pong.post();
            }
          };
          const other = function* () {
            for (let round = 0; round < SWITCHES; round += 2) {
              yield* waitForPong;
              count(tally, 2);
              ping.post();
            }
            ping.wait(nothing);
          };
          const both = function* () {
            const first = yield* spawn(one);
            const second = yield* spawn(other);
            ping.post();
            yield* first;
            yield* second;
          };
          return {
            async run() {
              tally.total = 0;
              await run(both);
              return tally.total;
            },
          };
        },
      },
      expected: expectedSwitches,
      targets: [...peerTargets, effectTarget(LATCHES), effectTarget(CALLBACKS)],
    }),
    timedCase({
      name: "spawn",
      title: "make a task that takes two turns, and see it to its end; a hundred at once",
      unit: "task",
      operations: TASKS,
      metric: "time",
      baseline: "bare generators",
      subjects: {
        "bare generators": () => {
          const tally = { total: 0 };
          const task = function* () {
            count(tally, 1);
            yield;
            count(tally, 2);
          };
          const made = new Array<Generator>(AT_ONCE);
          return {
            run() {
              tally.total = 0;
              for (let first = 0; first < TASKS; first += AT_ONCE) {
                for (let index = 0; index < AT_ONCE; index++) made[index] = task();
                for (let index = 0; index < AT_ONCE; index++) made[index]!.next();
                for (let index = 0; index < AT_ONCE; index++) made[index]!.next();
              }
              return tally.total;
            },
          };
        },
        tidemark: spawning({}, false),
        "tidemark, detached": spawning({ detached: true }, false),
        "tidemark, detached, with a frame": spawning({ detached: true, frame: "small" }, true),
        "async functions": () => {
          const tally = { total: 0 };
          const task = async () => {
            count(tally, 1);
            await undefined;
            count(tally, 2);
          };
          return {
            async run() {
              tally.total = 0;
              for (let first = 0; first < TASKS; first += AT_ONCE) {
                for (let index = 1; index < AT_ONCE; index++) void task();
                await task(); // the last, and so the last to end
              }
              return tally.total;
            },
          };
        },
        Effect: async () => {
          const { Effect, Fiber } = await import("effect");
          const tally = { total: 0 };
          const task = Effect.gen(function* () {
            count(tally, 1);
            yield* Effect.yieldNow;
            count(tally, 2);
          });
          const all = Effect.gen(function* () {
            for (let first = 0; first < TASKS; first += AT_ONCE) {
              for (let index = 1; index < AT_ONCE; index++) yield* Effect.forkDetach(task);
              yield* Fiber.join(yield* Effect.forkDetach(task));
            }
          });
          return {
            async run() {
              tally.total = 0;
              await Effect.runPromise(all);
              return tally.total;
            },
          };
        },
        effection: async () => {
          const { action, run, spawn } = await import("effection");
          const tally = { total: 0 };
          const nothing = () => {};
          let turn: (() => void)[] = [];
          let allWait = nothing;
          const waitForTurn = action<void>((resolve) => {
            turn.push(resolve as () => void);
            if (turn.length === AT_ONCE) allWait();
            return nothing;
          });
          const waitForAll = action<void>((resolve) => {
            allWait = resolve as () => void;
            return nothing;
          });
          const task = function* () {
            count(tally, 1);
            yield* waitForTurn;
            count(tally, 2);
          };
          const all = function* () {
            for (let first = 0; first < TASKS; first += AT_ONCE) {
              const tasks = [];
              for (let index = 0; index < AT_ONCE; index++) tasks.push(yield* spawn(task));
              if (turn.length < AT_ONCE) yield* waitForAll;
              const waiting = turn;
              turn = [];
              for (const resume of waiting) resume();
              for (const task of tasks) yield* task;
            }
          };
          return {
            async run() {
              tally.total = 0;
              await run(all);
              return tally.total;
            },
          };
        },
      },
      expected: expectedTasks,
      targets: [...peerTargets, effectTarget("Effect")],
    }),
  ],
});
