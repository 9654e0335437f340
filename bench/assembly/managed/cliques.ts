import { Cliques } from "../programs/cliques";
import { endEvent } from "./program";

class Node {
  edges: StaticArray<Node | null> | null;
  constructor(public value: u32) {}
}

let table: StaticArray<Node | null> | null = null;
let making: StaticArray<Node | null> | null = null;

export function cliques(record: Cliques): f64 {
  record.clear();
  const live = record.live;
  const members = record.members;
  table = new StaticArray<Node | null>(live);
  making = new StaticArray<Node | null>(members);
  endEvent(record, 2);
  let checksum: f64 = 0;
  for (let event: u32 = 0; event < record.events; event++) {
    make(members, event);
    checksum += sumAt(event % live);
    unchecked((table![event % live] = making![0]));
    endEvent(record, 2 * members);
  }
  for (let index: u32 = 0; index < live; index++) checksum += sumAt(index);
  table = null;
  making = null;
  endEvent(record, 0);
  return checksum;
}

function make(members: u32, event: u32): void {
  for (let index: u32 = 0; index < members; index++) {
    const node = new Node(event + index);
    unchecked((making![index] = node));
    node.edges = new StaticArray<Node | null>(members);
  }
  for (let from: u32 = 0; from < members; from++) {
    const edges = unchecked(making![from])!.edges!;
    for (let to: u32 = 0; to < members; to++) unchecked((edges[to] = making![to]));
  }
}

function sumAt(index: u32): f64 {
  const clique = unchecked(table![index]);
  if (!clique) return 0;
  let total: f64 = 0;
  const edges = clique.edges!;
  const members = edges.length;
  for (let from = 0; from < members; from++) {
    const others = unchecked(edges[from])!.edges!;
    for (let to = 0; to < members; to++) total += unchecked(others[to])!.value;
  }
  return total;
}
