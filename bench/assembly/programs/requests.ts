// Requests: each event makes 100 to 1,000 objects, and one in a hundred of them survives the next hundred events.

import { nextRandom, pick } from "../drivers/random";
import { ELEMENTS, Program, SLOTS, VARIABLE } from "./program";

const ITEM_BYTES: u32 = 24;
const NEXT: u32 = 0;
const RELATED: u32 = 4;
const VALUE: u32 = 8;
const WEIGHT: u32 = 16;

const LEAST_ITEMS: u32 = 100;
const MOST_ITEMS: u32 = 1000;
/** One item in so many survives, … */
const SURVIVES: u32 = 100;
/** … for so many events. */
const SURVIVAL: u32 = 100;

@unmanaged
export class Requests extends Program {
  events: u32;
  /** Items that live all along, beside. */
  beside: u32;
}

/**
 * Returns the sum of what the items hold, those of an event at its end and those that survive when their time is over,
 * or NaN when memory is out.
 */
export function requests<S>(heap: S, record: Requests): f64 {
  record.clear();
  if (!record.firstType) {
    record.firstType = heap.addType(ITEM_BYTES, SLOTS, 2, 2, 0, 0, 0);
    record.secondType = heap.addType(4, SLOTS, 1, 0, 0, 0, VARIABLE);
  }
  const type = record.firstType;
  if (!type || !record.secondType) return NaN;
  const outer = heap.openScope();
  if (!outer) return NaN;
  const beside = heap.allocateArray(record.secondType, record.beside + 1);
  const survivors = heap.allocateArray(record.secondType, SURVIVAL);
  if (!beside || !survivors || !heap.push(outer, beside) || !heap.push(outer, survivors)) return NaN;
  for (let index: u32 = 0; index < record.beside; index++) {
    const item = heap.allocate(type);
    if (!item) return NaN;
    store<u32>(item, index, VALUE);
    heap.store(beside, ELEMENTS + (index << 2), item);
    if (index % MOST_ITEMS == 0) record.endEvent<S>(heap, 0);
  }
  record.endEvent<S>(heap, record.beside + 2);
  let random = record.seed;
  let checksum: f64 = 0;
  for (let event: u32 = 0; event < record.events; event++) {
    random = nextRandom(random);
    const count = LEAST_ITEMS + pick(random, MOST_ITEMS - LEAST_ITEMS + 1);
    const scope = heap.openScope();
    if (!scope) return NaN;
    let head: usize = 0;
    let survivor: usize = 0;
    for (let index: u32 = 0; index < count; index++) {
      const item = heap.allocate(type);
      if (!item) return NaN;
      store<u32>(item, event + index, VALUE);
      store<f64>(item, <f64>index / 2, WEIGHT);
      if (index % SURVIVES == SURVIVES - 1) {
        heap.store(item, NEXT, survivor);
        survivor = item;
      } else {
        heap.store(item, NEXT, head);
        if (head) heap.store(item, RELATED, load<usize>(head, NEXT));
        head = item;
      }
    }
    if (!heap.push(scope, head)) return NaN;
    checksum += sumAll<S>(heap, head, heap.isManual());
    const offset = ELEMENTS + ((event % SURVIVAL) << 2);
    checksum += sumAll<S>(heap, load<usize>(survivors + offset), heap.isManual());
    heap.store(survivors, offset, survivor);
    heap.endScope(scope);
    record.endEvent<S>(heap, count);
  }
  for (let index: u32 = 0; index < SURVIVAL; index++) {
    checksum += sumAll<S>(heap, load<usize>(survivors + (index << 2), ELEMENTS), heap.isManual());
  }
  for (let index: u32 = 0; index < record.beside; index++) {
    checksum += sumAll<S>(heap, load<usize>(beside + (index << 2), ELEMENTS), heap.isManual());
  }
  if (heap.isManual()) {
    heap.free(beside);
    heap.free(survivors);
  }
  heap.endScope(outer);
  record.endEvent<S>(heap, 0);
  return checksum;
}

/** Sums a list of items, and frees them if told to. */
function sumAll<S>(heap: S, first: usize, frees: bool): f64 {
  let total: f64 = 0;
  for (let item = first; item; ) {
    const next = load<usize>(item, NEXT);
    total += <f64>load<u32>(item, VALUE) + load<f64>(item, WEIGHT);
    const related = load<usize>(item, RELATED);
    if (related) total += load<u32>(related, VALUE);
    if (frees) heap.free(item);
    item = next;
  }
  return total;
}
