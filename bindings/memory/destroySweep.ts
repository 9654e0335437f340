import { messageOf } from "../arguments.js";
import { DestroyHookError } from "../errors.js";
import type { LinearMemory } from "./linearMemory.js";

/**
 * Runs the destroy hooks of one operation (a reset, a free, a dispose), whatever they throw.
 *
 * The operation first makes sure that it will not fail, then runs the hooks, then reclaims the memory, and calls
 * {@link finish} last, which throws what has gone wrong. So a hook that throws keeps no other from running, and no memory
 * from being reclaimed. Sweeps nest: a hook may begin another operation, on memory that its own does not end.
 *
 * @example
 * const sweep = DestroySweep.begin(memory);
 * sweep.run(type.$destroy, cursor); // once for each record, the newest first
 * memory.exports.destroyArena(arena);
 * sweep.finish("destroy");
 */
export class DestroySweep {
  readonly #memory: LinearMemory;
  #failures = 0;
  #first: unknown;

  private constructor(memory: LinearMemory) {
    this.#memory = memory;
  }

  /** A sweep for one operation; one that has finished is used again, so that an operation makes no garbage. */
  static begin(memory: LinearMemory): DestroySweep {
    const idle = memory.idleSweep;
    memory.idleSweep = undefined;
    return idle ?? new DestroySweep(memory);
  }

  /** Runs one hook on its record, which is live, and keeps what it throws for {@link finish}. */
  run<Record>(hook: (record: Record) => void, record: Record): void {
    this.#memory.hooksRunning++;
    try {
      hook(record);
    } catch (error) {
      if (this.#failures++ === 0) this.#first = error;
    }
    this.#memory.hooksRunning--;
  }

  /**
   * Ends the sweep, which must not be used again.
   *
   * @param operation what the hooks ran for, in words: it begins the message
   * @throws {DestroyHookError} if a hook has thrown, with the first thing thrown as its `cause`
   */
  finish(operation: string): void {
    const failures = this.#failures;
    const cause = this.#first;
    this.#failures = 0;
    this.#first = undefined;
    this.#memory.idleSweep = this;
    if (failures === 0) return;
    const which = failures === 1 ? "a destroy hook threw" : `${failures} destroy hooks threw, this first`;
    throw new DestroyHookError(`${operation}: ${which}: ${messageOf(cause)}`, { cause });
  }
}
