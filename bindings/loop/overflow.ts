/** Events in one segment: 16 KiB of references, large enough that a segment is rarely taken, small enough to waste. */
const SEGMENT_LENGTH = 1024;

class Segment<Kind> {
  readonly kinds: (Kind | undefined)[] = new Array<Kind | undefined>(SEGMENT_LENGTH).fill(undefined);
  readonly payloads: unknown[] = new Array<unknown>(SEGMENT_LENGTH).fill(undefined);
  next: Segment<Kind> | undefined;
}

/**
 * A first-in first-out queue in linked segments: what waits behind a full ring.
 *
 * Nothing is allocated before the first event spills. Segments that have been emptied are kept for the next spill, so a
 * program that overflows again and again makes no garbage; what is kept is bounded by the fullest it has ever been.
 *
 * | operation | cost |
 * |---|---|
 * | push, shift | O(1), never a copy of what is queued |
 * | clear | O(segments) |
 */
export class Overflow<Kind> {
  /** Events queued. */
  length = 0;

  #first: Segment<Kind> | undefined;
  #last: Segment<Kind> | undefined;
  /** Emptied segments, linked by `next`. */
  #spare: Segment<Kind> | undefined;
  /** Position of the oldest event in `#first`; always below SEGMENT_LENGTH. */
  #head = 0;
  /** Position behind the newest event in `#last`; SEGMENT_LENGTH when that segment is full. */
  #tail = SEGMENT_LENGTH;

  /** The oldest event's kind; only while `length > 0`. */
  get kind(): Kind {
    return this.#first!.kinds[this.#head]!;
  }

  /** The oldest event's payload; only while `length > 0`. */
  get payload(): unknown {
    return this.#first!.payloads[this.#head];
  }

  push(kind: Kind, payload: unknown): void {
    if (this.#tail === SEGMENT_LENGTH) this.#append();
    const segment = this.#last!;
    segment.kinds[this.#tail] = kind;
    segment.payloads[this.#tail] = payload;
    this.#tail++;
    this.length++;
  }

  /** Removes the oldest event; only while `length > 0`. The slot lets go of its payload. */
  shift(): void {
    const segment = this.#first!;
    segment.kinds[this.#head] = undefined;
    segment.payloads[this.#head] = undefined;
    this.#head++;
    this.length--;
    if (this.#head === SEGMENT_LENGTH || this.length === 0) this.#retireFirst();
  }

  /** Removes everything, and gives up all segments. */
  clear(): void {
    this.#first = this.#last = this.#spare = undefined;
    this.#head = 0;
    this.#tail = SEGMENT_LENGTH;
    this.length = 0;
  }

  #append(): void {
    const segment = this.#spare ?? new Segment<Kind>();
    this.#spare = segment.next;
    segment.next = undefined;
    if (this.#last === undefined) this.#first = segment;
    else this.#last.next = segment;
    this.#last = segment;
    this.#tail = 0;
  }

  /** The first segment is used up, or nothing is left in it: its slots are all clear, so it can serve again. */
  #retireFirst(): void {
    const segment = this.#first!;
    this.#first = segment.next;
    segment.next = this.#spare;
    this.#spare = segment;
    this.#head = 0;
    if (this.#first === undefined) {
      this.#last = undefined;
      this.#tail = SEGMENT_LENGTH;
    }
  }
}
