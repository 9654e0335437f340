import type { EventContext, Kind, PostResult, Priority } from "tidemark";
import type { KindPlan, Plan } from "./plan.js";

/** A kind of the scenario. */
export interface KindRecord {
  readonly plan: KindPlan;
  /** Set as soon as the loop has made it. */
  kind: Kind<EventRecord> | undefined;
}

/** An event of the scenario: its own payload. */
export interface EventRecord {
  readonly id: number;
  readonly kind: KindRecord;
  /** By which it coalesces, if its kind does. */
  readonly key: number;
  state: "waiting" | "superseded" | "displaced" | "running" | "ended";
  sequence: number;
  /** Whether the handler's body has run: a fiber's handler is called before that. */
  seen: boolean;
  begunAt: number;
  signal: AbortSignal | undefined;
  leased: boolean;
  scoped: boolean;
}

/** While others wait as well, the lowest priority comes after no more of them than this: two rounds of shares, less its own. */
const STARVATION = 14;

/**
 * What a loop should make of its events: a list for each priority, and counts. Whatever is not as it should be is noted down, as a
 * complaint that is thrown inside a handler would be the handler's failure.
 */
export class Ledger {
  readonly problems: string[] = [];
  readonly lanes: Record<Priority, EventRecord[]> = { high: [], normal: [], low: [] };
  /** Begun and not ended. */
  readonly live = new Set<EventRecord>();
  readonly counts = {
    accepted: 0,
    begun: 0,
    rejected: 0,
    spilled: 0,
    displaced: 0,
    coalesced: 0,
    failed: 0,
    leased: 0,
    scoped: 0,
  };
  /** Whether a post has been refused because the loop is closing. */
  refused = false;
  /** Events that have been handled since one of this priority was, while some waited. */
  readonly #passedOver: Record<Priority, number> = { high: 0, normal: 0, low: 0 };
  #nextId = 0;

  constructor(readonly plan: Pick<Plan, "capacity" | "overflow" | "inFlight">) {}

  complain(text: string): void {
    this.problems.push(text);
  }

  assert(isTrue: boolean, text: string): void {
    if (!isTrue) this.complain(text);
  }

  /** Events made so far, whatever became of them. */
  get created(): number {
    return this.#nextId;
  }

  create(kind: KindRecord, key: number): EventRecord {
    return {
      id: this.#nextId++,
      kind,
      key,
      state: "waiting",
      sequence: -1,
      seen: false,
      begunAt: 0,
      signal: undefined,
      leased: false,
      scoped: false,
    };
  }

  /** What a post of this event should come to, on a loop that takes posts. Changes nothing. */
  predict({ kind, key }: EventRecord): PostResult {
    const { capacity, overflow } = this.plan;
    const { policy, priority } = kind.plan;
    const lane = this.lanes[priority];
    if (policy === "coalesce" && this.#waitingOf(kind, key) !== undefined) return "coalesced";
    if (lane.length < capacity) return "queued";
    if (policy === "drop-oldest") {
      return lane.slice(0, capacity).some((other) => other.kind === kind) ? "displaced" : "rejected";
    }
    return policy === "spill" && lane.length < capacity + overflow ? "spilled" : "rejected";
  }

  posted(event: EventRecord, result: PostResult): void {
    const expected = this.predict(event);
    this.assert(result === expected, `post of event ${event.id} gave "${result}" instead of "${expected}"`);
    const { counts } = this;
    const lane = this.lanes[event.kind.plan.priority];
    switch (result) {
      case "rejected":
        counts.rejected++;
        return;
      case "coalesced": {
        counts.coalesced++;
        const old = this.#waitingOf(event.kind, event.key);
        if (old === undefined) return; // has been complained about
        old.state = "superseded";
        lane[lane.indexOf(old)] = event;
        return;
      }
      case "displaced": {
        counts.displaced++;
        const [old] = lane.splice(
          lane.findIndex(({ kind }) => kind === event.kind),
          1,
        );
        if (old !== undefined) old.state = "displaced";
        break;
      }
      case "spilled":
        counts.spilled++;
        break;
    }
    counts.accepted++;
    lane.push(event);
  }

  /** An event's handler has been called: it must have been the first of its line. */
  begin(event: EventRecord, context: EventContext<EventRecord>): void {
    this.assert(event.state === "waiting", `event ${event.id} was handled, but it was ${event.state}`);
    const { priority } = event.kind.plan;
    const lane = this.lanes[priority];
    const [first] = lane;
    this.assert(first === event, `event ${event.id} was handled before event ${first?.id}`);
    lane.splice(lane.indexOf(event), 1);
    event.state = "running";
    event.sequence = this.counts.begun++;
    this.live.add(event);
    this.#serve(priority);
    this.assert(
      context.sequence === event.sequence,
      `event ${event.id} has number ${context.sequence}, not ${event.sequence}`,
    );
    this.assert(context.kind === event.kind.kind, `event ${event.id} was given another kind, "${context.kind.name}"`);
  }

  end(event: EventRecord): void {
    this.assert(event.state === "running", `event ${event.id} has ended, but it was ${event.state}`);
    event.state = "ended";
    this.live.delete(event);
  }

  get queued(): number {
    const { high, normal, low } = this.lanes;
    return high.length + normal.length + low.length;
  }

  get overflow(): number {
    const { capacity } = this.plan;
    return Object.values(this.lanes).reduce((sum, lane) => sum + Math.max(0, lane.length - capacity), 0);
  }

  /** The loop has dropped what was queued. */
  drop(): void {
    for (const lane of Object.values(this.lanes)) lane.length = 0;
  }

  count(has: (event: EventRecord) => boolean): number {
    let count = 0;
    for (const event of this.live) if (has(event)) count++;
    return count;
  }

  #waitingOf(kind: KindRecord, key: number): EventRecord | undefined {
    return this.lanes[kind.plan.priority].find((other) => other.kind === kind && other.key === key);
  }

  #serve(served: Priority): void {
    for (const [priority, lane] of Object.entries(this.lanes) as [Priority, EventRecord[]][]) {
      const passed = priority === served || lane.length === 0 ? 0 : this.#passedOver[priority] + 1;
      this.#passedOver[priority] = passed;
      this.assert(passed <= STARVATION, `${passed} events came before the first of ${priority} priority`);
    }
  }
}
