import { List } from "../programs/list";
import { endEvent } from "./program";

class Node {
  constructor(
    public next: Node | null,
    public value: u32,
  ) {}
}

let head: Node | null = null;

export function list(record: List): f64 {
  record.clear();
  const perEvent = record.perEvent;
  let checksum: f64 = 0;
  for (let round: u32 = 0; round < record.rounds; round++) {
    for (let made: u32 = 0; made < record.length; made += perEvent) {
      for (let index: u32 = 0; index < perEvent; index++) head = new Node(head, made + index);
      endEvent(record, perEvent);
    }
    checksum += sum();
    head = null;
    endEvent(record, 0);
  }
  return checksum;
}

function sum(): f64 {
  let total: f64 = 0;
  let node = head;
  while (node) {
    total += node.value;
    node = node.next;
  }
  return total;
}
