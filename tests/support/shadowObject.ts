import { type HeapShape, heapShapes, type SlotShape } from "./collectorShapes.js";
import { ARRAY_HEADER } from "./rawHeap.js";

/** An object as it has to be. */
export interface ShadowObject {
  readonly shape: HeapShape;
  readonly length: number;
  readonly address: number;
  /** What the heap's figure of bytes has grown by; undefined if it was made while others were swept. */
  readonly bytes: number | undefined;
  /** What its payload is written from. */
  readonly stamp: number;
  /** What its slots refer to, by their index: slot 0 of element 0, slot 1 of element 0, …; what is absent is null. */
  readonly strong: Map<number, ShadowObject>;
  readonly weak: Map<number, ShadowObject>;
  /** True once a weak slot has been seen empty because of its end: nothing may ever show it again. */
  isDead: boolean;
  hooksRun: number;
}

/** Of a gap between slots, so many bytes are written at both ends. */
const END_BYTES = 40;

/** How many strong slots an object has. */
export function slotCount({ shape, length }: ShadowObject): number {
  return shape.isArray ? shape.strong.length * length : shape.strong.length;
}

export function weakCount({ shape, length }: ShadowObject): number {
  return shape.isArray ? shape.weak.length * length : shape.weak.length;
}

/** The shape that a strong slot refers to. */
export function slotTarget({ shape }: ShadowObject, index: number): HeapShape {
  return heapShapes[shape.strong[index % shape.strong.length]!.to]!;
}

export function weakTarget({ shape }: ShadowObject, index: number): HeapShape {
  return heapShapes[shape.weak[index % shape.weak.length]!.to]!;
}

export function slotAddress({ shape, address }: ShadowObject, slots: readonly SlotShape[], index: number): number {
  if (!shape.isArray) return address + slots[index]!.offset;
  const element = Math.floor(index / slots.length);
  return address + ARRAY_HEADER + element * shape.bytes + slots[index % slots.length]!.offset;
}

export function sizeOf(shape: HeapShape, length: number): number {
  return shape.isArray ? ARRAY_HEADER + shape.bytes * length : shape.bytes;
}

/** Calls `visit` with the addresses of payload bytes: those at both ends of each gap between slots. */
export function forPayload({ shape, length, address }: ShadowObject, visit: (address: number) => void): void {
  const between = (from: number, to: number) => {
    if (to - from <= 2 * END_BYTES) {
      for (let at = from; at < to; at++) visit(at);
      return;
    }
    for (let at = from; at < from + END_BYTES; at++) visit(at);
    for (let at = to - END_BYTES; at < to; at++) visit(at);
  };
  if (!shape.isArray) {
    for (const [from, to] of shape.payload) between(address + from, address + to);
    return;
  }
  const elements = address + ARRAY_HEADER;
  if (shape.strong.length + shape.weak.length === 0) {
    between(elements, elements + length * shape.bytes);
    return;
  }
  // Of long arrays, the first elements and the last.
  for (let element = 0; element < length; element++) {
    if (element === 8 && length > 16) element = length - 8;
    for (const [from, to] of shape.payload) {
      between(elements + element * shape.bytes + from, elements + element * shape.bytes + to);
    }
  }
}

export function patternOf(stamp: number, offset: number): number {
  return (Math.imul(stamp, 0x9e37_79b1) >>> 24) ^ (offset & 0xff) ^ 0xa5;
}

const zeros = Buffer.alloc(1 << 20);

export function isZero(memory: Uint8Array, address: number, size: number): boolean {
  for (let from = 0; from < size; from += zeros.length) {
    const bytes = Math.min(zeros.length, size - from);
    if (Buffer.from(memory.buffer, address + from, bytes).compare(zeros, 0, bytes) !== 0) return false;
  }
  return true;
}
