import {
  Baton,
  type CloseOptions,
  coalesce,
  createLoop,
  DisposedError,
  type EventContext,
  type FailedEvent,
  type FramePool,
  type Handler,
  type Heap,
  type Loop,
  LoopClosedError,
  OutOfMemoryError,
  type PostResult,
  type Runtime,
} from "tidemark";
import { actForAll, drive, handle, runFiber } from "./behaviour.js";
import { type Belongings, Leaf } from "./belongings.js";
import { Chance } from "./chance.js";
import { type BatonRecord, type FiberRecord, Gate, Outcome, Sabotage, type TimerRecord } from "./companions.js";
import { assertExpectedFailure } from "./failures.js";
import { type EventRecord, type KindRecord, Ledger } from "./ledger.js";
import { type KindPlan, type Plan, planKind, planScenario } from "./plan.js";
import { ScenarioHost } from "./scenarioHost.js";

/** One loop with all that uses it, as a seed decides; and what everybody in it may do. */
export class Scenario {
  readonly chance: Chance;
  readonly plan: Plan;
  readonly host: ScenarioHost;
  readonly ledger: Ledger;
  readonly loop: Loop;
  readonly heap: Heap | undefined;
  /** Where fibers have their frames from, if it is not the loop's own pool. */
  readonly frames: FramePool | undefined;
  readonly kinds: KindRecord[] = [];
  readonly batons: BatonRecord[];
  readonly fibers: FiberRecord[] = [];
  readonly timers: TimerRecord[] = [];
  /** Gates that are waited for, and those that nobody opens before the end. */
  readonly gates: Gate[] = [];
  readonly neverGates: Gate[] = [];
  readonly sabotages: Sabotage[] = [];
  /** Every promise that was handed out. */
  readonly outcomes: Outcome[] = [];
  /** The runs that are under way or were. */
  readonly runs: Outcome[] = [];
  closeCalled = false;
  /** Whether it was to drop what is queued. */
  discards = false;
  closing: Outcome | undefined;
  /** What events had that have ended since this was last looked at. */
  readonly ended: Belongings[] = [];
  /** Timers of the host that are the batons' own, and not the loop's. */
  sideTimers = 0;
  /** Whether memory has run out: then a deadline may not have been armed. */
  noMemory = false;
  hasAborted = false;
  /** How often the driver has let something happen. */
  stretch = 0;
  /** What has happened; kept only if somebody is to read it. */
  readonly trace: string[] | undefined;
  readonly aborter = new AbortController();

