import { type ChildProcess, fork } from "node:child_process";
import { endBy } from "../commandLine.js";
import { ENGINE_FLAGS } from "../engineFlags.js";
import { ConnectionFailure } from "./connectionFailure.js";
import type { Stage, SubjectReport } from "./measure.js";
import type { Answer, Assignment } from "./protocol.js";
import { RecordingError } from "./recording.js";

/** A subject's process ended without an answer. */
export class SubjectFailure extends Error {
  override readonly name = "SubjectFailure";
}

export type RunProgress = (stage: Stage | "loading", share: number) => void;

/** Whom a subject's process tells what, while it runs. */
export interface RunListener {
  readonly progress: RunProgress;
  notice(text: string): void;
}

/**
 * Runs one subject in a process of its own, to its end.
 *
 * @throws {RecordingError} the process could not read the feed
 * @throws {ConnectionFailure} it could not connect to it, or not again
 * @throws {SubjectFailure} the process died
 * @throws {CommandLineEnd} the process was interrupted, as this one will be told
 * @throws the signal's reason, if `signal` was aborted; the process has been ended then
 */
export function runSubject(assignment: Assignment, signal: AbortSignal, listener: RunListener): Promise<SubjectReport> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = fork(new URL("./subjectProcess.js", import.meta.url), {
      execArgv: [...ENGINE_FLAGS],
      serialization: "advanced",
    });
    let report: SubjectReport | undefined;
    let refusal: RecordingError | ConnectionFailure | undefined;
    const stop = () => child.kill("SIGKILL");
    signal.addEventListener("abort", stop, { once: true });
    child.on("message", (answer: Answer) => {
      if (answer.type === "progress") listener.progress(answer.stage, answer.share);
      else if (answer.type === "notice") listener.notice(answer.text);
      else if (answer.type === "report") report = answer.report;
      else if (answer.type === "disconnected") refusal = new ConnectionFailure(answer.message);
      else refusal = new RecordingError(answer.message);
    });
    child.once("error", reject);
    child.once("exit", (status, killedBy) => {
      signal.removeEventListener("abort", stop);
      if (signal.aborted) reject(signal.reason);
      else if (refusal !== undefined) reject(refusal);
      else if (report !== undefined) resolve(report);
      else {
        const end = killedBy ?? `status ${status}`;
        reject(endBy(killedBy) ?? new SubjectFailure(`the ${assignment.subject} process ended with ${end}`));
      }
    });
    assign(child, assignment);
  });
}

function assign(child: ChildProcess, assignment: Assignment): void {
  // A process that is gone before it was sent anything is reported by its exit.
  child.send(assignment, () => {});
}
