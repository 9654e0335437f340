import { Density } from "../programs/density";
import { endEvent } from "./program";

class Entry {
  second: u32;
  third: u32;
  fourth: u32;
  constructor(
    public next: Entry | null,
    public first: u32,
    public fifth: u32,
  ) {}
}

let head: Entry | null = null;

export function density(record: Density): f64 {
  record.clear();
  record.clearSpan();
  for (let index: u32 = 0; index < record.length; index++) {
    head = new Entry(head, index, index + 1);
    record.look(changetype<usize>(head));
  }
  let checksum: f64 = 0;
  let entry = head;
  while (entry) {
    checksum += <f64>entry.first + <f64>entry.fifth;
    entry = entry.next;
  }
  head = null;
  endEvent(record, record.length);
  return checksum;
}
