import type { LinearMemory } from "../memory/linearMemory.js";
import { type Host, LONGEST_DELAY } from "./host.js";

/**
 * The one timer of the host that all timers share.
 *
 * It holds on to its callback only while it is set, so that whoever sets it can be collected when it is not.
 */
export class Alarm {
  readonly #host: Host;
  #cancel: (() => void) | undefined;
  #time = Number.POSITIVE_INFINITY;
  #keepsAlive = false;

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * Makes sure that `callback` is called at `time`, or once before that; it will then set the alarm again.
   *
   * @param time to compare with that of other settings
   * @param delay milliseconds until then
   */
  set(time: number, delay: number, keepsAlive: boolean, callback: () => void): void {
    if (this.#cancel !== undefined && this.#time <= time && this.#keepsAlive === keepsAlive) return;
    this.clear();
    this.#time = time;
    this.#keepsAlive = keepsAlive;
    const ring = () => {
      this.#cancel = undefined;
      callback();
    };
    this.#cancel = this.#host.after(Math.min(delay, LONGEST_DELAY), ring, keepsAlive);
  }

  clear(): void {
    const cancel = this.#cancel;
    this.#cancel = undefined;
    cancel?.();
  }
}

/**
 * An alarm that is cleared when the memory is disposed of, since it would keep the process waiting. Made here, where no
 * function can come to hold whoever uses it.
 *
 * @returns the alarm, and a function that ends the memory's hold on it
 */
export function alarmOf(memory: LinearMemory, host: Host): { alarm: Alarm; forget: () => void } {
  const alarm = new Alarm(host);
  return { alarm, forget: memory.onDispose(() => alarm.clear()) };
}
