// What fibers, batons and what is built on them should do: the plainest code there is, with lists searched from end to end.
// It plays the same scripts as the real ones do, and writes the same log.

/** One thing that a fiber of a script does. `m`, `c`, `b` number mutexes, channels, batons; `ms` is a limit of time. */
export type Action =
  | { readonly do: "turn" | "throw" | "release" | "done" | "add" | "spawn" | "cancelSelf" }
  | { readonly do: "post" | "tryWait" | "reset"; readonly b: number }
  | { readonly do: "wait"; readonly b: number; readonly ms: number | undefined }
  | { readonly do: "sleep"; readonly ms: number }
  | { readonly do: "join" | "cancel"; readonly f: number }
  | { readonly do: "lock"; readonly m: number; readonly ms: number | undefined }
  | { readonly do: "unlock"; readonly m: number }
  | { readonly do: "acquire"; readonly n: number; readonly ms: number | undefined }
  | { readonly do: "waitAll" | "waitCondition"; readonly ms: number | undefined }
  | { readonly do: "notify"; readonly n: number }
  | { readonly do: "send" | "receive" | "close"; readonly c: number }
  | { readonly do: "select"; readonly from: number; readonly to: number; readonly ms: number | undefined };

/** What happens from outside. */
export type Step =
  | { readonly do: "run"; readonly limit: number }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "post"; readonly b: number }
  | { readonly do: "cancel"; readonly f: number }
  | { readonly do: "spawn" };

export interface Script {
  readonly fibers: readonly (readonly Action[])[];
  readonly steps: readonly Step[];
  readonly permits: number;
  readonly capacities: readonly [number, number];
}

export const BATONS = 3;
export const MUTEXES = 2; // the condition belongs to the first

interface Wait {
  readonly fiber: ModelFiber;
  readonly kind: "baton" | "lock" | "permits" | "group" | "condition" | "channel" | "join" | "sleep";
  /** Permits, or the value that a condition's wait will give. */
  want: unknown;
  at: number | undefined;
}

interface Offer {
  readonly wait: Wait;
  readonly value: string;
  /** Its index in a select. */
  readonly index: number | undefined;
}

interface Ready {
  readonly fiber: ModelFiber;
  how: "begin" | "turn" | "value" | "error" | "die";
  readonly value: unknown;
}

class ModelFiber {
  position = 0;
  state: "ready" | "running" | "waiting" | "returned" | "failed" | "cancelled" = "ready";
  doomed = false;
  begun = false;
  wait: Wait | undefined;
  readonly mutexes = new Set<number>();
  permits = 0;
  joiners: ModelFiber[] = [];

  constructor(
    readonly id: number,
    readonly actions: readonly Action[],
  ) {}

  get ended(): boolean {
    return this.state === "returned" || this.state === "failed" || this.state === "cancelled";
  }
}

export class Model {
  readonly log: string[] = [];
  readonly fibers: ModelFiber[] = [];
  ready: Ready[] = [];
  #now = 0;
  /** Waits with a limit, in the order in which they began. */
  #timed: Wait[] = [];
  readonly batons = Array.from({ length: BATONS }, () => ({ posted: false, wait: undefined as Wait | undefined }));
  readonly mutexes = Array.from({ length: MUTEXES }, () => ({ locked: false, line: [] as Wait[] }));
  readonly #permitLine: Wait[] = [];
  readonly #groupLine: Wait[] = [];
  readonly #conditionLine: Wait[] = [];
  readonly channels;
  available: number;
  count = 0;

  constructor(readonly script: Script) {
    this.available = script.permits;
    this.channels = script.capacities.map((capacity) => ({
      capacity,
      closed: false,
      buffer: [] as string[],
      senders: [] as Offer[],
      receivers: [] as Offer[],
    }));
  }

  step(step: Step): void {
    if (step.do === "run") this.#run(step.limit);
    else if (step.do === "advance") this.#advance(step.ms);
    else if (step.do === "post") this.#post(step.b);
    else if (step.do === "spawn") this.#spawn();
    else if (this.fibers[step.f] !== undefined) this.#note(`cancel ${step.f}: ${this.#cancel(this.fibers[step.f]!)}`);
  }

