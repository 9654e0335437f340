import { nextRandom, pick } from "../random.js";
import type { PlainResult } from "./program.js";

/** See bench/assembly/programs/requests.ts. */
export interface RequestsParameters {
  /** Not 0. */
  readonly seed: number;
  readonly events: number;
  /** Items that live all along, beside. */
  readonly beside: number;
}

interface Item {
  next: Item | null;
  related: Item | null;
  readonly value: number;
  readonly weight: number;
}

const LEAST_ITEMS = 100;
export const MOST_ITEMS = 1000;
/** One item in so many survives, … */
export const SURVIVES = 100;
/** … for so many events. */
export const SURVIVAL = 100;

/** How many items each event makes. */
export function drawCounts({ seed, events }: RequestsParameters): Uint16Array {
  let random = seed;
  return Uint16Array.from({ length: events }, () => {
    random = nextRandom(random);
    return LEAST_ITEMS + pick(random, MOST_ITEMS - LEAST_ITEMS + 1);
  });
}

/** The events, with plain objects. */
export class PlainRequests {
  readonly #beside: readonly Item[];
  readonly #survivors = new Array<Item | null>(SURVIVAL).fill(null);

  constructor(beside: number) {
    this.#beside = Array.from({ length: beside }, (_, value) => ({ next: null, related: null, value, weight: 0 }));
  }

  /** Handles one event; returns the sum of what its items hold, and those whose time is over. */
  handle(event: number, count: number): number {
    let head: Item | null = null;
    let survivor: Item | null = null;
    for (let index = 0; index < count; index++) {
      const item: Item = { next: null, related: null, value: event + index, weight: index / 2 };
      if (index % SURVIVES === SURVIVES - 1) {
        item.next = survivor;
        survivor = item;
      } else {
        item.next = head;
        if (head !== null) item.related = head.next;
        head = item;
      }
    }
    const total = sumAll(head) + sumAll(this.#survivors[event % SURVIVAL]!);
    this.#survivors[event % SURVIVAL] = survivor;
    return total;
  }

  /** The sum of what is left at the end. */
  finish(): number {
    let total = 0;
    for (const survivor of this.#survivors) total += sumAll(survivor);
    for (const item of this.#beside) total += sumAll(item);
    return total;
  }
}

export function requests(parameters: RequestsParameters): PlainResult {
  const { beside } = parameters;
  const plain = new PlainRequests(beside);
  let made = beside + 2;
  let checksum = 0;
  drawCounts(parameters).forEach((count, event) => {
    checksum += plain.handle(event, count);
    made += count;
  });
  return { checksum: checksum + plain.finish(), made };
}

function sumAll(first: Item | null): number {
  let total = 0;
  for (let item = first; item !== null; item = item.next) {
    total += item.value + item.weight;
    if (item.related !== null) total += item.related.value;
  }
  return total;
}
