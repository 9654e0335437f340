import { Deferred } from "./deferred.js";
import type { EventKind } from "./kind.js";
import type { Lanes } from "./lanes.js";
import type { EventQueue } from "./queue.js";

/** What a loop's full queues have kept waiting: those who wait for room, and whoever is to be told that all is handled. */
export class Pressure {
  readonly #lanes: Lanes<EventKind>;
  /** All who wait for room in a ring. */
  readonly #rooms = new Map<EventQueue<EventKind>, Deferred<void>>();
  /** Posts that had found no room when the queues were last empty. */
  #told = 0;

  constructor(lanes: Lanes<EventKind>) {
    this.#lanes = lanes;
  }

  /** Resolves when a ring has room for another event, which may be at once. */
  room(queue: EventQueue<EventKind>): Promise<void> {
    if (queue.hasRoom) return Promise.resolve();
    let room = this.#rooms.get(queue);
    if (room === undefined) {
      room = new Deferred();
      this.#rooms.set(queue, room);
    }
    return room.promise;
  }

  /** Whether somebody waits for room. */
  get isFelt(): boolean {
    return this.#rooms.size > 0;
  }

  /** Tells who waits for room where there is some. */
  announceRoom(): void {
    if (!this.isFelt) return;
    for (const [queue, room] of this.#rooms) {
      if (!queue.hasRoom) continue;
      this.#rooms.delete(queue);
      room.resolve();
    }
  }

  /** Tells all who wait for room that there will be none. */
  refuse(error: () => unknown): void {
    for (const room of this.#rooms.values()) room.reject(error());
    this.#rooms.clear();
  }

  /** The queues are empty. Whether a post had found no room since they last were. */
  relieve(): boolean {
    let refused = 0;
    for (const queue of this.#lanes.queues) refused += queue.rejected + queue.spilled + queue.displaced;
    if (refused === this.#told) return false;
    this.#told = refused;
    return true;
  }
}
