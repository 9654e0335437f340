import { nextRandom, pick } from "../random.js";
import type { PlainResult } from "./program.js";

/** See bench/assembly/programs/requests.ts. */
export interface RequestsParameters {
  /** Not 0. */
  readonly seed: number;
  readonly events: number;
  readonly beside: number;
}

interface Item {
  next: Item | null;
  related: Item | null;
  readonly value: number;
  readonly weight: number;
}

const LEAST_ITEMS = 100;
const MOST_ITEMS = 1000;
const SURVIVES = 100;
const SURVIVAL = 100;

export function requests({ seed, events, beside }: RequestsParameters): PlainResult {
  const items = Array.from({ length: beside }, (_, value): Item => ({ next: null, related: null, value, weight: 0 }));
  const survivors = new Array<Item | null>(SURVIVAL).fill(null);
  let random = seed;
  let made = beside + 2;
  let checksum = 0;
  for (let event = 0; event < events; event++) {
    random = nextRandom(random);
    const count = LEAST_ITEMS + pick(random, MOST_ITEMS - LEAST_ITEMS + 1);
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
    checksum += sumAll(head) + sumAll(survivors[event % SURVIVAL]!);
    survivors[event % SURVIVAL] = survivor;
    made += count;
  }
  for (const survivor of survivors) checksum += sumAll(survivor);
  for (const item of items) checksum += sumAll(item);
  return { checksum, made };
}

function sumAll(first: Item | null): number {
  let total = 0;
  for (let item = first; item !== null; item = item.next) {
    total += item.value + item.weight;
    if (item.related !== null) total += item.related.value;
  }
  return total;
}
