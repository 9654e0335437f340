import { nextRandom, pick } from "../drivers/random";
import { Rings } from "../programs/rings";
import { endEvent } from "./program";

class Node {
  previous: Node | null;
  next: Node | null;
  constructor(public value: u32) {}
}

let table: StaticArray<Node | null> | null = null;

export function rings(record: Rings): f64 {
  record.clear();
  const live = record.live;
  table = new StaticArray<Node | null>(live);
  let random = record.seed;
  let checksum: f64 = 0;
  for (let event: u32 = 0; event < record.events; event++) {
    random = nextRandom(random);
    checksum += replace(pick(random, live), record.members, event);
    endEvent(record, record.members);
  }
  for (let index: u32 = 0; index < live; index++) checksum += sumAt(index);
  table = null;
  endEvent(record, 0);
  return checksum;
}

function replace(index: u32, members: u32, event: u32): f64 {
  const first = new Node(event);
  let last = first;
  for (let member: u32 = 1; member < members; member++) {
    const node = new Node(event + member);
    node.previous = last;
    last.next = node;
    last = node;
  }
  last.next = first;
  first.previous = last;
  const total = sumAt(index);
  unchecked((table![index] = first));
  return total;
}

function sumAt(index: u32): f64 {
  const ring = unchecked(table![index]);
  if (!ring) return 0;
  let total: f64 = 0;
  let node: Node = ring;
  do {
    total += node.value;
    node = node.next!;
  } while (node != ring);
  do {
    total += 2 * <f64>node.value;
    node = node.previous!;
  } while (node != ring);
  return total;
}
