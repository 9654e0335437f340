import type { Recording } from "../replay/recording.js";
import { type BookSummary, zeroCounters } from "../replay/subject.js";

type Level = readonly [price: string, quantity: string];
type Side = Map<number, number>;

/** `lastUpdateId` is a snapshot's alone, and so are the two lists beside it; all other messages have `data`. */
interface Message {
  readonly lastUpdateId?: number;
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
  readonly data: DepthUpdate | BookTicker | Trade;
}

interface DepthUpdate {
  readonly e: "depthUpdate";
  readonly u: number;
  readonly b: readonly Level[];
  readonly a: readonly Level[];
}

interface BookTicker {
  readonly e?: "bookTicker";
  readonly b: string;
  readonly B: string;
  readonly a: string;
  readonly A: string;
}

interface Trade {
  readonly e: "trade";
  readonly q: string;
}

/**
 * What a feed comes to, by the plainest code there is, with nothing of the subjects' in it: a map for each side, sorted
 * at the end. The feed must have one snapshot and nothing but messages.
 */
export function rebuildPlainly({ bytes, starts, ends }: Recording): BookSummary {
  const bids: Side = new Map();
  const asks: Side = new Map();
  const counters = zeroCounters();
  const updates: DepthUpdate[] = [];
  let snapshotId = Number.NaN;
  let ticker: BookSummary["ticker"] = null;
  for (let line = 0; line < starts.length; line++) {
    const message = JSON.parse(bytes.toString("latin1", starts[line], ends[line])) as Message;
    const { data } = message;
    counters.messages++;
    if (message.lastUpdateId !== undefined) {
      counters.snapshots++;
      counters.levels += message.bids.length + message.asks.length;
      snapshotId = message.lastUpdateId;
      setLevels(bids, message.bids);
      setLevels(asks, message.asks);
    } else if (data.e === "depthUpdate") {
      counters.depthUpdates++;
      counters.levels += data.b.length + data.a.length;
      updates.push(data);
    } else if (data.e === "trade") {
      counters.trades++;
      counters.tradedQuantity += Number(data.q);
    } else {
      counters.bookTickers++;
      ticker = [Number(data.b), Number(data.B), Number(data.a), Number(data.A)];
    }
  }
  // Those that came before the snapshot, but are newer than it, too.
  for (const { u, b, a } of updates) {
    if (u <= snapshotId) continue;
    setLevels(bids, b);
    setLevels(asks, a);
  }
  return {
    bids: [...bids].sort(([one], [other]) => other - one).flat(),
    asks: [...asks].sort(([one], [other]) => one - other).flat(),
    ticker,
    counters,
  };
}

function setLevels(side: Side, levels: readonly Level[]): void {
  for (const [price, quantity] of levels) {
    if (Number(quantity) === 0) side.delete(Number(price));
    else side.set(Number(price), Number(quantity));
  }
}
