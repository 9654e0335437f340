import { nextRandom, pick } from "../random.js";
import type { PlainResult } from "./program.js";

/** See bench/assembly/programs/rings.ts. */
export interface RingsParameters {
  /** Not 0. */
  readonly seed: number;
  readonly members: number;
  readonly live: number;
  readonly events: number;
}

interface Node {
  previous: Node | null;
  next: Node | null;
  readonly value: number;
}

export function rings({ seed, members, live, events }: RingsParameters): PlainResult {
  const table = new Array<Node | null>(live).fill(null);
  let random = seed;
  let checksum = 0;
  for (let event = 0; event < events; event++) {
    random = nextRandom(random);
    const index = pick(random, live);
    const ring = makeRing(members, event);
    checksum += sum(table[index]!);
    table[index] = ring;
  }
  for (const ring of table) checksum += sum(ring);
  return { checksum, made: events * members };
}

function makeRing(members: number, event: number): Node {
  const first: Node = { previous: null, next: null, value: event };
  let last = first;
  for (let member = 1; member < members; member++) {
    const node: Node = { previous: last, next: null, value: event + member };
    last.next = node;
    last = node;
  }
  last.next = first;
  first.previous = last;
  return first;
}

function sum(ring: Node | null): number {
  if (ring === null) return 0;
  let total = 0;
  let node = ring;
  do {
    total += node.value;
    node = node.next!;
  } while (node !== ring);
  do {
    total += 2 * node.value;
    node = node.previous!;
  } while (node !== ring);
  return total;
}
