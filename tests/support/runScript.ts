import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Runs one of the tests' own programs to its end. */
export function runScript(script: URL, words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(script), ...words], {
    encoding: "utf8",
  });
  return { status, out: stdout, error: stderr };
}
