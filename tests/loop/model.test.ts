// A loop under a simulated platform, held against a model of it: lists, counts and nothing else.
//
// A script of posts, hops, settlements, clock advances, runs and closes is played to both. After each step every count,
// every post's result, every region and scope, every call of a collector and every promise must be what the model says.

import fc from "fast-check";
import type { CloseReport, EventContext, Kind, PostResult, Region, Scope } from "tidemark";
import {
  createLoop,
  DestroyHookError,
  LoopClosedError,
  LoopStateError,
  OutOfMemoryError,
  RegionEndedError,
  ScopeEndedError,
} from "tidemark";
import { expect, test } from "vitest";
import {
  Gate,
  Outcome,
  SimulatedCollector,
  SimulatedHeap,
  SimulatedHost,
  type SimulatedRange,
  SimulatedRuntime,
  settled,
  simulated,
} from "./simulation.js";

const KINDS = ["reject", "spill", "drop-oldest"] as const;
/** The number of a kind, in their order. */
type KindNumber = 0 | 1 | 2;
const DROPS_OLDEST = 2;

interface Configuration {
  readonly capacity: number;
  readonly overflow: number;
  readonly inFlight: number;
  readonly turnEvents: number;
  readonly onError: "none" | "report" | "throw";
  readonly debug: boolean;
  /** Collectors, by the steps of idle time that each wants after an event. */
  readonly collectors: readonly number[];
  /** What a collector throws: in every fifth settlement, and in the last of its steps in idle time. */
  readonly collectorFails: "never" | "in a hook" | "for memory";
}

/** What an event's handler does. */
interface Behaviour {
  readonly ends: "returns" | "throws" | "waits";
  /** When it reads its region. */
  readonly region: "never" | "at once" | "after waiting";
  /** When it reads its scope. */
  readonly scope: "never" | "at once" | "after waiting";
  /** How many events it posts, which return at once and post nothing. */
  readonly posts: number;
  /** Whether it closes the loop, and how. */
  readonly closes: "no" | "drain" | "discard";
}

type Step =
  | { readonly type: "post"; readonly kind: KindNumber; readonly behaviour: Behaviour }
  | { readonly type: "hop" }
  | { readonly type: "settle"; readonly index: number; readonly fails: boolean }
  | { readonly type: "advance"; readonly milliseconds: number }
  | { readonly type: "run"; readonly until: "closed" | "idle" }
  | { readonly type: "ready" }
  | { readonly type: "close"; readonly mode: "drain" | "discard"; readonly deadline: number | undefined };

interface Event {
  readonly id: number;
  readonly kind: KindNumber;
  readonly behaviour: Behaviour;
}

const CHILD: Behaviour = { ends: "returns", region: "at once", scope: "at once", posts: 0, closes: "no" };

/** An event of the model that waits for its promise. */
interface Waiting {
  readonly event: Event;
  readonly gate: Gate;
  leased: boolean;
  scoped: boolean;
}

type Expected = "pending" | "resolved" | "rejected";

/** What the loop should be. */
class Model {
  queue: Event[] = [];
  flights: Waiting[] = [];
  phase: "open" | "closing" | "closed" = "open";
  discard = false;
  closeCalled = false;
  failed: "no" | "told" | "untold" = "no";
  deadline: number | undefined;
  runner: { until: "closed" | "idle"; promise: Promised } | undefined;
  closePromise: Promised = { expected: "pending" };
  rooms: Promised[] = [];
  dispatched: number[] = [];
  counts = { processed: 0, failed: 0, dropped: 0, abandoned: 0, rejected: 0, spilled: 0, displaced: 0 };
  regions = { leased: 0, bytes: 0 };
  high = { queue: 0, overflow: 0, flights: 0 };
  turns = 0;
  /** Calls of `onDrain`, and how many posts had found no room at the last one. */
  drains = 0;
  drained = 0;
  scopesOpened = 0;
  /** Events that have ended, whoever still waited for them. */
  ended = 0;
  idleTurns = 0;
  /** Collectors in a row that had nothing to do in idle time. */
  quiet = 0;

  constructor(readonly configuration: Configuration) {}

