import { nextRandom, pick } from "../drivers/random";
import { Requests } from "../programs/requests";
import { endEvent } from "./program";

const LEAST_ITEMS: u32 = 100;
const MOST_ITEMS: u32 = 1000;
const SURVIVES: u32 = 100;
const SURVIVAL: u32 = 100;

class Item {
  next: Item | null;
  related: Item | null;
  constructor(
    public value: u32,
    public weight: f64,
  ) {}
}

let beside: StaticArray<Item | null> | null = null;
let survivors: StaticArray<Item | null> | null = null;

export function requests(record: Requests): f64 {
  record.clear();
  beside = new StaticArray<Item | null>(record.beside + 1);
  survivors = new StaticArray<Item | null>(SURVIVAL);
  for (let index: u32 = 0; index < record.beside; index++) unchecked((beside![index] = new Item(index, 0)));
  endEvent(record, record.beside + 2);
  let random = record.seed;
  let checksum: f64 = 0;
  for (let event: u32 = 0; event < record.events; event++) {
    random = nextRandom(random);
    const count = LEAST_ITEMS + pick(random, MOST_ITEMS - LEAST_ITEMS + 1);
    checksum += handle(event, count);
    endEvent(record, count);
  }
  for (let index: u32 = 0; index < SURVIVAL; index++) checksum += sumAll(unchecked(survivors![index]));
  for (let index: u32 = 0; index < record.beside; index++) checksum += sumAll(unchecked(beside![index]));
  beside = null;
  survivors = null;
  endEvent(record, 0);
  return checksum;
}

function handle(event: u32, count: u32): f64 {
  let head: Item | null = null;
  let survivor: Item | null = null;
  for (let index: u32 = 0; index < count; index++) {
    const item = new Item(event + index, <f64>index / 2);
    if (index % SURVIVES == SURVIVES - 1) {
      item.next = survivor;
      survivor = item;
    } else {
      item.next = head;
      if (head) item.related = head.next;
      head = item;
    }
  }
  let total = sumAll(head);
  total += sumAll(unchecked(survivors![event % SURVIVAL]));
  unchecked((survivors![event % SURVIVAL] = survivor));
  return total;
}

function sumAll(first: Item | null): f64 {
  let total: f64 = 0;
  let item = first;
  while (item) {
    total += <f64>item.value + item.weight;
    const related = item.related;
    if (related) total += related.value;
    item = item.next;
  }
  return total;
}
