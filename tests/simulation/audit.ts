import { EventAbandonedError, LoopClosedError, LoopStateError, type LoopStatistics } from "tidemark";
import { isExpected } from "./failures.js";
import type { EventRecord } from "./ledger.js";
import type { Scenario } from "./scenario.js";

/** Holds the loop against the ledger, when everything that settles by itself has settled. */
export class Audit {
  /** What the loop has dropped as the last audit saw it. */
  #dropped = 0;
  #abandoned = 0;
  #isClosed = false;

  constructor(readonly scenario: Scenario) {}

  /** Whether the loop has told that it is closed, or nobody would know. */
  get isClosed(): boolean {
    const { closing } = this.scenario;
    return closing !== undefined && closing.state !== "pending";
  }

  check(): void {
    const { ledger, loop } = this.scenario;
    const stats = loop.stats();
    for (const event of ledger.live) this.#checkUnseen(event);
    this.#checkDrops(stats);
    this.#checkCounts(stats);
    this.#checkEnded();
    this.#checkWaking(stats);
    this.#checkRuns();
    if (this.isClosed) this.#isClosed = true;
    else ledger.assert(!this.#isClosed, "a loop that was closed is not closed");
  }

  /** A fiber's handler was called, but its body has not run: then there was no memory for it, and it has failed. */
  #checkUnseen(event: EventRecord): void {
    if (event.seen) return;
    const { ledger } = this.scenario;
    ledger.assert(event.kind.plan.form === "fiber", `the body of event ${event.id} has not run`);
    event.seen = true;
    ledger.end(event);
    ledger.counts.failed++;
  }