  post(event: Event): PostResult | "closed" {
    const { capacity, overflow } = this.configuration;
    if (this.phase !== "open") return "closed";
    const length = this.queue.length;
    const limit = event.kind === 1 ? capacity + overflow : capacity;
    if (length >= limit) {
      if (event.kind === DROPS_OLDEST && this.displace(event)) return "displaced";
      this.counts.rejected++;
      return "rejected";
    }
    this.queue.push(event);
    this.high.queue = Math.max(this.high.queue, Math.min(length + 1, capacity));
    this.high.overflow = Math.max(this.high.overflow, length + 1 - capacity);
    if (length < capacity) return "queued";
    this.counts.spilled++;
    return "spilled";
  }

  /** Queues an event in the place of the oldest of its kind in the ring, behind all others. False if there is none. */
  displace(event: Event): boolean {
    const oldest = this.queue.slice(0, this.configuration.capacity).findIndex(({ kind }) => kind === event.kind);
    if (oldest < 0) return false;
    this.queue.splice(oldest, 1);
    this.queue.push(event);
    this.counts.displaced++;
    this.counts.dropped++;
    return true;
  }

  /** Posts that have found no room. */
  get withoutRoom(): number {
    return this.counts.rejected + this.counts.spilled + this.counts.displaced;
  }

  get runs(): boolean {
    return this.phase !== "closed" && (this.runner !== undefined || this.phase === "closing");
  }

  /** Whether a hop has to be under way. */
  get wantsHop(): boolean {
    return this.runs && this.queue.length > 0 && this.flights.length < this.configuration.inFlight;
  }

  /** Whether a turn without events has to be a collector's. */
  get wantsIdle(): boolean {
    return this.runs && this.failed === "no" && this.quiet < this.configuration.collectors.length;
  }

  fail(): void {
    this.counts.failed++;
    this.stop();
  }

  /** What an error does that is reported. */
  stop(): void {
    if (this.configuration.onError === "report" || this.failed !== "no" || this.phase === "closed") return;
    this.failed = this.runner === undefined ? "untold" : "told";
    if (this.runner !== undefined) this.runner.promise.expected = "rejected";
    this.runner = undefined;
    this.beginClosing(true);
    this.drop();
  }

  beginClosing(discard: boolean): void {
    if (this.phase !== "open") return;
    this.phase = "closing";
    this.discard = discard;
    for (const room of this.rooms) room.expected = "rejected";
    this.rooms = [];
  }

  drop(): void {
    this.counts.dropped += this.queue.length;
    this.queue = [];
  }

  /** What follows every step outside a turn. */
  advance(): void {
    if (this.phase === "closed") return;
    if (this.phase === "closing" && this.discard) this.drop();
    if (this.queue.length < this.configuration.capacity) {
      for (const room of this.rooms) room.expected = "resolved";
      this.rooms = [];
    }
    if (this.queue.length > 0) return;
    if (this.phase === "open" && this.drained !== this.withoutRoom) {
      this.drained = this.withoutRoom;
      this.drains++;
    }
    if (this.flights.length > 0) return;
    if (this.phase === "closing") this.finish();
    else if (this.runner?.until === "idle") {
      this.runner.promise.expected = "resolved";
      this.runner = undefined;
    }
  }

  expire(): void {
    this.drop();
    this.counts.abandoned = this.flights.length;
    this.finish();
  }

  finish(): void {
    this.phase = "closed";
    this.deadline = undefined;
    const lost = this.counts.dropped - this.counts.displaced + this.counts.abandoned;
    if (this.runner !== undefined) {
      this.runner.promise.expected = this.runner.until === "idle" && lost > 0 ? "rejected" : "resolved";
    }
    this.runner = undefined;
    this.closePromise.expected = this.failed === "untold" ? "rejected" : "resolved";
  }
}

interface Promised {
  expected: Expected;
}

/** A scope that an event has read, and the range that a heap has opened in it. */
interface Opened {
  readonly scope: Scope;
  readonly range: SimulatedRange;
}

const sabotage = new Error("sabotage");
const faults = {
  never: undefined,
  "in a hook": new DestroyHookError("a hook threw"),
  "for memory": new OutOfMemoryError("0 pages are left of 0"),
};

