import type { Workbench } from "../drivers/workbench.js";
import { ID_SHIFT, KIND_MASK, Kind, OPERATION_WORDS, type Trace } from "./trace.js";

/** The words of a replay's record; see bench/assembly/drivers/replay.ts. */
const Word = {
  operations: 0,
  count: 1,
  table: 2,
  ids: 3,
  samples: 4,
  every: 5,
  first: 6,
  fills: 7,
  at: 8,
  live: 9,
  taken: 10,
  peakLive: 11,
  peakTaken: 12,
  faultId: 13,
  faultPosition: 14,
  faultExpected: 15,
  faultFound: 16,
} as const;
const WORDS = 17;
const SAMPLER_WORDS = 6;
const BLOCK_WORDS = 2;
const FLOAT_WORDS = 2;

/** The integrity driver's answers, in the order of bench/assembly/drivers/integrity.ts. */
const FAULTS = ["none", "out of memory", "misaligned", "changed", "refused"] as const;

/** What the integrity driver has found, with the figures of the moment at which it ended. */
export interface Check {
  readonly fault: (typeof FAULTS)[number] | "trap";
  /** What the engine said of a trap. */
  readonly trap?: string;
  /** The operation at which it ended, counted from 0; the number of operations if all were done. */
  readonly at: number;
  /** Payload bytes live, and bytes taken by the allocator. */
  readonly live: number;
  readonly taken: number;
  readonly peakLive: number;
  readonly peakTaken: number;
  /** The block at fault, its byte, and what that should be and is; of a misaligned or a refused block `found` is the address. */
  readonly id: number;
  readonly position: number;
  readonly expected: number;
  readonly found: number;
}

/** A trace laid out beside an allocator. */
export class TraceReplay {
  readonly #workbench: Workbench;
  readonly #record: number;
  readonly #sampler: number;
  readonly #samples: number;
  readonly #count: number;

  /** @param every one operation in so many is timed by {@link sample} */
  constructor(
    workbench: Workbench,
    { operations, ids }: Trace,
    private readonly every: number,
  ) {
    this.#workbench = workbench;
    this.#count = operations.length / OPERATION_WORDS;
    this.#samples = workbench.place(Math.ceil(this.#count / every) * FLOAT_WORDS);
    this.#sampler = workbench.place(SAMPLER_WORDS);
    const place = workbench.place(Math.max(operations.length, 1), operations);
    const table = workbench.place(Math.max(ids, 1) * BLOCK_WORDS);
    this.#record = workbench.place(WORDS);
    workbench.words(this.#record, WORDS).set([place, this.#count, table, ids, this.#samples, every]);
  }

  /**
   * Goes through the trace, follows what is live and taken, and, with `fills`, fills and checks every block. After a
   * fault the allocator is good for nothing more.
   */
  check(fills: boolean): Check {
    this.#set(Word.fills, fills ? 1 : 0);
    let fault: Check["fault"] = "trap";
    let trap: string | undefined;
    try {
      fault = FAULTS[this.#workbench.run("CheckReplay", this.#record)]!;
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      trap = error.message;
    }
    const words = this.#workbench.words(this.#record, WORDS);
    return {
      fault,
      ...(trap === undefined ? {} : { trap }),
      at: words[Word.at]!,
      live: words[Word.live]!,
      taken: words[Word.taken]!,
      peakLive: words[Word.peakLive]!,
      peakTaken: words[Word.peakTaken]!,
      id: words[Word.faultId]!,
      position: words[Word.faultPosition]!,
      expected: words[Word.faultExpected]!,
      found: words[Word.faultFound]!,
    };
  }

  /** Goes through the trace; the sum of the words found in the blocks, NaN when memory was out. */
  replay(): number {
    return this.#workbench.run("Replay", this.#record, this.#sampler);
  }

  /**
   * Goes through the trace and times one operation in `every`.
   *
   * @param first the first that is timed, below `every`
   * @returns the times in nanoseconds, in the order of the operations
   */
  sample(first: number): Float64Array {
    this.#set(Word.first, first);
    this.#workbench.run("SampleReplay", this.#record, this.#sampler);
    return this.#nanoseconds(Math.max(0, Math.ceil((this.#count - first) / this.every)));
  }

  /** Takes samples of nothing, as many as {@link sample} does: their times in nanoseconds. */
  sampleNothing(): Float64Array {
    this.#set(Word.first, 0);
    this.#workbench.call("sampleNothing", this.#sampler, this.#record, this.#count);
    return this.#nanoseconds(Math.ceil(this.#count / this.every));
  }

  /** Frees what is live. To be called after each pass. */
  release(): void {
    this.#workbench.run("Release", this.#record);
  }

  #set(word: number, value: number): void {
    this.#workbench.words(this.#record, WORDS)[word] = value;
  }

  #nanoseconds(count: number): Float64Array {
    return this.#workbench.floats(this.#samples, count).map((millis) => millis * 1e6);
  }
}

/** What {@link TraceReplay.replay} returns, by the plainest code there is. */
export function replayPlainly({ operations, ids }: Trace): number {
  const sizes = new Uint32Array(ids);
  const words = new Uint32Array(ids);
  let checksum = 0;
  for (let index = 0; index < operations.length / OPERATION_WORDS; index++) {
    const word = operations[index * OPERATION_WORDS]!;
    const id = word >>> ID_SHIFT;
    const kind = word & KIND_MASK;
    const size = kind === Kind.free ? 0 : operations[index * OPERATION_WORDS + 1]!;
    if (kind === Kind.reallocate && Math.min(size, sizes[id]!) >= 4) checksum += words[id]!;
    if (kind === Kind.free && sizes[id]! >= 4) checksum += words[id]!;
    sizes[id] = size;
    words[id] = index;
  }
  return checksum;
}