  constructor(
    seed: number,
    readonly runtime: Runtime,
    isTraced: boolean,
  ) {
    this.trace = isTraced ? [] : undefined;
    this.chance = new Chance(seed, "scenario");
    this.plan = planScenario(this.chance);
    this.host = new ScenarioHost(this.plan.drift);
    this.ledger = new Ledger(this.plan);
    this.note(JSON.stringify({ debug: runtime.debug, ...this.plan }));
    this.heap = this.#createHeap();
    this.frames = this.plan.ownFrames ? undefined : runtime.framePool();
    this.batons = Array.from({ length: 3 }, (_, id) => ({ id, baton: new Baton({ timers: this.#sideTimers }) }));
    this.loop = this.#createLoop();
    for (const kind of this.plan.kinds) this.addKind(kind);
  }

  note(text: string): void {
    this.trace?.push(`${this.host.time.toFixed(3).padStart(9)} ms  ${text}`);
  }

  readonly sawNoMemory = (): void => {
    this.noMemory = true;
  };

  #createHeap(): Heap | undefined {
    const { heap } = this.plan;
    if (heap === undefined) return undefined;
    try {
      return this.runtime.heap(heap, { types: [Leaf], stepUnits: 50, minimumBytes: 1 });
    } catch (error) {
      if (error instanceof OutOfMemoryError) return undefined;
      throw error;
    }
  }

  readonly #sideTimers = {
    after: (milliseconds: number, callback: () => void) => {
      this.sideTimers++;
      const cancel = this.host.after(milliseconds, () => {
        this.sideTimers--;
        callback();
      });
      return () => {
        this.sideTimers--;
        cancel();
      };
    },
    cancel: (cancel: unknown) => (cancel as () => void)(),
  };

  #createLoop(): Loop {
    const { plan, host } = this;
    return createLoop(this.runtime, {
      host,
      queue: {
        capacity: plan.capacity,
        overflow: plan.overflow,
        ...(plan.drains && { onDrain: () => actForAll(this) }),
      },
      turn: { events: plan.turnEvents, milliseconds: plan.turnMilliseconds },
      inFlight: plan.inFlight,
      ...(this.frames && { frames: this.frames }),
      ...(plan.abandonAfter !== undefined && { abandonAfter: plan.abandonAfter }),
      ...(plan.errors !== "none" && { onError: (error: unknown, event: FailedEvent) => this.#onError(error, event) }),
    });
  }

  #onError(error: unknown, event: FailedEvent): unknown {
    this.note(`onError: ${error} (${event.kind} ${event.sequence})`);
    assertExpectedFailure(this, error, event);
    if (this.plan.errors === "throw") throw this.sabotage("onError", false, error);
    return this.plan.errors === "reject" ? Promise.reject(this.sabotage("onError", false, error)) : undefined;
  }

  /** Makes an error to be thrown. */
  sabotage(what: string, isTold: boolean, cause?: unknown): Sabotage {
    const sabotage = new Sabotage(what, isTold, cause);
    this.sabotages.push(sabotage);
    return sabotage;
  }

  addKind(plan: KindPlan): void {
    const record: KindRecord = { plan, kind: undefined };
    const { name, policy, priority, deadline } = plan;
    const handlers: Record<KindPlan["form"], Handler<EventRecord>> = {
      synchronous: (event, context) => {
        this.ledger.begin(event, context);
        handle(this, event, context, false).next();
      },
      async: (event, context) => {
        this.ledger.begin(event, context);
        return drive(handle(this, event, context, true));
      },
      fiber: this.#fiberHandler(),
    };
    record.kind = this.loop.on<EventRecord>(name, handlers[plan.form], {
      policy: policy === "coalesce" ? coalesce<EventRecord>(({ key }) => key) : policy,
      priority,
      ...(deadline !== undefined && { deadline }),
    });
    this.kinds.push(record);
  }

  /** A generator function whose call is seen, too, and not only the first step of what it makes. */
  #fiberHandler(): Handler<EventRecord> {
    const scenario = this;
    const handler = function* (event: EventRecord, context: EventContext<EventRecord>) {
      yield* handle(scenario, event, context, true);
    };
    return new Proxy(handler, {
      apply: (target, self, words: [EventRecord, EventContext<EventRecord>]) => {
        scenario.ledger.begin(...words);
        return Reflect.apply(target, self, words);
      },
    });
  }

  /** Whether a limit of time may come to nothing: its timer could not be armed, or has gone with the runtime. */
  get mayHaveNoTimers(): boolean {
    return this.noMemory || this.runtime.disposed;
  }

  /** Whether an event may wait for what never comes: something else ends the wait. */
  endsByItself(event: EventRecord | undefined): boolean {
    if (event === undefined) return false;
    if (this.plan.abandonAfter !== undefined) return true;
    return event.kind.plan.form === "fiber" && event.kind.plan.deadline !== undefined;
  }

  newGate(): Gate {
    const gate = new Gate();
    this.gates.push(gate);
    return gate;
  }

  neverGate(): Gate {
    const gate = new Gate();
    this.neverGates.push(gate);
    return gate;
  }

  openGate(): void {
    const gates = this.gates.filter(({ isOpen }) => !isOpen);
    if (gates.length === 0) return;
    const gate = this.chance.pick(gates);
    if (this.chance.oneIn(5)) gate.fail(new Error("the gate has failed"));
    else gate.open();
  }

  /** Posts an event of any kind. Throws what the post throws. */
  post(): PostResult {
    const { ledger, chance } = this;
    if (ledger.created >= this.plan.events) return "rejected";
    const event = ledger.create(chance.pick(this.kinds), chance.below(3));
    let result: PostResult;
    try {
      result = event.kind.kind!.post(event);
    } catch (error) {
      this.assertClosing(error);
      ledger.refused = true;
      throw error;
    }
    this.note(`post of event ${event.id} to "${event.kind.plan.name}": ${result}`);
    ledger.assert(!ledger.refused, `event ${event.id} was accepted after another had been refused`);
    ledger.posted(event, result);
    return result;
  }

  tryPost(): void {
    try {
      this.post();
    } catch (error) {
      if (!(error instanceof LoopClosedError || error instanceof DisposedError)) throw error;
    }
  }

  /** An operation was refused, since the loop takes no more. There must be a reason for that. */
  assertClosing(error: unknown): void {
    const { ledger, runtime, plan } = this;
    const isRight = error instanceof LoopClosedError || (error instanceof DisposedError && runtime.disposed);
    ledger.assert(isRight, `a closing loop has thrown ${error}`);
    const hasReason = this.closeCalled || runtime.disposed || this.hasAborted || plan.errors !== "report";
    ledger.assert(hasReason, `the loop refuses, though nobody has closed or stopped it: ${error}`);
  }

  spawn(): void {
    const { chance, fibers } = this;
    if (fibers.length >= this.plan.fibers) return;
    const record: FiberRecord = { id: fibers.length, fiber: undefined, begun: false, ends: 0 };
    const frame = chance.pick([undefined, undefined, "small", "medium", "large"] as const);
    const scenario = this;
    this.#attempt(() => {
      record.fiber = this.loop.spawn(
        function* (context) {
          yield* runFiber(scenario, record, () => (frame === undefined ? undefined : context.frame));
        },
        frame === undefined ? {} : { frame },
      );
      fibers.push(record);
      this.note(`fiber ${record.id} is spawned`);
      if (chance.oneIn(2)) this.outcomes.push(new Outcome(`the join of fiber ${record.id}`, record.fiber.join()));
    });
  }