class Simulation {
  readonly host = new SimulatedHost();
  readonly simulation: SimulatedRuntime;
  readonly model: Model;
  readonly loop;
  readonly kinds: Kind<Event>[];
  /** Every promise handed out, with what the model says of it. */
  readonly promises: { readonly name: string; readonly outcome: Outcome<unknown>; readonly promised: Promised }[] = [];
  close: Promise<CloseReport> | undefined;
  /** Events that the present turn may still begin: what was queued when it began, capped. */
  quota = 0;
  /** Whether a collector has to be called in the present turn, once. */
  idle = false;
  nextId = 0;
  /** Calls of `onDrain`. */
  drains = 0;
  /** Posts that threw. */
  refusedPosts = 0;
  /** Contexts, regions and scopes of events that have ended, and that no other event may have. */
  readonly ended: {
    readonly context: EventContext<Event>;
    readonly region: Region | undefined;
    readonly scope: Opened | undefined;
  }[] = [];
  readonly heap: SimulatedHeap;
  readonly collectors: SimulatedCollector[];
  /** Which collector has the next turn in idle time. */
  nextIdle = 0;
  /** Whether the synchronous part of a handler runs. */
  handling = false;
  readonly complaints: unknown[] = [];

  constructor(readonly configuration: Configuration) {
    this.simulation = new SimulatedRuntime({ debug: configuration.debug });
    this.heap = new SimulatedHeap(this.simulation.$memory);
    this.model = new Model(configuration);
    this.collectors = configuration.collectors.map((work, index) => this.makeCollector(work, index));
    this.loop = createLoop(this.simulation.runtime, {
      host: this.host,
      queue: { capacity: configuration.capacity, overflow: configuration.overflow, onDrain: () => this.drains++ },
      turn: { events: configuration.turnEvents },
      inFlight: configuration.inFlight,
      ...(configuration.onError === "none"
        ? {}
        : {
            onError: () => {
              if (configuration.onError === "throw") throw new Error("onError");
            },
          }),
    });
    this.kinds = KINDS.map((policy, kind) =>
      this.loop.on(policy, (event: Event, context) => this.handle(event, context, kind), { policy }),
    );
  }

  /** An assertion inside a handler would be taken for the handler's failure. */
  check(assertion: () => void): void {
    try {
      assertion();
    } catch (complaint) {
      this.complaints.push(complaint);
    }
  }

  makeCollector(work: number, index: number): SimulatedCollector {
    const { model } = this;
    const fault = faults[this.configuration.collectorFails];
    const collector = new SimulatedCollector(this.simulation.$memory);
    collector.onSettle = () => {
      this.check(() => expect(this.handling).toBe(false));
      collector.work = work;
      if (fault === undefined || collector.settles % 5 !== 0) return;
      model.stop();
      throw fault;
    };
    collector.onIdle = () => {
      this.check(() => {
        expect(this.handling).toBe(false);
        expect(this.idle).toBe(true);
        expect(index).toBe(this.nextIdle);
      });
      this.idle = false;
      this.nextIdle = (index + 1) % this.collectors.length;
      model.idleTurns++;
      const throws = fault !== undefined && collector.work === 1;
      // It is asked again after a hook has thrown, whatever there is left to do.
      const more = throws ? fault instanceof DestroyHookError : collector.work > 0;
      model.quiet = more ? 0 : model.quiet + 1;
      if (!throws) return;
      model.stop();
      throw fault;
    };
    return collector;
  }

  handle(event: Event, context: EventContext<Event>, kind: number): unknown {
    this.handling = true;
    try {
      return this.handleFirstPart(event, context, kind);
    } finally {
      this.handling = false;
    }
  }

