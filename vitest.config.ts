import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const build = (path: string) => fileURLToPath(new URL(`./build/${path}`, import.meta.url));

/** Tests that look neither at time nor at the engine's collections, so that whatever runs beside them does not matter. */
const indifferent = [
  "tests/{allocators,collections,collectors,layout,memory,types}/**/!(*arbage).test.ts",
  "tests/simulation/*.test.ts",
  "tests/loop/{model,*Model}.test.ts",
];

export default defineConfig({
  resolve: {
    // Tests run what is shipped, not the sources: the package by its name, the benchmarks as they were compiled.
    alias: [
      { find: /^tidemark$/, replacement: build("bindings/index.node.js") },
      { find: /^\.\.\/\.\.\/bench\//, replacement: build("bench/") },
    ],
  },
  test: {
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // What was built is loaded by Node itself, and not transformed for each file of tests.
    server: { deps: { external: [/\/build\//] } },
    projects: [
      {
        extends: true,
        test: {
          name: "indifferent",
          include: indifferent,
          maxWorkers: availableParallelism(), // one fewer if not given
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "timed",
          include: ["tests/**/*.test.ts"],
          exclude: [...indifferent, "tests/browser/**"],
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
