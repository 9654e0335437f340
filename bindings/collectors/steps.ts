import type { Collection, CollectionListener, Strategy } from "./figures.js";

/** What a cycle's report is made of, beside what is counted here. */
interface Left {
  readonly cycle: number;
  readonly units: number;
  readonly objects: number;
  readonly bytes: number;
  readonly floatingBytes: number;
}

/** The steps of one heap, counted and timed, and who is told of its cycles. */
export class Steps {
  steps = 0;
  units = 0;
  lastStepUnits = 0;
  longestStepUnits = 0;
  lastStepMicroseconds = 0;
  longestStepMicroseconds = 0;
  /** Objects freed since the heap was made. The module's own count wraps, so differences of it are summed. */
  freedObjects = 0;
  #freedCount = 0;
  readonly #listeners = new Set<CollectionListener>();
  /** What they were when a cycle was last told of. */
  #toldSteps = 0;
  #toldFreed = 0;
  #sinceMicroseconds = 0;

  /** Notes a step. */
  note(units: number, milliseconds: number): void {
    const microseconds = milliseconds * 1000;
    this.steps++;
    this.units += units;
    this.lastStepUnits = units;
    this.lastStepMicroseconds = microseconds;
    this.#sinceMicroseconds += microseconds;
    if (units > this.longestStepUnits) this.longestStepUnits = units;
    if (microseconds > this.longestStepMicroseconds) this.longestStepMicroseconds = microseconds;
  }

  /** Takes the module's count of freed objects, which is to be called before it can have wrapped twice. */
  count(freed: number): void {
    this.freedObjects += (freed - this.#freedCount) >>> 0;
    this.#freedCount = freed;
  }

  listen(listener: CollectionListener): () => void {
    const entry: CollectionListener = (collection) => listener(collection); // one listener may be given twice
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /**
   * Tells all listeners of a cycle that has ended.
   *
   * @returns what the first of those that have thrown has thrown, in a list of its own; undefined if none has
   */
  tell(strategy: Strategy, left: Left): [unknown] | undefined {
    const collection: Collection = {
      strategy,
      ...left,
      steps: this.steps - this.#toldSteps,
      microseconds: this.#sinceMicroseconds,
      freedObjects: this.freedObjects - this.#toldFreed,
    };
    this.#toldSteps = this.steps;
    this.#toldFreed = this.freedObjects;
    this.#sinceMicroseconds = 0;
    let thrown: [unknown] | undefined;
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue; // another has taken it off meanwhile
      try {
        listener(collection);
      } catch (error) {
        thrown ??= [error];
      }
    }
    return thrown;
  }
}

/** A clock in milliseconds, as every host has it. */
export const now = (): number => performance.now();
