import { fork } from "node:child_process";
import { endBy } from "../commandLine.js";
import { ENGINE_FLAGS } from "../engineFlags.js";
import type { Report } from "./measure.js";
import type { Answer, Assignment } from "./protocol.js";

/** An allocator's process ended without an answer. */
export class AllocatorFailure extends Error {
  override readonly name = "AllocatorFailure";
}

/**
 * Replays one trace through one allocator in a process of its own, to its end.
 *
 * @throws {AllocatorFailure} the process died
 * @throws {CommandLineEnd} the process was interrupted, as this one will be told
 * @throws the signal's reason, if `signal` was aborted; the process has been ended then
 */
export function runAllocator(assignment: Assignment, signal: AbortSignal): Promise<Report> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = fork(new URL("./allocatorProcess.js", import.meta.url), {
      execArgv: [...ENGINE_FLAGS],
      serialization: "advanced",
    });
    let report: Report | undefined;
    const stop = () => child.kill("SIGKILL");
    signal.addEventListener("abort", stop, { once: true });
    child.on("message", (answer: Answer) => {
      report = answer.report;
    });
    child.once("error", reject);
    child.once("exit", (status, killedBy) => {
      signal.removeEventListener("abort", stop);
      const { strategy, trace } = assignment;
      if (signal.aborted) reject(signal.reason);
      else if (report !== undefined) resolve(report);
      else {
        const end = killedBy ?? `status ${status}`;
        reject(endBy(killedBy) ?? new AllocatorFailure(`${trace.name}: the ${strategy} process ended with ${end}`));
      }
    });
    // A process that is gone before it was sent anything is reported by its exit.
    child.send(assignment, () => {});
  });
}