  handleFirstPart(event: Event, context: EventContext<Event>, kind: number): unknown {
    const { model } = this;
    const { behaviour } = event;
    this.check(() => {
      expect(model.queue[0]).toBe(event);
      expect(model.runs).toBe(true);
      expect(model.flights.length).toBeLessThan(this.configuration.inFlight);
      expect(this.quota).toBeGreaterThan(0);
      expect(context.sequence).toBe(model.dispatched.length);
      expect(context.kind).toBe(this.kinds[kind]);
      expect(event.kind).toBe(kind);
      expect(this.simulation.$memory.handlersRunning).toBe(1);
      // Each event before this one has been followed by every collector's settlement.
      for (const { settles } of this.collectors) expect(settles).toBe(model.ended);
    });
    this.quota--;
    model.queue.shift();
    model.dispatched.push(event.id);

    let region: Region | undefined;
    if (behaviour.region === "at once") region = this.lease(context);
    const scope = behaviour.scope === "at once" ? this.open(context) : undefined;
    for (let count = 0; count < behaviour.posts; count++) this.post(event.kind, CHILD);
    if (behaviour.closes !== "no") this.callClose(behaviour.closes, undefined);

    if (behaviour.ends === "waits") {
      const flight: Waiting = { event, gate: new Gate(), leased: region !== undefined, scoped: scope !== undefined };
      model.flights.push(flight);
      model.high.flights = Math.max(model.high.flights, model.flights.length);
      return this.wait(flight, context, region, scope);
    }
    model.ended++;
    model.counts.processed++; // a synchronous event ends as soon as its handler does
    if (this.configuration.debug) this.ended.push({ context, region, scope });
    if (behaviour.ends === "returns") return undefined;
    model.fail();
    throw sabotage;
  }

  async wait(
    flight: Waiting,
    context: EventContext<Event>,
    leased: Region | undefined,
    opened: Opened | undefined,
  ): Promise<void> {
    let region = leased;
    let scope = opened;
    try {
      await flight.gate.promise;
    } finally {
      if (flight.event.behaviour.region === "after waiting") {
        region = this.lease(context);
        flight.leased = true;
      }
      if (flight.event.behaviour.scope === "after waiting") {
        scope = this.open(context);
        flight.scoped = true;
      }
      if (region !== undefined) this.check(() => simulated(region!).bytes(1));
      if (scope !== undefined)
        this.check(() => expect([scope!.scope.ended, scope!.range.ended]).toEqual([false, false]));
      this.check(() => expect(this.simulation.$memory.handlersRunning).toBe(0));
      this.model.regions.bytes += region === undefined ? 0 : 1;
      this.ended.push({ context, region, scope });
    }
  }

  open(context: EventContext<Event>): Opened {
    const { scope } = context;
    this.model.scopesOpened++;
    const { live } = this.heap;
    const known = live.size;
    const range = scope.$rangeOf(this.heap);
    this.check(() => {
      expect(live.size).toBe(known + 1);
      expect(scope.ended).toBe(false);
      expect(context.scope).toBe(scope);
      expect(scope.$rangeOf(this.heap)).toBe(range);
    });
    return { scope, range };
  }

  lease(context: EventContext<Event>): Region {
    const { region } = context;
    this.model.regions.leased++;
    this.model.regions.bytes += 3;
    this.check(() => {
      expect(simulated(region).used).toBe(0);
      expect(context.region).toBe(region);
      simulated(region).bytes(3);
    });
    return region;
  }

  post(kind: KindNumber, behaviour: Behaviour): void {
    const event: Event = { id: this.nextId++, kind, behaviour };
    const expected = this.model.post(event);
    let result: PostResult | "closed";
    try {
      result = this.kinds[kind]!.post(event);
    } catch (error) {
      this.check(() => expect(error).toBeInstanceOf(LoopClosedError));
      this.refusedPosts++;
      result = "closed";
    }
    this.check(() => expect(result).toBe(expected));
  }

  promise(name: string, promise: Promise<unknown>, promised: Promised): void {
    this.promises.push({ name, outcome: new Outcome(promise), promised });
  }

  callClose(mode: "drain" | "discard", deadline: number | undefined): void {
    const { model } = this;
    const promise = this.loop.close({ mode, ...(deadline === undefined ? {} : { deadline }) });
    if (this.close !== undefined) this.check(() => expect(promise).toBe(this.close));
    this.close = promise;
    this.promise("close", promise, model.closePromise);
    if (model.closeCalled) return;
    model.closeCalled = true;
    model.beginClosing(mode === "discard");
    if (model.phase !== "closed" && deadline !== undefined) model.deadline = this.host.time + deadline;
  }

