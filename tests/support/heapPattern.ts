import { expect } from "vitest";
import { RandomNumbers } from "./randomNumbers.js";

/** How many patterns there are: each is a piece of the same noise, so that bytes that have moved do not fit. */
const PATTERNS = 65_536;
/** Of what is larger, both ends are written and checked: what overlaps is found by addresses anyway. */
const WHOLE_LIMIT = 1 << 20;
const END_BYTES = 4096;

const noise = Buffer.alloc(WHOLE_LIMIT + PATTERNS);
const random = new RandomNumbers(0x5eed);
for (let index = 0; index < noise.length; index++) noise[index] = random.below(256);

/** Fills `size` bytes from `address` on with the pattern of `stamp`. */
export function writePattern(memory: Uint8Array, address: number, size: number, stamp: number): void {
  const from = stamp % PATTERNS;
  if (size <= WHOLE_LIMIT) {
    memory.set(noise.subarray(from, from + size), address);
    return;
  }
  memory.set(noise.subarray(from, from + END_BYTES), address);
  memory.set(noise.subarray(from, from + END_BYTES), address + size - END_BYTES);
}

/** Checks the first `size` bytes of a block of `written` bytes that {@link writePattern} has filled. */
export function checkPattern(memory: Uint8Array, address: number, size: number, written: number, stamp: number): void {
  const from = stamp % PATTERNS;
  if (written <= WHOLE_LIMIT) {
    check(memory, address, size, from);
    return;
  }
  check(memory, address, Math.min(size, END_BYTES), from);
  if (size === written) check(memory, address + size - END_BYTES, END_BYTES, from);
}

function check(memory: Uint8Array, address: number, size: number, from: number): void {
  const found = Buffer.from(memory.buffer, address, size);
  if (found.compare(noise, from, from + size) === 0) return;
  let index = 0;
  while (found[index] === noise[from + index]) index++;
  expect.fail(`byte ${index} of the ${size} at ${address} is ${found[index]}, but ${noise[from + index]} was written`);
}
