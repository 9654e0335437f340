/** Pools from TypeScript: what a record costs that is made and freed alone. */

import { defineSuite, timedCase } from "../harness/case.js";

/** Pairs in one run, and in one call of the function that makes them: as a handler would, again and again. */
const PAIRS = 1_000_000;
const CALL = 1000;

/** Records that live at once where random ones are replaced; a power of two. */
const LIVE = 4096;
const REPLACED = 400_000;

/** A module with a function that returns what it is given: the least that a call into wasm costs. */
const BARE_CALL = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0], // magic, version
  ...[1, 6, 1, 96, 1, 127, 1, 127], // a type: i32 → i32
  ...[3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0], // a function of it, exported as "f"
  ...[10, 6, 1, 4, 0, 32, 0, 11], // local.get 0
);

/** Runs `call` as often as it takes for `total` operations, a thousand at a time. */
function inCalls(total: number, call: (first: number) => number): number {
  let sum = 0;
  for (let first = 0; first < total; first += CALL) sum += call(first);
  return sum;
}

/** Xorshift, so that all subjects replace the same records. */
function nextRandom(state: number): number {
  let next = state;
  next ^= next << 13;
  next ^= next >>> 17;
  return next ^ (next << 5);
}

async function orderPool() {
  const { createRuntime, f64, struct, u32 } = await import("tidemark");
  const runtime = await createRuntime({ initialBytes: 4 << 20 });
  const Order = struct("Order", { price: f64, quantity: f64, id: u32, time: u32 });
  return { runtime, pool: runtime.pool(Order) };
}

export default defineSuite({
  name: "pool",
  title: "records that are made and freed one by one, from TypeScript",
  cases: [
    timedCase({
      name: "pair",
      title: "make a record of 24 bytes and free it, checked; the peer is a call into wasm that does nothing",
      unit: "pair",
      operations: PAIRS,
      metric: "time",
      baseline: "bare wasm call",
      subjects: {
        "bare wasm call": async () => {
          const { instance } = await WebAssembly.instantiate(BARE_CALL);
          const f = instance.exports.f as (value: number) => number;
          const call = (first: number) => {
            let sum = 0;
            for (let index = first; index < first + CALL; index++) sum += f(index);
            return sum;
          };
          return { run: () => inCalls(PAIRS, call) };
        },
        "tidemark pool": async () => {
          const { runtime, pool } = await orderPool();
          const order = pool.cursor();
          const call = (first: number) => {
            let sum = 0;
            for (let index = first; index < first + CALL; index++) {
              pool.new(order);
              pool.free(order);
              sum += index;
            }
            return sum;
          };
          return {
            run: () => {
              const sum = inCalls(PAIRS, call);
              const areAllFreed = pool.count === 0 && !order.isLive();
              return areAllFreed ? sum : Number.NaN;
            },
            dispose: () => runtime.dispose(),
          };
        },
      },
      expected: () => (PAIRS * (PAIRS - 1)) / 2,
      targets: [
        { subject: "tidemark pool", ratio: { atMost: 3.2 } }, // 8 ns where a bare call costs 2.5
        { subject: "tidemark pool", metric: "collections", value: { atMost: 0 } },
      ],
    }),
    timedCase({
      name: "replace",
      title: "replace a random one of 4,096 records: read it, free it, make and fill another",
      unit: "record",
      operations: REPLACED,
      metric: "time",
      baseline: "object literal in an array",
      subjects: {
        "object literal in an array": () => {
          const make = (id: number) => ({ price: id + 0.5, quantity: id, id, time: id });
          const orders = Array.from({ length: LIVE }, (_, id) => make(id));
          let random = 1;
          const call = (first: number) => {
            let sum = 0;
            for (let index = first; index < first + CALL; index++) {
              random = nextRandom(random);
              const place = random & (LIVE - 1);
              if (orders[place]!.price === orders[place]!.id + 0.5) sum++;
              orders[place] = { price: index + 0.5, quantity: index, id: index, time: index };
            }
            return sum;
          };
          return { run: () => inCalls(REPLACED, call) };
        },
        "tidemark pool": async () => {
          const { runtime, pool } = await orderPool();
          const orders = Array.from({ length: LIVE }, (_, id) => {
            const order = pool.new(pool.cursor());
            order.price = id + 0.5;
            order.id = id;
            return order;
          });
          let random = 1;
          /** The cursor of the record that was freed last: the next takes its cell, so that they change places all the time. */
          let idle = pool.cursor();
          // Two functions, so that each stays within what an engine compiles in place: see the README on garbage.
          const replace = (place: number) => {
            const order = orders[place]!;
            const isWhole = order.price === order.id + 0.5;
            orders[place] = pool.new(idle);
            pool.free(order);
            idle = order;
            return isWhole ? 1 : 0;
          };
          const fill = (order: (typeof orders)[0], index: number) => {
            order.price = index + 0.5;
            order.quantity = index;
            order.id = index;
            order.time = index;
          };
          const call = (first: number) => {
            let sum = 0;
            for (let index = first; index < first + CALL; index++) {
              random = nextRandom(random);
              const place = random & (LIVE - 1);
              sum += replace(place);
              fill(orders[place]!, index);
            }
            return sum;
          };
          return { run: () => inCalls(REPLACED, call), dispose: () => runtime.dispose() };
        },
      },
      expected: () => REPLACED,
    }),
  ],
});
