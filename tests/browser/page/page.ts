// The program that the page runs: a feed of depth updates through the loop, and the book's best prices into the DOM.

import { type Bytes, createLoop, createRuntime, f64, type Region, type SequenceOf, struct } from "tidemark";

const Level = struct("Level", { price: f64, quantity: f64 });
type Levels = SequenceOf<typeof Level>;

/** One message of the feed: prices and quantities as decimals, a quantity of 0 to delete. */
interface Update {
  readonly b: readonly (readonly [string, string])[];
  readonly a: readonly (readonly [string, string])[];
}

const decoder = new TextDecoder();

/** A small decoder, for a test; a real one reads the bytes without `JSON.parse`. */
function decode(rows: Update["b"], levels: Levels): Levels {
  for (const [price, quantity] of rows) levels.push({ price: Number(price), quantity: Number(quantity) });
  return levels;
}

/** Takes more than there is, so that memory grows while records of this event are in use. */
function makeMemoryGrow(region: Region): Bytes {
  return region.bytes(4 << 20);
}

async function main(): Promise<void> {
  const query = new URLSearchParams(location.search);
  using runtime = await createRuntime({ debug: query.has("debug"), maximumBytes: 512 << 20 });
  using bids = runtime.sortedMap(f64, f64, { order: "descending" });
  using asks = runtime.sortedMap(f64, f64);
  const loop = createLoop(runtime, { queue: { capacity: 64, policy: "reject" } });

  let handled = 0;
  let growthsInHandlers = 0;
  const depth = loop.on("depth", (message: Uint8Array, { region }) => {
    const update = JSON.parse(decoder.decode(message)) as Update;
    const bytes = region.bytes(message.length);
    bytes.copyFrom(message);
    const sides = [
      [bids, decode(update.b, region.array(Level))],
      [asks, decode(update.a, region.array(Level))],
    ] as const;
    if (handled++ % 60 === 0) {
      const before = runtime.stats().growths;
      for (let count = 0; count <= handled / 60; count++) makeMemoryGrow(region);
      growthsInHandlers += runtime.stats().growths - before;
    }
    if (bytes.toString() !== decoder.decode(message)) throw new Error("the bytes have changed");
    for (const [side, levels] of sides) {
      for (const { price, quantity } of levels) {
        if (quantity === 0) side.delete(price);
        else side.set(price, quantity);
      }
    }
  });

  const running = loop.run();
  const feed = await (await fetch("feed.ndjson")).text();
  let waits = 0;
  for (const line of feed.trim().split("\n")) {
    const bytes = new TextEncoder().encode(line);
    while (depth.post(bytes) === "rejected") {
      waits++;
      await loop.ready();
    }
  }
  const report = await loop.close();
  await running;
  runtime.validate();

  for (const [id, side] of [
    ["bid", bids],
    ["ask", asks],
  ] as const) {
    const best = side.first()!;
    document.getElementById(id)!.textContent = `${best.key} × ${best.value}`;
  }
  const figures = {
    ...report,
    handled,
    growthsInHandlers,
    waits,
    bids: bids.size,
    asks: asks.size,
    debug: runtime.debug,
  };
  document.getElementById("figures")!.textContent = JSON.stringify(figures);
}

main().then(
  () => {
    document.body.dataset.state = "done";
  },
  (error: Error) => {
    document.body.dataset.state = `failed: ${error.stack}`;
  },
);
