import type { StrategyName } from "../drivers/workbench.js";
import type { Report } from "./measure.js";

/** The outcome of a replay, as `--json` writes it. */
export interface ReplayResult {
  readonly traces: readonly TraceResult[];
  /** Traces that were not replayed: why, with file, line and text. */
  readonly refused: readonly { readonly file: string; readonly reason: string }[];
  /** Allocators that this machine does not have, and why. */
  readonly absent: readonly { readonly allocator: StrategyName; readonly reason: string }[];
}

/** One trace, with every allocator that replayed it. */
export interface TraceResult {
  /** As it was named on the command line. */
  readonly file: string;
  readonly ids: number;
  readonly operations: number;
  readonly allocators: readonly AllocatorResult[];
}

/** {@link Report}, and whose it is. */
export interface AllocatorResult extends Report {
  readonly allocator: StrategyName;
  /** True for Tidemark's debug module. */
  readonly debug: boolean;
}
