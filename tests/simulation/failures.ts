import {
  DeadlineError,
  DisposedError,
  EventAbandonedError,
  type FailedEvent,
  LimitExceededError,
  OutOfMemoryError,
} from "tidemark";
import { Sabotage } from "./companions.js";
import type { EventRecord } from "./ledger.js";
import type { Scenario } from "./scenario.js";

/** Whether something may be wrong with a loop in this way. */
export function isExpected(scenario: Scenario, error: unknown): boolean {
  if (error instanceof OutOfMemoryError) return true;
  if (error instanceof EventAbandonedError) return scenario.plan.abandonAfter !== undefined;
  if (error instanceof DeadlineError) return true; // whose it may be is looked at below
  if (error instanceof LimitExceededError) return scenario.timers.length > 0;
  if (error instanceof DisposedError) return scenario.runtime.disposed;
  return error instanceof Sabotage;
}

/** The loop has told of a failure: it must be one, and that of the event named. */
export function assertExpectedFailure(scenario: Scenario, error: unknown, event: FailedEvent): void {
  const { ledger } = scenario;
  ledger.assert(isExpected(scenario, error), `onError was told of what nobody has done: ${error}`);
  if (error instanceof OutOfMemoryError) scenario.noMemory = true;
  if (error instanceof Sabotage) error.told++;
  if (event.sequence < 0) return;
  const record = event.payload as EventRecord;
  ledger.assert(
    record.sequence === event.sequence,
    `onError was told of event ${record.id} as number ${event.sequence}`,
  );
  ledger.assert(
    event.kind === record.kind.plan.name,
    `onError was told of event ${record.id} as one of "${event.kind}"`,
  );
  if (error instanceof DeadlineError) {
    const { form, deadline } = record.kind.plan;
    ledger.assert(
      form === "fiber" && deadline !== undefined,
      `event ${record.id} of a ${form} has no deadline to fail by`,
    );
  }
  if (error instanceof EventAbandonedError) {
    const age = scenario.host.time - record.begunAt;
    ledger.assert(age >= scenario.plan.abandonAfter! - 0.06, `event ${record.id} was given up after ${age} ms`);
    ledger.assert(record.state === "running", `event ${record.id} was given up, but it was ${record.state}`);
  }
}
