import type { StrategyName } from "../drivers/workbench.js";
import type { Report } from "./measure.js";
import type { Trace } from "./trace.js";

/** What the main process asks of an allocator's process, once. */
export interface Assignment {
  readonly trace: Trace;
  readonly strategy: StrategyName;
  readonly debug: boolean;
  readonly integrity: boolean;
}

/** What the allocator's process answers, once. */
export interface Answer {
  readonly report: Report;
}
