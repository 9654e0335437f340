/** What the figures of a run depend on. */

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, availableParallelism, cpus, release, totalmem, type } from "node:os";
import { dirname, join } from "node:path";

export interface Environment {
  readonly node: string;
  readonly v8: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly os: string;
  /** When the run began, ISO 8601. */
  readonly date: string;
  /** The version of this package. */
  readonly version: string;
  readonly commandLine: string;
  /** `NODE_OPTIONS`, which the measured processes inherit; empty if unset. */
  readonly nodeOptions: string;
  /** The commit that is checked out, `null` outside a git checkout. */
  readonly commit: string | null;
}

export function describeEnvironment(): Environment {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve("tidemark/package.json");
  return {
    node: process.version,
    v8: process.versions.v8,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    os: `${type()} ${release()} ${arch()}`,
    date: new Date().toISOString(),
    version: (require(manifest) as { version: string }).version,
    commandLine: [...process.execArgv, ...process.argv.slice(1)].join(" "),
    nodeOptions: process.env.NODE_OPTIONS ?? "",
    commit: commitOf(dirname(manifest)),
  };
}

function commitOf(folder: string): string | null {
  // A copy installed in somebody else's checkout would give the commit of that one.
  if (!existsSync(join(folder, ".git"))) return null;
  try {
    return execFileSync("git", ["rev-parse", "HEAD"], {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 5_000,
    }).trim();
  } catch {
    return null;
  }
}
