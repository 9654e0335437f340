import type { PlainResult } from "./program.js";

/** See bench/assembly/programs/density.ts. */
export interface DensityParameters {
  readonly length: number;
}

interface Entry {
  readonly next: Entry | null;
  readonly first: number;
  readonly second: number;
  readonly third: number;
  readonly fourth: number;
  readonly fifth: number;
}

export function density({ length }: DensityParameters): PlainResult {
  const head = makeEntries(length);
  let checksum = 0;
  for (let entry = head; entry !== null; entry = entry.next) checksum += entry.first + entry.fifth;
  return { checksum, made: length };
}

/** A list of so many entries. */
export function makeEntries(length: number): Entry | null {
  let head: Entry | null = null;
  for (let index = 0; index < length; index++) {
    head = { next: head, first: index, second: 0, third: 0, fourth: 0, fifth: index + 1 };
  }
  return head;
}
