import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** How a program has ended, and all that it has written. */
interface Outcome {
  status: number | null;
  out: string;
  error: string;
}

/** Starts a program in a process of its own. */
export function startProgram(
  script: URL,
  words: readonly string[],
): { readonly child: ChildProcess; readonly ended: Promise<Outcome> } {
  const child = spawn(process.execPath, [fileURLToPath(script), ...words]);
  const outcome: Outcome = { status: null, out: "", error: "" };
  child.stdout.on("data", (text: Buffer) => (outcome.out += text.toString()));
  child.stderr.on("data", (text: Buffer) => (outcome.error += text.toString()));
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ ...outcome, status }));
  });
  return { child, ended };
}
