import type { PlainResult } from "./program.js";

/** See bench/assembly/programs/list.ts. */
export interface ListParameters {
  /** A multiple of `perEvent`. */
  readonly length: number;
  readonly perEvent: number;
  readonly rounds: number;
}

interface Node {
  readonly next: Node | null;
  readonly value: number;
}

export function list({ length, rounds }: ListParameters): PlainResult {
  let checksum = 0;
  for (let round = 0; round < rounds; round++) {
    let head: Node | null = null;
    for (let value = 0; value < length; value++) head = { next: head, value };
    for (let node = head; node !== null; node = node.next) checksum += node.value;
  }
  return { checksum, made: rounds * length };
}
