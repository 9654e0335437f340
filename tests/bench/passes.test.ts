import { expect, test } from "vitest";
import { WrongResultError } from "../../bench/harness/measure.js";
import { passesWithin } from "../../bench/harness/passes.js";

/** Passes that give these checksums, and then the last of them for ever. */
function giving(...checksums: number[]) {
  let calls = 0;
  return () => ({ checksum: checksums[Math.min(calls++, checksums.length - 1)]!, call: calls });
}

test("passes go on until their time is over, and the last one's outcome is handed back", () => {
  const { passes, millis, last } = passesWithin(5, giving(42));
  expect(passes).toBeGreaterThan(1);
  expect(millis).toBeGreaterThanOrEqual(5);
  expect(last).toEqual({ checksum: 42, call: passes });
});

test("one pass is made where there is no time at all", () => {
  expect(passesWithin(0, giving(42), 42).passes).toBe(1);
});

test.each([
  ["ran out of memory between others", [42, 42, Number.NaN, 42], undefined, "in pass 3: got NaN"],
  ["gave another checksum between others", [42, 41, 42], undefined, "in pass 2: got 41"],
  ["was wrong like all of them", [41], 42, "in pass 1: got 41"],
])("a pass that %s is an error, not speed", (_, checksums, expected, message) => {
  const measuring = () => passesWithin(10_000, giving(...checksums), expected);
  expect(measuring).toThrow(
    new WrongResultError(
      message.split(":")[0]!,
      checksums.find((sum) => sum !== 42),
      42,
    ),
  );
});
