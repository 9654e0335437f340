/**
 * The process of one subject in one round: loads the suite, measures, sends the figures to its parent, ends.
 *
 * Whatever goes wrong is written to standard error and ends the process with a status that is not 0.
 */

import { type Effort, measure } from "./measure.js";
import { loadSuite } from "./selection.js";

/** What the parent asks for, as JSON in the first argument. */
export interface ChildRequest {
  readonly suiteUrl: string;
  readonly caseName: string;
  readonly subject: string;
  readonly effort: Effort;
}

/** What the child answers. */
export interface ChildAnswer {
  readonly metrics: Readonly<Record<string, number>>;
}

// Without its parent nobody reads the answer; it must not go on taking a core from the next run.
process.on("disconnect", () => process.exit(1));
// Nor may listening keep a subject alive that waits for nothing any more.
process.channel?.unref();

const { suiteUrl, caseName, subject, effort } = JSON.parse(process.argv[2] ?? "{}") as ChildRequest;
const { suite } = await loadSuite(suiteUrl);
const chosen = suite.cases.find(({ name }) => name === caseName);
if (chosen === undefined) throw new Error(`${suiteUrl} has no case ${caseName}`);
const answer: ChildAnswer = { metrics: await measure(chosen, subject, effort) };
// A subject may have left timers or sockets open; the answer is all that is still wanted.
process.send?.(answer, () => process.exit(0));
