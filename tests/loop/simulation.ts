// A platform and a runtime that do what a test tells them, and keep account of everything a loop asks of them.

import type { CollectorFigures, createLoop, Host, Region, RegionPool } from "tidemark";
import { DisposedError, OutOfMemoryError, RegionEndedError } from "tidemark";
import type { ScopedHeap, ScopeRange } from "../../bindings/collectors/scope.js";
import type { Collector } from "../../bindings/memory/collector.js";

/** A host whose clock, hops and timers move only when told to. */
export class SimulatedHost implements Host {
  time = 0;
  /** Callbacks that hop, oldest first. */
  readonly hops: (() => void)[] = [];
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.time;
  }

  hop(callback: () => void): void {
    this.hops.push(callback);
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.time + milliseconds, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get timers(): number {
    return this.#timers.length;
  }

  /** Lets the oldest hop come down, and whatever is settled by it. Returns whether there was one. */
  async step(): Promise<boolean> {
    const hop = this.hops.shift();
    hop?.();
    await settled();
    return hop !== undefined;
  }

  /** Steps until nothing hops any more. Returns how many steps that took. */
  async rest(): Promise<number> {
    let steps = 0;
    while (await this.step()) steps++;
    return steps;
  }

  /** Moves the clock, and fires what is due, in the order of time. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.time + milliseconds;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((left, right) => left.at - right.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.time = Math.max(this.time, due.at);
      due.callback();
      await settled();
    }
    this.time = end;
  }
}

/** Waits until every promise that can settle by itself has done so. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A region that holds no memory: it counts bytes, and knows whether it is leased. */
class SimulatedRegion {
  ended = true;
  used = 0;
  /** The hint it was last leased with. */
  sizeHint = -1;

  bytes(count: number): void {
    if (this.ended) throw new RegionEndedError(`the region has ended, after ${this.used} bytes`);
    this.used += count;
  }
}

/** Hands out simulated regions, and refuses what no pool should be asked: leasing twice, ending twice. */
class SimulatedPool {
  readonly created: SimulatedRegion[] = [];
  readonly live = new Set<SimulatedRegion>();
  /** Whether the memory itself is gone. */
  lost = false;
  /** How often the pool has been disposed. */
  disposals = 0;
  /** Leases until one fails for want of memory. */
  leasesLeft = Number.POSITIVE_INFINITY;
  /** Thrown by the next `end`, once the region has ended. */
  fault: Error | undefined;

  createRegion(): SimulatedRegion {
    const region = new SimulatedRegion();
    this.created.push(region);
    return region;
  }

  lease(region: SimulatedRegion, sizeHint: number): void {
    if (this.lost) throw new DisposedError("the runtime has been disposed");
    if (this.disposals > 0) throw new DisposedError("the pool has been disposed");
    if (!region.ended) throw new Error("a region that is leased was leased again");
    if (this.leasesLeft-- <= 0) throw new OutOfMemoryError("0 bytes are left of 0");
    region.ended = false;
    region.used = 0;
    region.sizeHint = sizeHint;
    this.live.add(region);
  }

  end(region: SimulatedRegion): number {
    if (this.lost) throw new DisposedError("the runtime has been disposed");
    if (region.ended) throw new Error("a region that is not leased was ended");
    region.ended = true;
    this.live.delete(region);
    const { fault } = this;
    this.fault = undefined;
    if (fault !== undefined) throw fault;
    return region.used;
  }

  /** As the pool that it stands for: small regions only, and nothing when there is anything unusual about it. */
  $restart(region: SimulatedRegion): number {
    if (this.lost || this.fault !== undefined || region.used > 256 || Number.isFinite(this.leasesLeft)) return -1;
    if (region.ended) throw new Error("a region that is not leased was restarted");
    const { used } = region;
    region.used = 0;
    return used;
  }

  dispose(): void {
    this.disposals++;
  }

  lose(): void {
    for (const region of this.live) region.ended = true;
    this.live.clear();
    this.lost = true;
  }
}

/** The handles of a simulated heap in one scope: none, but it knows whether it is open. */
export class SimulatedRange implements ScopeRange {
  ended = false;

  constructor(readonly heap: SimulatedHeap) {}

  $end(): void {
    if (this.ended) throw new Error("a range that is not open was ended");
    this.ended = true;
    this.heap.live.delete(this);
    const { fault } = this.heap;
    this.heap.fault = undefined;
    if (fault !== undefined) throw fault;
  }
}

/** A heap without objects: it hands out ranges to scopes, each to one, and knows which are open. */
export class SimulatedHeap implements ScopedHeap<SimulatedRange> {
  readonly live = new Set<SimulatedRange>();
  /** Records that were kept. */
  readonly kept: object[] = [];
  opened = 0;
  /** Thrown by the next opening. */
  refusal: Error | undefined;
  /** Thrown by the next range to end, once it has ended. */
  fault: Error | undefined;

  /** @param memory that of its runtime */
  constructor(readonly memory: object) {}

  $openRange(): SimulatedRange {
    const { refusal } = this;
    this.refusal = undefined;
    if (refusal !== undefined) throw refusal;
    const range = new SimulatedRange(this);
    this.live.add(range);
    this.opened++;
    return range;
  }

  $keep<Record extends object>(record: Record): Record & Disposable {
    this.kept.push(record);
    return { ...record, [Symbol.dispose]: () => {} };
  }
}

/** A collector that does what it is told, and refuses to be called while a handler runs or from inside itself. */
export class SimulatedCollector implements Collector {
  settles = 0;
  steps = 0;
  /** Steps that are left to be done in idle time. */
  work = 0;
  /** What a settlement does beside. */
  onSettle: () => void = () => {};
  onIdle: () => void = () => {};
  $figures: CollectorFigures = {
    steps: 0,
    units: 0,
    longestStepUnits: 0,
    longestStepMicroseconds: 0,
    cycles: 0,
  };
  #busy = false;

  constructor(readonly memory: SimulatedRuntime["$memory"]) {
    memory.collectors.add(this);
  }

  $refused(): void {}

  $settle(): void {
    this.settles++;
    this.#alone(this.onSettle);
  }

  $idle(): boolean {
    this.steps++;
    if (this.work > 0) this.work--;
    this.#alone(this.onIdle);
    return this.work > 0;
  }

  #alone(action: () => void): void {
    if (this.memory.handlersRunning !== 0) throw new Error(`${this.memory.handlersRunning} handlers are running`);
    if (this.#busy) throw new Error("a collector was called from inside itself");
    this.#busy = true;
    try {
      action();
    } finally {
      this.#busy = false;
    }
  }
}

/** As much of a runtime as a loop needs. */
export class SimulatedRuntime {
  readonly pool = new SimulatedPool();
  readonly $memory = { collectors: new Set<Collector>(), handlersRunning: 0 };
  readonly debug: boolean;
  readonly #listeners = new Set<() => void>();

  constructor(options: { debug?: boolean } = {}) {
    this.debug = options.debug ?? false;
  }

  get disposed(): boolean {
    return this.pool.lost;
  }

  dispose(): void {
    this.pool.lose();
    for (const listener of [...this.#listeners]) listener();
  }

  $onDispose(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  regionPool(): RegionPool {
    return this.pool as unknown as RegionPool;
  }

  /** The runtime as a loop takes it. */
  get runtime(): Parameters<typeof createLoop>[0] {
    return this;
  }
}

/** The simulated region behind what a context calls its region. */
export function simulated(region: Region): SimulatedRegion {
  return region as unknown as SimulatedRegion;
}

/** A promise that a test settles by hand. */
export class Gate {
  open!: () => void;
  fail!: (error: unknown) => void;
  readonly promise = new Promise<void>((resolve, reject) => {
    this.open = resolve;
    this.fail = reject;
  });
}

/** What has become of a promise, to be read at any moment. Handles its rejection, so none is reported as stray. */
export class Outcome<Value> {
  state: "pending" | "resolved" | "rejected" = "pending";
  value: Value | undefined;
  error: unknown;

  constructor(promise: Promise<Value>) {
    promise.then(
      (value) => {
        this.state = "resolved";
        this.value = value;
      },
      (error) => {
        this.state = "rejected";
        this.error = error;
      },
    );
  }
}
