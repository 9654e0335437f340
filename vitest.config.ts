import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const build = (path: string) => fileURLToPath(new URL(`./build/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    // Tests run what is shipped, not the sources: the package by its name, the benchmarks as they were compiled.
    alias: [
      { find: /^tidemark$/, replacement: build("bindings/index.node.js") },
      { find: /^\.\.\/\.\.\/bench\//, replacement: build("bench/") },
    ],
  },
  test: {
    include: ["tests/**/*.test.ts"],
    exclude: ["tests/browser/**"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
