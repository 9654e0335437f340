import type { FeedSource } from "./feed.js";
import type { FollowOptions } from "./follow.js";
import type { MeasureOptions, Stage, SubjectReport } from "./measure.js";
import type { SubjectName } from "./subject.js";

/** What the main process asks of a subject's process, once. */
export interface Assignment {
  readonly subject: SubjectName;
  readonly feed: FeedSource | Connection;
  readonly options: MeasureOptions;
  /** Whether anybody looks at the progress; telling it costs the process a little time. */
  readonly tellsProgress: boolean;
}

/** A feed that comes over a WebSocket. */
export type Connection = Pick<FollowOptions, "url" | "limit" | "expected">;

/** What a subject's process answers: progress and notices, and one of the others at its end. */
export type Answer =
  | { readonly type: "progress"; readonly stage: Stage | "loading"; readonly share: number }
  | { readonly type: "notice"; readonly text: string }
  | { readonly type: "report"; readonly report: SubjectReport }
  | { readonly type: "disconnected"; readonly message: string }
  | { readonly type: "unreadable"; readonly message: string };
