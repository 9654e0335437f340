/** The program of a subject's process: takes one assignment over IPC, measures, answers, ends. */

import { ConnectionFailure } from "./connectionFailure.js";
import { loadFeed } from "./feed.js";
import { measure, type Stage } from "./measure.js";
import type { Answer, Assignment } from "./protocol.js";
import { RecordingError } from "./recording.js";
import { subjects } from "./subjects.js";

/** Often enough for the eye, seldom enough not to show in the figures. */
const PROGRESS_MILLIS = 250;

function answer(message: Answer): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}

function progressTeller(): (stage: Stage | "loading", share: number) => void {
  let told = Number.NEGATIVE_INFINITY;
  return (stage, share) => {
    const now = performance.now();
    if (now - told < PROGRESS_MILLIS) return;
    told = now;
    process.send?.({ type: "progress", stage, share } satisfies Answer);
  };
}

async function work({ subject: name, feed, options, tellsProgress }: Assignment): Promise<Answer> {
  const progress = tellsProgress ? progressTeller() : undefined;
  if ("url" in feed) {
    const notice = (text: string) => process.send?.({ type: "notice", text } satisfies Answer);
    const tell = progress === undefined ? undefined : (share: number) => progress("following", share);
    // Loaded here only, as is each subject's own code.
    const { follow } = await import("./follow.js");
    return { type: "report", report: await follow(name, { ...feed, verify: options.verify }, notice, tell) };
  }
  progress?.("loading", 0);
  const create = subjects[name];
  if (create === undefined) throw new Error(`there is no subject ${name}`);
  const recording = await loadFeed(feed);
  const subject = await create(recording);
  try {
    return { type: "report", report: await measure(recording, subject, options, progress) };
  } finally {
    subject.dispose();
  }
}

process.once("message", async (assignment: Assignment) => {
  try {
    await answer(await work(assignment));
  } catch (error) {
    if (error instanceof RecordingError) await answer({ type: "unreadable", message: error.message });
    else if (error instanceof ConnectionFailure) await answer({ type: "disconnected", message: error.message });
    else throw error;
  }
  process.disconnect();
});

// Ctrl-C reaches the whole process group; the main process ends this one, and knows why.
process.on("SIGINT", () => {});

// Without the main process nobody wants the result.
process.once("disconnect", () => process.exit());
