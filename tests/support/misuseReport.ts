import Table from "cli-table3";
import { COLUMNS, type Column, type Row } from "./misuse.js";

/** What came of each cell, by the row's name. */
export type Outcomes = ReadonlyMap<string, Partial<Record<Column, string>>>;

/** The table of what was really thrown, in plain text. */
export function renderOutcomes(rows: readonly Row[], outcomes: Outcomes): string {
  const notes = rows.filter(({ note }) => note !== undefined);
  const table = new Table({ head: ["misuse", ...COLUMNS], style: { head: [], border: [], compact: true } });
  for (const row of rows) {
    const mark = row.note === undefined ? "" : ` [${notes.indexOf(row) + 1}]`;
    const seen = outcomes.get(row.name);
    table.push([row.name + mark, ...COLUMNS.map((column) => shown(seen?.[column]))]);
  }
  return [
    "What the release build threw, row by row (codes without ERR_TIDEMARK_):",
    table.toString(),
    "–: cannot be posed to that allocator. C malloc throws nothing: a refused call returns 0 or does nothing, and the heap",
    "counts it; shown is the reason that it leaves.",
    ...notes.map(({ note }, index) => `[${index + 1}] ${note}`),
  ].join("\n");
}

function shown(outcome: string | undefined): string {
  return outcome === undefined ? "–" : outcome.toLowerCase().replaceAll("_", " ");
}
