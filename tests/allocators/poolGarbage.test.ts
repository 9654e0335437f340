import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/**
 * Runs in a process of its own, where nobody else makes garbage, each kind of loop in another, since the engine has a budget
 * for what it compiles in place. A loop is called for a thousand rounds at a time, as a handler is called for each event. In
 * loops that use that budget up by other calls no fractions are written: one that is passed on in a call is garbage.
 */
const program = `
  import { PerformanceObserver } from "node:perf_hooks";
  const { array, createRuntime, f64, ref, struct, u8 } = await import(${JSON.stringify(entry)});
  const runtime = await createRuntime();
  const sum = new Float64Array(1);
  let kept;

  const Order = struct("Order", { price: f64, quantity: f64, next: ref("Order") });
  const Large = struct("Large", { price: f64, rest: array(u8, 992) });
  const pickOf = (round) => (Math.imul(round, 7919) >>> 3) & 1023;

  /** A thousand records, each with a ref that was made before, and is made anew when the record is replaced. */
  function records(pool) {
    const cursor = pool.cursor();
    return Array.from({ length: 1024 }, () => pool.new(cursor).ref());
  }

  const kinds = {
    pairs() {
      const pool = runtime.pool(Order);
      const cursor = pool.cursor();
      records(pool);
      return [function pairs(rounds) {
        for (let round = 0; round < rounds; round++) {
          pool.new(cursor);
          pool.free(cursor);
        }
      }];
    },
    empty() {
      const pool = runtime.pool(Order, { capacity: 1 });
      const cursor = pool.cursor();
      return [function empty(rounds) {
        for (let round = 0; round < rounds; round++) {
          pool.new(cursor);
          pool.free(cursor);
        }
      }];
    },
    fields() {
      const pool = runtime.pool(Order);
      const cursor = pool.new(pool.cursor());
      return [function fields(rounds) {
        for (let round = 0; round < rounds; round++) {
          cursor.price = round + 0.5;
          cursor.quantity += cursor.price;
        }
      }];
    },
    moves() {
      const pool = runtime.pool(Order);
      const refs = records(pool);
      const cursor = pool.cursor();
      return [function moves(rounds) {
        for (let round = 0; round < rounds; round++) {
          cursor.moveTo(refs[pickOf(round)]).price = round + 0.5;
          sum[0] += cursor.price;
        }
      }];
    },
    random() {
      const pool = runtime.pool(Order);
      // Every record is known by a field of its holder, so that none of them needs a new ref when it is replaced.
      const holders = records(runtime.pool(Order));
      const holder = runtime.cursor(Order);
      const cursor = pool.cursor();
      for (const each of holders) holder.moveTo(each).next = pool.new(cursor);
      return [function random(rounds) {
        for (let round = 0; round < rounds; round++) {
          holder.moveTo(holders[pickOf(round)]);
          holder.follow("next", cursor);
          pool.free(cursor);
          holder.next = pool.new(cursor);
          cursor.price = round;
        }
      }];
    },
    waves() {
      const pool = runtime.pool(Order);
      const cursor = pool.cursor();
      const holders = records(runtime.pool(Order));
      const holder = runtime.cursor(Order);
      // A thousand are made and then freed, by which the cells go back to their lists, and slabs come and go.
      return [function waves(rounds) {
        for (let round = 0; round < rounds; round++) holder.moveTo(holders[round & 1023]).next = pool.new(cursor);
        for (let round = 0; round < rounds; round++) {
          holder.moveTo(holders[round & 1023]).follow("next", cursor);
          pool.free(cursor);
        }
      }];
    },
    iteration() {
      const pool = runtime.pool(Order);
      for (let count = 0; count < 100; count++) records(pool);
      let iterator = pool[Symbol.iterator]();
      return [function iteration(rounds) {
        for (let round = 0; round < rounds; round++) {
          const { done, value } = iterator.next();
          if (done) iterator = pool[Symbol.iterator]();
          else sum[0] += value.price;
        }
      }];
    },
    large() {
      const pool = runtime.pool(Large);
      const cursor = pool.cursor();
      return [function large(rounds) {
        for (let round = 0; round < rounds; round++) {
          pool.new(cursor);
          cursor.price = round;
          pool.free(cursor);
        }
      }];
    },
    hooked() {
      const pool = runtime.pool(Order, { destroy: (order) => { sum[0] += order.price; } });
      const cursor = pool.cursor();
      return [function hooked(rounds) {
        for (let round = 0; round < rounds; round++) {
          pool.new(cursor);
          cursor.price = round;
          pool.free(cursor);
        }
      }];
    },
    frames() {
      const pool = runtime.framePool();
      const frame = runtime.bytes();
      return [function frames(rounds) {
        for (let round = 0; round < rounds; round++) {
          pool.acquire("small", frame);
          frame.set(5, round & 255);
          pool.release(frame);
        }
      }];
    },
    waste() {
      return [function waste(rounds) {
        for (let round = 0; round < rounds; round++) kept = { round, sum: sum[0] };
      }];
    },
  };

  const loops = kinds[process.argv[1]]();
  const play = (rounds) => {
    for (let batch = 0; batch < rounds; batch += 1000) for (const loop of loops) loop(1000);
  };
  play(300_000);
  const before = runtime.stats();
  let collections = 0;
  const observer = new PerformanceObserver((list) => { collections += list.getEntries().length; });
  observer.observe({ entryTypes: ["gc"] });
  const counted = () => new Promise((resolve) => setTimeout(resolve, 20));
  let fewest = Infinity;
  // What is not compiled yet, or has to be again, makes garbage of numbers; it may take some rounds on a busy machine.
  for (let attempt = 0; attempt < 10 && fewest > 0; attempt++) {
    gc(); // so that what was there before cannot fill the young generation up
    await counted();
    collections = 0;
    play(1_000_000);
    await counted();
    fewest = Math.min(fewest, collections);
  }
  const { committedBytes, growths } = runtime.stats();
  const grown = [committedBytes - before.committedBytes, growths - before.growths];
  console.log(JSON.stringify({ fewest, grown }));
`;

async function play(kind: string): Promise<{ fewest: number; grown: number[] }> {
  const node = promisify(execFile);
  const { stdout } = await node(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program, kind]);
  return JSON.parse(stdout);
}

test.each([
  ["new and free", "pairs"],
  ["new and free in a pool that is empty in between", "empty"],
  ["field writes", "fields"],
  ["moves of a cursor by refs that were made before", "moves"],
  ["records replaced at random", "random"],
  ["records made and freed in waves", "waves"],
  ["records shown by an iteration", "iteration"],
  ["new and free of large records", "large"],
  ["new and free with a destroy hook", "hooked"],
  ["frames acquired and released", "frames"],
])("a million times %s cause no collection, and no growth", async (_, kind) => {
  expect(await play(kind)).toEqual({ fewest: 0, grown: [0, 0] });
});

test("the count would have shown garbage of one small object a round", async () => {
  expect((await play("waste")).fewest).toBeGreaterThan(0);
});
