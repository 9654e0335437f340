/** The request pattern with no object at all: what the machine does to events that have nothing to allocate or to collect. */

import type { Runtime } from "tidemark";
import { MOST_ITEMS, type RequestsParameters, SURVIVAL, SURVIVES } from "./programs/requests.js";
import type { RequestHandler } from "./requestLoop.js";

/** Of the items of one event. */
const MOST_SURVIVORS = Math.floor(MOST_ITEMS / SURVIVES);
const NOTHING = -1;

/** So many times each event is worked out: it then takes about as long as with objects of a heap, and meets as much of the machine. */
const TIMES = 28;

/** A handler whose items are places in arrays that were made once. */
export function handleInArrays(_runtime: Runtime, { beside }: RequestsParameters): RequestHandler {
  return new ArrayRequests(beside);
}

class ArrayRequests implements RequestHandler {
  readonly #next = new Int32Array(MOST_ITEMS);
  readonly #related = new Int32Array(MOST_ITEMS);
  readonly #value = new Float64Array(MOST_ITEMS);
  readonly #weight = new Float64Array(MOST_ITEMS);
  /** What the survivors of each event hold, and how many they are. */
  readonly #survivors = new Float64Array(SURVIVAL * MOST_SURVIVORS);
  readonly #survived = new Uint8Array(SURVIVAL);
  readonly #beside: Float64Array;
  /** A float that is returned by a call is garbage to the engine, where that is not compiled in place. */
  readonly #total = new Float64Array(1);

  constructor(beside: number) {
    this.#beside = Float64Array.from({ length: beside }, (_, value) => value);
  }

  handle(event: number, count: number): number {
    const slot = event % SURVIVAL;
    const total = this.#total;
    total[0] = 0;
    this.#addSurvivors(slot);
    for (let time = 0; time < TIMES; time++) this.#build(event, count, slot);
    this.#addFrom(count);
    return total[0]!;
  }

  finish(): number {
    const total = this.#total;
    total[0] = 0;
    for (let slot = 0; slot < SURVIVAL; slot++) this.#addSurvivors(slot);
    for (const value of this.#beside) total[0]! += value;
    return total[0]!;
  }

  #build(event: number, count: number, slot: number): void {
    let head = NOTHING;
    let survived = 0;
    for (let index = 0; index < count; index++) {
      const value = event + index;
      const weight = index / 2;
      if (index % SURVIVES === SURVIVES - 1) {
        this.#survivors[slot * MOST_SURVIVORS + survived++] = value + weight;
        continue;
      }
      this.#value[index] = value;
      this.#weight[index] = weight;
      this.#next[index] = head;
      this.#related[index] = head === NOTHING ? NOTHING : this.#next[head]!;
      head = index;
    }
    this.#survived[slot] = survived;
  }

  /** Adds up what the `count` items hold, the last first. */
  #addFrom(count: number): void {
    const total = this.#total;
    let item = count % SURVIVES === 0 ? count - 2 : count - 1; // the last that does not survive
    for (; item !== NOTHING; item = this.#next[item]!) {
      total[0]! += this.#value[item]! + this.#weight[item]!;
      const related = this.#related[item]!;
      if (related !== NOTHING) total[0]! += this.#value[related]!;
    }
  }

  #addSurvivors(slot: number): void {
    const total = this.#total;
    const first = slot * MOST_SURVIVORS;
    for (let index = first; index < first + this.#survived[slot]!; index++) total[0]! += this.#survivors[index]!;
  }
}
