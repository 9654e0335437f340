import { now } from "../drivers/clock";
import { nextRandom, pick } from "../drivers/random";
import { Cells } from "../programs/cells";
import { endEvent } from "./program";

const FILL: u32 = 1000;

class Cell {
  next: Cell | null;
  constructor(public value: u32) {}
}

let array: StaticArray<Cell | null> | null = null;

export function cells(record: Cells): f64 {
  record.clear();
  const timed = record.timed;
  const length = record.length;
  array = new StaticArray<Cell | null>(length);
  endEvent(record, 1);
  for (let index: u32 = 0; index < length; index++) {
    const started = timed ? now() : 0;
    const cell = new Cell(index);
    if (timed) record.noteTime(now() - started);
    unchecked((array![index] = cell));
    if (index % FILL == FILL - 1) endEvent(record, FILL);
  }
  endEvent(record, length % FILL);
  record.fillMillis = record.longestMillis;
  let random = record.seed;
  let checksum: f64 = 0;
  let shortest: f64 = Infinity;
  for (let pass: u32 = 0; pass < record.passes; pass++) {
    record.longestMillis = 0;
    for (let event: u32 = 0; event < record.events; event++) {
      for (let index: u32 = 0; index < record.perEvent; index++) {
        random = nextRandom(random);
        const at = pick(random, length);
        checksum += unchecked(array![at])!.value;
        const started = timed ? now() : 0;
        const cell = new Cell(event + index);
        if (timed) record.noteTime(now() - started);
        unchecked((array![at] = cell));
      }
      endEvent(record, record.perEvent);
    }
    shortest = min(shortest, record.longestMillis);
  }
  for (let index: u32 = 0; index < length; index++) checksum += unchecked(array![index])!.value;
  array = null;
  endEvent(record, 0);
  record.longestMillis = shortest;
  return checksum;
}
