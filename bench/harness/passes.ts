/** Passes over one piece of work, timed together by a case that measures itself. */

import { WrongResultError } from "./measure.js";

/** What a pass gives, beside whatever else. */
interface Outcome {
  readonly checksum: number;
}

/**
 * Calls `run` over and over until `limit` is over, at least once, and holds the checksum of every pass against the one
 * expected: a pass that has stopped half-way must not count as a fast one. A comparison is nothing beside a pass.
 *
 * @param limit in milliseconds
 * @param expected the checksum of every pass. Default: that of the first
 * @returns how many passes there were, the milliseconds of them all, and what the last of them gave
 * @throws {WrongResultError} if a pass gives another checksum
 */
export function passesWithin<Pass extends Outcome>(
  limit: number,
  run: () => Pass,
  expected?: number,
): { passes: number; millis: number; last: Pass } {
  let wanted = expected;
  const start = performance.now();
  for (let passes = 1; ; passes++) {
    const last = run();
    wanted ??= last.checksum;
    if (!Object.is(last.checksum, wanted)) throw new WrongResultError(`in pass ${passes}`, last.checksum, wanted);
    const millis = performance.now() - start;
    if (millis >= limit) return { passes, millis, last };
  }
}
