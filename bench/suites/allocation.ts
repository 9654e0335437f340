/** Making records: what a short-lived record costs, in time and in collections. */

import { defineSuite, type SubjectInstance, type Target, timedCase } from "../harness/case.js";
import { elsewhere } from "../harness/elsewhere.js";

/** As many records are alive at a time. */
const RING = 1024;
/** A multiple of the ring, so that summing the survivors once a batch, which makes some garbage, is a thousandth of the work. */
const RECORDS = 1000 * RING;

/** Rounds of the loops inside wasm, 1,024 records each. */
const ROUNDS = 200;

/** Prices and quantities have fractions, as in a market feed: multiples of 1/64, so that sums are exact. */
const FRACTION = 1 / 64;

interface Level {
  price: number;
  quantity: number;
  sequence: number;
  time: number;
}

/** The plain implementation: the sum over the last ring of records. */
function expectedSum(scale: number): number {
  let sum = 0;
  for (let index = RECORDS - RING; index < RECORDS; index++) sum += (2 * index + 1) * scale + 2 * index + 5;
  return sum;
}

function sumOf(ring: Iterable<Readonly<Level>>): number {
  let sum = 0;
  for (const level of ring) sum += level.price + level.quantity + level.sequence + level.time;
  return sum;
}

/**
 * An arena that holds one ring of records, and the cursor that makes them. What ends a ring and what reads it stand
 * elsewhere, as the loop that ends an event's region does.
 */
async function tidemarkRing(fields: "fractions" | "whole numbers") {
  const { createRuntime, f64, i32, struct } = await import("tidemark");
  const runtime = await createRuntime();
  const number = fields === "fractions" ? f64 : i32;
  const Record = struct("Record", { price: number, quantity: number, sequence: i32, time: i32 });
  const arena = runtime.arena({ sizeHint: RING * Record.size });
  const record = runtime.cursor(Record);
  const endRing = elsewhere(() => arena.reset());
  const sumRing = elsewhere(() => sumOf(arena.arrayAt(Record, record.$address - (RING - 1) * Record.size, RING)));
  return { runtime, arena, Record, record, endRing, sumRing };
}

/** Batches of rings, each filled by `fillRing` from the index of its first record. */
function fillingRings(
  { runtime, endRing, sumRing }: Awaited<ReturnType<typeof tidemarkRing>>,
  fillRing: (first: number) => void,
): SubjectInstance<number> {
  return {
    run() {
      for (let first = 0; first < RECORDS; first += RING) {
        endRing();
        fillRing(first);
      }
      return sumRing();
    },
    dispose: () => runtime.dispose(),
  };
}

/** A ring of plain objects, of the kind of numbers that they are to hold, as an engine tells them apart. What reads it stands elsewhere. */
function objectRing(number: number) {
  const ring: Level[] = Array.from({ length: RING }, () => ({ price: number, quantity: number, sequence: 0, time: 0 }));
  return { ring, sumRing: elsewhere(() => sumOf(ring)) };
}

/**
 * The best that plain objects can do, where it is known how many live at once. It makes no record, only fills one: so the peer
 * of the targets, which are about making one, is the literal.
 */
const OVERWRITTEN = "objects overwritten in place";

const recordTargets: readonly Target[] = [
  { subject: "tidemark", ratio: { atMost: 0.6 } },
  { subject: "tidemark", metric: "collections", value: { atMost: 0 } },
];

export default defineSuite({
  name: "allocation",
  title: "making records",
  cases: [
    timedCase({
      name: "record",
      title: "make a record of four fields (two f64 with fractions, two i32) and fill it through a checked cursor",
      unit: "record",
      operations: RECORDS,
      metric: "time",
      baseline: "object literal in a ring",
      subjects: {
        "object literal in a ring": () => {
          const { ring, sumRing } = objectRing(FRACTION);
          return {
            run() {
              for (let index = 0; index < RECORDS; index++) {
                ring[index & (RING - 1)] = {
                  price: index * FRACTION,
                  quantity: (index + 1) * FRACTION,
                  sequence: index + 2,
                  time: index + 3,
                };
              }
              return sumRing();
            },
          };
        },
        [OVERWRITTEN]: () => {
          const { ring, sumRing } = objectRing(FRACTION);
          return {
            run() {
              for (let index = 0; index < RECORDS; index++) {
                const level = ring[index & (RING - 1)]!;
                level.price = index * FRACTION;
                level.quantity = (index + 1) * FRACTION;
                level.sequence = index + 2;
                level.time = index + 3;
              }
              return sumRing();
            },
          };
        },
        tidemark: async () => {
          const ring = await tidemarkRing("fractions");
          const { arena, Record, record } = ring;
          const fillRing = (first: number) => {
            for (let index = first; index < first + RING; index++) {
              arena.new(Record, record);
              record.price = index * FRACTION;
              record.quantity = (index + 1) * FRACTION;
              record.sequence = index + 2;
              record.time = index + 3;
            }
          };
          return fillingRings(ring, fillRing);
        },
      },
      expected: () => expectedSum(FRACTION),
      targets: recordTargets,
    }),
    timedCase({
      name: "whole-record",
      title: "the same with four whole numbers (i32): what an engine's object literal is best at",
      unit: "record",
      operations: RECORDS,
      metric: "time",
      baseline: "object literal in a ring",
      subjects: {
        "object literal in a ring": () => {
          const { ring, sumRing } = objectRing(0);
          return {
            run() {
              for (let index = 0; index < RECORDS; index++) {
                ring[index & (RING - 1)] = { price: index, quantity: index + 1, sequence: index + 2, time: index + 3 };
              }
              return sumRing();
            },
          };
        },
        [OVERWRITTEN]: () => {
          const { ring, sumRing } = objectRing(0);
          return {
            run() {
              for (let index = 0; index < RECORDS; index++) {
                const level = ring[index & (RING - 1)]!;
                level.price = index;
                level.quantity = index + 1;
                level.sequence = index + 2;
                level.time = index + 3;
              }
              return sumRing();
            },
          };
        },
        tidemark: async () => {
          const ring = await tidemarkRing("whole numbers");
          const { arena, Record, record } = ring;
          const fillRing = (first: number) => {
            for (let index = first; index < first + RING; index++) {
              arena.new(Record, record);
              record.price = index;
              record.quantity = index + 1;
              record.sequence = index + 2;
              record.time = index + 3;
            }
          };
          return fillingRings(ring, fillRing);
        },
      },
      expected: () => expectedSum(1),
      targets: recordTargets,
    }),
    timedCase({
      name: "arena-in-wasm",
      title: "make records of 32 B inside wasm, and end them 1,024 at a time",
      unit: "record",
      operations: ROUNDS * RING,
      metric: "rate",
      baseline: "AssemblyScript's TLSF",
      subjects: {
        "AssemblyScript's TLSF": async () => {
          const { loadTlsf } = await import("./tlsf.js");
          const { tlsfRounds } = await loadTlsf();
          return { run: () => tlsfRounds(ROUNDS) };
        },
        tidemark: async () => {
          const { createRuntime } = await import("tidemark");
          const { loadGuest } = await import("../replay/guestModule.js");
          const runtime = await createRuntime();
          const { arenaRounds } = await loadGuest(runtime);
          const arena = runtime.arena({ sizeHint: 32 * RING });
          return { run: () => arenaRounds(arena.address, ROUNDS), dispose: () => runtime.dispose() };
        },
      },
      expected: () => (ROUNDS * RING * (RING - 1)) / 2,
      targets: [{ subject: "tidemark", ratio: { atLeast: 12 } }],
    }),
  ],
});