  cancelFiber(): void {
    const { fibers } = this;
    if (fibers.length > 0) this.chance.pick(fibers).fiber?.cancel();
  }

  /** Arms a timer that does something, posts an event, or posts a baton. */
  arm(): void {
    const { chance, timers, host } = this;
    if (timers.length >= this.plan.timers) return;
    const delay = chance.pick([0, 0, 1, 2, 7, 50, 1000]);
    const periodic = delay > 0 && chance.oneIn(4);
    const record: TimerRecord = {
      id: timers.length,
      timer: undefined,
      periodic,
      due: host.time + delay,
      latest: host.time + delay,
      armedIn: this.stretch,
      state: "armed",
    };
    const fire = chance.weighed({ act: 3, post: 3, baton: 1 });
    const target = () => {
      this.#fired(record, delay);
      if (fire === "post") return this.#postByTimer();
      if (fire === "baton") chance.pick(this.batons).baton.post();
      else actForAll(this);
      if (chance.oneIn(8)) throw this.sabotage(`timer ${record.id}`, true);
      return undefined;
    };
    this.#attempt(() => {
      const { loop } = this;
      const post = { post: target };
      record.timer = periodic
        ? loop.every(delay, post, { drift: chance.pick(["skip", "fixed-delay"]) })
        : loop.after(delay, post);
      timers.push(record);
      this.note(`timer ${record.id} is armed for ${delay} ms`);
    });
  }

  #postByTimer(): PostResult {
    return this.ledger.created >= this.plan.events ? "queued" : this.post();
  }

  #fired(record: TimerRecord, delay: number): void {
    const { host, ledger, stretch } = this;
    this.note(`timer ${record.id} fires`);
    ledger.assert(record.state === "armed", `timer ${record.id} has fired, though it was ${record.state}`);
    ledger.assert(
      host.time >= record.due - 0.06,
      `timer ${record.id} has fired ${record.due - host.time} ms too early`,
    );
    if (this.plan.drift === 0) {
      for (const other of this.timers) {
        const isBefore = other.due < record.due || (other.due === record.due && other.id < record.id);
        const isWaiting = other.state === "armed" && other.armedIn < stretch && !other.periodic && !record.periodic;
        if (isBefore && isWaiting) ledger.complain(`timer ${record.id} has fired before timer ${other.id}`);
      }
    }
    if (record.periodic) {
      record.due += delay;
      record.latest = host.time + 2 * delay;
    } else {
      record.state = "fired";
    }
  }

  cancelTimer(): void {
    const { timers } = this;
    if (timers.length === 0) return;
    const record = this.chance.pick(timers);
    const wasArmed = record.timer!.cancel();
    if (this.runtime.disposed || this.loop.stats().timers === undefined) return;
    this.note(`timer ${record.id} is cancelled: ${wasArmed}`);
    if (!record.periodic || wasArmed) {
      this.ledger.assert(
        wasArmed === (record.state === "armed"),
        `the cancel of timer ${record.id}, ${record.state}, gave ${wasArmed}`,
      );
    }
    if (wasArmed) record.state = "cancelled";
  }

  /** Does what a closing loop refuses, and what there may be no memory for. */
  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (error instanceof OutOfMemoryError) this.noMemory = true;
      else this.assertClosing(error);
    }
  }

  run(until: "closed" | "idle"): void {
    const { signal } = this.aborter;
    const options = this.chance.oneIn(4) ? { signal } : {};
    const promise = until === "closed" ? this.loop.run(options) : this.loop.runUntilIdle(options);
    const outcome = new Outcome(`the run until ${until}`, promise);
    this.note(outcome.name);
    this.outcomes.push(outcome);
    this.runs.push(outcome);
  }

  ready(): void {
    const kind = this.chance.pick(this.kinds).kind as never;
    this.outcomes.push(new Outcome("ready", this.loop.ready(kind)));
  }

  close(): void {
    const { chance } = this;
    const options: CloseOptions = {
      mode: chance.pick(["drain", "discard"] as const),
      ...(chance.oneIn(3) && { deadline: chance.pick([0, 1, 10]) }),
    };
    this.note(`close ${JSON.stringify(options)}`);
    if (!this.closeCalled) this.discards = options.mode === "discard";
    this.closeCalled = true;
    const outcome = new Outcome("the close", this.loop.close(options));
    this.closing ??= outcome;
    this.outcomes.push(outcome);
  }

  grow(): void {
    const { chance, runtime } = this;
    try {
      if (chance.oneIn(10)) runtime.memory.grow(1);
      else runtime.reserve(chance.between(1, 300_000));
    } catch {
      // the memory has come to its end
    }
  }

  abort(): void {
    this.note("the run's signal is aborted");
    this.hasAborted = true;
    this.aborter.abort(this.sabotage("the signal", false));
  }

  dispose(): void {
    this.note("the runtime is disposed of");
    this.runtime.dispose();
  }

  plusKind(): void {
    if (this.kinds.length >= 6) return;
    try {
      this.addKind(planKind(this.chance, this.kinds.length));
    } catch (error) {
      this.assertClosing(error);
    }
  }
}
