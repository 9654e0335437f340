/** The program of an allocator's process: takes one assignment over IPC, measures, answers, ends. */
import { measureTrace } from "./measure.js";
import type { Answer, Assignment } from "./protocol.js";

process.once("message", async ({ trace, strategy, debug, integrity }: Assignment) => {
  const answer: Answer = { report: await measureTrace(trace, strategy, debug, integrity) };
  process.send?.(answer, () => process.disconnect());
});

// Ctrl-C reaches the whole process group; the main process ends this one, and knows why.
process.on("SIGINT", () => {});

// Without the main process nobody wants the result.
process.once("disconnect", () => process.exit());
