import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const project = fileURLToPath(new URL("../..", import.meta.url));

// What a mutant has to fail: the collectors' tests that are quick, in one thread, so that the end of the process ends them even
// where the mutant does not return.
export default defineConfig({
  root: project,
  resolve: { alias: { tidemark: `${project}build/bindings/index.node.js` } },
  test: {
    include: [
      "cycleScenarios",
      "hookOrder",
      "shadowModel",
      "heapOutOfMemory",
      "refusedMemory",
      "pacing",
      "manyRoots",
    ].map((name) => `tests/collectors/${name}.test.ts`),
    testTimeout: 60_000,
    bail: 1,
    pool: "threads",
    fileParallelism: false,
    reporters: ["dot"],
  },
});
