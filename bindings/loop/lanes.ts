import type { Priority } from "./options.js";
import { EventQueue } from "./queue.js";

/** Of eight events, how many are of which priority while all of them have some waiting. */
const SHARES: Readonly<Record<Priority, number>> = { high: 5, normal: 2, low: 1 };

/** A queue, and how many more events of it come before those of others have their share. */
class Lane<Kind extends object> {
  credit: number;

  constructor(
    readonly queue: EventQueue<Kind>,
    readonly share: number,
  ) {
    this.credit = share;
  }
}

/**
 * The queues of a loop: one for each priority that a kind has, each with the loop's capacity and overflow.
 *
 * Whose turn it is goes by shares: of those that have events waiting, the highest whose share is not used up. When each has
 * used up its own, or has nothing to use it for, all begin anew. So a priority that has an event waiting gets its share of each eight
 * events, whatever comes in with others; but when it has used it up while others had nothing waiting, which then comes, they have
 * what is left of theirs and the next one first: a low event waits for 2 × 7 others at the most.
 */
export class Lanes<Kind extends object> {
  /** Of the normal priority, which every loop has. */
  readonly normal: EventQueue<Kind>;
  /** All queues, the highest priority first. */
  queues: readonly EventQueue<Kind>[];
  readonly #capacity: number;
  readonly #overflow: number;
  /** The highest first. */
  #lanes: Lane<Kind>[];

  constructor(capacity: number, overflow: number) {
    this.#capacity = capacity;
    this.#overflow = overflow;
    this.normal = new EventQueue(capacity, overflow);
    this.queues = [this.normal];
    this.#lanes = [new Lane(this.normal, SHARES.normal)];
  }

  /** Whether all kinds have the normal priority. */
  get isOne(): boolean {
    return this.#lanes.length === 1;
  }

  /** The queue of a priority, made when the first kind has it. */
  of(priority: Priority): EventQueue<Kind> {
    const share = SHARES[priority];
    const lane = this.#lanes.find((other) => other.share === share);
    if (lane !== undefined) return lane.queue;
    const added = new Lane<Kind>(new EventQueue(this.#capacity, this.#overflow), share);
    this.#lanes = [...this.#lanes, added].sort((left, right) => right.share - left.share);
    this.queues = this.#lanes.map(({ queue }) => queue);
    return added.queue;
  }

  /** Events that wait. O(priorities) */
  get length(): number {
    const lanes = this.#lanes;
    if (lanes.length === 1) return this.normal.length;
    let length = 0;
    for (let index = 0; index < lanes.length; index++) length += lanes[index]!.queue.length;
    return length;
  }

  /**
   * Has up to `limit` events handled, in their order, as far as it goes.
   *
   * @param dispatch handles up to so many of a queue's events, and returns how many it was; fewer means that none may begin now
   * @returns how many were handled
   */
  serve(limit: number, dispatch: (queue: EventQueue<Kind>, limit: number) => number): number {
    if (this.isOne) return dispatch(this.normal, Math.min(limit, this.normal.length));
    let handled = 0;
    while (handled < limit) {
      const lane = this.#next();
      if (lane === undefined) break;
      const wanted = Math.min(lane.credit, lane.queue.length, limit - handled);
      const done = dispatch(lane.queue, wanted);
      lane.credit -= done;
      handled += done;
      if (done < wanted) break;
    }
    return handled;
  }

  #next(): Lane<Kind> | undefined {
    const lanes = this.#lanes;
    let first: Lane<Kind> | undefined;
    for (let index = 0; index < lanes.length; index++) {
      const lane = lanes[index]!;
      if (lane.queue.length === 0) continue;
      if (lane.credit > 0) return lane;
      first ??= lane;
    }
    if (first !== undefined)
      for (let index = 0; index < lanes.length; index++) lanes[index]!.credit = lanes[index]!.share;
    return first;
  }

  /** Drops everything. Returns how many events that were. */
  clear(): number {
    return this.#lanes.reduce((dropped, { queue }) => dropped + queue.clear(), 0);
  }
}

/** Whether it is a priority. */
export function isPriority(value: unknown): value is Priority {
  return typeof value === "string" && Object.hasOwn(SHARES, value);
}
