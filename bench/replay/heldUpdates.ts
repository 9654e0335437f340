import type { FeedMessage, LevelRows } from "./message.js";

/** A depth update that came before the snapshot, with arrays of its own. */
export interface HeldUpdate {
  readonly updateId: number;
  readonly bids: HeldRows;
  readonly asks: HeldRows;
}

export interface HeldRows {
  readonly prices: Float64Array;
  readonly quantities: Float64Array;
  readonly length: number;
}

/** A feed that has no snapshot must not gather updates without end; the recorded ones hold 3 and 6 before theirs. */
export const HELD_UPDATES_LIMIT = 1024;

/**
 * The depth updates that arrive before the first snapshot.
 *
 * The exchange sends the snapshot on request, while updates already flow. Those with `u` at or below its `lastUpdateId`
 * are contained in it and must be dropped, the later ones are applied after it. Both subjects hold them here: this is
 * the start of a feed, not its steady state. Of more than {@link HELD_UPDATES_LIMIT} the oldest are dropped.
 */
export class HeldUpdates {
  #updates: HeldUpdate[] = [];

  /** Copies a depth update. */
  hold(message: FeedMessage): void {
    if (this.#updates.length === HELD_UPDATES_LIMIT) this.#updates.shift();
    this.#updates.push({ updateId: message.updateId, bids: copyRows(message.bids), asks: copyRows(message.asks) });
  }

  /** The held updates that a snapshot of `lastUpdateId` does not contain, oldest first. Nothing is held afterwards. */
  takeAfter(lastUpdateId: number): HeldUpdate[] {
    const updates = this.#updates;
    this.clear();
    return updates.filter((update) => update.updateId > lastUpdateId);
  }

  clear(): void {
    this.#updates = [];
  }
}

function copyRows(rows: LevelRows): HeldRows {
  return {
    prices: rows.prices.slice(0, rows.length),
    quantities: rows.quantities.slice(0, rows.length),
    length: rows.length,
  };
}
