// What a loop's thread and the watchdog's worker share.
//
//   byte 0          8          16      20          24
//        ┌──────────┬──────────┬───────┬───────────┐
//        │ sequence │ suspect  │ kind  │ suspect's │
//        │          │          │       │ kind      │
//        └──────────┴──────────┴───────┴───────────┘
//          the loop   worker     loop    worker        … writes it
//
// The loop writes two words an event, by plain stores: 0.1 ns beside a loop that does nothing, where an atomic store takes
// 10 to 18. They need no order: the worker acts upon what has been the same at several looks, milliseconds apart, and by then
// nothing is on its way. For the same reason a number that is torn in two, as 32-bit machines might, deceives nobody.

/** Bytes of the shared memory. */
const HEARTBEAT_BYTES = 24;

/** In 64-bit floats: numbers of events, or `NO_EVENT`. */
export const SEQUENCE = 0;
export const SUSPECT = 1;
/** In 32-bit integers: numbers of kinds. */
export const KIND = 4;
export const SUSPECT_KIND = 5;

/** No handler runs. */
export const NO_EVENT = -1;

/** The loop's side: it tells what runs, and asks what the worker has seen. */
export class Heartbeat {
  readonly buffer: SharedArrayBuffer;
  readonly #sequences: Float64Array;
  readonly #kinds: Int32Array;

  constructor() {
    this.buffer = new SharedArrayBuffer(HEARTBEAT_BYTES);
    this.#sequences = new Float64Array(this.buffer, 0, 2);
    this.#kinds = new Int32Array(this.buffer);
    this.#sequences.fill(NO_EVENT);
  }

  /** A handler is about to run. Called for each event, and small enough to be compiled in place. */
  beat(sequence: number, kind: number): void {
    this.#sequences[SEQUENCE] = sequence;
    this.#kinds[KIND] = kind;
  }

  /** No handler runs any more: called at the end of each turn. */
  rest(): void {
    this.#sequences[SEQUENCE] = NO_EVENT;
  }

  /** The last event that the worker has seen holding the loop for half of `slowAfter` or more; -1 if it has seen none. */
  get suspect(): number {
    return this.#sequences[SUSPECT]!;
  }

  /** The number of that event's kind. */
  get suspectKind(): number {
    return this.#kinds[SUSPECT_KIND]!;
  }
}
