import Table from "cli-table3";
import type { SubjectReport } from "./measure.js";

const BYTES_PER_MIB = 2 ** 20;

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const mebibytes = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

interface Row {
  readonly label: string;
  readonly value: (report: SubjectReport) => number;
  readonly format: Intl.NumberFormat;
  /** Whether the two subjects' ratio means anything. */
  readonly ratio: boolean;
}

const ROWS: readonly Row[] = [
  { label: "messages/s", value: (report) => report.messagesPerSecond, format: whole, ratio: true },
  { label: "latency p50 (µs)", value: (report) => report.latencyMicros.p50, format: fine, ratio: true },
  { label: "latency p99 (µs)", value: (report) => report.latencyMicros.p99, format: fine, ratio: true },
  { label: "latency p99.9 (µs)", value: (report) => report.latencyMicros.p999, format: fine, ratio: true },
  { label: "latency p99.99 (µs)", value: (report) => report.latencyMicros.p9999, format: fine, ratio: true },
  { label: "latency max (µs)", value: (report) => report.latencyMicros.max, format: fine, ratio: true },
  { label: "collections", value: (report) => report.collections.count, format: whole, ratio: false },
  { label: "collections, total (ms)", value: (report) => report.collections.totalMillis, format: fine, ratio: false },
  { label: "collections, longest (ms)", value: (report) => report.collections.maxMillis, format: fine, ratio: false },
  {
    label: "JavaScript heap, alive (MiB)",
    value: (report) => report.heapBytes / BYTES_PER_MIB,
    format: mebibytes,
    ratio: true,
  },
  {
    label: "linear memory (MiB)",
    value: (report) => report.linearBytes / BYTES_PER_MIB,
    format: mebibytes,
    ratio: false,
  },
  {
    label: "resident memory (MiB)",
    value: (report) => report.residentBytes / BYTES_PER_MIB,
    format: mebibytes,
    ratio: true,
  },
  { label: "refused lines", value: (report) => report.refused.count, format: whole, ratio: false },
];

/** The comparison as a table: a row for each figure, a column for each subject, and their ratio where there are two. */
export function renderTable(reports: readonly SubjectReport[]): string {
  const [one, other] = reports;
  const names = reports.map(({ name }) => name);
  const withRatio = one !== undefined && other !== undefined;
  const table = new Table({
    head: ["", ...names, ...(withRatio ? [`${one.name} ÷ ${other.name}`] : [])],
    colAligns: ["left", ...reports.map(() => "right" as const), "right"],
    // Plain text: the table is piped into files as often as it is looked at.
    style: { head: [], border: [], compact: true },
  });
  for (const { label, value, format, ratio } of ROWS) {
    const cells = reports.map((report) => format.format(value(report)));
    table.push([label, ...cells, ...(withRatio ? [ratio ? divide(value(one), value(other)) : ""] : [])]);
  }
  if (reports.some(({ verification }) => verification !== null)) {
    const cells = reports.map(({ verification }) =>
      verification === null ? "" : `${whole.format(verification.equal)} of ${whole.format(verification.compared)}`,
    );
    table.push(["verified equal", ...cells, ...(withRatio ? [""] : [])]);
  }
  return table.toString();
}

function divide(one: number, other: number): string {
  return other > 0 ? fine.format(one / other) : "";
}
