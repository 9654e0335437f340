/** Making records: what a short-lived record costs, in time and in collections. */

import { defineSuite, timedCase } from "../harness/case.js";

/** As many records are alive at a time; the next one takes the place of the oldest. */
const RING = 1024;
/** A multiple of the ring, so that summing the survivors once a batch is a hundredth of the work or less. */
const RECORDS = 100 * RING;

/** Four whole numbers, which an engine keeps in an object without a box: the cheapest object literal there is. */
interface Level {
  readonly price: number;
  readonly quantity: number;
  readonly sequence: number;
  readonly time: number;
}

export default defineSuite({
  name: "allocation",
  title: "making records",
  cases: [
    timedCase({
      name: "record",
      title: "make a record of four fields and fill it",
      unit: "record",
      operations: RECORDS,
      metric: "time",
      baseline: "object literal in a ring",
      subjects: {
        "object literal in a ring": () => {
          const ring: Level[] = Array.from({ length: RING }, () => ({ price: 0, quantity: 0, sequence: 0, time: 0 }));
          return {
            run() {
              for (let index = 0; index < RECORDS; index++) {
                ring[index & (RING - 1)] = {
                  price: index,
                  quantity: index + 1,
                  sequence: index + 2,
                  time: index + 3,
                };
              }
              let sum = 0;
              for (const level of ring) sum += level.price + level.quantity + level.sequence + level.time;
              return sum;
            },
          };
        },
      },
      expected: () => {
        let sum = 0;
        for (let index = RECORDS - RING; index < RECORDS; index++) sum += 4 * index + 6;
        return sum;
      },
    }),
  ],
});
