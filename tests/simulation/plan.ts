import type { Priority, QueuePolicy } from "tidemark";
import type { Chance } from "./chance.js";

/** How a kind's handler is written. */
export type HandlerForm = "synchronous" | "async" | "fiber";

export interface KindPlan {
  readonly name: string;
  readonly form: HandlerForm;
  readonly policy: QueuePolicy | "coalesce";
  readonly priority: Priority;
  readonly deadline: number | undefined;
}

/** What becomes of failures: nobody is told, the loop goes on, or the one who is told fails as well. */
export type ErrorMode = "none" | "report" | "throw" | "reject";

export type HeapPlan = "manual" | "refcount" | "mark-sweep" | "mark-sweep-stop";

/** The loop of a scenario. */
export interface Plan {
  readonly capacity: number;
  readonly overflow: number;
  readonly inFlight: number;
  readonly turnEvents: number;
  readonly turnMilliseconds: number;
  readonly errors: ErrorMode;
  readonly abandonAfter: number | undefined;
  readonly heap: HeapPlan | undefined;
  /** Milliseconds that go by at each reading of the clock. */
  readonly drift: number;
  readonly kinds: readonly KindPlan[];
  /** What the driver does before it brings everything to its end. */
  readonly steps: number;
  /** Events that may be posted in all. */
  readonly events: number;
  /** Fibers and timers, likewise. */
  readonly fibers: number;
  readonly timers: number;
  /** Whether `queue.onDrain` does something. */
  readonly drains: boolean;
  /** Whether frames come from a pool that is the loop's own. */
  readonly ownFrames: boolean;
  /** Whether the runtime may be disposed of under the loop. */
  readonly disposes: boolean;
}

export function planKind(chance: Chance, index: number): KindPlan {
  return {
    name: `kind ${index}`,
    form: chance.weighed({ synchronous: 4, async: 4, fiber: 4 }),
    policy: chance.weighed({ reject: 3, spill: 3, "drop-oldest": 2, coalesce: 2 }),
    priority: chance.weighed({ normal: 3, high: 1, low: 1 }),
    deadline: chance.oneIn(3) ? chance.pick([0.5, 1, 5, 20]) : undefined,
  };
}

export function planScenario(chance: Chance): Plan {
  return {
    capacity: chance.pick([1, 2, 3, 4, 8, 16]),
    overflow: chance.pick([0, 1, 2, 5, 20]),
    inFlight: chance.pick([1, 2, 3, 8, 1024]),
    turnEvents: chance.pick([1, 2, 5, 4096]),
    turnMilliseconds: chance.pick([0.5, 4, 50]),
    errors: chance.weighed({ none: 2, report: 10, throw: 1, reject: 1 }),
    abandonAfter: chance.oneIn(3) ? chance.pick([1, 5, 30]) : undefined,
    heap: chance.oneIn(2) ? chance.pick(["manual", "refcount", "mark-sweep", "mark-sweep-stop"] as const) : undefined,
    drift: chance.pick([0, 0, 0.001, 0.3]),
    kinds: Array.from({ length: chance.between(1, 4) }, (_, index) => planKind(chance, index)),
    steps: chance.between(5, 60),
    events: chance.between(3, 60),
    fibers: chance.below(8),
    timers: chance.below(12),
    drains: chance.oneIn(3),
    ownFrames: chance.oneIn(2),
    disposes: chance.oneIn(40),
  };
}
