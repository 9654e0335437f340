import { createRuntime } from "tidemark";
import { afterAll, describe, expect, test } from "vitest";
import { COLUMNS, type Column, type Row, runCase } from "../support/misuse.js";
import { freeRows } from "../support/misuseFrees.js";
import { exhaust, fillers, refuseEach } from "../support/misuseOutOfMemory.js";
import { renderOutcomes } from "../support/misuseReport.js";
import { sizeRows } from "../support/misuseSizes.js";
import { stateRows } from "../support/misuseStates.js";
import { checkTypes, typeCalls } from "../support/misuseTypes.js";
import { modules } from "../support/runtimes.js";

const rows: readonly Row[] = [...freeRows, ...sizeRows, ...stateRows];

const outcomes = new Map<string, Partial<Record<Column, string>>>();

describe.each(modules)("misuse is a typed error that changes nothing, in the $name build", ({ name, debug }) => {
  test.each(rows)("$name", async (row) => {
    const seen: Partial<Record<Column, string>> = {};
    if (!debug) outcomes.set(row.name, seen);
    const posed = COLUMNS.filter((column) => row.cells[column] !== undefined);
    const failures: unknown[] = [];
    for (const column of posed) {
      try {
        seen[column] = await runCase(column, row.cells[column]!, debug);
      } catch (error) {
        seen[column] = "FAILED";
        if (error instanceof Error) error.message = `${column}, ${name} build: ${error.message}`;
        failures.push(error);
      }
    }
    expect(posed.length).toBeGreaterThan(0);
    if (failures.length > 0) throw failures[0];
  });
});

const EXHAUSTED: Row = {
  name: "out of memory",
  note: "then everything freed, and nine tenths had again; in the debug build each page request was refused in turn too",
  cells: {},
};

describe.each(modules)("what runs out of memory loses nothing, in the $name build", ({ debug }) => {
  const seen: Partial<Record<Column, string>> = {};
  if (!debug) outcomes.set(EXHAUSTED.name, seen);
  test.each(Object.keys(fillers) as Column[])("%s: all can be had again", async (column) => {
    seen[column] = await exhaust(column, debug);
    expect(seen[column]).toBe("OUT_OF_MEMORY");
  });
});

test.each(Object.keys(fillers) as Column[])("%s: a page request that is refused changes nothing", async (column) => {
  const { codes, refused } = await refuseEach(column);
  expect(refused).toBeGreaterThan(1);
  // Arenas and maps that are refused a large block ask for a small one.
  expect(column === "arena" || column === "sorted map" ? ["", "OUT_OF_MEMORY"] : ["OUT_OF_MEMORY"]).toContain(codes);
});

describe.each(modules)("no argument brings an error of the engine about, in the $name build", ({ debug }) => {
  test("pools, byte heaps, frame pools: each argument, each kind of value", async () => {
    const runtime = await createRuntime({ debug, onLeak: () => {} });
    for (const call of typeCalls(runtime)) {
      try {
        checkTypes(runtime, call);
      } catch (error) {
        if (error instanceof Error) error.message = `${call.name}: ${error.message}`;
        throw error;
      }
    }
    runtime.dispose();
  });
});

afterAll(() => {
  console.log(renderOutcomes([...rows, EXHAUSTED], outcomes));
});