  async play(step: Step): Promise<void> {
    const { model, host, loop } = this;
    switch (step.type) {
      case "post":
        this.post(step.kind, step.behaviour);
        break;
      case "hop": {
        const hop = host.hops.shift();
        if (hop === undefined) break;
        this.quota = model.wantsHop ? Math.min(model.queue.length, this.configuration.turnEvents) : 0;
        this.idle = this.quota === 0 && model.wantsIdle;
        if (this.quota > 0) {
          model.turns++;
          model.quiet = 0;
        }
        hop();
        expect(this.idle).toBe(false); // it has been used
        const unused = this.quota;
        this.quota = 0;
        // A turn that has begun fewer than it may was stopped: by a failure, or by the bound of those in flight.
        if (unused > 0) {
          expect(model.failed !== "no" || model.flights.length === this.configuration.inFlight).toBe(true);
        }
        model.advance();
        break;
      }
      case "settle": {
        const [flight] = model.flights.splice(step.index % Math.max(1, model.flights.length), 1);
        if (flight === undefined) break;
        if (step.fails) flight.gate.fail(sabotage);
        else flight.gate.open();
        model.ended++;
        model.quiet = 0;
        await settled();
        if (model.phase === "closed") {
          if (step.fails) model.counts.failed++;
        } else {
          model.counts.processed++;
          if (step.fails) model.fail();
        }
        model.advance();
        break;
      }
      case "advance":
        if (model.deadline !== undefined && model.deadline <= host.time + step.milliseconds) model.expire();
        await host.advance(step.milliseconds);
        break;
      case "run": {
        const promise = step.until === "closed" ? loop.run() : loop.runUntilIdle();
        const promised: Promised = { expected: "pending" };
        this.promise(step.until, promise, promised);
        if (model.phase !== "open") {
          promised.expected = "rejected";
          await expect(promise).rejects.toBeInstanceOf(LoopClosedError);
        } else if (model.runner !== undefined) {
          promised.expected = "rejected";
          await expect(promise).rejects.toBeInstanceOf(LoopStateError);
        } else {
          model.runner = { until: step.until, promise: promised };
          model.advance();
        }
        break;
      }
      case "ready": {
        const promised: Promised = { expected: "pending" };
        if (model.phase !== "open") promised.expected = "rejected";
        else if (model.queue.length < this.configuration.capacity) promised.expected = "resolved";
        else model.rooms.push(promised);
        this.promise("ready", loop.ready(), promised);
        break;
      }
      case "close":
        this.callClose(step.mode, step.deadline);
        model.advance();
        break;
    }
    await settled();
    this.compare();
  }

  compare(): void {
    const { model, loop, simulation, host } = this;
    expect(this.complaints).toEqual([]);
    const { capacity } = this.configuration;
    const live = model.flights.filter(({ leased }) => leased).length;
    const open = model.flights.filter(({ scoped }) => scoped).length;
    expect(loop.stats()).toEqual({
      ...model.counts,
      queued: model.queue.length,
      overflow: Math.max(0, model.queue.length - capacity),
      queueHighWater: model.high.queue,
      overflowHighWater: model.high.overflow,
      inFlight: model.flights.length,
      inFlightHighWater: model.high.flights,
      quarantined: model.phase === "closed" ? model.flights.length : 0,
      coalesced: 0,
      timers: undefined,
      fibers: undefined,
      turns: model.turns,
      slow: 0,
      longestSlow: 0,
      lag: undefined,
      watchdog: undefined,
      regionsLive: live,
      regionsLeased: model.regions.leased,
      bytesReset: model.regions.bytes - 3 * live,
      scopesLive: open,
      scopesOpened: model.scopesOpened,
      idleTurns: model.idleTurns,
      collections: { steps: 0, units: 0, longestStepUnits: 0, longestStepMicroseconds: 0, cycles: 0 },
    });
    expect(this.drains).toBe(model.drains);
    expect(this.heap.live.size).toBe(open);
    expect(this.heap.opened).toBe(model.scopesOpened);
    for (const { settles } of this.collectors) expect(settles).toBe(model.ended);
    expect(simulation.$memory.handlersRunning).toBe(0);
    expect(simulation.pool.live.size).toBe(live);
    for (const { name, outcome, promised } of this.promises)
      expect([name, outcome.state]).toEqual([name, promised.expected]);
    if (model.wantsHop || model.wantsIdle) expect(host.hops).toHaveLength(1);
    else expect(host.hops.length).toBeLessThanOrEqual(1);
    expect(host.timers).toBe(model.deadline === undefined ? 0 : 1);
    for (const { context, region, scope } of this.ended) {
      expect(() => context.region).toThrow(RegionEndedError);
      expect(() => context.scope).toThrow(ScopeEndedError);
      if (region !== undefined) expect(region.ended).toBe(true);
      if (scope !== undefined) expect([scope.scope.ended, scope.range.ended]).toEqual([true, true]);
    }
  }

