import { Audit } from "./audit.js";
import { actForAll } from "./behaviour.js";
import { Chance } from "./chance.js";
import { Sabotage } from "./companions.js";
import { Scenario } from "./scenario.js";

/** A loop with anything to do at all has closed after so many rounds in which all that is waited for comes. */
const ROUNDS = 400;

/** What is not as it should be. */
export class SimulationError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

/** Lets a scenario happen, step by step, and brings it to its end. */
export class Driver {
  readonly scenario: Scenario;
  readonly audit: Audit;
  readonly #chance: Chance;
  /** Rejections that nobody has handled. */
  readonly #strays: unknown[];

  constructor(
    seed: number,
    runtime: Scenario["runtime"],
    options: { readonly traces: boolean; readonly strays: unknown[] },
  ) {
    this.scenario = new Scenario(seed, runtime, options.traces);
    this.audit = new Audit(this.scenario);
    this.#chance = new Chance(seed, "driver");
    this.#strays = options.strays;
  }

  /** @throws {SimulationError} as soon as anything is not as it should be */
  async play(): Promise<void> {
    const { scenario } = this;
    for (let left = scenario.plan.steps; left > 0; left--) {
      this.#step();
      await this.#settle();
    }
    await this.#finish();
  }

  #step(): void {
    const { scenario } = this;
    const { host } = scenario;
    const chance = this.#chance;
    scenario.stretch++;
    const what = chance.weighed({
      post: 12,
      burst: 3,
      act: 5,
      land: 20,
      ring: 8,
      jump: 6,
      gate: 8,
      run: 4,
      idle: 3,
      ready: 2,
      kind: 1,
      close: 1,
      abort: 1,
      dispose: 1,
    });
    switch (what) {
      case "post":
        scenario.tryPost();
        break;
      case "burst":
        for (let left = chance.below(10); left > 0; left--) scenario.tryPost();
        break;
      case "act":
        actForAll(scenario);
        break;
      case "land":
        this.#land();
        break;
      case "ring":
        this.#ring();
        break;
      case "jump":
        host.time += chance.pick([1, 1, 2, 5, 20, 1_000, 86_400_000 * 10]);
        scenario.note("the clock has been put forward");
        break;
      case "gate":
        scenario.openGate();
        break;
      case "run":
        scenario.run("closed");
        break;
      case "idle":
        scenario.run("idle");
        break;
      case "ready":
        scenario.ready();
        break;
      case "kind":
        scenario.plusKind();
        break;
      case "close":
        if (chance.oneIn(3)) scenario.close();
        break;
      case "abort":
        if (chance.oneIn(8)) scenario.abort();
        break;
      case "dispose":
        if (scenario.plan.disposes && chance.oneIn(2)) scenario.dispose();
        break;
    }
  }

  #land(): boolean {
    try {
      return this.scenario.host.land();
    } catch (error) {
      this.scenario.ledger.complain(`a hop has thrown ${error}`);
      return true;
    }
  }

  #ring(): boolean {
    try {
      return this.scenario.host.ring();
    } catch (error) {
      this.scenario.ledger.complain(`a timer of the host has thrown ${error}`);
      return true;
    }
  }

  /** Lets all promises settle that can, and looks at what has become of everything. */
  async #settle(): Promise<void> {
    await new Promise(setImmediate);
    this.audit.check();
    this.#report();
  }

  #report(): void {
    const { ledger } = this.scenario;
    for (const stray of this.#strays.splice(0)) {
      if (!this.#isLate(stray)) ledger.complain(`nobody has handled a rejection: ${stray}`);
    }
    if (ledger.problems.length > 0) throw new SimulationError(ledger.problems);
  }

  /** What `onError` makes of a failure after the close is for the platform; the loop may have closed by the failure before. */
  #isLate(stray: unknown): boolean {
    return this.scenario.plan.errors === "reject" && stray instanceof Sabotage;
  }

  /** All that is waited for comes: then the loop closes, whatever it was doing. */
  async #finish(): Promise<void> {
    const { scenario, audit } = this;
    const { ledger, neverGates } = scenario;
    scenario.note("everything comes to its end");
    if (scenario.closing === undefined) scenario.close();
    for (let round = 0; !audit.isClosed; round++) {
      if (round === ROUNDS) ledger.complain(`the loop has not closed after ${ROUNDS} rounds`);
      if (round > ROUNDS / 2 && scenario.mayHaveNoTimers) for (const gate of neverGates) gate.open();
      await this.#round();
    }
    audit.checkClosed();
    this.#report();
    for (let round = 0; ledger.live.size > 0 || scenario.host.hops.length > 0; round++) {
      if (round === ROUNDS) ledger.complain(`${ledger.live.size} abandoned events have not ended`);
      for (const gate of neverGates) gate.open();
      await this.#round();
    }
    audit.checkEmpty();
    this.#report();
  }

  async #round(): Promise<void> {
    const { scenario } = this;
    const { host, gates, batons } = scenario;
    scenario.stretch++;
    for (const gate of gates) if (!gate.isOpen) gate.open();
    for (const { baton } of batons) baton.post();
    if (!this.#land() && !this.#ring()) host.time = Math.max(host.time + 1, Math.min(host.nextAt, host.time + 1e9));
    await this.#settle();
  }
}
