// A small feed, the same for the same seed, and what a plain program makes of it.

/** Prices and quantities as decimals. */
type Row = readonly [string, string];

export interface Book {
  readonly bid: string;
  readonly ask: string;
  readonly bids: number;
  readonly asks: number;
}

/** mulberry32 (Tommy Ettinger, 2017): 32 bits of state, good enough for a feed. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` depth updates around a price that wanders, as lines of JSON; about a quarter of the rows delete a level. */
export function makeFeed(count: number, seed: number): string[] {
  const random = randomNumbers(seed);
  let middle = 30_000;
  return Array.from({ length: count }, (_, number) => {
    middle += Math.round(random() * 20 - 10);
    const rows = (direction: number): Row[] =>
      Array.from({ length: 1 + Math.floor(random() * 12) }, () => {
        const price = (middle + direction * (1 + Math.floor(random() * 200))) / 100;
        return [price.toFixed(2), random() < 0.25 ? "0.00000000" : (random() * 10).toFixed(8)];
      });
    return JSON.stringify({ e: "depthUpdate", s: "BTCUSDT", u: number, b: rows(-1), a: rows(1) });
  });
}

/** The book after all of the feed, by a plain map a side. */
export function plainBook(feed: readonly string[]): Book {
  const bids = new Map<number, number>();
  const asks = new Map<number, number>();
  for (const line of feed) {
    const { a, b } = JSON.parse(line) as { a: Row[]; b: Row[] };
    for (const [side, rows] of [
      [bids, b],
      [asks, a],
    ] as const) {
      for (const [price, quantity] of rows) {
        if (Number(quantity) === 0) side.delete(Number(price));
        else side.set(Number(price), Number(quantity));
      }
    }
  }
  const bid = Math.max(...bids.keys());
  const ask = Math.min(...asks.keys());
  return { bid: `${bid} × ${bids.get(bid)}`, ask: `${ask} × ${asks.get(ask)}`, bids: bids.size, asks: asks.size };
}
