import type { FeedSource } from "./feed.js";
import type { MeasureOptions, Stage, SubjectReport } from "./measure.js";
import type { SubjectName } from "./subject.js";

/** What the main process asks of a subject's process, once. */
export interface Assignment {
  readonly subject: SubjectName;
  readonly source: FeedSource;
  readonly options: MeasureOptions;
  /** Whether anybody looks at the progress; telling it costs the process a little time. */
  readonly tellsProgress: boolean;
}

/** What a subject's process answers: progress, and one of the other two at its end. */
export type Answer =
  | { readonly type: "progress"; readonly stage: Stage | "loading"; readonly share: number }
  | { readonly type: "report"; readonly report: SubjectReport }
  | { readonly type: "unreadable"; readonly message: string };
