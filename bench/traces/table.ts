import Table from "cli-table3";
import type { AllocatorResult, TraceResult } from "./result.js";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const share = new Intl.NumberFormat("en-US", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

interface Column {
  readonly label: string;
  readonly cell: (result: AllocatorResult) => string;
}

const nanos = (value: number | undefined) => (value === undefined ? "" : whole.format(value));

const COLUMNS: readonly Column[] = [
  { label: "operations/s", cell: ({ operationsPerSecond: rate }) => (rate === null ? "" : whole.format(rate)) },
  { label: "p50 (ns)", cell: ({ latencyNanos }) => nanos(latencyNanos?.p50) },
  { label: "p99", cell: ({ latencyNanos }) => nanos(latencyNanos?.p99) },
  { label: "p99.9", cell: ({ latencyNanos }) => nanos(latencyNanos?.p999) },
  { label: "p99.99", cell: ({ latencyNanos }) => nanos(latencyNanos?.p9999) },
  { label: "max", cell: ({ latencyNanos }) => nanos(latencyNanos?.max) },
  { label: "sample p50", cell: ({ samplingNanos }) => nanos(samplingNanos?.p50) },
  { label: "p99.9", cell: ({ samplingNanos }) => nanos(samplingNanos?.p999) },
  { label: "live (B)", cell: ({ peakLiveBytes }) => whole.format(peakLiveBytes) },
  { label: "taken (B)", cell: ({ peakTakenBytes }) => whole.format(peakTakenBytes) },
  { label: "utilisation", cell: ({ utilisation }) => share.format(utilisation) },
  { label: "fragmentation", cell: ({ fragmentation }) => share.format(fragmentation) },
  { label: "integrity", cell: ({ intact, fault }) => (fault !== null ? "FAULT" : intact ? "ok" : "not checked") },
];

/** The results as a table: a row for each trace and allocator. */
export function renderTable(traces: readonly TraceResult[]): string {
  const table = new Table({
    head: ["trace", "allocator", ...COLUMNS.map(({ label }) => label)],
    colAligns: ["left", "left", ...COLUMNS.map(() => "right" as const)],
    // Plain text: the table is piped into files as often as it is looked at.
    style: { head: [], border: [], compact: true },
  });
  for (const { name, allocators } of traces.map((trace) => ({ ...trace, name: nameOf(trace.file) }))) {
    allocators.forEach((result, index) => {
      const allocator = result.debug ? `${result.allocator} (debug)` : result.allocator;
      table.push([index === 0 ? name : "", allocator, ...COLUMNS.map(({ cell }) => cell(result))]);
    });
  }
  return table.toString();
}

/** A file's name without its folder and without what all traces end in. */
function nameOf(file: string): string {
  return file.replace(/^.*[/\\]/, "").replace(/\.rep(\.gz)?$/, "");
}