  /** What was queued may go, all of it, when the loop closes without waiting or has been stopped. */
  #checkDrops({ dropped, displaced, queued }: LoopStatistics): void {
    const { ledger } = this.scenario;
    const lost = dropped - displaced - this.#dropped;
    if (lost === 0) return;
    this.#dropped += lost;
    ledger.assert(
      lost === ledger.queued && queued === 0,
      `${lost} events were dropped of ${ledger.queued}, and ${queued} are left`,
    );
    this.scenario.assertClosing(new LoopClosedError("events were dropped"));
    ledger.drop();
    ledger.refused = true;
  }

  #checkCounts(stats: LoopStatistics): void {
    const { ledger, plan, runtime } = this.scenario;
    const { counts, live } = ledger;
    const waitedFor = stats.inFlight - stats.quarantined;
    this.#same("queued", stats.queued, ledger.queued);
    this.#same("overflow", stats.overflow, ledger.overflow);
    this.#same("rejected", stats.rejected, counts.rejected);
    this.#same("spilled", stats.spilled, counts.spilled);
    this.#same("displaced", stats.displaced, counts.displaced);
    this.#same("coalesced", stats.coalesced, counts.coalesced);
    this.#same("failed", stats.failed, counts.failed);
    this.#same("inFlight", stats.inFlight, live.size);
    this.#same("processed", stats.processed, counts.begun - waitedFor - stats.abandoned);
    this.#same("regionsLeased", stats.regionsLeased, counts.leased);
    this.#same(
      "regionsLive",
      stats.regionsLive,
      ledger.count(({ leased }) => leased),
    );
    this.#same("scopesOpened", stats.scopesOpened, counts.scoped);
    this.#same(
      "scopesLive",
      stats.scopesLive,
      ledger.count(({ scoped }) => scoped),
    );
    this.#same("handlersRunning", runtime.$memory.handlersRunning, 0);
    ledger.assert(waitedFor <= plan.inFlight, `${waitedFor} events are in flight`);
    ledger.assert(stats.quarantined <= stats.abandoned, `${stats.quarantined} are quarantined of ${stats.abandoned}`);
    ledger.assert(stats.abandoned >= this.#abandoned, `there were ${this.#abandoned} abandoned ones before`);
    this.#abandoned = stats.abandoned;
    const mayAbandon = plan.abandonAfter !== undefined || this.scenario.closing !== undefined;
    ledger.assert(stats.abandoned === 0 || mayAbandon, `${stats.abandoned} were abandoned`);
    ledger.assert(stats.queueHighWater <= plan.capacity, `a ring has held ${stats.queueHighWater}`);
    ledger.assert(stats.overflowHighWater <= plan.overflow, `an overflow has held ${stats.overflowHighWater}`);
  }

  #same(name: string, found: number, expected: number): void {
    this.scenario.ledger.assert(found === expected, `stats().${name} is ${found}, not ${expected}`);
  }

  /** Contexts that no other event has are of no use any more. */
  #checkEnded(): void {
    const { ended, runtime } = this.scenario;
    for (const belongings of ended.splice(0)) {
      if (runtime.debug || belongings.event.kind.plan.form === "async") belongings.assertGone();
    }
  }

  get #isRunning(): boolean {
    const { runs, closing } = this.scenario;
    return closing?.state === "pending" || runs.some(({ state }) => state === "pending");
  }

  /** Nothing that could be done is left lying with nobody on the way to do it. */
  #checkWaking({ queued, inFlight, quarantined }: LoopStatistics): void {
    const { host, ledger, plan, timers, runtime } = this.scenario;
    // One is the next turn's; a loop that has ended may have another, to end a fiber that is owed something.
    const most = this.#isRunning ? 1 : 2;
    ledger.assert(host.hops.length <= most, `${host.hops.length} hops are under way`);
    if (!this.#isRunning || host.hops.length > 0 || runtime.disposed) return;
    const mayBegin = inFlight - quarantined < plan.inFlight;
    ledger.assert(queued === 0 || !mayBegin, `${queued} events are queued, and nobody comes for them`);
    if (host.nextAt <= host.time || this.isClosed) return;
    const slack = 3 + plan.drift * 30;
    for (const { id, state, latest } of timers) {
      const isLate = state === "armed" && latest + slack < host.time;
      ledger.assert(!isLate, `timer ${id} was due at ${latest}, and nobody comes for it`);
    }
    this.#checkSignals();
    this.#checkCancelled();
  }

  /** Nobody wants what is in flight: fibers have ended by that. */
  #checkCancelled(): void {
    const { discards, ledger } = this.scenario;
    if (!discards) return;
    for (const { id, kind } of ledger.live) {
      ledger.assert(kind.plan.form !== "fiber", `event ${id} is a fiber, and goes on in a loop that does not wait`);
    }
  }

  /** Nothing is due: who is overdue must have been told. */
  #checkSignals(): void {
    const { host, ledger, noMemory, plan } = this.scenario;
    if (noMemory) return;
    for (const { id, signal, begunAt, kind } of ledger.live) {
      const limit = Math.min(
        kind.plan.deadline ?? Number.POSITIVE_INFINITY,
        plan.abandonAfter ?? Number.POSITIVE_INFINITY,
      );
      const isOverdue = host.time > begunAt + limit + 2 + plan.drift * 50;
      ledger.assert(signal?.aborted !== false || !isOverdue, `event ${id} is overdue, and has not been told`);
    }
  }

  /** A run ends for a reason. */
  #checkRuns(): void {
    const { ledger, runs } = this.scenario;
    for (const { state, value, name } of runs) {
      if (state !== "rejected") continue;
      const isRefusal = value instanceof LoopStateError || value instanceof LoopClosedError;
      const isRight = isRefusal || value instanceof EventAbandonedError || isExpected(this.scenario, value);
      ledger.assert(isRight, `${name} has ended with ${value}`);
    }
  }

  /** The loop has closed: all that was accepted is accounted for, and all that was promised has come. */
  checkClosed(): void {
    const { closing, fibers, host, ledger, loop, outcomes, sideTimers } = this.scenario;
    const { accepted } = ledger.counts;
    const { processed, dropped, abandoned } = loop.stats();
    const sum = processed + dropped + abandoned;
    ledger.assert(
      sum === accepted,
      `${accepted} were accepted, but ${processed} + ${dropped} + ${abandoned} are told of`,
    );
    if (closing!.state === "resolved") {
      const told = JSON.stringify(closing!.value);
      const expected = JSON.stringify({ processed, dropped, abandoned });
      ledger.assert(told === expected, `close gave ${told}, but stats say ${expected}`);
    } else {
      ledger.assert(isExpected(this.scenario, closing!.value), `close was rejected with ${closing!.value}`);
    }
    for (const { name, state } of outcomes) ledger.assert(state !== "pending", `${name} is pending after the close`);
    ledger.assert(host.timers === sideTimers, `the host has ${host.timers} timers after the close`);
    ledger.assert(host.hops.length <= 2, `${host.hops.length} hops are under way after the close`);
    for (const { id, begun, ends, fiber } of fibers) {
      ledger.assert(ends === (begun ? 1 : 0), `the finally block of fiber ${id} has run ${ends} times`);
      ledger.assert(fiber?.state !== "running", `fiber ${id} has not ended with the loop`);
    }
  }

  /** Everybody has settled, the abandoned ones as well: nothing is left. */
  checkEmpty(): void {
    const { frames, ledger, loop, plan, runtime, sabotages, sideTimers } = this.scenario;
    if (frames !== undefined && !runtime.disposed) {
      const { small, medium, large } = frames.stats().inUse;
      ledger.assert(small + medium + large === 0, `${small + medium + large} frames are in use by nobody`);
    }
    ledger.assert(sideTimers === 0, `${sideTimers} timers of waits that are over are armed`);
    ledger.assert(ledger.live.size === 0, `${ledger.live.size} events have not ended`);
    const { regionsLive, quarantined } = loop.stats();
    ledger.assert(
      regionsLive === 0 && quarantined === 0,
      `${regionsLive} regions are live, ${quarantined} quarantined`,
    );
    for (const { what, isTold, told } of sabotages) {
      const expected = isTold && plan.errors !== "none";
      ledger.assert(expected ? told === 1 : told <= 1, `onError was told ${told} times of what ${what} has thrown`);
    }
  }
}