  /** Brings everything to its end: nothing that was accepted is lost, nothing that was promised hangs. */
  async finish(): Promise<void> {
    const { model } = this;
    await this.play({ type: "close", mode: "drain", deadline: undefined });
    while (this.host.hops.length > 0 || model.flights.length > 0) {
      await this.play({ type: "hop" });
      await this.play({ type: "settle", index: 0, fails: false });
    }
    expect(model.phase).toBe("closed");
    for (const { name, outcome } of this.promises) expect([name, outcome.state]).not.toEqual([name, "pending"]);
    const { processed, dropped, abandoned } = model.counts;
    const accepted = this.nextId - model.counts.rejected - this.refusedPosts;
    expect(processed + dropped + abandoned).toBe(accepted);
    if (model.failed !== "untold") expect(await this.close).toEqual({ processed, dropped, abandoned });
    else await expect(this.close).rejects.toThrow();
    expect(this.simulation.pool.live.size).toBe(0);
    expect(this.simulation.pool.disposals).toBe(1);
  }
}

const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  ends: fc.oneof(
    { weight: 5, arbitrary: fc.constant("returns" as const) },
    { weight: 1, arbitrary: fc.constant("throws" as const) },
    { weight: 5, arbitrary: fc.constant("waits" as const) },
  ),
  region: fc.constantFrom("never", "at once", "after waiting"),
  scope: fc.constantFrom("never", "at once", "after waiting"),
  posts: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }) }),
  closes: fc.oneof(
    { weight: 40, arbitrary: fc.constant("no" as const) },
    { weight: 1, arbitrary: fc.constantFrom("drain" as const, "discard" as const) },
  ),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      type: fc.constant("post" as const),
      kind: fc.constantFrom<KindNumber>(0, 1, DROPS_OLDEST),
      behaviour,
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("hop" as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("settle" as const),
      index: fc.nat({ max: 5 }),
      fails: fc.nat({ max: 7 }).map((dice) => dice === 7),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("advance" as const), milliseconds: fc.nat({ max: 20 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("run" as const),
      until: fc.constantFrom("closed" as const, "idle" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("ready" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("close" as const),
      mode: fc.constantFrom("drain" as const, "discard" as const),
      deadline: fc.option(fc.nat({ max: 30 }), { nil: undefined }),
    }),
  },
);

const configuration: fc.Arbitrary<Configuration> = fc.record({
  capacity: fc.integer({ min: 1, max: 6 }),
  overflow: fc.nat({ max: 4 }),
  inFlight: fc.integer({ min: 1, max: 4 }),
  turnEvents: fc.integer({ min: 1, max: 5 }),
  onError: fc.constantFrom("none", "report", "throw"),
  debug: fc.boolean(),
  collectors: fc.array(fc.nat({ max: 3 }), { maxLength: 3 }),
  collectorFails: fc.oneof(
    { weight: 3, arbitrary: fc.constant("never" as const) },
    { weight: 1, arbitrary: fc.constantFrom("in a hook" as const, "for memory" as const) },
  ),
});

test("a loop does what its model does, whatever is posted, run, settled, failed and closed, in whatever order", async () => {
  await fc.assert(
    fc.asyncProperty(configuration, fc.array(step, { maxLength: 60 }), async (configuration, steps) => {
      const simulation = new Simulation(configuration);
      for (const step of steps) await simulation.play(step);
      await simulation.finish();
    }),
    { numRuns: 4000 },
  );
});
