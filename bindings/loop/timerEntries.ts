import type { Timer, TimerTarget } from "./timer.js";
import { SEGMENT_MASK, SEGMENT_SHIFT } from "./timingWheel.js";

/** What an armed slot has: a timer, or the bare target of an id. */
export type TimerEntry = Timer | TimerTarget<never>;

/** What the slots of a timing wheel have, in chunks as large as the wheel's segments, so that none is ever copied as it grows. */
export class TimerEntries {
  private readonly entries: (TimerEntry | undefined)[][] = [];
  /** The payloads of ids; a chunk only where there is one. */
  private readonly payloads: (unknown[] | undefined)[] = [];

  at(slot: number): TimerEntry | undefined {
    return this.entries[slot >>> SEGMENT_SHIFT]?.[slot & SEGMENT_MASK];
  }

  payloadAt(slot: number): unknown {
    return this.payloads[slot >>> SEGMENT_SHIFT]?.[slot & SEGMENT_MASK];
  }

  set(slot: number, entry: TimerEntry): void {
    const chunk = this.entries[slot >>> SEGMENT_SHIFT] ?? this.addChunk(slot >>> SEGMENT_SHIFT);
    chunk[slot & SEGMENT_MASK] = entry;
  }

  /** Keeps the payload of an id. */
  keep(slot: number, payload: unknown): void {
    const number = slot >>> SEGMENT_SHIFT;
    this.payloads[number] ??= newChunk(number);
    this.payloads[number][slot & SEGMENT_MASK] = payload;
  }

  /** Forgets the entry of a slot that has one, and no payload. */
  remove(slot: number): void {
    this.entries[slot >>> SEGMENT_SHIFT]![slot & SEGMENT_MASK] = undefined;
  }

  /** Forgets all that a slot has. */
  clear(slot: number): void {
    this.remove(slot);
    const payloads = this.payloads[slot >>> SEGMENT_SHIFT];
    if (payloads !== undefined) payloads[slot & SEGMENT_MASK] = undefined;
  }

  clearAll(): void {
    this.entries.length = 0;
    this.payloads.length = 0;
  }

  private addChunk(number: number): (TimerEntry | undefined)[] {
    const chunk = newChunk<TimerEntry | undefined>(number);
    this.entries[number] = chunk;
    return chunk;
  }
}

/** The first chunk grows, as most programs need little of it; the others have the size that they will come to. */
function newChunk<Value>(number: number): Value[] {
  return number === 0 ? [] : new Array<Value>(SEGMENT_MASK + 1);
}
