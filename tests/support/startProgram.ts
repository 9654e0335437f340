import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { setImmediate as hop } from "node:timers/promises";
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

/** The process that `parent` has started, as the kernel tells, as soon as there is one. */
export async function childOf(parent: number): Promise<number> {
  const path = `/proc/${parent}/task/${parent}/children`;
  for (;;) {
    const children = readFileSync(path, "utf8").trim();
    if (children !== "") return Number(children.split(" ")[0]);
    await hop();
  }
}
