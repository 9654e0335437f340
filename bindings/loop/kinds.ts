import { assertFunction, assertOptions, describe, type NamesOf } from "../arguments.js";
import { DuplicateKindError, InvalidArgumentError } from "../errors.js";
import {
  assertHandler,
  assertKindName,
  CoalescingKind,
  EventKind,
  type Handler,
  type Inbox,
  type KindOptions,
  type KindSettings,
} from "./kind.js";
import { isPriority, type Lanes } from "./lanes.js";
import { ABOVE_ZERO, checkMilliseconds } from "./milliseconds.js";
import { type LoopSettings, policyOf } from "./options.js";

/** What a kind is to be made of, checked; its number is not known yet. */
interface Declaration extends Omit<KindSettings, "index" | "now"> {
  /** Of a kind that coalesces. */
  readonly key: ((payload: unknown) => unknown) | undefined;
}

const OPTIONS: NamesOf<KindOptions> = { policy: true, priority: true, deadline: true };

/** The kinds of one loop, by their names. */
export class Kinds {
  readonly #byName = new Map<string, EventKind>();
  readonly #lanes: Lanes<EventKind>;
  readonly #policy: LoopSettings["policy"];
  readonly #host: LoopSettings["host"];

  /** @param settings the policy of kinds that do not say, and the clock of those with a deadline */
  constructor(lanes: Lanes<EventKind>, { policy, host }: Pick<LoopSettings, "policy" | "host">) {
    this.#lanes = lanes;
    this.#policy = policy;
    this.#host = host;
  }

  /** @throws {InvalidArgumentError} naming what cannot be; nothing has changed */
  check<Payload>(name: string, handler: Handler<Payload>, options: KindOptions<Payload>): Declaration {
    assertKindName(name);
    assertHandler(name, handler);
    assertOptions(`the options argument of kind ${describe(name)}`, options, OPTIONS);
    const { policy = this.#policy, priority = "normal", deadline } = options;
    const key = typeof policy === "object" && policy !== null ? policy.key : undefined;
    if (key !== undefined) assertFunction("the key of policy", key);
    if (!isPriority(priority)) {
      throw new InvalidArgumentError(`priority must be "high", "normal" or "low", but is ${describe(priority)}`);
    }
    return {
      name,
      handler: handler as Handler<unknown>,
      policy: key === undefined ? policyOf("policy", policy as LoopSettings["policy"]) : "coalesce",
      priority,
      deadline: deadline === undefined ? undefined : checkMilliseconds("deadline", deadline, ABOVE_ZERO),
      key: key as Declaration["key"],
    };
  }

  /** @throws {DuplicateKindError} if there is one of this name; nothing has changed */
  declare(inbox: Inbox, { key, ...declared }: Declaration): EventKind {
    const { name, priority } = declared;
    const kinds = this.#byName;
    if (kinds.has(name)) {
      throw new DuplicateKindError(`the kind "${name}" has a handler already, as one of ${kinds.size} kinds`);
    }
    const queue = this.#lanes.of(priority);
    const settings = { ...declared, index: kinds.size, now: () => this.#host.now() };
    const kind =
      key === undefined ? new EventKind(inbox, queue, settings) : new CoalescingKind(inbox, queue, settings, key);
    kinds.set(name, kind);
    return kind;
  }

  /** Whether it is a kind of this very loop. */
  has(kind: unknown): kind is EventKind {
    return kind instanceof EventKind && this.#byName.get(kind.name) === kind;
  }

  /** The name of the kind with a number; empty for none. */
  nameOf(index: number): string {
    return [...this.#byName.keys()][index] ?? "";
  }

  /** Posts that have taken over another's place. */
  get coalesced(): number {
    let coalesced = 0;
    for (const kind of this.#byName.values()) if (kind instanceof CoalescingKind) coalesced += kind.coalesced;
    return coalesced;
  }

  /** All events that wait are dropped. */
  dropped(): void {
    for (const kind of this.#byName.values()) kind.dropped();
  }
}
