// What handlers, fibers and timers of a scenario do: whatever the seed says, as they come to it.

import {
  BatonBusyError,
  type Bytes,
  DeadlineError,
  type EventContext,
  LoopClosedError,
  OutOfMemoryError,
} from "tidemark";
import { Belongings } from "./belongings.js";
import type { FiberRecord } from "./companions.js";
import type { EventRecord } from "./ledger.js";
import type { Scenario } from "./scenario.js";

type Steps = Generator<unknown, void, unknown>;

/** The body of every handler. It yields what it waits for, which a synchronous one does not. */
export function* handle(
  scenario: Scenario,
  event: EventRecord,
  context: EventContext<EventRecord>,
  waits: boolean,
): Steps {
  const { chance, ledger } = scenario;
  const own = new Belongings(ledger, event, context, scenario.runtime);
  event.seen = true;
  event.begunAt = scenario.host.time;
  scenario.note(`event ${event.id} (${event.kind.plan.form}) begins as number ${event.sequence}`);
  let isCancelled = true; // until it comes to an end of its own
  try {
    act(scenario, own);
    for (let left = waits ? chance.below(4) : 0; left > 0; left--) {
      yield* wait(scenario, event);
      own.verify();
      act(scenario, own);
    }
    if (chance.oneIn(10)) throw scenario.sabotage(`event ${event.id}`, true);
    isCancelled = false;
  } catch (error) {
    isCancelled = false;
    ledger.counts.failed++;
    throw error;
  } finally {
    own.verify();
    if (isCancelled && context.signal.reason instanceof DeadlineError) ledger.counts.failed++;
    ledger.end(event);
    scenario.ended.push(own);
    scenario.note(`event ${event.id} ends`);
  }
}

/** Runs such a body as an async function. */
export async function drive(steps: Steps): Promise<void> {
  let step = steps.next();
  while (!step.done) {
    let value: unknown;
    try {
      value = await step.value;
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(value);
  }
}

/** What an event does between two waits. */
function act(scenario: Scenario, own: Belongings): void {
  const { chance } = scenario;
  for (let left = chance.below(4); left > 0; left--) {
    const what = chance.weighed({ write: 8, make: 4, common: 8, signal: 2 });
    if (what === "common") actForAll(scenario);
    else if (what === "signal") readSignal(scenario, own);
    else use(scenario, own, what);
  }
}

/** Uses the region or the scope. Want of memory is the event's failure, or not. */
function use({ chance, heap, sawNoMemory }: Scenario, own: Belongings, what: "write" | "make"): void {
  try {
    if (what === "write" || heap === undefined) own.write(chance);
    else own.make(heap);
  } catch (error) {
    if (error instanceof OutOfMemoryError) sawNoMemory();
    if (!(error instanceof OutOfMemoryError) || chance.oneIn(2)) throw error;
  }
}

function readSignal(scenario: Scenario, { context, event }: Belongings): void {
  const { signal } = context;
  scenario.ledger.assert(event.signal === undefined || event.signal === signal, `event ${event.id} has two signals`);
  if (event.signal === undefined && scenario.chance.oneIn(3)) {
    signal.addEventListener("abort", () => actForAll(scenario), { once: true });
  }
  event.signal = signal;
}

/** What everybody may do: events, fibers, timers, and the driver. */
export function actForAll(scenario: Scenario): void {
  const { chance } = scenario;
  switch (
    chance.weighed({ post: 20, spawn: 4, cancelFiber: 2, arm: 5, cancelTimer: 3, baton: 6, gate: 4, close: 1, grow: 1 })
  ) {
    case "post":
      scenario.tryPost();
      break;
    case "spawn":
      scenario.spawn();
      break;
    case "cancelFiber":
      scenario.cancelFiber();
      break;
    case "arm":
      scenario.arm();
      break;
    case "cancelTimer":
      scenario.cancelTimer();
      break;
    case "baton":
      chance.pick(scenario.batons).baton.post();
      break;
    case "gate":
      scenario.openGate();
      break;
    case "close":
      if (chance.oneIn(6)) scenario.close();
      break;
    case "grow":
      scenario.grow();
      break;
  }
}

/** Waits for something, once. What fails is passed on in half of all cases. */
function* wait(scenario: Scenario, event: EventRecord | undefined, fiber?: FiberRecord): Steps {
  const { chance } = scenario;
  const isFiber = event === undefined || event.kind.plan.form === "fiber";
  const what = chance.weighed({ gate: 6, sleep: 4, baton: 3, timedBaton: 3, turn: 4, resolved: 2, join: 2, never: 1 });
  scenario.note(`${event === undefined ? `fiber ${fiber!.id}` : `event ${event.id}`} waits: ${what}`);
  try {
    switch (what) {
      case "gate":
        yield scenario.newGate().promise;
        break;
      case "sleep":
        yield scenario.loop.sleep(chance.pick([0, 0.5, 1, 3, 40]));
        break;
      case "baton":
        yield chance.pick(scenario.batons).baton.wait();
        break;
      case "timedBaton":
        yield chance.pick(scenario.batons).baton.wait(chance.pick([0, 1, 10]));
        break;
      case "turn":
        yield undefined;
        break;
      case "resolved":
        yield Promise.resolve(1);
        break;
      case "join": {
        // Only those that came before: nobody joins in a circle.
        const other = chance.pick([undefined, ...scenario.fibers.slice(0, fiber?.id)]);
        if (other?.fiber !== undefined) yield isFiber ? other.fiber : other.fiber.join();
        break;
      }
      case "never":
        if (scenario.endsByItself(event)) yield scenario.neverGate().promise;
        break;
    }
  } catch (error) {
    if (error instanceof OutOfMemoryError) scenario.sawNoMemory();
    if (error instanceof LoopClosedError) scenario.assertClosing(error);
    if (error instanceof BatonBusyError || chance.oneIn(2)) return;
    throw scenario.sabotage("rethrown", event !== undefined, error);
  }
}

/** The body of every fiber that is spawned. */
export function* runFiber(scenario: Scenario, record: FiberRecord, frame: () => Bytes | undefined): Steps {
  const { chance, ledger } = scenario;
  record.begun = true;
  scenario.note(`fiber ${record.id} begins`);
  const bytes = frame();
  const last = bytes === undefined ? 0 : bytes.length - 1;
  const seal = (record.id * 31 + 1) & 0xff;
  if (bytes !== undefined) {
    ledger.assert(bytes.get(0) === 0 && bytes.get(last) === 0, `the frame of fiber ${record.id} is not clear`);
    bytes.set(0, seal);
    bytes.set(last, seal);
  }
  try {
    for (let left = chance.below(5); left > 0; left--) {
      yield* wait(scenario, undefined, record);
      if (bytes !== undefined) {
        ledger.assert(
          bytes.get(0) === seal && bytes.get(last) === seal,
          `the frame of fiber ${record.id} is another's`,
        );
      }
      if (chance.oneIn(3))
        scenario.post(); // throws, once the loop is closing
      else actForAll(scenario);
    }
    if (chance.oneIn(8)) throw scenario.sabotage(`fiber ${record.id}`, false);
  } finally {
    record.ends++;
    scenario.note(`fiber ${record.id} ends`);
  }
}
