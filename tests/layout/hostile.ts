import { TidemarkError, type TidemarkErrorCode } from "tidemark";
import { expect } from "vitest";

/** Values that no count, size or index can be, for a limit far below 2^31. */
export const HOSTILE_COUNTS: readonly (readonly [string, unknown])[] = [
  ["−1", -1],
  ["1.5", 1.5],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["−Infinity", Number.NEGATIVE_INFINITY],
  ["2^31", 2 ** 31],
  ["2^32 − 1", 2 ** 32 - 1],
  ["2^32", 2 ** 32],
  ["2^53", 2 ** 53],
  ['"5"', "5"],
  ["null", null],
  ["5n", 5n],
  ["2^64 as bigint", 2n ** 64n],
  ["a symbol", Symbol("five")],
  ["true", true],
  ["an object", {}],
  ["an array", [1]],
  ["a function", () => 1],
  [
    "an object whose valueOf throws",
    {
      valueOf() {
        throw new RangeError("hostile");
      },
    },
  ],
  [
    "an object whose toPrimitive throws",
    {
      [Symbol.toPrimitive]() {
        throw new RangeError("hostile");
      },
    },
  ],
];

/** Values that are no struct, field type, array, record, bytes or object of values. */
export const HOSTILE_OBJECTS: readonly (readonly [string, unknown])[] = [
  ["null", null],
  ["0", 0],
  ["NaN", Number.NaN],
  ['"Level"', "Level"],
  ["5n", 5n],
  ["a symbol", Symbol("level")],
  ["true", true],
  ["a function", () => 1],
  ["an object", { $codec: 1 }],
  ["an empty array", []],
  ["a date", new Date(0)],
];

/** Asserts that `action` throws one of Tidemark's own errors, of this code, with a message that says something. */
export function expectRefusal(action: () => unknown, code?: TidemarkErrorCode, message?: RegExp): TidemarkError {
  let thrown: unknown;
  let result: unknown;
  try {
    result = action();
  } catch (error) {
    thrown = error;
  }
  if (thrown === undefined) expect.fail(`nothing was thrown, but ${describeResult(result)} returned`);
  if (!(thrown instanceof TidemarkError)) expect.fail(`a raw error was thrown: ${(thrown as Error)?.stack ?? thrown}`);
  if (code !== undefined) expect(thrown.code, thrown.message).toBe(code);
  if (message !== undefined) expect(thrown.message).toMatch(message);
  expect(thrown.message.length).toBeGreaterThan(10);
  return thrown;
}

function describeResult(result: unknown): string {
  return typeof result === "object" && result !== null ? `a ${result.constructor?.name}` : String(result);
}