  #note(text: string): void {
    this.log.push(text);
  }

  #spawn(): void {
    const id = this.fibers.length;
    const actions = this.script.fibers[id];
    if (actions === undefined) return;
    const fiber = new ModelFiber(id, actions);
    this.fibers.push(fiber);
    this.ready.push({ fiber, how: "begin", value: undefined });
  }

  #run(limit: number): void {
    for (let count = 0; count < limit && this.ready.length > 0; count++) {
      const { fiber, how, value } = this.ready.shift()!;
      fiber.state = "running";
      if (how === "die") this.#die(fiber);
      else this.#play(fiber, how, value);
    }
  }

  #advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = this.#timed.filter(({ at }) => at! <= end).sort((left, right) => left.at! - right.at!)[0];
      if (due === undefined) break;
      this.#now = Math.max(this.#now, due.at!);
      this.#timed = this.#timed.filter((wait) => wait !== due);
      this.#expire(due);
    }
    this.#now = end;
  }

  #expire(wait: Wait): void {
    if (wait.kind === "condition") {
      if (!this.#conditionLine.includes(wait)) return; // notified in time, and waits for the mutex
      remove(this.#conditionLine, wait);
      wait.want = false;
      this.#returnMutex(wait);
      return;
    }
    this.#leave(wait);
    this.#wake(wait.fiber, wait.kind === "channel" ? undefined : false);
  }

  /** Takes a wait out of wherever it stands, and lets go whom it has kept waiting. */
  #leave(wait: Wait): void {
    for (const baton of this.batons) if (baton.wait === wait) baton.wait = undefined;
    for (const mutex of this.mutexes) remove(mutex.line, wait);
    remove(this.#groupLine, wait);
    for (const channel of this.channels) {
      channel.senders = channel.senders.filter((offer) => offer.wait !== wait);
      channel.receivers = channel.receivers.filter((offer) => offer.wait !== wait);
    }
    for (const fiber of this.fibers) if (wait.kind === "join") remove(fiber.joiners, wait.fiber);
    if (remove(this.#permitLine, wait)) this.#serve();
  }

  #wake(fiber: ModelFiber, value: unknown): void {
    this.#endWait(fiber);
    this.ready.push({ fiber, how: fiber.doomed ? "die" : "value", value });
  }

  #fail(fiber: ModelFiber, code: string): void {
    this.#endWait(fiber);
    this.ready.push({ fiber, how: "error", value: code });
  }

  #endWait(fiber: ModelFiber): void {
    fiber.state = "ready";
    const { wait } = fiber;
    fiber.wait = undefined;
    this.#timed = this.#timed.filter((other) => other !== wait);
  }

  #cancel(fiber: ModelFiber): boolean {
    if (fiber.doomed || fiber.ended) return false;
    fiber.doomed = true;
    const { wait } = fiber;
    if (fiber.state === "ready") {
      const entry = this.ready.find((ready) => ready.fiber === fiber)!;
      if (entry.how === "begin" || entry.how === "turn") entry.how = "die";
    } else if (fiber.state === "waiting" && wait?.kind === "condition") {
      if (remove(this.#conditionLine, wait)) this.#returnMutex(wait);
    } else if (fiber.state === "waiting") {
      this.#leave(wait!);
      this.#endWait(fiber);
      this.ready.push({ fiber, how: "die", value: undefined });
    }
    return true;
  }

  #die(fiber: ModelFiber): void {
    if (fiber.begun) this.#cleanUp(fiber);
    this.#end(fiber, "cancelled", "FIBER_CANCELLED");
  }

  #cleanUp(fiber: ModelFiber): void {
    this.#note(`${fiber.id} finally`);
    for (const mutex of [...fiber.mutexes].sort()) this.#unlock(fiber, mutex);
    this.#release(fiber, fiber.permits);
  }

  #end(fiber: ModelFiber, state: "returned" | "failed" | "cancelled", outcome: unknown): void {
    fiber.state = state;
    const { joiners } = fiber;
    fiber.joiners = [];
    for (const joiner of joiners) {
      if (state === "returned") this.#wake(joiner, outcome);
      else this.#fail(joiner, outcome as string);
    }
    if (state === "failed" && joiners.length === 0) this.#note(`onError ${outcome}`);
  }

  /** Goes on with a fiber, up to its next wait or its end. */
  #play(fiber: ModelFiber, how: Ready["how"], value: unknown): void {
    if (how === "begin") {
      fiber.begun = true;
      this.#note(`${fiber.id} begins`);
    } else {
      this.#arrive(fiber, how, value);
      fiber.position++;
    }
    for (; fiber.position < fiber.actions.length; fiber.position++) {
      const action = fiber.actions[fiber.position]!;
      if (action.do === "throw") {
        this.#cleanUp(fiber);
        this.#end(fiber, "failed", `fault of ${fiber.id}`);
        return;
      }
      if (this.#act(fiber, action)) continue;
      if (!waits(fiber, action, this.fibers.length)) continue;
      if (fiber.doomed) this.#die(fiber);
      else this.#begin(fiber, action);
      return;
    }
    this.#cleanUp(fiber);
    this.#end(fiber, "returned", fiber.id);
  }

  /** Notes what a wait has given, and what the fiber has of it. */
  #arrive(fiber: ModelFiber, how: Ready["how"], value: unknown): void {
    const action = fiber.actions[fiber.position]!;
    if (how === "value") {
      if (action.do === "lock" && value === true) fiber.mutexes.add(action.m);
      if (action.do === "acquire" && value === true) fiber.permits += action.n;
    }
    this.#note(`${fiber.id}.${fiber.position} ${action.do} ${how === "error" ? "throws " : ""}${value}`);
  }

  /** Does what needs no wait. Returns whether the action was that. */
  #act(fiber: ModelFiber, action: Action): boolean {
    if (action.do === "post") this.#post(action.b);
    else if (action.do === "reset") this.batons[action.b]!.posted = false;
    else if (action.do === "tryWait") {
      const baton = this.batons[action.b]!;
      this.#note(`${fiber.id}.${fiber.position} tryWait ${baton.posted}`);
      baton.posted = false;
    } else if (action.do === "spawn") this.#spawn();
    else if (action.do === "cancelSelf") this.#cancel(fiber);
    else if (action.do === "cancel") {
      if (action.f < this.fibers.length) this.#cancel(this.fibers[action.f]!);
    } else if (action.do === "unlock") {
      if (fiber.mutexes.has(action.m)) this.#unlock(fiber, action.m);
    } else if (action.do === "release") this.#release(fiber, Math.min(1, fiber.permits));
    else if (action.do === "add") this.count++;
    else if (action.do === "done") {
      if (this.count > 0 && --this.count === 0) {
        for (const wait of this.#groupLine.splice(0)) this.#wake(wait.fiber, true);
      }
    } else if (action.do === "notify") {
      for (const wait of this.#conditionLine.splice(0, action.n)) {
        wait.want = true;
        this.#returnMutex(wait);
      }
    } else if (action.do === "close") this.#close(action.c);
    else return false;
    return true;
  }

  #begin(fiber: ModelFiber, action: Action): void {
    fiber.state = "waiting";
    const begin = (kind: Wait["kind"], milliseconds: number | undefined, want: unknown = undefined): Wait => {
      const at = milliseconds === undefined ? undefined : this.#now + milliseconds;
      const wait: Wait = { fiber, kind, want, at };
      fiber.wait = wait;
      if (at !== undefined) this.#timed.push(wait);
      return wait;
    };
    switch (action.do) {
      case "turn":
        fiber.state = "ready";
        this.ready.push({ fiber, how: "turn", value: undefined });
        return;
      case "sleep":
        begin("sleep", action.ms);
        return;
      case "wait": {
        const baton = this.batons[action.b]!;
        if (baton.posted) {
          baton.posted = false;
          this.#wake(fiber, action.ms === undefined ? undefined : true);
        } else if (baton.wait !== undefined) {
          this.#fail(fiber, "BATON_BUSY");
        } else {
          baton.wait = begin("baton", action.ms);
        }
        return;
      }
      case "join": {
        const other = this.fibers[action.f]!;
        if (other === fiber) this.#fail(fiber, "FIBER_STATE");
        else if (other.state === "returned") this.#wake(fiber, other.id);
        else if (other.state === "failed") this.#fail(fiber, `fault of ${other.id}`);
        else if (other.state === "cancelled") this.#fail(fiber, "FIBER_CANCELLED");
        else {
          begin("join", undefined);
          other.joiners.push(fiber);
        }
        return;
      }
      case "lock": {
        const mutex = this.mutexes[action.m]!;
        if (mutex.locked) {
          mutex.line.push(begin("lock", action.ms));
        } else {
          mutex.locked = true;
          this.#wake(fiber, true);
        }
        return;
      }
      case "acquire":
        if (this.#permitLine.length === 0 && this.available >= action.n) {
          this.available -= action.n;
          this.#wake(fiber, true);
        } else {
          this.#permitLine.push(begin("permits", action.ms, action.n));
        }
        return;
      case "waitAll":
        if (this.count === 0) this.#wake(fiber, true);
        else this.#groupLine.push(begin("group", action.ms));
        return;
      case "waitCondition":
        this.#handOver(0);
        this.#conditionLine.push(begin("condition", action.ms));
        return;
      case "send":
      case "receive":
      case "select": {
        const value = `${fiber.id}/${fiber.position}`;
        const wait = begin("channel", undefined);
        const isSelect = action.do === "select";
        const receives = action.do === "receive" ? action.c : isSelect ? action.from : undefined;
        const sends = action.do === "send" ? action.c : isSelect ? action.to : undefined;
        const receiving: Offer = { wait, value, index: isSelect ? 0 : undefined };
        const sending: Offer = { wait, value, index: isSelect ? 1 : undefined };
        if (receives !== undefined && this.#tryReceive(receives, receiving)) return;
        if (sends !== undefined && this.#trySend(sends, sending)) return;
        if (receives !== undefined) this.channels[receives]!.receivers.push(receiving);
        if (sends !== undefined) this.channels[sends]!.senders.push(sending);
        if (isSelect && action.ms !== undefined) {
          wait.at = this.#now + action.ms;
          this.#timed.push(wait);
        }
        return;
      }
    }
  }

  #post(number: number): void {
    const baton = this.batons[number]!;
    const { wait } = baton;
    if (wait === undefined) {
      baton.posted = true;
      return;
    }
    baton.wait = undefined;
    this.#wake(wait.fiber, wait.at === undefined ? undefined : true);
  }

  #unlock(fiber: ModelFiber, number: number): void {
    fiber.mutexes.delete(number);
    this.#handOver(number);
  }

  #handOver(number: number): void {
    const mutex = this.mutexes[number]!;
    const next = mutex.line.shift();
    if (next === undefined) mutex.locked = false;
    else this.#wake(next.fiber, next.kind === "condition" ? next.want : true);
  }

  #returnMutex(wait: Wait): void {
    const mutex = this.mutexes[0]!;
    if (mutex.locked) {
      mutex.line.push(wait);
    } else {
      mutex.locked = true;
      this.#wake(wait.fiber, wait.want);
    }
  }

  #release(fiber: ModelFiber, count: number): void {
    if (count === 0) return;
    fiber.permits -= count;
    this.available += count;
    this.#serve();
  }

  #serve(): void {
    while (this.#permitLine.length > 0 && (this.#permitLine[0]!.want as number) <= this.available) {
      const wait = this.#permitLine.shift()!;
      this.available -= wait.want as number;
      this.#wake(wait.fiber, true);
    }
  }

  /** An operation on a channel is done: a select's other one is not. */
  #settle({ wait, index }: Offer, value: unknown): void {
    this.#wake(wait.fiber, index === undefined ? value : `${index}:${value}`);
    this.#leave(wait);
  }

  #trySend(number: number, offer: Offer): boolean {
    const channel = this.channels[number]!;
    if (channel.closed) {
      this.#fail(offer.wait.fiber, "CHANNEL_CLOSED");
      return true;
    }
    const receiver = channel.receivers[0];
    if (receiver !== undefined) this.#settle(receiver, offer.value);
    else if (channel.buffer.length < channel.capacity) channel.buffer.push(offer.value);
    else return false;
    this.#settle(offer, undefined);
    return true;
  }

  #tryReceive(number: number, offer: Offer): boolean {
    const channel = this.channels[number]!;
    const sender = channel.senders[0];
    if (sender !== undefined) {
      channel.buffer.push(sender.value);
      this.#settle(sender, undefined);
    }
    if (channel.buffer.length === 0 && !channel.closed) return false;
    this.#settle(offer, channel.buffer.shift());
    return true;
  }

  #close(number: number): void {
    const channel = this.channels[number]!;
    channel.closed = true;
    for (let sender = channel.senders[0]; sender !== undefined; sender = channel.senders[0]) {
      this.#fail(sender.wait.fiber, "CHANNEL_CLOSED");
      this.#leave(sender.wait);
    }
    for (let receiver = channel.receivers[0]; receiver !== undefined; receiver = channel.receivers[0]) {
      this.#settle(receiver, undefined);
    }
  }
}

/** Whether an action is done at all: nobody locks twice, waits for a condition without its mutex, joins who is not there. */
export function waits(holder: { readonly mutexes: ReadonlySet<number> }, action: Action, spawned: number): boolean {
  if (action.do === "lock") return !holder.mutexes.has(action.m);
  if (action.do === "waitCondition") return holder.mutexes.has(0);
  if (action.do === "join") return action.f < spawned;
  return true;
}

function remove<Item>(list: Item[], item: Item): boolean {
  const index = list.indexOf(item);
  if (index >= 0) list.splice(index, 1);
  return index >= 0;
}
