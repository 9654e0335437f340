import { afterAll, describe, expect, test } from "vitest";
import { COLUMNS, type Column, type Row, runCase } from "../support/misuse.js";
import { freeRows } from "../support/misuseFrees.js";
import { renderOutcomes } from "../support/misuseReport.js";
import { sizeRows } from "../support/misuseSizes.js";
import { stateRows } from "../support/misuseStates.js";
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

afterAll(() => {
  console.log(renderOutcomes(rows, outcomes));
});
