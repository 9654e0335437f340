import { describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { LONGEST_DELAY } from "./host.js";

/** As the least: any time that is not 0. */
export const ABOVE_ZERO = Number.MIN_VALUE;

/**
 * Checks a number of milliseconds, which may be a fraction.
 *
 * @param what the argument's name, for the message
 * @param most what a host's timer holds, if not given
 * @returns `value`
 * @throws {InvalidArgumentError} if it is no number from `least` to `most`
 */
export function checkMilliseconds(what: string, value: number, least = 0, most = LONGEST_DELAY): number {
  if (typeof value !== "number" || !(value >= least && value <= most)) throw outOfRange(what, value, least, most);
  return value;
}

/** Apart, so that engines compile the check in place. */
function outOfRange(what: string, value: unknown, least: number, most: number): InvalidArgumentError {
  return new InvalidArgumentError(`${what} must be ${rangeOf(least, most)} ms, but is ${describe(value)}`);
}

function rangeOf(least: number, most: number): string {
  if (most === Number.POSITIVE_INFINITY) return least === ABOVE_ZERO ? "above 0" : `at least ${least}`;
  return least === ABOVE_ZERO ? `above 0 and at most ${most}` : `from ${least} to ${most}`;
}
