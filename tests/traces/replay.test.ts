import { readdirSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { absenceOf, createWorkbench, isPeer, type Workbench } from "../../bench/drivers/workbench.js";
import { ALLOCATORS } from "../../bench/traces/options.js";
import { parseTrace, readTrace, type Trace } from "../../bench/traces/trace.js";
import { replayPlainly, TraceReplay } from "../../bench/traces/traceReplay.js";
import { dataPath, hasData } from "../data.js";
import { scaled } from "../support/scale.js";
import { traces } from "./traces.js";

for (const name of ALLOCATORS) {
  const absence = absenceOf(name);
  if (absence !== undefined) console.warn(`\n*** NO ${name}: its tests are SKIPPED: ${absence} ***\n`);
}
const subjects = ALLOCATORS.filter((name) => absenceOf(name) === undefined).flatMap((name) => [
  { title: name, name, debug: false },
  ...(isPeer(name) ? [] : [{ title: `${name}, debug`, name, debug: true }]),
]);

/** The most bytes that were live, by a list of sizes. */
function peakOf({ operations, ids }: Trace): number {
  const sizes = new Float64Array(ids);
  let live = 0;
  let peak = 0;
  for (let index = 0; index < operations.length; index += 2) {
    const id = operations[index]! >>> 2;
    const size = (operations[index]! & 3) === 2 ? 0 : operations[index + 1]!;
    live += size - sizes[id]!;
    sizes[id] = size;
    peak = Math.max(peak, live);
  }
  return peak;
}

test("a block of 2 GiB and more is intact", async () => {
  const workbench = await createWorkbench("heap");
  try {
    const trace = parseTrace("x", ["1", "1", "2", "0", "a 0 2147483652", "f 0", ""].join("\n"));
    expect(new TraceReplay(workbench, trace, 1).check(true)).toMatchObject({ fault: "none", peakLive: 2147483652 });
  } finally {
    workbench.dispose();
  }
}, 60_000);

describe.each(subjects)("through $title", ({ name, debug }) => {
  let workbench: Workbench;
  beforeAll(async () => {
    workbench = await createWorkbench(name, debug);
  });
  afterAll(() => workbench.dispose());

  test("any trace is intact, and reads what the plain model reads, pass after pass", () => {
    fc.assert(
      fc.property(traces(200_000), (text) => {
        const trace = parseTrace("x", text);
        const replay = new TraceReplay(workbench, trace, 3);
        const check = replay.check(true);
        expect(check).toMatchObject({ fault: "none", peakLive: peakOf(trace) });
        expect(check.peakTaken).toBeGreaterThanOrEqual(check.peakLive);
        expect(check.taken).toBeGreaterThanOrEqual(check.live);
        replay.release();
        const expected = replayPlainly(trace);
        for (let pass = 0; pass < 2; pass++) {
          expect(replay.replay()).toBe(expected);
          replay.release();
        }
        const samples = [0, 1, 2].map((first) => {
          const taken = replay.sample(first);
          replay.release();
          return taken;
        });
        expect(samples.reduce((sum, { length }) => sum + length, 0)).toBe(trace.operations.length / 2);
        for (const taken of samples) expect(taken.every((nanoseconds) => nanoseconds >= 0)).toBe(true);
        expect(replay.check(true).fault).toBe("none");
        replay.release();
      }),
      { numRuns: scaled(30) },
    );
  });
});

describe.runIf(hasData)("the recorded programs", () => {
  const files = hasData ? readdirSync(dataPath("allocation-traces")).filter((name) => name.endsWith(".rep.gz")) : [];

  test("are ten", () => {
    expect(files).toHaveLength(10);
  });

  test.each(files)("%s is intact through every allocator", async (file) => {
    const trace = readTrace(dataPath(`allocation-traces/${file}`));
    for (const { title, name, debug } of subjects) {
      const workbench = await createWorkbench(name, debug);
      const check = new TraceReplay(workbench, trace, 7).check(true);
      expect({ title, fault: check.fault, peakLive: check.peakLive }).toEqual({
        title,
        fault: "none",
        peakLive: peakOf(trace),
      });
      workbench.dispose();
    }
  });
});
